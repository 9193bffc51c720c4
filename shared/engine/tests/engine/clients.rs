//! Clients of a store that are not EC2 instances, from the tag to the last group.

use std::collections::BTreeSet;

use tagwire_core::{
    cidr::{Block, CidrLimits, CidrTag, Family, PrefixList},
    id::PrefixListId,
    rule::{Direction, Peer, PortRange, Rule, Traffic},
};
use tagwire_engine::cloud::ErrorKind;

use crate::{
    installation::Installation,
    simulated::{Fault, When, World, cluster, identity, instance, sg, vpc},
};

const OFFICE: &str = "203.0.113.0/24";

impl World {
    /// Tags a store with its CIDR clients.
    fn allow(&mut self, name: &str, clients: Option<&str>) {
        self.settings_of_store(name).allow_cidr = CidrTag::read(clients);
    }

    /// Whom the groups in a store's list let in on its port that are no groups themselves.
    fn clients(&self, name: &str) -> BTreeSet<String> {
        let list = self.list_of(cluster(name).as_str());
        let attached = list.iter().filter_map(|group| self.groups.get(group));
        let rules = attached.flat_map(|there| &there.group.rules);
        let port = PortRange::single(5432).unwrap();
        let into = rules.filter(|rule| rule.direction == Direction::Inbound && rule.traffic == Traffic::Tcp(port));
        let peers = into.filter_map(|rule| match &rule.peer {
            Peer::Ipv4(peer) | Peer::Ipv6(peer) | Peer::PrefixList(peer) => Some(peer.clone()),
            Peer::Group(_) | Peer::GroupOfAccount { .. } => None,
        });
        peers.collect()
    }

    fn has_clients_group(&self) -> bool {
        self.side(&identity("orders"), "cidr").is_some()
    }
}

fn list(id: &str, owner: &str, entries: &[&str]) -> PrefixList {
    PrefixList {
        id: PrefixListId::parse(id).unwrap(),
        owner: owner.into(),
        family: Family::Ipv4,
        most_entries: 20,
        entries: entries.iter().map(|entry| Block::parse(entry).unwrap()).collect(),
    }
}

fn unswept(clients: &str) -> Installation {
    let mut installation = Installation::new(|world| {
        world.with_ipv6.insert(vpc("1"));
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
        world.prefix_lists = vec![list("pl-1", "123456789012", &["198.51.100.0/24"])];
        world.allow("orders", Some(clients));
        world.other_writer_attaches(cluster("orders").as_str(), &sg("audit"));
    });
    installation.policy.allow_cidr = Some(CidrLimits::default());
    installation
}

fn installation() -> Installation {
    let installation = unswept(OFFICE);
    installation.swept();
    installation.assert_converged();
    assert_eq!(clients(&installation), [OFFICE]);
    installation
}

fn clients(installation: &Installation) -> Vec<String> {
    installation.look(|world| world.clients("orders").into_iter().collect())
}

/// The tag changes, and its event comes in.
fn retag(installation: &Installation, clients: Option<&str>) {
    installation.change(|world| world.allow("orders", clients));
    installation.deliver(&[installation.tagged(cluster("orders").as_str())]);
    installation.assert_converged();
}

#[test]
fn a_tag_lets_its_clients_in_beside_the_instances() {
    let installation = unswept("203.0.113.0/24 2001:db8::/48 pl-1");
    installation.deliver(&[installation.tagged(cluster("orders").as_str())]);
    assert_eq!(clients(&installation), ["2001:db8::/48", OFFICE, "pl-1"]);
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    installation.assert_converged();
}

#[test]
fn the_clients_follow_the_tag_and_go_with_it() {
    let installation = installation();
    retag(&installation, Some("198.51.100.0/24 203.0.113.0/24"));
    assert_eq!(clients(&installation), ["198.51.100.0/24", OFFICE]);
    retag(&installation, Some("198.51.100.0/24"));
    assert_eq!(clients(&installation), ["198.51.100.0/24"]);
    retag(&installation, Some("198.51.100.0/8"));
    assert_eq!(clients(&installation), ["198.51.100.0/24"], "what is too wide changes nothing");
    for end in [Some(""), None] {
        retag(&installation, Some(OFFICE));
        assert_eq!(clients(&installation), [OFFICE]);
        retag(&installation, end);
        // The store's own interface follows its list a little later.
        installation.next_sweep();
        assert_eq!(clients(&installation), Vec::<String>::new());
        assert!(!installation.look(World::has_clients_group));
        installation.assert_converged();
    }
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
}

