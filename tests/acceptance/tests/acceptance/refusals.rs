//! What AWS refuses for good is told, and rings.

use serde_json::Value;
use tagwire_acceptance::CONNECT;
use tagwire_local_aws::{Effect, Fault, LocalAws};

use crate::support::{Joined, assert_apart, assert_connected, lease, sweep};

/// What an organisation's policy answers to everybody in an account.
fn forbidden() -> Effect {
    let text = "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/connect \
                with an explicit deny in a service control policy";
    Effect::Refuse(403, "UnauthorizedOperation".to_owned(), text.to_owned())
}

async fn told(aws: &LocalAws, code: &str) -> Vec<Value> {
    let records = aws.records().await.unwrap();
    records.into_iter().filter(|line| line["record"] == "finding" && line["code"] == code).collect()
}

#[tokio::test]
async fn a_connection_that_nobody_asks_for_and_that_a_policy_keeps_open_rings_until_it_is_cut() {
    let aws = lease().await;
    let joined = Joined::<1>::make(&aws).await;
    let [instance] = &joined.instances;
    aws.inject(Fault::new("ec2", "ModifyNetworkInterfaceAttribute", forbidden()).always());
    aws.untag(&instance.arn(), CONNECT).await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, instance, &joined.store, 1).await;
    assert_eq!(told(&aws, "refused-by-aws").await, Vec::<Value>::new(), "the sweep is the next try");
    assert_ne!(aws.alarm_state("refused-by-aws").await.unwrap(), "ALARM");

    sweep(&aws).await;
    assert_connected(&aws, instance, &joined.store, 1).await;
    let [finding] = told(&aws, "refused-by-aws").await.try_into().unwrap();
    assert_eq!(finding["subject"], instance.interface.as_str(), "{finding}");
    assert_eq!(finding["answer"], "UnauthorizedOperation", "{finding}");
    assert_eq!(finding["request_id"], "spoiled", "{finding}");
    assert!(finding["message"].as_str().unwrap().contains("stays connected"), "{finding}");
    assert!(finding["hint"].as_str().unwrap().contains("service control policy"), "{finding}");
    assert_eq!(aws.alarm_state("refused-by-aws").await.unwrap(), "ALARM");

    aws.forget_faults();
    sweep(&aws).await;
    assert_apart(&aws, instance, &joined.store).await;
    assert_eq!(told(&aws, "refused-by-aws").await.len(), 1);
    joined.end().await;
}

#[tokio::test]
async fn a_reading_that_a_policy_forbids_rings_and_one_that_is_throttled_does_not() {
    let aws = lease().await;
    let joined = Joined::<1>::make(&aws).await;
    let [instance] = &joined.instances;
    aws.inject(Fault::new("ec2", "DescribeSecurityGroups", Effect::Throttle).times(2));
    sweep(&aws).await;
    assert_eq!(told(&aws, "unreadable").await, Vec::<Value>::new());
    assert_ne!(aws.alarm_state("unreadable").await.unwrap(), "ALARM");

    let function = aws.stack().physical_id("ConnectFunction").unwrap().to_owned();
    aws.inject(Fault::new("ec2", "DescribeSecurityGroups", forbidden()).of_function(&function).always());
    aws.untag(&instance.arn(), CONNECT).await.unwrap();
    aws.settle().await.unwrap();
    sweep(&aws).await;
    assert_connected(&aws, instance, &joined.store, 1).await;
    let told = told(&aws, "unreadable").await;
    let finding = told.first().unwrap();
    assert!(finding["subject"].as_str().unwrap().contains("ec2:DescribeSecurityGroups"), "{finding}");
    assert!(finding["message"].as_str().unwrap().contains("UnauthorizedOperation"), "{finding}");
    assert_eq!(aws.alarm_state("unreadable").await.unwrap(), "ALARM");

    aws.forget_faults();
    sweep(&aws).await;
    assert_apart(&aws, instance, &joined.store).await;
    joined.end().await;
}
