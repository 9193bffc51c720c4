//! `tagwire status`: every connection of the account and Region, whoever made it.

mod graph;
mod hints;
mod record;
mod table;
mod unmatched;

use std::{collections::BTreeSet, process::ExitCode};

use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use jiff::Timestamp;
use tagwire_core::{
    connections::{ConnectionStatus, State, Survey, connections},
    id::{StoreArn, VpcId},
    observation::{Gap, Reading, Scope},
    service::Service,
    tag::ConnectionName,
};

use super::plan::plans;
use crate::{
    error::{CommandResult, require_complete},
    instance_names::{InstanceArgument, InstanceNames},
    output::print,
    progress::waiting,
    scope_args::ScopeArgs,
    session::{GlobalArgs, Planned, Session, kinds_and_name, no_such_store},
};

/// Shown below the options.
const EXAMPLE: &str = "\
Examples:\n  \
tagwire status                                   # every connection of the account and Region\n  \
tagwire status --vpc vpc-0a1b2c3d -o wide        # of one VPC, with groups, names and reasons\n  \
tagwire status --store cluster/orders            # who reaches one data store\n  \
tagwire status --state drifted --state refused   # what deserves a look\n  \
tagwire status -o json | jq -r '.connections[] | select(.cross_az) | .client'\n  \
tagwire status -o dot | dot -Tsvg > connections.svg\n\n\
Connections made by the RDS console or by hand are found as well, also between instances and data stores \
without any tag.\n\n\
Exit codes: 0 done, 1 error, or something could not be read.";

#[derive(Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    filter: Filter,
    /// The format of the output.
    #[arg(long, short, value_enum, default_value_t = StatusFormat::Table)]
    output: StatusFormat,
    /// Leave out the line of headings above the table.
    #[arg(long)]
    no_headers: bool,
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
    /// One JSON document, in the form of docs/schemas/status-v2.schema.json.
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

/// Everything that was found in the account and Region.
pub(crate) struct Gathered {
    /// When the reading began.
    pub(crate) observed_at: Timestamp,
    /// The account.
    pub(crate) account: String,
    /// The Region.
    pub(crate) region: String,
    /// The connections that the filter takes, in the order of VPCs, data stores and clients.
    pub(crate) connections: Vec<ConnectionStatus>,
    /// All data stores and groups of the chosen VPCs, and the instances that could have a connection.
    pub(crate) survey: Survey,
    /// Each VPC that has something opted in or owned, with the plan for it.
    pub(crate) planned: Vec<Planned>,
    /// The gaps in all of that.
    pub(crate) gaps: Vec<Gap>,
}

impl Gathered {
    /// The names of the instances that were found.
    pub(crate) fn instance_names(&self) -> InstanceNames {
        let observed = self.planned.iter().flat_map(|(seen, _)| &seen.instances.found);
        self.survey.instances.found.iter().chain(observed).collect()
    }
}

pub(crate) use self::record::json;

/// Reads the account and Region.
///
/// # Errors
/// Without credentials, and when a data store of the filter is not there.
pub(crate) async fn gather(session: &Session, filter: &Filter) -> CommandResult<Gathered> {
    let observed_at = session.now();
    let account = session.identity().await?.account;
    let vpcs = vpcs_of(session, &filter.scope).await?;
    let cloud = session.cloud()?;
    let looking = Box::pin(tagwire_engine::observe::survey(&cloud, (!vpcs.is_empty()).then_some(&vpcs)));
    let survey = waiting("Looking at data stores, groups and instances", looking).await;
    let chosen: Vec<VpcId> = vpcs.into_iter().collect();
    let scopes = if chosen.is_empty() { session.vpcs_of_interest().await? } else { Reading::complete(chosen) };
    let planned = Box::pin(plans(session, scopes.found.into_iter().map(|vpc| (vpc, Scope::Vpc)))).await?;
    let mut gaps = scopes.gaps;
    gaps.extend(survey.gaps().cloned());
    gaps.extend(planned.iter().flat_map(|(seen, _)| seen.gaps().cloned()));
    gaps.sort();
    gaps.dedup();
    let of_plans: Vec<_> = planned.iter().map(|(seen, checked)| (seen, checked.plan())).collect();
    let mut connections = connections(&survey, &of_plans);
    if gaps.is_empty() {
        expect_stores(&filter.scope.store, &survey, &connections, session.region())?;
    }
    connections.retain(|row| filter.takes(row));
    let region = session.region().to_owned();
    Ok(Gathered { observed_at, account, region, connections, survey, planned, gaps })
}

/// The VPCs that are to be read: those that are chosen, or else those of the chosen instances and data stores; none
/// stand for all.
///
/// # Errors
/// When a chosen VPC or instance is not there.
async fn vpcs_of(session: &Session, scope: &ScopeArgs) -> CommandResult<BTreeSet<VpcId>> {
    session.require_vpcs(&scope.vpcs.vpc).await?;
    let mut vpcs = BTreeSet::new();
    for instance in &scope.instance {
        vpcs.insert(session.vpc_of(&instance.id(session).await?).await?);
    }
    if !scope.vpcs.vpc.is_empty() {
        return Ok(scope.vpcs.vpc.iter().cloned().collect());
    }
    if scope.instance.is_empty() {
        for called in &scope.store {
            match session.vpcs_of_stores(called).await? {
                found if found.is_empty() => return Ok(BTreeSet::new()),
                found => vpcs.extend(found),
            }
        }
    }
    Ok(vpcs)
}

/// Refuses names that no data store has: a slip of the pen would pass for a data store without clients.
fn expect_stores(called: &[String], survey: &Survey, rows: &[ConnectionStatus], region: &str) -> CommandResult<()> {
    let stores = || survey.stores.found.iter().map(|store| &store.arn).chain(rows.iter().map(|row| &row.store));
    let Some(unknown) = called.iter().find(|called| !stores().any(|store| is_called(store, called))) else {
        return Ok(());
    };
    if unknown.starts_with("arn:") {
        StoreArn::parse(unknown)?;
    } else {
        kinds_and_name(unknown)?;
    }
    Err(no_such_store(unknown, region))
}

pub(crate) async fn run(global: &GlobalArgs, args: StatusArgs) -> CommandResult<ExitCode> {
    let session = Session::open(global).await?;
    let filter = args.filter.with_ids(&session).await?;
    let gathered = Box::pin(gather(&session, &filter)).await?;
    print(&match args.output {
        StatusFormat::Table => table::text(&gathered, &filter, table::Columns::Few, !args.no_headers),
        StatusFormat::Wide => table::text(&gathered, &filter, table::Columns::All, !args.no_headers),
        StatusFormat::Json => format!("{:#}\n", record::json(&gathered)),
        StatusFormat::Csv => record::csv(&gathered)?,
        StatusFormat::Dot => graph::dot(&gathered.connections),
        StatusFormat::Mermaid => graph::mermaid(&gathered.connections),
    })?;
    require_complete(&gathered.gaps, "the list of connections")?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
pub(crate) mod tests {
    use clap::Parser;
    use tagwire_core::{check::check, plan::plan};
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
            record::csv(gathered).unwrap(),
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

    #[test]
    fn a_data_store_that_nobody_knows_is_an_error_and_one_without_clients_is_none() {
        let all = gathered("instance i-1 connect=a\ndb one connect=a\ndb lonely");
        let expect = |called: &str| expect_stores(&[called.to_owned()], &all.survey, &all.connections, "eu-central-1");
        assert!(expect("lonely").is_ok() && expect("db/one").is_ok());
        assert!(expect("cluster/one").unwrap_err().to_string().contains("cluster/one"));
    }
}
