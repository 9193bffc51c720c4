//! Owned groups that nobody uses: seen so twice, at least a period apart, and nothing left unread.

use jiff::{SignedDuration, Timestamp};
use tagwire_core::state::Note;
use tagwire_world::World;

use crate::case::{after, case, holds};

/// A pair that has been seen unused for `ago` minutes.
fn unused(ago: u32) -> String {
    format!(
        "db orders connect=orders
         pair orders 1 loose
         unused rds-ec2-1 ago={ago}
         unused ec2-rds-1 ago={ago}\n"
    )
}

const DELETED: &str = "
    revoke in sg-ec2-rds-1: tcp 5432 to sg-rds-ec2-1
    revoke in sg-rds-ec2-1: tcp 5432 from sg-ec2-rds-1
    delete sg-ec2-rds-1 of db/orders: nobody uses it
    delete sg-rds-ec2-1 of db/orders: nobody uses it";

fn forgotten(notes: &[Note]) -> usize {
    notes.iter().filter(|note| matches!(note, Note::Unused(_, None))).count()
}

#[test]
fn a_pair_is_deleted_when_two_sweeps_a_period_apart_have_seen_it_unused() {
    let mut world = World::read("db orders connect=orders\npair orders 1 loose").unwrap();
    let mut deleted = Vec::new();
    for _ in 0..5 {
        deleted.push(holds(&world).unwrap().deletions.len());
        world = after(&world, 5).unwrap();
    }
    assert_eq!(deleted, [0, 0, 0, 1, 0]);
    assert!(world.seen.groups.found.is_empty());
}

#[test]
fn a_period_is_long_enough_and_anything_less_is_not() {
    case(&unused(15)).changes(DELETED);
    case(&unused(14)).changes_nothing();
}

#[test]
fn both_groups_have_to_have_been_unused_for_long() {
    case(&unused(20).replacen("ago=20", "ago=10", 1)).changes_nothing();
    case("db orders connect=orders\npair orders 1 loose\nunused rds-ec2-1 ago=20").changes_nothing();
}

#[test]
fn a_pair_that_is_used_in_between_starts_anew() {
    for use_ in
        ["group web on=orders\ninterface eni-9 groups=rds-ec2-1 of=i-9", "interface eni-9 groups=ec2-rds-1 of=x"]
    {
        let case = case(&format!("{}{use_}", unused(20))).changes_nothing();
        assert_eq!(forgotten(&case.plan.notes), 2, "{use_}");
    }
    let attached = "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1";
    let mut world = World::read(&format!("{attached}\nunused rds-ec2-1 ago=20\nunused ec2-rds-1 ago=20")).unwrap();
    world = after(&world, 0).unwrap();
    assert!(world.seen.state.as_ref().ok().unwrap().unused.is_empty());
}

#[test]
fn a_pair_that_its_store_carries_is_used() {
    case(&unused(20).replace("loose", "")).changes_nothing();
    case(&unused(20).replace("loose", "adding")).changes_nothing();
}

#[test]
fn a_pair_that_tags_ask_for_is_kept_although_it_cannot_be_attached_now() {
    for who in ["instance i-1 connect=orders hold", "instance i-1 connect=orders groups=a,b,c,d,e"] {
        case(&format!("{who}\n{}", unused(20))).changes_nothing();
    }
}

#[test]
fn a_pair_that_an_instance_needs_again_is_attached() {
    case(&format!("instance i-1 connect=orders\n{}", unused(20))).changes(
        "attach sg-rds-ec2-1 to db/orders
         attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/orders",
    );
}

#[test]
fn only_a_look_at_everything_cleans_up_or_remembers() {
    let case_ = case(&format!("{}scope orders", unused(20))).changes_nothing();
    assert_eq!(case_.plan.notes, []);
    let case_ = case("db orders connect=orders\npair orders 1 loose\nscope orders").changes_nothing();
    assert_eq!(case_.plan.notes, []);
}

#[test]
fn a_pair_that_a_launch_template_names_is_kept_and_said_to_be() {
    case(&format!("{}template ec2-rds-1", unused(20)))
        .changes_nothing()
        .codes(&["no-match", "group-in-launch-template"]);
}

#[test]
fn a_pair_that_a_rule_of_others_names_is_kept_and_said_to_be() {
    let rule = "rule=\"tcp 22 from sg-ec2-rds-1\"";
    case(&format!("{}group rds-ec2-7 {rule}\ngroup rds-ec2-8 {rule}", unused(20))).changes_nothing().codes(&[
        "no-match",
        "group-in-rule",
        "group-in-rule",
    ]);
}

