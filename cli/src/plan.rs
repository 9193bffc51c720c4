//! `tagwire plan`: the functions' own observe, plan and check, printed.

use std::{
    collections::BTreeSet,
    io::{Write, stdout},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum, builder::RangedU64ValueParser, value_parser};
use tagwire_aws::{Aws, Settings, SystemClock, load_config};
use tagwire_core::{
    check::check,
    id::{InstanceId, InvalidId, SecurityGroupId, StoreArn, VpcId},
    observation::{Gap, Scope},
    plan::plan,
    policy::{
        DEFAULT_DISCONNECT_WINDOW, DEFAULT_INTERFACE_GROUP_LIMIT, DEFAULT_MAX_DISCONNECTS, DEFAULT_SWEEP_PERIOD,
        HIGHEST_INTERFACE_GROUP_LIMIT, Policy,
    },
    tag::DEFAULT_CONNECT_KEY,
};
use tagwire_engine::{
    cloud::Clock,
    observe::{observe, vpcs_of_interest},
    paced::{Paced, Pacing},
};

use crate::show::{self, Planned};

/// For how long the reading may go on, retries included.
const TIME: Duration = Duration::from_mins(5);

/// Exit code for a plan that holds changes, as `terraform plan -detailed-exitcode` has it.
const CHANGES_PENDING: u8 = 2;

/// Shown below the options.
const EXAMPLE: &str = "\
Example: what the installation would do about one instance now\n\n  \
tagwire plan --vpc vpc-0a1b2c3d --instance i-0a1b2c3d --state-table tagwire-StateTable-1A2B3C \\\n      \
--max-disconnects 10 --isolation-group sg-0a1b2c3d --status-tags on --output json\n\n\
The options of the installation are the parameters of its stack, the table is its output StateTableName.";

#[derive(Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// Only this VPC (may be given more than once); without it, every VPC that has something
    /// opted in or owned.
    #[arg(long, value_parser = |text: &str| VpcId::parse(text))]
    vpc: Vec<VpcId>,
    /// Only what concerns this instance (needs --vpc; may be given more than once).
    #[arg(long, value_parser = |text: &str| InstanceId::parse(text), requires = "vpc")]
    instance: Vec<InstanceId>,
    /// Only what concerns this data store, by ARN (needs --vpc; may be given more than once).
    #[arg(long, value_parser = |text: &str| StoreArn::parse(text), requires = "vpc")]
    store: Vec<StoreArn>,
    /// The form of the output.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten, next_help_heading = "The installation")]
    installation: Installation,
}

/// What the installation was deployed with.
#[derive(Args)]
struct Installation {
    /// The tag key.
    #[arg(long, env = "TAGWIRE_TAG_KEY", default_value = DEFAULT_CONNECT_KEY)]
    tag_key: String,
    /// The name of the state table; without it, the plan is made as if nothing were remembered: the
    /// window is unused, and nothing was seen to be unused before.
    #[arg(long, env = "TAGWIRE_STATE_TABLE")]
    state_table: Option<String>,
    /// How many connections of a VPC are removed in one window.
    #[arg(long, env = "TAGWIRE_MAX_DISCONNECTS", default_value_t = DEFAULT_MAX_DISCONNECTS)]
    max_disconnects: usize,
    /// The window, in seconds.
    #[arg(long, env = "TAGWIRE_DISCONNECT_WINDOW", default_value_t = DEFAULT_DISCONNECT_WINDOW.as_secs(),
        value_parser = value_parser!(u64).range(1..))]
    disconnect_window: u64,
    /// The time between two sweeps, in seconds.
    #[arg(long, env = "TAGWIRE_SWEEP_PERIOD", default_value_t = DEFAULT_SWEEP_PERIOD.as_secs(),
        value_parser = value_parser!(u64).range(1..))]
    sweep_period: u64,
    /// Groups of isolation, separated by commas (may be given more than once).
    #[arg(long, env = "TAGWIRE_ISOLATION_GROUPS", value_delimiter = ',', value_parser = parse_group)]
    isolation_group: Vec<Option<SecurityGroupId>>,
    /// Whether status tags are written.
    #[arg(long, env = "TAGWIRE_STATUS_TAGS", value_enum, default_value_t = Switch::Off)]
    status_tags: Switch,
    /// How many security groups a network interface takes in this account.
    #[arg(long, env = "TAGWIRE_INTERFACE_GROUP_LIMIT", default_value_t = DEFAULT_INTERFACE_GROUP_LIMIT,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=HIGHEST_INTERFACE_GROUP_LIMIT as u64))]
    interface_group_limit: usize,
}

