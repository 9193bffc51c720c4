//! Plans as people and programs read them.

use serde_json::{Value, json};
use tagwire_core::{check::CheckedPlan, observation::Observation, plan::Verdict};

/// What was seen of a VPC, and what is planned for it.
pub(crate) type Planned = (Observation, CheckedPlan);

/// The version of the JSON document's form.
const JSON_VERSION: u32 = 1;

/// Lines for people. Without everything read, nothing is said of absence: the error that follows says
/// what could not be.
pub(crate) fn text(planned: &[Planned], complete: bool) -> String {
    let (mut lines, mut changes, mut held_back) = (Vec::new(), 0, 0);
    for (seen, checked) in planned {
        let plan = checked.plan();
        lines.push(seen.vpc.to_string());
        for line in plan.changes() {
            lines.push(format!("  {} {line}", sign(&line)));
            changes += 1;
        }
        lines.extend(plan.explanations().iter().map(|line| format!("    {line}")));
        held_back += plan.decisions.iter().filter(|of| matches!(of.verdict, Verdict::HeldBack(_))).count();
    }
    let waiting = match held_back {
        0 => String::new(),
        1 => "; 1 connection waits for a later window to be taken away".to_owned(),
        _ => format!("; {held_back} connections wait for a later window to be taken away"),
    };
    match (planned.len(), changes) {
        (_, 0) if !complete => {}
        (0, _) => lines.push("Nothing is opted in, and tagwire owns no groups here.".to_owned()),
        (_, 0) => lines.push(format!("Nothing to change{waiting}.")),
        (_, 1) => lines.push(format!("1 change is pending{waiting}.")),
        _ => lines.push(format!("{changes} changes are pending{waiting}.")),
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

/// What is taken away is told apart at a glance.
fn sign(change: &str) -> char {
    if ["detach ", "delete ", "revoke ", "take "].iter().any(|word| change.starts_with(word)) { '-' } else { '+' }
}

/// One document for programs.
pub(crate) fn json(planned: &[Planned]) -> Value {
    let vpcs: Vec<Value> = planned
        .iter()
        .map(|(seen, checked)| {
            let plan = checked.plan();
            json!({
                "vpc": seen.vpc,
                "observed_at": seen.at,
                "changes": plan.changes(),
                "decisions": plan.decisions,
                "findings": plan.findings,
                "gaps": seen.gaps().collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({ "version": JSON_VERSION, "vpcs": vpcs })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tagwire_core::{check::check, plan::plan};
    use tagwire_world::{World, worlds};

    use super::*;

    fn planned(world: &World) -> Planned {
        let plan = check(plan(&world.seen, &world.policy), &world.seen, &world.policy).unwrap();
        (world.seen.clone(), plan)
    }

    #[track_caller]
    fn assert_said(world: &str, expected: &str) {
        let world = World::read(world).unwrap();
        assert_eq!(text(&[planned(&world)], true), expected.trim_start_matches('\n'), "{world:?}");
    }

    #[test]
    fn what_is_taken_away_has_another_sign_and_what_is_held_back_is_counted() {
        let world = "instance i-1
            instance i-2
            instance i-3 connect=orders
            db orders connect=orders
            pair orders 1 worn-by=i-1,i-2
            max 1
            wanted i-2 orders ago=30";
        let expected = "
vpc-1
  - detach sg-ec2-rds-1 from eni-2 of i-2: the instance has no connect tag (db/orders)
  + attach sg-ec2-rds-1 to eni-3 of i-3: shares orders with db/orders
    i-2 and db/orders: is being disconnected: the instance has no connect tag; what is open already stays open until it is closed
    i-1 and db/orders: stays connected for now: the instance has no connect tag (disconnects-held-back)
    i-3 and db/orders: is being connected
";
        let world = World::read(world).unwrap();
        let said = text(&[planned(&world)], true);
        assert!(said.starts_with(expected.trim_start()), "{said}");
        let summary = "2 changes are pending; 1 connection waits for a later window to be taken away.\n";
        assert!(said.ends_with(summary), "{said}");
    }

    #[test]
    fn a_window_that_is_used_up_is_not_taken_for_nothing_to_do() {
        let world = "instance i-1\ninstance i-2\ndb orders connect=orders\npair orders 1 worn-by=i-1,i-2\nmax 0";
        let said = text(&[planned(&World::read(world).unwrap())], true);
        let summary = "\nNothing to change; 2 connections wait for a later window to be taken away.\n";
        assert!(said.ends_with(summary), "{said}");
    }

    #[test]
    fn a_pair_whose_store_opted_out_goes_as_a_whole() {
        assert_said(
            "db orders\npair orders 1",
            "
vpc-1
  - detach sg-rds-ec2-1 from db/orders: the data store has no connect tag
  - revoke in sg-ec2-rds-1: tcp 5432 to sg-rds-ec2-1
  - revoke in sg-rds-ec2-1: tcp 5432 from sg-ec2-rds-1
  - delete sg-ec2-rds-1 of db/orders: its data store has no connect tag
  - delete sg-rds-ec2-1 of db/orders: its data store has no connect tag
5 changes are pending.
",
        );
    }

    #[test]
    fn status_tags_are_written_and_taken_off() {
        assert_said(
            "instance i-1 status=\"connected: orders\"
             instance i-2 connect=orders wears=default,ec2-rds-1
             db orders connect=orders status=\"connected: i-2\"
             pair orders 1
             status-tags",
            "
vpc-1
  - take the status off i-1
  + write on i-2: tagwire:status=\"connected: orders\"
    i-2 and db/orders: connected by tagwire through sg-ec2-rds-1 and sg-rds-ec2-1
2 changes are pending.
",
        );
        assert_said(
            "instance i-1 status=\"connected: orders\"\nstatus-tags",
            "
vpc-1
  - take the status off i-1
1 change is pending.
",
        );
    }

    #[test]
    fn nothing_is_called_absent_that_was_not_read() {
        let nothing = planned(&World::read("instance i-1").unwrap());
        assert_eq!(text(std::slice::from_ref(&nothing), true), "vpc-1\nNothing to change.\n");
        assert_eq!(text(&[nothing], false), "vpc-1\n");
        assert_eq!(text(&[], true), "Nothing is opted in, and tagwire owns no groups here.\n");
        assert_eq!(text(&[], false), "");
    }

    #[test]
    fn programs_read_the_same_as_people() {
        let world = "instance i-1\ninstance i-2\ndb orders connect=orders\npair orders 1 worn-by=i-1,i-2\nmax 1";
        let store = "arn:aws:rds:eu-central-1:123456789012:db:orders";
        let expected = json!({ "version": 1, "vpcs": [{
            "vpc": "vpc-1",
            "observed_at": "1970-01-01T00:00:00Z",
            "changes": ["detach sg-ec2-rds-1 from eni-1 of i-1: the instance has no connect tag (db/orders)"],
            "decisions": [
                { "instance": "i-1", "store": store, "verdict": { "disconnecting": "not-asked-for" } },
                { "instance": "i-2", "store": store, "verdict": { "held-back": "not-asked-for" } },
            ],
            "findings": [
                { "subject": { "vpc": "vpc-1" }, "code": "disconnects-held-back", "waiting": 1, "limit": 1, "window": 900 },
                { "subject": { "store": store }, "code": "no-match", "names": ["orders"] },
            ],
            "gaps": [],
        }] });
        assert_eq!(json(&[planned(&World::read(world).unwrap())]), expected);
    }

    #[test]
    fn what_could_not_be_read_is_in_the_document() {
        let document = json(&[planned(&World::read("instance i-1\ngap stores").unwrap())]);
        let gaps = document["vpcs"][0]["gaps"].as_array().unwrap();
        assert_eq!((gaps.len(), gaps[0]["passing"].as_bool()), (1, Some(true)), "{document}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn exactly_what_the_plan_takes_away_has_the_sign_of_it(world in worlds()) {
            let planned = planned(&world);
            let plan = planned.1.plan();
            let of_clients = plan.cidrs.values().map(|work| work.revoke.len());
            let revoked = plan.pairs.values().map(|work| work.revoke.len()).chain(of_clients);
            let detached = plan.stores.values().map(|change| change.detached().count());
            let left = plan.interfaces.values().map(|change| change.detach.len());
            let ends = plan.teardowns.values().chain(plan.cidr_teardowns.values());
            let ended = ends.map(|teardown| teardown.revoke.len() + teardown.delete.len());
            let silenced = plan.statuses.iter().filter(|status| status.text.is_none()).count();
            let away: usize = revoked.chain(detached).chain(left).chain(ended).sum::<usize>() + silenced;
            let said = text(std::slice::from_ref(&planned), true);
            let signed = |sign: &str| said.lines().filter(|line| line.starts_with(sign)).count();
            prop_assert_eq!(signed("  - "), away);
            prop_assert_eq!(signed("  - ") + signed("  + "), plan.changes().len());
        }
    }
}
