//! Observed facts in words.

use std::fmt;

use super::Explainer;
use crate::{
    group::{GroupName, SecurityGroup},
    id::SecurityGroupId,
    model::{DataStore, Form, Instance, Membership, Network},
    observation::Gap,
    plan::{
        Condition, GroupRef, StoreRow, Via,
        conditions::Situation,
        obstacles,
        pair::PairState,
        pair::{Flaw, flaw},
    },
    rule::{Peer, Rule},
    service::{Readiness, Side},
    state::{Connection, Removal},
    tag::{ALLOW_CIDR_KEY, BLOCK_KEY, ConnectTag, HOLD_KEY, TagSettings},
    untrusted::Shown,
};

pub(super) fn words<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// How many of many things are named.
pub(super) const NAMED: usize = 5;

/// The first few, and how many there are besides.
pub(super) fn few<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let mut items = items.into_iter();
    let named = words(items.by_ref().take(NAMED));
    match items.count() {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// Likewise, with a word for nothing.
fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let text = few(items);
    if text.is_empty() { "none".to_owned() } else { text }
}

pub(super) fn connect_tag(key: &str, tag: &ConnectTag) -> String {
    match tag {
        ConnectTag::Absent => format!("there is no tag {key}"),
        ConnectTag::Names(names) if names.is_empty() => format!("{key} is there and holds no names"),
        ConnectTag::Names(names) => {
            format!("{key}={}", names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        }
        ConnectTag::Invalid(problem) => format!("{key} cannot be read: {problem}"),
    }
}

pub(super) fn vpc(store: &DataStore) -> String {
    match &store.network {
        Network::Vpc(vpc) => vpc.to_string(),
        Network::NotShown => "a VPC that AWS does not show".to_owned(),
        Network::VpcNetworkingOff | Network::PublicEndpoint | Network::Classic => "no VPC".to_owned(),
    }
}

fn tags(key: &str, settings: &TagSettings) -> String {
    let mut tags = vec![connect_tag(key, &settings.connect)];
    tags.extend(
        [(settings.blocked, BLOCK_KEY), (settings.held, HOLD_KEY)]
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, key)| (*key).to_owned()),
    );
    if !settings.allow_cidr.asks_for_none() {
        tags.push(ALLOW_CIDR_KEY.to_owned());
    }
    words(tags)
}

fn holds(present: bool, key: &str) -> String {
    if present { format!("it carries {key}") } else { format!("there is no tag {key}") }
}

fn rules(group: &SecurityGroup) -> String {
    if group.rules.is_empty() { "no rules".to_owned() } else { few(&group.rules) }
}

fn unread(gaps: &[Gap]) -> Vec<String> {
    gaps.iter().map(|gap| format!("could not be read: {gap}")).collect()
}

fn membership(membership: Membership) -> &'static str {
    match membership {
        Membership::Active => "",
        Membership::Adding => " (on its way in)",
        Membership::Removing => " (on its way out)",
    }
}

pub(super) fn store(connect_key: &str, store: &DataStore) -> Vec<String> {
    let ports = store.ports.map_or_else(|| "no port yet".to_owned(), |ports| format!("tcp {ports}"));
    let zones = if store.zones.is_empty() { String::new() } else { format!(", {}", words(&store.zones)) };
    let groups = store.groups.iter().map(|(group, of)| format!("{group}{}", membership(*of)));
    vec![
        format!(
            "{} ({}, {}) in {}{zones}, {ports}, state {:?}: has {}",
            store.arn.short(),
            store.service.row().title,
            store.id,
            vpc(store),
            store.state,
            list(groups)
        ),
        format!("tags: {}", tags(connect_key, &store.settings)),
    ]
}

