//! `tagwire status`: every connection of the account and Region, whoever made it.

mod gather;
mod graph;
mod hints;
mod record;
mod sort;
mod table;
mod unmatched;

use std::{io::IsTerminal, process::ExitCode, time::Duration};

use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use serde_json::Value;
use tagwire_core::{
    connections::{ConnectionStatus, State},
    id::StoreArn,
    observation::Gap,
    service::Service,
    tag::ConnectionName,
};

use self::sort::SortBy;
use crate::{
    error::{CommandErrorKind, CommandResult, require_complete, user_error},
    help::CommandHelp,
    instance_names::InstanceArgument,
    output::{print, print_own},
    regions,
    scope_args::ScopeArgs,
    session::{GlobalArgs, Session},
};

/// Shown below the options.
pub(crate) const HELP: CommandHelp = CommandHelp {
    examples: &[
        ("every connection of the account and Region", "tagwire status"),
        ("of one VPC, with groups, names and reasons", "tagwire status --vpc vpc-0a1b2c3d -o wide"),
        ("who reaches one data store", "tagwire status --store cluster/orders"),
        ("what deserves a look", "tagwire status --state drifted --state refused"),
        ("the youngest first, again every 30 seconds", "tagwire status --sort-by age --watch=30"),
        ("for a program", "tagwire status -o json |\n  jq -r '.connections[] | select(.cross_az) | .client'"),
        ("every Region of the account", "tagwire status --all-regions"),
        ("a picture", "tagwire status -o dot | dot -Tsvg > connections.svg"),
    ],
    notes: &[
        "Connections made by the RDS console or by hand are found as well, also between instances and data stores \
         without any tag.",
        "On a terminal that is too narrow, these are left out, in this order: the columns AZ, AGE, MADE BY and \
         PORT, then the codes of the states.",
    ],
    exit: &[(0, "done"), (1, "an error, or something could not be read")],
};

#[derive(Args)]
#[command(after_help = HELP.short(), after_long_help = HELP.long())]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    filter: Filter,
    /// The format of the output.
    #[arg(long, short, value_enum, default_value_t = StatusFormat::Table)]
    output: StatusFormat,
    /// Leave out the line of headings above the table.
    #[arg(long)]
    no_headers: bool,
    /// The order of the connections, instead of by VPC, data store and client.
    #[arg(long, value_enum, value_name = "COLUMN")]
    sort_by: Option<SortBy>,
    /// Look again after this many seconds, until Ctrl-C.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "10",
        value_parser = clap::value_parser!(u64).range(2..))]
    watch: Option<u64>,
    /// Look in every Region that is enabled for the account.
    #[arg(long, conflicts_with_all = ["vpc", "instance", "store", "watch"])]
    all_regions: bool,
}

/// The connections to show. Options of different names must all match; of several with one name, one must.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Filter {
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
    /// Only what shares this connection name (may be given more than once).
    #[arg(long, value_parser = |text: &str| ConnectionName::parse(text))]
    pub(crate) name: Vec<ConnectionName>,
    /// Only connections in this state (may be given more than once).
    #[arg(long, value_parser = states())]
    pub(crate) state: Vec<State>,
    /// Only data stores of this service (may be given more than once).
    #[arg(long, value_parser = services(), ignore_case = true)]
    pub(crate) service: Vec<Service>,
}

fn states() -> impl TypedValueParser<Value = State> {
    let words = PossibleValuesParser::new(State::ALL.map(State::word));
    words.try_map(|word| State::ALL.into_iter().find(|state| state.word() == word).ok_or("it is no state"))
}

