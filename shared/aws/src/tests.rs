//! What goes over the wire and what comes back, against prepared answers.

use std::{collections::BTreeSet, time::Duration};

use tagwire_core::{
    cidr::Family,
    group::{GroupList, GroupName, GroupRecord, OwnTags, OwnedGroup, Ownership, SecurityGroup, Token, description},
    id::{InstanceId, InterfaceId, PrefixListId, SecurityGroupId, StoreArn, StoreId, VpcId},
    observation::{Reading, Scope, StoreLookup},
    rule::{Direction, Peer, PortRange, Rule, Traffic},
    service::Side,
    tag::ConnectionName,
    work::{Again, Cause, Tries, VERSION, WorkItem},
};
use tagwire_engine::cloud::{Change, ErrorKind, EventQueue, Groups, Instances, Observe, Queues};

use crate::testing::Script;

mod gaps;
mod shown;
mod surveying;
mod taking_away;

fn vpc() -> VpcId {
    VpcId::parse("vpc-1").unwrap()
}

fn arn(text: &str) -> StoreArn {
    StoreArn::parse(format!("arn:aws:rds:eu-west-1:123456789012:{text}")).unwrap()
}

fn sg(id: &str) -> SecurityGroupId {
    SecurityGroupId::parse(id).unwrap()
}

fn tags() -> OwnTags {
    OwnTags { store: StoreId::parse("cluster-A").unwrap(), arn: arn("cluster:a"), role: Side::Store.into() }
}

fn token() -> Token {
    Token::of_bits(7)
}

fn name() -> GroupName {
    GroupName::read("rds-ec2-3").unwrap()
}

fn owned() -> OwnedGroup {
    let (store, arn, role) = (tags().store, Some(tags().arn), tags().role);
    let record = GroupRecord { store, arn, role, token: Some(token()), id: Some(sg("sg-1")), earlier: None };
    let group = SecurityGroup {
        id: sg("sg-1"),
        vpc: vpc(),
        name: "rds-ec2-1".into(),
        description: description(Side::Store, &tags().store, &token()),
        tags: tags().to_map(),
        rules: BTreeSet::new(),
        record: Some(record),
    };
    match group.ownership() {
        Ownership::Owned(owned) => owned.group,
        Ownership::Foreign | Ownership::Forged(_) | Ownership::Unproven(_) => panic!("not owned"),
    }
}

fn rule(direction: Direction) -> Rule {
    let ports = PortRange::single(5432).unwrap();
    Rule { direction, traffic: Traffic::Tcp(ports), peer: Peer::Group(sg("sg-2")) }
}

fn ec2_error(code: &str) -> String {
    format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>m</Message></Error></Errors><RequestID>r-1</RequestID></Response>"
    )
}

fn rds_error(code: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>m</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
    )
}

fn instances(ids: &[&str], next: &str) -> String {
    let items = ids
        .iter()
        .map(|id| {
            format!("<item><instanceId>{id}</instanceId><instanceState><code>48</code><name>terminated</name></instanceState></item>")
        })
        .collect::<Vec<_>>()
        .concat();
    format!(
        "<DescribeInstancesResponse><reservationSet><item><instancesSet>{items}</instancesSet></item></reservationSet><nextToken>{next}</nextToken></DescribeInstancesResponse>"
    )
}

fn clusters(names: &[&str]) -> String {
    let members = names
        .iter()
        .map(|name| {
            format!(
                "<DBCluster><DBClusterIdentifier>{name}</DBClusterIdentifier><DBClusterArn>arn:aws:rds:eu-west-1:123456789012:cluster:{name}</DBClusterArn><DbClusterResourceId>cluster-{name}</DbClusterResourceId><Engine>aurora-mysql</Engine><Status>available</Status><Port>3306</Port><DBSubnetGroup>net</DBSubnetGroup></DBCluster>"
            )
        })
        .collect::<Vec<_>>()
        .concat();
    format!(
        "<DescribeDBClustersResponse><DescribeDBClustersResult><DBClusters>{members}</DBClusters></DescribeDBClustersResult></DescribeDBClustersResponse>"
    )
}

const SUBNET_GROUP: &str = "<DescribeDBSubnetGroupsResponse><DescribeDBSubnetGroupsResult><DBSubnetGroups><DBSubnetGroup><DBSubnetGroupName>net</DBSubnetGroupName><VpcId>vpc-1</VpcId></DBSubnetGroup></DBSubnetGroups></DescribeDBSubnetGroupsResult></DescribeDBSubnetGroupsResponse>";

