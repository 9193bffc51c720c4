//! The checker: a good plan, spoilt in one way each, is refused for exactly that.

use tagwire_core::{
    check::{Violation, check},
    group::{GroupName, Ownership},
    id::SecurityGroupId,
    plan::{GroupRef, Plan, plan},
    rule::PortRange,
    service::{Service, Side},
};
use tagwire_world::World;

/// A case for every violation; without one for a new violation this does not compile. Each is
/// the world that a good plan is made for, how the plan is spoilt, and the world it is checked in.
macro_rules! violations {
    ($($name:ident: $pattern:pat, $made_in:expr, $spoil:expr, $checked_in:expr;)+) => {
        $(
            #[test]
            fn $name() {
                assert_refused($made_in, $spoil, $checked_in, |violation| matches!(violation, $pattern));
            }
        )+

        #[expect(dead_code, reason = "it has only to compile")]
        fn every_violation_has_a_case(violation: &Violation) {
            match violation {
                $($pattern => {})+
            }
        }
    };
}

#[track_caller]
fn assert_refused(made_in: &str, spoil: fn(&mut Plan, &World), checked_in: &str, is_it: fn(&Violation) -> bool) {
    let (made_in, checked_in) = (World::read(made_in).unwrap(), World::read(checked_in).unwrap());
    let mut plan = plan(&made_in.seen, &made_in.policy);
    assert!(!plan.is_empty());
    check(plan.clone(), &made_in.seen, &made_in.policy).map(drop).unwrap();
    spoil(&mut plan, &made_in);
    let violations = check(plan, &checked_in.seen, &checked_in.policy).unwrap_err();
    assert!(violations.iter().all(is_it), "{violations:?}");
}

const NEW: &str = "instance i-1 connect=orders\ndb orders connect=orders";
const THERE: &str = "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 arn=old";
const WORN: &str = "instance i-1 connect=billing\ndb orders connect=orders\npair orders 1 worn-by=i-1";
const GONE: &str = "gone orders\npair orders 1";

fn unspoilt(_: &mut Plan, _: &World) {}

violations! {
    a_change_outside_the_scope_is_refused:
        Violation::OutsideScope { .. }, NEW, unspoilt, &format!("{NEW}\nscope i-9");
    attaching_a_group_that_is_not_owned_is_refused:
        Violation::NotOwned { .. }, THERE, attach_a_foreign_group, THERE;
    a_name_that_is_taken_is_refused:
        Violation::BadName { .. }, NEW, |plan, _| rename(plan, 9), &format!("{NEW}\ngroup RDS-EC2-9");
    a_rule_for_another_port_is_refused:
        Violation::BadRule { .. }, NEW, open_another_port, NEW;
    revoking_the_pair_s_own_rule_is_refused:
        Violation::CutsPair { .. }, THERE, revoke_the_pair_s_rules, THERE;
    attaching_a_group_that_nobody_creates_is_refused:
        Violation::NeverCreated { .. }, NEW, create_no_instance_side, NEW;
    a_list_that_is_too_long_is_refused:
        Violation::BadList { .. }, NEW, unspoilt, &format!("{NEW}\nlimit 1");
    a_store_that_takes_no_change_now_is_refused:
        Violation::StoreNotReady { .. }, NEW, unspoilt, &format!("{NEW} state=modifying");
    joining_what_is_blocked_is_refused:
        Violation::NotJoinable { .. }, NEW, unspoilt, &format!("{NEW} block");
    creating_a_pair_without_having_seen_all_groups_is_refused:
        Violation::RestsOnGap { .. }, NEW, unspoilt, &format!("{NEW}\ngap groups");
    taking_away_what_is_asked_for_is_refused:
        Violation::NoGround { .. }, WORN, unspoilt, &WORN.replace("connect=billing", "connect=orders");
    removing_more_than_the_window_lets_is_refused:
        Violation::BreaksWindow { .. }, WORN, unspoilt, &format!("{WORN}\nremoved 10 ago=1");
    deleting_what_a_launch_template_names_is_refused:
        Violation::NotDeletable { .. }, GONE, unspoilt, &format!("{GONE}\ntemplate ec2-rds-1");
    saying_nothing_about_a_pair_that_shares_a_name_is_refused:
        Violation::Undecided { .. }, NEW, |plan, _| plan.decisions.clear(), NEW;
}

fn attach_a_foreign_group(plan: &mut Plan, _: &World) {
    for change in plan.interfaces.values_mut() {
        let attachment = change.attach.pop_first().unwrap().1;
        change.attach.insert(GroupRef::Existing(SecurityGroupId::parse("sg-web").unwrap()), attachment);
    }
}

fn rename(plan: &mut Plan, number: u32) {
    for work in plan.pairs.values_mut() {
        let name = GroupName { service: Service::Rds, side: Side::Store, number };
        work.create.get_mut(&Side::Store).unwrap().name = name;
    }
}

fn open_another_port(plan: &mut Plan, _: &World) {
    for (_, rule) in plan.pairs.values_mut().flat_map(|work| &mut work.authorize) {
        rule.ports = PortRange::single(22).unwrap();
    }
}

fn revoke_the_pair_s_rules(plan: &mut Plan, world: &World) {
    for group in &world.seen.groups.found {
        let Ownership::Owned(owned) = group.ownership() else { continue };
        for work in plan.pairs.values_mut() {
            work.revoke.extend(group.rules.iter().map(|rule| (owned.group.clone(), rule.clone())));
        }
    }
}

fn create_no_instance_side(plan: &mut Plan, _: &World) {
    for work in plan.pairs.values_mut() {
        work.create.remove(&Side::Instance);
    }
}

#[test]
fn two_groups_of_one_name_in_one_plan_are_refused() {
    let world = World::read(
        "instance i-1 connect=orders
         db orders connect=orders
         cluster big connect=orders",
    )
    .unwrap();
    let mut plan = plan(&world.seen, &world.policy);
    rename(&mut plan, 1);
    let violations = check(plan, &world.seen, &world.policy).unwrap_err();
    assert!(matches!(violations.as_slice(), [Violation::BadName { .. }]), "{violations:?}");
}

#[test]
fn repairing_a_store_outside_the_scope_is_refused() {
    let world = World::read("db orders connect=orders\npair orders 1 arn=old").unwrap();
    let outside = World::read("db orders connect=orders\npair orders 1 arn=old\nscope i-1").unwrap();
    let violations = check(plan(&world.seen, &world.policy), &outside.seen, &outside.policy).unwrap_err();
    assert!(matches!(violations.as_slice(), [Violation::OutsideScope { .. }]), "{violations:?}");
}
