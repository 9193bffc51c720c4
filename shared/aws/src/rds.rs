//! RDS: DB clusters and DB instances. Its API also describes and modifies DocumentDB and Neptune
//! clusters, which only the engine's name tells apart.

#[cfg(test)]
mod tests;

use aws_config::SdkConfig;
use aws_sdk_rds::{
    Client,
    types::{DbCluster, DbInstance, DbSubnetGroup, Endpoint, Filter, Tag, VpcSecurityGroupMembership},
};
use futures_util::future::LocalBoxFuture;
use tagwire_core::{
    group::GroupList,
    id::{StoreArn, StoreId, VpcId},
    model::{DataStore, Form, Network},
    observation::{Gap, Reading, StoreLookup},
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
        gap_of,
        lookup::{DescribeCall, find, look_up},
        subnets::{KnownVpcs, listed_networks, named_network, network_in, network_of_group, vpc_shown},
    },
};

/// Most records a page may hold, and therefore most identifiers that are asked for at once.
const PAGE_SIZE: i32 = 100;
const AT_A_TIME: usize = 100;
/// Fewest records that RDS lets a page hold.
#[cfg(feature = "account")]
// Fact 3.4
const FEWEST: i32 = 20;

const DESCRIBE_SUBNET_GROUPS: &str = "rds:DescribeDBSubnetGroups";

const CLUSTERS: DescribeCall<DbCluster> = DescribeCall {
    call: "rds:DescribeDBClusters",
    not_found: "DBClusterNotFoundFault",
    singly: 0,
    at_a_time: AT_A_TIME,
    arn: |raw| required(raw.db_cluster_arn(), "DBClusterArn").map(str::to_owned),
    vpc: |_| None,
};
const INSTANCES: DescribeCall<DbInstance> = DescribeCall {
    call: "rds:DescribeDBInstances",
    not_found: "DBInstanceNotFound",
    singly: 0,
    at_a_time: AT_A_TIME,
    arn: |raw| required(raw.db_instance_arn(), "DBInstanceArn").map(str::to_owned),
    vpc: |raw| raw.db_subnet_group()?.vpc_id(),
};

/// The RDS API.
#[derive(Debug)]
pub(crate) struct Rds {
    client: Client,
    connect_key: String,
    vpcs: KnownVpcs,
}

/// DB clusters, of all engines.
pub(crate) struct DbClusters<'aws>(pub(crate) &'aws Rds);

/// DB instances. Members of clusters are among them, and their form says so.
pub(crate) struct DbInstances<'aws>(pub(crate) &'aws Rds);

impl StoreService for DbClusters<'_> {
    fn by_arn(&self, which: Vec<StoreArn>) -> LocalBoxFuture<'_, Reading<StoreLookup>> {
        let Self(rds) = self;
        Box::pin(async move {
            let list = async |call: &Call, names| rds.list_clusters(call, Some(filter("db-cluster-id", names))).await;
            let single = async |name: &str| {
                let answer = rds.client.describe_db_clusters().db_cluster_identifier(name).send().await?;
                Ok(answer.db_clusters)
            };
            let mut lookups = look_up(&CLUSTERS, &which, list, single).await;
            let found = std::mem::take(&mut lookups.found);
            let stores = rds.decode_clusters(found, async |name: &str| rds.network_of(name).await).await;
            lookups.into_reading(stores)
        })
    }

    /// The subnet groups are listed as well, instead of being asked for one by one.
    fn all(&self) -> LocalBoxFuture<'_, Reading<DataStore>> {
        let Self(rds) = self;
        Box::pin(async move {
            let call = Call::reading(CLUSTERS.call, "every DB cluster");
            let listed = rds.list_clusters(&call, None).await;
            let named = CLUSTERS.with_arns(&call, listed, DbCluster::db_cluster_identifier);
            if named.found.is_empty() {
                return Reading { found: Vec::new(), gaps: named.gaps };
            }
            let networks = rds.all_subnet_groups().await;
            let mut stores = rds.decode_clusters(named.found, listed_networks(&networks)).await;
            stores.gaps.extend(named.gaps);
            stores
        })
    }

    fn by_identity(&self, which: Vec<(StoreId, StoreArn)>) -> LocalBoxFuture<'_, Reading<DataStore>> {
        let Self(rds) = self;
        Box::pin(async move {
            let list =
                async |call: &Call, ids| rds.list_clusters(call, Some(filter("db-cluster-resource-id", ids))).await;
            let named = find(&CLUSTERS, &which, list).await;
            let mut stores = rds.decode_clusters(named.found, async |name: &str| rds.network_of(name).await).await;
            stores.gaps.extend(named.gaps);
            stores
        })
    }

    /// RDS applies the list at once whatever `ApplyImmediately` says, and that flag would also apply
    /// the owner's own pending changes.
    // Fact 4.1
    fn set_groups<'call>(
        &'call self,
        of: &'call StoreArn,
        to: &'call GroupList,
    ) -> LocalBoxFuture<'call, Result<(), CloudError>> {
        Box::pin(async move {
            let call = Call::writing("rds:ModifyDBCluster", of.as_str());
            let request = self.0.client.modify_db_cluster().db_cluster_identifier(of.name());
            let answer = request.set_vpc_security_group_ids(Some(group_ids(to))).send().await;
            answer.map(drop).map_err(|error| call.failed(&error))
        })
    }

    fn set_status<'call>(
        &'call self,
        of: &'call StoreArn,
        text: Option<&'call str>,
    ) -> LocalBoxFuture<'call, Result<(), CloudError>> {
        Box::pin(self.0.set_status(of, text))
    }
}

