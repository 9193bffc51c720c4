//! Why a connection is not made. Nothing here takes one away: an instance that is connected never
//! comes here.

use std::collections::BTreeSet;

use super::{
    GroupRef, Plan,
    pair::Standing,
    view::{Candidate, View},
};
use crate::{
    finding::{Finding, Reason, Subject},
    group::{Ownership, Role, SecurityGroup, description},
    id::SecurityGroupId,
    memory::{Attached, Note, Target},
    model::{DataStore, Form, Membership},
    observation::{Scope, Sighting},
    service::{Readiness, Side},
    tag::{ConnectTag, ConnectionName, Wishes},
};

/// Why this instance is not connected to this store, apart from the room on its interface; none
/// when it can be. `leaving` groups leave the store's list.
pub(super) fn refusal(
    view: &View<'_>,
    standing: &Standing<'_>,
    candidate: &Candidate<'_>,
    leaving: usize,
) -> Option<Reason> {
    by_instance(view, candidate).or_else(|| by_store(view, standing, leaving))
}

fn by_instance(view: &View<'_>, candidate: &Candidate<'_>) -> Option<Reason> {
    if view.seen.is_uninstalling() {
        return Some(Reason::Uninstalling);
    }
    if candidate.instance.interface.is_none() {
        return Some(Reason::InstanceGone);
    }
    if view.is_blocked(candidate.instance) {
        return Some(Reason::Blocked);
    }
    by_wishes(&candidate.instance.wishes)
}

/// Whether something that would have to be attached was taken off too often; that is remembered, for
/// it holds until the tag of the list's owner changes.
pub(super) fn contested(
    plan: &mut Plan,
    view: &View<'_>,
    standing: &Standing<'_>,
    candidate: &Candidate<'_>,
) -> Option<Reason> {
    let (store, instance) = (standing.store, candidate.instance);
    let of_store = (!standing.store_wears())
        .then(|| (Side::Store, Target::Store(store.id.clone()), &store.wishes, Subject::Store(store.arn.clone())));
    let of_instance = instance.interface.as_ref().filter(|_| !standing.instance_wears(instance)).map(|interface| {
        let target = Target::Interface(interface.id.clone());
        (Side::Instance, target, &instance.wishes, Subject::Instance(instance.id.clone()))
    });
    for (side, target, wishes, subject) in of_store.into_iter().chain(of_instance) {
        let GroupRef::Existing(group) = standing.group_ref(side) else { continue };
        let Some(reason) = contested_list(plan, view, &group, target, &wishes.connect) else { continue };
        plan.findings.push(Finding { subject, reason: reason.clone() });
        return Some(reason);
    }
    None
}

/// Whether a group was taken off a list too often, whose owner's connect tag is this one.
pub(super) fn contested_list(
    plan: &mut Plan,
    view: &View<'_>,
    group: &SecurityGroupId,
    target: Target,
    connect: &ConnectTag,
) -> Option<Reason> {
    let memory = view.seen.memory.known()?;
    let attached = memory.attached.get(&(target.clone(), group.clone()))?;
    if !attached.is_contested(&Attached::tag_of(connect), view.seen.at) {
        return None;
    }
    if !attached.contested {
        let note = Note::Attached(target, group.clone(), Some(Attached { contested: true, ..attached.clone() }));
        if !plan.notes.contains(&note) {
            plan.notes.push(note);
        }
    }
    Some(Reason::Contested { group: group.clone() })
}

fn by_wishes(wishes: &Wishes) -> Option<Reason> {
    if wishes.blocked {
        Some(Reason::Blocked)
    } else if wishes.held {
        Some(Reason::Held)
    } else {
        None
    }
}

fn by_store(view: &View<'_>, standing: &Standing<'_>, leaving: usize) -> Option<Reason> {
    let store = standing.store;
    if store.vpc.is_none() {
        return Some(Reason::Ec2Classic);
    }
    if let Some(reason) = by_form(store).or_else(|| by_wishes(&store.wishes)).or_else(|| by_state(store)) {
        return Some(reason);
    }
    // Without every group of the VPC a pair of this store may be there unseen, and its name taken.
    if let Some(gap) = view.seen.groups.gaps.iter().min() {
        return Some(Reason::Unread { gap: gap.clone() });
    }
    if let Some(obstacle) = standing.obstacle() {
        return Some(obstacle);
    }
    let limit = store.service.row().store_group_limit;
    let staying = store.lasting_groups().count().saturating_sub(leaving);
    (!standing.store_wears() && staying >= limit).then_some(Reason::StoreGroupLimit { limit })
}

/// Why nothing new is let into a store, whatever its tags say.
pub(super) fn by_nature(store: &DataStore) -> Option<Reason> {
    by_form(store).or_else(|| by_state(store))
}

fn by_form(store: &DataStore) -> Option<Reason> {
    match &store.form {
        Form::Plain => None,
        Form::ServerlessV1 => Some(Reason::ServerlessV1),
        Form::GlobalMember { global } => Some(Reason::GlobalDatabase { global: global.clone() }),
        Form::ClusterMember { cluster } => Some(Reason::ClusterMember { cluster: cluster.clone() }),
    }
}

/// A store without a port is still coming up, whatever its state says.
fn by_state(store: &DataStore) -> Option<Reason> {
    (store.readiness() == Readiness::Never || store.ports.is_none()).then(|| not_available(store))
}

fn not_available(store: &DataStore) -> Reason {
    Reason::NotAvailable { state: store.state.clone(), passing: store.readiness() != Readiness::Never }
}

