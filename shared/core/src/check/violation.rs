//! The violations: everything that no plan may do.

use thiserror::Error;

use crate::{
    group::Role,
    id::{InstanceId, SecurityGroupId, StoreArn, StoreId},
    plan::DetachReason,
};

/// A change, or a missing verdict, that breaks an invariant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum Violation {
    /// A change of something that is neither in scope nor joined to something that is.
    #[error("{target} is outside the scope")]
    OutsideScope {
        /// The instance, store or interface.
        target: String,
    },
    /// A change of, or with, a group that is not the store's own.
    #[error("{group} is not a group of {store}")]
    NotOwned {
        /// The group.
        group: SecurityGroupId,
        /// The store.
        store: StoreId,
    },
    /// A group would be created under a name that is taken or not the store's to take.
    #[error("{name} cannot be the name of a new group of {store}")]
    BadName {
        /// The name.
        name: String,
        /// The store.
        store: StoreId,
    },
    /// A rule that is not the one rule of the pair's side.
    #[error("{rule} is not a rule of the pair of {store}")]
    BadRule {
        /// The rule, in words.
        rule: String,
        /// The store.
        store: StoreId,
    },
    /// The pair's own rule would be taken away.
    #[error("{group} would lose the rule its pair consists of")]
    CutsPair {
        /// The group.
        group: SecurityGroupId,
    },
    /// The plan refers to a new group that it does not create.
    #[error("the {} group of {store} is attached or referred to but not created", role.tag_value())]
    NeverCreated {
        /// The store.
        store: StoreId,
        /// The role of the group.
        role: Role,
    },
    /// A list would be longer than AWS takes.
    #[error("the list of {target} would be too long or empty")]
    BadList {
        /// The interface or store.
        target: String,
    },
    /// A store would be changed that does not take a change.
    #[error("{store} does not take a change of its groups now")]
    StoreNotReady {
        /// The store.
        store: StoreArn,
    },
    /// An instance would be joined to a store it may not be joined to.
    #[error("{instance} may not be joined to {store}")]
    NotJoinable {
        /// The instance.
        instance: InstanceId,
        /// The store.
        store: StoreArn,
    },
    /// A change rests on something that was not read.
    #[error("the change at {target} rests on something that could not be read")]
    RestsOnGap {
        /// The store.
        target: String,
    },
    /// Something would be taken away without the reason that the plan gives.
    #[error("{group} may not be taken off {target}: {reason:?} does not hold")]
    ReasonDoesNotHold {
        /// The group.
        group: SecurityGroupId,
        /// The interface or store.
        target: String,
        /// The reason.
        reason: DetachReason,
    },
    /// More connections would be removed than the window lets, or without counting them.
    #[error("{removed} connections would be removed and {counted} are counted, of {left} that the window lets")]
    BreaksWindow {
        /// How many would be removed.
        removed: usize,
        /// How many the plan counts.
        counted: usize,
        /// How many may be.
        left: usize,
    },
    /// Clients that are not instances would be let in or kept out against the store's tags.
    #[error("{peer} may not be let into {store} or kept out: {why}")]
    NotAllowed {
        /// The store.
        store: StoreArn,
        /// The clients, or the group that lets them in.
        peer: String,
        /// Why not.
        why: &'static str,
    },
    /// A group would be deleted that is in use or may be needed.
    #[error("{group} may not be deleted: {why}")]
    NotDeletable {
        /// The group.
        group: SecurityGroupId,
        /// Why not.
        why: &'static str,
    },
    /// A store that is blocked would keep a group that lets somebody in.
    #[error("{store} is blocked and would keep {group}")]
    LeavesOpen {
        /// The store.
        store: StoreArn,
        /// The group.
        group: SecurityGroupId,
    },
    /// A connection would be counted that goes through a group of another store.
    #[error("{instance} and {store} would count as connected through {group}, which was made for another data store")]
    OfAnotherStore {
        /// The instance.
        instance: InstanceId,
        /// The store.
        store: StoreArn,
        /// The group.
        group: SecurityGroupId,
    },
    /// An instance that is blocked would keep a group that lets it in somewhere.
    #[error("{instance} is blocked and would keep {group}")]
    LeavesIn {
        /// The instance.
        instance: InstanceId,
        /// The group.
        group: SecurityGroupId,
    },
    /// Something would be taken off as blocked that has no name and description of ours, or is not blocked.
    #[error(
        "{group} may not be taken off {target}: it is not blocked there, or nothing tells that it may be tagwire's"
    )]
    NotMarked {
        /// The group.
        group: SecurityGroupId,
        /// The instance or store.
        target: String,
    },
    /// A group would be taken off through which the plan calls two connected.
    #[error("{instance} and {store} are called connected through {group}, which would be taken off")]
    CutsConnected {
        /// The instance.
        instance: InstanceId,
        /// The store.
        store: StoreArn,
        /// The group.
        group: SecurityGroupId,
    },
    /// An instance and a store in scope share a name and have no verdict.
    #[error("nothing is decided about {instance} and {store}")]
    Undecided {
        /// The instance.
        instance: InstanceId,
        /// The store.
        store: StoreArn,
    },
}
