//! Batches are merged, and what travels together does not spoil each other.

use std::time::Duration;

use tagwire_core::{
    observation::Scope,
    work::{Again, Cause, Tries, VERSION},
};

use crate::{
    installation::Installation,
    simulated::{World, cluster, instance, vpc},
};

#[test]
fn ten_launches_in_one_batch_are_one_work_item_for_each_vpc() {
    let installation = Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        for number in 0..10 {
            let of = vpc(if number < 7 { "1" } else { "2" });
            world.launch(&number.to_string(), &of, Some("orders"));
        }
    });
    let events: Vec<String> = (0..10).map(|number| installation.pending(&instance(&number.to_string()))).collect();
    let ran = installation.take_in(&events);
    assert_eq!((ran.reads(), ran.count("send_work")), (1, 2));
    let sizes: Vec<usize> = installation.look(|world| {
        let scopes = world.work.iter().map(|item| item.scope.clone());
        scopes
            .map(|scope| (0..10).filter(|number| scope.has_instance(&instance(&number.to_string()))).count())
            .collect()
    });
    assert_eq!(sizes, [7, 3]);
    let ran = installation.connect_sent();
    assert_eq!(ran.count("candidates"), 2, "one observation for each VPC");
    assert_eq!(ran.count("set_interface_groups"), 7);
    installation.assert_converged();
}

#[test]
fn a_batch_of_work_merges_its_scopes_by_vpc() {
    let installation = Installation::new(|world| {
        for of in ["1", "2"] {
            world.store(&format!("orders{of}"), &vpc(of), Some("orders"));
            for number in 0..5 {
                world.launch(&format!("{of}{number}"), &vpc(of), Some("orders"));
            }
        }
    });
    let items: Vec<_> = ["1", "2"]
        .iter()
        .flat_map(|of| (0..5).map(move |number| (vpc(of), instance(&format!("{of}{number}")))))
        .map(|(vpc, instance)| installation.about_instance(&vpc, &instance))
        .collect();
    let ran = installation.connect(&items);
    assert_eq!(ran.count("candidates"), 2, "one observation for each VPC, however many items");
    assert_eq!(ran.count("create_group"), 4);
    assert_eq!(ran.count("set_interface_groups"), 10);
    assert_eq!(ran.codes("outcome"), ["changed"; 10], "every message has its outcome");
    installation.assert_converged();
}

#[test]
fn a_fresh_launch_is_not_given_up_with_old_work_of_its_batch() {
    let installation = Installation::new(|world| {
        let store = world.store("orders", &vpc("1"), Some("orders"));
        world.set_state(&store, "creating");
        world.stores.get_mut(&store).unwrap().ports = None;
        world.launch("1", &vpc("1"), Some("orders"));
        world.launch("2", &vpc("1"), Some("orders"));
    });
    let mut old = installation.about_instance(&vpc("1"), &instance("1"));
    old.tries = Tries { attempt: 100, since: installation.now() - Duration::from_hours(25) };
    let fresh = installation.about_instance(&vpc("1"), &instance("2"));

    let alone = installation.connect(&[old.clone()]);
    assert_eq!(alone.codes("outcome"), ["gave-up"], "alone the old work is given up");
    installation.connect(&[old, fresh]);
    let sent = installation.look(|world| world.again.clone());
    let [(_, again, delay)] = sent.as_slice() else { panic!("not looked at again: {sent:#?}") };
    assert_eq!((again.tries.since, *delay), (installation.now(), Duration::from_secs(5)));

    installation.change(|world| {
        world.set_state(&cluster("orders"), "available");
        world.stores.get_mut(&cluster("orders")).unwrap().ports = tagwire_core::rule::PortRange::single(5432);
    });
    installation.drain();
    assert!(installation.look(|world| world.reaches(&instance("2"), &cluster("orders"))));
    installation.assert_converged();
}

#[test]
fn a_launch_that_cannot_be_seen_yet_does_not_inherit_the_age_of_another() {
    let installation = Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("new", &vpc("1"), Some("orders"));
        world.launch("other", &vpc("1"), Some("orders"));
        world.unseen.extend([instance("new"), instance("other")]);
    });
    let old = Again {
        version: VERSION,
        hints: [tagwire_core::event::Hint::Instance(instance("other"))].into(),
        cause: Cause::InstanceState,
        tries: Tries { attempt: 5, since: installation.now() - Duration::from_secs(299) },
    };
    let ran = installation.take_in(&[serde_json::to_string(&old).unwrap(), installation.pending(&instance("new"))]);
    assert_eq!(ran.codes("outcome"), ["will-retry"; 2]);
    let sent = installation.look(|world| world.again.clone());
    let fresh =
        sent.iter().find(|(_, again, _)| again.hints.contains(&tagwire_core::event::Hint::Instance(instance("new"))));
    let (_, fresh, delay) = fresh.unwrap();
    assert_eq!((fresh.tries.since, *delay), (installation.now(), Duration::from_secs(5)), "{sent:#?}");
    installation.change(|world| world.unseen.clear());
    installation.drain();
    installation.assert_converged();
}

#[test]
fn work_that_meets_a_sweep_in_its_batch_is_still_looked_at_again() {
    let installation = Installation::new(|world| {
        let store = world.store("orders", &vpc("1"), Some("orders"));
        world.set_state(&store, "modifying");
        world.launch("1", &vpc("1"), Some("orders"));
    });
    let work = [installation.about_instance(&vpc("1"), &instance("1")), installation.whole(&vpc("1"))];
    let ran = installation.connect(&work);
    assert_eq!(ran.count("send_again"), 1, "{:#?}", ran.log);
    installation.change(|world| {
        world.lists_settle();
        world.set_state(&cluster("orders"), "available");
    });
    installation.drain();
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    installation.assert_converged();
}

#[test]
fn a_sweep_alone_leaves_what_it_cannot_settle_to_the_next() {
    let installation = Installation::new(|world| {
        let store = world.store("orders", &vpc("1"), Some("orders"));
        world.set_state(&store, "modifying");
        world.launch("1", &vpc("1"), Some("orders"));
    });
    let ran = installation.connect(&[installation.item(&vpc("1"), Scope::Vpc)]);
    assert_eq!((ran.count("set_interface_groups"), ran.count("send_again")), (1, 0));
    installation.change(|world| {
        World::lists_settle(world);
        world.set_state(&cluster("orders"), "available");
    });
    installation.recovers();
}
