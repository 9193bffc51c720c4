//! Any call may fail in any way. Nothing is removed, nothing panics, and a run that reports
//! success and asks for no other look has reached the end.

use std::collections::BTreeSet;

use tagwire_engine::{cloud::ErrorKind, handlers::Failed};

use crate::{
    crashes::{has_left, leaving},
    installation::{Installation, Ran},
    simulated::{Fault, NOTES, READS, WRITES, When, World, cluster, instance, vpc},
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

fn installation() -> Installation {
    Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
    })
}

fn joined(world: &World) -> bool {
    world.reaches(&instance("1"), &cluster("orders"))
}

/// What a run may say of itself.
fn is_honest(ran: &Ran<Failed>, what: &str, installation: &Installation) {
    let failed = ran.returned.as_ref().unwrap_or_else(|| panic!("{what}: it never ended"));
    let codes = ran.codes("outcome");
    assert_eq!(codes.len(), 1, "{what}: one message, one outcome: {:#?}", ran.log);
    installation.look(World::is_sound).unwrap_or_else(|wrong| panic!("{what}: {wrong}"));
    let says_all_is_well = ["changed", "unchanged"].contains(&codes[0]) && ran.codes("finding").is_empty();
    if says_all_is_well && failed.is_empty() && ran.count("send_again") == 0 {
        installation.change(|world| {
            world.heal();
            world.lists_settle();
        });
        assert!(
            installation.look(joined),
            "{what}: it said {codes:?} and the instance reaches nothing: {:#?}",
            ran.log
        );
        installation.assert_converged();
    }
}

fn all_calls() -> usize {
    let installation = installation();
    let calls = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]).calls.len();
    installation.assert_converged();
    calls
}

#[test]
fn whatever_call_fails_in_whatever_way_the_run_is_honest_and_the_next_finishes() {
    for index in 0..all_calls() {
        for kind in KINDS {
            for with_effect in [false, true] {
                let installation = installation();
                installation.change(|world| world.fail(When::Index(index), Fault::Fails { kind, with_effect }));
                let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
                let what = format!("call {index} ({}), {kind:?}, effect: {with_effect}", ran.calls[index].name);
                is_honest(&ran, &what, &installation);
                installation.recovers();
                assert!(installation.look(joined), "{what}");
            }
        }
    }
}

#[test]
fn whatever_call_fails_for_good_the_run_ends_in_time_and_the_next_finishes() {
    for name in READS.into_iter().chain(WRITES).chain(NOTES).chain(["send_again"]) {
        for kind in KINDS {
            let installation = installation();
            installation.change(|world| {
                world
                    .fail(When::Named { name, after: 0, times: usize::MAX }, Fault::Fails { kind, with_effect: false });
            });
            let start = installation.now();
            let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
            let what = format!("{name}, {kind:?}");
            is_honest(&ran, &what, &installation);
            assert!(
                installation.clock.longest_reach() <= start + installation.budget.get(),
                "{what}: it slept too long"
            );
            installation.recovers();
            assert!(installation.look(joined), "{what}");
        }
    }
}

/// The calls of one connection by name, but those to the queues and the notes, which nothing waits for.
fn called_names() -> BTreeSet<&'static str> {
    let installation = installation();
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
    let names: BTreeSet<_> =
        ran.calls.iter().filter(|call| call.reads() || call.writes()).map(|call| call.name).collect();
    installation.change(World::lists_settle);
    installation.assert_converged();
    assert_eq!(names.len(), 12, "{names:?}");
    names
}

#[test]
fn what_can_pass_is_looked_at_again_without_a_sweep() {
    let passing =
        [ErrorKind::NotReady, ErrorKind::InUse, ErrorKind::Throttled, ErrorKind::Unavailable, ErrorKind::EffectUnknown];
    for name in called_names() {
        for kind in passing {
            let installation = installation();
            installation.change(|world| {
                world.fail(When::Named { name, after: 0, times: 12 }, Fault::Fails { kind, with_effect: false });
            });
            installation.take_in(&[installation.pending(&instance("1"))]);
            installation.drain();
            assert!(installation.look(joined), "{name}, {kind:?}");
            assert!(installation.look(|world| world.calls_named(name).count() > 1), "{name}, {kind:?}");
            installation.assert_converged();
        }
    }
}

