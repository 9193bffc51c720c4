//! Whose a group is: by its description and the state table, whatever its tags say.

use tagwire_core::{
    group::{GroupRecord, Ownership},
    id::StoreArn,
    state::Note,
};

use crate::case::{Case, case};

/// Two stores, of which `alpha` has a pair that `i-1` uses, and an instance that asks for `beta`.
fn two_stores(pair: &str) -> String {
    format!(
        "instance i-1 connect=alpha
         instance i-2 connect=beta
         db alpha connect=alpha
         db beta connect=beta
         pair alpha 1 attached-to=i-1 {pair}"
    )
}

const A_PAIR_OF_ITS_OWN: &str = "create rds-ec2-2 for db/beta
    create ec2-rds-2 for db/beta
    allow in rds-ec2-2: tcp 5432 from ec2-rds-2
    allow in ec2-rds-2: tcp 5432 to rds-ec2-2
    attach rds-ec2-2 to db/beta
    attach ec2-rds-2 to eni-2 of i-2: shares beta with db/beta";

fn finds(case: &Case, code: &str) -> usize {
    case.plan.findings.iter().filter(|finding| finding.reason.code() == code).count()
}

#[test]
fn a_pair_that_is_tagged_as_another_store_s_serves_its_own_and_gets_its_tags_back() {
    let retagged = case(&two_stores("store-tags=beta instance-tags=beta"));
    let changes = format!(
        "tag sg-rds-ec2-1 as store side of db/alpha\ntag sg-ec2-rds-1 as instance side of db/alpha\n{A_PAIR_OF_ITS_OWN}"
    );
    assert_eq!(finds(&retagged, "identity-conflict"), 2);
    assert!(
        retagged
            .plan
            .explanations()
            .contains(&"i-1 and db/alpha: connected by tagwire through sg-ec2-rds-1 and sg-rds-ec2-1".to_owned())
    );
    retagged.changes(&changes);
}

#[test]
fn a_pair_with_a_lower_number_is_not_taken_by_tagging_it() {
    case(
        "instance i-2 connect=beta
         db alpha connect=alpha
         db beta connect=beta
         pair alpha 1 store-tags=beta instance-tags=beta
         pair beta 2 attached-to=i-2",
    )
    .changes(
        "tag sg-rds-ec2-1 as store side of db/alpha
         tag sg-ec2-rds-1 as instance side of db/alpha",
    )
    .codes(&["no-match", "identity-conflict", "identity-conflict"]);
}

#[test]
fn a_group_for_cidr_clients_that_is_tagged_as_another_store_s_serves_its_own() {
    let group = |tags: &str| {
        format!(
            "allow-cidr
             db alpha connect=alpha allow-cidr=203.0.113.0/24
             db beta connect=beta allow-cidr=198.51.100.0/24
             group rds-cidr-1 ours=cidr/alpha {tags} rule=\"tcp 5432 from 203.0.113.0/24\" on=alpha"
        )
    };
    let of_beta = "create rds-cidr-2 for db/beta
        allow in rds-cidr-2: tcp 5432 from 198.51.100.0/24
        attach rds-cidr-2 to db/beta";
    case(&group("tagged=alpha/cidr")).changes(of_beta);
    let retagged = case(&group("tagged=beta/cidr record=alpha"));
    assert_eq!(finds(&retagged, "identity-conflict"), 1);
    let (first, rest) = of_beta.split_once('\n').unwrap();
    retagged.changes(&format!("tag sg-rds-cidr-1 as CIDR group of db/alpha\n{first}\n{rest}"));
}

#[test]
fn an_identity_that_does_not_exist_in_a_tag_cuts_nobody() {
    let bogus = two_stores("instance-tags=nowhere") + "\ngone nowhere";
    case(&bogus).changes(&format!("tag sg-ec2-rds-1 as instance side of db/alpha\n{A_PAIR_OF_ITS_OWN}"));
}

