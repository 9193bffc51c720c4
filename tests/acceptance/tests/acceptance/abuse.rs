//! The worst that somebody can do who holds one right and nothing else: to tag security groups, or to make them.

use aws_sdk_ec2::types as ec2;
use tagwire_acceptance::{
    CONNECT, Launched, Pair, Store, connection, interface_groups, owned_groups, pair, store_groups,
};
use tagwire_local_aws::LocalAws;

use crate::support::{
    Joined, assert_apart, assert_connected, assert_settled, findings, lease, lease_with, messages, sweep,
};

const BLOCK: &str = "tagwire:block";
const STORE_ID: &str = "tagwire:data-store-id";
const STORE_ARN: &str = "tagwire:data-store";
const SIDE: &str = "tagwire:side";
const MANAGED_BY: &str = "tagwire:managed-by";

/// The one right of the first actor.
async fn tag_groups(aws: &LocalAws, groups: &[&str], tags: &[(&str, &str)]) {
    let tags = tags.iter().map(|(key, value)| ec2::Tag::builder().key(*key).value(*value).build()).collect();
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    aws.ec2().create_tags().set_resources(Some(groups)).set_tags(Some(tags)).send().await.unwrap();
}

async fn untag_groups(aws: &LocalAws, groups: &[&str], keys: &[&str]) {
    let tags = keys.iter().map(|key| ec2::Tag::builder().key(*key).build()).collect();
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    aws.ec2().delete_tags().set_resources(Some(groups)).set_tags(Some(tags)).send().await.unwrap();
}

async fn tags_of(aws: &LocalAws, group: &str) -> Vec<(String, String)> {
    let described = aws.ec2().describe_security_groups().group_ids(group).send().await.unwrap();
    let tags = described.security_groups()[0].tags();
    let mut tags: Vec<_> = tags
        .iter()
        .map(|tag| (tag.key().unwrap_or_default().to_owned(), tag.value().unwrap_or_default().to_owned()))
        .collect();
    tags.sort();
    tags
}

async fn alarm_is_raised(aws: &LocalAws) -> bool {
    aws.alarm_state("identity-conflict").await.unwrap() == "ALARM"
}

/// A store named `beta` with a pair of its own, and an instance that is connected to it.
async fn beta(joined: &Joined<'_, 1>, aws: &LocalAws) -> (Store, Launched, Pair) {
    let beta = joined.installation.aurora("beta", "beta").await.unwrap();
    let reader = joined.installation.launch(Some("beta")).await.unwrap();
    aws.settle().await.unwrap();
    let of_beta = pair(aws, &beta).await.unwrap().unwrap();
    (beta, reader, of_beta)
}

#[tokio::test]
async fn tagging_a_pair_as_another_store_s_connects_nobody_and_the_tags_are_put_back() {
    let aws = lease().await;
    let joined = Joined::<1>::make(&aws).await;
    let [instance] = &joined.instances;
    let (beta, _, of_beta) = beta(&joined, &aws).await;
    let of_alpha = joined.pair().await;
    let model = tags_of(&aws, &of_beta.store_side).await;
    let of = |key: &str| model.iter().find(|(of, _)| of == key).unwrap().1.clone();
    let before = tags_of(&aws, &of_alpha.instance_side).await;

    let both = [of_alpha.store_side.as_str(), of_alpha.instance_side.as_str()];
    tag_groups(&aws, &both, &[(STORE_ID, &of(STORE_ID)), (STORE_ARN, &of(STORE_ARN))]).await;
    assert!(!alarm_is_raised(&aws).await);
    let newcomer = joined.installation.launch(Some("beta")).await.unwrap();
    aws.settle().await.unwrap();
    sweep(&aws).await;

    assert_apart(&aws, &newcomer, &joined.store).await;
    assert_connected(&aws, &newcomer, &beta, 2).await;
    assert_connected(&aws, instance, &joined.store, 1).await;
    assert!(!store_groups(&aws, &beta).await.unwrap().contains(&of_alpha.store_side));
    assert!(!interface_groups(&aws, &newcomer.interface).await.unwrap().contains(&of_alpha.instance_side));
    assert_eq!(tags_of(&aws, &of_alpha.instance_side).await, before);
    for group in both {
        assert!(findings(&aws, group).await.contains("identity-conflict"), "{group}");
    }
    assert!(alarm_is_raised(&aws).await);
    assert_settled(&aws, &joined.installation.vpc).await;
}

#[tokio::test]
async fn tagging_an_instance_side_with_a_store_that_does_not_exist_cuts_nobody() {
    let aws = lease_with(&[("MaxDisconnects", "1")]).await;
    let joined = Joined::<3>::make(&aws).await;
    let of_alpha = joined.pair().await;
    let nowhere = joined.store.arn.replace("orders", "nowhere");
    tag_groups(&aws, &[&of_alpha.instance_side], &[(STORE_ID, "cluster-NOWHERE"), (STORE_ARN, &nowhere)]).await;
    sweep(&aws).await;
    for instance in &joined.instances {
        assert_connected(&aws, instance, &joined.store, 1).await;
    }
    assert_eq!(joined.pair().await, of_alpha);
    assert!(findings(&aws, &of_alpha.instance_side).await.contains("identity-conflict"));
    assert!(alarm_is_raised(&aws).await);
    joined.end().await;
}

