//! How many connections are removed in how long, however the removals arrive.

use std::fmt::Write as _;

use jiff::SignedDuration;
use tagwire_core::{
    id::InstanceId,
    observation::Scope,
    plan::Plan,
    state::{Note, Removal},
};
use tagwire_world::World;

use crate::case::{after, case, holds, step};

/// A store with a pair that `count` instances have. Their tags, and the store's, are what is given.
fn fleet(count: usize, instance: &str, store: &str) -> String {
    let mut text = format!("db orders {store}\n");
    for index in 1..=count {
        let _ = writeln!(text, "instance i-{index:03} {instance}");
    }
    let names: Vec<String> = (1..=count).map(|index| format!("i-{index:03}")).collect();
    let _ = writeln!(text, "pair orders 1 attached-to={}", names.join(","));
    text
}

fn read(text: &str) -> World {
    World::read(text).unwrap()
}

/// The instances that lose something in a plan.
fn leaving(plan: &Plan) -> Vec<String> {
    let losing = plan.interfaces.values().filter(|change| !change.detach.is_empty());
    losing.filter_map(|change| Some(change.instance.as_ref()?.to_string())).collect()
}

/// How many connections are removed in each of several sweeps, which follow each other in so many
/// minutes; carrying each plan out.
fn sweeps(world: &mut World, times: usize, minutes: i64) -> Vec<usize> {
    let mut removed = Vec::new();
    for _ in 0..times {
        let (plan, after) = step(world, minutes).unwrap();
        removed.push(leaving(&plan).len());
        *world = after;
    }
    removed
}

fn scoped(world: &World, instance: &str) -> World {
    let mut world = world.clone();
    world.seen.scope = Scope::of_instances([InstanceId::parse(instance).unwrap()].into());
    world
}

/// Sees what another run left behind, with one instance's tags taken away.
fn untag(world: &mut World, instance: &str) {
    let id = InstanceId::parse(instance).unwrap();
    let found = world.seen.instances.found.iter_mut().find(|found| found.id == id).unwrap();
    found.settings.connect = tagwire_core::tag::ConnectTag::Absent;
}

#[test]
fn of_thirty_connections_in_one_plan_ten_go_in_each_window() {
    let mut world = read(&fleet(30, "", "connect=orders"));
    let plan = holds(&world).unwrap();
    assert_eq!(leaving(&plan), (1..=10).map(|index| format!("i-{index:03}")).collect::<Vec<_>>());
    assert_eq!(
        plan.findings.first().unwrap().to_string(),
        "vpc-1: 20 more connections are to be removed, but at most 10 of a VPC are in 900 seconds; the data stores take turns in the next sweeps, the oldest first: if the tags were taken away by mistake, put them back and nothing more is lost (disconnects-held-back)"
    );
    assert_eq!(sweeps(&mut world, 6, 15), [10, 10, 10, 0, 0, 0]);
}

#[test]
fn the_window_slides_and_no_sweep_opens_it_early() {
    let mut world = read(&fleet(30, "", "connect=orders"));
    assert_eq!(sweeps(&mut world, 8, 5), [10, 0, 0, 10, 0, 0, 10, 0]);
    let slides = format!("{}removed 6 ago=14\nremoved 3 ago=5\n", fleet(30, "", "connect=orders"));
    let mut world = read(&slides);
    assert_eq!(sweeps(&mut world, 5, 1), [1, 6, 0, 0, 0]);
    world.seen.at += SignedDuration::from_mins(5);
    assert_eq!(leaving(&holds(&world).unwrap()).len(), 3);
}

#[test]
fn thirty_connections_in_thirty_plans_are_no_more_than_in_one() {
    let mut world = read(&fleet(30, "connect=orders", "connect=orders"));
    let mut removed = Vec::new();
    // Those with the highest numbers first, so that the order of time is not that of the ids.
    for index in (1..=30).rev() {
        let instance = format!("i-{index:03}");
        untag(&mut world, &instance);
        let mut looked_at = scoped(&world, &instance);
        removed.extend(leaving(&holds(&looked_at).unwrap()));
        looked_at = after(&looked_at, 0).unwrap();
        looked_at.seen.scope = Scope::Vpc;
        looked_at.seen.at += SignedDuration::from_secs(20);
        world = looked_at;
    }
    let named =
        |range: std::ops::RangeInclusive<i32>| range.rev().map(|index| format!("i-{index:03}")).collect::<Vec<_>>();
    assert_eq!(removed, named(21..=30));
    // What was wanted first goes first.
    world.seen.at += SignedDuration::from_mins(15);
    let mut next = leaving(&holds(&world).unwrap());
    next.reverse();
    assert_eq!(next, named(11..=20));
    assert_eq!(sweeps(&mut world, 3, 15), [10, 10, 0]);
}

