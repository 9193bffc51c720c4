//! A process that is killed in the middle of its work.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tagwire_acceptance::{CONNECT, connection, owned_groups};
use tagwire_local_aws::{Effect, Fault, LocalAws};

use crate::support::{Joined, assert_connected, lease, lease_with};

/// The longest that a VPC may be blocked by a process that died.
const LONGEST: Duration = Duration::from_mins(2);
/// By how much the test is quicker than the deployed stack.
const QUICKER: u32 = 10;
/// For how long the call hangs during which the process is killed. It takes effect after that, so the killed process
/// never learns of it.
const HANGS: Duration = Duration::from_secs(2);
/// What the work itself may take here, on a machine that is busy with other tests.
const WORK: Duration = Duration::from_secs(15);

/// Has messages that were received come back after a tenth of the time that the template sets; answers that time.
async fn hurry(aws: &LocalAws) -> Duration {
    let queue = aws.stack().physical_id("ConnectQueue").unwrap();
    let name = "VisibilityTimeout";
    let asked = json!({ "QueueUrl": queue, "AttributeNames": [name] });
    let told = aws.ask("sqs", "AmazonSQS.GetQueueAttributes", &asked).await.unwrap();
    let template = Duration::from_secs(told["Attributes"][name].as_str().unwrap().parse().unwrap());
    assert!(template < LONGEST, "a message stays away for {template:?}");
    let hurried = template / QUICKER;
    let changed = json!({ "QueueUrl": queue, "Attributes": { name: hurried.as_secs().to_string() } });
    aws.ask("sqs", "AmazonSQS.SetQueueAttributes", &changed).await.unwrap();
    hurried
}

/// Waits until connect makes a call that hangs, and kills it.
async fn kill_during(aws: &LocalAws, action: &str) -> Instant {
    let began = Instant::now();
    let hangs = |aws: &LocalAws| aws.calls().iter().any(|call| call.action == action && call.spoiled_by.is_some());
    while !hangs(aws) {
        assert!(began.elapsed() < WORK, "connect never called {action}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(aws.kill("ConnectFunction").await.unwrap(), 1);
    Instant::now()
}

#[tokio::test]
async fn a_killed_process_keeps_its_vpc_waiting_for_one_visibility_timeout_and_its_work_is_finished() {
    let aws = lease().await;
    let joined = Joined::<1>::make(&aws).await;
    let away = hurry(&aws).await;
    let billing = joined.installation.silent_aurora("billing", "billing").await.unwrap();
    // Half a pair is made: one of its groups has its rule, or is about to get it.
    aws.inject(Fault::new("ec2", "AuthorizeSecurityGroupIngress", Effect::Delay(HANGS)));
    aws.tag(&joined.instances[0].arn(), CONNECT, "orders billing").await.unwrap();
    let killed_at = kill_during(&aws, "AuthorizeSecurityGroupIngress").await;
    assert_eq!(connection(&aws, &joined.instances[0], &billing).await.unwrap(), None);

    // A launch waits for the VPC's turn, as everything does.
    let launched = joined.installation.launch(Some("orders")).await.unwrap();
    loop {
        let waited = killed_at.elapsed();
        assert!(waited < away + WORK, "the VPC was not worked on for {waited:?}, where {away:?} are set");
        if connection(&aws, &launched, &joined.store).await.unwrap().is_some() {
            assert!(waited > away / 2, "it was over after {waited:?}: did the queue keep the VPC's turn at all?");
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    aws.settle().await.unwrap();
    assert_connected(&aws, &joined.instances[0], &billing, 2).await;
    assert_eq!(owned_groups(&aws).await.unwrap().len(), 4, "no group was made twice");
    joined.end().await;
}

#[tokio::test]
async fn a_process_that_is_killed_while_it_cuts_connections_has_cut_no_more_than_the_window_allows() {
    let aws = lease_with(&[("MaxDisconnects", "1")]).await;
    let joined = Joined::<3>::make(&aws).await;
    hurry(&aws).await;
    for instance in &joined.instances {
        joined.installation.untag_silently(&instance.arn()).await.unwrap();
    }
    aws.inject(Fault::new("ec2", "ModifyNetworkInterfaceAttribute", Effect::Delay(HANGS)));
    aws.sweep().await.unwrap();
    kill_during(&aws, "ModifyNetworkInterfaceAttribute").await;
    aws.settle().await.unwrap();
    aws.sweep().await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(joined.connected().await.len(), 2, "one was cut, before the process died or after");
    let items = aws.state_items().await.unwrap();
    let window = items.iter().find(|item| item["entry"] == "window").unwrap();
    assert_eq!(window["removals"].as_array().map(Vec::len), Some(1), "{window}");
    let records = aws.records().await.unwrap();
    let held_back = |line: &&Value| line["code"] == "disconnects-held-back" && line["record"] == "decision";
    assert!(records.iter().filter(held_back).count() >= 2, "the others wait");

    for instance in &joined.instances {
        aws.tag(&instance.arn(), CONNECT, "orders").await.unwrap();
    }
    aws.settle().await.unwrap();
    assert_eq!(joined.connected().await.len(), 3);
    joined.end().await;
}
