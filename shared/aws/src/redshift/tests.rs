//! What goes over the wire to Redshift and what comes back, against prepared answers.

use tagwire_core::{
    group::GroupList,
    id::{SecurityGroupId, StoreArn, StoreId, VpcId},
    model::{Membership, Network},
    observation::StoreLookup,
    plan::StatusOf,
    rule::PortRange,
    service::Service,
    tag::ConnectTag,
};
use tagwire_engine::cloud::{Change, ErrorKind, Observe};

use crate::testing::Script;

fn arn(name: &str) -> StoreArn {
    StoreArn::parse(format!("arn:aws:redshift:eu-west-1:123456789012:cluster:{name}")).unwrap()
}

fn namespace(word: &str) -> StoreId {
    StoreId::parse(format!("arn:aws:redshift:eu-west-1:123456789012:namespace:{word}")).unwrap()
}

fn a_cluster(name: &str, namespace_word: &str, more: &str) -> String {
    format!(
        "<Cluster><ClusterIdentifier>{name}</ClusterIdentifier><ClusterStatus>available</ClusterStatus><ClusterNamespaceArn>{}</ClusterNamespaceArn>{more}</Cluster>",
        namespace(namespace_word)
    )
}

const WHOLE: &str = "<VpcId>vpc-1</VpcId><AvailabilityZone>eu-west-1a</AvailabilityZone><MultiAZSecondary><AvailabilityZone>eu-west-1b</AvailabilityZone></MultiAZSecondary><Endpoint><Port>5439</Port></Endpoint><VpcSecurityGroups><VpcSecurityGroup><VpcSecurityGroupId>sg-1</VpcSecurityGroupId><Status>active</Status></VpcSecurityGroup><VpcSecurityGroup><VpcSecurityGroupId>sg-2</VpcSecurityGroupId><Status>adding</Status></VpcSecurityGroup></VpcSecurityGroups><Tags><Tag><Key>k</Key><Value>orders</Value></Tag></Tags>";

fn clusters(members: &[String], marker: &str) -> String {
    format!(
        "<DescribeClustersResponse><DescribeClustersResult><Marker>{marker}</Marker><Clusters>{}</Clusters></DescribeClustersResult></DescribeClustersResponse>",
        members.concat()
    )
}

fn error(code: &str) -> String {
    format!("<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>")
}

#[tokio::test]
async fn a_cluster_is_read_whole_from_one_call() {
    let script = Script::default().then(200, clusters(&[a_cluster("a", "n", WHOLE)], ""));
    let reading = script.aws().stores(&[arn("a")].into()).await;
    let [StoreLookup::Found(store)] = reading.found.as_slice() else { panic!("{reading:?}") };
    assert_eq!((&store.id, &store.arn, store.service), (&namespace("n"), &arn("a"), Service::Redshift));
    assert_eq!((store.vpc().map(VpcId::as_str), store.ports), (Some("vpc-1"), PortRange::single(5439)));
    assert_eq!(store.zones.len(), 2);
    assert_eq!(store.groups.values().copied().collect::<Vec<_>>(), [Membership::Active, Membership::Adding]);
    assert_eq!(store.settings.connect, ConnectTag::read(Some("orders")));
    assert_eq!(script.asked(), ["Action=DescribeClusters&Version=2012-12-01&ClusterIdentifier=a"]);
}

#[tokio::test]
async fn a_cluster_that_shows_neither_port_nor_vpc_has_none_that_is_known() {
    let script = Script::default().then(200, clusters(&[a_cluster("a", "n", "")], ""));
    let reading = script.aws().stores(&[arn("a")].into()).await;
    let [StoreLookup::Found(store)] = reading.found.as_slice() else { panic!("{reading:?}") };
    assert_eq!((&store.network, store.ports), (&Network::NotShown, None));
}

#[tokio::test]
async fn only_the_services_own_not_found_makes_a_cluster_gone() {
    for (status, body, gone, passing) in [
        (404, error("ClusterNotFound"), true, None),
        (400, error("Throttling"), false, Some(true)),
        (403, error("UnauthorizedOperation"), false, Some(false)),
        (200, clusters(&[], ""), false, Some(false)),
        (200, clusters(&[a_cluster("a", "n", WHOLE).replace("123456789012", "999999999999")], ""), false, Some(false)),
        (200, clusters(&[a_cluster("a", "n", WHOLE).replace(namespace("n").as_str(), "")], ""), false, Some(true)),
        (200, clusters(&[a_cluster("a", "n", WHOLE).replace("namespace", "thing")], ""), false, Some(false)),
    ] {
        let script = Script::default().then(status, body);
        let reading = script.aws().stores(&[arn("a")].into()).await;
        assert_eq!(reading.found == [StoreLookup::NotFound(arn("a"))], gone, "{reading:?}");
        assert_eq!(reading.gaps.first().map(|gap| gap.passing), passing, "{reading:?}");
        assert!(reading.gaps.iter().all(|gap| gap.reading().ends_with(arn("a").as_str())), "{reading:?}");
    }
}

