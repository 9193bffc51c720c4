//! A plan as lines for people.

use std::collections::BTreeMap;

use tagwire_core::{
    finding::{Finding, Reason, Subject},
    group::{Ownership, SecurityGroup},
    id::StoreArn,
    observation::{Observation, Scope, StoreLookup},
    plan::{Action, Effect, Plan, Verdict},
};

use crate::{
    commands::reason_of,
    output::{BAD, DOUBTFUL, FAINT, GOOD, HEADING, hint_line, painted},
    session::Planned,
};

/// The lines about one store, or about none.
#[derive(Default)]
struct Section {
    actions: Vec<Action>,
    remarks: Vec<String>,
    /// One hint for each code.
    hints: BTreeMap<&'static str, String>,
}

/// Lines for people, by VPC and store. Unless everything was read, nothing is called absent: the error
/// that follows names the gaps.
pub(crate) fn text<'planned>(planned: impl IntoIterator<Item = &'planned Planned>, complete: bool) -> String {
    let (mut lines, mut changes, mut held_back, mut vpcs) = (Vec::new(), 0, 0, 0);
    for (seen, checked) in planned {
        vpcs += 1;
        let plan = checked.plan();
        lines.push(painted(HEADING, seen.vpc.as_str()));
        lines.extend(without_anything(seen).map(|message| format!("  {message}")));
        let (others, stores): (Vec<_>, Vec<_>) =
            sections(seen, plan).into_iter().partition(|(store, _)| store.is_none());
        for (store, section) in stores.into_iter().chain(others) {
            let store = store.as_ref().map_or_else(|| "other".to_owned(), StoreArn::short);
            lines.push(format!("  {}", painted(HEADING, &store)));
            changes += section.actions.len();
            lines.extend(section.actions.iter().map(|action| format!("    {}", signed(action))));
            lines.extend(section.remarks.iter().map(|remark| format!("      {remark}")));
            lines.extend(section.hints.iter().map(|(code, hint)| format!("      {}", hint_line(code, hint))));
        }
        held_back += plan.decisions.iter().filter(|of| matches!(of.verdict, Verdict::HeldBack(_))).count();
    }
    let waiting = match held_back {
        0 => String::new(),
        1 => "; 1 connection waits to be removed in a later window".to_owned(),
        _ => format!("; {held_back} connections wait to be removed in a later window"),
    };
    match (vpcs, changes) {
        (_, 0) if !complete => {}
        (0, _) => lines.push("Nothing is opted in, and tagwire owns no groups here.".to_owned()),
        (_, 0) => lines.push(format!("Nothing to change{waiting}.")),
        (_, 1) => lines.push(format!("1 change is pending{waiting}.")),
        _ => lines.push(format!("{changes} changes are pending{waiting}.")),
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

/// A message for a VPC in which nothing was found although everything was read: the VPC may be a wrong one.
fn without_anything(seen: &Observation) -> Option<&'static str> {
    let is_here = |lookup: &StoreLookup| matches!(lookup, StoreLookup::Found(store) if store.is_in(&seen.vpc));
    let is_owned = |group: &SecurityGroup| matches!(group.ownership(), Ownership::Owned(_));
    let is_empty = seen.gaps().next().is_none()
        && seen.instances.found.is_empty()
        && !seen.stores.found.iter().any(is_here)
        && !seen.groups.found.iter().any(is_owned);
    is_empty.then_some(match seen.scope {
        Scope::Vpc => "Nothing in this VPC is opted in, and tagwire owns no groups here.",
        Scope::Some { .. } => "None of the chosen instances and data stores is in this VPC.",
    })
}

fn sections(seen: &Observation, plan: &Plan) -> BTreeMap<Option<StoreArn>, Section> {
    let mut sections = BTreeMap::<_, Section>::new();
    for action in plan.actions() {
        sections.entry(action.store.clone()).or_default().actions.push(action);
    }
    for decision in &plan.decisions {
        let message = format!("{}: {}", decision.instance, verdict(&decision.verdict));
        let section = sections.entry(Some(decision.store.clone())).or_default();
        section.remarks.push(message);
        section.add_hint(reason_of(&decision.verdict));
    }
    for finding in &plan.findings {
        let store = store_of(seen, finding);
        let message = match (&finding.subject, &store) {
            (Subject::Store(_), Some(_)) => sentence(finding),
            _ => format!("{}: {}", finding.subject, sentence(finding)),
        };
        let section = sections.entry(store).or_default();
        section.remarks.push(message);
        section.add_hint(Some(&finding.reason));
    }
    sections
}

impl Section {
    fn add_hint(&mut self, reason: Option<&Reason>) {
        if let Some(reason) = reason {
            self.hints.entry(reason.code()).or_insert_with(|| reason.hint());
        }
    }
}

fn sentence(finding: &Finding) -> String {
    painted(DOUBTFUL, &format!("{} ({})", finding.reason, finding.reason.code()))
}

/// The store that a finding is about, itself or by one of its groups.
fn store_of(seen: &Observation, finding: &Finding) -> Option<StoreArn> {
    match &finding.subject {
        Subject::Store(store) => Some(store.clone()),
        Subject::Group(id) => {
            let group = seen.groups.found.iter().find(|group| group.id == *id)?;
            match group.ownership() {
                Ownership::Owned(owned) => owned.arn,
                Ownership::Foreign | Ownership::Forged(_) => None,
            }
        }
        Subject::Vpc(_) | Subject::Instance(_) => None,
    }
}

fn verdict(verdict: &Verdict) -> String {
    let style = match verdict {
        Verdict::Connected(_) => FAINT,
        Verdict::Connecting => GOOD,
        Verdict::Waiting(_) | Verdict::HeldBack(_) => DOUBTFUL,
        Verdict::Refused(_) | Verdict::Disconnecting(_) => BAD,
    };
    painted(style, &verdict.to_string())
}

/// A change with its sign, so that removals stand out.
fn signed(action: &Action) -> String {
    let (sign, style) = match action.effect {
        Effect::Add => ('+', GOOD),
        Effect::Remove => ('-', BAD),
        Effect::Write => ('~', DOUBTFUL),
    };
    painted(style, &format!("{sign} {}", action.text))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use tagwire_core::{check::check, plan::plan};
    use tagwire_world::{World, worlds};

    use super::*;

    /// As it is written where there is no terminal.
    fn plain(planned: &[Planned], complete: bool) -> String {
        anstream::adapter::strip_str(&text(planned, complete)).to_string()
    }

    pub(crate) fn planned(world: &World) -> Planned {
        let plan = check(plan(&world.seen, &world.policy), &world.seen, &world.policy).unwrap();
        (world.seen.clone(), plan)
    }

    #[track_caller]
    fn assert_said(world: &str, expected: &str) {
        let world = World::read(world).unwrap();
        assert_eq!(plain(&[planned(&world)], true), expected.trim_start_matches('\n'), "{world:?}");
    }

    #[test]
    fn a_vpc_without_anything_is_reported_since_it_may_be_a_wrong_one() {
        assert_said(
            "",
            "
vpc-1
  Nothing in this VPC is opted in, and tagwire owns no groups here.
Nothing to change.
",
        );
        assert_said(
            "db orders connect=orders vpc=2\nscope orders",
            "
vpc-1
  None of the chosen instances and data stores is in this VPC.
Nothing to change.
",
        );
    }

    #[test]
    fn what_is_taken_away_has_another_sign_and_what_is_held_back_is_counted() {
        let world = "instance i-1
            instance i-2
            instance i-3 connect=orders
            db orders connect=orders
            pair orders 1 attached-to=i-1,i-2
            max 1
            wanted i-2 orders ago=30";
        let expected = "
vpc-1
  db/orders
    - detach sg-ec2-rds-1 from eni-2 of i-2: the instance has no connect tag (db/orders)
    + attach sg-ec2-rds-1 to eni-3 of i-3: shares orders with db/orders
      i-2: is being disconnected: the instance has no connect tag; what is open already stays open until it is closed
      i-1: stays connected for now: the instance has no connect tag (disconnects-held-back)
      i-3: is being connected
";
        let world = World::read(world).unwrap();
        let message = plain(&[planned(&world)], true);
        assert!(message.starts_with(expected.trim_start()), "{message}");
        let summary = "2 changes are pending; 1 connection waits to be removed in a later window.\n";
        assert!(message.ends_with(summary), "{message}");
    }

    #[test]
    fn a_window_that_is_used_up_is_not_taken_for_nothing_to_do() {
        let world = "instance i-1\ninstance i-2\ndb orders connect=orders\npair orders 1 attached-to=i-1,i-2\nmax 0";
        let message = plain(&[planned(&World::read(world).unwrap())], true);
        let summary = "\nNothing to change; 2 connections wait to be removed in a later window.\n";
        assert!(message.ends_with(summary), "{message}");
    }

    #[test]
    fn a_pair_whose_store_opted_out_goes_as_a_whole() {
        assert_said(
            "db orders\npair orders 1",
            "
vpc-1
  db/orders
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
             instance i-2 connect=orders groups=default,ec2-rds-1
             db orders connect=orders status=\"connected: i-2\"
             pair orders 1
             status-tags",
            "
vpc-1
  db/orders
      i-2: connected by tagwire through sg-ec2-rds-1 and sg-rds-ec2-1
  other
    - take the status off i-1
    ~ write on i-2: tagwire:status=\"connected: orders\"
2 changes are pending.
",
        );
        assert_said(
            "instance i-1 status=\"connected: orders\"\nstatus-tags",
            "
vpc-1
  other
    - take the status off i-1
1 change is pending.
",
        );
    }

    #[test]
    fn below_each_data_store_stands_one_hint_for_each_code() {
        let world = "instance i-1 connect=orders groups=a,b,c,d,e
            instance i-2 connect=orders groups=a,b,c,d,e
            db orders connect=orders";
        let text = plain(&[planned(&World::read(world).unwrap())], true);
        let hints: Vec<&str> = text.lines().filter(|line| line.starts_with("      Hint (")).collect();
        assert_eq!(hints.len(), 1, "{text}");
        assert!(hints[0].contains("interface-group-limit") && hints[0].contains("L-2AFB9258"), "{text}");
    }

    #[test]
    fn nothing_is_called_absent_that_was_not_read() {
        let nothing = planned(&World::read("instance i-1").unwrap());
        assert_eq!(plain(std::slice::from_ref(&nothing), true), "vpc-1\nNothing to change.\n");
        assert_eq!(plain(&[nothing], false), "vpc-1\n");
        assert_eq!(plain(&[], true), "Nothing is opted in, and tagwire owns no groups here.\n");
        assert_eq!(plain(&[], false), "");
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]

        #[test]
        fn exactly_what_the_plan_takes_away_has_the_sign_of_it(world in worlds()) {
            let planned = planned(&world);
            let plan = planned.1.plan();
            let of_clients = plan.cidrs.values().map(|work| work.revoke.len());
            let revoked = plan.pairs.values().map(|work| work.revoke.len()).chain(of_clients);
            let detached = plan.stores.values().map(|change| change.detached().count());
            let left = plan.interfaces.values().map(|change| change.detach.len());
            let ended = plan.deletions.values().map(|deletion| deletion.revoke.len() + deletion.delete.len());
            let silenced = plan.statuses.iter().filter(|status| status.text.is_none()).count();
            let away: usize = revoked.chain(detached).chain(left).chain(ended).sum::<usize>() + silenced;
            let message = plain(std::slice::from_ref(&planned), true);
            let signed = |sign: &str| message.lines().filter(|line| line.starts_with(sign)).count();
            prop_assert_eq!(signed("    - "), away);
            prop_assert_eq!(signed("    - ") + signed("    + ") + signed("    ~ "), plan.changes().len());
        }
    }
}
