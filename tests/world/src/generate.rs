//! Arbitrary worlds: everything the grammar can say, in small numbers, so that things collide.

use std::collections::BTreeSet;

use proptest::{
    collection::vec,
    option::weighted,
    prelude::*,
    sample::{select, subsequence},
};
use tagwire_core::{id::SecurityGroupId, model::Membership, observation::StoreLookup};

use crate::World;

/// One word out of these, the first one in about half of all cases.
fn mostly(usual: &'static str, others: &'static [&'static str]) -> BoxedStrategy<String> {
    prop_oneof![Just(usual), select(others)].prop_map(str::to_owned).boxed()
}

fn connect() -> BoxedStrategy<String> {
    mostly("connect=a", &["connect=b", "connect=a,b", "connect=b,c", "connect=\"a,b\"", "connect=\"\"", "", "", ""])
}

fn status() -> BoxedStrategy<String> {
    rarely(&["status=\"connected: s0\"", "status=\"connected: i-0\"", "status=\"no-match: a\""])
}

fn rarely(words: &'static [&'static str]) -> BoxedStrategy<String> {
    weighted(0.15, select(words)).prop_map(|word| word.unwrap_or_default().to_owned()).boxed()
}

/// Lines without the words that tie them together, which [`assemble`] adds.
fn instances() -> impl Strategy<Value = Vec<String>> {
    let has = mostly(
        "groups=default",
        &[
            "groups=none",
            "groups=default,web",
            "groups=web,a,b",
            "groups=default,a,b,web",
            "groups=web,a,b,c,d",
            "groups=default,quarantine",
        ],
    );
    let zone = mostly("zone=a", &["zone=b", ""]);
    let line = (connect(), has, zone, rarely(&["block", "hold", "gone", "managed-by=eks.amazonaws.com"]), status());
    let line = line.prop_map(|(connect, has, zone, mark, status)| format!("{connect} {has} {zone} {mark} {status}"));
    vec(line, 1..=4)
}

fn stores() -> impl Strategy<Value = Vec<(String, String)>> {
    let others = &["cluster", "docdb", "neptune", "replicationgroup", "cache", "serverlesscache", "redshift"];
    let kind = mostly("db", others);
    let groups = mostly(
        "groups=default",
        &[
            "groups=a,b:removing",
            "groups=default,a:adding",
            "groups=a,b,c,d",
            "groups=a,b,c,d,default",
            "groups=a:removing",
            "groups=none",
            // A store that may be a copy of the one that the group was made for.
            "groups=default,rds-ec2-1",
            "groups=default,rds-ec2-2,rds-cidr-1",
            "groups=rds-ec2-1",
        ],
    );
    let state = mostly("", &["state=modifying", "state=backing-up", "state=deleting"]);
    let form =
        rarely(&["serverless-v1", "global=world", "member-of=big", "vpc=2", "classic", "not-shown", "block", "hold"]);
    let port = mostly("", &["port=3306", "port=5000-5010", "port=none"]);
    let clients = mostly(
        "",
        &[
            "allow-cidr=203.0.113.0/24",
            "allow-cidr=\"203.0.113.0/24 2001:db8::/48\"",
            "allow-cidr=\"203.0.113.0/24 pl-1\"",
            "allow-cidr=pl-2",
            "allow-cidr=\"pl-1 pl-3\"",
            "allow-cidr=10.0.0.0/15",
            "allow-cidr=203.0.113.7",
            "allow-cidr=\"\"",
        ],
    );
    let options = (connect(), groups, state, form, port, mostly("zone=a", &["zone=b,c", ""]), status(), clients);
    let options = options.prop_map(|(connect, groups, state, form, port, zone, status, clients)| {
        format!("{connect} {groups} {state} {form} {port} {zone} {status} {clients}")
    });
    vec((kind, options), 1..=3)
}

/// A pair of a store: the store's index, its numbers, the instances that have it, and the rest.
type PairSketch = (usize, u32, u32, BTreeSet<usize>, String);

fn pairs() -> impl Strategy<Value = Vec<PairSketch>> {
    let number = || prop_oneof![3 => Just(1_u32), 2 => Just(2), 1 => Just(3)];
    let numbers = prop_oneof![
        4 => number().prop_map(|number| (number, number)),
        1 => (number(), number()),
    ];
    let list = mostly("", &["loose", "adding", "removing"]);
    let only = mostly("", &["only=store", "only=instance"]);
    let rules = mostly("", &["rules=none", "rules=store", "rules=instance", "port=1521"]);
    let extra = mostly(
        "",
        &[
            "egress=store,instance",
            "store-rule=\"tcp 22 from 10.0.0.0/8\"",
            "store-rule=\"tcp 5432 from 0.0.0.0/0\"",
            "store-rule=\"tcp 5432 from sg-web\"",
            "store-rule=\"tcp 5432 from sg-ec2-rds-2\"",
            "instance-rule=\"tcp 5432 to sg-rds-ec2-2\"",
            "instance-rule=\"all traffic to 0.0.0.0/0\"",
        ],
    );
    let maker =
        mostly("", &["made-by=console", "made-by=hand", "made-by=forger", "made-by=nobody", "arn=old", "arn=s0"]);
    let identity = rarely(&[
        "store-tags=s0",
        "instance-tags=s1",
        "store-tags=none",
        "instance-tags=unmarked",
        "instance-tags=sideless",
        "record=none",
        "record=s1",
        "record=s0/unnamed",
        "record=s0/sg-other",
        "former",
        "former record=none",
    ]);
    let options =
        (list, only, rules, extra, maker, identity).prop_map(|(list, only, rules, extra, maker, identity)| {
            format!("{list} {only} {rules} {extra} {maker} {identity}")
        });
    let sketch = (0..4_usize, numbers, proptest::collection::btree_set(0..4_usize, 0..=3), options);
    vec(
        sketch.prop_map(|(store, (one, other), attached_interfaces, options)| {
            (store, one, other, attached_interfaces, options)
        }),
        0..=4,
    )
}

