//! An objection: a violation, and the part of the plan that has to be left out because of it.

use std::collections::BTreeSet;

use super::Violation;
use crate::{
    group::{GroupKind, GroupName},
    id::{InstanceId, SecurityGroupId, StoreArn, StoreId},
    plan::GroupRef,
    state::Target,
};

/// A part of a plan that can be left out by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The work at a store's pair.
    Pair(StoreId),
    /// The work at a store's group for clients that are not instances.
    Cidr(StoreId),
    /// The change of a list as a whole.
    List(Target),
    /// One group that is added to a list.
    Attachment(Target, GroupRef),
    /// One group that is taken off a list.
    Detachment(Target, SecurityGroupId),
    /// One of the instances for which a store's list is changed.
    NeededBy(StoreId, InstanceId),
    /// The deletion of a store's groups of one kind.
    Deletion(GroupKind, StoreId),
    /// Every removal that uses up the window.
    CountedRemovals,
    /// Something that a list should lose and keeps. There is nothing to leave out, and a finding says so.
    Omission(Target),
    /// The record of the group that has a name.
    Record(GroupName),
    /// The verdict on an instance and a store.
    Verdict(InstanceId, StoreArn),
}

/// A violation at a part of a plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Objection {
    /// The part that has to be left out.
    pub part: Part,
    /// The invariant that it breaks.
    pub violation: Violation,
}

/// The objections found so far, and the part of the plan that is being verified.
pub(super) struct Objections<'found> {
    part: Part,
    found: &'found mut BTreeSet<Objection>,
}

impl<'found> Objections<'found> {
    pub(super) fn to(part: Part, found: &'found mut BTreeSet<Objection>) -> Self {
        Self { part, found }
    }

    /// The same collection, for a smaller part.
    pub(super) fn at(&mut self, part: Part) -> Objections<'_> {
        Objections { part, found: self.found }
    }

    pub(super) fn insert(&mut self, violation: Violation) {
        self.found.insert(Objection { part: self.part.clone(), violation });
    }
}
