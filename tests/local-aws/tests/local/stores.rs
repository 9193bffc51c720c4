//! Caches and Redshift clusters, and how the event bus hears of them.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tagwire_local_aws::{LocalAws, Placement};

use crate::{ECHO, send, servers_only, small_stack};

const TAGS: [(&str, &str); 1] = [("tagwire:connect", "orders")];

#[tokio::test]
async fn stores_lie_where_they_are_placed_and_carry_what_they_are_given() {
    let aws = LocalAws::lease_with(servers_only()).await.unwrap();
    let subnets = aws.ec2().describe_subnets().send().await.unwrap();
    let vpc = subnets.subnets()[0].vpc_id().unwrap();
    let subnets: Vec<String> = subnets.subnets().iter().map(|subnet| subnet.subnet_id().unwrap().to_owned()).collect();
    let groups = [aws.security_group(vpc, "carried").await.unwrap()];
    let at = Placement { subnets: &subnets, groups: &groups, tags: &TAGS };
    let arns = [
        aws.replication_group("orders-1", at).await.unwrap(),
        aws.cache_cluster("orders-2", at).await.unwrap(),
        aws.serverless_cache("orders-3", at).await.unwrap(),
        aws.redshift_cluster("orders-4", at).await.unwrap(),
    ];
    let kinds: Vec<&str> = arns.iter().map(|arn| arn.split(':').nth(5).unwrap()).collect();
    assert_eq!(kinds, ["replicationgroup", "cluster", "serverlesscache", "cluster"]);
    for arn in &arns {
        assert_eq!(aws.set_store_status(arn, "modifying").await.unwrap(), "available");
        assert_eq!(aws.set_store_status(arn, "available").await.unwrap(), "modifying");
    }
    let filter = aws_sdk_ec2::types::Filter::builder().name("group-id").values(&groups[0]).build();
    let attached = aws.ec2().describe_network_interfaces().filters(filter).send().await.unwrap();
    let attached: BTreeSet<&str> =
        attached.network_interfaces().iter().map(|each| each.description().unwrap()).collect();
    let expected = ["orders-1-001", "orders-1-002", "orders-2", "orders-3"].map(|name| format!("ElastiCache {name}"));
    let expected: BTreeSet<&str> = expected.iter().map(String::as_str).chain(["RedshiftNetworkInterface"]).collect();
    assert_eq!(attached, expected);
    let members = aws.elasticache().describe_cache_clusters().cache_cluster_id("orders-1-002").send().await.unwrap();
    assert_eq!(members.cache_clusters()[0].cache_subnet_group_name(), subnets.first().map(String::as_str));
    let redshift_clusters = aws.redshift().describe_clusters().tag_keys("tagwire:connect").send().await.unwrap();
    assert_eq!(redshift_clusters.clusters()[0].vpc_id(), Some(vpc));
    aws.redshift_cluster("elsewhere", Placement::default()).await.unwrap();
}

#[tokio::test]
async fn bus_hears_who_changed_a_store() {
    let aws = LocalAws::lease_with(small_stack()).await.unwrap();
    let redshift = aws.redshift_cluster("orders", Placement::default()).await.unwrap();
    aws.tag(&redshift, "tagwire:connect", "orders").await.unwrap();
    aws.untag(&redshift, "tagwire:connect").await.unwrap();
    let cache = aws.serverless_cache("orders", Placement { tags: &TAGS, ..Placement::default() }).await.unwrap();
    send(&aws, &json!({"do": "modify", "cluster": "orders"}), 0).await;
    aws.settle().await.unwrap();

    let records = aws.records().await.unwrap();
    let bodies: Vec<&Value> = records.iter().map(|record| &record["body"]).collect();
    let call = |name: &str| -> &Value {
        let found: Vec<&Value> = bodies.iter().copied().filter(|body| body["detail"]["eventName"] == name).collect();
        let [body] = found[..] else { panic!("{name}: {found:?}") };
        assert_eq!(body["detail-type"], "AWS API Call via CloudTrail");
        body
    };
    for (name, source) in [
        ("CreateCluster", "aws.redshift"),
        ("CreateTags", "aws.redshift"),
        ("DeleteTags", "aws.redshift"),
        ("CreateServerlessCache", "aws.elasticache"),
    ] {
        let body = call(name);
        assert_eq!((&body["source"], &body["resources"]), (&json!(source), &json!([])));
        assert_eq!(body["detail"]["userIdentity"]["type"], "IAMUser");
    }
    assert_eq!(call("CreateTags")["detail"]["requestParameters"]["resourceName"], redshift.as_str());
    let created = bodies.iter().find(|body| body["detail-type"] == "Cache Created").unwrap();
    assert_eq!(created["resources"], json!([cache]));

    let role = aws.stack().resources().iter().find(|(_, resource)| resource.kind == "AWS::IAM::Role").unwrap();
    assert!(role.0.starts_with(ECHO), "{role:?}");
    let issuer = &call("ModifyCluster")["detail"]["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"];
    assert!(issuer.as_str().unwrap().ends_with(&format!(":role/{}", role.1.id)), "{issuer} is not {role:?}");
}
