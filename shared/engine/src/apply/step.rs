//! The steps of carrying a plan out, and what became of each.

use std::{collections::BTreeSet, fmt};

use tagwire_core::{
    group::BadGroupList,
    id::{InstanceId, InterfaceId, SecurityGroupId, StoreArn},
    observation::Gap,
    plan::StatusOf,
    rule::Rule,
    state::Note,
};
use thiserror::Error;

use super::Undone;
use crate::cloud::{CloudError, ErrorKind};

/// A change that was made, or tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepAction {
    /// A group created.
    Create {
        /// Its name.
        name: String,
        /// The store it is for.
        store: StoreArn,
    },
    /// A group just created, waited for until AWS shows it.
    Await {
        /// The group.
        group: SecurityGroupId,
    },
    /// A rule added.
    Authorize {
        /// The group.
        group: SecurityGroupId,
        /// The rule.
        rule: Rule,
    },
    /// A rule taken away.
    Revoke {
        /// The group.
        group: SecurityGroupId,
        /// The rule.
        rule: Rule,
    },
    /// Our tags written.
    Tag {
        /// The group.
        group: SecurityGroupId,
    },
    /// A store's list changed.
    ChangeStore {
        /// The store.
        store: StoreArn,
        /// How many groups are added.
        attaches: usize,
        /// How many are taken away.
        detaches: usize,
    },
    /// An interface's list changed.
    ChangeInterface {
        /// The interface.
        interface: InterfaceId,
        /// Its instance, if it has one any more.
        instance: Option<InstanceId>,
        /// How many instance sides are added.
        attaches: usize,
        /// How many are taken away.
        detaches: usize,
    },
    /// A group deleted.
    Delete {
        /// The group.
        group: SecurityGroupId,
    },
    /// A status tag written or taken away.
    Status {
        /// Where.
        of: StatusOf,
        /// The text; `None` when it is taken away.
        text: Option<String>,
    },
}

impl StepAction {
    /// Whether somebody who was let in no longer is, once it is done.
    #[must_use]
    pub fn takes_away(&self) -> bool {
        match self {
            Self::Revoke { .. } | Self::Delete { .. } => true,
            Self::ChangeStore { detaches, .. } | Self::ChangeInterface { detaches, .. } => *detaches > 0,
            Self::Create { .. }
            | Self::Await { .. }
            | Self::Authorize { .. }
            | Self::Tag { .. }
            | Self::Status { .. } => false,
        }
    }
}

impl fmt::Display for StepAction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { name, store } => write!(out, "create {name} for {store}"),
            Self::Await { group } => write!(out, "wait until {group} can be read"),
            Self::Authorize { group, rule } => write!(out, "allow in {group}: {rule}"),
            Self::Revoke { group, rule } => write!(out, "revoke in {group}: {rule}"),
            Self::Tag { group } => write!(out, "tag {group}"),
            Self::ChangeStore { store, attaches, detaches: 0 } => write!(out, "attach {attaches} groups to {store}"),
            Self::ChangeStore { store, attaches: 0, detaches } => write!(out, "detach {detaches} groups from {store}"),
            Self::ChangeStore { store, attaches, detaches } => {
                write!(out, "attach {attaches} groups to {store} and detach {detaches}")
            }
            Self::ChangeInterface { interface, instance, attaches, detaches } => {
                let list = match instance {
                    Some(instance) => format!("{interface} of {instance}"),
                    None => interface.to_string(),
                };
                match (attaches, detaches) {
                    (attaches, 0) => write!(out, "attach {attaches} instance sides to {list}"),
                    (0, detaches) => write!(out, "detach {detaches} instance sides from {list}"),
                    (attaches, detaches) => {
                        write!(out, "attach {attaches} instance sides to {list} and detach {detaches}")
                    }
                }
            }
            Self::Delete { group } => write!(out, "delete {group}"),
            Self::Status { of, text } => {
                let of = match of {
                    StatusOf::Instance(instance) => instance.as_str(),
                    StatusOf::Store(store) => store.as_str(),
                };
                match text {
                    Some(text) => write!(out, "write the status {text:?} on {of}"),
                    None => write!(out, "take the status off {of}"),
                }
            }
        }
    }
}

/// The result of an idempotent step that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ensure {
    /// It was done.
    Done,
    /// It was so already.
    NotNeeded,
}

