//! Status tags: the answer where the question was put, and no loop.

use tagwire_engine::cloud::ErrorKind;

use crate::{
    installation::Installation,
    simulated::{Fault, cluster, instance, sg, vpc},
};

fn installation() -> Installation {
    let mut installation = Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
        world.launch("2", &vpc("1"), Some("orders"));
    });
    installation.policy.status_tags = true;
    installation
}

fn of_instance(installation: &Installation, word: &str) -> Option<String> {
    installation.look(|world| world.instances[&instance(word)].settings.status.clone())
}

fn of_store(installation: &Installation, name: &str) -> Option<String> {
    installation.look(|world| world.stores[&cluster(name)].settings.status.clone())
}

/// Hears an event, and then, as often as there are any, the events of the status tags that were
/// written, as if no rule kept them away; how many rounds and runs of `connect` that took.
fn hear_all(installation: &Installation, event: String) -> (usize, usize) {
    let before = installation.look(|world| world.calls_named("vpc_state").count());
    let mut events = vec![event];
    let mut rounds = 0;
    while !events.is_empty() {
        rounds += 1;
        assert!(rounds < 10, "the tags chase each other");
        let seen = installation.look(|world| world.calls.len());
        installation.deliver(&events);
        let written = installation.look(|world| {
            let calls = world.calls[seen..].iter().filter(|call| call.name == "set_status");
            calls.map(|call| call.subject.clone()).collect::<Vec<_>>()
        });
        events = written
            .iter()
            .map(|subject| {
                subject
                    .strip_prefix("i-")
                    .map_or_else(|| installation.tagged(subject), |word| installation.instance_tagged(word))
            })
            .collect();
    }
    (rounds, installation.look(|world| world.calls_named("vpc_state").count()) - before)
}

#[test]
fn the_answer_stands_beside_the_tag_on_both_sides() {
    let installation = installation();
    hear_all(&installation, installation.pending(&instance("1")));
    assert_eq!(of_instance(&installation, "1").as_deref(), Some("connected: orders"));
    assert_eq!(of_store(&installation, "orders").as_deref(), Some("connected: i-1 i-2"));
    assert_eq!(of_instance(&installation, "2").as_deref(), Some("connected: orders"), "it was told of it");
    installation.assert_converged();
}

#[test]
fn a_change_is_told_to_both_and_the_tags_do_not_chase_each_other() {
    let installation = installation();
    installation.swept();
    installation.assert_converged();
    installation.change(|world| world.tag_instance("1", None));
    let (rounds, runs) = hear_all(&installation, installation.instance_tagged("1"));
    assert_eq!(of_instance(&installation, "1"), None);
    assert_eq!(of_store(&installation, "orders").as_deref(), Some("connected: i-2"));
    assert!(rounds <= 3 && runs <= 5, "{rounds} rounds, {runs} runs");
    installation.assert_converged();

    installation.change(|world| world.tag_instance("1", Some("orders nothing")));
    let (rounds, runs) = hear_all(&installation, installation.instance_tagged("1"));
    assert_eq!(of_instance(&installation, "1").as_deref(), Some("connected: orders / no-match: nothing"));
    assert_eq!(of_store(&installation, "orders").as_deref(), Some("connected: i-1 i-2"));
    assert!(rounds <= 3 && runs <= 5, "{rounds} rounds, {runs} runs");
    installation.assert_converged();
}

#[test]
fn a_status_is_written_only_when_it_changes() {
    let installation = installation();
    installation.swept();
    let written = |installation: &Installation| installation.look(|world| world.calls_named("set_status").count());
    assert_eq!(written(&installation), 3);
    for _ in 0..3 {
        installation.next_sweep();
    }
    installation.deliver(&[installation.pending(&instance("1")), installation.tagged(cluster("orders").as_str())]);
    assert_eq!(written(&installation), 3);
    installation.change(|world| {
        world.launch("3", &vpc("1"), Some("orders"));
    });
    hear_all(&installation, installation.pending(&instance("3")));
    assert_eq!(written(&installation), 5, "the new one, and the store");
    installation.assert_converged();
}

