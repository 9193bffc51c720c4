//! What a block takes off although it is not proven to be tagwire's: whatever has its name and description, the tags
//! aside. Somebody who can tag groups, or the loss of the state table, must not keep a connection past a block.

use std::collections::{BTreeMap, BTreeSet};

use super::{InterfaceChange, StoreChange, budget::Disconnects, index::Index, obstacles};
use crate::{
    finding::{Finding, Reason, Subject},
    group::{MarkedGroup, Role},
    id::{InterfaceId, SecurityGroupId, StoreId},
    model::{DataStore, Instance},
    service::Side,
};

type Off = BTreeSet<MarkedGroup>;

fn marked<'group>(
    index: &Index<'_>,
    groups: impl Iterator<Item = &'group SecurityGroupId>,
    is_of_role: impl Fn(Role) -> bool,
) -> Off {
    let unproven = groups.filter_map(|group| index.unproven(group));
    unproven.filter(|unproven| is_of_role(unproven.role)).map(|unproven| unproven.group.clone()).collect()
}

fn contains(off: &Off, group: &SecurityGroupId) -> bool {
    off.iter().any(|gone| gone.id() == group)
}

/// What a block takes off an instance, or why it cannot.
fn off_instance(index: &Index<'_>, disconnects: &Disconnects<'_>, instance: &Instance) -> Result<Off, Box<Finding>> {
    let is_concerned = index.is_blocked(instance) && index.seen.scope.has_instance(&instance.id);
    let Some(interface) = instance.interface.as_ref().filter(|_| is_concerned && index.seen.groups.is_complete())
    else {
        return Ok(Off::new());
    };
    let off = marked(index, interface.groups.iter(), |role| role == Side::Instance);
    let Some(first) = off.first() else { return Ok(off) };
    let about = |reason| Box::new(Finding { subject: Subject::Instance(instance.id.clone()), reason });
    if let Some(reason) = obstacles::managed(instance) {
        return Err(about(reason));
    }
    let stays = |group: &&SecurityGroupId| !contains(&off, group) && !disconnects.takes_off(instance, group);
    if interface.groups.iter().any(|group| stays(&group)) {
        Ok(off)
    } else {
        Err(about(Reason::LastGroup { group: first.id().clone() }))
    }
}

/// What a block takes off a store, or why it cannot.
fn off_store(index: &Index<'_>, disconnects: &Disconnects<'_>, store: &DataStore) -> Result<Off, Box<Finding>> {
    let is_concerned = store.settings.blocked && store.is_in(&index.seen.vpc) && index.seen.scope.has_store(&store.arn);
    if !is_concerned || !index.seen.groups.is_complete() {
        return Ok(Off::new());
    }
    let off = marked(index, store.lasting_groups(), |role| role != Side::Instance);
    let Some(first) = off.first() else { return Ok(off) };
    let about = |reason| Box::new(Finding { subject: Subject::Store(store.arn.clone()), reason });
    if let Some(reason) = obstacles::list_waits(store) {
        return Err(about(reason));
    }
    let stays = |group: &&SecurityGroupId| {
        let leaves = index.owned(group).is_some_and(|owned| disconnects.takes_off_store(&store.id, owned));
        !contains(&off, group) && !leaves
    };
    if store.lasting_groups().any(|group| stays(&group)) {
        Ok(off)
    } else {
        Err(about(Reason::LastGroup { group: first.id().clone() }))
    }
}

/// Whether a block takes a group off an instance or a store that is not proven to be tagwire's.
pub(crate) fn takes_off_instance(
    index: &Index<'_>,
    disconnects: &Disconnects<'_>,
    instance: &Instance,
    group: &SecurityGroupId,
) -> bool {
    index.unproven(group).is_some() && off_instance(index, disconnects, instance).is_ok_and(|off| contains(&off, group))
}

/// The same for a store.
pub(crate) fn takes_off_store(
    index: &Index<'_>,
    disconnects: &Disconnects<'_>,
    store: &DataStore,
    group: &SecurityGroupId,
) -> bool {
    index.unproven(group).is_some() && off_store(index, disconnects, store).is_ok_and(|off| contains(&off, group))
}

/// The changes of interfaces, with what a block takes off beside what is tagwire's, and why it cannot elsewhere.
pub(crate) fn off_interfaces(
    index: &Index<'_>,
    disconnects: &Disconnects<'_>,
    mut changes: BTreeMap<InterfaceId, InterfaceChange>,
) -> (BTreeMap<InterfaceId, InterfaceChange>, Vec<Finding>) {
    let mut findings = Vec::new();
    for instance in index.instances() {
        let Some(interface) = &instance.interface else { continue };
        match off_instance(index, disconnects, instance) {
            Ok(off) if off.is_empty() => {}
            Ok(off) => {
                let change = changes.entry(interface.id.clone());
                change.or_insert_with(|| InterfaceChange::of(Some(&instance.id))).unproven = off;
            }
            Err(finding) => findings.push(*finding),
        }
    }
    (changes, findings)
}

/// The same for stores.
pub(crate) fn off_stores(
    index: &Index<'_>,
    disconnects: &Disconnects<'_>,
    mut changes: BTreeMap<StoreId, StoreChange>,
) -> (BTreeMap<StoreId, StoreChange>, Vec<Finding>) {
    let mut findings = Vec::new();
    for (id, store) in index.stores_here() {
        match off_store(index, disconnects, store) {
            Ok(off) if off.is_empty() => {}
            Ok(off) => {
                changes.entry(id.clone()).or_insert_with(|| StoreChange::of(&store.arn)).unproven = off;
            }
            Err(finding) => findings.push(*finding),
        }
    }
    (changes, findings)
}
