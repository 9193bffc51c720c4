//! Groups that nobody uses: seen so in two sweeps a period apart, and then deleted.

use std::time::Duration;

use tagwire_core::service::Side;

use crate::{
    installation::Installation,
    simulated::{World, cluster, identity, instance, vpc},
};

/// What a crash left of a pair, for a store that nobody shares a name with any more.
fn installation() -> Installation {
    Installation::new(|world| {
        let store = world.store("orders", &vpc("1"), Some("orders"));
        world.half_made(Side::Store, "rds-ec2-1", &vpc("1"), &store);
        world.half_made(Side::Instance, "ec2-rds-1", &vpc("1"), &store);
        world.launch("1", &vpc("1"), Some("billing"));
    })
}

fn groups(installation: &Installation) -> usize {
    installation.look(|world| world.ours().len())
}

fn noted(installation: &Installation) -> usize {
    installation.look(|world| world.table.get(&vpc("1")).map_or(0, |state| state.unused.len()))
}

#[test]
fn it_takes_two_sweeps_a_period_apart() {
    let installation = installation();
    installation.swept();
    assert_eq!((groups(&installation), noted(&installation)), (2, 2));
    installation.assert_converged();
    // Sweeps that come too early do not count.
    for _ in 0..3 {
        installation.clock.advance(Duration::from_mins(4));
        installation.swept();
        assert_eq!(groups(&installation), 2);
    }
    installation.clock.advance(Duration::from_mins(3));
    installation.swept();
    assert_eq!((groups(&installation), noted(&installation)), (0, 0));
    installation.assert_converged();
}

#[test]
fn an_event_never_deletes_what_is_unused() {
    let installation = installation();
    installation.swept();
    installation.clock.advance(Duration::from_hours(2));
    installation.deliver(&[installation.instance_tagged("1"), installation.tagged(cluster("orders").as_str())]);
    assert_eq!(groups(&installation), 2);
    installation.swept();
    assert_eq!(groups(&installation), 0);
    installation.assert_converged();
}

#[test]
fn what_is_used_in_between_starts_anew() {
    let installation = installation();
    installation.swept();
    installation.retag_instance("1", Some("orders"));
    assert!(installation.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    installation.next_sweep();
    assert_eq!((groups(&installation), noted(&installation)), (2, 0));
    installation.assert_converged();
}

#[test]
fn a_table_that_is_lost_in_between_delays_it() {
    let installation = installation();
    installation.swept();
    installation.change(|world| world.table.clear());
    installation.next_sweep();
    assert_eq!((groups(&installation), noted(&installation)), (2, 2));
    installation.next_sweep();
    assert_eq!(groups(&installation), 0);
    installation.assert_converged();
}

#[test]
fn a_launch_template_keeps_an_unused_pair() {
    let installation = installation();
    let ours = installation.look(|world| world.side(&identity("orders"), "instance")).unwrap();
    installation.change(|world| {
        world.templates.insert(ours);
    });
    for _ in 0..4 {
        installation.next_sweep();
    }
    assert_eq!(groups(&installation), 2);
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"group-in-launch-template"));
    installation.assert_converged();
    installation.change(|world| world.templates.clear());
    installation.next_sweep();
    assert_eq!(groups(&installation), 0);
    installation.assert_converged();
}

#[test]
fn an_unused_pair_that_something_else_has_stays() {
    let installation = installation();
    let ours = installation.look(|world| world.side(&identity("orders"), "instance")).unwrap();
    let task = installation.cloud.world.borrow_mut().other_interface("task", &vpc("1"), &[ours]);
    for _ in 0..4 {
        installation.next_sweep();
    }
    assert_eq!(groups(&installation), 2);
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"foreign-attachment"));
    installation.assert_converged();
    installation.change(|world| {
        world.others.remove(&task);
    });
    installation.next_sweep();
    installation.next_sweep();
    assert_eq!(groups(&installation), 0);
    installation.assert_converged();
}

#[test]
fn the_last_instance_of_a_store_that_still_takes_part_leaves_the_pair_on_the_store() {
    let installation = Installation::connected(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
    });
    installation.change(|world| world.terminate("1"));
    for _ in 0..4 {
        installation.next_sweep();
    }
    assert_eq!((groups(&installation), noted(&installation)), (2, 0), "the next launch finds it there");
    installation.change(|world: &mut World| {
        world.launch("2", &vpc("1"), Some("orders"));
    });
    installation.deliver(&[installation.pending(&instance("2"))]);
    assert!(installation.look(|world| world.reaches(&instance("2"), &cluster("orders"))));
    installation.assert_converged();
}
