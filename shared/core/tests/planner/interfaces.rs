//! Interfaces that are somebody else's business: those of managed instances, copies on further interfaces of
//! an instance, and those that outlive their instance.

use tagwire_core::{
    check::{Violation, check},
    plan::{DetachReason, plan},
    state::{Note, Removal, Target},
};
use tagwire_world::World;

use crate::case::case;

/// The violations of the plan for one world in another.
#[track_caller]
fn violations(made_in: &str, checked_in: &str) -> Vec<Violation> {
    let (made_in, checked_in) = (World::read(made_in).unwrap(), World::read(checked_in).unwrap());
    let good = plan(&made_in.seen, &made_in.policy);
    check(good.clone(), &made_in.seen, &made_in.policy).map(drop).unwrap();
    assert!(!good.is_empty());
    check(good, &checked_in.seen, &checked_in.policy).unwrap_err().violations()
}

mod managed {
    use super::*;

    const MANAGED: &str = "instance i-1 connect=orders managed-by=eks.amazonaws.com
        instance i-2 connect=orders
        db orders connect=orders
        pair orders 1";

    #[test]
    fn an_instance_that_a_service_manages_is_refused_and_its_neighbour_connected() {
        case(MANAGED).changes("attach sg-ec2-rds-1 to eni-2 of i-2: shares orders with db/orders").explains(
            "i-1 and db/orders: not connected: eks.amazonaws.com manages the instance, and nobody else may change its network interfaces (managed-instance)
             i-2 and db/orders: will be connected",
        );
    }

    #[test]
    fn nothing_is_taken_off_an_instance_that_a_service_manages_whatever_the_reason() {
        for (instance, store) in
            [("", "connect=orders"), ("connect=billing", "connect=orders"), ("connect=orders block", "connect=orders")]
        {
            let world = |managed: &str| {
                format!("instance i-1 {instance} {managed}\ndb orders {store}\npair orders 1 attached-to=i-1")
            };
            assert_eq!(case(&world("")).plan.interfaces.len(), 1, "{instance}");
            let kept = case(&world("managed-by=eks.amazonaws.com"));
            assert!(kept.plan.is_empty(), "{}", kept.plan);
            let said = kept.plan.explanations().into_iter().any(|line| line.ends_with("(managed-instance)"));
            assert!(said, "{}", kept.plan);
        }
    }

    #[test]
    fn a_store_side_leaves_a_store_that_takes_no_part_although_a_managed_instance_keeps_its_own() {
        case("instance i-1 managed-by=eks.amazonaws.com\ndb orders\npair orders 1 attached-to=i-1")
            .changes("detach sg-rds-ec2-1 from db/orders: the data store has no connect tag");
    }

    #[test]
    fn a_plan_that_changes_an_interface_of_a_managed_instance_is_refused() {
        let joins = "instance i-2 connect=orders\ndb orders connect=orders\npair orders 1";
        let refused = violations(joins, &joins.replace("instance i-2", "instance i-2 managed-by=eks.amazonaws.com"));
        assert!(matches!(refused.as_slice(), [Violation::NotJoinable { .. }]), "{refused:?}");
        let leaves = "instance i-2\ndb orders connect=orders\npair orders 1 attached-to=i-2";
        let refused = violations(leaves, &leaves.replace("instance i-2", "instance i-2 managed-by=eks.amazonaws.com"));
        assert!(matches!(refused.as_slice(), [Violation::ReasonDoesNotHold { .. }]), "{refused:?}");
    }
}

mod copies {
    use super::*;

    /// A node with two further interfaces that a plugin gives the groups of the first.
    const NODE: &str = "interface eni-21 groups=default,ec2-rds-1 of=i-1 copies
        interface eni-22 groups=default,ec2-rds-1 of=i-1 copies";

    #[test]
    fn a_copy_on_a_further_interface_of_an_instance_that_carries_it_rightly_is_nothing_to_speak_of() {
        let world = format!(
            "instance i-1 connect=orders
             db orders connect=orders
             pair orders 1 attached-to=i-1
             {NODE}"
        );
        let connected = "i-1 and db/orders: connected by tagwire through sg-ec2-rds-1 and sg-rds-ec2-1";
        case(&world).changes_nothing().explains(connected);
        case(&world.replace(" copies", "")).changes_nothing().explains(connected);
    }