#[tokio::test]
async fn taking_tags_off_an_instance_side_keeps_no_connection_past_an_untag_or_a_block() {
    let aws = lease().await;
    let joined = Joined::<3>::make(&aws).await;
    let [untagged, blocked, stays] = &joined.instances;
    let of_alpha = joined.pair().await;
    let all = [STORE_ID, STORE_ARN, SIDE, MANAGED_BY];
    untag_groups(&aws, &[&of_alpha.instance_side], &all).await;
    aws.untag(&untagged.arn(), CONNECT).await.unwrap();
    aws.tag(&blocked.arn(), BLOCK, "").await.unwrap();
    aws.settle().await.unwrap();
    sweep(&aws).await;
    for gone in [untagged, blocked] {
        assert_apart(&aws, gone, &joined.store).await;
        assert!(!interface_groups(&aws, &gone.interface).await.unwrap().contains(&of_alpha.instance_side));
    }
    assert!(interface_groups(&aws, &stays.interface).await.unwrap().contains(&of_alpha.instance_side));
    assert!(findings(&aws, &of_alpha.instance_side).await.contains("identity-conflict"));
    assert!(alarm_is_raised(&aws).await);
    let way_out = messages(&aws, "identity-conflict").await.join("\n");
    assert!(way_out.contains(MANAGED_BY), "{way_out}");

    // What the hint says brings the rest back.
    tag_groups(&aws, &[&of_alpha.instance_side], &[(MANAGED_BY, "tagwire")]).await;
    sweep(&aws).await;
    assert_eq!(tags_of(&aws, &of_alpha.instance_side).await.len(), all.len());
    assert_eq!(joined.pair().await, of_alpha);
    joined.end().await;
}

#[tokio::test]
async fn another_side_in_the_tags_keeps_no_connection_past_a_block() {
    let aws = lease().await;
    let joined = Joined::<2>::make(&aws).await;
    let [blocked, stays] = &joined.instances;
    let of_alpha = joined.pair().await;
    tag_groups(&aws, &[&of_alpha.instance_side, &of_alpha.store_side], &[(SIDE, "x")]).await;
    aws.tag(&blocked.arn(), BLOCK, "").await.unwrap();
    aws.settle().await.unwrap();
    assert_apart(&aws, blocked, &joined.store).await;
    sweep(&aws).await;
    assert_apart(&aws, blocked, &joined.store).await;
    assert_connected(&aws, stays, &joined.store, 1).await;
    joined.end().await;
}

/// The one right of the second actor: to make a group with tags, here with all that another one shows.
async fn imitate(aws: &LocalAws, vpc: &str, like: &str, name: &str) -> String {
    let model = aws.ec2().describe_security_groups().group_ids(like).send().await.unwrap();
    let model = &model.security_groups()[0];
    let tags = ec2::TagSpecification::builder().resource_type(ec2::ResourceType::SecurityGroup);
    let tags = tags.set_tags(Some(model.tags().to_vec())).build();
    let request = aws.ec2().create_security_group().vpc_id(vpc).group_name(name).tag_specifications(tags);
    let made = request.description(model.description().unwrap()).send().await.unwrap();
    made.group_id().unwrap().to_owned()
}

#[tokio::test]
async fn groups_made_beforehand_with_our_names_descriptions_and_tags_are_adopted_by_nobody() {
    let aws = lease().await;
    let joined = Joined::<1>::make(&aws).await;
    let vpc = joined.installation.vpc.as_str();
    let model = joined.pair().await;
    // The tags of a store that has no pair yet; what the description says is what a reader can see.
    let victim = joined.installation.silent_aurora("victim", "victim").await.unwrap();
    let described = aws.rds().describe_db_clusters().db_cluster_identifier("victim").send().await.unwrap();
    let identity = described.db_clusters()[0].db_cluster_resource_id().unwrap().to_owned();
    let beforehand = [
        imitate(&aws, vpc, &model.store_side, "rds-ec2-2").await,
        imitate(&aws, vpc, &model.instance_side, "ec2-rds-2").await,
    ];
    let groups = [beforehand[0].as_str(), beforehand[1].as_str()];
    tag_groups(&aws, &groups, &[(STORE_ID, &identity), (STORE_ARN, &victim.arn)]).await;
    let reader = joined.installation.launch(Some("victim")).await.unwrap();
    aws.settle().await.unwrap();
    sweep(&aws).await;

    let connected = connection(&aws, &reader, &victim).await.unwrap().unwrap();
    assert_eq!((connected.store_side.as_str(), connected.instance_side.as_str()), ("rds-ec2-3", "ec2-rds-3"));
    for group in groups {
        assert!(!store_groups(&aws, &victim).await.unwrap().contains(group));
        assert!(!interface_groups(&aws, &reader.interface).await.unwrap().contains(group));
        assert_eq!(findings(&aws, group).await, ["identity-unproven".to_owned()].into());
    }
    assert!(alarm_is_raised(&aws).await);
    let owned = owned_groups(&aws).await.unwrap();
    assert!(groups.iter().all(|group| owned.contains(*group)), "they are as they were made");
    assert_settled(&aws, vpc).await;
}
