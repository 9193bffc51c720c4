//! Serverless caches. Their description names their subnets and groups and not their VPC, which is
//! that of any of the groups.

use std::collections::BTreeSet;

use aws_sdk_elasticache::types::{ConnectionType, Endpoint, ServerlessCache};
use futures_util::future::LocalBoxFuture;
use tagwire_core::{
    group::{GroupList, SecurityGroup},
    id::{SecurityGroupId, StoreArn, StoreId},
    model::{DataStore, Form, Network},
    observation::{Gap, Reading, StoreLookup, Subject},
    service::Service,
    tag::TagSettings,
};
use tagwire_engine::cloud::{CloudError, Groups};

use super::{ElastiCache, MOST_SINGLY, tags_in};
use crate::{
    call::{Call, Unusable, required},
    ec2::Ec2,
    reading::from_results,
    stores::{
        StoreService,
        fields::{group_ids, memberships, ports, state},
        gap_of,
        lookup::{DescribeCall, look_up},
    },
};

pub(super) const CACHES: DescribeCall<ServerlessCache> = DescribeCall {
    call: "elasticache:DescribeServerlessCaches",
    not_found: "ServerlessCacheNotFoundFault",
    singly: MOST_SINGLY,
    at_a_time: usize::MAX,
    arn: |raw| required(raw.arn(), "ARN").map(str::to_owned),
    vpc: |_| None,
};

/// Serverless caches.
pub(crate) struct ServerlessCaches<'aws> {
    pub(crate) elasticache: &'aws ElastiCache,
    pub(crate) ec2: &'aws Ec2,
}

impl StoreService for ServerlessCaches<'_> {
    fn by_arn(&self, which: Vec<StoreArn>) -> LocalBoxFuture<'_, Reading<StoreLookup>> {
        Box::pin(async move {
            let client = &self.elasticache.client;
            let single = async |name: &str| {
                let answer = client.describe_serverless_caches().serverless_cache_name(name).send().await?;
                Ok(answer.serverless_caches)
            };
            let mut lookups = look_up(&CACHES, &which, async |call: &Call, _| self.list(call).await, single).await;
            let found = std::mem::take(&mut lookups.found);
            let states: Vec<_> = found.iter().map(|(arn, raw)| (arn, raw.status().unwrap_or_default())).collect();
            let (groups, tags) = futures_util::join!(self.groups_of(&found), self.elasticache.tags_of(&states));
            let stores = from_results(found.iter().map(|(arn, raw)| decode(raw, arn, &groups, tags_in(&tags, arn)?)));
            lookups.into_reading(stores)
        })
    }

    fn all(&self) -> LocalBoxFuture<'_, Reading<DataStore>> {
        Box::pin(async move {
            let call = Call::reading(CACHES.call, "every serverless cache");
            let listed = self.list(&call).await;
            let named = CACHES.with_arns(&call, listed, ServerlessCache::serverless_cache_name);
            let groups = self.groups_of(&named.found).await;
            let tags = || self.elasticache.no_tags();
            let mut stores = from_results(named.found.iter().map(|(arn, raw)| decode(raw, arn, &groups, tags())));
            stores.gaps.extend(named.gaps);
            stores
        })
    }

    fn lists_tags(&self) -> bool {
        false
    }

    /// The service takes one changed field a request and applies it at once.
    // Fact 4.1
    fn set_groups<'call>(
        &'call self,
        of: &'call StoreArn,
        to: &'call GroupList,
    ) -> LocalBoxFuture<'call, Result<(), CloudError>> {
        Box::pin(async move {
            let call = Call::writing("elasticache:ModifyServerlessCache", of.as_str());
            let request = self.elasticache.client.modify_serverless_cache().serverless_cache_name(of.name());
            let answer = request.set_security_group_ids(Some(group_ids(to))).send().await;
            answer.map(drop).map_err(|error| call.failed(&error))
        })
    }
}

impl ServerlessCaches<'_> {
    async fn list(&self, call: &Call) -> Reading<ServerlessCache> {
        let pages = self.elasticache.client.describe_serverless_caches().into_paginator().send().collect().await;
        call.listed(pages, |page| (page.serverless_caches, page.next_token))
    }

    /// One security group of each cache.
    async fn groups_of(&self, caches: &[(StoreArn, ServerlessCache)]) -> Reading<SecurityGroup> {
        let one_of_each: BTreeSet<SecurityGroupId> = caches.iter().filter_map(|(_, raw)| a_group(raw)).collect();
        self.ec2.groups(Groups::Ids(&one_of_each)).await
    }
}

fn a_group(raw: &ServerlessCache) -> Option<SecurityGroupId> {
    raw.security_group_ids().first().and_then(|group| SecurityGroupId::parse(group.as_str()).ok())
}

fn decode(
    raw: &ServerlessCache,
    arn: &StoreArn,
    groups: &Reading<SecurityGroup>,
    tags: TagSettings,
) -> Result<DataStore, Gap> {
    let call = Call::of_store(CACHES.call, arn);
    let network = network(raw, groups).map_err(|gap| gap_of(gap, arn))?;
    cache(raw, arn, network, tags).map_err(|unusable| call.unusable(&unusable))
}

/// A cache with a public endpoint has neither groups nor subnets. One that shows neither while it is created
/// may still get them, and one whose group EC2 does not show is in a VPC that nobody can tell.
// Fact 9.3
fn network<'groups>(raw: &ServerlessCache, groups: &'groups Reading<SecurityGroup>) -> Result<Network, &'groups Gap> {
    if raw.connection_type() == Some(&ConnectionType::Public) {
        return Ok(Network::PublicEndpoint);
    }
    let Some(group) = a_group(raw) else { return Ok(Network::NotShown) };
    let vpc = groups.found.iter().find(|found| found.id == group).map(|found| found.vpc.clone());
    match (vpc, groups.gap_in(&Subject::Group(group))) {
        (Some(vpc), _) => Ok(Network::Vpc(vpc)),
        (None, Some(gap)) => Err(gap),
        (None, None) => Ok(Network::NotShown),
    }
}

/// It listens on two ports, one for reading alone, which one rule has to cover.
fn cache(raw: &ServerlessCache, arn: &StoreArn, network: Network, tags: TagSettings) -> Result<DataStore, Unusable> {
    let endpoints = raw.endpoint().into_iter().chain(raw.reader_endpoint());
    let groups = raw.security_group_ids().iter().map(|group| (Some(group.as_str()), None));
    Ok(DataStore {
        id: StoreId::parse(arn.as_str())?,
        arn: arn.clone(),
        service: Service::ElastiCache,
        network,
        zones: BTreeSet::new(),
        ports: ports(endpoints.filter_map(Endpoint::port))?,
        state: state(raw.status()),
        form: Form::Plain,
        groups: memberships(groups)?,
        settings: tags,
    })
}
