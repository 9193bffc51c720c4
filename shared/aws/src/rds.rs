//! RDS: DB clusters and DB instances. Its API also describes and modifies DocumentDB and Neptune
//! clusters, which only the engine's name tells apart.

use aws_config::SdkConfig;
use aws_sdk_rds::{
    Client,
    operation::{describe_db_clusters::DescribeDBClustersError, describe_db_instances::DescribeDBInstancesError},
    types::{DbCluster, DbInstance, DbSubnetGroup, Endpoint, Filter, Tag, VpcSecurityGroupMembership},
};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use tagwire_core::{
    group::GroupList,
    id::{StoreArn, StoreId, VpcId},
    model::{DataStore, Form},
    observation::{Gap, Reading, StoreLookup, Subject},
    service::Service,
    tag::{STATUS_KEY, TagSettings},
};
use tagwire_engine::cloud::CloudError;

#[cfg(feature = "account")]
use crate::probe::Probe;
use crate::{
    error::{Call, Odd, required},
    reading::{Page, at_once, pages},
    stores::{Answer, KnownVpcs, Shape, ask, find, group_ids, listed_vpcs, memberships, ports, zones},
};

/// Most records a page may hold, and therefore most identifiers that are asked for at once.
const PAGE_SIZE: i32 = 100;
const AT_A_TIME: usize = 100;
/// Fewest records that RDS lets a page hold.
#[cfg(feature = "account")]
const FEWEST: i32 = 20;

const DESCRIBE_CLUSTERS: &str = "rds:DescribeDBClusters";
const DESCRIBE_INSTANCES: &str = "rds:DescribeDBInstances";
const DESCRIBE_SUBNET_GROUPS: &str = "rds:DescribeDBSubnetGroups";

const CLUSTERS: Shape<DbCluster> =
    Shape { call: DESCRIBE_CLUSTERS, arn: |raw| required(raw.db_cluster_arn(), "DBClusterArn").map(str::to_owned) };
const INSTANCES: Shape<DbInstance> =
    Shape { call: DESCRIBE_INSTANCES, arn: |raw| required(raw.db_instance_arn(), "DBInstanceArn").map(str::to_owned) };

