//! Pacing and retries: the one place that has them. The SDK's own retries are off, and redelivery
//! by the queues is the only other layer.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    time::Duration,
};

use futures_util::future::{Either, select};
use jiff::Timestamp;
use tagwire_core::{
    cidr::PrefixList,
    group::{GroupList, GroupName, Identities, OwnTags, OwnedGroup, SecurityGroup, Token},
    id::{InterfaceId, PrefixListId, RequestId, SecurityGroupId, StoreArn, StoreId, VpcId},
    model::{DataStore, Instance, Interface},
    observation::{AttachedInterface, Gap, Reading, StoreLookup, Subject},
    plan::StatusOf,
    rule::{Direction, Rule},
    state::{Note, Target, VpcState, Window},
    work::Answer,
};

use crate::cloud::{Change, Clock, CloudError, ErrorKind, Groups, Instances, Observe, TaggedStore};

/// The API buckets that AWS fills separately, of the calls that change something. Reads are so
/// few that their buckets (100 calls, 20 more each second) are never the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bucket {
    CreateGroup,
    DeleteGroup,
    Authorize(Direction),
    Revoke(Direction),
    Tag,
    Interface,
    Store,
    VpcState,
}

impl Bucket {
    /// Calls at once, and calls for each second after that: half of what AWS gives the whole
    /// account, so that people and other programs can work beside us. RDS publishes no figure;
    /// its modifications are rare and slow, so a low one costs nothing.
    fn size(self) -> (f64, f64) {
        match self {
            Self::CreateGroup | Self::DeleteGroup | Self::Authorize(_) | Self::Revoke(_) => (25.0, 2.5),
            Self::Tag => (50.0, 5.0),
            Self::Interface => (50.0, 2.5),
            Self::Store => (10.0, 1.0),
            // The table is ours alone and takes what it is asked for; this only bounds a mistake.
            Self::VpcState => (100.0, 50.0),
        }
    }

    /// The calls, for people.
    fn call(self) -> &'static str {
        match self {
            Self::CreateGroup => "ec2:CreateSecurityGroup",
            Self::DeleteGroup => "ec2:DeleteSecurityGroup",
            Self::Authorize(_) => "ec2:AuthorizeSecurityGroup",
            Self::Revoke(_) => "ec2:RevokeSecurityGroup",
            Self::Tag => "the change of tags",
            Self::Interface => "ec2:ModifyNetworkInterfaceAttribute",
            Self::Store => "the change of a data store",
            Self::VpcState => "the state table",
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct BucketLevel {
    calls: f64,
    at: Timestamp,
}

/// The fill of the token buckets. It outlives the invocations of a function's process.
#[derive(Debug, Default)]
pub struct Pacing {
    levels: RefCell<BTreeMap<Bucket, BucketLevel>>,
}

impl Pacing {
    /// Takes one call out of a bucket; how long to wait when it is empty.
    fn take(&self, bucket: Bucket, now: Timestamp) -> Result<(), Duration> {
        let (size, refill) = bucket.size();
        let mut levels = self.levels.borrow_mut();
        let level = levels.entry(bucket).or_insert(BucketLevel { calls: size, at: now });
        let passed = Duration::try_from(now.duration_since(level.at)).unwrap_or_default();
        level.calls = (level.calls + passed.as_secs_f64() * refill).min(size);
        level.at = now;
        if level.calls >= 1.0 {
            level.calls -= 1.0;
            Ok(())
        } else {
            Err(Duration::from_secs_f64((1.0 - level.calls) / refill))
        }
    }
}

/// Delays before a call is made again after it was throttled or not answered: together they stay
/// well within one function's time.
const BACKOFF: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_millis(600), Duration::from_millis(1800), Duration::from_secs(4)];

/// A wait that is rounded to nothing would be asked for again and again.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// The error of a call that was given up: it may have had its effect.
pub(crate) fn unanswered(call: &'static str, resource: &str) -> CloudError {
    CloudError {
        kind: ErrorKind::EffectUnknown,
        call,
        resource: resource.to_owned(),
        code: "no-answer".to_owned(),
        message: "no answer came before the time was over".to_owned(),
        request_id: None,
    }
}

/// The result of a call within a span; `None` when that is over first.
pub(crate) async fn in_time<T>(clock: &impl Clock, span: Duration, call: impl Future<Output = T>) -> Option<T> {
    match select(pin!(call), pin!(clock.sleep(span))).await {
        Either::Left((answer, _)) => Some(answer),
        Either::Right(_) => None,
    }
}

/// A cloud whose calls are paced, and repeated while that can help and the deadline allows.
#[derive(Debug)]
pub struct Paced<'run, C, K> {
    cloud: &'run C,
    clock: &'run K,
    pacing: &'run Pacing,
    deadline: Timestamp,
}

