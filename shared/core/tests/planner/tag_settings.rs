//! Block, hold, and those who share no name.

use crate::case::case;

#[test]
fn a_missing_rule_is_not_put_back_for_an_instance_that_is_blocked() {
    case(
        "instance i-1 connect=orders block
         db orders connect=orders
         pair orders 1 attached-to=i-1 rules=instance",
    )
    .changes("detach sg-ec2-rds-1 from eni-1 of i-1: blocked (db/orders)")
    .codes(&[]);
}

#[test]
fn a_missing_rule_is_not_put_back_for_a_store_that_is_blocked() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders block
         pair orders 1 attached-to=i-1 rules=none",
    )
    .changes(
        "detach sg-rds-ec2-1 from db/orders: blocked
         detach sg-ec2-rds-1 from eni-1 of i-1: blocked (db/orders)",
    )
    .codes(&[]);
}

#[test]
fn a_missing_rule_is_not_put_back_for_an_instance_that_shares_no_name() {
    case(
        "instance i-1 connect=billing
         db orders connect=orders
         pair orders 1 attached-to=i-1 rules=instance",
    )
    .changes("detach sg-ec2-rds-1 from eni-1 of i-1: they share no name any more (db/orders)");
}

#[test]
fn a_missing_rule_is_put_back_for_an_instance_on_hold_because_that_attaches_nothing() {
    case(
        "instance i-1 connect=orders hold
         db orders connect=orders
         pair orders 1 attached-to=i-1 rules=instance",
    )
    .changes("allow in sg-rds-ec2-1: tcp 5432 from sg-ec2-rds-1")
    .codes(&["held", "pair-modified"]);
}

#[test]
fn a_hole_in_half_a_pair_is_closed_although_nobody_needs_the_pair() {
    case(
        "db orders connect=orders
         pair orders 1 only=store store-rule=\"tcp 5432 from 0.0.0.0/0\"",
    )
    .changes("revoke in sg-rds-ec2-1: tcp 5432 from 0.0.0.0/0");
}

#[test]
fn a_hold_on_a_store_holds_the_repair_of_its_pair_too_and_says_so() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders hold
         pair orders 1 store-rule=\"tcp 22 from 10.0.0.0/8\"",
    )
    .changes_nothing()
    .explains(
        "i-1 and db/orders: not connected: it carries tagwire:hold, so nothing is attached or detached (held)
         arn:aws:rds:eu-central-1:123456789012:db:orders: it carries tagwire:hold, so nothing is attached or detached (held)",
    );
}

#[test]
fn a_hold_on_one_instance_leaves_the_others_alone() {
    case(
        "instance i-1 connect=orders hold
         instance i-2 connect=orders
         db orders connect=orders
         pair orders 1",
    )
    .changes("attach sg-ec2-rds-1 to eni-2 of i-2: shares orders with db/orders")
    .codes(&["held"]);
}

#[test]
fn who_is_blocked_is_not_connected() {
    case("instance i-1 connect=orders block\ndb orders connect=orders").changes_nothing().codes(&["blocked"]);
    case("instance i-1 connect=orders\ndb orders connect=orders block").changes_nothing().codes(&["blocked"]);
}

#[test]
fn a_block_counts_before_a_hold() {
    case("instance i-1 connect=orders block hold\ndb orders connect=orders").codes(&["blocked"]);
}

#[test]
fn a_tag_that_cannot_be_read_adds_nothing_and_removes_nothing() {
    case(
        "instance i-1 connect=\"orders,billing\"
         db orders connect=orders
         pair orders 1 attached-to=i-1",
    )
    .changes_nothing()
    .codes(&["invalid-tag", "no-match"]);
}

#[test]
fn an_instance_without_the_tag_is_passed_over() {
    case("instance i-1\ndb orders connect=orders\nscope i-1").changes_nothing().explains("");
}
