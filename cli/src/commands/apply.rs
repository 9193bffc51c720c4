//! `tagwire apply`: shows the plan, asks, and has `connect` carry it out.

use std::process::ExitCode;

use clap::Args;
use tagwire_core::work::RequestKind;

use crate::{
    error::{CommandResult, require_complete},
    follow::{self, ConfirmArgs, ConfirmPrompt, agree_and_follow, require_enforcing},
    output::print,
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
    let question = ConfirmPrompt { text: "Have connect carry this out? Type yes to agree:", word: "yes" };
    if agree_and_follow(&session, RequestKind::Apply, planned, args.confirm, question).await? {
        print("Done: a new reading agrees with the plan.\n")?;
    }
    Ok(ExitCode::SUCCESS)
}
