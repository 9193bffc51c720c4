//! What goes over the wire to ElastiCache and what comes back, against prepared answers.

use std::collections::BTreeSet;

use tagwire_core::{
    group::GroupList,
    id::{SecurityGroupId, StoreArn, StoreId, VpcId, ZoneName},
    model::{DataStore, Form, Network},
    observation::{Reading, StoreLookup},
    plan::StatusOf,
    rule::PortRange,
    service::{Readiness, Service},
    tag::ConnectTag,
};
use tagwire_engine::cloud::{Change, ErrorKind, Observe};

use super::ServerlessCaches;
use crate::{stores::StoreService, testing::Script};

const GROUP: &str = "Action=DescribeReplicationGroups";
const CLUSTER: &str = "Action=DescribeCacheClusters";
const SERVERLESS: &str = "Action=DescribeServerlessCaches";
const SUBNETS: &str = "Action=DescribeCacheSubnetGroups";
const TAGS: &str = "Action=ListTagsForResource";
const INDEX: &str = "ResourceARNList";

fn arn(text: &str) -> StoreArn {
    StoreArn::parse(format!("arn:aws:elasticache:eu-west-1:123456789012:{text}")).unwrap()
}

fn list() -> GroupList {
    let groups = ["sg-1", "sg-2"].map(|id| SecurityGroupId::parse(id).unwrap());
    GroupList::new(groups.into(), 5).unwrap()
}

fn answer(action: &str, body: &str) -> String {
    format!("<{action}Response><{action}Result>{body}</{action}Result></{action}Response>")
}

fn error(code: &str) -> String {
    format!("<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>")
}

fn a_group(name: &str, state: &str, more: &str) -> String {
    format!(
        "<ReplicationGroup><ReplicationGroupId>{name}</ReplicationGroupId><ARN>{}</ARN><Status>{state}</Status><MemberClusters><ClusterId>{name}-001</ClusterId><ClusterId>{name}-002</ClusterId></MemberClusters>{more}</ReplicationGroup>",
        arn(&format!("replicationgroup:{name}"))
    )
}

const SHARD: &str = "<NodeGroups><NodeGroup><PrimaryEndpoint><Port>6379</Port></PrimaryEndpoint><NodeGroupMembers><NodeGroupMember><PreferredAvailabilityZone>eu-west-1a</PreferredAvailabilityZone></NodeGroupMember><NodeGroupMember><PreferredAvailabilityZone>eu-west-1b</PreferredAvailabilityZone></NodeGroupMember></NodeGroupMembers></NodeGroup></NodeGroups>";

fn groups(members: &[String]) -> String {
    answer("DescribeReplicationGroups", &format!("<ReplicationGroups>{}</ReplicationGroups>", members.concat()))
}

fn a_cluster(name: &str, more: &str) -> String {
    format!(
        "<CacheCluster><CacheClusterId>{name}</CacheClusterId><ARN>{}</ARN><CacheClusterStatus>available</CacheClusterStatus><CacheClusterCreateTime>2026-11-20T08:00:00Z</CacheClusterCreateTime><SecurityGroups><member><SecurityGroupId>sg-1</SecurityGroupId><Status>active</Status></member></SecurityGroups>{more}</CacheCluster>",
        arn(&format!("cluster:{name}"))
    )
}

const IN_NET: &str = "<CacheSubnetGroupName>net</CacheSubnetGroupName>";

fn clusters(members: &[String]) -> String {
    answer("DescribeCacheClusters", &format!("<CacheClusters>{}</CacheClusters>", members.concat()))
}

fn a_serverless(name: &str, state: &str, more: &str) -> String {
    format!(
        "<member><ServerlessCacheName>{name}</ServerlessCacheName><ARN>{}</ARN><Status>{state}</Status>{more}</member>",
        arn(&format!("serverlesscache:{name}"))
    )
}

fn serverless(members: &[String], next: &str) -> String {
    let body = format!("<NextToken>{next}</NextToken><ServerlessCaches>{}</ServerlessCaches>", members.concat());
    answer("DescribeServerlessCaches", &body)
}

