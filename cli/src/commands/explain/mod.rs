//! `tagwire explain`: the decision about an instance and a data store, why a group is there, and what a data store, a
//! block of addresses or a connection name has to do with connections.

mod subject;

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use tagwire_core::{
    explain::{self, Account, Overview},
    group::SecurityGroup,
    id::{InstanceId, SecurityGroupId, StoreArn},
    observation::{Gap, Observation, Scope},
    tag::ConnectionName,
};
use tagwire_engine::cloud::{Groups, Observe};

use self::subject::{Argument, Named, named, store_called};
use super::{
    plan::OutputFormat,
    status::{Filter, Gathered, gather},
};
use crate::{
    error::{CommandError, CommandResult, require_complete, user_error},
    help::CommandHelp,
    instance_names::{InstanceArgument, InstanceNames},
    output::{BAD, DOUBTFUL, FAINT, GOOD, HEADING, painted, print},
    progress::waiting,
    scope_args::ScopeArgs,
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
        ("who reaches a data store, who does not, and why", "tagwire explain cluster/orders"),
        ("who lets in an address, a block or a prefix list", "tagwire explain 203.0.113.7"),
        ("who carries a name, and what follows from it", "tagwire explain --name orders"),
        ("why a group is there, and whether it may go", "tagwire explain sg-0a1b2c3d"),
    ],
    notes: &["A condition is marked ok, FAILS (the reason), fails (it would fail as well), no (so it is, and nothing \
        is wrong with that), - (it does not matter here) or ? (it could not be read)."],
    exit: &[(0, "done"), (1, "an error, or something could not be read")],
};

#[derive(Args)]
#[command(after_help = HELP.short(), after_long_help = HELP.long())]
pub(crate) struct ExplainArgs {
    /// An instance, a data store, a security group, an address, a block, a prefix list, or a connection name.
    #[arg(value_name = "SUBJECT", required_unless_present = "name")]
    subject: Option<Argument>,
    /// A data store: its ARN, cluster/orders, or its name.
    store: Option<String>,
    /// A connection name, also when something else is called so.
    #[arg(long, conflicts_with = "subject", value_parser = |text: &str| ConnectionName::parse(text))]
    name: Option<ConnectionName>,
    /// Show every condition and connection, not only those that decide.
    #[arg(long, short)]
    verbose: bool,
    /// The format of the output.
    #[arg(long, short, value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

/// How an explanation is shown.
#[derive(Clone, Copy)]
struct View {
    format: OutputFormat,
    verbose: bool,
}

impl View {
    fn text(self, long: String, short: impl FnOnce() -> String) -> String {
        if self.verbose { long } else { short() }
    }
}

pub(crate) async fn run(global: &GlobalArgs, args: ExplainArgs) -> CommandResult<ExitCode> {
    let session = Session::open(global).await?;
    let view = View { format: args.output, verbose: args.verbose };
    let Some(subject) = args.subject else {
        let all = Box::pin(gather(&session, &Filter::default())).await?;
        return args.name.map_or(Ok(ExitCode::SUCCESS), |name| {
            view.overview(&all, &explain::name(&account(&session, &all, &planned(&all)), &name))
        });
    };
    match (subject, args.store) {
        (Argument::Word(word), Some(store)) => {
            let instance = InstanceArgument::Name(word).id(&session).await?;
            view.connection(&session, &instance, &store).await
        }
        (Argument::Instance(instance), Some(store)) => view.connection(&session, &instance, &store).await,
        (Argument::Instance(instance), None) => view.instance(&session, &instance).await,
        (Argument::Group(group), None) => view.group(&session, &group).await,
        (Argument::Client(client), store) => {
            let all = Box::pin(gather(&session, &of_store(store.as_deref()))).await?;
            let store = store.map(|called| store_called(&all, &called)).transpose()?;
            let overview = explain::client(&account(&session, &all, &planned(&all)), &client, store.as_ref());
            view.overview(&all, &overview)
        }
        (Argument::Store(called), None) => {
            let all = Box::pin(gather(&session, &of_store(Some(&called)))).await?;
            let store = store_called(&all, &called)?;
            view.store(&session, &all, &store)
        }
        (Argument::Word(word), None) => {
            let all = Box::pin(gather(&session, &Filter::default())).await?;
            match named(&all, &session.instances_named(&word).await?, &word)? {
                Named::Instance(instance) => view.instance(&session, &instance).await,
                Named::Store(store) => view.store(&session, &all, &store),
                Named::Name(name) => {
                    view.overview(&all, &explain::name(&account(&session, &all, &planned(&all)), &name))
                }
            }
        }
        (Argument::Group(_) | Argument::Store(_), Some(_)) => {
            Err(user_error!("a data store is explained together with an instance or a block only")
                .hint("leave the last argument out"))
        }
    }
}

/// The filter for the connections of one data store, or of all.
fn of_store(called: Option<&str>) -> Filter {
    let store = called.map(str::to_owned).into_iter().collect();
    Filter { scope: ScopeArgs { store, ..ScopeArgs::default() }, ..Filter::default() }
}

type Planned<'all> = Vec<(&'all Observation, &'all tagwire_core::plan::Plan)>;

fn planned(all: &Gathered) -> Planned<'_> {
    all.planned.iter().map(|(seen, checked)| (seen, checked.plan())).collect()
}

