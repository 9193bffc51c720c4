//! The table per store and instance: who is connected, and what is done for who is not.

use tagwire_core::plan::PairRow;

use crate::case::case;

#[test]
fn the_table_has_the_two_rows_that_are_tested_here() {
    assert_eq!(PairRow::TABLE.len(), 2);
}

#[test]
fn who_is_connected_through_the_owned_pair_is_left_alone() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1 attached-to=i-1",
    )
    .changes_nothing()
    .explains("i-1 and db/orders: connected by tagwire through sg-ec2-rds-1 and sg-rds-ec2-1");
}

#[test]
fn who_is_connected_through_a_pair_made_by_hand_is_left_alone() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1 attached-to=i-1 made-by=hand",
    )
    .changes_nothing()
    .explains("i-1 and db/orders: connected by others through sg-ec2-rds-1 and sg-rds-ec2-1");
}

#[test]
fn an_owned_connection_is_named_before_somebody_else_s() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1 attached-to=i-1 made-by=console
         pair orders 2 attached-to=i-1",
    )
    .changes_nothing()
    .explains("i-1 and db/orders: connected by tagwire through sg-ec2-rds-2 and sg-rds-ec2-2");
}

#[test]
fn an_instance_that_lacks_its_side_gets_only_that() {
    case(
        "instance i-1 connect=orders
         instance i-2 connect=orders
         db orders connect=orders
         pair orders 1 attached-to=i-1",
    )
    .changes("attach sg-ec2-rds-1 to eni-2 of i-2: shares orders with db/orders");
}

#[test]
fn a_store_that_lacks_its_side_gets_only_that() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1 attached-to=i-1 loose",
    )
    .changes("attach sg-rds-ec2-1 to db/orders");
}

#[test]
fn a_stopped_instance_keeps_its_interface_and_is_connected_like_any_other() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1",
    )
    .changes("attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/orders");
}

#[test]
fn a_group_on_its_way_out_of_the_store_s_list_counts_as_absent() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1 attached-to=i-1 removing",
    )
    .changes("attach sg-rds-ec2-1 to db/orders");
}

#[test]
fn a_group_on_its_way_into_the_store_s_list_counts_as_there() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1 attached-to=i-1 adding",
    )
    .changes_nothing()
    .explains("i-1 and db/orders: connected by tagwire through sg-ec2-rds-1 and sg-rds-ec2-1");
}

#[test]
fn a_pair_one_side_of_which_has_lost_its_tags_goes_on_serving_those_who_use_it() {
    case(
        "instance i-1 connect=orders
         instance i-2 connect=orders
         db orders connect=orders
         pair orders 1 only=store rules=store
         group ec2-rds-1 ours=instance rule=\"tcp 5432 to sg-rds-ec2-1\" attached-to=i-1",
    )
    .changes(
        "create rds-ec2-2 for db/orders
         create ec2-rds-2 for db/orders
         allow in rds-ec2-2: tcp 5432 from ec2-rds-2
         allow in ec2-rds-2: tcp 5432 to rds-ec2-2
         attach rds-ec2-2 to db/orders
         attach ec2-rds-2 to eni-2 of i-2: shares orders with db/orders",
    )
    .explains(
        "i-1 and db/orders: connected by others through sg-ec2-rds-1 and sg-rds-ec2-1
         i-2 and db/orders: will be connected
         sg-ec2-rds-1: it has a name and description of tagwire's and neither its tags nor a record in the state table; only a block takes it off (ownership-lost)",
    );
}

#[test]
fn who_is_connected_through_a_rule_that_was_changed_by_hand_is_connected_anew_by_the_plan_that_takes_it_out() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1 rules=instance store-rule=\"tcp 5432 from sg-ec2-rds-9\"
         group ec2-rds-9 rule=\"tcp 5432 to sg-rds-ec2-1\" attached-to=i-1",
    )
    .changes(
        "allow in sg-rds-ec2-1: tcp 5432 from sg-ec2-rds-1
         revoke in sg-rds-ec2-1: tcp 5432 from sg-ec2-rds-9
         attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/orders",
    );
}

#[test]
fn of_several_pairs_a_lowest_one_with_two_numbers_is_still_one_pair() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1/2 attached-to=i-1
         pair orders 4 only=instance",
    )
    .changes_nothing()
    .codes(&["ambiguous-pair"]);
}
