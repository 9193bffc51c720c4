//! What is not there or not ready yet.

use std::time::Duration;

use tagwire_core::{
    model::Membership,
    work::{GIVE_UP_AFTER, Tries},
};
use tagwire_engine::cloud::EventQueue;

use crate::{
    installation::{Installation, start},
    simulated::{World, cluster, instance, sg, vpc},
};

fn installation() -> Installation {
    Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
    })
}

/// Takes the one message that asks for another look, waits, and hands it in.
fn next_look(installation: &Installation) -> (EventQueue, Duration) {
    let sent = std::mem::take(&mut installation.cloud.world.borrow_mut().again);
    let [(line, again, delay)] = sent.as_slice() else { panic!("not one message: {sent:#?}") };
    installation.clock.advance(*delay);
    installation.take_in(&[serde_json::to_string(again).unwrap()]);
    (*line, *delay)
}

#[test]
fn a_store_that_takes_no_change_holds_back_only_its_own_call() {
    let installation = installation();
    installation.change(|world| world.set_state(&cluster("orders"), "modifying"));
    installation.take_in(&[installation.pending(&instance("1"))]);
    let ran = installation.connect_sent();
    assert_eq!((ran.count("set_interface_groups"), ran.count("set_store_groups")), (1, 0));
    assert!(ran.codes("decision").contains(&"not-available"));
    assert_eq!(ran.codes("outcome"), ["will-retry"]);

    let mut delays = Vec::new();
    for _ in 0..4 {
        let (line, delay) = next_look(&installation);
        assert_eq!(line, EventQueue::Stores);
        delays.push(delay.as_secs());
        let ran = installation.connect_sent();
        assert_eq!(ran.writes(), 0);
    }
    assert_eq!(delays, [5, 10, 20, 40]);

    installation.change(|world| world.set_state(&cluster("orders"), "available"));
    installation.drain();
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    installation.assert_converged();
}

#[test]
fn a_list_that_is_changing_is_not_written() {
    let installation = installation();
    installation.change(|world| {
        world.other_writer_attaches(cluster("orders").as_str(), &sg("audit"));
        let store = world.stores.get_mut(&cluster("orders")).unwrap();
        store.groups.insert(sg("audit"), Membership::Adding);
    });
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!((ran.count("set_interface_groups"), ran.count("set_store_groups")), (1, 0));
    assert!(ran.codes("decision").contains(&"list-changing"));
    let (line, _) = next_look(&installation);
    assert_eq!(line, EventQueue::Stores);
    installation.change(World::lists_settle);
    installation.drain();
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    installation.assert_converged();
}

#[test]
fn a_store_that_never_becomes_ready_is_given_up_and_left_to_the_sweep() {
    let installation = installation();
    installation.change(|world| world.set_state(&cluster("orders"), "modifying"));
    let mut item = installation.about_store(&vpc("1"), &cluster("orders"));
    installation.clock.advance(GIVE_UP_AFTER.checked_sub(Duration::from_secs(1)).unwrap());
    assert_eq!(installation.connect(&[item.clone()]).count("send_again"), 1);
    installation.change(|world| world.again.clear());
    installation.clock.advance(Duration::from_secs(1));
    item.tries.attempt = 90;
    let ran = installation.connect(&[item]);
    assert_eq!((ran.codes("outcome"), ran.count("send_again")), (vec!["gave-up"], 0));
    installation.change(|world| world.set_state(&cluster("orders"), "available"));
    installation.recovers();
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
}

#[test]
fn a_store_that_is_being_created_is_joined_as_soon_as_it_listens() {
    let installation = installation();
    installation.change(|world| {
        let store = world.stores.get_mut(&cluster("orders")).unwrap();
        store.ports = None;
        "creating".clone_into(&mut store.state);
    });
    let ran = installation.take_in(&[installation.created(&cluster("orders"))]);
    assert_eq!((ran.count("send_work"), ran.codes("outcome")), (0, vec!["will-retry"]));
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!((ran.writes(), ran.codes("outcome")), (0, vec!["will-retry"]));
    installation.change(|world| {
        let store = world.stores.get_mut(&cluster("orders")).unwrap();
        store.ports = tagwire_core::rule::PortRange::single(5432);
        "available".clone_into(&mut store.state);
    });
    installation.drain();
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    installation.assert_converged();
}

