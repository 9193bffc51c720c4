//! What the world looks like once a plan has been carried out. A completed apply is verified
//! against it, and every test plans again on it: that plan must be empty.

use std::collections::BTreeSet;

use crate::{
    check::{CheckedPlan, planned_id},
    group::{self, OwnedGroup, SecurityGroup},
    id::SecurityGroupId,
    memory::{Connection, Memory, Note, Recall, Target},
    model::Membership,
    observation::{Observation, Sighting},
    plan::{GroupRef, Plan, StatusOf},
};

fn resolve(group: &GroupRef) -> SecurityGroupId {
    match group {
        GroupRef::Existing(id) => id.clone(),
        GroupRef::Planned(store, side) => planned_id(store, *side),
    }
}

/// The observation that a completed run of `plan` leads to.
#[must_use]
pub fn expected(seen: &Observation, plan: &CheckedPlan) -> Observation {
    carried_out(seen, plan.plan())
}

pub(crate) fn carried_out(seen: &Observation, plan: &Plan) -> Observation {
    let mut after = seen.clone();
    for (store, work) in &plan.pairs {
        for (side, spec) in &work.create {
            after.groups.found.push(SecurityGroup {
                id: planned_id(store, *side),
                vpc: seen.vpc.clone(),
                name: spec.name.to_string(),
                description: group::description(*side).to_owned(),
                tags: spec.tags.to_map(),
                rules: BTreeSet::new(),
            });
        }
        for found in &mut after.groups.found {
            for (group, rule) in &work.authorize {
                if resolve(group) == found.id {
                    found.rules.insert(rule.with_peer(resolve(&rule.peer)));
                }
            }
            for (group, rule) in &work.revoke {
                if *group.id() == found.id {
                    found.rules.remove(rule);
                }
            }
            for (group, tags) in &work.tag {
                if *group.id() == found.id {
                    found.tags.extend(tags.to_map());
                }
            }
        }
    }
    for sighting in &mut after.stores.found {
        if let Sighting::Present(store) = sighting
            && let Some(change) = plan.stores.get(&store.id)
        {
            store.groups.extend(change.attach.iter().map(|group| (resolve(group), Membership::Active)));
            store.groups.retain(|group, _| !change.detach.keys().any(|gone| gone.id() == group));
        }
    }
    for interface in after.instances.found.iter_mut().filter_map(|instance| instance.interface.as_mut()) {
        if let Some(change) = plan.interfaces.get(&interface.id) {
            interface.groups.extend(change.attach.keys().map(resolve));
            interface.groups.retain(|group| !change.detach.keys().any(|gone| gone.id() == group));
        }
    }
    for teardown in plan.teardowns.values() {
        let gone: BTreeSet<_> = teardown.delete.iter().map(OwnedGroup::id).collect();
        after.groups.found.retain(|group| !gone.contains(&group.id));
        // A list may still have said that one of them is on its way out.
        for sighting in &mut after.stores.found {
            if let Sighting::Present(store) = sighting {
                store.groups.retain(|group, _| !gone.contains(group));
            }
        }
    }
    for change in &plan.statuses {
        match &change.of {
            StatusOf::Instance(id) => {
                let instance = after.instances.found.iter_mut().find(|instance| instance.id == *id);
                if let Some(instance) = instance {
                    instance.wishes.status.clone_from(&change.text);
                }
            }
            StatusOf::Store(arn) => {
                let stores = after.stores.found.iter_mut().filter_map(|sighting| match sighting {
                    Sighting::Present(store) => (store.arn == *arn).then_some(store),
                    Sighting::Gone(_) => None,
                });
                stores.for_each(|store| store.wishes.status.clone_from(&change.text));
            }
        }
    }
    if let Recall::Known(memory) = &mut after.memory {
        remember(memory, seen, plan);
    }
    after
}

/// What is remembered after a run that did everything it planned.
fn remember(memory: &mut Memory, seen: &Observation, plan: &Plan) {
    memory.window = plan.window.clone().unwrap_or_else(|| memory.window.clone());
    let mut notes = plan.notes.clone();
    for (interface, change) in &plan.interfaces {
        let target = Target::Interface(interface.clone());
        notes.extend(change.attach.keys().map(|group| seen.attached(target.clone(), resolve(group))));
        for (group, detachment) in &change.detach {
            let connection = Connection { instance: change.instance.clone(), store: detachment.store.clone() };
            notes.extend([Note::Wanted(connection, None), Note::Attached(target.clone(), group.id().clone(), None)]);
        }
    }
    for (id, change) in &plan.stores {
        let target = Target::Store(id.clone());
        notes.extend(change.attach.iter().map(|group| seen.attached(target.clone(), resolve(group))));
        notes.extend(change.detach.keys().map(|group| Note::Attached(target.clone(), group.id().clone(), None)));
    }
    for note in notes {
        memory.note(note);
    }
}
