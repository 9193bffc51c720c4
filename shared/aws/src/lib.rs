//! The cloud's traits on the AWS SDKs: the only crate that names one.
//!
//! There is one file a service. Nothing here decides: the crate reads, carries out single changes,
//! and gives errors a meaning in [`ErrorKind`]. The SDKs' own retries are off, for the engine has
//! one place that retries.

mod call;
mod clock;
#[cfg(feature = "account")]
mod cloudformation;
#[cfg(feature = "account")]
mod cloudtrail;
mod config;
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
#[cfg(feature = "account")]
mod profile;
mod random;
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

use tagwire_core::{
    cidr::PrefixList,
    group::{GroupList, GroupName, Identities, OwnTags, OwnedGroup, SecurityGroup, Token},
    group_tags::GroupTags,
    id::{InterfaceId, PrefixListId, RequestId, SecurityGroupId, StoreArn, StoreId, VpcId},
    model::{DataStore, Instance, Interface},
    observation::{AttachedInterface, Gap, Reading, StoreLookup},
    plan::StatusOf,
    rule::Rule,
    service::StoreKind,
    state::{Note, Target, VpcState, Window},
    tag::{DEFAULT_CONNECT_KEY, TagSettings},
    work::{Again, Answer, WorkItem},
};
use tagwire_engine::cloud::{
    Change, CloudError, ErrorKind, EventQueue, Groups, Instances, Observe, Queues, TaggedStore,
};

use crate::{
    call::Call,
    dynamodb::StateTable,
    ec2::Ec2,
    elasticache::{CacheClusters, ElastiCache, ReplicationGroups, ServerlessCaches},
    rds::{DbClusters, DbInstances, Rds},
    reading::together,
    redshift::{Redshift, RedshiftClusters},
    sqs::Sender,
    stores::StoreService,
    tagging::TagIndex,
};
pub use crate::{
    clock::SystemClock,
    config::{SdkConfig, load_config},
    sqs::QueueUrls,
};
#[cfg(feature = "account")]
pub use crate::{
    cloudformation::{Stack, Stacks},
    cloudtrail::{AdvancedSelector, BasicSelector, FieldSelector, Selectors, Trail, trails},
    ec2::account::{Platform, count_groups, enabled_regions, instances_named, platform, region_status, vpcs_by_id},
    iam::{ContextValue, Question, Refusal, has_role, refusals},
    organizations::{TagPolicy, tag_policy},
    probe::Probe,
    profile::{ConfigOverrides, ProfileError, load_config_with},
    servicequotas::vpc_quota,
    sqs::{QueueDepth, queue_depth},
    sts::{Identity, identity},
};

/// The installation's choices about reading and sending.
#[derive(Debug, Clone)]
pub struct AwsSettings {
    /// The key of the tag that holds the connection names.
    pub connect_key: String,
    /// The tags that every group gets beside its own when it is made.
    pub group_tags: GroupTags,
    /// The queues that work is sent to.
    pub queues: QueueUrls,
    /// The table that holds the state of each VPC. With `None` there is no state, and no connection
    /// can be removed that has to be counted.
    pub state_table: Option<String>,
}

impl Default for AwsSettings {
    /// The tag key of the template's default, and no queues.
    fn default() -> Self {
        let group_tags = GroupTags::default();
        Self {
            connect_key: DEFAULT_CONNECT_KEY.to_owned(),
            group_tags,
            queues: QueueUrls::default(),
            state_table: None,
        }
    }
}

