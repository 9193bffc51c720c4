//! `tagwire apply`: shows the plan, asks, and has it done by `connect`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use tagwire_core::work::RequestKind;

use crate::{
    follow::{self, Manner, agree_and_carry_out, can_change},
    output::print,
    plan::{Target, complete},
    session::{Global, Session},
};

/// Shown below the options.
const EXAMPLE: &str = "\
Examples:\n  \
tagwire apply                                    # everything that is pending\n  \
tagwire apply --instance i-0a1b2c3d              # what concerns one instance\n  \
tagwire apply --yes --timeout 900                # for a program\n\n\
This command changes nothing itself: it hands the plan to the connect function of the stack, which carries out \
that plan and no other. When what it sees has changed, it refuses, and the new plan is shown.\n\n\
Exit codes: 0 done, nothing to do, or not agreed to; 1 error.";

#[derive(Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    manner: Manner,
}

pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<ExitCode> {
    let session = Session::open(global).await?;
    can_change(&session)?;
    let (scopes, gaps) = arguments.target.scopes(&session).await?;
    complete(&gaps, "the plan")?;
    let mut planned = Vec::new();
    for (vpc, scope) in scopes {
        let plan = follow::plan(&session, &vpc, scope.clone(), RequestKind::Apply).await?;
        if !plan.1.plan().is_empty() {
            planned.push((scope, plan));
        }
    }
    if planned.is_empty() {
        print("Nothing to change.\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let question = "Have connect carry this out? Only yes is a yes:";
    if agree_and_carry_out(&session, RequestKind::Apply, planned, arguments.manner, (question, "yes")).await? {
        print("Done: what is read back agrees.\n")?;
    }
    Ok(ExitCode::SUCCESS)
}
