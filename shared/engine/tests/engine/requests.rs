//! What people ask for by the command line: only the plan they agreed to is carried out, they are told
//! what became of it, and being uninstalled outlives crashes, events and sweeps.

use std::time::Duration;

use tagwire_core::{
    id::RequestId,
    observation::Scope,
    policy::Mode,
    work::{Answer, Cause, PlanDigest, Request, RequestKind, WorkItem},
};
use tagwire_engine::cloud::ErrorKind;

use crate::{
    installation::Installation,
    simulated::{Fault, When, World, cluster, instance, vpc},
};

fn installation() -> Installation {
    Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
        world.launch("2", &vpc("1"), Some("orders"));
    })
}

fn id() -> RequestId {
    RequestId::parse("request-1").unwrap()
}

/// What the person sees: the plan of a look that changes nothing, as it would be with their kind.
fn seen(installation: &mut Installation, scope: &Scope, kind: RequestKind) -> PlanDigest {
    installation.mode = Mode::DryRun;
    let lines = installation.connect(&[request(installation, scope, kind, None)]);
    installation.mode = Mode::Enforce;
    let lines: Vec<String> = lines.planned().into_iter().map(str::to_owned).collect();
    installation.change(|world| world.answers.clear());
    PlanDigest::of(&lines)
}

fn request(installation: &Installation, scope: &Scope, kind: RequestKind, digest: Option<PlanDigest>) -> WorkItem {
    let request = Some(Request { id: id(), kind, digest });
    WorkItem { cause: Cause::Request, request, ..installation.item(&vpc("1"), scope.clone()) }
}

fn answers(installation: &Installation) -> Vec<Answer> {
    installation.look(|world| world.answers.get(&(vpc("1"), id())).cloned().unwrap_or_default())
}

fn codes(installation: &Installation) -> Vec<String> {
    answers(installation).into_iter().map(|answer| answer.code).collect()
}

fn reached(installation: &Installation) -> usize {
    installation
        .look(|world| ["1", "2"].iter().filter(|word| world.reaches(&instance(word), &cluster("orders"))).count())
}

fn is_gone(installation: &Installation) -> bool {
    installation.look(|world| world.ours().is_empty()) && reached(installation) == 0
}

#[test]
fn the_plan_that_was_agreed_to_is_carried_out_and_told() {
    let mut installation = installation();
    let digest = seen(&mut installation, &Scope::Vpc, RequestKind::Apply);
    let ran = installation.connect(&[request(&installation, &Scope::Vpc, RequestKind::Apply, Some(digest))]);
    assert_eq!(ran.codes("outcome"), ["changed"], "{:#?}", ran.log);
    assert_eq!(codes(&installation), ["changed"]);
    installation.change(World::lists_settle);
    assert_eq!(reached(&installation), 2);
    installation.assert_converged();
}

#[test]
fn another_plan_is_refused_and_nothing_is_touched() {
    let mut installation = installation();
    let digest = seen(&mut installation, &Scope::Vpc, RequestKind::Apply);
    installation.change(|world| drop(world.launch("3", &vpc("1"), Some("orders"))));
    let ran = installation.connect(&[request(&installation, &Scope::Vpc, RequestKind::Apply, Some(digest.clone()))]);
    assert_eq!((ran.codes("outcome"), ran.writes(), ran.count("reserve_window")), (vec!["plan-changed"], 0, 0));
    assert_eq!(codes(&installation), ["plan-changed"]);
    assert!(answers(&installation)[0].message.contains(digest.as_str()), "{:?}", answers(&installation));
    assert!(installation.look(|world| world.ours().is_empty()));

    let anew = seen(&mut installation, &Scope::Vpc, RequestKind::Apply);
    installation.connect(&[request(&installation, &Scope::Vpc, RequestKind::Apply, Some(anew))]);
    assert_eq!(codes(&installation), ["changed"]);
    installation.assert_converged();
}

#[test]
fn a_request_that_comes_twice_or_too_late_finds_nothing_to_do() {
    let mut installation = installation();
    let scope = Scope::of_instances([instance("1")].into());
    let digest = seen(&mut installation, &scope, RequestKind::Apply);
    let item = request(&installation, &scope, RequestKind::Apply, Some(digest));
    installation.connect(&[item.clone(), item.clone()]);
    installation.change(World::lists_settle);
    let ran = installation.connect(&[item]);
    assert_eq!((ran.codes("outcome"), ran.writes()), (vec!["unchanged"], 0));
    assert_eq!(codes(&installation), ["changed", "unchanged"]);
    assert_eq!(reached(&installation), 1, "only what was agreed to");
    installation.recovers();
}

#[test]
fn what_else_waits_for_the_vpc_does_not_grow_the_plan() {
    let mut installation = installation();
    let scope = Scope::of_instances([instance("1")].into());
    let digest = seen(&mut installation, &scope, RequestKind::Apply);
    let item = request(&installation, &scope, RequestKind::Apply, Some(digest));
    let ran = installation.connect(&[installation.whole(&vpc("1")), item]);
    assert_eq!(ran.codes("outcome"), ["changed", "changed"], "{:#?}", ran.log);
    assert_eq!(codes(&installation), ["changed"]);
    installation.recovers();
}

#[test]
fn what_takes_more_than_one_run_goes_on_although_the_rest_is_another_plan() {
    let mut installation = Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        for number in 0..60 {
            world.launch(&number.to_string(), &vpc("1"), Some("orders"));
        }
    });
    let digest = seen(&mut installation, &Scope::Vpc, RequestKind::Apply);
    installation.budget.set(Duration::from_secs(10));
    installation.connect(&[request(&installation, &Scope::Vpc, RequestKind::Apply, Some(digest))]);
    assert_eq!(codes(&installation), ["goes-on"]);
    installation.drain();
    let told = codes(&installation);
    assert_eq!((told.last().map(String::as_str), told.len() > 2), (Some("changed"), true), "{told:?}");
    assert!(installation.look(|world| (0..60).all(|n| world.reaches(&instance(&n.to_string()), &cluster("orders")))));
    installation.budget.set(Duration::from_mins(1));
    installation.assert_converged();
}

