//! Clients that are not EC2 instances: the tag, the group that follows it, what is refused, and how it ends.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tagwire_core::{
    check::{Violation, check},
    cidr::{CidrPeer, CidrTag},
    expected::expected,
    group::{GroupKind, Role},
    id::{SecurityGroupId, StoreId},
    observation::{Observation, Scope},
    plan::{DetachReason, GroupRef, Plan, plan},
    rule::{Direction, Peer, Rule, Traffic},
    service::Side,
    tag::ConnectTag,
};
use tagwire_world::{World, worlds};

use crate::case::{after, case, holds};

/// How many deletions of groups of a kind a plan holds.
fn of_kind(plan: &Plan, kind: GroupKind) -> usize {
    plan.deletions.keys().filter(|(of, _)| *of == kind).count()
}

/// A store with CIDR clients, whose group stands and is attached, and what else is message.
fn standing(store: &str, rules: &[&str], rest: &str) -> String {
    let rules: Vec<String> = rules.iter().map(|rule| format!("rule=\"{rule}\"")).collect();
    format!(
        "db orders {store}
         group rds-cidr-1 tagged=orders/cidr ours=cidr on=orders {}
         allow-cidr
         {rest}",
        rules.join(" ")
    )
}

const OFFICE: &str = "tcp 5432 from 203.0.113.0/24";

#[test]
fn blocks_and_lists_of_both_families_get_a_group_of_their_own() {
    case(
        "db orders connect=\"\" allow-cidr=\"203.0.113.9/24 2001:db8::/48 pl-1\"
         prefix-list pl-1 entries=198.51.100.0/24
         allow-cidr",
    )
    .changes(
        "create rds-cidr-1 for db/orders
         allow in rds-cidr-1: tcp 5432 from 203.0.113.0/24
         allow in rds-cidr-1: tcp 5432 from 2001:db8::/48
         allow in rds-cidr-1: tcp 5432 from pl-1
         attach rds-cidr-1 to db/orders",
    );
}

#[test]
fn a_group_that_says_what_the_tag_says_is_left_as_it_is() {
    let codes = case(&standing("connect=orders allow-cidr=203.0.113.0/24", &[OFFICE], "")).changes_nothing();
    codes.codes(&["no-match"]);
}

#[test]
fn the_rules_follow_the_tag_the_new_ones_first() {
    case(&standing(
        "connect=orders allow-cidr=\"203.0.113.0/24 198.51.100.0/24\"",
        &[OFFICE, "tcp 5432 from 192.0.2.0/24"],
        "",
    ))
    .changes(
        "allow in sg-rds-cidr-1: tcp 5432 from 198.51.100.0/24
             revoke in sg-rds-cidr-1: tcp 5432 from 192.0.2.0/24",
    )
    .codes(&["no-match"]);
}

#[test]
fn the_rules_follow_the_store_s_ports() {
    case(&standing("connect=orders port=5500-5510 allow-cidr=203.0.113.0/24", &[OFFICE], "")).changes(
        "allow in sg-rds-cidr-1: tcp 5500-5510 from 203.0.113.0/24
         revoke in sg-rds-cidr-1: tcp 5432 from 203.0.113.0/24",
    );
}

#[test]
fn what_does_not_fit_beside_the_old_rules_comes_after_them() {
    case(&standing(
        "connect=orders allow-cidr=pl-2",
        &["tcp 5432 from pl-1"],
        "prefix-list pl-1 most=40\nprefix-list pl-2 most=30",
    ))
    .changes(
        "revoke in sg-rds-cidr-1: tcp 5432 from pl-1
         allow in sg-rds-cidr-1: tcp 5432 from pl-2",
    );
}

#[test]
fn a_rule_that_no_tag_can_have_asked_for_is_taken_away_and_reported() {
    for rule in ["all traffic to 0.0.0.0/0", "tcp 5432 from sg-web", "udp 53..53 from 203.0.113.0/24"] {
        case(&standing("connect=orders allow-cidr=203.0.113.0/24", &[OFFICE, rule], ""))
            .changes(&format!("revoke in sg-rds-cidr-1: {rule}"))
            .codes(&["no-match", "cidr-modified"]);
    }
}

#[test]
fn a_group_that_was_never_finished_is_finished_and_nobody_modified_it() {
    case(
        "db orders connect=orders allow-cidr=203.0.113.0/24
         group rds-cidr-1 tagged=orders/cidr ours=cidr rule=\"all traffic to 0.0.0.0/0\" rule=\"all traffic to ::/0\"
         allow-cidr",
    )
    .changes(
        "allow in sg-rds-cidr-1: tcp 5432 from 203.0.113.0/24
         revoke in sg-rds-cidr-1: all traffic to 0.0.0.0/0
         revoke in sg-rds-cidr-1: all traffic to ::/0
         attach sg-rds-cidr-1 to db/orders",
    )
    .codes(&["no-match"]);
}

