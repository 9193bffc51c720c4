//! Of several requests about one VPC the last one holds, in the order in which they arrived.

use std::time::Duration;

use tagwire_core::{
    id::RequestId,
    observation::Scope,
    policy::Mode,
    work::{Cause, PlanDigest, Request, RequestKind, WorkItem},
};
use tagwire_engine::{cloud::ErrorKind, observe::vpcs_to_take_back};

use crate::{
    clock::run,
    installation::Installation,
    simulated::{Fault, World, cluster, instance, vpc},
};

const INSTANCES: usize = 60;

fn installation() -> Installation {
    let installation = Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        for number in 0..INSTANCES {
            world.launch(&number.to_string(), &vpc("1"), Some("orders"));
        }
    });
    installation.swept();
    assert_eq!(reached(&installation), INSTANCES);
    installation
}

fn reached(installation: &Installation) -> usize {
    let reaches = |world: &World, number: &usize| world.reaches(&instance(&number.to_string()), &cluster("orders"));
    installation.look(|world| (0..INSTANCES).filter(|number| reaches(world, number)).count())
}

fn request(installation: &Installation, id: &str, kind: RequestKind, digest: Option<PlanDigest>) -> WorkItem {
    let request = Some(Request { id: RequestId::parse(id).unwrap(), kind, digest });
    WorkItem { cause: Cause::Request, request, ..installation.item(&vpc("1"), Scope::Vpc) }
}

/// The plan that a person sees and agrees to.
fn digest(installation: &mut Installation, kind: RequestKind) -> PlanDigest {
    installation.mode = Mode::DryRun;
    let ran = installation.connect(&[request(installation, "look", kind, None)]);
    installation.mode = Mode::Enforce;
    let lines: Vec<String> = ran.planned().into_iter().map(str::to_owned).collect();
    PlanDigest::of(&lines)
}

fn last_answer(installation: &Installation, id: &str) -> Option<String> {
    let key = (vpc("1"), RequestId::parse(id).unwrap());
    installation.look(|world| world.answers.get(&key)?.last().map(|answer| answer.code.clone()))
}

/// An uninstall that takes more than one run, and what is left of it.
fn begun(installation: &mut Installation) -> Vec<WorkItem> {
    let digest = digest(installation, RequestKind::Uninstall);
    installation.budget.set(Duration::from_secs(10));
    installation.connect(&[request(installation, "uninstall", RequestKind::Uninstall, Some(digest))]);
    installation.budget.set(Duration::from_mins(5));
    installation.change(World::lists_settle);
    let rest = installation.take_work(10);
    assert_eq!(rest.len(), 1, "it did not go on");
    assert!(reached(installation) < INSTANCES);
    rest
}

#[test]
fn what_is_left_of_an_uninstall_does_not_undo_the_cancel_that_came_before_it() {
    let mut installation = installation();
    let rest = begun(&mut installation);
    let back = digest(&mut installation, RequestKind::CancelUninstall);
    installation.connect(&[request(&installation, "cancel", RequestKind::CancelUninstall, Some(back))]);
    installation.change(World::lists_settle);
    installation.change(|world| world.work.extend(rest));
    installation.drain();
    assert_eq!(last_answer(&installation, "uninstall").as_deref(), Some("superseded"));
    assert_eq!(reached(&installation), INSTANCES);
    installation.next_sweep();
    assert_eq!(reached(&installation), INSTANCES);
    installation.assert_converged();
}

#[test]
fn a_cancel_stops_an_uninstall_that_took_more_away_since_the_person_looked() {
    let mut installation = installation();
    let rest = begun(&mut installation);
    let back = digest(&mut installation, RequestKind::CancelUninstall);
    // While the cancel is on its way, the uninstall goes on.
    installation.budget.set(Duration::from_secs(10));
    installation.connect(&rest);
    installation.budget.set(Duration::from_mins(5));
    installation.change(World::lists_settle);
    let (rest, left) = (installation.take_work(10), reached(&installation));
    assert!(rest.len() == 1 && left > 0, "it did not go on");
    installation.connect(&[request(&installation, "cancel", RequestKind::CancelUninstall, Some(back))]);
    installation.change(|world| world.work.extend(rest));
    installation.drain();
    assert_eq!(last_answer(&installation, "cancel").as_deref(), Some("plan-changed"));
    assert_eq!(last_answer(&installation, "uninstall").as_deref(), Some("superseded"));
    assert_eq!(reached(&installation), left, "the uninstall went on");
    installation.next_sweep();
    assert_eq!(reached(&installation), INSTANCES);
    installation.assert_converged();
}

