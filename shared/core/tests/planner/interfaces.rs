//! Interfaces that are somebody else's business: those of managed instances, copies on further interfaces of
//! an instance, and those that outlive their instance.

use tagwire_core::{
    check::{Violation, check},
    plan::plan,
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
             i-2 and db/orders: is being connected",
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
            assert_eq!(codes.contains(&"default-group-worn"), told, "{store}: {codes:?}");
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
