//! What people and other services make.

use std::time::Duration;

use aws_sdk_ec2::types::Filter;
use serde_json::json;
use tagwire_local_aws::{ACCOUNT_ID, LocalAws};

use crate::{launch, servers_only, small_stack};

async fn default_network(aws: &LocalAws) -> (String, String) {
    let subnets = aws.ec2().describe_subnets().send().await.unwrap();
    let subnet = &subnets.subnets()[0];
    (subnet.vpc_id().unwrap().to_owned(), subnet.subnet_id().unwrap().to_owned())
}

#[tokio::test]
async fn groups_made_by_hand_are_attached_by_interfaces_and_named_by_templates() {
    let aws = LocalAws::lease_with(servers_only()).await.unwrap();
    let (vpc, subnet) = default_network(&aws).await;
    let groups = [aws.security_group(&vpc, "by-hand").await.unwrap()];
    aws.launch_template("fleet", &groups).await.unwrap();
    let versions = aws.ec2().describe_launch_template_versions().versions("$Latest").send().await.unwrap();
    let data = versions.launch_template_versions()[0].launch_template_data().unwrap();
    assert_eq!(data.security_group_ids(), groups);

    let of_function = aws.function_interface(&subnet, &groups, "report").await.unwrap();
    let own = aws.interface(&subnet, &groups).await.unwrap();
    let with = async || {
        let filter = Filter::builder().name("group-id").values(&groups[0]).build();
        let found = aws.ec2().describe_network_interfaces().filters(filter).send().await.unwrap();
        let kind = |interface: &aws_sdk_ec2::types::NetworkInterface| {
            (interface.network_interface_id().unwrap().to_owned(), interface.interface_type().unwrap().to_string())
        };
        let mut found: Vec<_> = found.network_interfaces().iter().map(kind).collect();
        found.sort_by_key(|(_, kind)| kind.clone());
        found
    };
    assert_eq!(with().await, [(own.clone(), "interface".to_owned()), (of_function.clone(), "lambda".to_owned())]);
    aws.delete_function_interface(&of_function).await.unwrap();
    assert_eq!(with().await, [(own.clone(), "interface".to_owned())]);
    assert!(aws.delete_function_interface(&own).await.is_err());
    assert!(aws.function_interface(&subnet, &["sg-00000000000000000".to_owned()], "x").await.is_err());
}

#[tokio::test]
async fn tag_and_its_removal_are_told_of_as_aws_does() {
    let aws = LocalAws::lease_with(small_stack()).await.unwrap();
    let instance = launch(&aws).await;
    let arn = format!("arn:aws:ec2:us-east-1:{ACCOUNT_ID}:instance/{instance}");
    aws.tag(&arn, "team", "blue").await.unwrap();
    aws.tag(&arn, "tagwire:connect", "orders").await.unwrap();
    aws.untag(&arn, "tagwire:connect").await.unwrap();
    aws.settle().await.unwrap();

    let records = aws.records().await.unwrap();
    let mut told: Vec<_> = records
        .iter()
        .map(|record| record["body"]["detail"].clone())
        .filter(|detail| detail["service"] == "ec2")
        .collect();
    told.sort_by_key(|detail| detail["version"].as_u64());
    let seen: Vec<_> = told.iter().map(|detail| (&detail["changed-tag-keys"], &detail["tags"])).collect();
    assert_eq!(
        seen,
        [
            (&json!(["team"]), &json!({"team": "blue"})),
            (&json!(["tagwire:connect"]), &json!({"team": "blue", "tagwire:connect": "orders"})),
            (&json!(["tagwire:connect"]), &json!({"team": "blue"})),
        ]
    );
    let described = aws.ec2().describe_instances().instance_ids(&instance).send().await.unwrap();
    let tags = described.reservations()[0].instances()[0].tags();
    assert_eq!(tags.iter().map(|tag| tag.key().unwrap()).collect::<Vec<_>>(), ["team"]);
    assert!(aws.tag("arn:aws:s3:::bucket", "a", "b").await.is_err());
}

#[tokio::test]
async fn store_takes_its_time_when_told_to() {
    let aws = LocalAws::lease_with(servers_only()).await.unwrap();
    aws.slow_stores(Duration::from_mins(1), Duration::ZERO).await.unwrap();
    let request = aws.rds().create_db_cluster().db_cluster_identifier("orders").engine("aurora-postgresql");
    let made = request.master_username("someone").master_user_password("something").send().await.unwrap();
    let arn = made.db_cluster().unwrap().db_cluster_arn().unwrap().to_owned();
    assert_eq!(made.db_cluster().unwrap().status(), Some("creating"));
    aws.tag(&arn, "tagwire:connect", "orders").await.unwrap();
    let described = aws.rds().describe_db_clusters().send().await.unwrap();
    let cluster = &described.db_clusters()[0];
    assert_eq!((cluster.status(), cluster.tag_list()[0].value()), (Some("creating"), Some("orders")));
    // What a test sets ends what the store was at.
    assert_eq!(aws.set_store_status(&arn, "available").await.unwrap(), "creating");
    let described = aws.rds().describe_db_clusters().send().await.unwrap();
    assert_eq!(described.db_clusters()[0].status(), Some("available"));
}
