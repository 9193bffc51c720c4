//! However removals arrive, a window lets only so many of a VPC through.

use std::collections::BTreeSet;

use serde_json::json;
use tagwire_acceptance::{CONNECT, Launched, interface_groups, owned_groups, pair, store_groups};

use crate::support::{Joined, findings, lease_with, let_pass, messages, outcomes, sweep};

fn ids(instances: &[&Launched]) -> BTreeSet<String> {
    instances.iter().map(|instance| instance.id.clone()).collect()
}

#[tokio::test]
async fn a_mass_untag_by_events_removes_a_few_and_waits_for_somebody_to_look() {
    let aws = lease_with(&[("MaxDisconnects", "3")]).await;
    let joined = Joined::<30>::make(&aws).await;
    for instance in &joined.instances {
        aws.untag(&instance.arn(), CONNECT).await.unwrap();
    }
    aws.settle().await.unwrap();
    let standing = joined.connected().await;
    assert_eq!(standing.len(), 27);
    sweep(&aws).await;
    assert_eq!(ids(&joined.connected().await), ids(&standing), "a sweep in the same window removes no more");
    assert!(findings(&aws, &joined.installation.vpc).await.contains("disconnects-held-back"));
    let reported = messages(&aws, "disconnects-held-back").await;
    assert!(reported.iter().any(|message| message.starts_with("27 more connections")), "{reported:?}");
    assert_eq!(aws.alarm_state("disconnects-held-back").await.unwrap(), "ALARM");

    // In the next window those go that have waited longest.
    let_pass(&aws, 16).await;
    let oldest = [standing[26], standing[11], standing[5]];
    for instance in oldest {
        let entry = format!("wanted {} ", instance.id);
        let items = aws.state_items().await.unwrap();
        let found = items.iter().find(|item| item["entry"].as_str().unwrap().starts_with(&entry));
        let mut item = found.unwrap().clone();
        item["since"] = json!("2026-01-01T00:00:00Z");
        aws.put_state_item(&item).await.unwrap();
    }
    sweep(&aws).await;
    let left = ids(&joined.connected().await);
    assert_eq!(left, &ids(&standing) - &ids(&oldest));

    // The tags come back in time: what was held back stays, what is gone comes back.
    let_pass(&aws, 16).await;
    aws.forget_calls();
    for instance in &joined.instances {
        joined.installation.tag(instance, "orders").await.unwrap();
    }
    aws.settle().await.unwrap();
    assert_eq!(joined.connected().await.len(), 30);
    let modified: BTreeSet<String> = crate::support::writes(&aws)
        .iter()
        .filter_map(|call| call.parameters().get("NetworkInterfaceId").cloned())
        .collect();
    assert_eq!(modified.len(), 6, "only those that were disconnected");
    sweep(&aws).await;
    let items = aws.state_items().await.unwrap();
    assert!(!items.iter().any(|item| item["entry"].as_str().unwrap().starts_with("wanted ")), "{items:?}");
    joined.end().await;
}

#[tokio::test]
async fn a_store_that_is_untagged_counts_as_all_of_its_connections() {
    let aws = lease_with(&[("MaxDisconnects", "3")]).await;
    let joined = Joined::<5>::make(&aws).await;
    let pair_before = joined.pair().await;
    // A second store of the same VPC, whose two connections fall into the same window.
    let archive = joined.installation.postgres("archive", "archive").await.unwrap();
    let groups = std::slice::from_ref(&joined.installation.default_group);
    let readers = joined.installation.launch_many(2, Some("archive"), groups).await.unwrap();
    aws.settle().await.unwrap();
    aws.untag(&joined.store.arn, CONNECT).await.unwrap();
    aws.untag(&archive.arn, CONNECT).await.unwrap();
    aws.settle().await.unwrap();
    sweep(&aws).await;
    let archive_side = pair(&aws, &archive).await.unwrap().unwrap().instance_side;
    let standing = async || {
        let mut readers_left = 0;
        for reader in &readers {
            let attached = interface_groups(&aws, &reader.interface).await.unwrap();
            readers_left += usize::from(attached.contains(&archive_side));
        }
        joined.connected().await.len() + readers_left
    };
    assert_eq!(standing().await, 4, "three of seven");
    assert!(store_groups(&aws, &joined.store).await.unwrap().contains(&pair_before.store_side));
    assert!(outcomes(&aws, &joined.installation.vpc).await.contains("unchanged"));
    let_pass(&aws, 16).await;
    sweep(&aws).await;
    assert_eq!(standing().await, 1);
    let_pass(&aws, 16).await;
    sweep(&aws).await;
    assert_eq!(owned_groups(&aws).await.unwrap(), BTreeSet::new());
    joined.end().await;
}
