//! ElastiCache: replication groups, cache clusters, serverless caches. Their ARN is their identity,
//! for they cannot be renamed.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use aws_config::SdkConfig;
use aws_sdk_elasticache::{
    Client,
    operation::{
        describe_cache_clusters::DescribeCacheClustersError,
        describe_replication_groups::DescribeReplicationGroupsError,
        describe_serverless_caches::DescribeServerlessCachesError,
    },
    types::{CacheCluster, CacheNode, CacheSubnetGroup, Endpoint, NodeGroup, ReplicationGroup, ServerlessCache},
};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use tagwire_core::{
    group::GroupList,
    id::{SecurityGroupId, StoreArn, StoreId, StoreKind, VpcId},
    model::{DataStore, Form},
    observation::{Gap, Reading, StoreLookup, Subject},
    service::{Readiness, Service},
    tag::{ConnectTag, TagSettings},
};
use tagwire_engine::cloud::{CloudError, ErrorKind, Groups};

#[cfg(feature = "account")]
use crate::probe::Probe;
use crate::{
    ec2::Ec2,
    error::{Call, Odd, required},
    reading::{Page, at_once, pages},
    stores::{Answer, KnownVpcs, Shape, ask, ask_singly, group_ids, listed_vpcs, memberships, ports, zones},
    tagging::TagIndex,
};

/// Most records a page may hold.
const PAGE_SIZE: i32 = 100;
/// Fewest records that every list of ElastiCache lets a page hold.
#[cfg(feature = "account")]
const FEWEST: i32 = 20;
/// Most caches that are asked for one by one. The service cannot be asked for a few of many: it
/// describes one or lists all, so for more than these a list of all is read.
const MOST_SINGLY: usize = 20;

const DESCRIBE_GROUPS: &str = "elasticache:DescribeReplicationGroups";
const DESCRIBE_CLUSTERS: &str = "elasticache:DescribeCacheClusters";
const DESCRIBE_SERVERLESS: &str = "elasticache:DescribeServerlessCaches";
const DESCRIBE_SUBNET_GROUPS: &str = "elasticache:DescribeCacheSubnetGroups";

const GROUPS: Shape<ReplicationGroup> =
    Shape { call: DESCRIBE_GROUPS, arn: |raw| required(raw.arn(), "ARN").map(str::to_owned) };
const CLUSTERS: Shape<CacheCluster> =
    Shape { call: DESCRIBE_CLUSTERS, arn: |raw| required(raw.arn(), "ARN").map(str::to_owned) };
const SERVERLESS: Shape<ServerlessCache> =
    Shape { call: DESCRIBE_SERVERLESS, arn: |raw| required(raw.arn(), "ARN").map(str::to_owned) };

type Described<Raw, E> = Result<Option<Vec<Raw>>, SdkError<E, HttpResponse>>;
type Listed<Raw, E> = Result<Page<Raw>, SdkError<E, HttpResponse>>;

/// ElastiCache.
#[derive(Debug)]
pub(crate) struct ElastiCache {
    client: Client,
    connect_key: String,
    vpcs: KnownVpcs,
}

impl ElastiCache {
    pub(crate) fn new(config: &SdkConfig, connect_key: String) -> Self {
        Self { client: Client::new(config), connect_key, vpcs: KnownVpcs::default() }
    }

    /// Tries every read of ElastiCache; of tags, those of something that is not there.
    #[cfg(feature = "account")]
    pub(crate) async fn probes(&self, of_nothing: &str) -> Vec<Probe> {
        let (groups, clusters, serverless, subnet_groups, tags) = futures_util::join!(
            self.client.describe_replication_groups().max_records(FEWEST).send(),
            self.client.describe_cache_clusters().max_records(FEWEST).send(),
            self.client.describe_serverless_caches().max_results(FEWEST).send(),
            self.client.describe_cache_subnet_groups().max_records(FEWEST).send(),
            self.client.list_tags_for_resource().resource_name(of_nothing).send(),
        );
        vec![
            Probe::of(DESCRIBE_GROUPS, groups),
            Probe::of(DESCRIBE_CLUSTERS, clusters),
            Probe::of(DESCRIBE_SERVERLESS, serverless),
            Probe::of("elasticache:DescribeCacheSubnetGroups", subnet_groups),
            Probe::of(LIST_TAGS, tags),
        ]
    }

