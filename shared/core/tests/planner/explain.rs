//! Explanations agree with the plan that they explain.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tagwire_core::{
    explain::{self, Explanation, FailedCondition, StepResult},
    finding::Reason,
    id::{InstanceId, SecurityGroupId, StoreArn},
    observation::{Observation, Scope, StoreLookup},
    plan::{Condition, DetachReason, Plan, Premise, Verdict, plan},
    tag::DEFAULT_CONNECT_KEY,
};
use tagwire_world::{World, worlds};

use crate::arbitrary::config;

pub(crate) fn world(text: &str) -> World {
    World::read(text).unwrap_or_else(|bad| panic!("{bad}"))
}

pub(crate) fn explained(world: &World, instance: &InstanceId, store: &StoreArn) -> Explanation {
    explain::connection(&world.seen, &world.policy, DEFAULT_CONNECT_KEY, instance, store)
}

/// The explanation of the first instance and the first store of a world.
pub(crate) fn first(world: &World) -> Explanation {
    let instance = &world.seen.instances.found.first().unwrap().id;
    let store = world.seen.stores.found.first().unwrap().arn();
    explained(world, instance, store)
}

/// Which step fails first, with which code.
fn fails(text: &str) -> Option<(&'static str, &'static str)> {
    first(&world(text)).first_failing().map(|(step, failure)| (step.condition, failure.code))
}

/// A world in which a condition is the first that does not hold, and the reason's code.
fn failing(condition: Condition) -> (&'static str, &'static str) {
    match condition {
        Condition::NotUninstalling => {
            ("instance i-1 connect=orders\ndb orders connect=orders\nuninstalling ago=5", "uninstalling")
        }
        Condition::InstanceThere => ("instance i-1 connect=orders gone\ndb orders connect=orders", "instance-gone"),
        Condition::InstanceNotManaged => {
            ("instance i-1 connect=orders managed-by=eks.amazonaws.com\ndb orders connect=orders", "managed-instance")
        }
        Condition::InstanceNotBlocked => ("instance i-1 connect=orders block\ndb orders connect=orders", "blocked"),
        Condition::InstanceNotHeld => ("instance i-1 connect=orders hold\ndb orders connect=orders", "held"),
        Condition::StoreInVpc => ("instance i-1 connect=orders\ndb orders connect=orders classic", "ec2-classic"),
        Condition::StoreKind => {
            ("instance i-1 connect=orders\ncluster orders connect=orders serverless-v1", "serverless-v1")
        }
        Condition::StoreNotBlocked => ("instance i-1 connect=orders\ndb orders connect=orders block", "blocked"),
        Condition::StoreNotHeld => ("instance i-1 connect=orders\ndb orders connect=orders hold", "held"),
        Condition::StoreState => {
            ("instance i-1 connect=orders\ndb orders connect=orders state=deleting", "not-available")
        }
        Condition::StoreShown => ("instance i-1 connect=orders\ndb orders connect=orders port=none", "no-endpoint"),
        Condition::GroupsRead => ("instance i-1 connect=orders\ndb orders connect=orders\ngap groups", "unread"),
        Condition::OnePair => (
            "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 only=store\npair orders 2\ngroup ec2-rds-1",
            "ambiguous-pair",
        ),
        Condition::StorePlace => {
            ("instance i-1 connect=orders\ndb orders connect=orders groups=a,b,c,d,e", "store-group-limit")
        }
        Condition::NotContested => (
            "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1\nattached i-1 ec2-rds-1 tag=orders contested",
            "contested",
        ),
        Condition::OpensNoOther => (
            "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1\ndb other connect=other hold\npair other 2 store-rule=\"tcp 5432 from sg-ec2-rds-1\"",
            "let-in-elsewhere",
        ),
        Condition::InterfacePlace => {
            ("instance i-1 connect=orders groups=a,b,c,d,e\ndb orders connect=orders", "interface-group-limit")
        }
        Condition::StoreListOpen => {
            ("instance i-1 connect=orders\ndb orders connect=orders state=modifying", "not-available")
        }
    }
}

#[test]
fn every_condition_is_the_first_to_fail_in_some_world() {
    for condition in Condition::ALL {
        let (text, code) = failing(condition);
        assert_eq!(fails(text), Some((condition.code(), code)), "{text}");
    }
}

