//! Several instances and stores in one plan: names, order, choice.

use tagwire_core::plan::plan;
use tagwire_world::World;

use crate::case::case;

const CROSSING: &str = "
    instance i-1 connect=orders,billing
    instance i-2 connect=orders,billing
    db orders connect=orders
    db billing connect=billing
";

#[test]
fn two_instances_and_two_stores_with_crossing_names_get_two_pairs_and_four_attachments() {
    case(CROSSING).changes(
        "create rds-ec2-1 for db/billing
         create ec2-rds-1 for db/billing
         allow in rds-ec2-1: tcp 5432 from ec2-rds-1
         allow in ec2-rds-1: tcp 5432 to rds-ec2-1
         create rds-ec2-2 for db/orders
         create ec2-rds-2 for db/orders
         allow in rds-ec2-2: tcp 5432 from ec2-rds-2
         allow in ec2-rds-2: tcp 5432 to rds-ec2-2
         attach rds-ec2-1 to db/billing
         attach rds-ec2-2 to db/orders
         attach ec2-rds-1 to eni-1 of i-1: shares billing with db/billing
         attach ec2-rds-2 to eni-1 of i-1: shares orders with db/orders
         attach ec2-rds-1 to eni-2 of i-2: shares billing with db/billing
         attach ec2-rds-2 to eni-2 of i-2: shares orders with db/orders",
    );
}

#[test]
fn the_order_in_which_things_were_read_does_not_show() {
    let world = World::read(CROSSING).unwrap();
    let mut other = world.clone();
    other.seen.instances.found.reverse();
    other.seen.stores.found.reverse();
    assert_eq!(plan(&world.seen, &world.policy), plan(&other.seen, &other.policy));
}

#[test]
fn stores_with_the_same_names_on_both_sides_are_all_connected() {
    case(
        "instance i-1 connect=orders,billing
         db orders connect=orders,billing
         pair orders 1",
    )
    .changes("attach sg-ec2-rds-1 to eni-1 of i-1: shares billing orders with db/orders");
}

#[test]
fn a_half_made_pair_keeps_its_number_against_another_store_s_that_needs_a_new_one() {
    case(
        "instance i-1 connect=billing,orders
         db billing connect=billing
         db orders connect=orders
         pair billing 3 only=instance
         group rds-ec2-3
         pair orders 1 only=instance
         pair orders 5 only=instance",
    )
    .changes(
        "create rds-ec2-2 for db/billing
         allow in rds-ec2-2: tcp 5432 from sg-ec2-rds-3
         allow in sg-ec2-rds-3: tcp 5432 to rds-ec2-2
         create rds-ec2-1 for db/orders
         allow in rds-ec2-1: tcp 5432 from sg-ec2-rds-1
         allow in sg-ec2-rds-1: tcp 5432 to rds-ec2-1
         attach rds-ec2-2 to db/billing
         attach rds-ec2-1 to db/orders
         attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/orders
         attach sg-ec2-rds-3 to eni-1 of i-1: shares billing with db/billing",
    );
}

/// The instance side that was made for `orders` was given the rule to the store side of `billing`.
const BORROWED: &str = "
    instance i-1 connect=both groups=default,ec2-rds-2
    db orders connect=both port=3306
    db billing connect=both
    group ec2-rds-2 tagged=orders/instance ours=instance rule=\"tcp 5432 to sg-rds-ec2-2\"
    group rds-ec2-2 tagged=billing/store ours=store on=billing rule=\"tcp 5432 from sg-ec2-rds-2\"
";

#[test]
fn a_side_through_which_an_entitled_instance_reaches_another_store_is_not_put_back() {
    case(BORROWED).changes(
        "create rds-ec2-1 for db/orders
         create ec2-rds-1 for db/orders
         allow in rds-ec2-1: tcp 3306 from ec2-rds-1
         allow in ec2-rds-1: tcp 3306 to rds-ec2-1
         attach rds-ec2-1 to db/orders
         attach ec2-rds-1 to eni-1 of i-1: shares both with db/orders",
    );
}

#[test]
fn a_connection_through_a_group_that_leaves_is_replaced_in_the_same_plan() {
    case(
        "instance i-1 connect=orders groups=web,ec2-rds-1
         db orders connect=orders groups=web,rds-ec2-3
         gone billing
         group ec2-rds-1 tagged=billing/instance ours=instance rule=\"tcp 5432 to sg-rds-ec2-3\"
         group rds-ec2-3 description=\"by hand\" rule=\"tcp 5432 from sg-ec2-rds-1\"",
    )
    .changes(
        "create rds-ec2-2 for db/orders
         create ec2-rds-2 for db/orders
         allow in rds-ec2-2: tcp 5432 from ec2-rds-2
         allow in ec2-rds-2: tcp 5432 to rds-ec2-2
         attach rds-ec2-2 to db/orders
         attach ec2-rds-2 to eni-1 of i-1: shares orders with db/orders
         detach sg-ec2-rds-1 from eni-1 of i-1: the data store is gone (db/billing)",
    );
}

/// The instance side of `s2` and the store side of `s1` name each other, and nobody has the instance side.
const CROSSED: &str = "
    instance i-0 connect=a
    db s0 connect=a
    db s1 connect=a port=3306
    db s2 connect=a
    group rds-ec2-2 tagged=s1/store ours=store rule=\"tcp 5432 from sg-ec2-rds-2\" on=s1
    group ec2-rds-2 tagged=s2/instance ours=instance rule=\"tcp 5432 to sg-rds-ec2-2\"
";

#[test]
fn a_group_that_the_repair_of_another_store_s_pair_sets_free_is_its_own_store_s_from_the_first_plan_on() {
    case(CROSSED).changes(
        "create rds-ec2-1 for db/s0
         create ec2-rds-1 for db/s0
         allow in rds-ec2-1: tcp 5432 from ec2-rds-1
         allow in ec2-rds-1: tcp 5432 to rds-ec2-1
         create ec2-rds-3 for db/s1
         allow in sg-rds-ec2-2: tcp 3306 from ec2-rds-3
         allow in ec2-rds-3: tcp 3306 to sg-rds-ec2-2
         revoke in sg-rds-ec2-2: tcp 5432 from sg-ec2-rds-2
         create rds-ec2-4 for db/s2
         allow in rds-ec2-4: tcp 5432 from sg-ec2-rds-2
         allow in sg-ec2-rds-2: tcp 5432 to rds-ec2-4
         revoke in sg-ec2-rds-2: tcp 5432 to sg-rds-ec2-2
         attach rds-ec2-1 to db/s0
         attach rds-ec2-4 to db/s2
         attach sg-ec2-rds-2 to eni-0 of i-0: shares a with db/s2
         attach ec2-rds-1 to eni-0 of i-0: shares a with db/s0
         attach ec2-rds-3 to eni-0 of i-0: shares a with db/s1",
    );
}

#[test]
fn a_group_stays_with_the_pair_of_another_store_that_is_not_repaired_or_leads_somebody_to_its_own() {
    let held = CROSSED.replace("db s1 connect=a", "db s1 connect=a hold");
    let relied_on = CROSSED
        .replace("connect=a\n    db s0 connect=a", "connect=a groups=default,ec2-rds-2")
        .replace("db s2 connect=a", "db s2 connect=a groups=default,rds-ec2-2");
    for world in [held, relied_on] {
        let plan = case(&world).plan;
        let revoked = plan.pairs.values().flat_map(|work| &work.revoke).collect::<Vec<_>>();
        assert!(revoked.is_empty(), "{plan}");
    }
}
