//! Groups that leave a list, and the window that counts them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Checker, Evidence, Objection, Objections, Part, Violation};
use crate::{
    group::{GroupKind, Owned},
    id::{InterfaceId, SecurityGroupId},
    model::{DataStore, Instance, Interface},
    observation::{AttachedInterface, InterfaceOwner, Scope},
    plan::{DetachReason, Detachment, GroupRef, Plan, StoreChange},
    service::Side,
    state::{Connection, Removal, Target},
    tag::ConnectTag,
};

impl Checker<'_> {
    /// An instance side leaves an interface only if it is one, is there, and has to.
    pub(super) fn leaves_interface(
        &self,
        instance: &Instance,
        interface: &Interface,
        group: &SecurityGroupId,
        detachment: &Detachment,
        objections: &mut Objections<'_>,
    ) {
        let target = interface.id.to_string();
        let owned = self.evidence.owned.get(group).map(|(owned, _)| owned);
        let is_right = |owned: &&Owned| {
            owned.name.role == Side::Instance && owned.store == detachment.store && interface.groups.contains(group)
        };
        let Some(owned) = owned.filter(is_right) else {
            return objections.insert(Violation::NotOwned { group: group.clone(), store: detachment.store.clone() });
        };
        self.rests_on_groups(&interface.id, objections);
        let store = self.evidence.stores.get(&owned.store).copied();
        let mut names = owned.arn.iter().chain(store.map(|store| &store.arn));
        let scope = &self.evidence.seen.scope;
        if !scope.has_instance(&instance.id) && *scope != Scope::Vpc && !names.any(|arn| scope.has_store(arn)) {
            objections.insert(Violation::OutsideScope { target: target.clone() });
        }
        let cuts =
            detachment.reason != DetachReason::Blocked && self.cuts_from_copy(instance, owned, detachment.reason);
        if cuts || !self.detach_reason_holds(detachment.reason, instance, owned, store) {
            let reason = detachment.reason;
            objections.insert(Violation::ReasonDoesNotHold { group: group.clone(), target, reason });
        }
    }

    /// An instance side leaves an interface without an instance only if the state table says that tagwire
    /// attached it, and nothing holds it.
    pub(super) fn leaves_left_over(
        &self,
        attached: &AttachedInterface,
        group: &SecurityGroupId,
        detachment: &Detachment,
        objections: &mut Objections<'_>,
    ) {
        let Evidence { seen, .. } = self.evidence;
        let target = attached.interface.to_string();
        let owned = self.evidence.owned.get(group).map(|(owned, _)| owned);
        let is_right = |owned: &&Owned| {
            owned.name.role == Side::Instance && owned.store == detachment.store && attached.groups.contains(group)
        };
        let Some(owned) = owned.filter(is_right) else {
            return objections.insert(Violation::NotOwned { group: group.clone(), store: detachment.store.clone() });
        };
        self.rests_on_groups(&attached.interface, objections);
        if seen.other_attached(group).is_none() {
            objections.insert(Violation::RestsOnGap { target: target.clone() });
        }
        let store = self.evidence.stores.get(&owned.store).copied();
        let mut names = owned.arn.iter().chain(store.map(|store| &store.arn));
        if seen.scope != Scope::Vpc && !names.any(|arn| seen.scope.has_store(arn)) {
            objections.insert(Violation::OutsideScope { target: target.clone() });
        }
        let key = (Target::Interface(attached.interface.clone()), group.clone());
        let attached_by_us = seen.state.as_ref().is_ok_and(|state| state.attached.contains_key(&key));
        let here = store.filter(|store| store.vpc() == Some(&seen.vpc));
        let held = store.is_some_and(|store| store.settings.held) || !self.evidence.tags_are_certain(&owned.store);
        let holds = match detachment.reason {
            DetachReason::Blocked => here.is_some_and(|store| store.settings.blocked),
            DetachReason::StoreGone => self.evidence.is_gone(owned),
            _ if held => false,
            DetachReason::Uninstalling => {
                seen.is_uninstalling() && (store.is_some() || seen.gap_in_store(owned.arn.as_ref()).is_none())
            }
            DetachReason::StoreOptedOut => here.is_some_and(|store| store.settings.connect == ConnectTag::Absent),
            DetachReason::NoInstance => here.is_some_and(|store| store.settings.connect != ConnectTag::Absent),
            DetachReason::NotAskedFor
            | DetachReason::NamesNotShared
            | DetachReason::CidrNotAskedFor
            | DetachReason::OfAnotherStore => false,
        };
        if !attached_by_us || !holds {
            let reason = detachment.reason;
            objections.insert(Violation::ReasonDoesNotHold { group: group.clone(), target, reason });
        }
    }

    fn detach_reason_holds(
        &self,
        reason: DetachReason,
        instance: &Instance,
        owned: &Owned,
        store: Option<&DataStore>,
    ) -> bool {
        if instance.operator.is_some() {
            return false;
        }
        let held_by_store = store.is_some_and(|store| store.settings.held);
        let held = held_by_store || instance.settings.held;
        let here = store.filter(|store| store.is_in(&self.evidence.seen.vpc));
        let tags = here.map(|store| (&instance.settings.connect, &store.settings.connect));
        match reason {
            DetachReason::Blocked => {
                self.evidence.is_blocked(instance) || here.is_some_and(|store| store.settings.blocked)
            }
            DetachReason::StoreGone => !instance.settings.held && self.evidence.is_gone(owned),
            // Whether a store takes part is its own tags' word alone.
            DetachReason::StoreOptedOut => {
                let certain = self.evidence.tags_are_certain(&owned.store) && !held_by_store;
                certain && matches!(tags, Some((_, ConnectTag::Absent)))
            }
            _ if held || !self.evidence.tags_are_certain(&owned.store) => false,
            // A store that was not read may be on hold.
            DetachReason::Uninstalling => {
                let seen = self.evidence.seen;
                let read = store.is_some() || seen.gap_in_store(owned.arn.as_ref()).is_none();
                seen.is_uninstalling() && read
            }
            DetachReason::NoInstance | DetachReason::CidrNotAskedFor | DetachReason::OfAnotherStore => false,
            DetachReason::NotAskedFor => {
                matches!(tags, Some((ConnectTag::Absent, ConnectTag::Names(_) | ConnectTag::Invalid(_))))
            }
            DetachReason::NamesNotShared => match tags {
                Some((ConnectTag::Names(mine), ConnectTag::Names(theirs))) => mine.is_disjoint(theirs),
                _ => false,
            },
        }
    }

    /// A store side leaves its store only when the store is blocked, or takes no part any more and
    /// everybody who could be taken off one by one has been. One that was made for another store leaves when the store
    /// that has it is blocked or does without it.
    pub(super) fn leaves_store(
        &self,
        store: &DataStore,
        change: &StoreChange,
        group: &SecurityGroupId,
        reason: DetachReason,
        objections: &mut Objections<'_>,
    ) {
        let found = self.evidence.owned.get(group).map(|(owned, _)| owned);
        let Some(owned) = found.filter(|owned| owned.role() == Side::Store && store.groups.contains_key(group)) else {
            return objections.insert(Violation::NotOwned { group: group.clone(), store: store.id.clone() });
        };
        self.rests_on_groups(&store.arn, objections);
        if !self.evidence.in_scope(store) || !store.is_in(&self.evidence.seen.vpc) {
            objections.insert(Violation::OutsideScope { target: store.arn.to_string() });
        }
        let is_instance_side = |side: &Owned| side.store == owned.store && side.name.role == Side::Instance;
        let instance_sides = self.evidence.owned.iter().filter(|(_, (side, _))| is_instance_side(side));
        let (mut still_attached, mut on_hold) = (0, store.settings.held);
        for (side, _) in instance_sides {
            let others = self.evidence.seen.other_attached(side).map(Iterator::collect::<Vec<_>>);
            if others.is_none() && reason != DetachReason::Blocked {
                objections.insert(Violation::RestsOnGap { target: store.arn.to_string() });
            }
            let others = others.unwrap_or_default();
            // What a further interface copies from its instance's primary one is counted there.
            let separate = others.iter().filter(|attached| {
                !self.evidence.copies_primary(attached, side)
                    && !self.leaves_interface_of_nobody(&attached.interface, side)
            });
            still_attached += separate.count() + self.attached_after(side).count();
            // When a store takes no part any more, a hold of an instance has no say.
            let has_say = reason != DetachReason::StoreOptedOut;
            let held = |instance: &Instance| has_say && instance.settings.held && !self.evidence.is_blocked(instance);
            on_hold |= self.attached_after(side).any(held);
            on_hold |= others.iter().any(|attached| match &attached.owner {
                // One that was not read may be on hold.
                InterfaceOwner::Instance { id, .. } => self.evidence.instance(id).is_none_or(held),
                InterfaceOwner::Nobody { .. } | InterfaceOwner::Other { .. } => false,
            });
        }
        let holds = match reason {
            DetachReason::Blocked => store.settings.blocked,
            DetachReason::OfAnotherStore => store.tags_are_certain() && self.lets_go(store, change, owned),
            // An instance on hold keeps the whole connection, the store side included.
            _ if on_hold || !store.tags_are_certain() => false,
            DetachReason::StoreOptedOut => {
                let of_pairs = change.cuts.saturating_sub(counted_cidr(change));
                owned.store == store.id && store.settings.connect == ConnectTag::Absent && still_attached <= of_pairs
            }
            // Who keeps an instance side because it is the last of its list loses the connection here.
            DetachReason::Uninstalling => {
                let seen = self.evidence.seen;
                seen.is_uninstalling() && seen.instances.is_complete()
            }
            DetachReason::StoreGone
            | DetachReason::NoInstance
            | DetachReason::NotAskedFor
            | DetachReason::NamesNotShared
            | DetachReason::CidrNotAskedFor => false,
        };
        if !holds {
            objections.insert(Violation::ReasonDoesNotHold {
                group: group.clone(),
                target: store.arn.to_string(),
                reason,
            });
        }
    }

    /// Whether the plan takes a group off an interface without an instance.
    pub(super) fn leaves_interface_of_nobody(&self, interface: &InterfaceId, group: &SecurityGroupId) -> bool {
        let change = self.plan.interfaces.get(interface).filter(|change| change.instance.is_none());
        change.is_some_and(|change| change.detach.keys().any(|gone| gone.id() == group))
    }

    /// The instances that have a group once the plan is carried out.
    pub(super) fn attached_after<'this>(
        &'this self,
        group: &'this SecurityGroupId,
    ) -> impl Iterator<Item = &'this Instance> {
        self.evidence.seen.instances.found.iter().filter(move |instance| {
            let change = instance.interface.as_ref().and_then(|interface| self.plan.interfaces.get(&interface.id));
            let leaves = change.is_some_and(|change| change.detach.keys().any(|gone| gone.id() == group));
            let comes = change.is_some_and(|change| change.attach.contains_key(&GroupRef::Existing(group.clone())));
            (instance.has_group(group) && !leaves) || comes
        })
    }

    /// Every counted removal is counted in the window that is written before it, and none that was not removed in the
    /// window already goes beyond what is left of it.
    pub(super) fn window(&self, found: &mut BTreeSet<Objection>) {
        let Evidence { seen, policy, .. } = self.evidence;
        let mut objections = Objections::to(Part::CountedRemovals, found);
        let removals = counted_removals(self.plan);
        let Ok(state) = &seen.state else {
            let removed = removals.iter().map(|(_, connections)| *connections).sum();
            let is_counted = |change: &StoreChange| change.detach.values().any(|reason| reason.is_counted());
            if removed > 0 || self.plan.stores.values().any(is_counted) {
                objections.insert(Violation::BreaksWindow { removed, counted: 0, left: 0 });
            }
            return;
        };
        let is_in =
            |at: Timestamp| at > seen.at || seen.at.duration_since(at).unsigned_abs() < policy.disconnect_window;
        let was_removed = |removal: &Removal| {
            let mut recent = state.window.removals.iter().filter(|counted| is_in(counted.at));
            removal.is_of_one_connection() && recent.any(|counted| counted.of.as_ref() == Some(removal))
        };
        let fresh = removals.iter().filter(|(removal, _)| !was_removed(removal));
        let removed = fresh.map(|(_, connections)| *connections).sum();
        let left = state.window.left(seen.at, policy);
        let window = self.plan.window.as_ref();
        let counted = window.map_or(0, |window| left.saturating_sub(window.left(seen.at, policy)));
        let follows = window.is_none_or(|window| window.version == state.window.version.saturating_add(1));
        let is_written = |(removal, _): &(Removal, usize)| {
            let mut now =
                window.into_iter().flat_map(|window| &window.removals).filter(|counted| counted.at == seen.at);
            now.any(|counted| counted.of.as_ref() == Some(removal))
        };
        let forbidden = policy.max_disconnects == 0 && !removals.is_empty();
        let all_written = removals.iter().all(is_written);
        if forbidden || removed > left || removed > counted || !follows || !all_written {
            objections.insert(Violation::BreaksWindow { removed, counted, left });
        }
    }
}

