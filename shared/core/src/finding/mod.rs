//! Why something was not done, or was done although it deserves a look. Every reason has a
//! stable code that logs, the CLI and alarms can rely on, carries the facts it rests on, and says
//! what a person can do about it.

mod described;
mod reason;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::reason::Reason;
pub use crate::observation::Subject;

/// A reason about a subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// The resource.
    pub subject: Subject,
    /// The reason.
    #[serde(flatten)]
    pub reason: Reason,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} ({})", self.subject, self.reason, self.reason.code())
    }
}
