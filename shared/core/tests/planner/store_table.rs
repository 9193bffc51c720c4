//! The table per store: which pair serves.

use tagwire_core::plan::StoreRow;

use crate::case::case;

/// A case for every row; without one for a new row this does not compile.
fn world_of(row: StoreRow) -> &'static str {
    match row {
        StoreRow::NoGroups => {
            "instance i-1 connect=orders
             db orders connect=orders"
        }
        StoreRow::WholePair => {
            "instance i-1 connect=orders
             db orders connect=orders
             pair orders 1 arn=old"
        }
        StoreRow::Unfinished => {
            "instance i-1 connect=orders
             db orders connect=orders
             pair orders 1 only=store"
        }
        StoreRow::Several => {
            "instance i-1 connect=orders
             db orders connect=orders
             pair orders 1 arn=old
             pair orders 2"
        }
    }
}

#[test]
fn every_row_has_a_world_in_which_it_is_the_one() {
    for row in StoreRow::ALL {
        let rows: Vec<StoreRow> = case(world_of(row)).plan.pairs.values().map(|work| work.row).collect();
        assert_eq!(rows, [row]);
    }
}

#[test]
fn without_groups_a_pair_is_made_when_an_instance_needs_one() {
    case(world_of(StoreRow::NoGroups))
        .changes(
            "create rds-ec2-1 for db/orders
             create ec2-rds-1 for db/orders
             allow in rds-ec2-1: tcp 5432 from ec2-rds-1
             allow in ec2-rds-1: tcp 5432 to rds-ec2-1
             attach rds-ec2-1 to db/orders
             attach ec2-rds-1 to eni-1 of i-1: shares orders with db/orders",
        )
        .explains("i-1 and db/orders: will be connected");
}

#[test]
fn without_groups_and_without_need_nothing_is_made() {
    case("db orders connect=orders").changes_nothing().codes(&["no-match"]);
}

#[test]
fn a_whole_pair_is_used() {
    case(
        "instance i-1 connect=orders
         cluster orders connect=orders port=3306
         pair orders 4 loose",
    )
    .changes(
        "attach sg-rds-ec2-4 to cluster/orders
         attach sg-ec2-rds-4 to eni-1 of i-1: shares orders with cluster/orders",
    );
}

#[test]
fn a_whole_pair_that_nobody_needs_any_more_is_left_alone() {
    case("db orders connect=orders\npair orders 1 loose").changes_nothing();
}

#[test]
fn a_store_that_was_renamed_gets_its_tags_rewritten_and_nothing_else() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1 arn=old-orders attached-to=i-1",
    )
    .changes(
        "tag sg-rds-ec2-1 as store side of db/orders
         tag sg-ec2-rds-1 as instance side of db/orders",
    )
    .explains("i-1 and db/orders: connected by tagwire through sg-ec2-rds-1 and sg-rds-ec2-1");
}

#[test]
fn a_missing_side_is_made_under_the_number_of_the_other() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 3 only=instance",
    )
    .changes(
        "create rds-ec2-3 for db/orders
         allow in rds-ec2-3: tcp 5432 from sg-ec2-rds-3
         allow in sg-ec2-rds-3: tcp 5432 to rds-ec2-3
         attach rds-ec2-3 to db/orders
         attach sg-ec2-rds-3 to eni-1 of i-1: shares orders with db/orders",
    );
}

#[test]
fn a_missing_side_whose_name_is_taken_gets_the_smallest_number_that_is_free_for_both_names() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1 only=store
         group ec2-rds-1
         group EC2-RDS-2",
    )
    .changes(
        "create ec2-rds-3 for db/orders
         allow in sg-rds-ec2-1: tcp 5432 from ec2-rds-3
         allow in ec2-rds-3: tcp 5432 to sg-rds-ec2-1
         attach ec2-rds-3 to eni-1 of i-1: shares orders with db/orders",
    );
}

#[test]
fn a_pair_whose_sides_have_different_numbers_is_one_pair() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1/3",
    )
    .changes("attach sg-ec2-rds-3 to eni-1 of i-1: shares orders with db/orders");
}

#[test]
fn a_half_made_pair_that_nobody_needs_is_left_as_it_is() {
    case("db orders connect=orders\npair orders 1 only=store").changes_nothing();
}

#[test]
fn a_change_of_the_store_s_port_brings_the_new_rules_before_the_old_ones_go() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders port=5433
         pair orders 1 port=5432 attached-to=i-1",
    )
    .changes(
        "allow in sg-rds-ec2-1: tcp 5433 from sg-ec2-rds-1
         allow in sg-ec2-rds-1: tcp 5433 to sg-rds-ec2-1
         revoke in sg-rds-ec2-1: tcp 5432 from sg-ec2-rds-1
         revoke in sg-ec2-rds-1: tcp 5432 to sg-rds-ec2-1",
    );
}

#[test]
fn rules_that_were_added_are_taken_away_even_when_nobody_needs_the_pair() {
    case(
        "db orders connect=orders
         pair orders 1 store-rule=\"tcp 5432 from 0.0.0.0/0\" instance-rule=\"all traffic to 0.0.0.0/0\"",
    )
    .changes(
        "revoke in sg-rds-ec2-1: tcp 5432 from 0.0.0.0/0
         revoke in sg-ec2-rds-1: all traffic to 0.0.0.0/0",
    );
}

