//! A connection counts once in a window, and the stores of a VPC take turns in it.

use std::{collections::BTreeSet, fmt::Write as _};

use jiff::SignedDuration;
use tagwire_core::{
    check::{Violation, check},
    id::InstanceId,
    observation::{Scope, StoreLookup},
    plan::{Plan, plan},
    state::{CountedRemoval, Removal, Window},
    tag::ConnectTag,
};
use tagwire_world::World;

use crate::case::{case, holds, step};

/// Gives an instance a tag, lets so many seconds pass, and carries out the plan of a look at that instance alone.
fn tag(world: &mut World, instance: &str, value: Option<&str>, seconds: i64) -> Plan {
    let id = InstanceId::parse(instance).unwrap();
    let found = world.seen.instances.found.iter_mut().find(|found| found.id == id).unwrap();
    found.settings.connect = ConnectTag::read(value);
    world.seen.at += SignedDuration::from_secs(seconds);
    world.seen.scope = Scope::of_instances([id].into());
    look(world)
}

fn sweep(world: &mut World, minutes: i64) -> Plan {
    world.seen.at += SignedDuration::from_mins(minutes);
    world.seen.scope = Scope::Vpc;
    look(world)
}

fn look(world: &mut World) -> Plan {
    let _plan = holds(world).unwrap_or_else(|broken| panic!("{broken}"));
    let (plan, after) = step(world, 0).unwrap();
    *world = after;
    plan
}

/// The connections that a plan removes, as instance and store.
fn removed(plan: &Plan) -> Vec<String> {
    let changes = plan.interfaces.values();
    let detached = changes.flat_map(|change| {
        change.detach.values().map(move |detachment| (change.instance.clone().unwrap(), detachment.store.clone()))
    });
    let all: BTreeSet<String> =
        detached.map(|(instance, store)| format!("{instance} {}", store.as_str().trim_start_matches("db-"))).collect();
    all.into_iter().collect()
}

fn left(world: &World) -> usize {
    world.seen.state.as_ref().map_or(0, |state| state.window.left(world.seen.at, &world.policy))
}

const TWO_STORES: &str = "instance i-1 connect=orders
    instance i-2 connect=billing
    instance i-3 connect=billing
    db orders connect=orders
    db billing connect=billing
    pair orders 1 attached-to=i-1
    pair billing 2 attached-to=i-2,i-3";

#[test]
fn an_instance_whose_tag_flaps_uses_the_window_up_once_and_holds_nobody_else_back() {
    let mut world = World::read(&format!("{TWO_STORES}\nmax 2")).unwrap();
    for _ in 0..10 {
        assert_eq!(removed(&tag(&mut world, "i-1", None, 1)), ["i-1 orders"]);
        assert_eq!(left(&world), 1);
        assert!(!tag(&mut world, "i-1", Some("orders"), 1).is_empty(), "it is connected again");
    }
    assert_eq!(removed(&tag(&mut world, "i-2", None, 1)), ["i-2 billing"]);
    // It counts from the last time on.
    assert_eq!(left(&world), 0);
    world.seen.at += SignedDuration::from_mins(15) - SignedDuration::from_secs(2);
    assert_eq!(left(&world), 1);
}

#[test]
fn what_is_removed_again_never_goes_before_what_waits() {
    let mut world = World::read(&format!("{TWO_STORES}\nmax 1")).unwrap();
    assert_eq!(removed(&tag(&mut world, "i-1", None, 1)), ["i-1 orders"]);
    let _plan = tag(&mut world, "i-1", Some("orders"), 1);
    assert_eq!(removed(&tag(&mut world, "i-2", None, 1)), [""; 0], "the window is used up");
    assert_eq!(removed(&tag(&mut world, "i-1", None, 1)), [""; 0], "somebody else waits");
    assert_eq!(removed(&sweep(&mut world, 14)), [""; 0]);
    assert_eq!(removed(&sweep(&mut world, 1)), ["i-2 billing"]);
    assert_eq!(removed(&sweep(&mut world, 15)), ["i-1 orders"]);
}

