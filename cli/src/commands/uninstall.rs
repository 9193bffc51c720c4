//! `tagwire uninstall`: has `connect` remove everything that tagwire owns, and make nothing any more.

use std::process::ExitCode;

use clap::Args;
use tagwire_core::{group::SecurityGroup, id::VpcId, observation::Scope, work::RequestKind};
use tagwire_engine::cloud::{Groups, Observe};

use super::plan::{CHANGES_PENDING, OutputFormat, PlanView, json, text};
use crate::{
    error::{CommandError, CommandErrorKind, CommandResult, require_complete},
    follow::{self, ConfirmArgs, ConfirmPrompt, Followed, Proposal, agree_and_follow, require_enforcing},
    help::CommandHelp,
    output::{print, tell},
    progress::waiting,
    scope_args::VpcArgs,
    session::{GlobalArgs, Planned, Session},
};

/// Shown below the options.
pub(crate) const HELP: CommandHelp = CommandHelp {
    examples: &[
        ("what would be removed", "tagwire uninstall --plan"),
        ("have it removed, before the stack is deleted", "tagwire uninstall"),
        ("go back to work", "tagwire uninstall --cancel"),
    ],
    notes: &[
        "The connect function of the stack detaches and deletes every group that tagwire owns, and makes none any \
         more, whatever events and sweeps ask for. Connections that are open stay open until they are closed. What \
         carries tagwire:hold stays as it is. Then delete the stack.",
        "After Ctrl-C, and when the time is over, connect goes on with what it was handed.",
    ],
    exit: &[
        (0, "done or not agreed to"),
        (1, "an error, or something is left"),
        (2, "changes are pending (--plan)"),
        (130, "Ctrl-C"),
    ],
};

#[derive(Args)]
#[command(after_help = HELP.short(), after_long_help = HELP.long())]
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
    let output = args.confirm.output;
    let planned = plans(&session, &args.vpcs.vpc, kind).await?;
    if args.plan {
        return show(&session, kind, output, &planned).await;
    }
    if planned.is_empty() {
        if output == OutputFormat::Text {
            print(NOTHING)?;
        }
        Followed::nothing(kind, session.place([]).await?).finish(output, &[])?;
        return Ok(ExitCode::SUCCESS);
    }
    let account = session.identity().await?.account;
    let asked = if args.cancel {
        format!("Have everything connected again in account {account}? Type the account's number to agree:")
    } else {
        format!("Have every connection of tagwire removed in account {account}? Type the account's number to agree:")
    };
    let question = ConfirmPrompt { text: &asked, word: &account };
    let proposal = Proposal { kind, planned, confirmation: args.confirm, question, all: true, is_fixed: false };
    let followed = agree_and_follow(&session, proposal).await?;
    let is_gone = followed.is_done() && !args.cancel;
    let left = if is_gone { remaining(&session, &args.vpcs.vpc).await? } else { Vec::new() };
    if !followed.finish(output, &left)? {
        return Ok(ExitCode::SUCCESS);
    }
    require_nothing_left(&left)?;
    if output == OutputFormat::Text {
        print(&farewell(&session, &args))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The message where there is nothing to remove.
const NOTHING: &str = "Nothing is opted in, and tagwire owns no groups here.\n";

/// Shows what would be removed, or made again.
async fn show(
    session: &Session,
    kind: RequestKind,
    output: OutputFormat,
    planned: &[(Scope, Planned)],
) -> CommandResult<ExitCode> {
    let place = session.place(planned.iter().map(|(_, (seen, _))| seen.vpc.clone())).await?;
    let view = PlanView { place: &place, all: true, complete: true };
    print(&match output {
        OutputFormat::Text => text(planned.iter().map(|(_, planned)| planned), view),
        OutputFormat::Json => {
            format!("{:#}\n", json(&place, kind, planned.iter().map(|(scope, planned)| (scope, planned))))
        }
    })?;
    let pending = planned.iter().any(|(_, (_, checked))| !checked.plan().is_empty());
    Ok(if pending { ExitCode::from(CHANGES_PENDING) } else { ExitCode::SUCCESS })
}

/// The last lines for people.
fn farewell(session: &Session, args: &UninstallArgs) -> String {
    if args.cancel {
        return "tagwire is back at work: the changes are made and verified.\n".to_owned();
    }
    let stack = session.stack.as_ref().map_or("tagwire", |stack| &stack.name);
    let place = if args.vpcs.vpc.is_empty() { "this account and Region" } else { "the chosen VPCs" };
    format!("tagwire owns nothing in {place} any more. Now delete the stack:\n\n  sam delete --stack-name {stack}\n")
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

/// The owned groups that are left, because something keeps them.
async fn remaining(session: &Session, chosen: &[VpcId]) -> CommandResult<Vec<SecurityGroup>> {
    let cloud = session.cloud()?;
    let groups = waiting("Looking for groups that are left", cloud.groups(Groups::OwnedAnywhere)).await;
    require_complete(&groups.gaps, "the list of what is left")?;
    let is_left = |group: &SecurityGroup| {
        group.ownership().ours().is_some() && (chosen.is_empty() || chosen.contains(&group.vpc))
    };
    Ok(groups.found.into_iter().filter(is_left).collect())
}

/// Ends with an error when owned groups are left.
fn require_nothing_left(left: &[SecurityGroup]) -> CommandResult<()> {
    if left.is_empty() {
        return Ok(());
    }
    for group in left {
        tell(&format!("  {} ({}) in {}", group.id, group.name, group.vpc));
    }
    let message = format!("{} groups of tagwire are left, because something keeps them", left.len());
    Err(CommandError::new(CommandErrorKind::NotCarriedOut, message)
        .hint("the plan above says what keeps each group, and `tagwire explain GROUP` says more")
        .hint("until they are gone, nothing new is connected, and each sweep tries again"))
}
