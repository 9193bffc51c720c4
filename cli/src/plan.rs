//! `tagwire plan`: the functions' own observe, plan and check, printed.

use std::{
    collections::BTreeSet,
    io::{Write, stdout},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use tagwire_aws::{Aws, Settings, SystemClock, load_config};
use tagwire_core::{
    check::{CheckedPlan, check},
    id::{InstanceId, SecurityGroupId, StoreArn, VpcId},
    observation::{Gap, Observation, Scope},
    plan::plan,
    policy::{DEFAULT_DISCONNECT_WINDOW, DEFAULT_INTERFACE_GROUP_LIMIT, DEFAULT_MAX_DISCONNECTS, Policy},
    tag::DEFAULT_CONNECT_KEY,
};
use tagwire_engine::{
    cloud::Clock,
    observe::{observe, vpcs_of_interest},
    paced::{Paced, Pacing},
};

/// For how long the reading may go on, retries included.
const TIME: Duration = Duration::from_mins(5);

/// Exit code for a plan that holds changes, as `terraform plan -detailed-exitcode` has it.
const CHANGES_PENDING: u8 = 2;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Only this VPC (may be given more than once); without it, every VPC that has something
    /// opted in or owned.
    #[arg(long, value_parser = parse_vpc)]
    vpc: Vec<VpcId>,
    /// Only what concerns this instance (needs --vpc; may be given more than once).
    #[arg(long, value_parser = parse_instance, requires = "vpc")]
    instance: Vec<InstanceId>,
    /// Only what concerns this data store, by ARN (needs --vpc; may be given more than once).
    #[arg(long, value_parser = parse_store, requires = "vpc")]
    store: Vec<StoreArn>,
    /// The tag key of the installation.
    #[arg(long, env = "TAGWIRE_TAG_KEY", default_value = DEFAULT_CONNECT_KEY)]
    tag_key: String,
    /// How many security groups a network interface takes in this account.
    #[arg(long, env = "TAGWIRE_INTERFACE_GROUP_LIMIT", default_value_t = DEFAULT_INTERFACE_GROUP_LIMIT)]
    interface_group_limit: usize,
    /// How many connections of a VPC the installation removes in one window.
    #[arg(long, env = "TAGWIRE_MAX_DISCONNECTS", default_value_t = DEFAULT_MAX_DISCONNECTS)]
    max_disconnects: usize,
    /// The installation's window, in seconds.
    #[arg(long, env = "TAGWIRE_DISCONNECT_WINDOW", default_value_t = DEFAULT_DISCONNECT_WINDOW.as_secs())]
    disconnect_window: u64,
    /// A group of isolation (may be given more than once).
    #[arg(long, env = "TAGWIRE_ISOLATION_GROUPS", value_delimiter = ',', value_parser = parse_group)]
    isolation_group: Vec<SecurityGroupId>,
    /// The installation's state table; without it, the plan is made as if nothing were remembered.
    #[arg(long, env = "TAGWIRE_STATE_TABLE")]
    state_table: Option<String>,
    /// The form of the output.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Lines for people.
    Text,
    /// One JSON document.
    Json,
}

fn parse_vpc(text: &str) -> Result<VpcId, String> {
    VpcId::parse(text).map_err(|error| error.to_string())
}

fn parse_group(text: &str) -> Result<SecurityGroupId, String> {
    SecurityGroupId::parse(text).map_err(|error| error.to_string())
}

fn parse_instance(text: &str) -> Result<InstanceId, String> {
    InstanceId::parse(text).map_err(|error| error.to_string())
}

