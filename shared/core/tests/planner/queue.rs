//! The one queue of everything that is counted, and removals that rest on nothing unread.

use std::fmt::Write as _;

use tagwire_core::{
    finding::Reason,
    group::GroupKind,
    plan::{Plan, Verdict},
    state::Removal,
};
use tagwire_world::World;

use crate::case::{after, case};

const CIDR: &str = "group rds-cidr-1 tagged=orders/cidr ours=cidr on=orders rule=\"tcp 5432 from 203.0.113.0/24\"";

/// So many instances that are all to lose the pair of `orders`.
fn leaving(count: usize) -> String {
    (1..=count).fold(String::new(), |mut text, index| {
        let _ = writeln!(text, "instance i-{index}");
        text
    })
}

fn takes_cidr_off(plan: &Plan) -> bool {
    plan.stores.values().any(|change| change.detached_of(GroupKind::Cidr).next().is_some())
}

#[test]
fn a_cidr_group_is_not_starved_by_an_endless_stream_of_instances() {
    let mut world = World::read(&format!(
        "{}db orders connect=orders
         pair orders 1 attached-to=i-1,i-2,i-3,i-4,i-5,i-6
         {CIDR}
         max 1",
        leaving(6)
    ))
    .unwrap();
    let mut at = Vec::new();
    for window in 0..3 {
        let plan = crate::case::holds(&world).unwrap();
        at.extend(takes_cidr_off(&plan).then_some(window));
        world = after(&world, 15).unwrap();
        // Another one is to go with every window.
        let newest = format!("i-{}", 7 + window);
        let mut text = world.to_string();
        let _ = writeln!(text, "instance {newest} groups=default,ec2-rds-1");
        world = World { seen: World::read(&text).unwrap().seen, ..world };
    }
    let waits = case(&format!(
        "{}db orders connect=orders\npair orders 1 attached-to=i-1,i-2\n{CIDR}\nwanted cidr-group orders ago=20\nmax 1",
        leaving(2)
    ));
    assert!(takes_cidr_off(&waits.plan), "{}", waits.plan);
    assert!(waits.plan.interfaces.is_empty(), "{}", waits.plan);
}

#[test]
fn a_cidr_group_that_waits_keeps_its_place() {
    let plan = case(&format!("db orders connect=orders\n{CIDR}\nremoved 1 ago=5\nmax 1")).changes_nothing().plan;
    let waits = |removal: &Removal| matches!(removal, Removal::CidrGroup(_));
    assert!(plan.notes.iter().any(|note| matches!(note, tagwire_core::state::Note::Wanted(of, Some(_)) if waits(of))));
}

#[test]
fn a_store_side_that_waits_longest_has_the_window_kept_for_it() {
    let world = |rest: &str| {
        format!(
            "instance i-1
             db orders
             db billing connect=billing
             pair orders 1
             pair billing 2 attached-to=i-1
             interface eni-21 groups=ec2-rds-1 of=\"a pod\"
             interface eni-22 groups=ec2-rds-1 of=\"a pod\"
             wanted store-side orders ago=20
             max 2
             {rest}"
        )
    };
    case(&world("")).changes("detach sg-rds-ec2-1 from db/orders: the data store has no connect tag").codes(&[
        "disconnects-held-back",
        "no-match",
        "foreign-attachment",
        "foreign-attachment",
    ]);
    case(&world("removed 1 ago=5")).changes_nothing();
}

#[test]
fn a_store_side_that_carries_more_than_a_window_lets_says_so_and_holds_nothing_up() {
    let case = case(
        "instance i-1
         db orders
         db billing connect=billing
         pair orders 1
         pair billing 2 attached-to=i-1
         interface eni-21 groups=ec2-rds-1 of=\"a pod\"
         interface eni-22 groups=ec2-rds-1 of=\"a pod\"
         interface eni-23 groups=ec2-rds-1 of=\"a pod\"
         wanted store-side orders ago=20
         max 2",
    )
    .changes("detach sg-ec2-rds-2 from eni-1 of i-1: the instance has no connect tag (db/billing)");
    let reasons: Vec<&Reason> = case.plan.findings.iter().map(|finding| &finding.reason).collect();
    assert!(reasons.contains(&&Reason::MoreThanWindow { carried: 3, limit: 2 }), "{}", case.plan);
    assert!(!reasons.iter().any(|reason| reason.code() == "disconnects-held-back"), "{}", case.plan);
}

#[test]
fn a_removal_that_failed_goes_to_the_end_and_lets_the_others_go() {
    case(
        "instance i-1
         instance i-2
         db orders connect=orders
         pair orders 1 attached-to=i-1,i-2
         wanted i-1 orders ago=60 failed=1
         wanted i-2 orders ago=20
         max 1",
    )
    .changes("detach sg-ec2-rds-1 from eni-2 of i-2: the instance has no connect tag (db/orders)")
    .codes(&["disconnects-held-back", "no-match"]);
}

#[test]
fn an_interface_with_one_group_waits_when_room_for_its_next_one_took_the_window() {
    case(
        "instance i-1 connect=billing groups=ec2-rds-1
         db orders connect=orders
         pair orders 1
         db billing connect=billing groups=a,b,c,d
         group rds-cidr-1 tagged=billing/cidr ours=cidr on=billing rule=\"tcp 5432 from 203.0.113.0/24\"
         max 1",
    )
    .changes(
        "create rds-ec2-2 for db/billing
         create ec2-rds-2 for db/billing
         allow in rds-ec2-2: tcp 5432 from ec2-rds-2
         allow in ec2-rds-2: tcp 5432 to rds-ec2-2
         attach rds-ec2-2 to db/billing
         detach sg-rds-cidr-1 from db/billing: the data store asks for no clients but instances
         attach ec2-rds-2 to eni-1 of i-1: shares billing with db/billing
         delete sg-rds-cidr-1 of db/billing: its data store asks for no clients but instances",
    )
    .codes(&["disconnects-held-back", "no-match"]);
}

