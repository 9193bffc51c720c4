//! However removals arrive, no more of them are made in a window than the policy lets.

use std::{collections::BTreeSet, time::Duration};

use tagwire_engine::cloud::ErrorKind;

use crate::{
    simulated::{Fault, World, cluster, identity, instance, vpc},
    site::Site,
};

const WINDOW: Duration = Duration::from_mins(15);

/// So many instances of one store.
fn fleet(count: usize) -> Site {
    let site = Site::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        for number in 0..count {
            world.launch(&format!("{number:03}"), &vpc("1"), Some("orders"));
        }
    });
    site.budget.set(Duration::from_mins(10));
    site.swept();
    site.is_at_rest();
    site
}

fn connected(site: &Site) -> BTreeSet<String> {
    site.look(|world| {
        let reaching = world.instances.keys().filter(|id| world.reaches(id, &cluster("orders")));
        reaching.map(ToString::to_string).collect()
    })
}

fn untag(world: &mut World, numbers: std::ops::Range<usize>) {
    for number in numbers {
        world.tag_instance(&format!("{number:03}"), None);
    }
}

#[test]
fn thirty_separate_events_remove_ten_connections_and_the_next_windows_the_others_oldest_first() {
    let site = fleet(40);
    let mut held_back = 0;
    for number in (0..30).rev() {
        let word = format!("{number:03}");
        site.change(|world| world.tag_instance(&word, None));
        site.take_in(&[site.instance_tagged(&word)]);
        let ran = site.connect_sent();
        held_back += usize::from(ran.codes("finding").contains(&"disconnects-held-back"));
        site.clock.advance(Duration::from_secs(2));
    }
    assert_eq!(held_back, 20);
    let names = |numbers: std::ops::Range<usize>| numbers.map(|number| instance(&format!("{number:03}")).to_string());
    assert_eq!(connected(&site), names(0..20).chain(names(30..40)).collect(), "the first ten events took theirs");
    site.is_at_rest();
    site.clock.advance(WINDOW);
    site.swept();
    assert_eq!(connected(&site), names(0..10).chain(names(30..40)).collect(), "the oldest of those that wait");
    site.is_at_rest();
    site.clock.advance(WINDOW);
    site.swept();
    assert_eq!(connected(&site), names(30..40).collect());
    site.is_at_rest();
    assert!(site.look(|world| world.table[&vpc("1")].wanted.is_empty()), "nothing waits any more");
}

#[test]
fn one_sweep_removes_no_more_than_the_window_lets() {
    let site = fleet(30);
    site.change(|world| untag(world, 0..30));
    let mut left = Vec::new();
    for _ in 0..4 {
        site.next_sweep();
        left.push(connected(&site).len());
        site.is_at_rest();
    }
    assert_eq!(left, [20, 10, 0, 0]);
}

#[test]
fn tags_that_come_back_in_time_cost_nothing() {
    let site = fleet(30);
    site.change(|world| untag(world, 0..30));
    site.next_sweep();
    assert_eq!(connected(&site).len(), 20);
    site.change(|world| {
        for number in 0..30 {
            world.tag_instance(&format!("{number:03}"), Some("orders"));
        }
    });
    site.next_sweep();
    assert_eq!(connected(&site).len(), 30);
    assert!(site.look(|world| world.table[&vpc("1")].wanted.is_empty()));
    site.is_at_rest();
}

#[test]
fn a_store_that_loses_its_tag_loses_its_instances_window_by_window_and_its_own_side_last() {
    let site = fleet(25);
    site.retag_store("orders", None);
    let mut left = vec![connected(&site).len()];
    let store_side = site.look(|world| world.side(&identity("orders"), "store")).unwrap();
    for _ in 0..2 {
        assert!(site.look(|world| world.list_of(cluster("orders").as_str()).contains(&store_side)));
        site.is_at_rest();
        site.next_sweep();
        left.push(connected(&site).len());
    }
    assert_eq!(left, [15, 5, 0]);
    site.next_sweep();
    assert!(site.look(|world| world.ours().is_empty()));
    site.is_at_rest();
}

#[test]
fn a_hundred_stores_that_lose_their_tags_lose_ten_connections_a_window() {
    let site = Site::new(|world| {
        for number in 0..100 {
            world.store(&format!("s{number}"), &vpc("1"), Some(&format!("n{number}")));
            world.launch(&format!("{number:03}"), &vpc("1"), Some(&format!("n{number}")));
        }
    });
    site.budget.set(Duration::from_mins(30));
    site.swept();
    site.is_at_rest();
    for number in 0..100 {
        site.change(|world| world.tag_store(&format!("s{number}"), None));
    }
    let events: Vec<String> = (0..100).map(|number| site.tagged(cluster(&format!("s{number}")).as_str())).collect();
    for batch in events.chunks(10) {
        site.hear(batch);
    }
    let left =
        || site.look(|world| world.stores.keys().filter(|store| world.list_of(store.as_str()).len() > 1).count());
    assert_eq!(left(), 90);
    site.holds_the_window();
    for round in 1..=9 {
        site.clock.advance(WINDOW);
        site.swept();
        assert_eq!(left(), 90 - 10 * round);
        site.holds_the_window();
    }
    site.next_sweep();
    assert!(site.look(|world| world.ours().is_empty()));
    site.is_at_rest();
}

