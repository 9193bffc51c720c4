//! Cache clusters, alone or members of a replication group.

use aws_sdk_elasticache::types::{CacheCluster, CacheNode, Endpoint, PendingModifiedValues};
use futures_util::future::LocalBoxFuture;
use tagwire_core::{
    group::GroupList,
    id::{InvalidId, StoreArn, StoreId},
    model::{DataStore, Form, Network},
    observation::{Gap, Reading, StoreLookup},
    service::{Service, StoreKind},
    tag::TagSettings,
};
use tagwire_engine::cloud::CloudError;

use super::{ElastiCache, MOST_SINGLY, PAGE_SIZE, only, pending_changes, tags_in};
use crate::{
    call::{Call, Unusable, required},
    reading::from_results,
    stores::{
        StoreService,
        fields::{group_ids, memberships, ports, state, zones},
        gap_of,
        lookup::{DescribeCall, Lookups, look_up},
        subnets::{SubnetGroupNetworks, network_in},
    },
};

pub(super) const CLUSTERS: DescribeCall<CacheCluster> = DescribeCall {
    call: "elasticache:DescribeCacheClusters",
    not_found: "CacheClusterNotFound",
    singly: MOST_SINGLY,
    at_a_time: usize::MAX,
    arn: |raw| required(raw.arn(), "ARN").map(str::to_owned),
    vpc: |_| None,
};

/// Cache clusters. The members of a replication group carry copies of the group's tags, which are
/// left out: they would count as one more request for every node.
pub(crate) struct CacheClusters<'aws>(pub(crate) &'aws ElastiCache);

impl StoreService for CacheClusters<'_> {
    fn by_arn(&self, which: Vec<StoreArn>) -> LocalBoxFuture<'_, Reading<StoreLookup>> {
        let Self(elasticache) = self;
        Box::pin(async move {
            let mut lookups = elasticache.look_up_clusters(&which).await;
            let found = std::mem::take(&mut lookups.found);
            let alone = found.iter().filter(|(_, raw)| replication_group(raw).is_none());
            let alone: Vec<_> = alone.map(|(arn, raw)| (arn, raw.cache_cluster_status().unwrap_or_default())).collect();
            let (networks, tags) = futures_util::join!(elasticache.networks_of(&found), elasticache.tags_of(&alone));
            let stores = from_results(found.iter().map(|(arn, raw)| {
                let network = network_of(raw, &networks, arn)?;
                let is_member = replication_group(raw).is_some();
                let tags = if is_member { elasticache.no_tags() } else { tags_in(&tags, arn)? };
                decode(raw, arn, network, tags)
            }));
            lookups.into_reading(stores)
        })
    }

    /// The list of replication groups includes the cache clusters, for it needs their list anyway.
    fn all(&self) -> LocalBoxFuture<'_, Reading<DataStore>> {
        Box::pin(async { Reading::default() })
    }

    fn lists_tags(&self) -> bool {
        false
    }

    /// Only `ApplyImmediately` makes certain that the list is applied before the next maintenance
    /// window. That flag applies everything else that is pending too, so it is not sent while the
    /// owner has something pending.
    // Fact 4.1
    fn set_groups<'call>(
        &'call self,
        of: &'call StoreArn,
        to: &'call GroupList,
    ) -> LocalBoxFuture<'call, Result<(), CloudError>> {
        let Self(elasticache) = self;
        Box::pin(async move {
            let call = Call::writing("elasticache:ModifyCacheCluster", of.as_str());
            if is_pending(&only(&call, elasticache.look_up_clusters(std::slice::from_ref(of)).await)?) {
                return Err(pending_changes(&call));
            }
            let request = elasticache.client.modify_cache_cluster().cache_cluster_id(of.name());
            // Fact 4.1
            let answer = request.set_security_group_ids(Some(group_ids(to))).apply_immediately(true).send().await;
            answer.map(drop).map_err(|error| call.failed(&error))
        })
    }
}

