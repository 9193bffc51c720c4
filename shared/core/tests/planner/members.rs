//! Members of clusters and replication groups, which carry the groups of the whole and often its tags too.

use tagwire_core::{explain, id::InstanceId, plan::plan};
use tagwire_world::World;

use crate::case::case;

/// A kind of store with members, the kind of these, and the name of its store side.
const WHOLES: [(&str, &str, &str); 4] = [
    ("cluster", "db", "rds-ec2-1"),
    ("docdb", "db", "docdb-ec2-1"),
    ("neptune", "db", "neptune-ec2-1"),
    ("replicationgroup", "cache", "elasticache-ec2-1"),
];

fn connected(whole: &str) -> String {
    format!("instance i-1 connect=orders\n{whole} orders connect=orders\npair orders 1 attached-to=i-1\n")
}

#[test]
fn a_member_of_a_connected_store_has_its_groups_and_is_not_reported_tagged_or_not() {
    for (whole, member, group) in WHOLES {
        for tag in ["", "connect=orders"] {
            case(&format!("{}{member} orders-1 member-of=orders groups=default,{group} {tag}", connected(whole)))
                .changes_nothing()
                .codes(&[]);
        }
    }
}

#[test]
fn a_member_with_the_tags_of_its_whole_gets_no_pair_and_no_verdict() {
    for (whole, member, _) in WHOLES {
        let found = case(&format!(
            "instance i-1 connect=orders\n{whole} orders connect=orders\n{member} orders-1 member-of=orders connect=orders\n{member} orders-2 member-of=orders connect=orders hold block"
        ));
        assert_eq!(found.plan.pairs.len(), 1, "{}", found.plan);
        assert_eq!(found.plan.decisions.len(), 1, "{}", found.plan);
        found.codes(&[]);
    }
}

#[test]
fn what_a_member_s_own_tags_say_changes_nothing_about_its_whole() {
    for (whole, member, group) in WHOLES {
        for tag in ["connect=orders block", "connect=\"a,b\"", "hold", "allow-cidr=203.0.113.0/24 connect=orders"] {
            case(&format!(
                "{}{member} orders-1 member-of=orders groups=default,{group} {tag}\nallow-cidr",
                connected(whole)
            ))
            .changes_nothing()
            .codes(&[]);
        }
    }
}

#[test]
fn a_name_on_a_member_alone_points_at_its_whole_and_connects_nothing() {
    for (whole, member, _) in WHOLES {
        for whole in [String::new(), format!("{whole} big connect=books\n")] {
            let found =
                case(&format!("instance i-1 connect=orders,books\n{whole}{member} part member-of=big connect=orders"));
            assert!(found.plan.decisions.iter().all(|decision| decision.store.name() == "big"), "{}", found.plan);
            let findings = found.plan.explanations().join("\n");
            assert!(
                findings.contains("it belongs to big, which is connected as a whole: put the tag there"),
                "{findings}"
            );
        }
    }
}

#[test]
fn where_the_whole_could_not_be_read_nothing_is_said_of_its_member() {
    case("instance i-1 connect=orders\ndb part member-of=big connect=orders\ngap stores")
        .changes_nothing()
        .codes(&["unread"]);
}

#[test]
fn a_member_in_question_is_explained_by_its_whole() {
    let world = World::read("instance i-1 connect=orders\ndb part member-of=big connect=orders").unwrap();
    let member = world.seen.members().next().unwrap().arn.clone();
    let i_1 = InstanceId::parse("i-1").unwrap();
    let explained = explain::connection(&world.seen, &world.policy, "tagwire:connect", &i_1, &member);
    let (step, failure) = explained.first_failing().unwrap();
    assert_eq!((step.condition, failure.code), ("store-read", "cluster-member"));
    assert!(plan(&world.seen, &world.policy).is_empty());
}
