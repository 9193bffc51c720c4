//! What others take off again and again is attached three times more in a day, and then left alone.

use jiff::SignedDuration;
use tagwire_core::{id::SecurityGroupId, model::DataStore, observation::StoreLookup, tag::ConnectTag};
use tagwire_world::World;

use crate::case::{after, case, holds};

const BOTH: &str = "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 loose";

fn connected() -> World {
    after(&World::read(BOTH).unwrap(), 1).unwrap()
}

fn store(world: &mut World) -> &mut DataStore {
    let found = world.seen.stores.found.iter_mut().find_map(|lookup| match lookup {
        StoreLookup::Found(store) => Some(store.as_mut()),
        StoreLookup::NotFound(_) => None,
    });
    found.unwrap()
}

/// Somebody takes the instance side off.
fn off_instance(world: &mut World) {
    let group = SecurityGroupId::parse("sg-ec2-rds-1").unwrap();
    world.seen.instances.found.first_mut().unwrap().interface.as_mut().unwrap().groups.remove(&group);
}

/// Somebody takes the store side off.
fn off_store(world: &mut World) {
    let group = SecurityGroupId::parse("sg-rds-ec2-1").unwrap();
    store(world).groups.remove(&group);
}

/// Takes something off every few minutes; in which of so many rounds it is attached again.
fn rounds(world: &mut World, off: fn(&mut World), minutes: i64, times: usize) -> Vec<bool> {
    let mut again = Vec::new();
    for _ in 0..times {
        off(world);
        again.push(!holds(world).unwrap().is_empty());
        *world = after(world, minutes).unwrap();
    }
    again
}

#[test]
fn what_is_taken_off_an_interface_comes_back_three_times_and_is_then_contested() {
    let mut world = connected();
    assert_eq!(rounds(&mut world, off_instance, 15, 5), [true, true, true, false, false]);
    let plan = holds(&world).unwrap();
    assert_eq!(
        plan.explanations(),
        [
            "i-1 and db/orders: not connected: sg-ec2-rds-1 was attached again 3 times in a day and was taken off each time; something else manages that list of groups, so it is left alone until the connect tag there changes (contested)",
            "i-1: sg-ec2-rds-1 was attached again 3 times in a day and was taken off each time; something else manages that list of groups, so it is left alone until the connect tag there changes (contested)",
        ]
    );
}

#[test]
fn what_is_taken_off_a_store_comes_back_three_times_and_is_then_contested() {
    let mut world = connected();
    assert_eq!(rounds(&mut world, off_store, 15, 5), [true, true, true, false, false]);
    assert_eq!(holds(&world).unwrap().findings[0].subject.to_string(), store(&mut world).arn.to_string());
}

#[test]
fn a_list_that_is_contested_stays_so_although_a_day_passes() {
    let mut world = connected();
    rounds(&mut world, off_instance, 15, 5);
    world.seen.at += SignedDuration::from_hours(48);
    assert!(holds(&world).unwrap().is_empty());
}

#[test]
fn a_pair_that_is_contested_is_not_replaced_by_a_new_one() {
    let mut world = connected();
    rounds(
        &mut world,
        |world| {
            off_instance(world);
            off_store(world);
        },
        15,
        5,
    );
    for _ in 0..5 {
        assert!(holds(&world).unwrap().is_empty());
        world = after(&world, 20).unwrap();
    }
    assert_eq!(world.seen.groups.found.len(), 2);
}

#[test]
fn once_a_day_or_less_is_no_contest() {
    let mut world = connected();
    assert_eq!(rounds(&mut world, off_instance, 9 * 60, 8), [true; 8]);
}

#[test]
fn three_times_count_for_a_day_and_no_longer() {
    let world = |again: &str| case(&format!("{BOTH}\nattached i-1 ec2-rds-1 tag=orders ago=9000 again={again}\n"));
    assert!(!world("1440,100,10").plan.interfaces.is_empty());
    assert!(world("1439,100,10").plan.interfaces.is_empty());
}

#[test]
fn the_tag_of_the_list_s_owner_sets_it_free_when_it_changes() {
    let mut world = connected();
    rounds(&mut world, off_instance, 15, 5);
    let names = ConnectTag::read(Some("orders billing"));
    // The other side's tag has nothing to do with that list.
    store(&mut world).settings.connect = names.clone();
    assert!(holds(&world).unwrap().is_empty());
    world.seen.instances.found[0].settings.connect = names;
    assert_eq!(rounds(&mut world, off_instance, 15, 5), [true, true, true, true, false]);
}

#[test]
fn what_was_taken_off_by_ourselves_is_no_contest() {
    let mut world = connected();
    for _ in 0..6 {
        world.seen.instances.found[0].settings.blocked = true;
        world = after(&world, 1).unwrap();
        world.seen.instances.found[0].settings.blocked = false;
        assert!(!holds(&world).unwrap().is_empty());
        world = after(&world, 1).unwrap();
    }
}

#[test]
fn one_contested_list_leaves_the_others_alone() {
    case(
        "instance i-1 connect=orders
         instance i-2 connect=orders
         db orders connect=orders
         pair orders 1
         attached i-1 ec2-rds-1 tag=orders contested",
    )
    .changes("attach sg-ec2-rds-1 to eni-2 of i-2: shares orders with db/orders")
    .codes(&["contested", "contested"]);
    case(
        "instance i-1 connect=orders
         instance i-2 connect=orders
         db orders connect=orders
         pair orders 1 loose
         attached orders rds-ec2-1 tag=orders contested",
    )
    .changes_nothing()
    .codes(&["contested", "contested", "contested"]);
}

#[test]
fn a_connection_that_stands_is_not_contested_whatever_is_remembered() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1 attached-to=i-1
         attached i-1 ec2-rds-1 tag=orders contested",
    )
    .changes_nothing()
    .explains("i-1 and db/orders: connected by tagwire through sg-ec2-rds-1 and sg-rds-ec2-1");
}

#[test]
fn without_the_state_table_everything_is_attached() {
    case(&format!("{BOTH}\nattached i-1 ec2-rds-1 tag=orders contested\ngap state")).changes(
        "attach sg-rds-ec2-1 to db/orders
         attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/orders",
    );
}

#[test]
fn a_tag_taken_away_and_set_again_frees_what_was_contested() {
    for (off, of_store) in [(off_instance as fn(&mut World), false), (off_store, true)] {
        let mut world = connected();
        assert_eq!(rounds(&mut world, off, 15, 4), [true, true, true, false]);
        let tag = |world: &mut World, value: Option<&str>| {
            let connect = ConnectTag::read(value);
            if of_store {
                store(world).settings.connect = connect;
            } else {
                world.seen.instances.found.first_mut().unwrap().settings.connect = connect;
            }
        };
        tag(&mut world, Some("billing"));
        world = after(&world, 1).unwrap();
        tag(&mut world, Some("orders"));
        assert!(!holds(&world).unwrap().is_empty(), "it is attached again");
    }
}
