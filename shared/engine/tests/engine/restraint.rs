//! Absence is not evidence: whatever could not be read, nothing is removed that rests on it, and the
//! rest is.

use tagwire_engine::{cloud::ErrorKind, handlers::Failed};

use crate::{
    installation::{Installation, Ran},
    simulated::{Fault, World, cluster, identity, instance, sg, vpc},
};

/// Everything that can end has ended at once: an instance without its tag, one with another name, a
/// store without its tag, a deleted one, and a pair that nobody wants; and an instance is blocked.
fn installation() -> Installation {
    let installation = Installation::connected(|world| {
        for store in ["orders", "billing", "audit", "legacy"] {
            world.store(store, &vpc("1"), Some(store));
        }
        world.launch("1", &vpc("1"), Some("orders"));
        world.launch("2", &vpc("1"), Some("orders billing"));
        world.launch("3", &vpc("1"), Some("billing legacy"));
        world.launch("4", &vpc("1"), Some("audit"));
        world.launch("5", &vpc("1"), Some("orders"));
        world.other_writer_attaches("eni-1", &sg("monitoring"));
    });
    installation.change(|world| {
        world.tag_instance("1", None);
        world.tag_instance("2", Some("billing"));
        world.tag_store("audit", None);
        world.delete_store("legacy");
    });
    installation
}

/// What was taken away, by where.
fn removals(ran: &Ran<Failed>) -> Vec<&'static str> {
    let removing = ["set_interface_groups", "set_store_groups", "delete_group", "revoke"];
    ran.calls.iter().map(|call| call.name).filter(|name| removing.contains(name)).collect()
}

fn faults() -> Vec<Fault> {
    vec![
        Fault::Fails { kind: ErrorKind::Denied, with_effect: false },
        Fault::Fails { kind: ErrorKind::Throttled, with_effect: false },
        Fault::Fails { kind: ErrorKind::Unavailable, with_effect: false },
        Fault::Page(ErrorKind::Denied),
        Fault::Page(ErrorKind::Throttled),
    ]
}

/// Fails a call for good and looks at everything.
fn look_without(installation: &Installation, name: &'static str, fault: Fault) -> Ran<Failed> {
    installation.change(|world| world.fail_next(name, usize::MAX - 10_000, fault));
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert!(ran.count(name) > 0, "{name} is not called at all: {:#?}", ran.calls);
    assert_eq!(ran.returned, Some(Failed::new()));
    installation.look(World::is_sound).unwrap();
    ran
}

/// The end of every story here: it can be read again, and everything ends that has to.
fn ends_when_it_can_be_read(installation: &Installation) {
    installation.change(World::heal);
    for _ in 0..3 {
        installation.next_sweep();
    }
    installation.look(|world| {
        assert_eq!(world.list_of("eni-1"), [sg("web"), sg("monitoring")].into());
        assert!(
            !world.reaches(&instance("2"), &cluster("orders")) && world.reaches(&instance("2"), &cluster("billing"))
        );
        assert!(world.reaches(&instance("5"), &cluster("orders")));
        for gone in ["audit", "legacy"] {
            assert!(world.side(&identity(gone), "instance").is_none(), "{gone}");
        }
    });
    installation.assert_converged();
}

#[test]
fn everything_ends_when_everything_is_read() {
    let installation = installation();
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert_eq!(removals(&ran).iter().filter(|name| **name == "set_interface_groups").count(), 4);
    ends_when_it_can_be_read(&installation);
}

#[test]
fn without_the_groups_or_the_instances_nothing_is_removed_at_all() {
    for fault in faults() {
        let installation = installation();
        let ran = look_without(&installation, "groups", fault);
        assert_eq!(ran.writes(), 0, "{fault:?}: {:#?}", ran.calls);
        assert!(ran.codes("finding").contains(&"unread"));
        ends_when_it_can_be_read(&installation);
    }
}

