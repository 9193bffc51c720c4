//! A batch of messages, read and merged into the work of each VPC.

use std::collections::BTreeSet;

use tagwire_core::{
    id::{RequestId, StoreArn, VpcId},
    observation::Scope,
    work::{Cause, Request, Tries, VERSION, WorkItem},
};

use crate::handlers::{Message, latest_tries};

/// Work in one VPC that is done together: one observation, however many messages asked for it.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) vpc: VpcId,
    pub(super) kind: BatchKind,
    pub(super) scope: Scope,
    pub(super) cause: Cause,
    pub(super) tries: Tries,
    pub(super) request: Option<Request>,
    /// The tagged stores of the VPC as the sweep saw them; `None` when it is not known which they are.
    pub(super) tagged_stores: Option<BTreeSet<StoreArn>>,
    pub(super) messages: Vec<String>,
}

/// Only work of one kind is merged: a launch would have to take its turn among everything that a sweep
/// finds, and a plan that somebody agreed to must not grow. In the order in which they are worked on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum BatchKind {
    Asked,
    Requested(RequestId),
    Sweep,
}

impl BatchKind {
    fn of(item: &WorkItem) -> Self {
        match &item.request {
            Some(request) => Self::Requested(request.id.clone()),
            None if item.scope == Scope::Vpc => Self::Sweep,
            None => Self::Asked,
        }
    }

    /// The place in the order of work. Requests keep the order in which they arrived.
    fn rank(&self) -> u8 {
        match self {
            Self::Asked => 0,
            Self::Requested(_) => 1,
            Self::Sweep => 2,
        }
    }
}

impl Batch {
    /// Whether something was asked for by name, which is looked at again until it is settled. What a
    /// sweep could not settle the next one will, and a chain of messages for each would only grow.
    pub(super) fn is_asked(&self) -> bool {
        self.scope != Scope::Vpc
    }

    /// Whether an earlier run has begun with it.
    pub(super) fn is_continuation(&self) -> bool {
        self.tries.attempt > 0
    }

    fn of(item: WorkItem, message: &Message) -> Self {
        Self {
            kind: BatchKind::of(&item),
            vpc: item.vpc,
            scope: item.scope,
            cause: item.cause,
            tries: item.tries,
            request: item.request,
            tagged_stores: item.tagged_stores,
            messages: vec![message.id.clone()],
        }
    }

    fn merge(&mut self, other: Self) {
        // A tag change is looked into even when the tag is gone, so it wins over other causes.
        if other.cause == Cause::TagChange {
            self.cause = other.cause;
        }
        self.tries = latest_tries(self.tries, other.tries);
        self.scope = std::mem::replace(&mut self.scope, Scope::Vpc).merged(other.scope);
        self.tagged_stores = match (self.tagged_stores.take(), other.tagged_stores) {
            (Some(mut stores), Some(more)) => {
                stores.extend(more);
                Some(stores)
            }
            (Some(_), None) | (None, _) => None,
        };
        self.messages.extend(other.messages);
    }
}

/// The work item that a message holds, or why it cannot be used.
fn decode(message: &Message) -> Result<WorkItem, String> {
    let item: WorkItem = serde_json::from_str(&message.body).map_err(|error| error.to_string())?;
    if item.version != VERSION {
        return Err(format!("version {} is not {VERSION}", item.version));
    }
    if let Some(store) = item.stores().find(|store| !message.location.has(store)) {
        return Err(format!("{store} is not in the account and Region of this installation"));
    }
    Ok(item)
}

/// The work of a batch of messages, in the order in which it is done. A message that cannot be read is
/// logged and consumed.
pub(super) fn read(function: &str, messages: &[Message]) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for message in messages {
        let item = match decode(message) {
            Ok(item) => item,
            Err(problem) => {
                let body = message.beginning();
                tracing::error!(
                    record = "outcome",
                    function,
                    event = message.id,
                    code = "message-unreadable",
                    body,
                    "a work item cannot be read: {problem}; it is consumed, and the next sweep looks at its VPC"
                );
                continue;
            }
        };
        let batch = Batch::of(item, message);
        match batches.iter_mut().find(|there| there.vpc == batch.vpc && there.kind == batch.kind) {
            Some(there) => there.merge(batch),
            None => batches.push(batch),
        }
    }
    batches.sort_by_key(|batch| batch.kind.rank());
    batches
}