impl ElastiCache {
    pub(super) async fn look_up_clusters(&self, which: &[StoreArn]) -> Lookups<CacheCluster> {
        let single = async |name: &str| {
            let request = self.client.describe_cache_clusters().cache_cluster_id(name);
            Ok(request.show_cache_node_info(true).send().await?.cache_clusters)
        };
        look_up(&CLUSTERS, which, async |call: &Call, _| self.list_clusters(call).await, single).await
    }

    pub(super) async fn list_clusters(&self, call: &Call) -> Reading<CacheCluster> {
        let request = self.client.describe_cache_clusters().max_records(PAGE_SIZE).show_cache_node_info(true);
        let pages = request.into_paginator().send().collect().await;
        call.listed(pages, |page| (page.cache_clusters, page.marker))
    }
}

/// A cache cluster that a replication group names.
pub(super) fn member_of(group: &StoreArn, name: &str) -> Result<StoreArn, InvalidId> {
    group.beside(StoreKind::CacheCluster, name)
}

/// A name that no cache has, for a call that is only tried.
#[cfg(feature = "account")]
pub(super) fn nobody(
    partition: &tagwire_core::id::Partition,
    region: &str,
    account: &str,
) -> Result<StoreArn, InvalidId> {
    StoreArn::of(partition, StoreKind::CacheCluster, region, account, "tagwire-doctor")
}

pub(super) fn subnet_group(raw: &CacheCluster) -> Option<&str> {
    raw.cache_subnet_group_name().filter(|name| !name.is_empty())
}

/// Only a cache outside any VPC has security groups of ElastiCache's own.
// Fact 4.4
pub(super) fn network_of(raw: &CacheCluster, networks: &SubnetGroupNetworks, store: &StoreArn) -> Result<Network, Gap> {
    let of_group = network_in(networks, subnet_group(raw)).map_err(|gap| gap_of(&gap, store))?;
    let without = if raw.cache_security_groups().is_empty() { Network::NotShown } else { Network::Classic };
    Ok(of_group.unwrap_or(without))
}

/// The replication group that a cluster is a member of.
pub(super) fn replication_group(raw: &CacheCluster) -> Option<&str> {
    raw.replication_group_id().filter(|group| !group.is_empty())
}

pub(super) fn groups_of(raw: &CacheCluster) -> impl Iterator<Item = (Option<&str>, Option<&str>)> {
    raw.security_groups().iter().map(|group| (group.security_group_id(), group.status()))
}

pub(super) fn is_pending(cluster: &CacheCluster) -> bool {
    cluster.pending_modified_values().cloned().is_some_and(|mut pending| {
        pending.log_delivery_configurations.take_if(|list| list.is_empty());
        pending.cache_node_ids_to_remove.take_if(|list| list.is_empty());
        pending != PendingModifiedValues::builder().build()
    })
}

pub(super) fn decode(
    raw: &CacheCluster,
    arn: &StoreArn,
    network: Network,
    tags: TagSettings,
) -> Result<DataStore, Gap> {
    let call = Call::of_store(CLUSTERS.call, arn).in_vpc(network.vpc());
    cluster(raw, arn, network, tags).map_err(|unusable| call.unusable(&unusable))
}

/// Memcached clusters have one endpoint for all nodes; a single node has its own.
fn cluster(raw: &CacheCluster, arn: &StoreArn, network: Network, tags: TagSettings) -> Result<DataStore, Unusable> {
    let of_nodes = raw.cache_nodes().iter().filter_map(CacheNode::endpoint);
    let endpoints = raw.configuration_endpoint().into_iter().chain(of_nodes);
    Ok(DataStore {
        id: StoreId::parse(arn.as_str())?,
        arn: arn.clone(),
        service: Service::ElastiCache,
        network,
        zones: zones(raw.cache_nodes().iter().filter_map(CacheNode::customer_availability_zone))?,
        ports: ports(endpoints.filter_map(Endpoint::port))?,
        state: state(raw.cache_cluster_status()),
        form: replication_group(raw).map_or(Form::Plain, |group| Form::ClusterMember { cluster: group.into() }),
        groups: memberships(groups_of(raw))?,
        settings: tags,
    })
}
