//! Being uninstalled: everything owned goes, nothing of others does, and nothing is made any more.

use proptest::prelude::*;
use tagwire_core::{
    check::{Violation, check},
    finding::Reason,
    group::SecurityGroup,
    observation::{Observation, Scope},
    plan::{DeleteReason, DetachReason, plan},
};
use tagwire_world::{World, worlds};

use crate::{
    arbitrary::{config, fully_read},
    case::{after, case, foreign_in_lists, not_owned, step},
};

const JOINED: &str = "instance i-1 connect=orders
    instance i-2 connect=orders
    db orders connect=orders
    pair orders 1 attached-to=i-1,i-2
    attached i-1 ec2-rds-1 tag=orders ago=600";

fn owned(seen: &Observation) -> Vec<&SecurityGroup> {
    seen.groups.found.iter().filter(|group| group.ownership().ours().is_some()).collect()
}

#[test]
fn what_tags_ask_for_goes_as_a_whole_and_uncounted() {
    let case = case(&format!("{JOINED}\nmax 0\nuninstalling ago=5")).changes(
        "detach sg-rds-ec2-1 from db/orders: tagwire is being uninstalled
         detach sg-ec2-rds-1 from eni-1 of i-1: tagwire is being uninstalled (db/orders)
         detach sg-ec2-rds-1 from eni-2 of i-2: tagwire is being uninstalled (db/orders)
         revoke in sg-ec2-rds-1: tcp 5432 to sg-rds-ec2-1
         revoke in sg-rds-ec2-1: tcp 5432 from sg-ec2-rds-1
         delete sg-ec2-rds-1 of db/orders: tagwire is being uninstalled
         delete sg-rds-ec2-1 of db/orders: tagwire is being uninstalled",
    );
    assert_eq!(case.plan.window, None);
    let then = after(&case.world, 1).unwrap();
    assert_eq!(owned(&then.seen), Vec::<&SecurityGroup>::new());
}

#[test]
fn nothing_is_made_and_it_is_said_why() {
    case("instance i-1 connect=orders\ndb orders connect=orders allow-cidr=203.0.113.0/24\nallow-cidr\nuninstalling ago=5")
        .changes_nothing()
        .codes(&["uninstalling"]);
}

#[test]
fn what_a_hand_made_or_console_pair_connects_stays() {
    case("instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1 made-by=console\nuninstalling ago=5")
        .changes_nothing()
        .explains("i-1 and db/orders: connected by others through sg-ec2-rds-1 and sg-rds-ec2-1");
}

#[test]
fn clients_that_are_no_instances_are_shut_out() {
    case(
        "db orders connect=orders allow-cidr=203.0.113.0/24
          group rds-cidr-1 tagged=orders/cidr ours=cidr on=orders rule=\"tcp 5432 from 203.0.113.0/24\"
          allow-cidr
          max 0
          uninstalling ago=5",
    )
    .changes(
        "detach sg-rds-cidr-1 from db/orders: tagwire is being uninstalled
         delete sg-rds-cidr-1 of db/orders: tagwire is being uninstalled",
    );
}

#[test]
fn a_tag_that_cannot_be_read_and_an_unknown_store_keep_nothing() {
    case("instance i-1 connect=\"a,b\"\ndb orders connect=orders\npair orders 1 attached-to=i-1\nuninstalling ago=5")
        .changes(
            "detach sg-rds-ec2-1 from db/orders: tagwire is being uninstalled
             detach sg-ec2-rds-1 from eni-1 of i-1: tagwire is being uninstalled (db/orders)
             revoke in sg-ec2-rds-1: tcp 5432 to sg-rds-ec2-1
             revoke in sg-rds-ec2-1: tcp 5432 from sg-ec2-rds-1
             delete sg-ec2-rds-1 of db/orders: tagwire is being uninstalled
             delete sg-rds-ec2-1 of db/orders: tagwire is being uninstalled",
        );
}

#[test]
fn a_hold_keeps_what_is_there_and_says_so() {
    for held in [
        "instance i-1 connect=orders hold\ndb orders connect=orders",
        "instance i-1 connect=orders\ndb orders connect=orders hold",
    ] {
        let case = case(&format!("{held}\npair orders 1 attached-to=i-1\nuninstalling ago=5"));
        assert!(case.plan.interfaces.is_empty() && case.plan.deletions.is_empty(), "{}", case.plan);
        assert!(case.plan.findings.iter().any(|finding| finding.reason == Reason::Held), "{}", case.plan);
    }
}