/// What of the stores that the pairs belong to and that are not there.
fn gone() -> impl Strategy<Value = Vec<String>> {
    let word = || mostly("gone", &["gone", "unsure", ""]);
    let line = |index: usize, word: &str| match word {
        "" => None,
        "unsure" => Some(format!("gone s{index} unsure")),
        _ => Some(format!("gone s{index}")),
    };
    (word(), word(), word()).prop_map(move |(one, two, three)| {
        [(1, one), (2, two), (3, three)].iter().filter_map(|(index, word)| line(*index, word)).collect()
    })
}

fn interfaces() -> impl Strategy<Value = Vec<&'static str>> {
    let lines = vec![
        "interface eni-4 groups=ec2-rds-1 of=\"a function\"",
        "interface eni-5 groups=ec2-rds-1,rds-ec2-2 of=i-0",
        "interface eni-10 groups=ec2-rds-1,ec2-rds-2 of=i-1 copies",
        "interface eni-11 groups=ec2-rds-1,web of=\"a leftover\" detached",
        "interface eni-6 groups=rds-ec2-1,web of=RDSNetworkInterface",
        "interface eni-7 groups=rds-ec2-1 of=i-9 primary",
        "interface eni-8 groups=rds-ec2-2 of=RDSNetworkInterface",
        "interface eni-9 groups=web of=\"a load balancer\"",
    ];
    prop_oneof![2 => Just(Vec::new()), 1 => subsequence(lines, 1..=2)]
}

/// The entries of the state table. Two lines about one thing would be one.
fn state() -> impl Strategy<Value = Vec<&'static str>> {
    let lines = vec![
        "removed 2 ago=3",
        "removed 1 ago=14",
        "removed 1 ago=40",
        "removed 1 ago=-2",
        "wanted i-0 s0 ago=20",
        "wanted i-1 s0 ago=7",
        "wanted i-9 s1 ago=30",
        "unused rds-ec2-1 ago=20",
        "unused ec2-rds-1 ago=20",
        "unused rds-ec2-2 ago=5",
        "unused ec2-rds-2 ago=50",
        "unused ec2-rds-9 ago=50",
        "attached i-0 ec2-rds-1 tag=a ago=600 again=300,200,100",
        "attached i-1 ec2-rds-1 tag=a ago=600 again=3000,200,100",
        "attached i-0 ec2-rds-2 tag=b ago=600 contested",
        "attached s0 rds-ec2-1 tag=a ago=600 again=10,20,30",
        "attached i-9 ec2-rds-1 tag=a ago=600",
        "attached i-11 ec2-rds-1 tag=a ago=600",
        "wanted eni-11 s0 ago=9",
        "uninstalling ago=5",
    ];
    prop_oneof![1 => Just(Vec::new()), 2 => subsequence(lines.clone(), 1..=5), 1 => subsequence(lines, 9..=20)]
}

fn groups() -> impl Strategy<Value = Vec<&'static str>> {
    let lines = vec![
        "group RDS-EC2-1",
        "group ec2-rds-1 attached-to=i-0",
        "group rds-ec2-2 tagged=s0/store on=s0",
        "group web tagged=s0/instance ours=instance rule=\"all traffic to 0.0.0.0/0\"",
        "group ec2-docdb-1 tagged=s0/instance ours=instance",
        "group rds-ec2-3 rule=\"tcp 5432 from sg-ec2-rds-1\" on=s0",
        "group quarantine",
        "group rds-cidr-1 tagged=s0/cidr ours=cidr on=s0 rule=\"tcp 5432 from 203.0.113.0/24\"",
        "group rds-cidr-2 tagged=s0/cidr ours=cidr rule=\"all traffic to 0.0.0.0/0\" rule=\"tcp 5432 from pl-1\"",
        "group rds-cidr-3 tagged=s1/cidr ours=cidr on=s1 rule=\"tcp 22 from 10.0.0.0/8\" rule=\"tcp 5432 from sg-rds-ec2-1\"",
        "group rds-cidr-4 tagged=s3/cidr ours=cidr",
        "group Rds-Cidr-1",
        "taken ec2-rds-1",
        "taken Ec2-Rds-2",
    ];
    subsequence(lines, 0..=3)
}

