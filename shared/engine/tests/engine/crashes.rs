//! A crash is a dropped future. Wherever it happens, the next run finishes.

use crate::{
    simulated::{Fault, When, cluster, instance, vpc},
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
            site.look(super::simulated::World::is_sound).unwrap();
            site.change(|world| {
                world.heal();
                world.lists_settle();
            });
            let ran = site.connect(&[site.whole(&vpc("1"))]);
            assert!(ran.returned.is_some());
            site.change(super::simulated::World::lists_settle);
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
