//! What could not be read is no reason for anything.

use tagwire_acceptance::{CONNECT, Installation, Store, interface_groups, owned_groups, pair};
use tagwire_local_aws::{Effect, Fault};

use crate::support::{
    Joined, actions, assert_apart, assert_connected, assert_untouched, findings, lease, messages, sweep, verdicts,
    writes,
};

#[tokio::test]
async fn nothing_is_removed_that_rests_on_what_could_not_be_read() {
    let aws = lease().await;
    let joined = Joined::<2>::make(&aws).await;
    let [untagged, stays] = &joined.instances;
    let gone = joined.installation.aurora("gone", "orders").await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, stays, &gone, 2).await;
    let pair_of_gone = pair(&aws, &gone).await.unwrap().unwrap();

    // Two removals are due: of a connection that nobody asks for, and of a pair whose store is gone.
    joined.installation.untag_silently(&untagged.arn()).await.unwrap();
    joined.installation.delete(&gone).await.unwrap();
    for (service, action, effect) in [
        ("ec2", "DescribeInstances", Effect::AccessDenied),
        ("ec2", "DescribeSecurityGroups", Effect::Throttle),
        ("ec2", "DescribeNetworkInterfaces", Effect::AccessDenied),
        ("rds", "DescribeDBClusters", Effect::AccessDenied),
    ] {
        aws.inject(Fault::new(service, action, effect).of_function("Connect").always());
        aws.forget_calls();
        sweep(&aws).await;
        assert!(aws.calls().iter().any(|call| call.action == action && call.spoiled_by.is_some()), "{action}");
        assert_eq!(actions(&writes(&aws)), Vec::<&str>::new(), "{action}");
        assert!(findings(&aws, &joined.installation.vpc).await.contains("unread"), "{action}");
        aws.forget_faults();
    }

    // The second page of the launch templates is missing: what is deleted might be named there.
    for number in 0..201 {
        aws.launch_template(&format!("template-{number}"), &[]).await.unwrap();
    }
    aws.inject(Fault::new("ec2", "DescribeLaunchTemplateVersions", Effect::AccessDenied).after(1).always());
    aws.forget_calls();
    sweep(&aws).await;
    assert!(aws.calls().iter().any(|call| call.spoiled_by.is_some()));
    aws.forget_faults();
    assert_eq!(pair(&aws, &gone).await.unwrap(), Some(pair_of_gone.clone()));
    // One service that does not answer does not veto the others.
    assert_apart(&aws, untagged, &joined.store).await;
    assert!(!interface_groups(&aws, &stays.interface).await.unwrap().contains(&pair_of_gone.instance_side));

    // The tag index has lost everything.
    aws.inject(Fault::new("tagging", "GetResources", Effect::Refuse(200, String::new(), String::new())).always());
    aws.forget_calls();
    sweep(&aws).await;
    assert!(aws.calls().iter().any(|call| call.spoiled_by.is_some()));
    assert_connected(&aws, stays, &joined.store, 1).await;
    assert!(actions(&writes(&aws)).iter().all(|action| !action.starts_with("Modify")));
    aws.forget_faults();

    sweep(&aws).await;
    assert_eq!(owned_groups(&aws).await.unwrap().len(), 2);
    joined.end().await;
}

#[tokio::test]
async fn a_store_that_is_renamed_moved_or_becomes_ineligible_keeps_its_connections() {
    let aws = lease().await;
    let joined = Joined::<2>::make(&aws).await;
    let [instance, other] = &joined.instances;

    // The event of its creation under the new name is lost, and one says that the old name is gone.
    aws.rds()
        .modify_db_cluster()
        .db_cluster_identifier("orders")
        .new_db_cluster_identifier("sales")
        .send()
        .await
        .unwrap();
    let renamed = Store {
        name: "sales".to_owned(),
        arn: joined.store.arn.replace("cluster:orders", "cluster:sales"),
        ..joined.store.clone()
    };
    aws.rds_event(&joined.store.arn, "RDS-EVENT-0171").await.unwrap();
    aws.settle().await.unwrap();
    sweep(&aws).await;
    for instance in [instance, other] {
        assert_connected(&aws, instance, &renamed, 1).await;
    }
    assert!(pair(&aws, &renamed).await.unwrap().is_some(), "its groups say what it is called now");
    assert_eq!(actions(&writes(&aws)), ["CreateTags"; 2]);

    // It becomes a member of a global database.
    let request = aws.rds().create_global_cluster().global_cluster_identifier("world");
    request.source_db_cluster_identifier(&renamed.arn).send().await.unwrap();
    let late = joined.installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    sweep(&aws).await;
    assert!(verdicts(&aws, &late).await.contains("global-database"));
    assert_apart(&aws, &late, &renamed).await;
    for instance in [instance, other] {
        assert_connected(&aws, instance, &renamed, 1).await;
    }
    // It can still be taken away.
    aws.untag(&other.arn(), CONNECT).await.unwrap();
    aws.settle().await.unwrap();
    assert_apart(&aws, other, &renamed).await;

    // Another store moves to another VPC.
    let archive = joined.installation.postgres("archive", "archive").await.unwrap();
    let reader = joined.installation.launch(Some("archive")).await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, &reader, &archive, 2).await;
    let attached = interface_groups(&aws, &reader.interface).await.unwrap();
    let elsewhere = Installation::create(&aws, 2).await.unwrap();
    let request = aws.rds().modify_db_instance().db_instance_identifier("archive");
    request.db_subnet_group_name(&elsewhere.subnet_group).send().await.unwrap();
    elsewhere.set_store_groups(&archive, vec![elsewhere.default_group.clone()]).await.unwrap();
    aws.untag(&reader.arn(), CONNECT).await.unwrap();
    aws.settle().await.unwrap();
    sweep(&aws).await;
    assert!(findings(&aws, &archive.arn).await.contains("store-moved"), "{:?}", messages(&aws, "store-moved").await);
    assert_eq!(interface_groups(&aws, &reader.interface).await.unwrap(), attached);
    assert_untouched(&aws, &joined.before).await;
    joined.end().await;
}