#[test]
fn the_tag_of_a_store_that_was_renamed_is_written_again() {
    let world = standing("connect=orders id=db-old allow-cidr=203.0.113.0/24", &[OFFICE], "");
    let world = world.replace(
        "tagged=orders/cidr",
        "tagged=orders/cidr tag:tagwire:data-store=arn:aws:rds:eu-central-1:123456789012:db:old",
    );
    case(&world).changes("tag sg-rds-cidr-1 as CIDR group of db/orders");
}

#[test]
fn the_pair_and_the_clients_come_in_one_change_of_the_list() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders allow-cidr=203.0.113.0/24
         allow-cidr",
    )
    .changes(
        "create rds-ec2-1 for db/orders
         create ec2-rds-1 for db/orders
         allow in rds-ec2-1: tcp 5432 from ec2-rds-1
         allow in ec2-rds-1: tcp 5432 to rds-ec2-1
         create rds-cidr-1 for db/orders
         allow in rds-cidr-1: tcp 5432 from 203.0.113.0/24
         attach rds-ec2-1 to db/orders
         attach rds-cidr-1 to db/orders
         attach ec2-rds-1 to eni-1 of i-1: shares orders with db/orders",
    );
}

#[test]
fn the_pair_gets_the_last_place() {
    let plan = case(
        "instance i-1 connect=orders
         db orders connect=orders allow-cidr=203.0.113.0/24 groups=a,b,c,d
         allow-cidr",
    )
    .codes(&["store-group-limit"])
    .plan;
    assert!(
        plan.cidrs.is_empty() && plan.stores.values().all(|change| change.attach.contains_key(&GroupKind::Pair)),
        "{plan}"
    );
}

#[test]
fn one_word_that_may_not_be_let_in_refuses_the_whole_tag() {
    for (word, code) in [
        ("10.0.0.0/8", "cidr-too-wide"),
        ("2001:db8::/32", "cidr-too-wide"),
        ("0.0.0.0/0", "cidr-too-wide"),
        ("::/0", "cidr-too-wide"),
        ("laptop", "invalid-cidr"),
        ("203.0.113.7", "invalid-cidr"),
        ("pl-9", "prefix-list-not-found"),
        ("pl-1", "prefix-list-foreign"),
        ("pl-2", "prefix-list-foreign"),
        ("pl-3", "cidr-too-wide"),
        ("pl-4", "cidr-rule-limit"),
        ("10.0.0.0/016", "invalid-cidr"),
        ("::ffff:0.0.0.0/96", "invalid-cidr"),
        ("64:ff9b::/96", "invalid-cidr"),
        ("pl-5", "cidr-too-wide"),
        ("pl-6", "cidr-too-wide"),
        ("pl-7", "cidr-sum-limit"),
    ] {
        let lists = "prefix-list pl-1 owner=AWS entries=10.0.0.0/24
                     prefix-list pl-2 owner=999999999999
                     prefix-list pl-3 entries=10.0.0.0/24,0.0.0.0/0
                     prefix-list pl-4 most=60
                     prefix-list pl-5 ipv6 entries=::ffff:0.0.0.0/96
                     prefix-list pl-6 ipv6 entries=64:ff9b::/96
                     prefix-list pl-7 most=17 entries=10.0.0.0/16,10.1.0.0/16,10.2.0.0/16,10.3.0.0/16,10.4.0.0/16,10.5.0.0/16,10.6.0.0/16,10.7.0.0/16,10.8.0.0/16,10.9.0.0/16,10.10.0.0/16,10.11.0.0/16,10.12.0.0/16,10.13.0.0/16,10.14.0.0/16,10.15.0.0/16,10.16.0.0/16";
        let tag = format!("connect=orders allow-cidr=\"203.0.113.0/24 {word}\"");
        case(&standing(&tag, &["tcp 5432 from 192.0.2.0/24"], lists)).changes_nothing().codes(&["no-match", code]);
        let new = format!("db orders {tag}\nallow-cidr\n{lists}");
        case(&new).changes_nothing().codes(&["no-match", code]);
    }
}

#[test]
fn a_list_that_is_widened_after_it_was_let_in_stays_and_is_named() {
    let list = |entries: &str| {
        standing(
            "connect=orders allow-cidr=pl-1",
            &["tcp 5432 from pl-1"],
            &format!("prefix-list pl-1 entries={entries}"),
        )
    };
    case(&list("10.0.0.0/24")).changes_nothing().codes(&["no-match"]);
    for entries in ["0.0.0.0/0", "10.0.0.0/24,0.0.0.0/0", "10.0.0.0/8"] {
        case(&list(entries)).changes_nothing().codes(&["no-match", "cidr-widened"]);
    }
    // Who is not let in yet is refused, and nobody has to be told at night.
    let another = list("0.0.0.0/0").replace("from pl-1", "from 192.0.2.0/24");
    case(&another).changes_nothing().codes(&["no-match", "cidr-too-wide"]);
}

