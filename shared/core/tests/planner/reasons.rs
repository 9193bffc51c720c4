//! Every reason why something is not done, or is done but deserves a look.

use tagwire_core::{check::check, finding::Reason, plan::plan};
use tagwire_world::World;

use crate::case::{case, reasons};

/// A world for every reason; without one for a new reason this does not compile.
macro_rules! worlds {
    ($($name:ident: $pattern:pat, $world:expr;)+) => {
        $(
            #[test]
            fn $name() {
                assert!(example($world, |reason| matches!(reason, $pattern)).is_some());
            }
        )+

        /// One reason of each kind, in the order of their declaration.
        pub(crate) fn examples() -> Vec<Reason> {
            let of_worlds = [$(example($world, |reason| matches!(reason, $pattern))),+];
            of_worlds.into_iter().flatten().chain([rejected()]).collect()
        }

        #[expect(dead_code, reason = "it has only to compile")]
        fn every_reason_has_a_world(reason: &Reason) {
            match reason {
                $($pattern => {})+
                // No world makes the planner break an invariant.
                Reason::PlanRejected { .. } => {}
            }
        }
    };
}

fn example(world: &str, is_it: fn(&Reason) -> bool) -> Option<Reason> {
    reasons(&case(world).plan).into_iter().find(|reason| is_it(reason)).cloned()
}

/// The reason that a plan gets which was made for another world than it is checked in.
fn rejected() -> Reason {
    let open = World::read("instance i-1 connect=orders\ndb orders connect=orders").unwrap();
    let blocked = World::read("instance i-1 connect=orders block\ndb orders connect=orders").unwrap();
    let rejection = check(plan(&open.seen, &open.policy), &blocked.seen, &blocked.policy).unwrap_err();
    let mut reasons = reasons(rejection.remaining.plan()).into_iter();
    reasons.find(|reason| matches!(reason, Reason::PlanRejected { .. })).cloned().unwrap()
}