fn account<'all>(session: &'all Session, all: &'all Gathered, planned: &'all Planned<'_>) -> Account<'all> {
    let installation = &session.installation;
    Account { survey: &all.survey, planned, policy: &installation.policy, connect_key: &installation.tag_key }
}

impl View {
    async fn connection(self, session: &Session, instance: &InstanceId, store: &str) -> CommandResult<ExitCode> {
        let (policy, key) = (&session.installation.policy, session.installation.tag_key.as_str());
        let store = session.store_or_remains(store).await?;
        let vpc = session.vpc_of(instance).await?;
        let scope = Scope::Some { instances: [instance.clone()].into(), stores: [store.clone()].into() };
        let seen = session.observe(&vpc, scope).await?;
        let explanation = explain::connection(&seen, policy, key, instance, &store);
        self.show(&seen, &explanation, &self.text(explanation.to_string(), || explanation.short()))
    }

    async fn instance(self, session: &Session, instance: &InstanceId) -> CommandResult<ExitCode> {
        let (policy, key) = (&session.installation.policy, session.installation.tag_key.as_str());
        let vpc = session.vpc_of(instance).await?;
        let seen = session.observe(&vpc, Scope::of_instances([instance.clone()].into())).await?;
        let explanation = explain::instance(&seen, policy, key, instance);
        self.show(&seen, &explanation, &explanation.to_string())
    }

    async fn group(self, session: &Session, group: &SecurityGroupId) -> CommandResult<ExitCode> {
        let (policy, key) = (&session.installation.policy, session.installation.tag_key.as_str());
        let found = found(session, group).await?;
        // Whether nobody uses a group is only known of a whole VPC.
        let mut seen = session.observe(&found.vpc, Scope::Vpc).await?;
        // A look takes in no group with another name than pairs have, unless it says that it is ours.
        if !seen.groups.found.iter().any(|seen| seen.id == *group) {
            seen.groups.found.push(found);
        }
        let explanation = explain::group(&seen, policy, key, group);
        self.show(&seen, &explanation, &self.text(explanation.to_string(), || explanation.short()))
    }

    fn store(self, session: &Session, all: &Gathered, store: &StoreArn) -> CommandResult<ExitCode> {
        self.overview(all, &explain::store(&account(session, all, &planned(all)), store))
    }

    fn overview(self, all: &Gathered, overview: &Overview) -> CommandResult<ExitCode> {
        let text = self.text(overview.to_string(), || overview.short());
        let document = serde_json::json!({
            "version": JSON_VERSION, "account": all.account, "region": all.region, "observed_at": all.observed_at,
            "explanation": overview, "gaps": all.gaps,
        });
        self.write(&all.instance_names(), &text, document, &all.gaps)
    }

    fn show(self, seen: &Observation, explanation: &impl Serialize, text: &str) -> CommandResult<ExitCode> {
        let gaps: Vec<_> = seen.gaps().cloned().collect();
        let document = serde_json::json!({
            "version": JSON_VERSION, "vpc": seen.vpc, "observed_at": seen.at, "explanation": explanation, "gaps": gaps,
        });
        self.write(&seen.instances.found.iter().collect(), text, document, &gaps)
    }

    fn write(
        self,
        names: &InstanceNames,
        text: &str,
        mut document: serde_json::Value,
        gaps: &[Gap],
    ) -> CommandResult<ExitCode> {
        if let Some(keys) = document.as_object_mut() {
            keys.insert("instance_names".to_owned(), names.json());
        }
        print(&match self.format {
            OutputFormat::Text => names.label_in(text).lines().map(|line| styled(line) + "\n").collect(),
            OutputFormat::Json => format!("{document:#}\n"),
        })?;
        require_complete(gaps, "the explanation")?;
        Ok(ExitCode::SUCCESS)
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
        "Now:" | "Next" => HEADING,
        _ if line.ends_with(':') => return painted(HEADING, line),
        _ => return line.to_owned(),
    };
    format!("{} {rest}", painted(style, mark))
}