#[test]
fn uninstalling_takes_everything_and_neither_events_nor_sweeps_bring_it_back() {
    let mut installation = installation();
    installation.swept();
    installation.policy.max_disconnects = 0;
    assert_eq!(reached(&installation), 2);
    let digest = seen(&mut installation, &Scope::Vpc, RequestKind::Uninstall);
    assert_eq!(reached(&installation), 2, "looking at the plan changes nothing");
    installation.connect(&[request(&installation, &Scope::Vpc, RequestKind::Uninstall, Some(digest))]);
    installation.drain();
    installation.next_sweep();
    assert!(is_gone(&installation), "{:?}", codes(&installation));
    installation.retag_instance("1", Some("orders orders2"));
    installation.deliver(&[installation.pending(&instance("2"))]);
    installation.next_sweep();
    assert!(is_gone(&installation));
    installation.assert_converged();

    let digest = seen(&mut installation, &Scope::Vpc, RequestKind::CancelUninstall);
    installation.connect(&[request(&installation, &Scope::Vpc, RequestKind::CancelUninstall, Some(digest))]);
    installation.drain();
    assert_eq!(reached(&installation), 2, "it is taken back");
    installation.next_sweep();
    assert_eq!(reached(&installation), 2);
    installation.assert_converged();
}

#[test]
fn what_passes_by_itself_is_no_failure_of_what_was_asked_for() {
    let mut installation = installation();
    installation.swept();
    let digest = seen(&mut installation, &Scope::Vpc, RequestKind::Uninstall);
    let fault = Fault::Fails { kind: ErrorKind::InUse, with_effect: false };
    installation.change(|world| world.fail(When::Named { name: "delete_group", after: 0, times: usize::MAX }, fault));
    installation.connect(&[request(&installation, &Scope::Vpc, RequestKind::Uninstall, Some(digest))]);
    assert_eq!(codes(&installation), ["left-to-sweep"], "{:#?}", answers(&installation));
    installation.change(World::heal);
    installation.next_sweep();
    assert!(is_gone(&installation));
    installation.assert_converged();

    let denied = Fault::Fails { kind: ErrorKind::Denied, with_effect: false };
    let mut installation = self::installation();
    let digest = seen(&mut installation, &Scope::Vpc, RequestKind::Apply);
    installation.change(|world| world.fail(When::Named { name: "create_group", after: 0, times: usize::MAX }, denied));
    installation.connect(&[request(&installation, &Scope::Vpc, RequestKind::Apply, Some(digest))]);
    assert_eq!(codes(&installation), ["failed"]);
    installation.recovers();
}

#[test]
fn a_plan_of_uninstalling_that_was_not_agreed_to_does_not_even_begin() {
    let installation = installation();
    installation.swept();
    let other = PlanDigest::of(&["delete everything".to_owned()]);
    let ran = installation.connect(&[request(&installation, &Scope::Vpc, RequestKind::Uninstall, Some(other))]);
    assert_eq!((ran.codes("outcome"), ran.writes(), ran.count("write_notes")), (vec!["plan-changed"], 0, 0));
    installation.next_sweep();
    assert_eq!(reached(&installation), 2);
    installation.assert_converged();
}

#[test]
fn wherever_uninstalling_dies_the_next_sweep_finishes_it_or_finds_it_never_begun() {
    let calls = {
        let mut installation = installation();
        installation.swept();
        let digest = seen(&mut installation, &Scope::Vpc, RequestKind::Uninstall);
        installation.connect(&[request(&installation, &Scope::Vpc, RequestKind::Uninstall, Some(digest))]).calls.len()
    };
    assert!(calls > 10, "{calls}");
    for index in 0..calls {
        let mut installation = installation();
        installation.swept();
        let digest = seen(&mut installation, &Scope::Vpc, RequestKind::Uninstall);
        let item = request(&installation, &Scope::Vpc, RequestKind::Uninstall, Some(digest));
        let before = installation.look(|world| world.calls.len());
        installation.change(|world| world.fail(When::Index(before + index), Fault::Crash { with_effect: true }));
        assert!(installation.connect(&[item]).returned.is_none(), "it did not crash at call {index}");
        installation.change(World::heal);
        let begun = installation.look(|world| world.table.values().any(|state| state.uninstalling.is_some()));
        installation.next_sweep();
        installation.next_sweep();
        assert_eq!(
            (is_gone(&installation), reached(&installation)),
            if begun { (true, 0) } else { (false, 2) },
            "at {index}"
        );
        installation.assert_converged();
    }
}

#[test]
fn without_the_state_table_nothing_is_uninstalled() {
    for name in ["vpc_state", "write_notes"] {
        let mut installation = installation();
        installation.swept();
        let digest = seen(&mut installation, &Scope::Vpc, RequestKind::Uninstall);
        let fault = Fault::Fails { kind: ErrorKind::Denied, with_effect: false };
        installation.change(|world| world.fail(When::Named { name, after: 0, times: usize::MAX }, fault));
        let ran = installation.connect(&[request(&installation, &Scope::Vpc, RequestKind::Uninstall, Some(digest))]);
        assert_eq!((ran.codes("outcome"), ran.writes()), (vec!["failed"], 0), "{name}: {:#?}", ran.log);
        assert_eq!(codes(&installation), ["failed"]);
        installation.change(World::heal);
        assert_eq!(reached(&installation), 2);
        installation.recovers();
    }
}
