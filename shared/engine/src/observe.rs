//! Reading what a plan needs, and no more. Observing judges nothing: it closes the scope, that is,
//! finds everything that an instance or a store in scope could be or is joined to.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::join;
use jiff::Timestamp;
use tagwire_core::{
    cidr::{CidrPeer, CidrTag},
    group::{Owned, Role, SecurityGroup},
    id::{InterfaceId, PrefixListId, SecurityGroupId, StoreArn, StoreId, VpcId},
    model::{DataStore, Instance},
    observation::{AttachedInterface, Attachments, Observation, Reading, Scope, StoreLookup},
    service::Side,
    state::Target,
    tag::{ConnectTag, ConnectionName},
};

use crate::cloud::{Groups, Instances, Observe, TaggedStore};

/// An owned group, by what it is for.
type Ours = Owned;

/// Observes one scope of one VPC at `at`. `taken_names` are group names that AWS refused as taken
/// in an earlier round.
pub async fn observe<C: Observe>(
    cloud: &C,
    vpc: &VpcId,
    scope: Scope,
    at: Timestamp,
    taken_names: BTreeSet<String>,
) -> Observation {
    let (mut instances, mut groups, index, mut stores) = join!(
        scoped_instances(cloud, vpc, &scope),
        cloud.groups(Groups::InVpc(vpc)),
        tag_index(cloud, &scope),
        scoped_stores(cloud, &scope),
    );
    instances.found.retain(|instance| instance.interface.as_ref().is_none_or(|interface| interface.vpc == *vpc));
    let owned = owned_groups(&groups.found);
    let mut absent = BTreeSet::new();
    let scope = with_renamed(cloud, scope, &owned, &mut stores, &mut absent).await;

    let more_stores = stores_of(&instances.found, &index.found, &owned, &scope, &stores.found);
    let names = names_of(&stores.found, vpc);
    let instance_sides = instance_sides_of(&stores.found, &owned, &scope);
    let (joined_stores, sharing, with) = join!(
        stores_by_arn(cloud, &more_stores),
        instances_sharing(cloud, vpc, &names, &scope),
        instances_with_group(cloud, vpc, &instance_sides),
    );
    stores.extend(joined_stores);
    stores.gaps.extend(index.gaps);
    let listed = index.found.into_iter().map(|store| (store.arn, store.connect.names().cloned().collect()));
    let listed: BTreeMap<StoreArn, BTreeSet<ConnectionName>> = listed.collect();
    for reading in [sharing, with] {
        instances.extend(reading);
    }
    find_stores_by_id(cloud, &lost_of(&owned, &scope, &stores.found, &instances.found), &mut stores, &mut absent).await;

    let of = to_be_asked_about(&owned, &scope, &stores.found, &instances.found);
    let lists = match &scope {
        Scope::Vpc => None,
        Scope::Some { .. } => Some(lists_of(&instances.found, &stores.found)),
    };
    let lists_named = prefix_lists_of(&stores.found, &groups.found, &owned, vpc, &scope);
    let (beside, attached_instances, by, launch_templates, prefix_lists, state) = join!(
        groups_beside(cloud, vpc, &scope, &of),
        instances_with_group(cloud, vpc, &of),
        async { if of.is_empty() { Reading::default() } else { cloud.attached_interfaces(vpc, &of).await } },
        async { if of.is_empty() { None } else { Some(cloud.launch_template_groups().await) } },
        async { if lists_named.is_empty() { Reading::default() } else { cloud.prefix_lists(&lists_named).await } },
        cloud.vpc_state(vpc, lists.as_ref()),
    );
    groups.extend(beside);
    groups.found.sort_by(|one, other| one.id.cmp(&other.id));
    groups.found.dedup_by(|one, other| one.id == other.id);
    instances.extend(attached_instances);
    instances.found.sort_by(|one, other| one.id.cmp(&other.id));
    instances.found.dedup_by(|one, other| one.id == other.id);
    let attachments = Attachments { of, by: without_primary_interfaces(by, &instances.found) };
    let state = state.map_err(Into::into);
    Observation {
        vpc: vpc.clone(),
        at,
        scope,
        instances,
        listed: unread(listed, &stores.found),
        stores,
        groups,
        taken_names,
        absent,
        attachments,
        launch_templates,
        prefix_lists,
        state,
    }
}

/// What a scope names may have another name now: the stores with the identities of its owned groups
/// belong to it as well.
async fn with_renamed<C: Observe>(
    cloud: &C,
    scope: Scope,
    owned: &[Ours],
    stores: &mut Reading<StoreLookup>,
    absent: &mut BTreeSet<StoreId>,
) -> Scope {
    let Scope::Some { instances, stores: mut named } = scope else { return scope };
    let lost = owned.iter().filter(|owned| owned.arn.as_ref().is_some_and(|arn| named.contains(arn)));
    let lost = identities(lost, &stores.found);
    let found = find_stores_by_id(cloud, &lost, stores, absent).await;
    named.extend(found);
    Scope::Some { instances, stores: named }
}

