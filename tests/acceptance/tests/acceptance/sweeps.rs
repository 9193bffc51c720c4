//! A sweep finds what no event told of, and what nothing asks for.

use tagwire_acceptance::{CONNECT, Installation, interface_groups, owned_groups, pair};

use crate::support::{
    Joined, actions, assert_apart, assert_connected, assert_settled, findings, lease, messages, sweep, writes,
};

#[tokio::test]
async fn a_sweep_does_in_every_vpc_what_events_missed() {
    let aws = lease().await;
    let joined = Joined::<2>::make(&aws).await;
    let [untagged, stays] = &joined.instances;
    let elsewhere = Installation::create(&aws, 2).await.unwrap();
    let reader = elsewhere.launch(Some("books")).await.unwrap();
    aws.settle().await.unwrap();
    let books = elsewhere.silent_aurora("books", "books").await.unwrap();
    joined.installation.untag_silently(&untagged.arn()).await.unwrap();
    sweep(&aws).await;
    assert_apart(&aws, untagged, &joined.store).await;
    assert_connected(&aws, stays, &joined.store, 1).await;
    assert_connected(&aws, &reader, &books, 1).await;

    joined.installation.untag_silently(&joined.store.arn).await.unwrap();
    sweep(&aws).await;
    assert_apart(&aws, stays, &joined.store).await;
    assert_eq!(pair(&aws, &joined.store).await.unwrap(), None);
    assert_eq!(owned_groups(&aws).await.unwrap().len(), 2, "the pair of the other VPC");
    assert_settled(&aws, &elsewhere.vpc).await;
    joined.end().await;
}

#[tokio::test]
async fn an_instance_side_is_taken_off_instances_and_reported_on_anything_else() {
    let aws = lease().await;
    let joined = Joined::<1>::make(&aws).await;
    let group = joined.pair().await.instance_side;
    let attached = [joined.installation.default_group.clone(), group.clone()];
    let uninvited = joined.installation.launch_with(None, &attached).await.unwrap();
    let function = aws.function_interface(&joined.installation.subnets[0], &attached, "reports").await.unwrap();
    aws.settle().await.unwrap();
    assert_ne!(aws.alarm_state("foreign-attachment").await.unwrap(), "ALARM");
    sweep(&aws).await;
    assert_apart(&aws, &uninvited, &joined.store).await;
    let window = aws.state_items().await.unwrap().into_iter().find(|item| item["entry"] == "window").unwrap();
    assert_eq!(window["removals"][0][1], 1, "it was counted: {window}");
    assert!(findings(&aws, &group).await.contains("foreign-attachment"));
    let reported = messages(&aws, "foreign-attachment").await.join("\n");
    assert!(reported.contains(&function) && reported.contains("reports"), "{reported}");
    assert_eq!(aws.alarm_state("foreign-attachment").await.unwrap(), "ALARM");
    assert_eq!(interface_groups(&aws, &function).await.unwrap(), attached.clone().into());

    // For as long as it is attached the pair stays, whatever becomes of the store.
    aws.untag(&joined.store.arn, CONNECT).await.unwrap();
    aws.settle().await.unwrap();
    assert_apart(&aws, &joined.instances[0], &joined.store).await;
    assert_eq!(joined.pair().await.instance_side, group);
    aws.forget_calls();
    sweep(&aws).await;
    assert_eq!(actions(&writes(&aws)), Vec::<&str>::new());
    assert_eq!(interface_groups(&aws, &function).await.unwrap(), attached.into());
    aws.delete_function_interface(&function).await.unwrap();
    sweep(&aws).await;
    assert_eq!(pair(&aws, &joined.store).await.unwrap(), None);
    joined.end().await;
}