#[test]
fn a_store_that_loses_its_tag_loses_its_instances_first_and_its_pair_at_the_end() {
    let mut world = read(&fleet(25, "connect=orders", ""));
    let store_sides = |world: &World| holds(world).unwrap().stores.len();
    for (instances, stores) in [(10, 0), (10, 0), (5, 1), (0, 0)] {
        let plan = holds(&world).unwrap();
        assert_eq!((leaving(&plan).len(), store_sides(&world)), (instances, stores), "{plan}");
        assert_eq!(plan.deletions.len(), stores, "{plan}");
        world = after(&world, 15).unwrap();
    }
    assert!(world.seen.groups.found.is_empty());
}

#[test]
fn a_hundred_stores_that_lose_their_tags_cut_ten_connections_a_window() {
    let mut text = String::new();
    for index in 1..=100 {
        let _ = writeln!(
            text,
            "db s{index:03}\ninstance i-{index:03} connect=orders\npair s{index:03} {index} attached-to=i-{index:03}"
        );
    }
    let mut world = read(&text);
    for window in 0..11 {
        let (plan, after) = step(&world, 15).unwrap();
        let expected = if window < 10 { 10 } else { 0 };
        let (stores, pairs) = (plan.stores.len(), plan.deletions.len());
        assert_eq!((leaving(&plan).len(), stores, pairs), (expected, expected, expected), "{plan}");
        world = after;
    }
    assert!(world.seen.groups.found.is_empty());
}

#[test]
fn a_hundred_stores_whose_instances_have_nothing_else_cut_ten_connections_a_window() {
    let mut text = String::new();
    for index in 1..=100 {
        let _ = writeln!(
            text,
            "db s{index:03}\ninstance i-{index:03} groups=none\npair s{index:03} {index} attached-to=i-{index:03}"
        );
    }
    let mut world = read(&text);
    for window in 0..11 {
        let (plan, after) = step(&world, 15).unwrap();
        assert_eq!((leaving(&plan).len(), plan.stores.len()), (0, if window < 10 { 10 } else { 0 }), "{plan}");
        world = after;
    }
}

#[test]
fn what_has_waited_longest_goes_first() {
    case(
        "instance i-1
         instance i-2
         db orders connect=orders
         pair orders 1 attached-to=i-1,i-2
         wanted i-2 orders ago=20
         max 1",
    )
    .changes("detach sg-ec2-rds-1 from eni-2 of i-2: the instance has no connect tag (db/orders)");
}

#[test]
fn what_has_waited_longest_goes_first_although_another_scope_is_looked_at() {
    let world = |scope: &str| {
        format!(
            "instance i-1
             instance i-2
             db orders connect=orders
             pair orders 1 attached-to=i-1,i-2
             wanted i-2 orders ago=20
             removed 8 ago=1
             max 9
             scope {scope}"
        )
    };
    case(&world("i-1")).changes_nothing().codes(&["disconnects-held-back"]);
    case(&world("i-2")).changes("detach sg-ec2-rds-1 from eni-2 of i-2: the instance has no connect tag (db/orders)");
}

#[test]
fn what_somebody_waits_for_who_was_not_seen_keeps_its_place() {
    case(
        "instance i-1
         db orders connect=orders
         pair orders 1 attached-to=i-1
         wanted i-9 other ago=20
         max 1
         scope i-1",
    )
    .changes_nothing()
    .codes(&["disconnects-held-back"]);
}

#[test]
fn tags_that_come_back_in_time_cost_nothing_and_are_forgotten() {
    let before = fleet(12, "", "connect=orders");
    let mut world = after(&read(&before), 1).unwrap();
    let wanted =
        |world: &World| world.seen.state.as_ref().ok().unwrap().wanted.keys().cloned().collect::<Vec<Removal>>();
    assert_eq!(wanted(&world).len(), 2);
    let names = read("instance i-1 connect=orders").seen.instances.found[0].settings.connect.clone();
    for instance in &mut world.seen.instances.found {
        instance.settings.connect = names.clone();
    }
    let plan = holds(&world).unwrap();
    assert_eq!(leaving(&plan), Vec::<String>::new());
    assert_eq!(plan.window, None);
    world = after(&world, 60).unwrap();
    assert_eq!(wanted(&world), []);
    // Taken away once more they wait like any others.
    untag(&mut world, "i-012");
    assert_eq!(leaving(&holds(&world).unwrap()), ["i-012"]);
}

