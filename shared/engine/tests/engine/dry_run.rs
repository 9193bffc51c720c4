//! A dry run reads the same, plans the same and changes nothing, here or in the state table.

use tagwire_core::{policy::Mode, service::Side, work::WorkItem};

use crate::{
    crashes::leaving,
    installation::Installation,
    simulated::{World, cluster, instance, sg, vpc},
};

fn to_connect() -> Installation {
    Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
    })
}

fn held_back() -> Installation {
    let mut installation = Installation::connected(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        for number in 1..=4 {
            world.launch(&number.to_string(), &vpc("1"), Some("orders"));
        }
    });
    installation.policy.max_disconnects = 2;
    installation.change(|world| (1..=4).for_each(|number| world.tag_instance(&number.to_string(), None)));
    installation
}

fn unused() -> Installation {
    Installation::new(|world| {
        let store = world.store("orders", &vpc("1"), Some("orders"));
        world.half_made(Side::Store, "rds-ec2-1", &vpc("1"), &store);
        world.launch("1", &vpc("1"), Some("billing"));
    })
}

fn renamed_with_statuses() -> Installation {
    let mut installation = to_connect();
    installation.swept();
    installation.policy.status_tags = true;
    installation.change(|world| {
        world.rename_store("orders", "orders-new");
        world.other_writer_attaches("eni-1", &sg("monitoring"));
    });
    installation
}

type Build = fn() -> Installation;
type About = fn(&Installation) -> WorkItem;

#[test]
fn a_dry_run_is_the_same_run_up_to_the_first_write() {
    let stories: [(&str, Build); 5] = [
        ("to connect", to_connect),
        ("leaving", leaving),
        ("held back", held_back),
        ("unused", unused),
        ("renamed", renamed_with_statuses),
    ];
    let scopes: [(&str, About); 3] = [
        ("all", |installation| installation.whole(&vpc("1"))),
        ("instance", |installation| installation.about_instance(&vpc("1"), &instance("1"))),
        ("store", |installation| installation.about_store(&vpc("1"), &cluster("orders"))),
    ];
    for (story, build) in stories {
        for (subject, item) in &scopes {
            let (mut dry, wet) = (build(), build());
            dry.mode = Mode::DryRun;
            let state = |world: &World| {
                let lists: Vec<_> =
                    ["eni-1", "eni-2", cluster("orders").as_str()].map(|target| world.list_of(target)).into();
                (lists, format!("{:?} {:?}", world.groups, world.stores), world.table.clone(), world.again.len())
            };
            let before = dry.look(state);
            let dry_run = dry.connect(&[item(&dry)]);
            let wet_run = wet.connect(&[item(&wet)]);
            let what = format!("{story}, {subject}");
            assert_eq!(dry.look(state), before, "{what}");
            assert!(!dry_run.calls.iter().any(|call| call.writes() || call.notes()), "{what}: {:#?}", dry_run.calls);
            assert_eq!(dry_run.planned(), wet_run.planned(), "{what}");
            for record in ["decision", "finding"] {
                assert_eq!(dry_run.codes(record), wet_run.codes(record), "{what}");
            }
            let reads = wet_run.calls.iter().take_while(|call| !call.writes() && !call.notes());
            assert!(dry_run.calls.iter().filter(|call| call.reads()).eq(reads.filter(|call| call.reads())), "{what}");
            let plans = !wet_run.planned().is_empty();
            assert_eq!(dry_run.codes("outcome"), [if plans { "dry-run" } else { "unchanged" }], "{what}");
            assert_eq!(wet_run.writes() > 0, plans, "{what}");
            // The same installation, allowed to act, does it all.
            dry.mode = Mode::Enforce;
            for _ in 0..4 {
                dry.next_sweep();
            }
            dry.assert_converged();
        }
    }
}

#[test]
fn a_dry_run_that_goes_on_for_days_notes_and_sends_nothing() {
    let mut installation = held_back();
    installation.mode = Mode::DryRun;
    let before = installation.look(|world| world.calls.len());
    for _ in 0..5 {
        installation.next_sweep();
        installation.deliver(&[installation.instance_tagged("1"), installation.tagged(cluster("orders").as_str())]);
    }
    installation.look(|world| {
        let calls = &world.calls[before..];
        assert!(calls.iter().any(|call| call.name == "vpc_state"));
        assert!(!calls.iter().any(|call| call.writes() || call.notes()));
    });
    installation.mode = Mode::Enforce;
    installation.next_sweep();
    installation.next_sweep();
    installation.assert_converged();
}
