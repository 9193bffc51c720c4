//! Hands plans to `connect`, which alone changes anything, and follows them until a reading of the VPC agrees.
//! Nothing is done that nobody agreed to: a request names its plan by the digest.

mod agreement;
mod request;
mod schedule;

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write, stdin},
    time::{Duration, Instant},
};

use anyhow::Context;
use tagwire_core::{id::VpcId, observation::Scope, policy::Mode, work::RequestKind};

use self::request::{Follow, FollowOutcome, Job};
use crate::{
    commands::plan::{PlanView, text},
    error::{CommandError, CommandErrorKind, CommandResult, user_error},
    output::{print, tell, warn},
    progress,
    session::{Planned, Session},
};

/// How often `connect`'s answer is asked for.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// Whether a person is asked, and for how long the work is followed.
#[derive(clap::Args, Clone, Copy)]
pub(crate) struct ConfirmArgs {
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// How long to follow, in seconds.
    #[arg(long, default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
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

/// Asks a person; only the word itself is a yes.
///
/// # Errors
/// When there is nobody to ask.
fn confirm(question: &str, word: &str) -> CommandResult<bool> {
    if !stdin().is_terminal() {
        return Err(user_error!("standard input is no terminal, so nobody can be asked")
            .hint("--yes goes ahead without asking"));
    }
    let mut err = anstream::stderr();
    write!(err, "{question} ")?;
    err.flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer).context("reading the answer")?;
    Ok(answer.trim() == word)
}

/// The question that a person is asked, and the word that agrees.
pub(crate) struct ConfirmPrompt<'text> {
    pub(crate) text: &'text str,
    pub(crate) word: &'text str,
}

/// Shows the plans, asks, has them carried out, and begins anew with plans that turned out to be others. False
/// when the person did not agree.
///
/// # Errors
/// When something could not be sent or read, failed, or is not done in time, and when a plan changed that
/// nobody can be asked about.
pub(crate) async fn agree_and_follow(
    session: &Session,
    kind: RequestKind,
    mut planned: Vec<(Scope, Planned)>,
    confirmation: ConfirmArgs,
    question: ConfirmPrompt<'_>,
    all: bool,
) -> CommandResult<bool> {
    let place = session.place(planned.iter().map(|(_, (seen, _))| seen.vpc.clone())).await?;
    let view = PlanView { place: &place, all, complete: true };
    loop {
        print(&text(planned.iter().map(|(_, planned)| planned), view))?;
        if !confirmation.yes && !confirm(question.text, question.word)? {
            tell("Nothing was changed.");
            return Ok(false);
        }
        let scopes: BTreeMap<VpcId, Scope> =
            planned.iter().map(|(scope, (seen, _))| (seen.vpc.clone(), scope.clone())).collect();
        let jobs =
            planned.iter().map(|(scope, planned)| (planned.0.vpc.clone(), Job::new(kind, scope.clone(), planned)));
        let changed = follow(session, jobs.collect(), Duration::from_secs(confirmation.timeout), view).await?;
        if changed.is_empty() {
            return Ok(true);
        }
        warn(
            "connect would now make changes that nobody agreed to, so it made none of them (plan-changed); the new plan:",
        );
        if confirmation.yes {
            print(&text(&changed, view))?;
            let message = "the plan changed, and nobody was asked about the new one (plan-changed)";
            return Err(CommandError::new(CommandErrorKind::NotCarriedOut, message).hint("run the command again"));
        }
        let scope_of = |vpc: &VpcId| scopes.get(vpc).cloned().unwrap_or(Scope::Vpc);
        planned = changed.into_iter().map(|planned| (scope_of(&planned.0.vpc), planned)).collect();
    }
}

/// Sends the jobs and follows them to their ends. A VPC in which something fails keeps no other from being
/// followed. The plans that hold something that nobody agreed to come back.
///
/// # Errors
/// When something could not be sent or read, failed, or is not done in time.
async fn follow(
    session: &Session,
    jobs: BTreeMap<VpcId, Job>,
    timeout: Duration,
    view: PlanView<'_>,
) -> CommandResult<Vec<Planned>> {
    let began = Instant::now();
    let total = jobs.values().map(|job| job.changes).sum();
    let bar = progress::bar(total);
    let (mut follows, mut failures, mut changed) = (BTreeMap::new(), Vec::new(), Vec::new());
    for (vpc, job) in jobs {
        match Follow::begin(session, job).await {
            Ok(follow) => drop(follows.insert(vpc, follow)),
            Err(error) => failures.push(error),
        }
    }
    while !follows.is_empty() {
        if began.elapsed() > timeout {
            failures.push(timed_out(&follows, total, timeout));
            break;
        }
        tokio::time::sleep(POLL_EVERY).await;
        let mut ended = Vec::new();
        for (vpc, follow) in &mut follows {
            ended.extend(follow.poll(session, &bar).await.map(|outcome| (vpc.clone(), outcome)));
        }
        for (vpc, outcome) in ended {
            follows.remove(&vpc);
            match outcome {
                FollowOutcome::Done => {}
                FollowOutcome::Changed(planned) => changed.push(*planned),
                FollowOutcome::Failed(error) => failures.push(error),
            }
        }
        let left: usize = follows.values().map(|follow| follow.left).sum();
        bar.set_position(u64::try_from(total.saturating_sub(left)).unwrap_or(u64::MAX));
    }
    bar.finish_and_clear();
    match CommandError::all(failures) {
        None => Ok(changed),
        Some(error) if changed.is_empty() => Err(error),
        Some(error) => {
            warn(
                "connect would now make changes that nobody agreed to, so it made none of them (plan-changed); the new plan:",
            );
            print(&text(&changed, view))?;
            Err(error)
        }
    }
}

fn timed_out(follows: &BTreeMap<VpcId, Follow>, total: usize, timeout: Duration) -> CommandError {
    let left: usize = follows.values().map(|follow| follow.left).sum();
    let vpcs: Vec<&str> = follows.keys().map(VpcId::as_str).collect();
    let (seconds, vpcs) = (timeout.as_secs(), vpcs.join(", "));
    let message = format!("not done after {seconds} s: {left} of {total} changes are not made yet in {vpcs}");
    CommandError::new(CommandErrorKind::NotCarriedOut, message)
        .hint("connect continues by itself; `tagwire plan` shows what is left, and --timeout waits longer")
}