#[test]
fn what_stands_is_named_when_the_limit_is_lowered_below_it() {
    let world = standing("connect=orders allow-cidr=10.0.0.0/16", &["tcp 5432 from 10.0.0.0/16"], "");
    case(&world).changes_nothing().codes(&["no-match"]);
    let lowered = world.replace("\n         allow-cidr", "\n         allow-cidr ipv4=24");
    case(&lowered).changes_nothing().codes(&["no-match", "cidr-widened"]);
}

#[test]
fn clients_are_let_in_up_to_sixteen_blocks_of_the_widest_size_together() {
    let blocks = |count: u8| (0..count).map(|number| format!("10.{number}.0.0/16")).collect::<Vec<_>>().join(" ");
    let world = |tag: &str| format!("db orders connect=orders allow-cidr=\"{tag}\"\nallow-cidr");
    assert_eq!(case(&world(&blocks(16))).plan.cidrs.len(), 1);
    case(&world(&format!("{} 192.0.2.7/32", blocks(16)))).changes_nothing().codes(&["no-match", "cidr-sum-limit"]);
    // Each family has its own sum.
    assert_eq!(case(&world(&format!("{} 2001:db8::/48", blocks(16)))).plan.cidrs.len(), 1);
}

#[test]
fn everything_at_once_is_too_wide_whatever_the_limit() {
    for block in ["0.0.0.0/0", "::/0"] {
        case(&format!("db orders connect=orders allow-cidr={block}\nallow-cidr ipv4=0 ipv6=0"))
            .changes_nothing()
            .codes(&["no-match", "cidr-too-wide"]);
    }
}

#[test]
fn the_families_are_counted_apart_and_each_list_with_all_that_it_may_hold() {
    let world = |most: u8| {
        format!(
            "db orders connect=orders allow-cidr=\"pl-4 pl-6 203.0.113.0/24\"
             prefix-list pl-4 most={most}
             prefix-list pl-6 most=60 ipv6
             allow-cidr"
        )
    };
    assert_eq!(case(&world(59)).plan.cidrs.len(), 1);
    case(&world(60)).changes_nothing().codes(&["no-match", "cidr-rule-limit"]);
}

#[test]
fn a_list_that_was_not_read_decides_nothing() {
    let lists = "gap prefix-lists";
    let case = case(&standing("connect=orders allow-cidr=pl-1", &[OFFICE], lists)).changes_nothing();
    let plan = case.codes(&["unread", "no-match", "unread"]).plan;
    assert_eq!(plan.stores_to_revisit().len(), 1);
}

#[test]
fn while_the_installation_lets_nobody_in_what_stands_is_left_alone() {
    let off =
        |store: &str| standing(store, &[OFFICE, "tcp 22 from 192.0.2.0/24"], "").replace("\n         allow-cidr", "");
    case(&off("connect=orders allow-cidr=198.51.100.0/24")).changes_nothing().codes(&["no-match", "cidr-not-allowed"]);
    case("db orders connect=orders allow-cidr=198.51.100.0/24")
        .changes_nothing()
        .codes(&["no-match", "cidr-not-allowed"]);
    // Who takes the tag away wants the clients out, and nothing has to be allowed for that.
    case(&off("connect=orders")).changes(
        "detach sg-rds-cidr-1 from db/orders: the data store asks for no clients but instances
         delete sg-rds-cidr-1 of db/orders: its data store asks for no clients but instances",
    );
}

#[test]
fn a_tag_that_is_gone_or_empty_ends_it() {
    for tag in ["", "allow-cidr=\"\""] {
        let plan = case(&standing(&format!("connect=orders {tag}"), &[OFFICE], ""))
            .changes(
                "detach sg-rds-cidr-1 from db/orders: the data store asks for no clients but instances
                 delete sg-rds-cidr-1 of db/orders: its data store asks for no clients but instances",
            )
            .plan;
        assert_eq!(plan.window.map(|window| window.removals.len()), Some(1));
    }
}

#[test]
fn a_store_that_opts_out_loses_its_clients() {
    case(&standing("allow-cidr=203.0.113.0/24", &[OFFICE], "")).changes(
        "detach sg-rds-cidr-1 from db/orders: the data store has no connect tag
         delete sg-rds-cidr-1 of db/orders: its data store has no connect tag",
    );
}

#[test]
fn a_store_that_loses_both_its_groups_loses_them_in_one_change() {
    let plan = case(&standing("", &[OFFICE], "pair orders 1")).plan;
    assert_eq!(plan.changes().iter().filter(|line| line.starts_with("detach")).count(), 2, "{plan}");
    assert_eq!((plan.stores.len(), of_kind(&plan, GroupKind::Pair), of_kind(&plan, GroupKind::Cidr)), (1, 1, 1));
}

