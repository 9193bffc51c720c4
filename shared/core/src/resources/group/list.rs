//! The list of groups of an interface or a data store, as a call replaces it.

use std::collections::BTreeSet;

use serde::Serialize;
use thiserror::Error;

use crate::id::SecurityGroupId;

/// A whole list of groups, as the calls that replace lists take it: never empty (AWS refuses
/// that for an interface, and for a store it would mean "unchanged") and within its quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupList(BTreeSet<SecurityGroupId>);

/// Why a list of groups cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadGroupList {
    /// There would be no group left.
    #[error("no group would be left in the list")]
    LastGroup,
    /// There would be too many.
    #[error("{wanted} groups would be in the list and {limit} are allowed")]
    Full {
        /// How many there would be.
        wanted: usize,
        /// How many there may be.
        limit: usize,
    },
}

impl GroupList {
    /// Checks a list against its limit.
    ///
    /// # Errors
    /// [`BadGroupList`] when it is empty or longer than `limit`.
    pub fn new(groups: BTreeSet<SecurityGroupId>, limit: usize) -> Result<Self, BadGroupList> {
        match groups.len() {
            0 => Err(BadGroupList::LastGroup),
            wanted if wanted > limit => Err(BadGroupList::Full { wanted, limit }),
            _ => Ok(Self(groups)),
        }
    }

    /// The groups in the list.
    pub fn iter(&self) -> impl Iterator<Item = &SecurityGroupId> {
        self.0.iter()
    }
}