/// A world in which a premise is the first that does not hold, and the code.
fn without(premise: Premise) -> (&'static str, &'static str) {
    match premise {
        Premise::SameVpc => ("instance i-1 connect=orders\ndb orders connect=orders vpc=2", "different-vpc"),
        Premise::InstanceTag => ("instance i-1\ndb orders connect=orders", "not-opted-in"),
        Premise::StoreTag => ("instance i-1 connect=orders\ndb orders connect=\"a,b\"", "invalid-tag"),
        Premise::SharedName => ("instance i-1 connect=Orders\ndb orders connect=orders", "no-match"),
        Premise::InScope => {
            ("instance i-1 connect=orders\ninstance i-2\ndb orders connect=orders\nscope i-2", "outside-scope")
        }
    }
}

#[test]
fn every_premise_is_the_first_to_fail_in_some_world() {
    for premise in Premise::ALL {
        let (text, code) = without(premise);
        assert_eq!(fails(text), Some((premise.code(), code)), "{text}");
        assert_eq!(first(&world(text)).verdict, None, "{text}");
    }
}

/// A world in which a reason takes a connection away; none for those that are about other clients than
/// instances, or about what is no connection of the store.
fn taken_away(reason: DetachReason) -> Option<(&'static str, &'static str)> {
    Some(match reason {
        DetachReason::NoInstance | DetachReason::CidrNotAskedFor | DetachReason::OfAnotherStore => return None,
        DetachReason::NamesNotShared => {
            ("instance i-1 connect=billing\ndb orders connect=orders\npair orders 1 attached-to=i-1", "kept")
        }
        DetachReason::NotAskedFor => ("instance i-1\ndb orders connect=orders\npair orders 1 attached-to=i-1", "kept"),
        DetachReason::StoreOptedOut => {
            ("instance i-1 connect=orders\ndb orders\npair orders 1 attached-to=i-1", "kept")
        }
        DetachReason::StoreGone => ("instance i-1 connect=orders\ngone orders\npair orders 1 attached-to=i-1", "kept"),
        DetachReason::Uninstalling => (
            "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1\nuninstalling ago=5",
            "kept",
        ),
        DetachReason::Blocked => {
            ("instance i-1 connect=orders block\ndb orders connect=orders\npair orders 1 attached-to=i-1", "kept")
        }
    })
}

#[test]
fn a_connection_that_goes_says_for_which_reason() {
    for reason in DetachReason::ALL {
        let Some((text, condition)) = taken_away(reason) else { continue };
        assert_eq!(first(&world(text)).verdict, Some(Verdict::Disconnecting(reason)), "{text}");
        assert_eq!(fails(text), Some((condition, reason.code())), "{text}");
        let explained = first(&world(&format!("{text}\nmax 0")));
        let verdict = if reason.is_counted() { Verdict::HeldBack(reason) } else { Verdict::Disconnecting(reason) };
        assert_eq!(explained.verdict, Some(verdict), "{text}");
        assert_eq!(explained.first_failing().map(|(step, _)| step.condition), Some(condition), "{text}");
    }
}

#[test]
fn the_remedy_for_a_mistyped_name_mends_it_and_keeps_what_is_shared_with_others() {
    for (text, value) in [
        ("instance i-1 connect=Orders\ndb orders connect=orders", "orders"),
        ("instance i-1 connect=\"billing ordres\"\ndb orders connect=\"accounts orders\"", "billing orders"),
        ("instance i-1 connect=ordres\ndb orders connect=orders\ndb other connect=ordres", "orders ordres"),
    ] {
        let set = format!("aws ec2 create-tags --resources i-1 --tags 'Key=tagwire:connect,Value={value}'");
        assert_eq!(first(&world(text)).remedy, [set], "{text}");
    }
}

#[test]
fn a_connection_that_no_tag_asks_for_any_more_and_that_is_on_hold_is_said_to_be_one() {
    for text in [
        "instance i-1 hold\ndb orders connect=orders\npair orders 1 attached-to=i-1",
        "instance i-1\ndb orders connect=orders hold\npair orders 1 attached-to=i-1",
    ] {
        assert_eq!(
            first(&world(text)).message,
            "i-1 and db/orders: connected by tagwire through sg-ec2-rds-1 and sg-rds-ec2-1, and stays only because it \
             carries tagwire:hold, so nothing is attached or detached (held): the \
             instance has no tagwire:connect (not-opted-in)",
            "{text}"
        );
    }
}

