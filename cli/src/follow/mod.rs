//! Hands plans to `connect`, which alone changes anything, and follows them until a reading of the VPC agrees.
//! Nothing is done that nobody agreed to: a request names its plan by the digest.

mod agreement;
mod confirm;
mod record;
mod request;
mod schedule;
mod watch;

use std::{collections::BTreeMap, time::Duration};

use tagwire_core::{group::SecurityGroup, id::VpcId, observation::Scope, policy::Mode, work::RequestKind};

pub(crate) use self::confirm::ConfirmPrompt;
use self::{
    confirm::confirm,
    record::{VpcRecord, VpcResult, document},
    request::{FollowOutcome, Job},
    watch::{Ended, watch},
};
use crate::{
    commands::plan::{OutputFormat, PlanView, text},
    error::{CommandError, CommandErrorKind, CommandResult, user_error},
    output::{print, tell, warn},
    session::{Place, Planned, Session},
};

/// Whether a person is asked, and for how long the work is followed.
#[derive(clap::Args, Clone, Copy)]
pub(crate) struct ConfirmArgs {
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// How long to follow, in seconds.
    #[arg(long, default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// The format of the result.
    #[arg(long, short, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) output: OutputFormat,
}

impl ConfirmArgs {
    /// Shows a plan: as a part of the result to people, and beside the result of programs.
    fn show(self, text: &str) -> CommandResult<()> {
        match self.output {
            OutputFormat::Text => print(text)?,
            OutputFormat::Json => tell(text.trim_end_matches('\n')),
        }
        Ok(())
    }
}

/// The installation as it has to be for something to be carried out.
///
/// # Errors
/// Without a stack, and with one that changes nothing.
pub(crate) fn require_enforcing(session: &Session) -> CommandResult<()> {
    let Some(stack) = &session.stack else {
        return Err(user_error!("there is no stack of tagwire here, and only its connect function changes anything")
            .hint("`tagwire doctor` says what is installed, and how to deploy it"));
    };
    if session.installation.mode == Some(Mode::DryRun) {
        return Err(user_error!("the stack {} has Mode=dry-run, so nothing is ever changed", stack.name)
            .hint("deploy it with Mode=enforce first"));
    }
    Ok(())
}

/// The plan for a request about a scope.
///
/// # Errors
/// When not all could be read: nothing is handed over then.
pub(crate) async fn plan(session: &Session, vpc: &VpcId, scope: Scope, kind: RequestKind) -> CommandResult<Planned> {
    let seen = session.observe(vpc, scope).await?;
    if let Some(gap) = seen.gaps().next() {
        let message = format!("not all of {vpc} could be read, so nothing is carried out there: {gap}");
        return Err(CommandError::new(CommandErrorKind::Incomplete, message));
    }
    Ok(request::plan_for(session, seen, kind))
}

/// Plans to be agreed to, and the way in which that is done.
pub(crate) struct Proposal<'text> {
    pub(crate) kind: RequestKind,
    pub(crate) planned: Vec<(Scope, Planned)>,
    pub(crate) confirmation: ConfirmArgs,
    pub(crate) question: ConfirmPrompt<'text>,
    /// Whether decisions and findings are shown as well.
    pub(crate) all: bool,
    /// Whether these plans were chosen beforehand, so that nobody is asked about any other.
    pub(crate) is_fixed: bool,
}

/// What became of plans.
pub(crate) struct Followed {
    kind: RequestKind,
    place: Place,
    records: BTreeMap<VpcId, VpcRecord>,
    error: Option<CommandError>,
    has_agreed: bool,
}

impl Followed {
    /// The result of a command that found nothing to do.
    pub(crate) fn nothing(kind: RequestKind, place: Place) -> Self {
        Self { kind, place, records: BTreeMap::new(), error: None, has_agreed: true }
    }

    /// Whether all that was agreed to is made.
    pub(crate) fn is_done(&self) -> bool {
        self.has_agreed && self.error.is_none()
    }

