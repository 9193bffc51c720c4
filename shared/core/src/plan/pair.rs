//! Which pair serves a store, and what has to be done at it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    GroupRef, GroupSpec, PairRule, PairWork, StoreRow, Via,
    index::{Index, TakenNames},
    obstacles::{conflict, groups_unread},
};
use crate::{
    finding::{Finding, Reason, Subject},
    group::{GroupName, OwnTags, Owned, SecurityGroup},
    id::{SecurityGroupId, StoreId},
    model::{DataStore, Instance},
    rule::{Direction, Peer, PortRange, Rule, Traffic},
    service::Side,
    tag::ConnectTag,
};

/// The pair state of every store.
pub(crate) type PairStates<'index> = BTreeMap<&'index StoreId, PairState<'index>>;

/// How the owned groups of one store stand: the table's row, and the groups that serve.
pub(crate) struct PairState<'index> {
    pub(crate) store: &'index DataStore,
    pub(crate) row: StoreRow,
    serving: BTreeMap<Side, &'index Owned>,
    /// Every owned group of the store.
    pub(crate) all: BTreeSet<SecurityGroupId>,
    /// The number of the pair that serves.
    lowest: Option<u32>,
    /// The pair cannot be finished without leaving yet another number behind.
    stuck: bool,
    /// The usable pairs that are connections of the store to whoever has their instance side, the owned ones first.
    ways: Vec<Via>,
}

impl<'index> PairState<'index> {
    /// A group that lost its other half to somebody else (its tags were taken off, say) and still
    /// makes a usable pair with it is left to those who use that: it is none of the store's pairs.
    /// So is one whose rules make it a pair of another store through which somebody may reach that one:
    /// the repair of this store's pair would cut them off. What the other half's own store is about to put
    /// back ties nothing, or the group would be of the store's pair only after that.
    pub(crate) fn of(index: &'index Index<'_>, store: &'index DataStore) -> Self {
        let tagged = Side::BOTH.map(|side| (side, index.owned_by(store, side)));
        let all: BTreeSet<SecurityGroupId> =
            tagged.iter().flat_map(|(_, by_number)| by_number.values().map(|owned| owned.group.id().clone())).collect();
        let owned = BTreeMap::from(tagged.map(|(side, by_number)| {
            let kept = by_number.into_iter().filter(|(_, owned)| {
                is_left(index, store, owned) || Tied::of(index, owned).is_some_and(|tied| tied.is_parted(index, store))
            });
            (side, kept.collect::<BTreeMap<u32, &Owned>>())
        }));
        let several = owned.values().any(|by_number| by_number.len() > 1);
        let lowest = owned.values().filter_map(|by_number| by_number.keys().next()).min().copied();
        let serving = if several {
            lowest.map_or_else(BTreeMap::new, |number| lowest_pair(index, store, &owned, number))
        } else {
            owned.iter().filter_map(|(side, by_number)| Some((*side, *by_number.values().next()?))).collect()
        };
        // Where there are several pairs, a missing side under another number would be one more.
        let stuck = several
            && lowest.is_some_and(|number| {
                let missing = Side::BOTH.into_iter().filter(|side| !serving.contains_key(side));
                missing
                    .into_iter()
                    .any(|side| !index.is_free(GroupName { service: store.service, role: side.into(), number }))
            });

        let row = match (several, lowest, serving.get(&Side::Store), serving.get(&Side::Instance)) {
            (true, ..) => StoreRow::Several,
            (false, None, ..) => StoreRow::NoGroups,
            (false, Some(_), Some(store_side), Some(instance_side)) => {
                let groups = index.group(store_side.group.id()).zip(index.group(instance_side.group.id()));
                let usable = groups.zip(store.ports).is_some_and(|((store_side, instance_side), ports)| {
                    is_usable(store, ports, store_side, instance_side)
                });
                if usable { StoreRow::WholePair } else { StoreRow::Unfinished }
            }
            (false, Some(_), ..) => StoreRow::Unfinished,
        };
        let mut state = Self { store, row, serving, all, lowest, stuck, ways: Vec::new() };
        state.ways = index.ways(&state);
        state
    }