#[test]
fn a_new_rule_is_in_before_an_old_one_goes() {
    let installation = installation();
    installation.change(|world| world.allow("orders", Some("198.51.100.0/24")));
    let ran = installation.connect(&[installation.about_store(&vpc("1"), &cluster("orders"))]);
    let writes: Vec<_> = ran.calls.iter().filter(|call| call.writes()).map(|call| call.name).collect();
    assert_eq!(writes, ["authorize", "revoke"]);
}

#[test]
fn an_old_rule_stays_when_a_new_one_fails() {
    let installation = installation();
    installation.change(|world| {
        world.allow("orders", Some("198.51.100.0/24"));
        let fault = Fault::Fails { kind: ErrorKind::Denied, with_effect: false };
        let after = world.calls_named("authorize").count();
        world.fail(When::Named { name: "authorize", after, times: 1 }, fault);
    });
    let ran = installation.connect(&[installation.about_store(&vpc("1"), &cluster("orders"))]);
    assert_eq!((ran.count("authorize"), ran.count("revoke")), (1, 0));
    assert_eq!(clients(&installation), [OFFICE]);
    installation.recovers();
    assert_eq!(clients(&installation), ["198.51.100.0/24"]);
}

#[test]
fn what_has_no_room_beside_the_old_rules_comes_after_them() {
    let installation = unswept("pl-1");
    installation.change(|world| {
        let mut large = list("pl-2", "123456789012", &["192.0.2.0/24"]);
        large.most_entries = 50;
        world.prefix_lists.push(large);
    });
    installation.swept();
    assert_eq!(clients(&installation), ["pl-1"]);
    installation.change(|world| world.allow("orders", Some("pl-2")));
    let ran = installation.connect(&[installation.about_store(&vpc("1"), &cluster("orders"))]);
    let writes: Vec<_> = ran.calls.iter().filter(|call| call.writes()).map(|call| call.name).collect();
    assert_eq!((writes, clients(&installation)), (vec!["revoke", "authorize"], vec!["pl-2".to_owned()]));
    installation.assert_converged();
}

#[test]
fn a_hole_made_by_hand_is_closed() {
    let installation = installation();
    let group = installation.look(|world| world.side(&identity("orders"), "cidr")).unwrap();
    installation.change(|world| {
        let port = PortRange::single(5432).unwrap();
        let peer = Peer::Ipv4("0.0.0.0/0".to_owned());
        world.they_add_rule(&group, Rule { direction: Direction::Inbound, traffic: Traffic::Tcp(port), peer });
    });
    assert_eq!(clients(&installation).len(), 2);
    installation.next_sweep();
    assert_eq!(clients(&installation), [OFFICE]);
    installation.assert_converged();
}

#[test]
fn a_store_that_is_deleted_takes_the_group_with_it() {
    let installation = installation();
    installation.change(|world| world.delete_store("orders"));
    installation.deliver(&[installation.deleted(&cluster("orders"))]);
    assert!(!installation.look(World::has_clients_group));
    installation.assert_converged();
}

#[test]
fn a_store_that_opts_out_loses_instances_and_clients() {
    let installation = installation();
    installation.retag_store("orders", None);
    installation.next_sweep();
    assert_eq!(clients(&installation), Vec::<String>::new());
    assert!(installation.look(|world| world.ours().is_empty()));
    installation.assert_converged();
}

#[test]
fn a_renamed_store_keeps_its_clients_and_its_group_says_the_new_name() {
    let installation = installation();
    installation.change(|world| drop(world.rename_store("orders", "sales")));
    installation.next_sweep();
    assert_eq!(installation.look(|world| world.clients("sales")), [OFFICE.to_owned()].into());
    let tagged = installation.look(|world| {
        world.ours()[&(identity("orders").to_string(), "cidr".to_owned())][0].tags["tagwire:data-store"].clone()
    });
    assert_eq!(tagged, cluster("sales").to_string());
    installation.assert_converged();
}

