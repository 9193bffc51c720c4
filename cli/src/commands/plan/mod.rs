//! `tagwire plan`: the functions' own observe, plan and check, printed.

mod json;
pub(crate) mod text;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, ValueEnum};
use serde_json::Value;
use tagwire_core::{
    id::VpcId,
    observation::{Gap, Reading, Scope},
    work::RequestKind,
};

pub(crate) use self::{
    json::{JSON_VERSION, PROGRAM_VERSION, json},
    text::{PlanView, signed_line, text},
};
use crate::{
    error::{CommandResult, require_complete},
    help::CommandHelp,
    output::{print, tell},
    private_file::PrivateFile,
    regions,
    scope_args::ScopeArgs,
    session::{GlobalArgs, Place, Planned, Session},
};

/// Exit code for a plan that holds changes, as `terraform plan -detailed-exitcode` has it.
pub(crate) const CHANGES_PENDING: u8 = 2;

/// Shown below the options.
pub(crate) const HELP: CommandHelp = CommandHelp {
    examples: &[
        ("every VPC that has something opted in or owned", "tagwire plan"),
        ("also what is not changed, and why", "tagwire plan --all"),
        ("what concerns one instance", "tagwire plan --instance i-0a1b2c3d"),
        ("what concerns one data store, for a program", "tagwire plan --store cluster/orders -o json"),
        (
            "saved, so that this plan is applied and no other",
            "tagwire plan --out plan.json\ntagwire apply --plan plan.json",
        ),
    ],
    notes: &[],
    exit: &[(0, "nothing to do"), (1, "error"), (2, "changes are pending")],
};

#[derive(Args)]
#[command(after_help = HELP.short(), after_long_help = HELP.long())]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    /// Also show what is not changed: each decision, each finding, and what to do about it.
    #[arg(long)]
    all: bool,
    /// The format of the output.
    #[arg(long, short, value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
    /// Also save the plan in this file, for `tagwire apply --plan`.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Plan in every Region that is enabled for the account.
    #[arg(long, conflicts_with_all = ["vpc", "instance", "store", "out"])]
    all_regions: bool,
}

/// The format of a command's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
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

/// The plans of a Region.
struct RegionPlans {
    scopes: Vec<(VpcId, Scope)>,
    planned: Vec<Planned>,
    place: Place,
    gaps: Vec<Gap>,
}

impl RegionPlans {
    async fn read(session: &Session, chosen: &ScopeArgs) -> CommandResult<Self> {
        let Reading { found: scopes, mut gaps } = chosen.scopes(session).await?;
        let planned = plans(session, scopes.iter().cloned()).await?;
        gaps.extend(planned.iter().flat_map(|(seen, _)| seen.gaps().cloned()));
        let place = session.place(planned.iter().map(|(seen, _)| seen.vpc.clone())).await?;
        Ok(Self { scopes, planned, place, gaps })
    }

    fn document(&self) -> Value {
        json(&self.place, RequestKind::Apply, self.scopes.iter().map(|(_, scope)| scope).zip(&self.planned))
    }

    fn text(&self, all: bool) -> String {
        text(&self.planned, PlanView { place: &self.place, all, complete: self.gaps.is_empty() })
    }

    fn has_changes(&self) -> bool {
        self.planned.iter().any(|(_, checked)| !checked.plan().is_empty())
    }
}

pub(crate) async fn run(global: &GlobalArgs, args: PlanArgs) -> CommandResult<ExitCode> {
    if args.all_regions {
        return Box::pin(everywhere(global, &args)).await;
    }
    let file = args.out.as_deref().map(PrivateFile::begin).transpose()?;
    let session = Session::open(global).await?;
    let plans = RegionPlans::read(&session, &args.scope).await?;
    let document = format!("{:#}\n", plans.document());
    print(&match args.output {
        OutputFormat::Text => plans.text(args.all),
        OutputFormat::Json => document.clone(),
    })?;
    // A plan that is not complete is not saved: nobody could apply it.
    require_complete(&plans.gaps, "the plan")?;
    if let (Some(file), Some(path)) = (file, &args.out) {
        file.finish(&document)?;
        let path = path.display();
        tell(&format!("Saved the plan in {path}. `tagwire apply --plan {path}` carries it out, and no other."));
    }
    Ok(if plans.has_changes() { ExitCode::from(CHANGES_PENDING) } else { ExitCode::SUCCESS })
}

/// Plans in every Region. One that cannot be read hides no other.
async fn everywhere(global: &GlobalArgs, args: &PlanArgs) -> CommandResult<ExitCode> {
    let reading = regions::in_each(global, async |session| RegionPlans::read(session, &args.scope).await);
    let (read, error) = regions::split(reading.await?);
    let all = || read.iter().map(|(_, plans)| plans);
    print(&match args.output {
        OutputFormat::Json => format!("{:#}\n", all().map(RegionPlans::document).collect::<Value>()),
        OutputFormat::Text => {
            let something = |plans: &RegionPlans| !plans.planned.is_empty() || !plans.gaps.is_empty();
            let texts = read.iter().map(|(session, plans)| (session, something(plans).then(|| plans.text(args.all))));
            regions::text(texts)
        }
    })?;
    let gaps: Vec<Gap> = all().flat_map(|plans| plans.gaps.clone()).collect();
    error.map_or_else(|| require_complete(&gaps, "the plan"), Err)?;
    Ok(if all().any(RegionPlans::has_changes) { ExitCode::from(CHANGES_PENDING) } else { ExitCode::SUCCESS })
}
