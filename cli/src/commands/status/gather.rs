//! Reading what a list of connections needs, and no more.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join;
use jiff::Timestamp;
use tagwire_core::{
    connections::{ConnectionStatus, Survey, connections},
    finding::{Reason, Subject},
    id::{StoreArn, VpcId},
    model::DataStore,
    observation::{Gap, Reading, Scope, StoreLookup},
};
use tagwire_engine::{
    cloud::{Instances, Observe},
    observe::{survey, survey_of},
};

use super::{Filter, is_called};
use crate::{
    commands::plan::plans,
    error::CommandResult,
    instance_names::InstanceNames,
    progress::waiting,
    scope_args::ScopeArgs,
    session::{Planned, Session, kinds_and_name, no_such_store},
};

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

    /// Whether there is a connection, something pending, or something that could not be read.
    pub(super) fn has_something(&self) -> bool {
        !self.connections.is_empty() || !self.planned.is_empty() || !self.gaps.is_empty()
    }
}

/// What is to be read.
enum Extent {
    /// The account and Region.
    Everything,
    /// All of some VPCs.
    Vpcs(BTreeSet<VpcId>),
    /// What can have a connection with some data stores, of which those are planned that are in a chosen VPC.
    Stores(Vec<DataStore>),
}

/// Reads the account and Region, as far as the filter needs.
///
/// # Errors
/// Without credentials, and when a data store of the filter is not there.
pub(crate) async fn gather(session: &Session, filter: &Filter) -> CommandResult<Gathered> {
    let observed_at = session.now();
    let account = session.identity().await?.account;
    let (survey, planned, mut gaps) = match extent(session, &filter.scope).await? {
        Extent::Stores(stores) => of_stores(session, stores, &filter.scope.vpcs.vpc).await?,
        Extent::Vpcs(vpcs) => of_vpcs(session, Some(vpcs)).await?,
        Extent::Everything => of_vpcs(session, None).await?,
    };
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

/// A survey, the plans, and the gaps in finding out what to plan.
type Read = (Survey, Vec<Planned>, Vec<Gap>);

/// Reads all of some VPCs, or of the account and Region.
async fn of_vpcs(session: &Session, vpcs: Option<BTreeSet<VpcId>>) -> CommandResult<Read> {
    let cloud = session.cloud()?;
    let looking = Box::pin(survey(&cloud, vpcs.as_ref()));
    let survey = waiting("Looking at data stores, groups and instances", looking).await;
    let scopes = match vpcs {
        Some(vpcs) => Reading::complete(vpcs.into_iter().collect()),
        None => session.vpcs_of_interest().await?,
    };
    let planned = Box::pin(plans(session, scopes.found.into_iter().map(|vpc| (vpc, Scope::Vpc)))).await?;
    Ok((survey, planned, scopes.gaps))
}

/// Reads what can have a connection with some data stores.
async fn of_stores(session: &Session, stores: Vec<DataStore>, chosen: &[VpcId]) -> CommandResult<Read> {
    let mut scopes = BTreeMap::<VpcId, BTreeSet<StoreArn>>::new();
    for store in &stores {
        if let Some(vpc) = store.vpc().filter(|vpc| chosen.is_empty() || chosen.contains(vpc)) {
            scopes.entry(vpc.clone()).or_default().insert(store.arn.clone());
        }
    }
    let cloud = session.cloud()?;
    let scopes = scopes.into_iter().map(|(vpc, stores)| (vpc, Scope::of_stores(stores)));
    let looking = join(survey_of(&cloud, stores), plans(session, scopes));
    let (mut survey, planned) = Box::pin(looking).await;
    let planned = planned?;
    // Only then does somebody want to know which names there are.
    for (seen, checked) in &planned {
        let is_alone = |reason: &Reason| matches!(reason, Reason::NoMatch { .. });
        let of_store = |subject: &Subject| matches!(subject, Subject::Store(_));
        if checked.plan().findings.iter().any(|finding| of_store(&finding.subject) && is_alone(&finding.reason)) {
            let named = Instances::OptedIn { vpc: &seen.vpc, names: None };
            survey.instances.extend(cloud.instances(named).await);
        }
    }
    Ok((survey, planned, Vec::new()))
}

/// What is to be read: what the data stores of the filter need, or else the chosen VPCs, or those of the chosen
/// instances.
///
/// # Errors
/// When a chosen VPC or instance is not there.
async fn extent(session: &Session, scope: &ScopeArgs) -> CommandResult<Extent> {
    session.require_vpcs(&scope.vpcs.vpc).await?;
    let mut vpcs = BTreeSet::new();
    for instance in &scope.instance {
        vpcs.insert(session.vpc_of(&instance.id(session).await?).await?);
    }
    if !scope.store.is_empty()
        && let Some(stores) = stores_called(session, &scope.store).await?
    {
        return Ok(Extent::Stores(stores));
    }
    let chosen: BTreeSet<VpcId> = scope.vpcs.vpc.iter().cloned().collect();
    Ok(match (chosen.is_empty(), vpcs.is_empty()) {
        (false, _) => Extent::Vpcs(chosen),
        (true, false) => Extent::Vpcs(vpcs),
        (true, true) => Extent::Everything,
    })
}

/// The data stores that are called so; `None` when one is not there, for what is left of it may be anywhere, and when
/// it is not known whether all were found.
async fn stores_called(session: &Session, called: &[String]) -> CommandResult<Option<Vec<DataStore>>> {
    let mut stores = BTreeMap::new();
    for called in called {
        let read = session.stores_called(called).await?;
        let found = read.found.into_iter().filter_map(|lookup| match lookup {
            StoreLookup::Found(store) => Some(*store),
            StoreLookup::NotFound(_) => None,
        });
        let found: Vec<DataStore> = found.collect();
        if !read.gaps.is_empty() || found.is_empty() || found.iter().any(|store| store.vpc().is_none()) {
            return Ok(None);
        }
        stores.extend(found.into_iter().map(|store| (store.arn.clone(), store)));
    }
    Ok(Some(stores.into_values().collect()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::status::tests::gathered;

    #[test]
    fn a_data_store_that_nobody_knows_is_an_error_and_one_without_clients_is_none() {
        let all = gathered("instance i-1 connect=a\ndb one connect=a\ndb lonely");
        let expect = |called: &str| expect_stores(&[called.to_owned()], &all.survey, &all.connections, "eu-central-1");
        assert!(expect("lonely").is_ok() && expect("db/one").is_ok());
        assert!(expect("cluster/one").unwrap_err().to_string().contains("cluster/one"));
    }
}
