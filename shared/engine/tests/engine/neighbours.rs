//! Somebody else works on the same lists.

use std::time::Duration;

use tagwire_core::{
    id::SecurityGroupId,
    model::Membership,
    rule::{Direction, Peer, Rule, Traffic},
};

use tagwire_engine::cloud::ErrorKind;

use crate::{
    simulated::{Fault, World, cluster, identity, instance, sg, vpc},
    site::Site,
};

fn site() -> Site {
    Site::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
        world.they_attach("eni-1", &sg("monitoring"));
    })
}

#[test]
fn what_they_attach_to_an_interface_while_we_work_stays() {
    let site = site();
    site.change(|world| world.before("interfaces", 0, |world| world.they_attach("eni-1", &sg("quarantine"))));
    let ran = site.connect(&[site.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!(ran.count("set_interface_groups"), 1);
    assert!(site.look(|world| world.list_of("eni-1").contains(&sg("quarantine"))));
    site.is_at_rest();
}

#[test]
fn what_they_detach_from_an_interface_while_we_work_stays_away() {
    let site = site();
    site.change(|world| world.before("interfaces", 0, |world| world.they_detach("eni-1", &sg("monitoring"))));
    let ran = site.connect(&[site.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!(ran.count("set_interface_groups"), 1);
    assert!(!site.look(|world| world.list_of("eni-1").contains(&sg("monitoring"))));
    site.is_at_rest();
}

#[test]
fn what_they_do_to_a_stores_list_while_we_work_stays_so() {
    let site = site();
    let store = cluster("orders");
    site.change(|world| {
        world.before("stores", 1, |world| {
            world.they_attach(cluster("orders").as_str(), &sg("audit"));
            world.they_detach(cluster("orders").as_str(), &sg("db"));
        });
    });
    let ran = site.connect(&[site.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!(ran.count("set_store_groups"), 1);
    let list = site.look(|world| world.list_of(store.as_str()));
    assert!(list.contains(&sg("audit")) && !list.contains(&sg("db")), "{list:?}");
    site.is_at_rest();
}

#[test]
fn a_list_that_fills_up_while_we_work_is_left_as_it_is() {
    let site = site();
    site.change(|world| {
        world.before("interfaces", 0, |world| {
            for word in ["a", "b", "c"] {
                world.they_attach("eni-1", &sg(word));
            }
        });
    });
    let ran = site.connect(&[site.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!(
        (ran.codes("outcome"), ran.count("interfaces"), ran.count("set_interface_groups")),
        (vec!["failed"], 1, 0)
    );
    let refused = site.connect(&[site.about_instance(&vpc("1"), &instance("1"))]);
    assert!(refused.codes("decision").contains(&"interface-group-limit"));
    site.is_at_rest();
}

#[test]
fn a_stores_list_that_begins_to_change_while_we_work_is_waited_for() {
    let site = site();
    site.change(|world| {
        world.before("stores", 1, |world| {
            world.they_attach(cluster("orders").as_str(), &sg("audit"));
            let store = world.stores.get_mut(&cluster("orders")).unwrap();
            store.groups.insert(sg("audit"), Membership::Adding);
        });
    });
    let ran = site.connect(&[site.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!((ran.count("set_store_groups"), ran.count("send_again")), (0, 1));
    site.change(World::lists_settle);
    site.drain();
    assert!(site.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    site.is_at_rest();
}

#[test]
fn a_store_that_is_replaced_under_its_name_while_we_work_is_not_touched() {
    let site = site();
    site.change(|world| {
        world.before("stores", 1, |world| {
            world.stores.get_mut(&cluster("orders")).unwrap().id = crate::simulated::identity("another");
        });
    });
    let ran = site.connect(&[site.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!((ran.count("stores"), ran.count("set_store_groups")), (2, 0));
    assert_eq!(ran.codes("outcome"), ["failed"]);
    // The pair of the store that is gone goes with it; the new one gets a pair of its own.
    site.recovers();
    assert!(site.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
}

#[test]
fn an_interface_that_cannot_be_read_yet_is_looked_at_again() {
    let site = site();
    site.change(|world| {
        world.before("interfaces", 0, |world| {
            let launched = world.instances.get_mut(&instance("1")).unwrap();
            let interface = launched.interface.take().unwrap();
            world.before("instances", 0, move |world| {
                world.instances.get_mut(&instance("1")).unwrap().interface = Some(interface);
            });
        });
    });
    let ran = site.connect(&[site.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!((ran.count("interfaces"), ran.count("set_interface_groups")), (1, 0));
    site.drain();
    assert!(site.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    site.is_at_rest();
}

fn connected() -> Site {
    Site::connected(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
        world.launch("2", &vpc("1"), Some("orders"));
        world.they_attach("eni-1", &sg("monitoring"));
    })
}

fn ours(site: &Site, of: &str) -> SecurityGroupId {
    site.look(|world| world.side(&identity("orders"), of)).unwrap()
}

#[test]
fn what_they_do_to_a_list_while_ours_leaves_it_is_not_undone() {
    let site = connected();
    site.change(|world| {
        world.tag_instance("1", None);
        world.before("interfaces", 0, |world| {
            world.they_attach("eni-1", &sg("audit"));
            world.they_detach("eni-1", &sg("monitoring"));
        });
    });
    let ran = site.connect(&[site.whole(&vpc("1"))]);
    assert_eq!(ran.count("set_interface_groups"), 1);
    site.look(|world| assert_eq!(world.list_of("eni-1"), [sg("web"), sg("audit")].into()));
    site.is_at_rest();

    site.change(|world| {
        world.tag_store("orders", None);
        world.before("stores", 1, |world| {
            world.they_attach(cluster("orders").as_str(), &sg("audit"));
            world.they_detach(cluster("orders").as_str(), &sg("db"));
        });
    });
    let ran = site.connect(&[site.whole(&vpc("1"))]);
    assert_eq!(ran.count("set_store_groups"), 1);
    site.next_sweep();
    site.look(|world| assert_eq!(world.list_of(cluster("orders").as_str()), [sg("audit")].into()));
    site.is_at_rest();
}

#[test]
fn a_group_that_somebody_else_takes_off_first_is_no_failure() {
    let site = connected();
    let ours = ours(&site, "instance");
    site.change(|world| {
        world.tag_instance("1", None);
        world.before("interfaces", 0, move |world| world.they_take_off("eni-1", &ours));
    });
    let ran = site.connect(&[site.whole(&vpc("1"))]);
    assert_eq!((ran.codes("outcome"), ran.count("interfaces"), ran.writes()), (vec!["changed"], 1, 0));
    site.is_at_rest();
}

#[test]
fn the_last_group_of_a_list_stays_until_there_is_another() {
    let site = connected();
    site.change(|world| {
        world.tag_instance("2", None);
        world.they_detach("eni-2", &sg("web"));
    });
    site.next_sweep();
    let ran = site.connect(&[site.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"last-group"), "{:#?}", ran.log);
    assert_eq!(site.look(|world| world.list_of("eni-2")), [ours(&site, "instance")].into());
    site.is_at_rest();
    site.change(|world| world.they_attach("eni-2", &sg("web")));
    site.next_sweep();
    site.look(|world| assert_eq!(world.list_of("eni-2"), [sg("web")].into()));
    site.is_at_rest();
}

#[test]
fn a_list_that_is_about_to_lose_its_last_group_is_left_as_it_is() {
    let site = connected();
    site.change(|world| {
        world.tag_instance("2", None);
        world.before("interfaces", 0, |world| world.they_detach("eni-2", &sg("web")));
    });
    let ran = site.connect(&[site.whole(&vpc("1"))]);
    assert_eq!((ran.codes("outcome"), ran.count("set_interface_groups")), (vec!["failed"], 0));
    assert_eq!(site.look(|world| world.list_of("eni-2")), [ours(&site, "instance")].into());
    site.is_at_rest();
}

/// Takes our group off a list again and again; how often it comes back, and whether it is there.
fn fight(site: &Site, target: &str, ours: &SecurityGroupId, times: usize, every: Duration) -> usize {
    let mut came_back = 0;
    for _ in 0..times {
        site.change(|world| world.they_take_off(target, ours));
        site.clock.advance(every);
        site.swept();
        came_back += usize::from(site.look(|world| world.list_of(target).contains(ours)));
    }
    came_back
}

#[test]
fn what_is_taken_off_an_interface_is_attached_three_times_again_and_then_left_until_the_tag_changes() {
    let site = connected();
    let ours = ours(&site, "instance");
    assert_eq!(fight(&site, "eni-1", &ours, 6, Duration::from_mins(30)), 3);
    let ran = site.connect(&[site.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"contested"), "{:#?}", ran.log);
    assert!(site.look(|world| world.reaches(&instance("2"), &cluster("orders"))), "nobody fights about the other");
    site.is_at_rest();
    site.clock.advance(Duration::from_hours(30));
    site.swept();
    assert!(!site.look(|world| world.reaches(&instance("1"), &cluster("orders"))), "time alone does not settle it");
    site.is_at_rest();
    site.retag_instance("1", Some("orders more"));
    assert!(site.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    site.is_at_rest();
}

#[test]
fn what_is_taken_off_a_store_is_attached_three_times_again_and_then_left_until_the_tag_changes() {
    let site = connected();
    let ours = ours(&site, "store");
    assert_eq!(fight(&site, cluster("orders").as_str(), &ours, 6, Duration::from_mins(30)), 3);
    let ran = site.connect(&[site.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"contested"), "{:#?}", ran.log);
    site.is_at_rest();
    site.retag_store("orders", Some("orders more"));
    assert!(site.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    site.is_at_rest();
}

#[test]
fn what_is_taken_off_twice_a_day_always_comes_back() {
    let site = connected();
    let ours = ours(&site, "instance");
    assert_eq!(fight(&site, "eni-1", &ours, 8, Duration::from_hours(12)), 8);
    site.is_at_rest();
}

#[test]
fn a_fight_is_not_forgotten_because_the_state_table_fails_for_a_while() {
    let site = connected();
    let ours = ours(&site, "instance");
    assert_eq!(fight(&site, "eni-1", &ours, 2, Duration::from_mins(30)), 2);
    let fault = Fault::Fails { kind: ErrorKind::Denied, with_effect: false };
    site.change(|world| world.fail_next("recall", 2, fault));
    assert_eq!(fight(&site, "eni-1", &ours, 1, Duration::from_mins(30)), 1, "it is attached without being counted");
    site.change(World::heal);
    assert_eq!(fight(&site, "eni-1", &ours, 3, Duration::from_mins(30)), 1);
    site.is_at_rest();
}

#[test]
fn what_is_left_alone_stays_so_in_a_run_that_could_not_count_its_removals() {
    let site = connected();
    let ours = ours(&site, "instance");
    assert_eq!(fight(&site, "eni-1", &ours, 4, Duration::from_mins(30)), 3);
    site.change(|world| {
        world.tag_instance("2", None);
        world.fail_next("reserve", 1, Fault::Fails { kind: ErrorKind::Denied, with_effect: false });
    });
    let ran = site.connect(&[site.whole(&vpc("1"))]);
    assert_eq!((ran.count("reserve"), ran.writes()), (1, 0), "{:#?}", ran.calls);
    assert!(ran.codes("finding").contains(&"contested"), "{:#?}", ran.log);
    site.next_sweep();
    assert!(!site.look(|world| world.reaches(&instance("2"), &cluster("orders"))));
    site.is_at_rest();
}

#[test]
fn untagging_and_tagging_again_is_no_fight() {
    let mut site = connected();
    site.policy.max_disconnects = 100;
    for _ in 0..6 {
        site.retag_instance("1", None);
        site.retag_instance("1", Some("orders"));
    }
    assert!(site.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    site.is_at_rest();
}

#[test]
fn something_else_that_wears_an_instance_side_is_reported_and_left_alone() {
    let site = connected();
    let ours = ours(&site, "instance");
    let function = site.cloud.world.borrow_mut().other_interface("function", &vpc("1"), &[sg("web"), ours.clone()]);
    site.next_sweep();
    let ran = site.connect(&[site.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"foreign-attachment"), "{:#?}", ran.log);
    site.is_at_rest();
    // The store cuts it off with its own side; the pair cannot be deleted while it is worn.
    site.retag_store("orders", None);
    site.next_sweep();
    site.look(|world| {
        assert_eq!(world.others[&function].2, [sg("web"), ours.clone()].into());
        assert_eq!(world.list_of(cluster("orders").as_str()), [sg("db")].into());
        assert!(world.groups.contains_key(&ours));
    });
    assert_eq!(site.look(|world| world.cuts.len()), 3, "what the store side carried to it counts");
    site.is_at_rest();
    site.change(|world| {
        world.others.remove(&function);
    });
    site.next_sweep();
    assert!(site.look(|world| world.ours().is_empty()));
    site.is_at_rest();
}

#[test]
fn groups_that_only_look_like_ours_are_never_touched() {
    let site = connected();
    let rule = Rule { direction: Direction::Inbound, traffic: Traffic::All, peer: Peer::Ipv4("0.0.0.0/0".to_owned()) };
    site.change(|world| {
        let forged = world.foreign_group("forged", &vpc("1"), "rds-ec2-8");
        let tags = world.groups[&world.side(&identity("orders"), "store").unwrap()].group.tags.clone();
        world.groups.get_mut(&forged).unwrap().group.tags = tags.clone();
        world.their_groups.get_mut(&forged).unwrap().tags = tags;
        world.they_add_rule(&forged, rule.clone());
        let named = world.foreign_group("named", &vpc("1"), "ec2-rds-8");
        world.they_add_rule(&named, rule);
        world.they_attach("eni-1", &named);
        world.they_attach(cluster("orders").as_str(), &forged);
    });
    site.next_sweep();
    let ran = site.connect(&[site.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"ownership-forged"), "{:#?}", ran.log);
    site.retag_instance("1", None);
    site.retag_store("orders", None);
    site.next_sweep();
    site.next_sweep();
    site.look(|world| {
        assert_eq!(world.list_of("eni-1"), [sg("web"), sg("monitoring"), sg("named")].into());
        assert_eq!(world.list_of(cluster("orders").as_str()), [sg("db"), sg("forged")].into());
        assert_eq!(world.ours().values().flatten().count(), 0);
    });
    site.is_at_rest();
}