#[test]
fn without_all_instances_only_what_was_seen_of_them_is_removed_and_no_store_side() {
    for fault in faults() {
        let installation = installation();
        let ran = look_without(&installation, "instances", fault);
        assert!(ran.codes("finding").contains(&"unread"));
        assert_eq!((ran.count("set_store_groups"), ran.count("delete_group")), (0, 0), "{fault:?}: {:#?}", ran.calls);
        assert!(installation.look(|world| world.reaches(&instance("5"), &cluster("orders"))));
        ends_when_it_can_be_read(&installation);
    }
}

#[test]
fn without_the_stores_nothing_is_removed_from_those_that_were_not_seen() {
    for fault in faults() {
        let installation = installation();
        let ran = look_without(&installation, "stores", fault);
        assert!(ran.codes("finding").contains(&"unread"));
        assert_eq!(ran.count("delete_group"), 0, "{fault:?}: {:#?}", ran.calls);
        if matches!(fault, Fault::Fails { .. }) {
            assert_eq!(removals(&ran), Vec::<&str>::new(), "{fault:?}");
        }
        assert!(installation.look(|world| world.reaches(&instance("5"), &cluster("orders"))));
        ends_when_it_can_be_read(&installation);
    }
}

#[test]
fn without_a_list_of_all_stores_none_is_gone_and_the_others_go_on() {
    for fault in faults() {
        let installation = installation();
        let ran = look_without(&installation, "stores_by_id", fault);
        assert!(ran.codes("finding").contains(&"unread"));
        assert_eq!(
            ran.count("set_interface_groups"),
            3,
            "{fault:?}: the instance of the deleted store keeps its group"
        );
        assert!(installation.look(|world| world.side(&identity("legacy"), "store").is_some()));
        ends_when_it_can_be_read(&installation);
    }
}

#[test]
fn without_knowing_who_has_a_group_none_leaves_a_store_and_none_is_deleted() {
    for fault in faults() {
        let installation = installation();
        let ran = look_without(&installation, "attached_interfaces", fault);
        assert!(ran.codes("finding").contains(&"unread"));
        assert_eq!((ran.count("set_store_groups"), ran.count("delete_group")), (0, 0), "{fault:?}: {:#?}", ran.calls);
        assert_eq!(ran.count("set_interface_groups"), 3, "{fault:?}: those whose stores are there");
        ends_when_it_can_be_read(&installation);
    }
}

#[test]
fn without_the_launch_templates_no_group_is_deleted_and_all_else_goes_on() {
    for fault in faults() {
        let installation = installation();
        let ran = look_without(&installation, "launch_template_groups", fault);
        assert!(ran.codes("finding").contains(&"unread"));
        assert_eq!(ran.count("delete_group"), 0, "{fault:?}");
        assert_eq!((ran.count("set_interface_groups"), ran.count("set_store_groups")), (4, 1), "{fault:?}");
        ends_when_it_can_be_read(&installation);
    }
}

#[test]
fn without_the_state_table_nothing_counted_is_removed() {
    for fault in faults() {
        let installation = installation();
        let ran = look_without(&installation, "vpc_state", fault);
        assert!(ran.codes("finding").contains(&"unread"));
        assert_eq!((ran.count("set_interface_groups"), ran.count("set_store_groups")), (1, 0), "{fault:?}");
        assert_eq!(ran.count("delete_group"), 2, "{fault:?}: those of the store that is gone");
        ends_when_it_can_be_read(&installation);
    }
}

#[test]
fn an_empty_tag_index_removes_nothing() {
    let installation = installation();
    let index = installation.look(|world| world.index.clone());
    installation.change(|world| {
        world.index.clear();
        world.tag_instance("1", Some("orders"));
        world.tag_instance("2", Some("orders billing"));
        world.tag_store("audit", Some("audit"));
        world.store("legacy", &vpc("1"), Some("legacy"));
        world.index.clear();
    });
    let before = installation.look(|world| world.calls_named("stores").count());
    installation.next_sweep();
    assert!(
        installation.look(|world| world.calls_named("stores").count()) > before,
        "the stores were asked for all the same"
    );
    installation.look(|world| {
        for (from, to) in [("1", "orders"), ("2", "orders"), ("2", "billing"), ("3", "billing"), ("4", "audit")] {
            assert!(world.reaches(&instance(from), &cluster(to)), "{from} to {to}");
        }
    });
    installation.change(|world| world.index = index);
    installation.next_sweep();
    installation.assert_converged();
}

