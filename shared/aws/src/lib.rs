//! The cloud's traits on the AWS SDKs: the only crate that names one.
//!
//! One file a service. Nothing here decides what is done; it reads what is there, writes what it
//! is told, and says in [`ErrorKind`] what an error means. The
//! SDKs' own retries are off, for the engine has one place that retries.

mod clock;
#[cfg(feature = "account")]
mod cloudformation;
#[cfg(feature = "account")]
mod cloudtrail;
mod dynamodb;
mod ec2;
mod elasticache;
mod error;
#[cfg(feature = "account")]
mod iam;
#[cfg(feature = "account")]
mod organizations;
#[cfg(feature = "account")]
mod probe;
mod rds;
mod reading;
mod redshift;
#[cfg(feature = "account")]
mod servicequotas;
mod sqs;
mod stores;
#[cfg(feature = "account")]
mod sts;
mod tagging;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

pub use aws_config::SdkConfig;
use aws_config::{BehaviorVersion, retry::RetryConfig, timeout::TimeoutConfig};
use tagwire_core::{
    cidr::PrefixList,
    group::{GroupList, OwnTags, OwnedGroup, SecurityGroup},
    id::{InterfaceId, PrefixListId, RequestId, SecurityGroupId, StoreArn, StoreId, StoreKind, VpcId},
    model::{DataStore, Instance, Interface},
    observation::{AttachedInterface, Gap, Reading, StoreLookup},
    plan::StatusOf,
    rule::Rule,
    state::{Note, Target, VpcState, Window},
    tag::DEFAULT_CONNECT_KEY,
    work::{Again, Answer, WorkItem},
};
use tagwire_engine::cloud::{
    Change, CloudError, ErrorKind, EventQueue, Groups, Instances, Observe, Queues, TaggedStore,
};

pub use crate::clock::SystemClock;
#[cfg(feature = "account")]
pub use crate::{
    cloudformation::{Stack, Stacks},
    cloudtrail::{AdvancedSelector, BasicSelector, FieldSelector, Selectors, Trail, trails},
    ec2::account::{Platform, count_groups, platform, region_status},
    iam::{ContextValue, Question, Refusal, has_role, refusals},
    organizations::{TagPolicy, tag_policy},
    probe::Probe,
    servicequotas::vpc_quota,
    sqs::{QueueDepth, queue_depth},
    sts::{Identity, identity},
};
use crate::{
    dynamodb::StateTable, ec2::Ec2, elasticache::ElastiCache, error::Call, rds::Rds, redshift::Redshift, sqs::Sender,
    tagging::TagIndex,
};

/// Until a connection is made. AWS's endpoints are near; one that does not answer by then is
/// better tried again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Until the first byte of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// For one call as a whole. A function has 60 seconds, so a call that hangs leaves time to try it
/// again and to report.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(12);
/// For one call with everything around it, such as fetching credentials.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(15);

/// The URLs of the queues between the functions. Whoever sends nothing leaves them out; a send to
/// a queue that is left out fails and says so.
#[derive(Debug, Clone, Default)]
pub struct QueueUrls {
    /// The FIFO queue of `connect`.
    pub connect: Option<String>,
    /// The queue of `instance-events`.
    pub instances: Option<String>,
    /// The queue of `data-store-events`.
    pub stores: Option<String>,
}

/// What the installation decides about reading and sending.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The key of the tag that holds the connection names.
    pub connect_key: String,
    /// Where work is sent.
    pub queues: QueueUrls,
    /// The table that holds what is remembered. Without one, nothing is, and nothing can be removed
    /// that has to be counted.
    pub state_table: Option<String>,
}

impl Default for Settings {
    /// The tag key of the template's default, and no queues.
    fn default() -> Self {
        Self { connect_key: DEFAULT_CONNECT_KEY.to_owned(), queues: QueueUrls::default(), state_table: None }
    }
}

/// The SDKs' configuration from the environment. The standard variables are honoured, among them
/// `AWS_REGION`, `AWS_PROFILE`, `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_SQS`; those for retries
/// are not, because a second layer of retries would multiply with the engine's.
pub async fn load_config() -> SdkConfig {
    load_config_for(&Caller::default()).await
}

/// What a person chooses in place of what the environment says.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The profile of the shared configuration files.
    pub profile: Option<String>,
    /// The Region.
    pub region: Option<String>,
    /// One endpoint for all services; it wins over every variable of the environment.
    pub endpoint_url: Option<String>,
}

/// As [`load_config`], with what a person chose.
pub async fn load_config_for(caller: &Caller) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts);
    if let Some(profile) = &caller.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &caller.region {
        loader = loader.region(aws_config::Region::new(region.clone()));
    }
    if let Some(url) = &caller.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    loader.load().await
}

/// One account and Region of AWS. Made once for a process: connections and what never changes
/// (the VPC of a DB cluster or a cache) are kept across the invocations of a function.
#[derive(Debug)]
pub struct Aws {
    region: Option<String>,
    connect_key: String,
    ec2: Ec2,
    rds: Rds,
    elasticache: ElastiCache,
    redshift: Redshift,
    tag_index: TagIndex,
    sender: Sender,
    state: StateTable,
}