    /// How `instance` reaches the store through a usable pair that is attached on both sides, but for the groups
    /// that leave its interface.
    pub(crate) fn connection(&self, instance: &Instance, leaves: impl Fn(&SecurityGroupId) -> bool) -> Option<Via> {
        let is_its = |via: &&Via| instance.has_group(&via.instance_side) && !leaves(&via.instance_side);
        self.ways.iter().find(is_its).cloned()
    }

    /// The group of one side, there or to be made.
    pub(crate) fn group_ref(&self, side: Side) -> GroupRef {
        self.serving.get(&side).map_or_else(
            || GroupRef::Planned(self.store.id.clone(), side.into()),
            |owned| GroupRef::Existing(owned.group.id().clone()),
        )
    }

    /// The group that serves as one side, if it is there.
    pub(crate) fn serving(&self, side: Side) -> Option<&'index Owned> {
        self.serving.get(&side).copied()
    }

    /// The one rule that a side is to hold; none while the other side has no id, or the store no port.
    pub(crate) fn wanted(&self, side: Side) -> Option<Rule> {
        let rule = PairRule { side, ports: self.store.ports?, peer: self.group_ref(side.opposite()) };
        match &rule.peer {
            GroupRef::Existing(peer) => Some(rule.with_peer(peer.clone())),
            GroupRef::Planned(..) => None,
        }
    }

    /// Whether a connection outlives the repair of the store's pair. One through a single group of
    /// it rests on a rule that was put in by hand and is about to be taken out.
    pub(crate) fn lets_stand(&self, via: &Via) -> bool {
        let serves = |group: &SecurityGroupId| self.serving.values().any(|owned| owned.group.id() == group);
        serves(&via.store_side) == serves(&via.instance_side)
    }

    /// A group of it that the role may not change, because somebody took the tag off.
    fn unmarked(&self) -> Option<&'index Owned> {
        self.serving.values().copied().find(|owned| owned.is_unmarked())
    }

    /// Why no pair of this store can serve; none when one does or can be made.
    pub(crate) fn obstacle(&self) -> Option<Reason> {
        self.stuck.then(|| self.ambiguity()).or_else(|| self.unmarked().map(conflict))
    }

    pub(crate) fn store_has_group(&self) -> bool {
        self.serving.get(&Side::Store).is_some_and(|owned| self.store.has_group(owned.group.id()))
    }

    /// The id of the instance side that serves.
    pub(crate) fn instance_side(&self) -> Option<&SecurityGroupId> {
        self.serving.get(&Side::Instance).map(|owned| owned.group.id())
    }

    pub(crate) fn instance_has_group(&self, instance: &Instance) -> bool {
        self.instance_side().is_some_and(|group| instance.has_group(group))
    }

    fn ambiguity(&self) -> Reason {
        Reason::AmbiguousPair { groups: self.all.clone() }
    }

    pub(crate) fn ambiguity_finding(&self) -> Option<Finding> {
        (self.row == StoreRow::Several)
            .then(|| Finding { subject: Subject::Store(self.store.arn.clone()), reason: self.ambiguity() })
    }

    /// The findings about groups that are about to be repaired. A group is attached only when its
    /// rules are in, so one that nobody has and that lacks its rule, or still lets out
    /// everything as a new group does, was never finished, and nobody modified it.
    pub(crate) fn drift(&self, index: &Index<'_>, work: &PairWork) -> Vec<Finding> {
        let modified = |owned: &Owned| {
            let id = owned.group.id();
            let extra: BTreeSet<_> =
                work.revoke.iter().filter(|(group, _)| group.id() == id).map(|(_, rule)| rule.clone()).collect();
            let incomplete = work.authorize.iter().any(|(group, _)| *group == GroupRef::Existing(id.clone()));
            let in_use =
                self.store.has_group(id) || index.seen.instances.found.iter().any(|instance| instance.has_group(id));
            let modified =
                extra.iter().any(|rule| !is_default_egress(rule)) || (in_use && (incomplete || !extra.is_empty()));
            modified.then(|| Finding {
                subject: Subject::Group(id.clone()),
                reason: Reason::PairModified { extra, incomplete },
            })
        };
        self.serving.values().filter_map(|owned| modified(owned)).collect()
    }
}