#[test]
fn without_the_tag_index_only_what_needs_no_index_is_done() {
    for fault in faults() {
        let installation = installation();
        let ran = look_without(&installation, "candidates", fault);
        assert!(ran.codes("finding").contains(&"unread"));
        assert!(installation.look(|world| world.reaches(&instance("5"), &cluster("orders"))), "{fault:?}");
        ends_when_it_can_be_read(&installation);
    }
}

#[test]
fn what_is_read_again_right_before_a_list_is_replaced_and_cannot_be_leaves_the_list_alone() {
    for fault in faults() {
        let installation = installation();
        let ran = look_without(&installation, "interfaces", fault);
        let half = matches!(fault, Fault::Page(_));
        assert_eq!(ran.count("set_interface_groups"), if half { 2 } else { 0 }, "{fault:?}: {:#?}", ran.calls);
        assert_eq!(ran.count("delete_group"), 0, "{fault:?}: what was not taken off is not deleted");
        ends_when_it_can_be_read(&installation);
    }
}

#[test]
fn a_malformed_tag_removes_nothing() {
    let installation = Installation::connected(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
    });
    installation.retag_instance("1", Some("orders,billing"));
    installation.next_sweep();
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    installation.assert_converged();
    installation.change(|world| world.tag_instance("1", Some("orders")));
    installation.retag_store("orders", Some("o r d e r s + more"));
    installation.next_sweep();
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"invalid-tag"));
    installation.assert_converged();
}

#[test]
fn a_store_that_becomes_ineligible_keeps_what_it_has() {
    let installation = Installation::connected(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
    });
    installation.change(|world| {
        let store = world.stores.get_mut(&cluster("orders")).unwrap();
        store.form = tagwire_core::model::Form::GlobalMember { global: "world".into() };
        world.launch("2", &vpc("1"), Some("orders"));
    });
    installation.next_sweep();
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    assert!(!installation.look(|world| world.reaches(&instance("2"), &cluster("orders"))));
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert!(ran.codes("decision").contains(&"global-database"));
    installation.assert_converged();
}

type Event = fn(&Installation) -> String;
type Readings = &'static [&'static str];

#[test]
fn events_too_remove_nothing_that_rests_on_what_was_not_read() {
    // Each event, and the readings that its removal rests on.
    let stories: [(&str, Event, Readings); 3] = [
        ("an instance", |installation| installation.instance_tagged("1"), &["groups", "stores", "vpc_state"]),
        (
            "a store",
            |installation| installation.tagged(cluster("audit").as_str()),
            &["groups", "instances", "attached_interfaces", "vpc_state"],
        ),
        (
            "a store gone",
            |installation| installation.deleted(&cluster("legacy")),
            &["groups", "instances", "stores_by_id", "attached_interfaces"],
        ),
    ];
    for (story, event, readings) in stories {
        for name in readings {
            for fault in faults() {
                let installation = installation();
                let event = event(&installation);
                installation.take_in(&[event]);
                let lists = |world: &World| {
                    ["eni-1", "eni-3", "eni-4", cluster("audit").as_str()].map(|target| world.list_of(target))
                };
                let before = installation.look(lists);
                installation.change(|world| world.fail_next(name, usize::MAX - 10_000, fault));
                let ran = installation.connect_sent();
                assert!(ran.count(name) > 0, "{story}, {name}, {fault:?}: not called");
                // An instance that was seen loses what its store's own tag no longer asks for.
                let seen = *name == "instances" && matches!(fault, Fault::Page(_));
                let leaves = seen || (story == "a store" && *name == "attached_interfaces");
                assert!(leaves || installation.look(lists) == before, "{story}, {name}, {fault:?}: {:#?}", ran.calls);
                assert_eq!(
                    (ran.count("set_store_groups"), ran.count("delete_group")),
                    (0, 0),
                    "{story}, {name}, {fault:?}"
                );
                ends_when_it_can_be_read(&installation);
            }
        }
    }
}