    /// Ends the command: with the document for programs, and with the error if there is one. False when the person
    /// did not agree. `remaining` are the groups that an uninstallation left.
    ///
    /// # Errors
    /// When something could not be sent or read, failed, or is not done in time, and when a plan changed that
    /// nobody can be asked about.
    pub(crate) fn finish(self, output: OutputFormat, remaining: &[SecurityGroup]) -> CommandResult<bool> {
        if output == OutputFormat::Json {
            let records: Vec<&VpcRecord> = self.records.values().collect();
            print(&format!("{:#}\n", document(&self.place, self.kind, &records, remaining)))?;
        }
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.has_agreed),
        }
    }

    /// Writes down how the work in each VPC ended. The plans that hold something that nobody agreed to come back.
    fn add(&mut self, ended: Vec<Ended>, timeout: Duration) -> Vec<Planned> {
        let (mut failures, mut changed, mut late) = (Vec::new(), Vec::new(), Vec::new());
        let total = ended.iter().map(|ended| ended.agreed).sum();
        for Ended { vpc, agreed: _, left, outcome } in ended {
            let (result, error) = match outcome {
                FollowOutcome::Done => (VpcResult::Done, None),
                FollowOutcome::Changed(planned) => {
                    changed.push(*planned);
                    (VpcResult::PlanChanged, None)
                }
                FollowOutcome::Failed(error) => {
                    let message = error.to_string();
                    failures.push(error);
                    (VpcResult::Failed, Some(message))
                }
                FollowOutcome::TimedOut => {
                    late.push((vpc.clone(), left));
                    (VpcResult::TimedOut, None)
                }
                FollowOutcome::Interrupted => {
                    self.error = Some(CommandError::interrupted());
                    (VpcResult::Interrupted, None)
                }
            };
            if let Some(record) = self.records.get_mut(&vpc) {
                (record.result, record.error) = (result, error);
                record.left = if result == VpcResult::Done { 0 } else { left };
            }
        }
        if !late.is_empty() {
            failures.push(timed_out(&late, total, timeout));
        }
        self.error = self.error.take().or(CommandError::all(failures));
        changed
    }
}

/// The note above a plan that took the place of one that was agreed to.
const CHANGED: &str =
    "connect would now make changes that nobody agreed to, so it made none of them (plan-changed); the new plan:";

/// Shows the plans, asks, has them carried out, and begins anew with plans that turned out to be others.
///
/// # Errors
/// When nobody can be asked, and without credentials.
pub(crate) async fn agree_and_follow(session: &Session, proposal: Proposal<'_>) -> CommandResult<Followed> {
    let Proposal { kind, mut planned, confirmation, question, all, is_fixed } = proposal;
    let place = session.place(planned.iter().map(|(_, (seen, _))| seen.vpc.clone())).await?;
    let timeout = Duration::from_secs(confirmation.timeout);
    let mut followed = Followed::nothing(kind, place.clone());
    let view = PlanView { place: &place, all, complete: true };
    loop {
        confirmation.show(&text(planned.iter().map(|(_, planned)| planned), view))?;
        let records = planned.iter().map(|(_, of)| (of.0.vpc.clone(), VpcRecord::of(of, VpcResult::NotAgreed)));
        followed.records.extend(records);
        if !confirmation.yes && !confirm(question).await? {
            tell("Nothing was changed.");
            followed.has_agreed = false;
            return Ok(followed);
        }
        let scopes: BTreeMap<VpcId, Scope> =
            planned.iter().map(|(scope, (seen, _))| (seen.vpc.clone(), scope.clone())).collect();
        let jobs = planned.iter().map(|(scope, planned)| Job::new(kind, scope.clone(), planned)).collect();
        let changed = followed.add(watch(session, jobs, timeout).await, timeout);
        if changed.is_empty() {
            return Ok(followed);
        }
        warn(CHANGED);
        if confirmation.yes || is_fixed || followed.error.is_some() {
            confirmation.show(&text(&changed, view))?;
            followed.error = followed.error.or_else(|| Some(nobody_asked(is_fixed)));
            return Ok(followed);
        }
        let scope_of = |vpc: &VpcId| scopes.get(vpc).cloned().unwrap_or(Scope::Vpc);
        planned = changed.into_iter().map(|planned| (scope_of(&planned.0.vpc), planned)).collect();
    }
}

/// The error for a new plan that nobody is asked about.
fn nobody_asked(is_fixed: bool) -> CommandError {
    let (message, hint) = if is_fixed {
        ("the plan changed, and only the one that was chosen may be carried out (plan-changed)", "make the plan anew")
    } else {
        ("the plan changed, and nobody was asked about the new one (plan-changed)", "run the command again")
    };
    CommandError::new(CommandErrorKind::NotCarriedOut, message).hint(hint)
}

fn timed_out(late: &[(VpcId, usize)], total: usize, timeout: Duration) -> CommandError {
    let left: usize = late.iter().map(|(_, left)| left).sum();
    let vpcs: Vec<&str> = late.iter().map(|(vpc, _)| vpc.as_str()).collect();
    let (seconds, vpcs) = (timeout.as_secs(), vpcs.join(", "));
    let message = format!("not done after {seconds} s: {left} of {total} changes are not made yet in {vpcs}");
    CommandError::new(CommandErrorKind::NotCarriedOut, message)
        .hint("connect continues by itself; `tagwire plan` shows what is left, and --timeout waits longer")
}