#[test]
fn the_group_of_a_store_that_is_gone_is_deleted() {
    let world = "group rds-cidr-1 tagged=orders/cidr ours=cidr rule=\"tcp 5432 from 203.0.113.0/24\"";
    case(&format!("gone orders\n{world}")).changes("delete sg-rds-cidr-1 of db/orders: its data store is gone");
    case(&format!("gone orders\n{world}\nscope orders"))
        .changes("delete sg-rds-cidr-1 of db/orders: its data store is gone");
    for rest in
        ["gone orders unsure", "gone orders\ninterface eni-9 groups=rds-cidr-1 of=RDSNetworkInterface", "gap stores"]
    {
        case(&format!("{world}\n{rest}")).changes_nothing();
    }
}

#[test]
fn what_may_still_be_in_use_is_not_deleted() {
    for rest in [
        "template rds-cidr-1",
        "interface eni-9 groups=rds-cidr-1 of=i-9 primary",
        "instance i-9 groups=default,rds-cidr-1",
        "db other groups=default,rds-cidr-1",
        "group web rule=\"tcp 22 from sg-rds-cidr-1\"",
        "gap attached_interfaces",
        "gap templates",
        "gap instances",
    ] {
        let plan = case(&standing("connect=orders", &[OFFICE], rest)).plan;
        assert!(of_kind(&plan, GroupKind::Cidr) == 0 && plan.stores.len() == 1, "{rest}: {plan}");
    }
}

#[test]
fn a_rule_that_names_a_pair_s_group_does_not_keep_the_pair() {
    let world = "db orders
         pair orders 1 store-rule=\"tcp 22 from sg-rds-cidr-1\"
         group rds-cidr-1 tagged=orders/cidr ours=cidr on=orders rule=\"tcp 22 from sg-rds-ec2-1\"";
    let plan = case(world).plan;
    assert_eq!((of_kind(&plan, GroupKind::Pair), of_kind(&plan, GroupKind::Cidr)), (1, 1), "{plan}");
    let plan = case(&world.replacen("db orders", "db orders connect=orders allow-cidr=10.0.0.0/24", 1)).plan;
    assert!(plan.deletions.is_empty(), "{plan}");
}

#[test]
fn a_blocked_store_loses_its_clients_at_once_and_keeps_the_group() {
    let world = standing("connect=orders block allow-cidr=203.0.113.0/24", &[OFFICE], "max 0");
    let plan = case(&world).changes("detach sg-rds-cidr-1 from db/orders: blocked").plan;
    assert_eq!(plan.window, None);
}

#[test]
fn a_store_on_hold_keeps_its_clients_as_they_are() {
    for store in ["connect=orders", "", "connect=orders allow-cidr=198.51.100.0/24"] {
        case(&standing(&format!("{store} hold"), &[OFFICE], "")).changes_nothing();
    }
    case("db orders connect=orders hold allow-cidr=198.51.100.0/24\nallow-cidr")
        .changes_nothing()
        .codes(&["held", "no-match"]);
}

#[test]
fn a_tag_that_cannot_be_read_takes_nothing_away() {
    for store in ["connect=orders allow-cidr=laptop", "connect=\"a,b\" allow-cidr=192.0.2.0/24"] {
        case(&standing(store, &[OFFICE], "")).changes_nothing();
    }
}

#[test]
fn nor_does_it_keep_what_a_tag_that_can_be_read_does_not_ask_for() {
    case(&standing("connect=\"a,b\"", &[OFFICE], ""))
        .changes("detach sg-rds-cidr-1 from db/orders: the data store asks for no clients but instances");
    case(&standing("connect=\"a,b\" hold", &[OFFICE], "")).changes_nothing();
}

#[test]
fn taking_it_away_counts_as_one_connection() {
    let world = standing("connect=orders", &[OFFICE], "");
    for used_up in ["max 0", "removed 10 ago=1", "gap state"] {
        let plan = case(&format!("{world}\n{used_up}")).changes_nothing().plan;
        assert!(plan.explanations().iter().any(|line| line.ends_with("(disconnects-held-back)")), "{plan}");
    }
    let two = format!("{world}\ninstance i-1\npair orders 1 attached-to=i-1\nmax 1");
    let plan = case(&two).plan;
    assert!(of_kind(&plan, GroupKind::Cidr) == 0 && plan.stores.is_empty(), "{plan}");
}

