//! What became of a plan, as one JSON document for programs. The form is docs/schemas/apply-v1.schema.json.

use serde::Serialize;
use serde_json::{Value, json};
use tagwire_core::{
    group::SecurityGroup,
    id::VpcId,
    plan::Action,
    work::{PlanDigest, RequestKind},
};

use crate::{
    commands::plan::PROGRAM_VERSION,
    session::{Place, Planned},
};

/// The version of the document.
const JSON_VERSION: u32 = 1;

/// How the work in a VPC ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum VpcResult {
    /// Every change is made, by a reading of the VPC.
    Done,
    /// `connect` would have made a change that nobody agreed to, and made none.
    PlanChanged,
    /// Something failed.
    Failed,
    /// The time ran out while `connect` was at work.
    TimedOut,
    /// Ctrl-C ended the command; `connect` goes on.
    Interrupted,
    /// The person did not agree.
    NotAgreed,
}

/// The plan for a VPC that was agreed to, and what became of it.
#[derive(Debug)]
pub(super) struct VpcRecord {
    vpc: VpcId,
    digest: PlanDigest,
    changes: Vec<Action>,
    pub(super) result: VpcResult,
    /// The number of changes that were not seen made.
    pub(super) left: usize,
    pub(super) error: Option<String>,
}

impl VpcRecord {
    pub(super) fn of((seen, checked): &Planned, result: VpcResult) -> Self {
        let plan = checked.plan();
        let changes = plan.actions();
        Self { vpc: seen.vpc.clone(), digest: plan.digest(), left: changes.len(), changes, result, error: None }
    }
}

/// The result of all, in a word.
fn result(records: &[&VpcRecord]) -> &'static str {
    let all = |result| records.iter().all(|record| record.result == result);
    match records {
        [] => "nothing-to-change",
        _ if all(VpcResult::Done) => "done",
        _ if all(VpcResult::NotAgreed) => "not-agreed",
        _ => "not-done",
    }
}

/// The document. `remaining` are the groups that an uninstallation left.
pub(super) fn document(place: &Place, kind: RequestKind, records: &[&VpcRecord], remaining: &[SecurityGroup]) -> Value {
    let vpcs = records.iter().map(|record| {
        let VpcRecord { vpc, digest, changes, result, left, error } = record;
        json!({
            "vpc": vpc,
            "vpc_name": place.names.get(vpc),
            "digest": digest,
            "changes": changes,
            "result": result,
            "left": left,
            "error": error,
        })
    });
    let remaining = remaining.iter().map(|group| json!({ "id": group.id, "name": group.name, "vpc": group.vpc }));
    json!({
        "version": JSON_VERSION,
        "tagwire": PROGRAM_VERSION,
        "account": place.account,
        "region": place.region,
        "request": kind,
        "result": result(records),
        "vpcs": vpcs.collect::<Vec<_>>(),
        "remaining": remaining.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tagwire_world::World;

    use super::*;
    use crate::commands::plan::text::tests::planned;

    const SCHEMA: &str = include_str!("../../../docs/schemas/apply-v1.schema.json");

    fn keys(object: &Value) -> BTreeSet<&str> {
        object.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn every_key_and_every_word_is_in_the_schema_and_nothing_else() {
        use VpcResult::{Done, Failed, Interrupted, NotAgreed, PlanChanged, TimedOut};
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let world = World::read("instance i-1 connect=orders\ndb orders connect=orders\ngroup web").unwrap();
        let planned = planned(&world);
        let record = VpcRecord::of(&planned, VpcResult::Failed);
        let document = document(&Place::default(), RequestKind::Apply, &[&record], &planned.0.groups.found);
        let defs = &schema["$defs"];
        for (object, schema) in [
            (&document, &schema),
            (&document["vpcs"][0], &defs["vpc"]),
            (&document["vpcs"][0]["changes"][0], &defs["change"]),
            (&document["remaining"][0], &defs["group"]),
        ] {
            let required: BTreeSet<&str> =
                schema["required"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
            assert_eq!((keys(object), keys(object)), (required, keys(&schema["properties"])), "{object}");
        }
        let words = [Done, PlanChanged, Failed, TimedOut, Interrupted, NotAgreed];
        assert_eq!(defs["vpc"]["properties"]["result"]["enum"], json!(words));
        assert_eq!(schema["properties"]["version"]["const"], json!(JSON_VERSION));
    }

    #[test]
    fn the_whole_is_done_only_when_every_vpc_is() {
        let planned = planned(&World::read("instance i-1 connect=orders\ndb orders connect=orders").unwrap());
        let [done, failed, not_agreed] =
            [VpcResult::Done, VpcResult::Failed, VpcResult::NotAgreed].map(|result| VpcRecord::of(&planned, result));
        assert_eq!(result(&[]), "nothing-to-change");
        assert_eq!(result(&[&done, &done]), "done");
        assert_eq!(result(&[&not_agreed]), "not-agreed");
        assert_eq!(result(&[&done, &failed]), "not-done");
    }
}
