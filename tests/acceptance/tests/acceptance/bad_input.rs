//! What is wrong, missing or refused ends in a finding or another try, and nothing is removed.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tagwire_acceptance::{Installation, connection, interface_groups, owned_groups};
use tagwire_local_aws::{Effect, Fault};

use crate::support::{assert_connected, assert_settled, instance_event, lease, outcomes, sqs_event, verdicts, writes};

#[tokio::test]
async fn a_tag_that_breaks_the_grammar_adds_nothing_and_removes_nothing() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let store = installation.aurora("orders", "orders").await.unwrap();
    let instance = installation.launch(Some("orders")).await.unwrap();
    let broken = installation.launch(Some("orders;billing")).await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, &instance, &store, 1).await;
    assert_eq!(outcomes(&aws, &broken.id).await, BTreeSet::from(["invalid-tag".to_owned()]));
    assert_eq!(connection(&aws, &broken, &store).await.unwrap(), None);

    // The connected one's tag is spoilt: the connection stands.
    installation.tag(&instance, "or*ders").await.unwrap();
    aws.settle().await.unwrap();
    assert!(outcomes(&aws, &instance.id).await.contains("invalid-tag"));
    assert_connected(&aws, &instance, &store, 1).await;
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn events_that_say_nothing_are_logged_and_consumed() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let mut without_id = instance_event("i-1");
    without_id["detail"] = json!({});
    let mut odd_resource = instance_event("i-1");
    odd_resource["source"] = json!("aws.tag");
    odd_resource["detail-type"] = json!("Tag Change on Resource");
    odd_resource["resources"] = json!(["arn:aws:s3:::bucket"]);
    let mut unknown_kind = instance_event("i-1");
    unknown_kind["detail-type"] = json!("EC2 Spot Instance Interruption Warning");
    let bodies =
        [json!("not json"), json!("[]"), without_id, odd_resource, unknown_kind, json!({ "hints": ["nothing"] })];
    for function in ["InstanceEventsFunction", "DataStoreEventsFunction"] {
        let answer = aws.invoke(function, &sqs_event(&bodies)).await.unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [] }), "{function}");
    }
    let answer =
        aws.invoke("ConnectFunction", &sqs_event(&[json!("not json"), json!({ "version": 1 })])).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    aws.settle().await.unwrap();
    let records = aws.records().await.unwrap();
    let codes: Vec<&str> =
        records.iter().filter(|line| line["record"] == "outcome").filter_map(|line| line["code"].as_str()).collect();
    let of_events = [
        "event-not-json",
        "event-not-json",
        "event-field-missing",
        "event-resource-unknown",
        "event-kind-unknown",
        "message-unreadable",
    ];
    let expected: Vec<&str> = of_events.into_iter().chain(of_events).chain(["message-unreadable"; 2]).collect();
    assert_eq!(codes, expected);
    assert_eq!(aws.calls().len(), 0, "nothing was asked of AWS");

    // The same processes still do their work.
    let (store, instance) =
        (installation.aurora("orders", "orders").await.unwrap(), installation.launch(Some("orders")).await.unwrap());
    aws.settle().await.unwrap();
    assert_connected(&aws, &instance, &store, 1).await;
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn ids_that_no_longer_exist_end_in_a_finding() {
    let aws = lease().await;
    // The event is old, so the instance is not merely too new to be seen.
    let gone =
        aws.invoke("InstanceEventsFunction", &sqs_event(&[instance_event("i-0123456789abcdef0")])).await.unwrap();
    assert_eq!(gone, json!({ "batchItemFailures": [] }));
    let arn = "arn:aws:rds:us-east-1:123456789012:cluster:never";
    aws.rds_event(arn, "RDS-EVENT-0170").await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(outcomes(&aws, "i-0123456789abcdef0").await, BTreeSet::from(["instance-gone".to_owned()]));
    assert_eq!(outcomes(&aws, arn).await, BTreeSet::from(["store-gone".to_owned()]));
    assert_eq!(writes(&aws).len(), 0);
}

