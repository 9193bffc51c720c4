//! Serverless caches. Their description names their subnets and groups and not their VPC, which is
//! that of any of the groups.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticache::types::{Endpoint, ServerlessCache};
use futures_util::future::LocalBoxFuture;
use tagwire_core::{
    group::{GroupList, SecurityGroup},
    id::{SecurityGroupId, StoreArn, StoreId, VpcId},
    model::{DataStore, Form},
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
        fields::{group_ids, memberships, ports},
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
        let one_of_each: BTreeSet<SecurityGroupId> = caches.iter().filter_map(|(_, raw)| a_group(raw).ok()).collect();
        self.ec2.groups(Groups::Ids(&one_of_each)).await
    }
}

fn a_group(raw: &ServerlessCache) -> Result<SecurityGroupId, Unusable> {
    let first = raw.security_group_ids().first();
    let first = first.ok_or_else(|| Unusable::later("it shows no security group, by which its VPC would be known"))?;
    Ok(SecurityGroupId::parse(first.as_str())?)
}

fn decode(
    raw: &ServerlessCache,
    arn: &StoreArn,
    groups: &Reading<SecurityGroup>,
    tags: TagSettings,
) -> Result<DataStore, Gap> {
    let call = Call::of_store(CACHES.call, arn);
    let group = a_group(raw).map(Subject::Group);
    let unread = || groups.gap_in(group.as_ref().ok()?).map(|gap| gap_of(gap, arn));
    let vpcs: BTreeMap<&SecurityGroupId, &VpcId> = groups.found.iter().map(|group| (&group.id, &group.vpc)).collect();
    cache(raw, arn, &vpcs, tags).map_err(|unusable| unread().unwrap_or_else(|| call.unusable(&unusable)))
}

/// It listens on two ports, one for reading alone, which one rule has to cover.
fn cache(
    raw: &ServerlessCache,
    arn: &StoreArn,
    vpcs: &BTreeMap<&SecurityGroupId, &VpcId>,
    tags: TagSettings,
) -> Result<DataStore, Unusable> {
    let state = required(raw.status(), "Status")?;
    let vpc = vpcs.get(&a_group(raw)?).ok_or_else(|| Unusable::passing("its security group cannot be seen"))?;
    let endpoints = raw.endpoint().into_iter().chain(raw.reader_endpoint());
    let groups = raw.security_group_ids().iter().map(|group| (Some(group.as_str()), None));
    Ok(DataStore {
        id: StoreId::parse(arn.as_str())?,
        arn: arn.clone(),
        service: Service::ElastiCache,
        vpc: Some((*vpc).clone()),
        zones: BTreeSet::new(),
        ports: ports(endpoints.filter_map(Endpoint::port))?,
        state: state.to_owned(),
        form: Form::Plain,
        groups: memberships(groups)?,
        settings: tags,
    })
}
