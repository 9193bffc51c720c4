//! What others change of a pair is put back, but not for ever.

use aws_sdk_ec2::types as ec2;
use tagwire_acceptance::{Installation, interface_groups, owned_groups, rules_of};
use tagwire_local_aws::{Effect, Fault};

use crate::support::{
    Joined, actions, assert_apart, assert_connected, assert_settled, findings, lease, messages, sweep, verdicts, writes,
};

/// A rule for a port and a group.
fn rule(port: i32, group: &str) -> ec2::IpPermission {
    let peer = ec2::UserIdGroupPair::builder().group_id(group).build();
    ec2::IpPermission::builder().ip_protocol("tcp").from_port(port).to_port(port).user_id_group_pairs(peer).build()
}

#[tokio::test]
async fn rules_that_were_changed_by_hand_are_put_back_and_reported() {
    let aws = lease().await;
    let joined = Joined::<1>::make(&aws).await;
    let [instance] = &joined.instances;
    let pair = joined.pair().await;
    let before = [rules_of(&aws, &pair.store_side).await.unwrap(), rules_of(&aws, &pair.instance_side).await.unwrap()];

    // Everybody may come in, and the default outbound rule is back.
    joined.installation.open(&pair.store_side, "0.0.0.0/0").await.unwrap();
    let everywhere = ec2::IpRange::builder().cidr_ip("0.0.0.0/0").build();
    let everything = ec2::IpPermission::builder().ip_protocol("-1").ip_ranges(everywhere).build();
    let request = aws.ec2().authorize_security_group_egress().group_id(&pair.store_side);
    request.ip_permissions(everything).send().await.unwrap();
    // Another port in place of the right one.
    let request = aws.ec2().revoke_security_group_egress().group_id(&pair.instance_side);
    request.ip_permissions(rule(5432, &pair.store_side)).send().await.unwrap();
    let request = aws.ec2().authorize_security_group_egress().group_id(&pair.instance_side);
    request.ip_permissions(rule(5433, &pair.store_side)).send().await.unwrap();
    assert_apart(&aws, instance, &joined.store).await;

    sweep(&aws).await;
    assert_connected(&aws, instance, &joined.store, 1).await;
    let after = [rules_of(&aws, &pair.store_side).await.unwrap(), rules_of(&aws, &pair.instance_side).await.unwrap()];
    assert_eq!(after, before);
    for group in [&pair.store_side, &pair.instance_side] {
        assert!(findings(&aws, group).await.contains("pair-modified"), "{group}");
    }
    let reported = messages(&aws, "pair-modified").await.join("\n");
    for found in ["0.0.0.0/0", "5433", "lacks the pair's"] {
        assert!(reported.contains(found), "{found} is not in {reported}");
    }
    let did = writes(&aws);
    assert_eq!(actions(&did)[0], "AuthorizeSecurityGroupEgress", "what is missing comes before what is too much goes");
    assert_eq!(did.len(), 4);

    // Other words about a rule are no other rule.
    let described =
        ec2::UserIdGroupPair::builder().group_id(&pair.instance_side).description("for the web shop").build();
    let described =
        ec2::IpPermission::builder().ip_protocol("tcp").from_port(5432).to_port(5432).user_id_group_pairs(described);
    let request = aws.ec2().update_security_group_rule_descriptions_ingress().group_id(&pair.store_side);
    request.ip_permissions(described.build()).send().await.unwrap();
    joined.end().await;
    let group = aws.ec2().describe_security_groups().group_ids(&pair.store_side).send().await.unwrap();
    assert_eq!(
        group.security_groups()[0].ip_permissions()[0].user_id_group_pairs()[0].description(),
        Some("for the web shop")
    );
}

#[tokio::test]
async fn what_others_detach_is_attached_again_three_times_and_then_contested() {
    let aws = lease().await;
    let joined = Joined::<1>::make(&aws).await;
    let [instance] = &joined.instances;
    let pair = joined.pair().await;
    for round in 1..=3 {
        joined.installation.detach(&instance.interface, &pair.instance_side).await.unwrap();
        sweep(&aws).await;
        assert!(
            interface_groups(&aws, &instance.interface).await.unwrap().contains(&pair.instance_side),
            "attached again, time {round}"
        );
    }
    joined.installation.detach(&instance.interface, &pair.instance_side).await.unwrap();
    assert_ne!(aws.alarm_state("contested").await.unwrap(), "ALARM");
    aws.forget_calls();
    for _ in 0..2 {
        sweep(&aws).await;
    }
    // An event that says nothing new is no reason either.
    aws.instance_state(&instance.id, "running").await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(actions(&writes(&aws)), Vec::<&str>::new());
    assert_apart(&aws, instance, &joined.store).await;
    assert!(verdicts(&aws, instance).await.contains("contested"));
    assert_eq!(aws.alarm_state("contested").await.unwrap(), "ALARM");

    // Somebody has looked at it.
    joined.installation.tag(instance, "orders billing").await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, instance, &joined.store, 1).await;

    // The store's own list is defended in the same way.
    let mut list = tagwire_acceptance::store_groups(&aws, &joined.store).await.unwrap();
    list.remove(&pair.store_side);
    joined.installation.set_store_groups(&joined.store, list.into_iter().collect()).await.unwrap();
    sweep(&aws).await;
    assert_connected(&aws, instance, &joined.store, 1).await;
    joined.end().await;
}

#[tokio::test]
async fn a_pair_that_was_left_half_made_is_finished() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    for (number, (name, fault)) in [
        ("one-side", Fault::new("ec2", "CreateSecurityGroup", Effect::AccessDenied).after(1)),
        ("no-rule", Fault::new("ec2", "AuthorizeSecurityGroupIngress", Effect::AccessDenied)),
        ("open", Fault::new("ec2", "RevokeSecurityGroupEgress", Effect::AccessDenied)),
        ("not-attached", Fault::new("rds", "ModifyDBCluster", Effect::AccessDenied)),
    ]
    .into_iter()
    .enumerate()
    {
        let store = installation.silent_aurora(name, name).await.unwrap();
        aws.inject(fault.always());
        let instance = installation.launch(Some(name)).await.unwrap();
        aws.settle().await.unwrap();
        assert_apart(&aws, &instance, &store).await;
        assert!(aws.calls().iter().any(|call| call.spoiled_by.is_some()), "{name}");
        aws.forget_faults();
        aws.forget_calls();
        sweep(&aws).await;
        let number = u32::try_from(number).unwrap() + 1;
        assert_connected(&aws, &instance, &store, number).await;
        assert_eq!(owned_groups(&aws).await.unwrap().len(), 2 * number as usize, "nothing is left over");
    }
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test]
async fn rules_follow_the_stores_port_the_new_one_first() {
    let aws = lease().await;
    let mut joined = Joined::<1>::make(&aws).await;
    aws.rds().modify_db_cluster().db_cluster_identifier("orders").port(6432).send().await.unwrap();
    joined.store.ports = (6432, 6432);
    let [instance] = &joined.instances;
    assert_apart(&aws, instance, &joined.store).await;
    sweep(&aws).await;
    assert_connected(&aws, instance, &joined.store, 1).await;
    let did = writes(&aws);
    let verbs: Vec<&str> = actions(&did).iter().map(|action| action.split_at(6).0).collect();
    assert_eq!(verbs, ["Author", "Author", "Revoke", "Revoke"]);
    joined.end().await;
}
