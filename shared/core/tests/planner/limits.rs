//! Lists that are full, and stores that take no change for now.

use tagwire_core::plan::plan;
use tagwire_world::World;

use crate::case::case;

#[test]
fn the_last_free_place_goes_to_the_store_with_the_lowest_id_in_whatever_order_they_were_read() {
    let text = "
        instance i-1 connect=orders groups=a,b,c,d
        db zeta connect=orders
        db alpha connect=orders
        pair zeta 1
        pair alpha 2
    ";
    case(text)
        .changes("attach sg-ec2-rds-2 to eni-1 of i-1: shares orders with db/alpha")
        .codes(&["interface-group-limit"]);
    let world = World::read(text).unwrap();
    let mut other = world.clone();
    other.seen.stores.found.reverse();
    other.seen.groups.found.reverse();
    assert_eq!(plan(&world.seen, &world.policy), plan(&other.seen, &other.policy));
}

#[test]
fn a_raised_quota_leaves_room_for_more() {
    case(
        "instance i-1 connect=orders groups=a,b,c,d,e
         db orders connect=orders
         pair orders 1
         limit 6",
    )
    .changes("attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/orders");
}

#[test]
fn an_instance_that_has_its_side_already_needs_no_place() {
    case(
        "instance i-1 connect=orders groups=a,b,c,d
         db orders connect=orders
         pair orders 1 attached-to=i-1 loose",
    )
    .changes("attach sg-rds-ec2-1 to db/orders");
}

#[test]
fn a_pair_that_no_interface_has_room_for_is_not_made() {
    case("instance i-1 connect=orders groups=a,b,c,d,e\ndb orders connect=orders").changes_nothing();
}

#[test]
fn a_place_is_not_kept_for_a_store_that_is_refused() {
    case(
        "instance i-1 connect=orders groups=a,b,c,d
         db alpha connect=orders block
         db zeta connect=orders
         pair zeta 1",
    )
    .changes("attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/zeta")
    .codes(&["blocked"]);
}

#[test]
fn a_group_on_its_way_out_of_a_store_s_list_leaves_its_place() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders groups=a,b,c,d,e:removing
         pair orders 1 loose attached-to=i-1",
    )
    .changes("attach sg-rds-ec2-1 to db/orders");
}

#[test]
fn a_group_on_its_way_into_a_store_s_list_takes_a_place() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders groups=a,b,c,d,e:adding
         pair orders 1 loose",
    )
    .changes_nothing()
    .codes(&["store-group-limit"]);
}

#[test]
fn a_store_that_has_its_side_already_needs_no_place() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders groups=a,b,c,d
         pair orders 1",
    )
    .changes("attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/orders");
}

#[test]
fn a_store_that_is_not_available_holds_back_only_its_own_list_and_is_looked_at_again() {
    let case = case(
        "instance i-1 connect=orders
         db orders connect=orders state=modifying",
    )
    .changes(
        "create rds-ec2-1 for db/orders
         create ec2-rds-1 for db/orders
         allow in rds-ec2-1: tcp 5432 from ec2-rds-1
         allow in ec2-rds-1: tcp 5432 to rds-ec2-1
         attach ec2-rds-1 to eni-1 of i-1: shares orders with db/orders",
    )
    .explains(
        "i-1 and db/orders: waits: its state is \"modifying\", in which its groups cannot be changed; it is looked at again (not-available)",
    );
    let names: Vec<String> = case.plan.stores_to_revisit().iter().map(|arn| arn.name().to_owned()).collect();
    assert_eq!(names, ["orders"]);
}

#[test]
fn a_store_that_has_its_side_already_need_not_be_available() {
    let case = case(
        "instance i-1 connect=orders
         db orders connect=orders state=modifying
         pair orders 1",
    )
    .changes("attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/orders")
    .codes(&[]);
    assert!(case.plan.stores_to_revisit().is_empty());
}

#[test]
fn a_store_that_is_being_deleted_is_not_looked_at_again() {
    let case = case("instance i-1 connect=orders\ndb orders connect=orders state=deleting").changes_nothing();
    assert!(case.plan.stores_to_revisit().is_empty());
}

#[test]
fn a_store_without_a_port_is_still_coming_up_and_is_looked_at_again() {
    let case = case("instance i-1 connect=orders\ndb orders connect=orders port=none state=creating")
        .changes_nothing()
        .codes(&["not-available"]);
    assert_eq!(case.plan.stores_to_revisit().len(), 1);
}

#[test]
fn nothing_is_written_into_a_list_that_is_changing() {
    let case = case(
        "instance i-1 connect=orders
         db orders connect=orders groups=default,web:adding
         pair orders 1 loose",
    )
    .changes("attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/orders")
    .codes(&["list-changing"]);
    assert_eq!(case.plan.stores_to_revisit().len(), 1);
}

#[test]
fn a_change_of_the_list_that_only_takes_away_does_not_stand_in_the_way() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders groups=default,web:removing
         pair orders 1 loose attached-to=i-1",
    )
    .changes("attach sg-rds-ec2-1 to db/orders");
}
