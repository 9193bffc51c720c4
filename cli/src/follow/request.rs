//! One request to `connect` about one VPC: sending it, and following it to its end.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use indicatif::ProgressBar;
use tagwire_core::{
    id::{RequestId, VpcId},
    observation::{Observation, Scope},
    work::{Answer, Cause, PlanDigest, Request, RequestKind, Tries, VERSION, WorkItem},
};
use tagwire_engine::cloud::{CloudError, ErrorKind, Observe, Queues};

use super::{agreement::Agreement, schedule::ReadSchedule};
use crate::{
    error::{CommandError, CommandErrorKind, CommandResult},
    session::{Planned, Session},
};

/// How long a run that ended is given before what is left of its plan is sent again: AWS takes its time to
/// take groups out of a data store's list.
const SEND_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Work in one VPC that a person agreed to.
pub(super) struct Job {
    pub(super) vpc: VpcId,
    scope: Scope,
    kind: RequestKind,
    agreement: Agreement,
    digest: PlanDigest,
    /// The last request to uninstall, or to cancel that, when the person agreed; and each of this job's own. Any other
    /// in the state table is a later one.
    known_requests: BTreeSet<RequestId>,
    /// The number of changes that were agreed to.
    pub(super) changes: usize,
}

impl Job {
    pub(super) fn new(kind: RequestKind, scope: Scope, (seen, checked): &Planned) -> Self {
        let plan = checked.plan();
        Self {
            vpc: seen.vpc.clone(),
            scope,
            kind,
            agreement: Agreement::to(kind, seen, plan),
            digest: plan.digest(),
            known_requests: last_request(seen).cloned().into_iter().collect(),
            changes: plan.changes().len(),
        }
    }

    /// Whether another request to uninstall, or to cancel that, came after this job.
    fn is_superseded(&self, seen: &Observation) -> bool {
        self.kind != RequestKind::Apply && last_request(seen).is_some_and(|last| !self.known_requests.contains(last))
    }

    /// Hands the work to `connect`.
    async fn send(&mut self, session: &Session) -> CommandResult<RequestId> {
        let id = RequestId::parse(format!("{:016x}", RandomState::new().hash_one(session.now().as_nanosecond())))?;
        let item = WorkItem {
            version: VERSION,
            vpc: self.vpc.clone(),
            scope: self.scope.clone(),
            cause: Cause::Request,
            tries: Tries::first(session.now()),
            request: Some(Request { id: id.clone(), kind: self.kind, digest: Some(self.digest.clone()) }),
            tagged_stores: None,
        };
        self.known_requests.insert(id.clone());
        session.aws.send_work(&item).await.map_err(|error| not_sent(&self.vpc, error))?;
        Ok(id)
    }
}

/// The way that a request ended.
pub(super) enum FollowOutcome {
    /// A reading of the VPC agrees with the plan.
    Done,
    /// The plan of now holds a change that nobody agreed to.
    Changed(Box<Planned>),
    Failed(CommandError),
    /// The time ran out, and `connect` goes on.
    TimedOut,
    /// Ctrl-C ended the command, and `connect` goes on.
    Interrupted,
}

/// The next step with a request.
enum NextStep {
    Wait,
    SendAgain(PlanDigest),
    End(FollowOutcome),
}

/// A request that was sent, until it ends.
pub(super) struct Follow {
    job: Job,
    request: RequestId,
    sent: Instant,
    schedule: ReadSchedule,
    /// The number of changes that are not made yet.
    pub(super) left: usize,
    /// Whether `connect` refused the very plan that is made here.
    was_refused: bool,
}

impl Follow {
    /// Hands a job to `connect`.
    ///
    /// # Errors
    /// When the queue does not take it.
    pub(super) async fn begin(session: &Session, mut job: Job) -> CommandResult<Self> {
        let request = job.send(session).await?;
        Ok(Self::new(job, request, Instant::now()))
    }

    fn new(job: Job, request: RequestId, sent: Instant) -> Self {
        Self { left: job.changes, job, request, sent, schedule: ReadSchedule::new(), was_refused: false }
    }

    /// Asks for the answer and, when there is a reason, reads the VPC. `None` while the request goes on.
    pub(super) async fn poll(&mut self, session: &Session, bar: &ProgressBar) -> Option<FollowOutcome> {
        self.try_poll(session, bar).await.unwrap_or_else(|error| Some(FollowOutcome::Failed(error)))
    }

