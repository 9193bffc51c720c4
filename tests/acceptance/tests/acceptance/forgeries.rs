//! Groups that look like tagwire's and are not.

use std::collections::BTreeSet;

use aws_sdk_ec2::types as ec2;
use tagwire_acceptance::{CONNECT, Foreign, foreign, interface_groups, owned_groups, rules_of, store_groups};
use tagwire_local_aws::LocalAws;

use crate::support::{Joined, actions, assert_settled, assert_untouched, findings, lease, sweep, writes};

/// Makes a group with the description and tags of another one.
async fn imitate(aws: &LocalAws, vpc: &str, like: &str, name: &str, described: bool, tagged: bool) -> String {
    let model = aws.ec2().describe_security_groups().group_ids(like).send().await.unwrap();
    let model = &model.security_groups()[0];
    let description = if described { model.description().unwrap() } else { "a group of the web shop" };
    let mut request = aws.ec2().create_security_group().vpc_id(vpc).group_name(name).description(description);
    if tagged {
        let tags = ec2::TagSpecification::builder().resource_type(ec2::ResourceType::SecurityGroup);
        request = request.tag_specifications(tags.set_tags(Some(model.tags().to_vec())).build());
    }
    request.send().await.unwrap().group_id().unwrap().to_owned()
}

#[tokio::test]
async fn forged_lost_and_surplus_groups_are_reported_and_never_touched() {
    let aws = lease().await;
    let joined = Joined::<1>::make(&aws).await;
    let [instance] = &joined.instances;
    let (pair, vpc) = (joined.pair().await, joined.installation.vpc.as_str());
    let forged = imitate(&aws, vpc, &pair.instance_side, "web-shop", false, true).await;
    let named_like_ours = joined.installation.group("ec2-rds-7").await.unwrap();
    let lost = imitate(&aws, vpc, &pair.store_side, "rds-ec2-8", true, false).await;
    let second = [
        imitate(&aws, vpc, &pair.store_side, "rds-ec2-9", true, true).await,
        imitate(&aws, vpc, &pair.instance_side, "ec2-rds-9", true, true).await,
    ];
    for group in [&forged, &named_like_ours, &lost, &second[0]] {
        joined.installation.open(group, "198.51.100.0/24").await.unwrap();
    }
    let attached = [joined.installation.default_group.clone(), forged.clone(), named_like_ours];
    let bystander = joined.installation.launch_with(None, &attached).await.unwrap();
    let mut of_store: Vec<String> = store_groups(&aws, &joined.store).await.unwrap().into_iter().collect();
    of_store.push(lost.clone());
    joined.installation.set_store_groups(&joined.store, of_store).await.unwrap();
    aws.settle().await.unwrap();
    let before: Foreign = foreign(&aws).await.unwrap();
    let surplus = rules_of(&aws, &second[0]).await.unwrap();
    let owned = owned_groups(&aws).await.unwrap();
    assert_eq!(owned.len(), 4);

    sweep(&aws).await;
    for (about, codes) in [
        (&forged, BTreeSet::from(["ownership-forged"])),
        (&lost, BTreeSet::from(["ownership-lost"])),
        (&second[0], BTreeSet::from(["identity-unproven"])),
        (&second[1], BTreeSet::from(["identity-unproven"])),
        // The database of the test has its VPC's default group besides.
        (&joined.store.arn, BTreeSet::from(["default-group-attached"])),
    ] {
        let codes: BTreeSet<String> = codes.into_iter().map(str::to_owned).collect();
        assert_eq!(findings(&aws, about).await, codes, "{about}");
    }
    assert_eq!(actions(&writes(&aws)), Vec::<&str>::new());

    // Also when the store takes no part any more: its pair goes, and a person looks at what looks like another one.
    aws.untag(&joined.store.arn, CONNECT).await.unwrap();
    aws.settle().await.unwrap();
    sweep(&aws).await;
    assert!(!interface_groups(&aws, &instance.interface).await.unwrap().contains(&pair.instance_side));
    assert!(!store_groups(&aws, &joined.store).await.unwrap().contains(&pair.store_side));
    assert!(store_groups(&aws, &joined.store).await.unwrap().contains(&lost));
    assert_eq!(owned_groups(&aws).await.unwrap(), ["rds-ec2-9", "ec2-rds-9"].map(str::to_owned).into());
    assert_eq!(rules_of(&aws, &second[0]).await.unwrap(), surplus);
    assert_eq!(interface_groups(&aws, &bystander.interface).await.unwrap(), attached.into());
    assert_settled(&aws, vpc).await;
    assert_untouched(&aws, &before).await;
}
