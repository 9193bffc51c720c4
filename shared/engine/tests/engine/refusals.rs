//! What AWS refuses for good has a record that an alarm counts, and nothing else has.

use std::time::Duration;

use tagwire_core::work::{GIVE_UP_AFTER, Tries, WorkItem};
use tagwire_engine::{cloud::ErrorKind, handlers::Failed};

use crate::{
    crashes::leaving,
    installation::{Installation, Ran},
    simulated::{Fault, READS, WRITES, World, cluster, instance, vpc},
};

const FOR_GOOD: [ErrorKind; 3] = [ErrorKind::Denied, ErrorKind::Limit, ErrorKind::Rejected];
const NOT_FOR_GOOD: [ErrorKind; 8] = [
    ErrorKind::AlreadyThere,
    ErrorKind::NotFound,
    ErrorKind::NotReady,
    ErrorKind::PendingChanges,
    ErrorKind::InUse,
    ErrorKind::Throttled,
    ErrorKind::Unavailable,
    ErrorKind::EffectUnknown,
];

fn joining() -> Installation {
    let mut installation = Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
    });
    installation.policy.status_tags = true;
    installation
}

fn joined() -> Installation {
    let installation = joining();
    installation.swept();
    installation.assert_converged();
    installation
}

/// Its store has another name now, which its groups do not say yet.
fn renamed() -> Installation {
    let installation = joined();
    installation.change(|world| drop(world.rename_store("orders", "sales")));
    installation
}

fn is_joined(world: &World) -> bool {
    world.reaches(&instance("1"), &cluster("orders"))
}

fn fail(installation: &Installation, name: &'static str, kind: ErrorKind, times: usize) {
    installation.change(|world| world.fail_next(name, times, Fault::Fails { kind, with_effect: false }));
}

/// What the next sweep of the VPC says.
fn next_sweep(installation: &Installation) -> Ran<Failed> {
    installation.clock.advance(installation.policy.sweep_period);
    installation.change(World::lists_settle);
    installation.connect(&[installation.whole(&vpc("1"))])
}

fn said(ran: &Ran<Failed>, code: &str) -> bool {
    ran.codes("finding").contains(&code)
}

#[test]
fn a_connection_whose_tag_is_gone_and_that_aws_lets_nobody_cut_is_told_with_every_sweep() {
    for kind in FOR_GOOD {
        let installation = joined();
        fail(&installation, "set_interface_groups", kind, 9);
        installation.retag_instance("1", None);
        for _ in 0..3 {
            let ran = next_sweep(&installation);
            let told: Vec<_> =
                ran.log.iter().filter(|line| line.get("code").is_some_and(|code| code == "refused-by-aws")).collect();
            let [told] = told.as_slice() else { panic!("{kind:?}: {:#?}", ran.log) };
            assert_eq!((told["record"].as_str(), told["vpc"].as_str()), ("finding", "vpc-1"));
            assert_eq!((told["subject"].as_str(), told["request_id"].as_str()), ("eni-1", "request-1"));
            assert_eq!(told["answer"], format!("{kind:?}"));
            assert!(told["message"].contains("stays connected") && !told["hint"].is_empty(), "{told:#?}");
            assert!(installation.look(is_joined));
        }
        installation.change(World::heal);
        let ran = next_sweep(&installation);
        assert!(!said(&ran, "refused-by-aws"), "{:#?}", ran.log);
        assert!(!installation.look(is_joined));
        installation.recovers();
    }
}

#[test]
fn every_change_that_is_refused_for_good_is_told() {
    for name in WRITES {
        for kind in FOR_GOOD {
            let installation = match name {
                "delete_group" => leaving(),
                "tag_group" => renamed(),
                _ => joining(),
            };
            fail(&installation, name, kind, 9);
            let told = (0..4).any(|_| said(&next_sweep(&installation), "refused-by-aws"));
            assert!(told, "{name}, {kind:?}");
            installation.change(World::heal);
            (0..3).for_each(|_| installation.next_sweep());
            installation.assert_converged();
        }
    }
}

#[test]
fn removals_that_may_not_be_counted_or_noted_are_told() {
    for name in ["reserve_window", "write_notes"] {
        let installation = joined();
        fail(&installation, name, ErrorKind::Denied, usize::MAX - 1000);
        installation.change(|world| world.tag_instance("1", None));
        let ran = next_sweep(&installation);
        assert!(said(&ran, "refused-by-aws"), "{name}: {:#?}", ran.log);
        installation.recovers();
    }
}

