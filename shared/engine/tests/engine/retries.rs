//! Stores that `data-store-events` waits for by itself, and for how long.

use std::time::Duration;

use tagwire_core::{
    id::StoreArn,
    model::{Form, Network},
    tag::{DEFAULT_CONNECT_KEY, TagSettings},
    work::{Cause, GIVE_UP_AFTER},
};
use tagwire_engine::cloud::{ErrorKind, EventQueue};

use crate::{
    installation::{Installation, Ran},
    simulated::{World, cluster, instance, sg, vpc},
};

fn create(world: &mut World, name: &str) -> StoreArn {
    let arn = world.store(name, &vpc("1"), Some("orders"));
    let store = world.stores.get_mut(&arn).unwrap();
    store.ports = None;
    "creating".clone_into(&mut store.state);
    arn
}

fn installation() -> Installation {
    Installation::new(|world| {
        create(world, "orders");
        world.launch("1", &vpc("1"), Some("orders"));
    })
}

/// Hands the messages of the store queue in, one after the other, as their delays end, until no
/// more comes; what the last invocation did, and the delays.
fn wait(installation: &Installation) -> (Ran<tagwire_engine::handlers::Failed>, Vec<u64>) {
    let mut delays = Vec::new();
    loop {
        let sent = std::mem::take(&mut installation.cloud.world.borrow_mut().again);
        let [(EventQueue::Stores, again, delay)] = sent.as_slice() else { panic!("not one message: {sent:#?}") };
        delays.push(delay.as_secs());
        installation.clock.advance(*delay);
        let ran = installation.take_in(&[serde_json::to_string(again).unwrap()]);
        if installation.look(|world| world.again.is_empty()) {
            return (ran, delays);
        }
    }
}

fn finding(ran: &Ran<tagwire_engine::handlers::Failed>) -> String {
    let of_finding = |line: &&crate::installation::Record| line.get("record").map(String::as_str) == Some("finding");
    ran.log.iter().find(of_finding).map(|line| line["message"].clone()).unwrap()
}

#[test]
fn a_store_that_is_never_created_is_given_up_with_its_state_and_its_age() {
    let installation = installation();
    installation.take_in(&[installation.created(&cluster("orders"))]);
    let (last, delays) = wait(&installation);
    assert_eq!(delays[..9], [5, 10, 20, 40, 80, 160, 320, 640, 900]);
    let waited = Duration::from_secs(delays.iter().sum());
    assert!(waited >= GIVE_UP_AFTER && waited < GIVE_UP_AFTER + Duration::from_mins(15), "{waited:?}");
    assert_eq!((last.codes("outcome"), last.codes("finding")), (vec!["gave-up"], vec!["gave-up"]));
    let message = finding(&last);
    assert!(message.contains("\"creating\"") && message.contains("24h"), "{message}");
    let calls = installation.look(|world| world.calls_named("groups").count());
    assert_eq!(calls, 0, "connect was asked to look at a store that had nothing to connect");
    installation.change(|world| {
        let store = world.stores.get_mut(&cluster("orders")).unwrap();
        store.ports = tagwire_core::rule::PortRange::single(5432);
        "available".clone_into(&mut store.state);
    });
    installation.recovers();
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
}

#[test]
fn a_store_that_is_changed_for_ever_is_looked_at_and_given_up() {
    let installation = installation();
    installation.change(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.set_state(&cluster("orders"), "modifying");
    });
    let ran = installation.take_in(&[installation.created(&cluster("orders"))]);
    assert_eq!(ran.codes("outcome"), ["work-sent"]);
    assert_eq!(installation.connect_sent().codes("outcome"), ["will-retry"]);
    installation.clock.advance(GIVE_UP_AFTER);
    let (last, _) = wait(&installation);
    assert_eq!((last.codes("outcome"), last.codes("finding")), (vec!["gave-up"], vec!["gave-up"]));
    assert!(finding(&last).contains("modifying"), "{}", finding(&last));
}

#[test]
fn an_old_event_is_looked_into_once_before_its_store_is_given_up() {
    let installation = installation();
    installation.change(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.set_state(&cluster("orders"), "modifying");
    });
    let event = installation.created(&cluster("orders"));
    installation.clock.advance(GIVE_UP_AFTER);
    assert_eq!(installation.take_in(&[event]).codes("outcome"), ["work-sent"]);
}

