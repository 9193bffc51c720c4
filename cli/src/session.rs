//! The session that every command works in: the caller's AWS, and the installation there.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use tagwire_aws::{
    Aws, AwsSettings, ConfigOverrides, Identity, ProfileError, QueueUrls, SdkConfig, Stack, Stacks, SystemClock,
    instances_named, load_config_with, vpcs_by_id,
};
use tagwire_core::{
    check::{CheckedPlan, check},
    id::{InstanceId, StoreArn, VpcId},
    observation::{Observation, Reading, Scope, StoreLookup},
    plan::plan,
    service::StoreKind,
    untrusted::Untrusted,
};
use tagwire_engine::{
    cloud::{Clock, CloudError, Groups, Instances, Observe},
    observe::{observe, vpcs_of_interest, vpcs_to_take_back},
    paced::{Paced, Pacing},
};

use crate::{
    error::{CommandError, CommandErrorKind, CommandResult, user_error},
    installation::{Installation, Overrides},
    output::{Colours, warn},
    progress::waiting,
};

/// For how long one reading may go on, retries included.
const READING_TIME: Duration = Duration::from_mins(5);

/// Options of every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct GlobalArgs {
    /// The profile of the shared AWS configuration.
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) profile: Option<String>,
    /// The AWS Region.
    #[arg(long, global = true, hide_short_help = true)]
    region: Option<String>,
    /// One endpoint for all AWS services.
    #[arg(long, global = true, hide_short_help = true, value_parser = parse_endpoint)]
    endpoint_url: Option<String>,
    /// When to use colours.
    #[arg(long, global = true, hide_short_help = true, value_enum, default_value_t = Colours::Auto,
        value_name = "WHEN")]
    pub(crate) color: Colours,
    /// Show no notes and no progress, only results, questions and errors.
    #[arg(long, short, global = true, hide_short_help = true)]
    pub(crate) quiet: bool,
    /// Tell of each call of AWS on standard error: the operation, how long it took, and the id of the request.
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) debug: bool,
    #[command(flatten)]
    pub(crate) installation: Overrides,
    /// Whether this is one of many Regions: then it says nothing of where tagwire is not installed.
    #[arg(skip)]
    is_of_many: bool,
}

impl GlobalArgs {
    /// The same options for a Region of many.
    pub(crate) fn of_many(&self, region: &str) -> Self {
        Self { region: Some(region.to_owned()), is_of_many: true, ..self.clone() }
    }

    /// The configuration of the caller's AWS clients.
    ///
    /// # Errors
    /// When the profile that was chosen is not there.
    pub(crate) async fn config(&self) -> CommandResult<SdkConfig> {
        let overrides = ConfigOverrides {
            profile: self.profile.clone(),
            region: self.region.clone(),
            endpoint_url: self.endpoint_url.clone(),
        };
        load_config_with(&overrides).await.map_err(no_profile)
    }

    /// The error for credentials that are not there, in one line with what to do about it.
    fn without_credentials(&self, error: &CloudError) -> CommandError {
        let cause = error.message.rsplit(": ").next().unwrap_or_default();
        let (message, sign_in) = match &self.profile {
            Some(profile) => (
                format!("the profile {profile} gives no credentials: {cause}"),
                format!("sign in with `aws sso login --profile {profile}`, or choose another profile with --profile"),
            ),
            None => (
                "no AWS credentials were found".to_owned(),
                "sign in with `aws configure` or `aws sso login`, and choose a profile with --profile or AWS_PROFILE"
                    .to_owned(),
            ),
        };
        CommandError::new(CommandErrorKind::User, message).hint(sign_in)
    }
}

/// The error for a profile that is not there.
fn no_profile(error: ProfileError) -> CommandError {
    let hint = match &error {
        ProfileError::Unknown { name, known } if known.is_empty() => {
            format!("`aws configure --profile {name}` makes it")
        }
        ProfileError::Unknown { known, .. } => format!("the profiles are {}", known.join(", ")),
        ProfileError::Unreadable(_) => "look at ~/.aws/config and ~/.aws/credentials".to_owned(),
    };
    CommandError::from(error).hint(hint)
}

/// An endpoint as the AWS clients take it; others fail in each call, with an error that nobody understands.
fn parse_endpoint(text: &str) -> Result<String, &'static str> {
    let is_url = text.starts_with("http://") || text.starts_with("https://");
    is_url.then(|| text.to_owned()).ok_or("it is no URL such as http://localhost:4566")
}

/// An observation of a VPC, and the plan for it.
pub(crate) type Planned = (Observation, CheckedPlan);

