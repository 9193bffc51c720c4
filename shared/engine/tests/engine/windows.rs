//! However removals arrive, no more of them are made in a window than the policy lets.

use std::{collections::BTreeSet, time::Duration};

use tagwire_core::state::CountedRemoval;
use tagwire_engine::cloud::ErrorKind;

use crate::{
    installation::Installation,
    simulated::{Fault, World, cluster, identity, instance, vpc},
};

const WINDOW: Duration = Duration::from_mins(15);

/// So many instances of one store.
fn fleet(count: usize) -> Installation {
    let installation = Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        for number in 0..count {
            world.launch(&format!("{number:03}"), &vpc("1"), Some("orders"));
        }
    });
    installation.budget.set(Duration::from_mins(10));
    installation.swept();
    installation.assert_converged();
    installation
}

fn connected(installation: &Installation) -> BTreeSet<String> {
    installation.look(|world| {
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
    let installation = fleet(40);
    let mut held_back = 0;
    for number in (0..30).rev() {
        let word = format!("{number:03}");
        installation.change(|world| world.tag_instance(&word, None));
        installation.take_in(&[installation.instance_tagged(&word)]);
        let ran = installation.connect_sent();
        held_back += usize::from(ran.codes("finding").contains(&"disconnects-held-back"));
        installation.clock.advance(Duration::from_secs(2));
    }
    assert_eq!(held_back, 20);
    let names = |numbers: std::ops::Range<usize>| numbers.map(|number| instance(&format!("{number:03}")).to_string());
    assert_eq!(
        connected(&installation),
        names(0..20).chain(names(30..40)).collect(),
        "the first ten events took theirs"
    );
    installation.assert_converged();
    installation.clock.advance(WINDOW);
    installation.swept();
    assert_eq!(connected(&installation), names(0..10).chain(names(30..40)).collect(), "the oldest of those that wait");
    installation.assert_converged();
    installation.clock.advance(WINDOW);
    installation.swept();
    assert_eq!(connected(&installation), names(30..40).collect());
    installation.assert_converged();
    assert!(installation.look(|world| world.table[&vpc("1")].wanted.is_empty()), "nothing waits any more");
}

#[test]
fn one_sweep_removes_no_more_than_the_window_lets() {
    let installation = fleet(30);
    installation.change(|world| untag(world, 0..30));
    let mut left = Vec::new();
    for _ in 0..4 {
        installation.next_sweep();
        left.push(connected(&installation).len());
        installation.assert_converged();
    }
    assert_eq!(left, [20, 10, 0, 0]);
}

#[test]
fn tags_that_come_back_in_time_cost_nothing() {
    let installation = fleet(30);
    installation.change(|world| untag(world, 0..30));
    installation.next_sweep();
    assert_eq!(connected(&installation).len(), 20);
    installation.change(|world| {
        for number in 0..30 {
            world.tag_instance(&format!("{number:03}"), Some("orders"));
        }
    });
    installation.next_sweep();
    assert_eq!(connected(&installation).len(), 30);
    assert!(installation.look(|world| world.table[&vpc("1")].wanted.is_empty()));
    installation.assert_converged();
}

#[test]
fn a_store_that_loses_its_tag_loses_its_instances_window_by_window_and_its_own_side_last() {
    let installation = fleet(25);
    installation.retag_store("orders", None);
    let mut left = vec![connected(&installation).len()];
    let store_side = installation.look(|world| world.side(&identity("orders"), "store")).unwrap();
    for _ in 0..2 {
        assert!(installation.look(|world| world.list_of(cluster("orders").as_str()).contains(&store_side)));
        installation.assert_converged();
        installation.next_sweep();
        left.push(connected(&installation).len());
    }
    assert_eq!(left, [15, 5, 0]);
    installation.next_sweep();
    assert!(installation.look(|world| world.ours().is_empty()));
    installation.assert_converged();
}

#[test]
fn a_hundred_stores_that_lose_their_tags_lose_ten_connections_a_window() {
    let installation = Installation::new(|world| {
        for number in 0..100 {
            world.store(&format!("s{number}"), &vpc("1"), Some(&format!("n{number}")));
            world.launch(&format!("{number:03}"), &vpc("1"), Some(&format!("n{number}")));
        }
    });
    installation.budget.set(Duration::from_mins(30));
    installation.swept();
    installation.assert_converged();
    for number in 0..100 {
        installation.change(|world| world.tag_store(&format!("s{number}"), None));
    }
    let events: Vec<String> =
        (0..100).map(|number| installation.tagged(cluster(&format!("s{number}")).as_str())).collect();
    for batch in events.chunks(10) {
        installation.deliver(batch);
    }
    let left = || {
        installation.look(|world| world.stores.keys().filter(|store| world.list_of(store.as_str()).len() > 1).count())
    };
    assert_eq!(left(), 90);
    installation.holds_the_window();
    for round in 1..=9 {
        installation.clock.advance(WINDOW);
        installation.swept();
        assert_eq!(left(), 90 - 10 * round);
        installation.holds_the_window();
    }
    installation.next_sweep();
    assert!(installation.look(|world| world.ours().is_empty()));
    installation.assert_converged();
}

#[test]
fn the_window_slides() {
    let installation = fleet(20);
    for number in 0..12 {
        installation.retag_instance(&format!("{number:03}"), None);
        installation.clock.advance(Duration::from_mins(1));
    }
    assert_eq!(connected(&installation).len(), 10);
    // A quarter of an hour after the first of them one more may go, and not ten.
    installation.clock.advance(Duration::from_secs(3 * 60 + 1));
    installation.swept();
    assert_eq!(connected(&installation).len(), 9);
    installation.assert_converged();
    installation.clock.advance(Duration::from_mins(2));
    installation.swept();
    assert_eq!(connected(&installation).len(), 8);
    installation.assert_converged();
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
        let installation = fleet(3);
        installation.change(|world| {
            untag(world, 0..2);
            world.store("billing", &vpc("1"), Some("billing"));
            world.tag_instance("001", Some("billing"));
            world.fail_next("reserve_window", usize::MAX - 1000, Fault::Fails { kind, with_effect });
        });
        let ran = installation.connect(&[installation.whole(&vpc("1"))]);
        assert!(ran.count("reserve_window") >= 1);
        assert!(ran.codes("finding").contains(&"window-not-reserved"), "{kind:?}: {:#?}", ran.log);
        installation.change(World::lists_settle);
        assert_eq!(connected(&installation).len(), 3, "{kind:?}");
        assert!(installation.look(|world| world.reaches(&instance("001"), &cluster("billing"))), "{kind:?}");
        installation.change(World::heal);
        installation.next_sweep();
        assert_eq!(connected(&installation).len(), 1, "{kind:?}");
        installation.assert_converged();
    }
}

#[test]
fn a_window_that_somebody_else_wrote_in_between_lets_nothing_through() {
    let installation = fleet(3);
    installation.change(|world| {
        untag(world, 0..2);
        world.before("reserve_window", 0, |world| {
            let window = &mut world.table.entry(vpc("1")).or_default().window;
            window.version += 1;
            window.removals.push(CountedRemoval {
                at: "2026-11-22T08:00:00Z".parse().unwrap(),
                connections: 9,
                of: None,
            });
        });
    });
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert_eq!((ran.count("reserve_window"), ran.writes()), (1, 0), "{:#?}", ran.calls);
    // What they used up counts: of ours, one is left in this window.
    installation.swept();
    assert_eq!(connected(&installation).len(), 2);
    installation.next_sweep();
    assert_eq!(connected(&installation).len(), 1);
    installation.assert_converged();
}

#[test]
fn a_table_that_is_lost_between_reading_and_writing_lets_nothing_through() {
    let installation = fleet(4);
    installation.retag_instance("000", None);
    assert_eq!(connected(&installation).len(), 3);
    installation.change(|world| {
        untag(world, 1..3);
        world.before("reserve_window", 0, |world| world.table.clear());
    });
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert_eq!((ran.count("reserve_window"), ran.writes()), (1, 0));
    assert_eq!(connected(&installation).len(), 3);
    installation.next_sweep();
    assert_eq!(connected(&installation).len(), 1);
    installation.assert_converged();
}

#[test]
fn a_table_that_cannot_be_read_lets_blocks_and_deleted_stores_through_and_nothing_else() {
    let installation = fleet(4);
    installation.change(|world| {
        world.store("billing", &vpc("1"), Some("billing"));
        world.tag_instance("003", Some("orders billing"));
    });
    installation.swept();
    installation.change(|world| {
        untag(world, 0..2);
        world.instance_mut("002").settings.blocked = true;
        world.delete_store("billing");
        world.fail_next("vpc_state", usize::MAX - 1000, Fault::Fails { kind: ErrorKind::Denied, with_effect: false });
    });
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert_eq!((ran.count("set_interface_groups"), ran.count("reserve_window")), (2, 0), "{:#?}", ran.calls);
    assert_eq!(connected(&installation).len(), 3);
    assert!(installation.look(|world| world.side(&identity("billing"), "instance").is_none()));
    installation.change(World::heal);
    installation.next_sweep();
    assert_eq!(connected(&installation).len(), 1);
    installation.assert_converged();
}

#[test]
fn with_a_limit_of_none_nothing_counted_is_ever_removed() {
    let mut installation = fleet(3);
    installation.policy.max_disconnects = 0;
    installation.change(|world| untag(world, 0..2));
    for _ in 0..3 {
        installation.next_sweep();
    }
    assert_eq!(connected(&installation).len(), 3);
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"disconnects-held-back"));
    installation.assert_converged();
}

