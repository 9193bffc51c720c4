//! What the installation lets the planner do.

use serde::{Deserialize, Serialize};

/// Groups an interface takes unless the account's quota `L-2AFB9258` was raised.
pub const DEFAULT_INTERFACE_GROUP_LIMIT: usize = 5;
/// The highest that quota can be raised to.
pub const HIGHEST_INTERFACE_GROUP_LIMIT: usize = 16;

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
}

impl Default for Policy {
    fn default() -> Self {
        Self { interface_group_limit: DEFAULT_INTERFACE_GROUP_LIMIT }
    }
}