#[test]
fn without_the_state_table_nothing_that_is_counted_goes_and_everything_else_does() {
    case(
        "instance i-1
         instance i-2 block
         instance i-3 connect=new
         db orders connect=orders
         db new connect=new
         pair orders 1 attached-to=i-1,i-2
         pair new 2
         gap state",
    )
    .changes(
        "detach sg-ec2-rds-1 from eni-2 of i-2: blocked (db/orders)
         attach sg-ec2-rds-2 to eni-3 of i-3: shares new with db/new",
    )
    .codes(&["disconnects-held-back", "unread", "no-match"]);
    case("instance i-1\ndb orders\npair orders 1 attached-to=i-1\ngap state").changes_nothing();
    case("db orders\npair orders 1\ngap state").changes_nothing().codes(&["disconnects-held-back", "unread"]);
}

#[test]
fn with_none_allowed_nothing_that_is_counted_ever_goes() {
    case("instance i-1\ninstance i-2 block\ndb orders connect=orders\npair orders 1 attached-to=i-1,i-2\nmax 0")
        .changes("detach sg-ec2-rds-1 from eni-2 of i-2: blocked (db/orders)")
        .codes(&["disconnects-held-back", "no-match"]);
}

#[test]
fn two_groups_of_one_store_on_one_instance_are_one_connection() {
    let world = "instance i-1
         instance i-2
         db orders connect=orders
         pair orders 1 attached-to=i-1,i-2
         pair orders 2 attached-to=i-1";
    let plan = case(&format!("{world}\nmax 1"))
        .changes(
            "detach sg-ec2-rds-1 from eni-1 of i-1: the instance has no connect tag (db/orders)
             detach sg-ec2-rds-2 from eni-1 of i-1: the instance has no connect tag (db/orders)",
        )
        .plan;
    assert_eq!(plan.window.unwrap().removals.iter().map(|counted| counted.connections).sum::<u32>(), 1);
    assert_eq!(plan.decisions.len(), 2);
}

#[test]
fn what_is_not_counted_uses_nothing_up_for_what_is() {
    let plan = case(
        "instance i-1 block
         instance i-2
         instance i-3
         db orders connect=orders
         gone old
         pair orders 1 attached-to=i-1,i-2
         pair old 2 attached-to=i-3
         max 1",
    )
    .plan;
    assert_eq!(leaving(&plan), ["i-1", "i-2", "i-3"]);
    assert_eq!(plan.window.unwrap().removals.iter().map(|counted| counted.connections).sum::<u32>(), 1);
}

#[test]
fn a_removal_that_a_fast_clock_put_into_the_future_counts() {
    case("instance i-1\ndb orders connect=orders\npair orders 1 attached-to=i-1\nremoved 10 ago=-60")
        .changes_nothing()
        .codes(&["disconnects-held-back", "no-match"]);
}

#[test]
fn the_window_goes_up_by_one_version_with_every_plan_that_uses_it() {
    let plan = case(
        "instance i-1\ndb orders connect=orders\npair orders 1 attached-to=i-1\nremoved 1 ago=1\nremoved 1 ago=90",
    )
    .plan;
    let window = plan.window.unwrap();
    assert_eq!((window.version, window.removals.len()), (3, 2));
}

#[test]
fn a_store_that_cannot_be_read_for_long_holds_nothing_else_back() {
    let plan = case(
        "instance i-1
         instance i-9
         db orders connect=orders
         pair orders 1 attached-to=i-1
         wanted i-9 unread ago=20
         max 1
         gap stores lasting",
    )
    .changes("detach sg-ec2-rds-1 from eni-1 of i-1: the instance has no connect tag (db/orders)")
    .plan;
    // It keeps its place in the order all the same.
    assert_eq!(plan.notes, []);
}

#[test]
fn an_instance_that_is_gone_is_waited_for_no_longer_whatever_else_could_not_be_read() {
    let plan = case("wanted i-9 unread ago=20\ngap stores").changes_nothing().plan;
    assert!(matches!(plan.notes.as_slice(), [Note::Wanted(_, None)]), "{:?}", plan.notes);
    let plan = case("wanted i-9 unread ago=20\ngap instances").changes_nothing().plan;
    assert_eq!(plan.notes, []);
}