#[test]
fn a_store_that_fails_to_be_created_is_not_waited_for() {
    let installation = installation();
    installation.take_in(&[installation.created(&cluster("orders"))]);
    installation.change(|world| world.set_state(&cluster("orders"), "failed"));
    let (last, delays) = wait(&installation);
    assert_eq!((last.codes("outcome"), delays), (vec!["work-sent"], vec![5]));
    let ran = installation.connect_sent();
    assert!(ran.codes("decision").contains(&"not-available"));
    assert_eq!((ran.codes("outcome"), ran.count("send_again")), (vec!["unchanged"], 0));
}

#[test]
fn what_may_take_a_connection_away_does_not_wait_for_the_store() {
    let installation = installation();
    let ran = installation.take_in(&[installation.tagged(cluster("orders").as_str())]);
    assert_eq!(ran.codes("outcome"), ["work-sent"]);
    assert_eq!(installation.look(|world| world.work[0].cause), Cause::TagChange);
    installation.change(|world| {
        world.work.clear();
        world.stores.get_mut(&cluster("orders")).unwrap().settings.blocked = true;
    });
    assert_eq!(installation.take_in(&[installation.created(&cluster("orders"))]).codes("outcome"), ["work-sent"]);
}

#[test]
fn a_store_that_cannot_be_described_yet_comes_back_without_being_asked_for_at_once_again() {
    let installation = installation();
    installation.change(|world| {
        world.dark.insert(cluster("orders"), ErrorKind::NotReady);
    });
    let ran = installation.take_in(&[installation.created(&cluster("orders"))]);
    assert_eq!((ran.codes("outcome"), ran.count("stores")), (vec!["will-retry"], 1));
    let (last, _) = wait(&installation);
    assert_eq!(last.codes("finding"), ["gave-up"]);
    assert!(finding(&last).contains("NotReady"), "{}", finding(&last));
}

#[test]
fn what_was_throttled_is_asked_for_again_at_once() {
    let installation = installation();
    installation.change(|world| {
        world.dark.insert(cluster("orders"), ErrorKind::Throttled);
    });
    let ran = installation.take_in(&[installation.created(&cluster("orders"))]);
    assert_eq!((ran.codes("outcome"), ran.count("stores")), (vec!["will-retry"], 5));
}

#[test]
fn a_store_that_may_not_be_read_ends_no_other_ones_story() {
    let installation = installation();
    installation.change(|world| {
        create(world, "a-denied");
        create(world, "z-denied");
        world.dark.insert(cluster("a-denied"), ErrorKind::Denied);
        world.dark.insert(cluster("orders"), ErrorKind::NotReady);
        world.dark.insert(cluster("z-denied"), ErrorKind::Denied);
    });
    let events = ["a-denied", "orders", "z-denied"].map(|name| installation.created(&cluster(name)));
    let ran = installation.take_in(&events);
    let mut codes = ran.codes("outcome");
    codes.sort_unstable();
    assert_eq!(codes, ["unread", "unread", "will-retry"]);
    assert_eq!(installation.look(|world| world.again.len()), 1);
}

#[test]
fn a_part_of_a_larger_store_is_told_of_its_whole_and_costs_no_observation() {
    let installation = installation();
    installation.change(|world| {
        let store = world.stores.get_mut(&cluster("orders")).unwrap();
        store.form = Form::ClusterMember { cluster: "the replication group orders".into() };
    });
    for event in [installation.created(&cluster("orders")), installation.tagged(cluster("orders").as_str())] {
        let ran = installation.take_in(&[event]);
        assert_eq!((ran.codes("outcome"), ran.calls.len()), (vec!["cluster-member"], 1));
    }
}

#[test]
fn a_store_outside_any_vpc_ends_at_once_with_what_to_do() {
    let installation = installation();
    installation.change(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.stores.get_mut(&cluster("orders")).unwrap().network = Network::Classic;
    });
    let ran = installation.take_in(&[installation.created(&cluster("orders"))]);
    assert_eq!((ran.codes("outcome"), ran.calls.len()), (vec!["ec2-classic"], 1));
}