fn here(lookups: &[StoreLookup]) -> Vec<String> {
    lookups
        .iter()
        .map(|lookup| match lookup {
            StoreLookup::Found(store) => {
                format!("{} in {}", store.arn.name(), store.vpc().map_or("none", VpcId::as_str))
            }
            StoreLookup::NotFound(arn) => format!("{} gone", arn.name()),
        })
        .collect()
}

#[tokio::test]
async fn pages_are_read_to_the_end() {
    let script = Script::default().then(200, instances(&["i-2"], "more")).then(200, instances(&["i-1"], ""));
    let reading = script.aws().instances(Instances::OptedIn { vpc: &vpc(), names: None }).await;
    assert!(reading.is_complete(), "{:?}", reading.gaps);
    assert_eq!(reading.found.iter().map(|instance| instance.id.as_str()).collect::<Vec<_>>(), ["i-1", "i-2"]);
    let asked = script.asked();
    assert!(asked[0].contains("Filter.1.Name=tag-key&Filter.1.Value.1=k&"), "{asked:?}");
    assert!(asked[0].contains("Name=vpc-id&Filter.3.Value.1=vpc-1"), "{asked:?}");
    assert!(!asked[0].contains("terminated") && asked[1].contains("NextToken=more"), "{asked:?}");
    assert!(asked.iter().all(|page| page.contains("IncludeManagedResources=true")), "{asked:?}");
}

#[tokio::test]
async fn a_page_that_fails_leaves_what_was_found_and_a_gap() {
    let script = Script::default().then(200, instances(&["i-2"], "more")).then(503, ec2_error("RequestLimitExceeded"));
    let reading = script.aws().instances(Instances::OptedInAnywhere).await;
    assert_eq!(reading.found.len(), 1);
    let gap = &reading.gaps[0];
    assert_eq!(gap.reading(), "ec2:DescribeInstances on tagged instances page 2");
    assert_eq!((&*gap.message, gap.passing), ("RequestLimitExceeded: m (request id r-1)", true));
}

#[tokio::test]
async fn a_page_that_names_itself_ends_the_reading() {
    let script = Script::default().then(200, instances(&[], "more")).then(200, instances(&[], "more"));
    let reading = script.aws().instances(Instances::OptedInAnywhere).await;
    assert_eq!((reading.gaps.len(), script.asked().len()), (1, 2));
}

#[tokio::test]
async fn names_and_groups_are_filtered_by_the_service() {
    let script = Script::default().then(200, instances(&[], "")).then(200, instances(&[], ""));
    let aws = script.aws();
    let names = ["a", "b.c"].map(|name| ConnectionName::parse(name).unwrap()).into();
    let _named = aws.instances(Instances::OptedIn { vpc: &vpc(), names: Some(&names) }).await;
    let _with_group = aws.instances(Instances::WithGroups { vpc: &vpc(), groups: &[sg("sg-1")].into() }).await;
    let asked = script.asked();
    assert!(asked[0].contains("Name=tag:k&Filter.4.Value.1=*a*&Filter.4.Value.2=*b.c*"), "{asked:?}");
    assert!(asked[1].contains("Name=network-interface.group-id&Filter.2.Value.1=sg-1"), "{asked:?}");
}