#[test]
fn what_may_not_be_read_is_a_finding_and_no_endless_story() {
    for name in ["instances", "stores", "groups", "candidates"] {
        let installation = installation();
        installation.change(|world| {
            let fault = Fault::Fails { kind: ErrorKind::Denied, with_effect: false };
            world.fail(When::Named { name, after: 0, times: usize::MAX }, fault);
        });
        let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
        assert!(ran.codes("finding").contains(&"unread"), "{name}: {:#?}", ran.log);
        assert_eq!(ran.writes(), 0, "{name}");
        installation.take_in(&[installation.pending(&instance("1"))]);
        installation.drain();
        assert!(installation.look(|world| world.calls.iter().all(|call| !call.writes())), "{name}");
        assert!(installation.look(|world| world.calls.len() < 60), "{name}");
        installation.recovers();
    }
}

#[test]
fn a_rule_that_is_said_to_be_gone_while_its_group_is_not_known_yet_is_not_taken_for_revoked() {
    let installation = installation();
    installation.change(|world| {
        let fault = Fault::Fails { kind: ErrorKind::NotFound, with_effect: false };
        world.fail(When::Named { name: "revoke", after: 0, times: 1 }, fault);
    });
    installation.take_in(&[installation.pending(&instance("1"))]);
    installation.drain();
    assert!(installation.look(joined));
    installation.look(|world| {
        for group in world.ours().into_values().flatten() {
            assert_eq!(group.rules.len(), 1, "the door it was born with is closed: {group:#?}");
        }
    });
    installation.assert_converged();
}

#[test]
fn a_group_that_was_created_without_an_answer_is_found_by_its_name() {
    let installation = installation();
    installation.change(|world| {
        let fault = Fault::Fails { kind: ErrorKind::EffectUnknown, with_effect: true };
        world.fail(When::Named { name: "create_group", after: 0, times: 2 }, fault);
    });
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!((ran.codes("outcome"), ran.count("create_group")), (vec!["changed"], 2));
    installation.assert_converged();
}

#[test]
fn whatever_call_fails_in_whatever_way_while_it_takes_away_the_next_sweeps_finish() {
    let installation = leaving();
    let calls = installation.connect(&[installation.whole(&vpc("1"))]).calls.len();
    installation.next_sweep();
    assert!(installation.look(has_left));
    installation.assert_converged();
    for index in 0..calls {
        for (kind, with_effect) in [
            (ErrorKind::NotFound, false),
            (ErrorKind::NotReady, false),
            (ErrorKind::Denied, false),
            (ErrorKind::Unavailable, false),
            (ErrorKind::EffectUnknown, false),
            (ErrorKind::EffectUnknown, true),
        ] {
            let installation = leaving();
            installation
                .change(|world| world.fail(When::Index(world.calls.len() + index), Fault::Fails { kind, with_effect }));
            let ran = installation.connect(&[installation.whole(&vpc("1"))]);
            let what = format!("call {index} ({}), {kind:?}, effect: {with_effect}", ran.calls[index].name);
            let failed = ran.returned.as_ref().unwrap_or_else(|| panic!("{what}: it never ended"));
            assert!(failed.is_empty() && ran.codes("outcome").len() == 1, "{what}");
            installation.look(World::is_sound).unwrap_or_else(|wrong| panic!("{what}: {wrong}"));
            installation.change(World::heal);
            for _ in 0..3 {
                installation.next_sweep();
            }
            assert!(installation.look(has_left), "{what}");
            installation.assert_converged();
        }
    }
}
