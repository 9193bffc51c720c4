//! The arguments by which `plan`, `apply` and `status` are narrowed down.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use tagwire_core::{
    id::{StoreArn, VpcId},
    observation::{Reading, Scope, StoreLookup},
    plan::vpc_of,
};
use tagwire_engine::cloud::Observe;

use crate::{
    error::{CommandError, CommandResult, user_error},
    instance_names::InstanceArgument,
    progress::waiting,
    session::{Session, no_such_store},
};

/// The VPCs to look at.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct VpcArgs {
    /// Only this VPC (may be given more than once).
    #[arg(long, value_parser = |text: &str| VpcId::parse(text))]
    pub(crate) vpc: Vec<VpcId>,
}

/// The VPCs, instances and data stores to look at.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ScopeArgs {
    #[command(flatten)]
    pub(crate) vpcs: VpcArgs,
    /// Only this instance: its id, or its Name if no other has it (may be given more than once).
    #[arg(long)]
    pub(crate) instance: Vec<InstanceArgument>,
    /// Only this data store: its ARN, cluster/orders, or its name (may be given more than once).
    #[arg(long)]
    pub(crate) store: Vec<String>,
}

/// The scope of each VPC that a command looks at, and the gaps of the search for them.
pub(crate) type Scopes = Reading<(VpcId, Scope)>;

impl ScopeArgs {
    /// The scope of each VPC to look at: with no argument, all of every VPC that has something opted in or owned.
    ///
    /// # Errors
    /// When a VPC, instance or data store does not exist or cannot be read.
    pub(crate) async fn scopes(&self, session: &Session) -> CommandResult<Scopes> {
        let chosen = &self.vpcs.vpc;
        if self.instance.is_empty() && self.store.is_empty() {
            let vpcs = session.vpcs(chosen).await?;
            let found = vpcs.found.into_iter().map(|vpc| (vpc, Scope::Vpc)).collect();
            return Ok(Reading { found, gaps: vpcs.gaps });
        }
        let mut stores = BTreeSet::new();
        for called in &self.store {
            stores.insert(session.store(called).await?);
        }
        session.require_vpcs(chosen).await?;
        let mut scopes = BTreeMap::<VpcId, Scope>::new();
        let mut add = |vpc: VpcId, scope: Scope| {
            let both = match scopes.remove(&vpc) {
                Some(before) => scope.merged(before),
                None => scope,
            };
            scopes.insert(vpc, both);
        };
        for instance in &self.instance {
            let instance = instance.id(session).await?;
            add(session.vpc_of(&instance).await?, Scope::of_instances([instance].into()));
        }
        for store in stores {
            add(vpc_of_store(session, &store).await?, Scope::of_stores([store].into()));
        }
        // A chosen VPC that has none of them is a slip of the pen.
        if let Some(empty) = chosen.iter().find(|vpc| !scopes.contains_key(vpc)) {
            let places: Vec<&str> = scopes.keys().map(VpcId::as_str).collect();
            return Err(user_error!("none of the chosen instances and data stores is in {empty}")
                .hint(format!("they are in {}", places.join(", "))));
        }
        scopes.retain(|vpc, _| chosen.is_empty() || chosen.contains(vpc));
        Ok(Reading::complete(scopes.into_iter().collect()))
    }
}

/// The VPC of a data store.
///
/// # Errors
/// When the data store does not exist, is in no VPC, or cannot be read.
async fn vpc_of_store(session: &Session, store: &StoreArn) -> CommandResult<VpcId> {
    let cloud = session.cloud()?;
    let read = waiting("Looking for the data store", cloud.stores(&[store.clone()].into())).await;
    match (read.found.first(), read.gaps.first()) {
        (Some(StoreLookup::Found(store)), _) => vpc_of(store).cloned().map_err(|reason| {
            user_error!("no VPC of {} is known: {reason} ({})", store.arn, reason.code()).hint(reason.hint())
        }),
        (Some(StoreLookup::NotFound(_)), _) => Err(no_such_store(store.as_str(), session.region())),
        (None, gap) => Err(CommandError::unread(store, gap)),
    }
}
