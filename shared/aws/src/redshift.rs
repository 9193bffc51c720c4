//! Redshift: provisioned clusters. Their description holds everything, and their namespace
//! survives a rename.

#[cfg(test)]
mod tests;

use aws_config::SdkConfig;
use aws_sdk_redshift::{
    Client,
    types::{Cluster, Endpoint, SecondaryClusterInfo, Tag},
};
use futures_util::future::LocalBoxFuture;
use tagwire_core::{
    group::GroupList,
    id::{StoreArn, StoreId, VpcId},
    model::{DataStore, Form, Network},
    observation::{Reading, StoreLookup, Subject},
    service::Service,
    tag::{STATUS_KEY, TagSettings},
};
use tagwire_engine::cloud::CloudError;

#[cfg(feature = "account")]
use crate::probe::Probe;
use crate::{
    call::{Call, Unusable, required},
    reading::from_results,
    stores::{
        StoreService,
        fields::{group_ids, memberships, ports, state, zones},
        lookup::{DescribeCall, look_up},
        subnets::vpc_shown,
    },
};

/// Most records a page may hold.
const PAGE_SIZE: i32 = 100;

/// For more clusters than can be asked for one by one, all that carry the connect tag are listed.
const CLUSTERS: DescribeCall<Cluster> = DescribeCall {
    call: "redshift:DescribeClusters",
    not_found: "ClusterNotFound",
    singly: 20,
    at_a_time: usize::MAX,
    arn,
    vpc: Cluster::vpc_id,
};

/// The Redshift API.
#[derive(Debug)]
pub(crate) struct Redshift {
    client: Client,
    connect_key: String,
}

/// Provisioned clusters.
pub(crate) struct RedshiftClusters<'aws>(pub(crate) &'aws Redshift);

impl StoreService for RedshiftClusters<'_> {
    fn by_arn(&self, which: Vec<StoreArn>) -> LocalBoxFuture<'_, Reading<StoreLookup>> {
        let Self(redshift) = self;
        Box::pin(async move {
            let list = async |call: &Call, _| {
                let request = redshift.client.describe_clusters().tag_keys(redshift.connect_key.as_str());
                let pages = request.max_records(PAGE_SIZE).into_paginator().send().collect().await;
                call.listed(pages, |page| (page.clusters, page.marker))
            };
            let single = async |name: &str| {
                let answer = redshift.client.describe_clusters().cluster_identifier(name).send().await?;
                Ok(answer.clusters)
            };
            let mut lookups = look_up(&CLUSTERS, &which, list, single).await;
            let stores = redshift.decode(std::mem::take(&mut lookups.found));
            lookups.into_reading(stores)
        })
    }

    fn all(&self) -> LocalBoxFuture<'_, Reading<DataStore>> {
        Box::pin(self.0.listed(Call::reading(CLUSTERS.call, "every cluster"), |_| true))
    }

    /// Redshift cannot be asked by namespace, so all clusters are listed.
    fn by_identity(&self, which: Vec<(StoreId, StoreArn)>) -> LocalBoxFuture<'_, Reading<DataStore>> {
        Box::pin(async move {
            let call = Call::reading(CLUSTERS.call, format!("clusters of {} namespaces", which.len()));
            let call = call.about(which.iter().map(|(_, arn)| Subject::Store(arn.clone())));
            let wanted = |raw: &Cluster| which.iter().any(|(id, _)| raw.cluster_namespace_arn() == Some(id.as_str()));
            // A cluster that shows no namespace yet may turn out to have any of these.
            self.0.listed(call, |raw| wanted(raw) || namespace(raw).is_err()).await
        })
    }

    /// The list is applied as soon as possible.
    fn set_groups<'call>(
        &'call self,
        of: &'call StoreArn,
        to: &'call GroupList,
    ) -> LocalBoxFuture<'call, Result<(), CloudError>> {
        Box::pin(async move {
            let call = Call::writing("redshift:ModifyCluster", of.as_str());
            let request = self.0.client.modify_cluster().cluster_identifier(of.name());
            let answer = request.set_vpc_security_group_ids(Some(group_ids(to))).send().await;
            answer.map(drop).map_err(|error| call.failed(&error))
        })
    }

    fn set_status<'call>(
        &'call self,
        of: &'call StoreArn,
        text: Option<&'call str>,
    ) -> LocalBoxFuture<'call, Result<(), CloudError>> {
        Box::pin(async move {
            let client = &self.0.client;
            if let Some(text) = text {
                let call = Call::writing("redshift:CreateTags", of.as_str());
                let tag = Tag::builder().key(STATUS_KEY).value(text).build();
                let answer = client.create_tags().resource_name(of.as_str()).tags(tag).send().await;
                answer.map(drop).map_err(|error| call.failed(&error))
            } else {
                let call = Call::writing("redshift:DeleteTags", of.as_str());
                let answer = client.delete_tags().resource_name(of.as_str()).tag_keys(STATUS_KEY).send().await;
                answer.map(drop).map_err(|error| call.failed(&error))
            }
        })
    }
}

