//! Through which groups an instance and a data store are joined.

use super::{known::Known, row::Maker};
use crate::{
    group::{GroupName, Ownership, Role, SecurityGroup},
    id::SecurityGroupId,
    model::{DataStore, Instance},
    plan::{PairRule, is_usable},
    rule::{Direction, Peer, PortRange, Rule, Traffic},
    service::{Service, Side},
};

/// How an instance reaches a data store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LinkState {
    /// Through a pair whose groups hold exactly the pair's rules.
    Usable,
    /// Through a pair that the console would list as well, and that holds something else.
    Modified(String),
    /// Through groups of other names or with other rules.
    ByHand,
}

/// An instance and a data store that are joined.
pub(super) struct Link<'known> {
    pub(super) store_side: &'known SecurityGroup,
    pub(super) instance_side: &'known SecurityGroupId,
    /// The group on the instance; `None` when it is let in by its id and could not be read itself.
    outside: Option<&'known SecurityGroup>,
    pub(super) how: LinkState,
}

impl<'known> Link<'known> {
    /// A pair of which it is known that the planner counts it as a connection.
    pub(super) fn through(
        store: &DataStore,
        store_side: &'known SecurityGroup,
        instance_side: &'known SecurityGroup,
        is_fixed: bool,
    ) -> Self {
        let what = differences(store, store_side, instance_side);
        let what = what.or_else(|| is_fixed.then(|| "tagwire is about to change its rules".to_owned()));
        Self::pair(store_side, instance_side, what.map_or(LinkState::Usable, LinkState::Modified))
    }

    fn pair(store_side: &'known SecurityGroup, instance_side: &'known SecurityGroup, how: LinkState) -> Self {
        Self { store_side, instance_side: &instance_side.id, outside: Some(instance_side), how }
    }

    /// The maker, judged by the ownership and the descriptions of both groups.
    pub(super) fn maker(&self) -> Maker {
        self.outside.map_or(Maker::Other, |outside| maker(self.store_side, outside))
    }

    /// Whether it leads through a group of tagwire's that was made for another data store.
    pub(super) fn is_copied_to(&self, store: &DataStore) -> bool {
        self.store_side.ownership().ours().is_some_and(|owned| owned.store != store.id)
    }

    /// The better one comes first: a whole pair before one that is not, tagwire's before others'.
    fn rank(&self) -> (LinkState, bool, &SecurityGroupId, &SecurityGroupId) {
        let how = match &self.how {
            LinkState::Modified(_) => LinkState::Modified(String::new()),
            LinkState::Usable => LinkState::Usable,
            LinkState::ByHand => LinkState::ByHand,
        };
        (how, self.maker() != Maker::Tagwire, &self.store_side.id, self.instance_side)
    }
}

/// The maker of two groups through which an instance reaches a data store.
#[must_use]
pub fn maker(store_side: &SecurityGroup, instance_side: &SecurityGroup) -> Maker {
    let groups = [store_side, instance_side];
    if groups.iter().all(|group| matches!(group.ownership(), Ownership::Owned(_))) {
        Maker::Tagwire
    } else if groups.iter().all(|group| is_of_console(group)) || are_named_after_one_store(store_side, instance_side) {
        Maker::Console
    } else {
        Maker::Other
    }
}