    #[test]
    fn a_copy_on_an_instance_that_a_smaller_look_did_not_read_is_nothing_to_speak_of_either() {
        let world = "scope i-2\ninstance i-2\ndb orders\npair orders 1 attached-to=i-2\ninterface eni-1 groups=ec2-rds-1 of=i-1 primary\ninterface eni-21 groups=ec2-rds-1 of=i-1";
        let detaches = "detach sg-ec2-rds-1 from eni-2 of i-2: the data store has no connect tag (db/orders)";
        case(world).changes(detaches).codes(&[]);
        let loose = world.replace("interface eni-1 groups=ec2-rds-1 of=i-1 primary\n", "");
        case(&loose).changes(detaches).codes(&["foreign-attachment"]);
    }

    #[test]
    fn a_copy_is_no_connection_of_its_own_when_the_store_takes_no_part_any_more() {
        case(&format!("instance i-1 connect=orders\ndb orders\npair orders 1 attached-to=i-1\nmax 1\n{NODE}"))
            .changes(
                "detach sg-rds-ec2-1 from db/orders: the data store has no connect tag
                 detach sg-ec2-rds-1 from eni-1 of i-1: the data store has no connect tag (db/orders)",
            )
            .codes(&["no-match"]);
    }

    #[test]
    fn a_pair_is_deleted_a_round_after_the_copies_are_gone() {
        let after = "instance i-1 connect=orders\ndb orders\npair orders 1 loose";
        case(&format!("{after}\n{NODE}")).changes_nothing().codes(&["no-match", "copy-remains", "copy-remains"]);
        case(&format!("{after}\n{}", NODE.replace("ec2-rds-1", "web"))).changes(
            "revoke in sg-ec2-rds-1: tcp 5432 to sg-rds-ec2-1
             revoke in sg-rds-ec2-1: tcp 5432 from sg-ec2-rds-1
             delete sg-ec2-rds-1 of db/orders: its data store has no connect tag
             delete sg-rds-ec2-1 of db/orders: its data store has no connect tag",
        );
    }

    #[test]
    fn what_somebody_attached_to_a_further_interface_by_hand_is_still_foreign() {
        case("instance i-1\ndb orders connect=orders\npair orders 1\ninterface eni-21 groups=ec2-rds-1 of=i-1")
            .changes_nothing()
            .codes(&["no-match", "foreign-attachment"]);
    }

    #[test]
    fn more_interfaces_than_are_counted_keep_their_store_side() {
        let world = format!("instance i-1 groups=none\ndb orders\npair orders 1 attached-to=i-1\n{NODE}");
        let foreign = world.replace("of=i-1 copies", "of=\"a function\"");
        let refused = violations(&world, &foreign);
        assert!(matches!(refused.as_slice(), [Violation::ReasonDoesNotHold { .. }]), "{refused:?}");
    }
}

mod default_group {
    use super::*;

    #[test]
    fn every_store_that_takes_part_and_has_the_default_group_is_told_so() {
        for (store, told) in [
            ("db orders connect=orders", true),
            ("cluster orders connect=orders", true),
            ("db orders connect=\"a,b\"", true),
            ("db orders connect=orders groups=default:adding", true),
            ("db orders connect=orders groups=web,default:removing", false),
            ("db orders connect=orders groups=web", false),
            ("db orders", false),
            ("db orders connect=orders vpc=2", false),
        ] {
            let case = case(&format!("{store}\ngroup default")).changes_nothing();
            let codes: Vec<_> = case.plan.findings.iter().map(|finding| finding.reason.code()).collect();
            assert_eq!(codes.contains(&"default-group-attached"), told, "{store}: {codes:?}");
        }
    }
}

mod services {
    use super::*;

    #[test]
    fn a_managed_instance_that_has_an_instance_side_unasked_was_given_it_by_somebody_else() {
        let world = "instance i-1 managed-by=scaler.lambda.amazonaws.com
            db orders connect=orders
            pair orders 1 attached-to=i-1";
        let foreign = |world: &str| {
            let explanations = case(world).plan.explanations();
            explanations.into_iter().filter(|line| line.contains("(foreign-attachment)")).collect::<Vec<_>>()
        };
        let said = foreign(world);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("instance i-1 of scaler.lambda.amazonaws.com has it"), "{said:?}");
        let asked = world.replace("instance i-1", "instance i-1 connect=orders");
        assert_eq!(foreign(&asked), Vec::<String>::new());
    }
}

