//! How many calls the main job costs, on the wire. A change that makes it dearer has to change a
//! number here.

use std::collections::BTreeMap;

use tagwire_acceptance::{Installation, Launched};
use tagwire_local_aws::LocalAws;

use crate::support::{assert_connected, assert_settled, instance_event, lease, sqs_event};

/// The calls that one event about an instance costs until all is done, by service and action.
async fn calls_of_one_event(
    aws: &LocalAws,
    installation: &Installation<'_>,
    instance: &Launched,
) -> BTreeMap<String, usize> {
    installation.tag_silently(instance, "orders").await.unwrap();
    aws.forget_calls();
    aws.invoke("InstanceEventsFunction", &sqs_event(&[instance_event(&instance.id)])).await.unwrap();
    aws.settle().await.unwrap();
    let mut counts = BTreeMap::new();
    for call in aws.calls() {
        *counts.entry(format!("{}:{}", call.service, call.action)).or_insert(0) += 1;
    }
    counts
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(call, count)| ((*call).to_owned(), *count)).collect()
}

#[tokio::test]
async fn a_connection_costs_these_calls_and_no_more() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let store = installation.silent_aurora("orders", "orders").await.unwrap();
    let (first, second) = (installation.launch(None).await.unwrap(), installation.launch(None).await.unwrap());
    aws.settle().await.unwrap();

    let first_of_the_store = calls_of_one_event(&aws, &installation, &first).await;
    assert_connected(&aws, &first, &store, 1).await;
    assert_eq!(
        first_of_the_store,
        counts(&[
            // The VPC state is read in two calls and the records of its groups in one, each of the two groups is
            // recorded before it is made and once more with its id, and each of the two attachments is noted.
            ("dynamodb:BatchGetItem", 1),
            ("dynamodb:PutItem", 4),
            ("dynamodb:Query", 2),
            ("dynamodb:UpdateItem", 2),
            ("ec2:AuthorizeSecurityGroupEgress", 1),
            ("ec2:AuthorizeSecurityGroupIngress", 1),
            ("ec2:CreateSecurityGroup", 2),
            ("ec2:DescribeInstances", 2),
            ("ec2:DescribeNetworkInterfaces", 1),
            ("ec2:DescribeSecurityGroups", 2),
            ("ec2:ModifyNetworkInterfaceAttribute", 1),
            ("ec2:RevokeSecurityGroupEgress", 2),
            ("rds:DescribeDBClusters", 2),
            ("rds:DescribeDBSubnetGroups", 1),
            ("rds:ModifyDBCluster", 1),
            ("sqs:SendMessage", 1),
            ("tagging:GetResources", 1),
        ])
    );

    let with_a_pair = calls_of_one_event(&aws, &installation, &second).await;
    assert_connected(&aws, &second, &store, 1).await;
    assert_eq!(
        with_a_pair,
        counts(&[
            ("dynamodb:BatchGetItem", 1),
            ("dynamodb:Query", 2),
            ("dynamodb:UpdateItem", 1),
            ("ec2:DescribeInstances", 2),
            ("ec2:DescribeNetworkInterfaces", 1),
            ("ec2:DescribeSecurityGroups", 1),
            ("ec2:ModifyNetworkInterfaceAttribute", 1),
            ("rds:DescribeDBClusters", 1),
            ("sqs:SendMessage", 1),
            ("tagging:GetResources", 1),
        ])
    );
    assert_settled(&aws, &installation.vpc).await;
}
