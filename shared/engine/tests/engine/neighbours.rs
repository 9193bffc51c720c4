//! Somebody else works on the same lists.

use tagwire_core::model::Membership;

use crate::{
    simulated::{cluster, instance, sg, vpc},
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
    site.change(super::simulated::World::lists_settle);
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
    // The pair of the store that is gone stays behind; the new one gets a pair of its own.
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
