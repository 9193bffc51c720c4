//! Messages that cannot be read, and queues that do not take any.

use proptest::prelude::*;
use tagwire_core::event;
use tagwire_engine::{cloud::ErrorKind, handlers::Failed};

use crate::{
    installation::{Installation, here},
    simulated::{Fault, When, World, cluster, instance, vpc},
};

fn installation() -> Installation {
    Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
        world.launch("2", &vpc("2"), Some("orders"));
    })
}

#[test]
fn events_that_say_nothing_are_consumed_with_their_code() {
    let installation = installation();
    let good = installation.pending(&instance("1"));
    let oversized = format!("{{\"source\":\"{}\"}}", "x".repeat(300_000));
    let again_of_tomorrow =
        "{\"version\":2,\"hints\":[],\"cause\":\"sweep\",\"tries\":{\"attempt\":0,\"since\":\"2026-11-22T08:00:00Z\"}}";
    let bodies = [
        "",
        "null",
        "[]",
        "{\"source\":\"aws.ec2\"}",
        "{\"source\":\"aws.s3\",\"detail-type\":\"Object Created\"}",
        &good.replace("i-1", "j-1"),
        &installation.tagged("arn:aws:ec2:us-east-1:123456789012:volume/vol-1"),
        "{\"hints\":{}}",
        again_of_tomorrow,
        &oversized,
        &good,
    ];
    let ran = installation.take_in(&bodies);
    assert_eq!(ran.returned, Some(Failed::new()), "a message that says nothing is not delivered again");
    assert_eq!(
        ran.codes("outcome"),
        [
            "event-not-json",
            "event-not-json",
            "event-not-json",
            "event-field-missing",
            "event-kind-unknown",
            "event-resource-unknown",
            "event-resource-unknown",
            "message-unreadable",
            "message-unreadable",
            "event-field-missing",
            "work-sent",
        ]
    );
    for line in &ran.log {
        let length: usize = line.values().map(String::len).sum();
        assert!(length < 2000, "a log line of {length} bytes");
    }
    installation.drain();
    installation.assert_converged();
}

#[test]
fn what_is_about_another_account_or_region_is_consumed_without_a_call() {
    let installation = installation();
    let place = "us-east-1:123456789012";
    let orders = format!("arn:aws:rds:{place}:cluster:orders");
    let tries = "\"tries\":{\"attempt\":0,\"since\":\"2026-11-22T08:00:00Z\"}";
    let item = |rest: &str| format!("{{\"version\":1,\"vpc\":\"vpc-1\",\"cause\":\"tag-change\",{tries},{rest}}}");
    let named = item(&format!("\"scope\":{{\"some\":{{\"stores\":[\"{orders}\"]}}}}"));
    let listed = item(&format!("\"scope\":\"vpc\",\"tagged_stores\":[\"{orders}\"]"));
    for elsewhere in ["us-east-1:210987654321", "us-west-2:123456789012"] {
        for body in [&named, &listed] {
            let ran = installation.connect_raw(&[body.replace(place, elsewhere)]);
            assert_eq!((ran.codes("outcome"), &ran.returned), (vec!["message-unreadable"], &Some(Failed::new())));
        }
        let ran = installation.take_in(&[installation.tagged(&orders).replace(place, elsewhere)]);
        assert_eq!((ran.codes("outcome"), &ran.returned), (vec!["event-elsewhere"], &Some(Failed::new())));
    }
    assert!(installation.look(|world| world.calls.is_empty()), "nothing is looked up");
    // The same messages about this account and Region are looked into.
    let ran = installation.connect_raw(&[named, listed]);
    assert!(!ran.codes("outcome").contains(&"message-unreadable"), "{:#?}", ran.log);
    assert!(!installation.look(|world| world.calls.is_empty()));
    installation.drain();
    installation.assert_converged();
}

#[test]
fn a_message_of_ours_without_anything_in_it_has_its_outcome_too() {
    let installation = installation();
    let empty =
        "{\"version\":1,\"hints\":[],\"cause\":\"sweep\",\"tries\":{\"attempt\":0,\"since\":\"2026-11-22T08:00:00Z\"}}";
    let ran = installation.take_in(&[empty]);
    assert_eq!(ran.log.len(), 1, "{:#?}", ran.log);
    assert_eq!(ran.returned, Some(Failed::new()));
}

#[test]
fn work_that_cannot_be_read_is_consumed_with_its_code_and_holds_nothing_up() {
    let installation = installation();
    let good = serde_json::to_string(&installation.about_instance(&vpc("1"), &instance("1"))).unwrap();
    let bodies = [
        String::new(),
        "{}".to_owned(),
        good.replace("vpc-1", "elsewhere"),
        good.replace("\"version\":1", "\"version\":7"),
        "[".repeat(10_000),
        good,
    ];
    let ran = installation.connect_raw(&bodies);
    assert_eq!(ran.returned, Some(Failed::new()));
    let unreadable = "message-unreadable";
    assert_eq!(ran.codes("outcome"), [unreadable, unreadable, unreadable, unreadable, unreadable, "changed"]);
    installation.assert_converged();
}