/// Whether it is a rule that AWS gives to every new group: everything out to everywhere.
pub(crate) fn is_default_egress(rule: &Rule) -> bool {
    let everywhere = match &rule.peer {
        Peer::Ipv4(block) => block == "0.0.0.0/0",
        Peer::Ipv6(block) => block == "::/0",
        Peer::Group(_) | Peer::GroupOfAccount { .. } | Peer::PrefixList(_) => false,
    };
    rule.direction == Direction::Outbound && rule.traffic == Traffic::All && everywhere
}

/// Whether an owned group is of its store's pair as far as that store and the rules tell.
fn is_left(index: &Index<'_>, store: &DataStore, owned: &Owned) -> bool {
    let Some(tied) = Tied::of(index, owned) else { return true };
    let own = || index.owned(&tied.other().id).is_some_and(|other| other.store == store.id);
    let whole = || index.owned_by(store, tied.side.opposite()).contains_key(&owned.name.number);
    match tied.is_usable_for(store) {
        true if own() => true,
        true => whole() && !tied.is_relied_on(index, store),
        false => !tied.is_relied_on(index, store),
    }
}

/// An owned group and the group that a rule of it names, by their sides.
struct Tied<'seen> {
    side: Side,
    store_side: &'seen SecurityGroup,
    instance_side: &'seen SecurityGroup,
}

impl<'seen> Tied<'seen> {
    fn of(index: &Index<'seen>, owned: &Owned) -> Option<Self> {
        let group = index.group(owned.group.id())?;
        let other = group.rules.iter().find_map(|rule| match &rule.peer {
            Peer::Group(peer) => index.group(peer),
            Peer::GroupOfAccount { .. } | Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::PrefixList(_) => None,
        })?;
        let side = owned.side()?;
        Some(match side {
            Side::Store => Self { side, store_side: group, instance_side: other },
            Side::Instance => Self { side, store_side: other, instance_side: group },
        })
    }

    /// The one that the rule names.
    fn other(&self) -> &'seen SecurityGroup {
        match self.side {
            Side::Store => self.instance_side,
            Side::Instance => self.store_side,
        }
    }

    fn is_usable_for(&self, store: &DataStore) -> bool {
        store.ports.is_some_and(|ports| is_usable(store, ports, self.store_side, self.instance_side))
    }

    /// Whether the other one is of the pair of another store, which takes its rule out.
    fn is_parted(&self, index: &Index<'seen>, but: &DataStore) -> bool {
        let Some(other) = index.owned(&self.other().id).filter(|other| other.store != but.id) else { return false };
        let repairs = |of: &&DataStore| of.is_in(&index.seen.vpc) && of.ports.is_some() && !of.settings.held;
        let parts = index.store(&other.store).filter(repairs).is_some_and(|of| is_left(index, of, other));
        parts && !self.is_relied_on(index, but)
    }

    /// Whether an instance reaches another store through the two, and is to keep that.
    fn is_relied_on(&self, index: &Index<'seen>, but: &DataStore) -> bool {
        let others = index
            .stores_with(&self.store_side.id)
            .iter()
            .filter(|other| other.id != but.id && other.has_group(&self.store_side.id) && self.is_usable_for(other));
        others.into_iter().any(|other| {
            index.with_group(&self.instance_side.id).any(|instance| keeps_connection(index, instance, other))
        })
    }
}

/// Whether a connection of the two is left standing as far as their tags go. A side without a connect tag shares no
/// name, whatever the other side's tag says.
pub(crate) fn keeps_connection(index: &Index<'_>, instance: &Instance, store: &DataStore) -> bool {
    let (mine, theirs) = (&instance.settings, &store.settings);
    let tags = [&mine.connect, &theirs.connect];
    let may_share = || {
        tags.iter().all(|tag| **tag != ConnectTag::Absent)
            && tags.iter().any(|tag| matches!(tag, ConnectTag::Invalid(_)))
    };
    let opted_out = theirs.connect == ConnectTag::Absent && store.tags_are_certain();
    let held = theirs.held || (mine.held && !opted_out);
    let may_stand = || held || (!index.seen.is_uninstalling() && may_share());
    index.is_asked_for(instance, store) || (!index.is_blocked(instance) && !theirs.blocked && may_stand())
}

