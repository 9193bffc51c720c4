//! Waiting for the end of all work.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::json;
use tagwire_local_aws::{Depth, Effect, Fault, LeaseOptions, LocalAws};

use crate::{send, small_stack};

#[tokio::test]
async fn poisoned_queue_fails_and_shows_the_message() {
    let aws = LocalAws::lease_with(small_stack()).await.unwrap();
    let folder = aws.log_dir().to_path_buf();
    let queue = aws.stack().physical_id("WorkQueue").unwrap();
    let soon_again = aws.sqs().set_queue_attributes().queue_url(queue);
    soon_again.attributes(QueueAttributeName::VisibilityTimeout, "1").send().await.unwrap();
    send(&aws, &json!({"do": "fail", "mark": "poison"}), 0).await;
    let message = aws.settle().await.unwrap_err().to_string();
    for part in ["given up on", "WorkDeadLetters: 1 visible", "poison", "\"code\": \"failed\"", "logs: "] {
        assert!(message.contains(part), "{part:?} is missing in {message}");
    }
    drop(aws);
    assert!(folder.join("functions.jsonl").exists(), "the logs of a failure are to stay");
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn delayed_message_counts_unless_said_otherwise() {
    let options = LeaseOptions { settle_deadline: Duration::from_secs(2), ..small_stack() };
    let aws = LocalAws::lease_with(options).await.unwrap();
    let folder = aws.log_dir().to_path_buf();
    send(&aws, &json!({}), 600).await;
    aws.settle_except_delayed().await.unwrap();
    assert_eq!(aws.queue_depths().await.unwrap()["WorkQueue"], Depth { delayed: 1, ..Depth::default() });
    let message = aws.settle().await.unwrap_err().to_string();
    assert!(message.contains("WorkQueue: 0 visible, 1 delayed, 0 in flight"), "{message}");
    drop(aws);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn work_under_way_is_waited_for() {
    let aws = LocalAws::lease_with(small_stack()).await.unwrap();
    aws.inject(Fault::new("ec2", "*", Effect::Delay(Duration::from_secs(2))));
    send(&aws, &json!({}), 0).await;
    send(&aws, &json!({}), 1).await;
    aws.settle().await.unwrap();
    assert_eq!(aws.records().await.unwrap().len(), 2);
}
