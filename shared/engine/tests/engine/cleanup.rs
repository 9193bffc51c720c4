//! Groups that nobody uses: seen so in two sweeps a period apart, and then deleted.

use std::time::Duration;

use tagwire_core::service::Side;

use crate::{
    simulated::{World, cluster, identity, instance, vpc},
    site::Site,
};

/// What a crash left of a pair, for a store that nobody shares a name with any more.
fn site() -> Site {
    Site::new(|world| {
        let store = world.store("orders", &vpc("1"), Some("orders"));
        world.half_made(Side::Store, "rds-ec2-1", &vpc("1"), &store);
        world.half_made(Side::Instance, "ec2-rds-1", &vpc("1"), &store);
        world.launch("1", &vpc("1"), Some("billing"));
    })
}

fn groups(site: &Site) -> usize {
    site.look(|world| world.ours().len())
}

fn noted(site: &Site) -> usize {
    site.look(|world| world.table.get(&vpc("1")).map_or(0, |memory| memory.unused.len()))
}

#[test]
fn it_takes_two_sweeps_a_period_apart() {
    let site = site();
    site.swept();
    assert_eq!((groups(&site), noted(&site)), (2, 2));
    site.is_at_rest();
    // Sweeps that come too early do not count.
    for _ in 0..3 {
        site.clock.advance(Duration::from_mins(4));
        site.swept();
        assert_eq!(groups(&site), 2);
    }
    site.clock.advance(Duration::from_mins(3));
    site.swept();
    assert_eq!((groups(&site), noted(&site)), (0, 0));
    site.is_at_rest();
}

#[test]
fn an_event_never_deletes_what_is_unused() {
    let site = site();
    site.swept();
    site.clock.advance(Duration::from_hours(2));
    site.hear(&[site.instance_tagged("1"), site.tagged(cluster("orders").as_str())]);
    assert_eq!(groups(&site), 2);
    site.swept();
    assert_eq!(groups(&site), 0);
    site.is_at_rest();
}

#[test]
fn what_is_used_in_between_starts_anew() {
    let site = site();
    site.swept();
    site.retag_instance("1", Some("orders"));
    assert!(site.look(|world| world.reaches(&instance("1"), &cluster("orders"))));
    site.next_sweep();
    assert_eq!((groups(&site), noted(&site)), (2, 0));
    site.is_at_rest();
}

#[test]
fn a_table_that_is_lost_in_between_delays_it() {
    let site = site();
    site.swept();
    site.change(|world| world.table.clear());
    site.next_sweep();
    assert_eq!((groups(&site), noted(&site)), (2, 2));
    site.next_sweep();
    assert_eq!(groups(&site), 0);
    site.is_at_rest();
}

#[test]
fn a_launch_template_keeps_an_unused_pair() {
    let site = site();
    let ours = site.look(|world| world.side(&identity("orders"), "instance")).unwrap();
    site.change(|world| {
        world.templates.insert(ours);
    });
    for _ in 0..4 {
        site.next_sweep();
    }
    assert_eq!(groups(&site), 2);
    let ran = site.connect(&[site.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"group-in-launch-template"));
    site.is_at_rest();
    site.change(|world| world.templates.clear());
    site.next_sweep();
    assert_eq!(groups(&site), 0);
    site.is_at_rest();
}

#[test]
fn an_unused_pair_that_something_else_wears_stays() {
    let site = site();
    let ours = site.look(|world| world.side(&identity("orders"), "instance")).unwrap();
    let task = site.cloud.world.borrow_mut().other_interface("task", &vpc("1"), &[ours]);
    for _ in 0..4 {
        site.next_sweep();
    }
    assert_eq!(groups(&site), 2);
    let ran = site.connect(&[site.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"foreign-attachment"));
    site.is_at_rest();
    site.change(|world| {
        world.others.remove(&task);
    });
    site.next_sweep();
    site.next_sweep();
    assert_eq!(groups(&site), 0);
    site.is_at_rest();
}

#[test]
fn the_last_instance_of_a_store_that_still_takes_part_leaves_the_pair_on_the_store() {
    let site = Site::connected(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
    });
    site.change(|world| world.terminate("1"));
    for _ in 0..4 {
        site.next_sweep();
    }
    assert_eq!((groups(&site), noted(&site)), (2, 0), "the next launch finds it there");
    site.change(|world: &mut World| {
        world.launch("2", &vpc("1"), Some("orders"));
    });
    site.hear(&[site.pending(&instance("2"))]);
    assert!(site.look(|world| world.reaches(&instance("2"), &cluster("orders"))));
    site.is_at_rest();
}