/// A world in which a reason keeps a connection from being made; none for what never does. A new reason
/// does not compile without an answer, and [`only_these_reasons_refuse`] finds a wrong one.
fn refusing(reason: &Reason) -> Option<&'static str> {
    match reason {
        Reason::Blocked => Some("instance i-1 connect=orders\ndb orders connect=orders block"),
        Reason::Held => Some("instance i-1 connect=orders hold\ndb orders connect=orders"),
        Reason::InstanceGone => Some("instance i-1 connect=orders gone\ndb orders connect=orders"),
        Reason::ManagedInstance { .. } => Some(failing(Condition::InstanceNotManaged).0),
        Reason::NotAvailable { .. } => {
            Some("instance i-1 connect=orders\ndb orders connect=orders port=none state=creating")
        }
        Reason::NoEndpoint { .. } => Some(failing(Condition::StoreShown).0),
        Reason::GroupsNotShown { .. } => Some("instance i-1 connect=orders\ndb orders connect=orders groups=none"),
        Reason::NetworkNotShown { .. } => Some("instance i-1 connect=orders\ndb orders connect=orders not-shown"),
        Reason::NoVpcNetworking { .. } => {
            Some("instance i-1 connect=orders\ncluster orders connect=orders vpc-networking-off")
        }
        Reason::PublicEndpoint => {
            Some("instance i-1 connect=orders\nserverlesscache orders connect=orders public-endpoint")
        }
        Reason::ListChanging { .. } => Some("instance i-1 connect=orders\ndb orders connect=orders groups=web:adding"),
        Reason::ServerlessV1 => Some("instance i-1 connect=orders\ncluster orders connect=orders serverless-v1"),
        Reason::GlobalDatabase { .. } => {
            Some("instance i-1 connect=orders\ncluster orders connect=orders global=world")
        }
        Reason::Ec2Classic => Some("instance i-1 connect=orders\ndb orders connect=orders classic"),
        Reason::StoreGroupLimit { .. } => {
            Some("instance i-1 connect=orders\ndb orders connect=orders groups=a,b,c,d,e")
        }
        Reason::InterfaceGroupLimit { .. } => {
            Some("instance i-1 connect=orders groups=a,b,c,d,e\ndb orders connect=orders")
        }
        Reason::AmbiguousPair { .. } => Some(failing(Condition::OnePair).0),
        Reason::Contested { .. } => Some(failing(Condition::NotContested).0),
        Reason::LetInElsewhere { .. } => Some(failing(Condition::OpensNoOther).0),
        Reason::Uninstalling => Some(failing(Condition::NotUninstalling).0),
        Reason::Unread { .. } => Some("instance i-1 connect=orders\ndb orders connect=orders\ngap groups"),
        Reason::IdentityConflict { .. } => {
            Some("instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 store-tags=none")
        }
        Reason::InvalidTag { .. }
        | Reason::ClusterMember { .. }
        | Reason::CopiedGroup { .. }
        | Reason::CopiedGroupLeaving { .. }
        | Reason::DifferentVpc { .. }
        | Reason::NoMatch { .. }
        | Reason::StoreGone
        | Reason::MoreThanWindow { .. }
        | Reason::OwnershipForged { .. }
        | Reason::IdentityUnproven { .. }
        | Reason::PairModified { .. }
        | Reason::CrossAz { .. }
        | Reason::DisconnectsHeldBack { .. }
        | Reason::ForeignAttachment { .. }
        | Reason::CopyRemains { .. }
        | Reason::InterfaceLeftOver { .. }
        | Reason::DefaultGroupAttached { .. }
        | Reason::LastGroup { .. }
        | Reason::GroupInLaunchTemplate
        | Reason::GroupInRule { .. }
        | Reason::OwnershipLost
        | Reason::StoreUnknown { .. }
        | Reason::StoreMoved { .. }
        | Reason::StillAttached { .. }
        | Reason::InvalidCidr { .. }
        | Reason::AmbiguousCidrGroup { .. }
        | Reason::CidrModified { .. }
        | Reason::CidrNotAllowed
        | Reason::CidrTooWide { .. }
        | Reason::CidrWidened { .. }
        | Reason::CidrSumLimit { .. }
        | Reason::PrefixListForeign { .. }
        | Reason::PrefixListNotFound { .. }
        | Reason::CidrRuleLimit { .. }
        | Reason::PlanRejected { .. } => None,
    }
}

