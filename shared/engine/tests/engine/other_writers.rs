//! Somebody else works on the same lists.

use std::time::Duration;

use tagwire_core::{
    id::SecurityGroupId,
    model::Membership,
    rule::{Direction, Peer, Rule, Traffic},
};

use tagwire_engine::cloud::ErrorKind;

use crate::{
    installation::Installation,
    simulated::{Fault, World, cluster, identity, instance, sg, vpc},
};

fn installation() -> Installation {
    Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
        world.other_writer_attaches("eni-1", &sg("monitoring"));
    })
}

#[test]
fn what_they_attach_to_an_interface_while_we_work_stays() {
    let installation = installation();
    installation
        .change(|world| world.before("interfaces", 0, |world| world.other_writer_attaches("eni-1", &sg("quarantine"))));
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!(ran.count("set_interface_groups"), 1);
    assert!(installation.look(|world| world.list_of("eni-1").contains(&sg("quarantine"))));
    installation.assert_converged();
}

#[test]
fn what_they_detach_from_an_interface_while_we_work_stays_away() {
    let installation = installation();
    installation.change(|world| world.before("interfaces", 0, |world| world.they_detach("eni-1", &sg("monitoring"))));
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!(ran.count("set_interface_groups"), 1);
    assert!(!installation.look(|world| world.list_of("eni-1").contains(&sg("monitoring"))));
    installation.assert_converged();
}

#[test]
fn what_they_do_to_a_stores_list_while_we_work_stays_so() {
    let installation = installation();
    let store = cluster("orders");
    installation.change(|world| {
        world.before("stores", 1, |world| {
            world.other_writer_attaches(cluster("orders").as_str(), &sg("audit"));
            world.they_detach(cluster("orders").as_str(), &sg("db"));
        });
    });
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!(ran.count("set_store_groups"), 1);
    let list = installation.look(|world| world.list_of(store.as_str()));
    assert!(list.contains(&sg("audit")) && !list.contains(&sg("db")), "{list:?}");
    installation.assert_converged();
}

#[test]
fn a_list_that_fills_up_while_we_work_is_left_as_it_is() {
    let installation = installation();
    installation.change(|world| {
        world.before("interfaces", 0, |world| {
            for word in ["a", "b", "c"] {
                world.other_writer_attaches("eni-1", &sg(word));
            }
        });
    });
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!(
        (ran.codes("outcome"), ran.count("interfaces"), ran.count("set_interface_groups")),
        (vec!["failed"], 1, 0)
    );
    let refused = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
    assert!(refused.codes("decision").contains(&"interface-group-limit"));
    installation.assert_converged();
}

#[test]
fn a_stores_list_that_begins_to_change_while_we_work_is_waited_for() {
    let installation = installation();
    installation.change(|world| {
        world.before("stores", 1, |world| {
            world.other_writer_attaches(cluster("orders").as_str(), &sg("audit"));
            let store = world.stores.get_mut(&cluster("orders")).unwrap();
            store.groups.insert(sg("audit"), Membership::Adding);
        });
    });
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!((ran.count("set_store_groups"), ran.count("send_again")), (0, 1));
    installation.change(World::lists_settle);
    installation.drain();
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    installation.assert_converged();
}

#[test]
fn a_store_that_is_replaced_under_its_name_while_we_work_is_not_touched() {
    let installation = installation();
    installation.change(|world| {
        world.before("stores", 1, |world| {
            world.stores.get_mut(&cluster("orders")).unwrap().id = crate::simulated::identity("another");
        });
    });
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!((ran.count("stores"), ran.count("set_store_groups")), (2, 0));
    assert_eq!(ran.codes("outcome"), ["failed"]);
    // The pair of the store that is gone goes with it; the new one gets a pair of its own.
    installation.recovers();
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
}

#[test]
fn an_interface_that_cannot_be_read_yet_is_looked_at_again() {
    let installation = installation();
    installation.change(|world| {
        world.before("interfaces", 0, |world| {
            let launched = world.instances.get_mut(&instance("1")).unwrap();
            let interface = launched.interface.take().unwrap();
            world.before("instances", 0, move |world| {
                world.instances.get_mut(&instance("1")).unwrap().interface = Some(interface);
            });
        });
    });
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!((ran.count("interfaces"), ran.count("set_interface_groups")), (1, 0));
    installation.drain();
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    installation.assert_converged();
}

fn connected() -> Installation {
    Installation::connected(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
        world.launch("2", &vpc("1"), Some("orders"));
        world.other_writer_attaches("eni-1", &sg("monitoring"));
    })
}

fn ours(installation: &Installation, of: &str) -> SecurityGroupId {
    installation.look(|world| world.side(&identity("orders"), of)).unwrap()
}