/// RDS.
#[derive(Debug)]
pub(crate) struct Rds {
    client: Client,
    connect_key: String,
    vpcs: KnownVpcs,
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
            Probe::of(DESCRIBE_CLUSTERS, clusters),
            Probe::of(DESCRIBE_INSTANCES, instances),
            Probe::of("rds:DescribeDBSubnetGroups", subnet_groups),
        ]
    }

    /// Asks for DB clusters, of all engines.
    pub(crate) async fn clusters(&self, which: &[&StoreArn]) -> Reading<StoreLookup> {
        let answers = at_once(which.chunks(AT_A_TIME).map(|chunk| {
            let list = async |names, marker| self.list_clusters(Some(filter("db-cluster-id", names)), marker).await;
            let single =
                async |name: &str| match self.client.describe_db_clusters().db_cluster_identifier(name).send().await {
                    Ok(answer) => Ok(Some(answer.db_clusters.unwrap_or_default())),
                    Err(error)
                        if error
                            .as_service_error()
                            .is_some_and(DescribeDBClustersError::is_db_cluster_not_found_fault) =>
                    {
                        Ok(None)
                    }
                    Err(error) => Err(error),
                };
            ask(&CLUSTERS, chunk, list, single)
        }))
        .await;
        let mut answer = Answer::merged(answers);
        let read = async |name: &str| self.vpc_of(name).await;
        let stores = self.understand_clusters(std::mem::take(&mut answer.there), read).await;
        answer.into_reading(stores)
    }

    /// Every DB cluster, of all engines. Their subnet groups are listed as well, instead of being asked
    /// for one by one.
    pub(crate) async fn all_clusters(&self) -> Reading<DataStore> {
        let what = "every DB cluster";
        let call = Call::reading(DESCRIBE_CLUSTERS, what);
        let listed = pages(&call, what, async |marker| self.list_clusters(None, marker).await).await;
        let named = call.understand(listed, DbCluster::db_cluster_identifier, CLUSTERS.with_arn());
        if named.found.is_empty() {
            return Reading { found: Vec::new(), gaps: named.gaps };
        }
        let vpcs = self.all_subnet_groups().await;
        let mut stores = self.understand_clusters(named.found, listed_vpcs(&vpcs)).await;
        stores.gaps.extend(named.gaps);
        stores
    }

    /// Every DB instance, members of clusters among them, whose form says so.
    pub(crate) async fn all_instances(&self) -> Reading<DataStore> {
        let what = "every DB instance";
        let call = Call::reading(DESCRIBE_INSTANCES, what);
        let listed = pages(&call, what, async |marker| self.list_instances(None, marker).await).await;
        let named = call.understand(listed, DbInstance::db_instance_identifier, INSTANCES.with_arn());
        let mut stores = self.understand_instances(named.found);
        stores.gaps.extend(named.gaps);
        stores
    }

    async fn all_subnet_groups(&self) -> Reading<(String, VpcId)> {
        let what = "every DB subnet group";
        let call = Call::reading(DESCRIBE_SUBNET_GROUPS, what);
        let listed = pages(&call, what, async |marker| {
            let request = self.client.describe_db_subnet_groups().max_records(PAGE_SIZE);
            let page = request.set_marker(marker).send().await?;
            Ok((page.db_subnet_groups.unwrap_or_default(), page.marker))
        })
        .await;
        call.understand(listed, DbSubnetGroup::db_subnet_group_name, |raw| {
            let name = required(raw.db_subnet_group_name(), "DBSubnetGroupName")?;
            Ok((name.to_owned(), VpcId::parse(required(raw.vpc_id(), "VpcId of the subnet group")?)?))
        })
    }

    async fn understand_clusters(
        &self,
        clusters: Vec<(StoreArn, DbCluster)>,
        vpc_of: impl AsyncFn(&str) -> Result<VpcId, Gap>,
    ) -> Reading<DataStore> {
        let named: Vec<_> = clusters
            .iter()
            .filter_map(|(_, raw)| Some((raw.db_cluster_resource_id().map(str::to_owned), subnet_group(raw)?)))
            .collect();
        let vpcs = self.vpcs.of(&named, vpc_of).await;
        let mut stores = Reading::default();
        for (arn, raw) in clusters {
            let call = Call::reading(DESCRIBE_CLUSTERS, arn.as_str());
            let vpc = match subnet_group(&raw).and_then(|name| vpcs.get(name)) {
                None => None,
                Some(Ok(vpc)) => Some(vpc.clone()),
                Some(Err(gap)) => {
                    stores.gaps.push(Gap { resources: [Subject::Store(arn.clone())].into(), ..gap.clone() });
                    continue;
                }
            };
            match cluster(&raw, arn, vpc, &self.connect_key) {
                Ok(store) => stores.found.push(store),
                Err(odd) => stores.gaps.push(call.odd(raw.db_cluster_arn(), &odd)),
            }
        }
        stores
    }

    fn understand_instances(&self, instances: Vec<(StoreArn, DbInstance)>) -> Reading<DataStore> {
        let mut stores = Reading::default();
        for (arn, raw) in instances {
            let call = Call::reading(DESCRIBE_INSTANCES, arn.as_str());
            match instance(&raw, arn, &self.connect_key) {
                Ok(store) => stores.found.push(store),
                Err(odd) => stores.gaps.push(call.odd(raw.db_instance_arn(), &odd)),
            }
        }
        stores
    }

    /// Asks for DB instances.
    pub(crate) async fn instances(&self, which: &[&StoreArn]) -> Reading<StoreLookup> {
        let answers = at_once(which.chunks(AT_A_TIME).map(|chunk| {
            let list = async |names, marker| self.list_instances(Some(filter("db-instance-id", names)), marker).await;
            let single = async |name: &str| match self
                .client
                .describe_db_instances()
                .db_instance_identifier(name)
                .send()
                .await
            {
                Ok(answer) => Ok(Some(answer.db_instances.unwrap_or_default())),
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(DescribeDBInstancesError::is_db_instance_not_found_fault) =>
                {
                    Ok(None)
                }
                Err(error) => Err(error),
            };
            ask(&INSTANCES, chunk, list, single)
        }))
        .await;
        let mut answer = Answer::merged(answers);
        let stores = self.understand_instances(std::mem::take(&mut answer.there));
        answer.into_reading(stores)
    }

    /// The DB clusters that have these identities, whatever they are called now.
    pub(crate) async fn clusters_by_identity(&self, which: &[&StoreId]) -> Reading<DataStore> {
        let list = async |ids, marker| self.list_clusters(Some(filter("db-cluster-resource-id", ids)), marker).await;
        let named = find(&CLUSTERS, which, AT_A_TIME, list).await;
        let mut stores = self.understand_clusters(named.found, async |name: &str| self.vpc_of(name).await).await;
        stores.gaps.extend(named.gaps);
        stores
    }

    /// Likewise for DB instances.
    pub(crate) async fn instances_by_identity(&self, which: &[&StoreId]) -> Reading<DataStore> {
        let list = async |ids, marker| self.list_instances(Some(filter("dbi-resource-id", ids)), marker).await;
        let named = find(&INSTANCES, which, AT_A_TIME, list).await;
        let mut stores = self.understand_instances(named.found);
        stores.gaps.extend(named.gaps);
        stores
    }

    async fn list_clusters(
        &self,
        only: Option<Filter>,
        marker: Option<String>,
    ) -> Result<Page<DbCluster>, SdkError<DescribeDBClustersError, HttpResponse>> {
        let request = self.client.describe_db_clusters().set_filters(only.map(|filter| vec![filter]));
        let page = request.max_records(PAGE_SIZE).set_marker(marker).send().await?;
        Ok((page.db_clusters.unwrap_or_default(), page.marker))
    }

    async fn list_instances(
        &self,
        only: Option<Filter>,
        marker: Option<String>,
    ) -> Result<Page<DbInstance>, SdkError<DescribeDBInstancesError, HttpResponse>> {
        let request = self.client.describe_db_instances().set_filters(only.map(|filter| vec![filter]));
        let page = request.max_records(PAGE_SIZE).set_marker(marker).send().await?;
        Ok((page.db_instances.unwrap_or_default(), page.marker))
    }

    /// Writes a status tag, or takes it away.
    pub(crate) async fn set_status(&self, of: &StoreArn, text: Option<&str>) -> Result<(), CloudError> {
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

    /// Writes the list of groups and nothing else: RDS applies it at once whatever
    /// `ApplyImmediately` says, and that flag would also apply the owner's own pending changes.
    pub(crate) async fn set_cluster_groups(&self, of: &StoreArn, to: &GroupList) -> Result<(), CloudError> {
        let call = Call::writing("rds:ModifyDBCluster", of.as_str());
        let request = self.client.modify_db_cluster().db_cluster_identifier(of.name());
        let answer = request.set_vpc_security_group_ids(Some(group_ids(to))).send().await;
        answer.map(drop).map_err(|error| call.failed(&error))
    }

    /// Likewise for a DB instance.
    pub(crate) async fn set_instance_groups(&self, of: &StoreArn, to: &GroupList) -> Result<(), CloudError> {
        let call = Call::writing("rds:ModifyDBInstance", of.as_str());
        let request = self.client.modify_db_instance().db_instance_identifier(of.name());
        let answer = request.set_vpc_security_group_ids(Some(group_ids(to))).send().await;
        answer.map(drop).map_err(|error| call.failed(&error))
    }

    async fn vpc_of(&self, subnet_group: &str) -> Result<VpcId, Gap> {
        let call = Call::reading(DESCRIBE_SUBNET_GROUPS, subnet_group);
        let request = self.client.describe_db_subnet_groups().db_subnet_group_name(subnet_group);
        let answer = request.send().await.map_err(|error| call.failed(&error))?;
        let vpc = answer.db_subnet_groups().first().and_then(|group| group.vpc_id());
        let vpc = required(vpc, "VpcId of the subnet group").and_then(|vpc| Ok(VpcId::parse(vpc)?));
        vpc.map_err(|odd| call.odd(Some(subnet_group), &odd))
    }
}

