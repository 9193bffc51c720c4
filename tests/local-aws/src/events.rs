//! Events in the shapes in which AWS's services send them.

use anyhow::{Result, anyhow};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const REGION: &str = "us-east-1";

fn envelope(source: &str, detail_type: &str, resource: &str, detail: &Value) -> Value {
    json!({
        "version": "0",
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT,
        "time": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "region": REGION,
        "resources": [resource],
        "detail": detail,
    })
}

/// `EC2 Instance State-change Notification`.
pub(crate) fn instance_state(instance_id: &str, state: &str) -> Value {
    envelope(
        "aws.ec2",
        "EC2 Instance State-change Notification",
        &format!("arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{instance_id}"),
        &json!({ "instance-id": instance_id, "state": state }),
    )
}

/// `Tag Change on Resource`: `tags` is the whole set after the change, `version` the number of that set.
///
/// # Errors
///
/// When `arn` is not an ARN with a resource type.
pub(crate) fn tag_change(arn: &str, changed_keys: &[&str], tags: &[(&str, &str)], version: u32) -> Result<Value> {
    let mut parts = arn.splitn(6, ':');
    let service = parts.nth(2).filter(|service| !service.is_empty());
    let kind = parts.nth(2).and_then(|resource| resource.split(['/', ':']).next()).filter(|kind| !kind.is_empty());
    let (Some(service), Some(kind)) = (service, kind) else {
        return Err(anyhow!("{arn:?} is not an ARN that names a service and a resource type"));
    };
    let tags: serde_json::Map<String, Value> =
        tags.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect();
    Ok(envelope(
        "aws.tag",
        "Tag Change on Resource",
        arn,
        &json!({
            "changed-tag-keys": changed_keys,
            "tags": tags,
            "service": service,
            "resource-type": kind,
            "version": version,
        }),
    ))
}

/// `RDS DB Cluster Event` or `RDS DB Instance Event`, by what the ARN names; `event_id` is `RDS-EVENT-0170` and the
/// like.
///
/// # Errors
///
/// When `arn` names neither a cluster nor an instance.
pub(crate) fn rds(arn: &str, event_id: &str) -> Result<Value> {
    let mut parts = arn.splitn(7, ':').skip(5);
    let (detail_type, source_type, noun) = match parts.next() {
        Some("cluster") => ("RDS DB Cluster Event", "CLUSTER", "DB cluster"),
        Some("db") => ("RDS DB Instance Event", "DB_INSTANCE", "DB instance"),
        _ => return Err(anyhow!("{arn:?} is the ARN of neither a DB cluster nor a DB instance")),
    };
    let identifier = parts.next().unwrap_or_default();
    let (category, happened) = match event_id {
        "RDS-EVENT-0005" | "RDS-EVENT-0170" => ("creation", "created"),
        "RDS-EVENT-0003" | "RDS-EVENT-0171" => ("deletion", "deleted"),
        "RDS-EVENT-0087" | "RDS-EVENT-0150" => ("notification", "stopped"),
        "RDS-EVENT-0088" | "RDS-EVENT-0151" => ("notification", "started"),
        "RDS-EVENT-0172" => ("notification", "renamed"),
        "RDS-EVENT-0019" => ("restoration", "restored"),
        _ => ("notification", "changed"),
    };
    Ok(envelope(
        "aws.rds",
        detail_type,
        arn,
        &json!({
            "EventCategories": [category],
            "SourceType": source_type,
            "SourceArn": arn,
            "Date": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            "Message": format!("{noun} {happened}"),
            "SourceIdentifier": identifier,
            "EventID": event_id,
        }),
    ))
}
