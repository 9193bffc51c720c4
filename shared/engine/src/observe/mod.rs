//! Reading what a plan needs, and no more. Observing judges nothing: it closes the scope, that is,
//! finds everything that an instance or a store in scope could be or is joined to. What to ask for next is
//! worked out in `scope` from what was read so far; here are only the calls, as many at once as can be.

mod region;
mod scope;
mod survey;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::join;
use jiff::Timestamp;
use tagwire_core::{
    group::SecurityGroup,
    id::{SecurityGroupId, StoreArn, StoreId, VpcId},
    model::{DataStore, Instance},
    observation::{Attachments, Observation, Reading, Scope, StoreLookup},
    tag::ConnectionName,
};

pub(crate) use self::region::Region;
use self::scope::Closure;
pub use self::survey::{survey, survey_of};
use crate::cloud::{Groups, Instances, Observe, TaggedStore};

/// Observes one scope of one VPC at `at`, for whoever plans or explains once. `taken_names` are group names
/// that AWS refused as taken in an earlier round.
pub async fn observe<C: Observe>(
    cloud: &C,
    vpc: &VpcId,
    scope: Scope,
    at: Timestamp,
    taken_names: BTreeSet<String>,
) -> Observation {
    let look = Look { vpc, scope, at, taken_names, tagged_stores: None };
    let mut seen = look.observe(cloud, &Region::default()).await;
    if !seen.attachments.of.is_empty() {
        seen.launch_templates = Some(cloud.launch_template_groups().await);
    }
    seen
}

/// One look at a scope of a VPC.
pub(crate) struct Look<'look> {
    pub(crate) vpc: &'look VpcId,
    pub(crate) scope: Scope,
    pub(crate) at: Timestamp,
    pub(crate) taken_names: BTreeSet<String>,
    /// The tagged stores of the VPC; `None` when it is not known which they are.
    pub(crate) tagged_stores: Option<&'look BTreeSet<StoreArn>>,
}

impl Look<'_> {
    /// Observes everything but the launch templates. `region` is what was read already of all VPCs together.
    pub(crate) async fn observe<C: Observe>(self, cloud: &C, region: &Region) -> Observation {
        let Self { vpc, scope, at, taken_names, tagged_stores } = self;
        let (mut instances, groups, index, mut stores) = join!(
            scoped_instances(cloud, vpc, &scope),
            cloud.groups(Groups::InVpc(vpc)),
            tag_index(cloud, region, &scope),
            scoped_stores(cloud, &scope),
        );
        instances.found.retain(|instance| instance.interface.as_ref().is_none_or(|interface| interface.vpc == *vpc));
        let mut closure = Closure::new(vpc, scope, &groups.found);
        let mut absent = BTreeSet::new();
        let renamed = find_stores_by_id(cloud, &closure.renamed(&stores.found), &mut stores, &mut absent).await;
        closure.add_stores(renamed);

        let more_stores = closure.stores(&instances.found, &index.found, &stores.found, tagged_stores);
        let (names, instance_sides) = (closure.names(&stores.found), closure.instance_sides(&stores.found));
        let (joined_stores, sharing, attachments) = join!(
            stores_of_region(cloud, region, &closure, &more_stores),
            instances_sharing(cloud, &closure, &names),
            instances_with_group(cloud, vpc, &instance_sides),
        );
        stores.extend(joined_stores);
        stores.gaps.extend(index.gaps);
        let listed = scope::unread(index.found, &more_stores, &stores.found);
        for reading in [sharing, attachments] {
            instances.extend(reading);
        }
        let lost = closure.lost(&stores.found, &instances.found);
        find_stores_by_id(cloud, &lost, &mut stores, &mut absent).await;

        let seen = Seen { instances, stores, listed, groups, absent };
        seen.complete(cloud, region, closure, at, taken_names).await
    }
}

