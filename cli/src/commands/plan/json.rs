//! Plans as one JSON document for programs.

use serde_json::{Value, json};
use tagwire_core::{
    finding::{Finding, Reason},
    observation::Scope,
    plan::Decision,
    work::RequestKind,
};

use crate::{
    commands::reason_of,
    instance_names::InstanceNames,
    session::{Place, Planned},
};

/// The version of the document.
pub(crate) const JSON_VERSION: u32 = 5;
/// The version of the program, whose lines another one may word otherwise.
pub(crate) const PROGRAM_VERSION: &str = env!("CARGO_PKG_VERSION");

/// One document for programs, which `tagwire apply --plan` reads. Each plan comes with the scope that it was asked for.
pub(crate) fn json<'planned>(
    place: &Place,
    request: RequestKind,
    planned: impl IntoIterator<Item = (&'planned Scope, &'planned Planned)>,
) -> Value {
    let vpcs: Vec<Value> = planned
        .into_iter()
        .map(|(scope, (seen, checked))| {
            let plan = checked.plan();
            let findings: Vec<Value> = plan.findings.iter().map(finding_json).collect();
            json!({
                "vpc": seen.vpc,
                "vpc_name": place.names.get(&seen.vpc),
                "instance_names": seen.instances.found.iter().collect::<InstanceNames>().json(),
                "scope": scope,
                "observed_at": seen.at,
                "digest": plan.digest(),
                "changes": plan.actions(),
                "decisions": plan.decisions.iter().map(decision_json).collect::<Vec<_>>(),
                "findings": findings,
                "gaps": seen.gaps().collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "version": JSON_VERSION,
        "tagwire": PROGRAM_VERSION,
        "account": place.account,
        "region": place.region,
        "request": request,
        "vpcs": vpcs,
    })
}

fn decision_json(decision: &Decision) -> Value {
    with(json!(decision), [("hint", json!(reason_of(&decision.verdict).map(Reason::hint)))])
}

fn finding_json(finding: &Finding) -> Value {
    let Finding { subject: _, reason } = finding;
    with(json!(finding), [("message", json!(reason.to_string())), ("hint", json!(reason.hint()))])
}

fn with<const N: usize>(mut value: Value, more: [(&str, Value); N]) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.extend(more.map(|(key, value)| (key.to_owned(), value)));
    }
    value
}

#[cfg(test)]
mod tests {
    use tagwire_core::work::PlanDigest;
    use tagwire_world::World;

    use super::*;
    use crate::commands::plan::text::tests::planned;

    fn document(planned: &Planned) -> Value {
        json(&Place::default(), RequestKind::Apply, [(&Scope::Vpc, planned)])
    }

    #[test]
    fn programs_read_the_same_as_people() {
        let world = "instance i-1\ninstance i-2\ndb orders connect=orders\npair orders 1 attached-to=i-1,i-2\nmax 1";
        let store = "arn:aws:rds:eu-central-1:123456789012:db:orders";
        let change = "detach sg-ec2-rds-1 from eni-1 of i-1: the instance has no connect tag (db/orders)";
        let planned = planned(&World::read(world).unwrap());
        let hints: Vec<String> = planned.1.plan().findings.iter().map(|finding| finding.reason.hint()).collect();
        let expected = json!({ "version": 5, "tagwire": "0.1.0", "account": "", "region": "", "request": "apply", "vpcs": [{
            "vpc_name": null,
            "instance_names": {},
            "scope": "vpc",
            "vpc": "vpc-1",
            "observed_at": "1970-01-01T00:00:00Z",
            "digest": PlanDigest::of(&[change.to_owned()]),
            "changes": [{
                "kind": "detach", "effect": "remove", "group": "sg-ec2-rds-1", "interface": "eni-1", "instance": "i-1",
                "store": store, "action": change,
            }],
            "decisions": [
                { "instance": "i-1", "store": store, "hint": null, "verdict": { "disconnecting": "not-asked-for" } },
                { "instance": "i-2", "store": store, "hint": null, "verdict": { "held-back": "not-asked-for" } },
            ],
            "findings": [
                { "subject": { "vpc": "vpc-1" }, "code": "disconnects-held-back", "waiting": 1, "limit": 1, "window": 900,
                    "message": "1 connection more is to be removed, but at most 1 of a VPC are in 900 seconds; the data stores take turns in the next sweeps, the oldest first: if the tags were taken away by mistake, put them back and nothing more is lost",
                    "hint": hints[0] },
                { "subject": { "store": store }, "code": "no-match", "names": ["orders"],
                    "message": "nothing on the other side shares the name orders", "hint": hints[1] },
            ],
            "gaps": [],
        }] });
        assert_eq!(document(&planned), expected);
    }

    /// A validator checks the whole schema in the end-to-end tests.
    #[test]
    fn every_key_is_in_the_schema_and_nothing_else() {
        let schema: Value = serde_json::from_str(include_str!("../../../../docs/schemas/plan-v5.schema.json")).unwrap();
        let world = "instance i-1 connect=orders\ninstance i-2 connect=full groups=a,b,c,d,e\ndb orders connect=orders\ndb full connect=full";
        let document = document(&planned(&World::read(world).unwrap()));
        let keys = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let (vpc, defs) = (&document["vpcs"][0], &schema["$defs"]);
        for (object, schema) in [
            (&document, &schema),
            (vpc, &defs["vpc"]),
            (&vpc["changes"][0], &defs["change"]),
            (&vpc["decisions"][0], &defs["decision"]),
        ] {
            let mut required: Vec<&str> =
                schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            required.sort_unstable();
            assert_eq!(keys(object), keys(&schema["properties"]), "{object}");
            assert_eq!(keys(object), required, "{object}");
        }
        assert_eq!(schema["properties"]["version"]["const"], json!(JSON_VERSION));
    }

    #[test]
    fn a_refused_connection_has_a_hint() {
        let world = "instance i-1 connect=orders groups=a,b,c,d,e\ndb orders connect=orders";
        let document = document(&planned(&World::read(world).unwrap()));
        let hint = document["vpcs"][0]["decisions"][0]["hint"].as_str().unwrap();
        assert!(hint.contains("L-2AFB9258"), "{document}");
    }

    #[test]
    fn what_could_not_be_read_is_in_the_document() {
        let document = document(&planned(&World::read("instance i-1\ngap stores").unwrap()));
        let gaps = document["vpcs"][0]["gaps"].as_array().unwrap();
        assert_eq!((gaps.len(), gaps[0]["passing"].as_bool()), (1, Some(true)), "{document}");
    }
}
