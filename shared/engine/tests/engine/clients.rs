//! Clients of a store that are not EC2 instances, from the tag to the last group.

use std::collections::BTreeSet;

use tagwire_core::{
    cidr::{Block, CidrLimits, CidrTag, Family, PrefixList},
    id::PrefixListId,
    rule::{Direction, Peer, PortRange, Rule, Traffic},
};
use tagwire_engine::cloud::ErrorKind;

use crate::{
    simulated::{Fault, When, World, cluster, identity, instance, sg, vpc},
    site::Site,
};

const OFFICE: &str = "203.0.113.0/24";

impl World {
    /// Tags a store with its CIDR clients.
    fn allow(&mut self, name: &str, clients: Option<&str>) {
        self.wishes_of_store(name).allow_cidr = CidrTag::read(clients);
    }

    /// Whom the groups in a store's list let in on its port that are no groups themselves.
    fn clients(&self, name: &str) -> BTreeSet<String> {
        let list = self.list_of(cluster(name).as_str());
        let worn = list.iter().filter_map(|group| self.groups.get(group));
        let rules = worn.flat_map(|there| &there.group.rules);
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
        owner: owner.to_owned(),
        family: Family::Ipv4,
        most_entries: 20,
        entries: entries.iter().map(|entry| Block::parse(entry).unwrap()).collect(),
    }
}

fn unswept(clients: &str) -> Site {
    let mut site = Site::new(|world| {
        world.with_ipv6.insert(vpc("1"));
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
        world.prefix_lists = vec![list("pl-1", "123456789012", &["198.51.100.0/24"])];
        world.allow("orders", Some(clients));
        world.they_attach(cluster("orders").as_str(), &sg("audit"));
    });
    site.policy.allow_cidr = Some(CidrLimits::default());
    site
}

fn site() -> Site {
    let site = unswept(OFFICE);
    site.swept();
    site.is_at_rest();
    assert_eq!(clients(&site), [OFFICE]);
    site
}

fn clients(site: &Site) -> Vec<String> {
    site.look(|world| world.clients("orders").into_iter().collect())
}

/// The tag changes, and its event comes in.
fn retag(site: &Site, clients: Option<&str>) {
    site.change(|world| world.allow("orders", clients));
    site.hear(&[site.tagged(cluster("orders").as_str())]);
    site.is_at_rest();
}

