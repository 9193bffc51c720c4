//! What most tests do.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tagwire_acceptance::{Foreign, Installation, Launched, Pair, Place, Store, connection, foreign, is_write, pair};
use tagwire_local_aws::{Call, LeaseOptions, LocalAws};

/// A local AWS whose own schedule does not fire while a test runs.
pub(crate) async fn lease() -> LocalAws {
    lease_with(&[]).await
}

/// The same with parameters that do not have their default.
pub(crate) async fn lease_with(changed: &[(&str, &str)]) -> LocalAws {
    let options = LeaseOptions { parameters: parameters(changed), ..LeaseOptions::default() };
    LocalAws::lease_with(options).await.unwrap()
}

/// The parameters of a stack whose own schedule does not fire while a test runs.
pub(crate) fn parameters(changed: &[(&str, &str)]) -> BTreeMap<String, String> {
    let quiet = ("SweepMinutes", "60");
    changed.iter().chain([&quiet]).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A VPC in which a cluster named `orders` is joined to `N` instances; both sides have groups of others as well.
pub(crate) struct Joined<'aws, const N: usize> {
    aws: &'aws LocalAws,
    pub(crate) installation: Installation<'aws>,
    pub(crate) store: Store,
    pub(crate) instances: [Launched; N],
    pub(crate) before: Foreign,
}

impl<'aws, const N: usize> Joined<'aws, N> {
    pub(crate) async fn make(aws: &'aws LocalAws) -> Self {
        Self::at(aws, Installation::create(aws, 1).await.unwrap().place()).await
    }

    pub(crate) async fn at(aws: &'aws LocalAws, place: Place) -> Self {
        let installation = place.on(aws);
        let (web, backup) = (installation.group("web").await.unwrap(), installation.group("backup").await.unwrap());
        installation.open(&web, "10.0.0.0/8").await.unwrap();
        let store = installation.silent_aurora("orders", "orders").await.unwrap();
        installation.set_store_groups(&store, vec![installation.default_group.clone(), backup]).await.unwrap();
        let number = i32::try_from(N).unwrap();
        let groups = [installation.default_group.clone(), web];
        let instances = installation.launch_many(number, Some("orders"), &groups).await.unwrap().try_into().unwrap();
        let before = foreign(aws).await.unwrap();
        let joined = Self { aws, installation, store, instances, before };
        aws.settle().await.unwrap();
        for instance in &joined.instances {
            assert_connected(aws, instance, &joined.store, 1).await;
        }
        aws.forget_calls();
        joined
    }

    /// The pair, which is there.
    pub(crate) async fn pair(&self) -> Pair {
        pair(self.aws, &self.store).await.unwrap().unwrap()
    }

    /// The instances that are connected.
    pub(crate) async fn connected(&self) -> Vec<&Launched> {
        let mut connected = Vec::new();
        for instance in &self.instances {
            if connection(self.aws, instance, &self.store).await.unwrap().is_some() {
                connected.push(instance);
            }
        }
        connected
    }

    /// Nothing is left to do, and nothing of others was touched.
    pub(crate) async fn end(&self) {
        assert_settled(self.aws, &self.installation.vpc).await;
        assert_untouched(self.aws, &self.before).await;
    }
}

/// Has everything looked at, and waits until all work is done.
pub(crate) async fn sweep(aws: &LocalAws) {
    aws.sweep().await.unwrap();
    aws.settle().await.unwrap();
}

/// Makes every entry of the state table older, as if that time had passed.
pub(crate) async fn let_pass(aws: &LocalAws, minutes: i64) {
    let older = |at: &Value| {
        let at: Timestamp = at.as_str().unwrap().parse().unwrap();
        json!((at - SignedDuration::from_mins(minutes)).to_string())
    };
    for mut item in aws.state_items().await.unwrap() {
        if let Some(since) = item.get_mut("since") {
            *since = older(since);
        }
        for removal in item.get_mut("removals").and_then(Value::as_array_mut).into_iter().flatten() {
            removal[0] = older(&removal[0]);
        }
        aws.put_state_item(&item).await.unwrap();
    }
}

/// What the state table knows of the groups that it records.
pub(crate) async fn group_records(aws: &LocalAws) -> Vec<Value> {
    let items = aws.state_items().await.unwrap().into_iter();
    let records: Vec<Value> =
        items.filter(|item| item["vpc"].as_str().is_some_and(|key| key.ends_with(" groups"))).collect();
    assert!(!records.is_empty());
    records
}

/// Writes items into the state table, as somebody does who has kept a copy of it.
pub(crate) async fn put_back(aws: &LocalAws, items: &[Value]) {
    for item in items {
        aws.put_state_item(item).await.unwrap();
    }
}

/// What was logged under a code, about anything.
pub(crate) async fn messages(aws: &LocalAws, code: &str) -> Vec<String> {
    let records = aws.records().await.unwrap();
    let of_code = records.iter().filter(|line| line["code"] == code);
    of_code.filter_map(|line| line["message"].as_str().map(str::to_owned)).collect()
}

pub(crate) async fn assert_apart(aws: &LocalAws, instance: &Launched, store: &Store) {
    let found = connection(aws, instance, store).await.unwrap();
    assert_eq!(found, None, "{} reaches {}", instance.id, store.arn);
}

/// What is not tagwire's is as it was.
pub(crate) async fn assert_untouched(aws: &LocalAws, before: &Foreign) {
    assert_eq!(before.differences(&foreign(aws).await.unwrap()), Vec::<String>::new());
}

/// The actions of calls.
pub(crate) fn actions(calls: &[Call]) -> Vec<&str> {
    calls.iter().map(|call| call.action.as_str()).collect()
}

/// The outcome codes that were logged about a message, an instance, a store or a VPC.
pub(crate) async fn outcomes(aws: &LocalAws, about: &str) -> BTreeSet<String> {
    codes(aws, "outcome", "subject", about).await
}

/// The finding codes that were logged about an instance, a store, a group or a VPC.
pub(crate) async fn findings(aws: &LocalAws, about: &str) -> BTreeSet<String> {
    codes(aws, "finding", "subject", about).await
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
        (format!("rds-ec2-{number}").as_str(), format!("ec2-rds-{number}").as_str(), store.ports.0)
    );
}

/// The calls that changed something.
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
        .find(|line| line["record"] == "outcome" && line["logical_id"] == "ConnectFunction" && line["subject"] == vpc);
    let outcome = outcome.unwrap_or_else(|| panic!("connect did not look at {vpc}: {records:#?}"));
    assert_eq!(outcome["code"], "unchanged", "{outcome}");
    assert_eq!(actions(&writes(aws)), Vec::<&str>::new());
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