impl StoreService for DbInstances<'_> {
    fn by_arn(&self, which: Vec<StoreArn>) -> LocalBoxFuture<'_, Reading<StoreLookup>> {
        let Self(rds) = self;
        Box::pin(async move {
            let list = async |call: &Call, names| rds.list_instances(call, Some(filter("db-instance-id", names))).await;
            let single = async |name: &str| {
                let answer = rds.client.describe_db_instances().db_instance_identifier(name).send().await?;
                Ok(answer.db_instances)
            };
            let mut lookups = look_up(&INSTANCES, &which, list, single).await;
            let stores = rds.decode_instances(std::mem::take(&mut lookups.found));
            lookups.into_reading(stores)
        })
    }

    fn all(&self) -> LocalBoxFuture<'_, Reading<DataStore>> {
        let Self(rds) = self;
        Box::pin(async move {
            let call = Call::reading(INSTANCES.call, "every DB instance");
            let listed = rds.list_instances(&call, None).await;
            let named = INSTANCES.with_arns(&call, listed, DbInstance::db_instance_identifier);
            let mut stores = rds.decode_instances(named.found);
            stores.gaps.extend(named.gaps);
            stores
        })
    }

    fn by_identity(&self, which: Vec<(StoreId, StoreArn)>) -> LocalBoxFuture<'_, Reading<DataStore>> {
        let Self(rds) = self;
        Box::pin(async move {
            let list = async |call: &Call, ids| rds.list_instances(call, Some(filter("dbi-resource-id", ids))).await;
            let named = find(&INSTANCES, &which, list).await;
            let mut stores = rds.decode_instances(named.found);
            stores.gaps.extend(named.gaps);
            stores
        })
    }

    /// Applied at once, like the list of a DB cluster.
    // Fact 4.1
    fn set_groups<'call>(
        &'call self,
        of: &'call StoreArn,
        to: &'call GroupList,
    ) -> LocalBoxFuture<'call, Result<(), CloudError>> {
        Box::pin(async move {
            let call = Call::writing("rds:ModifyDBInstance", of.as_str());
            let request = self.0.client.modify_db_instance().db_instance_identifier(of.name());
            let answer = request.set_vpc_security_group_ids(Some(group_ids(to))).send().await;
            answer.map(drop).map_err(|error| call.failed(&error))
        })
    }

    fn set_status<'call>(
        &'call self,
        of: &'call StoreArn,
        text: Option<&'call str>,
    ) -> LocalBoxFuture<'call, Result<(), CloudError>> {
        Box::pin(self.0.set_status(of, text))
    }
}

impl Rds {
    pub(crate) fn new(config: &SdkConfig, connect_key: String) -> Self {
        Self { client: Client::new(config), connect_key, vpcs: KnownVpcs::default() }
    }

