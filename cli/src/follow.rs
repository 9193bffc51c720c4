//! Has a plan carried out by `connect`, which is the only one to change anything, and follows until what is
//! read back agrees. Nothing is done that was not agreed to: what is sent names the plan by its digest.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, RandomState},
    io::{IsTerminal, Write, stdin},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use tagwire_core::{
    id::{RequestId, VpcId},
    observation::{Observation, Scope},
    plan::{Effect, Plan},
    policy::Mode,
    work::{Answer, Cause, PlanDigest, Request, RequestKind, Tries, VERSION, WorkItem},
};
use tagwire_engine::cloud::{Observe, Queues};

use crate::{
    output::{print, tell, warn},
    progress,
    session::{Planned, Session},
    show,
};

/// How often it is asked what became of a request.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a run that ended is given before what is left of its plan is sent again: AWS takes its time to
/// take groups out of a data store's list.
const SEND_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What is asked of `connect` about one VPC.
struct Job {
    vpc: VpcId,
    scope: Scope,
    /// The lines that were agreed to.
    agreed: BTreeSet<String>,
    digest: PlanDigest,
}

/// How a job ended.
enum End {
    /// What is read back agrees.
    Done,
    /// It would take something that nobody agreed to.
    Changed(Box<Planned>),
}

/// Where a job stands.
struct Course {
    job: Job,
    request: RequestId,
    sent: Instant,
    left: usize,
    /// Whether connect has refused the very plan that is made here.
    disagreed: bool,
}

/// The installation as it has to be for something to be carried out.
///
/// # Errors
/// Without a stack, or when it is one that changes nothing.
pub(crate) fn can_change(session: &Session) -> Result<()> {
    let Some(stack) = &session.stack else {
        bail!(
            "no stack of tagwire could be read here, and only its connect function changes anything; see `tagwire doctor`"
        );
    };
    if session.installation.mode == Some(Mode::DryRun) {
        bail!(
            "the stack {} has Mode=dry-run, so nothing is ever changed; deploy it with Mode=enforce first",
            stack.name
        );
    }
    Ok(())
}

/// Plans what a kind asks for in a scope.
///
/// # Errors
/// When not all could be read: nothing is handed over then.
pub(crate) async fn plan(session: &Session, vpc: &VpcId, scope: Scope, kind: RequestKind) -> Result<Planned> {
    let seen = session.observe(vpc, scope).await?;
    if let Some(gap) = seen.gaps().next() {
        bail!("not all of {vpc} could be read, so nothing is carried out there: {gap}");
    }
    requested(session, seen, kind)
}

/// Plans what a kind makes of what was seen.
fn requested(session: &Session, mut seen: Observation, kind: RequestKind) -> Result<Planned> {
    if let Ok(state) = &mut seen.state {
        state.apply_request(kind, seen.at);
    }
    session.plan(seen)
}

impl Job {
    /// What a person agreed to.
    fn new(scope: Scope, planned: &Planned) -> Self {
        let (seen, checked) = planned;
        let plan = checked.plan();
        Self { vpc: seen.vpc.clone(), scope, agreed: plan.changes().into_iter().collect(), digest: plan.digest() }
    }

    /// Whether a plan holds nothing but what was agreed to: the very lines, or, when everything is to go or
    /// to come back, whatever serves that. A group can be deleted only when all have let it go, so more may
    /// become possible on the way.
    fn covers(&self, kind: RequestKind, plan: &Plan) -> bool {
        match kind {
            RequestKind::Apply => plan.changes().iter().all(|line| self.agreed.contains(line)),
            RequestKind::Uninstall => plan.actions().iter().all(|action| action.effect == Effect::Remove),
            RequestKind::CancelUninstall => plan.actions().iter().all(|action| action.effect != Effect::Remove),
        }
    }
}

