//! Work that does not fit into one run goes on in the next, and nobody waits behind it.

use std::time::Duration;

use tagwire_core::{observation::Scope, work::WorkItem};
use tagwire_engine::{cloud::ErrorKind, handlers::Failed};

use crate::{
    installation::{Installation, Ran},
    simulated::{Fault, World, cluster, instance, vpc},
};

fn fleet(size: usize) -> Installation {
    Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        for number in 0..size {
            world.launch(&format!("{number:03}"), &vpc("1"), Some("orders"));
        }
        world.latency = Duration::from_millis(300);
    })
}

fn connected(world: &World) -> usize {
    world.instances.keys().filter(|id| world.reaches(id, &cluster("orders"))).count()
}

/// Runs `connect` on one message after the other until none is left.
fn run_one_by_one(installation: &Installation, mut each: impl FnMut(&Installation, usize, &Ran<Failed>)) -> usize {
    let mut runs = 0;
    loop {
        let next = installation.look(|world| world.work.first().cloned());
        let Some(item) = next else { return runs };
        installation.change(|world| {
            world.work.remove(0);
            world.lists_settle();
        });
        let begun = installation.now();
        let ran = installation.connect(&[item]);
        assert!(
            installation.now() <= begun + installation.budget.get(),
            "it took {:?}",
            installation.now().duration_since(begun)
        );
        assert_eq!(ran.returned, Some(Failed::new()));
        runs += 1;
        assert!(runs < 60, "it never ends");
        each(installation, runs, &ran);
    }
}

fn settled(installation: &Installation) {
    installation.change(|world| {
        world.latency = Duration::ZERO;
        world.lists_settle();
    });
    installation.assert_converged();
}

#[test]
fn three_hundred_attachments_are_made_in_several_runs_without_a_sweep_in_between() {
    let installation = fleet(300);
    installation.sweep();
    let mut left = Vec::new();
    let runs = run_one_by_one(&installation, |installation, _, ran| {
        let now = installation
            .look(|world| 300 - world.instances.keys().filter(|id| world.reaches(id, &cluster("orders"))).count());
        assert!(["goes-on", "changed"].contains(&ran.codes("outcome")[0]), "{:?}", ran.codes("outcome"));
        left.push(now);
    });
    assert!((2..10).contains(&runs), "{runs} runs");
    assert!(left.is_sorted_by(|before, after| before > after || *before == 300), "each got further: {left:?}");
    assert_eq!(installation.look(connected), 300);
    settled(&installation);
}

#[test]
fn the_number_of_calls_grows_with_the_number_of_instances_and_no_faster() {
    let calls = |size: usize| {
        let installation = fleet(size);
        installation.sweep();
        run_one_by_one(&installation, |_, _, _| {});
        let calls = installation.look(|world| world.calls.len());
        settled(&installation);
        assert_eq!(installation.look(connected), size);
        calls
    };
    let (small, middle, large) = (calls(100), calls(200), calls(400));
    assert!(middle <= 2 * small, "{small}, {middle}, {large}");
    assert!(large <= 2 * middle, "{small}, {middle}, {large}");
}

#[test]
fn removals_that_need_no_counting_go_on_in_the_next_run_too() {
    let installation = fleet(200);
    installation.change(|world| world.latency = Duration::ZERO);
    installation.swept();
    installation.change(|world| {
        world.latency = Duration::from_millis(300);
        world.delete_store("orders");
    });
    installation.sweep();
    let runs = run_one_by_one(&installation, |_, _, _| {});
    assert!(runs > 1);
    assert!(installation.look(|world| world.ours().is_empty()));
    settled(&installation);
}

#[test]
fn the_pairs_of_sixty_deleted_stores_go_in_several_runs_without_a_sweep_in_between() {
    let installation = Installation::new(|world| {
        for number in 0..60 {
            world.store(&format!("s{number}"), &vpc("1"), Some(&format!("n{number}")));
        }
        world.launch("1", &vpc("1"), Some("n0 n1"));
        for number in 0..60 {
            world.launch(&format!("1{number:02}"), &vpc("1"), Some(&format!("n{number}")));
        }
    });
    installation.budget.set(Duration::from_mins(10));
    installation.swept();
    assert_eq!(installation.look(|world| world.ours().len()), 120);
    installation.budget.set(Duration::from_secs(40));
    installation.change(|world| {
        (0..60).for_each(|number| world.delete_store(&format!("s{number}")));
        world.latency = Duration::from_millis(300);
    });
    installation.sweep();
    let mut codes = Vec::new();
    let runs =
        run_one_by_one(&installation, |_, _, ran| codes.extend(ran.codes("outcome").into_iter().map(str::to_owned)));
    assert!(runs > 1, "{codes:?}");
    assert_eq!(codes.pop().as_deref(), Some("changed"));
    assert!(codes.iter().all(|code| code == "goes-on"), "{codes:?}");
    assert!(installation.look(|world| world.ours().is_empty()));
    settled(&installation);
}

