//! Block, isolation and hold, on either side.

use tagwire_core::tag::ConnectTag;

use crate::{
    simulated::{World, cluster, identity, instance, sg, vpc},
    site::Site,
};

fn site() -> Site {
    Site::connected(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        for number in 1..=12 {
            world.launch(&number.to_string(), &vpc("1"), Some("orders"));
        }
    })
}

fn reaching(site: &Site) -> usize {
    let reaches = |world: &World, number: u32| world.reaches(&instance(&number.to_string()), &cluster("orders"));
    site.look(|world| (1..=12).filter(|number| reaches(world, *number)).count())
}

fn orders(site: &Site) -> String {
    site.tagged(cluster("orders").as_str())
}

fn pair_stands(site: &Site) -> bool {
    site.look(|world| ["store", "instance"].iter().all(|side| world.side(&identity("orders"), side).is_some()))
}

#[test]
fn a_blocked_instance_is_cut_off_at_once_and_no_sweep_brings_it_back() {
    let site = site();
    site.change(|world| world.instance_mut("1").wishes.blocked = true);
    site.take_in(&[site.instance_tagged("1")]);
    let ran = site.connect_sent();
    assert_eq!((ran.writes(), ran.count("reserve")), (1, 0), "a block is not counted");
    for _ in 0..3 {
        assert_eq!(reaching(&site), 11);
        assert!(!site.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
        site.is_at_rest();
        site.next_sweep();
    }
    site.change(|world| world.instance_mut("1").wishes.blocked = false);
    site.hear(&[site.instance_tagged("1")]);
    assert_eq!(reaching(&site), 12);
    site.is_at_rest();
}

#[test]
fn a_blocked_store_is_cut_off_at_once_whatever_the_window_lets() {
    let mut site = site();
    site.policy.max_disconnects = 0;
    site.change(|world| world.wishes_of_store("orders").blocked = true);
    site.take_in(&[orders(&site)]);
    let ran = site.connect_sent();
    assert_eq!((ran.count("set_store_groups"), ran.count("set_interface_groups"), ran.count("reserve")), (1, 12, 0));
    let first = ran.calls.iter().find(|call| call.writes()).unwrap();
    assert_eq!(first.name, "set_store_groups", "the one call that cuts everybody off comes first");
    site.drain();
    for _ in 0..3 {
        assert_eq!(reaching(&site), 0);
        site.is_at_rest();
        site.next_sweep();
    }
    assert!(pair_stands(&site), "tags still ask for it");
    site.change(|world| world.wishes_of_store("orders").blocked = false);
    site.hear(&[orders(&site)]);
    assert_eq!(reaching(&site), 12);
    site.is_at_rest();
}

#[test]
fn a_blocked_store_whose_list_is_changing_is_cut_off_at_its_instances_and_then_itself() {
    let site = site();
    site.change(|world| {
        world.they_attach(cluster("orders").as_str(), &sg("audit"));
        let store = world.stores.get_mut(&cluster("orders")).unwrap();
        store.groups.insert(sg("audit"), tagwire_core::model::Membership::Adding);
        store.wishes.blocked = true;
    });
    site.take_in(&[orders(&site)]);
    let ran = site.connect_sent();
    assert_eq!((ran.count("set_store_groups"), ran.count("set_interface_groups")), (0, 12));
    assert_eq!(ran.codes("outcome"), ["looked-at-again"]);
    assert_eq!(reaching(&site), 0);
    site.change(World::lists_settle);
    site.drain();
    assert!(site.look(|world| world.list_of(cluster("orders").as_str()) == [sg("db"), sg("audit")].into()));
    site.is_at_rest();
}

#[test]
fn a_block_works_beside_a_tag_that_cannot_be_read_and_beside_a_hold() {
    let marks: [fn(&mut World); 3] = [
        |world| world.instance_mut("1").wishes.connect = ConnectTag::read(Some("a,b")),
        |world| world.instance_mut("1").wishes.held = true,
        |world| world.wishes_of_store("orders").held = true,
    ];
    for mark in marks {
        let site = site();
        site.change(mark);
        site.hear(&[site.instance_tagged("1"), orders(&site)]);
        assert_eq!(reaching(&site), 12, "neither takes anything away");
        site.change(|world| world.instance_mut("1").wishes.blocked = true);
        site.hear(&[site.instance_tagged("1")]);
        assert_eq!(reaching(&site), 11);
        site.is_at_rest();
    }
}

#[test]
fn an_isolated_interface_is_cut_off_by_the_next_look_and_comes_back_when_it_is_free_again() {
    let mut site = site();
    site.policy.isolation_groups.insert(sg("quarantine"));
    site.change(|world| world.they_attach("eni-1", &sg("quarantine")));
    site.next_sweep();
    assert_eq!(reaching(&site), 11);
    assert!(site.look(|world| world.table[&vpc("1")].window.version == 0), "isolation is not counted");
    site.look(|world| assert_eq!(world.list_of("eni-1"), [sg("web"), sg("quarantine")].into()));
    site.is_at_rest();
    site.change(|world| world.they_detach("eni-1", &sg("quarantine")));
    site.next_sweep();
    assert_eq!(reaching(&site), 12);
    site.is_at_rest();
}

#[test]
fn isolation_that_comes_while_a_run_attaches_is_seen_by_the_next_look() {
    let mut site = Site::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
    });
    site.policy.isolation_groups.insert(sg("quarantine"));
    site.change(|world| world.before("interfaces", 0, |world| world.they_attach("eni-1", &sg("quarantine"))));
    site.hear(&[site.pending(&instance("1"))]);
    assert!(site.look(|world| world.list_of("eni-1").contains(&sg("quarantine"))), "it was not lost");
    site.next_sweep();
    site.look(|world| assert_eq!(world.list_of("eni-1"), [sg("web"), sg("quarantine")].into()));
    site.is_at_rest();
}