    /// Asks for replication groups. Their description holds neither the groups nor the subnet
    /// group, which are the same for all members and are read from one of them.
    pub(crate) async fn replication_groups(&self, index: &TagIndex, which: &[&StoreArn]) -> Reading<StoreLookup> {
        let mut answer = self.groups_there(which).await;
        let there = std::mem::take(&mut answer.there);
        let one_of_each: BTreeSet<StoreArn> = there.iter().filter_map(|(arn, raw)| members(arn, raw).next()).collect();
        let states: Vec<_> = there.iter().map(|(arn, raw)| (arn, raw.status().unwrap_or_default())).collect();
        let (members_there, settings) =
            futures_util::join!(self.clusters_there(&one_of_each), self.settings(index, &states));
        let vpcs = self.vpcs_of(&members_there.there).await;
        let mut stores = Reading::default();
        for (arn, raw) in &there {
            let store = first_member(arn, raw, &members_there).and_then(|member| {
                let vpc = vpc_of(member, &vpcs, arn)?;
                let settings = settings_of(arn, &settings)?;
                let call = Call::reading(DESCRIBE_GROUPS, arn.as_str());
                group(raw, member, arn, vpc, settings).map_err(|odd| call.odd(Some(arn.as_str()), &odd))
            });
            match store {
                Ok(store) => stores.found.push(store),
                Err(gap) => stores.gaps.push(gap),
            }
        }
        answer.into_reading(stores)
    }

    /// Asks for cache clusters, alone or members of a replication group. Members carry copies of
    /// their group's tags, which is no wish of theirs: it would be one more wish for every node.
    pub(crate) async fn cache_clusters(&self, index: &TagIndex, which: &[&StoreArn]) -> Reading<StoreLookup> {
        let which: BTreeSet<StoreArn> = which.iter().copied().cloned().collect();
        let mut answer = self.clusters_there(&which).await;
        let there = std::mem::take(&mut answer.there);
        let alone = there.iter().filter(|(_, raw)| member_of(raw).is_none());
        let alone: Vec<_> = alone.map(|(arn, raw)| (arn, raw.cache_cluster_status().unwrap_or_default())).collect();
        let (vpcs, settings) = futures_util::join!(self.vpcs_of(&there), self.settings(index, &alone));
        let mut stores = Reading::default();
        for (arn, raw) in &there {
            let store = vpc_of(raw, &vpcs, arn).and_then(|vpc| {
                let settings = if member_of(raw).is_some() { self.no_settings() } else { settings_of(arn, &settings)? };
                let call = Call::reading(DESCRIBE_CLUSTERS, arn.as_str());
                cluster(raw, arn, vpc, settings).map_err(|odd| call.odd(Some(arn.as_str()), &odd))
            });
            match store {
                Ok(store) => stores.found.push(store),
                Err(gap) => stores.gaps.push(gap),
            }
        }
        answer.into_reading(stores)
    }

