//! What happens to an installation: deleted, made again, made twice.

use std::collections::BTreeSet;

use tagwire_acceptance::{CONNECT, owned_groups};

use crate::support::{
    Joined, actions, assert_apart, assert_connected, assert_settled, assert_untouched, group_records, lease, messages,
    parameters, put_back, sweep, writes,
};

#[tokio::test]
async fn connections_outlive_the_stack_and_the_next_one_takes_them_over_once_it_has_their_records() {
    let mut aws = lease().await;
    let joined = Joined::<2>::make(&aws).await;
    let owned = owned_groups(&aws).await.unwrap();
    let Joined { installation, store, instances, before, .. } = joined;
    let place = installation.place();
    let [untagged, stays] = &instances;
    let table = aws.state_table().unwrap().to_owned();
    let records = group_records(&aws).await;
    aws.delete_stack().await.unwrap();
    for instance in &instances {
        assert_connected(&aws, instance, &store, 1).await;
    }
    assert_eq!(owned_groups(&aws).await.unwrap(), owned);
    let kept = aws.dynamodb().describe_table().table_name(table).send().await.unwrap();
    assert!(kept.table().is_some_and(|table| table.item_count() > Some(0)), "the state table is kept: {kept:?}");

    // Nobody is there to hear of this.
    aws.untag(&untagged.arn(), CONNECT).await.unwrap();
    aws.deploy(&parameters(&[])).await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, untagged, &store, 1).await;
    // The new stack has a table of its own, which does not bear the groups out.
    aws.forget_calls();
    sweep(&aws).await;
    assert_eq!(messages(&aws, "identity-unproven").await.len(), owned.len());
    assert_connected(&aws, untagged, &store, 1).await;
    assert_connected(&aws, stays, &store, 1).await;
    assert_eq!(actions(&writes(&aws)), [""; 0]);

    put_back(&aws, &records).await;
    aws.forget_calls();
    sweep(&aws).await;
    assert_apart(&aws, untagged, &store).await;
    assert_connected(&aws, stays, &store, 1).await;
    assert_eq!(actions(&writes(&aws)), ["ModifyNetworkInterfaceAttribute"]);
    let installation = place.on(&aws);
    let newcomer = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, &newcomer, &store, 1).await;
    assert_eq!(owned_groups(&aws).await.unwrap(), owned, "no second pair");
    aws.untag(&store.arn, CONNECT).await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(owned_groups(&aws).await.unwrap(), BTreeSet::new());
    assert_settled(&aws, &installation.vpc).await;
    assert_untouched(&aws, &before).await;
}

#[tokio::test]
async fn a_second_installation_is_refused_and_the_first_goes_on() {
    let aws = lease().await;
    let refused = aws.deploy_beside("second", &parameters(&[("TagKey", "team:connect")])).await.unwrap_err();
    let refused = format!("{refused:#}");
    let because = refused.lines().find(|line| line.contains("CREATE_FAILED")).unwrap();
    assert!(because.contains("Installation") && because.contains("ParameterAlreadyExists"), "{refused}");
    Joined::<1>::make(&aws).await.end().await;
}
