//! What the world looks like once a plan has been carried out. A completed apply is verified
//! against it, and every test plans again on it: that plan must be empty.

use crate::{
    check::{CheckedPlan, planned_id},
    group::{self, SecurityGroup},
    id::SecurityGroupId,
    model::Membership,
    observation::{Observation, Sighting},
    plan::GroupRef,
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
    let mut after = seen.clone();
    let plan = plan.plan();
    for (store, work) in &plan.pairs {
        for (side, spec) in &work.create {
            after.groups.found.push(SecurityGroup {
                id: planned_id(store, *side),
                vpc: seen.vpc.clone(),
                name: spec.name.to_string(),
                description: group::description(*side).to_owned(),
                tags: spec.tags.to_map(),
                rules: std::collections::BTreeSet::new(),
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
            store.groups.insert(resolve(&change.attach), Membership::Active);
        }
    }
    for interface in after.instances.found.iter_mut().filter_map(|instance| instance.interface.as_mut()) {
        if let Some(change) = plan.interfaces.get(&interface.id) {
            interface.groups.extend(change.attach.keys().map(resolve));
        }
    }
    after
}
