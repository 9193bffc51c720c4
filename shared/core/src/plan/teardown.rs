//! Which pairs are deleted: those of stores that are gone or take no part any more, and those that
//! nobody has used for a while.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    DeleteReason, Deletion, Plan,
    disconnect::{Disconnects, StoreExistence, store_existence},
    index::Index,
};
use crate::{
    finding::{Finding, Reason, Subject},
    group::{GroupKind, Owned, OwnedGroup, Role},
    id::{InterfaceId, SecurityGroupId, StoreArn, StoreId},
    model::{DataStore, Instance},
    observation::{InterfaceOwner, Scope},
    rule::{Peer, Rule},
    service::Side,
    state::{Attached, Note, Target, VpcState},
    tag::ConnectTag,
};

/// Groups to be deleted, and why.
struct End<'index> {
    because: DeleteReason,
    store: Option<StoreArn>,
    groups: Vec<&'index OwnedGroup>,
}

type Ends<'index> = BTreeMap<(GroupKind, StoreId), End<'index>>;

impl<'index> End<'index> {
    fn of(index: &Index<'_>, because: DeleteReason, groups: &[&'index Owned]) -> Self {
        Self {
            because,
            store: groups.iter().find_map(|owned| index.arn_of(owned)),
            groups: groups.iter().map(|owned| &owned.group).collect(),
        }
    }
}

/// Adds the deletions to the plan, and what is to be remembered and said of groups that nobody uses
/// or that something else uses. What is deleted is not repaired before.
pub(crate) fn tear_down(plan: &mut Plan, index: &Index<'_>, disconnects: &Disconnects<'_>) {
    if !index.seen.groups.is_complete() {
        return;
    }
    let mut ends = BTreeMap::new();
    for store in index.owners(GroupKind::Pair) {
        let groups: Vec<&Owned> = index.owned_groups(store).collect();
        plan.findings.extend(groups.iter().flat_map(|owned| foreign_attachments(index, owned)));
        if !groups.iter().any(|owned| index.names_store(owned) || is_attached_in_scope(index, owned)) {
            continue;
        }
        let ended = ended(index, store, &groups);
        let is_off = is_off(plan, index, disconnects, store, &groups);
        let long_unused = write_notes(plan, index, &groups, ended.is_none() && is_off && is_unasked(index, store));
        let because = match ended {
            Some(because) => is_off.then_some(because),
            None => long_unused.then_some(DeleteReason::Unused),
        };
        // Two pairs of one store are left to a person.
        let is_one_pair = is_one_pair(ended, &groups);
        plan.findings.extend(keepers(index, store, &groups));
        if ended == Some(DeleteReason::StoreGone) && !is_one_pair {
            plan.findings.extend(ambiguity(index, &groups));
        }
        let Some(because) = because.filter(|_| is_one_pair) else { continue };
        if may_be_deleted(plan, index, &groups) {
            ends.insert((GroupKind::Pair, store.clone()), End::of(index, because, &groups));
        }
    }
    end_cidr_groups(plan, index, disconnects, &mut ends);
    loop {
        let named = named_elsewhere(plan, index, &ends);
        if named.is_empty() {
            break;
        }
        for (key, findings) in named {
            ends.remove(&key);
            plan.findings.extend(findings);
        }
    }
    for ((kind, store), end) in ends {
        if kind == GroupKind::Pair {
            plan.pairs.remove(&store);
        }
        plan.deletions.insert((kind, store), deletion(index, end));
    }
    follow_tags(plan, index);
    forget_deleted(plan, index);
}

/// Says so of a store that is gone; of one that is there it is said where its pair is chosen.
fn ambiguity(index: &Index<'_>, groups: &[&Owned]) -> Option<Finding> {
    let arn = groups.iter().find_map(|owned| index.arn_of(owned))?;
    let all = groups.iter().map(|owned| owned.group.id().clone()).collect();
    Some(Finding { subject: Subject::Store(arn), reason: Reason::AmbiguousPair { groups: all } })
}

/// Whether there is at most one group of each side, if that matters.
pub(crate) fn is_one_pair(ended: Option<DeleteReason>, groups: &[&Owned]) -> bool {
    ended == Some(DeleteReason::Uninstalling)
        || Side::BOTH.iter().all(|side| groups.iter().filter(|owned| owned.name.role == *side).count() < 2)
}

/// Whether no tags ask for a store's pair. One that is asked for and cannot be attached at present is
/// kept: another one in its place would fare no better.
pub(crate) fn is_unasked(index: &Index<'_>, store: &StoreId) -> bool {
    let here = index.store(store).filter(|store| store.vpc.as_ref() == Some(&index.seen.vpc));
    here.is_none_or(|store| !store.settings.held && index.sharing(store).is_empty())
}

