//! Any call may fail in any way. Nothing is removed, nothing panics, and a run that reports
//! success and asks for no other look has reached the end.

use std::collections::BTreeSet;

use tagwire_engine::{cloud::ErrorKind, handlers::Failed};

use crate::{
    crashes::{has_left, leaving},
    simulated::{Fault, NOTES, READS, WRITES, When, World, cluster, instance, vpc},
    site::{Ran, Site},
};

const KINDS: [ErrorKind; 10] = [
    ErrorKind::AlreadyThere,
    ErrorKind::NotFound,
    ErrorKind::NotReady,
    ErrorKind::InUse,
    ErrorKind::Limit,
    ErrorKind::Denied,
    ErrorKind::Throttled,
    ErrorKind::Unavailable,
    ErrorKind::EffectUnknown,
    ErrorKind::Rejected,
];

fn site() -> Site {
    Site::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
    })
}

fn joined(world: &World) -> bool {
    world.reaches(&instance("1"), &cluster("orders"))
}

/// What a run may say of itself.
fn is_honest(ran: &Ran<Failed>, what: &str, site: &Site) {
    let failed = ran.returned.as_ref().unwrap_or_else(|| panic!("{what}: it never ended"));
    let codes = ran.codes("outcome");
    assert_eq!(codes.len(), 1, "{what}: one message, one outcome: {:#?}", ran.log);
    site.look(World::is_sound).unwrap_or_else(|wrong| panic!("{what}: {wrong}"));
    let says_all_is_well = ["changed", "unchanged"].contains(&codes[0]) && ran.codes("finding").is_empty();
    if says_all_is_well && failed.is_empty() && ran.count("send_again") == 0 {
        site.change(|world| {
            world.heal();
            world.lists_settle();
        });
        assert!(site.look(joined), "{what}: it said {codes:?} and the instance reaches nothing: {:#?}", ran.log);
        site.is_at_rest();
    }
}

fn all_calls() -> usize {
    let site = site();
    let calls = site.connect(&[site.about_instance(&vpc("1"), &instance("1"))]).calls.len();
    site.is_at_rest();
    calls
}

#[test]
fn whatever_call_fails_in_whatever_way_the_run_is_honest_and_the_next_finishes() {
    for index in 0..all_calls() {
        for kind in KINDS {
            for with_effect in [false, true] {
                let site = site();
                site.change(|world| world.fail(When::Index(index), Fault::Fails { kind, with_effect }));
                let ran = site.connect(&[site.about_instance(&vpc("1"), &instance("1"))]);
                let what = format!("call {index} ({}), {kind:?}, effect: {with_effect}", ran.calls[index].name);
                is_honest(&ran, &what, &site);
                site.recovers();
                assert!(site.look(joined), "{what}");
            }
        }
    }
}

#[test]
fn whatever_call_fails_for_good_the_run_ends_in_time_and_the_next_finishes() {
    for name in READS.into_iter().chain(WRITES).chain(NOTES).chain(["send_again"]) {
        for kind in KINDS {
            let site = site();
            site.change(|world| {
                world
                    .fail(When::Named { name, after: 0, times: usize::MAX }, Fault::Fails { kind, with_effect: false });
            });
            let start = site.now();
            let ran = site.connect(&[site.about_instance(&vpc("1"), &instance("1"))]);
            let what = format!("{name}, {kind:?}");
            is_honest(&ran, &what, &site);
            assert!(site.clock.longest_reach() <= start + site.budget.get(), "{what}: it slept too long");
            site.recovers();
            assert!(site.look(joined), "{what}");
        }
    }
}

/// The calls of one connection by name, but those to the queues and the notes, which nothing waits for.
fn called_names() -> BTreeSet<&'static str> {
    let site = site();
    let ran = site.connect(&[site.about_instance(&vpc("1"), &instance("1"))]);
    let names: BTreeSet<_> =
        ran.calls.iter().filter(|call| call.reads() || call.writes()).map(|call| call.name).collect();
    site.change(World::lists_settle);
    site.is_at_rest();
    assert_eq!(names.len(), 11, "{names:?}");
    names
}

