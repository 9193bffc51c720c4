//! Connections that end, from the event to the last group, and those that must not.

use std::time::Duration;

use tagwire_core::{
    id::StoreArn,
    rule::{Direction, Peer, Rule, Traffic},
};

use crate::{
    installation::Installation,
    simulated::{World, cluster, identity, instance, sg, vpc},
};

/// Two stores; the first two instances use the first of them, the third uses both.
fn installation() -> Installation {
    Installation::connected(|world| {
        for store in ["orders", "billing"] {
            world.store(store, &vpc("1"), Some(store));
        }
        world.launch("1", &vpc("1"), Some("orders"));
        world.launch("2", &vpc("1"), Some("orders"));
        world.launch("3", &vpc("1"), Some("orders billing"));
        world.other_writer_attaches("eni-1", &sg("monitoring"));
        world.other_writer_attaches(cluster("orders").as_str(), &sg("audit"));
    })
}

/// Who reaches the store.
fn reaching(installation: &Installation, store: &StoreArn) -> Vec<&'static str> {
    installation
        .look(|world| ["1", "2", "3"].into_iter().filter(|word| world.reaches(&instance(word), store)).collect())
}

fn has_pair(installation: &Installation, name: &str) -> bool {
    installation.look(|world| ["store", "instance"].iter().any(|side| world.side(&identity(name), side).is_some()))
}

#[test]
fn an_instance_that_loses_its_tag_loses_its_group_and_nothing_else() {
    let installation = installation();
    assert_eq!(reaching(&installation, &cluster("orders")), ["1", "2", "3"]);
    installation.change(|world| world.tag_instance("1", None));
    let intake = installation.take_in(&[installation.instance_tagged("1")]);
    assert_eq!(intake.codes("outcome"), ["work-sent"]);
    let ran = installation.connect_sent();
    assert_eq!((ran.codes("outcome"), ran.codes("decision")), (vec!["changed"], vec!["disconnecting"]));
    assert!(ran.log.iter().any(|line| line["message"].contains("open already stay open")), "{:#?}", ran.log);
    assert_eq!((ran.writes(), ran.count("set_interface_groups"), ran.count("reserve_window")), (1, 1, 1));
    assert_eq!(reaching(&installation, &cluster("orders")), ["2", "3"]);
    installation.look(|world| assert_eq!(world.list_of("eni-1"), [sg("web"), sg("monitoring")].into()));
    installation.assert_converged();
}

#[test]
fn an_instance_whose_names_change_leaves_one_store_and_joins_another_in_one_call() {
    let installation = installation();
    installation.change(|world| world.tag_instance("1", Some("billing")));
    installation.take_in(&[installation.instance_tagged("1")]);
    let ran = installation.connect_sent();
    assert_eq!((ran.writes(), ran.count("set_interface_groups")), (1, 1), "{:#?}", ran.calls);
    assert_eq!(
        (reaching(&installation, &cluster("orders")), reaching(&installation, &cluster("billing"))),
        (vec!["2", "3"], vec!["1", "3"])
    );
    installation.assert_converged();
}

#[test]
fn a_store_whose_names_change_loses_some_and_gains_others() {
    let installation = installation();
    installation.retag_store("billing", Some("orders"));
    assert_eq!(reaching(&installation, &cluster("billing")), ["1", "2", "3"]);
    installation.retag_store("orders", Some("billing"));
    assert_eq!(reaching(&installation, &cluster("orders")), ["3"]);
    installation.assert_converged();
}

#[test]
fn a_store_that_loses_its_tag_loses_its_pair_without_a_sweep() {
    let installation = installation();
    installation.change(|world| world.tag_store("orders", None));
    installation.take_in(&[installation.tagged(cluster("orders").as_str())]);
    let ran = installation.connect_sent();
    assert_eq!((ran.count("set_interface_groups"), ran.count("set_store_groups")), (3, 1), "{:#?}", ran.calls);
    assert_eq!(ran.codes("outcome"), ["will-retry"], "the store lets go of its group a while later");
    assert!(!ran.log.iter().any(|line| line.get("code").map(String::as_str) == Some("still-attached")));
    installation.drain();
    assert!(!has_pair(&installation, "orders") && has_pair(&installation, "billing"));
    installation.look(|world| assert_eq!(world.list_of(cluster("orders").as_str()), [sg("db"), sg("audit")].into()));
    assert_eq!(reaching(&installation, &cluster("billing")), ["3"]);
    installation.assert_converged();
}