#[test]
fn those_who_flap_together_are_no_more_different_connections_than_the_window_lets() {
    let mut text = String::from("db orders connect=orders\nmax 3\n");
    for index in 1..=8 {
        let _ = writeln!(text, "instance i-{index} connect=orders");
    }
    text.push_str("pair orders 1 attached-to=i-1,i-2,i-3,i-4,i-5,i-6,i-7,i-8\n");
    let mut world = World::read(&text).unwrap();
    let mut cut = BTreeSet::new();
    for _ in 0..5 {
        for index in 1..=8 {
            cut.extend(removed(&tag(&mut world, &format!("i-{index}"), None, 1)));
        }
        for index in 1..=8 {
            let _plan = tag(&mut world, &format!("i-{index}"), Some("orders"), 1);
        }
    }
    assert_eq!(cut.len(), 3, "{cut:?}");
}

#[test]
fn with_none_allowed_nothing_goes_again_either() {
    let mut world = World::read(&format!("{TWO_STORES}\nremoved 1 i-1 orders ago=1\nmax 1")).unwrap();
    world.policy.max_disconnects = 0;
    assert_eq!(removed(&tag(&mut world, "i-1", None, 1)), [""; 0]);
    world.policy.max_disconnects = 1;
    assert_eq!(removed(&tag(&mut world, "i-1", None, 1)), ["i-1 orders"]);
}

/// A store with many instances that all wait, and another one with a single one that waits since a minute.
fn busy_and_quiet(max: usize) -> String {
    let mut text = format!("db busy connect=busy\ndb quiet connect=quiet\nmax {max}\n");
    let all: Vec<String> = (10..40).map(|index| format!("i-{index}")).collect();
    for instance in &all {
        let _ = writeln!(text, "instance {instance}\nwanted {instance} busy ago=60");
    }
    let _ = writeln!(text, "pair busy 1 attached-to={}", all.join(","));
    text.push_str("instance i-9\npair quiet 2 attached-to=i-9\nwanted i-9 quiet ago=1\n");
    text
}

#[test]
fn a_store_with_one_removal_does_not_wait_for_all_of_another_one_s() {
    let mut world = World::read(&busy_and_quiet(3)).unwrap();
    assert_eq!(removed(&sweep(&mut world, 0)), ["i-10 busy", "i-11 busy", "i-9 quiet"]);
    assert_eq!(removed(&sweep(&mut world, 15)).len(), 3);
    // Also where places become free one by one, and where another scope is looked at.
    let one_by_one = format!("{}removed 1 i-1 busy ago=14\nremoved 1 i-2 busy ago=7\n", busy_and_quiet(2));
    let mut world = World::read(&one_by_one).unwrap();
    assert_eq!(removed(&sweep(&mut world, 0)), [""; 0]);
    assert_eq!(removed(&tag(&mut world, "i-10", None, 60)), [""; 0], "the place is the other store's");
    assert_eq!(removed(&tag(&mut world, "i-9", None, 0)), ["i-9 quiet"]);
}

#[test]
fn of_one_store_what_waits_longest_goes_first_and_what_failed_goes_last() {
    case(
        "instance i-1
         instance i-2
         instance i-3
         db orders connect=orders
         pair orders 1 attached-to=i-1,i-2,i-3
         wanted i-1 orders ago=60 failed=1
         wanted i-2 orders ago=20
         wanted i-3 orders ago=30
         max 2",
    )
    .changes(
        "detach sg-ec2-rds-1 from eni-2 of i-2: the instance has no connect tag (db/orders)
         detach sg-ec2-rds-1 from eni-3 of i-3: the instance has no connect tag (db/orders)",
    );
}

#[test]
fn a_store_side_that_needs_a_whole_window_gets_one_although_another_store_has_many_that_wait_longer() {
    let mut text = busy_and_quiet(3).replace("instance i-9\n", "").replace("attached-to=i-9", "");
    text = text.replace("db quiet connect=quiet", "db quiet").replace("wanted i-9 quiet ago=1\n", "");
    for index in 1..=3 {
        let _ = writeln!(text, "interface eni-{index} groups=ec2-rds-2 of=\"a pod\"");
    }
    let mut world = World::read(&text).unwrap();
    let mut goes_in = None;
    for window in 0..6 {
        let plan = sweep(&mut world, if window == 0 { 0 } else { 15 });
        if plan.stores.values().any(|change| change.cuts == 3) {
            goes_in = Some(window);
            break;
        }
    }
    assert!(goes_in.is_some_and(|window| window <= 2), "{goes_in:?}");
}

