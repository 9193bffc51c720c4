//! Redshift: provisioned clusters. Their description holds everything, and their namespace is what
//! survives a rename.

#[cfg(test)]
mod tests;

use aws_config::SdkConfig;
use aws_sdk_redshift::{
    Client,
    operation::describe_clusters::DescribeClustersError,
    types::{Cluster, Endpoint, SecondaryClusterInfo, Tag},
};
use tagwire_core::{
    group::GroupList,
    id::{StoreArn, StoreId, VpcId},
    model::{DataStore, Form},
    observation::{Reading, StoreLookup},
    service::Service,
    tag::{STATUS_KEY, TagSettings},
};
use tagwire_engine::cloud::CloudError;

#[cfg(feature = "account")]
use crate::probe::Probe;
use crate::{
    error::{Call, Odd, required},
    reading::pages,
    stores::{Shape, ask, ask_singly, group_ids, memberships, ports, zones},
};

/// Most records a page may hold.
const PAGE_SIZE: i32 = 100;
/// Most clusters that are asked for one by one; for more, all that carry the tag are listed.
const MOST_SINGLY: usize = 20;

const DESCRIBE: &str = "redshift:DescribeClusters";

const CLUSTERS: Shape<Cluster> = Shape { call: DESCRIBE, arn };

/// Redshift.
#[derive(Debug)]
pub(crate) struct Redshift {
    client: Client,
    connect_key: String,
}

impl Redshift {
    pub(crate) fn new(config: &SdkConfig, connect_key: String) -> Self {
        Self { client: Client::new(config), connect_key }
    }

    /// Tries the read of Redshift.
    #[cfg(feature = "account")]
    pub(crate) async fn probes(&self) -> Vec<Probe> {
        // Fewest records that Redshift lets a page hold.
        vec![Probe::of("redshift:DescribeClusters", self.client.describe_clusters().max_records(20).send().await)]
    }

    /// Asks for clusters.
    pub(crate) async fn clusters(&self, which: &[&StoreArn]) -> Reading<StoreLookup> {
        let single = async |name: &str| match self.client.describe_clusters().cluster_identifier(name).send().await {
            Ok(answer) => Ok(Some(answer.clusters.unwrap_or_default())),
            Err(error) if error.as_service_error().is_some_and(DescribeClustersError::is_cluster_not_found_fault) => {
                Ok(None)
            }
            Err(error) => Err(error),
        };
        let mut answer = if which.len() > MOST_SINGLY {
            let list = async |_, token| {
                let request = self.client.describe_clusters().tag_keys(self.connect_key.as_str());
                let page = request.max_records(PAGE_SIZE).set_marker(token).send().await?;
                Ok((page.clusters.unwrap_or_default(), page.marker))
            };
            ask(&CLUSTERS, which, list, single).await
        } else {
            ask_singly(&CLUSTERS, which, single).await
        };
        let stores = self.understand(std::mem::take(&mut answer.there));
        answer.into_reading(stores)
    }

    fn understand(&self, clusters: Vec<(StoreArn, Cluster)>) -> Reading<DataStore> {
        let mut stores = Reading::default();
        for (arn, raw) in clusters {
            let call = Call::reading(DESCRIBE, arn.as_str());
            match cluster(&raw, &arn, &self.connect_key) {
                Ok(store) => stores.found.push(store),
                Err(odd) => stores.gaps.push(call.odd(Some(arn.as_str()), &odd)),
            }
        }
        stores
    }

    /// The clusters that have these identities, whatever they are called now. The service cannot be
    /// asked by namespace, so all are listed.
    pub(crate) async fn by_identity(&self, which: &[&StoreId]) -> Reading<DataStore> {
        let what = format!("clusters of {} namespaces", which.len());
        let wanted = |raw: &Cluster| which.iter().any(|id| raw.cluster_namespace_arn() == Some(id.as_str()));
        // One that shows no namespace yet may turn out to have any of these.
        self.listed(&what, |raw| wanted(raw) || namespace(raw).is_err()).await
    }