/// Looks for the stores that have identities which no lookup has; returns their ARNs.
async fn find_stores_by_id<C: Observe>(
    cloud: &C,
    lost: &BTreeMap<StoreId, StoreArn>,
    stores: &mut Reading<StoreLookup>,
    absent: &mut BTreeSet<StoreId>,
) -> Vec<StoreArn> {
    let lost: BTreeMap<StoreId, StoreArn> =
        lost.iter().filter(|(id, _)| !absent.contains(id)).map(|(id, arn)| (id.clone(), arn.clone())).collect();
    if lost.is_empty() {
        return Vec::new();
    }
    let stores_by_id = cloud.stores_by_id(&lost).await;
    if stores_by_id.is_complete() {
        let found: BTreeSet<&StoreId> = stores_by_id.found.iter().map(|store| &store.id).collect();
        absent.extend(lost.keys().filter(|id| !found.contains(id)).cloned());
    }
    let arns = stores_by_id.found.iter().map(|store| store.arn.clone()).collect();
    stores.found.extend(stores_by_id.found.into_iter().map(|store| StoreLookup::Found(Box::new(store))));
    stores.gaps.extend(stores_by_id.gaps);
    arns
}

/// The identities of owned groups whose names their service does not know, or knows as others'.
fn identities<'owned>(
    owned: impl Iterator<Item = &'owned Ours>,
    stores: &[StoreLookup],
) -> BTreeMap<StoreId, StoreArn> {
    let here: BTreeSet<&StoreId> = present(stores).map(|store| &store.id).collect();
    let answered: BTreeSet<&StoreArn> = stores.iter().map(StoreLookup::arn).collect();
    owned
        .filter(|owned| !here.contains(&owned.store))
        .filter_map(|owned| Some((owned.store.clone(), owned.arn.clone().filter(|arn| answered.contains(arn))?)))
        .collect()
}

/// The identities to look for: those of the groups that the scope has to do with.
fn lost_of(
    owned: &[Ours],
    scope: &Scope,
    stores: &[StoreLookup],
    instances: &[Instance],
) -> BTreeMap<StoreId, StoreArn> {
    let attached = |owned: &Ours| instances.iter().any(|instance| instance.has_group(owned.group.id()));
    identities(owned.iter().filter(|owned| *scope == Scope::Vpc || attached(owned)), stores)
}

/// The owned groups of which it has to be known who has them: in a sweep all, else those of stores
/// that may be gone or take no part any more.
fn to_be_asked_about(
    owned: &[Ours],
    scope: &Scope,
    stores: &[StoreLookup],
    instances: &[Instance],
) -> BTreeSet<SecurityGroupId> {
    let concerned = |owned: &Ours| {
        let named = || owned.arn.as_ref().is_some_and(|arn| scope.has_store(arn));
        let now = || present(stores).any(|store| store.id == owned.store && scope.has_store(&store.arn));
        named() || now() || instances.iter().any(|instance| instance.has_group(owned.group.id()))
    };
    let takes_part = |store: &DataStore, role: Role| {
        let has_clients = role != Role::Cidr || !store.settings.allow_cidr.asks_for_none();
        store.settings.connect != ConnectTag::Absent && has_clients
    };
    let is_ending = |owned: &&Ours| {
        !present(stores).any(|store| store.id == owned.store && takes_part(store, owned.role())) && concerned(owned)
    };
    let ending: BTreeSet<(&StoreId, bool)> =
        owned.iter().filter(is_ending).map(|owned| (&owned.store, owned.role() == Role::Cidr)).collect();
    let is_asked = |owned: &&Ours| *scope == Scope::Vpc || ending.contains(&(&owned.store, owned.role() == Role::Cidr));
    let asked = owned.iter().filter(is_asked);
    asked.map(|owned| owned.group.id().clone()).collect()
}

fn unread(
    listed: BTreeMap<StoreArn, BTreeSet<ConnectionName>>,
    stores: &[StoreLookup],
) -> BTreeMap<StoreArn, BTreeSet<ConnectionName>> {
    let answered: BTreeSet<&StoreArn> = stores.iter().map(StoreLookup::arn).collect();
    listed.into_iter().filter(|(arn, _)| !answered.contains(arn)).collect()
}

fn lists_of(instances: &[Instance], stores: &[StoreLookup]) -> BTreeSet<Target> {
    let interfaces = instances.iter().filter_map(|instance| instance.interface.as_ref());
    let interfaces = interfaces.map(|interface| Target::Interface(interface.id.clone()));
    interfaces.chain(present(stores).map(|store| Target::Store(store.id.clone()))).collect()
}

