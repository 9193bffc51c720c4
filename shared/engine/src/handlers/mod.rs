//! The handlers of the four functions. They are all there is to the functions but the wiring.
//!
//! Every message ends in exactly one log line with `record = "outcome"` and a stable code, so that
//! nothing is dropped in silence.

mod connect;
mod intake;
mod refusals;
mod sweep;

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use tagwire_core::{
    id::Location,
    policy::{Mode, Policy},
    work::{Again, Tries, WorkItem},
};

pub use self::{connect::connect, intake::take_in, sweep::sweep};
use crate::{
    cloud::{Clock, CloudError, EventQueue, Queues},
    paced::{Paced, Pacing, in_time, unanswered},
};

/// The settings of `connect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectSettings {
    /// The planner's settings.
    pub policy: Policy,
    /// Whether plans are carried out.
    pub mode: Mode,
}

/// A message as its queue delivered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The id that the queue gave it, by which it is reported as failed.
    pub id: String,
    /// The location of its queue, and so of everything that it may be about.
    pub location: Location,
    /// Its body.
    pub body: String,
}

impl Message {
    /// The beginning of a body that cannot be read, for the log: enough to see whose it is.
    fn beginning(&self) -> String {
        self.body.chars().take(500).collect()
    }
}

/// The messages of a batch that have to be delivered again, by id; all others are done with.
pub type Failed = BTreeSet<String>;

/// Everything a handler works with.
#[derive(Debug)]
pub struct Context<'run, C, Q, K> {
    /// The function's name, for its log lines.
    pub function: &'run str,
    /// The cloud.
    pub cloud: &'run C,
    /// The queues.
    pub queues: &'run Q,
    /// The clock.
    pub clock: &'run K,
    /// The fill of the API's token buckets.
    pub pacing: &'run Pacing,
    /// When the function has to be done.
    pub deadline: Timestamp,
    /// For how long something is looked at again before it is left to the sweep.
    pub give_up_after: Duration,
}

impl<'run, C, Q, K: Clock> Context<'run, C, Q, K> {
    fn paced(&self, deadline: Timestamp) -> Paced<'run, C, K> {
        Paced::new(self.cloud, self.clock, self.pacing, deadline)
    }
}

/// How long a message may take to be sent, also when the function's time is as good as over: a message that
/// is not sent costs another delivery of all that led to it.
const TIME_TO_SEND: Duration = Duration::from_secs(2);

impl<C, Q: Queues, K: Clock> Context<'_, C, Q, K> {
    /// How long the next message may take: many that hang must not take more together than the function has.
    fn time_to_send(&self) -> Duration {
        let end = self.deadline.checked_add(TIME_TO_SEND).unwrap_or(self.deadline);
        Duration::try_from(end.duration_since(self.clock.now())).unwrap_or_default().min(TIME_TO_SEND)
    }

    async fn send_work(&self, item: &WorkItem) -> Result<(), CloudError> {
        let sent = in_time(self.clock, self.time_to_send(), self.queues.send_work(item)).await;
        sent.unwrap_or_else(|| Err(unanswered("sqs:SendMessage", item.vpc.as_str())))
    }

    async fn send_again(&self, queue: EventQueue, again: &Again, after: Duration) -> Result<(), CloudError> {
        let sent = in_time(self.clock, self.time_to_send(), self.queues.send_again(queue, again, after)).await;
        sent.unwrap_or_else(|| Err(unanswered("sqs:SendMessage", "something to be looked at again")))
    }
}

/// For how long after its first event an instance may be missing: AWS shows a new instance within
/// seconds, and minutes are the most its documents speak of.
const INSTANCE_MAY_BE_MISSING: Duration = Duration::from_mins(5);

/// The tries of things that are looked at together from now on: those of the youngest. With the
/// older one's, a launch of a minute ago would wait, or be given up, as something that has been
/// tried for a day.
fn latest_tries(one: Tries, other: Tries) -> Tries {
    Tries { attempt: one.attempt.min(other.attempt), since: one.since.max(other.since) }
}

/// Logs the outcome of a message.
fn outcome(function: &str, event: &str, code: &str, subject: &str, message: &str) {
    tracing::info!(record = "outcome", function, event, code, subject, "{message}");
}
