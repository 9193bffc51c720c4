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
    group::{Owned, OwnedGroup, Role},
    id::{InterfaceId, SecurityGroupId, StoreArn, StoreId},
    memory::{Attached, Memory, Note, Target},
    model::{DataStore, Instance},
    observation::{Bearer, Scope},
    rule::{Peer, Rule},
    service::Side,
    tag::ConnectTag,
};

/// What ends together: the pair of a store, or its group for clients that are not instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Pair,
    Cidr,
}

/// Groups to be deleted, and why.
struct End<'view> {
    because: Because,
    store: Option<StoreArn>,
    groups: Vec<&'view OwnedGroup>,
}

type Ends<'view> = BTreeMap<(Kind, StoreId), End<'view>>;

impl<'view> End<'view> {
    fn of<Name>(view: &View<'_>, because: Because, groups: &[&'view Owned<Name>]) -> Self {
        Self {
            because,
            store: groups.iter().find_map(|owned| view.arn_of(owned)),
            groups: groups.iter().map(|owned| &owned.group).collect(),
        }
    }
}

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
        let is_one_pair = ended == Some(Because::Uninstalling)
            || Side::BOTH.iter().all(|side| groups.iter().filter(|owned| owned.name.side == *side).count() < 2);
        plan.findings.extend(keepers(view, store, &groups));
        if ended == Some(Because::StoreGone) && !is_one_pair {
            plan.findings.extend(ambiguity(view, &groups));
        }
        let Some(because) = because.filter(|_| is_one_pair) else { continue };
        if may_be_deleted(plan, view, &groups) {
            ends.insert((Kind::Pair, store.clone()), End::of(view, because, &groups));
        }
    }
    end_cidr_groups(plan, view, departures, &mut ends);
    loop {
        let named = named_elsewhere(plan, view, &ends);
        if named.is_empty() {
            break;
        }
        for (key, findings) in named {
            ends.remove(&key);
            plan.findings.extend(findings);
        }
    }
    for ((kind, store), end) in ends {
        let teardown = teardown(view, end);
        match kind {
            Kind::Pair => {
                plan.pairs.remove(&store);
                plan.teardowns.insert(store, teardown);
            }
            Kind::Cidr => {
                plan.cidr_teardowns.insert(store, teardown);
            }
        }
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

/// AWS deletes no group that a rule of another one names: the ends named by a rule that outlives the
/// plan, each with the findings.
fn named_elsewhere(plan: &Plan, view: &View<'_>, ends: &Ends<'_>) -> BTreeMap<(Kind, StoreId), Vec<Finding>> {
    let going: BTreeMap<&SecurityGroupId, &(Kind, StoreId)> =
        ends.iter().flat_map(|(key, end)| end.groups.iter().map(move |group| (group.id(), key))).collect();
    let is_revoked = |id: &SecurityGroupId, rule: &Rule| {
        let Some(store) = view.store_of(id) else { return false };
        let of_pair = plan.pairs.get(store).into_iter().flat_map(|work| &work.revoke);
        let mut revoked = of_pair.chain(plan.cidrs.get(store).into_iter().flat_map(|work| &work.revoke));
        revoked.any(|(group, revoked)| group.id() == id && revoked == rule)
    };
    let mut named = BTreeMap::<_, Vec<Finding>>::new();
    for namer in view.seen.groups.found.iter().filter(|group| !going.contains_key(&group.id)) {
        for rule in &namer.rules {
            let Peer::Group(peer) = &rule.peer else { continue };
            if let Some(key) = going.get(peer)
                && !is_revoked(&namer.id, rule)
            {
                let reason = Reason::GroupInRule { group: namer.id.clone() };
                let finding = Finding { subject: Subject::Group(peer.clone()), reason };
                named.entry((*key).clone()).or_default().push(finding);
            }
        }
    }
    named
}

/// Adds the groups for clients that are not instances and that nothing asks for any more. They need not
/// have been seen unused before: it is the tag that says so.
fn end_cidr_groups<'view>(plan: &mut Plan, view: &'view View<'_>, departures: &Departures<'_>, ends: &mut Ends<'view>) {
    for store in view.cidr_owners() {
        let groups: Vec<_> = view.cidr_groups(store).collect();
        plan.findings.extend(groups.iter().flat_map(|owned| foreign_attachments(view, owned)));
        if !groups.iter().any(|owned| view.names_store(owned)) {
            continue;
        }
        let unasked = cidr_unasked(view, store);
        let because = ended(view, store, &groups);
        let because = because.or_else(|| (unasked && !view.seen.is_uninstalling()).then_some(Because::CidrNotAskedFor));
        let uninstalling = view.seen.is_uninstalling();
        plan.findings.extend(keepers(view, store, &groups));
        let certain = uninstalling || view.store(store).is_none_or(DataStore::tags_are_certain);
        let one = uninstalling || groups.len() == 1;
        let because = because.filter(|_| certain && one && is_off(plan, view, departures, store, &groups));
        if let Some(because) = because.filter(|_| may_be_deleted(plan, view, &groups)) {
            ends.insert((Kind::Cidr, store.clone()), End::of(view, because, &groups));
        }
    }
}

