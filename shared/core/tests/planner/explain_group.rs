//! Why a group exists, and whether it may go.

use proptest::prelude::*;
use tagwire_core::{
    explain::{self, DeleteCondition, GroupExplanation},
    group::OwnedGroup,
    id::SecurityGroupId,
    plan::plan,
    tag::DEFAULT_CONNECT_KEY,
};
use tagwire_world::{World, worlds};

use crate::{
    arbitrary::config,
    explain::{named, world},
};

fn explained(world: &World, group: &SecurityGroupId) -> GroupExplanation {
    explain::group(&world.seen, &world.policy, DEFAULT_CONNECT_KEY, group)
}

fn of(text: &str, group: &str) -> GroupExplanation {
    explained(&world(text), &SecurityGroupId::parse(group).unwrap())
}

fn fails(text: &str, group: &str) -> Option<(&'static str, &'static str)> {
    of(text, group).first_failing().map(|(step, failure)| (step.condition, failure.code))
}

/// A world in which a condition keeps a group from being deleted, that group, and the code.
fn keeping(ending: DeleteCondition) -> (&'static str, &'static str, &'static str) {
    match ending {
        DeleteCondition::Owned => ("gone orders\npair orders 1 made-by=forger", "sg-rds-ec2-1", "ownership-forged"),
        DeleteCondition::AllRead => ("gone orders\npair orders 1\ngap groups", "sg-rds-ec2-1", "unread"),
        DeleteCondition::InScope => {
            ("instance i-1\ngone orders\npair orders 1\nscope i-1", "sg-rds-ec2-1", "outside-scope")
        }
        DeleteCondition::TagsCertain => (
            "cache orders connect=orders state=modifying\ngroup elasticache-cidr-1 tagged=orders/cidr ours=cidr",
            "sg-elasticache-cidr-1",
            "not-available",
        ),
        DeleteCondition::NotAskedFor => {
            ("instance i-1 connect=orders\ndb orders connect=orders\npair orders 1", "sg-ec2-rds-1", "asked-for")
        }
        DeleteCondition::NotAttached => (
            "db orders connect=orders\npair orders 1 loose\ninterface eni-9 groups=ec2-rds-1 of=\"a function\"",
            "sg-rds-ec2-1",
            "attached",
        ),
        DeleteCondition::LongUnused => {
            ("db orders connect=orders\npair orders 1 loose", "sg-ec2-rds-1", "not-unused-for-long")
        }
        DeleteCondition::OnlyOne => ("gone orders\npair orders 1\npair orders 2", "sg-ec2-rds-1", "ambiguous-pair"),
        DeleteCondition::NotInTemplate => {
            ("gone orders\npair orders 1\ntemplate ec2-rds-1", "sg-rds-ec2-1", "group-in-launch-template")
        }
        DeleteCondition::NotInRule => {
            ("gone orders\npair orders 1\ngroup web rule=\"tcp 22 from sg-ec2-rds-1\"", "sg-rds-ec2-1", "group-in-rule")
        }
    }
}

#[test]
fn every_condition_of_an_end_keeps_some_group() {
    for ending in DeleteCondition::ALL {
        let (text, group, code) = keeping(ending);
        let explained = of(text, group);
        assert_eq!(fails(text, group), Some((ending.code(), code)), "{explained}");
        assert!(!explained.may_go);
    }
}

proptest! {
    // It looks at every group.
    #![proptest_config(ProptestConfig { cases: config().cases / 4, ..config() })]

    #[test]
    fn no_step_fails_exactly_when_the_plan_deletes_the_group(world in worlds()) {
        let plan = plan(&world.seen, &world.policy);
        let deleted: Vec<&SecurityGroupId> = plan.deletions.values().flat_map(|end| &end.delete).map(OwnedGroup::id).collect();
        for group in &named(&world.seen).2 {
            let explained = explained(&world, group);
            prop_assert_eq!(explained.may_go, deleted.contains(&group), "{}", explained);
            prop_assert_eq!(explained.may_go, explained.first_failing().is_none(), "{}\n{:?}", explained, world);
            let asked: Vec<_> = explained.steps.iter().map(|step| step.condition).collect();
            prop_assert_eq!(asked, DeleteCondition::ALL.map(DeleteCondition::code));
            prop_assert!(serde_json::to_string(&explained).is_ok() && !explained.to_string().is_empty());
        }
    }
}