#[test]
fn an_untagged_instance_loses_the_connection_whatever_the_tags_of_its_groups_say() {
    let detach = "detach sg-ec2-rds-1 from eni-1 of i-1: the instance has no connect tag (db/orders)";
    for (tags, then) in [
        ("", ""),
        ("instance-tags=none", ""),
        ("instance-tags=unmarked", ""),
        ("instance-tags=sideless", "tag sg-ec2-rds-1 as instance side of db/orders\n"),
        ("store-tags=billing", "tag sg-rds-ec2-1 as store side of db/orders\n"),
    ] {
        let world = format!("instance i-1\ndb orders connect=orders\npair orders 1 attached-to=i-1 {tags}");
        case(&world).changes(&format!("{then}{detach}"));
    }
}

#[test]
fn a_block_takes_off_what_has_our_name_and_description_whatever_else_is_known_of_it() {
    for how in [
        "",
        "instance-tags=none",
        "instance-tags=sideless",
        "instance-tags=billing",
        "instance-tags=unmarked",
        "record=none",
        "record=billing",
        "record=orders/sg-other",
        "made-by=nobody",
        "former",
        "former record=none",
        "former made-by=nobody",
    ] {
        for gap in ["", "gap identities", "gap state"] {
            let world = format!(
                "instance i-1 connect=orders block\ndb orders connect=orders\npair orders 1 attached-to=i-1 {how}\n{gap}"
            );
            let plan = case(&world).plan;
            let change = plan.interfaces.values().next().unwrap_or_else(|| panic!("{how} {gap}: {plan}"));
            assert!(change.leaving().any(|group| group.as_str() == "sg-ec2-rds-1"), "{how} {gap}: {plan}");
            assert!(change.is_urgent());
        }
    }
}

#[test]
fn an_isolated_instance_loses_what_looks_like_ours_as_well() {
    case(
        "instance i-1 connect=orders groups=default,quarantine
         isolation quarantine
         db orders connect=orders
         pair orders 1 attached-to=i-1 record=none",
    )
    .changes(
        "detach sg-ec2-rds-1 from eni-1 of i-1: blocked; it has a name and description of tagwire's, and is not proven to be tagwire's",
    );
}

#[test]
fn a_blocked_store_loses_what_looks_like_ours_and_others_keep_theirs() {
    let unproven = "blocked; it has a name and description of tagwire's, and is not proven to be tagwire's";
    case(
        "db orders connect=orders block
         pair orders 1 record=none
         group rds-cidr-1 tagged=orders/cidr ours=cidr record=none on=orders
         group web on=orders",
    )
    .changes(&format!(
        "detach sg-rds-cidr-1 from db/orders: {unproven}
         detach sg-rds-ec2-1 from db/orders: {unproven}"
    ))
    .codes(&["no-match", "identity-unproven", "identity-unproven", "identity-unproven"]);
}

#[test]
fn what_looks_like_ours_is_no_business_of_a_block_where_it_is_the_only_group_or_a_service_manages_the_instance() {
    let pair = "db orders connect=orders\npair orders 1 attached-to=i-1 record=none";
    let last = case(&format!("instance i-1 block groups=none\n{pair}")).changes_nothing();
    assert_eq!(finds(&last, "last-group"), 1);
    let managed = case(&format!("instance i-1 block managed-by=eks.amazonaws.com\n{pair}")).changes_nothing();
    assert_eq!(finds(&managed, "managed-instance"), 1);
}

#[test]
fn groups_made_beforehand_are_never_attached_repaired_or_deleted() {
    for how in ["record=none", "record=orders/sg-other", "former record=none", "record=billing"] {
        let beforehand = case(&format!(
            "instance i-1 connect=orders
             db orders connect=orders
             pair orders 1 loose store-rule=\"tcp 22 from 0.0.0.0/0\" {how}
             unused rds-ec2-1 ago=60
             unused ec2-rds-1 ago=60"
        ));
        assert_eq!(finds(&beforehand, "identity-unproven"), 2);
        beforehand.changes(
            "create rds-ec2-2 for db/orders
             create ec2-rds-2 for db/orders
             allow in rds-ec2-2: tcp 5432 from ec2-rds-2
             allow in ec2-rds-2: tcp 5432 to rds-ec2-2
             attach rds-ec2-2 to db/orders
             attach ec2-rds-2 to eni-1 of i-1: shares orders with db/orders",
        );
    }
}

