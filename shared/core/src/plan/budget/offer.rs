//! Whether the groups of a store may leave it now.

use std::collections::BTreeSet;

use super::{Disconnects, Offer};
use crate::{
    finding::{Finding, Reason, Subject},
    group::{GroupKind, GroupList},
    id::{InstanceId, SecurityGroupId, StoreId},
    model::{DataStore, Instance},
    observation::{AttachedInterface, InterfaceOwner},
    plan::{
        DetachReason, copies,
        disconnect::{AttachedGroup, Retention},
        foreign::is_copy,
        leaving::LeavingStore,
        obstacles,
        pair::PairStates,
    },
    service::Side,
};

impl<'index> Disconnects<'index> {
    /// Whether groups may leave their store now, the window aside.
    pub(super) fn offer(
        &self,
        leaving: &LeavingStore<'index>,
        pair_states: &PairStates<'index>,
        undecided: &BTreeSet<InstanceId>,
    ) -> Offer {
        let store = leaving.store;
        let cuts = match (leaving.kind, leaving.reason) {
            (_, DetachReason::Blocked) | (GroupKind::Cidr, DetachReason::Uninstalling) => 0,
            (GroupKind::Cidr, _) => 1,
            (GroupKind::Pair, DetachReason::OfAnotherStore) => {
                let pair_state = pair_states.get(&store.id);
                match pair_state.and_then(|of_store| copies::cut(self.index, self, of_store, &leaving.groups)) {
                    Some(cuts) => cuts,
                    None => return Offer::NotYet,
                }
            }
            (GroupKind::Pair, reason) => {
                if let Some(waits) = self.waits_for_a_user(leaving) {
                    return waits;
                }
                let uncounted = (reason == DetachReason::Uninstalling).then_some(0);
                match uncounted.or_else(|| self.still_carried(store, undecided)) {
                    Some(cuts) => cuts,
                    None => return Offer::NotYet,
                }
            }
        };
        if let Some(reason) = obstacles::list_waits(store) {
            return Offer::Not(Finding { subject: Subject::Store(store.arn.clone()), reason });
        }
        let gone = self.off_stores.get(&store.id);
        let leaves = |group: &SecurityGroupId| {
            leaving.groups.iter().any(|owned| owned.group.id() == group)
                || gone.is_some_and(|off| off.groups.keys().any(|(_, gone)| gone.id() == group))
        };
        let rest = store.lasting_groups().filter(|group| !leaves(group)).cloned().collect();
        match GroupList::new(rest, usize::MAX) {
            Ok(_) => Offer::Ready(cuts),
            Err(_) if leaving.kind == GroupKind::Cidr => Offer::Last,
            Err(_) => leaving.last_group().map_or(Offer::NotYet, Offer::Not),
        }
    }

    /// The answer when an instance whose hold counts reaches a store through its pair, or any may do so unread: a store
    /// side carries the connections of all.
    fn waits_for_a_user(&self, leaving: &LeavingStore<'index>) -> Option<Offer> {
        let seen = self.index.seen;
        if !seen.instances.is_complete() {
            return Some(Offer::NotYet);
        }
        let counts = leaving.reason != DetachReason::StoreOptedOut;
        let holds = |instance: &Instance| counts && instance.settings.held && !self.index.is_blocked(instance);
        let owners: BTreeSet<&StoreId> = leaving.groups.iter().map(|owned| &owned.store).collect();
        let sides = owners.into_iter().flat_map(|owner| self.index.owned_groups(owner));
        for owned in sides.filter(|owned| owned.role() == Side::Instance) {
            // It is said of a primary interface where the instance side stays.
            let mut staying = self.index.with_group(owned.group.id()).filter(|instance| !self.leaves(instance, owned));
            if staying.any(holds) {
                return Some(Offer::NotYet);
            }
            let Some(others) = seen.other_attached(owned.group.id()) else { return Some(Offer::NotYet) };
            for attached in others {
                let InterfaceOwner::Instance { id, .. } = &attached.owner else { continue };
                let Some(instance) = self.index.instance(id) else { return Some(Offer::NotYet) };
                if holds(instance) {
                    return Some(Offer::Not(Finding { subject: Subject::Instance(id.clone()), reason: Reason::Held }));
                }
            }
        }
        None
    }

    /// How many connections a store side still carries that cannot be taken away one by one, those of instances that
    /// keep their side for another store among them; `None` when some can and have to go first, or when it is not known.
    fn still_carried(&self, store: &DataStore, undecided: &BTreeSet<InstanceId>) -> Option<usize> {
        let mut carried = 0;
        for owned in self.index.owned_groups(&store.id).filter(|owned| owned.role() == Side::Instance) {
            let others = self.index.seen.other_attached(owned.group.id())?;
            let id = owned.group.id();
            if self.left_over_held_back.iter().any(|waiting| waiting.owned.group.id() == id) {
                return None;
            }
            let alone = |attached: &&AttachedInterface| {
                !is_copy(self.index, attached, id) && !self.takes_off_left_over(&attached.interface, id)
            };
            carried += others.filter(alone).count();
            for instance in self.index.with_group(owned.group.id()) {
                if self.leaves(instance, owned) {
                    continue;
                }
                if obstacles::managed(instance).is_some() {
                    carried += 1;
                    continue;
                }
                let alone = instance.interface.as_ref().is_some_and(|interface| {
                    self.index.attached_instance_sides(interface).count() == interface.groups.len()
                });
                let attached = AttachedGroup::on_instance(self.index, owned, instance);
                let wanted = matches!(attached.decide(), Retention::Leaves(_));
                let decided = !undecided.contains(&instance.id) && !self.contains(&instance.id, &owned.store);
                let stays = (alone && wanted) || attached.stays_for_another();
                if !stays || !decided {
                    return None;
                }
                carried += 1;
            }
        }
        Some(carried)
    }
}
