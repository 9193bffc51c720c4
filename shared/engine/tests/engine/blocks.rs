//! Block, isolation and hold, on either side.

use tagwire_core::tag::ConnectTag;

use crate::{
    installation::Installation,
    simulated::{World, cluster, identity, instance, sg, vpc},
};

fn installation() -> Installation {
    Installation::connected(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        for number in 1..=12 {
            world.launch(&number.to_string(), &vpc("1"), Some("orders"));
        }
    })
}

fn reaching(installation: &Installation) -> usize {
    let reaches = |world: &World, number: u32| world.reaches(&instance(&number.to_string()), &cluster("orders"));
    installation.look(|world| (1..=12).filter(|number| reaches(world, *number)).count())
}

fn orders(installation: &Installation) -> String {
    installation.tagged(cluster("orders").as_str())
}

fn pair_stands(installation: &Installation) -> bool {
    installation.look(|world| ["store", "instance"].iter().all(|side| world.side(&identity("orders"), side).is_some()))
}

#[test]
fn a_blocked_instance_is_cut_off_at_once_and_no_sweep_brings_it_back() {
    let installation = installation();
    installation.change(|world| world.instance_mut("1").settings.blocked = true);
    installation.take_in(&[installation.instance_tagged("1")]);
    let ran = installation.connect_sent();
    assert_eq!((ran.writes(), ran.count("reserve_window")), (1, 0), "a block is not counted");
    for _ in 0..3 {
        assert_eq!(reaching(&installation), 11);
        assert!(!installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
        installation.assert_converged();
        installation.next_sweep();
    }
    installation.change(|world| world.instance_mut("1").settings.blocked = false);
    installation.deliver(&[installation.instance_tagged("1")]);
    assert_eq!(reaching(&installation), 12);
    installation.assert_converged();
}

#[test]
fn a_blocked_store_is_cut_off_at_once_whatever_the_window_lets() {
    let mut installation = installation();
    installation.policy.max_disconnects = 0;
    installation.change(|world| world.settings_of_store("orders").blocked = true);
    installation.take_in(&[orders(&installation)]);
    let ran = installation.connect_sent();
    assert_eq!(
        (ran.count("set_store_groups"), ran.count("set_interface_groups"), ran.count("reserve_window")),
        (1, 12, 0)
    );
    let first = ran.calls.iter().find(|call| call.writes()).unwrap();
    assert_eq!(first.name, "set_store_groups", "the one call that cuts everybody off comes first");
    installation.drain();
    for _ in 0..3 {
        assert_eq!(reaching(&installation), 0);
        installation.assert_converged();
        installation.next_sweep();
    }
    assert!(pair_stands(&installation), "tags still ask for it");
    installation.change(|world| world.settings_of_store("orders").blocked = false);
    installation.deliver(&[orders(&installation)]);
    assert_eq!(reaching(&installation), 12);
    installation.assert_converged();
}

#[test]
fn a_blocked_store_whose_list_is_changing_is_cut_off_at_its_instances_and_then_itself() {
    let installation = installation();
    installation.change(|world| {
        world.other_writer_attaches(cluster("orders").as_str(), &sg("audit"));
        let store = world.stores.get_mut(&cluster("orders")).unwrap();
        store.groups.insert(sg("audit"), tagwire_core::model::Membership::Adding);
        store.settings.blocked = true;
    });
    installation.take_in(&[orders(&installation)]);
    let ran = installation.connect_sent();
    assert_eq!((ran.count("set_store_groups"), ran.count("set_interface_groups")), (0, 12));
    assert_eq!(ran.codes("outcome"), ["will-retry"]);
    assert_eq!(reaching(&installation), 0);
    installation.change(World::lists_settle);
    installation.drain();
    assert!(installation.look(|world| world.list_of(cluster("orders").as_str()) == [sg("db"), sg("audit")].into()));
    installation.assert_converged();
}

#[test]
fn a_block_works_beside_a_tag_that_cannot_be_read_and_beside_a_hold() {
    let marks: [fn(&mut World); 3] = [
        |world| world.instance_mut("1").settings.connect = ConnectTag::read(Some("a,b")),
        |world| world.instance_mut("1").settings.held = true,
        |world| world.settings_of_store("orders").held = true,
    ];
    for mark in marks {
        let installation = installation();
        installation.change(mark);
        installation.deliver(&[installation.instance_tagged("1"), orders(&installation)]);
        assert_eq!(reaching(&installation), 12, "neither takes anything away");
        installation.change(|world| world.instance_mut("1").settings.blocked = true);
        installation.deliver(&[installation.instance_tagged("1")]);
        assert_eq!(reaching(&installation), 11);
        installation.assert_converged();
    }
}

#[test]
fn an_isolated_interface_is_cut_off_by_the_next_look_and_comes_back_when_it_is_free_again() {
    let mut installation = installation();
    installation.policy.isolation_groups.insert(sg("quarantine"));
    installation.change(|world| world.other_writer_attaches("eni-1", &sg("quarantine")));
    installation.next_sweep();
    assert_eq!(reaching(&installation), 11);
    assert!(installation.look(|world| world.table[&vpc("1")].window.version == 0), "isolation is not counted");
    installation.look(|world| assert_eq!(world.list_of("eni-1"), [sg("web"), sg("quarantine")].into()));
    installation.assert_converged();
    installation.change(|world| world.they_detach("eni-1", &sg("quarantine")));
    installation.next_sweep();
    assert_eq!(reaching(&installation), 12);
    installation.assert_converged();
}

#[test]
fn isolation_that_comes_while_a_run_attaches_is_seen_by_the_next_look() {
    let mut installation = Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
    });
    installation.policy.isolation_groups.insert(sg("quarantine"));
    installation
        .change(|world| world.before("interfaces", 0, |world| world.other_writer_attaches("eni-1", &sg("quarantine"))));
    installation.deliver(&[installation.pending(&instance("1"))]);
    assert!(installation.look(|world| world.list_of("eni-1").contains(&sg("quarantine"))), "it was not lost");
    installation.next_sweep();
    installation.look(|world| assert_eq!(world.list_of("eni-1"), [sg("web"), sg("quarantine")].into()));
    installation.assert_converged();
}