#[test]
fn the_groups_of_a_deleted_store_go_with_it() {
    let installation = installation();
    installation.change(|world| world.delete_store("orders"));
    let intake = installation.take_in(&[installation.deleted(&cluster("orders"))]);
    assert_eq!(intake.codes("outcome"), ["work-sent"]);
    let ran = installation.connect_sent();
    assert_eq!((ran.count("set_interface_groups"), ran.count("delete_group"), ran.count("reserve_window")), (3, 2, 0));
    assert!(!has_pair(&installation, "orders"));
    installation.assert_converged();
}

#[test]
fn a_store_that_is_still_being_deleted_keeps_its_groups_until_its_interface_is_gone() {
    let installation = installation();
    installation.change(|world| world.set_state(&cluster("orders"), "deleting"));
    installation.deliver(&[installation.deleted(&cluster("orders"))]);
    assert_eq!(reaching(&installation, &cluster("orders")), ["1", "2", "3"], "a store on its way out is still there");
    installation.change(|world| {
        world.interfaces_stay();
        world.delete_store("orders");
    });
    installation.take_in(&[installation.deleted(&cluster("orders"))]);
    let ran = installation.connect_sent();
    assert_eq!((ran.writes(), ran.count("attached_interfaces")), (0, 1));
    assert!(ran.codes("finding").contains(&"still-attached"), "{:#?}", ran.log);
    installation.assert_converged();
    installation.change(World::interfaces_follow);
    installation.next_sweep();
    assert!(!has_pair(&installation, "orders"));
    installation.assert_converged();
}

#[test]
fn a_renamed_store_keeps_its_connections_whichever_name_the_event_has() {
    for old_name in [true, false] {
        let installation = installation();
        let renamed = installation.cloud.world.borrow_mut().rename_store("orders", "orders-new");
        let event = if old_name { installation.deleted(&cluster("orders")) } else { installation.created(&renamed) };
        let before = installation.look(|world| world.calls.len());
        installation.deliver(&[event]);
        assert_eq!(reaching(&installation, &renamed), ["1", "2", "3"]);
        installation.look(|world| {
            let calls = &world.calls[before..];
            let writes: Vec<_> = calls.iter().filter(|call| call.writes()).map(|call| call.name).collect();
            assert_eq!(writes, ["tag_group", "tag_group"], "the old name in the event: {old_name}");
        });
        installation.assert_converged();
    }
}

#[test]
fn a_store_that_loses_its_tag_under_a_new_name_loses_its_pair() {
    let installation = installation();
    let renamed = installation.cloud.world.borrow_mut().rename_store("orders", "orders-new");
    installation.change(|world| world.tag_store("orders-new", None));
    installation.deliver(&[installation.tagged(renamed.as_str())]);
    assert!(!has_pair(&installation, "orders"));
    installation.assert_converged();
}

#[test]
fn nothing_is_removed_because_a_store_moved_to_another_vpc() {
    let installation = installation();
    installation.change(|world| {
        world.move_store("orders", &vpc("2"));
        world.launch("4", &vpc("2"), Some("orders"));
    });
    installation.deliver(&[installation.created(&cluster("orders")), installation.pending(&instance("4"))]);
    assert!(installation.look(|world| world.reaches(&instance("4"), &cluster("orders"))));
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"store-moved"), "{:#?}", ran.log);
    let attached = |word: &str| installation.look(|world| world.list_of(&format!("eni-{word}")).len());
    assert_eq!([attached("1"), attached("2"), attached("3")], [3, 2, 3], "all have what they wore");
    installation.next_sweep();
    installation.next_sweep();
    assert_eq!([attached("1"), attached("2"), attached("3")], [3, 2, 3]);
    installation.assert_converged();
}

