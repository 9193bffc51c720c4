//! Which pairs are deleted: those of stores that are gone or take no part any more, and those that
//! nobody has used for a while.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Because, Plan, Teardown,
    leave::{Departures, Whereabouts, whereabouts},
    view::View,
};
use crate::{
    finding::{Finding, Reason, Subject},
    group::Owned,
    id::{InterfaceId, SecurityGroupId, StoreId},
    memory::{Attached, Memory, Note, Target},
    model::Instance,
    observation::{Bearer, Scope},
    rule::{Peer, Rule},
    service::Side,
    tag::ConnectTag,
};

/// The pairs to be deleted: why, and their groups.
type Ends<'view> = BTreeMap<StoreId, (Because, Vec<&'view Owned>)>;

/// Adds the deletions to the plan, and what is to be remembered and said of groups that nobody uses
/// or that something else uses. What is deleted is not repaired before.
pub(super) fn tear_down(plan: &mut Plan, view: &View<'_>, departures: &Departures<'_>) {
    if !view.seen.groups.is_complete() {
        return;
    }
    let mut ends = BTreeMap::new();
    for store in view.owners() {
        let groups: Vec<&Owned> = view.owned_groups(store).collect();
        plan.findings.extend(groups.iter().flat_map(|owned| foreign_attachments(view, owned)));
        if !groups.iter().any(|owned| view.names_store(owned) || wears_in_scope(view, owned)) {
            continue;
        }
        let ended = ended(view, store, &groups);
        let is_off = is_off(plan, view, departures, store, &groups);
        let long_unused = remember(plan, view, &groups, ended.is_none() && is_off && is_unasked(view, store));
        let because = match ended {
            Some(because) => is_off.then_some(because),
            None => long_unused.then_some(Because::Unused),
        };
        // Two pairs of one store are left to a person.
        let is_one_pair =
            Side::BOTH.iter().all(|side| groups.iter().filter(|owned| owned.name.side == *side).count() < 2);
        if ended == Some(Because::StoreGone) && !is_one_pair {
            plan.findings.extend(ambiguity(view, &groups));
        }
        let Some(because) = because.filter(|_| is_one_pair) else { continue };
        if may_be_deleted(plan, view, &groups) {
            ends.insert(store.clone(), (because, groups));
        }
    }
    loop {
        let named = named_elsewhere(plan, view, &ends);
        if named.is_empty() {
            break;
        }
        for (store, findings) in named {
            ends.remove(&store);
            plan.findings.extend(findings);
        }
    }
    for (store, (because, groups)) in ends {
        plan.pairs.remove(&store);
        plan.teardowns.insert(store, teardown(view, because, &groups));
    }
    follow_tags(plan, view);
    forget_deleted(plan, view);
}

/// Says so of a store that is gone; of one that is there it is said where its pair is chosen.
fn ambiguity(view: &View<'_>, groups: &[&Owned]) -> Option<Finding> {
    let arn = groups.iter().find_map(|owned| view.arn_of(owned))?;
    let all = groups.iter().map(|owned| owned.group.id().clone()).collect();
    Some(Finding { subject: Subject::Store(arn), reason: Reason::AmbiguousPair { groups: all } })
}

/// Whether no tags ask for a store's pair. One that is asked for and cannot be attached at present is
/// kept: another one in its place would fare no better.
fn is_unasked(view: &View<'_>, store: &StoreId) -> bool {
    let here = view.store(store).filter(|store| store.vpc.as_ref() == Some(&view.seen.vpc));
    here.is_none_or(|store| !store.wishes.held && view.sharing(store).is_empty())
}

/// AWS deletes no group that a rule of another one names: the pairs named by a rule that outlives the
/// plan, each with the findings.
fn named_elsewhere(plan: &Plan, view: &View<'_>, ends: &Ends<'_>) -> BTreeMap<StoreId, Vec<Finding>> {
    let going: BTreeMap<&SecurityGroupId, &StoreId> = ends
        .iter()
        .flat_map(|(store, (_, groups))| groups.iter().map(move |owned| (owned.group.id(), store)))
        .collect();
    let is_revoked = |id: &SecurityGroupId, rule: &Rule| {
        let work = view.owned(id).and_then(|owned| plan.pairs.get(&owned.store));
        work.is_some_and(|work| work.revoke.iter().any(|(group, revoked)| group.id() == id && revoked == rule))
    };
    let mut named = BTreeMap::<StoreId, Vec<Finding>>::new();
    for namer in view.seen.groups.found.iter().filter(|group| !going.contains_key(&group.id)) {
        for rule in &namer.rules {
            let Peer::Group(peer) = &rule.peer else { continue };
            if let Some(store) = going.get(peer)
                && !is_revoked(&namer.id, rule)
            {
                let reason = Reason::GroupInRule { group: namer.id.clone() };
                let finding = Finding { subject: Subject::Group(peer.clone()), reason };
                named.entry((*store).clone()).or_default().push(finding);
            }
        }
    }
    named
}

