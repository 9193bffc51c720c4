//! Our tags on groups of others, our names on groups of others, and our groups where they do not belong.

use crate::case::case;

#[test]
fn our_tags_on_a_group_of_others_take_nothing_from_it() {
    for group in [
        "group default tagged=orders/instance attached-to=i-1 rule=\"all traffic to 0.0.0.0/0\"",
        "group ec2-rds-1 tagged=orders/instance attached-to=i-1",
        "group EC2-RDS-1 tagged=orders/instance ours=instance attached-to=i-1",
    ] {
        for store in ["db orders connect=orders block", "gone orders", "db orders"] {
            let plan = case(&format!("instance i-1 connect=orders block\n{store}\n{group}")).changes_nothing().plan;
            assert!(plan.findings.iter().any(|finding| finding.reason.code() == "ownership-forged"), "{plan}");
        }
    }
}

#[test]
fn a_forged_group_is_neither_repaired_nor_cleaned_up() {
    case(
        "db orders connect=orders
         pair orders 1 made-by=forger store-rule=\"tcp 22 from 0.0.0.0/0\" loose
         unused rds-ec2-1 ago=60
         unused ec2-rds-1 ago=60",
    )
    .changes_nothing()
    .codes(&["no-match", "ownership-forged", "ownership-forged"]);
}

#[test]
fn our_names_on_groups_of_others_are_nothing_to_us() {
    case(
        "instance i-1 block
         db orders
         pair orders 1 attached-to=i-1 made-by=hand",
    )
    .changes_nothing()
    .codes(&[]);
}

#[test]
fn a_group_that_lost_its_tags_is_reported_and_left_alone() {
    case(
        "instance i-1
         db orders
         pair orders 1 attached-to=i-1 made-by=nobody
         unused rds-ec2-1 ago=60
         unused ec2-rds-1 ago=60",
    )
    .changes_nothing()
    .codes(&["ownership-lost", "ownership-lost"]);
}

#[test]
fn an_owned_side_without_the_other_s_tags_is_taken_off_and_the_other_left() {
    case(
        "instance i-1
         db orders connect=orders
         group rds-ec2-1 ours=store rule=\"tcp 5432 from sg-ec2-rds-1\" on=orders
         group ec2-rds-1 tagged=orders/instance ours=instance rule=\"tcp 5432 to sg-rds-ec2-1\" attached-to=i-1",
    )
    .changes("detach sg-ec2-rds-1 from eni-1 of i-1: the instance has no connect tag (db/orders)")
    .codes(&["no-match", "ownership-lost"]);
}

#[test]
fn two_owned_pairs_for_one_identity_are_never_deleted() {
    case("gone orders\npair orders 1\npair orders 2").changes_nothing();
    case("db orders\npair orders 1 loose\npair orders 2 loose").changes_nothing().codes(&["ambiguous-pair"]);
}

#[test]
fn what_has_an_owned_group_and_is_no_instance_is_reported_and_keeps_it() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1 attached-to=i-1
         interface eni-8 groups=ec2-rds-1 of=\"AWS Lambda VPC ENI\"
         interface eni-9 groups=ec2-rds-1 of=i-2",
    )
    .changes_nothing()
    .explains(
        "i-1 and db/orders: connected by tagwire through sg-ec2-rds-1 and sg-rds-ec2-1
         sg-ec2-rds-1: eni-8 (AWS Lambda VPC ENI) has it, which tagwire did not attach as far as it knows, and does not take away; it can reach what the group reaches (foreign-attachment)
         sg-ec2-rds-1: eni-9 of i-2 has it, which tagwire did not attach as far as it knows, and does not take away; it can reach what the group reaches (foreign-attachment)",
    );
}

#[test]
fn an_owned_group_named_after_another_service_goes_with_its_store() {
    case(
        "instance i-1
         db orders
         group docdb-ec2-1 tagged=orders/store ours=store on=orders
         group ec2-docdb-1 tagged=orders/instance ours=instance attached-to=i-1",
    )
    .changes(
        "detach sg-docdb-ec2-1 from db/orders: the data store has no connect tag
         detach sg-ec2-docdb-1 from eni-1 of i-1: the data store has no connect tag (db/orders)
         delete sg-docdb-ec2-1 of db/orders: its data store has no connect tag
         delete sg-ec2-docdb-1 of db/orders: its data store has no connect tag",
    );
}

#[test]
fn tags_that_others_put_on_our_groups_stay_and_are_no_drift() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         group rds-ec2-1 tagged=orders/store ours=store tag:CostCenter=42 rule=\"tcp 5432 from sg-ec2-rds-1\" on=orders
         group ec2-rds-1 tagged=orders/instance ours=instance tag:CostCenter=42 rule=\"tcp 5432 to sg-rds-ec2-1\" attached-to=i-1",
    )
    .changes_nothing()
    .explains("i-1 and db/orders: connected by tagwire through sg-ec2-rds-1 and sg-rds-ec2-1")
    .codes(&[]);
}