    async fn try_poll(&mut self, session: &Session, bar: &ProgressBar) -> CommandResult<Option<FollowOutcome>> {
        let vpc = self.job.vpc.clone();
        let answer = match session.cloud()?.answer(&vpc, &self.request).await {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                bar.set_message(format!("waiting for connect in {vpc}"));
                return Ok(None);
            }
            Err(error) if error.kind.passes() => {
                bar.set_message(error.to_string());
                return Ok(None);
            }
            Err(error) => return Err(lost_sight(&vpc, error)),
        };
        bar.set_message(format!("{vpc}: {}", answer.code));
        if let Some(error) = failure(&vpc, &answer) {
            return Err(error);
        }
        if !self.schedule.is_due(answer.at, answer.code == GOES_ON, Instant::now()) {
            return Ok(None);
        }
        let seen = session.observe(&vpc, self.job.scope.clone()).await?;
        if let Some(gap) = seen.gaps().next() {
            if gap.passing {
                bar.set_message(gap.to_string());
                return Ok(None);
            }
            return Err(lost_sight(&vpc, anyhow::anyhow!("{gap}")));
        }
        let planned = plan_for(session, seen, self.job.kind);
        match self.next(&answer.code, planned, Instant::now()) {
            NextStep::Wait => Ok(None),
            NextStep::End(outcome) => Ok(Some(outcome)),
            NextStep::SendAgain(digest) => {
                self.job.digest = digest;
                self.request = self.job.send(session).await?;
                self.sent = Instant::now();
                Ok(None)
            }
        }
    }

    /// Decides what to do after `connect` answered with a code, by the plan that is left.
    fn next(&mut self, code: &str, planned: Planned, now: Instant) -> NextStep {
        let (seen, plan) = (&planned.0, planned.1.plan());
        let (digest, is_agreed) = (plan.digest(), self.job.agreement.covers(seen, plan));
        let is_refused = code == PLAN_CHANGED;
        if self.job.is_superseded(seen) {
            return NextStep::End(FollowOutcome::Failed(superseded(&self.job.vpc)));
        }
        self.left = plan.changes().len().min(self.left);
        // A request that was refused is not written down either, so one that outlasts its changes is sent again.
        if plan.is_empty() && (self.job.kind == RequestKind::Apply || !is_refused) {
            return NextStep::End(FollowOutcome::Done);
        }
        if code == GOES_ON {
            return NextStep::Wait;
        }
        let is_same = is_refused && digest == self.job.digest;
        if is_same && self.was_refused {
            return NextStep::End(FollowOutcome::Failed(disagreement(&self.job.vpc)));
        }
        // Once may be because something changed for a moment.
        self.was_refused = is_same;
        let is_late = now.duration_since(self.sent) > SEND_AGAIN_AFTER;
        match (is_agreed, is_refused || is_late) {
            (true, true) => NextStep::SendAgain(digest),
            (false, true) => NextStep::End(FollowOutcome::Changed(Box::new(planned))),
            (_, false) => NextStep::Wait,
        }
    }
}

/// The last request to uninstall, or to cancel that, in the state table.
fn last_request(seen: &Observation) -> Option<&RequestId> {
    seen.state.as_ref().ok()?.last_request.as_ref()
}

/// The error for a request after which another one came: the last word of a person holds.
fn superseded(vpc: &VpcId) -> CommandError {
    let message =
        format!("{vpc}: a later request to uninstall, or to cancel that, took the place of this one (superseded)");
    CommandError::new(CommandErrorKind::NotCarriedOut, message)
        .hint(format!("`tagwire plan --vpc {vpc}` shows what connect does now"))
}

/// The code of an answer after which `connect` continues by itself.
const GOES_ON: &str = "goes-on";
/// The code of an answer to a request that names another plan than `connect` makes.
const PLAN_CHANGED: &str = "plan-changed";

/// The plan for an observation, as if `connect` had taken the request into account.
pub(super) fn plan_for(session: &Session, mut seen: Observation, kind: RequestKind) -> Planned {
    if let Ok(state) = &mut seen.state {
        state.apply_request(kind, seen.at);
    }
    session.plan(seen)
}

/// The error for a request that the queue did not confirm.
fn not_sent(vpc: &VpcId, error: CloudError) -> CommandError {
    let message = if error.kind == ErrorKind::EffectUnknown {
        format!("it is not known whether the work in {vpc} was handed to connect")
    } else {
        format!("the work in {vpc} could not be handed to connect, so nothing is changed")
    };
    CommandError::from(error).context(message).of_kind(CommandErrorKind::NotCarriedOut)
}

/// The error for work that was handed over and can no longer be followed.
fn lost_sight(vpc: &VpcId, cause: impl Into<CommandError>) -> CommandError {
    cause
        .into()
        .context(format!("the result of the work in {vpc} cannot be read"))
        .of_kind(CommandErrorKind::NotCarriedOut)
        .hint(format!("connect continues by itself; `tagwire plan --vpc {vpc}` shows what is left"))
}

/// The error for a plan that `connect` refuses although nothing changed.
fn disagreement(vpc: &VpcId) -> CommandError {
    let message =
        format!("{vpc}: connect makes another plan of the same resources, so it changed nothing (plan-changed)");
    CommandError::new(CommandErrorKind::NotCarriedOut, message)
        .hint("this command uses other settings than the stack, or is of another version: leave out the options and variables of the installation")
        .hint("`tagwire doctor` compares the versions")
}