impl<'run, C, K: Clock> Paced<'run, C, K> {
    /// Wraps `cloud` until `deadline`.
    pub fn new(cloud: &'run C, clock: &'run K, pacing: &'run Pacing, deadline: Timestamp) -> Self {
        Self { cloud, clock, pacing, deadline }
    }

    /// Sleeps, unless that would end behind the deadline.
    async fn may_wait(&self, span: Duration) -> bool {
        let fits = self.clock.now().checked_add(span).is_ok_and(|end| end < self.deadline);
        if fits {
            self.clock.sleep(span).await;
        }
        fits
    }

    /// Reads what is asked for by name, and asks again only for what could not be read for the moment: `read` is
    /// given what was found already, and what cannot be read for longer.
    async fn read_each<T>(&self, call: &'static str, read: impl AsyncFn(&Reading<T>) -> Reading<T>) -> Reading<T> {
        let mut reading = self.answer(call, Box::pin(read(&Reading::default()))).await;
        for delay in BACKOFF {
            if !reading.gaps.iter().any(|gap| gap.soon) || !self.may_wait(delay).await {
                break;
            }
            // A gap in everything would come again with the rest.
            reading.gaps.retain(|gap| !gap.soon && !gap.resources.is_empty());
            let rest = self.answer(call, Box::pin(read(&reading))).await;
            reading.extend(rest);
        }
        reading
    }

    /// Reads, and reads all of it again when something could not be read for the moment.
    async fn read<T>(&self, call: &'static str, read: impl AsyncFn() -> Reading<T>) -> Reading<T> {
        let mut reading = self.answer(call, Box::pin(read())).await;
        for delay in BACKOFF {
            if !reading.gaps.iter().any(|gap| gap.soon) || !self.may_wait(delay).await {
                break;
            }
            reading = self.answer(call, Box::pin(read())).await;
        }
        reading
    }

    /// The result of a read; nothing but a gap when no answer comes before the deadline.
    async fn answer<T>(&self, call: &'static str, reading: impl Future<Output = Reading<T>>) -> Reading<T> {
        let left = self.time_left();
        let reading = if left.is_zero() { None } else { in_time(self.clock, left, reading).await };
        reading.unwrap_or_else(|| Reading::failed(unanswered(call, "what the run needs").into()))
    }

    /// When everything has to be done.
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// The time until the deadline.
    #[must_use]
    fn time_left(&self) -> Duration {
        Duration::try_from(self.deadline.duration_since(self.clock.now())).unwrap_or_default()
    }

    async fn change<T>(
        &self,
        bucket: Bucket,
        change: impl AsyncFn() -> Result<T, CloudError>,
    ) -> Result<T, CloudError> {
        let mut result = self.attempt(bucket, &change).await;
        for delay in BACKOFF {
            let had_no_effect =
                |error: &CloudError| matches!(error.kind, ErrorKind::Throttled | ErrorKind::Unavailable);
            if !result.as_ref().is_err_and(had_no_effect) || !self.may_wait(delay).await {
                break;
            }
            // AWS counts the calls it refuses too.
            result = self.attempt(bucket, &change).await;
        }
        result
    }

