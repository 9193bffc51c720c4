//! Scopes, gaps and other VPCs: what is not looked at, or could not be read, is not changed.

use crate::case::case;

const MODIFIED_BILLING: &str = "
    instance i-1 connect=orders
    instance i-2 connect=orders
    db orders connect=orders
    pair orders 1
    db billing connect=billing
    pair billing 2 store-rule=\"tcp 22 from 10.0.0.0/8\"
";

fn with(line: &str) -> String {
    format!("{MODIFIED_BILLING}{line}")
}

#[test]
fn a_scope_of_an_instance_changes_nothing_at_stores_it_is_not_joined_to() {
    case(&with("scope i-1"))
        .changes("attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/orders")
        .explains("i-1 and db/orders: will be connected");
}

#[test]
fn a_scope_of_a_store_takes_in_every_instance_that_shares_a_name_with_it() {
    case(&with("scope orders")).changes(
        "attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/orders
         attach sg-ec2-rds-1 to eni-2 of i-2: shares orders with db/orders",
    );
}

#[test]
fn a_scope_of_a_store_repairs_that_store_s_pair_only() {
    case(&with("scope billing")).changes("revoke in sg-rds-ec2-2: tcp 22 from 10.0.0.0/8");
}

#[test]
fn a_scope_of_an_instance_takes_in_the_stores_whose_groups_it_has() {
    case(
        "instance i-1
         db orders connect=orders
         pair orders 1 attached-to=i-1 store-rule=\"tcp 22 from 10.0.0.0/8\"
         scope i-1",
    )
    .changes(
        "revoke in sg-rds-ec2-1: tcp 22 from 10.0.0.0/8
         detach sg-ec2-rds-1 from eni-1 of i-1: the instance has no connect tag (db/orders)",
    );
}

#[test]
fn the_whole_vpc_takes_in_everything() {
    case(&with("scope vpc")).changes(
        "revoke in sg-rds-ec2-2: tcp 22 from 10.0.0.0/8
         attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/orders
         attach sg-ec2-rds-1 to eni-2 of i-2: shares orders with db/orders",
    );
}

#[test]
fn a_store_in_scope_that_its_service_does_not_know_is_said_to_be_gone() {
    case("gone orders\nscope orders")
        .changes_nothing()
        .explains("arn:aws:rds:eu-central-1:123456789012:db:orders: there is no such data store (store-gone)");
}

#[test]
fn a_stale_entry_of_the_tag_index_is_nothing_to_speak_of_in_a_whole_vpc() {
    case("gone orders").changes_nothing().explains("");
}

#[test]
fn a_gap_in_the_groups_bars_every_change_that_is_not_backed_by_what_was_read() {
    case(
        "instance i-1 connect=orders
         instance i-2 connect=orders
         db orders connect=orders
         pair orders 1 attached-to=i-1
         db billing connect=orders
         pair billing 2 loose store-rule=\"tcp 22 from 10.0.0.0/8\"
         gap groups",
    )
    .changes_nothing()
    .codes(&["unread", "unread", "unread", "unread"]);
}

#[test]
fn a_gap_in_the_stores_bars_only_what_would_be_said_of_absent_ones() {
    case(
        "instance i-1 connect=orders,billing
         db orders connect=orders
         pair orders 1
         gap stores",
    )
    .changes("attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/orders")
    .codes(&["unread"]);
    case("instance i-1 connect=orders\ndb orders connect=orders vpc=2\ngap stores").codes(&["unread"]);
}

#[test]
fn a_gap_in_the_instances_bars_only_what_would_be_said_of_absent_ones() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1
         db billing connect=billing
         gap instances",
    )
    .changes("attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/orders")
    .codes(&["unread"]);
}

#[test]
fn a_gap_that_passes_asks_for_the_store_again_and_one_that_lasts_does_not() {
    let both = "instance i-1 connect=orders\ndb orders connect=orders\n";
    assert_eq!(case(&format!("{both}gap groups")).plan.stores_to_revisit().len(), 1);
    assert_eq!(case(&format!("{both}gap groups lasting")).plan.stores_to_revisit().len(), 0);
}

#[test]
fn another_vpc_is_named_only_when_nothing_here_has_the_name() {
    case("instance i-1 connect=orders\ndb orders connect=orders vpc=2").changes_nothing().explains(
        "i-1: no data store in its VPC has the name orders; arn:aws:rds:eu-central-1:123456789012:db:orders has it, but in vpc-2, and a pair cannot cross VPCs (different-vpc)",
    );
    case(
        "instance i-1 connect=orders
         db orders connect=orders vpc=2
         db other connect=orders
         pair other 1 attached-to=i-1",
    )
    .changes_nothing()
    .codes(&[]);
}