fn refusal(verdict: &Verdict) -> Option<&Reason> {
    match verdict {
        Verdict::Waiting(reason) | Verdict::Refused(reason) => Some(reason),
        Verdict::Connected(_) | Verdict::Connecting | Verdict::Disconnecting(_) | Verdict::HeldBack(_) => None,
    }
}

#[test]
fn every_reason_that_refuses_is_walked_to() {
    let worlds: BTreeSet<&str> = crate::reasons::examples().iter().filter_map(refusing).collect();
    assert_eq!(worlds.len(), 22);
    let mut reasons = BTreeSet::new();
    for text in worlds {
        let world = world(text);
        let decision = plan(&world.seen, &world.policy).decisions.remove(0);
        let reason = refusal(&decision.verdict).unwrap_or_else(|| panic!("{text}: {:?}", decision.verdict)).clone();
        assert_eq!(refusing(&reason), Some(text));
        let explained = explained(&world, &decision.instance, &decision.store);
        assert_eq!(explained.verdict, Some(decision.verdict));
        assert_eq!(explained.first_failing().unwrap().1.reason.as_ref(), Some(&reason));
        assert!(!explained.remedy.is_empty(), "nothing is said to do about {reason}");
        reasons.insert(reason.code());
    }
    assert_eq!(reasons.len(), 22);
}

/// Every instance, store and group that a world says anything about, and one of each that it does not.
pub(crate) fn named(seen: &Observation) -> (BTreeSet<InstanceId>, BTreeSet<StoreArn>, BTreeSet<SecurityGroupId>) {
    let mut instances: BTreeSet<_> = seen.instances.found.iter().map(|instance| instance.id.clone()).collect();
    let mut stores: BTreeSet<_> = seen.stores.found.iter().map(|lookup| lookup.arn().clone()).collect();
    let mut groups: BTreeSet<_> = seen.groups.found.iter().map(|group| group.id.clone()).collect();
    instances.insert(InstanceId::parse("i-77").unwrap());
    stores.insert(StoreArn::parse("arn:aws:rds:eu-central-1:123456789012:db:nowhere").unwrap());
    groups.insert(SecurityGroupId::parse("sg-nowhere").unwrap());
    (instances, stores, groups)
}

/// Whether the first step that fails says the same as the verdict.
fn agrees(verdict: Option<&Verdict>, first: Option<(&str, &FailedCondition)>) -> bool {
    let is_condition = |code: &str| Condition::ALL.iter().any(|condition| condition.code() == code);
    match (verdict, first) {
        (Some(Verdict::Connected(_) | Verdict::Connecting), None) => true,
        (Some(Verdict::Refused(reason) | Verdict::Waiting(reason)), Some((condition, failure))) => {
            failure.reason.as_ref() == Some(reason) && is_condition(condition)
        }
        (Some(Verdict::Disconnecting(reason) | Verdict::HeldBack(reason)), Some((condition, failure))) => {
            condition == "kept" && failure.code == reason.code()
        }
        // Nothing is decided about those of which something is missing that comes before all conditions.
        (None, Some((condition, _))) => !is_condition(condition) && condition != "kept",
        _ => false,
    }
}

fn decision(plan: &Plan, instance: &InstanceId, store: &StoreArn) -> Vec<Verdict> {
    let about = plan.decisions.iter().filter(|of| of.instance == *instance && of.store == *store);
    about.map(|decision| decision.verdict.clone()).collect()
}

