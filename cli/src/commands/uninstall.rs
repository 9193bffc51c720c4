//! `tagwire uninstall`: has `connect` remove everything that tagwire owns, and make nothing any more.

use std::process::ExitCode;

use clap::Args;
use tagwire_core::{id::VpcId, observation::Scope, work::RequestKind};
use tagwire_engine::cloud::{Groups, Observe};

use super::plan::{CHANGES_PENDING, PlanView, text};
use crate::{
    error::{CommandError, CommandErrorKind, CommandResult, require_complete},
    follow::{self, ConfirmArgs, ConfirmPrompt, agree_and_follow, require_enforcing},
    output::{print, tell},
    progress::waiting,
    scope_args::VpcArgs,
    session::{GlobalArgs, Planned, Session},
};

/// Shown below the options.
const EXAMPLE: &str = "\
Examples:\n  \
tagwire uninstall --plan        # what would be removed\n  \
tagwire uninstall               # have it removed, before the stack is deleted\n  \
tagwire uninstall --cancel      # go back to work\n\n\
The connect function of the stack detaches and deletes every group that tagwire owns, and makes none any more, \
whatever events and sweeps ask for. Connections that are open stay open until they are closed. What carries \
tagwire:hold stays as it is. Then delete the stack.\n\n\
Exit codes: 0 done or not agreed to, 1 error or something is left, 2 changes are pending (--plan).";

#[derive(Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct UninstallArgs {
    /// Only show what would be removed.
    #[arg(long, conflicts_with_all = ["yes", "timeout"])]
    plan: bool,
    /// Cancel the uninstallation: have everything connected again that tags ask for.
    #[arg(long)]
    cancel: bool,
    #[command(flatten)]
    vpcs: VpcArgs,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

pub(crate) async fn run(global: &GlobalArgs, args: UninstallArgs) -> CommandResult<ExitCode> {
    let session = Session::open(global).await?;
    require_enforcing(&session)?;
    let kind = if args.cancel { RequestKind::CancelUninstall } else { RequestKind::Uninstall };
    let planned = plans(&session, &args.vpcs.vpc, kind).await?;
    if planned.is_empty() {
        print("Nothing is opted in, and tagwire owns no groups here.\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.plan {
        let place = session.place(planned.iter().map(|(_, (seen, _))| seen.vpc.clone())).await?;
        print(&text(
            planned.iter().map(|(_, planned)| planned),
            PlanView { place: &place, all: true, complete: true },
        ))?;
        let pending = planned.iter().any(|(_, (_, checked))| !checked.plan().is_empty());
        return Ok(if pending { ExitCode::from(CHANGES_PENDING) } else { ExitCode::SUCCESS });
    }
    let account = session.identity().await?.account;
    let asked = if args.cancel {
        format!("Have everything connected again in account {account}? Type the account's number to agree:")
    } else {
        format!("Have every connection of tagwire removed in account {account}? Type the account's number to agree:")
    };
    let question = ConfirmPrompt { text: &asked, word: &account };
    if !agree_and_follow(&session, kind, planned, args.confirm, question, true).await? {
        return Ok(ExitCode::SUCCESS);
    }
    if args.cancel {
        print("tagwire is back at work: the changes are made and verified.\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    require_nothing_left(&session, &args.vpcs.vpc).await?;
    let stack = session.stack.as_ref().map_or("tagwire", |stack| &stack.name);
    let place = if args.vpcs.vpc.is_empty() { "this account and Region" } else { "the chosen VPCs" };
    print(&format!(
        "tagwire owns nothing in {place} any more. Now delete the stack:\n\n  sam delete --stack-name {stack}\n"
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn plans(session: &Session, chosen: &[VpcId], kind: RequestKind) -> CommandResult<Vec<(Scope, Planned)>> {
    let vpcs = match kind {
        RequestKind::CancelUninstall => session.vpcs_to_take_back(chosen).await?,
        RequestKind::Apply | RequestKind::Uninstall => session.vpcs(chosen).await?,
    };
    require_complete(&vpcs.gaps, "the plan")?;
    let mut planned = Vec::new();
    for vpc in vpcs.found {
        planned.push((Scope::Vpc, follow::plan(session, &vpc, Scope::Vpc, kind).await?));
    }
    Ok(planned)
}

/// Ends with an error when owned groups are left, because something keeps them.
async fn require_nothing_left(session: &Session, chosen: &[VpcId]) -> CommandResult<()> {
    let cloud = session.cloud()?;
    let groups = waiting("Looking for groups that are left", cloud.groups(Groups::OwnedAnywhere)).await;
    require_complete(&groups.gaps, "the list of what is left")?;
    let left =
        groups.found.iter().filter(|group| group.is_marked() && (chosen.is_empty() || chosen.contains(&group.vpc)));
    let left: Vec<String> = left.map(|group| format!("{} ({}) in {}", group.id, group.name, group.vpc)).collect();
    if left.is_empty() {
        return Ok(());
    }
    for group in &left {
        tell(&format!("  {group}"));
    }
    let message = format!("{} groups of tagwire are left, because something keeps them", left.len());
    Err(CommandError::new(CommandErrorKind::NotCarriedOut, message)
        .hint("the plan above says what keeps each group, and `tagwire explain GROUP` says more")
        .hint("until they are gone, nothing new is connected, and each sweep tries again"))
}