    /// Tries every read of RDS.
    #[cfg(feature = "account")]
    pub(crate) async fn probes(&self) -> Vec<Probe> {
        let (clusters, instances, subnet_groups) = futures_util::join!(
            self.client.describe_db_clusters().max_records(FEWEST).send(),
            self.client.describe_db_instances().max_records(FEWEST).send(),
            self.client.describe_db_subnet_groups().max_records(FEWEST).send(),
        );
        vec![
            Probe::of(CLUSTERS.call, clusters),
            Probe::of(INSTANCES.call, instances),
            Probe::of(DESCRIBE_SUBNET_GROUPS, subnet_groups),
        ]
    }

    async fn list_clusters(&self, call: &Call, only: Option<Filter>) -> Reading<DbCluster> {
        let request = self.client.describe_db_clusters().set_filters(only.map(|filter| vec![filter]));
        let pages = request.max_records(PAGE_SIZE).into_paginator().send().collect().await;
        call.listed(pages, |page| (page.db_clusters, page.marker))
    }

    async fn list_instances(&self, call: &Call, only: Option<Filter>) -> Reading<DbInstance> {
        let request = self.client.describe_db_instances().set_filters(only.map(|filter| vec![filter]));
        let pages = request.max_records(PAGE_SIZE).into_paginator().send().collect().await;
        call.listed(pages, |page| (page.db_instances, page.marker))
    }

    async fn all_subnet_groups(&self) -> Reading<(String, Network)> {
        let call = Call::reading(DESCRIBE_SUBNET_GROUPS, "every DB subnet group");
        let request = self.client.describe_db_subnet_groups().max_records(PAGE_SIZE);
        let pages = request.into_paginator().send().collect().await;
        let listed = call.listed(pages, |page| (page.db_subnet_groups, page.marker));
        call.decode(listed, DbSubnetGroup::db_subnet_group_name, |raw| {
            named_network("DBSubnetGroupName", raw.db_subnet_group_name(), raw.vpc_id())
        })
    }

    async fn network_of(&self, subnet_group: &str) -> Result<Network, Gap> {
        let call = Call::reading(DESCRIBE_SUBNET_GROUPS, subnet_group);
        let request = self.client.describe_db_subnet_groups().db_subnet_group_name(subnet_group);
        let answer = request.send().await.map_err(|error| call.failed(&error))?;
        let vpc = answer.db_subnet_groups().first().and_then(DbSubnetGroup::vpc_id);
        network_of_group(&call, vpc)
    }

    async fn decode_clusters(
        &self,
        clusters: Vec<(StoreArn, DbCluster)>,
        network_of: impl AsyncFn(&str) -> Result<Network, Gap>,
    ) -> Reading<DataStore> {
        let named: Vec<_> = clusters
            .iter()
            .filter_map(|(_, raw)| Some((raw.db_cluster_resource_id().map(str::to_owned), subnet_group(raw)?)))
            .collect();
        let networks = self.vpcs.of(&named, network_of).await;
        from_results(clusters.iter().map(|(arn, raw)| {
            let of_group = network_in(&networks, subnet_group(raw)).map_err(|gap| gap_of(&gap, arn))?;
            let network = of_group.unwrap_or_else(|| network_without_subnets(raw));
            let call = Call::of_store(CLUSTERS.call, arn).in_vpc(network.vpc());
            cluster(raw, arn.clone(), network, &self.connect_key).map_err(|unusable| call.unusable(&unusable))
        }))
    }

    fn decode_instances(&self, instances: Vec<(StoreArn, DbInstance)>) -> Reading<DataStore> {
        from_results(instances.into_iter().map(|(arn, raw)| {
            let vpc = (INSTANCES.vpc)(&raw).and_then(|vpc| VpcId::parse(vpc).ok());
            let call = Call::of_store(INSTANCES.call, &arn).in_vpc(vpc.as_ref());
            let unusable = |unusable| call.unusable(&unusable);
            instance(&raw, arn.clone(), &self.connect_key).map_err(unusable)
        }))
    }

    async fn set_status(&self, of: &StoreArn, text: Option<&str>) -> Result<(), CloudError> {
        if let Some(text) = text {
            let call = Call::writing("rds:AddTagsToResource", of.as_str());
            let tag = Tag::builder().key(STATUS_KEY).value(text).build();
            let request = self.client.add_tags_to_resource().resource_name(of.as_str()).tags(tag);
            request.send().await.map(drop).map_err(|error| call.failed(&error))
        } else {
            let call = Call::writing("rds:RemoveTagsFromResource", of.as_str());
            let request = self.client.remove_tags_from_resource().resource_name(of.as_str()).tag_keys(STATUS_KEY);
            request.send().await.map(drop).map_err(|error| call.failed(&error))
        }
    }
}

