//! Block and isolation cut off at once, hold freezes.

use tagwire_acceptance::{Installation, connection, interface_groups, store_groups};

use crate::support::{
    Joined, actions, assert_apart, assert_connected, findings, lease, lease_with, parameters, sweep, verdicts, writes,
};

const BLOCK: &str = "tagwire:block";
const HOLD: &str = "tagwire:hold";

#[tokio::test]
async fn a_block_cuts_off_at_once_and_uncounted_until_it_is_taken_away() {
    // No counted removal may be made.
    let aws = lease_with(&[("MaxDisconnects", "0")]).await;
    let joined = Joined::<2>::make(&aws).await;
    let [blocked, other] = &joined.instances;
    aws.tag(&blocked.arn(), BLOCK, "incident 7").await.unwrap();
    aws.settle().await.unwrap();
    assert_apart(&aws, blocked, &joined.store).await;
    assert_connected(&aws, other, &joined.store, 1).await;
    sweep(&aws).await;
    assert_apart(&aws, blocked, &joined.store).await;
    assert!(verdicts(&aws, blocked).await.contains("blocked"));

    let attached = store_groups(&aws, &joined.store).await.unwrap();
    aws.tag(&joined.store.arn, BLOCK, "").await.unwrap();
    aws.settle().await.unwrap();
    sweep(&aws).await;
    assert_apart(&aws, other, &joined.store).await;
    assert_eq!(store_groups(&aws, &joined.store).await.unwrap().len(), attached.len() - 1);
    let pair = joined.pair().await;

    aws.untag(&joined.store.arn, BLOCK).await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, other, &joined.store, 1).await;
    assert_apart(&aws, blocked, &joined.store).await;
    aws.untag(&blocked.arn(), BLOCK).await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, blocked, &joined.store, 1).await;
    assert_eq!(joined.pair().await, pair);
    joined.end().await;
}

#[tokio::test]
async fn a_group_of_isolation_cuts_off_until_it_is_taken_off() {
    let mut aws = lease().await;
    let (place, isolation) = {
        let installation = Installation::create(&aws, 1).await.unwrap();
        let isolation = installation.group("quarantine").await.unwrap();
        (installation.place(), isolation)
    };
    aws.delete_stack().await.unwrap();
    aws.deploy(&parameters(&[("IsolationGroups", &isolation), ("MaxDisconnects", "0")])).await.unwrap();
    let joined = Joined::<2>::at(&aws, place).await;
    let [added, replaced] = &joined.instances;
    let attached = async |interface: &str| interface_groups(&aws, interface).await.unwrap();
    let (before, all) = (attached(&added.interface).await, attached(&replaced.interface).await);
    let mut isolated = before.clone();
    isolated.insert(isolation.clone());
    joined.installation.set_interface_groups(&added.interface, isolated).await.unwrap();
    joined.installation.set_interface_groups(&replaced.interface, [isolation.clone()].into()).await.unwrap();
    // No event tells of it.
    sweep(&aws).await;
    assert_eq!(actions(&writes(&aws)), ["ModifyNetworkInterfaceAttribute"]);
    sweep(&aws).await;
    for instance in [added, replaced] {
        assert_apart(&aws, instance, &joined.store).await;
        assert!(verdicts(&aws, instance).await.contains("blocked"));
        assert!(attached(&instance.interface).await.contains(&isolation));
    }

    for instance in [added, replaced] {
        let mut foreign = all.clone();
        foreign.remove(&joined.pair().await.instance_side);
        joined.installation.set_interface_groups(&instance.interface, foreign).await.unwrap();
    }
    sweep(&aws).await;
    for instance in [added, replaced] {
        assert_connected(&aws, instance, &joined.store, 1).await;
    }
    assert_eq!(attached(&added.interface).await, before);
    joined.end().await;
}

#[tokio::test]
async fn a_hold_freezes_and_a_block_wins_over_it() {
    let aws = lease().await;
    let joined = Joined::<2>::make(&aws).await;
    let [untagged, blocked] = &joined.instances;
    let newcomer = joined.installation.launch(None).await.unwrap();
    for arn in [untagged.arn(), blocked.arn(), newcomer.arn()] {
        aws.tag(&arn, HOLD, "maintenance").await.unwrap();
    }
    aws.untag(&untagged.arn(), tagwire_acceptance::CONNECT).await.unwrap();
    aws.tag(&blocked.arn(), BLOCK, "").await.unwrap();
    joined.installation.tag(&newcomer, "orders").await.unwrap();
    aws.settle().await.unwrap();
    sweep(&aws).await;
    assert_connected(&aws, untagged, &joined.store, 1).await;
    assert!(findings(&aws, &untagged.id).await.contains("held"));
    assert_apart(&aws, blocked, &joined.store).await;
    assert_eq!(connection(&aws, &newcomer, &joined.store).await.unwrap(), None);
    assert!(verdicts(&aws, &newcomer).await.contains("held"));

    // A pair of a store that is held is not even put back.
    aws.tag(&joined.store.arn, HOLD, "").await.unwrap();
    let store_side = joined.pair().await.store_side;
    joined.installation.open(&store_side, "192.0.2.0/24").await.unwrap();
    aws.settle().await.unwrap();
    aws.forget_calls();
    sweep(&aws).await;
    assert!(findings(&aws, &joined.store.arn).await.contains("held"));
    assert_eq!(actions(&writes(&aws)), Vec::<&str>::new());

    for arn in [joined.store.arn.clone(), untagged.arn(), blocked.arn(), newcomer.arn()] {
        aws.untag(&arn, HOLD).await.unwrap();
    }
    aws.untag(&blocked.arn(), BLOCK).await.unwrap();
    aws.settle().await.unwrap();
    assert_apart(&aws, untagged, &joined.store).await;
    for instance in [blocked, &newcomer] {
        assert_connected(&aws, instance, &joined.store, 1).await;
    }
    joined.end().await;
}