/// The account and Region that a plan is about, and the names of its VPCs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) names: BTreeMap<VpcId, Option<Untrusted>>,
}

impl Place {
    /// The line above what is in a VPC.
    pub(crate) fn of(&self, vpc: &VpcId) -> String {
        let name = self.names.get(vpc).and_then(Option::as_ref).map(|name| format!(" ({name})")).unwrap_or_default();
        format!("{} / {} / {vpc}{name}", self.account, self.region)
    }
}

/// The caller's AWS and the installation.
pub(crate) struct Session {
    /// The configuration of the caller's AWS clients.
    pub(crate) config: SdkConfig,
    /// The cloud.
    pub(crate) aws: Aws,
    /// The stack; `None` when there is none here, or it cannot be read.
    pub(crate) stack: Option<Stack>,
    /// The settings that the stack was deployed with.
    pub(crate) installation: Installation,
    clock: SystemClock,
    pacing: Pacing,
}

impl Session {
    /// Opens a session with the installation in the caller's account and Region.
    ///
    /// # Errors
    /// Without a Region, and when the stack is none of tagwire's.
    pub(crate) async fn open(global: &GlobalArgs) -> CommandResult<Self> {
        let config = global.config().await?;
        if config.region().is_none() {
            return Err(user_error!("no AWS Region is set")
                .hint("give --region, set AWS_REGION, or choose a profile that has one with --profile"));
        }
        let chosen = global.installation.stack_name.as_deref();
        let stack = match waiting("Looking for the stack", Stacks::new(&config).find(chosen)).await {
            Ok(Some(stack)) => Some(stack),
            Ok(None) => {
                if let Some(name) = chosen {
                    return Err(user_error!("there is no stack named {name} in this account and Region")
                        .hint("without --stack-name, tagwire finds the stack that has the SSM parameter /tagwire/installation"));
                }
                if !global.is_of_many {
                    warn("tagwire is not installed in this account and Region; the template's defaults are assumed");
                }
                None
            }
            Err(error) if error.code == "no-credentials" => {
                return Err(global.without_credentials(&error));
            }
            Err(error) if chosen.is_some() => return Err(error.into()),
            Err(error) => {
                warn(&format!("the stack cannot be read, so the template's defaults are assumed: {error}"));
                None
            }
        };
        let installation = global.installation.resolve(stack.as_ref())?;
        Ok(Self::with_stack(config, stack, installation))
    }

