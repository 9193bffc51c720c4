//! Who reaches what, judged from rules and lists alone, in the way AWS does. Nothing of the planner
//! is asked, so that a wrong idea of the planner's cannot hide here.

use std::collections::{BTreeMap, BTreeSet};

use tagwire_core::{
    id::{InstanceId, SecurityGroupId, StoreArn},
    model::Membership,
    observation::Observation,
    rule::{Direction, Peer, PortRange, Rule, Traffic},
};

/// What is assumed of groups that were not read, and of addresses, which an observation does not
/// hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// They let nothing through: for the question whether something is surely reachable.
    LetsNothing,
    /// Unread groups let everything out, as a default group does, and an address lies in every
    /// block: for the question whether something could be reachable that should not be.
    LetsOut,
}

/// Whether the instance can open a connection to all ports of the store.
#[must_use]
pub fn reaches(seen: &Observation, instance: &InstanceId, store: &StoreArn, unread: Unread) -> bool {
    let rules: BTreeMap<&SecurityGroupId, &BTreeSet<Rule>> =
        seen.groups.found.iter().map(|group| (&group.id, &group.rules)).collect();
    let stores = seen.present_stores();
    let found = seen.instances.found.iter().find(|found| found.id == *instance);
    let Some((interface, store)) = found.and_then(|found| found.interface.as_ref()).zip(stores.get(store)) else {
        return false;
    };
    let (Some(ports), true) = (store.ports, store.is_in(&interface.vpc)) else { return false };
    let on_store: BTreeSet<&SecurityGroupId> =
        store.groups.iter().filter(|(_, membership)| **membership != Membership::Removing).map(|(id, _)| id).collect();
    let on_interface: BTreeSet<&SecurityGroupId> = interface.groups.iter().collect();

    let lets = |attached: &BTreeSet<&SecurityGroupId>, direction: Direction, other: &BTreeSet<&SecurityGroupId>| {
        attached.iter().any(|group| match rules.get(*group) {
            Some(rules) => rules
                .iter()
                .filter(|rule| rule.direction == direction)
                .any(|rule| carries(&rule.traffic, ports) && is_peer(&rule.peer, other, unread)),
            None => unread == Unread::LetsOut && direction == Direction::Outbound,
        })
    };
    lets(&on_interface, Direction::Outbound, &on_store) && lets(&on_store, Direction::Inbound, &on_interface)
}

fn carries(traffic: &Traffic, ports: PortRange) -> bool {
    match traffic {
        Traffic::All => true,
        Traffic::Tcp(range) => range.first() <= ports.first() && ports.last() <= range.last(),
        Traffic::Other { .. } => false,
    }
}

fn is_peer(peer: &Peer, other: &BTreeSet<&SecurityGroupId>, unread: Unread) -> bool {
    match peer {
        Peer::Group(group) => other.contains(group),
        Peer::GroupOfAccount { .. } => false,
        Peer::Ipv4(block) | Peer::Ipv6(block) => block.ends_with("/0") || unread == Unread::LetsOut,
        Peer::PrefixList(_) => unread == Unread::LetsOut,
    }
}