/// AWS deletes no group that a rule of another one names: the ends named by a rule that outlives the
/// plan, each with the findings.
fn named_elsewhere(plan: &Plan, index: &Index<'_>, ends: &Ends<'_>) -> BTreeMap<(GroupKind, StoreId), Vec<Finding>> {
    let going: BTreeMap<&SecurityGroupId, &(GroupKind, StoreId)> =
        ends.iter().flat_map(|(key, end)| end.groups.iter().map(move |group| (group.id(), key))).collect();
    let mut named = BTreeMap::<_, Vec<Finding>>::new();
    for (namer, peer) in namers(plan, index, |group| going.contains_key(group)) {
        if let Some(key) = going.get(peer) {
            let reason = Reason::GroupInRule { group: namer.clone() };
            let finding = Finding { subject: Subject::Group(peer.clone()), reason };
            named.entry((*key).clone()).or_default().push(finding);
        }
    }
    named
}

/// The groups whose rules outlive the plan and name one that goes, each with that one.
pub(crate) fn namers<'seen>(
    plan: &Plan,
    index: &Index<'seen>,
    goes: impl Fn(&SecurityGroupId) -> bool,
) -> Vec<(&'seen SecurityGroupId, &'seen SecurityGroupId)> {
    let is_revoked = |id: &SecurityGroupId, rule: &Rule| {
        let Some(store) = index.store_of(id) else { return false };
        let of_pair = plan.pairs.get(store).into_iter().flat_map(|work| &work.revoke);
        let mut revoked = of_pair.chain(plan.cidrs.get(store).into_iter().flat_map(|work| &work.revoke));
        revoked.any(|(group, revoked)| group.id() == id && revoked == rule)
    };
    let staying = index.seen.groups.found.iter().filter(|group| !goes(&group.id));
    let rules = staying.flat_map(|group| group.rules.iter().map(move |rule| (&group.id, rule)));
    let naming = rules.filter_map(|(namer, rule)| match &rule.peer {
        Peer::Group(peer) => (goes(peer) && !is_revoked(namer, rule)).then_some((namer, peer)),
        Peer::GroupOfAccount { .. } | Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::PrefixList(_) => None,
    });
    naming.collect()
}

/// Adds the groups for clients that are not instances and that nothing asks for any more. They need not
/// have been seen unused before: it is the tag that says so.
fn end_cidr_groups<'index>(
    plan: &mut Plan,
    index: &'index Index<'_>,
    disconnects: &Disconnects<'_>,
    ends: &mut Ends<'index>,
) {
    for store in index.owners(GroupKind::Cidr) {
        let groups: Vec<_> = index.cidr_groups(store).collect();
        plan.findings.extend(groups.iter().flat_map(|owned| foreign_attachments(index, owned)));
        if !groups.iter().any(|owned| index.names_store(owned)) {
            continue;
        }
        let because = ended(index, store, &groups);
        let because = because.or_else(|| cidr_unasked(index, store).then_some(DeleteReason::CidrNotAskedFor));
        plan.findings.extend(keepers(index, store, &groups));
        let lets = cidr_certain(index, store) && is_one_cidr_group(index, &groups);
        let because = because.filter(|_| lets && is_off(plan, index, disconnects, store, &groups));
        if let Some(because) = because.filter(|_| may_be_deleted(plan, index, &groups)) {
            ends.insert((GroupKind::Cidr, store.clone()), End::of(index, because, &groups));
        }
    }
}

/// Whether it is certain what a store's tags are, if that matters.
pub(crate) fn cidr_certain(index: &Index<'_>, store: &StoreId) -> bool {
    index.seen.is_uninstalling() || index.store(store).is_none_or(DataStore::tags_are_certain)
}

/// Whether there is one group for clients that are not instances, if that matters.
pub(crate) fn is_one_cidr_group(index: &Index<'_>, groups: &[&Owned]) -> bool {
    index.seen.is_uninstalling() || groups.len() == 1
}

/// Whether a store that takes part asks for no clients but instances, and that decides.
pub(crate) fn cidr_unasked(index: &Index<'_>, store: &StoreId) -> bool {
    let here = index.store(store).filter(|store| store.vpc.as_ref() == Some(&index.seen.vpc));
    let here = here.filter(|_| !index.seen.is_uninstalling());
    here.is_some_and(|store| {
        let takes_part = matches!(store.settings.connect, ConnectTag::Names(_)) && !store.settings.held;
        takes_part && store.settings.allow_cidr.asks_for_none()
    })
}