impl Aws {
    /// The clients of all services. Nothing is called yet.
    #[must_use]
    pub fn new(config: &SdkConfig, settings: Settings) -> Self {
        let Settings { connect_key, queues, state_table } = settings;
        Self {
            region: config.region().map(|region| region.as_ref().to_owned()),
            ec2: Ec2::new(config, connect_key.clone()),
            rds: Rds::new(config, connect_key.clone()),
            elasticache: ElastiCache::new(config, connect_key.clone()),
            redshift: Redshift::new(config, connect_key.clone()),
            tag_index: TagIndex::new(config),
            sender: Sender::new(config, queues),
            state: StateTable::new(config, state_table),
            connect_key,
        }
    }

    /// Tries every read that looking at this account takes, with calls that change nothing: those of EC2 as a dry
    /// run, the others with as small an answer as there is.
    #[cfg(feature = "account")]
    pub async fn probes(&self, account: &str) -> Vec<Probe> {
        let region = self.region.as_deref().unwrap_or_default();
        let nothing = StoreArn::of(StoreKind::CacheCluster, region, account, "tagwire-doctor");
        let nothing = nothing.map(|arn| arn.as_str().to_owned()).unwrap_or_default();
        let (ec2, rds, elasticache, redshift, tag_index, state) = futures_util::join!(
            self.ec2.probes(),
            self.rds.probes(),
            self.elasticache.probes(&nothing),
            self.redshift.probes(),
            self.tag_index.probes(),
            self.state.probes(),
        );
        [ec2, rds, elasticache, redshift, tag_index, state].concat()
    }

    /// What is to be asked about stores, by the kind of store; those of another Region lie in gaps.
    fn by_kind<'which, T>(
        &self,
        call: &'static str,
        which: impl Iterator<Item = (&'which StoreArn, T)>,
    ) -> (BTreeMap<StoreKind, Vec<T>>, Vec<Gap>) {
        let (mut by_kind, mut gaps) = (BTreeMap::<StoreKind, Vec<T>>::new(), Vec::new());
        for (arn, asked) in which {
            match self.in_region(arn, &Call::reading(call, arn.as_str())) {
                Ok(()) => by_kind.entry(arn.kind()).or_default().push(asked),
                Err(error) => gaps.push(error.into()),
            }
        }
        (by_kind, gaps)
    }