proptest! {
    // Each looks at every instance with every data store.
    #![proptest_config(ProptestConfig { cases: config().cases / 8, ..config() })]

    #[test]
    fn the_first_step_that_fails_is_the_reason_that_the_plan_gives(world in worlds()) {
        let plan = plan(&world.seen, &world.policy);
        let (instances, stores, _) = named(&world.seen);
        let message: BTreeSet<&StoreArn> = plan.decisions.iter().map(|decision| &decision.store).collect();
        for instance in &instances {
            for store in stores.iter().chain(message.iter().copied()) {
                let explained = explained(&world, instance, store);
                let decided = decision(&plan, instance, store);
                // The ARN of a store that is gone may be another one's by now: then two decisions name it.
                match (&explained.verdict, decided.len()) {
                    (Some(verdict), _) => prop_assert!(decided.contains(verdict), "{explained}"),
                    (None, 0) => {}
                    (None, _) => prop_assert!(decided.iter().all(|of| matches!(of, Verdict::Disconnecting(_) | Verdict::HeldBack(_)))),
                }
                let first = explained.first_failing().map(|(step, failure)| (step.condition, failure));
                prop_assert!(agrees(explained.verdict.as_ref(), first), "{explained}\nin the world{world:?}");
            }
        }
    }

    #[test]
    fn only_these_reasons_refuse(world in worlds()) {
        for decision in plan(&world.seen, &world.policy).decisions {
            if let Some(reason) = refusal(&decision.verdict) {
                prop_assert!(refusing(reason).is_some(), "{reason} refuses");
            }
        }
    }

    #[test]
    fn every_explanation_asks_the_same_questions_and_marks_one_reason_at_most(world in worlds()) {
        let questions: Vec<_> = explain::questions().collect();
        let (instances, stores, _) = named(&world.seen);
        for instance in &instances {
            for store in &stores {
                let explained = explained(&world, instance, store);
                let asked: Vec<_> = explained.steps.iter().map(|step| (step.condition, step.question)).collect();
                prop_assert_eq!(&asked, &questions);
                let marks: Vec<_> = explained.steps.iter().map(|step| step.result.mark()).collect();
                let reasons = marks.iter().filter(|mark| **mark == "FAILS").count();
                prop_assert!(reasons <= 1);
                let (first, also) = (marks.iter().position(|mark| *mark == "FAILS"), marks.iter().position(|mark| *mark == "fails"));
                prop_assert!(also.is_none() || first < also, "{explained}");
                prop_assert!(serde_json::to_string(&explained).is_ok() && !explained.to_string().is_empty());
            }
        }
    }

    #[test]
    fn an_instance_is_explained_with_every_store_that_the_plan_decides_about(world in worlds()) {
        let plan = plan(&world.seen, &world.policy);
        for instance in &named(&world.seen).0 {
            let explained = explain::instance(&world.seen, &world.policy, DEFAULT_CONNECT_KEY, instance);
            let of_instance = plan.decisions.iter().filter(|decision| decision.instance == *instance);
            for decided in of_instance {
                prop_assert!(explained.stores.iter().any(|line| line.store == decided.store), "{explained}");
            }
            for line in &explained.stores {
                let whole = explain::connection(&world.seen, &world.policy, DEFAULT_CONNECT_KEY, instance, &line.store);
                prop_assert_eq!(&line.verdict, &whole.verdict);
            }
            prop_assert!(serde_json::to_string(&explained).is_ok() && !explained.to_string().is_empty());
        }
    }
}

#[test]
fn a_connection_that_stands_needs_nothing_although_a_new_one_would_be_refused() {
    let explained = first(&world(
        "instance i-1 connect=orders
         db orders connect=orders hold groups=a,b,c,d
         pair orders 1 attached-to=i-1",
    ));
    assert!(matches!(explained.verdict, Some(Verdict::Connected(_))));
    assert_eq!(explained.first_failing(), None);
    let conditions = explained.steps.iter().filter(|step| step.result == StepResult::NotNeeded).count();
    assert_eq!((conditions, explained.remedy.len()), (Condition::ALL.len(), 0));
}

#[test]
fn the_walk_goes_on_behind_the_first_condition_that_fails() {
    let text = "instance i-1 connect=orders hold groups=a,b,c,d,e\ndb orders connect=orders block";
    let explained = first(&world(text));
    let marked: Vec<_> = explained
        .steps
        .iter()
        .filter(|step| step.result.failure().is_some())
        .map(|step| (step.condition, step.result.mark()))
        .collect();
    assert_eq!(marked, [("instance-not-held", "FAILS"), ("store-not-blocked", "fails"), ("interface-place", "fails")]);
}

