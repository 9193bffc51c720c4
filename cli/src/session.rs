//! What every command works with: the caller's AWS, and the installation that it looks at.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use jiff::Timestamp;
use tagwire_aws::{
    Aws, AwsSettings, ConfigOverrides, Identity, QueueUrls, SdkConfig, Stack, Stacks, SystemClock, load_config_with,
};
use tagwire_core::{
    check::{CheckedPlan, check},
    id::{InstanceId, StoreArn, StoreKind, VpcId},
    observation::{Observation, Reading, Scope, StoreLookup},
    plan::plan,
};
use tagwire_engine::{
    cloud::{Clock, Instances, Observe},
    observe::{observe, vpcs_of_interest},
    paced::{Paced, Pacing},
};

use crate::{
    installation::{Installation, Overrides},
    output::{Colours, warn},
    progress::waiting,
};

/// For how long one reading may go on, retries included.
const READING_TIME: Duration = Duration::from_mins(5);

/// Options of every command.
#[derive(Args, Debug)]
#[command(next_help_heading = "Where, and as whom")]
pub(crate) struct Global {
    /// The profile of the shared AWS configuration.
    #[arg(long, global = true)]
    pub(crate) profile: Option<String>,
    /// The AWS Region.
    #[arg(long, global = true)]
    region: Option<String>,
    /// One endpoint for all AWS services.
    #[arg(long, global = true)]
    endpoint_url: Option<String>,
    /// When to use colours.
    #[arg(long, global = true, value_enum, default_value_t = Colours::Auto, value_name = "WHEN")]
    pub(crate) color: Colours,
    #[command(flatten)]
    pub(crate) installation: Overrides,
}

impl Global {
    /// What clients of the caller's AWS are made from.
    pub(crate) async fn config(&self) -> SdkConfig {
        let overrides = ConfigOverrides {
            profile: self.profile.clone(),
            region: self.region.clone(),
            endpoint_url: self.endpoint_url.clone(),
        };
        load_config_with(&overrides).await
    }
}

/// What was seen of a VPC, and what is planned for it.
pub(crate) type Planned = (Observation, CheckedPlan);

/// The caller's AWS and the installation.
pub(crate) struct Session {
    /// What further clients are made from.
    pub(crate) config: SdkConfig,
    /// The cloud.
    pub(crate) aws: Aws,
    /// The stack; none when there is none here, or it may not be read.
    pub(crate) stack: Option<Stack>,
    /// What it was deployed with.
    pub(crate) installation: Installation,
    clock: SystemClock,
    pacing: Pacing,
}

impl Session {
    /// Finds out who is calling, where, and how tagwire is installed there.
    ///
    /// # Errors
    /// Without a Region, and when the stack makes no sense.
    pub(crate) async fn open(global: &Global) -> Result<Self> {
        let config = global.config().await;
        if config.region().is_none() {
            bail!(
                "no AWS Region is set: give --region, set AWS_REGION, or choose a profile that has one with --profile"
            );
        }
        let chosen = global.installation.stack_name.as_deref();
        let stack = match waiting("Looking for the stack", Stacks::new(&config).find(chosen)).await {
            Ok(Some(stack)) => Some(stack),
            Ok(None) => {
                if let Some(name) = chosen {
                    bail!("there is no stack named {name} in this account and Region");
                }
                warn("tagwire is not installed in this account and Region; the template's defaults are assumed");
                None
            }
            Err(error) if chosen.is_some() => return Err(error.into()),
            Err(error) => {
                warn(&format!("the stack cannot be read, so the template's defaults are assumed: {error}"));
                None
            }
        };
        let installation = global.installation.resolve(stack.as_ref())?;
        Ok(Self::of(config, stack, installation))
    }

    /// The same, of what was found out already.
    pub(crate) fn of(config: SdkConfig, stack: Option<Stack>, installation: Installation) -> Self {
        let connect = stack.as_ref().and_then(|stack| stack.outputs.get("ConnectQueueUrl")).cloned();
        let settings = AwsSettings {
            connect_key: installation.tag_key.clone(),
            state_table: installation.state_table.clone(),
            queues: QueueUrls { connect, ..QueueUrls::default() },
        };
        let aws = Aws::new(&config, settings);
        Self { config, aws, stack, installation, clock: SystemClock, pacing: Pacing::default() }
    }

    /// The Region.
    pub(crate) fn region(&self) -> &str {
        self.config.region().map_or("", AsRef::as_ref)
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The cloud, with the engine's own retries, for one reading from now on.
    ///
    /// # Errors
    /// When the machine's clock is out of its mind.
    pub(crate) fn cloud(&self) -> Result<Paced<'_, Aws, SystemClock>> {
        let deadline = self.now().checked_add(READING_TIME).context("the system's clock is beyond all calendars")?;
        Ok(Paced::new(&self.aws, &self.clock, &self.pacing, deadline))
    }