/// How an instance reaches a data store of its VPC; `None` when it does not.
pub(super) fn find<'known>(
    known: &Known<'known>,
    store: &DataStore,
    instance: &'known Instance,
) -> Option<Link<'known>> {
    let ports = store.ports?;
    let interface = instance.interface.as_ref()?;
    if !store.is_in(&interface.vpc) {
        return None;
    }
    let attached: Vec<&SecurityGroup> = interface.groups.iter().filter_map(|id| known.group(id)).collect();
    let on_store: Vec<&SecurityGroup> =
        store.groups.keys().filter(|id| store.has_group(id)).filter_map(|id| known.group(id)).collect();
    let pairs = || on_store.iter().flat_map(|inside| attached.iter().map(|outside| (*inside, *outside)));

    let paired = pairs().filter(|(inside, outside)| is_listed(store, ports, inside, outside, &on_store, &attached));
    let paired = paired.map(|(store_side, instance_side)| {
        // Two groups of two pairs may meet the conditions together, each by its own partner.
        let how = match differences(store, store_side, instance_side) {
            None if is_usable(store, ports, store_side, instance_side) => LinkState::Usable,
            None => LinkState::Modified("its groups do not name each other".to_owned()),
            Some(what) => LinkState::Modified(what),
        };
        let partners = u8::from(!names(store_side, Direction::Inbound, instance_side))
            + u8::from(!names(instance_side, Direction::Outbound, store_side));
        (partners, Link::pair(store_side, instance_side, how))
    });
    let best = paired.min_by(|(strange, one), (stranger, other)| {
        let (one, other) = (one.rank(), other.rank());
        (&one.0, strange, one.1, one.2, one.3).cmp(&(&other.0, stranger, other.1, other.2, other.3))
    });
    if let Some((_, joined)) = best {
        return Some(joined);
    }
    let lets_out = attached.iter().any(|group| lets_out(group, ports, store));
    if !lets_out {
        return None;
    }
    let by_hand = on_store.iter().filter(|inside| !inside.is_default()).flat_map(|inside| {
        let let_in = interface.groups.iter().filter(|outside| lets_in(inside, ports, outside));
        let_in.map(|outside| (*inside, outside, known.group(outside)))
    });
    let by_hand = by_hand.filter(|(_, _, outside)| !outside.is_some_and(SecurityGroup::is_default));
    let by_hand = by_hand.map(|(store_side, instance_side, outside)| Link {
        store_side,
        instance_side,
        outside,
        how: LinkState::ByHand,
    });
    by_hand.min_by(|one, other| one.rank().cmp(&other.rank()))
}

/// The six conditions under which the RDS console lists an instance among the connected compute resources
/// of a database, for the names of any service.
fn is_listed(
    store: &DataStore,
    ports: PortRange,
    inside: &SecurityGroup,
    outside: &SecurityGroup,
    on_store: &[&SecurityGroup],
    attached: &[&SecurityGroup],
) -> bool {
    let named = |group: &SecurityGroup, side: Side| {
        GroupName::read(&group.name).is_some_and(|name| name.role == side && name.service == store.service)
    };
    let has_port =
        |group: &SecurityGroup, way: Direction| group.rules(way).any(|rule| rule.traffic == Traffic::Tcp(ports));
    let has_peer = |group: &SecurityGroup, way: Direction, others: &[&SecurityGroup]| {
        others.iter().any(|other| names(group, way, other))
    };
    named(outside, Side::Instance)
        && has_port(outside, Direction::Outbound)
        && has_peer(outside, Direction::Outbound, on_store)
        && named(inside, Side::Store)
        && has_port(inside, Direction::Inbound)
        && has_peer(inside, Direction::Inbound, attached)
}

fn names(group: &SecurityGroup, way: Direction, other: &SecurityGroup) -> bool {
    group.rules(way).any(|rule| is_group(&rule.peer, &other.id))
}

fn is_group(peer: &Peer, id: &SecurityGroupId) -> bool {
    match peer {
        Peer::Group(group) => group == id,
        Peer::GroupOfAccount { .. } | Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::PrefixList(_) => false,
    }
}

/// Whether traffic that a rule lets through holds all of a data store's ports.
pub(crate) fn covers(traffic: &Traffic, ports: PortRange) -> bool {
    match traffic {
        Traffic::All => true,
        Traffic::Tcp(range) => range.first() <= ports.first() && ports.last() <= range.last(),
        // Port 0, which no range of ours holds, makes a rule for every port one of these.
        Traffic::Other { protocol, from: Some(0), to: Some(last) } => {
            protocol == "tcp" && i32::from(ports.last()) <= *last
        }
        Traffic::Other { .. } => false,
    }
}

