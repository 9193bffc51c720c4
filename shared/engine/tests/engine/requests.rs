//! What people ask for by the command line: only the plan they agreed to is carried out, they are told
//! what became of it, and being uninstalled outlives crashes, events and sweeps.

use std::time::Duration;

use tagwire_core::{
    id::RequestId,
    observation::Scope,
    policy::Mode,
    work::{Answer, Cause, PlanDigest, Request, Wish, WorkItem},
};
use tagwire_engine::cloud::ErrorKind;

use crate::{
    simulated::{Fault, When, World, cluster, instance, vpc},
    site::Site,
};

fn site() -> Site {
    Site::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
        world.launch("2", &vpc("1"), Some("orders"));
    })
}

fn id() -> RequestId {
    RequestId::parse("request-1").unwrap()
}

/// What the person sees: the plan of a look that changes nothing, as it would be with their wish.
fn seen(site: &mut Site, scope: &Scope, wish: Wish) -> PlanDigest {
    site.mode = Mode::DryRun;
    let lines = site.connect(&[request(site, scope, wish, None)]);
    site.mode = Mode::Enforce;
    let lines: Vec<String> = lines.planned().into_iter().map(str::to_owned).collect();
    site.change(|world| world.answers.clear());
    PlanDigest::of(&lines)
}

fn request(site: &Site, scope: &Scope, wish: Wish, digest: Option<PlanDigest>) -> WorkItem {
    let request = Some(Request { id: id(), wish, digest });
    WorkItem { cause: Cause::Request, request, ..site.item(&vpc("1"), scope.clone()) }
}

fn answers(site: &Site) -> Vec<Answer> {
    site.look(|world| world.answers.get(&(vpc("1"), id())).cloned().unwrap_or_default())
}

fn codes(site: &Site) -> Vec<String> {
    answers(site).into_iter().map(|answer| answer.code).collect()
}

fn reached(site: &Site) -> usize {
    site.look(|world| ["1", "2"].iter().filter(|word| world.reaches(&instance(word), &cluster("orders"))).count())
}

fn is_gone(site: &Site) -> bool {
    site.look(|world| world.ours().is_empty()) && reached(site) == 0
}

#[test]
fn the_plan_that_was_agreed_to_is_carried_out_and_told() {
    let mut site = site();
    let digest = seen(&mut site, &Scope::Vpc, Wish::Apply);
    let ran = site.connect(&[request(&site, &Scope::Vpc, Wish::Apply, Some(digest))]);
    assert_eq!(ran.codes("outcome"), ["changed"], "{:#?}", ran.log);
    assert_eq!(codes(&site), ["changed"]);
    site.change(World::lists_settle);
    assert_eq!(reached(&site), 2);
    site.is_at_rest();
}

#[test]
fn another_plan_is_refused_and_nothing_is_touched() {
    let mut site = site();
    let digest = seen(&mut site, &Scope::Vpc, Wish::Apply);
    site.change(|world| drop(world.launch("3", &vpc("1"), Some("orders"))));
    let ran = site.connect(&[request(&site, &Scope::Vpc, Wish::Apply, Some(digest.clone()))]);
    assert_eq!((ran.codes("outcome"), ran.writes(), ran.count("reserve")), (vec!["plan-changed"], 0, 0));
    assert_eq!(codes(&site), ["plan-changed"]);
    assert!(answers(&site)[0].said.contains(digest.as_str()), "{:?}", answers(&site));
    assert!(site.look(|world| world.ours().is_empty()));

    let anew = seen(&mut site, &Scope::Vpc, Wish::Apply);
    site.connect(&[request(&site, &Scope::Vpc, Wish::Apply, Some(anew))]);
    assert_eq!(codes(&site), ["changed"]);
    site.is_at_rest();
}

#[test]
fn a_request_that_comes_twice_or_too_late_finds_nothing_to_do() {
    let mut site = site();
    let scope = Scope::of_instances([instance("1")].into());
    let digest = seen(&mut site, &scope, Wish::Apply);
    let item = request(&site, &scope, Wish::Apply, Some(digest));
    site.connect(&[item.clone(), item.clone()]);
    site.change(World::lists_settle);
    let ran = site.connect(&[item]);
    assert_eq!((ran.codes("outcome"), ran.writes()), (vec!["unchanged"], 0));
    assert_eq!(codes(&site), ["changed", "unchanged"]);
    assert_eq!(reached(&site), 1, "only what was agreed to");
    site.recovers();
}

#[test]
fn what_else_waits_for_the_vpc_does_not_grow_the_plan() {
    let mut site = site();
    let scope = Scope::of_instances([instance("1")].into());
    let digest = seen(&mut site, &scope, Wish::Apply);
    let item = request(&site, &scope, Wish::Apply, Some(digest));
    let ran = site.connect(&[site.whole(&vpc("1")), item]);
    assert_eq!(ran.codes("outcome"), ["changed", "changed"], "{:#?}", ran.log);
    assert_eq!(codes(&site), ["changed"]);
    site.recovers();
}

#[test]
fn what_takes_more_than_one_run_goes_on_although_the_rest_is_another_plan() {
    let mut site = Site::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        for number in 0..60 {
            world.launch(&number.to_string(), &vpc("1"), Some("orders"));
        }
    });
    let digest = seen(&mut site, &Scope::Vpc, Wish::Apply);
    site.budget.set(Duration::from_secs(10));
    site.connect(&[request(&site, &Scope::Vpc, Wish::Apply, Some(digest))]);
    assert_eq!(codes(&site), ["goes-on"]);
    site.drain();
    let told = codes(&site);
    assert_eq!((told.last().map(String::as_str), told.len() > 2), (Some("changed"), true), "{told:?}");
    assert!(site.look(|world| (0..60).all(|n| world.reaches(&instance(&n.to_string()), &cluster("orders")))));
    site.budget.set(Duration::from_mins(1));
    site.is_at_rest();
}

