//! A violation costs a plan the part that it is about and whatever depends on that part, and nothing else.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tagwire_core::{
    check::{Rejection, Violation, check},
    expected::expected,
    finding::{Finding, Reason},
    plan::{Decision, DetachReason, GroupRef, PairWork, Plan, Verdict, plan},
    rule::{PortRange, Rule, Traffic},
    service::Side,
};
use tagwire_world::{World, worlds};

use crate::{
    arbitrary::config,
    case::{foreign_in_lists, not_owned},
};

const TWO: &str = "instance i-1 connect=orders
    instance i-2 connect=billing
    db orders connect=orders
    cluster billing connect=billing";

/// The rejection of a spoiled plan, once it is verified that what is left of it holds every invariant.
#[track_caller]
fn rejected(world: &str, spoil: impl FnOnce(&mut Plan)) -> Rejection {
    let world = World::read(world).unwrap();
    let mut plan = plan(&world.seen, &world.policy);
    check(plan.clone(), &world.seen, &world.policy).map(drop).unwrap();
    spoil(&mut plan);
    let rejection = *check(plan, &world.seen, &world.policy).unwrap_err();
    let remaining = rejection.remaining.plan();
    assert_eq!(check(remaining.clone(), &world.seen, &world.policy).as_ref(), Ok(&rejection.remaining), "{remaining}");
    rejection
}

#[track_caller]
fn changes(world: &str) -> Vec<String> {
    let world = World::read(world).unwrap();
    plan(&world.seen, &world.policy).changes()
}

/// The subjects of the findings that say what was left out.
fn left_out(plan: &Plan) -> BTreeSet<String> {
    let rejected = |finding: &&Finding| matches!(finding.reason, Reason::PlanRejected { .. });
    plan.findings.iter().filter(rejected).map(|finding| finding.subject.to_string()).collect()
}

fn verdict<'plan>(plan: &'plan Plan, instance: &str) -> &'plan Verdict {
    let of = |decision: &&Decision| decision.instance.as_str() == instance;
    &plan.decisions.iter().find(of).unwrap().verdict
}

fn work_at<'plan>(plan: &'plan mut Plan, store: &str) -> &'plan mut PairWork {
    plan.pairs.values_mut().find(|work| work.store.as_str().ends_with(store)).unwrap()
}

#[test]
fn a_violation_at_one_store_leaves_the_work_at_another_as_it_was() {
    let rejection = rejected(TWO, |plan| {
        for (_, rule) in &mut work_at(plan, "orders").authorize {
            rule.ports = PortRange::single(22).unwrap();
        }
    });
    let remaining = rejection.remaining.plan();
    assert_eq!(remaining.changes(), changes("instance i-2 connect=billing\ncluster billing connect=billing"));
    assert_eq!(left_out(remaining), ["arn:aws:rds:eu-central-1:123456789012:db:orders".to_owned()].into());
    assert!(matches!(verdict(remaining, "i-1"), Verdict::Refused(Reason::PlanRejected { .. })), "{remaining}");
    assert_eq!(verdict(remaining, "i-2"), &Verdict::Connecting);
}

#[test]
fn nothing_is_attached_to_a_pair_whose_repair_is_left_out() {
    let broken = "instance i-1 connect=orders
        db orders connect=orders
        pair orders 1 loose store-rule=\"tcp 22 from 10.0.0.0/8\"";
    let rejection = rejected(broken, |plan| {
        for (_, rule) in &mut work_at(plan, "orders").revoke {
            *rule = Rule { traffic: Traffic::All, ..rule.clone() };
        }
    });
    assert!(rejection.remaining.plan().is_empty(), "{}", rejection.remaining.plan());
}

#[test]
fn nobody_gets_a_group_that_another_store_lets_in_whose_repair_is_left_out() {
    let lets_in = "instance i-1 connect=orders
        db orders connect=orders
        pair orders 1
        db other connect=other
        pair other 2 store-rule=\"tcp 5432 from sg-ec2-rds-1\"";
    let rejection = rejected(lets_in, |plan| {
        let work = work_at(plan, "other");
        let (group, rule) = work.revoke.first().cloned().unwrap();
        work.revoke.push((group, Rule { traffic: Traffic::All, ..rule }));
    });
    let remaining = rejection.remaining.plan();
    assert!(remaining.is_empty(), "{remaining}");
    assert!(matches!(verdict(remaining, "i-1"), Verdict::Refused(Reason::PlanRejected { .. })), "{remaining}");
}