#[tokio::test]
async fn nothing_asked_for_is_no_call() {
    let script = Script::default();
    let aws = script.aws();
    assert!(aws.instances(Instances::Ids(&BTreeSet::new())).await.is_complete());
    assert!(aws.instances(Instances::OptedIn { vpc: &vpc(), names: Some(&BTreeSet::new()) }).await.is_complete());
    assert!(aws.instances(Instances::WithGroups { vpc: &vpc(), groups: &BTreeSet::new() }).await.is_complete());
    assert!(aws.interfaces(&BTreeSet::new()).await.is_complete());
    assert!(aws.groups(Groups::Ids(&BTreeSet::new())).await.is_complete());
    assert!(aws.stores(&BTreeSet::new()).await.is_complete());
    assert!(aws.attached_interfaces(&vpc(), &BTreeSet::new()).await.is_complete());
    assert!(aws.groups(Groups::OwnedFor(&BTreeSet::new())).await.is_complete());
    assert_eq!(script.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn more_ids_than_a_filter_takes_are_asked_for_in_several_calls() {
    let script = Script::default().then(200, instances(&["i-9"], "")).then(200, instances(&["i-1"], ""));
    let ids = (0..201).map(|number| InstanceId::parse(format!("i-{number}")).unwrap()).collect();
    assert_eq!(script.aws().instances(Instances::Ids(&ids)).await.found.len(), 2);
    assert!(script.asked()[0].contains("Filter.1.Value.200=") && script.asked()[1].contains("Filter.1.Value.1="));
}

#[tokio::test]
async fn groups_of_a_vpc_are_those_of_every_service() {
    let answer = "<DescribeSecurityGroupsResponse><securityGroupInfo/></DescribeSecurityGroupsResponse>";
    let script = Script::default().then(200, answer);
    assert!(script.aws().groups(Groups::InVpc(&vpc())).await.is_complete());
    let asked = &script.asked()[0];
    for pattern in [
        "rds-ec2-*",
        "ec2-rds-*",
        "docdb-ec2-*",
        "ec2-docdb-*",
        "neptune-ec2-*",
        "ec2-neptune-*",
        "ec2-elasticache:*",
        "elasticache-ec2-*",
        "default",
    ] {
        assert!(asked.contains(&format!("={pattern}")), "{asked}");
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_a_gap_and_the_rest_stays() {
    let script = Script::default().then(200, instances(&["i-1", "x-1"], ""));
    let reading = script.aws().instances(Instances::OptedInAnywhere).await;
    assert_eq!((reading.found.len(), reading.gaps.len()), (1, 1));
    assert_eq!(reading.gaps[0].reading(), "ec2:DescribeInstances on x-1");
    assert!(!reading.gaps[0].passing);
}

#[tokio::test]
async fn a_cluster_comes_with_the_vpc_of_its_subnet_group_which_is_read_once() {
    let script = Script::default().then(200, clusters(&["a", "b"])).then(200, SUBNET_GROUP).then(200, clusters(&["a"]));
    let aws = script.aws();
    let reading = aws.stores(&[arn("cluster:a"), arn("cluster:b")].into()).await;
    assert_eq!((here(&reading.found), reading.gaps), (vec!["a in vpc-1".into(), "b in vpc-1".into()], vec![]));
    assert_eq!(here(&aws.stores(&[arn("cluster:a")].into()).await.found), ["a in vpc-1"]);
    assert_eq!(script.asked().len(), 3);
}

#[tokio::test]
async fn only_the_services_own_not_found_makes_a_store_gone() {
    let script = Script::default()
        .then(200, clusters(&["a"]))
        .then(404, rds_error("DBClusterNotFoundFault"))
        .then(400, rds_error("Throttling"))
        .then(200, SUBNET_GROUP);
    let reading = script.aws().stores(&[arn("cluster:a"), arn("cluster:b"), arn("cluster:c")].into()).await;
    assert_eq!(here(&reading.found), ["a in vpc-1", "b gone"]);
    assert_eq!(reading.gaps.len(), 1);
    assert_eq!(reading.gaps[0].reading(), format!("rds:DescribeDBClusters on {}", arn("cluster:c")));
    assert!(reading.gaps[0].passing);
}

#[tokio::test]
async fn a_list_that_fails_is_not_followed_by_single_questions() {
    let script = Script::default().then(400, rds_error("ThrottlingException"));
    let reading = script.aws().stores(&[arn("db:a"), arn("db:b")].into()).await;
    assert_eq!((reading.found.len(), reading.gaps.len(), script.asked().len()), (0, 1, 1));
}

#[tokio::test]
async fn a_store_of_the_same_name_in_another_account_is_not_taken_for_the_one_asked_for() {
    let other = StoreArn::parse("arn:aws:rds:eu-west-1:999999999999:cluster:a").unwrap();
    let script = Script::default().then(200, clusters(&["a"])).then(200, clusters(&["a"]));
    let reading = script.aws().stores(&[other].into()).await;
    assert_eq!((reading.found.len(), reading.gaps.len()), (0, 1));
    assert!(reading.gaps[0].message.contains("another ARN"), "{:?}", reading.gaps);
}

#[tokio::test]
async fn a_store_of_another_region_is_a_gap_without_a_call_and_never_changed() {
    let other = StoreArn::parse("arn:aws:rds:us-east-1:123456789012:cluster:a").unwrap();
    let script = Script::default();
    let aws = script.aws();
    assert_eq!(aws.stores(&[other.clone()].into()).await.gaps.len(), 1);
    let list = GroupList::new([sg("sg-1")].into(), 5).unwrap();
    assert_eq!(aws.set_store_groups(&other, &list).await.unwrap_err().kind, ErrorKind::Rejected);
    assert_eq!(script.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_stores_list_is_written_with_nothing_else() {
    let script =
        Script::default().then(200, "<ModifyDBClusterResponse><ModifyDBClusterResult/></ModifyDBClusterResponse>");
    let script = script.then(200, "<ModifyDBInstanceResponse><ModifyDBInstanceResult/></ModifyDBInstanceResponse>");
    let aws = script.aws();
    let list = GroupList::new([sg("sg-1"), sg("sg-2")].into(), 5).unwrap();
    aws.set_store_groups(&arn("cluster:a"), &list).await.unwrap();
    aws.set_store_groups(&arn("db:a"), &list).await.unwrap();
    let groups = "VpcSecurityGroupIds.VpcSecurityGroupId.1=sg-1&VpcSecurityGroupIds.VpcSecurityGroupId.2=sg-2";
    let asked = script.asked();
    assert_eq!(asked[0], format!("Action=ModifyDBCluster&Version=2014-10-31&DBClusterIdentifier=a&{groups}"));
    assert_eq!(asked[1], format!("Action=ModifyDBInstance&Version=2014-10-31&DBInstanceIdentifier=a&{groups}"));
}

#[tokio::test]
async fn a_group_is_created_with_its_tags_in_one_call() {
    let answer = "<CreateSecurityGroupResponse><groupId>sg-9</groupId></CreateSecurityGroupResponse>";
    let script = Script::default().then(200, answer).then(400, ec2_error("InvalidGroup.Duplicate")).then(200, "<a/>");
    let aws = script.aws();
    assert_eq!(aws.create_group(&vpc(), name(), &tags(), &token()).await.unwrap(), sg("sg-9"));
    let asked = &script.asked()[0];
    assert!(asked.contains("GroupName=rds-ec2-3") && asked.contains("TagSpecification.1.ResourceType=security-group"));
    assert!(asked.contains("tagwire:managed-by") && asked.contains("VpcId=vpc-1"), "{asked}");
    let sent = ["Key=tagwire:side&TagSpecification.1.Tag.4.Value=store", "Tag.5.Key=CostCenter", "Tag.5.Value=42"];
    assert!(sent.iter().all(|tag| asked.contains(tag)), "our tags, then those that the installation adds: {asked}");
    let error = aws.create_group(&vpc(), name(), &tags(), &token()).await.unwrap_err();
    assert_eq!((error.kind, error.resource.as_str()), (ErrorKind::AlreadyThere, "rds-ec2-3 in vpc-1"));
    assert_eq!(error.request_id.as_deref(), Some("r-1"));
    assert_eq!(aws.create_group(&vpc(), name(), &tags(), &token()).await.unwrap_err().kind, ErrorKind::EffectUnknown);
}

fn list_id(id: &str) -> PrefixListId {
    PrefixListId::parse(id).unwrap()
}

const LISTS: &str = "<DescribeManagedPrefixListsResponse><prefixListSet><item><prefixListId>pl-1</prefixListId><addressFamily>IPv4</addressFamily><maxEntries>20</maxEntries><ownerId>123456789012</ownerId></item><item><prefixListId>pl-2</prefixListId><addressFamily>IPv6</addressFamily><ownerId>AWS</ownerId></item></prefixListSet></DescribeManagedPrefixListsResponse>";

fn entries(block: &str, next: &str) -> String {
    format!(
        "<GetManagedPrefixListEntriesResponse><entrySet><item><cidr>{block}</cidr></item></entrySet><nextToken>{next}</nextToken></GetManagedPrefixListEntriesResponse>"
    )
}

#[tokio::test]
async fn prefix_lists_are_read_with_every_entry_and_those_of_aws_without() {
    let script = Script::default()
        .then(200, LISTS)
        .then(200, entries("203.0.113.0/24", "more"))
        .then(200, entries("198.51.100.0/24", ""));
    let reading = script.aws().prefix_lists(&[list_id("pl-1"), list_id("pl-2"), list_id("pl-3")].into()).await;
    assert!(reading.is_complete(), "{:?}", reading.gaps);
    let [own, aws] = reading.found.as_slice() else { panic!("{:?}", reading.found) };
    assert_eq!((own.owner.as_str(), own.family, own.most_entries), ("123456789012", Family::Ipv4, 20));
    let blocks: Vec<String> = own.entries.iter().map(ToString::to_string).collect();
    assert_eq!(blocks, ["198.51.100.0/24", "203.0.113.0/24"]);
    assert_eq!((aws.owner.as_str(), aws.family, aws.entries.len()), ("AWS", Family::Ipv6, 0));
    let asked = script.asked();
    assert_eq!(asked.len(), 3);
    assert!(
        asked[0].contains("Filter.1.Name=prefix-list-id") && asked[0].contains("Filter.1.Value.3=pl-3"),
        "{asked:?}"
    );
    assert!(asked[1].contains("PrefixListId=pl-1") && asked[2].contains("NextToken=more"), "{asked:?}");
}

#[tokio::test]
async fn a_prefix_list_of_which_an_entry_was_not_read_is_a_gap() {
    for (status, bad) in [(400, "<a/>".to_owned()), (200, entries("everybody", ""))] {
        let script = Script::default().then(200, LISTS).then(200, entries("203.0.113.0/24", "more")).then(status, bad);
        let reading = script.aws().prefix_lists(&[list_id("pl-1")].into()).await;
        let found: Vec<&str> = reading.found.iter().map(|list| list.id.as_str()).collect();
        assert_eq!((found, reading.gaps.len()), (vec!["pl-2"], 1));
    }
}

#[tokio::test]
async fn rules_for_clients_are_written_by_what_they_let_in() {
    let answer = "<AuthorizeSecurityGroupIngressResponse><return>true</return></AuthorizeSecurityGroupIngressResponse>";
    let script = Script::default().then(200, answer).then(200, answer).then(200, answer);
    let aws = script.aws();
    let peers = [
        (Peer::Ipv4("203.0.113.0/24".into()), "IpRanges.1.CidrIp=203.0.113.0/24"),
        (Peer::Ipv6("2001:db8::/48".into()), "Ipv6Ranges.1.CidrIpv6=2001:db8::/48"),
        (Peer::PrefixList("pl-1".into()), "PrefixListIds.1.PrefixListId=pl-1"),
    ];
    for (peer, _) in &peers {
        aws.authorize(&owned(), &Rule { peer: peer.clone(), ..rule(Direction::Inbound) }).await.unwrap();
    }
    for (asked, (_, field)) in script.asked().iter().zip(&peers) {
        assert!(asked.contains(field) && asked.contains("tagwire:allow-cidr"), "{asked}");
    }
}

#[tokio::test]
async fn rules_go_to_the_call_of_their_direction() {
    let actions = [
        "AuthorizeSecurityGroupIngress",
        "RevokeSecurityGroupIngress",
        "AuthorizeSecurityGroupEgress",
        "RevokeSecurityGroupEgress",
    ];
    let answer = |action: &str| format!("<{action}Response><return>true</return></{action}Response>");
    let script = actions.iter().fold(Script::default(), |script, action| script.then(200, answer(action)));
    let aws = script.aws();
    for direction in [Direction::Inbound, Direction::Outbound] {
        aws.authorize(&owned(), &rule(direction)).await.unwrap();
        aws.revoke(&owned(), &rule(direction)).await.unwrap();
    }
    for (asked, action) in script.asked().iter().zip(actions) {
        assert!(asked.contains(&format!("Action={action}&")), "{asked}");
        assert!(asked.contains("GroupId=sg-1&") && asked.contains("IpPermissions.1.FromPort=5432"), "{asked}");
        assert_eq!(asked.contains("Description="), action.starts_with("Authorize"), "{asked}");
    }
}

#[tokio::test]
async fn a_rule_that_was_not_there_is_reported_in_a_default_vpc_too() {
    let answer = "<RevokeSecurityGroupEgressResponse><return>true</return><unknownIpPermissionSet><item><ipProtocol>tcp</ipProtocol></item></unknownIpPermissionSet></RevokeSecurityGroupEgressResponse>";
    let script = Script::default().then(200, answer).then(400, ec2_error("InvalidPermission.NotFound"));
    let aws = script.aws();
    for _ in 0..2 {
        let error = aws.revoke(&owned(), &rule(Direction::Outbound)).await.unwrap_err();
        assert_eq!((error.kind, error.call), (ErrorKind::NotFound, "ec2:RevokeSecurityGroupEgress"));
    }
}

#[tokio::test]
async fn an_interfaces_list_and_a_groups_tags_are_written() {
    let script = Script::default().then(200, "<a/>").then(200, "<a/>");
    let aws = script.aws();
    let list = GroupList::new([sg("sg-1"), sg("sg-2")].into(), 5).unwrap();
    aws.set_interface_groups(&InterfaceId::parse("eni-1").unwrap(), &list).await.unwrap();
    aws.tag_group(&owned(), &tags()).await.unwrap();
    let asked = script.asked();
    assert!(asked[0].contains("NetworkInterfaceId=eni-1") && asked[0].contains("SecurityGroupId.2=sg-2"), "{asked:?}");
    assert!(asked[1].contains("ResourceId.1=sg-1") && asked[1].contains("Tag.4.Key="), "{asked:?}");
    assert!(!asked[1].contains("Tag.5.Key="), "tags that are not ours are left as they are: {asked:?}");
}

#[tokio::test]
async fn the_tag_index_is_read_to_the_end() {
    let page = |token: &str, arn: &StoreArn| {
        format!(
            r#"{{"PaginationToken":"{token}","ResourceTagMappingList":[{{"ResourceARN":"{arn}","Tags":[{{"Key":"k","Value":"one"}}]}}]}}"#
        )
    };
    let script = Script::default().then(200, page("t", &arn("cluster:a"))).then(200, page("", &arn("db:b")));
    let reading = script.aws().candidates().await;
    assert_eq!((reading.found.len(), reading.gaps.len()), (2, 0));
    assert!(script.asked()[0].contains(r#""ResourceTypeFilters":["rds:cluster","rds:db","elasticache:replicationgroup","elasticache:cluster","elasticache:serverlesscache","redshift:cluster"]"#), "{:?}", script.asked());
}

#[tokio::test]
async fn work_is_ordered_by_vpc_and_never_swallowed_as_a_duplicate() {
    let script = Script::default().then(200, "{}").then(200, "{}").then(200, "{}");
    let aws = script.aws();
    let tries = Tries::first(jiff::Timestamp::UNIX_EPOCH);
    let item = WorkItem {
        version: VERSION,
        vpc: vpc(),
        scope: Scope::Vpc,
        cause: Cause::Sweep,
        tries,
        request: None,
        tagged_stores: None,
    };
    aws.send_work(&item).await.unwrap();
    aws.send_work(&item).await.unwrap();
    let again = Again { version: VERSION, hints: BTreeSet::new(), cause: Cause::Sweep, tries };
    aws.send_again(EventQueue::Instances, &again, Duration::from_secs(40)).await.unwrap();
    let asked = script.asked();
    assert!(asked[0].contains(r#""MessageGroupId":"vpc-1""#) && asked[0] != asked[1], "{asked:?}");
    assert!(asked[2].contains(r#""DelaySeconds":40"#) && !asked[2].contains("MessageGroupId"), "{asked:?}");
    let error = aws.send_again(EventQueue::Stores, &again, Duration::ZERO).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Rejected, "no-queue-url"));
}

#[tokio::test]
async fn a_lost_answer_to_a_write_is_not_taken_for_a_failure() {
    let error = Script::default().aws().revoke(&owned(), &rule(Direction::Inbound)).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::EffectUnknown, "connection-lost"));
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_leaves_the_effect_unknown() {
    let script = Script::default().then(200, "<Page>sorry</Page>");
    let error = script.aws().revoke(&owned(), &rule(Direction::Inbound)).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::EffectUnknown, "http-200"));
    assert!(!error.message.is_empty(), "{error}");
}

#[tokio::test]
async fn groups_beside_ours_are_asked_for_by_tag_and_by_rules_of_either_direction() {
    let answer = "<DescribeSecurityGroupsResponse><securityGroupInfo/></DescribeSecurityGroupsResponse>";
    let script = Script::default().then(200, answer).then(200, answer).then(200, answer);
    let named = [SecurityGroupId::parse("sg-1").unwrap()].into();
    assert!(script.aws().groups(Groups::Beside { vpc: &vpc(), named: &named }).await.is_complete());
    let asked = script.asked();
    for (call, what) in asked.iter().zip([
        "Filter.2.Name=tag:tagwire:managed-by&Filter.2.Value.1=tagwire",
        "Filter.2.Name=ip-permission.group-id&Filter.2.Value.1=sg-1",
        "Filter.2.Name=egress.ip-permission.group-id&Filter.2.Value.1=sg-1",
    ]) {
        assert!(call.contains("Filter.1.Name=vpc-id") && call.contains(what), "{call}");
    }
    assert_eq!(asked.len(), 3);
}

#[tokio::test]
async fn groups_that_may_be_ours_are_found_by_their_description_when_their_tags_are_gone() {
    let answer = "<DescribeSecurityGroupsResponse><securityGroupInfo/></DescribeSecurityGroupsResponse>";
    let script = Script::default().then(200, answer).then(200, answer);
    assert!(script.aws().groups(Groups::OwnedAnywhere).await.is_complete());
    let asked = script.asked();
    let by =
        ["Filter.1.Name=tag:tagwire:managed-by&", "Filter.1.Name=description&Filter.1.Value.1=Made by tagwire for *"];
    for (call, what) in asked.iter().zip(by) {
        assert!(call.contains(what), "{call}");
    }
    assert_eq!(asked.len(), 2);
}

#[cfg(feature = "account")]
#[tokio::test]
async fn every_service_is_tried_and_says_for_itself_whether_it_may_be_read() {
    let xml = |code: &str| {
        format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>said</Message></Error></ErrorResponse>"
        )
    };
    let ec2 =
        "<Response><Errors><Error><Code>DryRunOperation</Code><Message>said</Message></Error></Errors></Response>";
    let script = (0..7).fold(Script::default(), |script, _| script.to("DryRun=true", 412, ec2));
    let script = script
        .to("DescribeDBClusters", 403, xml("AccessDenied"))
        .to("ListTagsForResource", 404, xml("CacheClusterNotFound"))
        .to("GetResources", 400, r#"{"__type":"ThrottledException","message":"slow"}"#)
        .to("Query", 200, r#"{"Items":[],"Count":0}"#)
        .to("BatchGetItem", 200, r#"{"Responses":{}}"#);
    let script = [
        "DBInstances",
        "DBSubnetGroups",
        "ReplicationGroups",
        "CacheClusters",
        "ServerlessCaches",
        "CacheSubnetGroups",
        "Clusters",
    ]
    .iter()
    .fold(script, |script, what| {
        let answer =
            format!("<Describe{what}Response><Describe{what}Result></Describe{what}Result></Describe{what}Response>");
        script.to(&format!("Action=Describe{what}"), 200, answer)
    });
    let caller =
        crate::sts::Identity { account: "123456789012".into(), arn: "arn:aws-eusc:sts::123456789012:user/ops".into() };
    let probes = Box::pin(script.aws().probes(Some(&caller))).await;
    let message: Vec<(&str, Option<ErrorKind>)> =
        probes.iter().map(|probe| (probe.action, probe.result.as_ref().err().map(|error| error.kind))).collect();
    let (ec2, others) = message.split_at(7);
    assert!(ec2.iter().all(|(action, error)| action.starts_with("ec2:") && error.is_none()), "{ec2:?}");
    let expected = [
        ("rds:DescribeDBClusters", Some(ErrorKind::Denied)),
        ("rds:DescribeDBInstances", None),
        ("rds:DescribeDBSubnetGroups", None),
        ("elasticache:DescribeReplicationGroups", None),
        ("elasticache:DescribeCacheClusters", None),
        ("elasticache:DescribeServerlessCaches", None),
        ("elasticache:DescribeCacheSubnetGroups", None),
        ("elasticache:ListTagsForResource", None),
        ("redshift:DescribeClusters", None),
        ("tag:GetResources", Some(ErrorKind::Throttled)),
        ("dynamodb:Query", None),
        ("dynamodb:BatchGetItem", None),
    ];
    assert_eq!(others, expected);
    let asked = script.asked();
    let tags = asked.iter().find(|asked| asked.contains("ListTagsForResource")).unwrap();
    assert!(
        tags.contains("ResourceName=arn:aws-eusc:elasticache:eu-west-1:123456789012:cluster:tagwire-doctor"),
        "{tags}"
    );
}