#[test]
fn a_status_that_somebody_changes_is_put_back_once() {
    let installation = installation();
    installation.swept();
    installation.change(|world| world.instance_mut("1").settings.status = Some("all is well".to_owned()));
    let (rounds, _) = hear_all(&installation, installation.instance_tagged("1"));
    assert_eq!((rounds, of_instance(&installation, "1").as_deref()), (2, Some("connected: orders")));
    installation.assert_converged();
}

#[test]
fn a_status_says_nothing_that_did_not_happen() {
    for name in ["set_interface_groups", "set_store_groups", "authorize", "create_group"] {
        let installation = installation();
        let fault = Fault::Fails { kind: ErrorKind::Denied, with_effect: false };
        installation.change(|world| world.fail_next(name, usize::MAX - 10_000, fault));
        let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
        assert!(ran.count(name) > 0);
        assert_eq!((ran.count("set_status"), of_instance(&installation, "1")), (0, None), "{name}: {:#?}", ran.log);
        installation.recovers();
        assert_eq!(of_instance(&installation, "1").as_deref(), Some("connected: orders"));
    }
}

#[test]
fn a_status_does_not_say_that_something_is_gone_while_it_stands() {
    let installation = installation();
    installation.swept();
    installation.change(|world| {
        world.tag_instance("1", None);
        world.fail_next("set_interface_groups", 1, Fault::Fails { kind: ErrorKind::Denied, with_effect: false });
    });
    let ran = installation.connect(&[installation.about_instance(&vpc("1"), &instance("1"))]);
    assert_eq!((ran.count("set_interface_groups"), ran.count("set_status")), (1, 0));
    assert_eq!(of_instance(&installation, "1").as_deref(), Some("connected: orders"));
    installation.recovers();
    assert_eq!(of_instance(&installation, "1"), None);
}

#[test]
fn what_is_held_back_and_what_is_refused_say_so() {
    let mut installation = installation();
    installation.swept();
    installation.policy.max_disconnects = 0;
    installation.change(|world| {
        world.tag_instance("1", None);
        world.instance_mut("2").settings.blocked = true;
        world.launch("3", &vpc("1"), Some("orders"));
        for word in ["a", "b", "c", "d"] {
            world.other_writer_attaches("eni-3", &sg(word));
        }
        world.launch("4", &vpc("1"), Some("orders,more"));
        world.launch("5", &vpc("1"), None);
    });
    installation.next_sweep();
    assert_eq!(of_instance(&installation, "1").as_deref(), Some("disconnects-held-back: orders"));
    assert_eq!(of_instance(&installation, "2").as_deref(), Some("blocked: orders"));
    assert_eq!(of_instance(&installation, "3").as_deref(), Some("interface-group-limit: orders"));
    assert_eq!(of_instance(&installation, "4").as_deref(), Some("invalid-tag"));
    assert_eq!(of_instance(&installation, "5"), None, "nobody asked");
    assert_eq!(
        of_store(&installation, "orders").as_deref(),
        Some("blocked: i-2 / disconnects-held-back: i-1 / interface-group-limit: i-3")
    );
    installation.assert_converged();
}

#[test]
fn a_status_that_cannot_be_written_is_no_reason_to_wait_with_the_connection() {
    let installation = installation();
    let fault = Fault::Fails { kind: ErrorKind::Denied, with_effect: false };
    installation.change(|world| world.fail_next("set_status", usize::MAX - 10_000, fault));
    installation.deliver(&[installation.pending(&instance("1"))]);
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    assert!(installation.look(|world| world.calls_named("set_status").count()) < 10);
    installation.recovers();
}

#[test]
fn without_the_setting_no_status_is_written() {
    let mut installation = installation();
    installation.policy.status_tags = false;
    installation.swept();
    assert_eq!(installation.look(|world| world.calls_named("set_status").count()), 0);
    let planned = installation.connect(&[installation.whole(&vpc("1"))]);
    assert!(planned.codes("decision").contains(&"connected"));
    installation.assert_converged();
}