#[test]
fn a_store_that_was_replaced_under_its_name_gets_a_pair_of_its_own_and_the_old_one_goes() {
    let installation = installation();
    installation.change(|world| world.replace_store("orders", &vpc("1"), Some("orders")));
    installation.deliver(&[installation.created(&cluster("orders"))]);
    assert_eq!(reaching(&installation, &cluster("orders")), ["1", "2", "3"]);
    assert!(!has_pair(&installation, "orders"));
    assert!(has_pair(&installation, "orders-again"));
    installation.assert_converged();
}

/// A blue/green switch-over: the old database gets another name and keeps its identity, and one with
/// another identity, which was made with the old one's groups, gets its name.
#[test]
fn a_switch_over_to_another_database_cuts_nobody_off() {
    let installation = installation();
    installation.change(|world| {
        world.rename_store("orders", "orders-old1");
        world.store_like("orders-green", "orders-old1");
        world.rename_store("orders-green", "orders");
    });
    installation.deliver(&[installation.created(&cluster("orders")), installation.created(&cluster("orders-old1"))]);
    assert_eq!(reaching(&installation, &cluster("orders")), ["1", "2", "3"]);
    assert_eq!(reaching(&installation, &cluster("orders-old1")), ["1", "2", "3"]);
    installation.next_sweep();
    // The new one has a pair of its own by now, and none of the old one's groups.
    installation.look(|world| assert!(!world.is_copied_anywhere(), "{:#?}", world.stores));
    // The old one goes a while later.
    installation.change(|world| world.delete_store("orders-old1"));
    installation.deliver(&[installation.deleted(&cluster("orders-old1"))]);
    installation.next_sweep();
    assert_eq!(reaching(&installation, &cluster("orders")), ["1", "2", "3"]);
    installation.assert_converged();
}

#[test]
fn a_copy_that_carries_its_source_s_pair_is_governed_by_its_own_tags() {
    let installation = installation();
    installation.change(|world| {
        world.store_like("orders-copy", "orders");
        world.tag_store("orders-copy", None);
        // A store that takes no part is in no index.
        world.index.remove(&cluster("orders-copy"));
    });
    installation.next_sweep();
    assert_eq!(reaching(&installation, &cluster("orders-copy")), ["1", "2", "3"]);
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert_eq!(ran.writes(), 0, "{:#?}", ran.calls);
    assert!(ran.codes("finding").contains(&"copied-group"), "{:#?}", ran.log);

    installation.change(|world| world.stores.get_mut(&cluster("orders-copy")).unwrap().settings.blocked = true);
    installation.deliver(&[installation.tagged(cluster("orders-copy").as_str())]);
    assert_eq!(reaching(&installation, &cluster("orders-copy")), Vec::<&str>::new());
    assert_eq!(reaching(&installation, &cluster("orders")), ["1", "2", "3"]);
    installation.look(|world| assert!(!world.is_copied_anywhere()));
    installation.assert_converged();
}

#[test]
fn an_event_about_the_source_cuts_nobody_off_from_a_copy_that_is_on_hold() {
    for held in [true, false] {
        let installation = installation();
        installation.change(|world| {
            world.store_like("orders-copy", "orders");
            world.stores.get_mut(&cluster("orders-copy")).unwrap().settings.held = held;
        });
        installation.next_sweep();
        assert_eq!(reaching(&installation, &cluster("orders-copy")), ["1", "2", "3"]);
        installation.retag_store("orders", None);
        assert_eq!(reaching(&installation, &cluster("orders-copy")), ["1", "2", "3"], "held: {held}");
        installation.retag_instance("1", None);
        let rest = if held { vec!["1", "2", "3"] } else { vec!["2", "3"] };
        assert_eq!(reaching(&installation, &cluster("orders-copy")), rest, "held: {held}");
        installation.next_sweep();
        assert_eq!(reaching(&installation, &cluster("orders-copy")), rest, "held: {held}");
        installation.next_sweep();
        installation.assert_converged();
    }
}