worlds! {
    a_tag_that_cannot_be_read_is_an_invalid_tag:
        Reason::InvalidTag { .. }, "instance i-1 connect=\"orders,billing\"";
    a_blocked_instance_is_named_as_blocked:
        Reason::Blocked, "instance i-1 connect=orders block\ndb orders connect=orders";
    an_instance_on_hold_is_named_as_held:
        Reason::Held, "instance i-1 connect=orders hold\ndb orders connect=orders";
    a_store_in_another_vpc_is_named_with_it:
        Reason::DifferentVpc { .. }, "instance i-1 connect=orders\ndb orders connect=orders vpc=2";
    a_name_that_nothing_shares_is_named:
        Reason::NoMatch { .. }, "instance i-1 connect=orders";
    an_instance_without_an_interface_is_gone:
        Reason::InstanceGone, "instance i-1 connect=orders gone\ndb orders connect=orders";
    an_instance_that_a_service_manages_is_refused:
        Reason::ManagedInstance { .. },
        "instance i-1 connect=orders managed-by=eks.amazonaws.com\ndb orders connect=orders";
    a_store_in_scope_that_is_not_found_is_gone:
        Reason::StoreGone, "gone orders\nscope orders";
    a_store_that_is_busy_is_not_available:
        Reason::NotAvailable { .. }, "instance i-1 connect=orders\ndb orders connect=orders state=modifying";
    a_store_whose_list_is_changing_is_left_for_now:
        Reason::ListChanging { .. }, "instance i-1 connect=orders\ndb orders connect=orders groups=web:adding";
    a_serverless_v1_cluster_is_not_connected:
        Reason::ServerlessV1, "instance i-1 connect=orders\ncluster orders connect=orders serverless-v1";
    a_member_of_a_global_database_is_not_connected:
        Reason::GlobalDatabase { .. }, "instance i-1 connect=orders\ncluster orders connect=orders global=world";
    a_member_of_a_cluster_points_at_the_cluster:
        Reason::ClusterMember { .. }, "instance i-1 connect=orders\ndb orders connect=orders member-of=big";
    a_store_outside_any_vpc_is_not_connected:
        Reason::Ec2Classic, "instance i-1 connect=orders\ndb orders connect=orders classic";
    a_cluster_without_vpc_networking_is_not_connected:
        Reason::NoVpcNetworking { .. }, "instance i-1 connect=orders\ncluster orders connect=orders vpc-networking-off";
    a_serverless_cache_with_a_public_endpoint_is_not_connected:
        Reason::PublicEndpoint, "instance i-1 connect=orders\nserverlesscache orders connect=orders public-endpoint";
    a_store_whose_vpc_aws_does_not_show_is_not_connected:
        Reason::NetworkNotShown { .. }, "instance i-1 connect=orders\nreplicationgroup orders connect=orders not-shown";
    a_store_that_is_available_without_a_port_is_not_connected:
        Reason::NoEndpoint { .. }, "instance i-1 connect=orders\ndb orders connect=orders port=none";
    a_store_whose_groups_aws_does_not_show_is_not_connected:
        Reason::GroupsNotShown { .. }, "instance i-1 connect=orders\ndb orders connect=orders groups=none";
    a_store_without_a_free_place_is_not_connected:
        Reason::StoreGroupLimit { .. }, "instance i-1 connect=orders\ndb orders connect=orders groups=a,b,c,d,e";
    an_interface_without_a_free_place_is_not_connected:
        Reason::InterfaceGroupLimit { .. }, "instance i-1 connect=orders groups=a,b,c,d,e\ndb orders connect=orders";
    several_pairs_of_one_store_are_ambiguous:
        Reason::AmbiguousPair { .. }, "db orders connect=orders\npair orders 1\npair orders 2";
    our_tags_on_a_group_of_others_are_a_forgery:
        Reason::OwnershipForged { .. }, "group default tagged=orders/store";
    tags_that_say_something_else_than_what_is_proven_are_a_conflict:
        Reason::IdentityConflict { .. }, "db orders connect=orders\npair orders 1 store-tags=billing";
    a_group_that_the_state_table_does_not_bear_out_is_unproven:
        Reason::IdentityUnproven { .. }, "db orders connect=orders\npair orders 1 record=none";
    a_rule_added_to_an_owned_group_is_a_modification:
        Reason::PairModified { .. }, "db orders connect=orders\npair orders 1 store-rule=\"tcp 22 from 10.0.0.0/8\"";
    an_instance_in_another_zone_is_told_that_it_may_cost:
        Reason::CrossAz { .. }, "instance i-1 connect=orders zone=a\ndb orders connect=orders zone=b,c";
    removals_beyond_the_window_are_held_back:
        Reason::DisconnectsHeldBack { .. }, "instance i-1\ndb orders connect=orders\npair orders 1 attached-to=i-1\nmax 0";
    a_store_side_that_carries_more_than_a_window_lets_needs_a_person:
        Reason::MoreThanWindow { .. },
        "db orders\npair orders 1\nmax 1\ninterface eni-21 groups=ec2-rds-1 of=\"a pod\"\ninterface eni-22 groups=ec2-rds-1 of=\"a pod\"";
    an_instance_is_not_connected_by_a_group_that_another_store_lets_in:
        Reason::LetInElsewhere { .. },
        "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1\ndb other connect=other hold\npair other 2 store-rule=\"tcp 5432 from sg-ec2-rds-1\"";
    what_is_taken_off_again_and_again_is_contested:
        Reason::Contested { .. },
        "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1\nattached i-1 ec2-rds-1 tag=orders again=1,2,3";
    a_function_with_an_instance_side_is_a_foreign_attachment:
        Reason::ForeignAttachment { .. },
        "db orders connect=orders\npair orders 1\ninterface eni-9 groups=ec2-rds-1 of=\"a function\"";
    a_copy_that_takes_no_part_is_told_how_to_let_go:
        Reason::CopiedGroup { .. },
        "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1\ndb copy groups=default,rds-ec2-1";
    a_copy_that_takes_part_keeps_the_group_of_its_source_until_its_own_is_there:
        Reason::CopiedGroupLeaving { .. },
        "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1\ndb copy connect=orders groups=default,rds-ec2-1";
    a_copy_that_outlives_what_it_was_copied_from_is_waited_for:
        Reason::CopyRemains { .. },
        "instance i-1\ndb orders connect=orders\npair orders 1\ninterface eni-9 groups=ec2-rds-1 of=i-1 copies";
    an_interface_without_an_instance_that_has_nothing_else_is_named:
        Reason::InterfaceLeftOver { .. },
        "db orders connect=orders\npair orders 1\ninterface eni-9 groups=ec2-rds-1 of=x detached\nattached i-9 ec2-rds-1 tag=orders";
    a_store_with_the_default_group_is_told_so:
        Reason::DefaultGroupAttached { .. }, "db orders connect=orders\ngroup default";
    a_side_that_is_the_only_group_left_stays:
        Reason::LastGroup { .. }, "instance i-1 groups=none\ndb orders connect=orders\npair orders 1 attached-to=i-1";
    a_pair_that_a_launch_template_names_is_not_deleted:
        Reason::GroupInLaunchTemplate, "gone orders\npair orders 1\ntemplate ec2-rds-1";
    a_pair_that_a_rule_of_others_names_is_not_deleted:
        Reason::GroupInRule { .. }, "gone orders\npair orders 1\ngroup web rule=\"tcp 22 from sg-ec2-rds-1\"";
    a_group_that_has_lost_our_tags_is_named:
        Reason::OwnershipLost, "db orders connect=orders\npair orders 1 made-by=nobody";
    a_pair_whose_store_is_nowhere_to_be_found_is_left_alone:
        Reason::StoreUnknown { .. }, "instance i-1\npair orders 1 attached-to=i-1";
    a_store_that_moved_to_another_vpc_is_named_with_it:
        Reason::StoreMoved { .. }, "instance i-1\ndb orders connect=orders vpc=2\npair orders 1 loose attached-to=i-1";
    a_store_that_is_gone_but_whose_group_is_carried_is_named:
        Reason::StillAttached { .. },
        "instance i-1\ngone orders\npair orders 1 attached-to=i-1\ninterface eni-9 groups=rds-ec2-1 of=RDSNetworkInterface";
    a_client_that_is_no_block_is_an_invalid_cidr:
        Reason::InvalidCidr { .. }, "db orders connect=orders allow-cidr=203.0.113.7\nallow-cidr";
    several_groups_for_cidr_clients_are_ambiguous:
        Reason::AmbiguousCidrGroup { .. },
        "db orders connect=orders\ngroup rds-cidr-1 tagged=orders/cidr ours=cidr\ngroup rds-cidr-2 tagged=orders/cidr ours=cidr";
    a_rule_added_to_a_group_for_cidr_clients_is_a_modification:
        Reason::CidrModified { .. },
        "db orders connect=orders allow-cidr=203.0.113.0/24\nallow-cidr\ngroup rds-cidr-1 tagged=orders/cidr ours=cidr on=orders rule=\"tcp 5432 from 203.0.113.0/24\" rule=\"all traffic from sg-web\"";
    clients_that_are_not_instances_may_not_be_let_in_by_default:
        Reason::CidrNotAllowed, "db orders connect=orders allow-cidr=203.0.113.0/24";
    a_block_that_is_too_wide_is_refused:
        Reason::CidrTooWide { .. }, "db orders connect=orders allow-cidr=10.0.0.0/8\nallow-cidr";
    a_list_that_was_widened_after_it_was_let_in_is_named:
        Reason::CidrWidened { .. },
        "db orders connect=orders allow-cidr=pl-1\nallow-cidr\nprefix-list pl-1 entries=0.0.0.0/0\ngroup rds-cidr-1 tagged=orders/cidr ours=cidr on=orders rule=\"tcp 5432 from pl-1\"";
    clients_that_are_too_many_together_are_refused:
        Reason::CidrSumLimit { .. },
        "db orders connect=orders allow-cidr=pl-1\nallow-cidr ipv4=32\nprefix-list pl-1 entries=10.0.0.0/32,10.0.0.1/32,10.0.0.2/32,10.0.0.3/32,10.0.0.4/32,10.0.0.5/32,10.0.0.6/32,10.0.0.7/32,10.0.0.8/32,10.0.0.9/32,10.0.0.10/32,10.0.0.11/32,10.0.0.12/32,10.0.0.13/32,10.0.0.14/32,10.0.0.15/32,10.0.0.16/32";
    a_prefix_list_of_others_is_refused:
        Reason::PrefixListForeign { .. }, "db orders connect=orders allow-cidr=pl-1\nallow-cidr\nprefix-list pl-1 owner=AWS";
    a_prefix_list_that_is_not_there_is_refused:
        Reason::PrefixListNotFound { .. }, "db orders connect=orders allow-cidr=pl-1\nallow-cidr";
    more_clients_than_a_group_has_rules_for_are_refused:
        Reason::CidrRuleLimit { .. }, "db orders connect=orders allow-cidr=pl-1\nallow-cidr\nprefix-list pl-1 most=61";
    what_is_not_connected_for_tagwire_is_to_be_gone_is_named:
        Reason::Uninstalling, "instance i-1 connect=orders\ndb orders connect=orders\nuninstalling ago=5";
    what_could_not_be_read_is_named:
        Reason::Unread { .. }, "gap stores";
}

