//! Every kind of data store goes through the same planner; what differs is its row.

use tagwire_core::{finding::Reason, plan::Verdict, service::Service};
use tagwire_world::World;

use crate::case::{case, holds};

/// The kinds of store, the words of their services in names, and the ports they listen on.
const KINDS: [(&str, &str, &str, &str); 8] = [
    ("db", "db", "rds", "5432"),
    ("cluster", "cluster", "rds", "5432"),
    ("docdb", "cluster", "docdb", "27017"),
    ("neptune", "cluster", "neptune", "8182"),
    ("replicationgroup", "replicationgroup", "elasticache", "6379"),
    ("cache", "cache", "elasticache", "11211"),
    ("serverlesscache", "serverlesscache", "elasticache", "6379-6380"),
    ("redshift", "redshift", "redshift", "5439"),
];

#[test]
fn every_service_has_a_kind_here() {
    for row in Service::ALL.iter().map(|service| service.row()) {
        assert!(KINDS.iter().any(|(_, _, word, _)| row.store_side == format!("{word}-ec2")), "{}", row.title);
    }
}

#[test]
fn every_kind_of_store_gets_a_pair_with_its_service_s_names_and_its_own_ports() {
    for (kind, shown, word, ports) in KINDS {
        case(&format!("instance i-1 connect=orders\n{kind} orders connect=orders")).changes(&format!(
            "create {word}-ec2-1 for {shown}/orders
             create ec2-{word}-1 for {shown}/orders
             allow in {word}-ec2-1: tcp {ports} from ec2-{word}-1
             allow in ec2-{word}-1: tcp {ports} to {word}-ec2-1
             attach {word}-ec2-1 to {shown}/orders
             attach ec2-{word}-1 to eni-1 of i-1: shares orders with {shown}/orders"
        ));
    }
}

#[test]
fn every_kind_of_store_is_connected_once_its_pair_is_there() {
    for (kind, ..) in KINDS {
        case(&format!("instance i-1 connect=orders\n{kind} orders connect=orders\npair orders 1 attached-to=i-1"))
            .changes_nothing()
            .codes(&[]);
    }
}

#[test]
fn every_kind_of_store_is_refused_for_the_same_reasons() {
    for (kind, ..) in KINDS {
        for (option, code) in [
            ("classic", "ec2-classic"),
            ("state=deleting", "not-available"),
            ("public-endpoint", "public-endpoint"),
            ("vpc-networking-off", "no-vpc-networking"),
            ("not-shown", "network-not-shown"),
            ("not-shown state=creating", "not-available"),
            ("not-shown state=deleting", "not-available"),
            ("port=none", "no-endpoint"),
            ("groups=none", "groups-not-shown"),
            ("port=none state=creating", "not-available"),
            ("groups=a,b,c,d,e", "store-group-limit"),
            ("block", "blocked"),
            ("hold", "held"),
        ] {
            let case = case(&format!("instance i-1 connect=orders\n{kind} orders connect=orders {option}"));
            case.changes_nothing().codes(&[code]);
        }
        case(&format!("instance i-1 connect=orders groups=a,b,c,d,e\n{kind} orders connect=orders"))
            .changes_nothing()
            .codes(&["interface-group-limit"]);
    }
}

#[test]
fn a_store_that_is_being_created_is_waited_for_whether_aws_shows_its_port_and_vpc_or_not() {
    for (kind, shown, ..) in KINDS {
        for option in ["", "port=none", "not-shown groups=none port=none"] {
            let case =
                case(&format!("instance i-1 connect=orders\n{kind} orders connect=orders state=creating {option}"));
            let verdicts: Vec<_> = case.plan.decisions.iter().map(|decision| &decision.verdict).collect();
            let waits = matches!(verdicts[..], [Verdict::Waiting(Reason::NotAvailable { passing: true, .. })]);
            assert!(waits, "{shown} {option}: {verdicts:?}");
        }
    }
}

