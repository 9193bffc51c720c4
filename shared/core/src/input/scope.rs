//! The scope of an observation: the resources that a run is about.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use crate::id::{InstanceId, StoreArn};

/// The resources that a run observes and may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Everything in the VPC: the sweep.
    Vpc,
    /// Some instances and some data stores, each with all that they share a name with.
    Some {
        /// The instances.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        instances: BTreeSet<InstanceId>,
        /// The data stores.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        stores: BTreeSet<StoreArn>,
    },
}

impl Scope {
    /// A scope of instances only.
    #[must_use]
    pub fn of_instances(instances: BTreeSet<InstanceId>) -> Self {
        Self::Some { instances, stores: BTreeSet::new() }
    }

    /// A scope of data stores only.
    #[must_use]
    pub fn of_stores(stores: BTreeSet<StoreArn>) -> Self {
        Self::Some { instances: BTreeSet::new(), stores }
    }

    /// Everything that either of two scopes looks at.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        match (self, other) {
            (
                Self::Some { mut instances, mut stores },
                Self::Some { instances: more_instances, stores: more_stores },
            ) => {
                instances.extend(more_instances);
                stores.extend(more_stores);
                Self::Some { instances, stores }
            }
            _ => Self::Vpc,
        }
    }

    /// Whether it names the instance, or everything.
    #[must_use]
    pub fn has_instance(&self, instance: &InstanceId) -> bool {
        match self {
            Self::Vpc => true,
            Self::Some { instances, .. } => instances.contains(instance),
        }
    }

    /// Whether it names the store, or everything.
    #[must_use]
    pub fn has_store(&self, store: &StoreArn) -> bool {
        match self {
            Self::Vpc => true,
            Self::Some { stores, .. } => stores.contains(store),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vpc => out.write_str("the whole VPC"),
            Self::Some { instances, stores } => {
                let names: Vec<&str> =
                    instances.iter().map(InstanceId::as_str).chain(stores.iter().map(StoreArn::as_str)).collect();
                out.write_str(&names.join(" "))
            }
        }
    }
}