    /// Who is calling.
    ///
    /// # Errors
    /// Without credentials that AWS accepts.
    pub(crate) async fn identity(&self) -> Result<Identity> {
        Ok(tagwire_aws::identity(&self.config).await?)
    }

    /// The VPCs that are chosen, or else every one that has something opted in or owned.
    pub(crate) async fn vpcs(&self, chosen: &[VpcId]) -> Result<Reading<VpcId>> {
        if !chosen.is_empty() {
            return Ok(Reading::complete(chosen.to_vec()));
        }
        Ok(waiting("Looking for VPCs", vpcs_of_interest(&self.cloud()?)).await)
    }

    /// Looks at a scope of a VPC as `connect` does.
    pub(crate) async fn observe(&self, vpc: &VpcId, scope: Scope) -> Result<Observation> {
        let cloud = self.cloud()?;
        let looking = Box::pin(observe(&cloud, vpc, scope, self.now(), BTreeSet::new()));
        Ok(waiting(&format!("Looking at {vpc}"), looking).await)
    }

    /// What `connect` would do about what was seen.
    ///
    /// # Errors
    /// When the plan breaks an invariant, which is a defect.
    pub(crate) fn plan(&self, seen: Observation) -> Result<Planned> {
        let policy = &self.installation.policy;
        let checked = check(plan(&seen, policy), &seen, policy).map_err(|violations| {
            let message: Vec<String> = violations.iter().map(ToString::to_string).collect();
            let vpc = &seen.vpc;
            anyhow!("the plan for {vpc} breaks an invariant, which is a defect of tagwire: {}", message.join("; "))
        })?;
        Ok((seen, checked))
    }

    /// The VPC of an instance.
    ///
    /// # Errors
    /// When the instance is not there, has no interface any more, or cannot be read.
    pub(crate) async fn vpc_of(&self, instance: &InstanceId) -> Result<VpcId> {
        let cloud = self.cloud()?;
        let read =
            waiting("Looking for the instance", cloud.instances(Instances::Ids(&[instance.clone()].into()))).await;
        if let Some(found) = read.found.first() {
            let interface = found.interface.as_ref();
            let vpc = interface.map(|interface| interface.vpc.clone());
            return vpc.with_context(|| format!("{instance} is shutting down or terminated: it has no interface left"));
        }
        match read.gaps.first() {
            Some(gap) => bail!("{instance} cannot be read: {gap}"),
            None => bail!("there is no instance {instance} in {}", self.region()),
        }
    }

    /// The store that a person means: by ARN, as `cluster/orders`, or by name when only one has it.
    ///
    /// # Errors
    /// When no store, or more than one, has that name.
    pub(crate) async fn store(&self, called: &str) -> Result<StoreArn> {
        if called.starts_with("arn:") {
            return Ok(StoreArn::parse(called)?);
        }
        let account = self.identity().await?.account;
        let (kinds, name) = match called.split_once('/') {
            Some((word, name)) => {
                let kind = StoreKind::ALL.into_iter().find(|kind| kind.word() == word);
                let words: Vec<&str> = StoreKind::ALL.iter().map(|kind| kind.word()).collect();
                let kind = kind.with_context(|| format!("{called:?}: {word:?} is none of {}", words.join(", ")))?;
                (vec![kind], name)
            }
            None => (StoreKind::ALL.to_vec(), called),
        };
        let arns: Result<BTreeSet<StoreArn>, _> =
            kinds.into_iter().map(|kind| StoreArn::of(kind, self.region(), &account, name)).collect();
        let arns = arns.with_context(|| format!("{called:?} is no name of a data store"))?;
        let cloud = self.cloud()?;
        let read = waiting("Looking for the data store", cloud.stores(&arns)).await;
        let found = read.found.iter().filter_map(|lookup| match lookup {
            StoreLookup::Found(store) => Some(&store.arn),
            StoreLookup::NotFound(_) => None,
        });
        let found: Vec<&StoreArn> = found.collect();
        match (found.as_slice(), read.gaps.first()) {
            ([only], _) => Ok((*only).clone()),
            ([], Some(gap)) => bail!("no data store named {called} was found, and not all could be read: {gap}"),
            ([], None) => bail!("there is no data store named {called} in account {account}, {}", self.region()),
            (several, _) => {
                let several: Vec<String> = several.iter().map(|arn| arn.short()).collect();
                bail!("{called} is the name of several data stores; say which: {}", several.join(", "))
            }
        }
    }
}
