//! Replication groups. Their description holds neither the security groups nor the subnet group,
//! which are the same for all member clusters and are read from one of them.

use aws_sdk_elasticache::types::{
    CacheCluster, Endpoint, NodeGroup, ReplicationGroup, ReplicationGroupPendingModifiedValues,
};
use futures_util::future::LocalBoxFuture;
use tagwire_core::{
    group::GroupList,
    id::{StoreArn, StoreId},
    model::{DataStore, Form, Network},
    observation::{Gap, Reading, StoreLookup, Subject},
    service::Service,
    tag::TagSettings,
};
use tagwire_engine::cloud::CloudError;

use super::{
    ElastiCache, MOST_SINGLY, PAGE_SIZE,
    cache_clusters::{self, groups_of, network_of},
    only, pending_changes, pending_unread, tags_in,
};
use crate::{
    call::{Call, Unusable, required},
    reading::from_results,
    stores::{
        StoreService,
        fields::{group_ids, memberships, ports, state, zones},
        gap_of,
        lookup::{DescribeCall, Lookups, look_up},
        subnets::SubnetGroupNetworks,
    },
};

pub(super) const GROUPS: DescribeCall<ReplicationGroup> = DescribeCall {
    call: "elasticache:DescribeReplicationGroups",
    not_found: "ReplicationGroupNotFoundFault",
    singly: MOST_SINGLY,
    at_a_time: usize::MAX,
    arn: |raw| required(raw.arn(), "ARN").map(str::to_owned),
    vpc: |_| None,
};

/// Replication groups.
pub(crate) struct ReplicationGroups<'aws>(pub(crate) &'aws ElastiCache);

impl StoreService for ReplicationGroups<'_> {
    fn by_arn(&self, which: Vec<StoreArn>) -> LocalBoxFuture<'_, Reading<StoreLookup>> {
        let Self(elasticache) = self;
        Box::pin(async move {
            let mut lookups = elasticache.look_up_groups(&which).await;
            let found = std::mem::take(&mut lookups.found);
            let states: Vec<_> = found.iter().map(|(arn, raw)| (arn, raw.status().unwrap_or_default())).collect();
            let (members, tags) =
                futures_util::join!(elasticache.a_member_of_each(&found), elasticache.tags_of(&states));
            let networks = elasticache.networks_of(&members.found).await;
            let stores =
                from_results(found.iter().map(|(arn, raw)| {
                    decode(raw, a_member(arn, raw, &members)?, arn, &networks, tags_in(&tags, arn)?)
                }));
            lookups.into_reading(stores)
        })
    }

    /// Every replication group, and every cache cluster that is a member of none.
    fn all(&self) -> LocalBoxFuture<'_, Reading<DataStore>> {
        let Self(elasticache) = self;
        Box::pin(async move {
            let of_groups = Call::reading(GROUPS.call, "every replication group");
            let of_clusters = Call::reading(cache_clusters::CLUSTERS.call, "every cache cluster");
            let (groups, clusters) =
                futures_util::join!(elasticache.list_groups(&of_groups), elasticache.list_clusters(&of_clusters));
            let groups = GROUPS.with_arns(&of_groups, groups, ReplicationGroup::replication_group_id);
            let clusters = cache_clusters::CLUSTERS.with_arns(&of_clusters, clusters, CacheCluster::cache_cluster_id);
            let networks = elasticache.listed_networks_of(&clusters.found).await;
            let members = Lookups { found: clusters.found, gaps: clusters.gaps, ..Lookups::default() };
            let mut stores =
                from_results(groups.found.iter().map(|(arn, raw)| {
                    decode(raw, a_member(arn, raw, &members)?, arn, &networks, elasticache.no_tags())
                }));
            let alone = members.found.iter().filter(|(_, raw)| cache_clusters::replication_group(raw).is_none());
            stores.extend(from_results(alone.map(|(arn, raw)| {
                cache_clusters::decode(raw, arn, network_of(raw, &networks, arn)?, elasticache.no_tags())
            })));
            stores.gaps.extend(groups.gaps);
            stores.gaps.extend(members.gaps);
            stores
        })
    }

    fn lists_tags(&self) -> bool {
        false
    }

    /// With `ApplyImmediately`, and only while nothing is pending for the group or a member, as for
    /// a cache cluster.
    // Fact 4.1
    fn set_groups<'call>(
        &'call self,
        of: &'call StoreArn,
        to: &'call GroupList,
    ) -> LocalBoxFuture<'call, Result<(), CloudError>> {
        let Self(elasticache) = self;
        Box::pin(async move {
            let call = Call::writing("elasticache:ModifyReplicationGroup", of.as_str());
            let raw = only(&call, elasticache.look_up_groups(std::slice::from_ref(of)).await)?;
            let all: Vec<StoreArn> = members(of, &raw).collect();
            let members = elasticache.look_up_clusters(&all).await;
            if let Some(gap) = members.gaps.first() {
                return Err(pending_unread(&call, gap));
            }
            if is_pending(&raw) || members.found.iter().any(|(_, member)| cache_clusters::is_pending(member)) {
                return Err(pending_changes(&call));
            }
            let request = elasticache.client.modify_replication_group().replication_group_id(of.name());
            // Fact 4.1
            let answer = request.set_security_group_ids(Some(group_ids(to))).apply_immediately(true).send().await;
            answer.map(drop).map_err(|error| call.failed(&error))
        })
    }
}

