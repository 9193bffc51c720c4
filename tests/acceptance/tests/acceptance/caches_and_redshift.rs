//! ElastiCache and Redshift: of most of them only CloudTrail tells, while they are still being made.

use std::{collections::BTreeSet, time::Duration};

use tagwire_acceptance::{
    CONNECT, Installation, Kind, Launched, Store, connection, foreign, interface_groups, owned_groups, store_groups,
};
use tagwire_local_aws::LocalAws;

use crate::support::{assert_settled, findings, lease, outcomes, verdicts, writes};

/// The word of a kind's service in names of groups.
fn service(kind: Kind) -> &'static str {
    if kind == Kind::RedshiftCluster { "redshift" } else { "elasticache" }
}

/// A store of each kind, each with a name of its own.
async fn one_of_each(installation: &Installation<'_>) -> Vec<Store> {
    let mut stores = Vec::new();
    for (kind, name) in Kind::CACHES_AND_REDSHIFT.into_iter().zip(["valkey", "memcached", "serverless", "warehouse"]) {
        stores.push(installation.store(kind, name, name).await.unwrap());
    }
    stores
}

/// All four names: with the default group, an interface has room for just these.
const ALL: &str = "valkey memcached serverless warehouse";

async fn assert_all_connected(aws: &LocalAws, instance: &Launched, stores: &[Store]) {
    for store in stores {
        let found = connection(aws, instance, store).await.unwrap();
        let found = found.unwrap_or_else(|| panic!("{} does not reach {}", instance.id, store.arn));
        let word = service(store.kind);
        assert!(found.store_side.starts_with(&format!("{word}-ec2-")), "{found:?}");
        assert!(found.instance_side.starts_with(&format!("ec2-{word}-")), "{found:?}");
    }
}

/// How many messages about a store `data-store-events` has ended.
async fn looks(aws: &LocalAws, store: &Store) -> usize {
    let records = aws.records().await.unwrap();
    let about = |line: &&serde_json::Value| {
        line["record"] == "outcome" && line["logical_id"] == "DataStoreEventsFunction" && line["subject"] == store.arn
    };
    records.iter().filter(about).count()
}

#[tokio::test]
async fn an_instance_is_connected_to_caches_and_a_redshift_cluster_that_were_there_before_it() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let stores = one_of_each(&installation).await;
    aws.settle().await.unwrap();
    assert_eq!(owned_groups(&aws).await.unwrap(), BTreeSet::new(), "nobody needs a pair yet");
    let mut before = Vec::new();
    for store in &stores {
        assert_eq!(outcomes(&aws, &store.arn).await, BTreeSet::from(["work-sent".to_owned()]), "{}", store.arn);
        before.push(looks(&aws, store).await);
    }
    let others = foreign(&aws).await.unwrap();

    let instance = installation.launch(Some(ALL)).await.unwrap();
    aws.settle().await.unwrap();
    assert_all_connected(&aws, &instance, &stores).await;
    for (store, before) in stores.iter().zip(before) {
        assert!(store_groups(&aws, store).await.unwrap().contains(&installation.default_group), "{}", store.arn);
        // Only the event of a serverless cache does not say whose change it tells of.
        let own = usize::from(store.kind == Kind::ServerlessCache);
        assert_eq!(looks(&aws, store).await, before + own, "our own change of {} was looked into", store.arn);
    }
    assert_eq!(others.differences(&foreign(&aws).await.unwrap()), Vec::<String>::new());
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn caches_and_a_redshift_cluster_are_connected_to_an_instance_that_was_there_before_them() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let instance = installation.launch(Some(ALL)).await.unwrap();
    aws.settle().await.unwrap();
    let stores = one_of_each(&installation).await;
    aws.settle().await.unwrap();
    assert_all_connected(&aws, &instance, &stores).await;
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn a_store_that_is_being_created_comes_back_until_it_is_available() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let instance = installation.launch(Some(ALL)).await.unwrap();
    aws.settle().await.unwrap();
    aws.slow_stores(Duration::from_secs(4), Duration::from_secs(1)).await.unwrap();
    let stores = one_of_each(&installation).await;
    aws.settle().await.unwrap();
    assert_all_connected(&aws, &instance, &stores).await;
    for store in &stores {
        let message = outcomes(&aws, &store.arn).await;
        // A serverless cache tells of itself only when it is available.
        assert_eq!(message.contains("will-retry"), store.kind != Kind::ServerlessCache, "{}: {message:?}", store.arn);
        assert!(message.contains("work-sent"), "{}: {message:?}", store.arn);
        assert!(!message.contains("not-opted-in"), "{} was taken for untagged: {message:?}", store.arn);
    }
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn the_groups_of_a_deleted_cache_or_redshift_cluster_go_with_it() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let stores = one_of_each(&installation).await;
    let instance = installation.launch(Some(ALL)).await.unwrap();
    aws.settle().await.unwrap();
    assert_all_connected(&aws, &instance, &stores).await;

    for store in &stores {
        installation.delete(store).await.unwrap();
    }
    aws.settle().await.unwrap();
    aws.sweep().await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(owned_groups(&aws).await.unwrap(), BTreeSet::new());
    let left = interface_groups(&aws, &instance.interface).await.unwrap();
    assert_eq!(left, BTreeSet::from([installation.default_group.clone()]));
}