#[test]
fn a_store_on_its_way_out_is_not_waited_for() {
    let installation = installation();
    installation.change(|world| world.set_state(&cluster("orders"), "deleting"));
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
    assert!(ran.codes("decision").contains(&"not-available"));
    assert_eq!((ran.writes(), ran.count("send_again"), ran.codes("outcome")), (0, 0, vec!["unchanged"]));
    installation.assert_converged();
}

#[test]
fn an_instance_that_shows_late_is_asked_for_again() {
    let installation = installation();
    installation.change(|world| {
        world.unseen.insert(instance("1"));
    });
    let ran = installation.take_in(&[installation.pending(&instance("1"))]);
    assert_eq!(ran.codes("outcome"), ["will-retry"]);
    let (line, delay) = next_look(&installation);
    assert_eq!((line, delay), (EventQueue::Instances, Duration::from_secs(5)));
    installation.change(|world| world.unseen.clear());
    installation.drain();
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    installation.assert_converged();
}

#[test]
fn an_instance_that_never_shows_is_gone_after_five_minutes() {
    let installation = installation();
    installation.change(|world| {
        world.unseen.insert(instance("1"));
    });
    installation.take_in(&[installation.pending(&instance("1"))]);
    let mut looks = 0;
    while !installation.look(|world| world.again.is_empty()) {
        next_look(&installation);
        looks += 1;
    }
    assert_eq!(looks, 6);
    assert!(installation.now() >= start() + Duration::from_mins(5));
    assert!(installation.look(|world| world.work.is_empty()));
    installation.change(|world| world.unseen.clear());
    installation.recovers();
}

#[test]
fn an_old_event_about_an_instance_that_is_not_there_ends_at_once() {
    let installation = installation();
    installation.change(|world| {
        world.unseen.insert(instance("1"));
    });
    let event = installation.pending(&instance("1"));
    installation.clock.advance(Duration::from_mins(5));
    let ran = installation.take_in(&[event]);
    assert_eq!((ran.codes("outcome"), ran.count("instances"), ran.count("send_again")), (vec!["instance-gone"], 1, 0));
    installation.change(|world| world.unseen.clear());
    installation.recovers();
}

#[test]
fn an_event_from_the_future_is_one_of_now() {
    let installation = installation();
    installation.change(|world| {
        world.unseen.insert(instance("1"));
    });
    let event = installation.pending(&instance("1")).replace("2026-11-22", "2126-11-22");
    installation.take_in(&[event]);
    assert_eq!(installation.look(|world| world.again[0].1.tries), Tries { attempt: 1, since: start() });
    installation.change(|world| world.unseen.clear());
    installation.drain();
    installation.assert_converged();
}

#[test]
fn an_instance_that_connect_cannot_see_is_asked_for_again() {
    let installation = installation();
    let item = installation.about_instance(&vpc("1"), &instance("1"));
    installation.change(|world| {
        world.unseen.insert(instance("1"));
    });
    let ran = installation.connect(std::slice::from_ref(&item));
    assert_eq!((ran.writes(), ran.codes("outcome")), (0, vec!["will-retry"]));
    assert_eq!(installation.look(|world| world.again[0].0), EventQueue::Instances);
    installation.change(|world| world.again.clear());
    installation.clock.advance(Duration::from_mins(5));
    let ran = installation.connect(&[item]);
    assert_eq!((ran.count("send_again"), ran.codes("outcome")), (0, vec!["unchanged"]));
    installation.change(|world| world.unseen.clear());
    installation.recovers();
}

#[test]
fn an_instance_that_is_shutting_down_ends_at_once() {
    let installation = installation();
    installation.change(|world| {
        world.they_detach("eni-1", &sg("web"));
        world.instances.get_mut(&instance("1")).unwrap().interface = None;
    });
    let ran = installation.take_in(&[installation.pending(&instance("1"))]);
    assert_eq!((ran.codes("outcome"), ran.calls.len()), (vec!["instance-gone"], 1));
    installation.assert_converged();
}
