//! The lists of groups of interfaces and stores.

use std::collections::BTreeSet;

use super::{Checker, Evidence, Objection, Objections, Part, Violation};
use crate::{
    group::{GroupKind, GroupList, Owned, OwnedGroup},
    id::{InstanceId, InterfaceId, SecurityGroupId, StoreId},
    model::{DataStore, Form, Instance, Interface},
    plan::{GroupRef, InterfaceChange, StoreChange},
    rule::{Direction, Peer, Rule},
    service::{Readiness, Side},
    state::Target,
};

impl Checker<'_> {
    pub(super) fn stores(&self, found: &mut BTreeSet<Objection>) {
        for (id, change) in &self.plan.stores {
            self.store(id, change, &mut Objections::to(Part::List(Target::Store(id.clone())), found));
        }
    }

    fn store(&self, id: &StoreId, change: &StoreChange, objections: &mut Objections<'_>) {
        let target = Target::Store(id.clone());
        let Some(store) = self.evidence.stores.get(id).filter(|store| store.arn == change.store) else {
            return objections.insert(Violation::OutsideScope { target: change.store.to_string() });
        };
        for (group, reason) in change.detached_of(GroupKind::Pair) {
            let objections = &mut objections.at(Part::Detachment(target.clone(), group.id().clone()));
            self.leaves_store(store, change, group.id(), reason, objections);
        }
        if let Some(group) = change.attach.get(&GroupKind::Pair) {
            let objections = &mut objections.at(Part::Attachment(target, group.clone()));
            self.has_role(group, id, Side::Store, objections);
            self.rests_on_groups(&store.arn, objections);
            let in_scope = self.evidence.seen.scope.has_store(&store.arn)
                || change.needed_by.iter().any(|instance| self.evidence.seen.scope.has_instance(instance));
            if !in_scope || change.needed_by.is_empty() {
                objections.insert(Violation::OutsideScope { target: store.arn.to_string() });
            }
        }
        self.cidr_change(store, change, objections);
        for instance in &change.needed_by {
            let objections = &mut objections.at(Part::NeededBy(id.clone(), instance.clone()));
            self.joinable(instance, store, objections);
        }
        let is_own = |group: &OwnedGroup| self.evidence.ours(group.id()).is_some_and(|owned| owned.store == *id);
        let both = GroupKind::ALL
            .into_iter()
            .any(|kind| change.attach.contains_key(&kind) && change.detached_of(kind).any(|(group, _)| is_own(group)));
        let nothing = change.attached().next().is_none() && change.detached().next().is_none();
        if both || nothing {
            objections.insert(Violation::OutsideScope { target: store.arn.to_string() });
        }
        let held = store.settings.held && !store.settings.blocked;
        if store.readiness() != Readiness::Ready || store.list_is_changing() || held {
            objections.insert(Violation::StoreNotReady { store: store.arn.clone() });
        }
        let kept = store.lasting_groups().filter(|group| !change.detaches(group));
        let list = kept.cloned().chain(change.attached().map(GroupRef::expected_id)).collect();
        // A list that only gets shorter is no business of the limit's.
        let limit = if change.attached().next().is_some() { store.service.row().store_group_limit } else { usize::MAX };
        if GroupList::new(list, limit).is_err() {
            objections.insert(Violation::BadList { target: store.arn.to_string() });
        }
    }

    pub(super) fn interfaces(&self, found: &mut BTreeSet<Objection>) {
        for (id, change) in &self.plan.interfaces {
            self.interface(id, change, &mut Objections::to(Part::List(Target::Interface(id.clone())), found));
        }
    }

    fn interface(&self, id: &InterfaceId, change: &InterfaceChange, objections: &mut Objections<'_>) {
        let target = Target::Interface(id.clone());
        let Some(instance) = &change.instance else { return self.left_over(id, change, objections) };
        let instance = self.evidence.instance(instance);
        let interface = instance.and_then(|instance| Some((instance, instance.interface.as_ref()?)));
        let here = |(_, interface): &(_, &Interface)| interface.id == *id && interface.vpc == self.evidence.seen.vpc;
        let Some((instance, interface)) = interface.filter(here) else {
            return objections.insert(Violation::OutsideScope { target: id.to_string() });
        };
        let kept = interface.groups.iter().filter(|group| !change.detach.keys().any(|gone| gone.id() == *group));
        let list = kept.cloned().chain(change.attach.keys().map(GroupRef::expected_id)).collect();
        let empty = change.attach.is_empty() && change.detach.is_empty();
        // A list that only gets shorter is no business of the limit's.
        let limit = if change.attach.is_empty() { usize::MAX } else { self.evidence.policy.interface_group_limit };
        if empty || GroupList::new(list, limit).is_err() {
            objections.insert(Violation::BadList { target: id.to_string() });
        }
        for (group, detachment) in &change.detach {
            let objections = &mut objections.at(Part::Detachment(target.clone(), group.id().clone()));
            self.leaves_interface(instance, interface, group.id(), detachment, objections);
        }
        for (group, attachment) in &change.attach {
            let objections = &mut objections.at(Part::Attachment(target.clone(), group.clone()));
            let Some(store) = self.evidence.by_arn.get(&attachment.store).copied() else {
                objections.insert(Violation::OutsideScope { target: attachment.store.to_string() });
                continue;
            };
            self.has_role(group, &store.id, Side::Instance, objections);
            self.rests_on_groups(id, objections);
            self.joinable(&instance.id, store, objections);
            self.opens_no_other(interface, group, &instance.id, store, objections);
            let scope = &self.evidence.seen.scope;
            if !scope.has_instance(&instance.id) && !scope.has_store(&store.arn) {
                objections.insert(Violation::OutsideScope { target: instance.id.to_string() });
            }
        }
    }

    /// An interface without an instance only loses groups.
    fn left_over(&self, id: &InterfaceId, change: &InterfaceChange, objections: &mut Objections<'_>) {
        let Some(attached) = self.evidence.left_over(id).filter(|_| change.attach.is_empty()) else {
            return objections.insert(Violation::OutsideScope { target: id.to_string() });
        };
        let kept = attached.groups.iter().filter(|group| !change.detach.keys().any(|gone| gone.id() == *group));
        if change.detach.is_empty() || kept.count() == 0 {
            objections.insert(Violation::BadList { target: id.to_string() });
        }
        for (group, detachment) in &change.detach {
            let part = Part::Detachment(Target::Interface(id.clone()), group.id().clone());
            self.leaves_left_over(attached, group.id(), detachment, &mut objections.at(part));
        }
    }

    /// Nobody gets a group that an attached group of another store's pair lets in once the plan is carried out.
    fn opens_no_other(
        &self,
        interface: &Interface,
        group: &GroupRef,
        instance: &InstanceId,
        store: &DataStore,
        objections: &mut Objections<'_>,
    ) {
        let GroupRef::Existing(id) = group else { return };
        if interface.groups.contains(id) {
            return;
        }
        let holders = self.evidence.lets_in.get(id).into_iter().flatten();
        let holders = holders.filter_map(|holder| self.evidence.owned.get(holder));
        for (owned, by) in holders.filter(|(owned, _)| owned.store != store.id) {
            let lets_in = |rule: &Rule| {
                let is_of_peer = rule.direction == Direction::Inbound && rule.peer == Peer::Group(id.clone());
                is_of_peer && !self.goes(owned, rule)
            };
            if by.rules.iter().any(lets_in) && self.may_be_attached(&by.id) {
                let store = owned.arn.clone().unwrap_or_else(|| store.arn.clone());
                objections.insert(Violation::NotJoinable { instance: instance.clone(), store });
            }
        }
    }

    /// Whether the plan takes a rule away, or deletes the group that holds it.
    fn goes(&self, owned: &Owned, rule: &Rule) -> bool {
        let of_store = |id: &StoreId| *id == owned.store;
        let works = self.plan.pairs.iter().filter(|(id, _)| of_store(id));
        let mut revoked = works.flat_map(|(_, work)| &work.revoke);
        let deletions = self.plan.deletions.iter().filter(|((_, id), _)| of_store(id));
        let mut deleted = deletions.flat_map(|(_, deletion)| &deletion.delete);
        revoked.any(|(of, gone)| of == &owned.group && gone == rule) || deleted.any(|gone| *gone == owned.group)
    }

    /// Whether anything has a group now, as far as is known.
    fn may_be_attached(&self, id: &SecurityGroupId) -> bool {
        let Evidence { seen, stores, .. } = self.evidence;
        let on_others = seen.other_attached(id).is_none_or(|mut others| others.next().is_some());
        on_others
            || stores.values().any(|store| store.has_group(id))
            || seen.instances.found.iter().any(|instance| instance.has_group(id))
    }

    /// Which groups are whose is known only when every group of the VPC was read.
    pub(super) fn rests_on_groups(&self, target: &impl ToString, objections: &mut Objections<'_>) {
        if !self.evidence.seen.groups.is_complete() {
            objections.insert(Violation::RestsOnGap { target: target.to_string() });
        }
    }

    /// The conditions on which a connection may be made, all of them.
    fn joinable(&self, instance: &InstanceId, store: &DataStore, objections: &mut Objections<'_>) {
        let seen = self.evidence.seen;
        let joins = |instance: &Instance| {
            !instance.settings.connect.shared_with(&store.settings.connect).is_empty()
                && !self.evidence.is_blocked(instance)
                && !instance.settings.held
                && instance.operator.is_none()
        };
        let takes = !store.settings.blocked
            && !store.settings.held
            && store.is_in(&seen.vpc)
            && store.form == Form::Plain
            && store.readiness() != Readiness::Never;
        if seen.is_uninstalling() || !takes || !self.evidence.instance(instance).is_some_and(joins) {
            objections.insert(Violation::NotJoinable { instance: instance.clone(), store: store.arn.clone() });
        }
    }
}
