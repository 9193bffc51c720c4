//! Plans as one JSON document for programs.

use serde_json::{Value, json};
use tagwire_core::{
    finding::{Finding, Reason},
    plan::Decision,
};

use crate::{
    commands::reason_of,
    instance_names::InstanceNames,
    session::{Place, Planned},
};

/// The version of the document.
const JSON_VERSION: u32 = 4;

/// One document for programs.
pub(crate) fn json(place: &Place, planned: &[Planned]) -> Value {
    let vpcs: Vec<Value> = planned
        .iter()
        .map(|(seen, checked)| {
            let plan = checked.plan();
            let findings: Vec<Value> = plan.findings.iter().map(finding_json).collect();
            json!({
                "vpc": seen.vpc,
                "vpc_name": place.names.get(&seen.vpc),
                "instance_names": seen.instances.found.iter().collect::<InstanceNames>().json(),
                "observed_at": seen.at,
                "digest": plan.digest(),
                "changes": plan.actions(),
                "decisions": plan.decisions.iter().map(decision_json).collect::<Vec<_>>(),
                "findings": findings,
                "gaps": seen.gaps().collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({ "version": JSON_VERSION, "account": place.account, "region": place.region, "vpcs": vpcs })
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

    #[test]
    fn programs_read_the_same_as_people() {
        let world = "instance i-1\ninstance i-2\ndb orders connect=orders\npair orders 1 attached-to=i-1,i-2\nmax 1";
        let store = "arn:aws:rds:eu-central-1:123456789012:db:orders";
        let change = "detach sg-ec2-rds-1 from eni-1 of i-1: the instance has no connect tag (db/orders)";
        let planned = planned(&World::read(world).unwrap());
        let hints: Vec<String> = planned.1.plan().findings.iter().map(|finding| finding.reason.hint()).collect();
        let expected = json!({ "version": 4, "account": "", "region": "", "vpcs": [{
            "vpc_name": null,
            "instance_names": {},
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
                    "message": "1 connection more is to be removed, but at most 1 of a VPC are in 900 seconds; the oldest go first in the next sweeps: if the tags were taken away by mistake, put them back and nothing more is lost",
                    "hint": hints[0] },
                { "subject": { "store": store }, "code": "no-match", "names": ["orders"],
                    "message": "nothing on the other side shares the name orders", "hint": hints[1] },
            ],
            "gaps": [],
        }] });
        assert_eq!(json(&Place::default(), &[planned]), expected);
    }

    #[test]
    fn a_refused_connection_has_a_hint() {
        let world = "instance i-1 connect=orders groups=a,b,c,d,e\ndb orders connect=orders";
        let document = json(&Place::default(), &[planned(&World::read(world).unwrap())]);
        let hint = document["vpcs"][0]["decisions"][0]["hint"].as_str().unwrap();
        assert!(hint.contains("L-2AFB9258"), "{document}");
    }

    #[test]
    fn what_could_not_be_read_is_in_the_document() {
        let document = json(&Place::default(), &[planned(&World::read("instance i-1\ngap stores").unwrap())]);
        let gaps = document["vpcs"][0]["gaps"].as_array().unwrap();
        assert_eq!((gaps.len(), gaps[0]["passing"].as_bool()), (1, Some(true)), "{document}");
    }
}