/// A gap in one reading.
pub fn gaps() -> impl Strategy<Value = &'static str> {
    select(vec![
        "groups",
        "stores",
        "instances",
        "attached_interfaces",
        "templates",
        "prefix-lists",
        "state",
        "identities",
    ])
}

fn scope() -> impl Strategy<Value = Option<&'static str>> {
    weighted(0.3, select(vec!["scope i-0", "scope s0", "scope i-0 s1", "scope i-1 i-0", "scope s0 s1", "scope s3"]))
}

fn policy() -> impl Strategy<Value = String> {
    let limit = mostly("limit 5", &["limit 3", "limit 16"]);
    let max = mostly("", &["max 0", "max 1", "max 2", "max 3"]);
    let rest = mostly("", &["window 5", "isolation quarantine", "status-tags"]);
    let template = rarely(&["template ec2-rds-1", "template rds-ec2-2"]);
    let clients = mostly(
        "allow-cidr\nprefix-list pl-1 entries=198.51.100.0/24\nprefix-list pl-2 owner=AWS\nprefix-list pl-3 most=30",
        &[
            "",
            "allow-cidr",
            "allow-cidr ipv4=25\nprefix-list pl-1 most=60",
            "prefix-list pl-2 entries=10.0.0.0/8\nallow-cidr",
        ],
    );
    let lines = (limit, max, rest, template, clients);
    lines.prop_map(|(limit, max, rest, template, clients)| [limit, max, rest, template, clients].join("\n"))
}

fn rest() -> impl Strategy<Value = Vec<String>> {
    let gap = weighted(0.2, gaps()).prop_map(|gap| gap.map(|what| format!("gap {what}")));
    let lines = (groups(), interfaces(), state(), scope(), policy(), gap);
    lines.prop_map(|(groups, interfaces, state, scope, policy, gap)| {
        let lines = groups.into_iter().chain(interfaces).chain(state).chain(scope).map(str::to_owned);
        lines.chain(policy.lines().map(str::to_owned)).chain(gap).collect()
    })
}

/// Worlds with one to four instances, one to three stores, and whatever pairs, state, gaps and scopes.
pub fn worlds() -> impl Strategy<Value = World> {
    (instances(), stores(), pairs(), gone(), rest()).prop_map(|(instances, stores, pairs, gone, rest)| {
        // A store that is there is not gone.
        let is_gone = |line: &String| !(0..stores.len()).any(|index| line.contains(&format!("gone s{index}")));
        let rest: Vec<String> = gone.into_iter().filter(is_gone).chain(rest).collect();
        assemble(&instances, &stores, &pairs, &rest)
    })
}

/// Puts the lines together one by one. What contradicts what is there already, such as a second
/// group of the same name, is left out.
fn assemble(instances: &[String], stores: &[(String, String)], pairs: &[PairSketch], rest: &[String]) -> World {
    let instance_lines = instances.iter().enumerate().map(|(index, options)| format!("instance i-{index} {options}"));
    let store_lines = stores.iter().enumerate().map(|(index, (kind, options))| format!("{kind} s{index} {options}"));
    let pair_lines = pairs.iter().map(|(store, one, other, attached_interfaces, options)| {
        let attached: Vec<String> = attached_interfaces
            .iter()
            .filter(|index| instances.get(**index).is_some_and(|options| !options.contains("gone")))
            .map(|index| format!("i-{index}"))
            .collect();
        let attached =
            if attached.is_empty() || options.contains("only=store") { String::new() } else { attached.join(",") };
        format!("pair s{store} {one}/{other} attached-to={attached} {options}")
    });
    let lines = instance_lines.chain(store_lines).chain(pair_lines).chain(rest.iter().cloned());
    let mut world = World::read_what_fits(lines);
    // AWS has no interface and no store without a group.
    let default = SecurityGroupId::parse("sg-default").unwrap_or_else(|_| unreachable!("a constant"));
    for interface in world.seen.instances.found.iter_mut().filter_map(|instance| instance.interface.as_mut()) {
        if interface.groups.is_empty() {
            interface.groups.insert(default.clone());
        }
    }
    for lookup in &mut world.seen.stores.found {
        if let StoreLookup::Found(store) = lookup
            && store.lasting_groups().next().is_none()
        {
            store.groups.insert(default.clone(), Membership::Active);
        }
    }
    world
}

/// The same world with everything in another order.
pub fn shuffled(world: World) -> impl Strategy<Value = World> {
    let seen = &world.seen;
    let orders = (
        Just(seen.instances.found.clone()).prop_shuffle(),
        Just(seen.stores.found.clone()).prop_shuffle(),
        Just(seen.groups.found.clone()).prop_shuffle(),
    );
    orders.prop_map(move |(instances, stores, groups)| {
        let mut world = world.clone();
        world.seen.instances.found = instances;
        world.seen.stores.found = stores;
        world.seen.groups.found = groups;
        world
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn a_world_is_read_back_as_it_is_written(world in worlds()) {
            prop_assert_eq!(World::read(&world.to_string()).unwrap(), world);
        }
    }
}
