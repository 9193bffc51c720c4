//! ElastiCache: replication groups, cache clusters, serverless caches. Their ARN is their identity,
//! for they cannot be renamed.

mod cache_clusters;
mod replication_groups;
mod serverless_caches;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_elasticache::{
    Client,
    types::{CacheCluster, CacheSubnetGroup},
};
use tagwire_core::{
    id::StoreArn,
    model::Network,
    observation::{Gap, Subject},
    service::{Readiness, Service},
    tag::{ConnectTag, TagSettings},
};
use tagwire_engine::cloud::{CloudError, ErrorKind};

pub(crate) use self::{
    cache_clusters::CacheClusters, replication_groups::ReplicationGroups, serverless_caches::ServerlessCaches,
};
use crate::{
    call::{Call, Unusable},
    reading::at_once,
    stores::{
        gap_of,
        lookup::Lookups,
        subnets::{KnownVpcs, SubnetGroupNetworks, listed_networks, named_network, network_of_group},
    },
    tagging::TagIndex,
};
#[cfg(feature = "account")]
use crate::{probe::Probe, sts::Identity};

/// Most records a page may hold.
const PAGE_SIZE: i32 = 100;
/// Fewest records that every list of ElastiCache lets a page hold.
#[cfg(feature = "account")]
// Fact 3.4
const FEWEST: i32 = 20;
/// Most caches that are asked for one by one. ElastiCache describes one cache or lists all, so for
/// more than these a list of all is read.
const MOST_SINGLY: usize = 20;

const DESCRIBE_SUBNET_GROUPS: &str = "elasticache:DescribeCacheSubnetGroups";
// Fact 4.2
const LIST_TAGS: &str = "elasticache:ListTagsForResource";

/// The ElastiCache API, and the tag index for the tags that it does not list.
#[derive(Debug)]
pub(crate) struct ElastiCache {
    client: Client,
    connect_key: String,
    index: TagIndex,
    vpcs: KnownVpcs,
}

/// The tags of caches, by ARN; the gap of a cache whose tags could not be read.
type TagsByArn = BTreeMap<StoreArn, Result<TagSettings, Gap>>;

impl ElastiCache {
    pub(crate) fn new(config: &SdkConfig, connect_key: String, index: TagIndex) -> Self {
        Self { client: Client::new(config), connect_key, index, vpcs: KnownVpcs::default() }
    }

    /// Tries every read of ElastiCache; of tags, those of a cache that does not exist.
    #[cfg(feature = "account")]
    pub(crate) async fn probes(&self, region: &str, caller: Option<&Identity>) -> Vec<Probe> {
        let nobody =
            caller.and_then(|caller| cache_clusters::nobody(&caller.partition().ok()?, region, &caller.account).ok());
        let nobody = nobody.map(|arn| arn.to_string()).unwrap_or_default();
        let (groups, clusters, serverless, subnet_groups, tags) = futures_util::join!(
            self.client.describe_replication_groups().max_records(FEWEST).send(),
            self.client.describe_cache_clusters().max_records(FEWEST).send(),
            self.client.describe_serverless_caches().max_results(FEWEST).send(),
            self.client.describe_cache_subnet_groups().max_records(FEWEST).send(),
            self.client.list_tags_for_resource().resource_name(nobody).send(),
        );
        vec![
            Probe::of(replication_groups::GROUPS.call, groups),
            Probe::of(cache_clusters::CLUSTERS.call, clusters),
            Probe::of(serverless_caches::CACHES.call, serverless),
            Probe::of(DESCRIBE_SUBNET_GROUPS, subnet_groups),
            Probe::of(LIST_TAGS, tags),
        ]
    }

    /// The tags of some caches, each given with its state.
    ///
    /// ElastiCache lists the tags of a cache only while it is available, and only that list proves
    /// that a tag is absent. In every other state the tag index is asked. If it knows the connect
    /// tag, that will do: the cache's own list of groups cannot be changed before it is available,
    /// and its tags are listed before that. If it does not, the cache may have been tagged a moment
    /// ago, and nothing is decided until it is available. A cache that never will be is taken as the
    /// index has it.
    // Fact 4.2
    async fn tags_of(&self, caches: &[(&StoreArn, &str)]) -> TagsByArn {
        let readiness = |state: &str| Service::ElastiCache.row().readiness(state);
        let (ready, mut busy): (Vec<_>, Vec<_>) =
            caches.iter().copied().partition(|(_, state)| readiness(state) == Readiness::Ready);
        let lists = at_once(ready.into_iter().map(|(arn, _)| async move { (arn, self.list_tags(arn).await) }));
        let mut tags = TagsByArn::new();
        for (arn, listed) in lists.await {
            match listed {
                // Its state has changed since it was described.
                Err(error) if error.kind == ErrorKind::NotReady => busy.push((arn, "no longer available")),
                listed => {
                    tags.insert(arn.clone(), listed.map_err(Gap::from));
                }
            }
        }
        let arns: Vec<&StoreArn> = busy.iter().map(|(arn, _)| *arn).collect();
        let indexed = self.index.settings(&arns, &self.connect_key).await;
        for (arn, state) in busy {
            let known = indexed.found.iter().find(|(of, _)| of == arn).map(|(_, tags)| tags.clone());
            let is_over = readiness(state) == Readiness::Never;
            let answer = match (known, indexed.gap_in(&Subject::Store(arn.clone()))) {
                (Some(known), _) if known.connect != ConnectTag::Absent || is_over => Ok(known),
                (None, Some(gap)) => Err(gap_of(gap, arn)),
                (None, None) if is_over => Ok(self.no_tags()),
                (Some(_) | None, _) => Err(tags_unlisted(arn, state)),
            };
            tags.insert(arn.clone(), answer);
        }
        tags
    }

