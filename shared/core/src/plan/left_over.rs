//! What tagwire attached to interfaces that no instance has any more. They keep a pair from being deleted, and
//! give it to whatever instance they are attached to next.

use std::collections::BTreeMap;

use super::{
    DetachReason,
    disconnect::{AttachedGroup, Retention},
    index::Index,
};
use crate::{
    finding::{Finding, Reason, Subject},
    group::{GroupKind, Owned},
    id::{InterfaceId, SecurityGroupId},
    observation::{AttachedInterface, InterfaceOwner},
    service::Side,
    state::{Removal, Target},
};

/// An instance side that is to leave an interface without an instance.
#[derive(Clone, Copy)]
pub(crate) struct LeftOver<'index> {
    pub(crate) interface: &'index InterfaceId,
    pub(crate) owned: &'index Owned,
    pub(crate) reason: DetachReason,
}

impl LeftOver<'_> {
    pub(crate) fn removal(&self) -> Removal {
        Removal::LeftOver { interface: self.interface.clone(), store: self.owned.store.clone() }
    }
}

/// Those that have to go, whether they may go now or not.
#[derive(Default)]
pub(crate) struct LeftOvers<'index> {
    pub(crate) all: Vec<LeftOver<'index>>,
    pub(crate) findings: Vec<Finding>,
}

/// Whether an interface without an instance has a group that tagwire attached to it, as far as the state table
/// knows. What it does not know of is somebody else's.
// Fact 10.6
pub(crate) fn is_ours(index: &Index<'_>, attached: &AttachedInterface, group: &SecurityGroupId) -> bool {
    let key = (Target::Interface(attached.interface.clone()), group.clone());
    matches!(attached.owner, InterfaceOwner::Nobody { .. })
        && index.seen.state.as_ref().is_ok_and(|state| state.attached.contains_key(&key))
}

/// Every instance side that has to leave an interface without an instance.
pub(crate) fn all<'index>(index: &'index Index<'index>) -> LeftOvers<'index> {
    let mut found = LeftOvers::default();
    let mut leaving = BTreeMap::<&InterfaceId, Vec<LeftOver<'index>>>::new();
    let owned = index.owners(GroupKind::Pair).flat_map(|store| index.owned_groups(store));
    for owned in owned.filter(|owned| owned.role() == Side::Instance && index.names_store(owned)) {
        let id = owned.group.id();
        if index.seen.other_attached(id).is_none() {
            continue;
        }
        let attached = index.seen.attachments.by.found.iter().filter(|attached| attached.groups.contains(id));
        for attached in attached.filter(|attached| is_ours(index, attached, id)) {
            match AttachedGroup::left_over(index, owned).decide() {
                Retention::Stays(finding) => found.findings.extend(finding),
                Retention::Leaves(reason) => {
                    let left_over = LeftOver { interface: &attached.interface, owned, reason };
                    leaving.entry(&attached.interface).or_default().push(left_over);
                }
            }
        }
    }
    for (interface, leaving) in leaving {
        let mut has = index.seen.attachments.by.found.iter().filter(|attached| attached.interface == *interface);
        if has.any(|attached| attached.groups.len() > leaving.len()) {
            found.all.extend(leaving);
        } else {
            let reason = Reason::InterfaceLeftOver { interface: interface.clone() };
            found.findings.extend(leaving.iter().map(|left_over| Finding {
                subject: Subject::Group(left_over.owned.group.id().clone()),
                reason: reason.clone(),
            }));
        }
    }
    found
}