#[test]
fn a_store_whose_list_cannot_be_changed_is_looked_at_again() {
    for state in ["state=modifying", "groups=default,web:adding"] {
        for tag in ["", "allow-cidr=203.0.113.0/24"] {
            let world = format!("db orders connect=orders {tag} {state}\nallow-cidr");
            let group = "group rds-cidr-1 tagged=orders/cidr ours=cidr rule=\"tcp 5432 from 203.0.113.0/24\"";
            let world =
                if tag.is_empty() { format!("{world}\n{group} on=orders") } else { format!("{world}\n{group}") };
            let plan = case(&world).changes_nothing().plan;
            assert_eq!(plan.stores_to_revisit().len(), 1, "{plan}");
        }
    }
}

#[test]
fn the_rules_are_made_while_the_list_cannot_be_changed() {
    case("db orders connect=orders allow-cidr=203.0.113.0/24 state=modifying\nallow-cidr").changes(
        "create rds-cidr-1 for db/orders
         allow in rds-cidr-1: tcp 5432 from 203.0.113.0/24",
    );
}

#[test]
fn the_last_group_of_a_list_stays_unless_another_comes() {
    let world = standing("connect=orders groups=none", &[OFFICE], "");
    case(&world).changes_nothing().codes(&["no-match", "last-group"]);
    let plan = case(&format!("{world}\ninstance i-1 connect=orders")).plan;
    assert_eq!(
        plan.changes().iter().filter(|line| line.contains("tach ") && line.contains("db/orders")).count(),
        3,
        "{plan}"
    );
}

#[test]
fn a_store_that_takes_no_new_clients_keeps_those_that_it_has() {
    for form in ["serverless-v1", "global=world", "state=deleting"] {
        let cluster = |text: &str| text.replace("db orders", "cluster orders");
        case(&cluster(&standing(&format!("connect=orders allow-cidr=203.0.113.0/24 {form}"), &[OFFICE], "")))
            .changes_nothing()
            .codes(&["no-match"]);
        let plan = case(&cluster(&format!("db orders connect=orders allow-cidr=203.0.113.0/24 {form}\nallow-cidr")));
        assert_eq!(plan.changes_nothing().plan.findings.len(), 2);
    }
}

#[test]
fn of_several_groups_the_lowest_serves_and_none_is_deleted() {
    let other = "group rds-cidr-2 tagged=orders/cidr ours=cidr on=orders rule=\"tcp 22 from 192.0.2.0/24\"";
    case(&standing("connect=orders allow-cidr=203.0.113.0/24", &[], other))
        .changes("allow in sg-rds-cidr-1: tcp 5432 from 203.0.113.0/24")
        .codes(&["no-match", "ambiguous-cidr-group"]);
    let plan = case(&standing("connect=orders", &[OFFICE], other)).plan;
    assert!(of_kind(&plan, GroupKind::Cidr) == 0, "{plan}");
    assert_eq!(plan.changes().len(), 2, "{plan}");
}

#[test]
fn a_group_that_is_not_ours_is_never_used_or_changed() {
    for group in [
        "group rds-cidr-1 on=orders rule=\"tcp 22 from 0.0.0.0/0\"",
        "group rds-cidr-1 on=orders tagged=orders/cidr rule=\"tcp 22 from 0.0.0.0/0\"",
        "group rds-cidr-1 on=orders tagged=orders/store ours=cidr",
        "group rds-cidr-1 on=orders ours=cidr",
    ] {
        let plan = case(&format!("db orders connect=orders allow-cidr=203.0.113.0/24\nallow-cidr\n{group}")).plan;
        let made: Vec<_> = plan.changes().into_iter().filter(|line| line.starts_with("create")).collect();
        assert_eq!(made, ["create rds-cidr-2 for db/orders"], "{group}");
    }
    case("db orders connect=orders\ngroup rds-cidr-1 ours=cidr").codes(&["no-match", "ownership-lost"]);
}

#[test]
fn a_name_that_is_taken_is_not_taken_again() {
    let plan = case(
        "db orders connect=orders allow-cidr=203.0.113.0/24
         db billing connect=billing allow-cidr=203.0.113.0/24
         docdb papers connect=papers allow-cidr=203.0.113.0/24
         group RDS-CIDR-1
         taken rds-cidr-2
         allow-cidr",
    )
    .plan;
    let names: BTreeSet<_> =
        plan.cidrs.values().filter_map(|work| Some(work.create.as_ref()?.name.to_string())).collect();
    assert_eq!(names, ["docdb-cidr-1", "rds-cidr-3", "rds-cidr-4"].map(str::to_owned).into());
}

#[test]
fn what_was_taken_off_again_and_again_is_left_off() {
    case(
        "db orders connect=orders allow-cidr=203.0.113.0/24
         group rds-cidr-1 tagged=orders/cidr ours=cidr rule=\"tcp 5432 from 203.0.113.0/24\"
         attached orders rds-cidr-1 tag=orders again=1,2,3
         allow-cidr",
    )
    .changes_nothing()
    .codes(&["no-match", "contested"]);
}

