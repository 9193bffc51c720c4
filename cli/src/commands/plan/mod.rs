//! `tagwire plan`: the functions' own observe, plan and check, printed.

mod json;
mod text;

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use tagwire_core::{id::VpcId, observation::Scope};

pub(crate) use self::{
    json::json,
    text::{PlanView, text},
};
use crate::{
    error::{CommandResult, require_complete},
    output::print,
    scope_args::ScopeArgs,
    session::{GlobalArgs, Planned, Session},
};

/// Exit code for a plan that holds changes, as `terraform plan -detailed-exitcode` has it.
pub(crate) const CHANGES_PENDING: u8 = 2;

/// Shown below the options.
const EXAMPLE: &str = "\
Examples:\n  \
tagwire plan                                     # every VPC that has something opted in or owned\n  \
tagwire plan --all                               # also what is not changed, and why\n  \
tagwire plan --instance i-0a1b2c3d               # what concerns one instance\n  \
tagwire plan --store cluster/orders -o json      # what concerns one data store, for a program\n\n\
Exit codes: 0 nothing to do, 1 error, 2 changes are pending.";

#[derive(Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    /// Also show what is not changed: each decision, each finding, and what to do about it.
    #[arg(long)]
    all: bool,
    /// The format of the output.
    #[arg(long, short, value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

/// The format of a command's output.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Lines for people.
    Text,
    /// One JSON document.
    Json,
}

/// Plans each scope.
///
/// # Errors
/// Those of [`Session::observe`].
pub(crate) async fn plans(
    session: &Session,
    scopes: impl IntoIterator<Item = (VpcId, Scope)>,
) -> CommandResult<Vec<Planned>> {
    let mut planned = Vec::new();
    for (vpc, scope) in scopes {
        let seen = session.observe(&vpc, scope).await?;
        planned.push(session.plan(seen));
    }
    Ok(planned)
}

pub(crate) async fn run(global: &GlobalArgs, args: PlanArgs) -> CommandResult<ExitCode> {
    let session = Session::open(global).await?;
    let scopes = args.scope.scopes(&session).await?;
    let mut gaps = scopes.gaps;
    let planned = plans(&session, scopes.found).await?;
    gaps.extend(planned.iter().flat_map(|(seen, _)| seen.gaps().cloned()));
    let place = session.place(planned.iter().map(|(seen, _)| seen.vpc.clone())).await?;
    print(&match args.output {
        OutputFormat::Text => text(&planned, PlanView { place: &place, all: args.all, complete: gaps.is_empty() }),
        OutputFormat::Json => format!("{:#}\n", json(&place, &planned)),
    })?;
    require_complete(&gaps, "the plan")?;
    let pending = planned.iter().any(|(_, checked)| !checked.plan().is_empty());
    Ok(if pending { ExitCode::from(CHANGES_PENDING) } else { ExitCode::SUCCESS })
}
