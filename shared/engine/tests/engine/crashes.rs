//! A crash is a dropped future. Wherever it happens, the next run finishes.

use tagwire_core::{
    service::Side,
    work::{Cause, WorkItem},
};

use crate::{
    simulated::{Fault, When, World, cluster, identity, instance, vpc},
    site::Site,
};

fn site() -> Site {
    Site::new(|world| {
        world.with_ipv6.insert(vpc("1"));
        for store in ["orders", "billing"] {
            world.store(store, &vpc("1"), Some(store));
        }
        world.launch("1", &vpc("1"), Some("orders billing"));
        world.launch("2", &vpc("1"), Some("orders"));
    })
}

fn all_calls() -> usize {
    let site = site();
    let ran = site.connect(&[site.whole(&vpc("1"))]);
    assert_eq!(ran.codes("outcome"), ["changed"]);
    site.is_at_rest();
    ran.calls.len()
}

fn crash_at(index: usize, with_effect: bool) -> Site {
    let site = site();
    site.change(|world| world.fail(When::Index(index), Fault::Crash { with_effect }));
    let ran = site.connect(&[site.whole(&vpc("1"))]);
    assert!(ran.returned.is_none(), "it did not crash at call {index}");
    assert_eq!(ran.calls.len(), index + 1, "no call comes after the crash");
    site
}

#[test]
fn whatever_call_it_dies_at_the_next_run_finishes() {
    let calls = all_calls();
    assert!(calls > 20, "{calls}");
    for index in 0..calls {
        for with_effect in [false, true] {
            let site = crash_at(index, with_effect);
            site.look(World::is_sound).unwrap();
            site.change(|world| {
                world.heal();
                world.lists_settle();
            });
            let ran = site.connect(&[site.whole(&vpc("1"))]);
            assert!(ran.returned.is_some());
            site.change(World::lists_settle);
            site.look(|world| {
                for (from, to) in [("1", "orders"), ("1", "billing"), ("2", "orders")] {
                    assert!(world.reaches(&instance(from), &cluster(to)), "{from} to {to} after a crash at {index}");
                }
            });
            site.is_at_rest();
        }
    }
}

#[test]
fn whatever_call_it_dies_at_the_work_delivered_again_finishes_without_a_sweep() {
    let calls = all_calls();
    for index in 0..calls {
        let site = crash_at(index, true);
        site.change(|world| {
            world.heal();
            world.lists_settle();
        });
        site.connect(&[site.about_instance(&vpc("1"), &instance("1")), site.about_instance(&vpc("1"), &instance("2"))]);
        site.drain();
        assert!(site.look(|world| world.reaches(&instance("1"), &cluster("billing"))), "after a crash at {index}");
        assert!(site.look(|world| world.reaches(&instance("2"), &cluster("orders"))), "after a crash at {index}");
        site.is_at_rest();
    }
}

#[test]
fn a_run_that_dies_twice_leaves_no_second_pair() {
    let calls = all_calls();
    for first in (0..calls).step_by(3) {
        for second in (0..calls).step_by(4) {
            let site = crash_at(first, true);
            site.change(|world| {
                world.heal();
                world.lists_settle();
                let at = world.calls.len() + second;
                world.fail(When::Index(at), Fault::Crash { with_effect: true });
            });
            site.connect(&[site.whole(&vpc("1"))]);
            site.recovers();
            assert!(site.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
        }
    }
}

/// Everything that a run can take away: an instance side, a store side with its pair, the pair of a
/// deleted store, and a pair that nobody has used for long.
pub(crate) fn leaving() -> Site {
    let site = Site::connected(|world| {
        for store in ["orders", "billing", "legacy", "unused"] {
            let arn = world.store(store, &vpc("1"), Some(store));
            if store == "unused" {
                world.half_made(Side::Store, "rds-ec2-9", &vpc("1"), &arn);
            }
        }
        world.launch("1", &vpc("1"), Some("orders billing"));
        world.launch("2", &vpc("1"), Some("orders legacy"));
    });
    site.clock.advance(site.policy.sweep_period);
    site.change(|world| {
        world.tag_instance("1", Some("billing"));
        world.tag_store("billing", None);
        world.delete_store("legacy");
    });
    site
}

/// How that ends.
pub(crate) fn has_left(world: &World) -> bool {
    let gone = |name: &str| ["store", "instance"].iter().all(|side| world.side(&identity(name), side).is_none());
    gone("billing")
        && gone("legacy")
        && gone("unused")
        && !world.reaches(&instance("1"), &cluster("orders"))
        && world.reaches(&instance("2"), &cluster("orders"))
}

#[test]
fn whatever_call_it_dies_at_while_it_takes_away_the_next_sweeps_finish() {
    let site = leaving();
    let calls = site.connect(&[site.whole(&vpc("1"))]).calls.len();
    site.next_sweep();
    assert!(site.look(has_left));
    site.is_at_rest();
    assert!(calls > 25, "{calls}");
    for index in 0..calls {
        for with_effect in [false, true] {
            let site = leaving();
            site.change(|world| world.fail(When::Index(world.calls.len() + index), Fault::Crash { with_effect }));
            let ran = site.connect(&[site.whole(&vpc("1"))]);
            assert_eq!((ran.returned, ran.calls.len()), (None, index + 1));
            site.look(World::is_sound).unwrap();
            site.change(World::heal);
            // The first finishes the work, and the second what AWS lets go of a while later; what had not
            // been noted as unused before the crash takes one more.
            for _ in 0..3 {
                site.next_sweep();
            }
            assert!(site.look(has_left), "after a crash at {index} ({})", ran.calls[index].name);
            site.is_at_rest();
        }
    }
}

#[test]
fn whatever_call_it_dies_at_while_it_takes_away_the_event_delivered_again_finishes_without_a_sweep() {
    let events = |site: &Site| {
        [
            site.about_instance(&vpc("1"), &instance("1")),
            site.about_store(&vpc("1"), &cluster("billing")),
            site.about_store(&vpc("1"), &cluster("legacy")),
        ]
        .map(|item| WorkItem { cause: Cause::TagChange, ..item })
    };
    let site = leaving();
    let calls = site.connect(&events(&site)).calls.len();
    for index in 0..calls {
        let site = leaving();
        site.change(|world| world.fail(When::Index(world.calls.len() + index), Fault::Crash { with_effect: true }));
        assert_eq!(site.connect(&events(&site)).returned, None);
        site.change(World::heal);
        site.connect(&events(&site));
        site.drain();
        site.look(|world| {
            assert!(world.side(&identity("billing"), "store").is_none(), "after a crash at {index}");
            assert!(world.side(&identity("legacy"), "store").is_none(), "after a crash at {index}");
            assert!(!world.reaches(&instance("1"), &cluster("orders")), "after a crash at {index}");
        });
        site.next_sweep();
        assert!(site.look(has_left));
        site.is_at_rest();
    }
}