#[test]
fn only_a_scope_that_names_the_store_touches_its_clients() {
    let world = "instance i-1 connect=orders
                 db orders connect=orders allow-cidr=203.0.113.0/24
                 allow-cidr";
    assert!(case(&format!("{world}\nscope i-1")).plan.cidrs.is_empty());
    assert_eq!(case(&format!("{world}\nscope orders")).plan.cidrs.len(), 1);
    case(&standing("connect=orders", &[OFFICE], "scope other")).changes_nothing();
}

#[test]
fn without_having_seen_all_groups_nothing_is_done() {
    case("db orders connect=orders allow-cidr=203.0.113.0/24\nallow-cidr\ngap groups").changes_nothing();
    case(&standing("connect=orders", &[OFFICE], "gap groups")).changes_nothing();
}

#[test]
fn a_group_put_on_something_else_is_reported() {
    for rest in ["instance i-9 groups=default,rds-cidr-1", "interface eni-9 groups=rds-cidr-1 of=i-9"] {
        case(&standing("connect=orders allow-cidr=203.0.113.0/24", &[OFFICE], rest))
            .changes_nothing()
            .codes(&["no-match", "foreign-attachment"]);
    }
    case(&standing("connect=orders allow-cidr=203.0.113.0/24", &[OFFICE], "db other groups=default,rds-cidr-1"))
        .changes_nothing()
        .codes(&["no-match", "copied-group"]);
}

/// Spoils a good plan; the checker must say what is wrong with it.
#[track_caller]
fn refused(world: &str, spoil: impl FnOnce(&mut Plan), checked_in: &str, is_it: fn(&Violation) -> bool) {
    let (made_in, checked_in) = (World::read(world).unwrap(), World::read(checked_in).unwrap());
    let mut plan = plan(&made_in.seen, &made_in.policy);
    check(plan.clone(), &made_in.seen, &made_in.policy).map(drop).unwrap();
    spoil(&mut plan);
    let violations = check(plan, &checked_in.seen, &checked_in.policy).unwrap_err().violations();
    assert!(violations.iter().any(is_it), "{violations:?}");
}

const NEW: &str = "db orders connect=orders allow-cidr=\"203.0.113.0/24 pl-1\"\nprefix-list pl-1\nallow-cidr";

#[test]
fn the_checker_lets_in_nobody_whom_the_tag_or_the_policy_does_not() {
    let is_it = |violation: &Violation| matches!(violation, Violation::NotAllowed { .. });
    refused(NEW, |_| {}, &NEW.replace("203.0.113.0/24", "198.51.100.0/24"), is_it);
    refused(NEW, |_| {}, &NEW.replace("203.0.113.0/24 pl-1", "203.0.113.7"), is_it);
    refused(NEW, |_| {}, &NEW.replace("\nallow-cidr", ""), is_it);
    refused(NEW, |_| {}, &format!("{NEW} ipv4=25"), is_it);
    refused(NEW, |_| {}, &NEW.replace("prefix-list pl-1", "prefix-list pl-1 owner=AWS"), is_it);
    refused(NEW, |_| {}, &NEW.replace("prefix-list pl-1", "prefix-list pl-1 entries=10.0.0.0/8"), is_it);
    refused(NEW, |_| {}, &NEW.replace("prefix-list pl-1", "prefix-list pl-1 ipv6 entries=::ffff:0.0.0.0/96"), is_it);
    let sixteen = (0..16).map(|number| format!("10.{number}.0.0/16")).collect::<Vec<_>>().join(",");
    refused(
        NEW,
        |_| {},
        &NEW.replace("prefix-list pl-1", &format!("prefix-list pl-1 most=16 entries={sixteen}")),
        is_it,
    );
    refused(NEW, |_| {}, &NEW.replace("prefix-list pl-1", "prefix-list pl-1 most=60"), is_it);
    refused(NEW, |_| {}, &NEW.replace("prefix-list pl-1", "gap prefix-lists"), is_it);
    refused(NEW, |_| {}, &NEW.replace("connect=orders", ""), is_it);
    refused(NEW, |_| {}, &NEW.replace("connect=orders", "connect=orders block"), is_it);
    refused(NEW, |_| {}, &NEW.replace("connect=orders", "connect=orders port=22"), is_it);
    refused(NEW, |_| {}, &NEW.replace("db orders", "db orders global=world"), is_it);
}

#[test]
fn the_checker_takes_no_client_out_whom_the_tag_names() {
    let taken = standing("connect=orders", &[OFFICE], "");
    let asked_for = standing("connect=orders allow-cidr=203.0.113.0/24", &[OFFICE], "");
    refused(&taken, |_| {}, &asked_for, |violation| matches!(violation, Violation::NotAllowed { .. }));
    refused(&taken, |_| {}, &asked_for, |violation| matches!(violation, Violation::NotDeletable { .. }));
    let other = asked_for.replace("allow-cidr=203", "allow-cidr=198");
    refused(&other, |_| {}, &asked_for, |violation| matches!(violation, Violation::CutsPair { .. }));
    let uncounted = |plan: &mut Plan| plan.window = None;
    refused(&taken, uncounted, &taken, |violation| matches!(violation, Violation::BreaksWindow { .. }));
}

