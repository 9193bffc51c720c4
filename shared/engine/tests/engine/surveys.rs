//! A look at all there is: every store and group, and no instance more than could have a connection.

use std::collections::BTreeSet;

use tagwire_core::{
    connections::{ConnectionStatus, Survey, connections},
    id::VpcId,
    observation::Gap,
    rule::{Direction, Peer, PortRange, Rule, Traffic},
};
use tagwire_engine::{
    cloud::ErrorKind,
    observe::{survey, survey_of},
    paced::Paced,
};

use crate::{
    clock::run,
    installation::{Installation, start},
    simulated::{Call, Fault, World, cluster, sg, vpc},
};

fn look(installation: &Installation, vpcs: Option<&BTreeSet<VpcId>>) -> (Survey, Vec<Call>) {
    let before = installation.look(|world| world.calls.len());
    let deadline = start() + std::time::Duration::from_hours(1);
    let paced = Paced::new(&installation.cloud, installation.clock.as_ref(), &installation.pacing, deadline);
    let seen = run(&installation.clock, survey(&paced, vpcs)).unwrap();
    (seen, installation.look(|world| world.calls[before..].to_vec()))
}

fn names(calls: &[Call]) -> Vec<&str> {
    let mut names: Vec<&str> = calls.iter().map(|call| call.name).collect();
    names.sort_unstable();
    names
}

fn instances(seen: &Survey) -> Vec<&str> {
    seen.instances.found.iter().map(|instance| instance.id.as_str()).collect()
}

/// Stores and instances in two VPCs, nothing of them tagged but one instance.
fn untagged(world: &mut World) {
    for (number, of) in [(1, vpc("1")), (2, vpc("2"))] {
        let store = world.store(&format!("orders{number}"), &of, None);
        let database = world.foreign_group(&format!("database{number}"), &of, "database");
        let rule = Rule {
            direction: Direction::Inbound,
            traffic: Traffic::Tcp(PortRange::single(5432).unwrap()),
            peer: Peer::Group(sg(&format!("app{number}"))),
        };
        world.groups.get_mut(&database).unwrap().group.rules.insert(rule);
        world.other_writer_attaches(store.as_str(), &database);
        let app = world.foreign_group(&format!("app{number}"), &of, "app");
        let side = world.foreign_group(&format!("side{number}"), &of, "ec2-rds-1");
        for (kind, group) in [("app", Some(app)), ("side", Some(side)), ("idle", None)] {
            let name = format!("{kind}{number}");
            world.launch(&name, &of, None);
            if let Some(group) = group {
                world.other_writer_attaches(&format!("eni-{name}"), &group);
            }
        }
    }
    world.launch("tagged", &vpc("2"), Some("nothing"));
}

#[test]
fn everything_is_found_in_four_calls_however_much_there_is() {
    let installation = Installation::new(untagged);
    let (seen, calls) = look(&installation, None);
    assert_eq!(names(&calls), ["all_stores", "groups", "instances", "instances"]);
    assert_eq!(seen.gaps().collect::<Vec<&Gap>>(), Vec::<&Gap>::new());
    assert_eq!((seen.stores.found.len(), seen.groups.found.len()), (2, 6));
    assert_eq!(instances(&seen), ["i-app1", "i-app2", "i-side1", "i-side2", "i-tagged"]);
}

#[test]
fn of_chosen_vpcs_only_those_are_found() {
    let installation = Installation::new(untagged);
    let (seen, calls) = look(&installation, Some(&[vpc("1")].into()));
    assert_eq!(names(&calls), ["all_stores", "groups", "instances", "instances"]);
    assert_eq!((seen.stores.found.len(), seen.groups.found.len()), (1, 3));
    assert_eq!(instances(&seen), ["i-app1", "i-side1"]);
}

#[test]
fn where_no_group_leads_to_a_store_no_instance_is_asked_for() {
    let installation = Installation::new(|world| {
        world.store("orders", &vpc("1"), None);
        world.launch("idle", &vpc("1"), None);
    });
    let (seen, calls) = look(&installation, None);
    assert_eq!(names(&calls), ["all_stores", "groups", "instances"]);
    assert_eq!((seen.stores.found.len(), seen.instances.found.len()), (1, 0));
}

/// The survey of one store, after it was looked up.
fn look_at(installation: &Installation, store: &str) -> (Survey, Vec<Call>) {
    let all = look(installation, None).0;
    let store = all.stores.found.into_iter().filter(|found| found.arn.name() == store).collect();
    let before = installation.look(|world| world.calls.len());
    let deadline = start() + std::time::Duration::from_hours(1);
    let paced = Paced::new(&installation.cloud, installation.clock.as_ref(), &installation.pacing, deadline);
    let seen = run(&installation.clock, survey_of(&paced, store)).unwrap();
    (seen, installation.look(|world| world.calls[before..].to_vec()))
}

#[test]
fn of_one_store_only_what_can_reach_it_is_read_and_the_connections_are_those_of_the_whole() {
    let installation = Installation::new(|world| {
        untagged(world);
        let way_out = Rule {
            direction: Direction::Outbound,
            traffic: Traffic::Tcp(PortRange::single(5432).unwrap()),
            peer: Peer::Group(sg("database1")),
        };
        world.groups.get_mut(&sg("app1")).unwrap().group.rules.insert(way_out);
    });
    let (seen, calls) = look_at(&installation, "orders1");
    assert_eq!(names(&calls), ["groups", "groups", "groups", "instances"], "of the store, let in, of the instance");
    assert_eq!((seen.stores.found.len(), instances(&seen)), (1, vec!["i-app1"]));
    let (all, _) = look(&installation, None);
    let rows = |survey: &Survey| connections(survey, &[]);
    let of_store: Vec<ConnectionStatus> =
        rows(&all).into_iter().filter(|row| row.store == seen.stores.found[0].arn).collect();
    assert!(!of_store.is_empty());
    assert_eq!(rows(&seen), of_store);
}

#[test]
fn a_default_group_that_a_store_lets_in_leads_to_no_instance() {
    let installation = Installation::new(|world| {
        world.store("orders", &vpc("1"), None);
        world.launch("idle", &vpc("1"), None);
    });
    let (seen, calls) = look_at(&installation, "orders");
    assert_eq!(names(&calls), ["groups"]);
    assert_eq!(instances(&seen), Vec::<&str>::new());
}

#[test]
fn what_is_throttled_is_read_again_and_what_is_denied_is_a_gap() {
    let installation = Installation::new(untagged);
    installation.change(|world| {
        world.fail_next("all_stores", 1, Fault::Fails { kind: ErrorKind::Throttled, with_effect: false });
        world.fail_next("groups", 9, Fault::Fails { kind: ErrorKind::Denied, with_effect: false });
    });
    let (seen, calls) = look(&installation, None);
    assert_eq!(names(&calls), ["all_stores", "all_stores", "groups", "instances"]);
    assert_eq!((seen.stores.gaps.len(), seen.groups.gaps.len()), (0, 1));
    assert_eq!(seen.gaps().count(), 1);
}

#[test]
fn a_store_that_cannot_be_described_hides_no_other() {
    let installation = Installation::new(untagged);
    installation.change(|world| {
        world.dark.insert(cluster("orders1"), ErrorKind::Denied);
    });
    let (seen, _) = look(&installation, None);
    assert_eq!((seen.stores.found.len(), seen.stores.gaps.len()), (1, 1));
}
