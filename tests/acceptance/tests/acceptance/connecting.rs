//! Connections are made.

use std::collections::BTreeSet;

use tagwire_acceptance::{Installation, connection, foreign, interface_groups, owned_groups, store_groups};

use crate::support::{assert_connected, assert_settled, assert_untouched, lease, outcomes};

#[tokio::test]
async fn an_instance_launched_beside_a_cluster_is_connected() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let store = installation.aurora("orders", "orders").await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(owned_groups(&aws).await.unwrap(), BTreeSet::new(), "nobody needs a pair yet");

    let instance = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, &instance, &store, 1).await;
    assert!(interface_groups(&aws, &instance.interface).await.unwrap().contains(&installation.default_group));
    assert!(store_groups(&aws, &store).await.unwrap().contains(&installation.default_group));
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn a_store_created_after_its_instance_is_connected() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let instance = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(outcomes(&aws, &instance.id).await, BTreeSet::from(["work-sent".to_owned()]));

    let cluster = installation.aurora("orders", "orders").await.unwrap();
    let standalone = installation.postgres("orders-archive", "orders").await.unwrap();
    aws.settle().await.unwrap();
    let numbers: BTreeSet<String> = [
        connection(&aws, &instance, &cluster).await.unwrap().unwrap().store_side,
        connection(&aws, &instance, &standalone).await.unwrap().unwrap().store_side,
    ]
    .into();
    assert_eq!(numbers, BTreeSet::from(["rds-ec2-1".to_owned(), "rds-ec2-2".to_owned()]));
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn the_same_events_twice_make_no_second_pair() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let store = installation.aurora("orders", "orders").await.unwrap();
    let instance = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    let before = owned_groups(&aws).await.unwrap();

    for _ in 0..2 {
        aws.rds_event(&store.arn, "RDS-EVENT-0170").await.unwrap();
        aws.instance_state(&instance.id, "running").await.unwrap();
        installation.tag(&instance, "orders").await.unwrap();
    }
    aws.settle().await.unwrap();
    assert_connected(&aws, &instance, &store, 1).await;
    assert_eq!(owned_groups(&aws).await.unwrap(), before);
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn a_second_instance_shares_the_pair_of_the_store() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let store = installation.aurora("orders", "orders").await.unwrap();
    let first = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    aws.forget_calls();
    let second = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    for instance in [&first, &second] {
        assert_connected(&aws, instance, &store, 1).await;
    }
    let writes: Vec<String> = crate::support::writes(&aws).into_iter().map(|call| call.action).collect();
    assert_eq!(writes, ["ModifyNetworkInterfaceAttribute"]);
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn an_instance_that_is_tagged_later_is_connected() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let store = installation.aurora("orders", "orders").await.unwrap();
    let instance = installation.launch(None).await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(outcomes(&aws, &instance.id).await, BTreeSet::from(["not-opted-in".to_owned()]));

    installation.tag(&instance, "orders").await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, &instance, &store, 1).await;
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn a_sweep_finds_what_events_missed() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let instance = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    let store = installation.silent_aurora("orders", "orders").await.unwrap();
    aws.invoke("SweepFunction", &serde_json::json!({})).await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, &instance, &store, 1).await;
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn a_name_that_belongs_to_somebody_else_is_passed_over() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    // One side of number 1, and of number 2 in another case: names are unique without regard to it,
    // but only the refusal tells, when the other side of number 2 is made already. It is kept.
    installation.group("rds-ec2-1").await.unwrap();
    installation.group("EC2-RDS-2").await.unwrap();
    let before = foreign(&aws).await.unwrap();
    let store = installation.aurora("orders", "orders").await.unwrap();
    let instance = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    let found = connection(&aws, &instance, &store).await.unwrap().unwrap();
    assert_eq!((found.store_side.as_str(), found.instance_side.as_str()), ("rds-ec2-2", "ec2-rds-3"));
    assert_untouched(&aws, &before).await;
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn two_instances_and_two_stores_with_crossing_names_are_joined_by_name() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let orders = installation.aurora("orders", "orders shared").await.unwrap();
    let billing = installation.aurora("billing", "billing shared").await.unwrap();
    let of_orders = installation.launch(Some("orders")).await.unwrap();
    let of_both = installation.launch(Some("shared other")).await.unwrap();
    aws.settle().await.unwrap();
    for (instance, store, joined) in [
        (&of_orders, &orders, true),
        (&of_orders, &billing, false),
        (&of_both, &orders, true),
        (&of_both, &billing, true),
    ] {
        let found = connection(&aws, instance, store).await.unwrap();
        assert_eq!(found.is_some(), joined, "{} and {}: {found:?}", instance.id, store.name);
    }
    assert_eq!(owned_groups(&aws).await.unwrap().len(), 4);
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn instances_are_attached_while_their_store_takes_no_change() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let store = installation.aurora("orders", "orders").await.unwrap();
    let first = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();

    // The store side is attached already: a new instance needs no call to the store.
    aws.set_store_status(&store.arn, "modifying").await.unwrap();
    let second = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, &first, &store, 1).await;
    assert_connected(&aws, &second, &store, 1).await;

    // A store that is not connected yet gets everything but the call to itself, and is taken up
    // again by the retry, of which no event tells.
    let late = installation.silent_aurora("late", "late").await.unwrap();
    aws.set_store_status(&late.arn, "creating").await.unwrap();
    let third = installation.launch(Some("late")).await.unwrap();
    aws.settle_except_delayed().await.unwrap();
    assert_eq!(connection(&aws, &third, &late).await.unwrap(), None);
    assert_eq!(
        interface_groups(&aws, &third.interface).await.unwrap().len(),
        2,
        "the instance side waits for the store"
    );
    assert_eq!(crate::support::verdicts(&aws, &third).await, BTreeSet::from(["not-available".to_owned()]));

    for store in [&store, &late] {
        aws.set_store_status(&store.arn, "available").await.unwrap();
    }
    aws.settle().await.unwrap();
    assert_connected(&aws, &third, &late, 2).await;
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn clusters_of_document_db_and_neptune_are_connected_under_their_own_names() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let documents = installation.cluster("docdb", "documents", "orders").await.unwrap();
    let graph = installation.cluster("neptune", "graph", "orders").await.unwrap();
    let instance = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    for (store, pattern) in [(&documents, "docdb"), (&graph, "neptune")] {
        let found = connection(&aws, &instance, store).await.unwrap().unwrap();
        let (store_side, instance_side) = (format!("{pattern}-ec2-1"), format!("ec2-{pattern}-1"));
        assert_eq!((found.store_side, found.instance_side), (store_side, instance_side));
    }
    assert_settled(&aws, &installation.vpc).await;
}