#[test]
fn a_hold_on_an_instance_freezes_it_both_ways() {
    let site = site();
    site.change(|world| {
        world.store("billing", &vpc("1"), Some("billing"));
        world.instance_mut("1").wishes.held = true;
    });
    site.retag_instance("1", Some("billing"));
    site.next_sweep();
    assert_eq!(reaching(&site), 12, "what stands stays");
    assert!(!site.look(|world| world.reaches(&instance("1"), &cluster("billing"))), "and nothing comes");
    let ran = site.connect(&[site.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"held"), "{:#?}", ran.log);
    site.is_at_rest();
    site.change(|world| world.instance_mut("1").wishes.held = false);
    site.hear(&[site.instance_tagged("1")]);
    assert_eq!(reaching(&site), 11);
    assert!(site.look(|world| world.reaches(&instance("1"), &cluster("billing"))));
    site.is_at_rest();
}

#[test]
fn a_hold_on_a_store_freezes_it_both_ways() {
    let site = site();
    site.change(|world| {
        world.wishes_of_store("orders").held = true;
        world.tag_instance("1", None);
        world.launch("late", &vpc("1"), Some("orders"));
    });
    site.hear(&[orders(&site), site.instance_tagged("1"), site.pending(&instance("late"))]);
    site.retag_store("orders", None);
    site.next_sweep();
    site.next_sweep();
    assert_eq!((reaching(&site), pair_stands(&site)), (12, true));
    assert!(!site.look(|world| world.reaches(&instance("late"), &cluster("orders"))));
    site.is_at_rest();
    site.change(|world| world.wishes_of_store("orders").held = false);
    site.retag_store("orders", Some("orders"));
    assert_eq!(reaching(&site), 11);
    assert!(site.look(|world| world.reaches(&instance("late"), &cluster("orders"))));
    site.is_at_rest();
}
