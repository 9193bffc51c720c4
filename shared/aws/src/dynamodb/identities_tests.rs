//! The records of groups over the wire, against prepared answers.

use serde_json::{Value, json};
use tagwire_core::state::Note;
use tagwire_engine::cloud::{Change, ErrorKind, Observe};

use super::*;
use crate::testing::Script;

fn vpc() -> VpcId {
    VpcId::parse("vpc-1").unwrap()
}

fn name() -> GroupName {
    GroupName::read("rds-ec2-1").unwrap()
}

fn whole() -> GroupRecord {
    let earlier = GroupRecord {
        store: StoreId::parse("cluster-A").unwrap(),
        arn: None,
        role: name().role,
        token: None,
        id: Some(SecurityGroupId::parse("sg-0").unwrap()),
        earlier: None,
    };
    GroupRecord {
        arn: Some(StoreArn::parse("arn:aws:rds:eu-west-1:123456789012:cluster:a").unwrap()),
        token: Some(Token::of_bits(7)),
        id: Some(SecurityGroupId::parse("sg-1").unwrap()),
        earlier: Some(Box::new(earlier.clone())),
        ..earlier
    }
}

fn body(asked: &str) -> (&str, Value) {
    let (operation, body) = asked.split_once(' ').unwrap();
    (operation, serde_json::from_str(body).unwrap())
}

/// The item that is written for a record.
async fn written(record: &GroupRecord) -> Value {
    let script = Script::default().then(200, "{}");
    script.aws().write_notes(&vpc(), &[Note::Identity(name(), Some(record.clone()))]).await.unwrap();
    let asked = script.asked();
    let (operation, body) = body(&asked[0]);
    assert_eq!(operation, "PutItem");
    body["Item"].clone()
}

async fn read_back(items: &[Value]) -> Result<Identities, CloudError> {
    let script = Script::default().then(200, json!({ "Items": items }).to_string());
    let identities = script.aws().identities(&vpc()).await;
    let asked = script.asked();
    let (operation, body) = body(&asked[0]);
    assert_eq!(
        (operation, &body["ExpressionAttributeValues"][":vpc"], &body["ConsistentRead"]),
        ("Query", &json!({ "S": "vpc-1 groups" }), &json!(true))
    );
    identities
}

#[tokio::test]
async fn a_record_comes_back_as_it_was_written_and_never_expires() {
    let whole = whole();
    let bare = GroupRecord { arn: None, id: None, earlier: None, ..whole.clone() };
    for record in [whole, bare] {
        let item = written(&record).await;
        assert_eq!(item.get("expires"), None);
        assert_eq!(read_back(&[item]).await, Ok([(name(), record)].into()));
    }
}

#[tokio::test]
async fn a_record_of_another_version_or_form_is_ignored_and_the_others_are_read() {
    let good = written(&whole()).await;
    let with = |key: &str, value: Value| {
        let mut item = good.clone();
        item[key] = value;
        item
    };
    let without = |key: &str| {
        let mut item = good.clone();
        item.as_object_mut().unwrap().remove(key);
        item
    };
    for bad in [
        with("version", json!({ "N": "2" })),
        with("version", json!({ "S": "1" })),
        without("version"),
        with("entry", json!({ "S": "rds-ec2-01" })),
        with("entry", json!({ "S": "ec2-rds-1" })),
        with("role", json!({ "S": "both" })),
        with("store", json!({ "S": "" })),
        without("store"),
        with("arn", json!({ "S": "orders" })),
        with("token", json!({ "S": "7" })),
        with("token", json!({ "N": "7" })),
        with("id", json!({ "S": "i-1" })),
        with("earlier", json!({ "M": {} })),
        with("earlier", json!({ "S": "sg-0" })),
    ] {
        assert_eq!(read_back(std::slice::from_ref(&bad)).await, Ok(Identities::new()), "{bad}");
        let mut other = good.clone();
        other["entry"]["S"] = json!("rds-ec2-2");
        assert_eq!(read_back(&[bad, other]).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_record_that_is_over_is_deleted_under_its_name() {
    let script = Script::default().then(200, "{}");
    script.aws().write_notes(&vpc(), &[Note::Identity(name(), None)]).await.unwrap();
    let key = json!({ "vpc": { "S": "vpc-1 groups" }, "entry": { "S": "rds-ec2-1" } });
    assert_eq!(body(&script.asked()[0]), ("DeleteItem", json!({ "TableName": "state", "Key": key })));
}

#[tokio::test]
async fn records_that_cannot_be_read_are_an_error_and_not_none() {
    let answer = json!({ "__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": "m" });
    let script = Script::default().then(400, answer.to_string());
    assert_eq!(script.aws().identities(&vpc()).await.unwrap_err().kind, ErrorKind::Throttled);
}
