//! A plan as lines for people.

use std::collections::BTreeMap;

use tagwire_core::{
    connections::{Maker, maker},
    finding::{Finding, Reason, Subject},
    group::{Ownership, SecurityGroup},
    id::{SecurityGroupId, StoreArn},
    observation::{Observation, Scope, StoreLookup},
    plan::{Action, ActionKind, Effect, Plan, Verdict, Via},
};

use crate::{
    commands::reason_of,
    instance_names::InstanceNames,
    output::{BAD, DOUBTFUL, FAINT, GOOD, HEADING, count, hint_line, painted},
    session::{Place, Planned},
};

/// The lines about one store, or about none.
#[derive(Default)]
struct Section {
    actions: Vec<Action>,
    remarks: Vec<String>,
    /// One hint for each code.
    hints: BTreeMap<&'static str, String>,
}

/// How plans are shown.
#[derive(Clone, Copy)]
pub(crate) struct PlanView<'place> {
    pub(crate) place: &'place Place,
    /// Whether decisions and findings are shown as well, or changes only.
    pub(crate) all: bool,
    /// Whether everything was read. Unless it was, nothing is called absent: the error that follows names the gaps.
    pub(crate) complete: bool,
}

/// Lines for people, by VPC and store.
pub(crate) fn text<'planned>(planned: impl IntoIterator<Item = &'planned Planned>, view: PlanView<'_>) -> String {
    let (mut lines, mut totals) = (Vec::new(), Totals::default());
    for (seen, checked) in planned {
        let plan = checked.plan();
        totals.add(plan);
        let missing = without_anything(seen);
        if plan.is_empty() && !view.all && missing.is_none() {
            continue;
        }
        lines.push(painted(HEADING, &view.place.of(&seen.vpc)));
        lines.extend(missing.map(|message| format!("  {message}")));
        let (others, stores): (Vec<_>, Vec<_>) =
            sections(seen, plan).into_iter().partition(|(store, _)| store.is_none());
        let names: InstanceNames = seen.instances.found.iter().collect();
        for (store, section) in stores.into_iter().chain(others) {
            lines.extend(section.lines(store.as_ref(), view.all).iter().map(|line| names.label_in(line)));
        }
    }
    lines.extend(totals.line(view));
    lines.into_iter().map(|line| line + "\n").collect()
}

/// What all plans together do and decide.
#[derive(Default)]
struct Totals {
    vpcs: usize,
    vpcs_with_changes: usize,
    /// The number of changes of each effect and kind.
    changes: BTreeMap<(Effect, ActionKind), usize>,
    held_back: usize,
    connected: usize,
    waiting: usize,
    refused: usize,
    findings: usize,
}

impl Totals {
    fn add(&mut self, plan: &Plan) {
        self.vpcs += 1;
        self.vpcs_with_changes += usize::from(!plan.is_empty());
        for action in plan.actions() {
            *self.changes.entry((action.effect, action.kind)).or_default() += 1;
        }
        for decision in &plan.decisions {
            match decision.verdict {
                Verdict::Connected(_) => self.connected += 1,
                Verdict::Waiting(_) => self.waiting += 1,
                Verdict::Refused(_) => self.refused += 1,
                Verdict::HeldBack(_) => self.held_back += 1,
                Verdict::Connecting | Verdict::Disconnecting(_) => {}
            }
        }
        self.findings += plan.findings.len();
    }

    /// The last line. It stands right above the question of `apply`.
    fn line(&self, view: PlanView<'_>) -> Option<String> {
        let all: usize = self.changes.values().sum();
        let waiting = match self.held_back {
            0 => String::new(),
            1 => "; 1 connection waits to be removed in a later window".to_owned(),
            several => format!("; {several} connections wait to be removed in a later window"),
        };
        let folded = if view.all { String::new() } else { self.folded() };
        match (self.vpcs, all) {
            (_, 0) if !view.complete => None,
            (0, _) => Some("Nothing is opted in, and tagwire owns no groups here.".to_owned()),
            (_, 0) => Some(format!("Nothing to change{waiting}{folded}.")),
            _ => {
                let (are, vpcs) = (if all == 1 { "is" } else { "are" }, count(self.vpcs_with_changes, "VPC"));
                let kinds = self.kinds();
                Some(format!("{} {are} pending: {kinds}, in {vpcs}{waiting}{folded}.", count(all, "change")))
            }
        }
    }