#[test]
fn the_checker_lets_rules_for_clients_into_no_other_group() {
    let world = format!("{NEW}\npair orders 1");
    let to_pair = |plan: &mut Plan| {
        let work = plan.cidrs.values_mut().next().unwrap();
        work.group = GroupRef::Existing(SecurityGroupId::parse("sg-rds-ec2-1").unwrap());
    };
    refused(&world, to_pair, &world, |violation| matches!(violation, Violation::NotOwned { .. }));
    let never = |plan: &mut Plan| plan.cidrs.values_mut().next().unwrap().create = None;
    refused(&world, never, &world, |violation| matches!(violation, Violation::NeverCreated { .. }));
    let pair = |plan: &mut Plan| {
        let change = plan.stores.values_mut().next().unwrap();
        change.attach.insert(GroupKind::Cidr, GroupRef::Existing(SecurityGroupId::parse("sg-rds-ec2-1").unwrap()));
    };
    refused(&world, pair, &world, |violation| matches!(violation, Violation::NotOwned { .. }));
    let name = |plan: &mut Plan| {
        let work = plan.cidrs.values_mut().next().unwrap();
        work.create.as_mut().unwrap().tags.role = Role::Side(Side::Store);
    };
    refused(&world, name, &world, |violation| matches!(violation, Violation::BadName { .. }));
    refused(NEW, |_| {}, &format!("{NEW}\nscope i-1"), |violation| matches!(violation, Violation::OutsideScope { .. }));
    refused(NEW, |_| {}, &format!("{NEW}\ngap groups"), |violation| matches!(violation, Violation::RestsOnGap { .. }));
}

#[test]
fn the_checker_wants_the_reason_to_hold() {
    let blocked = standing("connect=orders block allow-cidr=203.0.113.0/24", &[OFFICE], "");
    let is_it = |violation: &Violation| matches!(violation, Violation::NotAllowed { .. });
    refused(&blocked, |_| {}, &blocked.replace("block", ""), is_it);
    let other_reason = |plan: &mut Plan| {
        for change in plan.stores.values_mut() {
            for ((kind, _), reason) in &mut change.detach {
                assert_eq!(*kind, GroupKind::Cidr);
                *reason = DetachReason::CidrNotAskedFor;
            }
        }
    };
    refused(&blocked, other_reason, &blocked, is_it);
}

#[test]
fn a_second_run_after_an_interrupted_one_finishes_what_is_there() {
    let mut world = World::read(NEW).unwrap();
    world = after(&world, 1).unwrap();
    assert!(holds(&world).unwrap().is_empty());
    for group in &mut world.seen.groups.found {
        group.rules.pop_first();
    }
    let plan = holds(&world).unwrap();
    assert_eq!(plan.changes().len(), 1, "{plan}");
}

fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(500), ..usual }
}