fn wears_in_scope(view: &View<'_>, owned: &Owned) -> bool {
    view.wearing(owned.group.id()).any(|instance| view.seen.scope.has_instance(&instance.id))
}

/// Whether the store takes no part any more, for certain.
fn ended(view: &View<'_>, store: &StoreId, groups: &[&Owned]) -> Option<Because> {
    let Some(store) = view.store(store) else {
        let gone = groups.iter().all(|owned| matches!(whereabouts(view, owned), Whereabouts::Gone));
        return gone.then_some(Because::StoreGone);
    };
    let here = store.vpc.as_ref() == Some(&view.seen.vpc);
    let opted_out = store.wishes.connect == ConnectTag::Absent && !store.wishes.held;
    (here && opted_out).then_some(Because::StoreOptedOut)
}

/// Whether nothing wears any of the groups once the plan is carried out, for certain.
fn is_off(plan: &Plan, view: &View<'_>, departures: &Departures<'_>, store: &StoreId, groups: &[&Owned]) -> bool {
    let change = plan.stores.get(store);
    let attaches = change.is_some_and(|change| change.attach.is_some());
    let listed = |group: &SecurityGroupId| {
        let leaves = |holder: &StoreId| {
            holder == store && change.is_some_and(|change| change.detach.keys().any(|gone| gone.id() == group))
        };
        view.stores_with(group).iter().any(|holder| holder.wears(group) && !leaves(&holder.id))
    };
    !attaches
        && groups.iter().all(|owned| departures.is_off_interfaces(owned) == Some(true) && !listed(owned.group.id()))
}

/// Remembers since when the groups are unused; whether that is long enough. Only a look at everything
/// can tell either.
fn remember(plan: &mut Plan, view: &View<'_>, groups: &[&Owned], unused: bool) -> bool {
    let seen = view.seen;
    let all_read = seen.instances.is_complete() && seen.stores.is_complete() && seen.wearing.by.is_complete();
    let Some(memory) = seen.memory.known().filter(|_| all_read && seen.scope == Scope::Vpc) else { return false };
    let mut long = unused;
    for id in groups.iter().map(|owned| owned.group.id()) {
        match memory.unused.get(id) {
            None if unused => {
                plan.notes.push(Note::Unused(id.clone(), Some(seen.at)));
                long = false;
            }
            Some(since) if unused => {
                let age = std::time::Duration::try_from(seen.at.duration_since(*since)).unwrap_or_default();
                long &= age >= view.policy.sweep_period;
            }
            Some(_) => plan.notes.push(Note::Unused(id.clone(), None)),
            None => {}
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
    let names_one = |peer: &Peer| matches!(peer, Peer::Group(peer) if view.owned(peer).is_some());
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
        .stores_with(id)
        .iter()
        .filter(|store| store.wears(id))
        .filter(|store| store.id != owned.store || owned.name.side == Side::Instance);
    let instances = on_instances.map(|instance| finding(format!("instance {}", instance.id)));
    interfaces.chain(instances).chain(stores.map(|store| finding(store.arn.to_string()))).collect()
}

/// A list whose owner's tag says something else now has been looked at by somebody: how often something
/// had to be attached to it again is forgotten, also when the tag later says the same as before.
fn follow_tags(plan: &mut Plan, view: &View<'_>) {
    let Some(memory) = view.seen.memory.known() else { return };
    let lists: BTreeMap<&InterfaceId, &Instance> =
        view.instances().filter_map(|instance| Some((&instance.interface.as_ref()?.id, instance))).collect();
    for ((target, group), attached) in &memory.attached {
        let (connect, wears) = match target {
            Target::Interface(id) => match lists.get(id) {
                Some(instance) => (&instance.wishes.connect, instance.wears(group)),
                None => continue,
            },
            Target::Store(id) => match view.store(id) {
                Some(store) => (&store.wishes.connect, store.wears(group)),
                None => continue,
            },
        };
        let tag = Attached::tag_of(connect);
        if tag != attached.tag {
            let renewed = Attached { tag, again: Vec::new(), contested: false, ..attached.clone() };
            plan.notes.push(Note::Attached(target.clone(), group.clone(), wears.then_some(renewed)));
        }
    }
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
