//! A dry run reads the same, plans the same and changes nothing, here or in the state table.

use tagwire_core::{policy::Mode, service::Side, work::WorkItem};

use crate::{
    crashes::leaving,
    simulated::{World, cluster, instance, sg, vpc},
    site::Site,
};

fn to_connect() -> Site {
    Site::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
    })
}

fn held_back() -> Site {
    let mut site = Site::connected(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        for number in 1..=4 {
            world.launch(&number.to_string(), &vpc("1"), Some("orders"));
        }
    });
    site.policy.max_disconnects = 2;
    site.change(|world| (1..=4).for_each(|number| world.tag_instance(&number.to_string(), None)));
    site
}

fn unused() -> Site {
    Site::new(|world| {
        let store = world.store("orders", &vpc("1"), Some("orders"));
        world.half_made(Side::Store, "rds-ec2-1", &vpc("1"), &store);
        world.launch("1", &vpc("1"), Some("billing"));
    })
}

fn renamed_with_statuses() -> Site {
    let mut site = to_connect();
    site.swept();
    site.policy.status_tags = true;
    site.change(|world| {
        world.rename_store("orders", "orders-new");
        world.they_attach("eni-1", &sg("monitoring"));
    });
    site
}

type Build = fn() -> Site;
type About = fn(&Site) -> WorkItem;

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
        ("all", |site| site.whole(&vpc("1"))),
        ("instance", |site| site.about_instance(&vpc("1"), &instance("1"))),
        ("store", |site| site.about_store(&vpc("1"), &cluster("orders"))),
    ];
    for (story, build) in stories {
        for (about, item) in &scopes {
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
            let what = format!("{story}, {about}");
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
            dry.is_at_rest();
        }
    }
}

#[test]
fn a_dry_run_that_goes_on_for_days_notes_and_sends_nothing() {
    let mut site = held_back();
    site.mode = Mode::DryRun;
    let before = site.look(|world| world.calls.len());
    for _ in 0..5 {
        site.next_sweep();
        site.hear(&[site.instance_tagged("1"), site.tagged(cluster("orders").as_str())]);
    }
    site.look(|world| {
        let calls = &world.calls[before..];
        assert!(calls.iter().any(|call| call.name == "recall"));
        assert!(!calls.iter().any(|call| call.writes() || call.notes()));
    });
    site.mode = Mode::Enforce;
    site.next_sweep();
    site.next_sweep();
    site.is_at_rest();
}
