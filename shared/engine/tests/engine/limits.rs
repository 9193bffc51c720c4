//! Pacing, retries within a run, and the time a function has.

use std::{collections::BTreeMap, time::Duration};

use tagwire_engine::cloud::ErrorKind;

use crate::{
    installation::Installation,
    simulated::{Call, Fault, When, cluster, instance, vpc},
};

fn installation() -> Installation {
    Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
    })
}

/// One VPC with so many stores, each with an instance.
fn many(stores: usize) -> Installation {
    Installation::new(|world| {
        for number in 0..stores {
            world.store(&format!("store{number}"), &vpc("1"), Some(&format!("name{number}")));
            world.launch(&number.to_string(), &vpc("1"), Some(&format!("name{number}")));
        }
    })
}

/// No window of time holds more calls than the bucket and what flowed into it meanwhile.
fn holds(calls: &[Call], name: &str, burst: f64, refill: f64) {
    let times: Vec<_> = calls.iter().filter(|call| call.name == name).map(|call| call.at).collect();
    assert!(!times.is_empty(), "no call of {name}");
    for (first, start) in times.iter().enumerate() {
        let mut count = 0.0;
        for end in &times[first..] {
            count += 1.0;
            let flowed = Duration::try_from(end.duration_since(*start)).unwrap().as_secs_f64() * refill;
            assert!(count <= burst + flowed + 1e-6, "{count} calls of {name} in {flowed} and {burst}");
        }
    }
}

#[test]
fn a_burst_of_sixty_groups_stays_within_the_buckets() {
    let installation = many(30);
    installation.budget.set(Duration::from_mins(10));
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert_eq!((ran.count("create_group"), ran.codes("outcome")), (60, vec!["changed"]));
    holds(&ran.calls, "create_group", 25.0, 2.5);
    holds(&ran.calls, "set_store_groups", 10.0, 1.0);
    holds(&ran.calls, "set_interface_groups", 50.0, 2.5);
    installation.assert_converged();
}

#[test]
fn calls_made_again_are_paced_like_all_others() {
    let installation = many(20);
    installation.budget.set(Duration::from_mins(10));
    installation.change(|world| {
        let fault = Fault::Fails { kind: ErrorKind::Throttled, with_effect: false };
        world.fail(When::Named { name: "create_group", after: 0, times: 40 }, fault);
    });
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert!(ran.count("create_group") >= 80);
    holds(&ran.calls, "create_group", 25.0, 2.5);
    installation.recovers();
}

#[test]
fn the_buckets_outlive_an_invocation() {
    let installation = many(20);
    installation.budget.set(Duration::from_mins(10));
    let before = installation.now();
    let mut calls = Vec::new();
    for number in 0..20 {
        let ran = installation.connect(&[installation.about_store(&vpc("1"), &cluster(&format!("store{number}")))]);
        calls.extend(ran.calls);
    }
    holds(&calls, "create_group", 25.0, 2.5);
    assert!(installation.now() > before);
    installation.assert_converged();
}

#[test]
fn a_call_that_is_throttled_once_is_made_again_within_the_run() {
    for name in [
        "instances",
        "groups",
        "stores",
        "create_group",
        "authorize",
        "revoke",
        "set_interface_groups",
        "set_store_groups",
    ] {
        let installation = installation();
        installation.change(|world| {
            let fault = Fault::Fails { kind: ErrorKind::Throttled, with_effect: false };
            world.fail(When::Named { name, after: 0, times: 1 }, fault);
        });
        let start = installation.now();
        let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
        assert_eq!((ran.codes("outcome"), ran.count("send_again")), (vec!["changed"], 0), "{name}");
        assert_eq!(installation.now(), start + Duration::from_millis(200), "{name}");
        installation.assert_converged();
    }
}

#[test]
fn nothing_sleeps_beyond_the_deadline() {
    let faults: [(&str, ErrorKind); 4] = [
        ("groups", ErrorKind::Throttled),
        ("create_group", ErrorKind::Unavailable),
        ("set_store_groups", ErrorKind::Throttled),
        ("instances", ErrorKind::Unavailable),
    ];
    for (name, kind) in faults {
        let installation = installation();
        installation.budget.set(Duration::from_millis(16_500));
        installation.change(|world| {
            let fault = Fault::Fails { kind, with_effect: false };
            world.fail(When::Named { name, after: 0, times: usize::MAX }, fault);
        });
        let end = installation.now() + installation.budget.get();
        let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
        assert!(ran.count(name) > 1);
        assert!(installation.clock.longest_reach() <= end, "{name}: slept to {}", installation.clock.longest_reach());
        installation.recovers();
    }
}

#[test]
fn waiting_for_a_new_group_ends_at_the_deadline() {
    let installation = installation();
    installation.budget.set(Duration::from_millis(5500));
    installation.change(|world| world.groups_hidden_for = 100);
    let item = installation.about_instance(&vpc("1"), &instance("1"));
    let ran = installation.connect(std::slice::from_ref(&item));
    assert_eq!((ran.codes("outcome"), ran.count("create_group")), (vec!["goes-on"], 2));
    installation.change(|world| world.work.clear());
    // The groups are there and cannot be read: with no more to show than that, it does not go round.
    let end = installation.now() + installation.budget.get();
    let ran = installation.connect(&[item]);
    assert!(ran.count("groups") > 3);
    assert_eq!(ran.codes("outcome"), ["will-retry"]);
    assert!(installation.clock.longest_reach() <= end, "slept to {}", installation.clock.longest_reach());
    installation.change(|world| world.groups.values_mut().for_each(|there| there.hidden = 0));
    installation.budget.set(Duration::from_mins(1));
    installation.drain();
    assert_eq!(installation.look(|world| world.ours().len()), 2);
    installation.assert_converged();
}

#[test]
fn work_that_no_time_is_left_for_is_delivered_again() {
    let installation = Installation::new(|world| {
        for of in ["1", "2", "3"] {
            world.store(&format!("orders{of}"), &vpc(of), Some("orders"));
            world.launch(of, &vpc(of), Some("orders"));
        }
        // Every call takes its time, so that the first VPC leaves too little for the others.
        world.latency = Duration::from_millis(200);
    });
    installation.budget.set(Duration::from_secs(6));
    let items: Vec<_> = ["1", "2", "3"].iter().map(|of| installation.about_instance(&vpc(of), &instance(of))).collect();
    let ran = installation.connect(&items);
    assert_eq!(ran.returned, Some(["m1".to_owned(), "m2".to_owned()].into()));
    assert_eq!(ran.calls.iter().filter(|call| call.name == "candidates").count(), 1);
    installation.change(|world| world.latency = Duration::ZERO);
    assert_eq!(ran.codes("outcome"), ["goes-on"], "the first VPC has used its share");
    let ran = installation.connect(&items[1..]);
    assert_eq!(ran.returned, Some([].into()));
    installation.budget.set(Duration::from_mins(1));
    installation.drain();
    installation.assert_converged();
}

#[test]
fn the_same_world_gives_the_same_run() {
    let runs: Vec<BTreeMap<usize, Call>> = (0..2)
        .map(|_| {
            let installation = many(8);
            installation.take_in(
                &(0..8).map(|number| installation.pending(&instance(&number.to_string()))).collect::<Vec<_>>(),
            );
            installation.drain();
            installation.assert_converged();
            installation.look(|world| world.calls.iter().cloned().enumerate().collect())
        })
        .collect();
    assert_eq!(runs[0], runs[1]);
}