#[test]
fn no_two_reasons_have_the_same_code() {
    let mut codes: Vec<&str> = examples().iter().map(Reason::code).collect();
    let all = codes.len();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), all);
}

#[test]
fn an_instance_in_one_of_the_store_s_zones_is_told_nothing() {
    case("instance i-1 connect=orders zone=b\ndb orders connect=orders zone=b,c").codes(&[]);
    case("instance i-1 connect=orders\ndb orders connect=orders zone=b,c").codes(&[]);
    case("instance i-1 connect=orders zone=b\ndb orders connect=orders").codes(&[]);
}

#[test]
fn an_instance_in_another_zone_is_connected_all_the_same() {
    case(
        "instance i-1 connect=orders zone=a
         db orders connect=orders zone=b
         pair orders 1",
    )
    .changes("attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/orders")
    .codes(&["cross-az"]);
}

#[test]
fn a_forged_group_is_never_taken_for_the_store_s() {
    case(
        "instance i-1 connect=orders
         db orders connect=orders
         pair orders 1 made-by=forger attached-to=i-1 port=22",
    )
    .changes(
        "create rds-ec2-2 for db/orders
         create ec2-rds-2 for db/orders
         allow in rds-ec2-2: tcp 5432 from ec2-rds-2
         allow in ec2-rds-2: tcp 5432 to rds-ec2-2
         attach rds-ec2-2 to db/orders
         attach ec2-rds-2 to eni-1 of i-1: shares orders with db/orders",
    )
    .codes(&["ownership-forged", "ownership-forged"]);
}

#[test]
fn what_makes_a_store_ineligible_takes_no_connection_away() {
    for form in ["serverless-v1", "global=world", "state=deleting", "groups=a,b,c,d"] {
        case(&format!(
            "instance i-1 connect=orders
             cluster orders connect=orders {form}
             pair orders 1 attached-to=i-1"
        ))
        .changes_nothing()
        .explains("i-1 and cluster/orders: connected by tagwire through sg-ec2-rds-1 and sg-rds-ec2-1");
    }
}
