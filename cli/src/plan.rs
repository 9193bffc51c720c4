//! `tagwire plan`: the functions' own observe, plan and check, printed.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use tagwire_core::{
    id::{InstanceId, StoreArn, VpcId},
    observation::{Gap, Scope, StoreLookup},
};
use tagwire_engine::cloud::Observe;

use crate::{
    output::print,
    progress::waiting,
    session::{Global, Planned, Session},
    show,
};

/// Exit code for a plan that holds changes, as `terraform plan -detailed-exitcode` has it.
pub(crate) const CHANGES_PENDING: u8 = 2;

/// Shown below the options.
const EXAMPLE: &str = "\
Examples:\n  \
tagwire plan                                     # every VPC that has something opted in or owned\n  \
tagwire plan --instance i-0a1b2c3d               # what concerns one instance\n  \
tagwire plan --store cluster/orders -o json      # what concerns one data store, for a program\n\n\
Exit codes: 0 nothing to do, 1 error, 2 changes are pending.";

#[derive(Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The form of the output.
    #[arg(long, short, value_enum, default_value_t = Form::Text)]
    output: Form,
}

/// What to look at.
#[derive(Args, Clone, Default)]
pub(crate) struct Target {
    /// Only this VPC (may be given more than once); without it, every VPC that has something
    /// opted in or owned.
    #[arg(long, value_parser = |text: &str| VpcId::parse(text))]
    pub(crate) vpc: Vec<VpcId>,
    /// Only what concerns this instance (may be given more than once).
    #[arg(long, value_parser = |text: &str| InstanceId::parse(text))]
    pub(crate) instance: Vec<InstanceId>,
    /// Only what concerns this data store: its ARN, cluster/orders, or its name (may be given more
    /// than once).
    #[arg(long)]
    pub(crate) store: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Lines for people.
    Text,
    /// One JSON document.
    Json,
}

impl Target {
    /// The VPCs to look at, each with what to look at there, and what could not be read to find out.
    pub(crate) async fn scopes(&self, session: &Session) -> Result<(BTreeMap<VpcId, Scope>, Vec<Gap>)> {
        if self.instance.is_empty() && self.store.is_empty() {
            let vpcs = session.vpcs(&self.vpc).await?;
            return Ok((vpcs.found.into_iter().map(|vpc| (vpc, Scope::Vpc)).collect(), vpcs.gaps));
        }
        let mut stores = BTreeSet::new();
        for called in &self.store {
            stores.insert(session.store(called).await?);
        }
        if !self.vpc.is_empty() {
            let scope = Scope::Some { instances: self.instance.iter().cloned().collect(), stores };
            return Ok((self.vpc.iter().map(|vpc| (vpc.clone(), scope.clone())).collect(), Vec::new()));
        }
        let mut scopes = BTreeMap::new();
        let mut add = |vpc: VpcId, scope: Scope| {
            let both = match scopes.remove(&vpc) {
                Some(before) => scope.merged(before),
                None => scope,
            };
            scopes.insert(vpc, both);
        };
        for instance in &self.instance {
            add(session.vpc_of(instance).await?, Scope::of_instances([instance.clone()].into()));
        }
        for store in stores {
            add(vpc_of_store(session, &store).await?, Scope::of_stores([store].into()));
        }
        Ok((scopes, Vec::new()))
    }
}

async fn vpc_of_store(session: &Session, store: &StoreArn) -> Result<VpcId> {
    let cloud = session.cloud()?;
    let read = waiting("Looking for the data store", cloud.stores(&[store.clone()].into())).await;
    match (read.found.first(), read.gaps.first()) {
        (Some(StoreLookup::Found(store)), _) => match &store.vpc {
            Some(vpc) => Ok(vpc.clone()),
            None => bail!("{} is in no VPC (EC2-Classic was retired in 2022): restore it into one", store.arn),
        },
        (Some(StoreLookup::NotFound(_)), _) => {
            bail!("there is no data store {store}; give --vpc to look at what is left of it there")
        }
        (None, Some(gap)) => bail!("{store} cannot be read: {gap}"),
        (None, None) => bail!("{store} cannot be read"),
    }
}

/// Plans each scope.
pub(crate) async fn plans(session: &Session, scopes: BTreeMap<VpcId, Scope>) -> Result<Vec<Planned>> {
    let mut planned = Vec::new();
    for (vpc, scope) in scopes {
        let seen = session.observe(&vpc, scope).await?;
        planned.push(session.plan(seen)?);
    }
    Ok(planned)
}

/// Ends a command that did not see all there is.
pub(crate) fn complete(gaps: &[Gap], what: &str) -> Result<()> {
    match gaps {
        [] => Ok(()),
        [only] => bail!("something could not be read, so {what} is not complete: {only}"),
        [first, ..] => bail!("{} things could not be read, so {what} is not complete; the first: {first}", gaps.len()),
    }
}

pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<ExitCode> {
    let session = Session::open(global).await?;
    let (scopes, mut gaps) = arguments.target.scopes(&session).await?;
    let planned = plans(&session, scopes).await?;
    gaps.extend(planned.iter().flat_map(|(seen, _)| seen.gaps().cloned()));
    print(&match arguments.output {
        Form::Text => show::text(&planned, gaps.is_empty()),
        Form::Json => format!("{:#}\n", show::json(&planned)),
    })?;
    complete(&gaps, "the plan")?;
    let pending = planned.iter().any(|(_, checked)| !checked.plan().is_empty());
    Ok(if pending { ExitCode::from(CHANGES_PENDING) } else { ExitCode::SUCCESS })
}