    /// Refuses stores of another Region: their names may be somebody else's here, or nobody's,
    /// and a `NotFound` of the wrong Region would pass for the end of a store.
    fn in_region(&self, arn: &StoreArn, call: &Call) -> Result<(), CloudError> {
        match self.region.as_deref() {
            Some(here) if here != arn.region() => {
                Err(call.error(ErrorKind::Rejected, "other-region", format!("the store is not in {here}")))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Observe for Aws {
    async fn instances(&self, which: Instances<'_>) -> Reading<Instance> {
        self.ec2.instances(which).await
    }

    async fn interfaces(&self, which: &BTreeSet<InterfaceId>) -> Reading<Interface> {
        self.ec2.interfaces(which).await
    }

    async fn groups(&self, which: Groups<'_>) -> Reading<SecurityGroup> {
        self.ec2.groups(which).await
    }

    async fn candidates(&self) -> Reading<TaggedStore> {
        self.tag_index.stores(&self.connect_key).await
    }

    async fn stores(&self, which: &BTreeSet<StoreArn>) -> Reading<StoreLookup> {
        let (by_kind, gaps) = self.by_kind("tagwire:DescribeStore", which.iter().map(|arn| (arn, arn)));
        let mut reading = reading::together(by_kind.into_iter().map(|(kind, arns)| async move {
            match kind {
                StoreKind::DbCluster => self.rds.clusters(&arns).await,
                StoreKind::DbInstance => self.rds.instances(&arns).await,
                StoreKind::ReplicationGroup => self.elasticache.replication_groups(&self.tag_index, &arns).await,
                StoreKind::CacheCluster => self.elasticache.cache_clusters(&self.tag_index, &arns).await,
                StoreKind::ServerlessCache => {
                    self.elasticache.serverless_caches(&self.ec2, &self.tag_index, &arns).await
                }
                StoreKind::RedshiftCluster => self.redshift.clusters(&arns).await,
            }
        }))
        .await;
        reading.gaps.extend(gaps);
        reading
    }

    async fn all_stores(&self) -> Reading<DataStore> {
        let (clusters, instances, caches, redshift_clusters) = futures_util::join!(
            Box::pin(self.rds.all_clusters()),
            Box::pin(self.rds.all_instances()),
            Box::pin(self.elasticache.all(&self.ec2, &self.tag_index)),
            Box::pin(self.redshift.all()),
        );
        let mut reading = clusters;
        for more in [instances, caches, redshift_clusters] {
            reading.extend(more);
        }
        reading
    }

    async fn stores_by_id(&self, which: &BTreeMap<StoreId, StoreArn>) -> Reading<DataStore> {
        let (by_kind, gaps) = self.by_kind("tagwire:FindStore", which.iter().map(|(id, arn)| (arn, id)));
        let mut reading = reading::together(by_kind.into_iter().map(|(kind, ids)| async move {
            match kind {
                StoreKind::DbCluster => self.rds.clusters_by_identity(&ids).await,
                StoreKind::DbInstance => self.rds.instances_by_identity(&ids).await,
                // Their ARN is their identity, so who asks for it has asked for all there can be.
                StoreKind::ReplicationGroup | StoreKind::CacheCluster | StoreKind::ServerlessCache => {
                    Reading::default()
                }
                StoreKind::RedshiftCluster => self.redshift.by_identity(&ids).await,
            }
        }))
        .await;
        reading.gaps.extend(gaps);
        reading
    }

    async fn attached_interfaces(&self, vpc: &VpcId, groups: &BTreeSet<SecurityGroupId>) -> Reading<AttachedInterface> {
        self.ec2.attached_interfaces(vpc, groups).await
    }

    async fn prefix_lists(&self, which: &BTreeSet<PrefixListId>) -> Reading<PrefixList> {
        self.ec2.prefix_lists(which).await
    }

    async fn launch_template_groups(&self) -> Reading<SecurityGroupId> {
        self.ec2.launch_template_groups().await
    }

    async fn vpc_state(&self, vpc: &VpcId, lists: Option<&BTreeSet<Target>>) -> Result<VpcState, CloudError> {
        self.state.vpc_state(vpc, lists).await
    }

    async fn answer(&self, vpc: &VpcId, request: &RequestId) -> Result<Option<Answer>, CloudError> {
        self.state.answer(vpc, request).await
    }
}

impl Change for Aws {
    async fn create_group(&self, vpc: &VpcId, name: &str, tags: &OwnTags) -> Result<SecurityGroupId, CloudError> {
        self.ec2.create_group(vpc, name, tags).await
    }

    async fn authorize(&self, group: &OwnedGroup, rule: &Rule) -> Result<(), CloudError> {
        self.ec2.authorize(group, rule).await
    }

    async fn revoke(&self, group: &OwnedGroup, rule: &Rule) -> Result<(), CloudError> {
        self.ec2.revoke(group, rule).await
    }

    async fn tag_group(&self, group: &OwnedGroup, tags: &OwnTags) -> Result<(), CloudError> {
        self.ec2.tag_group(group, tags).await
    }

    async fn set_interface_groups(&self, of: &InterfaceId, to: &GroupList) -> Result<(), CloudError> {
        self.ec2.set_interface_groups(of, to).await
    }

    async fn set_store_groups(&self, of: &StoreArn, to: &GroupList) -> Result<(), CloudError> {
        self.in_region(of, &Call::writing("tagwire:SetStoreGroups", of.as_str()))?;
        match of.kind() {
            StoreKind::DbCluster => self.rds.set_cluster_groups(of, to).await,
            StoreKind::DbInstance => self.rds.set_instance_groups(of, to).await,
            StoreKind::ReplicationGroup => self.elasticache.set_replication_group_groups(of, to).await,
            StoreKind::CacheCluster => self.elasticache.set_cache_cluster_groups(of, to).await,
            StoreKind::ServerlessCache => self.elasticache.set_serverless_cache_groups(of, to).await,
            StoreKind::RedshiftCluster => self.redshift.set_groups(of, to).await,
        }
    }

    async fn delete_group(&self, group: &OwnedGroup) -> Result<(), CloudError> {
        self.ec2.delete_group(group).await
    }

    async fn set_status(&self, of: &StatusOf, text: Option<&str>) -> Result<(), CloudError> {
        match of {
            StatusOf::Instance(instance) => self.ec2.set_status(instance, text).await,
            StatusOf::Store(store) => {
                let call = Call::writing("tagwire:SetStatus", store.as_str());
                self.in_region(store, &call)?;
                match store.kind() {
                    StoreKind::DbCluster | StoreKind::DbInstance => self.rds.set_status(store, text).await,
                    StoreKind::RedshiftCluster => self.redshift.set_status(store, text).await,
                    StoreKind::ReplicationGroup | StoreKind::CacheCluster | StoreKind::ServerlessCache => {
                        let message = "a change of its tags would take it out of its available state";
                        Err(call.error(ErrorKind::Rejected, "no-status", message))
                    }
                }
            }
        }
    }

    async fn reserve_window(&self, vpc: &VpcId, window: &Window) -> Result<(), CloudError> {
        self.state.reserve_window(vpc, window).await
    }

    async fn write_notes(&self, vpc: &VpcId, notes: &[Note]) -> Result<(), CloudError> {
        self.state.write_notes(vpc, notes).await
    }

    async fn answer_request(&self, vpc: &VpcId, request: &RequestId, answer: &Answer) -> Result<(), CloudError> {
        self.state.answer_request(vpc, request, answer).await
    }
}

impl Queues for Aws {
    async fn send_work(&self, item: &WorkItem) -> Result<(), CloudError> {
        self.sender.send_work(item).await
    }

    async fn send_again(&self, queue: EventQueue, again: &Again, after: Duration) -> Result<(), CloudError> {
        self.sender.send_again(queue, again, after).await
    }
}