#[test]
fn a_tag_lets_its_clients_in_beside_the_instances() {
    let site = unswept("203.0.113.0/24 2001:db8::/48 pl-1");
    site.hear(&[site.tagged(cluster("orders").as_str())]);
    assert_eq!(clients(&site), ["2001:db8::/48", OFFICE, "pl-1"]);
    assert!(site.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    site.is_at_rest();
}

#[test]
fn the_clients_follow_the_tag_and_go_with_it() {
    let site = site();
    retag(&site, Some("198.51.100.0/24 203.0.113.0/24"));
    assert_eq!(clients(&site), ["198.51.100.0/24", OFFICE]);
    retag(&site, Some("198.51.100.0/24"));
    assert_eq!(clients(&site), ["198.51.100.0/24"]);
    retag(&site, Some("198.51.100.0/8"));
    assert_eq!(clients(&site), ["198.51.100.0/24"], "what is too wide changes nothing");
    for end in [Some(""), None] {
        retag(&site, Some(OFFICE));
        assert_eq!(clients(&site), [OFFICE]);
        retag(&site, end);
        // The store's own interface follows its list a little later.
        site.next_sweep();
        assert_eq!(clients(&site), Vec::<String>::new());
        assert!(!site.look(World::has_clients_group));
        site.is_at_rest();
    }
    assert!(site.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
}

#[test]
fn a_new_rule_is_in_before_an_old_one_goes() {
    let site = site();
    site.change(|world| world.allow("orders", Some("198.51.100.0/24")));
    let ran = site.connect(&[site.about_store(&vpc("1"), &cluster("orders"))]);
    let writes: Vec<_> = ran.calls.iter().filter(|call| call.writes()).map(|call| call.name).collect();
    assert_eq!(writes, ["authorize", "revoke"]);
}

#[test]
fn an_old_rule_stays_when_a_new_one_fails() {
    let site = site();
    site.change(|world| {
        world.allow("orders", Some("198.51.100.0/24"));
        let fault = Fault::Fails { kind: ErrorKind::Denied, with_effect: false };
        let after = world.calls_named("authorize").count();
        world.fail(When::Named { name: "authorize", after, times: 1 }, fault);
    });
    let ran = site.connect(&[site.about_store(&vpc("1"), &cluster("orders"))]);
    assert_eq!((ran.count("authorize"), ran.count("revoke")), (1, 0));
    assert_eq!(clients(&site), [OFFICE]);
    site.recovers();
    assert_eq!(clients(&site), ["198.51.100.0/24"]);
}

#[test]
fn what_has_no_room_beside_the_old_rules_comes_after_them() {
    let site = unswept("pl-1");
    site.change(|world| {
        let mut large = list("pl-2", "123456789012", &["192.0.2.0/24"]);
        large.most_entries = 50;
        world.prefix_lists.push(large);
    });
    site.swept();
    assert_eq!(clients(&site), ["pl-1"]);
    site.change(|world| world.allow("orders", Some("pl-2")));
    let ran = site.connect(&[site.about_store(&vpc("1"), &cluster("orders"))]);
    let writes: Vec<_> = ran.calls.iter().filter(|call| call.writes()).map(|call| call.name).collect();
    assert_eq!((writes, clients(&site)), (vec!["revoke", "authorize"], vec!["pl-2".to_owned()]));
    site.is_at_rest();
}

#[test]
fn a_hole_made_by_hand_is_closed() {
    let site = site();
    let group = site.look(|world| world.side(&identity("orders"), "cidr")).unwrap();
    site.change(|world| {
        let port = PortRange::single(5432).unwrap();
        let peer = Peer::Ipv4("0.0.0.0/0".to_owned());
        world.they_add_rule(&group, Rule { direction: Direction::Inbound, traffic: Traffic::Tcp(port), peer });
    });
    assert_eq!(clients(&site).len(), 2);
    site.next_sweep();
    assert_eq!(clients(&site), [OFFICE]);
    site.is_at_rest();
}

#[test]
fn a_store_that_is_deleted_takes_the_group_with_it() {
    let site = site();
    site.change(|world| world.delete_store("orders"));
    site.hear(&[site.deleted(&cluster("orders"))]);
    assert!(!site.look(World::has_clients_group));
    site.is_at_rest();
}

#[test]
fn a_store_that_opts_out_loses_instances_and_clients() {
    let site = site();
    site.retag_store("orders", None);
    site.next_sweep();
    assert_eq!(clients(&site), Vec::<String>::new());
    assert!(site.look(|world| world.ours().is_empty()));
    site.is_at_rest();
}

#[test]
fn a_renamed_store_keeps_its_clients_and_its_group_says_the_new_name() {
    let site = site();
    site.change(|world| drop(world.rename_store("orders", "sales")));
    site.next_sweep();
    assert_eq!(site.look(|world| world.clients("sales")), [OFFICE.to_owned()].into());
    let tagged = site.look(|world| {
        world.ours()[&(identity("orders").to_string(), "cidr".to_owned())][0].tags["tagwire:data-store"].clone()
    });
    assert_eq!(tagged, cluster("sales").to_string());
    site.is_at_rest();
}

#[test]
fn a_blocked_store_lets_nobody_in_whatever_the_window_lets() {
    let mut site = site();
    site.policy.max_disconnects = 0;
    site.change(|world| world.wishes_of_store("orders").blocked = true);
    site.hear(&[site.tagged(cluster("orders").as_str())]);
    assert_eq!(clients(&site), Vec::<String>::new());
    assert!(site.look(World::has_clients_group));
    site.is_at_rest();
    site.change(|world| world.wishes_of_store("orders").blocked = false);
    site.hear(&[site.tagged(cluster("orders").as_str())]);
    assert_eq!(clients(&site), [OFFICE]);
    site.is_at_rest();
}

#[test]
fn an_installation_that_lets_in_no_clients_makes_nothing_for_them() {
    let mut site = unswept(OFFICE);
    site.policy.allow_cidr = None;
    site.swept();
    assert_eq!(clients(&site), Vec::<String>::new());
    assert!(!site.look(World::has_clients_group));
    let ran = site.connect(&[site.about_store(&vpc("1"), &cluster("orders"))]);
    assert!(ran.codes("finding").contains(&"cidr-not-allowed"), "{:?}", ran.log);
    site.is_at_rest();
}

#[test]
fn lists_that_cannot_be_read_change_nothing_until_they_can() {
    let site = unswept("pl-1");
    site.change(|world| {
        let fault = Fault::Fails { kind: ErrorKind::Denied, with_effect: false };
        world.fail(When::Named { name: "prefix_lists", after: 0, times: u32::MAX as usize }, fault);
    });
    site.swept();
    assert!(!site.look(World::has_clients_group));
    assert!(site.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    site.recovers();
    assert_eq!(clients(&site), ["pl-1"]);
}

#[test]
fn prefix_lists_are_read_only_when_a_tag_names_one() {
    let site = site();
    let ran = site.connect(&[site.about_store(&vpc("1"), &cluster("orders"))]);
    assert_eq!(ran.count("prefix_lists"), 0);
    site.change(|world| world.allow("orders", Some("pl-1")));
    let ran = site.connect(&[site.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!(ran.count("prefix_lists"), 0);
    let ran = site.connect(&[site.about_store(&vpc("1"), &cluster("orders"))]);
    assert_eq!(ran.count("prefix_lists"), 1);
}

#[test]
fn whatever_call_it_dies_at_the_next_run_finishes() {
    let calls = {
        let site = unswept(OFFICE);
        let ran = site.connect(&[site.whole(&vpc("1"))]);
        site.is_at_rest();
        ran.calls.len()
    };
    assert!(calls > 15, "{calls}");
    for index in 0..calls {
        for with_effect in [false, true] {
            let site = unswept(OFFICE);
            site.change(|world| world.fail(When::Index(index), Fault::Crash { with_effect }));
            assert!(site.connect(&[site.whole(&vpc("1"))]).returned.is_none());
            site.look(World::is_sound).unwrap();
            site.recovers();
            assert_eq!(clients(&site), [OFFICE], "after a crash at {index}");
        }
    }
}

#[test]
fn whatever_call_it_dies_at_while_they_leave_no_group_is_left() {
    let leaves = || {
        let site = site();
        site.change(|world| world.allow("orders", None));
        site
    };
    let calls = {
        let site = leaves();
        site.connect(&[site.whole(&vpc("1"))]).calls.len()
    };
    for index in 0..calls {
        for with_effect in [false, true] {
            let site = leaves();
            site.change(|world| {
                let at = world.calls.len() + index;
                world.fail(When::Index(at), Fault::Crash { with_effect });
            });
            assert!(site.connect(&[site.whole(&vpc("1"))]).returned.is_none());
            site.look(World::is_sound).unwrap();
            site.change(|world| {
                world.heal();
                world.lists_settle();
            });
            // AWS deletes no group that a list still has on its way out: the sweep after that does.
            site.next_sweep();
            site.next_sweep();
            assert!(!site.look(World::has_clients_group), "after a crash at {index}");
            assert_eq!(clients(&site), Vec::<String>::new());
            site.is_at_rest();
        }
    }
}