#[test]
fn a_store_without_a_network_for_security_groups_ends_at_once_with_what_to_do_and_stops_nothing_else() {
    for (network, code) in [
        (Network::VpcNetworkingOff, "no-vpc-networking"),
        (Network::PublicEndpoint, "public-endpoint"),
        (Network::NotShown, "network-not-shown"),
    ] {
        let installation = installation();
        installation.change(|world| {
            world.launch("1", &vpc("1"), Some("orders elsewhere"));
            world.store("orders", &vpc("1"), Some("orders"));
            world.store("gone", &vpc("1"), Some("orders"));
            world.store("elsewhere", &vpc("1"), Some("elsewhere"));
        });
        installation.swept();
        installation.change(|world| {
            world.they_detach(cluster("gone").as_str(), &sg("db"));
            world.stores.remove(&cluster("gone"));
            world.they_detach(cluster("elsewhere").as_str(), &sg("db"));
            let store = world.stores.get_mut(&cluster("elsewhere")).unwrap();
            store.network = network.clone();
            store.groups.clear();
            world.launch("2", &vpc("1"), Some("orders"));
        });
        let ran = installation.take_in(&[installation.created(&cluster("elsewhere"))]);
        assert_eq!((ran.codes("outcome"), ran.count("send_again")), (vec![code], 0));
        installation.next_sweep();
        installation.drain();
        let ran = installation.connect(&[installation.whole(&vpc("1"))]);
        assert!(ran.codes("decision").contains(&code), "{:?}", ran.codes("decision"));
        assert_eq!(ran.codes("outcome"), ["unchanged"]);
        for word in ["1", "2"] {
            assert!(installation.look(|world| world.reaches(&instance(word), &cluster("orders"))), "{word}");
        }
        for _ in 0..3 {
            installation.next_sweep();
            installation.drain();
        }
        let left = installation.look(|world| {
            let tags = world.groups.values().map(|there| there.group.tags.clone());
            tags.filter(|tags| tags.values().any(|value| value.ends_with(":cluster:gone"))).count()
        });
        assert_eq!(left, 0, "the pair of a store that is gone is deleted beside it");
        installation.assert_converged();
    }
}

#[test]
fn the_deletion_of_a_store_that_shows_no_vpc_any_more_is_followed_to_its_end() {
    let installation = installation();
    installation.change(|world| {
        world.launch("1", &vpc("1"), Some("orders"));
        world.store("orders", &vpc("1"), Some("orders"));
        world.store("never-connected", &vpc("1"), None);
    });
    installation.swept();
    installation.change(|world| {
        for name in ["orders", "never-connected"] {
            world.they_detach(cluster(name).as_str(), &sg("db"));
            let store = world.stores.get_mut(&cluster(name)).unwrap();
            "deleting".clone_into(&mut store.state);
            store.network = Network::NotShown;
            store.groups.clear();
            store.settings = TagSettings::read(DEFAULT_CONNECT_KEY, []);
        }
    });
    let ran = installation.take_in(&[installation.deleted(&cluster("orders"))]);
    assert_eq!((ran.codes("outcome"), ran.count("send_again")), (vec!["will-retry"], 1));
    let other = installation.take_in(&[installation.deleted(&cluster("never-connected"))]);
    assert_eq!((other.codes("outcome"), other.count("send_again")), (vec!["not-opted-in"], 0));
    installation.change(|world| {
        world.stores.remove(&cluster("orders"));
        world.index.remove(&cluster("orders"));
    });
    let [(_, again, delay)] = &std::mem::take(&mut installation.cloud.world.borrow_mut().again)[..] else { panic!() };
    installation.clock.advance(*delay);
    let ran = installation.take_in(&[serde_json::to_string(again).unwrap()]);
    assert_eq!(ran.codes("outcome"), ["work-sent"], "the groups that it left behind are looked at");
    installation.recovers();
}

#[test]
fn a_call_that_names_a_new_name_is_looked_for_under_both() {
    let installation = installation();
    let event = serde_json::json!({
        "id": "event-of-a-rename",
        "source": "aws.redshift",
        "detail-type": "AWS API Call via CloudTrail",
        "account": "123456789012",
        "region": "us-east-1",
        "time": installation.now().to_string(),
        "detail": {
            "eventName": "ModifyCluster",
            "requestParameters": {"clusterIdentifier": "old", "newClusterIdentifier": "new"},
        },
    });
    let ran = installation.take_in(&[event.to_string()]);
    assert_eq!(ran.codes("outcome"), ["store-gone", "store-gone"]);
    let about: Vec<_> = ran.log.iter().filter_map(|line| line.get("subject")).collect();
    assert!(about[0].ends_with(":new") && about[1].ends_with(":old"), "{about:?}");
}
