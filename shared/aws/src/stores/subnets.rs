//! The networks of stores that name only their subnet group.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tagwire_core::{
    id::VpcId,
    model::Network,
    observation::{Gap, Reading},
};

use crate::{
    call::{Call, Unusable, required},
    reading::at_once,
};

/// The networks of subnet groups, by name; the gap of one that could not be read.
pub(crate) type SubnetGroupNetworks = BTreeMap<String, Result<Network, Gap>>;

/// The network of a store with a subnet group, or `None` of one without any.
pub(crate) fn network_in(networks: &SubnetGroupNetworks, group: Option<&str>) -> Result<Option<Network>, Gap> {
    let read = |name| networks.get(name).cloned().unwrap_or(Ok(Network::NotShown));
    group.map(read).transpose()
}

/// The VPCs that were read before. A subnet group cannot be deleted while a store uses it, so the
/// VPC of one store never changes; but the group's name can be taken again in another VPC
/// afterwards, which is why the store is part of the key.
#[derive(Debug, Default)]
pub(crate) struct KnownVpcs(Mutex<BTreeMap<(String, String), VpcId>>);

impl KnownVpcs {
    /// The networks of subnet groups, by name, every one of them: from earlier readings where these
    /// stores are known, else read once for all that share the group. A store is named by
    /// something that is never another's, or by `None` when that is unknown.
    pub(crate) async fn of(
        &self,
        stores: &[(Option<String>, &str)],
        read: impl AsyncFn(&str) -> Result<Network, Gap>,
    ) -> SubnetGroupNetworks {
        let mut networks = BTreeMap::new();
        let mut unknown = BTreeSet::new();
        for (store, group) in stores {
            match store.clone().and_then(|store| self.known().get(&(store, (*group).to_owned())).cloned()) {
                Some(vpc) => {
                    networks.insert((*group).to_owned(), Ok(Network::Vpc(vpc)));
                }
                None => {
                    unknown.insert((*group).to_owned());
                }
            }
        }
        let read = &read;
        let answers = at_once(unknown.into_iter().map(|group| async move {
            let network = read(&group).await;
            (group, network)
        }));
        networks.extend(answers.await);
        for (store, group) in stores {
            if let (Some(store), Some(Ok(Network::Vpc(vpc)))) = (store, networks.get(*group)) {
                self.known().insert((store.clone(), (*group).to_owned()), vpc.clone());
            }
        }
        networks
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<(String, String), VpcId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the network of a subnet group out of a list of all. A group that is not in it lies in a gap of
/// the list, or was made since, which the next run will see.
pub(crate) fn listed_networks(all: &Reading<(String, Network)>) -> impl AsyncFn(&str) -> Result<Network, Gap> {
    async |name: &str| {
        let listed = all.found.iter().find(|(of, _)| of == name).map(|(_, network)| network.clone());
        listed.ok_or_else(|| {
            all.gaps.first().cloned().unwrap_or_else(|| {
                let message = "it is not among those that were listed";
                Gap::of("the subnet group", name, message).that_passes(true, true)
            })
        })
    }
}

/// The network of a subnet group's description.
pub(crate) fn network_of_group(call: &Call, vpc: Option<&str>) -> Result<Network, Gap> {
    vpc_shown(vpc).map_err(|unusable| call.unusable(&unusable))
}

/// A subnet group of a list, with its network; `field` is the service's name for its name.
pub(crate) fn named_network(field: &str, name: Option<&str>, vpc: Option<&str>) -> Result<(String, Network), Unusable> {
    Ok((required(name, field)?.to_owned(), vpc_shown(vpc)?))
}

/// The network that a description shows as the id of a VPC.
pub(crate) fn vpc_shown(vpc: Option<&str>) -> Result<Network, Unusable> {
    let vpc = vpc.filter(|vpc| !vpc.is_empty()).map(VpcId::parse).transpose()?;
    Ok(vpc.map_or(Network::NotShown, Network::Vpc))
}
