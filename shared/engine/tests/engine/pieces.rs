//! Work that does not fit into one run goes on in the next, and nobody waits behind it.

use std::time::Duration;

use tagwire_core::{observation::Scope, work::WorkItem};
use tagwire_engine::{cloud::ErrorKind, handlers::Failed};

use crate::{
    simulated::{Fault, World, cluster, instance, vpc},
    site::{Ran, Site},
};

fn fleet(size: usize) -> Site {
    Site::new(|world| {
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
fn run_one_by_one(site: &Site, mut each: impl FnMut(&Site, usize, &Ran<Failed>)) -> usize {
    let mut runs = 0;
    loop {
        let next = site.look(|world| world.work.first().cloned());
        let Some(item) = next else { return runs };
        site.change(|world| {
            world.work.remove(0);
            world.lists_settle();
        });
        let begun = site.now();
        let ran = site.connect(&[item]);
        assert!(site.now() <= begun + site.budget.get(), "it took {:?}", site.now().duration_since(begun));
        assert_eq!(ran.returned, Some(Failed::new()));
        runs += 1;
        assert!(runs < 60, "it never ends");
        each(site, runs, &ran);
    }
}

fn settled(site: &Site) {
    site.change(|world| {
        world.latency = Duration::ZERO;
        world.lists_settle();
    });
    site.is_at_rest();
}

#[test]
fn three_hundred_attachments_are_made_in_several_runs_without_a_sweep_in_between() {
    let site = fleet(300);
    site.sweep();
    let mut left = Vec::new();
    let runs = run_one_by_one(&site, |site, _, ran| {
        let now =
            site.look(|world| 300 - world.instances.keys().filter(|id| world.reaches(id, &cluster("orders"))).count());
        assert!(["goes-on", "changed"].contains(&ran.codes("outcome")[0]), "{:?}", ran.codes("outcome"));
        left.push(now);
    });
    assert!((2..10).contains(&runs), "{runs} runs");
    assert!(left.is_sorted_by(|before, after| before > after || *before == 300), "each got further: {left:?}");
    assert_eq!(site.look(connected), 300);
    settled(&site);
}

#[test]
fn the_number_of_calls_grows_with_the_number_of_instances_and_no_faster() {
    let calls = |size: usize| {
        let site = fleet(size);
        site.sweep();
        run_one_by_one(&site, |_, _, _| {});
        let calls = site.look(|world| world.calls.len());
        settled(&site);
        assert_eq!(site.look(connected), size);
        calls
    };
    let (small, middle, large) = (calls(100), calls(200), calls(400));
    assert!(middle <= 2 * small, "{small}, {middle}, {large}");
    assert!(large <= 2 * middle, "{small}, {middle}, {large}");
}

#[test]
fn removals_that_need_no_counting_go_on_in_the_next_run_too() {
    let site = fleet(200);
    site.change(|world| world.latency = Duration::ZERO);
    site.swept();
    site.change(|world| {
        world.latency = Duration::from_millis(300);
        world.delete_store("orders");
    });
    site.sweep();
    let runs = run_one_by_one(&site, |_, _, _| {});
    assert!(runs > 1);
    assert!(site.look(|world| world.ours().is_empty()));
    settled(&site);
}

#[test]
fn the_pairs_of_sixty_deleted_stores_go_in_several_runs_without_a_sweep_in_between() {
    let site = Site::new(|world| {
        for number in 0..60 {
            world.store(&format!("s{number}"), &vpc("1"), Some(&format!("n{number}")));
        }
        world.launch("1", &vpc("1"), Some("n0 n1"));
        for number in 0..60 {
            world.launch(&format!("1{number:02}"), &vpc("1"), Some(&format!("n{number}")));
        }
    });
    site.budget.set(Duration::from_mins(10));
    site.swept();
    assert_eq!(site.look(|world| world.ours().len()), 120);
    site.budget.set(Duration::from_secs(40));
    site.change(|world| {
        (0..60).for_each(|number| world.delete_store(&format!("s{number}")));
        world.latency = Duration::from_millis(300);
    });
    site.sweep();
    let mut codes = Vec::new();
    let runs = run_one_by_one(&site, |_, _, ran| codes.extend(ran.codes("outcome").into_iter().map(str::to_owned)));
    assert!(runs > 1, "{codes:?}");
    assert_eq!(codes.pop().as_deref(), Some("changed"));
    assert!(codes.iter().all(|code| code == "goes-on"), "{codes:?}");
    assert!(site.look(|world| world.ours().is_empty()));
    settled(&site);
}

#[test]
fn what_makes_no_progress_is_left_to_the_next_sweep() {
    let site = fleet(60);
    site.change(|world| world.latency = Duration::ZERO);
    site.swept();
    site.change(|world| {
        for number in 60..160 {
            world.launch(&number.to_string(), &vpc("1"), Some("orders"));
        }
        world.latency = Duration::from_secs(10);
        let fault = Fault::Fails { kind: ErrorKind::Unavailable, with_effect: false };
        world.fail_next("set_interface_groups", usize::MAX - 10_000, fault);
    });
    let ran = site.connect(&[site.whole(&vpc("1"))]);
    assert!(ran.count("set_interface_groups") > 0);
    assert_eq!((ran.codes("outcome"), ran.count("send_work")), (vec!["left-to-sweep"], 0));
    site.change(|world| {
        world.heal();
        world.latency = Duration::ZERO;
    });
    site.next_sweep();
    assert_eq!(site.look(connected), 160);
    settled(&site);
}

#[test]
fn a_launch_that_comes_while_a_sweep_goes_on_does_not_wait_for_its_end() {
    let site = fleet(300);
    // It sorts behind all that the sweep finds.
    let late = instance("zzz");
    site.sweep();
    let mut connected_after = None;
    run_one_by_one(&site, |site, runs, ran| {
        if runs == 1 {
            assert_eq!(ran.codes("outcome"), ["goes-on"]);
            site.change(|world| {
                world.launch("zzz", &vpc("1"), Some("orders"));
                // The queue keeps the order in which messages arrive, and the launch was there first.
                let continuation = world.work.pop().unwrap();
                assert_eq!(continuation.scope, Scope::Vpc);
                let launch = WorkItem { scope: Scope::of_instances([instance("zzz")].into()), ..continuation.clone() };
                world.work.extend([launch, continuation]);
            });
        }
        if connected_after.is_none() && runs > 1 && site.look(|world| world.reaches(&late, &cluster("orders"))) {
            connected_after = Some((runs, site.look(connected)));
        }
    });
    let (runs, meanwhile) = connected_after.unwrap();
    assert_eq!(runs, 2);
    assert!(meanwhile < 301, "the sweep was over already");
    settled(&site);
}

#[test]
fn a_launch_in_the_same_batch_as_a_sweep_goes_first() {
    let site = fleet(300);
    site.change(|world| {
        world.launch("zzz", &vpc("1"), Some("orders"));
    });
    // Behind the sweep in the queue, and far behind everything else in the order of ids.
    let work = [site.whole(&vpc("1")), site.about_instance(&vpc("1"), &instance("zzz"))];
    let ran = site.connect(&work);
    assert_eq!(ran.codes("outcome"), ["changed", "goes-on"]);
    site.change(World::lists_settle);
    assert!(site.look(|world| world.reaches(&instance("zzz"), &cluster("orders"))));
    assert!(site.look(connected) < 301);
    run_one_by_one(&site, |_, _, _| {});
    assert_eq!(site.look(connected), 301);
    settled(&site);
}

#[test]
fn what_is_left_of_an_event_goes_on_as_what_it_was() {
    let site = fleet(200);
    let store = cluster("orders");
    site.take_in(&[site.created(&store)]);
    let mut scopes = Vec::new();
    run_one_by_one(&site, |site, _, _| {
        scopes.extend(site.look(|world| world.work.first().map(|item| item.scope.clone())));
    });
    assert!(!scopes.is_empty());
    assert!(scopes.iter().all(|scope| *scope == Scope::of_stores([store.clone()].into())));
    assert_eq!(site.look(connected), 200);
    settled(&site);
}
