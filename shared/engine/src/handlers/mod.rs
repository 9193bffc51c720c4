//! The handlers of the four functions. They are all there is to the functions but the wiring.
//!
//! Every message ends in exactly one log line with `record = "outcome"` and a stable code, so that
//! nothing is dropped in silence.

mod connect;
mod intake;
mod sweep;

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use tagwire_core::{
    policy::{Mode, Policy},
    work::Tries,
};

pub use self::{connect::connect, intake::take_in, sweep::sweep};
use crate::paced::{Paced, Pacing};

/// What the functions are told by their environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
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
    /// Its body.
    pub body: String,
}

impl Message {
    /// The beginning of a body that cannot be read, for the log: enough to tell whose it is.
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
    /// What is left in the API's buckets.
    pub pacing: &'run Pacing,
    /// When the function has to be done.
    pub deadline: Timestamp,
    /// For how long something is looked at again before it is left to the sweep.
    pub give_up_after: Duration,
}

impl<'run, C, Q, K: crate::cloud::Clock> Context<'run, C, Q, K> {
    fn paced(&self, deadline: Timestamp) -> Paced<'run, C, K> {
        Paced::new(self.cloud, self.clock, self.pacing, deadline)
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

/// The line that ends the story of a message.
fn outcome(function: &str, event: &str, code: &str, subject: &str, message: &str) {
    tracing::info!(record = "outcome", function, event, code, subject, "{message}");
}
