//! The reads of the whole Region by one invocation, kept so that they are not repeated for each VPC.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use tagwire_core::{
    id::{StoreArn, VpcId},
    model::DataStore,
    observation::{Reading, StoreLookup},
};

use super::scope::present;
use crate::cloud::TaggedStore;

/// The reads of the whole Region. They are used for looks at whole VPCs only, and of a store only to know
/// that it is of another VPC: what may be changed is always read anew.
#[derive(Debug, Default)]
pub(crate) struct Region {
    index: RefCell<Option<Vec<TaggedStore>>>,
    stores: RefCell<BTreeMap<StoreArn, DataStore>>,
}

impl Region {
    /// The tag index, if all of it was read.
    pub(super) fn index(&self) -> Option<Vec<TaggedStore>> {
        self.index.borrow().clone()
    }

    /// Keeps the tag index, unless something is missing.
    pub(super) fn with_index(&self, reading: Reading<TaggedStore>) -> Reading<TaggedStore> {
        if reading.is_complete() {
            self.index.replace(Some(reading.found.clone()));
        }
        reading
    }

    /// Keeps the stores that were read.
    pub(super) fn with_stores(&self, reading: Reading<StoreLookup>) -> Reading<StoreLookup> {
        let stores = present(&reading.found).map(|store| (store.arn.clone(), store.clone()));
        self.stores.borrow_mut().extend(stores);
        reading
    }

    /// Those of the stores that are known to be of another VPC.
    pub(super) fn elsewhere(&self, vpc: &VpcId, which: &BTreeSet<StoreArn>) -> Vec<DataStore> {
        let stores = self.stores.borrow();
        let known = which.iter().filter_map(|arn| stores.get(arn));
        known.filter(|store| store.vpc().is_some_and(|of| of != vpc)).cloned().collect()
    }
}
