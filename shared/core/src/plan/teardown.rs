//! Which pairs are deleted: those of stores that are gone or take no part any more, and those that
//! nobody has used for a while.

use std::collections::BTreeSet;

use super::{
    Because, Needs, Plan, Teardown,
    leave::{Departures, Whereabouts, whereabouts},
    view::View,
};
use crate::{
    finding::{Finding, Reason, Subject},
    group::Owned,
    id::{InterfaceId, SecurityGroupId, StoreId},
    memory::{Memory, Note, Target},
    observation::{Bearer, Scope},
    rule::Peer,
    service::Side,
    tag::ConnectTag,
};

/// Adds the deletions to the plan, and what is to be remembered and said of groups that nobody uses
/// or that something else uses.
pub(super) fn tear_down(plan: &mut Plan, view: &View<'_>, departures: &Departures<'_>, needs: &Needs<'_>) {
    if !view.seen.groups.is_complete() {
        return;
    }
    for store in view.owners() {
        let groups: Vec<&Owned> = view.owned_groups(store).collect();
        plan.findings.extend(groups.iter().flat_map(|owned| foreign_attachments(view, owned)));
        if !groups.iter().any(|owned| view.names_store(owned) || wears_in_scope(view, owned)) {
            continue;
        }
        let ended = ended(view, store, &groups);
        let is_off = is_off(plan, view, departures, store, &groups) && !needs.contains_key(store);
        let unused = is_off && view.seen.scope == Scope::Vpc && ended.is_none();
        let long_unused = remember(plan, view, &groups, unused);
        let because = match ended {
            Some(because) => is_off.then_some(because),
            None => long_unused.then_some(Because::Unused),
        };
        // Two pairs of one store are left to a person.
        let is_one_pair =
            Side::BOTH.iter().all(|side| groups.iter().filter(|owned| owned.name.side == *side).count() < 2);
        let Some(because) = because.filter(|_| is_one_pair) else { continue };
        if may_be_deleted(plan, view, &groups) {
            plan.teardowns.insert(store.clone(), teardown(view, because, &groups));
        }
    }
    forget_deleted(plan, view);
}

fn wears_in_scope(view: &View<'_>, owned: &Owned) -> bool {
    view.wearing(owned.group.id()).any(|instance| view.seen.scope.has_instance(&instance.id))
}

/// Whether the store takes no part any more, for certain.
fn ended(view: &View<'_>, store: &StoreId, groups: &[&Owned]) -> Option<Because> {
    match view.store(store) {
        Some(store) => {
            let here = store.vpc.as_ref() == Some(&view.seen.vpc);
            let opted_out = store.wishes.connect == ConnectTag::Absent && !store.wishes.held;
            (here && opted_out).then_some(Because::StoreOptedOut)
        }
        None => {
            let gone = groups.iter().all(|owned| matches!(whereabouts(view, owned), Whereabouts::Gone));
            gone.then_some(Because::StoreGone)
        }
    }
}

/// Whether nothing wears any of the groups once the plan is carried out, for certain.
fn is_off(plan: &Plan, view: &View<'_>, departures: &Departures<'_>, store: &StoreId, groups: &[&Owned]) -> bool {
    let change = plan.stores.get(store);
    let attaches = change.is_some_and(|change| change.attach.is_some());
    let listed = |group: &SecurityGroupId| {
        let leaves = |holder: &StoreId| {
            holder == store && change.is_some_and(|change| change.detach.keys().any(|gone| gone.id() == group))
        };
        view.stores().any(|holder| holder.wears(group) && !leaves(&holder.id))
    };
    !attaches
        && groups.iter().all(|owned| departures.is_off_interfaces(owned) == Some(true) && !listed(owned.group.id()))
}

/// Remembers since when the groups are unused; whether that is long enough.
fn remember(plan: &mut Plan, view: &View<'_>, groups: &[&Owned], unused: bool) -> bool {
    let Some(memory) = view.seen.memory.known() else { return false };
    let mut long = unused;
    for owned in groups {
        let id = owned.group.id();
        match memory.unused.get(id) {
            None if unused => {
                plan.notes.push(Note::Unused(id.clone(), Some(view.seen.at)));
                long = false;
            }
            Some(since) if unused => {
                let age = std::time::Duration::try_from(view.seen.at.duration_since(*since)).unwrap_or_default();
                long &= age >= view.policy.sweep_period;
            }
            // Only a look at everything can tell that a group is used again.
            Some(_) if view.seen.scope == Scope::Vpc => plan.notes.push(Note::Unused(id.clone(), None)),
            Some(_) | None => long = false,
        }
    }
    long
}

