//! A dry run reads, decides and reports the same, and changes nothing.

use serde_json::Value;
use tagwire_acceptance::{is_note, is_write, rules_of};
use tagwire_local_aws::{Call, LocalAws};

use crate::support::{
    Joined, assert_apart, assert_connected, assert_settled, assert_untouched, group_records, lease, outcomes,
    parameters, put_back,
};

/// What one sweep reads before it first changes something, what it reports, and what it changes.
async fn swept(aws: &LocalAws) -> (Vec<String>, Vec<String>, usize) {
    let before = aws.records().await.unwrap().len();
    aws.forget_calls();
    crate::support::sweep(aws).await;
    let changes = |call: &Call| is_write(call) || is_note(call);
    let calls = aws.calls();
    // What is asked at once has no order, and each stack has a table of its own.
    let table = aws.state_table().unwrap();
    let reads = calls.iter().filter(|call| call.service != "sqs").take_while(|call| !changes(call));
    let mut reads: Vec<String> =
        reads.map(|call| format!("{} {} {}", call.service, call.action, call.body.replace(table, "TABLE"))).collect();
    reads.sort();
    let records = aws.records().await.unwrap();
    let reported = records
        .iter()
        .skip(before)
        .filter(|line| ["decision", "finding", "planned"].iter().any(|record| line["record"] == *record));
    let words = |line: &Value| format!("{} {} {}", line["record"], line["code"], line["message"]);
    (reads, reported.map(words).collect(), calls.iter().filter(|call| changes(call)).count())
}

#[tokio::test]
async fn a_dry_run_reads_and_reports_what_enforcing_does_and_changes_nothing() {
    let mut aws = lease().await;
    let joined = Joined::<3>::make(&aws).await;
    let late = joined.installation.silent_aurora("books", "books").await.unwrap();
    // A removal, a repair and a new pair are due.
    joined.installation.untag_silently(&joined.instances[0].arn()).await.unwrap();
    joined.installation.tag_silently(&joined.instances[1], "orders books").await.unwrap();
    let store_side = joined.pair().await.store_side;
    joined.installation.open(&store_side, "0.0.0.0/0").await.unwrap();
    let opened = rules_of(&aws, &store_side).await.unwrap();
    let Joined { installation, store, instances, before, .. } = joined;
    let [untagged, both, stays] = &instances;
    let place = installation.place();

    // Each stack has a table of its own, and what proves the groups goes along.
    let records = group_records(&aws).await;
    aws.delete_stack().await.unwrap();
    aws.deploy(&parameters(&[("Mode", "dry-run")])).await.unwrap();
    put_back(&aws, &records).await;
    let (dry_reads, dry_reports, dry_changes) = swept(&aws).await;
    assert_eq!(dry_changes, 0);
    assert!(outcomes(&aws, &place.vpc).await.contains("dry-run"));
    assert_eq!(rules_of(&aws, &store_side).await.unwrap(), opened);

    aws.delete_stack().await.unwrap();
    aws.deploy(&parameters(&[])).await.unwrap();
    put_back(&aws, &records).await;
    let (reads, reports, changes) = swept(&aws).await;
    assert!(changes > 5, "{changes}");
    assert_eq!(dry_reads, reads);
    assert_eq!(dry_reports, reports);
    assert!(
        reports.iter().any(|message| message.contains("detach"))
            && reports.iter().any(|message| message.contains("revoke"))
    );
    assert_apart(&aws, untagged, &store).await;
    assert_connected(&aws, both, &late, 2).await;
    assert_connected(&aws, stays, &store, 1).await;
    assert_settled(&aws, &place.vpc).await;
    assert_untouched(&aws, &before).await;
}