#[test]
fn what_can_pass_is_looked_at_again_without_a_sweep() {
    let passing =
        [ErrorKind::NotReady, ErrorKind::InUse, ErrorKind::Throttled, ErrorKind::Unavailable, ErrorKind::EffectUnknown];
    for name in called_names() {
        for kind in passing {
            let site = site();
            site.change(|world| {
                world.fail(When::Named { name, after: 0, times: 12 }, Fault::Fails { kind, with_effect: false });
            });
            site.take_in(&[site.pending(&instance("1"))]);
            site.drain();
            assert!(site.look(joined), "{name}, {kind:?}");
            assert!(site.look(|world| world.calls_named(name).count() > 1), "{name}, {kind:?}");
            site.is_at_rest();
        }
    }
}

#[test]
fn what_may_not_be_read_is_a_finding_and_no_endless_story() {
    for name in ["instances", "stores", "groups", "candidates"] {
        let site = site();
        site.change(|world| {
            let fault = Fault::Fails { kind: ErrorKind::Denied, with_effect: false };
            world.fail(When::Named { name, after: 0, times: usize::MAX }, fault);
        });
        let ran = site.connect(&[site.about_instance(&vpc("1"), &instance("1"))]);
        assert!(ran.codes("finding").contains(&"unread"), "{name}: {:#?}", ran.log);
        assert_eq!(ran.writes(), 0, "{name}");
        site.take_in(&[site.pending(&instance("1"))]);
        site.drain();
        assert!(site.look(|world| world.calls.iter().all(|call| !call.writes())), "{name}");
        assert!(site.look(|world| world.calls.len() < 60), "{name}");
        site.recovers();
    }
}

#[test]
fn a_rule_that_is_said_to_be_gone_while_its_group_is_not_known_yet_is_not_taken_for_revoked() {
    let site = site();
    site.change(|world| {
        let fault = Fault::Fails { kind: ErrorKind::NotFound, with_effect: false };
        world.fail(When::Named { name: "revoke", after: 0, times: 1 }, fault);
    });
    site.take_in(&[site.pending(&instance("1"))]);
    site.drain();
    assert!(site.look(joined));
    site.look(|world| {
        for group in world.ours().into_values().flatten() {
            assert_eq!(group.rules.len(), 1, "the door it was born with is closed: {group:#?}");
        }
    });
    site.is_at_rest();
}

#[test]
fn a_group_that_was_created_without_an_answer_is_found_by_its_name() {
    let site = site();
    site.change(|world| {
        let fault = Fault::Fails { kind: ErrorKind::EffectUnknown, with_effect: true };
        world.fail(When::Named { name: "create_group", after: 0, times: 2 }, fault);
    });
    let ran = site.connect(&[site.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!((ran.codes("outcome"), ran.count("create_group")), (vec!["changed"], 2));
    site.is_at_rest();
}

#[test]
fn whatever_call_fails_in_whatever_way_while_it_takes_away_the_next_sweeps_finish() {
    let site = leaving();
    let calls = site.connect(&[site.whole(&vpc("1"))]).calls.len();
    site.next_sweep();
    assert!(site.look(has_left));
    site.is_at_rest();
    for index in 0..calls {
        for (kind, with_effect) in [
            (ErrorKind::NotFound, false),
            (ErrorKind::NotReady, false),
            (ErrorKind::Denied, false),
            (ErrorKind::Unavailable, false),
            (ErrorKind::EffectUnknown, false),
            (ErrorKind::EffectUnknown, true),
        ] {
            let site = leaving();
            site.change(|world| world.fail(When::Index(world.calls.len() + index), Fault::Fails { kind, with_effect }));
            let ran = site.connect(&[site.whole(&vpc("1"))]);
            let what = format!("call {index} ({}), {kind:?}, effect: {with_effect}", ran.calls[index].name);
            let failed = ran.returned.as_ref().unwrap_or_else(|| panic!("{what}: it never ended"));
            assert!(failed.is_empty() && ran.codes("outcome").len() == 1, "{what}");
            site.look(World::is_sound).unwrap_or_else(|wrong| panic!("{what}: {wrong}"));
            site.change(World::heal);
            for _ in 0..3 {
                site.next_sweep();
            }
            assert!(site.look(has_left), "{what}");
            site.is_at_rest();
        }
    }
}