#[test]
fn a_removal_that_is_refused_for_good_starves_none_of_those_behind_it() {
    let mut installation = fleet(5);
    installation.policy.max_disconnects = 1;
    installation.change(|world| {
        untag(world, 0..4);
        // The oldest, by the order of ids.
        world.refused = ["eni-000".to_owned()].into();
    });
    for _ in 0..5 {
        installation.next_sweep();
    }
    let left = connected(&installation);
    assert_eq!(left.len(), 2, "all but the one that is refused and the one that asks for it: {left:?}");
    installation.holds_the_window();
    installation.change(|world| world.refused.clear());
    installation.next_sweep();
    installation.next_sweep();
    assert_eq!(connected(&installation).len(), 1);
    installation.assert_converged();
}

#[test]
fn as_many_removals_as_the_window_lets_are_refused_and_the_others_go_in_the_next_windows() {
    let installation = fleet(25);
    installation.change(|world| {
        untag(world, 0..24);
        world.refused = (0..10).map(|number| format!("eni-{number:03}")).collect();
    });
    for _ in 0..4 {
        installation.next_sweep();
    }
    assert_eq!(connected(&installation).len(), 11, "{:?}", connected(&installation));
    installation.change(|world| world.refused.clear());
    for _ in 0..2 {
        installation.next_sweep();
    }
    assert_eq!(connected(&installation).len(), 1);
    installation.assert_converged();
}

#[test]
fn a_table_that_is_restored_from_yesterday_removes_nobody_whose_tags_ask_for_the_connection() {
    let installation = fleet(14);
    installation.change(|world| untag(world, 0..12));
    installation.swept();
    assert_eq!(connected(&installation).len(), 4, "ten were removed, and two wait");
    let yesterday = installation.look(|world| world.table.get(&vpc("1")).cloned().unwrap());
    installation.change(|world| {
        for number in 0..12 {
            world.tag_instance(&format!("{number:03}"), Some("orders"));
        }
    });
    installation.clock.advance(Duration::from_hours(24));
    installation.swept();
    assert_eq!(connected(&installation).len(), 14);

    // Under the key of a stranger's VPC as well.
    installation.change(|world| world.table = [(vpc("1"), yesterday.clone()), (vpc("9"), yesterday)].into());
    for _ in 0..3 {
        installation.next_sweep();
        assert_eq!(connected(&installation).len(), 14);
    }
    installation.assert_converged();

    // What was counted yesterday counts no more, and what leaves today does.
    installation.change(|world| untag(world, 0..12));
    installation.swept();
    assert_eq!(connected(&installation).len(), 4);
    installation.holds_the_window();
}
