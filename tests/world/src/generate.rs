//! Arbitrary worlds: everything the grammar can say, in small numbers, so that things collide.

use std::collections::BTreeSet;

use proptest::{collection::vec, option::weighted, prelude::*, sample::select};

use crate::World;

/// One word out of these, the first one in about half of all cases.
fn mostly(usual: &'static str, others: &'static [&'static str]) -> BoxedStrategy<String> {
    prop_oneof![Just(usual), select(others)].prop_map(str::to_owned).boxed()
}

fn connect() -> BoxedStrategy<String> {
    mostly("connect=a", &["connect=b", "connect=a,b", "connect=b,c", "connect=\"a,b\"", "connect=\"\"", ""])
}

fn rarely(words: &'static [&'static str]) -> BoxedStrategy<String> {
    weighted(0.15, select(words)).prop_map(|word| word.unwrap_or_default().to_owned()).boxed()
}

/// Lines without the words that tie them together, which [`assemble`] adds.
fn instances() -> impl Strategy<Value = Vec<String>> {
    let wears =
        mostly("wears=default", &["wears=default,web", "wears=web,a,b", "wears=default,a,b,web", "wears=web,a,b,c,d"]);
    let line = (connect(), wears, mostly("zone=a", &["zone=b", ""]), rarely(&["block", "hold", "gone"]));
    vec(line.prop_map(|(connect, wears, zone, mark)| format!("{connect} {wears} {zone} {mark}")), 1..=4)
}

fn stores() -> impl Strategy<Value = Vec<(String, String)>> {
    let others = &["cluster", "docdb", "neptune", "replicationgroup", "cache", "serverlesscache", "warehouse"];
    let kind = mostly("db", others);
    let groups = mostly(
        "groups=default",
        &[
            "groups=a,b:removing",
            "groups=default,a:adding",
            "groups=a,b,c,d",
            "groups=a,b,c,d,default",
            "groups=a:removing",
        ],
    );
    let state = mostly("", &["state=modifying", "state=backing-up", "state=deleting"]);
    let form = rarely(&["serverless-v1", "global=world", "member-of=big", "vpc=2", "classic", "block", "hold"]);
    let port = mostly("", &["port=3306", "port=5000-5010", "port=none"]);
    let options = (connect(), groups, state, form, port, mostly("zone=a", &["zone=b,c", ""]));
    let options = options.prop_map(|(connect, groups, state, form, port, zone)| {
        format!("{connect} {groups} {state} {form} {port} {zone}")
    });
    vec((kind, options), 1..=3)
}

/// A pair of a store: the store's index, its numbers, the instances that wear it, and the rest.
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
    let maker = mostly("", &["made-by=console", "made-by=hand", "made-by=forger", "made-by=nobody", "arn=old"]);
    let options = (list, only, rules, extra, maker)
        .prop_map(|(list, only, rules, extra, maker)| format!("{list} {only} {rules} {extra} {maker}"));
    let sketch = (0..3_usize, numbers, proptest::collection::btree_set(0..4_usize, 0..=3), options);
    vec(sketch.prop_map(|(store, (one, other), wearers, options)| (store, one, other, wearers, options)), 0..=4)
}

fn rest() -> impl Strategy<Value = Vec<String>> {
    let groups = select(vec![
        "group RDS-EC2-1",
        "group ec2-rds-1 worn-by=i-0",
        "group rds-ec2-2 tagged=s0/store on=s0",
        "group web tagged=s0/instance ours=instance rule=\"all traffic to 0.0.0.0/0\"",
        "group ec2-docdb-1 tagged=s0/instance ours=instance",
        "group rds-ec2-3 rule=\"tcp 5432 from sg-ec2-rds-1\" on=s0",
        "taken ec2-rds-1",
        "taken Ec2-Rds-2",
    ]);
    let gaps = weighted(0.2, select(vec!["gap groups", "gap stores", "gap instances lasting"]));
    let scope = weighted(0.3, select(vec!["scope i-0", "scope s0", "scope i-0 s1", "scope i-1 i-0", "scope s0 s1"]));
    let limit = select(vec!["limit 5", "limit 3", "limit 16"]);
    (vec(groups, 0..=2), gaps, scope, limit).prop_map(|(groups, gaps, scope, limit)| {
        groups.into_iter().chain(gaps).chain(scope).chain([limit]).map(str::to_owned).collect()
    })
}

/// Worlds with one to four instances, one to three stores, and whatever pairs, gaps and scopes.
pub fn worlds() -> impl Strategy<Value = World> {
    (instances(), stores(), pairs(), rest())
        .prop_map(|(instances, stores, pairs, rest)| assemble(&instances, &stores, &pairs, &rest))
}

/// Puts the lines together one by one. What contradicts what is there already, such as a second
/// group of the same name, is left out.
fn assemble(instances: &[String], stores: &[(String, String)], pairs: &[PairSketch], rest: &[String]) -> World {
    let instance_lines = instances.iter().enumerate().map(|(index, options)| format!("instance i-{index} {options}"));
    let store_lines = stores.iter().enumerate().map(|(index, (kind, options))| format!("{kind} s{index} {options}"));
    let pair_lines = pairs.iter().map(|(store, one, other, wearers, options)| {
        let worn: Vec<String> = wearers
            .iter()
            .filter(|index| instances.get(**index).is_some_and(|options| !options.contains("gone")))
            .map(|index| format!("i-{index}"))
            .collect();
        let worn = if worn.is_empty() || options.contains("only=store") { String::new() } else { worn.join(",") };
        format!("pair s{store} {one}/{other} worn-by={worn} {options}")
    });
    let lines = instance_lines.chain(store_lines).chain(pair_lines).chain(rest.iter().cloned());
    World::read_what_fits(lines)
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
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_world_is_read_back_as_it_is_written(world in worlds()) {
            prop_assert_eq!(World::read(&world.to_string()).unwrap(), world);
        }
    }
}
