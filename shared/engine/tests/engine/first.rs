//! First connections, and what they cost.

use crate::{
    installation::Installation,
    simulated::{World, vpc},
};

fn names_of_ours(world: &World) -> Vec<String> {
    let mut names: Vec<_> = world.ours().into_values().flatten().map(|group| group.name.clone()).collect();
    names.sort();
    names
}

#[test]
fn a_tagged_launch_reaches_its_store_at_the_known_cost() {
    let installation = Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
    });
    let (instance, store) = (crate::simulated::instance("1"), crate::simulated::cluster("orders"));

    let intake = installation.take_in(&[installation.pending(&instance)]);
    assert_eq!(intake.codes("outcome"), ["work-sent"]);
    assert_eq!((intake.reads(), intake.writes(), intake.count("send_work")), (1, 0, 1));

    let connect = installation.connect_sent();
    assert_eq!(connect.codes("outcome"), ["changed"], "{:#?}", connect.log);
    // The instance, the groups with their records and the tag index at once, then the store, then the state table;
    // the record of a group comes before it.
    let observed: Vec<_> = connect.calls.iter().take_while(|call| !call.writes()).map(|call| call.name).collect();
    assert_eq!(observed, ["instances", "groups", "candidates", "identities", "stores", "vpc_state", "write_notes"]);
    // The two new groups are read once, each list once more right before it is replaced.
    assert_eq!((connect.count("groups"), connect.count("stores"), connect.count("interfaces")), (2, 2, 1));
    assert_eq!(
        [connect.count("create_group"), connect.count("authorize"), connect.count("revoke")],
        [2, 2, 2],
        "{:#?}",
        connect.calls
    );
    assert_eq!((connect.count("set_store_groups"), connect.count("set_interface_groups")), (1, 1));
    assert_eq!((connect.reads(), connect.writes()), (9, 8));
    // Before and after each of the two groups, and at the end.
    assert_eq!((connect.count("reserve_window"), connect.count("write_notes")), (0, 5));

    installation.change(World::lists_settle);
    assert!(installation.look(|world| world.reaches(&instance, &store)));
    assert_eq!(installation.look(names_of_ours), ["ec2-rds-1", "rds-ec2-1"]);
    installation.look(|world| {
        for group in world.ours().into_values().flatten() {
            assert_eq!(group.rules.len(), 1, "the rules a group is born with are gone: {group:#?}");
            assert!(group.is_marked(), "{}", group.description);
        }
    });
    installation.assert_converged();
}

#[test]
fn the_rule_that_groups_are_born_with_where_there_is_ipv6_is_revoked_too() {
    let installation = Installation::new(|world| {
        world.with_ipv6.insert(vpc("1"));
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
    });
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &crate::simulated::instance("1"))]);
    assert_eq!(ran.count("revoke"), 4);
    installation.look(|world| {
        for group in world.ours().into_values().flatten() {
            assert_eq!(group.rules.len(), 1);
        }
    });
    installation.assert_converged();
}

#[test]
fn the_second_launch_costs_one_write() {
    let installation = Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
    });
    installation.connect(&[installation.about_instance(&vpc("1"), &crate::simulated::instance("1"))]);
    installation.change(World::lists_settle);

    let mut instance = crate::simulated::instance("2");
    installation.change(|world| instance = world.launch("2", &vpc("1"), Some("billing orders")));
    installation.take_in(&[installation.pending(&instance)]);
    let ran = installation.connect_sent();
    assert_eq!((ran.reads(), ran.writes(), ran.count("set_interface_groups")), (7, 1, 1), "{:#?}", ran.calls);
    assert!(installation.look(|world| world.reaches(&instance, &crate::simulated::cluster("orders"))));

    let again = installation.connect(&[installation.about_instance(&vpc("1"), &instance)]);
    assert_eq!((again.reads(), again.writes(), again.codes("outcome")), (6, 0, vec!["unchanged"]));
    installation.assert_converged();
}

#[test]
fn a_new_store_reaches_back_to_the_instances_that_wait_for_it() {
    let installation = Installation::new(|world| {
        for word in ["1", "2", "3"] {
            world.launch(word, &vpc("1"), Some("orders"));
        }
        world.launch("4", &vpc("1"), Some("orders-archive"));
    });
    let mut store = crate::simulated::cluster("orders");
    installation.change(|world| {
        store = world.store("orders", &vpc("1"), Some("orders"));
        // The index learns of tags late; a store's own event does not need it.
        world.index.clear();
    });
    let intake = installation.take_in(&[installation.created(&store)]);
    assert_eq!((intake.reads(), intake.count("stores")), (1, 1));
    let ran = installation.connect_sent();
    assert_eq!((ran.count("set_interface_groups"), ran.count("set_store_groups")), (3, 1));
    assert_eq!(ran.count("candidates"), 0);
    installation.change(World::lists_settle);
    installation.look(|world| {
        for word in ["1", "2", "3"] {
            assert!(world.reaches(&crate::simulated::instance(word), &store));
        }
        assert!(!world.reaches(&crate::simulated::instance("4"), &store));
    });
    installation.assert_converged();
}

#[test]
fn ten_untagged_launches_cost_one_call_and_no_message() {
    let installation = Installation::new(|world| {
        for number in 0..10 {
            world.launch(&number.to_string(), &vpc("1"), None);
        }
    });
    let events: Vec<String> =
        (0..10).map(|number| installation.pending(&crate::simulated::instance(&number.to_string()))).collect();
    let ran = installation.take_in(&events);
    assert_eq!(ran.calls.len(), 1, "{:#?}", ran.calls);
    assert_eq!(ran.codes("outcome"), ["not-opted-in"; 10]);
    installation.assert_converged();
}

#[test]
fn what_the_index_says_and_the_store_does_not_connects_nothing() {
    let installation = Installation::new(|world| {
        let store = world.store("orders", &vpc("1"), Some("orders"));
        world.stores.get_mut(&store).unwrap().settings.connect = tagwire_core::tag::ConnectTag::Absent;
        world
            .index
            .insert(crate::simulated::cluster("renamed-since"), tagwire_core::tag::ConnectTag::read(Some("orders")));
        world.launch("1", &vpc("1"), Some("orders"));
    });
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &crate::simulated::instance("1"))]);
    assert_eq!(ran.count("stores"), 1);
    assert_eq!(ran.writes(), 0);
    assert!(ran.codes("finding").contains(&"no-match"), "{:#?}", ran.log);
    installation.assert_converged();
}
