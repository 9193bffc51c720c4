//! A pair that nobody uses goes, after a while.

use aws_sdk_ec2::types as ec2;
use tagwire_acceptance::{CONNECT, pair, store_groups};
use tagwire_local_aws::{Effect, Fault, LocalAws};

use crate::support::{Joined, actions, findings, lease, let_pass, messages, sweep, writes};

/// How many groups are recorded as unused.
async fn seen_unused(aws: &LocalAws) -> usize {
    let items = aws.state_items().await.unwrap();
    items.iter().filter(|item| item["entry"].as_str().unwrap().starts_with("unused ")).count()
}

/// A sweep that deletes nothing and says why.
async fn assert_kept(aws: &LocalAws, group: &str, code: &str) {
    aws.forget_calls();
    sweep(aws).await;
    assert_eq!(actions(&writes(aws)), Vec::<&str>::new());
    assert!(findings(aws, group).await.contains(code), "{code}");
}

#[tokio::test]
async fn an_unused_pair_goes_after_two_sweeps_a_period_apart_unless_something_names_it() {
    let aws = lease().await;
    let joined = Joined::<1>::make(&aws).await;
    let pair_before = joined.pair().await;
    aws.untag(&joined.instances[0].arn(), CONNECT).await.unwrap();
    aws.settle().await.unwrap();
    sweep(&aws).await;
    assert_eq!(seen_unused(&aws).await, 0, "the store has it");
    let mut list = store_groups(&aws, &joined.store).await.unwrap();
    list.remove(&pair_before.store_side);
    joined.installation.set_store_groups(&joined.store, list.into_iter().collect()).await.unwrap();

    aws.forget_calls();
    for _ in 0..2 {
        sweep(&aws).await;
        assert_eq!(seen_unused(&aws).await, 2);
    }
    assert_eq!(actions(&writes(&aws)), Vec::<&str>::new(), "two sweeps within one period");

    let_pass(&aws, 61).await;
    let template = aws.launch_template("web", std::slice::from_ref(&pair_before.instance_side)).await.unwrap();
    assert_kept(&aws, &pair_before.instance_side, "group-in-launch-template").await;
    aws.ec2().delete_launch_template().launch_template_id(template).send().await.unwrap();

    let other = joined.installation.group("other").await.unwrap();
    let peer = ec2::UserIdGroupPair::builder().group_id(&pair_before.store_side).build();
    let rule =
        ec2::IpPermission::builder().ip_protocol("tcp").from_port(1).to_port(1).user_id_group_pairs(peer).build();
    let request = aws.ec2().authorize_security_group_ingress().group_id(&other);
    request.ip_permissions(rule.clone()).send().await.unwrap();
    assert_kept(&aws, &pair_before.store_side, "group-in-rule").await;
    aws.ec2().revoke_security_group_ingress().group_id(&other).ip_permissions(rule).send().await.unwrap();

    // AWS lets go of a group a while after its last attached is gone: no error, and another try.
    let in_use = Effect::Refuse(400, "DependencyViolation".to_owned(), "resource has a dependent object".to_owned());
    aws.inject(Fault::new("ec2", "DeleteSecurityGroup", in_use).times(2));
    sweep(&aws).await;
    assert_eq!(messages(&aws, "in-use").await.len(), 2);
    let errors = aws.records().await.unwrap().into_iter().filter(|line| line["level"] == "ERROR");
    assert_eq!(errors.count(), 0);
    assert_eq!(joined.pair().await, pair_before);
    sweep(&aws).await;
    assert_eq!(pair(&aws, &joined.store).await.unwrap(), None);
    assert_eq!(seen_unused(&aws).await, 0);
    joined.end().await;
}
