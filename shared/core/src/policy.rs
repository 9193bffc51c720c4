//! The policy: the installation's settings that the planner goes by.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{cidr::CidrLimits, id::SecurityGroupId};

/// Groups an interface takes unless the account's quota `L-2AFB9258` was raised.
// Fact 3.1
pub const DEFAULT_INTERFACE_GROUP_LIMIT: usize = 5;
/// The highest that quota can be raised to.
pub const HIGHEST_INTERFACE_GROUP_LIMIT: usize = 16;

/// Connections of one VPC that may be removed in one window, unless the stack says otherwise: few
/// enough that a fleet survives a mistake, many enough that everyday work is not held back.
pub const DEFAULT_MAX_DISCONNECTS: usize = 10;
/// The window, unless the stack says otherwise: time for a person to see the alarm.
pub const DEFAULT_DISCONNECT_WINDOW: Duration = Duration::from_mins(15);
/// The time between two sweeps, unless the stack says otherwise.
pub const DEFAULT_SWEEP_PERIOD: Duration = Duration::from_mins(15);

/// Whether a plan is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It is.
    Enforce,
    /// It is made, checked and reported, and nothing is changed.
    DryRun,
}

/// The planner's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// How many groups an interface takes in this account.
    pub interface_group_limit: usize,
    /// How many connections of a VPC may be removed in one window. With 0 none ever is that has to
    /// be counted.
    pub max_disconnects: usize,
    /// The window.
    pub disconnect_window: Duration,
    /// The time between two sweeps: a group has to be seen unused in two of them to be deleted.
    pub sweep_period: Duration,
    /// The quarantine groups of incident response: an interface that has one is treated as
    /// blocked.
    pub isolation_groups: BTreeSet<SecurityGroupId>,
    /// Whether what became of a tag is written beside it, as `tagwire:status`.
    pub status_tags: bool,
    /// How wide the address blocks of clients that are not instances may be; none while there may be no
    /// such clients.
    pub allow_cidr: Option<CidrLimits>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            interface_group_limit: DEFAULT_INTERFACE_GROUP_LIMIT,
            max_disconnects: DEFAULT_MAX_DISCONNECTS,
            disconnect_window: DEFAULT_DISCONNECT_WINDOW,
            sweep_period: DEFAULT_SWEEP_PERIOD,
            isolation_groups: BTreeSet::new(),
            status_tags: false,
            allow_cidr: None,
        }
    }
}
