//! `tagwire explain`: the decision about an instance and a data store walked condition by condition, and why
//! a group is there.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use tagwire_core::{
    explain,
    group::SecurityGroup,
    id::{InstanceId, SecurityGroupId},
    observation::{Observation, Scope},
};
use tagwire_engine::cloud::{Groups, Observe};

use super::plan::OutputFormat;
use crate::{
    error::{CommandError, CommandResult, require_complete, user_error},
    help::CommandHelp,
    output::{BAD, DOUBTFUL, FAINT, GOOD, HEADING, painted, print},
    progress::waiting,
    session::{GlobalArgs, Session},
};

/// The version of the JSON documents.
const JSON_VERSION: u32 = 2;

/// Shown below the options.
pub(crate) const HELP: CommandHelp = CommandHelp {
    examples: &[
        ("why the two are connected, or are not", "tagwire explain i-0a1b2c3d cluster/orders"),
        ("the same with every condition", "tagwire explain -v i-0a1b2c3d cluster/orders"),
        ("every data store that the instance could reach", "tagwire explain i-0a1b2c3d"),
        ("why a group is there, and whether it may go", "tagwire explain sg-0a1b2c3d"),
    ],
    notes: &["A condition is marked ok, FAILS (the reason), fails (it would fail as well), no (so it is, and nothing \
        is wrong with that), - (it does not matter here) or ? (it could not be read)."],
    exit: &[(0, "done"), (1, "an error, or something could not be read")],
};

#[derive(Args)]
#[command(after_help = HELP.short(), after_long_help = HELP.long())]
pub(crate) struct ExplainArgs {
    /// An instance or a security group.
    #[arg(value_name = "INSTANCE|GROUP")]
    subject: ExplainSubject,
    /// A data store: its ARN, cluster/orders, or its name.
    store: Option<String>,
    /// Show every condition, not only the one that decides.
    #[arg(long, short)]
    verbose: bool,
    /// The format of the output.
    #[arg(long, short, value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

#[derive(Clone)]
enum ExplainSubject {
    Instance(InstanceId),
    Group(SecurityGroupId),
}

impl std::str::FromStr for ExplainSubject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (InstanceId::parse(text), SecurityGroupId::parse(text)) {
            (Ok(instance), _) => Ok(Self::Instance(instance)),
            (_, Ok(group)) => Ok(Self::Group(group)),
            _ => Err("it is neither an instance id such as i-0a1b2c3d nor a group id such as sg-0a1b2c3d".to_owned()),
        }
    }
}

pub(crate) async fn run(global: &GlobalArgs, args: ExplainArgs) -> CommandResult<ExitCode> {
    let session = Session::open(global).await?;
    let (policy, key) = (&session.installation.policy, session.installation.tag_key.as_str());
    let (format, verbose) = (args.output, args.verbose);
    match (args.subject, args.store) {
        (ExplainSubject::Instance(instance), Some(store)) => {
            let store = session.store(&store).await?;
            let vpc = session.vpc_of(&instance).await?;
            let scope = Scope::Some { instances: [instance.clone()].into(), stores: [store.clone()].into() };
            let seen = session.observe(&vpc, scope).await?;
            let explanation = explain::connection(&seen, policy, key, &instance, &store);
            let text = if verbose { explanation.to_string() } else { explanation.short() };
            show(format, &seen, &explanation, &text)
        }
        (ExplainSubject::Instance(instance), None) => {
            let vpc = session.vpc_of(&instance).await?;
            let seen = session.observe(&vpc, Scope::of_instances([instance.clone()].into())).await?;
            let explanation = explain::instance(&seen, policy, key, &instance);
            show(format, &seen, &explanation, &explanation.to_string())
        }
        (ExplainSubject::Group(group), None) => {
            let found = found(&session, &group).await?;
            // Whether nobody uses a group is only known of a whole VPC.
            let mut seen = session.observe(&found.vpc, Scope::Vpc).await?;
            // A look takes in no group with another name than pairs have, unless it says that it is ours.
            if !seen.groups.found.iter().any(|seen| seen.id == group) {
                seen.groups.found.push(found);
            }
            let explanation = explain::group(&seen, policy, key, &group);
            let text = if verbose { explanation.to_string() } else { explanation.short() };
            show(format, &seen, &explanation, &text)
        }
        (ExplainSubject::Group(_), Some(_)) => {
            Err(user_error!("a group is explained alone").hint("leave the data store out"))
        }
    }
}

async fn found(session: &Session, group: &SecurityGroupId) -> CommandResult<SecurityGroup> {
    let cloud = session.cloud()?;
    let read = waiting("Looking for the group", cloud.groups(Groups::Ids(&[group.clone()].into()))).await;
    match (read.found.into_iter().next(), read.gaps.first()) {
        (Some(group), _) => Ok(group),
        (None, Some(gap)) => Err(CommandError::unread(group, Some(gap))),
        (None, None) => Err(user_error!("there is no security group {group} in {}", session.region())),
    }
}

fn show(format: OutputFormat, seen: &Observation, explanation: &impl Serialize, text: &str) -> CommandResult<ExitCode> {
    let gaps: Vec<_> = seen.gaps().cloned().collect();
    print(&match format {
        OutputFormat::Text => text.lines().map(|line| styled(line) + "\n").collect(),
        OutputFormat::Json => {
            let document = serde_json::json!({
                "version": JSON_VERSION, "vpc": seen.vpc, "observed_at": seen.at, "explanation": explanation, "gaps": gaps,
            });
            format!("{document:#}\n")
        }
    })?;
    require_complete(&gaps, "the explanation")?;
    Ok(ExitCode::SUCCESS)
}

/// A line with a coloured mark.
fn styled(line: &str) -> String {
    let Some((mark, rest)) = line.split_once(' ').filter(|(mark, _)| !mark.is_empty()) else {
        return line.to_owned();
    };
    let style = match mark {
        "ok" => GOOD,
        "FAILS" => BAD.bold(),
        "fails" => BAD,
        "?" => DOUBTFUL,
        "-" | "no" => FAINT,
        _ if line.ends_with(':') => return painted(HEADING, line),
        _ => return line.to_owned(),
    };
    format!("{} {rest}", painted(style, mark))
}
