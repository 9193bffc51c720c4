//! Which pair serves a store, and what has to be done at it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    GroupRef, GroupSpec, PairRule, PairWork, StoreRow, Via,
    index::{Index, TakenNames, is_usable},
};
use crate::{
    finding::{Finding, Reason, Subject},
    group::{GroupName, OwnTags, Owned, SecurityGroup},
    id::SecurityGroupId,
    model::{DataStore, Instance},
    rule::{Direction, Peer, Rule, Traffic},
    service::Side,
};

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
}

impl<'index> PairState<'index> {
    /// A group that lost its other half to somebody else (its tags were taken off, say) and still
    /// makes a usable pair with it is left to those who use that: it is none of the store's pairs.
    pub(crate) fn of(index: &'index Index<'_>, store: &'index DataStore) -> Self {
        let tagged = Side::BOTH.map(|side| (side, index.owned_by(store, side)));
        let all: BTreeSet<SecurityGroupId> =
            tagged.iter().flat_map(|(_, by_number)| by_number.values().map(|owned| owned.group.id().clone())).collect();
        let owned = BTreeMap::from(tagged.clone().map(|(side, by_number)| {
            let opposite = tagged.iter().find(|(other, _)| *other == side.opposite());
            let whole = |number: &u32| opposite.is_some_and(|(_, by_number)| by_number.contains_key(number));
            let lent = |owned: &Owned| partner(index, store, owned).is_some_and(|group| !all.contains(&group.id));
            let kept = by_number.into_iter().filter(|(number, owned)| whole(number) || !lent(owned));
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
        Self { store, row, serving, all, lowest, stuck }
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

    /// Why no pair of this store can serve; none when one does or can be made.
    pub(crate) fn obstacle(&self) -> Option<Reason> {
        self.stuck.then(|| self.ambiguity())
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

/// The group that makes a usable pair with an owned one as both stand now.
fn partner<'seen>(index: &Index<'seen>, store: &DataStore, owned: &Owned) -> Option<&'seen SecurityGroup> {
    let group = index.group(owned.group.id())?;
    let other = group.rules.iter().find_map(|rule| match &rule.peer {
        Peer::Group(peer) => index.group(peer),
        Peer::GroupOfAccount { .. } | Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::PrefixList(_) => None,
    })?;
    let (store_side, instance_side) = match owned.side()? {
        Side::Store => (group, other),
        Side::Instance => (other, group),
    };
    is_usable(store, store.ports?, store_side, instance_side).then_some(other)
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
    if !index.seen.groups.is_complete() {
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
        if owned.arn.as_ref() != Some(&store.arn) {
            work.tag.push((owned.group.clone(), tags));
        }
    }
    (!work.is_empty()).then_some(work)
}
