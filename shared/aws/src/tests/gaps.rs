//! Gaps name what they hide as data.

use std::collections::BTreeSet;

use tagwire_core::{
    id::{InstanceId, SecurityGroupId, StoreArn, StoreId, VpcId},
    observation::{Gap, Subject},
};
use tagwire_engine::cloud::{Groups, Instances, Observe};

use super::{SUBNET_GROUP, arn, clusters, ec2_error, here, instances, rds_error, sg, vpc};
use crate::testing::Script;

/// The call, the VPC and the resources of the only gap.
fn only(gaps: &[Gap]) -> (String, Option<&str>, Vec<String>) {
    let [gap] = gaps else { panic!("{gaps:?}") };
    let resources = gap.resources.iter().map(ToString::to_string).collect();
    (format!("{}:{}", gap.service, gap.operation), gap.vpc.as_ref().map(VpcId::as_str), resources)
}

#[tokio::test]
async fn a_list_of_stores_that_breaks_off_hides_those_it_did_not_reach_and_no_others() {
    let first = clusters(&["a"]).replace("<DBClusters>", "<Marker>more</Marker><DBClusters>");
    let script = Script::default().then(200, first).then(400, rds_error("Throttling")).then(200, SUBNET_GROUP);
    let which: BTreeSet<StoreArn> = ["cluster:a", "cluster:b", "cluster:c"].map(arn).into();
    let reading = script.aws().stores(&which).await;
    assert_eq!(here(&reading.found), ["a in vpc-1"]);
    let hidden = ["cluster:b", "cluster:c"].map(|text| arn(text).to_string()).to_vec();
    assert_eq!(only(&reading.gaps), ("rds:DescribeDBClusters".into(), None, hidden));
    assert!(reading.gap_in(&Subject::Store(arn("cluster:a"))).is_none());
}

#[tokio::test]
async fn one_throttled_store_is_hidden_and_no_other() {
    let script = Script::default()
        .then(200, clusters(&["a"]))
        .then(400, rds_error("Throttling"))
        .then(404, rds_error("DBClusterNotFoundFault"))
        .then(200, SUBNET_GROUP);
    let which: BTreeSet<StoreArn> = ["cluster:a", "cluster:b", "cluster:c"].map(arn).into();
    let reading = script.aws().stores(&which).await;
    assert_eq!(here(&reading.found), ["a in vpc-1", "c gone"]);
    let hidden = vec![arn("cluster:b").to_string()];
    assert_eq!(only(&reading.gaps), ("rds:DescribeDBClusters".into(), None, hidden));
    assert!(reading.gaps[0].soon);
}

#[tokio::test]
async fn a_store_whose_subnet_group_cannot_be_read_is_hidden_and_no_other() {
    let both = clusters(&["a", "b"]);
    let (before, after) = both.rsplit_once("net</DBSubnetGroup>").unwrap();
    let script = Script::default()
        .to("DescribeDBClusters", 200, format!("{before}unreadable</DBSubnetGroup>{after}"))
        .to("DBSubnetGroupName=net", 200, SUBNET_GROUP)
        .to("DBSubnetGroupName=unreadable", 403, rds_error("AccessDenied"));
    let reading = script.aws().stores(&["cluster:a", "cluster:b"].map(arn).into()).await;
    assert_eq!(here(&reading.found), ["a in vpc-1"]);
    let hidden = vec![arn("cluster:b").to_string()];
    assert_eq!(only(&reading.gaps), ("rds:DescribeDBSubnetGroups".into(), None, hidden));
}

#[tokio::test]
async fn a_lookup_by_identity_that_fails_hides_the_stores_that_were_looked_for() {
    let script = Script::default().then(400, rds_error("Throttling"));
    let lost = [(StoreId::parse("db-A").unwrap(), arn("db:a"))].into();
    let reading = script.aws().stores_by_id(&lost).await;
    let hidden = vec![arn("db:a").to_string()];
    assert_eq!(only(&reading.gaps), ("rds:DescribeDBInstances".into(), None, hidden));
}

