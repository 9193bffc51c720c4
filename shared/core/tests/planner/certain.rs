//! What is certain is decided upon, whatever else cannot be read: whose word counts about a connection that stands.

use std::{fmt::Write as _, fs, path::Path};

use tagwire_core::{
    check::{Violation, check},
    finding::Reason,
    plan::{DetachReason, plan},
};
use tagwire_world::World;

use crate::case::{Case, case};

const INSTANCES: [(&str, &str); 8] = [
    ("shares a name", "connect=orders"),
    ("has another name", "connect=books"),
    ("has no tag", ""),
    ("cannot be read", "connect=\",\""),
    ("shares a name; on hold", "connect=orders hold"),
    ("has another name; on hold", "connect=books hold"),
    ("has no tag; on hold", "hold"),
    ("cannot be read; on hold", "connect=\",\" hold"),
];

const STORES: [(&str, &str); 7] = [
    ("has names", "db orders connect=orders"),
    ("has no tag", "db orders"),
    ("cannot be read", "db orders connect=\"a,b\""),
    ("has names; on hold", "db orders connect=orders hold"),
    ("has no tag; on hold", "db orders hold"),
    ("cannot be read; on hold", "db orders connect=\"a,b\" hold"),
    ("was not read", "gap stores of=orders"),
];

fn text(instance: &str, store: &str) -> String {
    format!("instance i-1 {instance}\npair orders 1 attached-to=i-1\n{store}")
}

/// The reason for which the instance side leaves, and else the code of what is said of that.
fn outcome(found: &Case) -> Result<DetachReason, Option<&'static str>> {
    let leaving = found.plan.interfaces.values().flat_map(|change| change.detach.values());
    let code = || {
        let reasons = found.plan.findings.iter().map(|finding| &finding.reason);
        let keeping =
            reasons.filter(|reason| matches!(reason, Reason::Held | Reason::InvalidTag { .. } | Reason::Unread { .. }));
        keeping.map(Reason::code).min()
    };
    leaving.map(|detachment| detachment.reason).next().ok_or_else(code)
}

const BEGIN: &str = "<!-- rows, written by a test -->\n";
const END: &str = "<!-- end of the rows -->\n";

#[test]
#[expect(clippy::disallowed_methods, reason = "the test writes its table only when it is asked to")]
fn the_table_of_the_decision_on_tags_is_what_the_planner_does() {
    let mut table = String::from("| the instance's tag ↓, the data store's → |");
    for (store, _) in STORES {
        let _ = write!(table, " {store} |");
    }
    let _ = write!(table, "\n|{}\n", "---|".repeat(STORES.len() + 1));
    for (word, instance) in INSTANCES {
        let _ = write!(table, "| {word} |");
        for (_, store) in STORES {
            let _ = match outcome(&case(&text(instance, store))) {
                Ok(reason) => write!(table, " removed: `{}` |", reason.code()),
                Err(Some(code)) => write!(table, " stays: `{code}` |"),
                Err(None) => write!(table, " stays |"),
            };
        }
        table.push('\n');
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/decisions/004-tags.md");
    let document = fs::read_to_string(&path).unwrap();
    let (head, rest) = document.split_once(BEGIN).unwrap();
    let (written, tail) = rest.split_once(END).unwrap();
    if std::env::var("TAGWIRE_WRITE_TABLES").is_ok() {
        fs::write(&path, format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
        return;
    }
    assert!(written == table, "{} is out of date: run this test again with TAGWIRE_WRITE_TABLES=1", path.display());
}

/// Beside the table, so that a mistake in both the planner and the table does not agree with itself.
#[test]
fn a_connection_goes_when_it_is_certain_that_no_name_is_shared_and_nobody_whose_word_counts_keeps_it() {
    for (_, instance) in INSTANCES {
        for (_, store) in STORES {
            let (mine, theirs) = (|word| instance.contains(word), |word| store.contains(word));
            let kept_by_store = theirs("hold") || theirs("gap");
            let store_opted_out = !theirs("connect");
            let certain = store_opted_out || !mine("connect") || (mine("books") && theirs("connect=orders"));
            let kept_by_instance = mine("hold") && !store_opted_out;
            let found = case(&text(instance, store));
            let leaves = certain && !kept_by_store && !kept_by_instance;
            assert_eq!(outcome(&found).is_ok(), leaves, "{instance}, {store}: {}", found.plan);
        }
    }
}

#[test]
fn the_checker_lets_a_connection_go_in_the_same_cases_alone() {
    let plans = [
        ("connect=orders", "db orders", DetachReason::StoreOptedOut),
        ("", "db orders connect=orders", DetachReason::NotAskedFor),
        ("connect=books", "db orders connect=orders", DetachReason::NamesNotShared),
    ];
    for (_, instance) in INSTANCES {
        for (_, store) in STORES {
            let found = case(&text(instance, store));
            for (of_instance, of_store, reason) in plans {
                let other = World::read(&text(of_instance, of_store)).unwrap();
                let mut made = plan(&other.seen, &other.policy);
                made.stores.clear();
                made.deletions.clear();
                let seen = &found.world.seen;
                let violations = check(made, seen, &found.world.policy).err().map(|rejection| rejection.violations());
                let refused = violations.iter().flatten().any(
                    |violation| matches!(violation, Violation::ReasonDoesNotHold { reason: of, .. } if *of == reason),
                );
                assert_eq!(refused, outcome(&found) != Ok(reason), "{instance}, {store}: {reason:?}, {violations:?}");
            }
        }
    }
}

#[test]
fn a_block_removes_a_connection_whatever_the_tags_say() {
    for (_, instance) in INSTANCES {
        for (word, store) in STORES {
            let blocked = outcome(&case(&text(&format!("{instance} block"), store)));
            assert_eq!(blocked, Ok(DetachReason::Blocked), "{instance}, {store}");
            if word != "was not read" {
                let blocked = outcome(&case(&text(instance, &format!("{store} block"))));
                assert_eq!(blocked, Ok(DetachReason::Blocked), "{instance}, {store}");
            }
        }
    }
}
