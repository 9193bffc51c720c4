//! Clients that are not instances are let in, and kept out again.

use std::collections::BTreeSet;

use aws_sdk_ec2::types as ec2;
use tagwire_acceptance::{CONNECT, Installation, Kind, Rules, Store, foreign, owned_groups, rules_of, store_groups};
use tagwire_local_aws::LocalAws;

use crate::support::{assert_settled, assert_untouched, findings, lease, lease_with, messages, sweep};

const ALLOW: &str = "tagwire:allow-cidr";

/// A prefix list of the account's own.
async fn prefix_list(aws: &LocalAws, block: &str) -> String {
    let entry = ec2::AddPrefixListEntry::builder().cidr(block).build();
    let request = aws.ec2().create_managed_prefix_list().prefix_list_name("office").address_family("IPv4");
    let made = request.max_entries(5).entries(entry).send().await.unwrap();
    made.prefix_list().unwrap().prefix_list_id().unwrap().to_owned()
}

/// What the groups of a store let in that are not the default one.
async fn let_in(aws: &LocalAws, installation: &Installation<'_>, store: &Store) -> Rules {
    let mut rules = Rules::new();
    for group in store_groups(aws, store).await.unwrap() {
        if group != installation.default_group {
            rules.extend(rules_of(aws, &group).await.unwrap());
        }
    }
    rules
}

#[tokio::test]
async fn clients_follow_the_tag_of_a_database_and_of_a_redshift_cluster() {
    let aws = lease_with(&[("AllowCidr", "on")]).await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let list = prefix_list(&aws, "198.51.100.0/24").await;
    let stores = [
        installation.silent_aurora("orders", "orders").await.unwrap(),
        installation.store(Kind::RedshiftCluster, "warehouse", "orders").await.unwrap(),
    ];
    aws.settle().await.unwrap();
    let before = foreign(&aws).await.unwrap();
    for store in &stores {
        let (port, _) = store.ports;
        aws.tag(&store.arn, ALLOW, &format!("203.0.113.7/32 2001:db8::/64 {list}")).await.unwrap();
        aws.settle().await.unwrap();
        let rule = |peer: &str| format!("in tcp {port}..{port} {peer}");
        let wanted: Rules = ["203.0.113.7/32", "2001:db8::/64", &list].map(rule).into();
        assert_eq!(let_in(&aws, &installation, store).await, wanted);

        aws.tag(&store.arn, ALLOW, "203.0.113.8/32").await.unwrap();
        aws.settle().await.unwrap();
        assert_eq!(let_in(&aws, &installation, store).await, [rule("203.0.113.8/32")].into());
    }
    assert_eq!(owned_groups(&aws).await.unwrap(), ["rds-cidr-1", "redshift-cidr-1"].map(str::to_owned).into());
    assert_settled(&aws, &installation.vpc).await;

    for store in &stores {
        aws.untag(&store.arn, ALLOW).await.unwrap();
    }
    aws.settle().await.unwrap();
    assert_eq!(owned_groups(&aws).await.unwrap(), BTreeSet::new());
    assert_untouched(&aws, &before).await;
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn what_is_too_wide_or_cannot_be_read_lets_nobody_in_and_keeps_nobody_out() {
    let aws = lease_with(&[("AllowCidr", "on")]).await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let store = installation.silent_aurora("orders", "orders").await.unwrap();
    aws.tag(&store.arn, ALLOW, "203.0.113.7/32").await.unwrap();
    aws.settle().await.unwrap();
    let stands = let_in(&aws, &installation, &store).await;
    assert_eq!(stands.len(), 1, "{stands:?}");
    let wide = prefix_list(&aws, "10.0.0.0/8").await;
    for (value, code) in [
        ("203.0.113.9/32 0.0.0.0/0", "cidr-too-wide"),
        ("10.0.0.0/8", "cidr-too-wide"),
        ("::/0", "cidr-too-wide"),
        ("203.0.113.9", "invalid-cidr"),
        (wide.as_str(), "cidr-too-wide"),
    ] {
        let messages_before = messages(&aws, code).await.len();
        aws.tag(&store.arn, ALLOW, value).await.unwrap();
        aws.settle().await.unwrap();
        assert!(messages(&aws, code).await.len() > messages_before, "{value}");
        assert_eq!(let_in(&aws, &installation, &store).await, stands, "{value}");
    }
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn nobody_is_let_in_unless_it_is_switched_on() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let store = installation.silent_aurora("orders", "orders").await.unwrap();
    aws.tag(&store.arn, ALLOW, "203.0.113.7/32").await.unwrap();
    aws.settle().await.unwrap();
    sweep(&aws).await;
    assert!(findings(&aws, &store.arn).await.contains("cidr-not-allowed"));
    assert_eq!(owned_groups(&aws).await.unwrap(), BTreeSet::new());
    assert_eq!(store_groups(&aws, &store).await.unwrap(), [installation.default_group.clone()].into());
    aws.tag(&store.arn, CONNECT, "orders").await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(owned_groups(&aws).await.unwrap(), BTreeSet::new());
    assert_settled(&aws, &installation.vpc).await;
}