    /// The changes by their kinds: `+3 attach, -10 detach`.
    fn kinds(&self) -> String {
        let kind = |((effect, kind), number): (&(Effect, ActionKind), &usize)| {
            format!("{}{number} {}", sign(*effect), kind.word())
        };
        self.changes.iter().map(kind).collect::<Vec<_>>().join(", ")
    }

    /// What is not shown, counted.
    fn folded(&self) -> String {
        let counted = [(self.connected, "connected"), (self.waiting, "waiting"), (self.refused, "refused")];
        let counted = counted.into_iter().filter(|(number, _)| *number > 0);
        let mut counted: Vec<String> = counted.map(|(number, state)| format!("{number} {state}")).collect();
        if self.findings > 0 {
            counted.push(count(self.findings, "finding"));
        }
        if counted.is_empty() { String::new() } else { format!(" ({}: see --all)", counted.join(", ")) }
    }
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
        let message = format!("{}: {}", decision.instance, verdict(seen, &decision.verdict));
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
    /// The lines below the name of a store, or below `other`.
    fn lines(&self, store: Option<&StoreArn>, all: bool) -> Vec<String> {
        if self.actions.is_empty() && !all {
            return Vec::new();
        }
        let store = store.map_or_else(|| "other".to_owned(), StoreArn::short);
        let mut lines = vec![format!("  {}", painted(HEADING, &store))];
        lines.extend(self.actions.iter().map(|action| format!("    {}", signed_line(action.effect, &action.text))));
        if all {
            lines.extend(self.remarks.iter().map(|remark| format!("      {remark}")));
            lines.extend(self.hints.iter().map(|(code, hint)| format!("      {}", hint_line(code, hint))));
        }
        lines
    }

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
                Ownership::Foreign | Ownership::Forged(_) | Ownership::Unproven(_) => None,
            }
        }
        Subject::Vpc(_) | Subject::Instance(_) => None,
    }
}

fn verdict(seen: &Observation, verdict: &Verdict) -> String {
    let style = match verdict {
        Verdict::Connected(_) => FAINT,
        Verdict::Connecting => GOOD,
        Verdict::Waiting(_) | Verdict::HeldBack(_) => DOUBTFUL,
        Verdict::Refused(_) | Verdict::Disconnecting(_) => BAD,
    };
    let text = match verdict {
        Verdict::Connected(via) if is_of_console(seen, via) => {
            format!("connected by the RDS console through {} and {}", via.instance_side, via.store_side)
        }
        Verdict::Connected(_)
        | Verdict::Connecting
        | Verdict::Waiting(_)
        | Verdict::HeldBack(_)
        | Verdict::Refused(_)
        | Verdict::Disconnecting(_) => verdict.to_string(),
    };
    painted(style, &text)
}

fn is_of_console(seen: &Observation, via: &Via) -> bool {
    let group = |id: &SecurityGroupId| seen.groups.found.iter().find(|group| group.id == *id);
    let sides = group(&via.store_side).zip(group(&via.instance_side));
    sides.is_some_and(|(store_side, instance_side)| maker(store_side, instance_side) == Maker::Console)
}

/// A change with its sign, so that removals stand out.
pub(crate) fn signed_line(effect: Effect, text: &str) -> String {
    let style = match effect {
        Effect::Add => GOOD,
        Effect::Remove => BAD,
        Effect::Write => DOUBTFUL,
    };
    painted(style, &format!("{} {text}", sign(effect)))
}