    /// A session with a stack that was looked up already.
    pub(crate) fn with_stack(config: SdkConfig, stack: Option<Stack>, installation: Installation) -> Self {
        let connect = stack.as_ref().and_then(|stack| stack.outputs.get("ConnectQueueUrl")).cloned();
        let settings = AwsSettings {
            connect_key: installation.tag_key.clone(),
            state_table: installation.state_table.clone(),
            queues: QueueUrls { connect, ..QueueUrls::default() },
            ..AwsSettings::default()
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
    /// When the system's clock is beyond the calendar.
    pub(crate) fn cloud(&self) -> CommandResult<Paced<'_, Aws, SystemClock>> {
        let deadline = self.now().checked_add(READING_TIME).context("the system's clock is beyond the calendar")?;
        Ok(Paced::new(&self.aws, &self.clock, &self.pacing, deadline))
    }

    /// The caller's identity.
    ///
    /// # Errors
    /// Without credentials that AWS accepts.
    pub(crate) async fn identity(&self) -> CommandResult<Identity> {
        Ok(tagwire_aws::identity(&self.config).await?)
    }

    /// The VPCs that are chosen, or else every one that has something opted in or owned.
    ///
    /// # Errors
    /// When a chosen VPC is not there.
    pub(crate) async fn vpcs(&self, chosen: &[VpcId]) -> CommandResult<Reading<VpcId>> {
        if !chosen.is_empty() {
            self.require_vpcs(chosen).await?;
            return Ok(Reading::complete(chosen.to_vec()));
        }
        self.vpcs_of_interest().await
    }

    /// Every VPC that has something opted in or owned.
    pub(crate) async fn vpcs_of_interest(&self) -> CommandResult<Reading<VpcId>> {
        Ok(waiting("Looking for VPCs", vpcs_of_interest(&self.cloud()?)).await)
    }

    /// Refuses VPCs that are not there: in one of those, nothing would be pending for ever.
    ///
    /// # Errors
    /// When a chosen VPC is not there.
    pub(crate) async fn require_vpcs(&self, chosen: &[VpcId]) -> CommandResult<()> {
        if chosen.is_empty() {
            return Ok(());
        }
        match waiting("Looking for VPCs", vpcs_by_id(&self.config, chosen)).await {
            Ok(found) => match chosen.iter().find(|vpc| !found.contains_key(vpc)) {
                Some(missing) => Err(user_error!("there is no VPC {missing} in {}", self.region())),
                None => Ok(()),
            },
            // Whoever may not ask for VPCs may still read what is in them.
            Err(error) => {
                warn(&format!("whether the chosen VPCs are there is not known: {error}"));
                Ok(())
            }
        }
    }

    /// Where some VPCs are. Their names are left out where they cannot be read.
    ///
    /// # Errors
    /// Without credentials that AWS accepts.
    pub(crate) async fn place(&self, vpcs: impl IntoIterator<Item = VpcId>) -> CommandResult<Place> {
        let account = self.identity().await?.account;
        let vpcs: Vec<VpcId> = vpcs.into_iter().collect();
        let names = match vpcs.as_slice() {
            [] => BTreeMap::new(),
            vpcs => vpcs_by_id(&self.config, vpcs).await.unwrap_or_default(),
        };
        Ok(Place { account, region: self.region().to_owned(), names })
    }

    /// The same, and every VPC that tagwire is being uninstalled from, whatever is left there.
    ///
    /// # Errors
    /// When a chosen VPC is not there.
    pub(crate) async fn vpcs_to_take_back(&self, chosen: &[VpcId]) -> CommandResult<Reading<VpcId>> {
        if !chosen.is_empty() {
            self.require_vpcs(chosen).await?;
            return Ok(Reading::complete(chosen.to_vec()));
        }
        Ok(waiting("Looking for VPCs", Box::pin(vpcs_to_take_back(&self.cloud()?))).await)
    }

    /// Observes a scope of a VPC, as `connect` does.
    ///
    /// # Errors
    /// Those of [`Session::cloud`]; a failed call is a gap in the observation.
    pub(crate) async fn observe(&self, vpc: &VpcId, scope: Scope) -> CommandResult<Observation> {
        let cloud = self.cloud()?;
        let looking = Box::pin(observe(&cloud, vpc, scope, self.now(), BTreeSet::new()));
        Ok(waiting(&format!("Looking at {vpc}"), looking).await)
    }

    /// The plan that `connect` would make of an observation. Its findings name the parts that the checker
    /// left out of it.
    pub(crate) fn plan(&self, seen: Observation) -> Planned {
        let policy = &self.installation.policy;
        let checked = check(plan(&seen, policy), &seen, policy).unwrap_or_else(|rejection| rejection.remaining);
        (seen, checked)
    }

    /// The VPC of an instance.
    ///
    /// # Errors
    /// When the instance is not there, has no interface any more, or cannot be read.
    pub(crate) async fn vpc_of(&self, instance: &InstanceId) -> CommandResult<VpcId> {
        let cloud = self.cloud()?;
        let read =
            waiting("Looking for the instance", cloud.instances(Instances::Ids(&[instance.clone()].into()))).await;
        if let Some(found) = read.found.first() {
            let interface = found.interface.as_ref();
            let vpc = interface.map(|interface| interface.vpc.clone());
            return vpc
                .ok_or_else(|| user_error!("{instance} is shutting down or terminated: it has no interface left"));
        }
        match read.gaps.first() {
            Some(gap) => Err(CommandError::unread(instance, Some(gap))),
            None => Err(user_error!("there is no instance {instance} in {}", self.region())),
        }
    }

    /// The instances with a `Name` tag of this value.
    ///
    /// # Errors
    /// When that cannot be read.
    pub(crate) async fn instances_named(&self, name: &str) -> CommandResult<Vec<InstanceId>> {
        Ok(instances_named(&self.config, name).await?)
    }

    /// Looks for every data store that a person calls so: one for each kind may have the name.
    ///
    /// # Errors
    /// When no data store can be called so.
    pub(crate) async fn stores_called(&self, called: &str) -> CommandResult<Reading<StoreLookup>> {
        let arns = if called.starts_with("arn:") {
            [StoreArn::parse(called)?].into()
        } else {
            self.arns_called(called, &self.identity().await?)?
        };
        let cloud = self.cloud()?;
        Ok(waiting("Looking for the data store", cloud.stores(&arns)).await)
    }

    /// The ARNs that data stores called so would have, one for each kind.
    fn arns_called(&self, called: &str, identity: &Identity) -> CommandResult<BTreeSet<StoreArn>> {
        let (kinds, name) = kinds_and_name(called)?;
        let partition = identity.partition()?;
        let arns: Result<_, _> = kinds
            .into_iter()
            .map(|kind| StoreArn::of(&partition, kind, self.region(), &identity.account, name))
            .collect();
        Ok(arns.with_context(|| format!("{called:?} cannot be the name of a data store"))?)
    }

    /// The data store that a person calls so: by ARN, as `cluster/orders`, or by name when only one has it.
    ///
    /// # Errors
    /// When no store, or more than one, has that name.
    pub(crate) async fn store(&self, called: &str) -> CommandResult<StoreArn> {
        self.find_store(called).await?.ok_or_else(|| no_such_store(called, self.region()))
    }

    /// Likewise, also when the data store is gone and there are still groups that were made for it.
    ///
    /// # Errors
    /// When nothing, or more than one, has that name.
    pub(crate) async fn store_or_remains(&self, called: &str) -> CommandResult<StoreArn> {
        if let Some(found) = self.find_store(called).await? {
            return Ok(found);
        }
        let read = waiting("Looking for what is left of it", self.cloud()?.groups(Groups::OwnedAnywhere)).await;
        let arns = read.found.iter().filter_map(|group| group.ownership().ours()?.arn);
        let arns: BTreeSet<StoreArn> =
            arns.filter(|arn| [arn.as_str(), &arn.short(), arn.name()].contains(&called)).collect();
        let mut arns = arns.into_iter();
        arns.next().filter(|_| arns.len() == 0).ok_or_else(|| no_such_store(called, self.region()))
    }

    /// # Errors
    /// When more than one has that name, or not all could be read.
    async fn find_store(&self, called: &str) -> CommandResult<Option<StoreArn>> {
        if called.starts_with("arn:") {
            let arn = StoreArn::parse(called)?;
            if arn.region() != self.region() {
                return Err(
                    user_error!("{arn} is not in {}", self.region()).hint(format!("give --region {}", arn.region()))
                );
            }
            return Ok(Some(arn));
        }
        let arns = self.arns_called(called, &self.identity().await?)?;
        let cloud = self.cloud()?;
        let read = waiting("Looking for the data store", cloud.stores(&arns)).await;
        let found = read.found.iter().filter_map(|lookup| match lookup {
            StoreLookup::Found(store) => Some(&store.arn),
            StoreLookup::NotFound(_) => None,
        });
        let found: Vec<&StoreArn> = found.collect();
        match (found.as_slice(), read.gaps.first()) {
            ([only], _) => Ok(Some((*only).clone())),
            ([], Some(gap)) => Err(CommandError::unread(format_args!("the data store {called}"), Some(gap))),
            ([], None) => Ok(None),
            (several, _) => {
                let several: Vec<String> = several.iter().map(|arn| arn.short()).collect();
                Err(user_error!("{called} is the name of several data stores")
                    .hint(format!("say which: {}", several.join(", "))))
            }
        }
    }
}

/// The error for a data store that is not there, however it is called, in every command.
pub(crate) fn no_such_store(called: &str, region: &str) -> CommandError {
    user_error!("there is no data store {called} in {region}")
        .hint("`tagwire explain` shows what is left of one that was deleted, and `tagwire status` the others")
}

/// The kinds of data store that `called` may mean, and the name in it.
///
/// # Errors
/// When the word before the slash is no kind.
pub(crate) fn kinds_and_name(called: &str) -> CommandResult<(Vec<StoreKind>, &str)> {
    let Some((word, name)) = called.split_once('/') else { return Ok((StoreKind::ALL.to_vec(), called)) };
    let kind = StoreKind::ALL.iter().copied().find(|kind| kind.row().word == word).ok_or_else(|| {
        let words: Vec<&str> = StoreKind::ALL.iter().map(|kind| kind.row().word).collect();
        user_error!("{called:?}: {word:?} is none of the kinds of data store")
            .hint(format!("the kinds are {}", words.join(", ")))
    })?;
    Ok((vec![kind], name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_store_is_named_with_its_kind_or_without() {
        assert_eq!(kinds_and_name("cluster/orders").unwrap(), (vec![StoreKind::DbCluster], "orders"));
        assert_eq!(kinds_and_name("orders").unwrap(), (StoreKind::ALL.to_vec(), "orders"));
        let error = kinds_and_name("warehouse/orders").unwrap_err();
        assert_eq!(error.to_string(), "\"warehouse/orders\": \"warehouse\" is none of the kinds of data store");
        assert_eq!(error.hints, ["the kinds are cluster, db, replicationgroup, cache, serverlesscache, redshift"]);
    }

    #[test]
    fn an_endpoint_is_a_url() {
        for url in ["http://127.0.0.1:4566", "https://aws.test"] {
            assert_eq!(parse_endpoint(url).as_deref(), Ok(url));
        }
        assert!(parse_endpoint("localhost:4566").is_err());
    }
}