#[test]
fn the_window_slides() {
    let site = fleet(20);
    for number in 0..12 {
        site.retag_instance(&format!("{number:03}"), None);
        site.clock.advance(Duration::from_mins(1));
    }
    assert_eq!(connected(&site).len(), 10);
    // A quarter of an hour after the first of them one more may go, and not ten.
    site.clock.advance(Duration::from_secs(3 * 60 + 1));
    site.swept();
    assert_eq!(connected(&site).len(), 9);
    site.is_at_rest();
    site.clock.advance(Duration::from_mins(2));
    site.swept();
    assert_eq!(connected(&site).len(), 8);
    site.is_at_rest();
}

#[test]
fn removals_that_cannot_be_counted_are_not_made_and_additions_are() {
    for (kind, with_effect) in [
        (ErrorKind::Unavailable, false),
        (ErrorKind::Denied, false),
        (ErrorKind::AlreadyThere, false),
        (ErrorKind::EffectUnknown, true),
        (ErrorKind::EffectUnknown, false),
    ] {
        let site = fleet(3);
        site.change(|world| {
            untag(world, 0..2);
            world.store("billing", &vpc("1"), Some("billing"));
            world.tag_instance("001", Some("billing"));
            world.fail_next("reserve", usize::MAX - 1000, Fault::Fails { kind, with_effect });
        });
        let ran = site.connect(&[site.whole(&vpc("1"))]);
        assert!(ran.count("reserve") >= 1);
        assert!(ran.codes("finding").contains(&"window-not-reserved"), "{kind:?}: {:#?}", ran.log);
        site.change(World::lists_settle);
        assert_eq!(connected(&site).len(), 3, "{kind:?}");
        assert!(site.look(|world| world.reaches(&instance("001"), &cluster("billing"))), "{kind:?}");
        site.change(World::heal);
        site.next_sweep();
        assert_eq!(connected(&site).len(), 1, "{kind:?}");
        site.is_at_rest();
    }
}

#[test]
fn a_window_that_somebody_else_wrote_in_between_lets_nothing_through() {
    let site = fleet(3);
    site.change(|world| {
        untag(world, 0..2);
        world.before("reserve", 0, |world| {
            let window = &mut world.table.entry(vpc("1")).or_default().window;
            window.version += 1;
            window.removals.push(("2026-11-22T08:00:00Z".parse().unwrap(), 9));
        });
    });
    let ran = site.connect(&[site.whole(&vpc("1"))]);
    assert_eq!((ran.count("reserve"), ran.writes()), (1, 0), "{:#?}", ran.calls);
    // What they used up counts: of ours, one is left in this window.
    site.swept();
    assert_eq!(connected(&site).len(), 2);
    site.next_sweep();
    assert_eq!(connected(&site).len(), 1);
    site.is_at_rest();
}

#[test]
fn a_table_that_is_lost_between_reading_and_writing_lets_nothing_through() {
    let site = fleet(4);
    site.retag_instance("000", None);
    assert_eq!(connected(&site).len(), 3);
    site.change(|world| {
        untag(world, 1..3);
        world.before("reserve", 0, |world| world.table.clear());
    });
    let ran = site.connect(&[site.whole(&vpc("1"))]);
    assert_eq!((ran.count("reserve"), ran.writes()), (1, 0));
    assert_eq!(connected(&site).len(), 3);
    site.next_sweep();
    assert_eq!(connected(&site).len(), 1);
    site.is_at_rest();
}

#[test]
fn a_table_that_cannot_be_read_lets_blocks_and_deleted_stores_through_and_nothing_else() {
    let site = fleet(4);
    site.change(|world| {
        world.store("billing", &vpc("1"), Some("billing"));
        world.tag_instance("003", Some("orders billing"));
    });
    site.swept();
    site.change(|world| {
        untag(world, 0..2);
        world.instance_mut("002").wishes.blocked = true;
        world.delete_store("billing");
        world.fail_next("recall", usize::MAX - 1000, Fault::Fails { kind: ErrorKind::Denied, with_effect: false });
    });
    let ran = site.connect(&[site.whole(&vpc("1"))]);
    assert_eq!((ran.count("set_interface_groups"), ran.count("reserve")), (2, 0), "{:#?}", ran.calls);
    assert_eq!(connected(&site).len(), 3);
    assert!(site.look(|world| world.side(&identity("billing"), "instance").is_none()));
    site.change(World::heal);
    site.next_sweep();
    assert_eq!(connected(&site).len(), 1);
    site.is_at_rest();
}

#[test]
fn with_a_limit_of_none_nothing_counted_is_ever_removed() {
    let mut site = fleet(3);
    site.policy.max_disconnects = 0;
    site.change(|world| untag(world, 0..2));
    for _ in 0..3 {
        site.next_sweep();
    }
    assert_eq!(connected(&site).len(), 3);
    let ran = site.connect(&[site.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"disconnects-held-back"));
    site.is_at_rest();
}