/// The rules of a world by which blocks or prefix lists come into an owned group, with the store's identity
/// and the group.
fn client_rules(seen: &Observation) -> BTreeSet<(StoreId, SecurityGroupId, Rule)> {
    let mut found = BTreeSet::new();
    for group in &seen.groups.found {
        let Some(owned) = group.ownership().ours() else { continue };
        let rules = group.rules.iter().filter(|rule| CidrPeer::of(&rule.peer).is_some());
        found.extend(rules.map(|rule| (owned.store.clone(), group.id.clone(), rule.clone())));
    }
    found
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_new_rule_with_a_block_or_list_is_one_that_a_tag_asks_for_and_the_policy_lets(world in worlds()) {
        let checked = check(plan(&world.seen, &world.policy), &world.seen, &world.policy).unwrap();
        let after = expected(&world.seen, &checked);
        let before = client_rules(&world.seen);
        for (store, group, rule) in client_rules(&after).difference(&before) {
            let stores = world.seen.present_stores();
            let store = stores.values().find(|other| other.id == *store).unwrap();
            let limits = world.policy.allow_cidr.unwrap();
            let tags = &after.groups.found.iter().find(|other| other.id == *group).unwrap().tags;
            prop_assert_eq!(tags["tagwire:side"].as_str(), "cidr");
            prop_assert!(matches!(store.settings.connect, ConnectTag::Names(_)) && !store.settings.blocked);
            prop_assert_eq!((rule.direction, &rule.traffic), (Direction::Inbound, &Traffic::Tcp(store.ports.unwrap())));
            let CidrTag::Peers(peers) = &store.settings.allow_cidr else { panic!("{rule} without a tag") };
            prop_assert!(peers.iter().any(|peer| peer.to_peer() == rule.peer), "{rule}");
            let widest = |text: &str| {
                let (address, length) = text.split_once('/').unwrap();
                let widest = if address.contains(':') { limits.widest_ipv6 } else { limits.widest_ipv4 };
                length.parse::<u8>().unwrap() >= widest.max(1)
            };
            match &rule.peer {
                Peer::Ipv4(block) | Peer::Ipv6(block) => prop_assert!(widest(block), "{rule}"),
                Peer::PrefixList(id) => {
                    let list = world.seen.prefix_lists.found.iter().find(|list| list.id.as_str() == id).unwrap();
                    prop_assert_eq!(list.owner.as_str(), "123456789012");
                    prop_assert!(list.entries.iter().all(|entry| widest(&entry.to_string())), "{rule}");
                }
                Peer::Group(_) | Peer::GroupOfAccount { .. } => panic!("{rule} has no block"),
            }
        }
    }

    #[test]
    fn a_store_that_has_its_clients_group_is_reached_by_just_those_that_its_tag_names(world in worlds()) {
        let mut world = world;
        world.seen.scope = Scope::Vpc;
        let plan = plan(&world.seen, &world.policy);
        let served: Vec<_> = plan.stores.iter().filter(|(_, change)| change.attach.contains_key(&GroupKind::Cidr)).map(|(id, _)| id.clone()).collect();
        let checked = check(plan, &world.seen, &world.policy).unwrap();
        let after = expected(&world.seen, &checked);
        for store in after.present_stores().into_values().filter(|store| served.contains(&store.id)) {
            let groups = after.groups.found.iter().filter(|group| store.has_group(&group.id));
            let serving = groups.filter(|group| group.ownership().ours().is_some_and(|owned| owned.role() == Role::Cidr));
            let rules: BTreeSet<Peer> =
                serving.flat_map(|group| &group.rules).map(|rule| rule.peer.clone()).collect();
            let asked_for: BTreeSet<Peer> = store.settings.allow_cidr.peers().map(CidrPeer::to_peer).collect();
            prop_assert!(asked_for.is_subset(&rules), "{asked_for:?} {rules:?}");
        }
    }
}

#[test]
fn clients_that_leave_make_room_for_the_pair() {
    let world = "instance i-1 connect=orders
                 db orders connect=orders groups=a,b,c,d
                 group rds-cidr-1 tagged=orders/cidr ours=cidr on=orders";
    let plan = case(world).codes(&[]).plan;
    let change = plan.stores.values().next().unwrap();
    assert!(
        change.attach.contains_key(&GroupKind::Pair) && change.detached_of(GroupKind::Cidr).next().is_some(),
        "{plan}"
    );
    case(&format!("{world}\nmax 0")).changes_nothing().codes(&["store-group-limit", "disconnects-held-back"]);
}

#[test]
fn the_tags_of_a_cache_that_is_not_available_decide_nothing() {
    let group = "group elasticache-cidr-1 tagged=orders/cidr ours=cidr rule=\"tcp 6379 from 203.0.113.0/24\"";
    for (tags, attached) in
        [("connect=orders allow-cidr=198.51.100.0/24", ""), ("connect=orders", ""), ("connect=orders", "on=orders")]
    {
        let plan = case(&format!("replicationgroup orders {tags} state=modifying\nallow-cidr\n{group} {attached}"))
            .changes_nothing();
        assert_eq!(plan.plan.stores_to_revisit().len(), 1, "{tags}");
        let ready = format!("replicationgroup orders {tags}\nallow-cidr\n{group} {attached}");
        assert!(!case(&ready).plan.is_empty(), "{tags}");
    }
    let certain = format!("replicationgroup orders connect=orders allow-cidr=198.51.100.0/24\nallow-cidr\n{group}");
    let is_it = |violation: &Violation| matches!(violation, Violation::NotAllowed { .. });
    refused(&certain, |_| {}, &certain.replace("connect=orders", "connect=orders state=modifying"), is_it);
}

#[test]
fn every_kind_of_store_has_a_name_for_the_group_and_its_own_ports() {
    for (kind, name, ports) in [
        ("redshift", "redshift-cidr-1", "5439"),
        ("serverlesscache", "elasticache-cidr-1", "6379-6380"),
        ("docdb", "docdb-cidr-1", "27017"),
        ("neptune", "neptune-cidr-1", "8182"),
    ] {
        let plan = case(&format!("{kind} orders connect=orders allow-cidr=203.0.113.0/24\nallow-cidr")).plan;
        let rule = format!("allow in {name}: tcp {ports} from 203.0.113.0/24");
        assert!(plan.changes().contains(&rule), "{plan}");
    }
}