#[tokio::test]
async fn an_instance_not_visible_yet_is_looked_at_again() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let mut event = instance_event("i-0123456789abcdef0");
    event.as_object_mut().unwrap().remove("time");
    aws.invoke("InstanceEventsFunction", &sqs_event(&[event])).await.unwrap();
    aws.settle_except_delayed().await.unwrap();
    assert_eq!(outcomes(&aws, "i-0123456789abcdef0").await, BTreeSet::from(["will-retry".to_owned()]));
    assert_eq!(
        aws.queue_depths().await.unwrap()["InstanceQueue"].delayed,
        1,
        "the message waits in {}",
        installation.vpc
    );
}

#[tokio::test]
async fn throttling_lost_answers_and_failures_only_delay() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let store = installation.silent_aurora("orders", "orders").await.unwrap();
    for fault in [
        Fault::new("ec2", "DescribeSecurityGroups", Effect::Throttle).times(2),
        Fault::new("rds", "DescribeDBClusters", Effect::ServerError),
        Fault::new("ec2", "CreateSecurityGroup", Effect::LoseAnswer),
        Fault::new("ec2", "AuthorizeSecurityGroupIngress", Effect::Throttle),
        Fault::new("rds", "ModifyDBCluster", Effect::ServerError).times(1),
        Fault::new("ec2", "ModifyNetworkInterfaceAttribute", Effect::LoseAnswer),
    ] {
        aws.inject(fault);
    }
    let instance = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(aws.forget_faults().len(), 0, "every fault struck");
    assert_connected(&aws, &instance, &store, 1).await;
    assert_eq!(owned_groups(&aws).await.unwrap().len(), 2);
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn denied_calls_are_reported_with_code_and_request_and_change_nothing() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let store = installation.aurora("orders", "orders").await.unwrap();
    aws.settle().await.unwrap();
    aws.inject(Fault::new("ec2", "CreateSecurityGroup", Effect::AccessDenied).times(100));
    let instance = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    aws.forget_faults();
    let records = aws.records().await.unwrap();
    let messages: Vec<&str> = records
        .iter()
        .filter(|line| line["record"] == "step" && line["code"] == "denied")
        .filter_map(|line| line["message"].as_str())
        .collect();
    assert!(messages.len() >= 2, "both sides of the pair were tried: {records:#?}");
    for line in messages {
        for word in ["ec2:CreateSecurityGroup", "UnauthorizedOperation", "request id"] {
            assert!(line.contains(word), "{line}");
        }
    }
    assert_eq!(interface_groups(&aws, &instance.interface).await.unwrap(), [installation.default_group.clone()].into());

    // Once the permission is there, the next sweep finishes.
    aws.invoke("SweepFunction", &Value::Null).await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, &instance, &store, 1).await;
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn a_denied_reading_decides_nothing() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let store = installation.aurora("orders", "orders").await.unwrap();
    aws.settle().await.unwrap();
    aws.inject(Fault::new("ec2", "DescribeSecurityGroups", Effect::AccessDenied).of_function("Connect").times(100));
    let instance = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(verdicts(&aws, &instance).await, BTreeSet::from(["unread".to_owned()]));
    assert_eq!(writes(&aws).len(), 0);
    assert_eq!(connection(&aws, &instance, &store).await.unwrap(), None);
    aws.forget_faults();
    assert_settled_after_sweep(&aws, &installation, &instance, &store).await;
}

async fn assert_settled_after_sweep(
    aws: &tagwire_local_aws::LocalAws,
    installation: &Installation<'_>,
    instance: &tagwire_acceptance::Launched,
    store: &tagwire_acceptance::Store,
) {
    aws.invoke("SweepFunction", &Value::Null).await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(aws, instance, store, 1).await;
    assert_settled(aws, &installation.vpc).await;
}