#[test]
fn a_store_side_stays_while_it_is_not_known_who_has_its_pair() {
    let with_gap = format!("{JOINED}\nuninstalling ago=5\ngap attached_interfaces");
    let made = case(&with_gap).plan;
    assert!(made.stores.is_empty() && made.deletions.is_empty(), "{made}");
    let read = World::read(&format!("{JOINED}\nuninstalling ago=5")).unwrap();
    let unread = World::read(&with_gap).unwrap();
    let refused = check(plan(&read.seen, &read.policy), &unread.seen, &unread.policy);
    let violations = refused.unwrap_err().violations();
    let of_gap = violations.iter().filter(|violation| matches!(violation, Violation::RestsOnGap { .. }));
    assert_eq!(of_gap.count(), 1, "{violations:?}");
}

/// The store's own interface, or that of a copy which was not read: they look the same.
const BESIDE_UNREAD: &str = "db orders connect=orders
    pair orders 1
    interface eni-9 groups=default,rds-ec2-1 of=RDSNetworkInterface
    uninstalling ago=5";

#[test]
fn a_pair_stays_while_an_interface_may_be_that_of_a_store_that_was_not_read() {
    for gap in ["gap stores", "gap stores of=copy", "gap stores of=orders,copy"] {
        let case = case(&format!("{BESIDE_UNREAD}\n{gap}"))
            .changes("detach sg-rds-ec2-1 from db/orders: tagwire is being uninstalled");
        let mut then = after(&case.world, 1).unwrap();
        assert!(plan(&then.seen, &then.policy).is_empty());
        // The store's own interface follows its list.
        then.seen.attachments.by.found.clear();
        assert_eq!(plan(&then.seen, &then.policy).deletions.len(), 1);
    }
    for gap in ["", "gap stores of=orders"] {
        assert_eq!(case(&format!("{BESIDE_UNREAD}\n{gap}")).plan.deletions.len(), 1, "{gap}");
    }
}

#[test]
fn the_checker_sees_that_an_interface_may_be_that_of_a_store_that_was_not_read() {
    let read = World::read(BESIDE_UNREAD).unwrap();
    let unread = World::read(&format!("{BESIDE_UNREAD}\ngap stores of=copy")).unwrap();
    let made = plan(&read.seen, &read.policy);
    let violations = check(made, &unread.seen, &unread.policy).unwrap_err().violations();
    let refused = |violation: &&Violation| matches!(violation, Violation::NotDeletable { .. });
    assert_eq!(violations.iter().filter(refused).count(), 1, "{violations:?}");
}

/// An instance on hold that has the instance side on its second interface alone.
const HELD_BESIDE: &str = "instance i-1
    instance i-2 connect=orders hold
    pair orders 1 attached-to=i-1
    interface eni-9 of=i-2 groups=ec2-rds-1";

#[test]
fn a_hold_keeps_a_store_side_that_is_used_by_a_second_interface() {
    let uninstalled = case(&format!("{HELD_BESIDE}\ndb orders connect=orders\nuninstalling ago=5")).plan;
    assert!(uninstalled.stores.is_empty() && uninstalled.deletions.is_empty(), "{uninstalled}");
    let held = uninstalled.findings.iter().filter(|finding| finding.reason == Reason::Held);
    assert_eq!(held.map(|finding| finding.subject.to_string()).collect::<Vec<_>>(), ["i-2"], "{uninstalled}");
    // It has no say when the store itself opts out.
    let opted_out = case(&format!("{HELD_BESIDE}\ndb orders")).plan;
    assert_eq!(opted_out.stores.values().map(|change| change.cuts).collect::<Vec<_>>(), [1], "{opted_out}");
}

#[test]
fn the_checker_sees_a_hold_on_the_instance_of_a_second_interface() {
    let beside = HELD_BESIDE.replace("attached-to=i-1", "");
    for (free, held, reason) in [
        (
            "db orders connect=orders\nuninstalling ago=5",
            "db orders connect=orders\nuninstalling ago=5",
            DetachReason::Uninstalling,
        ),
        ("db orders", "db orders hold", DetachReason::StoreOptedOut),
    ] {
        let held = World::read(&format!("{beside}\n{held}")).unwrap();
        let free = World::read(&format!("{}\n{free}", beside.replace(" hold", ""))).unwrap();
        let made = plan(&free.seen, &free.policy);
        let violations = check(made, &held.seen, &held.policy).unwrap_err().violations();
        let refused = |violation: &Violation| matches!(violation, Violation::ReasonDoesNotHold { reason: of, .. } if *of == reason);
        assert!(violations.iter().any(refused), "{violations:?}");
    }
}