#[test]
fn what_they_do_to_a_list_while_ours_leaves_it_is_not_undone() {
    let installation = connected();
    installation.change(|world| {
        world.tag_instance("1", None);
        world.before("interfaces", 0, |world| {
            world.other_writer_attaches("eni-1", &sg("audit"));
            world.they_detach("eni-1", &sg("monitoring"));
        });
    });
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert_eq!(ran.count("set_interface_groups"), 1);
    installation.look(|world| assert_eq!(world.list_of("eni-1"), [sg("web"), sg("audit")].into()));
    installation.assert_converged();

    installation.change(|world| {
        world.tag_store("orders", None);
        world.before("stores", 1, |world| {
            world.other_writer_attaches(cluster("orders").as_str(), &sg("audit"));
            world.they_detach(cluster("orders").as_str(), &sg("db"));
        });
    });
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert_eq!(ran.count("set_store_groups"), 1);
    installation.next_sweep();
    installation.look(|world| assert_eq!(world.list_of(cluster("orders").as_str()), [sg("audit")].into()));
    installation.assert_converged();
}

#[test]
fn a_group_that_somebody_else_takes_off_first_is_no_failure() {
    let installation = connected();
    let ours = ours(&installation, "instance");
    installation.change(|world| {
        world.tag_instance("1", None);
        world.before("interfaces", 0, move |world| world.they_take_off("eni-1", &ours));
    });
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert_eq!((ran.codes("outcome"), ran.count("interfaces"), ran.writes()), (vec!["changed"], 1, 0));
    installation.assert_converged();
}

#[test]
fn the_last_group_of_a_list_stays_until_there_is_another() {
    let installation = connected();
    installation.change(|world| {
        world.tag_instance("2", None);
        world.they_detach("eni-2", &sg("web"));
    });
    installation.next_sweep();
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"last-group"), "{:#?}", ran.log);
    assert_eq!(installation.look(|world| world.list_of("eni-2")), [ours(&installation, "instance")].into());
    installation.assert_converged();
    installation.change(|world| world.other_writer_attaches("eni-2", &sg("web")));
    installation.next_sweep();
    installation.look(|world| assert_eq!(world.list_of("eni-2"), [sg("web")].into()));
    installation.assert_converged();
}

#[test]
fn a_list_that_is_about_to_lose_its_last_group_is_left_as_it_is() {
    let installation = connected();
    installation.change(|world| {
        world.tag_instance("2", None);
        world.before("interfaces", 0, |world| world.they_detach("eni-2", &sg("web")));
    });
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert_eq!((ran.codes("outcome"), ran.count("set_interface_groups")), (vec!["failed"], 0));
    assert_eq!(installation.look(|world| world.list_of("eni-2")), [ours(&installation, "instance")].into());
    installation.assert_converged();
}

/// Takes our group off a list again and again; how often it comes back, and whether it is there.
fn fight(installation: &Installation, target: &str, ours: &SecurityGroupId, times: usize, every: Duration) -> usize {
    let mut came_back = 0;
    for _ in 0..times {
        installation.change(|world| world.they_take_off(target, ours));
        installation.clock.advance(every);
        installation.swept();
        came_back += usize::from(installation.look(|world| world.list_of(target).contains(ours)));
    }
    came_back
}

#[test]
fn what_is_taken_off_an_interface_is_attached_three_times_again_and_then_left_until_the_tag_changes() {
    let installation = connected();
    let ours = ours(&installation, "instance");
    assert_eq!(fight(&installation, "eni-1", &ours, 6, Duration::from_mins(30)), 3);
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"contested"), "{:#?}", ran.log);
    assert!(
        installation.look(|world| world.reaches(&instance("2"), &cluster("orders"))),
        "nobody fights about the other"
    );
    installation.assert_converged();
    installation.clock.advance(Duration::from_hours(30));
    installation.swept();
    assert!(
        !installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))),
        "time alone does not settle it"
    );
    installation.assert_converged();
    installation.retag_instance("1", Some("orders more"));
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    installation.assert_converged();
}

#[test]
fn what_is_taken_off_a_store_is_attached_three_times_again_and_then_left_until_the_tag_changes() {
    let installation = connected();
    let ours = ours(&installation, "store");
    assert_eq!(fight(&installation, cluster("orders").as_str(), &ours, 6, Duration::from_mins(30)), 3);
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"contested"), "{:#?}", ran.log);
    installation.assert_converged();
    installation.retag_store("orders", Some("orders more"));
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    installation.assert_converged();
}

#[test]
fn what_is_taken_off_twice_a_day_always_comes_back() {
    let installation = connected();
    let ours = ours(&installation, "instance");
    assert_eq!(fight(&installation, "eni-1", &ours, 8, Duration::from_hours(12)), 8);
    installation.assert_converged();
}

#[test]
fn a_fight_is_not_forgotten_because_the_state_table_fails_for_a_while() {
    let installation = connected();
    let ours = ours(&installation, "instance");
    assert_eq!(fight(&installation, "eni-1", &ours, 2, Duration::from_mins(30)), 2);
    let fault = Fault::Fails { kind: ErrorKind::Denied, with_effect: false };
    installation.change(|world| world.fail_next("vpc_state", 2, fault));
    assert_eq!(
        fight(&installation, "eni-1", &ours, 1, Duration::from_mins(30)),
        1,
        "it is attached without being counted"
    );
    installation.change(World::heal);
    assert_eq!(fight(&installation, "eni-1", &ours, 3, Duration::from_mins(30)), 1);
    installation.assert_converged();
}