    async fn attempt<T>(
        &self,
        bucket: Bucket,
        change: &impl AsyncFn() -> Result<T, CloudError>,
    ) -> Result<T, CloudError> {
        self.pace(bucket).await;
        if self.time_left().is_zero() {
            let message = "no time was left to make the call".to_owned();
            let kind = ErrorKind::Unavailable;
            return Err(CloudError { kind, message, ..unanswered(bucket.call(), "what the run changes") });
        }
        let result = in_time(self.clock, self.time_left(), Box::pin(change())).await;
        result.unwrap_or_else(|| Err(unanswered(bucket.call(), "what the run changes")))
    }

    async fn pace(&self, bucket: Bucket) {
        while let Err(span) = self.pacing.take(bucket, self.clock.now()) {
            if !self.may_wait(span.max(SHORTEST_WAIT)).await {
                // The call is made all the same: AWS's own bucket has the last word.
                break;
            }
        }
    }
}

fn is_in_gap(gaps: &[Gap], arn: &StoreArn) -> bool {
    gaps.iter().any(|gap| gap.resources.contains(&Subject::Store(arn.clone())))
}

/// The clock for those who have to wait themselves: it lets nobody sleep beyond the deadline.
impl<C, K: Clock> Clock for Paced<'_, C, K> {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn sleep(&self, span: Duration) {
        self.clock.sleep(span.min(self.time_left())).await;
    }
}

impl<C: Observe, K: Clock> Observe for Paced<'_, C, K> {
    async fn instances(&self, which: Instances<'_>) -> Reading<Instance> {
        self.read("ec2:DescribeInstances", async || self.cloud.instances(which).await).await
    }

    async fn interfaces(&self, which: &BTreeSet<InterfaceId>) -> Reading<Interface> {
        self.read("ec2:DescribeNetworkInterfaces", async || self.cloud.interfaces(which).await).await
    }

    async fn groups(&self, which: Groups<'_>) -> Reading<SecurityGroup> {
        self.read("ec2:DescribeSecurityGroups", async || self.cloud.groups(which).await).await
    }

    async fn candidates(&self) -> Reading<TaggedStore> {
        self.read("tag:GetResources", async || self.cloud.candidates().await).await
    }

    async fn stores(&self, which: &BTreeSet<StoreArn>) -> Reading<StoreLookup> {
        self.read_each("the data stores' descriptions", async |reading: &Reading<StoreLookup>| {
            let found: BTreeSet<&StoreArn> = reading.found.iter().map(StoreLookup::arn).collect();
            let rest = which.iter().filter(|arn| !found.contains(arn) && !is_in_gap(&reading.gaps, arn));
            self.cloud.stores(&rest.cloned().collect()).await
        })
        .await
    }

    async fn all_stores(&self) -> Reading<DataStore> {
        self.read("the list of all data stores", async || self.cloud.all_stores().await).await
    }

    async fn stores_by_id(&self, which: &BTreeMap<StoreId, StoreArn>) -> Reading<DataStore> {
        self.read_each("the lists of data stores", async |reading: &Reading<DataStore>| {
            let found: BTreeSet<&StoreId> = reading.found.iter().map(|store| &store.id).collect();
            let rest = which.iter().filter(|(id, arn)| !found.contains(id) && !is_in_gap(&reading.gaps, arn));
            self.cloud.stores_by_id(&rest.map(|(id, arn)| (id.clone(), arn.clone())).collect()).await
        })
        .await
    }

    async fn attached_interfaces(&self, vpc: &VpcId, groups: &BTreeSet<SecurityGroupId>) -> Reading<AttachedInterface> {
        self.read("ec2:DescribeNetworkInterfaces", async || self.cloud.attached_interfaces(vpc, groups).await).await
    }

    async fn launch_template_groups(&self) -> Reading<SecurityGroupId> {
        self.read("ec2:DescribeLaunchTemplateVersions", async || self.cloud.launch_template_groups().await).await
    }

    async fn prefix_lists(&self, which: &BTreeSet<PrefixListId>) -> Reading<PrefixList> {
        self.read("ec2:DescribeManagedPrefixLists", async || self.cloud.prefix_lists(which).await).await
    }

    async fn vpc_state(&self, vpc: &VpcId, lists: Option<&BTreeSet<Target>>) -> Result<VpcState, CloudError> {
        self.change(Bucket::VpcState, async || self.cloud.vpc_state(vpc, lists).await).await
    }

    async fn identities(&self, vpc: &VpcId) -> Result<Identities, CloudError> {
        self.change(Bucket::VpcState, async || self.cloud.identities(vpc).await).await
    }

    async fn vpcs_uninstalling(&self) -> Reading<VpcId> {
        self.read("the state table", async || self.cloud.vpcs_uninstalling().await).await
    }

    async fn answer(&self, vpc: &VpcId, request: &RequestId) -> Result<Option<Answer>, CloudError> {
        self.change(Bucket::VpcState, async || self.cloud.answer(vpc, request).await).await
    }
}