/// What keeps groups although tagwire is to be gone: a hold, and stores elsewhere that have them in
/// their lists.
fn keepers(index: &Index<'_>, store: &StoreId, groups: &[&Owned]) -> Vec<Finding> {
    if !index.seen.is_uninstalling() {
        return Vec::new();
    }
    let held = index.store(store).filter(|store| store.settings.held);
    let held = held.map(|store| Finding { subject: Subject::Store(store.arn.clone()), reason: Reason::Held });
    groups.iter().flat_map(|owned| carried_elsewhere(index, owned)).chain(held).collect()
}

/// The stores elsewhere that have a group in their lists, which keeps it.
fn carried_elsewhere(index: &Index<'_>, owned: &Owned) -> Vec<Finding> {
    let id = owned.group.id();
    let elsewhere = |holder: &&&DataStore| holder.has_group(id) && holder.vpc.as_ref() != Some(&index.seen.vpc);
    let finding = |holder: &&DataStore| Finding {
        subject: Subject::Store(holder.arn.clone()),
        reason: holder.vpc.clone().map_or(Reason::Ec2Classic, |vpc| Reason::StoreMoved { vpc }),
    };
    index.stores_with(id).iter().filter(elsewhere).map(finding).collect()
}

pub(crate) fn is_attached_in_scope(index: &Index<'_>, owned: &Owned) -> bool {
    index.with_group(owned.group.id()).any(|instance| index.seen.scope.has_instance(&instance.id))
}

/// Whether the store takes no part any more, for certain.
pub(crate) fn ended(index: &Index<'_>, store: &StoreId, groups: &[&Owned]) -> Option<DeleteReason> {
    if index.seen.is_uninstalling() {
        let held = index.store(store).is_some_and(|store| store.settings.held);
        return (!held).then_some(DeleteReason::Uninstalling);
    }
    let Some(store) = index.store(store) else {
        let gone = groups.iter().all(|owned| matches!(store_existence(index, owned), StoreExistence::Gone));
        return gone.then_some(DeleteReason::StoreGone);
    };
    let here = store.vpc.as_ref() == Some(&index.seen.vpc);
    let opted_out = store.settings.connect == ConnectTag::Absent && !store.settings.held;
    (here && opted_out).then_some(DeleteReason::StoreOptedOut)
}

/// Whether nothing has any of the groups once the plan is carried out, for certain.
pub(crate) fn is_off(
    plan: &Plan,
    index: &Index<'_>,
    disconnects: &Disconnects<'_>,
    store: &StoreId,
    groups: &[&Owned],
) -> bool {
    let change = plan.stores.get(store);
    let is_pair = groups.iter().any(|owned| owned.role() != Role::Cidr);
    let attaches = is_pair && change.is_some_and(|change| change.attach.contains_key(&GroupKind::Pair));
    let listed = |group: &SecurityGroupId| {
        let leaves = |holder: &StoreId| holder == store && change.is_some_and(|change| change.detaches(group));
        index.stores_with(group).iter().any(|holder| holder.has_group(group) && !leaves(&holder.id))
    };
    !attaches
        && groups.iter().all(|owned| disconnects.is_off_interfaces(owned) == Some(true) && !listed(owned.group.id()))
}

/// Remembers since when the groups are unused; whether that is long enough. Only a look at everything
/// can tell either.
pub(crate) fn write_notes(plan: &mut Plan, index: &Index<'_>, groups: &[&Owned], unused: bool) -> bool {
    let seen = index.seen;
    let all_read = seen.instances.is_complete() && seen.stores.is_complete() && seen.attachments.by.is_complete();
    let Some(state) = seen.state.as_ref().ok().filter(|_| all_read && seen.scope == Scope::Vpc) else { return false };
    let mut long = unused;
    for id in groups.iter().map(|owned| owned.group.id()) {
        match state.unused.get(id) {
            None if unused => {
                plan.notes.push(Note::Unused(id.clone(), Some(seen.at)));
                long = false;
            }
            Some(since) if unused => {
                let age = std::time::Duration::try_from(seen.at.duration_since(*since)).unwrap_or_default();
                long &= age >= index.policy.sweep_period;
            }
            Some(_) => plan.notes.push(Note::Unused(id.clone(), None)),
            None => {}
        }
    }
    long
}

/// Whether no launch template would fail without the groups.
pub(crate) fn may_be_deleted(plan: &mut Plan, index: &Index<'_>, groups: &[&Owned]) -> bool {
    let Some(templates) = index.seen.launch_templates.as_ref().filter(|reading| reading.is_complete()) else {
        return false;
    };
    let named: Vec<_> = groups.iter().filter(|owned| templates.found.contains(owned.group.id())).collect();
    plan.findings.extend(named.iter().map(|owned| Finding {
        subject: Subject::Group(owned.group.id().clone()),
        reason: Reason::GroupInLaunchTemplate,
    }));
    named.is_empty()
}