#[test]
fn what_is_left_of_a_cancel_does_not_undo_the_uninstall_that_came_before_it() {
    let mut installation = installation();
    let everything = digest(&mut installation, RequestKind::Uninstall);
    installation.connect(&[request(&installation, "first", RequestKind::Uninstall, Some(everything))]);
    installation.drain();
    installation.next_sweep();
    assert_eq!(reached(&installation), 0);
    let back = digest(&mut installation, RequestKind::CancelUninstall);
    installation.budget.set(Duration::from_secs(10));
    installation.connect(&[request(&installation, "cancel", RequestKind::CancelUninstall, Some(back))]);
    installation.budget.set(Duration::from_mins(5));
    let rest = installation.take_work(10);
    assert_eq!(rest.len(), 1, "it did not go on");
    installation.change(World::lists_settle);
    let again = digest(&mut installation, RequestKind::Uninstall);
    installation.connect(&[request(&installation, "second", RequestKind::Uninstall, Some(again))]);
    installation.change(|world| world.work.extend(rest));
    installation.drain();
    assert_eq!(last_answer(&installation, "cancel").as_deref(), Some("superseded"));
    installation.next_sweep();
    installation.next_sweep();
    assert_eq!(reached(&installation), 0);
    assert!(installation.look(|world| world.ours().is_empty()));
    installation.assert_converged();
}

#[test]
fn what_is_left_of_an_uninstall_goes_on_while_it_is_the_last_word() {
    let mut installation = installation();
    let rest = begun(&mut installation);
    installation.change(|world| world.work.extend(rest));
    installation.drain();
    installation.next_sweep();
    assert_eq!(reached(&installation), 0);
    assert!(installation.look(|world| world.ours().is_empty()));
    installation.assert_converged();
}

#[test]
fn the_requests_of_one_batch_are_carried_out_in_the_order_in_which_they_arrived() {
    for (first, second) in [("ffff", "0000"), ("0000", "ffff")] {
        let mut installation = installation();
        let everything = digest(&mut installation, RequestKind::Uninstall);
        installation.budget.set(Duration::from_mins(5));
        let uninstall = request(&installation, first, RequestKind::Uninstall, Some(everything));
        // Whoever takes it back before it has begun agrees to a plan that nobody knows yet.
        let cancel = request(&installation, second, RequestKind::CancelUninstall, None);
        installation.connect(&[uninstall, cancel]);
        installation.drain();
        assert_eq!(installation.look(|world| world.table[&vpc("1")].uninstalling), None, "{first} {second}");
        installation.next_sweep();
        assert_eq!(reached(&installation), INSTANCES, "{first} {second}");
        installation.assert_converged();
    }
}

#[test]
fn a_request_that_could_not_be_finished_is_not_overtaken_by_the_one_behind_it() {
    let mut installation = installation();
    let everything = digest(&mut installation, RequestKind::Uninstall);
    installation.budget.set(Duration::from_secs(20));
    installation.change(|world| {
        let fault = Fault::Fails { kind: ErrorKind::Unavailable, with_effect: false };
        world.fail_next("send_work", 1, fault);
    });
    let uninstall = request(&installation, "uninstall", RequestKind::Uninstall, Some(everything));
    let cancel = request(&installation, "cancel", RequestKind::CancelUninstall, None);
    let ran = installation.connect(&[uninstall, cancel]);
    assert_eq!(ran.returned, Some(["m0".to_owned(), "m1".to_owned()].into()), "{:#?}", ran.codes("outcome"));
    assert_eq!(last_answer(&installation, "cancel"), None);
    installation.budget.set(Duration::from_mins(5));
    installation.connect(&[request(&installation, "cancel", RequestKind::CancelUninstall, None)]);
    installation.recovers();
    assert_eq!(reached(&installation), INSTANCES);
}

#[test]
fn a_vpc_that_was_untagged_meanwhile_is_found_by_whoever_takes_an_uninstall_back() {
    let mut installation = installation();
    let everything = digest(&mut installation, RequestKind::Uninstall);
    installation.connect(&[request(&installation, "uninstall", RequestKind::Uninstall, Some(everything))]);
    installation.drain();
    installation.next_sweep();
    installation.change(|world| {
        (0..INSTANCES).for_each(|number| world.tag_instance(&number.to_string(), None));
        world.tag_store("orders", None);
        world.index.clear();
    });
    let vpcs = |installation: &Installation| {
        let cloud = &installation.cloud;
        run(&installation.clock, vpcs_to_take_back(cloud)).unwrap().found
    };
    assert_eq!(vpcs(&installation), [vpc("1")]);
    installation.connect(&[request(&installation, "cancel", RequestKind::CancelUninstall, None)]);
    assert!(vpcs(&installation).is_empty());
    installation.retag_store("orders", Some("orders"));
    installation.retag_instance("1", Some("orders"));
    assert_eq!(reached(&installation), 1);
    installation.assert_converged();
}