impl ElastiCache {
    /// The first member of each group; of one whose first member is gone meanwhile, all that are there.
    async fn a_member_of_each(&self, groups: &[(StoreArn, ReplicationGroup)]) -> Lookups<CacheCluster> {
        let first: Vec<StoreArn> = groups.iter().filter_map(|(arn, raw)| members(arn, raw).next()).collect();
        let mut looked_up = self.look_up_clusters(&first).await;
        let is_gone = |member: &StoreArn| looked_up.not_found.contains(member);
        let bereft = groups.iter().filter(|(arn, raw)| members(arn, raw).next().as_ref().is_some_and(is_gone));
        let others: Vec<StoreArn> = bereft.flat_map(|(arn, raw)| members(arn, raw).skip(1)).collect();
        looked_up.extend(self.look_up_clusters(&others).await);
        looked_up
    }

    async fn look_up_groups(&self, which: &[StoreArn]) -> Lookups<ReplicationGroup> {
        let single = async |name: &str| {
            let answer = self.client.describe_replication_groups().replication_group_id(name).send().await?;
            Ok(answer.replication_groups)
        };
        look_up(&GROUPS, which, async |call: &Call, _| self.list_groups(call).await, single).await
    }

    async fn list_groups(&self, call: &Call) -> Reading<ReplicationGroup> {
        let request = self.client.describe_replication_groups().max_records(PAGE_SIZE);
        let pages = request.into_paginator().send().collect().await;
        call.listed(pages, |page| (page.replication_groups, page.marker))
    }
}

fn is_pending(group: &ReplicationGroup) -> bool {
    group.pending_modified_values().cloned().is_some_and(|mut pending| {
        pending.log_delivery_configurations.take_if(|list| list.is_empty());
        pending != ReplicationGroupPendingModifiedValues::builder().build()
    })
}

/// The member clusters of a replication group. Names that make no ARN are left out: nothing could
/// be asked about them.
fn members(arn: &StoreArn, raw: &ReplicationGroup) -> impl Iterator<Item = StoreArn> {
    let names = raw.member_clusters().iter();
    names.filter_map(|name| cache_clusters::member_of(arn, name).ok())
}

/// A member of a group that was described; `None` for a group that has none, as while it is created or
/// deleted.
// Fact 9.4
fn a_member<'found>(
    arn: &StoreArn,
    raw: &ReplicationGroup,
    clusters: &'found Lookups<CacheCluster>,
) -> Result<Option<&'found CacheCluster>, Gap> {
    let names: Vec<StoreArn> = members(arn, raw).collect();
    if let Some((_, member)) = clusters.found.iter().find(|(of, _)| names.contains(of)) {
        return Ok(Some(member));
    }
    let unread = clusters.gaps.iter().find(|gap| names.iter().any(|name| gap.hides(&Subject::Store(name.clone()))));
    unread.map_or(Ok(None), |gap| Err(gap_of(gap, arn)))
}

fn decode(
    raw: &ReplicationGroup,
    member: Option<&CacheCluster>,
    arn: &StoreArn,
    networks: &SubnetGroupNetworks,
    tags: TagSettings,
) -> Result<DataStore, Gap> {
    let network = member.map_or(Ok(Network::NotShown), |member| network_of(member, networks, arn))?;
    let call = Call::of_store(GROUPS.call, arn).in_vpc(network.vpc());
    group(raw, member, arn, network, tags).map_err(|unusable| call.unusable(&unusable))
}

/// Cluster mode has one endpoint for all shards; without it, the one shard has its own.
fn group(
    raw: &ReplicationGroup,
    member: Option<&CacheCluster>,
    arn: &StoreArn,
    network: Network,
    tags: TagSettings,
) -> Result<DataStore, Unusable> {
    let of_shards = raw.node_groups().iter().filter_map(NodeGroup::primary_endpoint);
    let endpoints = raw.configuration_endpoint().into_iter().chain(of_shards);
    let nodes = raw.node_groups().iter().flat_map(NodeGroup::node_group_members);
    Ok(DataStore {
        id: StoreId::parse(arn.as_str())?,
        arn: arn.clone(),
        service: Service::ElastiCache,
        network,
        zones: zones(nodes.filter_map(|node| node.preferred_availability_zone()))?,
        ports: ports(endpoints.filter_map(Endpoint::port))?,
        state: state(raw.status()),
        form: Form::Plain,
        groups: memberships(member.into_iter().flat_map(groups_of))?,
        settings: tags,
    })
}