#[test]
fn status_tags_are_taken_off() {
    case("instance i-1 connect=orders status=\"connected: orders\"\ndb orders connect=orders status=\"connected: i-1\"\nstatus-tags\nuninstalling ago=5")
        .changes("take the status off i-1\ntake the status off db/orders");
}

#[test]
fn without_being_asked_the_same_plan_is_refused() {
    let asked = World::read(&format!("{JOINED}\nuninstalling ago=5")).unwrap();
    let unasked = World::read(JOINED).unwrap();
    let made = plan(&asked.seen, &asked.policy);
    check(made.clone(), &asked.seen, &asked.policy).map(drop).unwrap();
    let violations = check(made, &unasked.seen, &unasked.policy).unwrap_err().violations();
    let of_reasons = violations.iter().filter(|violation| {
        matches!(violation, Violation::ReasonDoesNotHold { reason: DetachReason::Uninstalling, .. })
    });
    assert_eq!(of_reasons.count(), 3, "{violations:?}");
    let of_groups = violations.iter().filter(|violation| matches!(violation, Violation::NotDeletable { .. }));
    assert_eq!(of_groups.count(), 2, "{violations:?}");
    let joins = plan(&unasked.seen, &unasked.policy);
    assert!(joins.is_empty(), "it is connected: {joins}");
    let apart = World::read("instance i-1 connect=orders\ndb orders connect=orders").unwrap();
    let mut told = apart.clone();
    told.seen.state = asked.seen.state.clone();
    assert!(check(plan(&apart.seen, &apart.policy), &told.seen, &told.policy).is_err(), "nothing may be made any more");
}

/// What may keep something owned, each said to the operator.
fn keeps(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::Held
            | Reason::ManagedInstance { .. }
            | Reason::LastGroup { .. }
            | Reason::GroupInLaunchTemplate
            | Reason::GroupInRule { .. }
            | Reason::ForeignAttachment { .. }
            | Reason::CopyRemains { .. }
            | Reason::InterfaceLeftOver { .. }
            | Reason::ListChanging { .. }
            | Reason::NotAvailable { .. }
            | Reason::StillAttached { .. }
            | Reason::CopiedGroup { .. }
            | Reason::CopiedGroupLeaving { .. }
            | Reason::StoreUnknown { .. }
            | Reason::StoreMoved { .. }
            | Reason::IdentityConflict { .. }
            | Reason::StoreGone
            | Reason::Ec2Classic
            | Reason::NetworkNotShown { .. }
    )
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn everything_owned_goes_or_it_is_said_what_keeps_it(world in worlds()) {
        let mut world = fully_read(world);
        world.seen.scope = Scope::Vpc;
        if let Ok(state) = &mut world.seen.state {
            state.uninstalling = Some(world.seen.at);
        }
        let (others, lists) = (not_owned(&world.seen), foreign_in_lists(&world.seen));
        let (others, lists) = (format!("{others:?}"), format!("{lists:?}"));
        let mut now = world.clone();
        for _ in 0..4 {
            let (plan, then) = step(&now, 1).map_err(TestCaseError::fail)?;
            let adds = plan.actions().into_iter().find(|action| action.effect == tagwire_core::plan::Effect::Add);
            prop_assert_eq!(adds, None, "nothing is made any more");
            now = then;
        }
        let last = plan(&now.seen, &now.policy);
        prop_assert!(last.is_empty(), "it does not end:\n{}", last);
        prop_assert_eq!(others, format!("{:?}", not_owned(&now.seen)));
        prop_assert_eq!(lists, format!("{:?}", foreign_in_lists(&now.seen)));
        let kept = owned(&now.seen);
        let message = last.findings.iter().any(|finding| keeps(&finding.reason));
        let used_by_others = !now.seen.attachments.by.found.is_empty();
        // What is on hold is no part of the uninstall; where its store opted out, it goes when the window lets it.
        let on_hold = now.seen.instances.found.iter().any(|instance| instance.settings.held);
        let waits = on_hold
            && last.findings.iter().any(|finding| matches!(finding.reason, Reason::DisconnectsHeldBack { .. }));
        prop_assert!(kept.is_empty() || message || used_by_others || waits, "{:?} stay and nothing says why:\n{}", kept, last);
        let because = plan(&world.seen, &world.policy).deletions.into_values().map(|end| end.reason);
        prop_assert!(because.into_iter().all(|because| because == DeleteReason::Uninstalling));
    }
}