#[tokio::test]
async fn a_redshift_cluster_without_a_namespace_hides_what_was_looked_for_and_says_its_vpc() {
    let young = "<DescribeClustersResponse><DescribeClustersResult><Clusters><Cluster><ClusterIdentifier>young</ClusterIdentifier><ClusterStatus>creating</ClusterStatus><VpcId>vpc-2</VpcId></Cluster></Clusters></DescribeClustersResult></DescribeClustersResponse>";
    let old = StoreArn::parse("arn:aws:redshift:eu-west-1:123456789012:cluster:old").unwrap();
    let namespace = "arn:aws:redshift:eu-west-1:123456789012:namespace:1";
    let lost = [(StoreId::parse(namespace).unwrap(), old.clone())].into();
    let script = Script::default().then(200, young);
    let reading = script.aws().stores_by_id(&lost).await;
    assert_eq!(only(&reading.gaps), ("redshift:DescribeClusters".into(), Some("vpc-2"), vec![old.to_string()]));
    let script = Script::default().then(200, young);
    let reading = script.aws().stores(&[old.clone()].into()).await;
    assert_eq!(only(&reading.gaps), ("redshift:DescribeClusters".into(), None, vec![old.to_string()]));
}

#[tokio::test]
async fn instances_and_groups_that_were_asked_for_by_id_are_hidden_alone() {
    let script = Script::default().then(503, ec2_error("RequestLimitExceeded"));
    let ids = ["i-1", "i-2"].map(|id| InstanceId::parse(id).unwrap()).into();
    let reading = script.aws().instances(Instances::Ids(&ids)).await;
    let hidden = vec!["i-1".to_owned(), "i-2".to_owned()];
    assert_eq!(only(&reading.gaps), ("ec2:DescribeInstances".into(), None, hidden));
    let script = Script::default().then(503, ec2_error("RequestLimitExceeded"));
    let ids: BTreeSet<SecurityGroupId> = [sg("sg-1")].into();
    let reading = script.aws().groups(Groups::Ids(&ids)).await;
    assert_eq!(only(&reading.gaps), ("ec2:DescribeSecurityGroups".into(), None, vec!["sg-1".into()]));
    let script = Script::default().then(503, ec2_error("RequestLimitExceeded"));
    let reading = script.aws().attached_interfaces(&vpc(), &ids).await;
    assert_eq!(only(&reading.gaps), ("ec2:DescribeNetworkInterfaces".into(), Some("vpc-1"), vec!["sg-1".into()]));
}

#[tokio::test]
async fn a_reading_of_a_whole_vpc_hides_everything_in_it() {
    let script = Script::default().then(503, ec2_error("RequestLimitExceeded"));
    let reading = script.aws().groups(Groups::InVpc(&vpc())).await;
    assert_eq!(only(&reading.gaps), ("ec2:DescribeSecurityGroups".into(), Some("vpc-1"), Vec::new()));
    assert!(reading.gap_in(&Subject::Group(sg("sg-9"))).is_some());
    let script = Script::default().then(503, ec2_error("RequestLimitExceeded"));
    let reading = script.aws().instances(Instances::OptedIn { vpc: &vpc(), names: None }).await;
    assert_eq!(only(&reading.gaps), ("ec2:DescribeInstances".into(), Some("vpc-1"), Vec::new()));
}

#[tokio::test]
async fn an_instance_that_cannot_be_decoded_is_hidden_alone() {
    let state = "<instanceState><code>48</code><name>terminated</name></instanceState>";
    let broken = instances(&["i-1", "i-2"], "").replacen(state, "", 1);
    let reading = Script::default().then(200, broken).aws().instances(Instances::OptedInAnywhere).await;
    assert_eq!(reading.found.len(), 1);
    assert_eq!(only(&reading.gaps), ("ec2:DescribeInstances".into(), None, vec!["i-1".into()]));
}
