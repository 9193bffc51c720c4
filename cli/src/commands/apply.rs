//! `tagwire apply`: shows the plan, asks, and has `connect` carry it out.

use std::process::ExitCode;

use clap::Args;
use tagwire_core::work::RequestKind;

use crate::{
    error::{CommandResult, require_complete},
    follow::{self, ConfirmArgs, ConfirmPrompt, agree_and_follow, require_enforcing},
    output::{count, print},
    scope_args::ScopeArgs,
    session::{GlobalArgs, Session},
};

/// Shown below the options.
const EXAMPLE: &str = "\
Examples:\n  \
tagwire apply                                    # everything that is pending\n  \
tagwire apply --instance i-0a1b2c3d              # what concerns one instance\n  \
tagwire apply --yes --timeout 900                # for a program\n\n\
This command changes nothing itself: it hands the plan to the connect function of the stack, which carries out \
that plan and no other. When something has changed in the meantime, connect refuses the plan, and the new one is \
shown.\n\n\
Exit codes: 0 done, nothing to do, or not agreed to; 1 error.";

#[derive(Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    /// Also show what is not changed: each decision, each finding, and what to do about it.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

pub(crate) async fn run(global: &GlobalArgs, args: ApplyArgs) -> CommandResult<ExitCode> {
    let session = Session::open(global).await?;
    require_enforcing(&session)?;
    let scopes = args.scope.scopes(&session).await?;
    require_complete(&scopes.gaps, "the plan")?;
    let mut planned = Vec::new();
    for (vpc, scope) in scopes.found {
        let plan = follow::plan(&session, &vpc, scope.clone(), RequestKind::Apply).await?;
        if !plan.1.plan().is_empty() {
            planned.push((scope, plan));
        }
    }
    if planned.is_empty() {
        print("Nothing to change.\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let changes = planned.iter().map(|(_, (_, checked))| checked.plan().changes().len()).sum();
    let (account, region) = (session.identity().await?.account, session.region());
    let these = if changes == 1 { "this change".to_owned() } else { format!("these {changes} changes") };
    let asked = format!("Apply {these} in {account} / {region}? Type yes to agree:");
    let question = ConfirmPrompt { text: &asked, word: "yes" };
    if agree_and_follow(&session, RequestKind::Apply, planned, args.confirm, question, args.all).await? {
        print(&format!("Done: {} made and verified.\n", count(changes, "change")))?;
    }
    Ok(ExitCode::SUCCESS)
}