#[test]
fn exactly_the_messages_whose_work_was_not_sent_are_delivered_again() {
    let installation = installation();
    installation.change(|world| {
        let fault = Fault::Fails { kind: ErrorKind::Unavailable, with_effect: false };
        world.fail(When::Named { name: "send_work", after: 0, times: 1 }, fault);
    });
    let events = [
        installation.pending(&instance("2")),
        installation.pending(&instance("1")),
        installation.created(&cluster("orders")),
    ];
    let ran = installation.take_in(&events);
    // The first VPC in order is that of the second and the third event.
    assert_eq!(ran.returned, Some(["m1".to_owned(), "m2".to_owned()].into()));
    let mut codes = ran.codes("outcome");
    codes.sort_unstable();
    assert_eq!(codes, ["not-sent", "not-sent", "work-sent"]);
    installation.take_in(&events[1..]);
    installation.drain();
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    installation.assert_converged();
}

#[test]
fn work_whose_next_look_cannot_be_asked_for_is_delivered_again() {
    let installation = installation();
    installation.change(|world| {
        world.set_state(&cluster("orders"), "modifying");
        let fault = Fault::Fails { kind: ErrorKind::Denied, with_effect: false };
        world.fail(When::Named { name: "send_again", after: 0, times: 1 }, fault);
    });
    let items = [
        installation.about_instance(&vpc("1"), &instance("1")),
        installation.about_instance(&vpc("2"), &instance("2")),
    ];
    let ran = installation.connect(&items);
    assert_eq!(ran.returned, Some(["m0".to_owned()].into()));
    installation.connect(&items[..1]);
    installation.change(|world| world.set_state(&cluster("orders"), "available"));
    installation.drain();
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    installation.assert_converged();
}

#[test]
fn doubled_and_reordered_events_change_nothing_about_the_end() {
    let installation = installation();
    let events = [installation.created(&cluster("orders")), installation.pending(&instance("1"))];
    for order in [[0, 1, 0, 1], [1, 1, 0, 0]] {
        installation.take_in(&order.map(|index: usize| events[index].clone()));
        installation.drain();
    }
    assert_eq!(installation.look(|world| world.calls_named("create_group").count()), 2);
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    installation.assert_converged();
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let word = prop_oneof![
        Just("aws.ec2".to_owned()),
        Just("aws.tag".to_owned()),
        Just("aws.rds".to_owned()),
        Just("Tag Change on Resource".to_owned()),
        Just("EC2 Instance State-change Notification".to_owned()),
        Just("RDS DB Cluster Event".to_owned()),
        Just("arn:aws:ec2:us-east-1:123456789012:instance/i-1".to_owned()),
        Just("arn:aws:rds:us-east-1:123456789012:cluster:orders".to_owned()),
        Just("vpc-1".to_owned()),
        Just("i-1".to_owned()),
        Just("vpc".to_owned()),
        Just("-009999-01-02T01:59:59Z".to_owned()),
        Just("2026-11-22T08:00:00Z".to_owned()),
        ".*",
    ];
    let key = prop_oneof![
        Just("source".to_owned()),
        Just("detail-type".to_owned()),
        Just("detail".to_owned()),
        Just("resources".to_owned()),
        Just("SourceArn".to_owned()),
        Just("instance-id".to_owned()),
        Just("time".to_owned()),
        Just("id".to_owned()),
        Just("hints".to_owned()),
        Just("version".to_owned()),
        Just("vpc".to_owned()),
        Just("scope".to_owned()),
        Just("cause".to_owned()),
        Just("tries".to_owned()),
        Just("attempt".to_owned()),
        Just("since".to_owned()),
        ".*",
    ];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        Just(1.into()),
        word.prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 64, 12, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(key.clone(), inner, 0..12)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A work item or another look with the most extreme times and numbers.
fn extreme(of: &str) -> impl Strategy<Value = String> + use<> {
    let times =
        prop_oneof![Just("-009999-01-02T01:59:59Z"), Just("9999-12-30T22:00:00Z"), Just("2026-11-22T08:00:00Z")];
    let of = of.to_owned();
    (times, any::<u32>()).prop_map(move |(since, attempt)| {
        let tries = format!("\"tries\":{{\"attempt\":{attempt},\"since\":\"{since}\"}}");
        format!("{{\"version\":1,{of},\"cause\":\"tag-change\",{tries}}}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn no_json_makes_a_reader_panic(body in any_json()) {
        let body = body.to_string();
        drop(event::read(&body, &here()));
        let installation = installation();
        prop_assert!(installation.take_in(std::slice::from_ref(&body)).returned.is_some());
        prop_assert_eq!(installation.connect_raw(&[body]).returned, Some(Failed::new()));
        prop_assert_eq!(installation.look(World::is_sound), Ok(()));
    }

    #[test]
    fn no_text_makes_a_reader_panic(body in ".*") {
        drop(event::read(&body, &here()));
        let installation = installation();
        prop_assert_eq!(installation.take_in(&[&body]).returned, Some(Failed::new()));
        prop_assert_eq!(installation.connect_raw(&[&body]).returned, Some(Failed::new()));
        prop_assert!(installation.look(|world| world.calls.is_empty()), "such a text leads nowhere");
    }

    #[test]
    fn no_time_and_no_number_of_tries_makes_a_run_panic(
        work in extreme("\"vpc\":\"vpc-1\",\"scope\":{\"some\":{\"instances\":[\"i-1\",\"i-9\"]}}"),
        again in extreme("\"hints\":[{\"instance\":\"i-9\"},{\"store\":\"arn:aws:rds:us-east-1:123456789012:cluster:orders\"}]"),
    ) {
        let installation = installation();
        prop_assert_eq!(installation.take_in(&[again]).returned, Some(Failed::new()));
        let ran = installation.connect_raw(&[work]);
        prop_assert_eq!(ran.returned, Some(Failed::new()));
        prop_assert!(!ran.calls.is_empty());
        installation.assert_converged();
    }
}
