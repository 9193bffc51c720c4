//! `tagwire apply`: shows the plan, asks, and has `connect` carry it out.

mod saved;

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use tagwire_core::{id::VpcId, observation::Scope, work::RequestKind};

use self::saved::{SavedPlan, changed_since};
use super::plan::OutputFormat;
use crate::{
    error::{CommandError, CommandErrorKind, CommandResult, require_complete},
    follow::{self, ConfirmArgs, ConfirmPrompt, Followed, Proposal, agree_and_follow, require_enforcing},
    help::CommandHelp,
    output::{count, print},
    scope_args::ScopeArgs,
    session::{GlobalArgs, Planned, Session},
};

/// Shown below the options.
pub(crate) const HELP: CommandHelp = CommandHelp {
    examples: &[
        ("everything that is pending", "tagwire apply"),
        ("what concerns one instance", "tagwire apply --instance i-0a1b2c3d"),
        ("a plan that was saved, and no other", "tagwire plan --out plan.json\ntagwire apply --plan plan.json"),
        ("for a program", "tagwire apply --yes --timeout 900 -o json"),
    ],
    notes: &[
        "This command changes nothing itself: it hands the plan to the connect function of the stack, which carries \
         out that plan and no other. When something has changed in the meantime, connect refuses the plan, and the \
         new one is shown.",
        "After Ctrl-C, and when the time is over, connect goes on with what it was handed.",
    ],
    exit: &[(0, "done, nothing to do, or not agreed to"), (1, "error"), (130, "Ctrl-C")],
};

#[derive(Args)]
#[command(after_help = HELP.short(), after_long_help = HELP.long())]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    /// Only the plan that `tagwire plan --out FILE` saved, or its JSON on standard input for -.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["vpc", "instance", "store", "digest"])]
    plan: Option<PathBuf>,
    /// Only the plans with this digest, as in `tagwire plan -o json` (may be given more than once).
    #[arg(long)]
    digest: Vec<String>,
    /// Also show what is not changed: each decision, each finding, and what to do about it.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

pub(crate) async fn run(global: &GlobalArgs, args: ApplyArgs) -> CommandResult<ExitCode> {
    let saved = args.plan.as_deref().map(SavedPlan::read).transpose()?;
    let session = Session::open(global).await?;
    require_enforcing(&session)?;
    let account = session.identity().await?.account;
    let mut planned = Vec::new();
    for (vpc, scope) in scopes(&session, &account, saved.as_ref(), &args.scope).await? {
        let plan = follow::plan(&session, &vpc, scope.clone(), RequestKind::Apply).await?;
        planned.push((scope, plan));
    }
    planned.retain(|(_, (_, checked))| !checked.plan().is_empty());
    if let Some(saved) = &saved {
        require_same(&session, saved, &planned).await?;
    }
    require_digests(&args.digest, &mut planned)?;
    if planned.is_empty() {
        if args.confirm.output == OutputFormat::Text {
            print("Nothing to change.\n")?;
        }
        Followed::nothing(RequestKind::Apply, session.place([]).await?).finish(args.confirm.output, &[])?;
        return Ok(ExitCode::SUCCESS);
    }
    let changes = planned.iter().map(|(_, (_, checked))| checked.plan().changes().len()).sum();
    let these = if changes == 1 { "this change".to_owned() } else { format!("these {changes} changes") };
    let asked = format!("Apply {these} in {account} / {}? Type yes to agree:", session.region());
    let proposal = Proposal {
        kind: RequestKind::Apply,
        planned,
        confirmation: args.confirm,
        question: ConfirmPrompt { text: &asked, word: "yes" },
        all: args.all,
        is_fixed: saved.is_some() || !args.digest.is_empty(),
    };
    let followed = agree_and_follow(&session, proposal).await?;
    if followed.finish(args.confirm.output, &[])? && args.confirm.output == OutputFormat::Text {
        print(&format!("Done: {} made and verified.\n", count(changes, "change")))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The scopes to plan: those of the saved plan, or else those of the arguments.
async fn scopes(
    session: &Session,
    account: &str,
    saved: Option<&SavedPlan>,
    chosen: &ScopeArgs,
) -> CommandResult<Vec<(VpcId, Scope)>> {
    let Some(saved) = saved else {
        let scopes = chosen.scopes(session).await?;
        require_complete(&scopes.gaps, "the plan")?;
        return Ok(scopes.found);
    };
    saved.require_place(account, session.region())?;
    let vpcs: Vec<VpcId> = saved.vpcs.iter().map(|saved| saved.vpc.clone()).collect();
    session.require_vpcs(&vpcs).await?;
    Ok(saved.vpcs.iter().map(|saved| (saved.vpc.clone(), saved.scope.clone())).collect())
}

/// Refuses what is pending now when it is not what was saved. A VPC in which nothing is pending needs nothing.
async fn require_same(session: &Session, saved: &SavedPlan, planned: &[(Scope, Planned)]) -> CommandResult<()> {
    let place = session.place(saved.vpcs.iter().map(|saved| saved.vpc.clone())).await?;
    let mut differences = Vec::new();
    for (_, (seen, checked)) in planned {
        let of_vpc = saved.vpcs.iter().find(|saved| saved.vpc == seen.vpc);
        if let Some(saved) = of_vpc.filter(|saved| !saved.is(checked.plan())) {
            differences.extend(saved.differences(&place, checked.plan()));
        }
    }
    if differences.is_empty() { Ok(()) } else { Err(changed_since(&differences)) }
}

/// Leaves the plans with the chosen digests, if any are chosen.
fn require_digests(chosen: &[String], planned: &mut Vec<(Scope, Planned)>) -> CommandResult<()> {
    if chosen.is_empty() {
        return Ok(());
    }
    let digest = |(_, (_, checked)): &(Scope, Planned)| checked.plan().digest();
    if let Some(unknown) = chosen.iter().find(|chosen| !planned.iter().any(|of| digest(of).as_str() == **chosen)) {
        let pending = planned.iter().map(|of| format!("\n  {}: {}", of.1.0.vpc, digest(of)));
        let pending: String = if planned.is_empty() { "\n  nothing".to_owned() } else { pending.collect() };
        let message =
            format!("no plan of now has the digest {unknown:?}, so nothing is carried out; pending:{pending}");
        return Err(CommandError::new(CommandErrorKind::NotCarriedOut, message)
            .hint("`tagwire plan` shows what has changed; its digests are in `tagwire plan -o json`"));
    }
    planned.retain(|of| chosen.iter().any(|chosen| digest(of).as_str() == *chosen));
    Ok(())
}
