//! `tagwire uninstall`: has everything owned taken away by `connect`, and nothing made any more.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use tagwire_core::{group::Ownership, id::VpcId, observation::Scope, work::RequestKind};
use tagwire_engine::cloud::{Groups, Observe};

use crate::{
    follow::{self, Manner, agree_and_carry_out, can_change},
    output::{print, tell},
    plan::{CHANGES_PENDING, complete},
    progress::waiting,
    session::{Global, Session},
    show,
};

/// Shown below the options.
const EXAMPLE: &str = "\
Examples:\n  \
tagwire uninstall --plan        # what would be taken away\n  \
tagwire uninstall               # have it taken away, before the stack is deleted\n  \
tagwire uninstall --cancel      # go back to work\n\n\
The connect function of the stack takes every group of tagwire's off and deletes it, and makes none any more, also \
when events and sweeps come by. Connections that are open stay open until they are closed. What carries \
tagwire:hold is left as it is. Then delete the stack.\n\n\
Exit codes: 0 done or not agreed to, 1 error or something is left, 2 changes are pending (--plan).";

#[derive(Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// Only show what would be taken away.
    #[arg(long, conflicts_with_all = ["yes", "timeout"])]
    plan: bool,
    /// Take it back: have everything connected again that tags ask for.
    #[arg(long)]
    cancel: bool,
    /// Only this VPC (may be given more than once); the others go on as before.
    #[arg(long, value_parser = |text: &str| VpcId::parse(text))]
    vpc: Vec<VpcId>,
    #[command(flatten)]
    manner: Manner,
}

pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<ExitCode> {
    let session = Session::open(global).await?;
    can_change(&session)?;
    let kind = if arguments.cancel { RequestKind::CancelUninstall } else { RequestKind::Uninstall };
    let vpcs = session.vpcs(&arguments.vpc).await?;
    complete(&vpcs.gaps, "the plan")?;
    let mut planned = Vec::new();
    for vpc in vpcs.found {
        let plan = follow::plan(&session, &vpc, Scope::Vpc, kind).await?;
        planned.push((Scope::Vpc, plan));
    }
    if planned.is_empty() {
        print("Nothing is opted in, and tagwire owns no groups here.\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.plan {
        print(&show::text(planned.iter().map(|(_, planned)| planned), true))?;
        let pending = planned.iter().any(|(_, (_, checked))| !checked.plan().is_empty());
        return Ok(if pending { ExitCode::from(CHANGES_PENDING) } else { ExitCode::SUCCESS });
    }
    let account = session.identity().await?.account;
    let question = match kind {
        RequestKind::CancelUninstall => {
            format!("Have everything connected again in account {account}? Type the account to agree:")
        }
        RequestKind::Apply | RequestKind::Uninstall => {
            format!("Have every connection of tagwire's taken away in account {account}? Type the account to agree:")
        }
    };
    if !agree_and_carry_out(&session, kind, planned, arguments.manner, (&question, &account)).await? {
        return Ok(ExitCode::SUCCESS);
    }
    if kind == RequestKind::CancelUninstall {
        print("tagwire is back at work: what is read back agrees.\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    what_is_left(&session, &arguments.vpc).await?;
    let stack = session.stack.as_ref().map_or("tagwire", |stack| &stack.name);
    print(&format!(
        "Nothing of tagwire's is left in {}. Now delete the stack:\n\n  sam delete --stack-name {stack}\n",
        if arguments.vpc.is_empty() { "this account and Region" } else { "what was chosen" }
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Ends with an error when owned groups are left, which something keeps.
async fn what_is_left(session: &Session, chosen: &[VpcId]) -> Result<()> {
    let cloud = session.cloud()?;
    let groups = waiting("Looking for what is left", cloud.groups(Groups::OwnedAnywhere)).await;
    complete(&groups.gaps, "the list of what is left")?;
    let left = groups.found.iter().filter(|group| {
        let ours = matches!(group.ownership(), Ownership::Owned(_));
        ours && (chosen.is_empty() || chosen.contains(&group.vpc))
    });
    let left: Vec<String> = left.map(|group| format!("{} ({}) in {}", group.id, group.name, group.vpc)).collect();
    if left.is_empty() {
        return Ok(());
    }
    for group in &left {
        tell(&format!("  {group}"));
    }
    bail!(
        "{} groups of tagwire's are still there; the plan above says what keeps them, and `tagwire explain GROUP` shows more. \
        Nothing new is connected meanwhile, and each sweep tries again",
        left.len()
    )
}