impl Explainer<'_> {
    pub(super) fn instance_facts(&self, instance: &Instance) -> Vec<String> {
        let zone = instance.zone.as_ref().map(|zone| format!(", {zone}")).unwrap_or_default();
        let mut facts = vec![match &instance.interface {
            Some(interface) => {
                format!("{} in {}{zone}: {} has {}", instance.id, interface.vpc, interface.id, list(&interface.groups))
            }
            None => format!("{}{zone} has no network interface any more", instance.id),
        }];
        facts.push(format!("tags: {}", tags(self.connect_key, &instance.settings)));
        facts
    }

    pub(super) fn store_facts(&self, store: &DataStore) -> Vec<String> {
        self::store(self.connect_key, store)
    }

    /// The room in the window, and the time since which a removal waits for it.
    pub(super) fn window_facts(&self, instance: &Instance, store: Option<&DataStore>) -> Vec<String> {
        let (seen, policy) = (self.index.seen, self.index.policy);
        let (most, window) = (policy.max_disconnects, policy.disconnect_window.as_secs());
        let mut facts = vec![format!("at most {most} connections of a VPC are removed in {window} seconds")];
        match seen.state.as_ref().ok() {
            Some(state) => {
                facts.push(format!("{} more may be removed now", state.window.left(seen.at, policy)));
                let connection =
                    store.map(|store| Connection { instance: instance.id.clone(), store: store.id.clone() });
                let wanted = connection.and_then(|of| state.wanted.get(&Removal::Connection(of)));
                facts.extend(wanted.map(|wanted| format!("it has waited since {}", wanted.since)));
                let failed = wanted.and_then(|wanted| wanted.failed);
                facts.extend(
                    failed.map(|at| format!("it was tried at {at}, which failed, and goes to the end of the queue")),
                );
            }
            None => facts.push("what was removed lately could not be read, so nothing counted is removed".to_owned()),
        }
        facts
    }

    /// Every group that either of the two has, and why it is or is not a side of a usable pair.
    pub(super) fn attachment_facts(&self, pair_state: &PairState<'_>, instance: &Instance) -> Vec<String> {
        let store = pair_state.store;
        let of_store = store.groups.iter().map(|(group, of)| {
            let why = match of {
                Membership::Removing => "it is on its way out".to_owned(),
                Membership::Active | Membership::Adding => self.attached(pair_state, instance, Side::Store, group),
            };
            format!("data store: {}: {why}", self.named(group))
        });
        let interface = instance.interface.iter().flat_map(|interface| &interface.groups);
        let of_instance = interface.map(|group| {
            format!("instance: {}: {}", self.named(group), self.attached(pair_state, instance, Side::Instance, group))
        });
        of_store.chain(of_instance).collect()
    }

    /// A group's id, with its name when it was read.
    pub(super) fn named(&self, id: &SecurityGroupId) -> String {
        self.index.group(id).map_or_else(|| id.to_string(), |group| format!("{id} ({})", Shown(&group.name)))
    }

    /// Whether an attached group is one side of a usable pair whose other side is attached as well.
    fn attached(&self, pair_state: &PairState<'_>, instance: &Instance, side: Side, id: &SecurityGroupId) -> String {
        let store = pair_state.store;
        let row = store.service.row();
        let Some(group) = self.index.group(id) else {
            return if self.index.seen.groups.is_complete() {
                "no side of a pair: its name is none that pairs have".to_owned()
            } else {
                "not every group could be read".to_owned()
            };
        };
        let Some(ports) = store.ports else { return "the data store has no port yet".to_owned() };
        let peer = group.rules.iter().find_map(|rule| match &rule.peer {
            Peer::Group(peer) => Some(peer),
            Peer::GroupOfAccount { .. } | Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::PrefixList(_) => None,
        });
        let direction = |side| if side == Side::Store { "from" } else { "to" };
        let other_name = |side: Side| {
            format!("no {} side of this service: its name is not {}-n", side.tag_value(), row.pattern(side))
        };
        let is_flawed = |side: Side, group: &SecurityGroup, peer: &SecurityGroupId| {
            flaw(store, ports, side, group, peer).map(|flaw| match flaw {
                Flaw::Name => other_name(side),
                Flaw::Rules => {
                    let (direction, rules) = (direction(side), rules(group));
                    format!("it does not hold exactly tcp {ports} {direction} the other side, but {rules}")
                }
            })
        };
        let Some(peer) = peer else {
            let name = GroupName::read(&group.name);
            let named = name.is_some_and(|name| name.role == side && name.service == store.service);
            let (direction, rules) = (direction(side), rules(group));
            let no_rule = || format!("no side of a usable pair: no rule leads {direction} another group, only {rules}");
            return if named { no_rule() } else { other_name(side) };
        };
        if let Some(flaw) = is_flawed(side, group, peer) {
            return flaw;
        }
        let attached_there = match side {
            Side::Store => instance.has_group(peer),
            Side::Instance => store.has_group(peer),
        };
        let there = if side == Side::Store { "instance" } else { "data store" };
        if !attached_there {
            return format!("a side of a pair, whose other side {} the {there} does not have", self.named(peer));
        }
        let other = self.index.group(peer);
        match other.map(|other| is_flawed(side.opposite(), other, id)) {
            None => format!("its other side {peer} was not read"),
            Some(Some(flaw)) => format!("its other side {}: {flaw}", self.named(peer)),
            Some(None) => {
                let (store_side, instance_side) = if side == Side::Store { (id, peer) } else { (peer, id) };
                let via = Via { store_side: store_side.clone(), instance_side: instance_side.clone(), owned: false };
                if pair_state.lets_stand(&via) {
                    format!("a side of a usable pair, with {}", self.named(peer))
                } else {
                    format!("usable with {} only until the data store's pair is put back", self.named(peer))
                }
            }
        }
    }

    /// The facts behind a condition.
    pub(super) fn facts(&self, condition: Condition, situation: &Situation<'_>) -> Vec<String> {
        let Situation { index, pair_state, instance, places } = situation;
        let store = pair_state.store;
        match condition {
            Condition::NotUninstalling => {
                let since = index.seen.state.as_ref().ok().and_then(|state| state.uninstalling);
                since.map(|since| format!("a person asked for it at {since}")).into_iter().collect()
            }
            Condition::InstanceThere => match &instance.interface {
                Some(interface) => vec![format!("{} is its primary network interface", interface.id)],
                None => Vec::new(),
            },
            Condition::InstanceNotManaged => vec![match &instance.operator {
                Some(operator) => format!("it is managed by {operator}"),
                None => "no service manages it".to_owned(),
            }],
            Condition::InstanceNotBlocked => {
                let isolating = index.policy.isolation_groups.iter().filter(|group| instance.has_group(group));
                let mut facts = vec![holds(instance.settings.blocked, BLOCK_KEY)];
                facts.push(format!("groups of isolation that it has: {}", list(isolating)));
                facts
            }
            Condition::InstanceNotHeld => vec![holds(instance.settings.held, HOLD_KEY)],
            Condition::StoreInVpc => vec![format!("it is in {}", vpc(store))],
            Condition::StoreKind => vec![match &store.form {
                Form::Plain => "nothing about its kind stands in the way".to_owned(),
                Form::ServerlessV1 => "it is an Aurora Serverless v1 cluster".to_owned(),
                Form::GlobalMember { global } => format!("it is a member of the global database {global}"),
                Form::ClusterMember { cluster } => format!("it is a member of {cluster}"),
            }],
            Condition::StoreNotBlocked => vec![holds(store.settings.blocked, BLOCK_KEY)],
            Condition::StoreNotHeld => vec![holds(store.settings.held, HOLD_KEY)],
            Condition::StoreState => vec![format!("its state is {:?}", store.state)],
            Condition::StoreShown => {
                let ports = store.ports.map_or_else(|| "no port".to_owned(), |ports| format!("tcp {ports}"));
                vec![format!("it is in {}, and AWS shows {ports}", vpc(store))]
            }
            Condition::GroupsRead => {
                let mut facts = vec![format!(
                    "groups read whose names are a pair's, or that have to do with one: {}",
                    index.seen.groups.found.len()
                )];
                facts.extend(unread(&index.seen.groups.gaps));
                facts
            }
            Condition::OnePair => self.pair_facts(pair_state),
            Condition::StorePlace => {
                let limit = store.service.row().store_group_limit;
                let lasting: Vec<_> = store.lasting_groups().collect();
                let mut facts = vec![format!("{} of {limit} in use: {}", lasting.len(), list(lasting))];
                if places.leaving_store > 0 {
                    facts.push(format!("{} of these leave it now", places.leaving_store));
                }
                if pair_state.store_has_group() {
                    facts.push("the store side of its pair is there already".to_owned());
                }
                facts
            }
            Condition::NotContested => match obstacles::contest(index, pair_state, instance) {
                Some(contest) => vec![format!(
                    "{} was attached again {} times since {}",
                    contest.group,
                    contest.attached.again.len(),
                    contest.attached.since
                )],
                None if index.seen.state.as_ref().ok().is_none() => {
                    vec!["what was attached before could not be read, so nothing counts as contested".to_owned()]
                }
                None => Vec::new(),
            },
            Condition::OpensNoOther => {
                let side = pair_state.instance_side();
                let by = side.into_iter().flat_map(|side| index.let_in_by(side));
                by.map(|by| format!("{by} of another data store lets in the instance side")).collect()
            }
            Condition::InterfacePlace => self.interface_facts(situation),
            Condition::StoreListOpen => list_facts(pair_state),
        }
    }

    fn interface_facts(&self, Situation { index, pair_state, instance, places }: &Situation<'_>) -> Vec<String> {
        let Some(interface) = &instance.interface else { return Vec::new() };
        let limit = index.policy.interface_group_limit;
        let mut facts =
            vec![format!("{} has {} of {limit}: {}", interface.id, interface.groups.len(), list(&interface.groups))];
        if let Some(change) = self.settled.plan.interfaces.get(&interface.id) {
            facts.extend(
                (change.leaving().next().is_some()).then(|| format!("leaves it now: {}", few(change.leaving()))),
            );
            let others = change.attach.values().filter(|attachment| attachment.store != pair_state.store.arn);
            let others: Vec<_> = others.map(|attachment| attachment.store.short()).collect();
            facts.extend((!others.is_empty()).then(|| format!("is attached now for {}", words(others))));
        }
        facts.push(format!("{} of {limit} in use when it is the turn of this data store", places.on_interface));
        if pair_state.instance_has_group(instance) {
            facts.push("the instance side of the pair is there already".to_owned());
        }
        facts
    }

    /// Which pair serves a store, and every owned group that could.
    pub(super) fn pair_facts(&self, pair_state: &PairState<'_>) -> Vec<String> {
        let row: StoreRow = pair_state.row;
        let mut facts =
            vec![format!("owned groups of the data store: {}; what is done: {}", row.condition(), row.action())];
        for id in &pair_state.all {
            let serves = [Side::Store, Side::Instance]
                .into_iter()
                .any(|side| pair_state.group_ref(side) == GroupRef::Existing(id.clone()));
            let word = if serves { "serves" } else { "does not serve" };
            let holds = self.index.group(id).map(rules).unwrap_or_default();
            facts.push(format!("{} {word}; it holds {holds}", self.named(id)));
        }
        facts
    }
}

fn list_facts(pair_state: &PairState<'_>) -> Vec<String> {
    let store = pair_state.store;
    if pair_state.store_has_group() {
        return vec!["it need not be changed: the store side of its pair is there already".to_owned()];
    }
    let takes = match store.readiness() {
        Readiness::Ready => "in which it can be changed",
        Readiness::Later => "in which it cannot be changed now",
        Readiness::Never => "in which it cannot be changed any more",
    };
    let mut facts = vec![format!("the store side has to be attached; the state is {:?}, {takes}", store.state)];
    let adding = store.groups.iter().filter(|(_, of)| **of == Membership::Adding).map(|(group, _)| group);
    facts.push(format!("on its way into the list: {}", list(adding)));
    facts
}

/// The rules of a group beside the one it is to hold.
pub(super) fn compared(group: &SecurityGroup, wanted: &[Rule]) -> Vec<String> {
    let there = group.rules.iter().map(|rule| {
        let right = if wanted.contains(rule) { "as it should be" } else { "does not belong there" };
        format!("rule {rule}: {right}")
    });
    let missing = wanted.iter().filter(|rule| !group.rules.contains(*rule));
    there.chain(missing.map(|rule| format!("rule {rule}: is missing"))).collect()
}