impl<C: Change, K: Clock> Change for Paced<'_, C, K> {
    fn new_token(&self) -> Result<Token, CloudError> {
        self.cloud.new_token()
    }

    async fn create_group(
        &self,
        vpc: &VpcId,
        name: GroupName,
        tags: &OwnTags,
        token: &Token,
    ) -> Result<SecurityGroupId, CloudError> {
        self.change(Bucket::CreateGroup, async || self.cloud.create_group(vpc, name, tags, token).await).await
    }

    async fn authorize(&self, group: &OwnedGroup, rule: &Rule) -> Result<(), CloudError> {
        self.change(Bucket::Authorize(rule.direction), async || self.cloud.authorize(group, rule).await).await
    }

    async fn revoke(&self, group: &OwnedGroup, rule: &Rule) -> Result<(), CloudError> {
        self.change(Bucket::Revoke(rule.direction), async || self.cloud.revoke(group, rule).await).await
    }

    async fn tag_group(&self, group: &OwnedGroup, tags: &OwnTags) -> Result<(), CloudError> {
        self.change(Bucket::Tag, async || self.cloud.tag_group(group, tags).await).await
    }

    async fn set_interface_groups(&self, of: &InterfaceId, to: &GroupList) -> Result<(), CloudError> {
        self.change(Bucket::Interface, async || self.cloud.set_interface_groups(of, to).await).await
    }

    async fn set_store_groups(&self, of: &StoreArn, to: &GroupList) -> Result<(), CloudError> {
        self.change(Bucket::Store, async || self.cloud.set_store_groups(of, to).await).await
    }

    async fn delete_group(&self, group: &OwnedGroup) -> Result<(), CloudError> {
        self.change(Bucket::DeleteGroup, async || self.cloud.delete_group(group).await).await
    }

    async fn set_status(&self, of: &StatusOf, text: Option<&str>) -> Result<(), CloudError> {
        self.change(Bucket::Tag, async || self.cloud.set_status(of, text).await).await
    }

    async fn reserve_window(&self, vpc: &VpcId, window: &Window) -> Result<(), CloudError> {
        self.change(Bucket::VpcState, async || self.cloud.reserve_window(vpc, window).await).await
    }

    async fn write_notes(&self, vpc: &VpcId, notes: &[Note]) -> Result<(), CloudError> {
        self.change(Bucket::VpcState, async || self.cloud.write_notes(vpc, notes).await).await
    }

    async fn answer_request(&self, vpc: &VpcId, request: &RequestId, answer: &Answer) -> Result<(), CloudError> {
        self.change(Bucket::VpcState, async || self.cloud.answer_request(vpc, request, answer).await).await
    }
}
