//! The checker: a good plan, spoilt in one way each, is refused for exactly that.

use tagwire_core::{
    check::{Violation, check},
    group::{GroupName, Owned, Ownership},
    id::SecurityGroupId,
    plan::{GroupRef, Plan, Verdict, Via, plan},
    rule::{Peer, PortRange},
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

/// The violations of a plan, once it is verified that what is left of it holds every invariant.
#[track_caller]
fn violations_of(plan: Plan, world: &World) -> Vec<Violation> {
    let rejection = check(plan, &world.seen, &world.policy).unwrap_err();
    let remaining = rejection.remaining.plan();
    assert_eq!(check(remaining.clone(), &world.seen, &world.policy).as_ref(), Ok(&rejection.remaining), "{remaining}");
    rejection.violations()
}

#[track_caller]
fn assert_refused(made_in: &str, spoil: fn(&mut Plan, &World), checked_in: &str, is_it: fn(&Violation) -> bool) {
    let (made_in, checked_in) = (World::read(made_in).unwrap(), World::read(checked_in).unwrap());
    let mut plan = plan(&made_in.seen, &made_in.policy);
    assert!(!plan.is_empty());
    check(plan.clone(), &made_in.seen, &made_in.policy).map(drop).unwrap();
    spoil(&mut plan, &made_in);
    let violations = violations_of(plan, &checked_in);
    assert!(violations.iter().all(is_it), "{violations:?}");
}

const NEW: &str = "instance i-1 connect=orders\ndb orders connect=orders";
const THERE: &str = "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 arn=old";
const WORN: &str = "instance i-1 connect=billing\ndb orders connect=orders\npair orders 1 attached-to=i-1";
const CLIENTS: &str = "db orders connect=orders allow-cidr=203.0.113.0/24\nallow-cidr";
const GONE: &str = "gone orders\npair orders 1";

const UNPROVEN: &str = "instance i-1 groups=default block\ndb orders\npair orders 1 record=none attached-to=i-1";
const TO_NOBODY: &str = "instance i-1\ndb orders connect=orders\npair orders 1 attached-to=i-1";

fn call_it_connected(plan: &mut Plan, world: &World) {
    let [store_side, instance_side] = world.seen.groups.found.as_slice() else { panic!("two groups") };
    for decision in &mut plan.decisions {
        decision.verdict = Verdict::Connected(Via {
            store_side: store_side.id.clone(),
            instance_side: instance_side.id.clone(),
            owned: true,
        });
    }
}

fn unspoilt(_: &mut Plan, _: &World) {}

const COPY: &str = "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1\ndb copy connect=orders groups=default,rds-ec2-1";
const BLOCKED_COPY: &str = "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1\ndb copy connect=orders groups=default,rds-ec2-1 block";

violations! {
    leaving_a_group_of_ours_on_a_store_that_is_blocked_is_refused:
        Violation::LeavesOpen { .. }, BLOCKED_COPY, |plan, _| plan.stores.clear(), BLOCKED_COPY;
    counting_another_store_s_pair_as_a_connection_is_refused:
        Violation::OfAnotherStore { .. }, COPY, connect_the_copy_by_its_source, COPY;
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
        Violation::ReasonDoesNotHold { .. }, WORN, unspoilt, &WORN.replace("connect=billing", "connect=orders");
    removing_more_than_the_window_lets_is_refused:
        Violation::BreaksWindow { .. }, WORN, unspoilt, &format!("{WORN}\nremoved 10 ago=1");
    letting_in_whom_the_installation_does_not_is_refused:
        Violation::NotAllowed { .. }, CLIENTS, unspoilt, &CLIENTS.replace("\nallow-cidr", "");
    deleting_what_a_launch_template_names_is_refused:
        Violation::NotDeletable { .. }, GONE, unspoilt, &format!("{GONE}\ntemplate ec2-rds-1");
    leaving_a_group_with_our_name_and_description_on_an_instance_that_is_blocked_is_refused:
        Violation::LeavesIn { .. }, UNPROVEN, |plan, _| plan.interfaces.clear(), UNPROVEN;
    taking_a_group_that_looks_like_ours_off_one_that_is_not_blocked_is_refused:
        Violation::NotMarked { .. }, UNPROVEN, unspoilt, &UNPROVEN.replace(" block", "");
    taking_off_what_is_called_connected_is_refused:
        Violation::CutsConnected { .. }, TO_NOBODY, call_it_connected, TO_NOBODY;
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
        let name = GroupName { service: Service::Rds, role: Side::Store.into(), number };
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
fn attaching_to_an_isolated_instance_is_refused() {
    let open = "instance i-1 connect=orders groups=quarantine,web\ndb orders connect=orders";
    let violations = refused(open, &format!("{open}\nisolation quarantine"));
    assert!(violations.iter().all(|violation| matches!(violation, Violation::NotJoinable { .. })), "{violations:?}");
}

#[test]
fn attaching_without_having_read_all_groups_is_refused() {
    let whole = "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1";
    let violations = refused(whole, &format!("{whole}\ngap groups"));
    assert!(matches!(violations.as_slice(), [Violation::RestsOnGap { .. }]), "{violations:?}");
    let loose = "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 loose attached-to=i-1";
    let violations = refused(loose, &format!("{loose}\ngap groups"));
    assert!(matches!(violations.as_slice(), [Violation::RestsOnGap { .. }]), "{violations:?}");
}

const UNINSTALLING: &str =
    "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1\nuninstalling ago=5";

#[test]
fn uninstalling_takes_nothing_away_that_somebody_on_hold_uses() {
    let store = "db orders connect=orders\npair orders 1\nuninstalling ago=5";
    for (made_in, checked_in) in [
        // The instance's own side stays, and so does the other end of the connection.
        (UNINSTALLING.to_owned(), UNINSTALLING.replace("instance i-1", "instance i-1 hold")),
        (UNINSTALLING.to_owned(), UNINSTALLING.replace("db orders", "db orders hold")),
        (store.to_owned(), format!("{store}\ninstance i-1 hold groups=default,ec2-rds-1")),
    ] {
        let (made_in, checked_in) = (World::read(&made_in).unwrap(), World::read(&checked_in).unwrap());
        let plan = plan(&made_in.seen, &made_in.policy);
        let rejection = check(plan, &checked_in.seen, &checked_in.policy).unwrap_err();
        let nothing: [&str; 0] = [];
        assert_eq!(rejection.remaining.plan().changes(), nothing, "{checked_in:?}");
    }
}

#[test]
fn uninstalling_takes_nothing_away_that_rests_on_a_gap() {
    let gone = UNINSTALLING.replace("db orders connect=orders\n", "");
    let violations = refused(&gone, &format!("{gone}\ngap stores"));
    let reasons = violations.iter().filter(|violation| matches!(violation, Violation::ReasonDoesNotHold { .. }));
    assert_eq!(reasons.count(), 1, "{violations:?}");
    let deletions = violations.iter().filter(|violation| matches!(violation, Violation::NotDeletable { .. }));
    assert_eq!(deletions.count(), 2, "{violations:?}");
    for gap in ["groups", "instances"] {
        let (made_in, world) = (World::read(UNINSTALLING).unwrap(), format!("{UNINSTALLING}\ngap {gap}"));
        let world = World::read(&world).unwrap();
        let rejection = check(plan(&made_in.seen, &made_in.policy), &world.seen, &world.policy).unwrap_err();
        assert!(rejection.remaining.plan().stores.is_empty(), "{}", rejection.remaining.plan());
        assert!(rejection.remaining.plan().deletions.is_empty(), "{}", rejection.remaining.plan());
    }
}

#[test]
fn a_store_side_stays_while_not_all_groups_are_read() {
    let blocked = "db orders block\npair orders 1\ntemplate ec2-rds-1";
    let violations = refused(blocked, &format!("{blocked}\ngap groups"));
    assert!(matches!(violations.as_slice(), [Violation::RestsOnGap { .. }]), "{violations:?}");
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
    let violations = violations_of(plan, &world);
    assert!(matches!(violations.as_slice(), [Violation::BadName { .. }]), "{violations:?}");
}

#[test]
fn repairing_a_store_outside_the_scope_is_refused() {
    let world = World::read("db orders connect=orders\npair orders 1 arn=old").unwrap();
    let outside = World::read("db orders connect=orders\npair orders 1 arn=old\nscope i-1").unwrap();
    let violations = violations_of(plan(&world.seen, &world.policy), &outside);
    assert!(matches!(violations.as_slice(), [Violation::OutsideScope { .. }]), "{violations:?}");
}

/// Plans what one world asks for and has it checked in another; the violations.
#[track_caller]
fn refused(made_in: &str, checked_in: &str) -> Vec<Violation> {
    spoilt(made_in, checked_in, |_, _| {})
}

#[track_caller]
fn spoilt(made_in: &str, checked_in: &str, spoil: fn(&mut Plan, &World)) -> Vec<Violation> {
    let (made_in, checked_in) = (World::read(made_in).unwrap(), World::read(checked_in).unwrap());
    let mut plan = plan(&made_in.seen, &made_in.policy);
    assert!(!plan.is_empty());
    spoil(&mut plan, &made_in);
    violations_of(plan, &checked_in)
}

/// The owned groups of a world.
fn owned(world: &World) -> Vec<Owned> {
    let groups = world.seen.groups.found.iter();
    let owned = groups.filter_map(|group| match group.ownership() {
        Ownership::Owned(owned) => Some(owned),
        Ownership::Foreign | Ownership::Forged(_) | Ownership::Unproven(_) => None,
    });
    owned.collect()
}

#[test]
fn a_reason_has_to_hold_where_the_plan_is_carried_out() {
    let pair = "pair orders 1 attached-to=i-1";
    for (made_in, checked_in) in [
        ("instance i-1\ndb orders connect=a", "instance i-1 connect=a\ndb orders connect=a"),
        ("instance i-1\ndb orders connect=a", "instance i-1 connect=\"a,b\"\ndb orders connect=a"),
        ("instance i-1\ndb orders connect=a", "instance i-1 hold\ndb orders connect=a"),
        ("instance i-1\ndb orders connect=a", "instance i-1\ndb orders connect=a hold"),
        ("instance i-1 connect=b\ndb orders connect=a", "instance i-1 connect=b\ndb orders connect=\"a,b\""),
        ("instance i-1 block\ndb orders connect=a", "instance i-1\ndb orders connect=a"),
        ("instance i-1\ngone orders", "instance i-1\ngone orders unsure"),
        ("instance i-1\ngone orders", "instance i-1 hold\ngone orders"),
        ("instance i-1\ngone orders", "instance i-1"),
        ("instance i-1\ngone orders", "instance i-1\ngone orders\ndb other groups=default,rds-ec2-1"),
        ("instance i-1\ngone orders", "instance i-1\ngone orders\ninterface eni-9 groups=rds-ec2-1 of=x"),
        ("instance i-1\ngone orders", "instance i-1\ngone orders\ngap attached_interfaces"),
        ("instance i-1\ngone orders", "instance i-1\ngone orders\ngap instances"),
    ] {
        let violations = refused(&format!("{made_in}\n{pair}\ntemplate rds-ec2-1"), &format!("{checked_in}\n{pair}"));
        assert!(
            violations.iter().any(|violation| matches!(violation, Violation::ReasonDoesNotHold { .. })),
            "{violations:?} in\n{checked_in}"
        );
    }
}

#[test]
fn a_store_side_stays_as_long_as_anybody_could_go_before_it() {
    let opted_out = "instance i-1\ndb orders\npair orders 1 attached-to=i-1";
    for more in ["instance i-2 groups=default,ec2-rds-1", "interface eni-9 groups=ec2-rds-1 of=x"] {
        let violations = refused(opted_out, &format!("{opted_out}\n{more}"));
        assert!(
            violations.iter().any(|violation| matches!(violation, Violation::ReasonDoesNotHold { .. })),
            "{violations:?}"
        );
    }
    for gap in ["attached_interfaces", "instances"] {
        let violations = refused(opted_out, &format!("{opted_out}\ngap {gap}"));
        assert!(violations.iter().any(|violation| matches!(violation, Violation::RestsOnGap { .. })), "{violations:?}");
    }
    for store in ["db orders connect=a", "db orders hold", "db orders connect=\"a,b\""] {
        let violations = refused(opted_out, &opted_out.replace("db orders", store));
        assert!(
            violations.iter().any(|violation| matches!(violation, Violation::ReasonDoesNotHold { .. })),
            "{violations:?}"
        );
    }
}

#[test]
fn taking_anything_away_without_having_read_all_groups_is_refused() {
    let violations = refused(WORN, &format!("{WORN}\ngap groups"));
    assert!(matches!(violations.as_slice(), [Violation::RestsOnGap { .. }]), "{violations:?}");
}

#[test]
fn taking_anything_away_outside_the_scope_is_refused() {
    for (made_in, scope) in [(WORN, "scope i-9"), ("db orders block\npair orders 1\ntemplate ec2-rds-1", "scope i-9")] {
        let violations = refused(made_in, &format!("{made_in}\n{scope}"));
        assert!(matches!(violations.as_slice(), [Violation::OutsideScope { .. }]), "{violations:?}");
    }
}

fn connect_the_copy_by_its_source(plan: &mut Plan, _: &World) {
    let id = |group: &str| SecurityGroupId::parse(group).unwrap();
    let via = Via { store_side: id("sg-rds-ec2-1"), instance_side: id("sg-ec2-rds-1"), owned: true };
    for decision in plan.decisions.iter_mut().filter(|decision| decision.store.name() == "copy") {
        decision.verdict = Verdict::Connected(via.clone());
    }
}

/// A copy that is connected by its own pair, and an instance that only the group of its source lets in.
const OWN_PAIR: &str = "instance i-1 connect=orders\ninstance i-2 connect=books\ndb orders connect=orders,books\npair orders 1 attached-to=i-1,i-2\ndb copy connect=orders groups=default,rds-ec2-1\npair copy 2 attached-to=i-1";

#[test]
fn taking_the_group_of_its_source_off_a_copy_is_refused_while_somebody_needs_it_or_uncounted() {
    let off_too_early = OWN_PAIR.replace("pair copy 2 attached-to=i-1", "pair copy 2 loose");
    for checked_in in [
        off_too_early.as_str(),
        &OWN_PAIR.replace("copy connect=orders", "copy"),
        &OWN_PAIR.replace("copy connect=orders", "copy connect=orders hold"),
        &OWN_PAIR.replace("instance i-2 connect=books", "instance i-2 connect=books hold"),
        &format!("{OWN_PAIR}\nscope copy"),
        &format!("{OWN_PAIR}\ngap instances"),
    ] {
        let violations = refused(OWN_PAIR, checked_in);
        assert!(
            violations.iter().any(|violation| matches!(
                violation,
                Violation::ReasonDoesNotHold { .. } | Violation::StoreNotReady { .. }
            )),
            "{checked_in}: {violations:?}"
        );
    }
    let uncounted = spoilt(OWN_PAIR, OWN_PAIR, |plan, _| plan.stores.values_mut().for_each(|change| change.cuts = 0));
    assert!(
        uncounted.iter().any(|violation| matches!(violation, Violation::ReasonDoesNotHold { .. })),
        "{uncounted:?}"
    );
}

#[test]
fn taking_an_instance_side_off_that_leads_to_a_copy_is_refused_while_there_is_no_other_way() {
    let apart =
        "instance i-1 connect=copy\ndb orders connect=orders\npair orders 1 attached-to=i-1\ndb copy connect=copy";
    let carried = apart.replace("db copy connect=copy", "db copy connect=copy groups=default,rds-ec2-1");
    let violations = refused(apart, &carried);
    assert!(
        violations.iter().any(|violation| matches!(violation, Violation::ReasonDoesNotHold { .. })),
        "{violations:?}"
    );
}

#[test]
fn leaving_a_list_empty_is_refused() {
    let alone = |world: &str| world.replace("instance i-1", "instance i-1 groups=none");
    let violations = refused(WORN, &alone(WORN));
    assert!(matches!(violations.as_slice(), [Violation::BadList { .. }]), "{violations:?}");
    let blocked = "db orders block\npair orders 1\ntemplate ec2-rds-1";
    let violations = refused(blocked, &blocked.replace("block", "block groups=none"));
    assert!(matches!(violations.as_slice(), [Violation::BadList { .. }]), "{violations:?}");
}

#[test]
fn taking_a_group_off_that_is_not_the_store_s_is_refused() {
    let two = "instance i-1 connect=billing\ndb orders connect=orders\npair orders 1 attached-to=i-1\npair other 2 attached-to=i-1";
    let violations = spoilt(two, two, |plan, world| {
        let other = owned(world).into_iter().find(|owned| owned.group.id().as_str() == "sg-ec2-rds-2").unwrap();
        for change in plan.interfaces.values_mut() {
            let (_, detachment) = change.detach.pop_first().unwrap();
            change.detach.insert(other.group.clone(), detachment);
        }
    });
    assert!(violations.iter().any(|violation| matches!(violation, Violation::NotOwned { .. })), "{violations:?}");
    // A group that lost its tags in between is nobody's to take away.
    let violations = refused(WORN, &format!("{WORN} made-by=nobody"));
    assert!(violations.iter().all(|violation| matches!(violation, Violation::NotOwned { .. })), "{violations:?}");
}

#[test]
fn removing_without_counting_is_refused() {
    let uncounted = spoilt(WORN, WORN, |plan, _| plan.window = None);
    assert!(matches!(uncounted.as_slice(), [Violation::BreaksWindow { counted: 0, removed: 1, .. }]), "{uncounted:?}");
    let overwritten = spoilt(WORN, WORN, |plan, _| plan.window.as_mut().unwrap().version += 1);
    assert!(matches!(overwritten.as_slice(), [Violation::BreaksWindow { .. }]), "{overwritten:?}");
    let unknown = refused(WORN, &format!("{WORN}\ngap state"));
    assert!(matches!(unknown.as_slice(), [Violation::BreaksWindow { left: 0, .. }]), "{unknown:?}");
    for cut in [
        "instance i-1 groups=none\ndb orders\npair orders 1 attached-to=i-1",
        "instance i-1 connect=orders\ndb orders\npair orders 1 attached-to=i-1\ndb copy connect=orders hold groups=default,rds-ec2-1",
    ] {
        let too_few = spoilt(cut, cut, |plan, _| plan.stores.values_mut().for_each(|change| change.cuts = 0));
        assert!(matches!(too_few.as_slice(), [Violation::ReasonDoesNotHold { .. }]), "{too_few:?}");
    }
}

#[test]
fn what_is_in_use_is_not_deleted() {
    for more in [
        "instance i-9 groups=default,ec2-rds-1",
        "interface eni-9 groups=ec2-rds-1 of=x",
        "interface eni-9 groups=rds-ec2-1 of=i-9 primary",
        "db other groups=default,ec2-rds-1",
        "group web rule=\"tcp 22 from sg-ec2-rds-1\"",
        "gap templates",
        "gap attached_interfaces",
        "gap instances",
        "gap groups",
    ] {
        let violations = refused(GONE, &format!("{GONE}\n{more}"));
        assert!(!violations.is_empty());
        assert!(
            violations.iter().all(|violation| matches!(violation, Violation::NotDeletable { .. })),
            "{violations:?} with {more}"
        );
    }
    let unused = "db orders connect=orders\npair orders 1 loose\nunused rds-ec2-1 ago=20\nunused ec2-rds-1 ago=20";
    for (world, instead) in [
        (unused.replace("ago=20", "ago=1"), "unused too short"),
        (format!("{unused}\nscope orders"), "not a look at everything"),
        (format!("{unused}\ngap stores"), "a store unread"),
        (format!("{unused}\ngap state"), "state not read"),
        (format!("{unused}\ninstance i-1 connect=orders hold"), "asked for"),
        (unused.replace("connect=orders", "connect=orders hold"), "held"),
        (unused.replace("loose", "adding"), "carried"),
    ] {
        let violations = refused(unused, &world);
        let bad = violations.iter().any(|violation| matches!(violation, Violation::NotDeletable { .. }));
        assert!(bad, "{violations:?}: {instead}");
    }
}

#[test]
fn the_rules_of_a_deletion_are_those_that_name_owned_groups_and_no_others() {
    let world = format!("{GONE} store-rule=\"tcp 22 from 10.0.0.0/8\"");
    let violations = spoilt(&world, &world, |plan, world| {
        let side = owned(world).into_iter().find(|owned| owned.name.role == Side::Store).unwrap();
        let rule = world.seen.groups.found.iter().flat_map(|group| &group.rules);
        let rule = rule.into_iter().find(|rule| matches!(rule.peer, Peer::Ipv4(_))).unwrap().clone();
        plan.deletions.values_mut().for_each(|deletion| deletion.revoke.push((side.group.clone(), rule.clone())));
    });
    assert!(matches!(violations.as_slice(), [Violation::BadRule { .. }]), "{violations:?}");
}

#[test]
fn deleting_another_store_s_group_is_refused() {
    let world = format!("{GONE}\npair other 2");
    let violations = spoilt(&world, &world, |plan, world| {
        let other = owned(world).into_iter().find(|owned| owned.store.as_str() == "db-other").unwrap();
        plan.deletions.values_mut().for_each(|deletion| deletion.delete.push(other.group.clone()));
    });
    assert!(violations.iter().any(|violation| matches!(violation, Violation::NotOwned { .. })), "{violations:?}");
}
