//! The VPCs of stores that name only their subnet group.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tagwire_core::{
    id::VpcId,
    observation::{Gap, Reading},
};

use crate::{
    call::{Call, Unusable, required},
    reading::at_once,
};

/// The VPCs of subnet groups, by name; the gap of one whose VPC could not be read.
pub(crate) type SubnetGroupVpcs = BTreeMap<String, Result<VpcId, Gap>>;

/// The VPCs that were read before. A subnet group cannot be deleted while a store uses it, so the
/// VPC of one store never changes; but the group's name can be taken again in another VPC
/// afterwards, which is why the store is part of the key.
#[derive(Debug, Default)]
pub(crate) struct KnownVpcs(Mutex<BTreeMap<(String, String), VpcId>>);

impl KnownVpcs {
    /// The VPCs of subnet groups, by name, every one of them: from earlier readings where these
    /// stores are known, else read once for all that share the group. A store is named by
    /// something that is never another's, or by `None` when that is unknown.
    pub(crate) async fn of(
        &self,
        stores: &[(Option<String>, &str)],
        read: impl AsyncFn(&str) -> Result<VpcId, Gap>,
    ) -> SubnetGroupVpcs {
        let mut vpcs = BTreeMap::new();
        let mut unknown = BTreeSet::new();
        for (store, group) in stores {
            match store.clone().and_then(|store| self.known().get(&(store, (*group).to_owned())).cloned()) {
                Some(vpc) => {
                    vpcs.insert((*group).to_owned(), Ok(vpc));
                }
                None => {
                    unknown.insert((*group).to_owned());
                }
            }
        }
        let read = &read;
        let answers = at_once(unknown.into_iter().map(|group| async move {
            let vpc = read(&group).await;
            (group, vpc)
        }));
        vpcs.extend(answers.await);
        for (store, group) in stores {
            if let (Some(store), Some(Ok(vpc))) = (store, vpcs.get(*group)) {
                self.known().insert((store.clone(), (*group).to_owned()), vpc.clone());
            }
        }
        vpcs
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<(String, String), VpcId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the VPC of a subnet group out of a list of all. A group that is not in it lies in a gap of
/// the list, or was made since, which the next run will see.
pub(crate) fn listed_vpcs(all: &Reading<(String, VpcId)>) -> impl AsyncFn(&str) -> Result<VpcId, Gap> {
    async |name: &str| {
        let listed = all.found.iter().find(|(of, _)| of == name).map(|(_, vpc)| vpc.clone());
        listed.ok_or_else(|| {
            all.gaps.first().cloned().unwrap_or_else(|| {
                let message = "it is not among those that were listed";
                Gap::of("the subnet group", name, message).that_passes(true, true)
            })
        })
    }
}

/// The VPC of a subnet group's description.
pub(crate) fn vpc_of_group(call: &Call, vpc: Option<&str>) -> Result<VpcId, Gap> {
    read_vpc(vpc).map_err(|unusable| call.unusable(&unusable))
}

/// A subnet group of a list, with its VPC; `field` is the service's name for its name.
pub(crate) fn named_vpc(field: &str, name: Option<&str>, vpc: Option<&str>) -> Result<(String, VpcId), Unusable> {
    Ok((required(name, field)?.to_owned(), read_vpc(vpc)?))
}

fn read_vpc(vpc: Option<&str>) -> Result<VpcId, Unusable> {
    Ok(VpcId::parse(required(vpc, "VpcId of the subnet group")?)?)
}
