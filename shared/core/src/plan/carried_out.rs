//! The observation that follows when every change of a plan is made.

use std::collections::BTreeSet;

use super::{GroupRef, Plan, StatusOf};
use crate::{
    group::{self, GroupRecord, OwnTags, OwnedGroup, SecurityGroup, Token},
    id::StoreId,
    model::Membership,
    observation::{Observation, StoreLookup},
    state::{Note, Target, VpcState},
};

pub(crate) fn carried_out(seen: &Observation, plan: &Plan) -> Observation {
    let mut after = seen.clone();
    work_on_pairs(&mut after, plan);
    work_on_cidr_groups(&mut after, plan);
    change_lists(&mut after, plan);
    delete_groups(&mut after, plan);
    write_identities(&mut after, plan);
    write_status_tags(&mut after, plan);
    if let Ok(state) = &mut after.state {
        write_notes(state, seen, plan);
    }
    after
}

fn created(seen: &Observation, store: &StoreId, name: String, tags: &OwnTags) -> SecurityGroup {
    let id = GroupRef::Planned(store.clone(), tags.role).expected_id();
    // The real one is random.
    let token = Token::of_bits(0);
    SecurityGroup {
        id: id.clone(),
        vpc: seen.vpc.clone(),
        name,
        description: group::description(tags.role, store, &token),
        tags: tags.to_map(),
        rules: BTreeSet::new(),
        record: Some(GroupRecord {
            store: store.clone(),
            arn: Some(tags.arn.clone()),
            role: tags.role,
            token: Some(token),
            id: Some(id),
            earlier: None,
        }),
    }
}

fn work_on_pairs(after: &mut Observation, plan: &Plan) {
    for (store, work) in &plan.pairs {
        for spec in work.create.values() {
            let group = created(after, store, spec.name.to_string(), &spec.tags);
            after.groups.found.push(group);
        }
        for found in &mut after.groups.found {
            for (group, rule) in &work.authorize {
                if group.expected_id() == found.id {
                    found.rules.insert(rule.with_peer(rule.peer.expected_id()));
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
}

fn work_on_cidr_groups(after: &mut Observation, plan: &Plan) {
    for (store, work) in &plan.cidrs {
        if let Some(spec) = &work.create {
            let group = created(after, store, spec.name.to_string(), &spec.tags);
            after.groups.found.push(group);
        }
        let id = work.group.expected_id();
        for found in after.groups.found.iter_mut().filter(|found| found.id == id) {
            found.rules.retain(|rule| !work.revoke.iter().any(|(_, revoked)| revoked == rule));
            found.rules.extend(work.authorize.iter().map(|peer| work.rule(peer)));
            found.tags.extend(work.tag.iter().flat_map(|(_, tags)| tags.to_map()));
        }
    }
}

fn change_lists(after: &mut Observation, plan: &Plan) {
    for lookup in &mut after.stores.found {
        if let StoreLookup::Found(store) = lookup
            && let Some(change) = plan.stores.get(&store.id)
        {
            store.groups.extend(change.attached().map(|group| (group.expected_id(), Membership::Active)));
            store.groups.retain(|group, _| !change.detaches(group));
        }
    }
    for attached in &mut after.attachments.by.found {
        if let Some(change) = plan.interfaces.get(&attached.interface) {
            attached.groups.retain(|group| !change.detaches(group));
        }
    }
    for interface in after.instances.found.iter_mut().filter_map(|instance| instance.interface.as_mut()) {
        if let Some(change) = plan.interfaces.get(&interface.id) {
            interface.groups.extend(change.attach.keys().map(GroupRef::expected_id));
            interface.groups.retain(|group| !change.detaches(group));
        }
    }
}

fn delete_groups(after: &mut Observation, plan: &Plan) {
    for deletion in plan.deletions.values() {
        let gone: BTreeSet<_> = deletion.delete.iter().map(OwnedGroup::id).collect();
        after.groups.found.retain(|group| !gone.contains(&group.id));
        // A list may still have said that one of them is on its way out.
        for lookup in &mut after.stores.found {
            if let StoreLookup::Found(store) = lookup {
                store.groups.retain(|group, _| !gone.contains(group));
            }
        }
    }
}

/// Writes the records of the groups that are made, and those that the plan notes.
fn write_identities(after: &mut Observation, plan: &Plan) {
    let Ok(identities) = &mut after.identities else { return };
    for note in &plan.notes {
        if let Note::Identity(name, Some(record)) = note {
            identities.insert(*name, record.clone());
        }
    }
    let of_pairs = plan.pairs.values().flat_map(|work| work.create.values());
    for spec in of_pairs.chain(plan.cidrs.values().filter_map(|work| work.create.as_ref())) {
        let made = after.groups.found.iter().find(|group| group.name == spec.name.to_string());
        identities.extend(made.and_then(|group| Some((spec.name, group.record.clone()?))));
    }
    let deleted = plan.deletions.values().flat_map(|deletion| &deletion.delete);
    let deleted: BTreeSet<_> = deleted.map(OwnedGroup::id).collect();
    identities.retain(|_, record| !record.id.as_ref().is_some_and(|id| deleted.contains(id)));
    for group in &mut after.groups.found {
        group.look_up(identities);
    }
}

fn write_status_tags(after: &mut Observation, plan: &Plan) {
    for change in &plan.statuses {
        match &change.of {
            StatusOf::Instance(id) => {
                let instance = after.instances.found.iter_mut().find(|instance| instance.id == *id);
                if let Some(instance) = instance {
                    instance.settings.status.clone_from(&change.text);
                }
            }
            StatusOf::Store(arn) => {
                let stores = after.stores.found.iter_mut().filter_map(|lookup| match lookup {
                    StoreLookup::Found(store) => (store.arn == *arn).then_some(store),
                    StoreLookup::NotFound(_) => None,
                });
                stores.for_each(|store| store.settings.status.clone_from(&change.text));
            }
        }
    }
}

/// Writes the notes of a run that made every change of its plan.
fn write_notes(state: &mut VpcState, seen: &Observation, plan: &Plan) {
    state.window = plan.window.clone().unwrap_or_else(|| state.window.clone());
    let mut notes = plan.notes.clone();
    for (interface, change) in &plan.interfaces {
        let target = Target::Interface(interface.clone());
        notes.extend(change.attach.keys().map(|group| seen.attached(target.clone(), group.expected_id())));
        for (group, detachment) in &change.detach {
            notes.extend([
                Note::Wanted(change.removal(interface, &detachment.store), None),
                Note::Attached(target.clone(), group.id().clone(), None),
            ]);
        }
    }
    for (id, change) in &plan.stores {
        let target = Target::Store(id.clone());
        notes.extend(change.attached().map(|group| seen.attached(target.clone(), group.expected_id())));
        notes.extend(change.detached().map(|group| Note::Attached(target.clone(), group.id().clone(), None)));
        notes.extend(change.removals(id).map(|removal| Note::Wanted(removal, None)));
    }
    for note in notes {
        state.note(note);
    }
}
