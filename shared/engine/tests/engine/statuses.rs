//! Status tags: the answer where the question was put, and no loop.

use tagwire_engine::cloud::ErrorKind;

use crate::{
    simulated::{Fault, cluster, instance, sg, vpc},
    site::Site,
};

fn site() -> Site {
    let mut site = Site::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
        world.launch("2", &vpc("1"), Some("orders"));
    });
    site.policy.status_tags = true;
    site
}

fn of_instance(site: &Site, word: &str) -> Option<String> {
    site.look(|world| world.instances[&instance(word)].wishes.status.clone())
}

fn of_store(site: &Site, name: &str) -> Option<String> {
    site.look(|world| world.stores[&cluster(name)].wishes.status.clone())
}

/// Hears an event, and then, as often as there are any, the events of the status tags that were
/// written, as if no rule kept them away; how many rounds and runs of `connect` that took.
fn hear_all(site: &Site, event: String) -> (usize, usize) {
    let before = site.look(|world| world.calls_named("recall").count());
    let mut events = vec![event];
    let mut rounds = 0;
    while !events.is_empty() {
        rounds += 1;
        assert!(rounds < 10, "the tags chase each other");
        let seen = site.look(|world| world.calls.len());
        site.hear(&events);
        let written = site.look(|world| {
            let calls = world.calls[seen..].iter().filter(|call| call.name == "set_status");
            calls.map(|call| call.about.clone()).collect::<Vec<_>>()
        });
        events = written
            .iter()
            .map(|about| about.strip_prefix("i-").map_or_else(|| site.tagged(about), |word| site.instance_tagged(word)))
            .collect();
    }
    (rounds, site.look(|world| world.calls_named("recall").count()) - before)
}

#[test]
fn the_answer_stands_beside_the_tag_on_both_sides() {
    let site = site();
    hear_all(&site, site.pending(&instance("1")));
    assert_eq!(of_instance(&site, "1").as_deref(), Some("connected: orders"));
    assert_eq!(of_store(&site, "orders").as_deref(), Some("connected: i-1 i-2"));
    assert_eq!(of_instance(&site, "2").as_deref(), Some("connected: orders"), "it was told of it");
    site.is_at_rest();
}

#[test]
fn a_change_is_told_to_both_and_the_tags_do_not_chase_each_other() {
    let site = site();
    site.swept();
    site.is_at_rest();
    site.change(|world| world.tag_instance("1", None));
    let (rounds, runs) = hear_all(&site, site.instance_tagged("1"));
    assert_eq!(of_instance(&site, "1"), None);
    assert_eq!(of_store(&site, "orders").as_deref(), Some("connected: i-2"));
    assert!(rounds <= 3 && runs <= 5, "{rounds} rounds, {runs} runs");
    site.is_at_rest();

    site.change(|world| world.tag_instance("1", Some("orders nothing")));
    let (rounds, runs) = hear_all(&site, site.instance_tagged("1"));
    assert_eq!(of_instance(&site, "1").as_deref(), Some("connected: orders / no-match: nothing"));
    assert_eq!(of_store(&site, "orders").as_deref(), Some("connected: i-1 i-2"));
    assert!(rounds <= 3 && runs <= 5, "{rounds} rounds, {runs} runs");
    site.is_at_rest();
}

#[test]
fn a_status_is_written_only_when_it_changes() {
    let site = site();
    site.swept();
    let written = |site: &Site| site.look(|world| world.calls_named("set_status").count());
    assert_eq!(written(&site), 3);
    for _ in 0..3 {
        site.next_sweep();
    }
    site.hear(&[site.pending(&instance("1")), site.tagged(cluster("orders").as_str())]);
    assert_eq!(written(&site), 3);
    site.change(|world| {
        world.launch("3", &vpc("1"), Some("orders"));
    });
    hear_all(&site, site.pending(&instance("3")));
    assert_eq!(written(&site), 5, "the new one, and the store");
    site.is_at_rest();
}