fn sign(effect: Effect) -> char {
    match effect {
        Effect::Add => '+',
        Effect::Remove => '-',
        Effect::Write => '~',
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use tagwire_core::{check::check, plan::plan};
    use tagwire_world::{World, worlds};

    use super::*;

    /// As it is written where there is no terminal.
    fn plain(planned: &[Planned], complete: bool) -> String {
        shown(planned, complete, true)
    }

    fn shown(planned: &[Planned], complete: bool, all: bool) -> String {
        let place = Place { account: "123456789012".to_owned(), region: "eu-central-1".to_owned(), ..Place::default() };
        anstream::adapter::strip_str(&text(planned, PlanView { place: &place, all, complete })).to_string()
    }

    /// The same without what `--all` shows.
    fn folded(world: &str) -> String {
        shown(&[planned(&World::read(world).unwrap())], true, false)
    }

    #[test]
    fn only_changes_are_shown_and_the_rest_is_counted_in_the_last_line() {
        let world = "instance i-1 connect=orders
            instance i-2 connect=orders
            instance i-3 connect=orders groups=a,b,c,d,e
            instance i-4
            db orders connect=orders
            db lonely connect=nobody
            pair orders 1 attached-to=i-1,i-4";
        let expected = "\
123456789012 / eu-central-1 / vpc-1
  db/orders
    + attach sg-ec2-rds-1 to eni-2 of i-2: shares orders with db/orders
    - detach sg-ec2-rds-1 from eni-4 of i-4: the instance has no connect tag (db/orders)
2 changes are pending: +1 attach, -1 detach, in 1 VPC (1 connected, 1 refused, 1 finding: see --all).
";
        assert_eq!(folded(world), expected);
    }

    #[test]
    fn an_instance_is_told_with_its_name() {
        let world = "instance i-1 connect=orders name=web\ndb orders connect=orders\npair orders 1";
        assert!(
            folded(world).contains("    + attach sg-ec2-rds-1 to eni-1 of i-1 (web): shares orders with db/orders\n")
        );
    }

    #[test]
    fn many_connected_instances_and_nothing_to_do_are_one_line() {
        let many = 1..=300;
        let instances: Vec<String> = many.clone().map(|number| format!("instance i-{number} connect=orders")).collect();
        let attached: Vec<String> = many.map(|number| format!("i-{number}")).collect();
        let world = format!(
            "{}\ndb orders connect=orders\npair orders 1 attached-to={}",
            instances.join("\n"),
            attached.join(",")
        );
        assert_eq!(folded(&world), "Nothing to change (300 connected: see --all).\n");
    }

    #[test]
    fn above_a_vpc_stand_its_account_its_region_and_its_name() {
        let vpc = World::read("").unwrap().seen.vpc;
        let names = [(vpc.clone(), Some("prod".into()))].into();
        let place = Place { account: "123456789012".to_owned(), region: "eu-central-1".to_owned(), names };
        assert_eq!(place.of(&vpc), "123456789012 / eu-central-1 / vpc-1 (prod)");
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
123456789012 / eu-central-1 / vpc-1
  Nothing in this VPC is opted in, and tagwire owns no groups here.
Nothing to change.
",
        );
        assert_said(
            "db orders connect=orders vpc=2\nscope orders",
            "
123456789012 / eu-central-1 / vpc-1
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
123456789012 / eu-central-1 / vpc-1
  db/orders
    - detach sg-ec2-rds-1 from eni-2 of i-2: the instance has no connect tag (db/orders)
    + attach sg-ec2-rds-1 to eni-3 of i-3: shares orders with db/orders
      i-2: will be disconnected: the instance has no connect tag; connections that are open stay open until they are closed
      i-1: stays connected for now: the instance has no connect tag (disconnects-held-back)
      i-3: will be connected
";
        let world = World::read(world).unwrap();
        let message = plain(&[planned(&world)], true);
        assert!(message.starts_with(expected.trim_start()), "{message}");
        let summary = "2 changes are pending: +1 attach, -1 detach, in 1 VPC; 1 connection waits to be removed in a later window.\n";
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
123456789012 / eu-central-1 / vpc-1
  db/orders
    - detach sg-rds-ec2-1 from db/orders: the data store has no connect tag
    - revoke in sg-ec2-rds-1: tcp 5432 to sg-rds-ec2-1
    - revoke in sg-rds-ec2-1: tcp 5432 from sg-ec2-rds-1
    - delete sg-ec2-rds-1 of db/orders: its data store has no connect tag
    - delete sg-rds-ec2-1 of db/orders: its data store has no connect tag
5 changes are pending: -2 revoke, -1 detach, -2 delete, in 1 VPC.
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
123456789012 / eu-central-1 / vpc-1
  db/orders
      i-2: connected by tagwire through sg-ec2-rds-1 and sg-rds-ec2-1
  other
    - take the status off i-1
    ~ write on i-2: tagwire:status=\"connected: orders\"
2 changes are pending: -1 status, ~1 status, in 1 VPC.
",
        );
        assert_said(
            "instance i-1 status=\"connected: orders\"\nstatus-tags",
            "
123456789012 / eu-central-1 / vpc-1
  other
    - take the status off i-1
1 change is pending: -1 status, in 1 VPC.
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
        assert_eq!(
            plain(std::slice::from_ref(&nothing), true),
            "123456789012 / eu-central-1 / vpc-1\nNothing to change.\n"
        );
        assert_eq!(plain(&[nothing], false), "123456789012 / eu-central-1 / vpc-1\n");
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
            let detached = plan.stores.values().map(|change| change.leaving().count());
            let left = plan.interfaces.values().map(|change| change.leaving().count());
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