#[test]
fn what_makes_no_progress_is_left_to_the_next_sweep() {
    let installation = fleet(60);
    installation.change(|world| world.latency = Duration::ZERO);
    installation.swept();
    installation.change(|world| {
        for number in 60..160 {
            world.launch(&number.to_string(), &vpc("1"), Some("orders"));
        }
        world.latency = Duration::from_secs(10);
        let fault = Fault::Fails { kind: ErrorKind::Unavailable, with_effect: false };
        world.fail_next("set_interface_groups", usize::MAX - 10_000, fault);
    });
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert!(ran.count("set_interface_groups") > 0);
    assert_eq!((ran.codes("outcome"), ran.count("send_work")), (vec!["left-to-sweep"], 0));
    installation.change(|world| {
        world.heal();
        world.latency = Duration::ZERO;
    });
    installation.next_sweep();
    assert_eq!(installation.look(connected), 160);
    settled(&installation);
}

#[test]
fn a_launch_that_comes_while_a_sweep_goes_on_does_not_wait_for_its_end() {
    let installation = fleet(300);
    // It sorts behind all that the sweep finds.
    let late = instance("zzz");
    installation.sweep();
    let mut connected_after = None;
    run_one_by_one(&installation, |installation, runs, ran| {
        if runs == 1 {
            assert_eq!(ran.codes("outcome"), ["goes-on"]);
            installation.change(|world| {
                world.launch("zzz", &vpc("1"), Some("orders"));
                // The queue keeps the order in which messages arrive, and the launch was there first.
                let continuation = world.work.pop().unwrap();
                assert_eq!(continuation.scope, Scope::Vpc);
                let launch = WorkItem { scope: Scope::of_instances([instance("zzz")].into()), ..continuation.clone() };
                world.work.extend([launch, continuation]);
            });
        }
        if connected_after.is_none() && runs > 1 && installation.look(|world| world.reaches(&late, &cluster("orders")))
        {
            connected_after = Some((runs, installation.look(connected)));
        }
    });
    let (runs, meanwhile) = connected_after.unwrap();
    assert_eq!(runs, 2);
    assert!(meanwhile < 301, "the sweep was over already");
    settled(&installation);
}

#[test]
fn a_launch_in_the_same_batch_as_a_sweep_goes_first() {
    let installation = fleet(300);
    installation.change(|world| {
        world.launch("zzz", &vpc("1"), Some("orders"));
    });
    // Behind the sweep in the queue, and far behind everything else in the order of ids.
    let work = [installation.whole(&vpc("1")), installation.about_instance(&vpc("1"), &instance("zzz"))];
    let ran = installation.connect(&work);
    assert_eq!(ran.codes("outcome"), ["changed", "goes-on"]);
    installation.change(World::lists_settle);
    assert!(installation.look(|world| world.reaches(&instance("zzz"), &cluster("orders"))));
    assert!(installation.look(connected) < 301);
    run_one_by_one(&installation, |_, _, _| {});
    assert_eq!(installation.look(connected), 301);
    settled(&installation);
}

#[test]
fn what_is_left_of_an_event_goes_on_as_what_it_was() {
    let installation = fleet(200);
    let store = cluster("orders");
    installation.take_in(&[installation.created(&store)]);
    let mut scopes = Vec::new();
    run_one_by_one(&installation, |installation, _, _| {
        scopes.extend(installation.look(|world| world.work.first().map(|item| item.scope.clone())));
    });
    assert!(!scopes.is_empty());
    assert!(scopes.iter().all(|scope| *scope == Scope::of_stores([store.clone()].into())));
    assert_eq!(installation.look(connected), 200);
    settled(&installation);
}

#[test]
fn a_portion_that_only_fails_does_not_hide_the_rest_of_the_plan() {
    for shared in [false, true] {
        let installation = fleet(40);
        installation.change(|world| world.latency = Duration::ZERO);
        installation.swept();
        installation.change(|world| {
            for number in 100..140 {
                world.launch(&number.to_string(), &vpc("1"), Some("orders"));
            }
            world.launch("far", &vpc("2"), Some("nothing"));
            // The first of them in the order of ids, more than one portion.
            world.refused = (100..125).map(|number| format!("eni-{number}")).collect();
        });
        let mut work = vec![installation.whole(&vpc("1"))];
        if shared {
            installation.budget.set(Duration::from_secs(10));
            work.push(installation.whole(&vpc("2")));
        }
        installation.connect(&work);
        installation.drain();
        assert_eq!(installation.look(connected), 55, "shared: {shared}");
        installation.budget.set(Duration::from_mins(1));
        installation.change(|world| world.refused.clear());
        installation.recovers();
        assert_eq!(installation.look(connected), 80);
    }
}

#[test]
fn a_sweep_that_finds_no_time_in_its_batch_goes_on_once_when_it_has_more() {
    let installation = fleet(3);
    installation.change(|world| {
        world.latency = Duration::ZERO;
        world.slow.insert("stores", Duration::from_secs(6));
        for number in 2..=10 {
            world.launch(&format!("far{number}"), &vpc(&number.to_string()), Some("nothing"));
        }
    });
    installation.budget.set(Duration::from_secs(55));
    let work: Vec<_> = (1..=10).map(|number| installation.whole(&vpc(&number.to_string()))).collect();
    let ran = installation.connect(&work);
    assert_eq!(ran.returned, Some(Failed::new()));
    assert_eq!(installation.look(connected), 0, "a call takes longer than the share");
    let runs = run_one_by_one(&installation, |_, _, _| {});
    assert!(runs >= 1);
    installation.change(World::lists_settle);
    assert_eq!(installation.look(connected), 3);
    installation.change(|world| world.slow.clear());
    settled(&installation);
}