/// Of several pairs, the one with the lowest number. Its other side is the one that it shares rules
/// with, whatever that one's number, so that no connection is taken from those who use it. Rules that
/// nobody uses tie nothing: they are taken out when they are not the pair's.
fn lowest_pair<'index>(
    index: &Index<'_>,
    store: &DataStore,
    owned: &BTreeMap<Side, BTreeMap<u32, &'index Owned>>,
    number: u32,
) -> BTreeMap<Side, &'index Owned> {
    let of = |side: Side| owned.get(&side).into_iter().flatten().map(|(_, owned)| *owned);
    let numbered = |side: Side| of(side).find(|owned| owned.name.number == number);
    let names = |one: &Owned, other: &Owned| {
        let peer = Peer::Group(other.group.id().clone());
        index.group(one.group.id()).is_some_and(|group| group.rules.iter().any(|rule| rule.peer == peer))
    };
    let lets = |one: &Owned, other: &Owned| {
        let peer = GroupRef::Existing(other.group.id().clone());
        let rule = store
            .ports
            .zip(one.side())
            .map(|(ports, side)| PairRule { side, ports, peer }.with_peer(other.group.id().clone()));
        rule.zip(index.group(one.group.id())).is_some_and(|(rule, group)| group.rules.contains(&rule))
    };
    let is_used = |first: &Owned, second: &Owned| {
        let instance_side = if first.name.role == Side::Instance { first } else { second };
        (lets(first, second) && lets(second, first)) || index.is_used_by_entitled(store, instance_side.group.id())
    };
    let partner = |first: &Owned| {
        of(first.side()?.opposite())
            .filter(|second| names(first, second) && names(second, first) && is_used(first, second))
            .min_by_key(|second| (second.name.number != number, second.name.number))
    };
    let first = |side| numbered(side).map(|owned| (side, owned));
    let tied = Side::BOTH
        .into_iter()
        .filter_map(first)
        .find_map(|(side, first)| Some(BTreeMap::from([(side, first), (side.opposite(), partner(first)?)])));
    tied.unwrap_or_else(|| Side::BOTH.into_iter().filter_map(first).collect())
}

/// The use that a store's pair has in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// An instance is to be attached to it.
    Needed,
    /// An instance that may reach the store has it.
    Attached,
    /// Nobody who may reach the store depends on it.
    Unused,
}

/// The work at a store's pair; `None` when there is none. A missing group is made when
/// the pair is needed. A rule too many is a hole and goes whether it is needed or not; a rule that
/// is missing shuts out, and is put back only for somebody who may come in.
pub(crate) fn work(
    index: &Index<'_>,
    pair_state: &PairState<'_>,
    used: Use,
    names: &mut TakenNames,
) -> Option<PairWork> {
    let store = pair_state.store;
    let ports = store.ports?;
    // A reading of the groups that is not complete may have missed the other side.
    if groups_unread(index.seen).is_some() || pair_state.unmarked().is_some() {
        return None;
    }
    let mut work = PairWork {
        store: store.arn.clone(),
        row: pair_state.row,
        create: BTreeMap::new(),
        authorize: Vec::new(),
        revoke: Vec::new(),
        tag: Vec::new(),
    };
    let missing: Vec<Side> = Side::BOTH.into_iter().filter(|side| !pair_state.serving.contains_key(side)).collect();
    let makes = used == Use::Needed && !missing.is_empty();
    let number = if makes { names.take(store.service, &missing, pair_state.lowest) } else { None };

    for side in Side::BOTH {
        let tags = OwnTags { store: store.id.clone(), arn: store.arn.clone(), role: side.into() };
        let peer = pair_state.group_ref(side.opposite());
        let rule = PairRule { side, ports, peer };
        let Some(owned) = pair_state.serving.get(&side) else {
            if makes {
                let name = GroupName { service: store.service, role: side.into(), number: number? };
                work.create.insert(side, GroupSpec { name, tags });
                work.authorize.push((pair_state.group_ref(side), rule));
            }
            continue;
        };
        let wanted = pair_state.wanted(side);
        let actual = &index.group(owned.group.id())?.rules;
        let lacks = !wanted.as_ref().is_some_and(|wanted| actual.contains(wanted));
        if lacks && (used == Use::Needed || (used == Use::Attached && missing.is_empty())) {
            work.authorize.push((pair_state.group_ref(side), rule));
        }
        let extra = actual.iter().filter(|rule| Some(*rule) != wanted.as_ref());
        work.revoke.extend(extra.map(|rule| (owned.group.clone(), rule.clone())));
        if !owned.has_tags_of(&store.arn) {
            work.tag.push((owned.group.clone(), tags));
        }
    }
    (!work.is_empty()).then_some(work)
}

