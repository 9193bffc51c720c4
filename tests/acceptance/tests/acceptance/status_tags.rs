//! The answer to a connect tag stands beside it, when the stack asks for that.

use tagwire_acceptance::{CONNECT, Installation, Kind, Launched, Store};
use tagwire_local_aws::LocalAws;

use crate::support::{Joined, actions, lease_with, sweep, writes};

const STATUS: &str = "tagwire:status";

async fn of_instance(aws: &LocalAws, instance: &Launched) -> Option<String> {
    let of_it = aws_sdk_ec2::types::Filter::builder().name("resource-id").values(&instance.id).build();
    let tags = aws.ec2().describe_tags().filters(of_it).send().await.unwrap();
    tags.tags().iter().find(|tag| tag.key() == Some(STATUS)).and_then(|tag| tag.value().map(str::to_owned))
}

async fn of_store(aws: &LocalAws, store: &Store) -> Option<String> {
    let tags = aws.rds().list_tags_for_resource().resource_name(&store.arn).send().await.unwrap();
    tags.tag_list().iter().find(|tag| tag.key() == Some(STATUS)).and_then(|tag| tag.value().map(str::to_owned))
}

async fn of_redshift_cluster(aws: &LocalAws, store: &Store) -> Option<String> {
    let name = store.arn.rsplit(':').next().unwrap();
    let clusters = aws.redshift().describe_clusters().cluster_identifier(name).send().await.unwrap();
    let tags = clusters.clusters().first()?.tags();
    tags.iter().find(|tag| tag.key() == Some(STATUS)).and_then(|tag| tag.value().map(str::to_owned))
}

/// The tags that were written and taken off since the last look.
fn written(aws: &LocalAws) -> Vec<String> {
    let tagging = ["CreateTags", "DeleteTags", "AddTagsToResource", "RemoveTagsFromResource"];
    let calls = writes(aws);
    aws.forget_calls();
    actions(&calls).into_iter().filter(|action| tagging.contains(action)).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_status_says_what_became_of_the_tag_and_is_written_only_when_that_changes() {
    let aws = lease_with(&[("StatusTags", "on")]).await;
    let joined = Joined::<1>::make(&aws).await;
    let [instance] = &joined.instances;
    assert_eq!(of_instance(&aws, instance).await.as_deref(), Some("connected: orders"));
    assert_eq!(of_store(&aws, &joined.store).await, Some(format!("connected: {}", instance.id)));

    // Nothing changes, and its own event wakes nobody.
    aws.instance_state(&instance.id, "running").await.unwrap();
    aws.settle().await.unwrap();
    sweep(&aws).await;
    assert_eq!(written(&aws), Vec::<String>::new());
    let message = ("tagwire:status", "connected: orders");
    aws.tag_changed(&instance.arn(), &[STATUS], &[(CONNECT, "orders"), message]).await.unwrap();
    aws.tag_changed(&joined.store.arn, &[STATUS], &[(CONNECT, "orders"), message]).await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(actions(&aws.calls()), Vec::<&str>::new());

    aws.tag(&instance.arn(), "tagwire:block", "").await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(of_instance(&aws, instance).await.as_deref(), Some("blocked: orders"));
    assert_eq!(of_store(&aws, &joined.store).await, Some(format!("blocked: {}", instance.id)));
    assert_eq!(written(&aws), ["CreateTags", "AddTagsToResource"], "once each");

    let mut five = vec![joined.installation.default_group.clone()];
    for number in 1..5 {
        five.push(joined.installation.group(&format!("filler-{number}")).await.unwrap());
    }
    let full = joined.installation.launch_with(Some("orders nowhere"), &five).await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(of_instance(&aws, &full).await.as_deref(), Some("interface-group-limit: orders / no-match: nowhere"));

    aws.untag(&full.arn(), CONNECT).await.unwrap();
    aws.untag(&instance.arn(), "tagwire:block").await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(of_instance(&aws, &full).await, None);
    assert_eq!(of_instance(&aws, instance).await.as_deref(), Some("connected: orders"));
    sweep(&aws).await;
    assert_eq!(of_store(&aws, &joined.store).await, Some(format!("connected: {}", instance.id)));
    joined.end().await;
}

#[tokio::test]
async fn the_status_of_a_database_and_of_a_redshift_cluster_comes_and_goes_with_the_connect_tag() {
    let aws = lease_with(&[("StatusTags", "on")]).await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let database = installation.aurora("orders", "orders").await.unwrap();
    let warehouse = installation.store(Kind::RedshiftCluster, "warehouse", "warehouse").await.unwrap();
    let instance = installation.launch(Some("orders warehouse")).await.unwrap();
    aws.settle().await.unwrap();
    sweep(&aws).await;
    let connected = Some(format!("connected: {}", instance.id));
    assert_eq!(of_store(&aws, &database).await, connected);
    assert_eq!(of_redshift_cluster(&aws, &warehouse).await, connected);

    for store in [&database, &warehouse] {
        aws.untag(&store.arn, CONNECT).await.unwrap();
    }
    aws.settle().await.unwrap();
    sweep(&aws).await;
    assert_eq!(of_store(&aws, &database).await, None);
    assert_eq!(of_redshift_cluster(&aws, &warehouse).await, None);
}
