//! Records of groups in the state table: written before a group is made, lost, and those of earlier versions.

use tagwire_core::{
    group::{
        Described, GroupName, GroupRecord, MANAGED_BY_KEY, Role, SIDE_KEY, STORE_ID_KEY, Token, description,
        former_description,
    },
    id::SecurityGroupId,
    tag::ConnectTag,
};
use tagwire_engine::cloud::ErrorKind;

use crate::{
    installation::Installation,
    simulated::{Fault, World, cluster, identity, instance, sg, vpc},
};

fn build(world: &mut World) {
    world.store("orders", &vpc("1"), Some("orders"));
    for number in ["1", "2", "3"] {
        world.launch(number, &vpc("1"), Some("orders"));
    }
}

fn connected() -> Installation {
    Installation::connected(build)
}

fn reaching(installation: &Installation) -> usize {
    let reaches = |world: &World, number: &str| world.reaches(&instance(number), &cluster("orders"));
    installation.look(|world| ["1", "2", "3"].iter().filter(|number| reaches(world, number)).count())
}

fn side(installation: &Installation, side: &str) -> SecurityGroupId {
    installation.look(|world| world.side(&identity("orders"), side).unwrap())
}

/// Makes the pair what an earlier version left behind.
fn as_formerly(world: &mut World) {
    world.identities.clear();
    for there in world.groups.values_mut() {
        if let Some(described) = Described::read(&there.group.description) {
            there.group.description = former_description(described.role).to_owned();
        }
    }
}

#[test]
fn the_pair_of_an_earlier_version_is_bound_and_nobody_is_cut_off() {
    let installation = connected();
    installation.change(as_formerly);
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("2"))]);
    assert_eq!((ran.codes("outcome"), ran.writes()), (vec!["unchanged"], 0), "{:#?}", ran.log);
    assert_eq!(reaching(&installation), 3);
    let bound = installation.look(|world| world.identities[&vpc("1")].clone());
    assert_eq!(bound.len(), 2);
    for (name, record) in bound {
        assert_eq!((record.store, record.role, record.token), (identity("orders"), name.role, None));
        assert!(record.id.is_some() && record.arn == Some(cluster("orders")));
    }
    installation.assert_converged();
    // From then on tags are believed no more, and it is ended like any other.
    let instance_side = side(&installation, "instance");
    installation.change(|world| {
        let tags = &mut world.groups.get_mut(&instance_side).unwrap().group.tags;
        tags.insert(STORE_ID_KEY.to_owned(), "cluster-NOWHERE".to_owned());
    });
    installation.next_sweep();
    assert_eq!(reaching(&installation), 3);
    installation.retag_store("orders", None);
    installation.next_sweep();
    installation.next_sweep();
    assert!(installation.look(|world| world.ours().is_empty()));
    assert!(installation.look(|world| world.identities[&vpc("1")].is_empty()));
    installation.assert_converged();
}

#[test]
fn a_pair_of_an_earlier_version_that_nobody_remembers_is_left_as_it_is() {
    let installation = connected();
    installation.change(|world| {
        as_formerly(world);
        world.table.get_mut(&vpc("1")).unwrap().attached.clear();
    });
    installation.retag_instance("1", None);
    for _ in 0..3 {
        installation.next_sweep();
    }
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert_eq!(
        (ran.codes("finding").iter().filter(|code| **code == "identity-unproven").count(), ran.writes()),
        (2, 0)
    );
    assert_eq!(reaching(&installation), 3);
    installation.assert_converged();
}

#[test]
fn what_is_remembered_of_earlier_versions_and_cannot_be_read_makes_no_second_pair() {
    let installation = connected();
    installation.change(|world| {
        as_formerly(world);
        world.launch("4", &vpc("1"), Some("orders"));
        world.fail_next("vpc_state", 1000, Fault::Fails { kind: ErrorKind::Denied, with_effect: false });
    });
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("4"))]);
    assert_eq!((ran.count("create_group"), ran.writes()), (0, 0), "{:#?}", ran.log);
    installation.recovers();
    assert!(installation.look(|world| world.reaches(&instance("4"), &cluster("orders"))));
    assert_eq!(installation.look(|world| world.ours().len()), 2);
}

#[test]
fn a_lost_table_cuts_nobody_and_a_block_still_does() {
    let installation = connected();
    installation.change(|world| {
        world.identities.clear();
        world.table.clear();
        world.instance_mut("3").settings.blocked = true;
    });
    installation.retag_instance("1", None);
    installation.deliver(&[installation.instance_tagged("1"), installation.instance_tagged("3")]);
    installation.next_sweep();
    assert_eq!(reaching(&installation), 2);
    assert!(!installation.look(|world| world.reaches(&instance("3"), &cluster("orders"))));
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"identity-unproven"), "{:#?}", ran.log);
    installation.assert_converged();
}