impl Index<'_> {
    /// Whether the scope takes a store in: by name, or through an instance in it that shares a name
    /// with the store or has a group of it.
    pub(crate) fn takes_in(&self, pair_state: &PairState<'_>) -> bool {
        let scope = &self.seen.scope;
        let sharing = || self.sharing(pair_state.store).iter().copied();
        let with = || pair_state.all.iter().flat_map(|group| self.with_group(group));
        scope.has_store(&pair_state.store.arn)
            || sharing().chain(with()).any(|instance| scope.has_instance(&instance.id))
    }

    /// What `PairState::ways` holds. They are looked for once for a store and not for each of its instances: a
    /// usable store side names the one group that it makes a pair with.
    fn ways(&self, pair_state: &PairState<'_>) -> Vec<Via> {
        let store = pair_state.store;
        let Some(ports) = store.ports else { return Vec::new() };
        let store_sides = store.groups.keys().filter(|group| store.has_group(group)).filter_map(|id| self.group(id));
        let sides = store_sides
            .flat_map(|store_side| store_side.let_in().map(move |instance_side| (store_side, instance_side)))
            .filter_map(|(store_side, instance_side)| Some((store_side, self.group(instance_side)?)))
            .filter(|(store_side, instance_side)| is_usable(store, ports, store_side, instance_side));
        let ways = sides.map(|(store_side, instance_side)| Via {
            store_side: store_side.id.clone(),
            instance_side: instance_side.id.clone(),
            owned: [store_side, instance_side].into_iter().all(|group| self.owned(&group.id).is_some()),
        });
        let mut ways: Vec<Via> = ways
            .filter(|via| pair_state.lets_stand(via))
            // A group that was made for another store is no connection of this one, which may be its copy.
            .filter(|via| self.store_of(&via.store_side).is_none_or(|of| *of == store.id))
            .collect();
        // An owned connection is named before somebody else's.
        ways.sort_by_key(|via| (!via.owned, via.clone()));
        ways
    }
}

/// Whether two groups are a usable pair for a store: their names match its service's patterns,
/// they hold exactly the pair's rules, and these name each other and the store's ports.
pub(crate) fn is_usable(
    store: &DataStore,
    ports: PortRange,
    store_side: &SecurityGroup,
    instance_side: &SecurityGroup,
) -> bool {
    flaw(store, ports, Side::Store, store_side, &instance_side.id).is_none()
        && flaw(store, ports, Side::Instance, instance_side, &store_side.id).is_none()
}

/// Why a group is no side of a usable pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Its name does not match the service's pattern of that side.
    Name,
    /// It does not hold exactly the pair's rule.
    Rules,
}

/// The flaw that keeps a group from being one side of a usable pair for a store, with `peer` as the other one.
pub(crate) fn flaw(
    store: &DataStore,
    ports: PortRange,
    side: Side,
    group: &SecurityGroup,
    peer: &SecurityGroupId,
) -> Option<Flaw> {
    let named = GroupName::read(&group.name).is_some_and(|name| name.role == side && name.service == store.service);
    // Fact 2.7
    let of_console = store.service.row().console_prefix(side).and_then(|prefix| group.name.strip_prefix(prefix));
    if !named && of_console != Some(store.arn.name()) {
        return Some(Flaw::Name);
    }
    let peer = Peer::Group(peer.clone());
    let wanted = Rule { direction: PairRule::direction(side), traffic: Traffic::Tcp(ports), peer };
    let holds_only = group.rules.len() == 1 && group.rules.contains(&wanted);
    (!holds_only).then_some(Flaw::Rules)
}
