//! The identity of groups, and what a block takes off whether that is proven or not. Judged by the raw fields of a
//! group: its description, its record in the state table, and its id.

use std::collections::BTreeSet;

use super::{Checker, Objection, Objections, Part, Violation};
use crate::{
    finding::{Finding, Reason, Subject},
    group::{
        Described, GroupName, GroupRecord, MANAGED_BY, MANAGED_BY_KEY, OwnedGroup, Role, SecurityGroup, description,
    },
    id::{SecurityGroupId, StoreId},
    model::{DataStore, Instance},
    plan::{GroupRef, InterfaceChange, Plan, StoreChange, Verdict},
    service::{Readiness, Side},
    state::{Note, Target},
};

impl Checker<'_> {
    /// No group is attached, rewritten or deleted for a store that it is not bound to; nothing is taken off that the
    /// plan calls connected; and a block takes off whatever has our name and description.
    pub(super) fn identities(&self, found: &mut BTreeSet<Objection>) {
        for (part, group, store) in uses(self.plan) {
            self.is_bound(group, store, &mut Objections::to(part, found));
        }
        for (part, group, store) in rewrites(self.plan) {
            let is_marked = |group: &SecurityGroup| group.tags.get(MANAGED_BY_KEY).is_some_and(|by| by == MANAGED_BY);
            let mut objections = Objections::to(part, found);
            self.is_bound(group, store, &mut objections);
            if !self.group(group).is_some_and(is_marked) {
                objections.insert(Violation::NotOwned { group: group.clone(), store: store.clone() });
            }
        }
        self.records(found);
        self.keeps_connected(found);
        self.blocked_instances(found);
    }

    fn group(&self, id: &SecurityGroupId) -> Option<&SecurityGroup> {
        self.evidence.groups.get(id).copied()
    }

    /// Whether description and state table bind a group to a store.
    fn is_bound(&self, id: &SecurityGroupId, store: &StoreId, objections: &mut Objections<'_>) {
        let binds = |group: &SecurityGroup| {
            group.record.iter().flat_map(GroupRecord::versions).any(|record| {
                let is_it = record.id.as_ref().map_or_else(|| describes(record, group), |known| known == id);
                record.store == *store && is_it && (record.token.is_none() || describes(record, group))
            })
        };
        if !self.group(id).is_some_and(binds) {
            objections.insert(Violation::NotOwned { group: id.clone(), store: store.clone() });
        }
    }

    /// A record is only ever completed: with the id of the group that has the name, and the name of its store.
    fn records(&self, found: &mut BTreeSet<Objection>) {
        for note in &self.plan.notes {
            let Note::Identity(name, Some(record)) = note else { continue };
            let mut named = self.evidence.groups.values().filter(|group| group.name == name.to_string());
            let completes = |known: &GroupRecord, group: &SecurityGroup| {
                known.id.as_ref().map_or_else(|| describes(known, group), |known| *known == group.id)
                    && (&known.store, known.role, &known.token) == (&record.store, record.role, &record.token)
                    && record.id.as_ref() == Some(&group.id)
            };
            if !named
                .any(|group| group.record.iter().flat_map(GroupRecord::versions).any(|known| completes(known, group)))
            {
                let group = record.id.clone().or_else(|| named.next().map(|group| group.id.clone()));
                let mut objections = Objections::to(Part::Record(*name), found);
                if let Some(group) = group {
                    objections.insert(Violation::NotOwned { group, store: record.store.clone() });
                }
            }
        }
    }

    fn keeps_connected(&self, found: &mut BTreeSet<Objection>) {
        for decision in &self.plan.decisions {
            let Verdict::Connected(via) = &decision.verdict else { continue };
            let of_instance = |change: &InterfaceChange| change.instance.as_ref() == Some(&decision.instance);
            let interfaces = self.plan.interfaces.iter().filter(|(_, change)| of_instance(change));
            let interfaces = interfaces.filter(|(_, change)| change.detaches(&via.instance_side));
            let interfaces = interfaces.map(|(id, _)| (Target::Interface(id.clone()), &via.instance_side));
            let of_store = |change: &StoreChange| change.store == decision.store && change.detaches(&via.store_side);
            let stores = self.plan.stores.iter().filter(|(_, change)| of_store(change));
            let stores = stores.map(|(id, _)| (Target::Store(id.clone()), &via.store_side));
            for (target, group) in interfaces.chain(stores) {
                let (instance, store) = (decision.instance.clone(), decision.store.clone());
                Objections::to(Part::Detachment(target, group.clone()), found).insert(Violation::CutsConnected {
                    instance,
                    store,
                    group: group.clone(),
                });
            }
        }
    }

    /// What has a name and a description of ours, whatever else is known of it.
    pub(super) fn marked_role(&self, id: &SecurityGroupId) -> Option<Role> {
        let group = self.group(id)?;
        let role = GroupName::read(&group.name)?.role;
        Described::read(&group.description).filter(|described| described.role == role).map(|_| role)
    }

    fn blocked_instances(&self, found: &mut BTreeSet<Objection>) {
        let seen = self.evidence.seen;
        let is_concerned = |instance: &&Instance| {
            self.evidence.is_blocked(instance)
                && seen.scope.has_instance(&instance.id)
                && instance.operator.is_none()
                && seen.groups.is_complete()
        };
        for instance in seen.instances.found.iter().filter(is_concerned) {
            let Some(interface) = &instance.interface else { continue };
            let leads_in = |group: &&SecurityGroupId| self.marked_role(group) == Some(Role::Side(Side::Instance));
            let ours: Vec<_> = interface.groups.iter().filter(leads_in).collect();
            let is_all = ours.len() == interface.groups.len();
            let change = self.plan.interfaces.get(&interface.id);
            let mut stays = ours.into_iter().filter(|group| !change.is_some_and(|change| change.detaches(group)));
            if let Some(group) = stays.next().filter(|_| !is_all) {
                let violation = Violation::LeavesIn { instance: instance.id.clone(), group: group.clone() };
                let part = Part::Omission(Target::Interface(interface.id.clone()));
                self.omits(part, Subject::Instance(instance.id.clone()), violation, found);
            }
        }
    }

    /// What a plan does not do cannot be left out of it. One that says so is not objected to again.
    pub(super) fn omits(&self, part: Part, subject: Subject, violation: Violation, found: &mut BTreeSet<Objection>) {
        let reason = Reason::PlanRejected { problem: violation.to_string() };
        if !self.plan.findings.contains(&Finding { subject, reason }) {
            Objections::to(part, found).insert(violation);
        }
    }

    /// What a block takes off an instance beside what is proven to be ours.
    pub(super) fn unproven_of_instance(
        &self,
        instance: &Instance,
        change: &InterfaceChange,
        target: &Target,
        objections: &mut Objections<'_>,
    ) {
        let is_concerned = self.evidence.is_blocked(instance) && self.evidence.seen.scope.has_instance(&instance.id);
        let has = |group: &SecurityGroupId| {
            instance.has_group(group) && self.marked_role(group) == Some(Role::Side(Side::Instance))
        };
        for group in change.unproven.iter().filter(|group| !is_concerned || !has(group.id())) {
            let violation = Violation::NotMarked { group: group.id().clone(), target: instance.id.to_string() };
            objections.at(Part::Detachment(target.clone(), group.id().clone())).insert(violation);
        }
    }

    /// The same for a store.
    pub(super) fn unproven_of_store(
        &self,
        store: &DataStore,
        change: &StoreChange,
        target: &Target,
        objections: &mut Objections<'_>,
    ) {
        let seen = self.evidence.seen;
        let is_concerned = store.settings.blocked
            && store.is_in(&seen.vpc)
            && seen.scope.has_store(&store.arn)
            && store.readiness() == Readiness::Ready;
        let has = |group: &SecurityGroupId| {
            let role = self.marked_role(group);
            store.groups.contains_key(group) && role.is_some_and(|role| role != Side::Instance)
        };
        for group in change.unproven.iter().filter(|group| !is_concerned || !has(group.id())) {
            let violation = Violation::NotMarked { group: group.id().clone(), target: store.arn.to_string() };
            objections.at(Part::Detachment(target.clone(), group.id().clone())).insert(violation);
        }
    }
}

