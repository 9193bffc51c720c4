//! Descriptions of DB clusters and DB instances, decoded.

use aws_sdk_rds::types::{
    DbSecurityGroupMembership,
    builders::{DbClusterBuilder, DbInstanceBuilder},
};
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

fn here() -> Network {
    Network::Vpc(VpcId::parse("vpc-1").unwrap())
}

fn read_cluster(raw: DbClusterBuilder) -> Result<DataStore, Unusable> {
    cluster(&raw.build(), arn("cluster:a"), here(), "k")
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

fn read_db(raw: DbInstanceBuilder) -> Result<DataStore, Unusable> {
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
    assert_eq!((store.id.as_str(), store.network), ("db-A", here()));
    assert_eq!(store.zones.len(), 2);
    assert_eq!(read_db(a_db().set_db_subnet_group(None)).unwrap().network, Network::NotShown);
    let classic = a_db().set_db_subnet_group(None).db_security_groups(DbSecurityGroupMembership::builder().build());
    assert_eq!(read_db(classic).unwrap().network, Network::Classic);
}

#[test]
fn a_cluster_without_a_subnet_group_says_whether_it_has_no_vpc_networking() {
    let network = |raw: DbClusterBuilder| network_without_subnets(&raw.build());
    assert_eq!(network(a_cluster().vpc_networking_enabled(false)), Network::VpcNetworkingOff);
    assert_eq!(network(a_cluster().internet_access_gateway_enabled(true)), Network::VpcNetworkingOff);
    assert_eq!(network(a_cluster().vpc_networking_enabled(true)), Network::NotShown);
    assert_eq!(network(a_cluster()), Network::NotShown);
}

#[test]
fn what_cannot_be_understood_is_said_and_not_guessed() {
    let unusable = |raw| read_cluster(raw).unwrap_err();
    assert_eq!(
        unusable(a_cluster().set_db_cluster_resource_id(None)),
        Unusable::lasting("DbClusterResourceId is missing")
    );
    assert_eq!(unusable(a_cluster().set_engine(None)), Unusable::lasting("Engine is missing"));
    assert_eq!(unusable(a_cluster().port(70_000)), Unusable::lasting("70000 is not a port"));
    assert!(read_cluster(a_cluster().vpc_security_groups(member("default", "active"))).is_err());
    assert_eq!(read_db(a_db().set_dbi_resource_id(None)).unwrap_err(), Unusable::lasting("DbiResourceId is missing"));
}