fn filter(name: &str, values: Vec<String>) -> Filter {
    Filter::builder().name(name).set_values(Some(values)).build()
}

/// None for a cluster outside any VPC.
fn subnet_group(raw: &DbCluster) -> Option<&str> {
    raw.db_subnet_group().filter(|name| !name.is_empty())
}

fn cluster(raw: &DbCluster, arn: StoreArn, vpc: Option<VpcId>, connect_key: &str) -> Result<DataStore, Odd> {
    Ok(DataStore {
        id: StoreId::parse(required(raw.db_cluster_resource_id(), "DbClusterResourceId")?)?,
        arn,
        service: service(raw.engine())?,
        vpc,
        zones: zones(raw.availability_zones().iter().map(String::as_str))?,
        ports: ports(raw.port())?,
        state: required(raw.status(), "Status")?.to_owned(),
        form: cluster_form(raw),
        groups: memberships(groups(raw.vpc_security_groups()))?,
        settings: settings(raw.tag_list(), connect_key),
    })
}

fn instance(raw: &DbInstance, arn: StoreArn, connect_key: &str) -> Result<DataStore, Odd> {
    let vpc = raw.db_subnet_group().and_then(|group| group.vpc_id()).filter(|vpc| !vpc.is_empty());
    let port = raw.endpoint().and_then(Endpoint::port).filter(|port| *port != 0).or(raw.db_instance_port());
    let member_of = raw.db_cluster_identifier().filter(|cluster| !cluster.is_empty());
    Ok(DataStore {
        id: StoreId::parse(required(raw.dbi_resource_id(), "DbiResourceId")?)?,
        arn,
        service: service(raw.engine())?,
        vpc: vpc.map(VpcId::parse).transpose()?,
        zones: zones([raw.availability_zone(), raw.secondary_availability_zone()].into_iter().flatten())?,
        ports: ports(port)?,
        state: required(raw.db_instance_status(), "DBInstanceStatus")?.to_owned(),
        form: member_of.map_or(Form::Plain, |cluster| Form::ClusterMember { cluster: cluster.to_owned() }),
        groups: memberships(groups(raw.vpc_security_groups()))?,
        settings: settings(raw.tag_list(), connect_key),
    })
}