fn lets_in(inside: &SecurityGroup, ports: PortRange, from: &SecurityGroupId) -> bool {
    inside.rules(Direction::Inbound).any(|rule| covers(&rule.traffic, ports) && is_group(&rule.peer, from))
}

/// Whether a group lets traffic out to a data store. To some addresses does not count, for the data
/// store's own are not known.
fn lets_out(outside: &SecurityGroup, ports: PortRange, store: &DataStore) -> bool {
    let leads_there = |peer: &Peer| match peer {
        Peer::Ipv4(block) | Peer::Ipv6(block) => block.ends_with("/0"),
        Peer::Group(group) => store.has_group(group),
        Peer::GroupOfAccount { .. } | Peer::PrefixList(_) => false,
    };
    outside.rules(Direction::Outbound).any(|rule| covers(&rule.traffic, ports) && leads_there(&rule.peer))
}

/// The differences between a pair's rules and those it should have; `None` when there are none.
pub(super) fn differences(
    store: &DataStore,
    store_side: &SecurityGroup,
    instance_side: &SecurityGroup,
) -> Option<String> {
    let ports = store.ports?;
    let mut message = Vec::new();
    for (side, group, peer) in [(Side::Store, store_side, instance_side), (Side::Instance, instance_side, store_side)] {
        let direction = PairRule::direction(side);
        let wanted = Rule { direction, traffic: Traffic::Tcp(ports), peer: Peer::Group(peer.id.clone()) };
        let extra: Vec<String> = group.rules.iter().filter(|rule| **rule != wanted).map(ToString::to_string).collect();
        if !extra.is_empty() {
            message.push(format!("{} holds more than the pair's rule: {}", group.id, extra.join(", ")));
        }
        if !group.rules.contains(&wanted) {
            message.push(format!("{} lacks the pair's rule: {wanted}", group.id));
        }
    }
    (!message.is_empty()).then(|| message.join("; "))
}

/// The descriptions that the RDS console gives to its groups, around the identifier of the database (Fact 2.1).
const CONSOLE_END: &str = ". Modification could lead to connection loss.";
const CONSOLE_STORE: (&str, &str) = (
    "Security group attached to ",
    " to allow EC2 instances with specific security groups attached to connect to the database",
);
/// Both are seen; which console writes which is not documented.
const CONSOLE_INSTANCE: [&str; 2] = [
    "Security group attached to instances to securely connect to ",
    "Security group attached to instances to allow them to securely connect to ",
];

/// Whether two groups are named after one store, as a console does that has names of its own.
fn are_named_after_one_store<'name>(store_side: &'name SecurityGroup, instance_side: &'name SecurityGroup) -> bool {
    Service::ALL.iter().map(|service| service.row()).any(|row| {
        let named = |side: Side, group: &'name SecurityGroup| group.name.strip_prefix(row.console_prefix(side)?);
        let store = named(Side::Store, store_side).filter(|store| !store.is_empty());
        store.is_some() && store == named(Side::Instance, instance_side)
    })
}

/// Whether a group has a name and a description as the RDS console gives them.
fn is_of_console(group: &SecurityGroup) -> bool {
    let Some(name) = GroupName::read(&group.name).filter(|name| name.service == Service::Rds) else { return false };
    let Some(text) = group.description.strip_suffix(CONSOLE_END) else { return false };
    let database = match name.role {
        Role::Side(Side::Store) => {
            text.strip_prefix(CONSOLE_STORE.0).and_then(|text| text.strip_suffix(CONSOLE_STORE.1))
        }
        Role::Side(Side::Instance) => CONSOLE_INSTANCE.iter().find_map(|start| text.strip_prefix(start)),
        Role::Cidr => None,
    };
    database.is_some_and(|database| !database.is_empty() && !database.contains(' '))
}