#[test]
fn a_store_that_is_deleted_without_showing_its_vpc_keeps_what_it_has() {
    case(
        "instance i-1 connect=orders
         replicationgroup orders connect=orders not-shown groups=none port=none state=deleting
         pair orders 1 loose attached-to=i-1
         unused ec2-elasticache-1 ago=60
         unused elasticache-ec2-1 ago=60",
    )
    .changes_nothing()
    .codes(&["not-available"]);
}

#[test]
fn a_state_that_holds_a_store_back_is_its_service_s_own() {
    let waits = |line: &str| {
        let case = case(&format!("instance i-1 connect=orders\n{line} connect=orders\npair orders 1 loose"));
        !case.plan.changes().iter().any(|change| change.starts_with("attach") && !change.contains("to eni-1"))
    };
    for (line, expected) in [
        ("replicationgroup orders state=snapshotting", true),
        ("replicationgroup orders state=modifying", true),
        ("cache orders state=\"rebooting cluster nodes\"", true),
        ("serverlesscache orders state=MODIFYING", true),
        ("serverlesscache orders state=AVAILABLE", false),
        ("redshift orders state=paused", true),
        ("redshift orders state=\"available, prep-for-resize\"", false),
        // RDS takes a change while it backs up, Redshift names no such state.
        ("db orders state=backing-up", false),
        ("redshift orders state=backing-up", true),
    ] {
        assert_eq!(waits(line), expected, "{line}");
    }
}

#[test]
fn numbers_are_counted_for_each_service_alone() {
    case(
        "instance i-1 connect=orders
         replicationgroup orders connect=orders
         redshift other connect=other
         pair other 1",
    )
    .changes(
        "create elasticache-ec2-1 for replicationgroup/orders
         create ec2-elasticache-1 for replicationgroup/orders
         allow in elasticache-ec2-1: tcp 6379 from ec2-elasticache-1
         allow in ec2-elasticache-1: tcp 6379 to elasticache-ec2-1
         attach elasticache-ec2-1 to replicationgroup/orders
         attach ec2-elasticache-1 to eni-1 of i-1: shares orders with replicationgroup/orders",
    );
}

#[test]
fn an_application_s_stores_fill_an_interface_and_what_does_not_fit_is_the_same_every_time() {
    let lines = [
        "instance i-1 connect=orders,cache groups=web",
        "cluster aurora connect=orders",
        "db postgres connect=orders",
        "replicationgroup valkey connect=cache",
        "cache memcached connect=cache",
        "serverlesscache serverless connect=cache",
        "redshift warehouse connect=orders",
    ];
    let forwards = case(&lines.join("\n")).codes(&["interface-group-limit", "interface-group-limit"]);
    let backwards = case(&lines.iter().rev().copied().collect::<Vec<_>>().join("\n"));
    assert_eq!(forwards.plan.to_string(), backwards.plan.to_string());
    let message = forwards.plan.to_string();
    for refused in ["serverlesscache/serverless", "replicationgroup/valkey"] {
        assert!(message.contains(&format!("i-1 and {refused}: not connected")), "{message}");
    }
}

#[test]
fn nothing_is_taken_away_on_the_word_of_the_tag_index_alone() {
    for (kind, state, leaves) in [
        ("replicationgroup", "modifying", false),
        ("cache", "modifying", false),
        ("serverlesscache", "MODIFYING", false),
        ("replicationgroup", "available", true),
        ("db", "modifying", true),
        ("redshift", "modifying", true),
    ] {
        let world = format!(
            "instance i-1 connect=orders\n{kind} billing connect=billing state={state}\npair billing 1 attached-to=i-1"
        );
        let plan = holds(&World::read(&world).unwrap()).unwrap();
        assert_eq!(!plan.interfaces.is_empty(), leaves, "{world}\n{plan}");
        assert!(leaves || !plan.stores_to_revisit().is_empty(), "it is looked at again: {world}\n{plan}");
    }
}
