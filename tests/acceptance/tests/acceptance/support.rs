//! What most tests do.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tagwire_acceptance::{Launched, Store, connection, is_write};
use tagwire_local_aws::{Call, LeaseOptions, LocalAws};

/// A local AWS whose own schedule does not fire while a test runs.
pub(crate) async fn lease() -> LocalAws {
    LocalAws::lease_with(LeaseOptions::default().parameter("SweepMinutes", "60")).await.unwrap()
}

/// The outcome codes that were logged about a message, an instance, a store or a VPC.
pub(crate) async fn outcomes(aws: &LocalAws, about: &str) -> BTreeSet<String> {
    codes(aws, "outcome", "about", about).await
}

/// The finding codes that were logged about an instance, a store, a group or a VPC.
pub(crate) async fn findings(aws: &LocalAws, about: &str) -> BTreeSet<String> {
    codes(aws, "finding", "about", about).await
}

/// The codes of the verdicts on an instance.
pub(crate) async fn verdicts(aws: &LocalAws, instance: &Launched) -> BTreeSet<String> {
    codes(aws, "decision", "instance", &instance.id).await
}

async fn codes(aws: &LocalAws, record: &str, key: &str, value: &str) -> BTreeSet<String> {
    let records = aws.records().await.unwrap();
    let text = |line: &Value, key: &str| line.get(key).and_then(Value::as_str).map(str::to_owned);
    records
        .iter()
        .filter(|line| text(line, "record").as_deref() == Some(record) && text(line, key).as_deref() == Some(value))
        .filter_map(|line| text(line, "code"))
        .collect()
}

pub(crate) async fn assert_connected(aws: &LocalAws, instance: &Launched, store: &Store, number: u32) {
    let found = connection(aws, instance, store).await.unwrap();
    let found = found.unwrap_or_else(|| {
        let log: Vec<String> =
            aws.function_lines().unwrap().into_iter().map(|(function, line)| format!("{function}: {line}")).collect();
        panic!("{} does not reach {}:\n{}", instance.id, store.arn, log.join("\n"))
    });
    assert_eq!(
        (found.store_side.as_str(), found.instance_side.as_str(), found.port),
        (format!("rds-ec2-{number}").as_str(), format!("ec2-rds-{number}").as_str(), 5432)
    );
}

/// Whether the text of a log line tells that a function changed something.
pub(crate) fn writes(aws: &LocalAws) -> Vec<Call> {
    aws.calls().into_iter().filter(is_write).collect()
}

/// A sweep by the real function changes nothing. Proved by calls, after it is proved that
/// `connect` looked at the VPC.
pub(crate) async fn assert_settled(aws: &LocalAws, vpc: &str) {
    aws.settle().await.unwrap();
    let before = aws.records().await.unwrap().len();
    aws.forget_calls();
    let swept = aws.invoke("SweepFunction", &json!({})).await.unwrap();
    assert!(swept["vpcs"].as_array().is_some_and(|vpcs| vpcs.contains(&json!(vpc))), "{swept}");
    aws.settle().await.unwrap();
    let records = aws.records().await.unwrap();
    let outcome = records
        .iter()
        .skip(before)
        .find(|line| line["record"] == "outcome" && line["logical_id"] == "ConnectFunction" && line["about"] == vpc);
    let outcome = outcome.unwrap_or_else(|| panic!("connect did not look at {vpc}: {records:#?}"));
    assert_eq!(outcome["code"], "unchanged", "{outcome}");
    assert_eq!(writes(aws).iter().map(|call| &call.action).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// An SQS event with these bodies, as Lambda hands it to a function.
pub(crate) fn sqs_event(bodies: &[Value]) -> Value {
    let records: Vec<Value> = bodies
        .iter()
        .enumerate()
        .map(|(index, body)| {
            let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
            json!({
                "messageId": format!("message-{index}"), "receiptHandle": "handle", "body": body, "attributes": {},
                "messageAttributes": {}, "md5OfBody": "", "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:queue", "awsRegion": "us-east-1"
            })
        })
        .collect();
    json!({ "Records": records })
}

/// An `EC2 Instance State-change Notification`.
pub(crate) fn instance_event(instance: &str) -> Value {
    json!({
        "version": "0", "id": format!("event-of-{instance}"), "detail-type": "EC2 Instance State-change Notification",
        "source": "aws.ec2", "account": "123456789012", "time": "2026-01-01T00:00:00Z", "region": "us-east-1",
        "resources": [format!("arn:aws:ec2:us-east-1:123456789012:instance/{instance}")],
        "detail": { "instance-id": instance, "state": "pending" }
    })
}
