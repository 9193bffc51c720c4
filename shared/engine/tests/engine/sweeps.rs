//! The schedule looks everywhere.

use tagwire_core::observation::Scope;
use tagwire_engine::cloud::ErrorKind;

use crate::{
    installation::Installation,
    simulated::{Fault, When, World, cluster, instance, vpc},
};

fn installation() -> Installation {
    Installation::new(|world| {
        for of in ["1", "2", "3"] {
            world.store(&format!("orders{of}"), &vpc(of), Some("orders"));
            world.launch(of, &vpc(of), Some("orders"));
            world.launch(&format!("{of}again"), &vpc(of), Some("orders"));
        }
        world.launch("4", &vpc("4"), Some("orders"));
        world.store("lonely", &vpc("5"), Some("lonely"));
        // Nobody here takes part.
        world.store("private", &vpc("6"), None);
        world.launch("6", &vpc("6"), None);
    })
}

#[test]
fn a_sweep_has_every_vpc_of_interest_looked_at_once() {
    let installation = installation();
    let ran = installation.sweep();
    assert_eq!(ran.returned, Some(Ok(5)));
    assert_eq!(ran.codes("outcome"), ["swept"]);
    assert_eq!((ran.reads(), ran.writes()), (4, 0));
    let sent: Vec<String> = installation.look(|world| world.work.iter().map(|item| item.vpc.to_string()).collect());
    assert_eq!(sent, ["vpc-1", "vpc-2", "vpc-3", "vpc-4", "vpc-5"]);
    assert!(installation.look(|world| world.work.iter().all(|item| item.scope == Scope::Vpc)));
    installation.drain();
    installation.look(|world| {
        for of in ["1", "2", "3"] {
            assert!(world.reaches(&instance(of), &cluster(&format!("orders{of}"))));
            assert!(world.reaches(&instance(&format!("{of}again")), &cluster(&format!("orders{of}"))));
        }
    });
    installation.assert_converged();
}

#[test]
fn a_vpc_with_nothing_but_groups_of_ours_is_looked_at() {
    let installation = installation();
    installation.recovers();
    installation.change(|world| {
        world.delete_store("orders1");
        world.terminate("1");
        world.terminate("1again");
    });
    installation.sweep();
    assert!(installation.look(|world| world.work.iter().any(|item| item.vpc == vpc("1"))));
    installation.drain();
    assert!(
        installation.look(|world| world.ours().keys().all(|(store, _)| store != "cluster-ORDERS1")),
        "its pair is gone"
    );
    installation.assert_converged();
}

#[test]
fn a_vpc_that_cannot_be_sent_does_not_stop_the_others() {
    let installation = installation();
    installation.change(|world| {
        let fault = Fault::Fails { kind: ErrorKind::Unavailable, with_effect: false };
        world.fail(When::Named { name: "send_work", after: 1, times: 1 }, fault);
    });
    let ran = installation.sweep();
    assert!(matches!(ran.returned, Some(Err(_))));
    assert_eq!(ran.codes("outcome"), ["not-sent"]);
    let sent: Vec<String> = installation.look(|world| world.work.iter().map(|item| item.vpc.to_string()).collect());
    assert_eq!(sent, ["vpc-1", "vpc-3", "vpc-4", "vpc-5"]);
    installation.recovers();
}

#[test]
fn what_a_sweep_cannot_read_hides_nothing_of_the_rest() {
    for (name, sent) in [("instances", 4), ("groups", 5), ("candidates", 4), ("stores", 4)] {
        let installation = installation();
        installation.change(|world| {
            let fault = Fault::Fails { kind: ErrorKind::Denied, with_effect: false };
            world.fail(When::Named { name, after: 0, times: usize::MAX }, fault);
        });
        let ran = installation.sweep();
        assert_eq!(ran.count("send_work"), sent, "{name}");
        assert_eq!(ran.returned, Some(Ok(sent)), "{name}");
        installation.recovers();
    }
}

#[test]
fn a_sweep_finds_what_every_event_missed() {
    let installation = installation();
    installation.recovers();
    installation.change(|world| {
        world.launch("late", &vpc("2"), Some("orders"));
    });
    installation.recovers();
    assert!(installation.look(|world: &World| world.reaches(&instance("late"), &cluster("orders2"))));
}
