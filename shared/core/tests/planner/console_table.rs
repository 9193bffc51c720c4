//! The console's own decision table, row by row: what it made counts when it is usable, and is
//! never changed; where it would make another pair, an owned one is made beside.

use crate::case::case;

/// The plan for one instance and one store whose pair number 1 is not of use.
const BESIDE: &str = "
    create rds-ec2-2 for db/orders
    create ec2-rds-2 for db/orders
    allow in rds-ec2-2: tcp 5432 from ec2-rds-2
    allow in ec2-rds-2: tcp 5432 to rds-ec2-2
    attach rds-ec2-2 to db/orders
    attach ec2-rds-2 to eni-1 of i-1: shares orders with db/orders";

const BOTH: &str = "instance i-1 connect=orders\ndb orders connect=orders\n";

fn with(lines: &str) -> String {
    format!("{BOTH}{lines}")
}

#[test]
fn row_1_usable_on_both_sides_is_connected_already() {
    case(&with("pair orders 1 attached-to=i-1 made-by=console"))
        .changes_nothing()
        .explains("i-1 and db/orders: connected by others through sg-ec2-rds-1 and sg-rds-ec2-1");
}

#[test]
fn row_2_nothing_on_either_side_gets_a_pair() {
    case(BOTH).changes(&BESIDE.replace("-2", "-1"));
}

#[test]
fn row_2_a_rule_added_on_either_side_makes_a_pair_unusable() {
    case(&with("pair orders 1 attached-to=i-1 made-by=console store-rule=\"tcp 22 from 10.0.0.0/8\"")).changes(BESIDE);
    case(&with("pair orders 1 attached-to=i-1 made-by=console instance-rule=\"all traffic to 0.0.0.0/0\""))
        .changes(BESIDE);
}

#[test]
fn row_2_a_port_changed_makes_a_pair_unusable() {
    case(&with("pair orders 1 attached-to=i-1 made-by=console port=5433")).changes(BESIDE);
}

#[test]
fn row_3_a_good_store_side_without_a_good_instance_side_gets_a_pair_beside_it() {
    case(&with("pair orders 1 attached-to=i-1 made-by=console rules=store")).changes(BESIDE);
}

#[test]
fn row_4_an_instance_side_that_is_not_attached_is_somebody_else_s_to_attach() {
    case(&with("pair orders 1 made-by=console")).changes(BESIDE);
}

#[test]
fn row_5_a_good_instance_side_without_a_good_store_side_gets_a_pair_beside_it() {
    case(&with("pair orders 1 attached-to=i-1 made-by=console rules=instance")).changes(BESIDE);
    case(&with("pair orders 1 attached-to=i-1 made-by=console loose")).changes(BESIDE);
}

#[test]
fn a_changed_description_is_no_change_of_the_pair() {
    case(&with("pair orders 1 attached-to=i-1 made-by=hand")).changes_nothing();
}

#[test]
fn a_pair_of_the_console_and_one_of_ours_serve_side_by_side() {
    case(
        "instance i-1 connect=orders
         instance i-2 connect=orders
         db orders connect=orders
         pair orders 1 attached-to=i-1 made-by=console
         pair orders 2",
    )
    .changes("attach sg-ec2-rds-2 to eni-2 of i-2: shares orders with db/orders");
}
