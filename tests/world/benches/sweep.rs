//! How the work of planning a whole VPC grows with it: `cargo bench -p tagwire-world`.
//!
//! A VPC with ten instances for each store is planned and checked at twice the size each time. What
//! counts is the ratio of one size to the one before: 2 is constant work for each resource, 4 would
//! be work for each pair of resources.

#![expect(clippy::print_stdout, reason = "a benchmark's figures are its output")]

use std::{
    fmt::Write as _,
    hint::black_box,
    time::{Duration, Instant},
};

use tagwire_core::{check::check, plan::plan};
use tagwire_world::World;

const STORES: [u32; 5] = [25, 50, 100, 200, 400];
const INSTANCES_OF_A_STORE: u32 = 10;
/// The best of so many runs: what disturbs a run only ever makes it longer.
const RUNS: u32 = 5;

/// Nine in ten are connected; of the others half are to be connected and half to be disconnected.
fn vpc(stores: u32) -> World {
    let (mut instances, mut rest) = (String::new(), String::new());
    for store in 0..stores {
        let _ = writeln!(rest, "db s{store} connect=name{store}");
        let mut attached = Vec::new();
        for number in 0..INSTANCES_OF_A_STORE {
            let instance = format!("i-{store}x{number}");
            let wanted = store % 10 != 0 || number % 2 == 0;
            let _ = writeln!(
                instances,
                "instance {instance}{}",
                if wanted { format!(" connect=name{store}") } else { String::new() }
            );
            if store % 10 != 0 || number % 2 == 1 {
                attached.push(instance);
            }
        }
        let _ = writeln!(rest, "pair s{store} {} attached-to={}", store + 1, attached.join(","));
    }
    World::read(&(instances + &rest)).unwrap_or_else(|problem| unreachable!("the text is made here: {problem}"))
}

fn time(world: &World) -> Duration {
    let run = || {
        let begun = Instant::now();
        let checked = check(plan(&world.seen, &world.policy), &world.seen, &world.policy);
        let took = begun.elapsed();
        assert!(black_box(checked).is_ok_and(|checked| !checked.plan().is_empty()));
        took
    };
    (0..RUNS).map(|_| run()).min().unwrap_or_default()
}

fn main() {
    println!("stores  instances  plan and check  ratio");
    let mut before: Option<Duration> = None;
    for stores in STORES {
        let took = time(&vpc(stores));
        let ratio =
            before.map_or_else(|| "-".to_owned(), |before| format!("{:.2}", took.as_secs_f64() / before.as_secs_f64()));
        println!(
            "{stores:>6}  {:>9}  {:>11.1} ms  {ratio}",
            stores * INSTANCES_OF_A_STORE,
            took.as_secs_f64() * 1000.0
        );
        before = Some(took);
    }
}