#[test]
fn what_may_not_be_read_is_told_by_every_function_that_needs_it() {
    for name in ["instances", "groups", "candidates", "stores", "vpc_state"] {
        let installation = joined();
        fail(&installation, name, ErrorKind::Denied, usize::MAX - 1000);
        let ran = next_sweep(&installation);
        let told = ran.log.iter().find(|line| line.get("code").is_some_and(|code| code == "unreadable"));
        let told = told.unwrap_or_else(|| panic!("{name}: {:#?}", ran.log));
        assert_eq!((told["record"].as_str(), told["vpc"].as_str()), ("finding", "vpc-1"));
        assert!(told["message"].contains("request-1") && told["hint"].contains("let the caller"), "{told:#?}");
        installation.recovers();
    }
    for name in ["instances", "groups", "candidates"] {
        let installation = joined();
        fail(&installation, name, ErrorKind::Denied, usize::MAX - 1000);
        let ran = installation.sweep();
        assert!(ran.codes("finding").contains(&"unreadable"), "{name}: {:#?}", ran.log);
        installation.recovers();
    }
    for (name, event) in
        [("instances", joined().pending(&instance("1"))), ("stores", joined().created(&cluster("orders")))]
    {
        let installation = joined();
        fail(&installation, name, ErrorKind::Denied, 9);
        let ran = installation.take_in(&[event]);
        assert_eq!((ran.codes("outcome"), ran.codes("finding")), (vec!["unread"], vec!["unreadable"]), "{name}");
        installation.recovers();
    }
}

#[test]
fn a_step_that_is_refused_once_and_done_on_the_next_try_is_no_refusal() {
    for name in ["create_group", "authorize", "revoke", "set_interface_groups", "set_store_groups"] {
        for kind in FOR_GOOD {
            let installation = joining();
            fail(&installation, name, kind, 1);
            let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
            assert!(ran.count(name) > 0, "{name}, {kind:?}: {:#?}", ran.log);
            assert!(!said(&ran, "refused-by-aws"), "{name}, {kind:?}: {:#?}", ran.log);
            for _ in 0..2 {
                let ran = next_sweep(&installation);
                assert!(!said(&ran, "refused-by-aws"), "{name}, {kind:?}: {:#?}", ran.log);
            }
            assert!(installation.look(is_joined), "{name}, {kind:?}");
            installation.assert_converged();
        }
    }
}

#[test]
fn what_passes_by_itself_or_was_read_too_early_is_neither_refused_nor_unreadable() {
    let mut struck = 0;
    for name in WRITES.into_iter().chain(READS) {
        for kind in NOT_FOR_GOOD {
            for installation in [joining(), leaving()] {
                let is_read = READS.contains(&name);
                if is_read && !kind.passes() {
                    continue;
                }
                fail(&installation, name, kind, 40);
                for _ in 0..2 {
                    let ran = next_sweep(&installation);
                    struck += ran.count(name);
                    assert!(!said(&ran, "refused-by-aws"), "{name}, {kind:?}: {:#?}", ran.log);
                    assert!(!said(&ran, "unreadable"), "{name}, {kind:?}: {:#?}", ran.log);
                }
                installation.change(World::heal);
                (0..3).for_each(|_| installation.next_sweep());
                installation.assert_converged();
            }
        }
    }
    assert!(struck > 500, "{struck}");
}

#[test]
fn a_store_that_somebody_stopped_is_left_to_the_sweep_and_nothing_is_given_up() {
    for (state, is_given_up) in [("stopped", false), ("paused", false), ("modifying", true)] {
        let installation = joining();
        installation.change(|world| world.set_state(&cluster("orders"), state));
        let item = installation.about_store(&vpc("1"), &cluster("orders"));
        installation.clock.advance(GIVE_UP_AFTER);
        let tries = Tries { attempt: 90, ..item.tries };
        let ran = installation.connect(&[WorkItem { tries, ..item }]);
        let expected = if is_given_up { "gave-up" } else { "left-to-sweep" };
        assert_eq!((ran.codes("outcome"), ran.count("send_again")), (vec![expected], 0), "{state}");
        installation.change(|world| world.set_state(&cluster("orders"), "available"));
        installation.recovers();
        assert!(installation.look(is_joined));
    }
}

#[test]
fn a_stopped_store_that_was_looked_at_for_a_day_rings_nothing() {
    for (state, is_given_up) in [("stopped", false), ("modifying", true)] {
        let installation = joining();
        installation.change(|world| world.set_state(&cluster("orders"), state));
        installation.take_in(&[installation.created(&cluster("orders"))]);
        let mut ended = Vec::new();
        for _ in 0..1000 {
            if installation.look(|world| !world.work.is_empty()) {
                let ran = installation.connect_sent();
                ended.extend(ran.codes("outcome").iter().map(|code| (*code).to_owned()));
            }
            let sent = std::mem::take(&mut installation.cloud.world.borrow_mut().again);
            let [(_, again, after)] = sent.as_slice() else {
                assert!(sent.is_empty(), "{sent:#?}");
                break;
            };
            installation.clock.advance((*after).max(Duration::from_secs(1)));
            let ran = installation.take_in(&[serde_json::to_string(again).unwrap()]);
            ended.extend(ran.codes("outcome").iter().map(|code| (*code).to_owned()));
        }
        assert!(installation.now() >= crate::installation::start() + GIVE_UP_AFTER, "{state}: {ended:?}");
        assert_eq!(ended.contains(&"gave-up".to_owned()), is_given_up, "{state}: {ended:?}");
        installation.change(|world| world.set_state(&cluster("orders"), "available"));
        installation.recovers();
        assert!(installation.look(is_joined));
    }
}