#[test]
fn a_status_that_somebody_changes_is_put_back_once() {
    let site = site();
    site.swept();
    site.change(|world| world.instance_mut("1").wishes.status = Some("all is well".to_owned()));
    let (rounds, _) = hear_all(&site, site.instance_tagged("1"));
    assert_eq!((rounds, of_instance(&site, "1").as_deref()), (2, Some("connected: orders")));
    site.is_at_rest();
}

#[test]
fn a_status_says_nothing_that_did_not_happen() {
    for name in ["set_interface_groups", "set_store_groups", "authorize", "create_group"] {
        let site = site();
        let fault = Fault::Fails { kind: ErrorKind::Denied, with_effect: false };
        site.change(|world| world.fail_next(name, usize::MAX - 10_000, fault));
        let ran = site.connect(&[site.about_instance(&vpc("1"), &instance("1"))]);
        assert!(ran.count(name) > 0);
        assert_eq!((ran.count("set_status"), of_instance(&site, "1")), (0, None), "{name}: {:#?}", ran.log);
        site.recovers();
        assert_eq!(of_instance(&site, "1").as_deref(), Some("connected: orders"));
    }
}

#[test]
fn a_status_does_not_say_that_something_is_gone_while_it_stands() {
    let site = site();
    site.swept();
    site.change(|world| {
        world.tag_instance("1", None);
        world.fail_next("set_interface_groups", 1, Fault::Fails { kind: ErrorKind::Denied, with_effect: false });
    });
    let ran = site.connect(&[site.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!((ran.count("set_interface_groups"), ran.count("set_status")), (1, 0));
    assert_eq!(of_instance(&site, "1").as_deref(), Some("connected: orders"));
    site.recovers();
    assert_eq!(of_instance(&site, "1"), None);
}

#[test]
fn what_is_held_back_and_what_is_refused_say_so() {
    let mut site = site();
    site.swept();
    site.policy.max_disconnects = 0;
    site.change(|world| {
        world.tag_instance("1", None);
        world.instance_mut("2").wishes.blocked = true;
        world.launch("3", &vpc("1"), Some("orders"));
        for word in ["a", "b", "c", "d"] {
            world.they_attach("eni-3", &sg(word));
        }
        world.launch("4", &vpc("1"), Some("orders,more"));
        world.launch("5", &vpc("1"), None);
    });
    site.next_sweep();
    assert_eq!(of_instance(&site, "1").as_deref(), Some("disconnects-held-back: orders"));
    assert_eq!(of_instance(&site, "2").as_deref(), Some("blocked: orders"));
    assert_eq!(of_instance(&site, "3").as_deref(), Some("interface-group-limit: orders"));
    assert_eq!(of_instance(&site, "4").as_deref(), Some("invalid-tag"));
    assert_eq!(of_instance(&site, "5"), None, "nobody asked");
    assert_eq!(
        of_store(&site, "orders").as_deref(),
        Some("blocked: i-2 / disconnects-held-back: i-1 / interface-group-limit: i-3")
    );
    site.is_at_rest();
}

#[test]
fn a_status_that_cannot_be_written_is_no_reason_to_wait_with_the_connection() {
    let site = site();
    let fault = Fault::Fails { kind: ErrorKind::Denied, with_effect: false };
    site.change(|world| world.fail_next("set_status", usize::MAX - 10_000, fault));
    site.hear(&[site.pending(&instance("1"))]);
    assert!(site.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    assert!(site.look(|world| world.calls_named("set_status").count()) < 10);
    site.recovers();
}

#[test]
fn without_the_setting_no_status_is_written() {
    let mut site = site();
    site.policy.status_tags = false;
    site.swept();
    assert_eq!(site.look(|world| world.calls_named("set_status").count()), 0);
    let planned = site.connect(&[site.whole(&vpc("1"))]);
    assert!(planned.codes("decision").contains(&"connected"));
    site.is_at_rest();
}
