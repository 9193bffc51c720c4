//! The state table: what it looks like, and that all of it may fail or be lost.

use std::time::Duration;

use aws_sdk_dynamodb::types as dynamodb;
use serde_json::json;
use tagwire_acceptance::{CONNECT, is_write};
use tagwire_local_aws::{Effect, Fault};

use crate::support::{
    Joined, assert_apart, assert_connected, findings, group_records, lease, lease_with, messages, put_back, sweep,
};

const BLOCK: &str = "tagwire:block";

#[tokio::test]
async fn without_its_table_nothing_is_given_or_removed_but_by_a_block_and_later_all_of_it() {
    let aws = lease().await;
    let table = aws.state_table().unwrap();
    let described = aws.dynamodb().describe_table().table_name(table).send().await.unwrap();
    let described = described.table().unwrap();
    let keys: Vec<(&str, &dynamodb::KeyType)> =
        described.key_schema().iter().map(|key| (key.attribute_name(), key.key_type())).collect();
    assert_eq!(keys, [("vpc", &dynamodb::KeyType::Hash), ("entry", &dynamodb::KeyType::Range)]);
    let billing = described.billing_mode_summary().and_then(|summary| summary.billing_mode());
    assert_eq!(billing, Some(&dynamodb::BillingMode::PayPerRequest));
    let expiry = aws.dynamodb().describe_time_to_live().table_name(table).send().await.unwrap();
    let expiry = expiry.time_to_live_description().and_then(|expiry| expiry.attribute_name().map(str::to_owned));
    assert_eq!(expiry.as_deref(), Some("expires"));
    let backups = aws.dynamodb().describe_continuous_backups().table_name(table).send().await.unwrap();
    let recovery =
        backups.continuous_backups_description().and_then(|backups| backups.point_in_time_recovery_description());
    let recovery = recovery.and_then(|recovery| recovery.point_in_time_recovery_status());
    assert_eq!(recovery, Some(&dynamodb::PointInTimeRecoveryStatus::Enabled));

    let joined = Joined::<3>::make(&aws).await;
    let [untagged, blocked, stays] = &joined.instances;
    let gone = joined.installation.aurora("gone", "gone").await.unwrap();
    let reader = joined.installation.launch(Some("gone")).await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, &reader, &gone, 2).await;
    let pair_of_gone = tagwire_acceptance::pair(&aws, &gone).await.unwrap().unwrap();

    aws.inject(Fault::new("dynamodb", "*", Effect::AccessDenied).always());
    aws.untag(&untagged.arn(), CONNECT).await.unwrap();
    aws.tag(&blocked.arn(), BLOCK, "").await.unwrap();
    joined.installation.delete(&gone).await.unwrap();
    let newcomer = joined.installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    sweep(&aws).await;
    // Which groups are tagwire's, only the table tells.
    assert_connected(&aws, untagged, &joined.store, 1).await;
    assert!(findings(&aws, &joined.installation.vpc).await.contains("unread"));
    assert_apart(&aws, &newcomer, &joined.store).await;
    assert_apart(&aws, blocked, &joined.store).await;
    assert!(tagwire_acceptance::rules_of(&aws, &pair_of_gone.store_side).await.is_ok(), "it may be somebody else's");
    aws.forget_faults();

    sweep(&aws).await;
    assert_connected(&aws, &newcomer, &joined.store, 1).await;
    assert!(tagwire_acceptance::rules_of(&aws, &pair_of_gone.store_side).await.is_err(), "deleted: its store is gone");
    assert_apart(&aws, untagged, &joined.store).await;
    assert_connected(&aws, stays, &joined.store, 1).await;
    aws.untag(&blocked.arn(), BLOCK).await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, blocked, &joined.store, 1).await;
    joined.end().await;
}

#[tokio::test]
async fn a_removal_is_counted_before_it_is_made_or_is_not_made() {
    let aws = lease_with(&[("MaxDisconnects", "1")]).await;
    let joined = Joined::<3>::make(&aws).await;
    let [first, second, stays] = &joined.instances;
    let vpc = &joined.installation.vpc;

    // While it is being counted somebody else writes the window.
    aws.inject(Fault::new("dynamodb", "PutItem", Effect::Delay(Duration::from_secs(2))));
    aws.untag(&first.arn(), CONNECT).await.unwrap();
    while !aws.calls().iter().any(|call| call.action == "PutItem") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    aws.put_state_item(&json!({ "vpc": vpc, "entry": "window", "version": 5, "removals": [] })).await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(aws.forget_faults().len(), 0);
    assert_eq!(messages(&aws, "window-not-reserved").await.len(), 1);
    assert_connected(&aws, first, &joined.store, 1).await;
    aws.forget_calls();
    sweep(&aws).await;
    assert_apart(&aws, first, &joined.store).await;
    let calls = aws.calls();
    let counted = calls.iter().position(|call| call.action == "PutItem").unwrap();
    assert!(counted < calls.iter().position(is_write).unwrap(), "counted first");

    // A window is full; then all of the state table but the records of the groups is lost, which costs one window,
    // no more.
    aws.untag(&second.arn(), CONNECT).await.unwrap();
    aws.settle().await.unwrap();
    sweep(&aws).await;
    assert_connected(&aws, second, &joined.store, 1).await;
    let records = group_records(&aws).await;
    aws.forget_state().await.unwrap();
    put_back(&aws, &records).await;
    sweep(&aws).await;
    assert_apart(&aws, second, &joined.store).await;
    assert_connected(&aws, stays, &joined.store, 1).await;
    joined.end().await;
}
