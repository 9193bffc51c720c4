//! The number in a new pair's names.

use crate::case::{Case, case};

/// The names of the groups that are made for one instance and one store, beside these lines.
fn made_beside(lines: &str) -> Vec<String> {
    made(&case(&format!("instance i-1 connect=orders\ndb orders connect=orders\n{lines}")))
}

fn made(case: &Case) -> Vec<String> {
    case.plan.pairs.values().flat_map(|work| work.create.values()).map(|spec| spec.name.to_string()).collect()
}

#[test]
fn the_smallest_number_that_is_free_for_both_names_is_taken() {
    assert_eq!(made_beside(""), ["rds-ec2-1", "ec2-rds-1"]);
    assert_eq!(made_beside("group rds-ec2-1\ngroup ec2-rds-2"), ["rds-ec2-3", "ec2-rds-3"]);
    assert_eq!(made_beside("group rds-ec2-1\ngroup ec2-rds-1\ngroup rds-ec2-3"), ["rds-ec2-2", "ec2-rds-2"]);
}

#[test]
fn a_name_is_taken_without_regard_to_case() {
    assert_eq!(made_beside("group RDS-ec2-1"), ["rds-ec2-2", "ec2-rds-2"]);
}

#[test]
fn a_name_that_aws_refused_is_taken_although_no_such_group_was_read() {
    assert_eq!(made_beside("taken Ec2-Rds-1"), ["rds-ec2-2", "ec2-rds-2"]);
}

#[test]
fn a_name_that_only_looks_like_a_number_is_not_in_the_way() {
    assert_eq!(made_beside("group rds-ec2-01"), ["rds-ec2-1", "ec2-rds-1"]);
}

#[test]
fn every_service_counts_for_itself() {
    let case = case(
        "instance i-1 connect=orders
         db orders connect=orders
         docdb documents connect=orders
         neptune graph connect=orders",
    );
    assert_eq!(made(&case), ["docdb-ec2-1", "ec2-docdb-1", "neptune-ec2-1", "ec2-neptune-1", "rds-ec2-1", "ec2-rds-1"]);
}

#[test]
fn two_stores_that_need_pairs_in_one_plan_never_get_the_same_name() {
    let case = case(
        "instance i-1 connect=orders
         db a connect=orders
         cluster b connect=orders
         group ec2-rds-2",
    );
    assert_eq!(made(&case), ["rds-ec2-1", "ec2-rds-1", "rds-ec2-3", "ec2-rds-3"]);
}

#[test]
fn stores_whose_identities_differ_in_punctuation_only_are_kept_apart() {
    let case = case(
        "instance i-1 connect=orders
         db orders connect=orders id=db-a-b
         db others connect=orders id=db-ab port=3306",
    );
    assert_eq!(made(&case), ["rds-ec2-1", "ec2-rds-1", "rds-ec2-2", "ec2-rds-2"]);
}