    async fn list_tags(&self, of: &StoreArn) -> Result<TagSettings, CloudError> {
        let call = Call::of_store(LIST_TAGS, of);
        let answer = self.client.list_tags_for_resource().resource_name(of.as_str()).send().await;
        let answer = answer.map_err(|error| call.failed(&error))?;
        let tags = answer.tag_list().iter();
        let tags = tags.map(|tag| (tag.key().unwrap_or_default(), tag.value().unwrap_or_default()));
        Ok(TagSettings::read(&self.connect_key, tags))
    }

    fn no_tags(&self) -> TagSettings {
        TagSettings::read(&self.connect_key, [])
    }

    /// The networks of the subnet groups of some cache clusters, each group read for itself.
    async fn networks_of(&self, clusters: &[(StoreArn, CacheCluster)]) -> SubnetGroupNetworks {
        let read = async |name: &str| {
            let call = Call::reading(DESCRIBE_SUBNET_GROUPS, name);
            let request = self.client.describe_cache_subnet_groups().cache_subnet_group_name(name);
            let answer = request.send().await.map_err(|error| call.failed(&error))?;
            network_of_group(&call, answer.cache_subnet_groups().first().and_then(CacheSubnetGroup::vpc_id))
        };
        self.known_networks(clusters, read).await
    }

    /// Likewise, from a list of every subnet group.
    async fn listed_networks_of(&self, clusters: &[(StoreArn, CacheCluster)]) -> SubnetGroupNetworks {
        if clusters.is_empty() {
            return SubnetGroupNetworks::new();
        }
        let call = Call::reading(DESCRIBE_SUBNET_GROUPS, "every cache subnet group");
        let request = self.client.describe_cache_subnet_groups().max_records(PAGE_SIZE);
        let pages = request.into_paginator().send().collect().await;
        let listed = call.listed(pages, |page| (page.cache_subnet_groups, page.marker));
        let all = call.decode(listed, CacheSubnetGroup::cache_subnet_group_name, |raw| {
            named_network("CacheSubnetGroupName", raw.cache_subnet_group_name(), raw.vpc_id())
        });
        self.known_networks(clusters, listed_networks(&all)).await
    }

    /// A cluster is known by its ARN and its time of creation: the ARN alone is taken again by a cache
    /// that is made under the old name.
    async fn known_networks(
        &self,
        clusters: &[(StoreArn, CacheCluster)],
        read: impl AsyncFn(&str) -> Result<Network, Gap>,
    ) -> SubnetGroupNetworks {
        let named: Vec<_> = clusters
            .iter()
            .filter_map(|(arn, raw)| {
                let created = raw.cache_cluster_create_time().map(|time| format!("{arn} of {}", time.as_nanos()));
                Some((created, cache_clusters::subnet_group(raw)?))
            })
            .collect();
        self.vpcs.of(&named, read).await
    }
}

fn tags_unlisted(arn: &StoreArn, state: &str) -> Gap {
    let message = format!("its tags can only be listed while it is available, and it is {state:?}");
    let call = Call::of_store(LIST_TAGS, arn);
    call.gap(call.error(ErrorKind::NotReady, "not-available", message))
}

/// The tags of one cache out of those that were read.
fn tags_in(tags: &TagsByArn, arn: &StoreArn) -> Result<TagSettings, Gap> {
    let unusable = Unusable::later("its tags were not asked for");
    tags.get(arn).cloned().unwrap_or_else(|| Err(Call::of_store(LIST_TAGS, arn).unusable(&unusable)))
}

/// The refusal of a change that would carry out the owner's pending changes as well.
fn pending_changes(call: &Call) -> CloudError {
    let message = "it has changes pending for its next maintenance window, which would be carried out with this one";
    call.error(ErrorKind::PendingChanges, "pending-changes", message)
}

/// The refusal of a change while the pending changes cannot be read.
fn pending_unread(call: &Call, gap: &Gap) -> CloudError {
    let kind = if gap.passing { ErrorKind::Unavailable } else { ErrorKind::Rejected };
    call.error(kind, "pending-changes-unread", format!("it is not known whether it has pending changes: {gap}"))
}

/// The one store that was looked up before something is written to it.
fn only<Raw>(call: &Call, lookups: Lookups<Raw>) -> Result<Raw, CloudError> {
    match (lookups.found.into_iter().next(), lookups.gaps.first()) {
        (Some((_, raw)), _) => Ok(raw),
        (None, Some(gap)) => Err(pending_unread(call, gap)),
        (None, None) => Err(call.error(ErrorKind::NotFound, "store-gone", "there is no such store any more")),
    }
}
