//! Groups that were made for one store and are in the list of another one: a clone, a restore or a green copy takes
//! over the list of its source. What they let in, the tags of the copy did not ask for, so they are no connection of
//! it. A copy that takes part gets a pair of its own, and the group of its source leaves when nobody who may reach the
//! copy does so by that group alone. The list of a copy that takes no part is left to its owner.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    GroupRef, PairRule, StoreChange,
    budget::Disconnects,
    conditions::{Candidate, Places, Premise, Situation},
    disconnect::Retention,
    index::Index,
    pair::{PairState, keeps_connection},
};
use crate::{
    finding::{Finding, Reason, Subject},
    group::{GroupKind, Owned},
    id::{InstanceId, SecurityGroupId, StoreId},
    model::{DataStore, Instance},
    rule::{Direction, Peer},
    service::Side,
    tag::ConnectTag,
};

impl<'seen> Index<'seen> {
    /// The groups of a kind in a store's list that let somebody in and were made for another store.
    pub(crate) fn copied_groups<'this>(
        &'this self,
        store: &'this DataStore,
        kind: GroupKind,
    ) -> impl Iterator<Item = &'this Owned> {
        let listed = store.groups.keys().filter(|group| store.has_group(group));
        let owned = listed.filter_map(|group| self.owned(group));
        owned.filter(move |owned| {
            owned.store != store.id && owned.role() != Side::Instance && owned.role().kind() == kind
        })
    }

    /// The owned instance sides of an identity.
    fn instance_sides_of<'this>(&'this self, store: &StoreId) -> impl Iterator<Item = &'this Owned> {
        self.owned_groups(store).filter(|owned| owned.role() == Side::Instance)
    }

    /// Whether the rules of two groups let whoever has the one reach a store that has the other.
    pub(crate) fn are_joined(
        &self,
        store: &DataStore,
        store_side: &SecurityGroupId,
        instance_side: &SecurityGroupId,
    ) -> bool {
        let has_rule = |side: Side, group: &SecurityGroupId, peer: &SecurityGroupId| {
            store.ports.zip(self.group(group)).is_some_and(|(ports, group)| {
                let rule = PairRule { side, ports, peer: GroupRef::Existing(peer.clone()) };
                group.rules.contains(&rule.with_peer(peer.clone()))
            })
        };
        has_rule(Side::Store, store_side, instance_side) && has_rule(Side::Instance, instance_side, store_side)
    }

    /// Whether an instance side leads to a store now.
    pub(crate) fn leads_to(&self, instance_side: &Owned, store: &DataStore) -> bool {
        let mut listed = store.groups.keys().filter(|group| store.has_group(group));
        listed.any(|group| self.are_joined(store, group, instance_side.group.id()))
    }

    /// Whether an instance reaches a copy by no connection of the copy's own, and may reach it.
    fn relies_on_copy(&self, pair_state: &PairState<'_>, instance: &Instance) -> bool {
        keeps_connection(self, instance, pair_state.store) && pair_state.connection(instance, |_| false).is_none()
    }

    /// The copies for which an instance side stays on an instance: it leads there by the group that the copy took over,
    /// and the instance may reach the copy and has no other way yet.
    pub(crate) fn copies_reached_by<'this>(
        &'this self,
        instance: &'this Instance,
        side: &'this Owned,
    ) -> impl Iterator<Item = (&'seen DataStore, &'this Owned)> {
        let store_sides = self.owned_groups(&side.store).filter(|owned| owned.role() == Side::Store);
        store_sides.flat_map(move |store_side| {
            let id = store_side.group.id();
            let copies = self
                .stores_with(id)
                .iter()
                .filter(move |store| store.id != side.store && store.has_group(id) && store.is_in(&self.seen.vpc));
            let reached = copies.filter(move |store| {
                self.are_joined(store, id, side.group.id())
                    && self.relies_on_copy(&PairState::of(self, store), instance)
            });
            reached.map(move |store| (*store, store_side))
        })
    }
}