// A hold, and what could not be read.

#[test]
fn uninstalling_takes_no_store_side_off_that_an_instance_on_hold_uses() {
    case(
        "instance i-0 connect=a
         instance i-1 connect=a hold
         db s0 connect=a
         pair s0 1 attached-to=i-1
         uninstalling ago=5",
    )
    .changes_nothing();
}

#[test]
fn uninstalling_takes_no_store_side_off_while_a_hold_may_be_unread() {
    case("db s0 connect=a\npair s0 1\ngap instances\nuninstalling ago=5").changes_nothing();
}

#[test]
fn uninstalling_cuts_nothing_whose_store_could_not_be_read() {
    for gap in ["gap stores", "gap stores of=orders"] {
        case(&format!("instance i-1 connect=orders\npair orders 1 attached-to=i-1\n{gap}\nuninstalling ago=5"))
            .changes_nothing();
        case(&format!("group ec2-docdb-1 tagged=orders/instance ours=instance\n{gap}\nuninstalling ago=5"))
            .changes_nothing();
    }
}

#[test]
fn uninstalling_goes_on_where_another_store_could_not_be_read() {
    case("instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1\ngap stores of=other\nuninstalling ago=5")
        .changes(
            "detach sg-rds-ec2-1 from db/orders: tagwire is being uninstalled
             detach sg-ec2-rds-1 from eni-1 of i-1: tagwire is being uninstalled (db/orders)
             revoke in sg-ec2-rds-1: tcp 5432 to sg-rds-ec2-1
             revoke in sg-rds-ec2-1: tcp 5432 from sg-ec2-rds-1
             delete sg-ec2-rds-1 of db/orders: tagwire is being uninstalled
             delete sg-rds-ec2-1 of db/orders: tagwire is being uninstalled",
        );
}

#[test]
fn a_cache_whose_tags_cannot_be_listed_now_loses_nothing_that_rests_on_their_absence() {
    for (instance, cache) in [("", ""), ("", "connect=orders"), ("connect=orders", ""), ("connect=a", "connect=orders")]
    {
        let world = |state: &str, pair: &str| {
            format!("instance i-1 {instance}\nreplicationgroup orders {cache} {state}\npair orders 1 {pair}")
        };
        let attached = case(&world("state=modifying", "attached-to=i-1")).changes_nothing();
        assert!(
            !attached.plan.decisions.iter().any(|of| matches!(of.verdict, Verdict::HeldBack(_))),
            "{}",
            attached.plan
        );
        assert!(!case(&world("", "attached-to=i-1")).plan.is_empty(), "{instance} {cache}");
    }
    case("replicationgroup orders state=modifying\npair orders 1 loose").changes_nothing();
    assert!(!case("replicationgroup orders\npair orders 1 loose").plan.is_empty());
}

#[test]
fn one_store_that_cannot_be_read_switches_off_nothing_elsewhere() {
    let world = |gap: &str| {
        format!(
            "instance i-1 connect=orders
             instance i-2 connect=lost
             db orders connect=orders
             db idle connect=idle
             pair orders 1 attached-to=i-1
             pair idle 2 loose
             unused rds-ec2-2 ago=20
             unused ec2-rds-2 ago=20
             status-tags
             {gap}"
        )
    };
    let done = "
        revoke in sg-ec2-rds-2: tcp 5432 to sg-rds-ec2-2
        revoke in sg-rds-ec2-2: tcp 5432 from sg-ec2-rds-2
        delete sg-ec2-rds-2 of db/idle: nobody uses it
        delete sg-rds-ec2-2 of db/idle: nobody uses it
        write on i-1: tagwire:status=\"connected: orders\"
        write on i-2: tagwire:status=\"no-match: lost\"
        write on db/idle: tagwire:status=\"no-match: idle\"
        write on db/orders: tagwire:status=\"connected: i-1\"";
    case(&world("gap stores of=broken names=other")).changes(done).codes(&["unread", "no-match", "no-match"]);
    // What may hold the name is not said to be nowhere.
    let unsure = done.lines().filter(|line| !line.contains("write on i-2")).collect::<Vec<_>>().join("\n");
    case(&world("gap stores of=broken names=lost")).changes(&unsure).codes(&["unread", "no-match"]);
    case(&world("gap stores of=broken")).codes(&["unread", "no-match"]);
}

#[test]
fn a_pair_whose_own_store_cannot_be_read_is_kept() {
    case("pair orders 1\nunused rds-ec2-1 ago=20\nunused ec2-rds-1 ago=20\ngap stores of=orders").changes_nothing();
}

// A rule too many of another store's group.

const LETS_IN: &str = "instance i-1 connect=orders
    db orders connect=orders
    pair orders 1
    db other connect=other
    pair other 2 store-rule=\"tcp 5432 from sg-ec2-rds-1\"";

#[test]
fn nobody_gets_a_group_that_another_store_lets_in_as_well() {
    case(&format!("{LETS_IN}\nscope i-1")).changes_nothing().codes(&["let-in-elsewhere"]);
    case(&LETS_IN.replace("connect=other", "connect=other hold")).changes_nothing().codes(&[
        "let-in-elsewhere",
        "held",
        "no-match",
    ]);
}

#[test]
fn a_sweep_takes_the_rule_away_and_connects() {
    case(LETS_IN).changes(
        "revoke in sg-rds-ec2-2: tcp 5432 from sg-ec2-rds-1
         attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/orders",
    );
}
