//! What goes over the wire when everything is listed.

use std::collections::BTreeSet;

use tagwire_core::{
    id::{SecurityGroupId, VpcId},
    model::{DataStore, Form},
    observation::Reading,
    tag::ConnectTag,
};
use tagwire_engine::cloud::{Groups, Instances, Observe};

use super::{clusters, ec2_error, instances, rds_error};
use crate::testing::Script;

fn answer(action: &str, body: &str) -> String {
    format!("<{action}Response><{action}Result>{body}</{action}Result></{action}Response>")
}

fn subnet_groups(action: &str, list: &str, item: &str, name: &str) -> String {
    let group = |of: &str, vpc: &str| format!("<{item}><{name}>{of}</{name}><VpcId>{vpc}</VpcId></{item}>");
    let groups = [group("other", "vpc-2"), group("net", "vpc-1")].concat();
    answer(action, &format!("<{list}>{groups}</{list}>"))
}

fn databases() -> String {
    let of = |name: &str, more: &str| {
        format!(
            "<DBInstance><DBInstanceIdentifier>{name}</DBInstanceIdentifier><DBInstanceArn>arn:aws:rds:eu-west-1:123456789012:db:{name}</DBInstanceArn><DbiResourceId>db-{name}</DbiResourceId><Engine>mysql</Engine><DBInstanceStatus>available</DBInstanceStatus><Endpoint><Port>3306</Port></Endpoint><DBSubnetGroup><VpcId>vpc-1</VpcId></DBSubnetGroup>{more}</DBInstance>"
        )
    };
    let both = [of("alone", ""), of("one-of-a", "<DBClusterIdentifier>a</DBClusterIdentifier>")].concat();
    answer("DescribeDBInstances", &format!("<DBInstances>{both}</DBInstances>"))
}

fn cache_arn(kind: &str, name: &str) -> String {
    format!("arn:aws:elasticache:eu-west-1:123456789012:{kind}:{name}")
}

fn replication_groups() -> String {
    let group = format!(
        "<ReplicationGroup><ReplicationGroupId>many</ReplicationGroupId><ARN>{}</ARN><Status>available</Status><MemberClusters><ClusterId>many-001</ClusterId></MemberClusters><NodeGroups><NodeGroup><PrimaryEndpoint><Port>6379</Port></PrimaryEndpoint></NodeGroup></NodeGroups></ReplicationGroup>",
        cache_arn("replicationgroup", "many")
    );
    answer("DescribeReplicationGroups", &format!("<ReplicationGroups>{group}</ReplicationGroups>"))
}

fn cache_clusters() -> String {
    let cluster = |name: &str, more: &str| {
        format!(
            "<CacheCluster><CacheClusterId>{name}</CacheClusterId><ARN>{}</ARN><CacheClusterStatus>available</CacheClusterStatus><CacheSubnetGroupName>net</CacheSubnetGroupName><SecurityGroups><member><SecurityGroupId>sg-1</SecurityGroupId><Status>active</Status></member></SecurityGroups>{more}</CacheCluster>",
            cache_arn("cluster", name)
        )
    };
    let both = [cluster("many-001", "<ReplicationGroupId>many</ReplicationGroupId>"), cluster("single", "")].concat();
    answer("DescribeCacheClusters", &format!("<CacheClusters>{both}</CacheClusters>"))
}

fn serverless_caches() -> String {
    let cache = format!(
        "<member><ServerlessCacheName>vast</ServerlessCacheName><ARN>{}</ARN><Status>available</Status><Endpoint><Port>6379</Port></Endpoint><ReaderEndpoint><Port>6380</Port></ReaderEndpoint><SecurityGroupIds><SecurityGroupId>sg-1</SecurityGroupId></SecurityGroupIds></member>",
        cache_arn("serverlesscache", "vast")
    );
    answer("DescribeServerlessCaches", &format!("<ServerlessCaches>{cache}</ServerlessCaches>"))
}

fn redshift_clusters() -> String {
    let cluster = "<Cluster><ClusterIdentifier>facts</ClusterIdentifier><ClusterNamespaceArn>arn:aws:redshift:eu-west-1:123456789012:namespace:n-1</ClusterNamespaceArn><ClusterStatus>available</ClusterStatus><Endpoint><Port>5439</Port></Endpoint><VpcId>vpc-1</VpcId></Cluster>";
    answer("DescribeClusters", &format!("<Clusters>{cluster}</Clusters>"))
}

const GROUP: &str = "<DescribeSecurityGroupsResponse><securityGroupInfo><item><groupId>sg-1</groupId><groupName>default</groupName><groupDescription>d</groupDescription><vpcId>vpc-1</vpcId></item></securityGroupInfo></DescribeSecurityGroupsResponse>";

fn index() -> String {
    format!(
        r#"{{"ResourceTagMappingList":[{{"ResourceARN":"{}","Tags":[{{"Key":"k","Value":"orders"}}]}}]}}"#,
        cache_arn("cluster", "single")
    )
}

/// Every service's answers, but those to calls that hold `without`.
fn script(without: &str) -> Script {
    let prepared = [
        ("Action=DescribeDBClusters", clusters(&["a", "b"])),
        (
            "Action=DescribeDBSubnetGroups",
            subnet_groups("DescribeDBSubnetGroups", "DBSubnetGroups", "DBSubnetGroup", "DBSubnetGroupName"),
        ),
        ("Action=DescribeDBInstances", databases()),
        ("Action=DescribeReplicationGroups", replication_groups()),
        ("Action=DescribeCacheClusters", cache_clusters()),
        (
            "Action=DescribeCacheSubnetGroups",
            subnet_groups("DescribeCacheSubnetGroups", "CacheSubnetGroups", "CacheSubnetGroup", "CacheSubnetGroupName"),
        ),
        ("Action=DescribeServerlessCaches", serverless_caches()),
        ("Action=DescribeClusters", redshift_clusters()),
        ("Action=DescribeSecurityGroups", GROUP.to_owned()),
        ("ResourceARNList", index()),
    ];
    let kept = prepared.into_iter().filter(|(to, _)| *to != without);
    kept.fold(Script::default(), |script, (to, body)| script.to(to, 200, body))
}