#[tokio::test]
async fn a_tag_that_is_set_or_taken_away_later_is_followed() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let stores = one_of_each(&installation).await;
    let instance = installation.launch(Some("other")).await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(owned_groups(&aws).await.unwrap(), BTreeSet::new());

    // A change of tags takes caches out of their available state for a moment.
    aws.slow_stores(Duration::ZERO, Duration::from_secs(1)).await.unwrap();
    for store in &stores {
        aws.tag(&store.arn, CONNECT, "other").await.unwrap();
    }
    aws.settle().await.unwrap();
    assert_all_connected(&aws, &instance, &stores).await;

    for store in &stores {
        // A cache that is being changed refuses to have its tags changed.
        aws.set_store_status(&store.arn, "available").await.unwrap();
        aws.untag(&store.arn, CONNECT).await.unwrap();
    }
    aws.settle().await.unwrap();
    for store in &stores {
        assert_eq!(connection(&aws, &instance, store).await.unwrap(), None, "{}", store.arn);
    }
    let left = interface_groups(&aws, &instance.interface).await.unwrap();
    assert_eq!(left, BTreeSet::from([installation.default_group.clone()]));
}

#[tokio::test]
async fn what_is_pending_on_a_cache_is_not_carried_out_with_its_groups() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let group = installation.store(Kind::ReplicationGroup, "valkey", "orders").await.unwrap();
    let cluster = installation.store(Kind::CacheCluster, "memcached", "orders").await.unwrap();
    let caches = aws.elasticache();
    let request = caches.modify_replication_group().replication_group_id("valkey");
    request.cache_node_type("cache.m7g.large").apply_immediately(false).send().await.unwrap();
    let request = caches.modify_cache_cluster().cache_cluster_id("memcached");
    request.cache_node_type("cache.m7g.large").apply_immediately(false).send().await.unwrap();
    let instance = installation.launch(Some("orders")).await.unwrap();
    aws.settle_except_delayed().await.unwrap();

    for store in [&group, &cluster] {
        assert_eq!(connection(&aws, &instance, store).await.unwrap(), None, "{}", store.arn);
    }
    let records = aws.records().await.unwrap();
    let failed: Vec<_> = records.iter().filter(|line| line["record"] == "step" && !line["code"].is_null()).collect();
    assert!(!failed.is_empty() && failed.iter().all(|line| line["code"] == "pending-changes"), "{failed:#?}");
    let modified = writes(&aws).into_iter().filter(|call| call.service == "elasticache").count();
    assert_eq!(modified, 0, "a cache was modified although something is pending on it");

    let request = caches.modify_replication_group().replication_group_id("valkey");
    request.cache_node_type("cache.m7g.large").apply_immediately(true).send().await.unwrap();
    let request = caches.modify_cache_cluster().cache_cluster_id("memcached");
    request.cache_node_type("cache.m7g.large").apply_immediately(true).send().await.unwrap();
    aws.settle().await.unwrap();
    assert_all_connected(&aws, &instance, &[group, cluster]).await;
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn a_renamed_redshift_cluster_keeps_its_connection() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let store = installation.store(Kind::RedshiftCluster, "warehouse", "orders").await.unwrap();
    let instance = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    assert_all_connected(&aws, &instance, std::slice::from_ref(&store)).await;
    let before = owned_groups(&aws).await.unwrap();

    let request = aws.redshift().modify_cluster().cluster_identifier("warehouse");
    request.new_cluster_identifier("warehouse-new").send().await.unwrap();
    aws.settle().await.unwrap();
    let arn = store.arn.replace(":warehouse", ":warehouse-new");
    let renamed = Store { arn, name: "warehouse-new".to_owned(), ..store };
    assert!(outcomes(&aws, &renamed.arn).await.contains("work-sent"));
    assert_all_connected(&aws, &instance, std::slice::from_ref(&renamed)).await;
    aws.sweep().await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(owned_groups(&aws).await.unwrap(), before);
    assert_all_connected(&aws, &instance, &[renamed]).await;
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn a_member_of_a_replication_group_is_told_of_its_group() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let group = installation.store(Kind::ReplicationGroup, "valkey", "orders").await.unwrap();
    let instance = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    let member = group.arn.replace(":replicationgroup:valkey", ":cluster:valkey-001");
    aws.tag(&member, CONNECT, "orders").await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(outcomes(&aws, &member).await, BTreeSet::from(["cluster-member".to_owned()]));
    assert_eq!(owned_groups(&aws).await.unwrap().len(), 2, "a member got a pair of its own");
    assert!(!verdicts(&aws, &instance).await.contains("cluster-member"));
    assert_eq!(findings(&aws, &member).await, BTreeSet::new());
    assert_all_connected(&aws, &instance, &[group]).await;
    assert_settled(&aws, &installation.vpc).await;
}