#[test]
fn an_interface_s_last_group_has_its_turn_like_any_other() {
    // Without its turn another scope's removals would have the window, and it the plan after.
    let mut world = World::read(
        "instance i-0 connect=a groups=none
         instance i-1
         db s0 connect=a
         db s1
         db s2
         pair s0 1 attached-to=i-1
         pair s1 2 attached-to=i-0,i-1
         pair s2 3 attached-to=i-0
         removed 2 ago=15
         wanted i-0 s1 ago=3
         wanted i-0 s2 ago=11
         wanted i-1 s0 ago=7
         wanted i-1 s1 ago=7
         scope i-0
         max 2",
    )
    .unwrap();
    assert_eq!(removed(&look(&mut world)), ["i-0 s2"]);
    assert_eq!(removed(&look(&mut world)), [""; 0]);
}

#[test]
fn the_checker_counts_what_was_not_removed_in_the_window_before_and_wants_all_of_it_written() {
    let text =
        |rest: &str| format!("instance i-1\ndb orders connect=orders\npair orders 1 attached-to=i-1\nmax 1\n{rest}");
    let again = World::read(&text("removed 1 i-1 orders ago=1")).unwrap();
    let made = plan(&again.seen, &again.policy);
    assert_eq!(removed(&made), ["i-1 orders"]);
    assert!(check(made.clone(), &again.seen, &again.policy).is_ok());
    let breaks = |made: &Plan, world: &World| {
        let violations = check(made.clone(), &world.seen, &world.policy).err().map(|rejection| rejection.violations());
        violations.is_some_and(|of| of.iter().any(|violation| matches!(violation, Violation::BreaksWindow { .. })))
    };
    for rest in
        ["removed 1 ago=1", "removed 1 i-2 orders ago=1", "removed 1 i-1 orders ago=16\nremoved 1 ago=1", "max 0"]
    {
        let text = if rest == "max 0" { text("").replace("max 1", rest) } else { text(rest) };
        let mut world = World::read(&text).unwrap();
        if let Ok(state) = &mut world.seen.state {
            state.window.version = 1;
        }
        assert!(breaks(&made, &world), "{rest}");
    }
    let mut unwritten = made;
    unwritten.window = unwritten.window.map(|window| Window { removals: vec![], ..window });
    assert!(breaks(&unwritten, &again));
}

#[test]
fn a_window_remembers_of_the_one_before_it_only_how_many_connections_each_store_lost() {
    let world = World::read("removed 1 i-1 a ago=18\nremoved 1 i-4 a ago=22\nremoved 2 store-side a ago=18\nremoved 1 i-2 b ago=16\nremoved 3 ago=17\nremoved 1 i-3 a ago=31\nremoved 4 ago=2\ndb a\ndb b").unwrap();
    let window = &world.seen.state.as_ref().ok().unwrap().window;
    let after = window.with(&[(Removal::CidrGroup(store(&world, "a")), 1)], world.seen.at, &world.policy);
    let lines: Vec<String> = after
        .removals
        .iter()
        .map(|CountedRemoval { at, connections, of }| {
            let ago = (world.seen.at.as_second() - at.as_second()) / 60;
            format!("{connections} {ago} {}", of.as_ref().map_or("", |of| of.store().as_str()))
        })
        .collect();
    assert_eq!(lines, ["1 22 db-a", "3 18 db-a", "1 16 db-b", "4 2 ", "1 0 db-a"]);
    assert_eq!(after.left(world.seen.at, &world.policy), 5);
}

fn store(world: &World, name: &str) -> tagwire_core::id::StoreId {
    let found = world.seen.stores.found.iter().find_map(|lookup| match lookup {
        StoreLookup::Found(store) if store.arn.name() == name => Some(store.id.clone()),
        StoreLookup::Found(_) | StoreLookup::NotFound(_) => None,
    });
    found.unwrap()
}