impl Index<'_> {
    /// The stores that an instance may reach and reaches only by an instance side that was made for another one, while
    /// nothing comes in place of that, or comes later than that goes. No finding says so when it is not in the scope.
    pub(crate) fn keeps_by<'this>(
        &'this self,
        instance: &'this Instance,
        side: &'this Owned,
    ) -> impl Iterator<Item = (&'this DataStore, Retention)> {
        let rules = self.group(side.group.id()).into_iter().flat_map(|group| group.rules(Direction::Outbound));
        let peers = rules.filter_map(|rule| match &rule.peer {
            Peer::Group(peer) => Some(peer),
            Peer::GroupOfAccount { .. } | Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::PrefixList(_) => None,
        });
        let stores = peers.flat_map(|peer| self.stores_with(peer)).filter(|store| store.id != side.store);
        let kept = stores.filter(|store| store.is_in(&self.seen.vpc) && keeps_connection(self, instance, store));
        kept.filter_map(|store| {
            let pair_state = PairState::of(self, store);
            // Whatever else of another store leads there may go as well.
            let of_others = |group: &SecurityGroupId| self.store_of(group).is_some_and(|of| *of != store.id);
            let others = |group: &SecurityGroupId| group != side.group.id() && of_others(group);
            let by_it = pair_state.connection(instance, others).is_some()
                && pair_state.connection(instance, of_others).is_none();
            let kept = if by_it { self.nothing_in_place(&pair_state, instance) } else { None };
            kept.map(|kept| (*store, kept))
        })
    }

    /// Whether an instance side stays on an instance for another store, and not for something that passes by itself.
    pub(crate) fn stays_for_another(&self, instance: &Instance, side: &Owned) -> bool {
        let of_copies = self.copies_reached_by(instance, side).filter_map(|(copy, _)| {
            let pair_state = PairState::of(self, copy);
            self.nothing_in_place(&pair_state, instance).map(|kept| (copy, kept))
        });
        of_copies.chain(self.keeps_by(instance, side)).any(|(store, kept)| match kept {
            Retention::Stays(Some(finding)) => store.is_at_rest() || !finding.reason.passes(),
            Retention::Stays(None) | Retention::Leaves(_) => false,
        })
    }

    /// Why an instance gets no connection to a store of which it loses one, or gets it later.
    fn nothing_in_place(&self, pair_state: &PairState<'_>, instance: &Instance) -> Option<Retention> {
        let store = pair_state.store;
        for (settings, subject) in [
            (&store.settings, Subject::Store(store.arn.clone())),
            (&instance.settings, Subject::Instance(instance.id.clone())),
        ] {
            if settings.held {
                return Some(Retention::Stays(Some(Finding { subject, reason: Reason::Held })));
            }
            if let ConnectTag::Invalid(problem) = &settings.connect {
                let reason = Reason::InvalidTag { problem: problem.clone() };
                return Some(Retention::Stays(Some(Finding { subject, reason })));
            }
        }
        if Premise::InScope.check(self, &Candidate::of(store, instance)).is_err() {
            return Some(Retention::Stays(None));
        }
        // What others of this plan may get counts as taken, and nothing as set free but the place of this one.
        let rivals = self.candidates_of(instance).filter(|candidate| candidate.store.id != store.id).count();
        let has = instance.interface.as_ref().map_or(0, |interface| interface.groups.len());
        let places = Places { leaving_store: 0, on_interface: (has + rivals).saturating_sub(1) };
        let (_, reason) = Situation { index: self, pair_state, instance, places }.first_unmet()?;
        Some(Retention::Stays(Some(Finding { subject: Subject::Store(store.arn.clone()), reason })))
    }
}

/// How many connections to a copy end with groups of other stores' pairs that leave its list; `None` when somebody who
/// may reach it has no other way, or when it is not known who has their other sides.
pub(crate) fn cut(
    index: &Index<'_>,
    disconnects: &Disconnects<'_>,
    pair_state: &PairState<'_>,
    groups: &[&Owned],
) -> Option<usize> {
    let known = |owned: &&Owned| index.seen.other_attached(owned.group.id()).is_some();
    if !index.seen.instances.is_complete() || !groups.iter().all(known) {
        return None;
    }
    let store = pair_state.store;
    let (mut instances, mut others) = (BTreeSet::<&InstanceId>::new(), 0);
    for (store_side, side) in
        groups.iter().flat_map(|owned| index.instance_sides_of(&owned.store).map(move |side| (owned, side)))
    {
        let id = side.group.id();
        others += index.seen.other_attached(id)?.count();
        for instance in index.with_group(id) {
            if index.are_joined(store, store_side.group.id(), id) && index.relies_on_copy(pair_state, instance) {
                return None;
            }
            let stays = pair_state.connection(instance, |group| disconnects.takes_off(instance, group)).is_some();
            if !stays && !disconnects.takes_off(instance, id) {
                instances.insert(&instance.id);
            }
        }
    }
    Some(instances.len() + others)
}

/// Those who lose a copy with the groups that leave its list, and have a group that leads there.
pub(crate) fn cut_off<'index>(
    index: &'index Index<'index>,
    disconnects: &Disconnects<'_>,
    pair_state: &PairState<'_>,
) -> BTreeSet<&'index InstanceId> {
    let store = pair_state.store;
    let leaving =
        index.copied_groups(store, GroupKind::Pair).filter(|owned| disconnects.takes_off_store(&store.id, owned));
    let sides = leaving.flat_map(|owned| index.instance_sides_of(&owned.store).map(move |side| (owned, side)));
    let joined = sides.filter(|(owned, side)| index.are_joined(store, owned.group.id(), side.group.id()));
    let with = joined.flat_map(|(_, side)| index.with_group(side.group.id()));
    let lost = with
        .filter(|instance| pair_state.connection(instance, |group| disconnects.takes_off(instance, group)).is_none());
    lost.map(|instance| &instance.id).collect()
}

/// The findings about groups of other stores that stay in a list once a plan with these changes is carried out.
pub(crate) fn findings(index: &Index<'_>, changes: &BTreeMap<StoreId, StoreChange>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, store) in index.stores_here() {
        let change = changes.get(id);
        let copied = GroupKind::ALL.into_iter().flat_map(|kind| index.copied_groups(store, kind));
        let staying = copied.filter(|owned| !change.is_some_and(|change| change.detaches(owned.group.id())));
        findings.extend(staying.map(|owned| finding(index, store, owned)));
    }
    findings
}

/// The finding about a group of another store that stays in a list.
pub(crate) fn finding(index: &Index<'_>, store: &DataStore, owned: &Owned) -> Finding {
    let leaves = matches!(store.settings.connect, ConnectTag::Names(_));
    let group = owned.group.id().clone();
    let of = index.arn_of(owned);
    let reason = if leaves {
        Reason::CopiedGroupLeaving { group, of }
    } else {
        let rest = store.lasting_groups().filter(|other| **other != group).cloned().collect();
        Reason::CopiedGroup { group, of, carrier: store.arn.clone(), rest }
    };
    Finding { subject: Subject::Store(store.arn.clone()), reason }
}