/// Asks a person; only the word itself is a yes.
///
/// # Errors
/// When there is nobody to ask.
fn confirm(question: &str, word: &str) -> Result<bool> {
    if !stdin().is_terminal() {
        bail!("standard input is no terminal, so nobody can be asked; give --yes to go ahead without being asked");
    }
    let mut err = anstream::stderr();
    write!(err, "{question} ")?;
    err.flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer).context("reading the answer")?;
    Ok(answer.trim() == word)
}

/// Sends the jobs and follows them; what is left to be agreed to, when that is another plan.
///
/// # Errors
/// When something could not be sent or read, failed, or is not done in time.
async fn carry_out(session: &Session, kind: RequestKind, jobs: Vec<Job>, timeout: Duration) -> Result<Vec<Planned>> {
    let began = Instant::now();
    let total = jobs.iter().map(|job| job.agreed.len()).sum();
    let bar = progress::bar(total);
    let mut courses = BTreeMap::new();
    for job in jobs {
        let request = send(session, &job, kind).await?;
        let left = job.agreed.len();
        courses.insert(job.vpc.clone(), Course { job, request, sent: Instant::now(), left, disagreed: false });
    }
    let mut changed = Vec::new();
    while !courses.is_empty() {
        if began.elapsed() > timeout {
            bar.finish_and_clear();
            let left: usize = courses.values().map(|course| course.left).sum();
            let vpcs: Vec<&str> = courses.keys().map(VpcId::as_str).collect();
            bail!(
                "not done after {} s: {left} of {total} changes are not there yet in {}. connect goes on by itself; `tagwire plan` shows what is left, and --timeout waits longer",
                timeout.as_secs(),
                vpcs.join(", ")
            );
        }
        tokio::time::sleep(LOOK_EVERY).await;
        let vpcs: Vec<VpcId> = courses.keys().cloned().collect();
        for vpc in vpcs {
            let Some(course) = courses.get_mut(&vpc) else { continue };
            let end = course.look(session, kind, &bar).await.inspect_err(|_| bar.finish_and_clear())?;
            match end {
                None => {}
                Some(End::Done) => drop(courses.remove(&vpc)),
                Some(End::Changed(planned)) => {
                    courses.remove(&vpc);
                    changed.push(*planned);
                }
            }
        }
        let left: usize = courses.values().map(|course| course.left).sum();
        bar.set_position(u64::try_from(total.saturating_sub(left)).unwrap_or(u64::MAX));
    }
    bar.finish_and_clear();
    Ok(changed)
}

impl Course {
    /// Looks what became of the request, and of the VPC.
    async fn look(&mut self, session: &Session, kind: RequestKind, bar: &ProgressBar) -> Result<Option<End>> {
        let vpc = self.job.vpc.clone();
        let told = session.cloud()?.answer(&vpc, &self.request).await;
        let answer = match told {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                bar.set_message(format!("waiting for connect in {vpc}"));
                return Ok(None);
            }
            Err(error) if error.kind.passes() => {
                bar.set_message(error.to_string());
                return Ok(None);
            }
            Err(error) => return Err(error).with_context(|| unfollowed(&vpc)),
        };
        if let Some(why) = refusal(&answer) {
            bail!("{vpc}: {why} ({}): {}", answer.code, answer.message);
        }
        bar.set_message(format!("{vpc}: {}", answer.code));
        let seen = session.observe(&vpc, self.job.scope.clone()).await?;
        if let Some(gap) = seen.gaps().next() {
            if gap.passing {
                bar.set_message(gap.to_string());
                return Ok(None);
            }
            bail!("{}: {gap}", unfollowed(&vpc));
        }
        let planned = requested(session, seen, kind)?;
        let rest = planned.1.plan().changes();
        let refused = answer.code == "plan-changed";
        self.left = rest.len().min(self.left);
        // What was refused was not written down either, so a kind that outlasts its changes is sent again.
        if rest.is_empty() && (kind == RequestKind::Apply || !refused) {
            return Ok(Some(End::Done));
        }
        if answer.code == "goes-on" {
            return Ok(None);
        }
        let same = refused && planned.1.plan().digest() == self.job.digest;
        if same && self.disagreed {
            bail!(
                "{vpc}: connect carried out nothing, because it makes another plan of the same things (plan-changed): this command goes by other settings than the stack, or is of another version; see `tagwire doctor`"
            );
        }
        // Once may be because something changed for a moment.
        self.disagreed = same;
        let is_agreed = self.job.covers(kind, planned.1.plan());
        if refused && !is_agreed {
            return Ok(Some(End::Changed(Box::new(planned))));
        }
        // What was agreed to and is not done is asked for again; what came up since is another matter.
        if is_agreed && (refused || self.sent.elapsed() > SEND_AGAIN_AFTER) {
            self.job.digest = planned.1.plan().digest();
            self.request = send(session, &self.job, kind).await?;
            self.sent = Instant::now();
        } else if !is_agreed && self.sent.elapsed() > SEND_AGAIN_AFTER {
            return Ok(Some(End::Changed(Box::new(planned))));
        }
        Ok(None)
    }
}