#[test]
fn what_the_state_table_has_lost_is_neither_cut_nor_given_to_anybody() {
    let lost = "db orders connect=orders\npair orders 1 attached-to=i-1 record=none";
    case(&format!("instance i-1\n{lost}")).changes_nothing().codes(&[
        "no-match",
        "identity-unproven",
        "identity-unproven",
    ]);
    case(&format!("instance i-1 connect=orders\n{lost}"))
        .changes_nothing()
        .codes(&["identity-unproven", "identity-unproven"]);
    case("gone orders\ninstance i-1\npair orders 1 attached-to=i-1 record=none").changes_nothing();
    case(&format!("instance i-1 connect=orders\n{lost}\nuninstalling ago=5")).changes_nothing();
}

#[test]
fn while_the_records_cannot_be_read_nothing_is_made_given_or_taken_but_by_a_block() {
    for rest in ["", "uninstalling ago=5", "pair billing 2", "gone billing\npair billing 2 attached-to=i-2"] {
        let world = format!(
            "instance i-1 connect=orders
             instance i-2
             db orders connect=orders
             pair orders 1 attached-to=i-2
             {rest}
             gap identities"
        );
        let plan = case(&world).changes_nothing().plan;
        let codes: Vec<_> = plan.findings.iter().map(|finding| finding.reason.code()).collect();
        assert!(codes.contains(&"unread") && !codes.contains(&"identity-unproven"), "{plan}");
    }
}

#[test]
fn a_pair_that_lost_the_tag_by_which_it_may_be_changed_is_left_as_it_is_and_serves_those_who_have_it() {
    let pair = |rest: &str| {
        format!(
            "instance i-1 connect=orders
             instance i-2 connect=orders
             db orders connect=orders
             pair orders 1 attached-to=i-1 instance-tags=unmarked {rest}"
        )
    };
    for rest in ["", "rules=store", "store-rule=\"tcp 22 from 0.0.0.0/0\"", "store-tags=none"] {
        let plan = case(&pair(rest)).changes_nothing().plan;
        let verdict =
            format!("{}", plan.decisions.iter().find(|decision| decision.instance.as_str() == "i-2").unwrap().verdict);
        assert!(verdict.contains("identity-conflict"), "{verdict}");
    }
    // Nothing ends either, of which the role could delete only a half.
    case("db orders\npair orders 1 loose instance-tags=none").changes_nothing().codes(&["identity-conflict"]);
}

#[test]
fn a_group_that_was_made_and_not_bound_yet_is_ours_and_is_bound() {
    let made = case(
        "db orders connect=orders\ninstance i-1 connect=orders\npair orders 1 attached-to=i-1 record=orders/unnamed",
    )
    .changes_nothing();
    let bound = made
        .plan
        .notes
        .iter()
        .filter(|note| matches!(note, Note::Identity(_, Some(GroupRecord { id: Some(_), token: Some(_), .. }))));
    assert_eq!(bound.count(), 2, "{:?}", made.plan.notes);
}

#[test]
fn the_record_follows_a_store_that_was_renamed() {
    let renamed = case("db orders connect=orders\npair orders 1 arn=old");
    let names = renamed.plan.notes.iter().filter_map(|note| match note {
        Note::Identity(_, Some(record)) => record.arn.as_ref().map(StoreArn::short),
        Note::Identity(_, None)
        | Note::Wanted(..)
        | Note::Unused(..)
        | Note::Attached(..)
        | Note::Uninstalling(_)
        | Note::Requested(..)
        | Note::Swept(_) => None,
    });
    assert_eq!(names.collect::<Vec<_>>(), ["db/orders", "db/orders"]);
}

#[test]
fn a_record_that_names_another_store_than_the_description_makes_nothing_ours() {
    let world =
        case("db orders connect=orders\ndb billing\npair orders 1 loose record=billing").changes_nothing().world;
    let unproven = world.seen.groups.found.iter().filter(|group| matches!(group.ownership(), Ownership::Unproven(_)));
    assert_eq!(unproven.count(), 2);
}