#[test]
fn a_group_of_a_store_that_is_gone_goes_with_all_that_is_done_to_it() {
    let explained = of(
        "instance i-1 connect=orders
         gone orders
         pair orders 1 attached-to=i-1",
        "sg-ec2-rds-1",
    );
    assert_eq!(
        explained.to_string(),
        "\
sg-ec2-rds-1 (ec2-rds-1): it goes now: its data store is gone

What it is:
  ec2-rds-1 in vpc-1, described as \"Made by tagwire for instances: lets them out to the data store that has the other group of this pair. [db-orders 00000000000000000000000000000001]\"
  the instance side of a pair of db-orders
  its data store is gone: arn:aws:rds:eu-central-1:123456789012:db:orders
  its service lists nothing with that identity
  rule tcp 5432 to sg-rds-ec2-1
  other groups of the same data store: sg-rds-ec2-1 (rds-ec2-1)

ok    Is it tagwire's? (owned)
        its name and description are tagwire's, and the state table knows it
ok    Was every security group of the VPC read? (all-read)
ok    Is it in the scope of the observation? (in-scope)
        observed: the whole VPC
-     Is it certain what the data store's tags are? (tags-certain)
ok    Does nothing ask for it? (not-asked-for)
        its data store is gone
ok    Does nothing have it, nor the group that belongs to it? (not-attached)
        i-1 has sg-ec2-rds-1 (ec2-rds-1): will be disconnected: the data store is gone; connections that are open stay open until they are closed
-     Has it been unused for a sweep period? (long-unused)
ok    Is it the data store's only one? (only-one)
        owned groups of the data store: sg-ec2-rds-1, sg-rds-ec2-1
ok    Does no launch template name it? (not-in-template)
ok    Does no rule of a group that stays name it? (not-in-rule)

Next run:
  detach sg-ec2-rds-1 from eni-1 of i-1: the data store is gone (db/orders)
  revoke in sg-ec2-rds-1: tcp 5432 to sg-rds-ec2-1
  revoke in sg-rds-ec2-1: tcp 5432 from sg-ec2-rds-1
  delete sg-ec2-rds-1 of db/orders: its data store is gone
"
    );
}

#[test]
fn a_group_in_use_says_for_whom_and_how_its_rules_stand() {
    let explained = of(
        "instance i-1 connect=orders
         instance i-2 hold
         db orders connect=orders
         pair orders 1 attached-to=i-1,i-2 instance-rule=\"tcp 22 to 10.0.0.0/8\"
         interface eni-9 groups=ec2-rds-1 of=\"a function\"",
        "sg-ec2-rds-1",
    );
    let text = explained.to_string();
    for line in [
        "sg-ec2-rds-1 (ec2-rds-1): it stays: its data store shares a name with i-1 (asked-for)\n",
        "  the store side that belongs to it: sg-rds-ec2-1 (rds-ec2-1)\n",
        "  rule tcp 5432 to sg-rds-ec2-1: as it should be\n",
        "  rule tcp 22 to 10.0.0.0/8: does not belong there\n",
        "        i-1 has sg-ec2-rds-1 (ec2-rds-1), whose tags ask for it: orders\n",
        "        i-2 has sg-ec2-rds-1 (ec2-rds-1), and keeps it: it carries tagwire:hold, so nothing is attached or detached (held)\n",
        "        eni-9 (a function) has sg-ec2-rds-1 (ec2-rds-1)\n",
        "        db/orders has sg-rds-ec2-1 (rds-ec2-1)\n",
        "  revoke in sg-ec2-rds-1: tcp 22 to 10.0.0.0/8\n",
        "  take it off eni-9 (a function), or give that client a group and a rule of its own\n",
    ] {
        assert!(text.contains(line), "{line}is not in\n{text}");
    }
}

#[test]
fn a_group_of_others_is_told_from_one_that_lost_its_tags() {
    assert_eq!(fails("db orders\npair orders 1 made-by=console", "sg-rds-ec2-1"), Some(("owned", "not-owned")));
    assert_eq!(fails("db orders\npair orders 1 made-by=nobody", "sg-rds-ec2-1"), Some(("owned", "ownership-lost")));
    assert_eq!(fails("db orders", "sg-web"), Some(("owned", "group-not-read")));
    assert_eq!(fails("db orders\ngap groups", "sg-web"), Some(("owned", "unread")));
}

#[test]
fn an_unused_group_says_since_when_and_goes_a_sweep_later() {
    let text = "db orders connect=orders\npair orders 1 loose\nunused rds-ec2-1 ago=20\nunused ec2-rds-1 ago=";
    let young = of(&format!("{text}14"), "sg-rds-ec2-1");
    assert_eq!(young.first_failing().unwrap().0.condition, "long-unused");
    assert!(young.to_string().contains("sg-ec2-rds-1 is seen unused since 1969-12-31T23:46:00Z"), "{young}");
    assert!(of(&format!("{text}15"), "sg-rds-ec2-1").may_go);
}

#[test]
fn a_group_for_clients_that_are_not_instances_goes_when_its_tag_does() {
    let group = "group rds-cidr-1 tagged=orders/cidr ours=cidr on=orders rule=\"tcp 5432 from 203.0.113.0/24\"";
    let asked =
        of(&format!("db orders connect=orders allow-cidr=203.0.113.0/24\nallow-cidr\n{group}"), "sg-rds-cidr-1");
    assert_eq!(asked.first_failing().map(|(step, _)| step.condition), Some("not-asked-for"));
    assert!(asked.facts.contains(&"rule tcp 5432 from 203.0.113.0/24: as it should be".to_owned()), "{asked}");
    let unasked = of(&format!("db orders connect=orders\n{group}"), "sg-rds-cidr-1");
    assert!(unasked.may_go, "{unasked}");
}
