//! The documented tables say what the code says.

use std::{fmt::Write as _, fs, path::Path};

use tagwire_core::{
    explain::DeleteCondition,
    plan::{Condition, DetachReason, PairRow, Premise, StoreRow},
};

use crate::reasons::examples;

const WRITE: &str = "TAGWIRE_WRITE_TABLES";

fn tables() -> String {
    let mut text = String::from(
        "# Decision tables\n\n\
         These tables are written from the code that decides, and a test compares them. After a change of the code:\n\n\
         ```sh\nTAGWIRE_WRITE_TABLES=1 cargo test -p tagwire-core --test planner tables\n```\n\n\
         A pair is *usable* when its groups' names match the service's pattern, each holds exactly the pair's one rule,\n\
         these name each other, and the port is the data store's. An owned group that makes a usable pair with a group that is\n\
         *not* owned (its tags were taken off, say) is left to those who use that pair, and is none of the data store's; nor\n\
         is one through which an instance reaches another data store and is to go on reaching it.\n\n\
         ## Per data store, once in a plan\n\n\
         Looked at are the owned groups of the VPC that carry the data store's identity, attached or not.\n\n\
         | owned groups of this data store | what is done |\n|---|---|\n",
    );
    for row in StoreRow::ALL {
        let _ = writeln!(text, "| {} | {} |", row.condition(), row.action());
    }
    text.push_str("\n## Per data store and instance that share a name\n\n| connected? | what is done |\n|---|---|\n");
    for (condition, action) in PairRow::TABLE {
        let _ = writeln!(text, "| {condition} | {action} |");
    }
    text.push_str(
        "\n## What has to hold for a connection to be made\n\n\
         In this order; the first that does not hold is the reason that is given. None of it takes away a connection that stands.\n\n\
         | condition | asked | if not |\n|---|---|---|\n",
    );
    for premise in Premise::ALL {
        let _ =
            writeln!(text, "| `{}` | {} | the two are not managed by tagwire |", premise.code(), premise.question());
    }
    for condition in Condition::ALL {
        let otherwise = if !condition.refuses() {
            "the store side is attached later"
        } else if condition == Condition::StoreShown {
            "no connection is made yet; one is waited for while the state passes"
        } else {
            "no connection is made"
        };
        let _ = writeln!(text, "| `{}` | {} | {otherwise} |", condition.code(), condition.question());
    }
    text.push_str(
        "\n## Reasons for taking a connection away\n\n\
         There are no others. A tag that cannot be read is no reason, and nothing is taken away that rests on something that\n\
         could not be read. `tagwire:hold` on the data store keeps everything but a block, on the instance everything but that\n\
         and `store-opted-out`. What is counted uses up the disconnect window.\n\n\
         | reason | when | what goes | counted |\n|---|---|---|---|\n",
    );
    for reason in DetachReason::ALL {
        let counted = if reason.is_counted() { "yes" } else { "no" };
        let _ = writeln!(text, "| `{}` | {} | {} | {counted} |", reason.code(), reason.condition(), reason.action());
    }
    text.push_str(
        "\n## What has to hold for a group to be deleted\n\n\
         With it go all groups of its kind of the same data store.\n\n\
         | condition | asked |\n|---|---|\n",
    );
    for ending in DeleteCondition::ALL {
        let _ = writeln!(text, "| `{}` | {} |", ending.code(), ending.question());
    }
    text.push_str(
        "\n## Findings\n\n\
         Why something was not done, or was done although it deserves a look. The code is stable; the sentence is an example.\n\n\
         | code | sentence |\n|---|---|\n",
    );
    for reason in examples() {
        let _ = writeln!(text, "| `{}` | {} |", reason.code(), reason.to_string().replace('|', "\\|"));
    }
    text
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test writes its file only when it is asked to")]
fn the_documented_tables_are_those_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/decision-tables.md");
    if std::env::var(WRITE).is_ok() {
        fs::write(&path, tables()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == tables(), "{} is out of date: run this test again with {WRITE}=1", path.display());
}