impl Installation {
    fn policy(&self) -> Policy {
        Policy {
            interface_group_limit: self.interface_group_limit,
            max_disconnects: self.max_disconnects,
            disconnect_window: Duration::from_secs(self.disconnect_window),
            sweep_period: Duration::from_secs(self.sweep_period),
            isolation_groups: self.isolation_group.iter().flatten().cloned().collect(),
            status_tags: self.status_tags == Switch::On,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Lines for people.
    Text,
    /// One JSON document.
    Json,
}

/// None for nothing, which is what the variable holds in an installation without isolation groups.
fn parse_group(text: &str) -> Result<Option<SecurityGroupId>, InvalidId> {
    let text = text.trim();
    if text.is_empty() { Ok(None) } else { SecurityGroupId::parse(text).map(Some) }
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let config = load_config().await;
    if config.region().is_none() {
        bail!("no AWS Region is set: set AWS_REGION, or choose a profile that has one with AWS_PROFILE");
    }
    let policy = arguments.installation.policy();
    let Installation { tag_key, state_table, .. } = arguments.installation;
    let aws = Aws::new(&config, Settings { connect_key: tag_key, state_table, ..Settings::default() });
    let (clock, pacing) = (SystemClock, Pacing::default());
    let deadline = clock.now().checked_add(TIME).context("the system's clock is beyond all calendars")?;
    let cloud = Paced::new(&aws, &clock, &pacing, deadline);

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

    let mut planned: Vec<Planned> = Vec::new();
    for vpc in &vpcs {
        let seen = Box::pin(observe(&cloud, vpc, scope.clone(), clock.now(), BTreeSet::new())).await;
        gaps.extend(seen.gaps().cloned());
        let checked = check(plan(&seen, &policy), &seen, &policy).map_err(|violations| {
            let said: Vec<String> = violations.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("the plan for {vpc} breaks an invariant, which is a defect of tagwire: {}", said.join("; "))
        })?;
        planned.push((seen, checked));
    }

    let shown = match arguments.output {
        Output::Text => show::text(&planned, gaps.is_empty()),
        Output::Json => format!("{:#}\n", show::json(&planned)),
    };
    stdout().lock().write_all(shown.as_bytes())?;
    if let Some(gap) = gaps.first() {
        bail!("{} things could not be read, so the plan is not complete; the first: {gap}", gaps.len());
    }
    let pending = planned.iter().any(|(_, checked)| !checked.plan().is_empty());
    Ok(if pending { ExitCode::from(CHANGES_PENDING) } else { ExitCode::SUCCESS })
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Line::try_parse_from(line.split_whitespace()).map(|line| line.arguments)
    }

    #[test]
    fn without_options_the_installation_is_one_with_the_template_s_defaults() {
        let installation = parse("plan").unwrap().installation;
        assert_eq!((installation.policy(), installation.tag_key.as_str()), (Policy::default(), DEFAULT_CONNECT_KEY));
        assert_eq!(installation.state_table, None);
    }

    #[test]
    fn every_option_of_the_installation_reaches_the_planner() {
        let line = "plan --max-disconnects 0 --disconnect-window 60 --sweep-period 120 --isolation-group sg-1,sg-2 \
            --isolation-group sg-3 --status-tags on --interface-group-limit 16";
        let groups = ["sg-1", "sg-2", "sg-3"].map(|id| SecurityGroupId::parse(id).unwrap());
        let policy = Policy {
            interface_group_limit: 16,
            max_disconnects: 0,
            disconnect_window: Duration::from_mins(1),
            sweep_period: Duration::from_mins(2),
            isolation_groups: groups.into(),
            status_tags: true,
        };
        assert_eq!(parse(line).unwrap().installation.policy(), policy);
    }

    #[test]
    fn what_the_functions_refuse_is_refused_and_an_empty_list_of_groups_is_one() {
        for refused in [
            "--disconnect-window 0",
            "--sweep-period 0",
            "--interface-group-limit 0",
            "--interface-group-limit 17",
            "--isolation-group i-1",
            "--status-tags yes",
            "--instance i-1",
        ] {
            assert!(parse(&format!("plan {refused}")).is_err(), "{refused}");
        }
        let empty = Line::try_parse_from(["plan", "--isolation-group", ""]).unwrap().arguments.installation;
        assert_eq!(empty.policy(), Policy::default());
    }

    #[test]
    fn the_example_in_the_help_is_one_that_works() {
        Line::command().debug_assert();
        let help = Line::command().render_long_help().to_string();
        let example = help.split("tagwire plan ").nth(1).unwrap().split("\n\n").next().unwrap();
        let arguments = parse(&format!("plan {}", example.replace('\\', ""))).unwrap();
        assert_eq!((arguments.instance.len(), arguments.installation.status_tags == Switch::On), (1, true));
        assert_eq!(arguments.installation.state_table.as_deref(), Some("tagwire-StateTable-1A2B3C"));
    }
}