#[test]
fn an_event_about_the_source_deletes_no_pair_that_a_copy_still_carries() {
    for used in [true, false] {
        let installation = installation();
        installation.change(|world| {
            world.store_like("orders-copy", "orders");
            world.tag_store("orders-copy", None);
            world.index.remove(&cluster("orders-copy"));
        });
        if !used {
            for word in ["1", "2", "3"] {
                installation.retag_instance(word, None);
            }
        }
        installation.change(|world| world.tag_store("orders", None));
        let ran = installation.connect(&[installation.about_store(&vpc("1"), &cluster("orders"))]);
        assert_eq!(ran.count("delete_group"), 0, "used: {used}: {:#?}", ran.calls);
        assert!(ran.codes("finding").contains(&"copied-group"), "used: {used}: {:#?}", ran.log);
        assert!(has_pair(&installation, "orders"));
    }
}

#[test]
fn a_store_that_was_replaced_without_a_tag_leaves_nothing_behind() {
    let installation = installation();
    installation.change(|world| world.replace_store("orders", &vpc("1"), None));
    installation.deliver(&[installation.deleted(&cluster("orders")), installation.created(&cluster("orders"))]);
    installation.next_sweep();
    assert!(!has_pair(&installation, "orders") && !has_pair(&installation, "orders-again"));
    installation.assert_converged();
}

#[test]
fn an_instance_that_is_terminated_needs_nothing() {
    let installation = installation();
    installation.change(|world| world.terminate("1"));
    let ran = installation.take_in(&[installation.instance_tagged("1")]);
    assert_eq!((ran.codes("outcome"), ran.count("instances")), (vec!["instance-gone"], 1));
    installation.next_sweep();
    assert_eq!(reaching(&installation, &cluster("orders")), ["2", "3"]);
    installation.assert_converged();
}

#[test]
fn a_stopped_instance_is_like_any_other() {
    // AWS sends no event for it that anybody asks for, and its interface stays as it is.
    let installation = installation();
    let stopped = installation.pending(&instance("1")).replace("pending", "stopped");
    installation.deliver(&[stopped]);
    assert_eq!(reaching(&installation, &cluster("orders")), ["1", "2", "3"]);
    installation.retag_instance("1", None);
    assert_eq!(reaching(&installation, &cluster("orders")), ["2", "3"]);
    installation.assert_converged();
}

#[test]
fn an_instance_tagged_again_within_a_minute_is_connected_without_a_sweep() {
    let installation = installation();
    for names in [None, Some("orders"), None, Some("orders")] {
        installation.retag_instance("1", names);
        installation.clock.advance(Duration::from_secs(15));
    }
    assert_eq!(reaching(&installation, &cluster("orders")), ["1", "2", "3"]);
    installation.assert_converged();
    // All three events in one batch, as they may come when the functions are slow.
    installation.deliver(&[
        installation.instance_tagged("1"),
        installation.instance_tagged("1"),
        installation.instance_tagged("1"),
    ]);
    assert_eq!(reaching(&installation, &cluster("orders")), ["1", "2", "3"]);
    installation.assert_converged();
}

#[test]
fn a_store_tagged_again_while_its_group_is_still_on_the_way_out_is_connected_without_a_sweep() {
    let installation = installation();
    installation.change(|world| world.tag_store("orders", None));
    installation.take_in(&[installation.tagged(cluster("orders").as_str())]);
    let out = installation.connect_sent();
    assert_eq!(out.count("set_store_groups"), 1);
    installation.clock.advance(Duration::from_secs(20));
    // The list has not settled: the group still stands in it.
    installation.change(|world| world.tag_store("orders", Some("orders")));
    installation.take_in(&[installation.tagged(cluster("orders").as_str())]);
    let back = installation.connect_sent();
    assert_eq!((back.count("set_store_groups"), back.count("set_interface_groups")), (1, 3), "{:#?}", back.calls);
    // The message of the first run that wants another look is still under way.
    assert!(installation.look(|world| !world.again.is_empty()));
    installation.drain();
    assert_eq!(reaching(&installation, &cluster("orders")), ["1", "2", "3"]);
    installation.assert_converged();
}

#[test]
fn a_store_tagged_again_after_its_pair_is_gone_gets_another() {
    let installation = installation();
    installation.retag_store("orders", None);
    assert!(!has_pair(&installation, "orders"));
    installation.retag_store("orders", Some("orders"));
    assert_eq!(reaching(&installation, &cluster("orders")), ["1", "2", "3"]);
    installation.assert_converged();
}