#[tokio::test]
async fn many_clusters_are_listed_by_their_tag_and_the_rest_is_asked_for_singly() {
    let names: Vec<String> = (0..22).map(|number| format!("c{number}")).collect();
    let all: Vec<String> = names.iter().map(|name| a_cluster(name, name, WHOLE)).collect();
    let script = Script::default()
        .to("TagKeys.TagKey.1=k", 200, clusters(&all[..10], "more"))
        .to("Marker=more", 200, clusters(&all[10..20], ""))
        .to("ClusterIdentifier=c20", 200, clusters(&all[20..21], ""))
        .to("ClusterIdentifier=c21", 404, error("ClusterNotFound"));
    let reading = script.aws().stores(&names.iter().map(|name| arn(name)).collect()).await;
    let gone = reading.found.iter().filter(|lookup| matches!(lookup, StoreLookup::NotFound(_))).count();
    assert_eq!((reading.found.len(), gone, reading.gaps.len(), script.asked().len()), (22, 1, 0, 4));
}

#[tokio::test]
async fn a_renamed_cluster_is_found_by_its_namespace() {
    let script = Script::default()
        .then(200, clusters(&[a_cluster("other", "m", WHOLE)], "more"))
        .then(200, clusters(&[a_cluster("a-new", "n", WHOLE)], ""))
        .then(400, error("Throttling"));
    let aws = script.aws();
    let which = [(namespace("n"), arn("a")), (namespace("gone"), arn("b"))].into();
    let reading = aws.stores_by_id(&which).await;
    let [store] = reading.found.as_slice() else { panic!("{reading:?}") };
    assert_eq!((&store.id, &store.arn, reading.gaps.len()), (&namespace("n"), &arn("a-new"), 0));
    let reading = aws.stores_by_id(&which).await;
    assert_eq!((reading.found.len(), reading.gaps.len()), (0, 1));
}

#[tokio::test]
async fn a_cluster_without_a_namespace_could_be_anybody() {
    let restored = a_cluster("restored", "n", WHOLE).replace(namespace("n").as_str(), "");
    let script = Script::default().then(200, clusters(&[restored], ""));
    let reading = script.aws().stores_by_id(&[(namespace("n"), arn("a"))].into()).await;
    assert_eq!((reading.found.len(), reading.gaps.len(), reading.gaps[0].passing), (0, 1, true));
}

#[tokio::test]
async fn a_status_is_written_as_a_tag_and_taken_away() {
    let script = Script::default().then(200, "<CreateTagsResponse/>").then(200, "<DeleteTagsResponse/>");
    let aws = script.aws();
    let of = StatusOf::Store(arn("a"));
    aws.set_status(&of, Some("connected: a")).await.unwrap();
    aws.set_status(&of, None).await.unwrap();
    let asked = script.asked();
    assert!(asked[0].contains("Action=CreateTags&") && asked[0].contains("Tags.Tag.1.Key=tagwire:status"), "{asked:?}");
    assert!(
        asked[1].contains("Action=DeleteTags&") && asked[1].contains("TagKeys.TagKey.1=tagwire:status"),
        "{asked:?}"
    );
    assert!(asked.iter().all(|body| body.contains(&format!("ResourceName={}", arn("a")))), "{asked:?}");
}

#[tokio::test]
async fn a_clusters_list_is_written_with_nothing_else() {
    let script = Script::default()
        .then(200, "<ModifyClusterResponse><ModifyClusterResult/></ModifyClusterResponse>")
        .then(400, error("InvalidClusterState"));
    let aws = script.aws();
    let groups = ["sg-1", "sg-2"].map(|id| SecurityGroupId::parse(id).unwrap());
    let list = GroupList::new(groups.into(), 5).unwrap();
    aws.set_store_groups(&arn("a"), &list).await.unwrap();
    let groups = "VpcSecurityGroupIds.VpcSecurityGroupId.1=sg-1&VpcSecurityGroupIds.VpcSecurityGroupId.2=sg-2";
    assert_eq!(script.asked(), [format!("Action=ModifyCluster&Version=2012-12-01&ClusterIdentifier=a&{groups}")]);
    assert_eq!(aws.set_store_groups(&arn("a"), &list).await.unwrap_err().kind, ErrorKind::NotReady);
}
