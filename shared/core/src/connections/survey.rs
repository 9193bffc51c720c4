//! The survey: every data store, group and instance of some VPCs that may belong to a connection.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    group::{GroupName, SecurityGroup},
    id::SecurityGroupId,
    model::{DataStore, Instance},
    observation::{Gap, Reading},
    service::Side,
};

/// Everything in some VPCs of an account and Region, whatever its tags ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Every data store.
    pub stores: Reading<DataStore>,
    /// Every security group.
    pub groups: Reading<SecurityGroup>,
    /// The instances that have a group which could lead to a data store, or that are opted in.
    pub instances: Reading<Instance>,
}

impl Survey {
    /// The data stores but for members of clusters and replication groups, whose connections are those of the whole.
    pub fn present_stores(&self) -> impl Iterator<Item = &DataStore> {
        self.stores.found.iter().filter(|store| !store.is_member())
    }

    /// Everything that could not be read.
    pub fn gaps(&self) -> impl Iterator<Item = &Gap> {
        self.stores.gaps.iter().chain(&self.groups.gaps).chain(&self.instances.gaps)
    }

    /// The groups by which an instance can be let in to a data store or belongs to a pair: those that
    /// rules of stores' groups name, and those that are named as instance sides are. A default group
    /// leads nowhere, as everybody may have it.
    #[must_use]
    pub fn leading_groups(&self) -> BTreeSet<SecurityGroupId> {
        let groups: BTreeMap<&SecurityGroupId, &SecurityGroup> =
            self.groups.found.iter().map(|group| (&group.id, group)).collect();
        let on_stores = self.stores.found.iter().flat_map(|store| store.groups.keys());
        let named = on_stores.filter_map(|id| groups.get(id).copied()).flat_map(SecurityGroup::let_in);
        let sides = self.groups.found.iter().filter(|group| is_instance_side(group)).map(|group| &group.id);
        let is_default = |id: &&SecurityGroupId| groups.get(*id).is_some_and(|group| group.is_default());
        named.chain(sides).filter(|id| !is_default(id)).cloned().collect()
    }
}

/// Whether it is named as an instance side is, of whatever service.
fn is_instance_side(group: &SecurityGroup) -> bool {
    GroupName::read(&group.name).is_some_and(|name| name.role == Side::Instance)
}