/// One account and Region of AWS. Made once for a process: connections, and facts that never change
/// (the VPC of a DB cluster or a cache), are kept across the invocations of a function.
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
    pub fn new(config: &SdkConfig, settings: AwsSettings) -> Self {
        let AwsSettings { connect_key, group_tags, queues, state_table } = settings;
        let tag_index = TagIndex::new(config);
        Self {
            region: config.region().map(|region| region.as_ref().to_owned()),
            ec2: Ec2::new(config, connect_key.clone(), group_tags),
            rds: Rds::new(config, connect_key.clone()),
            elasticache: ElastiCache::new(config, connect_key.clone(), tag_index.clone()),
            redshift: Redshift::new(config, connect_key.clone()),
            tag_index,
            sender: Sender::new(config, queues),
            state: StateTable::new(config, state_table),
            connect_key,
        }
    }

    /// Tries every read that looking at this account takes, with calls that change nothing: those of EC2 as a dry
    /// run, the others with as small an answer as there is.
    #[cfg(feature = "account")]
    pub async fn probes(&self, caller: Option<&Identity>) -> Vec<Probe> {
        let region = self.region.as_deref().unwrap_or_default();
        let (ec2, rds, elasticache, redshift, tag_index, state) = futures_util::join!(
            self.ec2.probes(),
            self.rds.probes(),
            self.elasticache.probes(region, caller),
            self.redshift.probes(),
            self.tag_index.probes(),
            self.state.probes(),
        );
        [ec2, rds, elasticache, redshift, tag_index, state].concat()
    }

    /// The service of one kind of store: the one place where the kind decides.
    fn service(&self, kind: StoreKind) -> Box<dyn StoreService + '_> {
        match kind {
            StoreKind::DbCluster => Box::new(DbClusters(&self.rds)),
            StoreKind::DbInstance => Box::new(DbInstances(&self.rds)),
            StoreKind::ReplicationGroup => Box::new(ReplicationGroups(&self.elasticache)),
            StoreKind::CacheCluster => Box::new(CacheClusters(&self.elasticache)),
            StoreKind::ServerlessCache => Box::new(ServerlessCaches { elasticache: &self.elasticache, ec2: &self.ec2 }),
            StoreKind::RedshiftCluster => Box::new(RedshiftClusters(&self.redshift)),
        }
    }

    /// The service of a store in this Region.
    ///
    /// # Errors
    /// For stores of another Region: their names may be somebody else's here, or nobody's, and a
    /// `NotFound` of the wrong Region would pass for the end of a store.
    fn service_of(&self, arn: &StoreArn, call: &Call) -> Result<Box<dyn StoreService + '_>, CloudError> {
        match self.region.as_deref() {
            Some(here) if here != arn.region() => {
                Err(call.error(ErrorKind::Rejected, "other-region", format!("the store is not in {here}")))
            }
            Some(_) | None => Ok(self.service(arn.kind())),
        }
    }

    /// Questions about stores by the kind of store, with the gaps of those in another Region.
    fn by_kind<T>(
        &self,
        call: &'static str,
        questions: impl Iterator<Item = (StoreArn, T)>,
    ) -> (BTreeMap<StoreKind, Vec<T>>, Vec<Gap>) {
        let (mut by_kind, mut gaps) = (BTreeMap::<StoreKind, Vec<T>>::new(), Vec::new());
        for (arn, question) in questions {
            let call = Call::of_store(call, &arn);
            match self.service_of(&arn, &call) {
                Ok(_) => by_kind.entry(arn.kind()).or_default().push(question),
                Err(error) => gaps.push(call.gap(error)),
            }
        }
        (by_kind, gaps)
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
        let (by_kind, gaps) = self.by_kind("tagwire:DescribeStore", which.iter().map(|arn| (arn.clone(), arn.clone())));
        let mut reading =
            together(by_kind.into_iter().map(async |(kind, arns)| self.service(kind).by_arn(arns).await)).await;
        reading.gaps.extend(gaps);
        reading
    }

    async fn all_stores(&self) -> Reading<DataStore> {
        let mut reading = together(StoreKind::ALL.iter().map(async |&kind| self.service(kind).all().await)).await;
        let untagged = |store: &DataStore| !self.service(store.arn.kind()).lists_tags();
        let arns: Vec<&StoreArn> =
            reading.found.iter().filter(|store| untagged(store)).map(|store| &store.arn).collect();
        let tags = self.tag_index.settings(&arns, &self.connect_key).await;
        let mut tags_of: BTreeMap<StoreArn, TagSettings> = tags.found.into_iter().collect();
        for store in &mut reading.found {
            if let Some(settings) = tags_of.remove(&store.arn) {
                store.settings = settings;
            }
        }
        reading.gaps.extend(tags.gaps);
        reading
    }

    async fn stores_by_id(&self, which: &BTreeMap<StoreId, StoreArn>) -> Reading<DataStore> {
        let questions = which.iter().map(|(id, arn)| (arn.clone(), (id.clone(), arn.clone())));
        let (by_kind, gaps) = self.by_kind("tagwire:FindStore", questions);
        let mut reading =
            together(by_kind.into_iter().map(async |(kind, ids)| self.service(kind).by_identity(ids).await)).await;
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

    async fn identities(&self, vpc: &VpcId) -> Result<Identities, CloudError> {
        self.state.identities(vpc).await
    }

    async fn vpcs_uninstalling(&self) -> Reading<VpcId> {
        self.state.vpcs_uninstalling().await
    }

    async fn answer(&self, vpc: &VpcId, request: &RequestId) -> Result<Option<Answer>, CloudError> {
        self.state.answer(vpc, request).await
    }
}

impl Change for Aws {
    fn new_token(&self) -> Result<Token, CloudError> {
        random::token()
    }

    async fn create_group(
        &self,
        vpc: &VpcId,
        name: GroupName,
        tags: &OwnTags,
        token: &Token,
    ) -> Result<SecurityGroupId, CloudError> {
        self.ec2.create_group(vpc, name, tags, token).await
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
        let service = self.service_of(of, &Call::writing("tagwire:SetStoreGroups", of.as_str()))?;
        service.set_groups(of, to).await
    }

    async fn delete_group(&self, group: &OwnedGroup) -> Result<(), CloudError> {
        self.ec2.delete_group(group).await
    }

    async fn set_status(&self, of: &StatusOf, text: Option<&str>) -> Result<(), CloudError> {
        match of {
            StatusOf::Instance(instance) => self.ec2.set_status(instance, text).await,
            StatusOf::Store(store) => {
                let service = self.service_of(store, &Call::writing("tagwire:SetStatus", store.as_str()))?;
                service.set_status(store, text).await
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