impl Redshift {
    pub(crate) fn new(config: &SdkConfig, connect_key: String) -> Self {
        Self { client: Client::new(config), connect_key }
    }

    /// Tries the read of Redshift.
    #[cfg(feature = "account")]
    pub(crate) async fn probes(&self) -> Vec<Probe> {
        // Fewest records that Redshift lets a page hold.
        vec![Probe::of(CLUSTERS.call, self.client.describe_clusters().max_records(20).send().await)]
    }

    async fn listed(&self, call: Call, wanted: impl Fn(&Cluster) -> bool) -> Reading<DataStore> {
        let pages = self.client.describe_clusters().max_records(PAGE_SIZE).into_paginator().send().collect().await;
        let mut listed = call.listed(pages, |page| (page.clusters, page.marker));
        listed.found.retain(wanted);
        let named = CLUSTERS.with_arns(&call, listed, Cluster::cluster_identifier);
        let mut stores = self.decode(named.found);
        stores.gaps.extend(named.gaps);
        stores
    }

    fn decode(&self, clusters: Vec<(StoreArn, Cluster)>) -> Reading<DataStore> {
        from_results(clusters.into_iter().map(|(arn, raw)| {
            let vpc = raw.vpc_id().and_then(|vpc| VpcId::parse(vpc).ok());
            let call = Call::of_store(CLUSTERS.call, &arn).in_vpc(vpc.as_ref());
            let unusable = |unusable| call.unusable(&unusable);
            cluster(&raw, &arn, &self.connect_key).map_err(unusable)
        }))
    }
}

fn namespace(raw: &Cluster) -> Result<&str, Unusable> {
    let namespace = raw.cluster_namespace_arn().filter(|arn| !arn.is_empty());
    namespace.ok_or_else(|| Unusable::later("it has no namespace yet"))
}

/// A description holds the ARN of the cluster's namespace and not its own, which has the same
/// partition, Region and account.
fn arn(raw: &Cluster) -> Result<String, Unusable> {
    let name = required(raw.cluster_identifier(), "ClusterIdentifier")?;
    let namespace = namespace(raw)?;
    let place = namespace.split_once(":namespace:").map(|(place, _)| place);
    let place = place.ok_or_else(|| Unusable::lasting(format!("{namespace:?} is not the ARN of a namespace")))?;
    Ok(format!("{place}:cluster:{name}"))
}

fn cluster(raw: &Cluster, arn: &StoreArn, connect_key: &str) -> Result<DataStore, Unusable> {
    let second_zone = raw.multi_az_secondary().and_then(SecondaryClusterInfo::availability_zone);
    let shown = vpc_shown(raw.vpc_id())?;
    // Only a cluster outside any VPC has security groups of Redshift's own. Fact 4.4
    let is_classic = shown == Network::NotShown && !raw.cluster_security_groups().is_empty();
    let groups = raw.vpc_security_groups().iter().map(|group| (group.vpc_security_group_id(), group.status()));
    let tags = raw.tags().iter().map(|tag| (tag.key().unwrap_or_default(), tag.value().unwrap_or_default()));
    Ok(DataStore {
        id: StoreId::parse(namespace(raw)?)?,
        arn: arn.clone(),
        service: Service::Redshift,
        network: if is_classic { Network::Classic } else { shown },
        zones: zones(raw.availability_zone().into_iter().chain(second_zone))?,
        ports: ports(raw.endpoint().and_then(Endpoint::port))?,
        state: state(raw.cluster_status()),
        form: Form::Plain,
        groups: memberships(groups)?,
        settings: TagSettings::read(connect_key, tags),
    })
}