fn filter(name: &str, values: Vec<String>) -> Filter {
    Filter::builder().name(name).set_values(Some(values)).build()
}

fn subnet_group(raw: &DbCluster) -> Option<&str> {
    raw.db_subnet_group().filter(|name| !name.is_empty())
}

/// No cluster was ever on the EC2-Classic platform.
// Fact 9.1
fn network_without_subnets(raw: &DbCluster) -> Network {
    let is_off = raw.vpc_networking_enabled() == Some(false);
    if is_off || raw.internet_access_gateway_enabled() == Some(true) {
        Network::VpcNetworkingOff
    } else {
        Network::NotShown
    }
}

/// Only an instance outside any VPC has security groups of RDS's own.
// Fact 4.4
fn network_of_instance(raw: &DbInstance) -> Result<Network, Unusable> {
    let shown = vpc_shown(raw.db_subnet_group().and_then(|group| group.vpc_id()))?;
    let is_classic = shown == Network::NotShown && !raw.db_security_groups().is_empty();
    Ok(if is_classic { Network::Classic } else { shown })
}

fn cluster(raw: &DbCluster, arn: StoreArn, network: Network, connect_key: &str) -> Result<DataStore, Unusable> {
    Ok(DataStore {
        id: StoreId::parse(required(raw.db_cluster_resource_id(), "DbClusterResourceId")?)?,
        arn,
        service: service(raw.engine())?,
        network,
        zones: zones(raw.availability_zones().iter().map(String::as_str))?,
        ports: ports(raw.port())?,
        state: state(raw.status()),
        form: cluster_form(raw),
        groups: memberships(groups(raw.vpc_security_groups()))?,
        settings: settings(raw.tag_list(), connect_key),
    })
}

fn instance(raw: &DbInstance, arn: StoreArn, connect_key: &str) -> Result<DataStore, Unusable> {
    let port = raw.endpoint().and_then(Endpoint::port).filter(|port| *port != 0).or(raw.db_instance_port());
    let member_of = raw.db_cluster_identifier().filter(|cluster| !cluster.is_empty());
    Ok(DataStore {
        id: StoreId::parse(required(raw.dbi_resource_id(), "DbiResourceId")?)?,
        arn,
        service: service(raw.engine())?,
        network: network_of_instance(raw)?,
        zones: zones([raw.availability_zone(), raw.secondary_availability_zone()].into_iter().flatten())?,
        ports: ports(port)?,
        state: state(raw.db_instance_status()),
        form: member_of.map_or(Form::Plain, |cluster| Form::ClusterMember { cluster: cluster.into() }),
        groups: memberships(groups(raw.vpc_security_groups()))?,
        settings: settings(raw.tag_list(), connect_key),
    })
}

fn service(engine: Option<&str>) -> Result<Service, Unusable> {
    Ok(match required(engine, "Engine")? {
        "docdb" => Service::DocumentDb,
        "neptune" => Service::Neptune,
        _ => Service::Rds,
    })
}

/// Aurora Serverless v2 is a `provisioned` cluster; only v1 calls its mode `serverless`. Clusters
/// of a global database name it, and secondary ones of old versions only say that they forward
/// their writes to it.
// Fact 4.2
fn cluster_form(raw: &DbCluster) -> Form {
    let global = raw.global_cluster_identifier().filter(|global| !global.is_empty());
    let forwards = raw.global_write_forwarding_requested() == Some(true);
    match (raw.engine_mode(), global) {
        (Some("serverless"), _) => Form::ServerlessV1,
        (_, Some(global)) => Form::GlobalMember { global: global.into() },
        (Some("global"), None) => Form::GlobalMember { global: "unnamed".into() },
        (_, None) if forwards => Form::GlobalMember { global: "unnamed".into() },
        (_, None) => Form::Plain,
    }
}

fn groups(raw: &[VpcSecurityGroupMembership]) -> impl Iterator<Item = (Option<&str>, Option<&str>)> {
    raw.iter().map(|group| (group.vpc_security_group_id(), group.status()))
}

fn settings(tags: &[Tag], connect_key: &str) -> TagSettings {
    let tags = tags.iter().map(|tag| (tag.key().unwrap_or_default(), tag.value().unwrap_or_default()));
    TagSettings::read(connect_key, tags)
}