/// What a plan removes that has to be counted, each with the number of connections that it cuts.
pub(super) fn counted_removals(plan: &Plan) -> Vec<(Removal, usize)> {
    let mut connections = BTreeSet::new();
    for (interface, change) in &plan.interfaces {
        for detachment in change.detach.values().filter(|detachment| detachment.reason.is_counted()) {
            let store = detachment.store.clone();
            connections.insert(match &change.instance {
                Some(instance) => Removal::Connection(Connection { instance: instance.clone(), store }),
                None => Removal::LeftOver { interface: interface.clone(), store },
            });
        }
    }
    let mut removals: Vec<(Removal, usize)> = connections.into_iter().map(|removal| (removal, 1)).collect();
    for (store, change) in &plan.stores {
        let of_cidr = counted_cidr(change);
        removals.push((Removal::CidrGroup(store.clone()), of_cidr));
        removals.push((Removal::StoreSide(store.clone()), change.cuts.saturating_sub(of_cidr)));
    }
    removals.retain(|(_, connections)| *connections > 0);
    removals
}

/// As how many connections the removal of a group for clients that are not instances counts.
pub(super) fn counted_cidr(change: &StoreChange) -> usize {
    usize::from(change.detached_of(GroupKind::Cidr).any(|(_, reason)| reason.is_counted()))
}