/// Of the primary interfaces of instances that were read, those speak for themselves.
fn without_primary_interfaces(
    mut by: Reading<AttachedInterface>,
    instances: &[Instance],
) -> Reading<AttachedInterface> {
    let known: BTreeSet<&InterfaceId> =
        instances.iter().filter_map(|instance| instance.interface.as_ref()).map(|interface| &interface.id).collect();
    by.found.retain(|attached| !known.contains(&attached.interface));
    by
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

async fn scoped_stores<C: Observe>(cloud: &C, scope: &Scope) -> Reading<StoreLookup> {
    match scope {
        Scope::Vpc => Reading::default(),
        Scope::Some { stores, .. } => stores_by_arn(cloud, stores).await,
    }
}

async fn stores_by_arn<C: Observe>(cloud: &C, which: &BTreeSet<StoreArn>) -> Reading<StoreLookup> {
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

/// The groups that may be anybody's and matter all the same: forged ones, and those that keep a pair from
/// being deleted because a rule of theirs names it.
async fn groups_beside<C: Observe>(
    cloud: &C,
    vpc: &VpcId,
    scope: &Scope,
    named: &BTreeSet<SecurityGroupId>,
) -> Reading<SecurityGroup> {
    if *scope == Scope::Vpc || !named.is_empty() {
        cloud.groups(Groups::Beside { vpc, named }).await
    } else {
        Reading::default()
    }
}

async fn instances_with_group<C: Observe>(
    cloud: &C,
    vpc: &VpcId,
    groups: &BTreeSet<SecurityGroupId>,
) -> Reading<Instance> {
    if groups.is_empty() { Reading::default() } else { cloud.instances(Instances::WithGroups { vpc, groups }).await }
}

fn owned_groups(groups: &[SecurityGroup]) -> Vec<Ours> {
    groups.iter().filter_map(|group| group.ownership().ours()).collect()
}

/// The prefix lists that the tags for CIDR clients name in scope, and those that rules of their groups
/// still name: these take up room until they are gone.
fn prefix_lists_of(
    stores: &[StoreLookup],
    groups: &[SecurityGroup],
    owned: &[Ours],
    vpc: &VpcId,
    scope: &Scope,
) -> BTreeSet<PrefixListId> {
    let asks = |store: &&DataStore| {
        store.vpc.as_ref() == Some(vpc)
            && scope.has_store(&store.arn)
            && matches!(&store.settings.allow_cidr, CidrTag::Peers(peers) if !peers.is_empty())
    };
    let asking: Vec<&DataStore> = present(stores).filter(asks).collect();
    let tagged = asking.iter().flat_map(|store| store.settings.allow_cidr.peers().cloned());
    let theirs = |group: &&SecurityGroup| {
        let mut of_clients = owned.iter().filter(|owned| owned.role() == Role::Cidr && *owned.group.id() == group.id);
        of_clients.any(|owned| asking.iter().any(|store| store.id == owned.store))
    };
    let rules = groups.iter().filter(theirs).flat_map(|group| &group.rules);
    let peers = tagged.chain(rules.filter_map(|rule| CidrPeer::of(&rule.peer)));
    let lists = peers.filter_map(|peer| match peer {
        CidrPeer::PrefixList(list) => Some(list),
        CidrPeer::Block(_) => None,
    });
    lists.collect()
}

/// The stores that the instances share a name with according to the index, and those whose owned
/// groups they have; of a whole VPC, every store that is tagged or has owned groups.
fn stores_of(
    instances: &[Instance],
    index: &[TaggedStore],
    owned: &[Ours],
    scope: &Scope,
    read: &[StoreLookup],
) -> BTreeSet<StoreArn> {
    let everything = *scope == Scope::Vpc;
    let shares = |store: &TaggedStore| {
        instances.iter().any(|instance| !instance.settings.connect.shared_with(&store.connect).is_empty())
    };
    let attached = |owned: &Ours| instances.iter().any(|instance| instance.has_group(owned.group.id()));
    let mut arns: BTreeSet<StoreArn> =
        index.iter().filter(|store| everything || shares(store)).map(|store| store.arn.clone()).collect();
    arns.extend(owned.iter().filter(|owned| everything || attached(owned)).filter_map(|owned| owned.arn.clone()));
    for lookup in read {
        arns.remove(lookup.arn());
    }
    arns
}

fn present(stores: &[StoreLookup]) -> impl Iterator<Item = &DataStore> {
    stores.iter().filter_map(|lookup| match lookup {
        StoreLookup::Found(store) => Some(store.as_ref()),
        StoreLookup::NotFound(_) => None,
    })
}

fn names_of(stores: &[StoreLookup], vpc: &VpcId) -> BTreeSet<ConnectionName> {
    present(stores)
        .filter(|store| store.vpc.as_ref().is_none_or(|of| of == vpc))
        .flat_map(|store| store.settings.connect.names().cloned())
        .collect()
}

/// The instance sides of the stores that were asked for, there or not.
fn instance_sides_of(stores: &[StoreLookup], owned: &[Ours], scope: &Scope) -> BTreeSet<SecurityGroupId> {
    let of_store = |owned: &Ours| {
        let named =
            owned.arn.as_ref().is_some_and(|arn| matches!(scope, Scope::Some { stores, .. } if stores.contains(arn)));
        named || present(stores).any(|store| store.id == owned.store)
    };
    let sides = owned.iter().filter(|owned| owned.role() == Side::Instance && of_store(owned));
    sides.map(|owned| owned.group.id().clone()).collect()
}