    /// Asks for serverless caches. They name their subnets and groups and not their VPC, which is
    /// that of any of their groups.
    pub(crate) async fn serverless_caches(
        &self,
        ec2: &Ec2,
        index: &TagIndex,
        which: &[&StoreArn],
    ) -> Reading<StoreLookup> {
        let single = async |name: &str| match self
            .client
            .describe_serverless_caches()
            .serverless_cache_name(name)
            .send()
            .await
        {
            Ok(answer) => Ok(Some(answer.serverless_caches.unwrap_or_default())),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DescribeServerlessCachesError::is_serverless_cache_not_found_fault) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        };
        let mut answer = if which.len() > MOST_SINGLY {
            ask(&SERVERLESS, which, async |_, token| self.list_serverless(token).await, single).await
        } else {
            ask_singly(&SERVERLESS, which, single).await
        };
        let there = std::mem::take(&mut answer.there);
        let one_of_each: BTreeSet<SecurityGroupId> = there.iter().filter_map(|(_, raw)| a_group(raw).ok()).collect();
        let states: Vec<_> = there.iter().map(|(arn, raw)| (arn, raw.status().unwrap_or_default())).collect();
        let (groups, settings) =
            futures_util::join!(ec2.groups(Groups::Ids(&one_of_each)), self.settings(index, &states));
        let vpcs: BTreeMap<SecurityGroupId, VpcId> =
            groups.found.into_iter().map(|group| (group.id, group.vpc)).collect();
        let mut stores = Reading::default();
        for (arn, raw) in &there {
            let call = Call::reading(DESCRIBE_SERVERLESS, arn.as_str());
            let unread = || groups.gaps.first().map(|gap| for_store(gap, arn));
            let store = settings_of(arn, &settings).and_then(|settings| {
                serverless(raw, arn, &vpcs, settings)
                    .map_err(|odd| unread().unwrap_or_else(|| call.odd(Some(arn.as_str()), &odd)))
            });
            match store {
                Ok(store) => stores.found.push(store),
                Err(gap) => stores.gaps.push(gap),
            }
        }
        answer.into_reading(stores)
    }

    /// Every cache but the members of replication groups. Their tags are as the tag index has them, which
    /// takes a call for a hundred of them and not one for each.
    pub(crate) async fn all(&self, ec2: &Ec2, index: &TagIndex) -> Reading<DataStore> {
        let listing = |name, what| (Call::reading(name, what), what);
        let (of_groups, every_group) = listing(DESCRIBE_GROUPS, "every replication group");
        let (of_clusters, every_cluster) = listing(DESCRIBE_CLUSTERS, "every cache cluster");
        let (of_caches, every_cache) = listing(DESCRIBE_SERVERLESS, "every serverless cache");
        let (groups, clusters, caches) = futures_util::join!(
            pages(&of_groups, every_group, async |token| self.list_groups(token).await),
            pages(&of_clusters, every_cluster, async |token| self.list_clusters(token).await),
            pages(&of_caches, every_cache, async |token| self.list_serverless(token).await),
        );
        let groups = of_groups.understand(groups, ReplicationGroup::replication_group_id, GROUPS.with_arn());
        let clusters = of_clusters.understand(clusters, CacheCluster::cache_cluster_id, CLUSTERS.with_arn());
        let caches = of_caches.understand(caches, ServerlessCache::serverless_cache_name, SERVERLESS.with_arn());
        let mut stores = Reading { found: Vec::new(), gaps: [groups.gaps, caches.gaps].concat() };
        let alone = clusters.found.iter().filter(|(_, raw)| member_of(raw).is_none()).map(|(arn, _)| arn);
        let of_others = groups.found.iter().map(|(arn, _)| arn).chain(caches.found.iter().map(|(arn, _)| arn));
        let arns: Vec<&StoreArn> = of_others.chain(alone).collect();
        let one_of_each: BTreeSet<SecurityGroupId> =
            caches.found.iter().filter_map(|(_, raw)| a_group(raw).ok()).collect();
        let (settings, vpcs, groups_of_caches) = futures_util::join!(
            index.settings(&arns, &self.connect_key),
            self.all_vpcs(&clusters.found),
            ec2.groups(Groups::Ids(&one_of_each)),
        );
        stores.gaps.extend(settings.gaps);
        let settings: BTreeMap<StoreArn, TagSettings> = settings.found.into_iter().collect();
        let settings = |arn: &StoreArn| settings.get(arn).cloned().unwrap_or_else(|| self.no_settings());
        let members = Answer { there: clusters.found, gone: Vec::new(), gaps: clusters.gaps.clone() };
        stores.gaps.extend(clusters.gaps);
        let mut add = |store: Result<DataStore, Gap>| match store {
            Ok(store) => stores.found.push(store),
            Err(gap) => stores.gaps.push(gap),
        };
        for (arn, raw) in &groups.found {
            let call = of_groups.on(arn.as_str());
            add(first_member(arn, raw, &members).and_then(|member| {
                let vpc = vpc_of(member, &vpcs, arn)?;
                group(raw, member, arn, vpc, settings(arn)).map_err(|odd| call.odd(Some(arn.as_str()), &odd))
            }));
        }
        for (arn, raw) in members.there.iter().filter(|(_, raw)| member_of(raw).is_none()) {
            let call = of_clusters.on(arn.as_str());
            add(vpc_of(raw, &vpcs, arn).and_then(|vpc| {
                cluster(raw, arn, vpc, settings(arn)).map_err(|odd| call.odd(Some(arn.as_str()), &odd))
            }));
        }
        let vpc_of_group: BTreeMap<SecurityGroupId, VpcId> =
            groups_of_caches.found.into_iter().map(|group| (group.id, group.vpc)).collect();
        for (arn, raw) in &caches.found {
            let call = of_caches.on(arn.as_str());
            let unread = || groups_of_caches.gaps.first().map(|gap| for_store(gap, arn));
            let store = serverless(raw, arn, &vpc_of_group, settings(arn));
            add(store.map_err(|odd| unread().unwrap_or_else(|| call.odd(Some(arn.as_str()), &odd))));
        }
        stores
    }

    /// The VPCs of all caches, from a list of every subnet group.
    async fn all_vpcs(&self, clusters: &[(StoreArn, CacheCluster)]) -> BTreeMap<String, Result<VpcId, Gap>> {
        if clusters.is_empty() {
            return BTreeMap::new();
        }
        let what = "every cache subnet group";
        let call = Call::reading(DESCRIBE_SUBNET_GROUPS, what);
        let listed = pages(&call, what, async |token| {
            let request = self.client.describe_cache_subnet_groups().max_records(PAGE_SIZE);
            let page = request.set_marker(token).send().await?;
            Ok((page.cache_subnet_groups.unwrap_or_default(), page.marker))
        })
        .await;
        let all = call.understand(listed, CacheSubnetGroup::cache_subnet_group_name, |raw| {
            let name = required(raw.cache_subnet_group_name(), "CacheSubnetGroupName")?;
            Ok((name.to_owned(), VpcId::parse(required(raw.vpc_id(), "VpcId of the subnet group")?)?))
        });
        self.known_vpcs(clusters, listed_vpcs(&all)).await
    }

    /// Writes a replication group's list of groups, which only `ApplyImmediately` makes certain to
    /// be applied before the next maintenance window. That flag applies everything else that is
    /// pending too, so it is not sent while the owner has something pending.
    pub(crate) async fn set_replication_group_groups(&self, of: &StoreArn, to: &GroupList) -> Result<(), CloudError> {
        let call = Call::writing("elasticache:ModifyReplicationGroup", of.as_str());
        let raw = only(&call, self.groups_there(&[of]).await)?;
        let all: BTreeSet<StoreArn> = members(of, &raw).collect();
        let members = self.clusters_there(&all).await;
        if let Some(gap) = members.gaps.first() {
            return Err(unread(&call, gap));
        }
        if is_pending(&raw) || members.there.iter().any(|(_, member)| is_pending_in(member)) {
            return Err(pending_changes(&call));
        }
        let request = self.client.modify_replication_group().replication_group_id(of.name());
        let answer = request.set_security_group_ids(Some(group_ids(to))).apply_immediately(true).send().await;
        answer.map(drop).map_err(|error| call.failed(&error))
    }

    /// Likewise for a cache cluster.
    pub(crate) async fn set_cache_cluster_groups(&self, of: &StoreArn, to: &GroupList) -> Result<(), CloudError> {
        let call = Call::writing("elasticache:ModifyCacheCluster", of.as_str());
        if is_pending_in(&only(&call, self.clusters_there(&[of.clone()].into()).await)?) {
            return Err(pending_changes(&call));
        }
        let request = self.client.modify_cache_cluster().cache_cluster_id(of.name());
        let answer = request.set_security_group_ids(Some(group_ids(to))).apply_immediately(true).send().await;
        answer.map(drop).map_err(|error| call.failed(&error))
    }

    /// Writes a serverless cache's list of groups. The service takes one changed field a request
    /// and applies it at once.
    pub(crate) async fn set_serverless_cache_groups(&self, of: &StoreArn, to: &GroupList) -> Result<(), CloudError> {
        let call = Call::writing("elasticache:ModifyServerlessCache", of.as_str());
        let request = self.client.modify_serverless_cache().serverless_cache_name(of.name());
        let answer = request.set_security_group_ids(Some(group_ids(to))).send().await;
        answer.map(drop).map_err(|error| call.failed(&error))
    }

    async fn groups_there(&self, which: &[&StoreArn]) -> Answer<ReplicationGroup> {
        let single = async |name: &str| -> Described<ReplicationGroup, DescribeReplicationGroupsError> {
            match self.client.describe_replication_groups().replication_group_id(name).send().await {
                Ok(answer) => Ok(Some(answer.replication_groups.unwrap_or_default())),
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(DescribeReplicationGroupsError::is_replication_group_not_found_fault) =>
                {
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        };
        if which.len() <= MOST_SINGLY {
            return ask_singly(&GROUPS, which, single).await;
        }
        ask(&GROUPS, which, async |_, token| self.list_groups(token).await, single).await
    }

    async fn list_groups(&self, token: Option<String>) -> Listed<ReplicationGroup, DescribeReplicationGroupsError> {
        let request = self.client.describe_replication_groups().max_records(PAGE_SIZE);
        let page = request.set_marker(token).send().await?;
        Ok((page.replication_groups.unwrap_or_default(), page.marker))
    }

    async fn list_clusters(&self, token: Option<String>) -> Listed<CacheCluster, DescribeCacheClustersError> {
        let request = self.client.describe_cache_clusters().max_records(PAGE_SIZE);
        let page = request.show_cache_node_info(true).set_marker(token).send().await?;
        Ok((page.cache_clusters.unwrap_or_default(), page.marker))
    }

    async fn list_serverless(&self, token: Option<String>) -> Listed<ServerlessCache, DescribeServerlessCachesError> {
        let page = self.client.describe_serverless_caches().set_next_token(token).send().await?;
        Ok((page.serverless_caches.unwrap_or_default(), page.next_token))
    }

    async fn clusters_there(&self, which: &BTreeSet<StoreArn>) -> Answer<CacheCluster> {
        let which: Vec<&StoreArn> = which.iter().collect();
        let single = async |name: &str| -> Described<CacheCluster, DescribeCacheClustersError> {
            let request = self.client.describe_cache_clusters().cache_cluster_id(name);
            match request.show_cache_node_info(true).send().await {
                Ok(answer) => Ok(Some(answer.cache_clusters.unwrap_or_default())),
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(DescribeCacheClustersError::is_cache_cluster_not_found_fault) =>
                {
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        };
        if which.len() <= MOST_SINGLY {
            return ask_singly(&CLUSTERS, &which, single).await;
        }
        ask(&CLUSTERS, &which, async |_, token| self.list_clusters(token).await, single).await
    }

    /// The VPCs of caches' subnet groups, by name. A cache's ARN alone would not do to remember
    /// them by: it is taken again by a cache that is made under the old name.
    async fn vpcs_of(&self, clusters: &[(StoreArn, CacheCluster)]) -> BTreeMap<String, Result<VpcId, Gap>> {
        let read = async |name: &str| {
            let call = Call::reading(DESCRIBE_SUBNET_GROUPS, name);
            let request = self.client.describe_cache_subnet_groups().cache_subnet_group_name(name);
            let answer = request.send().await.map_err(|error| call.failed(&error))?;
            let vpc = answer.cache_subnet_groups().first().and_then(|group| group.vpc_id());
            let vpc = required(vpc, "VpcId of the subnet group").and_then(|vpc| Ok(VpcId::parse(vpc)?));
            vpc.map_err(|odd| call.odd(Some(name), &odd))
        };
        self.known_vpcs(clusters, read).await
    }

    async fn known_vpcs(
        &self,
        clusters: &[(StoreArn, CacheCluster)],
        read: impl AsyncFn(&str) -> Result<VpcId, Gap>,
    ) -> BTreeMap<String, Result<VpcId, Gap>> {
        let named: Vec<_> = clusters
            .iter()
            .filter_map(|(arn, raw)| {
                let born = raw.cache_cluster_create_time().map(|time| format!("{arn} of {}", time.as_nanos()));
                Some((born, subnet_group(raw)?))
            })
            .collect();
        self.vpcs.of(&named, read).await
    }

    /// What the tags of some caches ask for, each with its state.
    ///
    /// ElastiCache lists the tags of a cache only while it is available, and only that list proves
    /// that a tag is not there. In every other state the tag index is asked. If it knows the connect
    /// tag, that will do: the cache's own list of groups cannot be changed before it is available,
    /// and its tags are listed before that. If it does not, the cache may have been tagged a moment
    /// ago, and nothing is decided until it is available. A cache that never will be is taken as the
    /// index has it.
    async fn settings(
        &self,
        index: &TagIndex,
        caches: &[(&StoreArn, &str)],
    ) -> BTreeMap<StoreArn, Result<TagSettings, Gap>> {
        let readiness = |state: &str| Service::ElastiCache.row().readiness(state);
        let (ready, mut busy): (Vec<_>, Vec<_>) =
            caches.iter().copied().partition(|(_, state)| readiness(state) == Readiness::Ready);
        let lists = at_once(ready.into_iter().map(|(arn, _)| async move { (arn, self.tags(arn).await) }));
        let mut settings = BTreeMap::new();
        for (arn, listed) in lists.await {
            match listed {
                // Its state has changed since it was described.
                Err(error) if error.kind == ErrorKind::NotReady => busy.push((arn, "no longer available")),
                listed => {
                    settings.insert(arn.clone(), listed.map_err(Gap::from));
                }
            }
        }
        let arns: Vec<&StoreArn> = busy.iter().map(|(arn, _)| *arn).collect();
        let indexed = index.settings(&arns, &self.connect_key).await;
        for (arn, state) in busy {
            let known = indexed.found.iter().find(|(of, _)| of == arn).map(|(_, settings)| settings.clone());
            let answer = match (known, indexed.gaps.first()) {
                (Some(known), _) if known.connect != ConnectTag::Absent || readiness(state) == Readiness::Never => {
                    Ok(known)
                }
                (None, Some(gap)) => Err(for_store(gap, arn)),
                (None, None) if readiness(state) == Readiness::Never => Ok(self.no_settings()),
                (Some(_) | None, _) => {
                    let message = format!("its tags can only be listed while it is available, and it is {state:?}");
                    Err(Call::reading(LIST_TAGS, arn.as_str())
                        .error(ErrorKind::NotReady, "not-available", message)
                        .into())
                }
            };
            settings.insert(arn.clone(), answer);
        }
        settings
    }

    async fn tags(&self, of: &StoreArn) -> Result<TagSettings, CloudError> {
        let call = Call::reading(LIST_TAGS, of.as_str());
        let answer = self.client.list_tags_for_resource().resource_name(of.as_str()).send().await;
        let answer = answer.map_err(|error| call.failed(&error))?;
        let tags = answer.tag_list().iter();
        let tags = tags.map(|tag| (tag.key().unwrap_or_default(), tag.value().unwrap_or_default()));
        Ok(TagSettings::read(&self.connect_key, tags))
    }

    fn no_settings(&self) -> TagSettings {
        TagSettings::read(&self.connect_key, [])
    }
}

const LIST_TAGS: &str = "elasticache:ListTagsForResource";

/// The store that was asked for before something is written to it.
fn only<Raw>(call: &Call, answer: Answer<Raw>) -> Result<Raw, CloudError> {
    match (answer.there.into_iter().next(), answer.gaps.first()) {
        (Some((_, raw)), _) => Ok(raw),
        (None, Some(gap)) => Err(unread(call, gap)),
        (None, None) => Err(call.error(ErrorKind::NotFound, "store-gone", "there is no such store any more")),
    }
}

fn unread(call: &Call, gap: &Gap) -> CloudError {
    let kind = if gap.passing { ErrorKind::Unavailable } else { ErrorKind::Rejected };
    call.error(kind, "pending-changes-unread", format!("it is not known whether it has pending changes: {gap}"))
}

fn pending_changes(call: &Call) -> CloudError {
    let message = "it has changes pending for its next maintenance window, which would be carried out with this one";
    call.error(ErrorKind::PendingChanges, "pending-changes", message)
}

fn is_pending(group: &ReplicationGroup) -> bool {
    group.pending_modified_values().cloned().is_some_and(|mut pending| {
        pending.log_delivery_configurations.take_if(|list| list.is_empty());
        pending != aws_sdk_elasticache::types::ReplicationGroupPendingModifiedValues::builder().build()
    })
}

fn is_pending_in(cluster: &CacheCluster) -> bool {
    cluster.pending_modified_values().cloned().is_some_and(|mut pending| {
        pending.log_delivery_configurations.take_if(|list| list.is_empty());
        pending.cache_node_ids_to_remove.take_if(|list| list.is_empty());
        pending != aws_sdk_elasticache::types::PendingModifiedValues::builder().build()
    })
}

/// The member clusters of a replication group. Names that make no ARN are left out: nothing could
/// be asked about them.
fn members(arn: &StoreArn, raw: &ReplicationGroup) -> impl Iterator<Item = StoreArn> {
    let names = raw.member_clusters().iter();
    names.filter_map(|name| StoreArn::of(StoreKind::CacheCluster, arn.region(), arn.account(), name).ok())
}

fn first_member<'there>(
    arn: &StoreArn,
    raw: &ReplicationGroup,
    there: &'there Answer<CacheCluster>,
) -> Result<&'there CacheCluster, Gap> {
    let call = Call::reading(DESCRIBE_GROUPS, arn.as_str());
    let Some(member) = members(arn, raw).next() else {
        let state = raw.status().unwrap_or_default();
        let what = format!("it is {state:?} and has no member");
        let never = Service::ElastiCache.row().readiness(state) == Readiness::Never;
        let odd = if never { Odd::lasting(what) } else { Odd::later(what) };
        return Err(call.odd(Some(arn.as_str()), &odd));
    };
    if let Some((_, raw)) = there.there.iter().find(|(of, _)| *of == member) {
        return Ok(raw);
    }
    if there.gone.contains(&member) {
        return Err(call.odd(Some(arn.as_str()), &Odd::later(format!("its member {} is gone", member.name()))));
    }
    let gap = there.gaps.iter().find(|gap| gap.hides(&Subject::Store(member.clone())));
    let odd = Odd::later(format!("its member {} was not described", member.name()));
    Err(gap.map_or_else(|| call.odd(Some(arn.as_str()), &odd), |gap| for_store(gap, arn)))
}

/// A gap in something that a store was to be understood by.
fn for_store(gap: &Gap, arn: &StoreArn) -> Gap {
    Gap { resources: [Subject::Store(arn.clone())].into(), ..gap.clone() }
}

fn settings_of(arn: &StoreArn, settings: &BTreeMap<StoreArn, Result<TagSettings, Gap>>) -> Result<TagSettings, Gap> {
    let odd = Odd::later("its tags were not asked for");
    settings.get(arn).cloned().unwrap_or_else(|| Err(Call::reading(LIST_TAGS, arn.as_str()).odd(None, &odd)))
}

/// None for a cache outside any VPC.
fn subnet_group(raw: &CacheCluster) -> Option<&str> {
    raw.cache_subnet_group_name().filter(|name| !name.is_empty())
}

fn vpc_of(
    raw: &CacheCluster,
    vpcs: &BTreeMap<String, Result<VpcId, Gap>>,
    store: &StoreArn,
) -> Result<Option<VpcId>, Gap> {
    let vpc = subnet_group(raw).and_then(|name| vpcs.get(name)).cloned().transpose();
    vpc.map_err(|gap| for_store(&gap, store))
}

fn member_of(raw: &CacheCluster) -> Option<&str> {
    raw.replication_group_id().filter(|group| !group.is_empty())
}

fn groups_of(raw: &CacheCluster) -> impl Iterator<Item = (Option<&str>, Option<&str>)> {
    raw.security_groups().iter().map(|group| (group.security_group_id(), group.status()))
}

/// Cluster mode has one endpoint for all shards; without it, the one shard has its own.
fn group(
    raw: &ReplicationGroup,
    member: &CacheCluster,
    arn: &StoreArn,
    vpc: Option<VpcId>,
    settings: TagSettings,
) -> Result<DataStore, Odd> {
    let of_shards = raw.node_groups().iter().filter_map(NodeGroup::primary_endpoint);
    let endpoints = raw.configuration_endpoint().into_iter().chain(of_shards);
    let nodes = raw.node_groups().iter().flat_map(NodeGroup::node_group_members);
    Ok(DataStore {
        id: StoreId::parse(arn.as_str())?,
        arn: arn.clone(),
        service: Service::ElastiCache,
        vpc,
        zones: zones(nodes.filter_map(|node| node.preferred_availability_zone()))?,
        ports: ports(endpoints.filter_map(Endpoint::port))?,
        state: required(raw.status(), "Status")?.to_owned(),
        form: Form::Plain,
        groups: memberships(groups_of(member))?,
        settings,
    })
}

/// Memcached clusters have one endpoint for all nodes; a single node has its own.
fn cluster(raw: &CacheCluster, arn: &StoreArn, vpc: Option<VpcId>, settings: TagSettings) -> Result<DataStore, Odd> {
    let of_nodes = raw.cache_nodes().iter().filter_map(CacheNode::endpoint);
    let endpoints = raw.configuration_endpoint().into_iter().chain(of_nodes);
    let form = member_of(raw).map(|group| Form::ClusterMember { cluster: format!("the replication group {group}") });
    Ok(DataStore {
        id: StoreId::parse(arn.as_str())?,
        arn: arn.clone(),
        service: Service::ElastiCache,
        vpc,
        zones: zones(raw.cache_nodes().iter().filter_map(CacheNode::customer_availability_zone))?,
        ports: ports(endpoints.filter_map(Endpoint::port))?,
        state: required(raw.cache_cluster_status(), "CacheClusterStatus")?.to_owned(),
        form: form.unwrap_or(Form::Plain),
        groups: memberships(groups_of(raw))?,
        settings,
    })
}

fn a_group(raw: &ServerlessCache) -> Result<SecurityGroupId, Odd> {
    let first = raw.security_group_ids().first();
    let first = first.ok_or_else(|| Odd::later("it shows no security group, by which its VPC would be known"))?;
    Ok(SecurityGroupId::parse(first.as_str())?)
}

/// It listens on two ports, one for reading alone, which one rule has to cover.
fn serverless(
    raw: &ServerlessCache,
    arn: &StoreArn,
    vpcs: &BTreeMap<SecurityGroupId, VpcId>,
    settings: TagSettings,
) -> Result<DataStore, Odd> {
    let state = required(raw.status(), "Status")?;
    let vpc = vpcs.get(&a_group(raw)?).ok_or_else(|| Odd::passing("its security group cannot be seen"))?;
    let endpoints = raw.endpoint().into_iter().chain(raw.reader_endpoint());
    let groups = raw.security_group_ids().iter().map(|group| (Some(group.as_str()), None));
    Ok(DataStore {
        id: StoreId::parse(arn.as_str())?,
        arn: arn.clone(),
        service: Service::ElastiCache,
        vpc: Some(vpc.clone()),
        zones: BTreeSet::new(),
        ports: ports(endpoints.filter_map(Endpoint::port))?,
        state: state.to_owned(),
        form: Form::Plain,
        groups: memberships(groups)?,
        settings,
    })
}