/// The groups that a plan attaches, each with the store for which it does.
fn uses(plan: &Plan) -> Vec<(Part, &SecurityGroupId, &StoreId)> {
    fn there(group: &GroupRef) -> Option<&SecurityGroupId> {
        match group {
            GroupRef::Existing(id) => Some(id),
            GroupRef::Planned(..) => None,
        }
    }
    let stores = plan.stores.iter().flat_map(|(id, change)| {
        change.attached().filter_map(move |group| {
            let part = Part::Attachment(Target::Store(id.clone()), group.clone());
            there(group).map(|group| (part, group, id))
        })
    });
    let cidrs = plan.cidrs.iter().filter_map(|(id, work)| Some((Part::Cidr(id.clone()), there(&work.group)?, id)));
    stores.chain(cidrs).collect()
}

/// The groups that a plan rewrites or deletes, each with the store for which it does.
fn rewrites(plan: &Plan) -> Vec<(Part, &SecurityGroupId, &StoreId)> {
    let pairs = plan.pairs.iter().flat_map(|(id, work)| {
        let authorized = work.authorize.iter().filter_map(|(group, _)| match group {
            GroupRef::Existing(group) => Some(group),
            GroupRef::Planned(..) => None,
        });
        let revoked = work.revoke.iter().map(|(group, _)| group.id());
        let tagged = work.tag.iter().map(|(group, _)| group.id());
        authorized.chain(revoked).chain(tagged).map(move |group| (Part::Pair(id.clone()), group, id))
    });
    let cidrs = plan.cidrs.iter().flat_map(|(id, work)| {
        let revoked = work.revoke.iter().map(|(group, _)| group.id());
        let tagged = work.tag.iter().map(|(group, _)| group.id());
        revoked.chain(tagged).map(move |group| (Part::Cidr(id.clone()), group, id))
    });
    let deleted = plan.deletions.iter().flat_map(|((kind, id), deletion)| {
        let groups = deletion.delete.iter().map(OwnedGroup::id);
        groups.map(move |group| (Part::Deletion(*kind, id.clone()), group, id))
    });
    pairs.chain(cidrs).chain(deleted).collect()
}

/// Whether a group has the description that a record was written for.
fn describes(record: &GroupRecord, group: &SecurityGroup) -> bool {
    record.token.as_ref().is_some_and(|token| group.description == description(record.role, &record.store, token))
}