/// Why a step was not done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StepFailure {
    /// AWS refused, or did not answer.
    #[error("{error}")]
    Cloud {
        /// AWS's answer.
        error: CloudError,
    },
    /// A resource that the step rests on could not be read right before it.
    #[error("{gap}")]
    Unread {
        /// The gap.
        gap: Box<Gap>,
    },
    /// The name belongs to a group of somebody else: the plan is made anew with another.
    #[error("a group named {name} is there already and belongs to somebody else")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The list, as it was read right before the step, has no room.
    #[error("{problem}")]
    List {
        /// The reason why the list cannot be written.
        problem: BadGroupList,
    },
    /// The resource, read right before the step, is not as the plan was made for.
    #[error("it is no longer as it was observed: {what}")]
    Changed {
        /// The difference.
        what: String,
        /// Whether that may pass.
        passing: bool,
    },
    /// An earlier step that this one needs failed.
    #[error("the group or pair that it needs was not finished")]
    PairUnfinished,
    /// Something that this step would delete is still attached, because an earlier step failed.
    #[error("it is still attached")]
    StillAttached,
    /// The time ran short.
    #[error("no time was left for it; the next run goes on with it")]
    OutOfTime,
}

impl StepFailure {
    /// Whether the step may succeed later with nobody doing anything.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Cloud { error } => error.kind.passes(),
            Self::Unread { gap } => gap.passing,
            Self::Changed { passing, .. } => *passing,
            Self::NameTaken { .. }
            | Self::List { .. }
            | Self::PairUnfinished
            | Self::StillAttached
            | Self::OutOfTime => false,
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cloud { error } => match error.kind {
                ErrorKind::AlreadyThere => "already-there",
                ErrorKind::NotFound => "not-found",
                ErrorKind::NotReady => "not-ready",
                ErrorKind::PendingChanges => "pending-changes",
                ErrorKind::InUse => "in-use",
                ErrorKind::Limit => "limit",
                ErrorKind::Denied => "denied",
                ErrorKind::Throttled => "throttled",
                ErrorKind::Unavailable => "unavailable",
                ErrorKind::EffectUnknown => "effect-unknown",
                ErrorKind::Rejected => "rejected",
            },
            Self::Unread { .. } => "unread",
            Self::NameTaken { .. } => "name-taken",
            Self::List { .. } => "list-full",
            Self::Changed { .. } => "changed-meanwhile",
            Self::PairUnfinished => "pair-unfinished",
            Self::StillAttached => "still-attached",
            Self::OutOfTime => "out-of-time",
        }
    }
}

impl From<CloudError> for StepFailure {
    fn from(error: CloudError) -> Self {
        Self::Cloud { error }
    }
}

/// One step and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepOutcome {
    /// The step.
    pub action: StepAction,
    /// Its result.
    pub result: Result<Ensure, StepFailure>,
}

/// The result of a plan, step by step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "an outcome may hold failures"]
pub struct Outcome {
    /// Every step, in the order of the stages.
    pub steps: Vec<StepOutcome>,
    /// The notes for the state table about the steps that were done.
    pub notes: Vec<Note>,
    /// Of what not every step succeeded.
    pub(crate) undone: Undone,
}

impl Outcome {
    /// The failures.
    pub fn failures(&self) -> impl Iterator<Item = &StepFailure> {
        self.steps.iter().filter_map(|step| step.result.as_ref().err())
    }

    /// The group names that turned out to be somebody else's.
    #[must_use]
    pub fn taken_names(&self) -> BTreeSet<String> {
        self.failures()
            .filter_map(|failure| match failure {
                StepFailure::NameTaken { name } => Some(name.clone()),
                StepFailure::Cloud { .. }
                | StepFailure::Unread { .. }
                | StepFailure::List { .. }
                | StepFailure::Changed { .. }
                | StepFailure::PairUnfinished
                | StepFailure::StillAttached
                | StepFailure::OutOfTime => None,
            })
            .collect()
    }

    /// Whether something was left for want of time.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.failures().any(|failure| *failure == StepFailure::OutOfTime)
    }

    /// Whether every step of a connection that the plan makes or takes away succeeded.
    #[must_use]
    pub fn has_carried_out(&self, instance: &InstanceId, store: &StoreArn) -> bool {
        !self.undone.concerns(instance, store)
    }

    /// How many steps changed something.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.steps.iter().filter(|step| step.result == Ok(Ensure::Done)).count()
    }
}
