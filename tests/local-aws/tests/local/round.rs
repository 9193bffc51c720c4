//! From a launch to what a function says of it.

use serde_json::{Value, json};
use tagwire_local_aws::LocalAws;

use crate::{ECHO, launch, small_stack};

/// The events that the function was sent, sorted by detail type.
async fn events_seen(aws: &LocalAws) -> Vec<Value> {
    let mut events: Vec<Value> = aws.records().await.unwrap().iter().map(|record| record["body"].clone()).collect();
    events.sort_by_key(|event| event["detail-type"].to_string());
    events
}

#[tokio::test]
async fn launch_reaches_the_function_which_reaches_the_launched() {
    let aws = LocalAws::lease_with(small_stack()).await.unwrap();
    let instance = launch(&aws).await;
    aws.settle().await.unwrap();

    let records = aws.records().await.unwrap();
    let mut states: Vec<&str> =
        records.iter().map(|record| record["body"]["detail"]["state"].as_str().unwrap()).collect();
    states.sort_unstable();
    assert_eq!(states, ["pending", "running"]);
    for record in &records {
        assert_eq!(record["logical_id"], ECHO);
        assert_eq!(record["body"]["detail"]["instance-id"], instance.as_str());
        assert_eq!(record["code"], "1 instances");
    }
    let calls = aws.calls();
    assert_eq!(calls.len(), 2);
    for call in calls {
        assert_eq!((call.service.as_str(), call.action.as_str(), call.status), ("ec2", "DescribeInstances", Some(200)));
        assert_eq!(call.function.as_deref(), aws.stack().physical_id(ECHO).ok());
        assert_eq!(call.parameters()["Version"], "2016-11-15");
    }
}

#[tokio::test]
async fn events_arrive_in_the_shapes_of_aws() {
    let aws = LocalAws::lease_with(small_stack()).await.unwrap();
    let cluster = "arn:aws:rds:us-east-1:123456789012:cluster:orders";
    let database = "arn:aws:rds:us-east-1:123456789012:db:billing";
    let machine = "arn:aws:ec2:us-east-1:123456789012:instance/i-0123456789abcdef0";
    let mut ids = Vec::new();
    ids.push(aws.instance_state("i-0123456789abcdef0", "pending").await.unwrap());
    ids.push(aws.rds_event(cluster, "RDS-EVENT-0170").await.unwrap());
    ids.push(aws.rds_event(database, "RDS-EVENT-0005").await.unwrap());
    ids.push(aws.tag_changed(machine, &["tagwire:connect"], &[("tagwire:connect", "orders")]).await.unwrap());
    let past = json!({
        "source": "aws.tag", "detail-type": "Z", "time": "2026-01-02T03:04:05Z", "resources": ["x"], "detail": {"a": 1}
    });
    ids.push(aws.put_event(&past).await.unwrap());
    aws.settle().await.unwrap();

    let seen = events_seen(&aws).await;
    assert_eq!(seen.len(), 5);
    for event in &seen {
        assert!(ids.contains(&event["id"].as_str().unwrap().to_owned()), "{event}");
        assert_eq!((&event["account"], &event["region"]), (&json!("123456789012"), &json!("us-east-1")));
    }
    let [state, of_cluster, of_database, tags, of_past] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(state["resources"], json!([machine]));
    assert_eq!(state["detail"], json!({"instance-id": "i-0123456789abcdef0", "state": "pending"}));
    assert_eq!((&of_cluster["detail"]["SourceArn"], &of_cluster["resources"][0]), (&json!(cluster), &json!(cluster)));
    assert_eq!(of_cluster["detail"]["SourceType"], "CLUSTER");
    assert_eq!(of_cluster["detail"]["Message"], "DB cluster created");
    assert_eq!(of_database["detail-type"], "RDS DB Instance Event");
    assert_eq!(of_database["detail"]["EventCategories"], json!(["creation"]));
    assert_eq!(of_database["detail"]["SourceIdentifier"], "billing");
    assert_eq!(
        tags["detail"],
        json!({
            "changed-tag-keys": ["tagwire:connect"], "tags": {"tagwire:connect": "orders"},
            "service": "ec2", "resource-type": "instance", "version": 1
        })
    );
    assert_eq!(of_past["time"], "2026-01-02T03:04:05Z");
}

#[tokio::test]
async fn event_that_is_not_one_is_refused() {
    let aws = LocalAws::lease_with(crate::servers_only()).await.unwrap();
    let refused = aws.put_event(&json!({"source": "aws.ec2", "detail": {}})).await.unwrap_err().to_string();
    assert!(refused.contains("detail-type"), "{refused}");
    assert!(aws.rds_event("arn:aws:ec2:us-east-1:1:instance/i-1", "RDS-EVENT-0170").await.is_err());
    assert!(aws.tag_changed("orders", &[], &[]).await.is_err());
}