#[test]
fn while_the_records_cannot_be_read_only_a_block_is_carried_out_and_all_else_follows() {
    let installation = connected();
    installation.change(|world| {
        world.launch("4", &vpc("1"), Some("orders"));
        world.instance_mut("3").settings.blocked = true;
        world.instance_mut("1").settings.connect = ConnectTag::Absent;
        world.fail_next("identities", 1000, Fault::Fails { kind: ErrorKind::Unavailable, with_effect: false });
    });
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert_eq!((ran.writes(), ran.count("set_interface_groups")), (1, 1), "{:#?}", ran.log);
    assert!(!installation.look(|world| world.reaches(&instance("3"), &cluster("orders"))));
    assert_eq!(reaching(&installation), 2);
    installation.recovers();
    assert!(installation.look(|world| world.reaches(&instance("4"), &cluster("orders"))));
    assert_eq!(reaching(&installation), 1);
}

#[test]
fn a_group_whose_record_cannot_be_written_is_not_made() {
    let installation = Installation::new(build);
    installation.change(|world| {
        world.fail_next("write_notes", 1000, Fault::Fails { kind: ErrorKind::Denied, with_effect: false });
    });
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
    assert!(ran.count("write_notes") > 0);
    assert_eq!((ran.count("create_group"), ran.writes()), (0, 0));
    installation.recovers();
    assert_eq!(reaching(&installation), 3);
}

#[test]
fn a_group_of_our_own_that_was_deleted_and_made_again_by_somebody_is_not_taken_back() {
    let installation = connected();
    let store_side = side(&installation, "store");
    installation.change(|world| {
        let of = world.groups[&store_side].group.clone();
        for list in ["eni-1", "eni-2", "eni-3", cluster("orders").as_str()] {
            let all = world.list_of(list);
            for ours in all.iter().filter(|group| group.as_str().starts_with("sg-born")) {
                world.they_detach(list, ours);
            }
        }
        world.groups.remove(&store_side);
        let again = world.foreign_group("again", &vpc("1"), &of.name);
        for copy in [&mut world.groups.get_mut(&again).unwrap().group, world.their_groups.get_mut(&again).unwrap()] {
            copy.description.clone_from(&of.description);
            copy.tags.clone_from(&of.tags);
            copy.rules.clone_from(&of.rules);
        }
    });
    installation.next_sweep();
    installation.next_sweep();
    installation.look(|world| {
        assert!(!world.list_of(cluster("orders").as_str()).contains(&sg("again")));
        assert!(world.reaches(&instance("1"), &cluster("orders")));
        assert_eq!(world.groups[&sg("again")].group, world.their_groups[&sg("again")]);
    });
}

#[test]
fn a_group_made_beforehand_under_the_next_name_is_passed_by() {
    let installation = Installation::new(|world| {
        build(world);
        let beforehand = world.foreign_group("beforehand", &vpc("1"), "rds-ec2-1");
        let text = description(Role::of_name("rds-ec2-1").unwrap(), &identity("orders"), &Token::of_bits(99));
        for copy in
            [&mut world.groups.get_mut(&beforehand).unwrap().group, world.their_groups.get_mut(&beforehand).unwrap()]
        {
            copy.description.clone_from(&text);
        }
        // As if connect had been interrupted before it made its own.
        let record = GroupRecord {
            store: identity("orders"),
            arn: Some(cluster("orders")),
            role: Role::of_name("rds-ec2-1").unwrap(),
            token: Some(Token::of_bits(7)),
            id: None,
            earlier: None,
        };
        world.identities.entry(vpc("1")).or_default().insert(GroupName::read("rds-ec2-1").unwrap(), record);
    });
    installation.connect(&[installation.whole(&vpc("1"))]);
    installation.change(World::lists_settle);
    assert_eq!(reaching(&installation), 3);
    assert!(!installation.look(|world| world.list_of(cluster("orders").as_str()).contains(&sg("beforehand"))));
    installation.assert_converged();
}

#[test]
fn tags_that_were_changed_are_put_back_once() {
    let installation = connected();
    let (store_side, instance_side) = (side(&installation, "store"), side(&installation, "instance"));
    installation.change(|world| {
        let mut tags = |group: &SecurityGroupId, key: &str| {
            world.groups.get_mut(group).unwrap().group.tags.insert(key.to_owned(), "x".to_owned());
        };
        tags(&store_side, STORE_ID_KEY);
        tags(&instance_side, SIDE_KEY);
    });
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert_eq!((ran.count("tag_group"), ran.writes()), (2, 2), "{:#?}", ran.log);
    assert_eq!(ran.codes("finding").iter().filter(|code| **code == "identity-conflict").count(), 2);
    installation.assert_converged();

    // Without the tag that lets the role do it, it is not tried.
    installation.change(|world| {
        world.groups.get_mut(&instance_side).unwrap().group.tags.remove(MANAGED_BY_KEY);
    });
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert_eq!((ran.writes(), ran.codes("finding").contains(&"identity-conflict")), (0, true));
    assert_eq!(reaching(&installation), 3);
}
