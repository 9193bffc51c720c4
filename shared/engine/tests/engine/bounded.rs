//! How much traffic a failure that lasts may cause: the queues must not be a way round the delays.

use std::{collections::BTreeSet, time::Duration};

use tagwire_core::{
    id::RequestId,
    observation::Scope,
    work::{Cause, Request, RequestKind, WorkItem},
};
use tagwire_engine::{cloud::ErrorKind, handlers::Failed};

use crate::{
    crashes::leaving,
    installation::Installation,
    simulated::{Fault, NOTES, READS, WRITES, cluster, instance, vpc},
};

/// Most messages that one event or sweep of a VPC may lead to within an hour, whatever fails: with delays that
/// double from five seconds to a quarter of an hour there are eleven further looks, each one message to the
/// queue of events and one to connect, and the first look may tell others once.
const MOST_MESSAGES: usize = 24;

/// Runs the functions for an hour as their queues would: work at once, ten items at a time, what is to be looked
/// at again when its delay is over, and a sweep when one is due; how many events and sweeps of a VPC there were,
/// and how many messages were sent because of them.
fn hour(installation: &Installation) -> (usize, usize) {
    let end = installation.now() + Duration::from_hours(1);
    let mut sweep = installation.now() + installation.policy.sweep_period;
    let (mut causes, before) = (installation.look(|world| world.work.len()), sent(installation));
    let mut swept = 0;
    let mut due: Vec<_> = Vec::new();
    loop {
        let work: Vec<WorkItem> = installation.take_work(10);
        if !work.is_empty() {
            let ran = installation.connect(&work);
            assert!(ran.returned.is_some_and(|failed| failed.len() <= work.len()));
        }
        let sent = std::mem::take(&mut installation.cloud.world.borrow_mut().again);
        due.extend(sent.into_iter().map(|(_, again, after)| (installation.now() + after, again)));
        if installation.look(|world| !world.work.is_empty()) {
            continue;
        }
        due.sort_by_key(|(at, _)| *at);
        let next = due.first().map_or(sweep, |(at, _)| sweep.min(*at));
        if next >= end {
            let messages = self::sent(installation) - before;
            return (causes, messages - swept);
        }
        installation.advance_to(next);
        if next == sweep {
            sweep += installation.policy.sweep_period;
            let ran = installation.sweep();
            if let Some(Ok(vpcs)) = ran.returned {
                causes += vpcs;
            }
            swept += ran.count("send_work");
        } else {
            let (_, again) = due.remove(0);
            let ran = installation.take_in(&[serde_json::to_string(&again).unwrap()]);
            assert!(ran.returned.is_some());
        }
    }
}

fn sent(installation: &Installation) -> usize {
    installation.look(|world| world.calls_named("send_work").count() + world.calls_named("send_again").count())
}

fn tagged() -> Installation {
    let mut installation = Installation::new(|world| {
        for of in ["1", "2"] {
            world.store(&format!("orders{of}"), &vpc(of), Some("orders"));
            world.launch(&format!("{of}1"), &vpc(of), Some("orders"));
            world.launch(&format!("{of}2"), &vpc(of), Some("orders"));
        }
    });
    installation.policy.status_tags = true;
    installation
}

fn work(installation: &Installation) -> Vec<WorkItem> {
    let store = installation.about_store(&vpc("2"), &cluster("orders2"));
    vec![installation.about_instance(&vpc("1"), &instance("11")), store, installation.whole(&vpc("1"))]
}

/// Everything that can be going on, each with work that waits.
fn states() -> Vec<(&'static str, Installation)> {
    let connecting = tagged();
    connecting.change(|world| world.work = work(&connecting));
    let connected = tagged();
    connected.swept();
    connected.change(|world| {
        world.tag_instance("11", None);
        world.tag_store("orders2", None);
    });
    connected.change(|world| {
        world.work = work(&connected).into_iter().map(|item| WorkItem { cause: Cause::TagChange, ..item }).collect();
    });
    let mut ending = leaving();
    ending.policy.status_tags = true;
    ending.change(|world| {
        world.work = ["1", "2"].map(|word| ending.about_instance(&vpc("1"), &instance(word))).to_vec();
    });
    let uninstalling = tagged();
    uninstalling.swept();
    let id = RequestId::parse("request-1").unwrap();
    let request = Some(Request { id, kind: RequestKind::Uninstall, digest: None });
    let item = WorkItem { cause: Cause::Request, request, ..uninstalling.item(&vpc("1"), Scope::Vpc) };
    uninstalling.change(|world| world.work = vec![item]);
    vec![("connecting", connecting), ("connected", connected), ("ending", ending), ("uninstalling", uninstalling)]
}

/// One of each sort: the others lead to the same next step.
const KINDS: [ErrorKind; 6] = [
    ErrorKind::AlreadyThere,
    ErrorKind::NotFound,
    ErrorKind::PendingChanges,
    ErrorKind::Denied,
    ErrorKind::Throttled,
    ErrorKind::EffectUnknown,
];

#[test]
fn whatever_call_fails_for_good_the_messages_of_an_hour_are_bounded() {
    for (index, (state, installation)) in states().into_iter().enumerate() {
        let before = installation.look(|world| world.calls.len());
        hour(&installation);
        let called: BTreeSet<&str> =
            installation.look(|world| world.calls[before..].iter().map(|call| call.name).collect());
        (0..3).for_each(|_| installation.next_sweep());
        installation.assert_converged();
        for name in READS.into_iter().chain(WRITES).chain(NOTES).filter(|name| called.contains(name)) {
            for kind in KINDS {
                let (_, installation) = states().swap_remove(index);
                let fault = Fault::Fails { kind, with_effect: false };
                installation.change(|world| world.fail_next(name, usize::MAX - 10_000, fault));
                let (causes, messages) = hour(&installation);
                assert!(
                    messages <= causes * MOST_MESSAGES,
                    "{state}, {name}, {kind:?}: {messages} messages of {causes} events and sweeps"
                );
            }
        }
    }
}

#[test]
fn a_change_that_is_denied_sends_no_work_without_delay_for_its_status_tags() {
    for (name, kind) in [("set_interface_groups", ErrorKind::Denied), ("set_store_groups", ErrorKind::PendingChanges)] {
        let installation = tagged();
        let fault = Fault::Fails { kind, with_effect: false };
        installation.change(|world| world.fail_next(name, usize::MAX - 10_000, fault));
        let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("11"))]);
        assert_eq!(ran.returned, Some(Failed::new()));
        assert_eq!(ran.count("send_work"), 0, "{name}: {:#?}", ran.log);
        installation.recovers();
        let status = |word: &str| installation.look(|world| world.instances[&instance(word)].settings.status.clone());
        assert_eq!(status("11").as_deref(), Some("connected: orders1"));
    }
}
