//! Why something was not done, or was done although it deserves a look. Every reason has a
//! stable code that logs, the CLI and alarms can rely on, carries the facts it rests on, and says
//! what a person can do about it.

mod described;
mod reason;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::reason::Reason;
use crate::id::{InstanceId, SecurityGroupId, StoreArn, VpcId};

/// The resource that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A VPC.
    Vpc(VpcId),
    /// An instance.
    Instance(InstanceId),
    /// A data store.
    Store(StoreArn),
    /// A security group.
    Group(SecurityGroupId),
}

impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vpc(id) => id.fmt(out),
            Self::Instance(id) => id.fmt(out),
            Self::Store(arn) => arn.fmt(out),
            Self::Group(id) => id.fmt(out),
        }
    }
}

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
