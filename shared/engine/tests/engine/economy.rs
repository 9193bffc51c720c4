//! What is read, and how often: only what matters to the VPC, once, and again only what is missing.

use std::{collections::BTreeSet, time::Duration};

use tagwire_core::id::StoreArn;
use tagwire_engine::{cloud::ErrorKind, handlers::Failed};

use crate::{
    installation::{Installation, Ran},
    simulated::{World, cluster, instance, vpc},
};

/// One VPC with a connection, and another with forty stores.
fn installation() -> Installation {
    let installation = Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
        for number in 0..40 {
            world.store(&format!("far{number}"), &vpc("2"), Some(&format!("far{number}")));
        }
    });
    installation.swept();
    installation
}

/// How many stores each call asked for.
fn asked<T>(ran: &Ran<T>) -> Vec<usize> {
    let calls = ran.calls.iter().filter(|call| call.name == "stores");
    calls.map(|call| call.subject.matches("cluster:").count()).collect()
}

#[test]
fn one_store_that_is_throttled_is_asked_for_again_and_the_others_are_not() {
    let installation = installation();
    installation.change(|world| world.dark.extend([(cluster("far7"), ErrorKind::Throttled)]));
    let ran = installation.connect(&[installation.whole(&vpc("2"))]);
    assert_eq!(asked(&ran), [41, 1, 1, 1, 1]);
    installation.recovers();
}

#[test]
fn a_store_that_may_not_be_read_is_not_asked_for_again_with_one_that_is_throttled() {
    let installation = installation();
    installation.change(|world| {
        world.dark.insert(cluster("far7"), ErrorKind::Throttled);
        world.dark.insert(cluster("far8"), ErrorKind::Denied);
    });
    let ran = installation.connect(&[installation.whole(&vpc("2"))]);
    assert_eq!(asked(&ran), [41, 1, 1, 1, 1]);
    let unread: BTreeSet<_> =
        ran.log.iter().filter(|line| line.get("code").is_some_and(|code| code == "unread")).collect();
    assert_eq!(unread.len(), 2, "both are said to be unread: {unread:#?}");
    installation.recovers();
}

#[test]
fn a_sweep_reads_in_each_vpc_the_stores_that_matter_there() {
    let installation = installation();
    let sweep = installation.sweep();
    assert_eq!(asked(&sweep), [41]);
    let work = installation.take_work(10);
    assert_eq!(work.len(), 2);
    let sizes: Vec<Vec<usize>> =
        work.iter().map(|item| asked(&installation.connect(std::slice::from_ref(item)))).collect();
    assert_eq!(sizes, [vec![1], vec![40]]);
    installation.assert_converged();
}

#[test]
fn a_sweep_still_finds_the_store_of_another_vpc_that_shares_a_name() {
    let installation = installation();
    installation.change(|world| drop(world.launch("2", &vpc("1"), Some("far7"))));
    installation.sweep();
    let ran = installation.connect_sent();
    assert!(ran.codes("finding").contains(&"different-vpc"), "{:#?}", ran.log);
    installation.assert_converged();
}

#[test]
fn the_sweeps_of_one_batch_read_the_index_and_the_stores_of_others_once() {
    let installation = Installation::new(|world| {
        for number in 1..=5 {
            let of = vpc(&number.to_string());
            world.store(&format!("s{number}"), &of, Some("orders"));
            world.launch(&number.to_string(), &of, Some("orders"));
        }
    });
    installation.swept();
    installation.sweep();
    let ran = installation.connect_sent();
    assert_eq!(ran.returned, Some(Failed::new()));
    assert_eq!(ran.count("candidates"), 1);
    let stores: usize = asked(&ran).into_iter().sum();
    // The first reads all of them, and each of the others its own once more: what is changed is read anew.
    assert_eq!(stores, 5 + 4);
    installation.assert_converged();
}

#[test]
fn launch_templates_are_read_only_when_something_would_be_deleted() {
    let installation = installation();
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert_eq!(ran.count("launch_template_groups"), 0);
    installation.change(|world| world.tag_store("orders", None));
    let mut read = 0;
    for _ in 0..2 {
        installation.clock.advance(installation.policy.sweep_period);
        installation.change(World::lists_settle);
        read += installation.connect(&[installation.whole(&vpc("1"))]).count("launch_template_groups");
    }
    assert!(read >= 1);
    assert!(installation.look(|world| world.ours().is_empty()));
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert_eq!(ran.count("launch_template_groups"), 0);
    installation.assert_converged();
}

/// Hands in what is to be looked at again until no more of it comes, for at most this long.
fn looks(installation: &Installation, span: Duration) -> usize {
    let end = installation.now() + span;
    let mut looks = 0;
    loop {
        let work = installation.take_work(10);
        if !work.is_empty() {
            installation.connect(&work);
            looks += 1;
            continue;
        }
        let next = installation.cloud.world.borrow_mut().again.pop();
        let Some((_, again, after)) = next.filter(|_| installation.now() < end) else { return looks };
        installation.clock.advance(after);
        installation.take_in(&[serde_json::to_string(&again).unwrap()]);
    }
}

#[test]
fn a_store_of_another_vpc_that_cannot_be_read_yet_has_nothing_here_looked_at_again() {
    for (of, again) in [("1", true), ("2", false)] {
        let installation = Installation::new(|world| {
            world.store("orders", &vpc("1"), Some("orders"));
            world.launch("1", &vpc("1"), Some("orders"));
            world.store("broken", &vpc(of), Some("orders"));
            world.dark.insert(cluster("broken"), ErrorKind::NotReady);
        });
        installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
        assert!(installation.look(|world| world.reaches_soon(&instance("1"), &cluster("orders"))), "{of}");
        assert_eq!(looks(&installation, Duration::from_hours(1)) > 0, again, "the broken store is in vpc-{of}");
        let left: BTreeSet<StoreArn> = [cluster("broken")].into();
        installation.change(|world| world.dark.retain(|store, _| !left.contains(store)));
        installation.recovers();
    }
}