#[test]
fn every_attached_group_is_looked_at_and_told_why_it_is_no_connection() {
    let explained = first(&world(
        "instance i-1 connect=orders groups=web
         db orders connect=orders groups=default,old:removing
         pair orders 1 attached-to=i-1 store-rule=\"tcp 22 from 10.0.0.0/8\"
         pair orders 2 loose made-by=console attached-to=i-1
         group ec2-docdb-1 attached-to=i-1 rule=\"tcp 5432 to sg-rds-ec2-1\"",
    ));
    let step = explained.steps.iter().find(|step| step.condition == "connected").unwrap();
    assert_eq!(step.result, StepResult::NotSo);
    assert_eq!(
        step.facts,
        [
            "data store: sg-default: no side of a pair: its name is none that pairs have",
            "data store: sg-old: it is on its way out",
            "data store: sg-rds-ec2-1 (rds-ec2-1): it does not hold exactly tcp 5432 from the other side, but tcp 22 from 10.0.0.0/8, tcp 5432 from sg-ec2-rds-1",
            "instance: sg-ec2-docdb-1 (ec2-docdb-1): no instance side of this service: its name is not ec2-rds-n",
            "instance: sg-ec2-rds-1 (ec2-rds-1): its other side sg-rds-ec2-1 (rds-ec2-1): it does not hold exactly tcp 5432 from the other side, but tcp 22 from 10.0.0.0/8, tcp 5432 from sg-ec2-rds-1",
            "instance: sg-ec2-rds-2 (ec2-rds-2): a side of a pair, whose other side sg-rds-ec2-2 (rds-ec2-2) the data store does not have",
            "instance: sg-web: no side of a pair: its name is none that pairs have",
        ]
    );
}

#[test]
fn an_explanation_is_readable_as_plain_text() {
    let explained = first(&world("instance i-1 connect=billing\ndb orders connect=orders"));
    let text = explained.to_string();
    let beginning = "\
i-1 and db/orders: not managed by tagwire: no name is in both connect tags (no-match)

Now:       no pair connects them
Next run:  changes nothing between the two

ok    Was the instance read? (instance-read)
        i-1 in vpc-1: eni-1 has sg-default
        tags: tagwire:connect=billing
ok    Is there no reason to take a connection away? (kept)
        the instance has no instance side of this data store
ok    Does its service know the data store? (store-read)
        db/orders (RDS, db-orders) in vpc-1, tcp 5432, state \"available\": has sg-default
        tags: tagwire:connect=orders
ok    Are the two in the same VPC? (same-vpc)
        the data store is in vpc-1, the observation is of vpc-1
ok    Does the instance carry a connect tag that can be read? (instance-tag)
        tagwire:connect=billing
ok    Does the data store carry a connect tag that can be read? (store-tag)
        tagwire:connect=orders
FAILS Is a name in both connect tags? (shared-name)
        why not: no name is in both connect tags (no-match)
ok    Was the observation made for one of the two? (in-scope)
        observed: the whole VPC
no    Are they connected already? (connected)
";
    assert!(text.starts_with(beginning), "{text}");
    let end = "\n\nWhat to change:\n  aws ec2 create-tags --resources i-1 --tags 'Key=tagwire:connect,Value=billing orders'\n";
    assert!(text.ends_with(end), "{text}");
}

#[test]
fn an_explanation_names_the_tag_key_of_the_installation() {
    let world = world("instance i-1\ndb orders connect=orders");
    let instance = InstanceId::parse("i-1").unwrap();
    let arn = world.seen.stores.found[0].arn();
    let text = explain::connection(&world.seen, &world.policy, "team:joins", &instance, arn).to_string();
    assert!(text.contains("Key=team:joins,Value=orders") && !text.contains(DEFAULT_CONNECT_KEY), "{text}");
}

#[test]
fn what_was_not_read_is_told_from_what_is_not_there() {
    let there = |text: &str| {
        let world = world(text);
        let (instances, stores, _) = named(&world.seen);
        let explained = explained(&world, instances.last().unwrap(), stores.last().unwrap());
        let codes = explained.steps.iter().filter_map(|step| step.result.failure());
        codes.map(|failure| failure.code).collect::<Vec<_>>()
    };
    assert_eq!(there("instance i-1 connect=a"), ["instance-not-read", "store-not-read"]);
    assert_eq!(there("gap instances\ngap stores"), ["unread", "unread"]);
    assert_eq!(there("gone zzz"), ["instance-not-read", "store-gone"]);
}