/// Whether a store that takes part asks for no clients but instances.
fn cidr_unasked(view: &View<'_>, store: &StoreId) -> bool {
    let here = view.store(store).filter(|store| store.vpc.as_ref() == Some(&view.seen.vpc));
    here.is_some_and(|store| {
        let takes_part = matches!(store.wishes.connect, ConnectTag::Names(_)) && !store.wishes.held;
        takes_part && store.wishes.allow_cidr.asks_for_none()
    })
}

/// What keeps groups although tagwire is to be gone: a hold, and stores elsewhere that have them in
/// their lists.
fn keepers<Name>(view: &View<'_>, store: &StoreId, groups: &[&Owned<Name>]) -> Vec<Finding> {
    if !view.seen.is_uninstalling() {
        return Vec::new();
    }
    let held = view.store(store).filter(|store| store.wishes.held);
    let held = held.map(|store| Finding { subject: Subject::Store(store.arn.clone()), reason: Reason::Held });
    groups.iter().flat_map(|owned| carried_elsewhere(view, owned)).chain(held).collect()
}

/// The stores elsewhere that have a group in their lists, which keeps it.
fn carried_elsewhere<Name>(view: &View<'_>, owned: &Owned<Name>) -> Vec<Finding> {
    let id = owned.group.id();
    let elsewhere = |holder: &&&DataStore| holder.wears(id) && holder.vpc.as_ref() != Some(&view.seen.vpc);
    let finding = |holder: &&DataStore| Finding {
        subject: Subject::Store(holder.arn.clone()),
        reason: holder.vpc.clone().map_or(Reason::Ec2Classic, |vpc| Reason::StoreMoved { vpc }),
    };
    view.stores_with(id).iter().filter(elsewhere).map(finding).collect()
}

fn wears_in_scope(view: &View<'_>, owned: &Owned) -> bool {
    view.wearing(owned.group.id()).any(|instance| view.seen.scope.has_instance(&instance.id))
}

/// Whether the store takes no part any more, for certain.
fn ended<Name>(view: &View<'_>, store: &StoreId, groups: &[&Owned<Name>]) -> Option<Because> {
    if view.seen.is_uninstalling() {
        let held = view.store(store).is_some_and(|store| store.wishes.held);
        return (!held).then_some(Because::Uninstalling);
    }
    let Some(store) = view.store(store) else {
        let gone = groups.iter().all(|owned| matches!(whereabouts(view, owned), Whereabouts::Gone));
        return gone.then_some(Because::StoreGone);
    };
    let here = store.vpc.as_ref() == Some(&view.seen.vpc);
    let opted_out = store.wishes.connect == ConnectTag::Absent && !store.wishes.held;
    (here && opted_out).then_some(Because::StoreOptedOut)
}

/// Whether nothing wears any of the groups once the plan is carried out, for certain.
fn is_off<Name: Copy + Into<Role>>(
    plan: &Plan,
    view: &View<'_>,
    departures: &Departures<'_>,
    store: &StoreId,
    groups: &[&Owned<Name>],
) -> bool {
    let change = plan.stores.get(store);
    let is_pair = groups.iter().any(|owned| owned.role() != Role::Cidr);
    let attaches = is_pair && change.is_some_and(|change| change.attach.is_some());
    let listed = |group: &SecurityGroupId| {
        let leaves = |holder: &StoreId| holder == store && change.is_some_and(|change| change.detaches(group));
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
fn may_be_deleted<Name>(plan: &mut Plan, view: &View<'_>, groups: &[&Owned<Name>]) -> bool {
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

fn teardown(view: &View<'_>, end: End<'_>) -> Teardown {
    let names_one = |peer: &Peer| matches!(peer, Peer::Group(peer) if view.store_of(peer).is_some());
    let revoke = end.groups.iter().flat_map(|&owned| {
        let rules = view.group(owned.id()).into_iter().flat_map(|group| &group.rules);
        rules.filter(|rule| names_one(&rule.peer)).map(|rule| (owned.clone(), rule.clone()))
    });
    Teardown {
        revoke: revoke.collect(),
        delete: end.groups.iter().map(|&group| group.clone()).collect(),
        because: end.because,
        store: end.store,
    }
}

/// Who wears an owned group and is not what it was made for.
fn foreign_attachments<Name: Copy + Into<Role>>(view: &View<'_>, owned: &Owned<Name>) -> Vec<Finding> {
    let id = owned.group.id();
    let for_instances = owned.role() == Role::Side(Side::Instance);
    let finding =
        |holder: String| Finding { subject: Subject::Group(id.clone()), reason: Reason::ForeignAttachment { holder } };
    let interfaces =
        view.seen.wearing.by.found.iter().filter(|wearer| wearer.groups.contains(id)).filter_map(|wearer| {
            let interface = &wearer.interface;
            match (&wearer.bearer, for_instances) {
                // The store's own interfaces wear its groups.
                (Bearer::Other { .. }, false) | (Bearer::Instance { primary: true, .. }, true) => None,
                (Bearer::Other { description }, true) => Some(finding(format!("{interface} ({description})"))),
                (Bearer::Instance { id, .. }, _) => Some(finding(format!("{interface} of {id}"))),
            }
        });
    let on_instances = view.wearing(id).filter(|_| !for_instances);
    let stores = view
        .stores_with(id)
        .iter()
        .filter(|store| store.wears(id))
        .filter(|store| store.id != owned.store || for_instances);
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