#[test]
fn a_blocked_store_lets_nobody_in_whatever_the_window_lets() {
    let mut installation = installation();
    installation.policy.max_disconnects = 0;
    installation.change(|world| world.settings_of_store("orders").blocked = true);
    installation.deliver(&[installation.tagged(cluster("orders").as_str())]);
    assert_eq!(clients(&installation), Vec::<String>::new());
    assert!(installation.look(World::has_clients_group));
    installation.assert_converged();
    installation.change(|world| world.settings_of_store("orders").blocked = false);
    installation.deliver(&[installation.tagged(cluster("orders").as_str())]);
    assert_eq!(clients(&installation), [OFFICE]);
    installation.assert_converged();
}

#[test]
fn an_installation_that_lets_in_no_clients_makes_nothing_for_them() {
    let mut installation = unswept(OFFICE);
    installation.policy.allow_cidr = None;
    installation.swept();
    assert_eq!(clients(&installation), Vec::<String>::new());
    assert!(!installation.look(World::has_clients_group));
    let ran = installation.connect(&[installation.about_store(&vpc("1"), &cluster("orders"))]);
    assert!(ran.codes("finding").contains(&"cidr-not-allowed"), "{:?}", ran.log);
    installation.assert_converged();
}

#[test]
fn lists_that_cannot_be_read_change_nothing_until_they_can() {
    let installation = unswept("pl-1");
    installation.change(|world| {
        let fault = Fault::Fails { kind: ErrorKind::Denied, with_effect: false };
        world.fail(When::Named { name: "prefix_lists", after: 0, times: u32::MAX as usize }, fault);
    });
    installation.swept();
    assert!(!installation.look(World::has_clients_group));
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    installation.recovers();
    assert_eq!(clients(&installation), ["pl-1"]);
}

#[test]
fn prefix_lists_are_read_only_when_a_tag_names_one() {
    let installation = installation();
    let ran = installation.connect(&[installation.about_store(&vpc("1"), &cluster("orders"))]);
    assert_eq!(ran.count("prefix_lists"), 0);
    installation.change(|world| world.allow("orders", Some("pl-1")));
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!(ran.count("prefix_lists"), 0);
    let ran = installation.connect(&[installation.about_store(&vpc("1"), &cluster("orders"))]);
    assert_eq!(ran.count("prefix_lists"), 1);
}

#[test]
fn whatever_call_it_dies_at_the_next_run_finishes() {
    let calls = {
        let installation = unswept(OFFICE);
        let ran = installation.connect(&[installation.whole(&vpc("1"))]);
        installation.assert_converged();
        ran.calls.len()
    };
    assert!(calls > 15, "{calls}");
    for index in 0..calls {
        for with_effect in [false, true] {
            let installation = unswept(OFFICE);
            installation.change(|world| world.fail(When::Index(index), Fault::Crash { with_effect }));
            assert!(installation.connect(&[installation.whole(&vpc("1"))]).returned.is_none());
            installation.look(World::is_sound).unwrap();
            installation.recovers();
            assert_eq!(clients(&installation), [OFFICE], "after a crash at {index}");
        }
    }
}

#[test]
fn whatever_call_it_dies_at_while_they_leave_no_group_is_left() {
    let leaves = || {
        let installation = installation();
        installation.change(|world| world.allow("orders", None));
        installation
    };
    let calls = {
        let installation = leaves();
        installation.connect(&[installation.whole(&vpc("1"))]).calls.len()
    };
    for index in 0..calls {
        for with_effect in [false, true] {
            let installation = leaves();
            installation.change(|world| {
                let at = world.calls.len() + index;
                world.fail(When::Index(at), Fault::Crash { with_effect });
            });
            assert!(installation.connect(&[installation.whole(&vpc("1"))]).returned.is_none());
            installation.look(World::is_sound).unwrap();
            installation.change(|world| {
                world.heal();
                world.lists_settle();
            });
            // AWS deletes no group that a list still has on its way out: the sweep after that does.
            installation.next_sweep();
            installation.next_sweep();
            assert!(!installation.look(World::has_clients_group), "after a crash at {index}");
            assert_eq!(clients(&installation), Vec::<String>::new());
            installation.assert_converged();
        }
    }
}