#[test]
fn of_several_pairs_the_lowest_serves_and_the_others_are_left_as_they_are() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 2 store-rule=\"tcp 22 from 10.0.0.0/8\"
         pair orders 5 store-rule=\"tcp 22 from 10.0.0.0/8\" loose arn=old",
    )
    .changes(
        "revoke in sg-rds-ec2-2: tcp 22 from 10.0.0.0/8
         attach sg-ec2-rds-2 to eni-1 of i-1: shares orders with db/orders",
    )
    .codes(&["ambiguous-pair", "pair-modified"]);
}

#[test]
fn of_several_pairs_a_lowest_one_that_is_half_made_is_finished() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1 only=instance
         pair orders 2",
    )
    .changes(
        "create rds-ec2-1 for db/orders
         allow in rds-ec2-1: tcp 5432 from sg-ec2-rds-1
         allow in sg-ec2-rds-1: tcp 5432 to rds-ec2-1
         attach rds-ec2-1 to db/orders
         attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/orders",
    )
    .codes(&["ambiguous-pair"]);
}

#[test]
fn of_several_pairs_a_lowest_one_that_cannot_be_finished_stops_the_store() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1 only=instance
         pair orders 2
         taken RDS-EC2-1",
    )
    .changes_nothing()
    .codes(&["ambiguous-pair", "ambiguous-pair"]);
}

#[test]
fn an_instance_connected_through_a_pair_that_does_not_serve_stays_so() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1 loose
         pair orders 2 attached-to=i-1",
    )
    .changes_nothing()
    .explains(
        "i-1 and db/orders: connected by tagwire through sg-ec2-rds-2 and sg-rds-ec2-2
         arn:aws:rds:eu-central-1:123456789012:db:orders: more than one owned pair belongs to it (sg-ec2-rds-1, sg-ec2-rds-2, sg-rds-ec2-1, sg-rds-ec2-2): the lowest number serves, the others need a person (ambiguous-pair)",
    );
}

#[test]
fn the_groups_of_a_store_that_had_the_same_name_before_are_not_this_store_s() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders id=db-second
         pair db-first 1 loose arn=orders
         group web attached-to=i-1",
    )
    .changes(
        "create rds-ec2-2 for db/orders
         create ec2-rds-2 for db/orders
         allow in rds-ec2-2: tcp 5432 from ec2-rds-2
         allow in ec2-rds-2: tcp 5432 to rds-ec2-2
         attach rds-ec2-2 to db/orders
         attach ec2-rds-2 to eni-1 of i-1: shares orders with db/orders",
    );
}

#[test]
fn an_owned_group_of_another_service_s_pattern_is_no_group_of_the_store() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         group ec2-docdb-1 tagged=orders/instance ours=instance",
    )
    .changes(
        "create rds-ec2-1 for db/orders
         create ec2-rds-1 for db/orders
         allow in rds-ec2-1: tcp 5432 from ec2-rds-1
         allow in ec2-rds-1: tcp 5432 to rds-ec2-1
         attach rds-ec2-1 to db/orders
         attach ec2-rds-1 to eni-1 of i-1: shares orders with db/orders",
    );
}

#[test]
fn a_pair_that_a_crash_left_half_made_is_finished_without_calling_it_modified() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1 rules=none egress=store,instance loose",
    )
    .changes(
        "allow in sg-rds-ec2-1: tcp 5432 from sg-ec2-rds-1
         allow in sg-ec2-rds-1: tcp 5432 to sg-rds-ec2-1
         revoke in sg-rds-ec2-1: all traffic to 0.0.0.0/0
         revoke in sg-ec2-rds-1: all traffic to 0.0.0.0/0
         attach sg-rds-ec2-1 to db/orders
         attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/orders",
    )
    .explains("i-1 and db/orders: will be connected");
}

#[test]
fn a_pair_in_use_that_lacks_a_rule_was_modified() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1 attached-to=i-1 rules=store egress=instance",
    )
    .changes(
        "allow in sg-ec2-rds-1: tcp 5432 to sg-rds-ec2-1
         revoke in sg-ec2-rds-1: all traffic to 0.0.0.0/0",
    )
    .explains(
        "i-1 and db/orders: will be connected
         sg-ec2-rds-1: it holds rules that are not the pair's (all traffic to 0.0.0.0/0) and lacks the pair's; it is repaired (pair-modified)",
    );
}

#[test]
fn of_several_pairs_the_lowest_is_the_one_whose_groups_share_rules_whatever_their_numbers() {
    case(
        "instance i-1 connect=orders
         instance i-2 connect=orders
         db orders connect=orders
         pair orders 2/1 attached-to=i-1
         pair orders 1 only=store loose",
    )
    .changes("attach sg-ec2-rds-1 to eni-2 of i-2: shares orders with db/orders")
    .codes(&["ambiguous-pair"]);
}

#[test]
fn rules_between_groups_of_several_pairs_that_nobody_uses_tie_nothing() {
    case(
        "db orders connect=orders
         pair orders 1 only=store arn=old
         pair orders 2/1 port=1521",
    )
    .changes(
        "revoke in sg-ec2-rds-1: tcp 1521 to sg-rds-ec2-2
         tag sg-rds-ec2-1 as store side of db/orders",
    );
}