    /// Every cluster.
    pub(crate) async fn all(&self) -> Reading<DataStore> {
        self.listed("every cluster", |_| true).await
    }

    async fn listed(&self, what: &str, wanted: impl Fn(&Cluster) -> bool) -> Reading<DataStore> {
        let call = Call::reading(DESCRIBE, what);
        let mut listed = pages(&call, what, async |token| {
            let page = self.client.describe_clusters().max_records(PAGE_SIZE).set_marker(token).send().await?;
            Ok((page.clusters.unwrap_or_default(), page.marker))
        })
        .await;
        listed.found.retain(wanted);
        let named = call.understand(listed, Cluster::cluster_identifier, CLUSTERS.with_arn());
        let mut stores = self.understand(named.found);
        stores.gaps.extend(named.gaps);
        stores
    }

    /// Writes a status tag, or takes it away.
    pub(crate) async fn set_status(&self, of: &StoreArn, text: Option<&str>) -> Result<(), CloudError> {
        if let Some(text) = text {
            let call = Call::writing("redshift:CreateTags", of.as_str());
            let tag = Tag::builder().key(STATUS_KEY).value(text).build();
            let request = self.client.create_tags().resource_name(of.as_str()).tags(tag);
            request.send().await.map(drop).map_err(|error| call.failed(&error))
        } else {
            let call = Call::writing("redshift:DeleteTags", of.as_str());
            let request = self.client.delete_tags().resource_name(of.as_str()).tag_keys(STATUS_KEY);
            request.send().await.map(drop).map_err(|error| call.failed(&error))
        }
    }

    /// Writes the list of groups and nothing else; it is applied as soon as possible.
    pub(crate) async fn set_groups(&self, of: &StoreArn, to: &GroupList) -> Result<(), CloudError> {
        let call = Call::writing("redshift:ModifyCluster", of.as_str());
        let request = self.client.modify_cluster().cluster_identifier(of.name());
        let answer = request.set_vpc_security_group_ids(Some(group_ids(to))).send().await;
        answer.map(drop).map_err(|error| call.failed(&error))
    }
}

fn namespace(raw: &Cluster) -> Result<&str, Odd> {
    let namespace = raw.cluster_namespace_arn().filter(|arn| !arn.is_empty());
    namespace.ok_or_else(|| Odd::later("it has no namespace yet"))
}

/// A description holds the ARN of the cluster's namespace and not its own, which has the same
/// partition, Region and account.
fn arn(raw: &Cluster) -> Result<String, Odd> {
    let name = required(raw.cluster_identifier(), "ClusterIdentifier")?;
    let namespace = namespace(raw)?;
    let place = namespace.split_once(":namespace:").map(|(place, _)| place);
    let place = place.ok_or_else(|| Odd::lasting(format!("{namespace:?} is not the ARN of a namespace")))?;
    Ok(format!("{place}:cluster:{name}"))
}

fn cluster(raw: &Cluster, arn: &StoreArn, connect_key: &str) -> Result<DataStore, Odd> {
    let second_zone = raw.multi_az_secondary().and_then(SecondaryClusterInfo::availability_zone);
    let vpc = raw.vpc_id().filter(|vpc| !vpc.is_empty());
    let groups = raw.vpc_security_groups().iter().map(|group| (group.vpc_security_group_id(), group.status()));
    let tags = raw.tags().iter().map(|tag| (tag.key().unwrap_or_default(), tag.value().unwrap_or_default()));
    Ok(DataStore {
        id: StoreId::parse(namespace(raw)?)?,
        arn: arn.clone(),
        service: Service::Redshift,
        vpc: vpc.map(VpcId::parse).transpose()?,
        zones: zones(raw.availability_zone().into_iter().chain(second_zone))?,
        ports: ports(raw.endpoint().and_then(Endpoint::port))?,
        state: required(raw.cluster_status(), "ClusterStatus")?.to_owned(),
        form: Form::Plain,
        groups: memberships(groups)?,
        settings: TagSettings::read(connect_key, tags),
    })
}