fn parse_store(text: &str) -> Result<StoreArn, String> {
    StoreArn::parse(text).map_err(|error| error.to_string())
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let config = load_config().await;
    if config.region().is_none() {
        bail!("no AWS Region is set: set AWS_REGION, or choose a profile that has one with AWS_PROFILE");
    }
    let aws = Aws::new(
        &config,
        Settings { connect_key: arguments.tag_key, state_table: arguments.state_table, ..Settings::default() },
    );
    let (clock, pacing) = (SystemClock, Pacing::default());
    let deadline = clock.now().checked_add(TIME).context("the system's clock is beyond all calendars")?;
    let cloud = Paced::new(&aws, &clock, &pacing, deadline);
    let policy = Policy {
        interface_group_limit: arguments.interface_group_limit,
        max_disconnects: arguments.max_disconnects,
        disconnect_window: Duration::from_secs(arguments.disconnect_window),
        isolation_groups: arguments.isolation_group.into_iter().collect(),
        ..Policy::default()
    };

    let mut gaps: Vec<Gap> = Vec::new();
    let vpcs = if arguments.vpc.is_empty() {
        let found = vpcs_of_interest(&cloud).await;
        gaps.extend(found.gaps);
        found.found
    } else {
        arguments.vpc
    };
    let scope = if arguments.instance.is_empty() && arguments.store.is_empty() {
        Scope::Vpc
    } else {
        Scope::Some {
            instances: arguments.instance.into_iter().collect(),
            stores: arguments.store.into_iter().collect(),
        }
    };

    let mut planned: Vec<(Observation, CheckedPlan)> = Vec::new();
    for vpc in &vpcs {
        let seen = Box::pin(observe(&cloud, vpc, scope.clone(), clock.now(), BTreeSet::new())).await;
        gaps.extend(seen.gaps().cloned());
        let checked = check(plan(&seen, &policy), &seen, &policy).map_err(|violations| {
            let said: Vec<String> = violations.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("the plan for {vpc} breaks an invariant, which is a defect of tagwire: {}", said.join("; "))
        })?;
        planned.push((seen, checked));
    }

    let mut out = stdout().lock();
    match arguments.output {
        Output::Text => print_text(&mut out, &planned, gaps.is_empty())?,
        Output::Json => print_json(&mut out, &planned)?,
    }
    if let Some(gap) = gaps.first() {
        bail!("{} things could not be read, so the plan is not complete; the first: {gap}", gaps.len());
    }
    let pending = planned.iter().any(|(_, checked)| !checked.plan().is_empty());
    Ok(if pending { ExitCode::from(CHANGES_PENDING) } else { ExitCode::SUCCESS })
}

fn print_text(out: &mut impl Write, planned: &[(Observation, CheckedPlan)], complete: bool) -> Result<()> {
    let mut changes = 0;
    for (seen, checked) in planned {
        writeln!(out, "{}", seen.vpc)?;
        let lines = checked.plan().changes();
        changes += lines.len();
        for line in lines {
            writeln!(out, "  {} {line}", sign(&line))?;
        }
        for line in checked.plan().explanations() {
            writeln!(out, "    {line}")?;
        }
    }
    match (planned.len(), changes) {
        // The error that follows says what could not be read; until then nothing can be said of absence.
        (_, 0) if !complete => {}
        (0, _) => writeln!(out, "Nothing is opted in, and tagwire owns no groups here.")?,
        (_, 0) => writeln!(out, "Nothing to change.")?,
        _ => writeln!(out, "{changes} changes are pending.")?,
    }
    Ok(())
}

/// What is taken away is told apart at a glance.
fn sign(change: &str) -> char {
    if ["detach ", "delete ", "revoke ", "take "].iter().any(|word| change.starts_with(word)) { '-' } else { '+' }
}

/// The version of the JSON document's form.
const JSON_VERSION: u32 = 1;

fn print_json(out: &mut impl Write, planned: &[(Observation, CheckedPlan)]) -> Result<()> {
    let vpcs: Vec<_> = planned
        .iter()
        .map(|(seen, checked)| {
            let plan = checked.plan();
            serde_json::json!({
                "vpc": seen.vpc,
                "observed_at": seen.at,
                "changes": plan.changes(),
                "decisions": plan.decisions,
                "findings": plan.findings,
                "gaps": seen.gaps().collect::<Vec<_>>(),
            })
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &serde_json::json!({ "version": JSON_VERSION, "vpcs": vpcs }))?;
    writeln!(out)?;
    Ok(())
}
