//! Connections that are taken away: each reason, from either side, and what holds a removal back.

use tagwire_core::{
    check::check,
    finding::{Finding, Reason},
    plan::{DetachReason, plan},
};
use tagwire_world::World;

use crate::case::case;

/// The end of the pair number 1 of the DB instance `orders`.
pub(crate) const DELETED: &str = "
    revoke in sg-ec2-rds-1: tcp 5432 to sg-rds-ec2-1
    revoke in sg-rds-ec2-1: tcp 5432 from sg-ec2-rds-1
    delete sg-ec2-rds-1 of db/orders: its data store has no connect tag
    delete sg-rds-ec2-1 of db/orders: its data store has no connect tag";

fn gone(changes: &str) -> String {
    format!("{changes}{}", DELETED.replace("its data store has no connect tag", "its data store is gone"))
}

/// The worlds in which a reason is the one: from the instance's side, and from the store's.
fn worlds_of(reason: DetachReason) -> &'static [&'static str] {
    match reason {
        DetachReason::NamesNotShared => &[
            "instance i-1 connect=billing
             db orders connect=orders
             pair orders 1 attached-to=i-1",
            "instance i-1 connect=\"\"
             db orders connect=orders
             pair orders 1 attached-to=i-1",
            "instance i-1 connect=orders
             db orders connect=\"\"
             pair orders 1 attached-to=i-1",
        ],
        DetachReason::NotAskedFor => &["instance i-1
             db orders connect=orders
             pair orders 1 attached-to=i-1"],
        DetachReason::StoreOptedOut => &[
            "instance i-1 connect=orders
             db orders
             pair orders 1 attached-to=i-1",
            "instance i-1
             db orders
             pair orders 1 attached-to=i-1",
        ],
        // They take no instance side off an instance; their cases are those of CIDR clients, interfaces and copies.
        DetachReason::CidrNotAskedFor | DetachReason::NoInstance | DetachReason::OfAnotherStore => &[],
        DetachReason::StoreGone => &["instance i-1 connect=orders
             gone orders
             pair orders 1 attached-to=i-1"],
        DetachReason::Blocked => &[
            "instance i-1 connect=orders block
             db orders connect=orders
             pair orders 1 attached-to=i-1",
            "instance i-1 connect=orders groups=default,quarantine
             db orders connect=orders
             pair orders 1 attached-to=i-1
             isolation quarantine",
            "instance i-1 connect=orders
             db orders connect=orders block
             pair orders 1 attached-to=i-1",
        ],
        DetachReason::Uninstalling => &["instance i-1 connect=orders
             db orders connect=orders
             pair orders 1 attached-to=i-1
             uninstalling ago=5"],
    }
}

#[test]
fn every_reason_takes_the_instance_side_off_whoever_is_looked_at() {
    for reason in DetachReason::ALL {
        for world in worlds_of(reason) {
            for scope in ["scope vpc", "scope i-1", "scope orders"] {
                let plan = case(&format!("{world}\n{scope}")).plan;
                let detached: Vec<_> = plan.interfaces.values().flat_map(|change| change.detach.iter()).collect();
                let [(group, detachment)] = detached.as_slice() else { panic!("{plan} with {scope} for\n{world}") };
                assert_eq!((group.id().as_str(), detachment.reason), ("sg-ec2-rds-1", reason), "{scope}\n{world}");
            }
        }
    }
}

#[test]
fn a_reason_that_is_counted_uses_up_the_window_and_another_does_not() {
    for reason in DetachReason::ALL {
        for world in worlds_of(reason) {
            let window = case(world).plan.window;
            let counted = window.map_or(0, |window| window.removals.iter().map(|counted| counted.connections).sum());
            assert_eq!(counted, u32::from(reason.is_counted()), "{world}");
        }
    }
}

#[test]
fn an_instance_that_drops_a_name_loses_that_store_only() {
    case(
        "instance i-1 connect=billing
         instance i-2 connect=orders,billing
         db orders connect=orders
         db billing connect=billing
         pair orders 1 attached-to=i-1,i-2
         pair billing 2 attached-to=i-1,i-2",
    )
    .changes("detach sg-ec2-rds-1 from eni-1 of i-1: they share no name any more (db/orders)")
    .explains(
        "i-1 and db/orders: will be disconnected: they share no name any more; connections that are open stay open until they are closed
         i-1 and db/billing: connected by tagwire through sg-ec2-rds-2 and sg-rds-ec2-2
         i-2 and db/billing: connected by tagwire through sg-ec2-rds-2 and sg-rds-ec2-2
         i-2 and db/orders: connected by tagwire through sg-ec2-rds-1 and sg-rds-ec2-1",
    );
}

#[test]
fn a_store_that_drops_a_name_loses_those_instances_only_and_keeps_its_pair() {
    case(
        "instance i-1 connect=orders
         instance i-2 connect=billing
         db orders connect=billing
         pair orders 1 attached-to=i-1,i-2
         scope orders",
    )
    .changes("detach sg-ec2-rds-1 from eni-1 of i-1: they share no name any more (db/orders)");
}

#[test]
fn an_instance_that_changes_its_name_is_moved_in_one_call() {
    case(
        "instance i-1 connect=billing groups=none
         db orders connect=orders
         db billing connect=billing
         pair orders 1 attached-to=i-1
         pair billing 2",
    )
    .changes(
        "attach sg-ec2-rds-2 to eni-1 of i-1: shares billing with db/billing
         detach sg-ec2-rds-1 from eni-1 of i-1: they share no name any more (db/orders)",
    )
    .codes(&["no-match"]);
}

#[test]
fn a_group_that_leaves_makes_room_for_one_that_comes() {
    case(
        "instance i-1 connect=billing groups=a,b,c,d
         db orders connect=orders
         db billing connect=billing
         pair orders 1 attached-to=i-1
         pair billing 2",
    )
    .changes(
        "attach sg-ec2-rds-2 to eni-1 of i-1: shares billing with db/billing
         detach sg-ec2-rds-1 from eni-1 of i-1: they share no name any more (db/orders)",
    );
}

#[test]
fn a_list_longer_than_the_limit_may_get_shorter() {
    case(
        "instance i-1 groups=a,b,c,d
         db orders connect=orders
         pair orders 1 attached-to=i-1
         limit 3",
    )
    .changes("detach sg-ec2-rds-1 from eni-1 of i-1: the instance has no connect tag (db/orders)");
}

#[test]
fn an_instance_out_of_scope_is_left_for_its_own_turn() {
    case(
        "instance i-1
         instance i-2
         db orders connect=orders
         pair orders 1 attached-to=i-1,i-2
         scope i-2",
    )
    .changes("detach sg-ec2-rds-1 from eni-2 of i-2: the instance has no connect tag (db/orders)");
}

#[test]
fn a_terminated_instance_needs_nothing() {
    case("instance i-1 gone\ndb orders connect=orders\npair orders 1").changes_nothing();
}

#[test]
fn a_pair_that_is_somebody_else_s_is_never_detached() {
    for maker in ["console", "hand", "forger", "nobody"] {
        case(&format!(
            "instance i-1 block
             db orders block
             pair orders 1 attached-to=i-1 made-by={maker}"
        ))
        .changes_nothing();
    }
}

#[test]
fn an_instance_side_that_somebody_else_attached_goes_all_the_same() {
    case(
        "instance i-1
         db orders connect=orders
         pair orders 1 attached-to=i-1 loose only=instance",
    )
    .changes("detach sg-ec2-rds-1 from eni-1 of i-1: the instance has no connect tag (db/orders)");
}

// A store that takes no part any more.

#[test]
fn a_store_that_opts_out_loses_everything_in_the_order_that_cannot_deadlock() {
    case(
        "instance i-1 connect=orders
         instance i-2 connect=orders
         db orders
         pair orders 1 attached-to=i-1,i-2",
    )
    .changes(&format!(
        "detach sg-rds-ec2-1 from db/orders: the data store has no connect tag
         detach sg-ec2-rds-1 from eni-1 of i-1: the data store has no connect tag (db/orders)
         detach sg-ec2-rds-1 from eni-2 of i-2: the data store has no connect tag (db/orders)
         {DELETED}"
    ))
    .explains(
        "i-1 and db/orders: will be disconnected: the data store has no connect tag; connections that are open stay open until they are closed
         i-2 and db/orders: will be disconnected: the data store has no connect tag; connections that are open stay open until they are closed
         i-1: nothing on the other side shares the name orders (no-match)
         i-2: nothing on the other side shares the name orders (no-match)",
    );
}

#[test]
fn a_store_that_opts_out_keeps_its_side_while_instances_are_held_back() {
    case(
        "instance i-1
         instance i-2
         db orders
         pair orders 1 attached-to=i-1,i-2
         max 1",
    )
    .changes("detach sg-ec2-rds-1 from eni-1 of i-1: the data store has no connect tag (db/orders)")
    .codes(&["disconnects-held-back"]);
}

#[test]
fn an_instance_keeps_no_access_against_a_store_that_opts_out_by_a_hold_or_a_tag_that_cannot_be_read() {
    let world = |tags: &str, store: &str| {
        format!(
            "instance i-1
             instance i-2 {tags}
             db orders {store}
             pair orders 1 attached-to=i-1,i-2"
        )
    };
    for tags in ["hold", "connect=\"a,b\"", "connect=\",\"", "connect=orders hold", "connect=\"a,b\" hold"] {
        let plan = case(&world(tags, "")).plan;
        let reasons: Vec<_> = plan.interfaces.values().flat_map(|change| change.detach.values()).collect();
        let all = reasons.iter().all(|detachment| detachment.reason == DetachReason::StoreOptedOut);
        assert!(reasons.len() == 2 && all && plan.deletions.len() == 1, "{tags}: {plan}");
        assert_eq!(plan.window.map(|window| window.removals.len()), Some(2), "{tags}");
        let waits = case(&format!("{}\nmax 0", world(tags, ""))).changes_nothing();
        assert!(
            waits.plan.explanations().iter().any(|line| line.contains("(disconnects-held-back)")),
            "{}",
            waits.plan
        );
        case(&world(tags, "hold")).changes_nothing();
        case(&format!("{}\ngap stores of=orders", world(tags, "").replace("db orders \n", ""))).changes_nothing();
    }
}

#[test]
fn a_hold_of_an_instance_does_not_keep_it_when_its_store_opts_out_while_tagwire_is_uninstalled() {
    let plan =
        case("instance i-1 connect=orders hold\ndb orders\npair orders 1 attached-to=i-1\nuninstalling ago=5").plan;
    let reasons = plan.interfaces.values().flat_map(|change| change.detach.values()).map(|detached| detached.reason);
    assert_eq!(reasons.collect::<Vec<_>>(), [DetachReason::StoreOptedOut], "{plan}");
    case(
        "instance i-1 connect=orders hold\ndb orders connect=orders\npair orders 1 attached-to=i-1\nuninstalling ago=5",
    )
    .changes_nothing();
}

#[test]
fn a_store_that_opts_out_keeps_its_side_while_an_instance_out_of_scope_has_its_own() {
    case(
        "instance i-1
         instance i-2
         db orders
         pair orders 1 attached-to=i-1,i-2
         scope i-1",
    )
    .changes("detach sg-ec2-rds-1 from eni-1 of i-1: the data store has no connect tag (db/orders)");
}

#[test]
fn a_store_that_moved_to_another_vpc_has_not_opted_out_here() {
    case("db orders vpc=2\npair orders 1 loose").changes_nothing();
}

#[test]
fn a_store_that_opts_out_cuts_those_off_whose_last_group_is_ours_and_counts_them() {
    let world = "instance i-1 groups=none
         instance i-2
         db orders
         pair orders 1 attached-to=i-1,i-2";
    let case_ = case(world)
        .changes(
            "detach sg-rds-ec2-1 from db/orders: the data store has no connect tag
             detach sg-ec2-rds-1 from eni-2 of i-2: the data store has no connect tag (db/orders)",
        )
        .explains(
            "i-2 and db/orders: will be disconnected: the data store has no connect tag; connections that are open stay open until they are closed
             i-1 and db/orders: will be disconnected: the data store has no connect tag; connections that are open stay open until they are closed
             i-1: sg-ec2-rds-1 is the only security group left there, and AWS takes no empty list: add another group (last-group)",
        );
    let removals = case_.plan.window.unwrap().removals;
    assert_eq!(removals.iter().map(|counted| counted.connections).collect::<Vec<_>>(), [1, 1]);
    case(&format!("{world}\nmax 1"))
        .changes("detach sg-ec2-rds-1 from eni-2 of i-2: the data store has no connect tag (db/orders)")
        .codes(&["disconnects-held-back", "last-group"]);
}

#[test]
fn a_store_that_opts_out_cuts_others_off_that_have_the_instance_side_and_counts_them() {
    let case_ = case(
        "instance i-1
         db orders
         pair orders 1 attached-to=i-1
         interface eni-9 groups=ec2-rds-1 of=\"a function\"",
    )
    .changes(
        "detach sg-rds-ec2-1 from db/orders: the data store has no connect tag
         detach sg-ec2-rds-1 from eni-1 of i-1: the data store has no connect tag (db/orders)",
    )
    .codes(&["foreign-attachment"]);
    let removals = case_.plan.window.unwrap().removals;
    assert_eq!(removals.iter().map(|counted| counted.connections).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn a_store_that_opts_out_and_takes_no_change_keeps_its_side_for_now() {
    let world = "instance i-1
         db orders state=modifying
         pair orders 1 attached-to=i-1";
    let case_ = case(world)
        .changes("detach sg-ec2-rds-1 from eni-1 of i-1: the data store has no connect tag (db/orders)")
        .codes(&["not-available"]);
    assert_eq!(case_.plan.stores_to_revisit().len(), 1);
    case(&world.replace("state=modifying", "groups=default,web:adding"))
        .changes("detach sg-ec2-rds-1 from eni-1 of i-1: the data store has no connect tag (db/orders)")
        .codes(&["list-changing"]);
}

#[test]
fn a_store_side_that_is_on_its_way_out_is_not_taken_off_once_more() {
    case(
        "instance i-1
         db orders
         pair orders 1 attached-to=i-1 removing",
    )
    .changes(&format!(
        "detach sg-ec2-rds-1 from eni-1 of i-1: the data store has no connect tag (db/orders)
         {DELETED}"
    ));
}

#[test]
fn a_store_that_opts_out_keeps_its_side_when_it_is_the_only_group_left() {
    case("db orders groups=none\npair orders 1").changes_nothing().codes(&["last-group"]);
    case("db orders groups=web:removing\npair orders 1").changes_nothing().codes(&["last-group"]);
}

#[test]
fn a_store_that_opts_out_loses_both_its_pairs_and_a_person_deletes_them() {
    case(
        "instance i-1
         db orders
         pair orders 1 attached-to=i-1
         pair orders 2 attached-to=i-1",
    )
    .changes(
        "detach sg-rds-ec2-1 from db/orders: the data store has no connect tag
         detach sg-rds-ec2-2 from db/orders: the data store has no connect tag
         detach sg-ec2-rds-1 from eni-1 of i-1: the data store has no connect tag (db/orders)
         detach sg-ec2-rds-2 from eni-1 of i-1: the data store has no connect tag (db/orders)",
    )
    .codes(&["ambiguous-pair"]);
}

#[test]
fn a_pair_that_a_launch_template_names_is_emptied_and_not_deleted() {
    case(
        "instance i-1
         db orders
         pair orders 1 attached-to=i-1
         template ec2-rds-1",
    )
    .changes(
        "detach sg-rds-ec2-1 from db/orders: the data store has no connect tag
         detach sg-ec2-rds-1 from eni-1 of i-1: the data store has no connect tag (db/orders)",
    )
    .codes(&["group-in-launch-template"]);
}

#[test]
fn a_pair_that_a_rule_of_others_names_is_emptied_and_not_deleted() {
    let world = "db orders\npair orders 1 loose\ngroup web rule=\"tcp 22 from sg-ec2-rds-1\"";
    case(world).changes_nothing().codes(&["group-in-rule"]);
}

#[test]
fn two_pairs_that_end_together_may_name_each_other() {
    case(
        "gone orders
         gone billing
         pair orders 1 store-rule=\"tcp 22 from sg-ec2-rds-2\"
         pair billing 2",
    )
    .changes(
        "revoke in sg-ec2-rds-2: tcp 5432 to sg-rds-ec2-2
         revoke in sg-rds-ec2-2: tcp 5432 from sg-ec2-rds-2
         delete sg-ec2-rds-2 of db/billing: its data store is gone
         delete sg-rds-ec2-2 of db/billing: its data store is gone
         revoke in sg-ec2-rds-1: tcp 5432 to sg-rds-ec2-1
         revoke in sg-rds-ec2-1: tcp 22 from sg-ec2-rds-2
         revoke in sg-rds-ec2-1: tcp 5432 from sg-ec2-rds-1
         delete sg-ec2-rds-1 of db/orders: its data store is gone
         delete sg-rds-ec2-1 of db/orders: its data store is gone",
    );
}

#[test]
fn a_rule_that_is_put_back_keeps_no_pair_of_another_store_from_its_end() {
    case(
        "db orders connect=orders
         gone billing
         pair orders 1 store-rule=\"tcp 22 from sg-ec2-rds-2\"
         pair billing 2",
    )
    .changes(
        "revoke in sg-rds-ec2-1: tcp 22 from sg-ec2-rds-2
         revoke in sg-ec2-rds-2: tcp 5432 to sg-rds-ec2-2
         revoke in sg-rds-ec2-2: tcp 5432 from sg-ec2-rds-2
         delete sg-ec2-rds-2 of db/billing: its data store is gone
         delete sg-rds-ec2-2 of db/billing: its data store is gone",
    );
}

#[test]
fn half_a_pair_of_a_store_that_opts_out_is_deleted_too() {
    case("db orders\npair orders 1 only=instance")
        .changes("delete sg-ec2-rds-1 of db/orders: its data store has no connect tag");
}

// A store that is gone.

#[test]
fn a_store_that_is_gone_takes_its_pair_with_it() {
    case(
        "instance i-1 connect=orders
         gone orders
         pair orders 1 attached-to=i-1",
    )
    .changes(&gone("detach sg-ec2-rds-1 from eni-1 of i-1: the data store is gone (db/orders)"))
    .codes(&["no-match"]);
}

#[test]
fn a_store_that_is_gone_ends_whatever_the_window_says_and_whatever_is_remembered() {
    for rest in ["max 0", "gap state"] {
        let case_ = case(&format!(
            "instance i-1
             gone orders
             pair orders 1 attached-to=i-1
             {rest}"
        ))
        .changes(&gone("detach sg-ec2-rds-1 from eni-1 of i-1: the data store is gone (db/orders)"));
        assert_eq!(case_.plan.window, None);
    }
}

#[test]
fn a_store_whose_name_another_one_has_taken_over_is_gone() {
    case(
        "instance i-1 connect=orders
         db orders connect=billing id=db-second
         gone first
         pair first 1 arn=orders attached-to=i-1",
    )
    .changes(&gone("detach sg-ec2-rds-1 from eni-1 of i-1: the data store is gone (db/orders)"));
}

#[test]
fn a_store_whose_service_did_not_list_all_it_has_is_not_gone() {
    case("instance i-1\ngone orders unsure\npair orders 1 attached-to=i-1").changes_nothing().codes(&["store-unknown"]);
}

#[test]
fn a_store_that_nobody_said_was_gone_is_not() {
    case("instance i-1\npair orders 1 attached-to=i-1").changes_nothing().explains(
        "sg-ec2-rds-1: it is unknown whether its data store db-orders still exists; it is left alone (store-unknown)",
    );
}

#[test]
fn a_group_without_the_tag_that_names_its_store_is_left_alone() {
    case(
        "instance i-1
         gone orders
         group ec2-rds-1 ours=instance tag:tagwire:managed-by=tagwire tag:tagwire:data-store-id=db-orders tag:tagwire:side=instance attached-to=i-1",
    )
    .changes_nothing()
    .codes(&["store-unknown"]);
}

#[test]
fn a_store_whose_group_an_interface_still_carries_is_not_gone() {
    case(
        "instance i-1
         gone orders
         pair orders 1 attached-to=i-1
         interface eni-9 groups=rds-ec2-1 of=RDSNetworkInterface",
    )
    .changes_nothing()
    .codes(&["still-attached"]);
}

#[test]
fn a_store_whose_group_another_store_carries_was_replaced_by_it() {
    case(
        "instance i-1
         gone orders
         db restored connect=orders groups=default,rds-ec2-1
         pair orders 1 attached-to=i-1",
    )
    .changes("detach sg-rds-ec2-1 from db/restored: the group was made for another data store")
    .codes(&["still-attached", "no-match"]);
}

#[test]
fn a_side_of_a_store_that_is_gone_stays_while_the_store_that_it_leads_to_cannot_get_its_own_pair() {
    let world = "instance i-1 connect=orders groups=default,ec2-rds-2
         gone books
         db orders connect=orders groups=default,rds-ec2-2
         group ec2-rds-2 tagged=books/instance ours=instance rule=\"tcp 5432 to sg-rds-ec2-2\"
         group rds-ec2-2 description=\"by hand\" rule=\"tcp 5432 from sg-ec2-rds-2\"";
    case(&world.replace("db orders", "db orders state=modifying")).changes_nothing().codes(&["not-available"]);
    let changes = case(world).plan.changes();
    assert!(changes.iter().any(|line| line.starts_with("detach sg-ec2-rds-2 from eni-1")), "{changes:?}");
}

#[test]
fn a_store_that_was_renamed_keeps_its_connections() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders id=db-first
         gone first
         pair orders 1 attached-to=i-1 arn=first",
    )
    .changes(
        "tag sg-rds-ec2-1 as store side of db/orders
         tag sg-ec2-rds-1 as instance side of db/orders",
    );
}

#[test]
fn a_store_that_moved_to_another_vpc_keeps_its_connections() {
    case(
        "instance i-1
         db orders connect=orders vpc=2
         pair orders 1 attached-to=i-1 loose",
    )
    .changes_nothing()
    .codes(&["store-moved"]);
}

// Blocked and isolated.

#[test]
fn a_block_goes_before_a_hold() {
    for world in [
        "instance i-1 connect=orders block hold\ndb orders connect=orders",
        "instance i-1 connect=orders block\ndb orders connect=orders hold",
    ] {
        case(&format!("{world}\npair orders 1 attached-to=i-1"))
            .changes("detach sg-ec2-rds-1 from eni-1 of i-1: blocked (db/orders)");
    }
    for world in [
        "instance i-1 connect=orders\ndb orders connect=orders block hold",
        "instance i-1 connect=orders hold\ndb orders connect=orders block",
    ] {
        case(&format!("{world}\npair orders 1 attached-to=i-1")).changes(
            "detach sg-rds-ec2-1 from db/orders: blocked
             detach sg-ec2-rds-1 from eni-1 of i-1: blocked (db/orders)",
        );
    }
}

#[test]
fn a_block_counts_although_the_connect_tag_cannot_be_read() {
    case("instance i-1 connect=\"a,b\" block\ndb orders connect=orders\npair orders 1 attached-to=i-1")
        .changes("detach sg-ec2-rds-1 from eni-1 of i-1: blocked (db/orders)");
}

#[test]
fn an_instance_that_is_blocked_loses_every_pair_whatever_is_known_of_its_store() {
    case(
        "instance i-1 block
         db moved vpc=2
         pair orders 1 attached-to=i-1
         pair moved 2 attached-to=i-1 loose
         gap stores
         gap state
         gap attached_interfaces
         max 0",
    )
    .changes(
        "detach sg-ec2-rds-1 from eni-1 of i-1: blocked (db/orders)
         detach sg-ec2-rds-2 from eni-1 of i-1: blocked (db/moved)",
    );
}

#[test]
fn an_isolated_instance_gets_no_connection_back() {
    case(
        "instance i-1 connect=orders groups=quarantine\ndb orders connect=orders\npair orders 1\nisolation quarantine",
    )
    .changes_nothing()
    .codes(&["blocked"]);
}

#[test]
fn a_group_of_isolation_stays_and_is_enough_for_a_list() {
    case(
        "instance i-1 connect=orders groups=quarantine
         db orders connect=orders
         pair orders 1 attached-to=i-1
         isolation quarantine",
    )
    .changes("detach sg-ec2-rds-1 from eni-1 of i-1: blocked (db/orders)");
}

#[test]
fn a_block_cannot_take_the_last_group_and_says_so() {
    case("instance i-1 connect=orders block groups=none\ndb orders connect=orders\npair orders 1 attached-to=i-1")
        .changes_nothing()
        .explains(
            "i-1 and db/orders: connected by tagwire through sg-ec2-rds-1 and sg-rds-ec2-1
             i-1: sg-ec2-rds-1 is the only security group left there, and AWS takes no empty list: add another group (last-group)",
        );
}

#[test]
fn of_several_groups_that_are_all_ours_one_stays() {
    case(
        "instance i-1 block groups=none
         db orders connect=orders
         db billing connect=billing
         pair orders 1 attached-to=i-1
         pair billing 2 attached-to=i-1",
    )
    .changes("detach sg-ec2-rds-1 from eni-1 of i-1: blocked (db/orders)")
    .codes(&["last-group", "no-match", "no-match"]);
}

#[test]
fn a_connection_that_cannot_end_keeps_both_its_groups() {
    case(
        "instance i-1 connect=orders block groups=none
         db orders connect=orders
         pair orders 1 attached-to=i-1
         pair orders 2 attached-to=i-1",
    )
    .changes_nothing()
    .codes(&["last-group", "ambiguous-pair"]);
}

#[test]
fn a_store_that_is_blocked_is_shut_at_once_whoever_has_what() {
    case(
        "instance i-1 connect=orders groups=none
         db orders connect=orders block
         pair orders 1 attached-to=i-1
         interface eni-9 groups=ec2-rds-1 of=\"a function\"
         gap attached_interfaces
         gap state
         max 0",
    )
    .changes("detach sg-rds-ec2-1 from db/orders: blocked")
    .codes(&["unread", "unread", "last-group", "foreign-attachment"]);
}

#[test]
fn a_store_that_is_blocked_keeps_its_last_group_but_nobody_gets_in() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders block groups=none
         pair orders 1 attached-to=i-1",
    )
    .changes("detach sg-ec2-rds-1 from eni-1 of i-1: blocked (db/orders)")
    .codes(&["last-group"]);
}

#[test]
fn a_store_that_is_blocked_keeps_its_pair_for_when_it_is_not() {
    case("instance i-1 connect=orders\ndb orders connect=orders block\npair orders 1 loose")
        .changes_nothing()
        .codes(&["blocked"]);
}

#[test]
fn a_store_that_is_blocked_and_opts_out_loses_its_pair() {
    case("db orders block\npair orders 1").changes(&format!("detach sg-rds-ec2-1 from db/orders: blocked{DELETED}"));
}

// Hold.

#[test]
fn a_hold_freezes_what_stands_on_either_side() {
    for world in [
        "instance i-1 hold\ndb orders connect=orders",
        "instance i-1 connect=billing hold\ndb orders connect=orders",
        "instance i-1\ndb orders connect=orders hold",
        "instance i-1 connect=orders\ndb orders hold",
        "instance i-1 connect=orders hold\ndb orders hold",
        "instance i-1 hold\ngone orders",
    ] {
        let case = case(&format!("{world}\npair orders 1 attached-to=i-1")).changes_nothing();
        assert!(case.plan.explanations().iter().any(|line| line.ends_with("(held)")), "{}", case.plan);
    }
}

#[test]
fn a_hold_on_a_store_keeps_its_pair_from_being_deleted() {
    case("db orders hold\npair orders 1").changes_nothing();
    case("db orders connect=orders hold\npair orders 1 loose\nunused rds-ec2-1 ago=60\nunused ec2-rds-1 ago=60")
        .changes_nothing();
}

#[test]
fn what_stands_comes_to_no_harm_when_its_store_becomes_ineligible() {
    for form in ["serverless-v1", "global=world", "member-of=big", "state=deleting", "port=none", "groups=a,b,c,d,e"] {
        case(&format!(
            "instance i-1 connect=orders
             db orders connect=orders {form}
             pair orders 1 attached-to=i-1"
        ))
        .changes_nothing();
    }
}

// A rule that is put back lets everybody in again who has the group.

#[test]
fn a_rule_is_put_back_for_those_who_ask_and_the_others_are_taken_off_in_the_same_plan() {
    case(
        "instance i-1 connect=orders
         instance i-2
         instance i-3 connect=orders block
         db orders connect=orders
         pair orders 1 attached-to=i-1,i-2,i-3 rules=instance",
    )
    .changes(
        "allow in sg-rds-ec2-1: tcp 5432 from sg-ec2-rds-1
         detach sg-ec2-rds-1 from eni-2 of i-2: the instance has no connect tag (db/orders)
         detach sg-ec2-rds-1 from eni-3 of i-3: blocked (db/orders)",
    )
    .codes(&["pair-modified"]);
}

/// Every reason but a block, of a cache whose tags are known from the tag index alone: it is not available.
const OF_UNCERTAIN_TAGS: [&str; 4] = [
    "instance i-1 connect=orders\nreplicationgroup orders",
    "instance i-1\nreplicationgroup orders connect=orders",
    "instance i-1 connect=billing\nreplicationgroup orders connect=orders",
    "instance i-1 connect=orders\nreplicationgroup orders connect=orders\nuninstalling ago=5",
];

fn with_state(world: &str, state: &str) -> String {
    let store = "replicationgroup orders";
    let pair = "pair orders 1 attached-to=i-1";
    format!("{}\n{pair}\n{NO_CLIENTS}", world.replace(store, &format!("{store} state={state}")))
}

const NO_CLIENTS: &str = "group elasticache-cidr-1 tagged=orders/cidr ours=cidr on=orders";

#[test]
fn a_tag_or_a_hold_that_the_tag_index_misses_takes_nothing_away() {
    for world in OF_UNCERTAIN_TAGS {
        for state in ["modifying", "deleting", "create-failed"] {
            let case = case(&with_state(world, state)).changes_nothing();
            let waits = |finding: &Finding| matches!(finding.reason, Reason::NotAvailable { .. });
            assert!(case.plan.findings.iter().any(waits), "{}", case.plan);
        }
        let known = case(&with_state(world, "available")).plan;
        assert!(!known.interfaces.is_empty(), "{known}");
    }
}

#[test]
fn a_pair_that_nobody_has_is_not_deleted_for_a_tag_that_the_tag_index_misses() {
    for (settings, since) in
        [("", ""), ("connect=orders", "unused ec2-elasticache-1 ago=60\nunused elasticache-ec2-1 ago=60")]
    {
        let world = |state| format!("replicationgroup orders {settings} state={state}\npair orders 1 loose\n{since}");
        case(&world("deleting")).changes_nothing();
        assert!(!case(&world("available")).plan.deletions.is_empty());
    }
}

#[test]
fn a_block_that_the_tag_index_knows_cuts_at_once() {
    let plan =
        case(&with_state("instance i-1 connect=orders\nreplicationgroup orders connect=orders block", "modifying"))
            .plan;
    assert_eq!(plan.interfaces.len(), 1, "{plan}");
}

#[test]
fn the_checker_takes_no_tag_for_missing_that_the_tag_index_may_have_missed() {
    for world in OF_UNCERTAIN_TAGS {
        let known = World::read(&with_state(world, "available")).unwrap();
        let uncertain = World::read(&with_state(world, "modifying")).unwrap();
        let made = plan(&known.seen, &known.policy);
        let rejection = check(made, &uncertain.seen, &uncertain.policy).unwrap_err();
        let rest = rejection.remaining.plan();
        assert!(rest.interfaces.is_empty() && rest.stores.is_empty() && rest.deletions.is_empty(), "{rest}");
    }
}