/// The error for an answer that ends a request; `None` for any other answer.
fn failure(vpc: &VpcId, answer: &Answer) -> Option<CommandError> {
    let (kind, message, hint) = match answer.code.as_str() {
        "superseded" => return Some(superseded(vpc)),
        "failed" => (
            CommandErrorKind::NotCarriedOut,
            "connect could not make every change",
            format!("the log of connect names each step that failed; `tagwire plan --vpc {vpc}` shows what is left"),
        ),
        "dry-run" => {
            (CommandErrorKind::NotCarriedOut, "the stack only logs plans", "deploy it with Mode=enforce".to_owned())
        }
        _ => return None,
    };
    let message = format!("{vpc}: {message} ({}): {}", answer.code, answer.message);
    Some(CommandError::new(kind, message).hint(hint))
}

#[cfg(test)]
mod tests {
    use tagwire_core::{check::check, plan::plan};
    use tagwire_world::World;

    use super::*;

    fn planned(world: &str) -> Planned {
        let World { seen, policy } = World::read(world).unwrap();
        let checked = check(plan(&seen, &policy), &seen, &policy).unwrap();
        (seen, checked)
    }

    const BEGINNING: &str = "instance i-1 connect=orders\nreplicationgroup orders connect=orders";
    const HALF_DONE: &str = "instance i-1 connect=orders\nreplicationgroup orders connect=orders
        pair orders 1 loose attached-to=i-1";

    /// A request that was sent ten minutes ago, with the plan for a world that was agreed to.
    fn follow(kind: RequestKind, agreed: &str) -> Follow {
        let sent = Instant::now().checked_sub(Duration::from_mins(10)).unwrap();
        Follow::new(Job::new(kind, Scope::Vpc, &planned(agreed)), RequestId::parse("r-1").unwrap(), sent)
    }

    #[test]
    fn the_rest_of_a_plan_is_sent_again_when_its_groups_have_ids() {
        let mut follow = follow(RequestKind::Apply, BEGINNING);
        let rest = planned(HALF_DONE);
        let expected = rest.1.plan().digest();
        match follow.next("changed", rest, Instant::now()) {
            NextStep::SendAgain(digest) => assert_eq!(digest, expected),
            NextStep::Wait | NextStep::End(_) => panic!("the rest is not sent again"),
        }
        assert_eq!(follow.left, 1);
    }

    #[test]
    fn the_rest_is_not_sent_again_before_aws_had_time_to_show_it() {
        let mut follow = follow(RequestKind::Apply, BEGINNING);
        let soon = follow.sent + Duration::from_secs(3);
        assert!(matches!(follow.next("changed", planned(HALF_DONE), soon), NextStep::Wait));
    }

    #[test]
    fn a_change_that_nobody_agreed_to_is_not_sent() {
        let more = format!("{HALF_DONE}\ninstance i-2 connect=orders");
        let next = follow(RequestKind::Apply, BEGINNING).next("changed", planned(&more), Instant::now());
        assert!(matches!(next, NextStep::End(FollowOutcome::Changed(_))));
    }

    #[test]
    fn while_connect_goes_on_nothing_is_sent() {
        assert!(matches!(
            follow(RequestKind::Apply, BEGINNING).next(GOES_ON, planned(HALF_DONE), Instant::now()),
            NextStep::Wait
        ));
    }

    #[test]
    fn a_plan_that_is_refused_twice_although_nothing_changed_is_an_error() {
        let mut follow = follow(RequestKind::Apply, BEGINNING);
        assert!(matches!(follow.next(PLAN_CHANGED, planned(BEGINNING), Instant::now()), NextStep::SendAgain(_)));
        let NextStep::End(FollowOutcome::Failed(error)) = follow.next(PLAN_CHANGED, planned(BEGINNING), Instant::now())
        else {
            panic!("it does not end");
        };
        assert!(error.error.to_string().contains("plan-changed"), "{error:?}");
    }

    #[test]
    fn an_uninstallation_that_somebody_cancelled_meanwhile_is_not_sent_again() {
        let world =
            "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1\nuninstalling";
        let requested = |id: &str| {
            let mut planned = planned(world);
            planned.0.state.as_mut().unwrap().last_request = Some(RequestId::parse(id).unwrap());
            planned
        };
        let mut follow = follow(RequestKind::Uninstall, world);
        follow.job.known_requests.insert(RequestId::parse("r-1").unwrap());
        assert!(matches!(follow.next("changed", requested("r-1"), Instant::now()), NextStep::SendAgain(_)));
        let NextStep::End(FollowOutcome::Failed(error)) = follow.next("changed", requested("r-2"), Instant::now())
        else {
            panic!("it does not end");
        };
        assert!(error.error.to_string().contains("superseded"), "{error:?}");
    }

    #[test]
    fn a_refused_request_to_uninstall_is_sent_again_although_nothing_is_left_to_change() {
        let nothing = "instance i-1\nuninstalling";
        let mut follow = follow(RequestKind::Uninstall, nothing);
        assert!(matches!(follow.next(PLAN_CHANGED, planned(nothing), Instant::now()), NextStep::SendAgain(_)));
        assert!(matches!(
            follow.next("unchanged", planned(nothing), Instant::now()),
            NextStep::End(FollowOutcome::Done)
        ));
    }
}
