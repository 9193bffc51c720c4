//! The messages that the functions send each other through the queues.

use std::{collections::BTreeSet, fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::scope::Scope;
use crate::{
    event::Hint,
    id::{RequestId, StoreArn, VpcId},
};

/// The cause of an observation. Decisions depend only on what is observed; the cause decides whether a
/// resource without a connect tag is observed at all, which it is when its tags have just changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// An instance changed its state.
    InstanceState,
    /// Tags changed.
    TagChange,
    /// A data-store service sent an event.
    StoreEvent,
    /// The schedule.
    Sweep,
    /// A person, by the command line.
    Request,
}

impl Cause {
    /// The word for logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InstanceState => "instance-state",
            Self::TagChange => "tag-change",
            Self::StoreEvent => "store-event",
            Self::Sweep => "sweep",
            Self::Request => "request",
        }
    }
}

/// The form of [`WorkItem`] and [`Again`]. A message of another version is not guessed at: it is
/// logged and consumed, and the next sweep looks at what it was about.
pub const VERSION: u32 = 1;

/// How often something has been tried, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    /// 0 for the first time.
    pub attempt: u32,
    /// When the first event was seen.
    pub since: Timestamp,
}

/// First delay before something is looked at again.
const FIRST_DELAY: Duration = Duration::from_secs(5);
/// Longest delay: what SQS takes for a single message.
// Fact 5.3
const LONGEST_DELAY: Duration = Duration::from_mins(15);
/// For how long something is looked at again before it is left to the sweep, which finds it
/// anyway, unless the installation says otherwise. The longest restores of large databases take
/// hours.
pub const GIVE_UP_AFTER: Duration = Duration::from_hours(24);

impl Tries {
    /// The first try, at `now`.
    #[must_use]
    pub fn first(now: Timestamp) -> Self {
        Self { attempt: 0, since: now }
    }

    /// One try more, and the delay before it: doubling from five seconds to a quarter of an hour.
    #[must_use]
    pub fn next(self) -> (Self, Duration) {
        let delay = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(self.attempt)).min(LONGEST_DELAY);
        (Self { attempt: self.attempt.saturating_add(1), since: self.since }, delay)
    }

    /// How long this has been going on. A date in the future says nothing about that, and would keep a message going for
    /// ever; then it is as long as its delays took together.
    #[must_use]
    pub fn age(self, now: Timestamp) -> Duration {
        Duration::try_from(now.duration_since(self.since)).unwrap_or_else(|_| self.delays())
    }

    /// How long the delays before so many tries were together.
    fn delays(self) -> Duration {
        // The sum before a delay that is the longest, and from then on that one for each.
        let (mut sum, mut tries) = (Duration::ZERO, Self { attempt: 0, ..self });
        while tries.attempt < self.attempt {
            let (next, delay) = tries.next();
            sum += delay;
            if delay == LONGEST_DELAY {
                return sum.saturating_add(LONGEST_DELAY.saturating_mul(self.attempt - next.attempt));
            }
            tries = next;
        }
        sum
    }
}

/// The digest of a plan's changes: the SHA-256 of their lines, in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlanDigest(String);

impl PlanDigest {
    /// The digest of a plan's lines.
    #[must_use]
    pub fn of(changes: &[String]) -> Self {
        let mut hash = Sha256::new();
        for line in changes {
            hash.update(line);
            hash.update("\n");
        }
        let digits = hash.finalize().into_iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        Self(digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect())
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlanDigest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The kind of a person's request to `connect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestKind {
    /// To carry out the plan.
    Apply,
    /// To take away everything that is owned in the VPC, and to make nothing there any more.
    Uninstall,
    /// To go back to work there after that.
    CancelUninstall,
}

/// A person's request, after the plan was shown and agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The id, under which the answer is stored.
    pub id: RequestId,
    /// The kind.
    pub kind: RequestKind,
    /// The plan that was agreed to: `connect` carries out no other one. `None` once it has begun, for the
    /// rest of a plan is another plan.
    pub digest: Option<PlanDigest>,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The outcome's stable code.
    pub code: String,
    /// The outcome, in a sentence.
    pub message: String,
    /// The time of the answer.
    pub at: Timestamp,
}

/// One piece of work for `connect`: a scope to observe. FIFO by VPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkItem {
    /// [`VERSION`].
    pub version: u32,
    /// The VPC, which is the queue's message group.
    pub vpc: VpcId,
    /// The scope.
    pub scope: Scope,
    /// The cause.
    pub cause: Cause,
    /// How often this was tried.
    pub tries: Tries,
    /// The person's request that it came from, if it came from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    /// The tagged stores of the VPC, as the sweep that sends this saw them: of the Region's others, those
    /// are read that share a name with an instance here. `None` when it is not known which they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tagged_stores: Option<BTreeSet<StoreArn>>,
}

impl WorkItem {
    /// The data stores that it names.
    pub fn stores(&self) -> impl Iterator<Item = &StoreArn> {
        let of_scope = match &self.scope {
            Scope::Vpc => None,
            Scope::Some { stores, .. } => Some(stores),
        };
        of_scope.into_iter().chain(&self.tagged_stores).flatten()
    }
}

/// Hints to be followed again after a delay, through the instance or store queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// [`VERSION`].
    pub version: u32,
    /// The hints.
    pub hints: BTreeSet<Hint>,
    /// The first cause.
    pub cause: Cause,
    /// How often this was tried, this time included.
    pub tries: Tries,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_what_a_message_can_wait() {
        let mut tries = Tries::first(Timestamp::UNIX_EPOCH);
        let mut delays = Vec::new();
        for _ in 0..10 {
            let (next, delay) = tries.next();
            delays.push(delay.as_secs());
            tries = next;
        }
        assert_eq!(delays, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!(Tries { attempt: u32::MAX, since: Timestamp::UNIX_EPOCH }.next().1, LONGEST_DELAY);
    }

    #[test]
    fn a_message_with_a_date_in_the_future_gives_up_after_as_many_tries_as_any_other() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let count = |since: Timestamp| {
            let (mut tries, mut at, mut rounds) = (Tries { attempt: 0, since }, now, 0_u32);
            while tries.age(at) < GIVE_UP_AFTER {
                let (next, delay) = tries.next();
                (tries, at, rounds) = (next, at + delay, rounds + 1);
                assert!(rounds < 1000, "it never gives up");
            }
            rounds
        };
        assert_eq!(count(Timestamp::MAX), count(now));
        assert_eq!(Tries { attempt: 0, since: Timestamp::MAX }.age(now), Duration::ZERO);
        assert!(Tries { attempt: u32::MAX, since: Timestamp::MAX }.age(now) > GIVE_UP_AFTER);
        // The clock of whoever sent it may be a little ahead.
        assert_eq!(Tries::first(now + Duration::from_secs(1)).next().0.age(now), FIRST_DELAY);
    }

    #[test]
    fn a_work_item_is_read_back_as_written() {
        let item = WorkItem {
            version: VERSION,
            vpc: VpcId::parse("vpc-1").unwrap(),
            scope: Scope::of_instances([crate::id::InstanceId::parse("i-1").unwrap()].into()),
            cause: Cause::TagChange,
            tries: Tries::first(Timestamp::from_second(1_700_000_000).unwrap()),
            request: None,
            tagged_stores: None,
        };
        let text = serde_json::to_string(&item).unwrap();
        assert_eq!(serde_json::from_str::<WorkItem>(&text).unwrap(), item);
        assert!(serde_json::from_str::<WorkItem>(&text.replace("vpc-1", "1")).is_err());
    }
}
