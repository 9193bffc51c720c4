//! Names that are taken, and groups that an interrupted run left behind.

use tagwire_core::service::Side;
use tagwire_engine::cloud::ErrorKind;

use crate::{
    installation::Installation,
    simulated::{Fault, When, World, cluster, instance, vpc},
};

fn names_of_ours(world: &World) -> Vec<String> {
    let mut names: Vec<_> = world.ours().into_values().flatten().map(|group| group.name.clone()).collect();
    names.sort();
    names
}

fn installation(more: impl FnOnce(&mut World)) -> Installation {
    Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
        more(world);
    })
}

fn run(installation: &Installation) {
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!(ran.codes("outcome"), ["changed"], "{:#?}", ran.log);
    installation.change(World::lists_settle);
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
}

#[test]
fn a_name_that_somebody_has_in_capitals_costs_a_number_in_the_same_run() {
    for (taken, names) in [
        (["RDS-EC2-1", "EC2-RDS-1"], ["ec2-rds-2", "rds-ec2-2"]),
        (["Rds-Ec2-1", "something"], ["ec2-rds-1", "rds-ec2-2"]),
        (["something", "Ec2-Rds-1"], ["ec2-rds-2", "rds-ec2-1"]),
    ] {
        let installation = installation(|world| {
            for (index, name) in taken.iter().enumerate() {
                world.foreign_group(&format!("foreign{index}"), &vpc("1"), name);
            }
        });
        run(&installation);
        assert_eq!(installation.look(names_of_ours), names, "{taken:?}");
        installation.assert_converged();
    }
}

#[test]
fn a_taken_name_beside_a_group_that_shows_late_leaves_nothing_behind() {
    for hidden in 0..4 {
        let installation = installation(|world| {
            world.groups_hidden_for = hidden;
            world.foreign_group("foreign", &vpc("1"), "EC2-RDS-1");
        });
        run(&installation);
        assert_eq!(installation.look(names_of_ours), ["ec2-rds-2", "rds-ec2-1"], "hidden for {hidden}");
        installation.assert_converged();
    }
}

#[test]
fn a_name_of_the_console_is_passed_over() {
    let installation = installation(|world| {
        world.foreign_group("foreign", &vpc("1"), "rds-ec2-1");
    });
    run(&installation);
    assert_eq!(installation.look(names_of_ours), ["ec2-rds-2", "rds-ec2-2"]);
    installation.assert_converged();
}

#[test]
fn the_same_name_in_another_vpc_is_nobodys_business() {
    let installation = installation(|world| {
        world.foreign_group("foreign", &vpc("2"), "rds-ec2-1");
    });
    run(&installation);
    assert_eq!(installation.look(names_of_ours), ["ec2-rds-1", "rds-ec2-1"]);
    installation.assert_converged();
}

#[test]
fn a_group_of_an_interrupted_run_is_taken_up() {
    for (side, name) in [(Side::Store, "rds-ec2-4"), (Side::Instance, "ec2-rds-4")] {
        let installation = installation(|world| {
            world.half_made(side, name, &vpc("1"), &cluster("orders"));
        });
        run(&installation);
        assert_eq!(installation.look(names_of_ours), ["ec2-rds-4", "rds-ec2-4"]);
        installation.assert_converged();
    }
}

#[test]
fn a_group_of_an_interrupted_run_that_shows_late_is_taken_up() {
    for hidden in 1..5 {
        let installation = installation(|world| world.groups_hidden_for = hidden);
        installation.change(|world| {
            world.fail(When::Named { name: "create_group", after: 1, times: 1 }, Fault::Crash { with_effect: true });
        });
        let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
        assert!(ran.returned.is_none());
        installation.change(World::heal);
        run(&installation);
        assert_eq!(installation.look(names_of_ours), ["ec2-rds-1", "rds-ec2-1"], "hidden for {hidden}");
        installation.assert_converged();
    }
}

#[test]
fn a_new_group_is_waited_for_until_it_can_be_read() {
    for hidden in 0..5 {
        let installation = installation(|world| world.groups_hidden_for = hidden);
        run(&installation);
        installation.assert_converged();
    }
    let installation = installation(|world| world.groups_hidden_for = 20);
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!((ran.codes("outcome"), ran.count("authorize")), (vec!["will-retry"], 0));
    installation.change(|world| world.groups.values_mut().for_each(|there| there.hidden = 0));
    installation.drain();
    assert_eq!(installation.look(names_of_ours), ["ec2-rds-1", "rds-ec2-1"]);
    installation.assert_converged();
}

#[test]
fn a_hand_on_a_rule_is_taken_back() {
    let installation = installation(|_| {});
    run(&installation);
    installation.change(|world| {
        let ours: Vec<_> = world.ours().into_values().flatten().map(|group| group.id.clone()).collect();
        for id in ours {
            let rules = &mut world.groups.get_mut(&id).unwrap().group.rules;
            let mut wider = rules.first().unwrap().clone();
            wider.traffic = tagwire_core::rule::Traffic::All;
            rules.insert(wider);
        }
    });
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!((ran.count("revoke"), ran.writes()), (2, 2));
    installation.assert_converged();
}

#[test]
fn a_renamed_store_keeps_its_pair_and_its_groups_say_the_new_name() {
    let installation = installation(|_| {});
    run(&installation);
    installation.change(|world| {
        let mut store = world.stores.remove(&cluster("orders")).unwrap();
        store.arn = cluster("orders-new");
        world.index.clear();
        world.index.insert(store.arn.clone(), store.settings.connect.clone());
        world.they_detach(cluster("orders").as_str(), &crate::simulated::sg("db"));
        world.stores.insert(store.arn.clone(), store);
    });
    let intake = installation.take_in(&[installation.created(&cluster("orders-new"))]);
    assert_eq!(intake.codes("outcome"), ["work-sent"]);
    let ran = installation.connect_sent();
    assert_eq!((ran.count("tag_group"), ran.writes()), (2, 2), "{:#?}", ran.calls);
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders-new"))));
    installation.assert_converged();
}

#[test]
fn numbers_that_are_taken_are_passed_over_in_one_run() {
    let installation = installation(|world| {
        for number in 1..=4 {
            world.foreign_group(&format!("foreign{number}"), &vpc("1"), &format!("RDS-EC2-{number}"));
        }
    });
    run(&installation);
    assert!(installation.look(|world| world.ours().into_values().flatten().any(|group| group.name == "rds-ec2-5")));
    installation.assert_converged();
}

#[test]
fn a_renamed_store_takes_new_instances_although_its_groups_cannot_be_tagged() {
    let installation = installation(|_| {});
    run(&installation);
    installation.change(|world| {
        let mut store = world.stores.remove(&cluster("orders")).unwrap();
        store.arn = cluster("orders-new");
        world.index.clear();
        world.index.insert(store.arn.clone(), store.settings.connect.clone());
        world.they_detach(cluster("orders").as_str(), &crate::simulated::sg("db"));
        world.stores.insert(store.arn.clone(), store);
        world.launch("2", &vpc("1"), Some("orders"));
        world.fail(
            When::Named { name: "tag_group", after: 0, times: 2 },
            Fault::Fails { kind: ErrorKind::Denied, with_effect: false },
        );
    });
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("2"))]);
    assert_eq!((ran.codes("outcome"), ran.codes("step")), (vec!["failed"], vec!["denied", "denied"]), "{:#?}", ran.log);
    assert!(installation.look(|world| world.reaches(&instance("2"), &cluster("orders-new"))));
    installation.recovers();
}