/// Whether no launch template would fail without the groups.
fn may_be_deleted(plan: &mut Plan, view: &View<'_>, groups: &[&Owned]) -> bool {
    let Some(templates) = view.seen.launch_templates.as_ref().filter(|reading| reading.is_complete()) else {
        return false;
    };
    let named: Vec<_> = groups.iter().filter(|owned| templates.found.contains(owned.group.id())).collect();
    plan.findings.extend(named.iter().map(|owned| Finding {
        subject: Subject::Group(owned.group.id().clone()),
        reason: Reason::GroupInLaunchTemplate,
    }));
    named.is_empty()
}

fn teardown(view: &View<'_>, because: Because, groups: &[&Owned]) -> Teardown {
    let ids: BTreeSet<&SecurityGroupId> = groups.iter().map(|owned| owned.group.id()).collect();
    let names_one = |peer: &Peer| matches!(peer, Peer::Group(peer) if ids.contains(peer));
    let revoke = groups.iter().flat_map(|owned| {
        let rules = view.group(owned.group.id()).into_iter().flat_map(|group| &group.rules);
        rules.filter(|rule| names_one(&rule.peer)).map(|rule| (owned.group.clone(), rule.clone()))
    });
    Teardown {
        store: groups.iter().find_map(|owned| view.arn_of(owned)),
        because,
        revoke: revoke.collect(),
        delete: groups.iter().map(|owned| owned.group.clone()).collect(),
    }
}

/// Who wears an owned group and is not what it was made for.
fn foreign_attachments(view: &View<'_>, owned: &Owned) -> Vec<Finding> {
    let id = owned.group.id();
    let finding =
        |holder: String| Finding { subject: Subject::Group(id.clone()), reason: Reason::ForeignAttachment { holder } };
    let interfaces =
        view.seen.wearing.by.found.iter().filter(|wearer| wearer.groups.contains(id)).filter_map(|wearer| {
            let interface = &wearer.interface;
            match (&wearer.bearer, owned.name.side) {
                // The store's own interfaces wear its store side.
                (Bearer::Other { .. }, Side::Store) | (Bearer::Instance { primary: true, .. }, Side::Instance) => None,
                (Bearer::Other { description }, Side::Instance) => {
                    Some(finding(format!("{interface} ({description})")))
                }
                (Bearer::Instance { id, .. }, _) => Some(finding(format!("{interface} of {id}"))),
            }
        });
    let on_instances = view.wearing(id).filter(|_| owned.name.side == Side::Store);
    let stores = view
        .stores()
        .filter(|store| store.wears(id))
        .filter(|store| store.id != owned.store || owned.name.side == Side::Instance);
    let instances = on_instances.map(|instance| finding(format!("instance {}", instance.id)));
    interfaces.chain(instances).chain(stores.map(|store| finding(store.arn.to_string()))).collect()
}

/// Forgets what was remembered of groups and lists that are no longer there.
fn forget_deleted(plan: &mut Plan, view: &View<'_>) {
    let seen = view.seen;
    let Some(Memory { unused, attached, .. }) = seen.memory.known() else { return };
    if seen.scope != Scope::Vpc || !seen.instances.is_complete() || !seen.stores.is_complete() {
        return;
    }
    let is_there = |group: &SecurityGroupId| view.group(group).is_some();
    let interfaces: BTreeSet<&InterfaceId> =
        view.instances().filter_map(|instance| instance.interface.as_ref()).map(|interface| &interface.id).collect();
    let has_list = |target: &Target| match target {
        Target::Interface(id) => interfaces.contains(id),
        Target::Store(id) => view.store(id).is_some(),
    };
    plan.notes.extend(unused.keys().filter(|group| !is_there(group)).map(|group| Note::Unused(group.clone(), None)));
    let forgotten = attached.keys().filter(|(target, group)| !is_there(group) || !has_list(target));
    plan.notes.extend(forgotten.map(|(target, group)| Note::Attached(target.clone(), group.clone(), None)));
}