/// The instances, stores and groups of a closed scope.
struct Seen {
    instances: Reading<Instance>,
    stores: Reading<StoreLookup>,
    listed: BTreeMap<StoreArn, BTreeSet<ConnectionName>>,
    groups: Reading<SecurityGroup>,
    absent: BTreeSet<StoreId>,
}

impl Seen {
    /// Reads what the removal of a group rests on, the prefix lists and the state table.
    async fn complete<C: Observe>(
        self,
        cloud: &C,
        region: &Region,
        closure: Closure<'_>,
        at: Timestamp,
        taken_names: BTreeSet<String>,
    ) -> Observation {
        let Self { mut instances, mut stores, listed, mut groups, absent } = self;
        let vpc = closure.vpc();
        let of = closure.groups_to_ask_about(&stores.found, &instances.found);
        let lists = closure.lists(&instances.found, &stores.found);
        let lists_named = closure.prefix_lists(&stores.found, &groups.found);
        let takes_away = !of.is_empty() || closure.takes_away(&stores.found, &instances.found);
        let (all_stores, beside, attachments, by, prefix_lists, state) = join!(
            stores_that_may_be_copies(cloud, region, &closure, takes_away),
            groups_beside(cloud, &closure, &of),
            instances_with_group(cloud, vpc, &of),
            async { if of.is_empty() { Reading::default() } else { cloud.attached_interfaces(vpc, &of).await } },
            async { if lists_named.is_empty() { Reading::default() } else { cloud.prefix_lists(&lists_named).await } },
            cloud.vpc_state(vpc, lists.as_ref()),
        );
        groups.extend(beside);
        groups.found.sort_by(|one, other| one.id.cmp(&other.id));
        groups.found.dedup_by(|one, other| one.id == other.id);
        instances.extend(attachments);
        instances.found.sort_by(|one, other| one.id.cmp(&other.id));
        instances.found.dedup_by(|one, other| one.id == other.id);
        let attachments = Attachments { of, by: scope::without_primary_interfaces(by, &instances.found) };
        stores.extend(stores_by_arn(cloud, &closure.copies(&all_stores, &stores.found)).await);
        let state = state.map_err(Into::into);
        let scope = closure.into_scope();
        let (vpc, launch_templates) = (vpc.clone(), None);
        Observation {
            vpc,
            at,
            scope,
            instances,
            stores,
            listed,
            groups,
            taken_names,
            absent,
            attachments,
            launch_templates,
            prefix_lists,
            state,
        }
    }
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

/// The VPCs of the account and Region that have something opted in or owned, each once.
pub async fn vpcs_of_interest<C: Observe>(cloud: &C) -> Reading<VpcId> {
    let Reading { found, gaps } = vpcs_with_stores(cloud).await;
    Reading { found: found.into_iter().map(|(vpc, _)| vpc).collect(), gaps }
}

/// The same VPCs and those that tagwire is being uninstalled from: cancelling reaches also a VPC
/// in which all tags were taken away meanwhile.
pub async fn vpcs_to_take_back<C: Observe>(cloud: &C) -> Reading<VpcId> {
    let (mut vpcs, uninstalling) = join!(vpcs_of_interest(cloud), cloud.vpcs_uninstalling());
    vpcs.extend(uninstalling);
    vpcs.found.sort();
    vpcs.found.dedup();
    vpcs
}

/// The same VPCs as those of interest, each with its tagged stores.
pub(crate) async fn vpcs_with_stores<C: Observe>(cloud: &C) -> Reading<(VpcId, BTreeSet<StoreArn>)> {
    let (instances, groups, index) =
        join!(cloud.instances(Instances::OptedInAnywhere), cloud.groups(Groups::OwnedAnywhere), cloud.candidates());
    let arns: BTreeSet<StoreArn> = index.found.into_iter().map(|store| store.arn).collect();
    let stores = stores_by_arn(cloud, &arns).await;
    let interfaces = instances.found.into_iter().filter_map(|instance| instance.interface);
    let with_others = groups.found.into_iter().map(|group| group.vpc).chain(interfaces.map(|interface| interface.vpc));
    let mut vpcs: BTreeMap<VpcId, BTreeSet<StoreArn>> = with_others.map(|vpc| (vpc, BTreeSet::new())).collect();
    for store in scope::present(&stores.found) {
        if let Some(vpc) = store.vpc() {
            vpcs.entry(vpc.clone()).or_default().insert(store.arn.clone());
        }
    }
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
async fn tag_index<C: Observe>(cloud: &C, region: &Region, scope: &Scope) -> Reading<TaggedStore> {
    match scope {
        Scope::Some { instances, .. } if instances.is_empty() => Reading::default(),
        Scope::Some { .. } => cloud.candidates().await,
        Scope::Vpc => match region.index() {
            Some(index) => Reading::complete(index),
            None => region.with_index(cloud.candidates().await),
        },
    }
}

async fn scoped_stores<C: Observe>(cloud: &C, scope: &Scope) -> Reading<StoreLookup> {
    match scope {
        Scope::Vpc => Reading::default(),
        Scope::Some { stores, .. } => stores_by_arn(cloud, stores).await,
    }
}

/// Every store, where one may carry a group that was made for another one without taking part itself. It does not show
/// at an interface which store is behind it, so all are listed, once in an invocation. A smaller look does that only
/// where a group may leave an instance or be deleted.
async fn stores_that_may_be_copies<C: Observe>(
    cloud: &C,
    region: &Region,
    closure: &Closure<'_>,
    takes_away: bool,
) -> Vec<DataStore> {
    if !(closure.is_whole_vpc() || takes_away) || !closure.has_groups_for_stores() {
        return Vec::new();
    }
    match region.all_stores() {
        Some(all) => all,
        // What is missing in the list keeps a copy from being noticed, and nothing else from being decided.
        None => region.with_all_stores(cloud.all_stores().await).found,
    }
}

/// The stores, of which those that are known to be of another VPC are not read again for a whole VPC.
async fn stores_of_region<C: Observe>(
    cloud: &C,
    region: &Region,
    closure: &Closure<'_>,
    which: &BTreeSet<StoreArn>,
) -> Reading<StoreLookup> {
    if !closure.is_whole_vpc() {
        return stores_by_arn(cloud, which).await;
    }
    let elsewhere = region.elsewhere(closure.vpc(), which);
    let rest = which.iter().filter(|arn| !elsewhere.iter().any(|store| store.arn == **arn)).cloned().collect();
    let mut stores = region.with_stores(stores_by_arn(cloud, &rest).await);
    stores.found.extend(elsewhere.into_iter().map(|store| StoreLookup::Found(Box::new(store))));
    stores
}

async fn stores_by_arn<C: Observe>(cloud: &C, which: &BTreeSet<StoreArn>) -> Reading<StoreLookup> {
    if which.is_empty() { Reading::default() } else { cloud.stores(which).await }
}

async fn instances_sharing<C: Observe>(
    cloud: &C,
    closure: &Closure<'_>,
    names: &BTreeSet<ConnectionName>,
) -> Reading<Instance> {
    if names.is_empty() || closure.is_whole_vpc() {
        return Reading::default();
    }
    cloud.instances(Instances::OptedIn { vpc: closure.vpc(), names: Some(names) }).await
}

/// The groups that may be anybody's and matter all the same: forged ones, and those that keep a pair from
/// being deleted because a rule of theirs names it.
async fn groups_beside<C: Observe>(
    cloud: &C,
    closure: &Closure<'_>,
    named: &BTreeSet<SecurityGroupId>,
) -> Reading<SecurityGroup> {
    if closure.is_whole_vpc() || !named.is_empty() {
        cloud.groups(Groups::Beside { vpc: closure.vpc(), named }).await
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