const ENDPOINTS: &str = "<Endpoint><Port>6379</Port></Endpoint><ReaderEndpoint><Port>6380</Port></ReaderEndpoint><SecurityGroupIds><SecurityGroupId>sg-1</SecurityGroupId></SecurityGroupIds>";

fn subnets(vpc: &str) -> String {
    let body =
        format!("<CacheSubnetGroups><CacheSubnetGroup><VpcId>{vpc}</VpcId></CacheSubnetGroup></CacheSubnetGroups>");
    answer("DescribeCacheSubnetGroups", &body)
}

fn tags(value: Option<&str>) -> String {
    let tag = value.map(|value| format!("<Tag><Key>k</Key><Value>{value}</Value></Tag>")).unwrap_or_default();
    answer("ListTagsForResource", &format!("<TagList>{tag}</TagList>"))
}

fn index(of: &[(&StoreArn, &str)]) -> String {
    let entry = |(arn, tags): &(&StoreArn, &str)| format!(r#"{{"ResourceARN":"{arn}","Tags":[{tags}]}}"#);
    let entries: Vec<String> = of.iter().map(entry).collect();
    format!(r#"{{"ResourceTagMappingList":[{}]}}"#, entries.join(","))
}

const OPTED_IN: &str = r#"{"Key":"k","Value":"orders"}"#;

fn ec2_group(id: &str, vpc: &str) -> String {
    format!(
        "<DescribeSecurityGroupsResponse><securityGroupInfo><item><groupId>{id}</groupId><groupName>default</groupName><groupDescription>d</groupDescription><vpcId>{vpc}</vpcId></item></securityGroupInfo></DescribeSecurityGroupsResponse>"
    )
}

async fn ask(script: &Script, which: &[&StoreArn]) -> Reading<StoreLookup> {
    script.aws().stores(&which.iter().copied().cloned().collect()).await
}

fn only(reading: &Reading<StoreLookup>) -> DataStore {
    assert_eq!(reading.gaps, [], "{reading:?}");
    match reading.found.as_slice() {
        [StoreLookup::Found(store)] => store.as_ref().clone(),
        other => panic!("{other:?}"),
    }
}

fn count(script: &Script, text: &str) -> usize {
    script.asked().iter().filter(|body| body.contains(text)).count()
}

#[tokio::test]
async fn a_replication_group_comes_with_what_only_its_members_show() {
    let script = Script::default()
        .to(GROUP, 200, groups(&[a_group("a", "available", SHARD)]))
        .to(CLUSTER, 200, clusters(&[a_cluster("a-001", IN_NET)]))
        .to(TAGS, 200, tags(Some("orders")))
        .to(SUBNETS, 200, subnets("vpc-1"));
    let of = arn("replicationgroup:a");
    let store = only(&ask(&script, &[&of]).await);
    assert_eq!((store.id.as_str(), &store.arn, store.service), (of.as_str(), &of, Service::ElastiCache));
    assert_eq!((store.vpc().cloned(), store.form), (VpcId::parse("vpc-1").ok(), Form::Plain));
    assert_eq!(store.ports, PortRange::single(6379));
    assert_eq!(store.zones.iter().map(ZoneName::as_str).collect::<Vec<_>>(), ["eu-west-1a", "eu-west-1b"]);
    assert_eq!(store.settings.connect, ConnectTag::read(Some("orders")));
    assert_eq!(store.groups.keys().map(SecurityGroupId::as_str).collect::<Vec<_>>(), ["sg-1"]);
    assert_eq!(count(&script, "CacheClusterId=a-001"), 1);
    assert_eq!((count(&script, "a-002"), script.asked().len()), (0, 4));
}

#[tokio::test]
async fn cluster_mode_listens_on_its_configuration_endpoint() {
    let endpoint =
        "<ConfigurationEndpoint><Port>6400</Port></ConfigurationEndpoint><NodeGroups><NodeGroup/></NodeGroups>";
    let script = Script::default()
        .to(GROUP, 200, groups(&[a_group("a", "available", endpoint)]))
        .to(CLUSTER, 200, clusters(&[a_cluster("a-001", IN_NET)]))
        .to(TAGS, 200, tags(None))
        .to(SUBNETS, 200, subnets("vpc-1"));
    assert_eq!(only(&ask(&script, &[&arn("replicationgroup:a")]).await).ports, PortRange::single(6400));
}

#[tokio::test]
async fn a_cache_cluster_is_read_whole_and_its_vpc_only_once() {
    let memcached = "<ConfigurationEndpoint><Port>11211</Port></ConfigurationEndpoint><CacheNodes><CacheNode><CustomerAvailabilityZone>eu-west-1a</CustomerAvailabilityZone><Endpoint><Port>11211</Port></Endpoint></CacheNode></CacheNodes>";
    let described = clusters(&[a_cluster("a", &format!("{IN_NET}{memcached}"))]);
    let script = Script::default()
        .to(CLUSTER, 200, described.clone())
        .to(TAGS, 200, tags(Some("orders")))
        .to(SUBNETS, 200, subnets("vpc-1"))
        .to(CLUSTER, 200, described.clone())
        .to(TAGS, 200, tags(None))
        .to(CLUSTER, 200, described.replace("2026-11-20", "2026-11-21"))
        .to(TAGS, 200, tags(None))
        .to(SUBNETS, 200, subnets("vpc-2"));
    let aws = script.aws();
    let which: BTreeSet<StoreArn> = [arn("cluster:a")].into();
    let store = only(&aws.stores(&which).await);
    assert_eq!((store.ports, store.vpc().map(VpcId::as_str)), (PortRange::single(11211), Some("vpc-1")));
    assert_eq!(store.zones.len(), 1);
    assert!(script.asked()[0].contains("ShowCacheNodeInfo=true"), "{:?}", script.asked());
    let again = only(&aws.stores(&which).await);
    assert_eq!((again.vpc().cloned(), again.settings.connect), (VpcId::parse("vpc-1").ok(), ConnectTag::Absent));
    assert_eq!(count(&script, SUBNETS), 1);
    // One that was made anew under the same name may be elsewhere.
    assert_eq!(only(&aws.stores(&which).await).vpc().cloned(), VpcId::parse("vpc-2").ok());
}

#[tokio::test]
async fn a_cache_outside_any_vpc_says_so() {
    let of_its_own = "<CacheSecurityGroups><CacheSecurityGroup><CacheSecurityGroupName>default</CacheSecurityGroupName></CacheSecurityGroup></CacheSecurityGroups>";
    for (more, network) in [(of_its_own, Network::Classic), ("", Network::NotShown)] {
        let script = Script::default().to(CLUSTER, 200, clusters(&[a_cluster("a", more)])).to(TAGS, 200, tags(None));
        assert_eq!(only(&ask(&script, &[&arn("cluster:a")]).await).network, network);
    }
}

#[tokio::test]
async fn a_member_of_a_replication_group_points_at_it_and_its_copied_tags_are_not_asked_for() {
    let member = a_cluster("a-001", &format!("{IN_NET}<ReplicationGroupId>a</ReplicationGroupId>"));
    let script = Script::default().to(CLUSTER, 200, clusters(&[member])).to(SUBNETS, 200, subnets("vpc-1"));
    let store = only(&ask(&script, &[&arn("cluster:a-001")]).await);
    assert_eq!(store.form, Form::ClusterMember { cluster: "a".into() });
    assert_eq!((store.settings.connect, script.asked().len()), (ConnectTag::Absent, 2));
}

#[tokio::test]
async fn a_serverless_cache_has_a_range_of_ports_and_the_vpc_of_its_groups() {
    let script = Script::default()
        .to(SERVERLESS, 200, serverless(&[a_serverless("a", "AVAILABLE", ENDPOINTS)], ""))
        .to(TAGS, 200, tags(Some("orders")))
        .to("DescribeSecurityGroups", 200, ec2_group("sg-1", "vpc-1"));
    let store = only(&ask(&script, &[&arn("serverlesscache:a")]).await);
    assert_eq!((store.ports, store.vpc().map(VpcId::as_str)), (PortRange::new(6379, 6380), Some("vpc-1")));
    assert_eq!(store.readiness(), Readiness::Ready);
    assert_eq!(store.groups.len(), 1);
}

#[tokio::test]
async fn a_serverless_cache_whose_vpc_cannot_be_told_is_there_and_says_so() {
    let of = arn("serverlesscache:a");
    let young = serverless(&[a_serverless("a", "CREATING", "")], "");
    let script = Script::default().to(SERVERLESS, 200, young).to(INDEX, 200, index(&[(&of, OPTED_IN)]));
    assert_eq!(only(&ask(&script, &[&of]).await).network, Network::NotShown);
    let unseen = "<DescribeSecurityGroupsResponse><securityGroupInfo/></DescribeSecurityGroupsResponse>";
    let script = Script::default()
        .to(SERVERLESS, 200, serverless(&[a_serverless("a", "AVAILABLE", ENDPOINTS)], ""))
        .to(TAGS, 200, tags(Some("orders")))
        .to("DescribeSecurityGroups", 200, unseen);
    assert_eq!(only(&ask(&script, &[&of]).await).network, Network::NotShown);
}

#[tokio::test]
async fn a_serverless_cache_whose_group_cannot_be_read_lies_in_a_gap() {
    let throttled =
        "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>m</Message></Error></Errors></Response>";
    let script = Script::default()
        .to(SERVERLESS, 200, serverless(&[a_serverless("a", "AVAILABLE", ENDPOINTS)], ""))
        .to(TAGS, 200, tags(Some("orders")))
        .to("DescribeSecurityGroups", 503, throttled);
    let reading = ask(&script, &[&arn("serverlesscache:a")]).await;
    assert_eq!((reading.found.len(), reading.gaps.len(), reading.gaps[0].passing), (0, 1, true), "{reading:?}");
}

#[tokio::test]
async fn a_serverless_cache_with_a_public_endpoint_is_in_no_vpc_whether_looked_up_or_listed() {
    let public = "<Endpoint><Port>6379</Port></Endpoint><ConnectionType>public</ConnectionType>";
    let of = arn("serverlesscache:a");
    let answer = || serverless(&[a_serverless("a", "AVAILABLE", public)], "");
    let script = Script::default().to(SERVERLESS, 200, answer()).to(TAGS, 200, tags(Some("orders")));
    let store = only(&ask(&script, &[&of]).await);
    assert_eq!((store.network, store.groups.len()), (Network::PublicEndpoint, 0));
    assert_eq!(store.ports, PortRange::single(6379));
    let script = Script::default().to(SERVERLESS, 200, answer()).to(INDEX, 200, index(&[]));
    let aws = script.aws();
    let caches = ServerlessCaches { elasticache: &aws.elasticache, ec2: &aws.ec2 }.all().await;
    assert_eq!((caches.found.len(), caches.gaps), (1, Vec::new()));
}

#[tokio::test]
async fn only_the_services_own_not_found_makes_a_cache_gone() {
    let which = [arn("replicationgroup:a"), arn("cluster:b"), arn("serverlesscache:c")];
    let codes = ["ReplicationGroupNotFoundFault", "CacheClusterNotFound", "ServerlessCacheNotFoundFault"];
    let script = Script::default().to(GROUP, 404, error(codes[0])).to(CLUSTER, 404, error(codes[1])).to(
        SERVERLESS,
        404,
        error(codes[2]),
    );
    let reading = ask(&script, &which.each_ref()).await;
    assert_eq!(reading.found, which.clone().map(StoreLookup::NotFound));
    assert_eq!((reading.gaps.len(), script.asked().len()), (0, 3));
    let script = Script::default().to(GROUP, 400, error("Throttling")).to(CLUSTER, 403, error("AccessDenied")).to(
        SERVERLESS,
        200,
        serverless(&[], ""),
    );
    let reading = ask(&script, &which.each_ref()).await;
    assert_eq!(reading.found, []);
    let passing: Vec<bool> = reading.gaps.iter().map(|gap| gap.passing).collect();
    assert_eq!(passing, [true, false, false], "{:?}", reading.gaps);
    for (arn, gap) in which.iter().zip(&reading.gaps) {
        assert!(gap.reading().ends_with(arn.as_str()), "{gap:?}");
    }
}

#[tokio::test]
async fn a_cache_of_the_same_name_in_another_account_is_not_taken_for_the_one_asked_for() {
    let other = StoreArn::parse("arn:aws:elasticache:eu-west-1:999999999999:cluster:a").unwrap();
    let script = Script::default().to(CLUSTER, 200, clusters(&[a_cluster("a", IN_NET)]));
    let reading = ask(&script, &[&other]).await;
    assert_eq!((reading.found.len(), reading.gaps.len()), (0, 1));
    assert!(reading.gaps[0].message.contains("another ARN"), "{:?}", reading.gaps);
}

#[tokio::test]
async fn a_group_whose_members_cannot_be_described_lies_in_a_gap() {
    let of = arn("replicationgroup:a");
    for (status, body, passing, message) in
        [(400, error("Throttling"), true, "Throttling"), (403, error("AccessDenied"), false, "AccessDenied")]
    {
        let script = Script::default()
            .to(GROUP, 200, groups(&[a_group("a", "available", SHARD)]))
            .to(TAGS, 200, tags(None))
            .to(CLUSTER, status, body);
        let reading = ask(&script, &[&of]).await;
        assert_eq!((reading.found.len(), reading.gaps.len()), (0, 1), "{reading:?}");
        let gap = &reading.gaps[0];
        assert_eq!((gap.passing, gap.reading().ends_with(of.as_str())), (passing, true), "{gap:?}");
        assert!(gap.message.contains(message), "{gap:?}");
    }
}

#[tokio::test]
async fn a_group_without_a_member_shows_no_vpc_and_no_groups_in_whatever_state_it_is() {
    let of = arn("replicationgroup:a");
    for state in ["creating", "available", "deleting", "create-failed"] {
        let group = a_group("a", state, "").replace("<ClusterId>a-001</ClusterId><ClusterId>a-002</ClusterId>", "");
        let script = Script::default().to(GROUP, 200, groups(&[group])).to(TAGS, 200, tags(Some("orders"))).to(
            INDEX,
            200,
            index(&[(&of, OPTED_IN)]),
        );
        let store = only(&ask(&script, &[&of]).await);
        assert_eq!((store.network, store.groups.len(), store.state.as_str()), (Network::NotShown, 0, state));
    }
}

#[tokio::test]
async fn a_group_whose_first_member_is_gone_is_known_by_another() {
    let member = a_cluster("a-002", IN_NET);
    let script =
        || Script::default().to(GROUP, 200, groups(&[a_group("a", "available", SHARD)])).to(TAGS, 200, tags(None));
    let of = arn("replicationgroup:a");
    let answered = script()
        .to("CacheClusterId=a-001", 404, error("CacheClusterNotFound"))
        .to("CacheClusterId=a-002", 200, clusters(&[member]))
        .to(SUBNETS, 200, subnets("vpc-1"));
    let store = only(&ask(&answered, &[&of]).await);
    assert_eq!((store.vpc().map(VpcId::as_str), store.groups.len()), (Some("vpc-1"), 1));
    let bereft = script().to("CacheClusterId=a-001", 404, error("CacheClusterNotFound")).to(
        "CacheClusterId=a-002",
        404,
        error("CacheClusterNotFound"),
    );
    assert_eq!(only(&ask(&bereft, &[&of]).await).network, Network::NotShown);
}

/// A group in some state, the index's answer, and what follows for its settings.
async fn settings_while(state: &str, index: Result<String, u16>) -> Result<ConnectTag, bool> {
    let throttled = r#"{"__type":"ThrottledException","message":"m"}"#.to_owned();
    let (status, body) = index.map_or_else(|status| (status, throttled), |body| (200, body));
    let script = Script::default()
        .to(GROUP, 200, groups(&[a_group("a", state, SHARD)]))
        .to(CLUSTER, 200, clusters(&[a_cluster("a-001", IN_NET)]))
        .to(INDEX, status, body)
        .to(SUBNETS, 200, subnets("vpc-1"));
    let mut reading = ask(&script, &[&arn("replicationgroup:a")]).await;
    assert_eq!(count(&script, TAGS), 0);
    match reading.found.pop() {
        Some(StoreLookup::Found(store)) => Ok(store.settings.connect),
        Some(StoreLookup::NotFound(_)) => panic!("gone"),
        None => Err(reading.gaps[0].passing),
    }
}

#[tokio::test]
async fn while_its_tags_cannot_be_listed_a_cache_is_tagged_or_unknown_and_never_untagged() {
    let of = arn("replicationgroup:a");
    let tagged = ConnectTag::read(Some("orders"));
    assert_eq!(settings_while("modifying", Ok(index(&[(&of, OPTED_IN)]))).await, Ok(tagged.clone()));
    assert_eq!(settings_while("creating", Ok(index(&[]))).await, Err(true));
    assert_eq!(settings_while("creating", Ok(index(&[(&of, "")]))).await, Err(true));
    assert_eq!(settings_while("snapshotting", Err(400)).await, Err(true));
    // What will never be available has no list to wait for.
    assert_eq!(settings_while("deleting", Ok(index(&[]))).await, Ok(ConnectTag::Absent));
    assert_eq!(settings_while("deleting", Ok(index(&[(&of, OPTED_IN)]))).await, Ok(tagged));
}

#[tokio::test]
async fn a_state_that_changes_between_two_calls_leads_to_the_index() {
    let of = arn("cluster:a");
    let script = |index: String| {
        Script::default()
            .to(CLUSTER, 200, clusters(&[a_cluster("a", IN_NET)]))
            .to(TAGS, 400, error("InvalidReplicationGroupState"))
            .to(INDEX, 200, index)
            .to(SUBNETS, 200, subnets("vpc-1"))
    };
    let store = only(&ask(&script(index(&[(&of, OPTED_IN)])), &[&of]).await);
    assert_eq!(store.settings.connect, ConnectTag::read(Some("orders")));
    let reading = ask(&script(index(&[])), &[&of]).await;
    assert_eq!((reading.found.len(), reading.gaps[0].passing), (0, true));
}

#[tokio::test]
async fn tags_that_may_not_be_listed_leave_a_gap_that_lasts() {
    let script = Script::default()
        .to(CLUSTER, 200, clusters(&[a_cluster("a", IN_NET)]))
        .to(TAGS, 403, error("AccessDenied"))
        .to(SUBNETS, 200, subnets("vpc-1"));
    let reading = ask(&script, &[&arn("cluster:a")]).await;
    assert_eq!((reading.found.len(), reading.gaps.len(), reading.gaps[0].passing), (0, 1, false));
}

#[tokio::test]
async fn many_caches_are_read_from_one_list_to_its_end() {
    let names: Vec<String> = (0..25).map(|number| format!("c{number}")).collect();
    let page = |names: &[String], marker: &str| {
        let members: Vec<String> = names.iter().map(|name| a_cluster(name, IN_NET)).collect();
        let body = format!("<Marker>{marker}</Marker><CacheClusters>{}</CacheClusters>", members.concat());
        answer("DescribeCacheClusters", &body)
    };
    let mut script = Script::default()
        .to(CLUSTER, 200, page(&names[..20], "more"))
        .to("Marker=more", 200, page(&names[20..24], ""))
        .to("CacheClusterId=c24", 404, error("CacheClusterNotFound"))
        .to(SUBNETS, 200, subnets("vpc-1"));
    for _ in 0..24 {
        script = script.to(TAGS, 200, tags(None));
    }
    let arns: Vec<StoreArn> = names.iter().map(|name| arn(&format!("cluster:{name}"))).collect();
    let reading = ask(&script, &arns.iter().collect::<Vec<_>>()).await;
    let gone = reading.found.iter().filter(|lookup| matches!(lookup, StoreLookup::NotFound(_))).count();
    assert_eq!((reading.found.len(), gone, reading.gaps.len()), (25, 1, 0), "{:?}", reading.gaps);
    assert_eq!((count(&script, CLUSTER), count(&script, SUBNETS)), (3, 1));
    let script = Script::default().to(CLUSTER, 200, page(&names[..20], "more")).to(CLUSTER, 400, error("Throttling"));
    let reading = ask(&script, &arns.iter().collect::<Vec<_>>()).await;
    assert!(reading.gaps.iter().any(|gap| gap.passing && gap.on.ends_with("page 2")), "{:?}", reading.gaps);
    assert_eq!(count(&script, CLUSTER), 2);
}

#[tokio::test]
async fn many_groups_and_serverless_caches_are_listed_too() {
    let names: Vec<String> = (0..21).map(|number| format!("c{number}")).collect();
    let arns = |kind: &str| names.iter().map(|name| arn(&format!("{kind}:{name}"))).collect::<BTreeSet<_>>();
    let all: Vec<String> = names.iter().map(|name| a_group(name, "deleting", SHARD)).collect();
    let members: Vec<String> = names.iter().map(|name| a_cluster(&format!("{name}-001"), IN_NET)).collect();
    let script = Script::default()
        .to(GROUP, 200, groups(&all))
        .to(CLUSTER, 200, clusters(&members))
        .to(INDEX, 200, index(&[]))
        .to(SUBNETS, 200, subnets("vpc-1"));
    assert_eq!(script.aws().stores(&arns("replicationgroup")).await.found.len(), 21);
    assert_eq!(script.asked().len(), 4);
    let all: Vec<String> = names.iter().map(|name| a_serverless(name, "deleting", ENDPOINTS)).collect();
    let script = Script::default()
        .to(SERVERLESS, 200, serverless(&all[..20], "more"))
        .to("NextToken=more", 200, serverless(&all[20..], ""))
        .to("DescribeSecurityGroups", 200, ec2_group("sg-1", "vpc-1"))
        .to(INDEX, 200, index(&[]));
    assert_eq!(script.aws().stores(&arns("serverlesscache")).await.found.len(), 21);
    assert_eq!(script.asked().len(), 4);
}

const WRITTEN: &str = "SecurityGroupIds.SecurityGroupId.1=sg-1&SecurityGroupIds.SecurityGroupId.2=sg-2";

#[tokio::test]
async fn a_groups_list_is_written_at_once_when_nothing_else_is_pending() {
    let empty = "<PendingModifiedValues><LogDeliveryConfigurations/></PendingModifiedValues>";
    let script = Script::default()
        .to(GROUP, 200, groups(&[a_group("a", "available", empty)]))
        .to("CacheClusterId=a-001", 200, clusters(&[a_cluster("a-001", "<PendingModifiedValues/>")]))
        .to("CacheClusterId=a-002", 200, clusters(&[a_cluster("a-002", "<PendingModifiedValues/>")]))
        .to("Action=ModifyReplicationGroup", 200, answer("ModifyReplicationGroup", ""));
    script.aws().set_store_groups(&arn("replicationgroup:a"), &list()).await.unwrap();
    let written = script.asked().pop().unwrap();
    let wanted = format!("ReplicationGroupId=a&{WRITTEN}&ApplyImmediately=true");
    assert_eq!(written, format!("Action=ModifyReplicationGroup&Version=2015-02-02&{wanted}"));
}

#[tokio::test]
async fn a_clusters_list_is_written_at_once_when_nothing_else_is_pending() {
    let empty = "<PendingModifiedValues><CacheNodeIdsToRemove/></PendingModifiedValues>";
    let script = Script::default().to(CLUSTER, 200, clusters(&[a_cluster("a", empty)])).to(
        "Action=ModifyCacheCluster",
        200,
        answer("ModifyCacheCluster", ""),
    );
    script.aws().set_store_groups(&arn("cluster:a"), &list()).await.unwrap();
    let written = script.asked().pop().unwrap();
    let wanted = format!("CacheClusterId=a&{WRITTEN}&ApplyImmediately=true");
    assert_eq!(written, format!("Action=ModifyCacheCluster&Version=2015-02-02&{wanted}"));
}

#[tokio::test]
async fn nothing_is_written_while_the_owner_has_something_pending() {
    let in_group =
        "<PendingModifiedValues><AutomaticFailoverStatus>enabled</AutomaticFailoverStatus></PendingModifiedValues>";
    let in_member = "<PendingModifiedValues><CacheNodeType>cache.m7g.large</CacheNodeType></PendingModifiedValues>";
    for (group, member) in [(in_group, ""), ("", in_member)] {
        let script = Script::default()
            .to(GROUP, 200, groups(&[a_group("a", "available", group)]))
            .to("CacheClusterId=a-001", 200, clusters(&[a_cluster("a-001", "")]))
            .to("CacheClusterId=a-002", 200, clusters(&[a_cluster("a-002", member)]));
        let error = script.aws().set_store_groups(&arn("replicationgroup:a"), &list()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::PendingChanges);
        assert_eq!(count(&script, "Modify"), 0);
    }
    let script = Script::default().to(CLUSTER, 200, clusters(&[a_cluster("a", in_member)]));
    let error = script.aws().set_store_groups(&arn("cluster:a"), &list()).await.unwrap_err();
    assert_eq!((error.kind, error.kind.passes(), script.asked().len()), (ErrorKind::PendingChanges, true, 1));
}

#[tokio::test]
async fn nothing_is_written_when_it_is_not_known_what_is_pending() {
    for (status, code, kind) in [
        (404, "CacheClusterNotFound", ErrorKind::NotFound),
        (400, "Throttling", ErrorKind::Unavailable),
        (403, "AccessDenied", ErrorKind::Rejected),
    ] {
        let script = Script::default().to(CLUSTER, status, error(code));
        let error = script.aws().set_store_groups(&arn("cluster:a"), &list()).await.unwrap_err();
        assert_eq!((error.kind, script.asked().len()), (kind, 1), "{error}");
    }
    let script = Script::default()
        .to(GROUP, 200, groups(&[a_group("a", "available", "")]))
        .to("CacheClusterId=a-001", 200, clusters(&[a_cluster("a-001", "")]))
        .to("CacheClusterId=a-002", 400, error("Throttling"));
    let error = script.aws().set_store_groups(&arn("replicationgroup:a"), &list()).await.unwrap_err();
    assert_eq!((error.kind, count(&script, "Modify")), (ErrorKind::Unavailable, 0));
}

#[tokio::test]
async fn a_serverless_caches_list_is_written_with_nothing_else() {
    let script = Script::default().then(200, answer("ModifyServerlessCache", ""));
    script.aws().set_store_groups(&arn("serverlesscache:a"), &list()).await.unwrap();
    let wanted = format!("Action=ModifyServerlessCache&Version=2015-02-02&ServerlessCacheName=a&{WRITTEN}");
    assert_eq!(script.asked(), [wanted]);
    let script = Script::default().then(400, error("InvalidServerlessCacheStateFault"));
    let error = script.aws().set_store_groups(&arn("serverlesscache:a"), &list()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotReady);
}

#[tokio::test]
async fn a_cache_is_known_by_its_arn_and_gets_no_status() {
    let script = Script::default();
    let aws = script.aws();
    for kind in ["replicationgroup", "cluster", "serverlesscache"] {
        let of = arn(&format!("{kind}:a"));
        let reading = aws.stores_by_id(&[(StoreId::parse(of.as_str()).unwrap(), of.clone())].into()).await;
        assert_eq!((reading.found.len(), reading.gaps.len()), (0, 0));
        let error = aws.set_status(&StatusOf::Store(of), Some("connected")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Rejected);
    }
    assert_eq!(script.asked(), Vec::<String>::new());
}