/// Why the store side cannot be attached right now; none when it can, or is attached already.
pub(super) fn store_attachment_waits(standing: &Standing<'_>) -> Option<Reason> {
    if standing.store_wears() { None } else { list_waits(standing.store) }
}

/// Why a store's list of groups cannot be changed right now; none when it can.
pub(super) fn list_waits(store: &DataStore) -> Option<Reason> {
    if store.list_is_changing() {
        let adding = store.groups.iter().filter(|(_, membership)| **membership == Membership::Adding);
        Some(Reason::ListChanging { groups: adding.map(|(group, _)| group.clone()).collect() })
    } else if store.readiness() == Readiness::Ready {
        None
    } else {
        Some(not_available(store))
    }
}

/// The finding for an instance in another zone than its store.
pub(super) fn cross_zone(candidate: &Candidate<'_>) -> Option<Finding> {
    let zone = candidate.instance.zone.as_ref()?;
    let store_zones = &candidate.store.zones;
    (!store_zones.is_empty() && !store_zones.contains(zone)).then(|| Finding {
        subject: Subject::Instance(candidate.instance.id.clone()),
        reason: Reason::CrossAz { instance_zone: zone.clone(), store_zones: store_zones.clone() },
    })
}

/// What is to be said of the resources themselves: tags that cannot be read, names that nothing
/// shares, forged groups, gaps.
pub(super) fn findings(view: &View<'_>) -> Vec<Finding> {
    let seen = view.seen;
    let mut findings: Vec<Finding> = seen
        .gaps()
        .map(|gap| Finding { subject: Subject::Vpc(seen.vpc.clone()), reason: Reason::Unread { gap: gap.clone() } })
        .collect();

    // In a whole VPC it is a stale entry of the tag index, which is nothing to speak of.
    if seen.scope != Scope::Vpc {
        findings.extend(seen.stores.found.iter().filter_map(|sighting| match sighting {
            Sighting::Gone(arn) if seen.scope.has_store(arn) => {
                Some(Finding { subject: Subject::Store(arn.clone()), reason: Reason::StoreGone })
            }
            Sighting::Present(_) | Sighting::Gone(_) => None,
        }));
    }
    for (id, ownership) in view.ownership() {
        let reason = match ownership {
            Ownership::Forged(forgery) => Reason::OwnershipForged { forgery: *forgery },
            Ownership::Foreign if view.group(id).is_some_and(looks_like_ours) => Reason::OwnershipLost,
            Ownership::Foreign | Ownership::Owned(_) | Ownership::OwnedCidr(_) => continue,
        };
        findings.push(Finding { subject: Subject::Group(id.clone()), reason });
    }
    for instance in seen.instances.found.iter().filter(|instance| seen.scope.has_instance(&instance.id)) {
        let reasons =
            if instance.interface.is_none() { vec![Reason::InstanceGone] } else { unmatched(view, &instance.wishes) };
        findings.extend(
            reasons.into_iter().map(|reason| Finding { subject: Subject::Instance(instance.id.clone()), reason }),
        );
    }
    for (_, store) in view.stores_here().filter(|(_, store)| seen.scope.has_store(&store.arn)) {
        let mut reasons = invalid(&store.wishes);
        if seen.instances.is_complete() && view.sharing(store).is_empty() {
            reasons.extend(no_match(store.wishes.connect.names().cloned().collect(), &store.wishes));
        }
        findings
            .extend(reasons.into_iter().map(|reason| Finding { subject: Subject::Store(store.arn.clone()), reason }));
    }
    findings
}

/// Nobody else has a reason to write our sentence.
fn looks_like_ours(group: &SecurityGroup) -> bool {
    Role::of_name(&group.name).is_some_and(|role| group.description == description(role))
}

fn invalid(wishes: &Wishes) -> Vec<Reason> {
    match &wishes.connect {
        ConnectTag::Invalid(problem) => vec![Reason::InvalidTag { problem: problem.clone() }],
        ConnectTag::Absent | ConnectTag::Names(_) => Vec::new(),
    }
}

fn no_match(names: BTreeSet<ConnectionName>, wishes: &Wishes) -> Option<Reason> {
    matches!(wishes.connect, ConnectTag::Names(_)).then_some(Reason::NoMatch { names })
}

/// What is to be said of an instance's names that no store of its VPC has.
fn unmatched(view: &View<'_>, wishes: &Wishes) -> Vec<Reason> {
    let mut reasons = invalid(wishes);
    let mut nowhere = BTreeSet::new();
    let names: BTreeSet<&ConnectionName> = wishes.connect.names().collect();
    for name in &names {
        let stores = view.stores_named(name);
        if stores.iter().any(|store| store.vpc.as_ref().is_none_or(|vpc| *vpc == view.seen.vpc)) {
            continue;
        }
        let elsewhere = stores.iter().find_map(|store| Some((store, store.vpc.clone()?)));
        match elsewhere {
            // What was not read may well be a store of this VPC, so nothing is said of absence.
            _ if !view.seen.stores.is_complete() => {}
            Some((store, vpc)) => {
                reasons.push(Reason::DifferentVpc { name: (*name).clone(), store: store.arn.clone(), vpc });
            }
            None => {
                nowhere.insert((*name).clone());
            }
        }
    }
    if !nowhere.is_empty() || names.is_empty() {
        reasons.extend(no_match(nowhere, wishes));
    }
    reasons
}