/// Said when the work was handed over, and what became of it cannot be seen.
fn unfollowed(vpc: &VpcId) -> String {
    format!(
        "the work in {vpc} was handed to connect, which goes on, but what became of it cannot be read; \
         `tagwire plan` shows what is left"
    )
}

/// Why a request came to nothing; none when it did not.
fn refusal(answer: &Answer) -> Option<&'static str> {
    match answer.code.as_str() {
        "failed" => Some("connect could not carry it out; its log names each step that failed"),
        "plan-rejected" => Some("connect refused the plan, which is a defect of tagwire"),
        "dry-run" => Some("the installation is one that changes nothing"),
        _ => None,
    }
}

async fn send(session: &Session, job: &Job, kind: RequestKind) -> Result<RequestId> {
    let id = RequestId::parse(format!("{:016x}", RandomState::new().hash_one(session.now().as_nanosecond())))?;
    let item = WorkItem {
        version: VERSION,
        vpc: job.vpc.clone(),
        scope: job.scope.clone(),
        cause: Cause::Request,
        tries: Tries::first(session.now()),
        request: Some(Request { id: id.clone(), kind, digest: Some(job.digest.clone()) }),
        tagged_stores: None,
    };
    session.aws.send_work(&item).await.context("handing the work to connect, without which nothing is changed")?;
    Ok(id)
}

/// How a person is asked, and for how long it is followed.
#[derive(clap::Args, Clone, Copy)]
pub(crate) struct Manner {
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// How long to follow, in seconds.
    #[arg(long, default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

/// Shows the plans, asks, has them done, and begins anew with what turned out to be another plan.
///
/// # Errors
/// As for [`carry_out`], and when a plan changed that nobody can be asked about.
pub(crate) async fn agree_and_carry_out(
    session: &Session,
    kind: RequestKind,
    mut planned: Vec<(Scope, Planned)>,
    manner: Manner,
    (question, word): (&str, &str),
) -> Result<bool> {
    loop {
        print(&show::text(planned.iter().map(|(_, planned)| planned), true))?;
        if !manner.yes && !confirm(question, word)? {
            tell("Nothing was changed.");
            return Ok(false);
        }
        let scopes: BTreeMap<VpcId, Scope> =
            planned.iter().map(|(scope, (seen, _))| (seen.vpc.clone(), scope.clone())).collect();
        let jobs = planned.iter().map(|(scope, planned)| Job::new(scope.clone(), planned)).collect();
        let changed = carry_out(session, kind, jobs, Duration::from_secs(manner.timeout)).await?;
        if changed.is_empty() {
            return Ok(true);
        }
        warn(
            "what connect would do now is not what was agreed to, so it has not been done (plan-changed); the new plan:",
        );
        if manner.yes {
            print(&show::text(&changed, true))?;
            bail!("the plan changed and nobody was asked about the new one; run the command again");
        }
        planned = changed
            .into_iter()
            .map(|planned| {
                let scope = scopes.get(&planned.0.vpc).cloned().unwrap_or(Scope::Vpc);
                (scope, planned)
            })
            .collect();
    }
}
