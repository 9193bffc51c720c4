//! Reading what a plan needs, and no more. Observing judges nothing: it closes the scope, that is,
//! finds everything that an instance or a store in scope could be or is joined to.

use std::collections::BTreeSet;

use futures_util::join;
use jiff::Timestamp;
use tagwire_core::{
    group::{Owned, Ownership, SecurityGroup},
    id::{SecurityGroupId, StoreArn, VpcId},
    model::{DataStore, Instance},
    observation::{Observation, Reading, Scope, Sighting},
    service::Side,
    tag::ConnectionName,
};

use crate::cloud::{Groups, Instances, Observe, TaggedStore};

/// Observes one scope of one VPC at `at`. `taken_names` are group names that AWS refused as taken
/// in an earlier round.
pub async fn observe<C: Observe>(
    cloud: &C,
    vpc: &VpcId,
    scope: Scope,
    at: Timestamp,
    taken_names: BTreeSet<String>,
) -> Observation {
    let (mut instances, groups, index, mut stores) = join!(
        scoped_instances(cloud, vpc, &scope),
        cloud.groups(Groups::InVpc(vpc)),
        tag_index(cloud, &scope),
        scoped_stores(cloud, &scope),
    );
    instances.found.retain(|instance| instance.interface.as_ref().is_none_or(|interface| interface.vpc == *vpc));

    let owned = owned_groups(&groups.found);
    let more_stores = stores_of(&instances.found, &index.found, &owned, &scope, &stores.found);
    let names = names_of(&stores.found, vpc);
    let instance_sides = instance_sides_of(&stores.found, &owned);
    let (joined_stores, sharing, wearing) = join!(
        stores_by_arn(cloud, &more_stores),
        instances_sharing(cloud, vpc, &names, &scope),
        instances_wearing(cloud, vpc, &instance_sides),
    );
    stores.extend(joined_stores);
    stores.gaps.extend(index.gaps);
    for reading in [sharing, wearing] {
        instances.extend(reading);
    }
    instances.found.sort_by(|one, other| one.id.cmp(&other.id));
    instances.found.dedup_by(|one, other| one.id == other.id);
    Observation { vpc: vpc.clone(), at, scope, instances, stores, groups, taken_names }
}

/// The VPCs of the account and Region that have something opted in or owned, each once.
pub async fn vpcs_of_interest<C: Observe>(cloud: &C) -> Reading<VpcId> {
    let (instances, groups, index) =
        join!(cloud.instances(Instances::OptedInAnywhere), cloud.groups(Groups::OwnedAnywhere), cloud.candidates(),);
    let arns: BTreeSet<StoreArn> = index.found.into_iter().map(|store| store.arn).collect();
    let stores = stores_by_arn(cloud, &arns).await;
    let mut vpcs: BTreeSet<VpcId> = groups.found.into_iter().map(|group| group.vpc).collect();
    vpcs.extend(instances.found.into_iter().filter_map(|instance| instance.interface).map(|interface| interface.vpc));
    vpcs.extend(present(&stores.found).filter_map(|store| store.vpc.clone()));
    let gaps = [instances.gaps, groups.gaps, index.gaps, stores.gaps].into_iter().flatten().collect();
    Reading { found: vpcs.into_iter().collect(), gaps }
}

async fn scoped_instances<C: Observe>(cloud: &C, vpc: &VpcId, scope: &Scope) -> Reading<Instance> {
    match scope {
        Scope::Vpc => cloud.instances(Instances::OptedIn { vpc, names: None }).await,
        Scope::Some { instances, .. } if instances.is_empty() => Reading::default(),
        Scope::Some { instances, .. } => cloud.instances(Instances::Ids(instances)).await,
    }
}

/// The tag index is asked for the stores that instances in scope may be joined to; a scope of
/// stores alone does not need it.
async fn tag_index<C: Observe>(cloud: &C, scope: &Scope) -> Reading<TaggedStore> {
    match scope {
        Scope::Some { instances, .. } if instances.is_empty() => Reading::default(),
        Scope::Vpc | Scope::Some { .. } => cloud.candidates().await,
    }
}

async fn scoped_stores<C: Observe>(cloud: &C, scope: &Scope) -> Reading<Sighting> {
    match scope {
        Scope::Vpc => Reading::default(),
        Scope::Some { stores, .. } => stores_by_arn(cloud, stores).await,
    }
}

async fn stores_by_arn<C: Observe>(cloud: &C, which: &BTreeSet<StoreArn>) -> Reading<Sighting> {
    if which.is_empty() { Reading::default() } else { cloud.stores(which).await }
}

async fn instances_sharing<C: Observe>(
    cloud: &C,
    vpc: &VpcId,
    names: &BTreeSet<ConnectionName>,
    scope: &Scope,
) -> Reading<Instance> {
    if names.is_empty() || *scope == Scope::Vpc {
        return Reading::default();
    }
    cloud.instances(Instances::OptedIn { vpc, names: Some(names) }).await
}

async fn instances_wearing<C: Observe>(
    cloud: &C,
    vpc: &VpcId,
    groups: &BTreeSet<SecurityGroupId>,
) -> Reading<Instance> {
    if groups.is_empty() { Reading::default() } else { cloud.instances(Instances::Wearing { vpc, groups }).await }
}

fn owned_groups(groups: &[SecurityGroup]) -> Vec<Owned> {
    groups
        .iter()
        .filter_map(|group| match group.ownership() {
            Ownership::Owned(owned) => Some(owned),
            Ownership::Foreign | Ownership::Forged(_) => None,
        })
        .collect()
}

/// The stores that the instances share a name with according to the index, and those whose owned
/// groups they wear; of a whole VPC, every store that is tagged or has owned groups.
fn stores_of(
    instances: &[Instance],
    index: &[TaggedStore],
    owned: &[Owned],
    scope: &Scope,
    read: &[Sighting],
) -> BTreeSet<StoreArn> {
    let everything = *scope == Scope::Vpc;
    let shares = |store: &TaggedStore| {
        instances.iter().any(|instance| !instance.wishes.connect.shared_with(&store.connect).is_empty())
    };
    let worn = |owned: &Owned| instances.iter().any(|instance| instance.wears(owned.group.id()));
    let mut arns: BTreeSet<StoreArn> =
        index.iter().filter(|store| everything || shares(store)).map(|store| store.arn.clone()).collect();
    arns.extend(owned.iter().filter(|owned| everything || worn(owned)).filter_map(|owned| owned.arn.clone()));
    for sighting in read {
        arns.remove(match sighting {
            Sighting::Present(store) => &store.arn,
            Sighting::Gone(arn) => arn,
        });
    }
    arns
}

fn present(stores: &[Sighting]) -> impl Iterator<Item = &DataStore> {
    stores.iter().filter_map(|sighting| match sighting {
        Sighting::Present(store) => Some(store.as_ref()),
        Sighting::Gone(_) => None,
    })
}

fn names_of(stores: &[Sighting], vpc: &VpcId) -> BTreeSet<ConnectionName> {
    present(stores)
        .filter(|store| store.vpc.as_ref().is_none_or(|of| of == vpc))
        .flat_map(|store| store.wishes.connect.names().cloned())
        .collect()
}

fn instance_sides_of(stores: &[Sighting], owned: &[Owned]) -> BTreeSet<SecurityGroupId> {
    owned
        .iter()
        .filter(|owned| owned.name.side == Side::Instance && present(stores).any(|store| store.id == owned.store))
        .map(|owned| owned.group.id().clone())
        .collect()
}