#[test]
fn the_places_are_those_of_its_own_turn() {
    let world = world(
        "instance i-1 connect=orders groups=a,b,c,d
         db alpha connect=orders
         db zeta connect=orders
         pair zeta 1",
    );
    assert_eq!(world.seen.scope, Scope::Vpc);
    let stores: Vec<&StoreArn> = world.seen.stores.found.iter().map(StoreLookup::arn).collect();
    let instance = InstanceId::parse("i-1").unwrap();
    let explained = [stores[0], stores[1]].map(|store| explained(&world, &instance, store));
    assert_eq!(explained[0].verdict, Some(Verdict::Connecting));
    assert!(matches!(explained[1].verdict, Some(Verdict::Refused(Reason::InterfaceGroupLimit { .. }))));
    let step = explained[1].first_failing().unwrap().0;
    assert_eq!(
        step.facts,
        [
            "eni-1 has 4 of 5: sg-a, sg-b, sg-c, sg-d",
            "is attached now for db/alpha",
            "5 of 5 in use when it is the turn of this data store",
        ]
    );
}

#[test]
fn an_instance_is_told_of_every_store_in_a_line() {
    let world = world(
        "instance i-1 connect=orders,reports groups=a
         db orders connect=orders
         db held connect=orders hold
         db far connect=reports vpc=2
         db other connect=billing
         pair orders 1 attached-to=i-1
         pair other 2 attached-to=i-1 loose
         max 0",
    );
    let instance = InstanceId::parse("i-1").unwrap();
    let explained = explain::instance(&world.seen, &world.policy, DEFAULT_CONNECT_KEY, &instance);
    assert_eq!(
        explained.to_string(),
        "\
i-1 in vpc-1: eni-1 has sg-a, sg-ec2-rds-1, sg-ec2-rds-2
tags: tagwire:connect=orders reports

Data stores:
  i-1 and db/far: not managed by tagwire: the data store is in vpc-2, and a pair cannot cross VPCs (different-vpc) [same-vpc]
  i-1 and db/held: not connected: it carries tagwire:hold, so nothing is attached or detached (held) [store-not-held]
  i-1 and db/orders: connected by tagwire through sg-ec2-rds-1 and sg-rds-ec2-1
  i-1 and db/other: stays connected for now: they share no name any more (disconnects-held-back) [kept]

Said of it:
  i-1: no data store in its VPC has the name reports; arn:aws:rds:eu-central-1:123456789012:db:far has it, but in vpc-2, and a pair cannot cross VPCs (different-vpc)

What to change:
  move one of the two into the VPC of the other, or connect the VPCs by other means
"
    );
}

#[test]
fn a_short_explanation_is_the_verdict_the_condition_that_decides_and_what_to_change() {
    let full = first(&world("instance i-1 connect=orders groups=a,b,c,d,e\ndb orders connect=orders"));
    let short = full.short();
    let (step, _) = full.first_failing().unwrap();
    let beginning = format!("{}\n\nNow:       {}\nNext run:  ", full.message, full.now);
    assert!(short.starts_with(&beginning) && short.contains(&format!("\n\nFAILS {}", step.question)), "{short}");
    let conditions = short.lines().filter(|line| line.starts_with("FAILS") || line.starts_with("ok"));
    assert_eq!(conditions.count(), 1, "{short}");
    assert!(full.steps.len() > 10 && !full.remedy.is_empty());
    assert!(full.remedy.iter().all(|line| short.contains(line)), "{short}");

    let connected =
        first(&world("instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1"));
    assert_eq!(connected.short(), format!("{}\n", connected.message), "nothing is in the way, and nothing to change");
}

#[test]
fn a_short_explanation_of_what_was_not_read_names_what_is_not_known() {
    let unread = first(&world("instance i-1 connect=orders\ndb orders connect=orders\ngap groups"));
    assert!(unread.steps.iter().any(|step| step.result != StepResult::Holds), "{unread}");
    assert!(unread.short().lines().count() > 1, "{unread}");
}
