//! A service that hangs takes neither the function's time nor that of other VPCs.

use std::time::Duration;

use tagwire_core::work::WorkItem;
use tagwire_engine::handlers::Failed;

use crate::{
    installation::Installation,
    simulated::{NOTES, READS, WRITES, World, cluster, instance, vpc},
};

/// What Lambda leaves `connect`, with the runtime's own margin taken off.
const BUDGET: Duration = Duration::from_secs(55);
/// Far longer than any function runs.
const FOREVER: Duration = Duration::from_hours(10);

fn vpcs(count: usize) -> Installation {
    let installation = Installation::new(|world| {
        for number in 1..=count {
            let of = vpc(&number.to_string());
            world.store(&format!("s{number}"), &of, Some("orders"));
            world.launch(&number.to_string(), &of, Some("orders"));
        }
    });
    installation.budget.set(BUDGET);
    installation
}

fn launches(installation: &Installation, count: usize) -> Vec<WorkItem> {
    let item = |number: usize| installation.about_instance(&vpc(&number.to_string()), &instance(&number.to_string()));
    (1..=count).map(item).collect()
}

fn connected(world: &World) -> usize {
    let number = |id: &tagwire_core::id::InstanceId| id.as_str().trim_start_matches("i-").to_owned();
    world.instances.keys().filter(|id| world.reaches(id, &cluster(&format!("s{}", number(id))))).count()
}

#[test]
fn whatever_call_hangs_the_function_ends_in_time_and_says_so_of_every_message() {
    for name in READS.into_iter().chain(WRITES).chain(NOTES).chain(["send_work", "send_again"]) {
        for count in [1, 3] {
            let installation = vpcs(count);
            installation.change(|world| world.slow.extend([(name, FOREVER)]));
            let end = installation.now() + BUDGET + Duration::from_secs(3);
            let ran = installation.connect(&launches(&installation, count));
            assert!(ran.returned.is_some(), "{name}: it never ended");
            assert!(installation.now() <= end, "{name}: it ended at {}", installation.now());
            assert_eq!(ran.codes("outcome").len(), count, "{name}: {:#?}", ran.log);
            installation.change(|world| world.slow.clear());
            installation.recovers();
            assert_eq!(installation.look(connected), count, "{name}");
        }
    }
}

#[test]
fn a_store_that_hangs_leaves_ten_vpcs_of_one_batch_their_time() {
    let installation = vpcs(10);
    installation.change(|world| world.slow.extend([("stores", Duration::from_secs(10))]));
    let begun = installation.now();
    let ran = installation.connect(&launches(&installation, 10));
    assert_eq!(ran.returned, Some(Failed::new()), "each was looked at: {:#?}", ran.codes("outcome"));
    assert!(installation.now() <= begun + BUDGET, "it took {:?}", installation.now().duration_since(begun));
    assert_eq!(ran.codes("outcome"), ["will-retry"; 10]);
    installation.change(|world| world.slow.clear());
    installation.drain();
    assert_eq!(installation.look(connected), 10);
    installation.assert_converged();
}

#[test]
fn a_vpc_that_hangs_does_not_keep_the_others_of_its_batch_from_being_connected() {
    let installation = vpcs(10);
    installation.change(|world| {
        world.latency = Duration::from_millis(50);
        world.hangs = Some("vpc-5".to_owned());
    });
    let ran = installation.connect(&launches(&installation, 10));
    assert_eq!(ran.returned, Some(Failed::new()));
    installation.change(|world| {
        world.latency = Duration::ZERO;
        world.hangs = None;
        world.lists_settle();
    });
    assert_eq!(installation.look(connected), 9);
    installation.drain();
    assert_eq!(installation.look(connected), 10);
    installation.assert_converged();
}

#[test]
fn events_and_sweeps_end_in_time_too() {
    for name in ["instances", "stores", "groups", "candidates", "send_work", "send_again"] {
        // Many messages that hang, one after the other, end in time as well.
        let installation = vpcs(if name == "send_work" { 40 } else { 2 });
        installation.change(|world| world.slow.extend([(name, FOREVER)]));
        let end = installation.now() + BUDGET * 2 + Duration::from_secs(10);
        assert!(installation.take_in(&[installation.pending(&instance("1"))]).returned.is_some(), "{name}");
        assert!(installation.sweep().returned.is_some(), "{name}");
        assert!(installation.now() <= end, "{name}: {}", installation.now());
        installation.change(|world| world.slow.clear());
        installation.recovers();
    }
}
