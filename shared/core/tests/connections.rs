//! What `tagwire status` finds, for worlds of a few lines of text and for arbitrary ones.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails its test")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tagwire_core::{
    connections::{Client, ConnectionStatus, Maker, SideGroup, State, Survey, connections},
    finding::Reason,
    group::SecurityGroup,
    id::{InstanceId, SecurityGroupId, StoreArn, VpcId},
    model::Form,
    observation::{Observation, Reading},
    plan::{DetachReason, Plan, Verdict, plan},
    rule::{Direction, Peer},
    untrusted::Untrusted,
};
use tagwire_world::{Unread, World, reaches, worlds};

/// What a survey of the whole world sees.
fn survey(seen: &Observation) -> Survey {
    Survey {
        stores: Reading::complete(seen.present_stores().into_values().chain(seen.members()).cloned().collect()),
        groups: Reading::complete(seen.groups.found.clone()),
        instances: Reading::complete(seen.instances.found.clone()),
    }
}

fn read(world: &str) -> World {
    World::read(world).unwrap()
}

fn rows(world: &World) -> Vec<ConnectionStatus> {
    let plan = plan(&world.seen, &world.policy);
    connections(&survey(&world.seen), &[(&world.seen, &plan)])
}

fn shown(row: &ConnectionStatus) -> String {
    let ports = row.ports.map_or_else(|| "-".to_owned(), |ports| ports.to_string());
    let called = |group: &SideGroup| if group.name.is_empty() { group.id.to_string() } else { group.name.to_string() };
    let side = |word: &str, group: &Option<SideGroup>| group.as_ref().map(|group| format!("{word} {}", called(group)));
    let sentence = row.code.zip(row.reason.as_ref()).map(|(code, reason)| format!("({code}: {reason})"));
    let message = [
        Some(format!("{} {} {ports} {}", row.client, row.store.short(), row.state.word())),
        row.made_by.map(|maker| format!("by {}", maker.word())),
        side("in", &row.store_side),
        side("out", &row.instance_side),
        sentence,
        row.cross_az.then(|| "across zones".to_owned()),
        row.since.map(|since| format!("since {since}")),
    ];
    message.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// The rows of a world, planned for or, when nothing is planned, as the survey alone has them.
#[track_caller]
fn finds(world: &str, expected: &str) {
    let world = read(world);
    let found: Vec<String> = rows(&world).iter().map(shown).collect();
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(found, expected, "{world:?}");
}

#[test]
fn a_pair_of_tagwire_s_is_connected_since_the_later_of_its_two_attachments() {
    finds(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1 attached-to=i-1
         attached i-1 ec2-rds-1 tag=orders ago=-1
         attached orders rds-ec2-1 tag=orders ago=60",
        "i-1 db/orders 5432 connected by tagwire in rds-ec2-1 out ec2-rds-1 since 1970-01-01T00:01:00Z",
    );
    finds(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1 attached-to=i-1
         attached i-1 ec2-rds-1 tag=orders ago=60",
        "i-1 db/orders 5432 connected by tagwire in rds-ec2-1 out ec2-rds-1",
    );
}

#[test]
fn pairs_are_found_between_what_carries_no_tag_at_all() {
    finds(
        "instance i-1
         instance i-2
         db orders
         cluster sales
         pair orders 1 attached-to=i-1 made-by=console
         pair sales 2 attached-to=i-1,i-2 made-by=hand",
        "i-1 cluster/sales 5432 connected by other in rds-ec2-2 out ec2-rds-2
         i-2 cluster/sales 5432 connected by other in rds-ec2-2 out ec2-rds-2
         i-1 db/orders 5432 connected by console in rds-ec2-1 out ec2-rds-1",
    );
}

#[test]
fn a_pair_of_the_elasticache_console_is_the_console_s_and_serves() {
    let world = |on_store: &str, on_instance: &str| {
        format!(
            "instance i-1 connect=orders
             replicationgroup orders connect=orders
             group {on_store} id=a on=orders rule=\"tcp 6379 from sg-b\"
             group {on_instance} id=b attached-to=i-1 rule=\"tcp 6379 to sg-a\""
        )
    };
    let found = |text: &str| {
        let world = read(text);
        let row = rows(&world).remove(0);
        (row.made_by, row.state, plan(&world.seen, &world.policy).is_empty())
    };
    let of_console = found(&world("ec2-elasticache:orders", "elasticache-ec2-orders"));
    assert_eq!(of_console, (Some(Maker::Console), State::Connected, true));
    for (on_store, on_instance) in [
        ("ec2-elasticache:orders", "elasticache-ec2-billing"),
        ("elasticache-ec2-orders", "ec2-elasticache:orders"),
        ("ec2-elasticache:", "elasticache-ec2-"),
        ("ec2-rds:orders", "rds-ec2-orders"),
    ] {
        let (made_by, _, is_empty) = found(&world(on_store, on_instance));
        assert_eq!((made_by, is_empty), (Some(Maker::Other), false), "{on_store} {on_instance}");
    }
}

#[test]
fn both_sentences_of_the_console_are_known() {
    let end = "Modification could lead to connection loss.";
    let store = format!(
        "Security group attached to orders to allow EC2 instances with specific security groups attached to connect to the database. {end}"
    );
    let rules = ["rule=\"tcp 5432 from sg-ec2-rds-1\"", "rule=\"tcp 5432 to sg-rds-ec2-1\""];
    let made_by = |store: &str, instance: &str| {
        let world = format!(
            "instance i-1
             db orders
             group rds-ec2-1 on=orders {} description=\"{store}\"
             group ec2-rds-1 attached-to=i-1 {} description=\"{instance}\"",
            rules[0], rules[1]
        );
        rows(&read(&world)).first().and_then(|row| row.made_by)
    };
    for how in ["to securely connect to orders", "to allow them to securely connect to orders"] {
        let instance = format!("Security group attached to instances {how}. {end}");
        assert_eq!(made_by(&store, &instance), Some(Maker::Console), "{how}");
        assert_eq!(made_by(&store.replace("orders", ""), &instance), Some(Maker::Other));
        assert_eq!(made_by(&store, &instance.replace("orders", "orders now")), Some(Maker::Other));
        assert_eq!(made_by(&store, &instance.replace(end, "")), Some(Maker::Other));
        assert_eq!(made_by(&instance, &store), Some(Maker::Other), "each side has its own sentence");
    }
}

#[test]
fn a_rule_too_many_or_one_that_is_missing_is_drift_whoever_made_the_pair() {
    finds(
        "instance i-1
         db orders
         pair orders 1 attached-to=i-1 made-by=console store-rule=\"tcp 22 from 10.0.0.0/8\"",
        "i-1 db/orders 5432 drifted by console in rds-ec2-1 out ec2-rds-1 (pair-modified: sg-rds-ec2-1 holds more than the pair's rule: tcp 22 from 10.0.0.0/8)",
    );
    finds(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1 attached-to=i-1 egress=instance",
        "i-1 db/orders 5432 drifted by tagwire in rds-ec2-1 out ec2-rds-1 (pair-modified: sg-ec2-rds-1 holds more than the pair's rule: all traffic to 0.0.0.0/0)",
    );
}

#[test]
fn a_pair_for_another_port_is_none_for_the_console_and_drift_of_tagwire_s() {
    finds("instance i-1\ndb orders\npair orders 1 attached-to=i-1 made-by=console port=3306", "");
    finds(
        "instance i-1 connect=orders hold
         db orders connect=orders
         pair orders 1 attached-to=i-1 port=3306",
        "i-1 db/orders 5432 refused in rds-ec2-1 out ec2-rds-1 (held: it carries tagwire:hold, so nothing is attached or detached)",
    );
    finds(
        "instance i-1 connect=\"a,b\"
         db orders connect=orders
         pair orders 1 attached-to=i-1 port=3306",
        "i-1 db/orders 5432 drifted by tagwire in rds-ec2-1 out ec2-rds-1 (pair-modified: sg-rds-ec2-1 holds more than the pair's rule: tcp 3306 from sg-ec2-rds-1; sg-rds-ec2-1 lacks the pair's rule: tcp 5432 from sg-ec2-rds-1; sg-ec2-rds-1 holds more than the pair's rule: tcp 3306 to sg-rds-ec2-1; sg-ec2-rds-1 lacks the pair's rule: tcp 5432 to sg-rds-ec2-1)",
    );
}

#[test]
fn groups_with_names_of_their_own_are_connections_by_hand() {
    finds(
        "instance i-1 groups=default
         instance i-2 groups=default
         db orders groups=default
         group app attached-to=i-1 rule=\"all traffic to 0.0.0.0/0\"
         group silent attached-to=i-2
         group database on=orders rule=\"tcp 5432-5433 from sg-app\" rule=\"all traffic from sg-silent\"",
        "i-1 db/orders 5432 connected by other in database out app",
    );
    // Which group lets the traffic out does not matter.
    finds(
        "instance i-1
         db orders
         group app attached-to=i-1
         group out attached-to=i-1 rule=\"tcp 5432 to sg-database\"
         group database on=orders rule=\"tcp 5432 from sg-app\"",
        "i-1 db/orders 5432 connected by other in database out app",
    );
}

#[test]
fn a_group_that_is_let_in_counts_also_when_it_could_not_be_read() {
    finds(
        "instance i-1 groups=default,unread
         db orders
         group out attached-to=i-1 rule=\"all traffic to 0.0.0.0/0\"
         group database on=orders rule=\"tcp 5432 from sg-unread\"",
        "i-1 db/orders 5432 connected by other in database out sg-unread",
    );
}

#[test]
fn the_default_group_and_addresses_in_groups_of_others_are_no_connections() {
    finds(
        "instance i-1
         db orders
         group default rule=\"all traffic from sg-default\" rule=\"all traffic to 0.0.0.0/0\"
         group database on=orders rule=\"tcp 5432 from 10.0.0.0/8\" rule=\"tcp 5432 from sg-default\"
         group app attached-to=i-1 rule=\"all traffic to 0.0.0.0/0\"",
        "",
    );
}

#[test]
fn what_covers_too_little_or_is_on_its_way_out_is_no_connection() {
    finds(
        "instance i-1
         serverlesscache orders
         group app attached-to=i-1 rule=\"all traffic to 0.0.0.0/0\"
         group cache on=orders rule=\"tcp 6379 from sg-app\"",
        "",
    );
    finds("instance i-1\ndb orders\npair orders 1 attached-to=i-1 made-by=console removing", "");
    finds(
        "instance i-1\ndb orders\npair orders 1 attached-to=i-1 made-by=console adding",
        "i-1 db/orders 5432 connected by console in rds-ec2-1 out ec2-rds-1",
    );
}

#[test]
fn what_the_tags_ask_for_and_is_not_there_waits_or_is_refused() {
    finds(
        "instance i-1 connect=orders,sales groups=default,a,b,c
         db orders connect=orders state=modifying
         db sales connect=sales
         cluster old connect=orders serverless-v1",
        "i-1 cluster/old 5432 refused (serverless-v1: Aurora Serverless v1 clusters cannot be connected)
         i-1 db/orders 5432 waiting (not-available: its state is \"modifying\", in which its groups cannot be changed; it is looked at again)
         i-1 db/sales 5432 refused (interface-group-limit: eni-1 has no free place: it takes 5 security groups (raise quota L-2AFB9258, and the InterfaceGroupLimit parameter with it))",
    );
    finds(
        "instance i-1 connect=orders zone=a
         db orders connect=orders zone=b,c",
        "i-1 db/orders 5432 waiting (connecting: the tags ask for it, and the next run of tagwire makes it) across zones",
    );
}

#[test]
fn a_refused_instance_that_is_let_in_by_others_is_connected_all_the_same() {
    finds(
        "instance i-1 connect=orders block
         db orders connect=orders
         group app attached-to=i-1 rule=\"all traffic to 0.0.0.0/0\"
         group database on=orders rule=\"tcp 5432 from sg-app\"",
        "i-1 db/orders 5432 connected by other in database out app (blocked: it carries tagwire:block or has an isolation group, so it gets no connection)",
    );
}

#[test]
fn what_is_to_be_taken_away_still_stands() {
    finds(
        "instance i-1
         instance i-2
         db orders connect=orders
         pair orders 1 attached-to=i-1,i-2
         max 1
         wanted i-2 orders ago=30",
        "i-1 db/orders 5432 connected by tagwire in rds-ec2-1 out ec2-rds-1 (disconnects-held-back: the instance has no connect tag)
         i-2 db/orders 5432 connected by tagwire in rds-ec2-1 out ec2-rds-1 (disconnecting: the instance has no connect tag)",
    );
    finds(
        "instance i-1 connect=orders
         gone orders
         pair orders 1 attached-to=i-1",
        "i-1 db/orders - drifted by tagwire out ec2-rds-1 (disconnecting: the data store is gone)",
    );
}

#[test]
fn one_side_alone_is_drift() {
    finds(
        "instance i-1 connect=\"a,b\"
         db orders connect=orders
         pair orders 1 attached-to=i-1 loose",
        "i-1 db/orders 5432 drifted by tagwire out ec2-rds-1 (pair-modified: the instance has sg-ec2-rds-1, and its other side is not on the data store)",
    );
    finds(
        "instance i-1 connect=orders
         gone orders unsure
         pair orders 1 attached-to=i-1",
        "i-1 db/orders - drifted by tagwire out ec2-rds-1 (store-unknown: it is unknown whether its data store db-orders still exists; it is left alone)",
    );
}

#[test]
fn clients_that_are_not_instances_are_listed_by_their_addresses() {
    finds(
        "db orders connect=orders allow-cidr=\"203.0.113.0/24 198.51.100.0/24\"
         group rds-cidr-1 tagged=orders/cidr ours=cidr on=orders rule=\"tcp 5432 from 203.0.113.0/24\" rule=\"tcp 5432 from 192.0.2.0/24\" rule=\"tcp 22 from 10.0.0.0/24\"
         allow-cidr
         attached orders rds-cidr-1 ago=60",
        "10.0.0.0/24 db/orders 5432 drifted by tagwire in rds-cidr-1 (cidr-modified: the rule tcp 22 from 10.0.0.0/24 of sg-rds-cidr-1 does not let in the data store's ports) since 1969-12-31T23:00:00Z
         192.0.2.0/24 db/orders 5432 connected by tagwire in rds-cidr-1 (disconnecting: the data store's tag does not name it any more) since 1969-12-31T23:00:00Z
         198.51.100.0/24 db/orders 5432 waiting (connecting: the data store's tag asks for it, and the next run of tagwire lets it in)
         203.0.113.0/24 db/orders 5432 connected by tagwire in rds-cidr-1 since 1969-12-31T23:00:00Z",
    );
    finds(
        "db orders connect=orders allow-cidr=\"10.0.0.0/8\"
         allow-cidr",
        "10.0.0.0/8 db/orders 5432 refused (cidr-too-wide: 10.0.0.0/8 is wider than the /16 that this installation lets in; nothing is added or removed because of the tag)",
    );
    finds(
        "db orders allow-cidr=\"203.0.113.0/24\"
         group rds-cidr-1 tagged=orders/cidr ours=cidr on=orders rule=\"tcp 5432 from 203.0.113.0/24\"
         allow-cidr",
        "203.0.113.0/24 db/orders 5432 connected by tagwire in rds-cidr-1 (disconnecting: the data store has no connect tag)",
    );
}

#[test]
fn members_of_a_cluster_have_no_connections_of_their_own() {
    finds(
        "instance i-1
         cluster orders
         db orders-1 member-of=orders groups=rds-ec2-1
         pair orders 1 attached-to=i-1 made-by=console",
        "i-1 cluster/orders 5432 connected by console in rds-ec2-1 out ec2-rds-1",
    );
}

#[test]
fn a_member_with_the_tags_of_its_cluster_is_no_row_of_its_own() {
    finds(
        "instance i-1 connect=orders
         replicationgroup orders connect=orders
         cache orders-001 member-of=orders connect=orders groups=elasticache-ec2-1
         cache orders-002 member-of=orders connect=orders groups=elasticache-ec2-1
         pair orders 1 attached-to=i-1",
        "i-1 replicationgroup/orders 6379 connected by tagwire in elasticache-ec2-1 out ec2-elasticache-1",
    );
}

#[test]
fn a_copy_that_is_reached_by_the_pair_of_its_source_is_drifted() {
    let source = "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1\n";
    let by_source = "i-1 db/orders 5432 connected by tagwire in rds-ec2-1 out ec2-rds-1";
    finds(
        &format!("{source}db copy groups=default,rds-ec2-1"),
        &format!(
            "i-1 db/copy 5432 drifted by tagwire in rds-ec2-1 out ec2-rds-1 (copied-group: its store side was made for another data store, whose clients reach this one too)\n{by_source}"
        ),
    );
    finds(
        &format!("{source}db copy connect=orders block groups=default,rds-ec2-1"),
        &format!(
            "i-1 db/copy 5432 drifted by tagwire in rds-ec2-1 out ec2-rds-1 (blocked: it carries tagwire:block or has an isolation group, so it gets no connection)\n{by_source}"
        ),
    );
}

#[test]
fn a_whole_pair_is_named_before_one_that_is_not_and_tagwire_s_before_others() {
    finds(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 2 attached-to=i-1
         pair orders 1 attached-to=i-1 made-by=console",
        "i-1 db/orders 5432 connected by tagwire in rds-ec2-2 out ec2-rds-2",
    );
    finds(
        "instance i-1
         db orders
         pair orders 1 attached-to=i-1 made-by=console egress=store
         pair orders 2 attached-to=i-1 made-by=console",
        "i-1 db/orders 5432 connected by console in rds-ec2-2 out ec2-rds-2",
    );
}

#[test]
fn an_instance_without_an_interface_is_no_reason_to_stumble() {
    finds(
        "instance i-1 connect=orders gone
         db orders connect=orders
         db young connect=other port=none",
        "i-1 db/orders 5432 refused (instance-gone: the instance is shutting down or gone)",
    );
}

#[test]
fn a_vpc_without_a_plan_has_the_rows_of_the_survey() {
    let world = read("instance i-1\ndb orders\npair orders 1 attached-to=i-1 made-by=console");
    let alone = connections(&survey(&world.seen), &[]);
    assert_eq!(alone, rows(&world));
}

#[test]
fn the_groups_that_lead_to_stores_are_those_that_are_let_in_and_those_named_as_sides() {
    let world = read(
        "db orders
         group default rule=\"all traffic from sg-default\" on=orders
         group database on=orders rule=\"tcp 5432 from sg-app\" rule=\"tcp 5432 from sg-default\"
         group app
         group ec2-docdb-4
         group web rule=\"tcp 80 from sg-balancer\"",
    );
    let leading = survey(&world.seen).leading_groups();
    let leading: Vec<&str> = leading.iter().map(SecurityGroupId::as_str).collect();
    assert_eq!(leading, ["sg-app", "sg-ec2-docdb-4"]);
}

type Row<'row> = (&'row VpcId, &'row StoreArn, &'row Client, &'row Option<String>);

/// The world as it is through groups of which each is for one purpose: without default groups, and
/// without what others let in by address.
fn dedicated(mut seen: Observation) -> Observation {
    let cidr = |group: &SecurityGroup, peer: &Peer| !matches!(peer, Peer::Group(_)) && group.name != "default";
    for group in &mut seen.groups.found {
        let kept = std::mem::take(&mut group.rules);
        group.rules =
            kept.into_iter().filter(|rule| rule.direction == Direction::Outbound || !cidr(group, &rule.peer)).collect();
    }
    seen.groups.found.retain(|group| group.name != "default");
    seen
}

fn states(rows: &[ConnectionStatus]) -> BTreeMap<(&StoreArn, &InstanceId), Vec<&ConnectionStatus>> {
    let mut states = BTreeMap::<_, Vec<_>>::new();
    for row in rows {
        if let Some(instance) = row.client.instance() {
            states.entry((&row.store, instance)).or_default().push(row);
        }
    }
    states
}

fn matches(verdict: &Verdict, row: &ConnectionStatus) -> bool {
    let reaches_otherwise = row.store_side.is_some() && row.instance_side.is_some();
    let refused_as =
        |reason: &Reason, state: State| row.code == Some(reason.code()) && (row.state == state || reaches_otherwise);
    match verdict {
        Verdict::Connected(via) => {
            let through = row.store_side.as_ref().is_some_and(|group| group.id == via.store_side)
                && row.instance_side.as_ref().is_some_and(|group| group.id == via.instance_side);
            let by_us = (row.made_by == Some(Maker::Tagwire)) == via.owned;
            through && by_us && matches!(row.state, State::Connected | State::Drifted)
        }
        Verdict::Connecting => match row.state {
            State::Waiting => row.code == Some("connecting"),
            State::Connected | State::Drifted => reaches_otherwise,
            State::Refused => false,
        },
        Verdict::Waiting(reason) => refused_as(reason, State::Waiting),
        Verdict::Refused(reason) => refused_as(reason, State::Refused),
        Verdict::Disconnecting(reason) => {
            row.code == Some("disconnecting")
                && row.reason == Some(reason.to_string())
                && matches!(row.state, State::Connected | State::Drifted)
        }
        Verdict::HeldBack(reason) => {
            row.code == Some("disconnects-held-back")
                && row.reason == Some(reason.to_string())
                && matches!(row.state, State::Connected | State::Drifted)
        }
    }
}

/// The verdicts that are about a data store that is there, or that has no successor of its name.
fn verdicts(seen: &Observation, plan: &Plan) -> BTreeMap<(StoreArn, InstanceId), Verdict> {
    let present = seen.present_stores();
    let mut verdicts = BTreeMap::new();
    for decision in &plan.decisions {
        let is_former = decision.verdict == Verdict::Disconnecting(DetachReason::StoreGone);
        if !(is_former && present.contains_key(&decision.store)) {
            let about = (decision.store.clone(), decision.instance.clone());
            verdicts.entry(about).or_insert_with(|| decision.verdict.clone());
        }
    }
    verdicts
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(1000),
        ..ProptestConfig::default()
    })]

    #[test]
    fn whoever_reaches_a_store_through_groups_of_its_own_has_a_row(world in worlds()) {
        let rows = rows(&world);
        let states = states(&rows);
        let seen = dedicated(world.seen.clone());
        for (arn, store) in world.seen.present_stores() {
            for instance in &world.seen.instances.found {
                let surely = reaches(&seen, &instance.id, arn, Unread::LetsNothing);
                let found = states.get(&(arn, &instance.id)).into_iter().flatten();
                let stands = found.clone().any(|row| matches!(row.state, State::Connected | State::Drifted));
                if surely && !matches!(store.form, Form::ClusterMember { .. }) {
                    prop_assert!(stands, "{} and {}\n{:?}", instance.id, arn, world);
                }
                // A store in no VPC, which AWS has none of any more, reaches nobody whatever it has.
                let whole = found.clone().any(|row| row.state == State::Connected);
                if whole && store.vpc().is_some() {
                    let could = reaches(&world.seen, &instance.id, arn, Unread::LetsOut);
                    prop_assert!(could, "{} and {}\n{:?}", instance.id, arn, world);
                }
            }
        }
    }

    #[test]
    fn every_verdict_has_one_row_that_says_the_same(world in worlds()) {
        let plan = plan(&world.seen, &world.policy);
        let rows = connections(&survey(&world.seen), &[(&world.seen, &plan)]);
        let states = states(&rows);
        for ((store, instance), verdict) in verdicts(&world.seen, &plan) {
            let found = states.get(&(&store, &instance)).map_or(&[][..], Vec::as_slice);
            let fitting = found.iter().filter(|row| matches(&verdict, row)).count();
            let shown: Vec<String> = found.iter().map(|row| shown(row)).collect();
            prop_assert_eq!(fitting, 1, "{} and {}: {}\n{:#?}\n{:?}", instance, store, verdict, shown, world);
        }
    }

    #[test]
    fn no_row_stands_there_twice_and_the_order_of_what_was_read_is_of_no_matter(
        (world, other) in worlds().prop_flat_map(|world| (Just(world.clone()), tagwire_world::shuffled(world)))
    ) {
        let found = rows(&world);
        let keys: Vec<Row<'_>> =
            found.iter().map(|row| (&row.vpc, &row.store, &row.client, &row.reason)).collect();
        let unique: BTreeSet<Row<'_>> = keys.iter().copied().collect();
        prop_assert_eq!(keys.len(), unique.len(), "{:?}", world);
        let order: Vec<_> = keys.iter().map(|(vpc, store, client, _)| (vpc, store, client)).collect();
        prop_assert!(order.is_sorted());
        prop_assert_eq!(found, rows(&other));
    }

    #[test]
    fn without_a_plan_there_is_less_to_say_and_nothing_to_stumble_over(world in worlds()) {
        for row in connections(&survey(&world.seen), &[]) {
            prop_assert!(matches!(row.state, State::Connected | State::Drifted), "{}", shown(&row));
        }
    }
}

#[test]
fn a_pair_is_not_explained_by_a_data_store_that_is_gone_and_had_the_name_before() {
    let world = World::read(
        r#"instance i-1 connect=b hold zone=a groups=default,ec2-rds-1,ec2-rds-2
            db s0 connect=a port=5432 state="deleting" groups=rds-ec2-1,rds-ec2-2:adding zone=b,c vpc=1
            gone s2
            group rds-ec2-2 id=rds-ec2-2 description="Made by tagwire for a data store: lets in the instances that have the other group of this pair. Its rules are put back when changed." tag:tagwire:data-store="arn:aws:rds:eu-central-1:123456789012:db:s0" tag:tagwire:data-store-id="db-s0" tag:tagwire:managed-by="tagwire" tag:tagwire:side="store" rule="all traffic to 0.0.0.0/0"
            group ec2-rds-2 id=ec2-rds-2 description="Made by tagwire for instances: lets them out to the data store that has the other group of this pair. Its rules are put back when changed." tag:tagwire:data-store="arn:aws:rds:eu-central-1:123456789012:db:s0" tag:tagwire:data-store-id="db-s0" tag:tagwire:managed-by="tagwire" tag:tagwire:side="instance" rule="all traffic to 0.0.0.0/0"
            group rds-ec2-1 id=rds-ec2-1 description="Made by tagwire for a data store: lets in the instances that have the other group of this pair. Its rules are put back when changed." tag:tagwire:data-store="arn:aws:rds:eu-central-1:123456789012:db:s0" tag:tagwire:data-store-id="db-s2" tag:tagwire:managed-by="tagwire" tag:tagwire:side="store"
            group ec2-rds-1 id=ec2-rds-1 description="Made by tagwire for instances: lets them out to the data store that has the other group of this pair. Its rules are put back when changed." tag:tagwire:data-store="arn:aws:rds:eu-central-1:123456789012:db:s0" tag:tagwire:data-store-id="db-s2" tag:tagwire:managed-by="tagwire" tag:tagwire:side="instance""#,
    )
    .unwrap();
    let codes: Vec<_> = rows(&world).into_iter().map(|row| (row.instance_side.unwrap().name, row.code)).collect();
    let expected = [("ec2-rds-2", "pair-modified"), ("ec2-rds-1", "still-attached")];
    assert_eq!(codes, expected.map(|(group, code)| (Untrusted::from(group), Some(code))));
}

#[test]
fn a_way_out_through_a_group_that_was_not_read_is_a_way_when_the_data_store_has_that_group() {
    let world = World::read(
        r#"instance i-0 connect=a groups=default,out
            db s0 connect=a groups=default,unread,in
            group out rule="tcp 5432 to sg-unread"
            group in rule="tcp 5432 from sg-out""#,
    )
    .unwrap();
    let rows = rows(&world);
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((row.state, row.made_by), (State::Connected, Some(Maker::Other)), "{}", shown(row));
}