fn shown(reading: &Reading<DataStore>) -> Vec<String> {
    let mut shown: Vec<String> = reading
        .found
        .iter()
        .map(|store| {
            let member = if matches!(store.form, Form::ClusterMember { .. }) { " member" } else { "" };
            let vpc = store.vpc().map_or("none", VpcId::as_str);
            format!("{} {vpc}{member}", store.arn.short())
        })
        .collect();
    shown.sort_unstable();
    shown
}

#[tokio::test]
async fn every_store_of_every_service_is_listed_and_none_is_asked_for_singly() {
    let script = script("nothing");
    let reading = script.aws().all_stores().await;
    assert_eq!(reading.gaps, []);
    assert_eq!(
        shown(&reading),
        [
            "cache/single vpc-1",
            "cluster/a vpc-1",
            "cluster/b vpc-1",
            "db/alone vpc-1",
            "db/one-of-a vpc-1 member",
            "redshift/facts vpc-1",
            "replicationgroup/many vpc-1",
            "serverlesscache/vast vpc-1",
        ]
    );
    let tagged = reading.found.iter().filter(|store| store.settings.connect == ConnectTag::read(Some("orders")));
    assert_eq!(tagged.map(|store| store.arn.name()).collect::<Vec<_>>(), ["single"], "as the tag index has it");
    let asked = script.asked();
    assert_eq!(asked.len(), 10, "{asked:#?}");
    let narrowed = ["Identifier=", "CacheClusterId=", "ReplicationGroupId=", "SubnetGroupName=", "Filters"];
    for call in &asked {
        assert!(narrowed.iter().all(|word| !call.contains(word)), "{call}");
    }
    assert!(asked.iter().any(|call| call.contains("ShowCacheNodeInfo=true")), "{asked:#?}");
    assert_eq!(asked.iter().filter(|call| call.contains("MaxRecords=100")).count(), 7, "{asked:#?}");
}

#[tokio::test]
async fn one_service_that_does_not_answer_hides_no_other() {
    for (without, error, left) in [
        ("Action=DescribeDBClusters", rds_error("AccessDenied"), 6),
        ("Action=DescribeDBInstances", rds_error("AccessDenied"), 6),
        ("Action=DescribeReplicationGroups", rds_error("AccessDenied"), 7),
        ("Action=DescribeCacheClusters", rds_error("AccessDenied"), 6),
        ("Action=DescribeServerlessCaches", rds_error("AccessDenied"), 7),
        ("Action=DescribeClusters", rds_error("AccessDenied"), 7),
        ("Action=DescribeDBSubnetGroups", rds_error("AccessDenied"), 6),
        ("Action=DescribeCacheSubnetGroups", rds_error("AccessDenied"), 6),
        ("Action=DescribeSecurityGroups", ec2_error("UnauthorizedOperation"), 7),
        ("ResourceARNList", r#"{"__type":"AccessDeniedException","message":"m"}"#.to_owned(), 8),
    ] {
        let script = script(without).to(without, 403, error);
        let reading = script.aws().all_stores().await;
        assert_eq!(reading.found.len(), left, "{without}: {:?}", shown(&reading));
        assert!(!reading.is_complete(), "{without}");
        assert!(reading.gaps.iter().all(|gap| !gap.passing), "{without}: {:?}", reading.gaps);
    }
}

#[tokio::test]
async fn groups_of_everywhere_are_one_list_and_those_of_vpcs_are_filtered() {
    let everywhere = Script::default().then(200, GROUP);
    assert_eq!(everywhere.aws().groups(Groups::All(None)).await.found.len(), 1);
    let asked = everywhere.asked();
    assert!(!asked[0].contains("Filter") && asked[0].contains("MaxResults=1000"), "{asked:?}");

    let some = Script::default().then(200, GROUP);
    let vpcs: BTreeSet<VpcId> = ["vpc-1", "vpc-2"].map(|id| VpcId::parse(id).unwrap()).into();
    assert_eq!(some.aws().groups(Groups::All(Some(&vpcs))).await.found.len(), 1);
    let asked = some.asked();
    let filter = "Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1&Filter.1.Value.2=vpc-2";
    assert!(asked.len() == 1 && asked[0].contains(filter), "{asked:?}");

    let none = Script::default();
    assert!(none.aws().groups(Groups::All(Some(&BTreeSet::new()))).await.is_complete());
    assert_eq!(none.asked(), Vec::<String>::new(), "no VPC is not every VPC");
}

#[tokio::test]
async fn instances_are_found_by_their_groups_two_hundred_at_a_time() {
    let script = Script::default().then(200, instances(&["i-1"], "")).then(200, instances(&["i-1", "i-2"], ""));
    let groups: BTreeSet<SecurityGroupId> =
        (0..201).map(|number| SecurityGroupId::parse(format!("sg-{number}")).unwrap()).collect();
    let reading = script.aws().instances(Instances::WithGroupsAnywhere(&groups)).await;
    assert_eq!((reading.found.len(), reading.gaps.len()), (2, 0));
    let asked = script.asked();
    assert!(asked.len() == 2 && asked[0].contains("Filter.1.Name=network-interface.group-id"), "{asked:?}");
    assert!(!asked[0].contains("vpc-id"), "{asked:?}");
}