fn deletion(index: &Index<'_>, end: End<'_>) -> Deletion {
    let names_one = |peer: &Peer| matches!(peer, Peer::Group(peer) if index.store_of(peer).is_some());
    let revoke = end.groups.iter().flat_map(|&owned| {
        let rules = index.group(owned.id()).into_iter().flat_map(|group| &group.rules);
        rules.filter(|rule| names_one(&rule.peer)).map(|rule| (owned.clone(), rule.clone()))
    });
    Deletion {
        revoke: revoke.collect(),
        delete: end.groups.iter().map(|&group| group.clone()).collect(),
        reason: end.because,
        store: end.store,
    }
}

/// Who has an owned group and is not what it was made for.
fn foreign_attachments(index: &Index<'_>, owned: &Owned) -> Vec<Finding> {
    let id = owned.group.id();
    let for_instances = owned.role() == Role::Side(Side::Instance);
    let finding =
        |holder: String| Finding { subject: Subject::Group(id.clone()), reason: Reason::ForeignAttachment { holder } };
    let interfaces =
        index.seen.attachments.by.found.iter().filter(|attached| attached.groups.contains(id)).filter_map(|attached| {
            let interface = &attached.interface;
            match (&attached.owner, for_instances) {
                // The store's own interfaces have its groups.
                (InterfaceOwner::Other { .. }, false) | (InterfaceOwner::Instance { primary: true, .. }, true) => None,
                (InterfaceOwner::Other { description }, true) => Some(finding(format!("{interface} ({description})"))),
                (InterfaceOwner::Instance { id, .. }, _) => Some(finding(format!("{interface} of {id}"))),
            }
        });
    let on_instances = index.with_group(id).filter(|_| !for_instances);
    let stores = index
        .stores_with(id)
        .iter()
        .filter(|store| store.has_group(id))
        .filter(|store| store.id != owned.store || for_instances);
    let instances = on_instances.map(|instance| finding(format!("instance {}", instance.id)));
    interfaces.chain(instances).chain(stores.map(|store| finding(store.arn.to_string()))).collect()
}

/// A list whose owner's tag says something else now has been looked at by somebody: how often something
/// had to be attached to it again is forgotten, also when the tag later says the same as before.
fn follow_tags(plan: &mut Plan, index: &Index<'_>) {
    let Some(state) = index.seen.state.as_ref().ok() else { return };
    let lists: BTreeMap<&InterfaceId, &Instance> =
        index.instances().filter_map(|instance| Some((&instance.interface.as_ref()?.id, instance))).collect();
    for ((target, group), attached) in &state.attached {
        let (connect, has) = match target {
            Target::Interface(id) => match lists.get(id) {
                Some(instance) => (&instance.settings.connect, instance.has_group(group)),
                None => continue,
            },
            Target::Store(id) => match index.store(id) {
                Some(store) => (&store.settings.connect, store.has_group(group)),
                None => continue,
            },
        };
        let tag = Attached::tag_of(connect);
        if tag != attached.tag {
            let renewed = Attached { tag, again: Vec::new(), contested: false, ..attached.clone() };
            plan.notes.push(Note::Attached(target.clone(), group.clone(), has.then_some(renewed)));
        }
    }
}

/// Forgets what was remembered of groups and lists that are no longer there.
fn forget_deleted(plan: &mut Plan, index: &Index<'_>) {
    let seen = index.seen;
    let Some(VpcState { unused, attached, .. }) = seen.state.as_ref().ok() else { return };
    if seen.scope != Scope::Vpc || !seen.instances.is_complete() || !seen.stores.is_complete() {
        return;
    }
    let is_there = |group: &SecurityGroupId| index.group(group).is_some();
    let interfaces: BTreeSet<&InterfaceId> =
        index.instances().filter_map(|instance| instance.interface.as_ref()).map(|interface| &interface.id).collect();
    let has_list = |target: &Target| match target {
        Target::Interface(id) => interfaces.contains(id),
        Target::Store(id) => index.store(id).is_some(),
    };
    plan.notes.extend(unused.keys().filter(|group| !is_there(group)).map(|group| Note::Unused(group.clone(), None)));
    let forgotten = attached.keys().filter(|(target, group)| !is_there(group) || !has_list(target));
    plan.notes.extend(forgotten.map(|(target, group)| Note::Attached(target.clone(), group.clone(), None)));
}