#[test]
fn uninstalling_takes_everything_and_neither_events_nor_sweeps_bring_it_back() {
    let mut site = site();
    site.swept();
    site.policy.max_disconnects = 0;
    assert_eq!(reached(&site), 2);
    let digest = seen(&mut site, &Scope::Vpc, Wish::Uninstall);
    assert_eq!(reached(&site), 2, "looking at the plan changes nothing");
    site.connect(&[request(&site, &Scope::Vpc, Wish::Uninstall, Some(digest))]);
    site.drain();
    site.next_sweep();
    assert!(is_gone(&site), "{:?}", codes(&site));
    site.retag_instance("1", Some("orders orders2"));
    site.hear(&[site.pending(&instance("2"))]);
    site.next_sweep();
    assert!(is_gone(&site));
    site.is_at_rest();

    let digest = seen(&mut site, &Scope::Vpc, Wish::Reinstall);
    site.connect(&[request(&site, &Scope::Vpc, Wish::Reinstall, Some(digest))]);
    site.drain();
    assert_eq!(reached(&site), 2, "it is taken back");
    site.next_sweep();
    assert_eq!(reached(&site), 2);
    site.is_at_rest();
}

#[test]
fn what_passes_by_itself_is_no_failure_of_what_was_asked_for() {
    let mut site = site();
    site.swept();
    let digest = seen(&mut site, &Scope::Vpc, Wish::Uninstall);
    let fault = Fault::Fails { kind: ErrorKind::InUse, with_effect: false };
    site.change(|world| world.fail(When::Named { name: "delete_group", after: 0, times: usize::MAX }, fault));
    site.connect(&[request(&site, &Scope::Vpc, Wish::Uninstall, Some(digest))]);
    assert_eq!(codes(&site), ["left-to-sweep"], "{:#?}", answers(&site));
    site.change(World::heal);
    site.next_sweep();
    assert!(is_gone(&site));
    site.is_at_rest();

    let denied = Fault::Fails { kind: ErrorKind::Denied, with_effect: false };
    let mut site = self::site();
    let digest = seen(&mut site, &Scope::Vpc, Wish::Apply);
    site.change(|world| world.fail(When::Named { name: "create_group", after: 0, times: usize::MAX }, denied));
    site.connect(&[request(&site, &Scope::Vpc, Wish::Apply, Some(digest))]);
    assert_eq!(codes(&site), ["failed"]);
    site.recovers();
}

#[test]
fn a_plan_of_uninstalling_that_was_not_agreed_to_does_not_even_begin() {
    let site = site();
    site.swept();
    let other = PlanDigest::of(&["delete everything".to_owned()]);
    let ran = site.connect(&[request(&site, &Scope::Vpc, Wish::Uninstall, Some(other))]);
    assert_eq!((ran.codes("outcome"), ran.writes(), ran.count("remember")), (vec!["plan-changed"], 0, 0));
    site.next_sweep();
    assert_eq!(reached(&site), 2);
    site.is_at_rest();
}

#[test]
fn wherever_uninstalling_dies_the_next_sweep_finishes_it_or_finds_it_never_begun() {
    let calls = {
        let mut site = site();
        site.swept();
        let digest = seen(&mut site, &Scope::Vpc, Wish::Uninstall);
        site.connect(&[request(&site, &Scope::Vpc, Wish::Uninstall, Some(digest))]).calls.len()
    };
    assert!(calls > 10, "{calls}");
    for index in 0..calls {
        let mut site = site();
        site.swept();
        let digest = seen(&mut site, &Scope::Vpc, Wish::Uninstall);
        let item = request(&site, &Scope::Vpc, Wish::Uninstall, Some(digest));
        let before = site.look(|world| world.calls.len());
        site.change(|world| world.fail(When::Index(before + index), Fault::Crash { with_effect: true }));
        assert!(site.connect(&[item]).returned.is_none(), "it did not crash at call {index}");
        site.change(World::heal);
        let begun = site.look(|world| world.table.values().any(|memory| memory.uninstalling.is_some()));
        site.next_sweep();
        site.next_sweep();
        assert_eq!((is_gone(&site), reached(&site)), if begun { (true, 0) } else { (false, 2) }, "at {index}");
        site.is_at_rest();
    }
}

#[test]
fn without_the_state_table_nothing_is_uninstalled() {
    for name in ["recall", "remember"] {
        let mut site = site();
        site.swept();
        let digest = seen(&mut site, &Scope::Vpc, Wish::Uninstall);
        let fault = Fault::Fails { kind: ErrorKind::Denied, with_effect: false };
        site.change(|world| world.fail(When::Named { name, after: 0, times: usize::MAX }, fault));
        let ran = site.connect(&[request(&site, &Scope::Vpc, Wish::Uninstall, Some(digest))]);
        assert_eq!((ran.codes("outcome"), ran.writes()), (vec!["failed"], 0), "{name}: {:#?}", ran.log);
        assert_eq!(codes(&site), ["failed"]);
        site.change(World::heal);
        assert_eq!(reached(&site), 2);
        site.recovers();
    }
}