mod left_over {
    use super::*;

    /// An interface that outlived its instance, to which tagwire attached the pair.
    const LEFT: &str =
        "interface eni-9 groups=default,ec2-rds-1 of=\"primary\" detached\nattached i-9 ec2-rds-1 tag=orders";
    const STORE: &str = "db orders connect=orders\npair orders 1 loose";

    fn left(store: &str) -> String {
        format!("{store}\n{LEFT}")
    }

    #[test]
    fn what_tagwire_attached_leaves_an_interface_that_no_instance_has_any_more_and_is_counted() {
        let case = case(&left(STORE))
            .changes("detach sg-ec2-rds-1 from eni-9: no instance has the interface any more (db/orders)")
            .codes(&["no-match"]);
        let window = case.plan.window.unwrap();
        assert_eq!(window.removals.iter().map(|counted| counted.connections).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn what_the_state_table_does_not_know_of_is_somebody_else_s() {
        let unknown = left(STORE).replace("attached i-9 ec2-rds-1", "attached i-8 ec2-rds-1");
        case(&unknown).changes_nothing().codes(&["no-match", "foreign-attachment"]);
        let of_a_service = left(STORE).replace(" detached", "");
        case(&of_a_service).changes_nothing().codes(&["no-match", "foreign-attachment"]);
    }

    #[test]
    fn an_interface_that_is_an_instance_s_again_is_left_to_its_tags() {
        let again = left(STORE).replace("of=\"primary\" detached", "of=i-9 primary");
        case(&again).changes_nothing();
    }

    #[test]
    fn a_hold_keeps_it_and_says_so() {
        let held = left(STORE).replace("connect=orders\n", "connect=orders hold\n");
        case(&held).changes_nothing().codes(&["held", "no-match"]);
    }

    #[test]
    fn a_tag_of_the_store_that_cannot_be_read_does_not_keep_it() {
        case(&left("db orders connect=\"a,b\"\npair orders 1 loose"))
            .changes("detach sg-ec2-rds-1 from eni-9: no instance has the interface any more (db/orders)")
            .codes(&["invalid-tag"]);
    }

    #[test]
    fn each_reading_that_it_rests_on_keeps_it() {
        for gap in ["groups", "stores of=orders", "instances", "attached_interfaces", "state"] {
            let text = format!("{}\ngap {gap}", left(STORE));
            let store_unread = gap.starts_with("stores");
            let text = if store_unread { text.replace("db orders connect=orders\n", "") } else { text };
            let plan = case(&text).plan;
            assert!(plan.interfaces.is_empty(), "{plan} with {gap}");
        }
    }

    #[test]
    fn it_waits_for_a_window_and_keeps_its_place() {
        let waiting = case(&format!("{}\nmax 0", left(STORE))).changes_nothing();
        assert_eq!(
            waiting.plan.findings.iter().filter(|finding| finding.reason.code() == "disconnects-held-back").count(),
            1
        );
        let lines = format!(
            "instance i-1\ninstance i-2\ndb orders connect=orders\npair orders 1 attached-to=i-1,i-2\n{LEFT}\nmax 1"
        );
        let first = |more: &str| case(&format!("{lines}\n{more}")).plan.changes();
        let of_left_over = "detach sg-ec2-rds-1 from eni-9: no instance has the interface any more (db/orders)";
        assert_eq!(first("wanted eni-9 orders ago=30\nwanted i-1 orders ago=20"), [of_left_over]);
        assert!(first("wanted eni-9 orders ago=10\nwanted i-1 orders ago=20")[0].contains("eni-1 of i-1"));
    }

    #[test]
    fn a_place_in_the_queue_is_given_up_when_it_is_gone() {
        let gone = case(&format!("{STORE}\nwanted eni-9 orders ago=30"));
        let forgotten = gone.plan.notes.iter().any(|note| matches!(note, Note::Wanted(Removal::LeftOver { .. }, None)));
        assert!(forgotten, "{:?}", gone.plan.notes);
    }

    #[test]
    fn its_record_outlives_the_instance_until_it_is_gone_itself() {
        let forgets = |text: &str| {
            let notes = case(text).plan.notes;
            notes.iter().any(|note| matches!(note, Note::Attached(Target::Interface(_), _, None)))
        };
        let left_with_hold = left(STORE).replace("connect=orders\n", "connect=orders hold\n");
        assert!(!forgets(&left_with_hold), "it is needed to take the group off later");
        assert!(forgets(&format!("{STORE}\nattached i-9 ec2-rds-1 tag=orders")));
    }

    #[test]
    fn other_reasons_come_before_that_it_has_no_instance() {
        let reasons = |text: &str| {
            let changes = case(text).plan.interfaces;
            changes
                .into_values()
                .flat_map(|change| change.detach.into_values())
                .map(|gone| gone.reason)
                .collect::<Vec<_>>()
        };
        assert_eq!(reasons(&left("db orders\npair orders 1")), [DetachReason::StoreOptedOut]);
        assert_eq!(reasons(&left("db orders connect=orders block\npair orders 1")), [DetachReason::Blocked]);
        assert_eq!(reasons(&left("gone orders\npair orders 1")), [DetachReason::StoreGone]);
        assert_eq!(reasons(&format!("{}\nuninstalling ago=5", left(STORE))), [DetachReason::Uninstalling]);
        assert_eq!(reasons(&left(STORE)), [DetachReason::NoInstance]);
        assert_eq!(reasons(&left("db orders connect=orders vpc=2\npair orders 1 loose")), []);
    }

    #[test]
    fn a_pair_whose_store_is_gone_is_deleted_in_the_same_run() {
        case(&left("gone orders\npair orders 1")).changes(
            "detach sg-ec2-rds-1 from eni-9: the data store is gone (db/orders)
             revoke in sg-ec2-rds-1: tcp 5432 to sg-rds-ec2-1
             revoke in sg-rds-ec2-1: tcp 5432 from sg-ec2-rds-1
             delete sg-ec2-rds-1 of db/orders: its data store is gone
             delete sg-rds-ec2-1 of db/orders: its data store is gone",
        );
    }

    #[test]
    fn the_only_group_of_an_interface_stays_and_it_is_said_what_to_do() {
        case(&left(STORE).replace("groups=default,", "groups="))
            .changes_nothing()
            .codes(&["no-match", "interface-left-over"]);
    }

    #[test]
    fn a_look_at_something_else_leaves_it_alone() {
        for scope in ["scope i-1", "scope other"] {
            let text = format!("instance i-1\ndb other connect=other\n{}\n{scope}", left(STORE));
            assert!(case(&text).plan.is_empty());
        }
    }

    #[test]
    fn a_plan_that_takes_it_off_without_proof_or_reason_is_refused() {
        let good = left(STORE);
        for (world, why) in [
            (good.replace("attached i-9", "attached i-8"), "no proof"),
            (good.replace(" detached", ""), "of a service"),
            (good.replace("connect=orders\n", "connect=orders hold\n"), "held"),
            (good.replace("db orders connect=orders", "db orders"), "another reason"),
            (good.replace("pair orders 1 loose", "pair orders 1 loose made-by=nobody"), "not owned"),
            (good.replace("groups=default,", "groups="), "the only group"),
            (format!("{good}\ngap groups"), "groups unread"),
            (format!("{good}\ngap attached_interfaces"), "interfaces unread"),
            (format!("{good}\ngap state"), "state unread"),
            (format!("{good}\nremoved 10 ago=1"), "the window is used up"),
        ] {
            let refused = violations(&good, &world);
            assert!(!refused.is_empty(), "{why}");
        }
        let refused = violations(&good, &good.replace("attached i-9", "attached i-8"));
        assert!(
            matches!(refused.as_slice(), [Violation::ReasonDoesNotHold { reason: DetachReason::NoInstance, .. }]),
            "{refused:?}"
        );
        let uncounted = World::read(&good).unwrap();
        let mut plan = plan(&uncounted.seen, &uncounted.policy);
        plan.window = None;
        let refused = check(plan, &uncounted.seen, &uncounted.policy).unwrap_err().violations();
        assert!(matches!(refused.as_slice(), [Violation::BreaksWindow { removed: 1, counted: 0, .. }]), "{refused:?}");
    }
}
