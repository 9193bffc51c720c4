//! What is left alone. Each test first proves that the functions ran.

use std::collections::BTreeSet;

use serde_json::json;
use tagwire_acceptance::{Installation, connection, foreign, interface_groups, owned_groups, store_groups};

use crate::support::{
    assert_connected, assert_settled, assert_untouched, findings, instance_event, lease, sqs_event, verdicts, writes,
};

#[tokio::test]
async fn groups_of_others_stay_attached_and_unchanged() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let (on_instance, on_store) =
        (installation.group("web").await.unwrap(), installation.group("backup").await.unwrap());
    let store = installation.silent_aurora("orders", "orders").await.unwrap();
    installation.set_store_groups(&store, vec![installation.default_group.clone(), on_store.clone()]).await.unwrap();
    let before = foreign(&aws).await.unwrap();
    let instance = installation
        .launch_with(Some("orders"), &[installation.default_group.clone(), on_instance.clone()])
        .await
        .unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, &instance, &store, 1).await;
    let (interface, list) =
        (interface_groups(&aws, &instance.interface).await.unwrap(), store_groups(&aws, &store).await.unwrap());
    assert!(interface.is_superset(&[installation.default_group.clone(), on_instance].into()), "{interface:?}");
    assert!(list.is_superset(&[installation.default_group.clone(), on_store].into()), "{list:?}");
    assert_eq!((interface.len(), list.len()), (3, 3));
    assert_untouched(&aws, &before).await;
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn a_pair_made_by_the_console_is_left_exactly_as_it_is() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let store = installation.silent_aurora("orders", "orders").await.unwrap();
    let by_console = installation.launch(None).await.unwrap();
    let (store_side, instance_side) = installation.connect_as_the_console(&by_console, &store, 1).await.unwrap();
    let before = foreign(&aws).await.unwrap();
    let groups = interface_groups(&aws, &by_console.interface).await.unwrap();

    installation.tag_silently(&by_console, "orders").await.unwrap();
    aws.instance_state(&by_console.id, "running").await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(verdicts(&aws, &by_console).await, BTreeSet::from(["connected".to_owned()]));
    assert_eq!(writes(&aws).len(), 0);

    // A second instance gets a pair of tagwire's own: the console's is never attached to anything.
    let second = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, &second, &store, 2).await;
    assert_connected(&aws, &by_console, &store, 1).await;
    assert!(!interface_groups(&aws, &second.interface).await.unwrap().contains(&instance_side));
    assert!(store_groups(&aws, &store).await.unwrap().contains(&store_side));
    assert_eq!(interface_groups(&aws, &by_console.interface).await.unwrap(), groups);
    assert_untouched(&aws, &before).await;
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn a_store_in_another_vpc_is_refused_and_named() {
    let aws = lease().await;
    let (here, elsewhere) =
        (Installation::create(&aws, 1).await.unwrap(), Installation::create(&aws, 2).await.unwrap());
    let store = elsewhere.aurora("orders", "orders").await.unwrap();
    let instance = here.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(findings(&aws, &instance.id).await, BTreeSet::from(["different-vpc".to_owned()]));
    assert_eq!(connection(&aws, &instance, &store).await.unwrap(), None);
    assert_eq!(owned_groups(&aws).await.unwrap(), BTreeSet::new());
    assert_eq!(writes(&aws).len(), 0);
    assert_settled(&aws, &here.vpc).await;
}

#[tokio::test]
async fn a_batch_of_untagged_launches_costs_exactly_one_call() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let mut instances = Vec::new();
    for _ in 0..10 {
        instances.push(installation.launch(None).await.unwrap());
    }
    aws.settle().await.unwrap();
    aws.forget_calls();
    let before = aws.records().await.unwrap().len();

    let events: Vec<_> = instances.iter().map(|instance| instance_event(&instance.id)).collect();
    let answer = aws.invoke("InstanceEventsFunction", &sqs_event(&events)).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    aws.settle().await.unwrap();
    let calls: Vec<String> = aws.calls().into_iter().map(|call| call.action).collect();
    assert_eq!(calls, ["DescribeInstances"]);
    let records = aws.records().await.unwrap();
    let ended =
        records.iter().skip(before).filter(|line| line["record"] == "outcome" && line["code"] == "not-opted-in");
    assert_eq!(ended.count(), 10);
}

#[tokio::test]
async fn a_full_interface_and_a_full_store_are_reported_and_nothing_is_made() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let mut five = vec![installation.default_group.clone()];
    for index in 0..4 {
        five.push(installation.group(&format!("filler-{index}")).await.unwrap());
    }
    let roomy = installation.aurora("roomy", "roomy").await.unwrap();
    let full_instance = installation.launch_with(Some("roomy"), &five).await.unwrap();
    let full = installation.silent_aurora("full", "full").await.unwrap();
    installation.set_store_groups(&full, five.clone()).await.unwrap();
    let roomy_instance = installation.launch(Some("full")).await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(verdicts(&aws, &full_instance).await, BTreeSet::from(["interface-group-limit".to_owned()]));
    assert_eq!(verdicts(&aws, &roomy_instance).await, BTreeSet::from(["store-group-limit".to_owned()]));
    assert_eq!(connection(&aws, &full_instance, &roomy).await.unwrap(), None);
    assert_eq!(owned_groups(&aws).await.unwrap(), BTreeSet::new());
    assert_settled(&aws, &installation.vpc).await;
}
