//! Connections are taken away when nothing asks for them any more.

use std::{collections::BTreeSet, time::Duration};

use tagwire_acceptance::{CONNECT, connection, interface_groups, owned_groups, store_groups};
use tagwire_local_aws::LocalAws;

use crate::support::{
    Joined, actions, assert_apart, assert_connected, lease, lease_with, messages, outcomes, sweep, writes,
};

/// The log message of an instance that was disconnected.
async fn farewell(aws: &LocalAws, instance: &str) -> Vec<String> {
    let records = aws.records().await.unwrap();
    let of_it = records.iter().filter(|line| line["instance"] == instance && line["code"] == "disconnecting");
    of_it.filter_map(|line| line["message"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn an_instance_that_is_untagged_or_renamed_is_disconnected_also_while_it_is_stopped() {
    let aws = lease().await;
    let joined = Joined::<3>::make(&aws).await;
    let [untagged, renamed, stays] = &joined.instances;
    aws.ec2().stop_instances().instance_ids(&renamed.id).send().await.unwrap();
    aws.untag(&untagged.arn(), CONNECT).await.unwrap();
    joined.installation.tag(renamed, "billing").await.unwrap();
    aws.settle().await.unwrap();
    for (instance, reason) in [(untagged, "the instance has no connect tag"), (renamed, "they share no name any more")]
    {
        assert_apart(&aws, instance, &joined.store).await;
        let message = farewell(&aws, &instance.id).await;
        assert_eq!(message, [format!("{reason}; connections that are open already stay open until they are closed")]);
    }
    assert_connected(&aws, stays, &joined.store, 1).await;
    assert_eq!(actions(&writes(&aws)), ["ModifyNetworkInterfaceAttribute"; 2], "the pair stays for the others");

    // The store's names change: the last one goes, and so does nothing else.
    aws.tag(&joined.store.arn, CONNECT, "warehouse").await.unwrap();
    aws.settle().await.unwrap();
    assert_apart(&aws, stays, &joined.store).await;
    assert_eq!(owned_groups(&aws).await.unwrap().len(), 2, "the store takes part still");

    // What comes back is connected through the same pair.
    aws.tag(&joined.store.arn, CONNECT, "orders").await.unwrap();
    joined.installation.tag(untagged, "orders").await.unwrap();
    aws.settle().await.unwrap();
    for instance in [untagged, stays] {
        assert_connected(&aws, instance, &joined.store, 1).await;
    }
    joined.end().await;
}

#[tokio::test]
async fn tagged_untagged_and_tagged_again_ends_connected_without_a_sweep() {
    let aws = lease().await;
    let joined = Joined::<1>::make(&aws).await;
    let [connected] = &joined.instances;
    let fresh = joined.installation.launch(None).await.unwrap();
    aws.settle().await.unwrap();
    joined.installation.tag(&fresh, "orders").await.unwrap();
    for instance in [&fresh, connected] {
        aws.untag(&instance.arn(), CONNECT).await.unwrap();
        joined.installation.tag(instance, "orders").await.unwrap();
    }
    aws.untag(&joined.store.arn, CONNECT).await.unwrap();
    aws.tag(&joined.store.arn, CONNECT, "orders").await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(messages(&aws, "swept").await, Vec::<String>::new(), "only events were at work");
    for instance in [&fresh, connected] {
        assert!(connection(&aws, instance, &joined.store).await.unwrap().is_some(), "{}", instance.id);
    }
    assert_eq!(owned_groups(&aws).await.unwrap().len(), 2);
    joined.end().await;
}

#[tokio::test]
async fn a_store_that_is_untagged_loses_its_pair_in_an_order_that_cannot_deadlock() {
    let aws = lease().await;
    let joined = Joined::<2>::make(&aws).await;
    aws.untag(&joined.store.arn, CONNECT).await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(owned_groups(&aws).await.unwrap(), BTreeSet::new());
    let mut did = writes(&aws);
    // What is done at once has no order.
    did[3..].sort_by_key(|call| (call.action.starts_with("Delete"), call.action.clone()));
    assert_eq!(
        actions(&did),
        [
            "ModifyNetworkInterfaceAttribute",
            "ModifyNetworkInterfaceAttribute",
            "ModifyDBCluster",
            "RevokeSecurityGroupEgress",
            "RevokeSecurityGroupIngress",
            "DeleteSecurityGroup",
            "DeleteSecurityGroup",
        ]
    );
    let in_order = actions(&writes(&aws)).iter().rposition(|action| action.starts_with("Revoke")) == Some(4);
    assert!(in_order, "both references go before the first group: {:?}", actions(&writes(&aws)));
    joined.end().await;
}

#[tokio::test]
async fn a_store_that_takes_its_time_loses_its_pair_without_a_sweep() {
    let aws = lease().await;
    let joined = Joined::<1>::make(&aws).await;
    aws.slow_stores(Duration::ZERO, Duration::from_secs(2)).await.unwrap();
    // At first it takes no change at all.
    aws.set_store_status(&joined.store.arn, "upgrading").await.unwrap();
    aws.untag(&joined.store.arn, CONNECT).await.unwrap();
    aws.settle_except_delayed().await.unwrap();
    assert_apart(&aws, &joined.instances[0], &joined.store).await;
    assert!(store_groups(&aws, &joined.store).await.unwrap().contains(&joined.pair().await.store_side));
    aws.set_store_status(&joined.store.arn, "available").await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(owned_groups(&aws).await.unwrap(), BTreeSet::new());
    assert_eq!(messages(&aws, "swept").await, Vec::<String>::new(), "only events were at work");
    joined.end().await;
}

#[tokio::test]
async fn a_store_that_is_deleted_leaves_nothing_behind_and_costs_no_window() {
    let aws = lease_with(&[("MaxDisconnects", "0")]).await;
    let joined = Joined::<1>::make(&aws).await;
    let [instance] = &joined.instances;
    let archive = joined.installation.postgres("archive", "orders").await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, instance, &archive, 2).await;

    // The event was lost: the sweep alone.
    joined.installation.delete(&joined.store).await.unwrap();
    sweep(&aws).await;
    assert_eq!(owned_groups(&aws).await.unwrap(), ["rds-ec2-2", "ec2-rds-2"].map(str::to_owned).into());
    assert_connected(&aws, instance, &archive, 2).await;

    joined.installation.delete(&archive).await.unwrap();
    aws.rds_event(&archive.arn, "RDS-EVENT-0003").await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(owned_groups(&aws).await.unwrap(), BTreeSet::new());
    assert_eq!(interface_groups(&aws, &instance.interface).await.unwrap().len(), 2, "those of others");
    assert_eq!(messages(&aws, "disconnects-held-back").await, Vec::<String>::new());
    joined.end().await;
}

#[tokio::test]
async fn a_terminated_instance_needs_nothing() {
    let aws = lease().await;
    let joined = Joined::<2>::make(&aws).await;
    let [gone, stays] = &joined.instances;
    aws.ec2().terminate_instances().instance_ids(&gone.id).send().await.unwrap();
    // An event that comes late, as events do.
    aws.instance_state(&gone.id, "running").await.unwrap();
    aws.settle().await.unwrap();
    assert!(outcomes(&aws, &gone.id).await.contains("instance-gone"));
    assert_eq!(actions(&writes(&aws)), Vec::<&str>::new());
    assert_connected(&aws, stays, &joined.store, 1).await;
    joined.end().await;
}