#[test]
fn a_hold_on_an_instance_freezes_it_both_ways() {
    let installation = installation();
    installation.change(|world| {
        world.store("billing", &vpc("1"), Some("billing"));
        world.instance_mut("1").settings.held = true;
    });
    installation.retag_instance("1", Some("billing"));
    installation.next_sweep();
    assert_eq!(reaching(&installation), 12, "what stands stays");
    assert!(!installation.look(|world| world.reaches(&instance("1"), &cluster("billing"))), "and nothing comes");
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"held"), "{:#?}", ran.log);
    installation.assert_converged();
    installation.change(|world| world.instance_mut("1").settings.held = false);
    installation.deliver(&[installation.instance_tagged("1")]);
    assert_eq!(reaching(&installation), 11);
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("billing"))));
    installation.assert_converged();
}

#[test]
fn a_hold_on_a_store_freezes_it_both_ways() {
    let installation = installation();
    installation.change(|world| {
        world.settings_of_store("orders").held = true;
        world.tag_instance("1", None);
        world.launch("late", &vpc("1"), Some("orders"));
    });
    installation.deliver(&[
        orders(&installation),
        installation.instance_tagged("1"),
        installation.pending(&instance("late")),
    ]);
    installation.retag_store("orders", None);
    installation.next_sweep();
    installation.next_sweep();
    assert_eq!((reaching(&installation), pair_stands(&installation)), (12, true));
    assert!(!installation.look(|world| world.reaches(&instance("late"), &cluster("orders"))));
    installation.assert_converged();
    installation.change(|world| world.settings_of_store("orders").held = false);
    installation.retag_store("orders", Some("orders"));
    assert_eq!(reaching(&installation), 11);
    assert!(installation.look(|world| world.reaches(&instance("late"), &cluster("orders"))));
    installation.assert_converged();
}