fn service(engine: Option<&str>) -> Result<Service, Odd> {
    Ok(match required(engine, "Engine")? {
        "docdb" => Service::DocumentDb,
        "neptune" => Service::Neptune,
        _ => Service::Rds,
    })
}

/// Aurora Serverless v2 is a `provisioned` cluster; only v1 calls its mode `serverless`. Clusters
/// of a global database name it, and secondary ones of old versions only say that they forward
/// their writes to it.
fn cluster_form(raw: &DbCluster) -> Form {
    let global = raw.global_cluster_identifier().filter(|global| !global.is_empty());
    let forwards = raw.global_write_forwarding_requested() == Some(true);
    match (raw.engine_mode(), global) {
        (Some("serverless"), _) => Form::ServerlessV1,
        (_, Some(global)) => Form::GlobalMember { global: global.to_owned() },
        (Some("global"), None) => Form::GlobalMember { global: "unnamed".to_owned() },
        (_, None) if forwards => Form::GlobalMember { global: "unnamed".to_owned() },
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

#[cfg(test)]
mod tests {
    use aws_sdk_rds::types::builders::{DbClusterBuilder, DbInstanceBuilder};
    use tagwire_core::{
        id::ZoneName,
        rule::PortRange,
        tag::{ConnectTag, HOLD_KEY},
    };

    use super::*;

    fn arn(text: &str) -> StoreArn {
        StoreArn::parse(format!("arn:aws:rds:eu-west-1:123456789012:{text}")).unwrap()
    }

    fn member(id: &str, status: &str) -> VpcSecurityGroupMembership {
        VpcSecurityGroupMembership::builder().vpc_security_group_id(id).status(status).build()
    }

    fn a_cluster() -> DbClusterBuilder {
        DbCluster::builder()
            .db_cluster_resource_id("cluster-A")
            .engine("aurora-postgresql")
            .engine_mode("provisioned")
            .status("available")
            .port(5432)
            .availability_zones("eu-west-1a")
            .availability_zones("eu-west-1b")
            .vpc_security_groups(member("sg-1", "active"))
            .tag_list(Tag::builder().key("k").value("one").build())
            .tag_list(Tag::builder().key(HOLD_KEY).build())
    }

    fn read_cluster(raw: DbClusterBuilder) -> Result<DataStore, Odd> {
        cluster(&raw.build(), arn("cluster:a"), Some(VpcId::parse("vpc-1").unwrap()), "k")
    }

    fn a_db() -> DbInstanceBuilder {
        DbInstance::builder()
            .dbi_resource_id("db-A")
            .engine("mysql")
            .db_instance_status("available")
            .endpoint(Endpoint::builder().port(3306).build())
            .availability_zone("eu-west-1a")
            .secondary_availability_zone("eu-west-1c")
            .db_subnet_group(DbSubnetGroup::builder().vpc_id("vpc-1").build())
            .vpc_security_groups(member("sg-1", "active"))
    }

    fn read_db(raw: DbInstanceBuilder) -> Result<DataStore, Odd> {
        instance(&raw.build(), arn("db:a"), "k")
    }

    #[test]
    fn a_cluster_is_read_whole() {
        let store = read_cluster(a_cluster()).unwrap();
        assert_eq!((store.id.as_str(), store.service, store.form), ("cluster-A", Service::Rds, Form::Plain));
        assert_eq!(store.ports, PortRange::single(5432));
        assert_eq!(store.zones.iter().map(ZoneName::as_str).collect::<Vec<_>>(), ["eu-west-1a", "eu-west-1b"]);
        assert_eq!(store.settings.connect, ConnectTag::read(Some("one")));
        assert!(store.settings.held);
    }

    #[test]
    fn the_engine_says_whose_service_a_store_is() {
        for (engine, service) in [
            ("docdb", Service::DocumentDb),
            ("neptune", Service::Neptune),
            ("mysql", Service::Rds),
            ("aurora-mysql", Service::Rds),
        ] {
            assert_eq!(read_cluster(a_cluster().engine(engine)).unwrap().service, service);
            assert_eq!(read_db(a_db().engine(engine)).unwrap().service, service);
        }
    }

    #[test]
    fn forms_that_cannot_be_joined_are_recognised() {
        let form = |raw| read_cluster(raw).unwrap().form;
        let global = |name: &str| Form::GlobalMember { global: name.into() };
        assert_eq!(form(a_cluster().engine_mode("serverless")), Form::ServerlessV1);
        assert_eq!(form(a_cluster().global_cluster_identifier("world")), global("world"));
        assert_eq!(form(a_cluster().global_cluster_identifier("")), Form::Plain);
        assert_eq!(form(a_cluster().global_write_forwarding_requested(true)), global("unnamed"));
        assert_eq!(form(a_cluster().global_write_forwarding_requested(false)), Form::Plain);
        let member = read_db(a_db().db_cluster_identifier("c")).unwrap().form;
        assert_eq!(member, Form::ClusterMember { cluster: "c".into() });
    }

    #[test]
    fn a_store_that_is_being_created_has_no_ports_yet() {
        assert_eq!(read_cluster(a_cluster().set_port(None).status("creating")).unwrap().ports, None);
        assert_eq!(read_cluster(a_cluster().port(0)).unwrap().ports, None);
        assert_eq!(read_db(a_db().set_endpoint(None).db_instance_port(0)).unwrap().ports, None);
        assert_eq!(read_db(a_db().set_endpoint(None)).unwrap().ports, None);
    }

    #[test]
    fn the_endpoint_knows_the_port_better_than_the_instance() {
        assert_eq!(read_db(a_db().db_instance_port(1)).unwrap().ports, PortRange::single(3306));
        assert_eq!(read_db(a_db().set_endpoint(None).db_instance_port(1)).unwrap().ports, PortRange::single(1));
    }

    #[test]
    fn an_instance_is_read_whole() {
        let store = read_db(a_db()).unwrap();
        assert_eq!((store.id.as_str(), store.vpc), ("db-A", Some(VpcId::parse("vpc-1").unwrap())));
        assert_eq!(store.zones.len(), 2);
        assert_eq!(read_db(a_db().set_db_subnet_group(None)).unwrap().vpc, None);
    }

    #[test]
    fn what_cannot_be_understood_is_said_and_not_guessed() {
        let odd = |raw| read_cluster(raw).unwrap_err();
        assert_eq!(odd(a_cluster().set_db_cluster_resource_id(None)), Odd::lasting("DbClusterResourceId is missing"));
        assert_eq!(odd(a_cluster().set_status(None)), Odd::lasting("Status is missing"));
        assert_eq!(odd(a_cluster().set_engine(None)), Odd::lasting("Engine is missing"));
        assert_eq!(odd(a_cluster().port(70_000)), Odd::lasting("70000 is not a port"));
        assert!(read_cluster(a_cluster().vpc_security_groups(member("default", "active"))).is_err());
        assert_eq!(read_db(a_db().set_dbi_resource_id(None)).unwrap_err(), Odd::lasting("DbiResourceId is missing"));
    }
}