#[test]
fn what_is_left_alone_stays_so_in_a_run_that_could_not_count_its_removals() {
    let installation = connected();
    let ours = ours(&installation, "instance");
    assert_eq!(fight(&installation, "eni-1", &ours, 4, Duration::from_mins(30)), 3);
    installation.change(|world| {
        world.tag_instance("2", None);
        world.fail_next("reserve_window", 1, Fault::Fails { kind: ErrorKind::Denied, with_effect: false });
    });
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert_eq!((ran.count("reserve_window"), ran.writes()), (1, 0), "{:#?}", ran.calls);
    assert!(ran.codes("finding").contains(&"contested"), "{:#?}", ran.log);
    installation.next_sweep();
    assert!(!installation.look(|world| world.reaches(&instance("2"), &cluster("orders"))));
    installation.assert_converged();
}

#[test]
fn untagging_and_tagging_again_is_no_fight() {
    let mut installation = connected();
    installation.policy.max_disconnects = 100;
    for _ in 0..6 {
        installation.retag_instance("1", None);
        installation.retag_instance("1", Some("orders"));
    }
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    installation.assert_converged();
}

#[test]
fn something_else_that_has_an_instance_side_is_reported_and_left_alone() {
    let installation = connected();
    let ours = ours(&installation, "instance");
    let function =
        installation.cloud.world.borrow_mut().other_interface("function", &vpc("1"), &[sg("web"), ours.clone()]);
    installation.next_sweep();
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"foreign-attachment"), "{:#?}", ran.log);
    installation.assert_converged();
    // The store cuts it off with its own side; the pair cannot be deleted while it is attached.
    installation.retag_store("orders", None);
    installation.next_sweep();
    installation.look(|world| {
        assert_eq!(world.others[&function].2, [sg("web"), ours.clone()].into());
        assert_eq!(world.list_of(cluster("orders").as_str()), [sg("db")].into());
        assert!(world.groups.contains_key(&ours));
    });
    assert_eq!(installation.look(|world| world.cuts.len()), 3, "what the store side carried to it counts");
    installation.assert_converged();
    installation.change(|world| {
        world.others.remove(&function);
    });
    installation.next_sweep();
    assert!(installation.look(|world| world.ours().is_empty()));
    installation.assert_converged();
}

#[test]
fn groups_that_only_look_like_ours_are_never_touched() {
    let installation = connected();
    let rule = Rule { direction: Direction::Inbound, traffic: Traffic::All, peer: Peer::Ipv4("0.0.0.0/0".to_owned()) };
    installation.change(|world| {
        let forged = world.foreign_group("forged", &vpc("1"), "rds-ec2-8");
        let tags = world.groups[&world.side(&identity("orders"), "store").unwrap()].group.tags.clone();
        world.groups.get_mut(&forged).unwrap().group.tags = tags.clone();
        world.their_groups.get_mut(&forged).unwrap().tags = tags;
        world.they_add_rule(&forged, rule.clone());
        let named = world.foreign_group("named", &vpc("1"), "ec2-rds-8");
        world.they_add_rule(&named, rule);
        world.other_writer_attaches("eni-1", &named);
        world.other_writer_attaches(cluster("orders").as_str(), &forged);
    });
    installation.next_sweep();
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"ownership-forged"), "{:#?}", ran.log);
    installation.retag_instance("1", None);
    installation.retag_store("orders", None);
    installation.next_sweep();
    installation.next_sweep();
    installation.look(|world| {
        assert_eq!(world.list_of("eni-1"), [sg("web"), sg("monitoring"), sg("named")].into());
        assert_eq!(world.list_of(cluster("orders").as_str()), [sg("db"), sg("forged")].into());
        assert_eq!(world.ours().values().flatten().count(), 0);
    });
    installation.assert_converged();
}

#[test]
fn nobody_gets_a_group_that_another_store_lets_in_while_that_rule_cannot_be_revoked() {
    let installation = Installation::connected(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.store("other", &vpc("1"), Some("other"));
        world.launch("1", &vpc("1"), Some("orders"));
        world.launch("2", &vpc("1"), Some("other"));
    });
    let side = |store: &str, side| installation.look(|world| world.side(&identity(store), side)).unwrap();
    let (orders, other) = (side("orders", "instance"), side("other", "store"));
    installation.change(|world| {
        let rules = &mut world.groups.get_mut(&other).unwrap().group.rules;
        let own = rules.first().cloned().unwrap();
        rules.insert(Rule { peer: Peer::Group(orders.clone()), ..own });
        world.launch("3", &vpc("1"), Some("orders"));
        world.fail_next("revoke", usize::MAX - 1000, Fault::Fails { kind: ErrorKind::Denied, with_effect: false });
    });
    installation.next_sweep();
    assert!(installation.look(|world| !world.list_of("eni-3").contains(&orders)), "it reaches the other store");
    installation.recovers();
    assert!(installation.look(|world| world.reaches(&instance("3"), &cluster("orders"))));
}