#[test]
fn a_group_whose_creation_is_left_out_is_attached_nowhere() {
    let rejection = rejected(TWO, |plan| drop(work_at(plan, "orders").create.remove(&Side::Instance)));
    let remaining = rejection.remaining.plan();
    let of_orders = |group: &GroupRef| matches!(group, GroupRef::Planned(store, _) if store.as_str() == "db-orders");
    let mut attached = remaining.interfaces.values().flat_map(|change| change.attach.keys());
    assert!(!attached.any(of_orders), "{remaining}");
    assert!(matches!(verdict(remaining, "i-1"), Verdict::Refused(Reason::PlanRejected { .. })), "{remaining}");
    assert_eq!(verdict(remaining, "i-2"), &Verdict::Connecting);
}

#[test]
fn removals_that_are_not_counted_are_left_out_and_a_block_is_not() {
    let world = "instance i-1
        instance i-2 connect=orders block
        instance i-3 connect=orders
        db orders connect=orders
        pair orders 1 attached-to=i-1,i-2";
    let rejection = rejected(world, |plan| plan.window = None);
    let remaining = rejection.remaining.plan();
    assert!(matches!(rejection.violations().as_slice(), [Violation::BreaksWindow { .. }]));
    let mut kept = changes(world);
    kept.retain(|change| !change.contains("i-1"));
    assert_eq!(remaining.changes(), kept);
    assert!(matches!(verdict(remaining, "i-1"), Verdict::HeldBack(_)), "{remaining}");
    assert!(matches!(verdict(remaining, "i-2"), Verdict::Disconnecting(_)), "{remaining}");
}

#[test]
fn a_store_side_and_its_pair_wait_for_an_instance_side_that_is_left_out() {
    let world = "instance i-1 groups=default
        db orders
        pair orders 1 attached-to=i-1";
    let rejection = rejected(world, |plan| {
        for detachment in plan.interfaces.values_mut().flat_map(|change| change.detach.values_mut()) {
            detachment.reason = DetachReason::Blocked;
        }
    });
    assert!(rejection.remaining.plan().is_empty(), "{}", rejection.remaining.plan());
    assert_eq!(rejection.remaining.plan().window, None);
}

#[test]
fn a_pair_that_nothing_is_decided_about_is_refused_and_named() {
    let rejection = rejected(TWO, |plan| plan.decisions.retain(|decision| decision.instance.as_str() != "i-1"));
    let remaining = rejection.remaining.plan();
    assert!(matches!(verdict(remaining, "i-1"), Verdict::Refused(Reason::PlanRejected { .. })), "{remaining}");
    assert_eq!(left_out(remaining), ["i-1".to_owned()].into());
}

/// Spoils a plan in one of a few ways.
fn spoil(plan: &mut Plan, how: u8) {
    match how {
        0 => plan.window = None,
        1 => plan.decisions.clear(),
        2 => plan.pairs.values_mut().for_each(|work| work.create.clear()),
        3 => plan.pairs.values_mut().for_each(|work| work.authorize.clear()),
        4 => drop(plan.interfaces.pop_first()),
        5 => drop(plan.stores.pop_first()),
        6 => drop(plan.pairs.pop_first()),
        7 => plan.stores.values_mut().for_each(|change| change.cuts = 0),
        8 => plan.stores.values_mut().for_each(|change| drop(change.needed_by.pop_first())),
        9 => drop(plan.cidrs.pop_first()),
        _ => {}
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_rest_of_a_rejected_plan_holds_every_invariant_and_adds_nothing(
        made_in in worlds(), checked_in in worlds(), how in prop::collection::vec(0..12_u8, 0..3)
    ) {
        let World { seen, policy } = &checked_in;
        let mut whole = plan(&made_in.seen, &made_in.policy);
        for how in how {
            spoil(&mut whole, how);
        }
        let Err(rejection) = check(whole.clone(), seen, policy) else { return Ok(()) };
        let remaining = rejection.remaining.plan();
        let again = check(remaining.clone(), seen, policy);
        prop_assert_eq!(again.as_ref(), Ok(&rejection.remaining), "{}", remaining);
        let changes = whole.changes();
        for change in remaining.changes() {
            prop_assert!(changes.contains(&change), "{} is new", change);
        }
        prop_assert!(!left_out(remaining).is_empty(), "nothing is said of {:?}", rejection.objections);
        let after = expected(seen, &rejection.remaining);
        prop_assert_eq!(not_owned(seen), not_owned(&after));
        prop_assert_eq!(foreign_in_lists(seen), foreign_in_lists(&after));
    }
}