#[test]
fn half_a_pair_is_cleaned_up_too() {
    case("db orders connect=orders\npair orders 1 only=store loose\nunused rds-ec2-1 ago=20")
        .changes("delete sg-rds-ec2-1 of db/orders: nobody uses it");
}

#[test]
fn of_several_pairs_none_is_cleaned_up() {
    case(&format!("{}pair orders 2 loose\nunused rds-ec2-2 ago=20\nunused ec2-rds-2 ago=20", unused(20)))
        .changes_nothing()
        .codes(&["no-match", "ambiguous-pair"]);
}

#[test]
fn a_pair_that_something_else_has_is_reported_and_kept() {
    for (other, group) in [
        ("interface eni-9 groups=ec2-rds-1 of=\"a function\"", "sg-ec2-rds-1: eni-9 (a function)"),
        ("interface eni-9 groups=ec2-rds-1 of=i-9", "sg-ec2-rds-1: eni-9 of i-9"),
        ("interface eni-9 groups=rds-ec2-1 of=i-9 primary", "sg-rds-ec2-1: eni-9 of i-9"),
        ("instance i-9 groups=default,rds-ec2-1", "sg-rds-ec2-1: instance i-9"),
        ("db other groups=default,rds-ec2-1", "sg-rds-ec2-1: arn:aws:rds:eu-central-1:123456789012:db:other"),
        ("db other groups=default,ec2-rds-1", "sg-ec2-rds-1: arn:aws:rds:eu-central-1:123456789012:db:other"),
    ] {
        let plan = case(&format!("{}{other}", unused(20))).changes_nothing().plan;
        let message = format!(
            "{group} has it, which tagwire did not attach as far as it knows, and does not take away; it can reach what the group reaches (foreign-attachment)"
        );
        assert!(plan.explanations().contains(&message), "{plan}");
    }
}

#[test]
fn an_interface_that_cannot_be_named_as_its_store_s_keeps_the_pair() {
    case(&format!("{}interface eni-9 groups=rds-ec2-1 of=RDSNetworkInterface", unused(20))).changes_nothing();
}

#[test]
fn the_store_s_own_interface_follows_its_list_and_keeps_nothing() {
    case("db orders\npair orders 1\ninterface eni-9 groups=rds-ec2-1 of=RDSNetworkInterface")
        .changes(&format!(
            "detach sg-rds-ec2-1 from db/orders: the data store has no connect tag
             {}",
            crate::disconnecting::DELETED
        ))
        .codes(&[]);
}

#[test]
fn every_gap_keeps_the_pair_and_restarts_nothing() {
    for gap in ["groups", "attached_interfaces", "instances", "stores", "templates", "state"] {
        let case = case(&format!("{}gap {gap}", unused(20))).changes_nothing();
        assert_eq!(forgotten(&case.plan.notes), 0, "{gap}");
    }
}

#[test]
fn a_launch_template_that_was_not_asked_about_keeps_the_pair() {
    let mut world = World::read(&unused(20)).unwrap();
    world.seen.launch_templates = None;
    assert!(holds(&world).unwrap().is_empty());
}

#[test]
fn a_group_whose_users_were_not_asked_about_is_kept() {
    let mut world = World::read(&unused(20)).unwrap();
    world.seen.attachments.of.clear();
    assert!(holds(&world).unwrap().is_empty());
}

#[test]
fn a_pair_whose_store_is_unknown_is_cleaned_up_when_nobody_has_used_it() {
    case("pair orders 1\nunused rds-ec2-1 ago=20\nunused ec2-rds-1 ago=20").changes(DELETED);
    case("instance i-1\npair orders 1 attached-to=i-1\nunused rds-ec2-1 ago=20\nunused ec2-rds-1 ago=20")
        .changes_nothing();
}

#[test]
fn what_is_remembered_of_what_is_gone_is_forgotten() {
    let state = "unused ec2-rds-9 ago=90\nattached i-9 ec2-rds-1 tag=orders\nattached orders rds-ec2-9 tag=orders\nattached i-1 ec2-rds-1 tag=orders";
    let world = "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1";
    let mut seen = World::read(&format!("{world}\n{state}")).unwrap();
    seen = after(&seen, 0).unwrap();
    let state = seen.seen.state.as_ref().ok().unwrap();
    assert_eq!((state.unused.len(), state.attached.len()), (0, 1));
}

#[test]
fn a_clock_that_was_set_back_deletes_nothing_early() {
    let mut world = World::read(&unused(20)).unwrap();
    world.seen.at = Timestamp::UNIX_EPOCH - SignedDuration::from_mins(30);
    assert!(holds(&world).unwrap().is_empty());
}