fn services() -> impl TypedValueParser<Value = Service> {
    PossibleValuesParser::new(Service::ALL.iter().map(|service| service.row().title)).try_map(|chosen| {
        let named = |service: &&Service| service.row().title.eq_ignore_ascii_case(&chosen);
        Service::ALL.iter().find(named).copied().ok_or("it is no service")
    })
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StatusFormat {
    /// A table for people.
    Table,
    /// The table with VPC, service, names, groups and reasons.
    Wide,
    /// One JSON document, in the form of docs/schemas/status-v3.schema.json.
    Json,
    /// Comma-separated values with the keys of the JSON document.
    Csv,
    /// A graph for Graphviz.
    Dot,
    /// A flowchart for Mermaid.
    Mermaid,
}

impl Filter {
    /// Whether a connection is to be shown.
    fn takes(&self, row: &ConnectionStatus) -> bool {
        fn any<T>(chosen: &[T], is: impl Fn(&T) -> bool) -> bool {
            chosen.is_empty() || chosen.iter().any(is)
        }
        any(&self.scope.vpcs.vpc, |vpc| *vpc == row.vpc)
            && any(&self.scope.instance, |instance| row.client.instance().is_some_and(|id| instance.is(id)))
            && any(&self.scope.store, |called| is_called(&row.store, called))
            && any(&self.name, |name| row.names.contains(name))
            && any(&self.state, |state| *state == row.state)
            && any(&self.service, |service| *service == row.service)
    }

    /// The same filter with the ids of instances in place of their names.
    ///
    /// # Errors
    /// When no instance, or more than one, has a name.
    pub(crate) async fn with_ids(mut self, session: &Session) -> CommandResult<Self> {
        for instance in &mut self.scope.instance {
            *instance = InstanceArgument::Id(instance.id(session).await?);
        }
        Ok(self)
    }

    /// Whether every connection is shown.
    fn is_empty(&self) -> bool {
        self.scope.vpcs.vpc.is_empty()
            && self.scope.instance.is_empty()
            && self.scope.store.is_empty()
            && self.name.is_empty()
            && self.state.is_empty()
            && self.service.is_empty()
    }
}

/// Whether a person means this data store.
pub(crate) fn is_called(store: &StoreArn, called: &str) -> bool {
    store.as_str() == called || store.short() == called || store.name() == called
}

pub(crate) use self::{
    gather::{Gathered, gather},
    record::json,
};

pub(crate) async fn run(global: &GlobalArgs, args: StatusArgs) -> CommandResult<ExitCode> {
    if args.all_regions {
        return Box::pin(everywhere(global, &args)).await;
    }
    let session = Session::open(global).await?;
    let Some(seconds) = args.watch else {
        look(&session, &args, "").await?;
        return Ok(ExitCode::SUCCESS);
    };
    // A terminal is cleared, with what was scrolled off it; for a program the results follow each other.
    let before = if std::io::stdout().is_terminal() { "\x1b[H\x1b[2J\x1b[3J" } else { "" };
    loop {
        match look(&session, &args, before).await {
            Ok(()) => {}
            Err(error) if matches!(error.kind, CommandErrorKind::Aws | CommandErrorKind::Incomplete) => error.print(),
            Err(error) => return Err(error),
        }
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

/// Reads everything once and shows it, after something.
async fn look(session: &Session, args: &StatusArgs, before: &str) -> CommandResult<()> {
    let gathered = sorted(session, args).await?;
    print_own(before)?;
    print(&shown(&gathered, args)?)?;
    require_complete(&gathered.gaps, "the list of connections")
}

async fn sorted(session: &Session, args: &StatusArgs) -> CommandResult<Gathered> {
    let filter = args.filter.clone().with_ids(session).await?;
    let mut gathered = Box::pin(gather(session, &filter)).await?;
    if let Some(column) = args.sort_by {
        column.sort(&mut gathered.connections);
    }
    Ok(gathered)
}

fn shown(gathered: &Gathered, args: &StatusArgs) -> CommandResult<String> {
    Ok(match args.output {
        StatusFormat::Table => table::text(gathered, &args.filter, table::Columns::Few, !args.no_headers),
        StatusFormat::Wide => table::text(gathered, &args.filter, table::Columns::All, !args.no_headers),
        StatusFormat::Json => format!("{:#}\n", record::json(gathered)),
        StatusFormat::Csv => record::csv([gathered])?,
        StatusFormat::Dot => graph::dot(&gathered.connections),
        StatusFormat::Mermaid => graph::mermaid(&gathered.connections),
    })
}

/// Reads every Region and shows all of them. One that cannot be read hides no other.
async fn everywhere(global: &GlobalArgs, args: &StatusArgs) -> CommandResult<ExitCode> {
    if matches!(args.output, StatusFormat::Dot | StatusFormat::Mermaid) {
        return Err(user_error!("a picture is of one Region").hint("choose it with --region"));
    }
    let (read, error) = regions::split(regions::in_each(global, async |session| sorted(session, args).await).await?);
    let all = || read.iter().map(|(_, gathered)| gathered);
    print(&match args.output {
        StatusFormat::Json => format!("{:#}\n", all().map(record::json).collect::<Value>()),
        StatusFormat::Csv => record::csv(all())?,
        StatusFormat::Table | StatusFormat::Wide | StatusFormat::Dot | StatusFormat::Mermaid => {
            let texts = read.iter().map(|(session, gathered)| {
                let text = gathered.has_something().then(|| shown(gathered, args)).transpose();
                text.map(|text| (session, text))
            });
            regions::text(texts.collect::<CommandResult<Vec<_>>>()?)
        }
    })?;
    let gaps: Vec<Gap> = all().flat_map(|gathered| gathered.gaps.clone()).collect();
    error.map_or_else(|| require_complete(&gaps, "the list of connections"), Err)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
pub(crate) mod tests {
    use clap::Parser;
    use tagwire_core::{
        check::check,
        connections::{Survey, connections},
        observation::Reading,
        plan::plan,
    };
    use tagwire_world::World;

    use super::*;

    /// The result of gathering in a world of text.
    pub(crate) fn gathered(world: &str) -> Gathered {
        gathered_of(World::read(world).unwrap())
    }

    pub(crate) fn gathered_of(World { seen, policy }: World) -> Gathered {
        let survey = Survey {
            stores: Reading::complete(seen.present_stores().into_values().cloned().collect()),
            groups: Reading::complete(seen.groups.found.clone()),
            instances: Reading::complete(seen.instances.found.clone()),
        };
        let checked = check(plan(&seen, &policy), &seen, &policy).unwrap_or_else(|rejection| rejection.remaining);
        Gathered {
            observed_at: seen.at,
            account: "123456789012".to_owned(),
            region: "eu-central-1".to_owned(),
            connections: connections(&survey, &[(&seen, checked.plan())]),
            survey,
            gaps: seen.gaps().cloned().collect(),
            planned: vec![(seen, checked)],
        }
    }

    /// Everything that the command writes for people, and what it writes for a spreadsheet.
    pub(crate) fn outputs(gathered: &Gathered) -> Vec<String> {
        let of_store =
            Filter { scope: ScopeArgs { store: vec!["orders".to_owned()], ..Default::default() }, ..Filter::default() };
        vec![
            table::text(gathered, &Filter::default(), table::Columns::Few, true),
            table::text(gathered, &of_store, table::Columns::All, true),
            record::csv([gathered]).unwrap(),
            graph::dot(&gathered.connections),
            graph::mermaid(&gathered.connections),
        ]
    }

    #[derive(Parser)]
    struct StatusCli {
        #[command(flatten)]
        filter: Filter,
    }

    fn taken(line: &str) -> Vec<String> {
        let filter = StatusCli::try_parse_from(line.split_whitespace()).unwrap().filter;
        let all = gathered(
            "instance i-1 connect=a,b
             instance i-2 connect=a
             db one connect=a
             cluster two connect=b
             replicationgroup two-more connect=a
             pair one 1 attached-to=i-1",
        );
        let taken = all.connections.iter().filter(|row| filter.takes(row));
        taken.map(|row| format!("{} {}", row.client, row.store.short())).collect()
    }

    #[test]
    fn every_filter_takes_what_it_says_and_several_have_all_to_hold() {
        assert_eq!(taken("status").len(), 5);
        assert_eq!(taken("status --vpc vpc-1").len(), 5);
        assert_eq!(taken("status --vpc vpc-2").len(), 0);
        assert_eq!(taken("status --instance i-2"), ["i-2 replicationgroup/two-more", "i-2 db/one"]);
        for called in ["two", "cluster/two", "arn:aws:rds:eu-central-1:123456789012:cluster:two"] {
            assert_eq!(taken(&format!("status --store {called}")), ["i-1 cluster/two"]);
        }
        assert_eq!(taken("status --store db/two").len(), 0);
        assert_eq!(taken("status --name b"), ["i-1 cluster/two"]);
        assert_eq!(taken("status --state connected"), ["i-1 db/one"]);
        assert_eq!(taken("status --service elasticache --instance i-1"), ["i-1 replicationgroup/two-more"]);
        assert_eq!(taken("status --service RDS --service ElastiCache").len(), 5);
        assert_eq!(taken("status --instance i-2 --name b").len(), 0);
    }

    #[test]
    fn words_that_are_none_are_refused() {
        for line in ["--state fine", "--service dynamodb", "--vpc sg-1", "--instance vpc-1", "--name a,b"] {
            let line = format!("status {line}");
            assert!(StatusCli::try_parse_from(line.split_whitespace()).is_err(), "{line}");
        }
    }
}