#[test]
fn a_deletion_that_aws_refuses_for_a_while_is_tried_later_and_is_no_error() {
    let installation = installation();
    installation.change(|world| {
        world.deletions_refused = 7;
        world.tag_store("orders", None);
    });
    installation.take_in(&[installation.tagged(cluster("orders").as_str())]);
    let before = installation.look(|world| world.calls_named("delete_group").count());
    let ran = installation.connect_sent();
    let refused: Vec<_> =
        ran.log.iter().filter(|line| line.get("code").map(String::as_str) == Some("in-use")).collect();
    assert_eq!(refused.len(), 2, "{:#?}", ran.log);
    assert_eq!(ran.count("delete_group"), 2, "what is in use is not asked for again within the run");
    installation.drain();
    assert!(!has_pair(&installation, "orders"));
    assert!(installation.look(|world| world.calls_named("delete_group").count()) - before <= 12, "no storm of calls");
    installation.assert_converged();
}

#[test]
fn a_deletion_that_aws_refuses_during_a_sweep_is_left_to_the_next() {
    let installation = installation();
    installation.change(|world| world.tag_store("orders", None));
    installation.next_sweep();
    assert!(has_pair(&installation, "orders"), "the store had just let go of it");
    assert!(installation.look(|world| world.again.is_empty()));
    installation.next_sweep();
    assert!(!has_pair(&installation, "orders"));
    installation.assert_converged();
}

#[test]
fn a_pair_that_a_launch_template_names_is_not_deleted() {
    let installation = installation();
    let ours = installation.look(|world| world.side(&identity("orders"), "instance")).unwrap();
    installation.change(|world| {
        world.templates.insert(ours.clone());
    });
    installation.retag_store("orders", None);
    assert_eq!(reaching(&installation, &cluster("orders")), Vec::<&str>::new());
    assert!(
        installation.look(|world| world.groups.contains_key(&ours) && world.calls_named("delete_group").count() == 0)
    );
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"group-in-launch-template"), "{:#?}", ran.log);
    installation.assert_converged();
    installation.change(|world| world.templates.clear());
    installation.next_sweep();
    assert!(!has_pair(&installation, "orders"));
    installation.assert_converged();
}

#[test]
fn a_pair_that_somebody_elses_rule_names_is_not_deleted() {
    let installation = installation();
    let ours = installation.look(|world| world.side(&identity("orders"), "instance")).unwrap();
    let theirs = installation.cloud.world.borrow_mut().foreign_group("theirs", &vpc("1"), "their-shop");
    let rule = Rule { direction: Direction::Inbound, traffic: Traffic::All, peer: Peer::Group(ours.clone()) };
    installation.change(|world| world.they_add_rule(&theirs, rule));
    installation.retag_store("orders", None);
    assert!(has_pair(&installation, "orders"));
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"group-in-rule"), "{:#?}", ran.log);
    installation.assert_converged();
    installation.change(|world| {
        world.they_delete_group(&theirs);
    });
    installation.next_sweep();
    assert!(!has_pair(&installation, "orders"));
    installation.assert_converged();
}

#[test]
fn a_group_that_a_rule_out_of_sight_names_is_refused_and_tried_again_without_an_error() {
    let installation = installation();
    let ours = installation.look(|world| world.side(&identity("orders"), "instance")).unwrap();
    // The VPCs are peered.
    let theirs = installation.cloud.world.borrow_mut().foreign_group("theirs", &vpc("2"), "their-shop");
    let rule = Rule { direction: Direction::Inbound, traffic: Traffic::All, peer: Peer::Group(ours.clone()) };
    installation.change(|world| {
        world.they_add_rule(&theirs, rule);
        world.tag_store("orders", None);
    });
    installation.next_sweep();
    installation.next_sweep();
    let refused = installation.connect(&[installation.whole(&vpc("1"))]);
    assert_eq!((refused.count("delete_group"), refused.count("send_again")), (1, 0), "{:#?}", refused.log);
    assert!(installation.look(|world| world.groups.contains_key(&ours)));
    installation.change(|world| world.they_delete_group(&theirs));
    installation.next_sweep();
    assert!(!has_pair(&installation, "orders"));
    installation.assert_converged();
}
