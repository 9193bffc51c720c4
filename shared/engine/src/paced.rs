//! Pacing and retries: the one place that has them. The SDK's own retries are off, and redelivery
//! by the queues is the only other layer.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use tagwire_core::{
    cidr::PrefixList,
    group::{GroupList, OwnTags, OwnedGroup, SecurityGroup},
    id::{InterfaceId, PrefixListId, RequestId, SecurityGroupId, StoreArn, StoreId, VpcId},
    model::{DataStore, Instance, Interface},
    observation::{AttachedInterface, Reading, StoreLookup},
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
}

#[derive(Debug, Clone, Copy)]
struct Level {
    calls: f64,
    at: Timestamp,
}

/// What is left in the buckets. It outlives the invocations of a function's process.
#[derive(Debug, Default)]
pub struct Pacing {
    levels: RefCell<BTreeMap<Bucket, Level>>,
}

impl Pacing {
    /// Takes one call out of a bucket; how long to wait when it is empty.
    fn take(&self, bucket: Bucket, now: Timestamp) -> Result<(), Duration> {
        let (size, refill) = bucket.size();
        let mut levels = self.levels.borrow_mut();
        let level = levels.entry(bucket).or_insert(Level { calls: size, at: now });
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

    async fn read<T>(&self, read: impl AsyncFn() -> Reading<T>) -> Reading<T> {
        let mut reading = read().await;
        for delay in BACKOFF {
            if !reading.gaps.iter().any(|gap| gap.soon) || !self.may_wait(delay).await {
                break;
            }
            reading = read().await;
        }
        reading
    }

    /// When everything has to be done.
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// What is left until then.
    #[must_use]
    fn time_left(&self) -> Duration {
        Duration::try_from(self.deadline.duration_since(self.clock.now())).unwrap_or_default()
    }

    async fn change<T>(
        &self,
        bucket: Bucket,
        change: impl AsyncFn() -> Result<T, CloudError>,
    ) -> Result<T, CloudError> {
        self.pace(bucket).await;
        let mut result = change().await;
        for delay in BACKOFF {
            let had_no_effect =
                |error: &CloudError| matches!(error.kind, ErrorKind::Throttled | ErrorKind::Unavailable);
            if !result.as_ref().is_err_and(had_no_effect) || !self.may_wait(delay).await {
                break;
            }
            // AWS counts the calls it refuses too.
            self.pace(bucket).await;
            result = change().await;
        }
        result
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
        self.read(async || self.cloud.instances(which).await).await
    }

    async fn interfaces(&self, which: &BTreeSet<InterfaceId>) -> Reading<Interface> {
        self.read(async || self.cloud.interfaces(which).await).await
    }

    async fn groups(&self, which: Groups<'_>) -> Reading<SecurityGroup> {
        self.read(async || self.cloud.groups(which).await).await
    }

    async fn candidates(&self) -> Reading<TaggedStore> {
        self.read(async || self.cloud.candidates().await).await
    }

    async fn stores(&self, which: &BTreeSet<StoreArn>) -> Reading<StoreLookup> {
        self.read(async || self.cloud.stores(which).await).await
    }

    async fn all_stores(&self) -> Reading<DataStore> {
        self.read(async || self.cloud.all_stores().await).await
    }

    async fn stores_by_id(&self, which: &BTreeMap<StoreId, StoreArn>) -> Reading<DataStore> {
        self.read(async || self.cloud.stores_by_id(which).await).await
    }

    async fn attached_interfaces(&self, vpc: &VpcId, groups: &BTreeSet<SecurityGroupId>) -> Reading<AttachedInterface> {
        self.read(async || self.cloud.attached_interfaces(vpc, groups).await).await
    }

    async fn launch_template_groups(&self) -> Reading<SecurityGroupId> {
        self.read(async || self.cloud.launch_template_groups().await).await
    }

    async fn prefix_lists(&self, which: &BTreeSet<PrefixListId>) -> Reading<PrefixList> {
        self.read(async || self.cloud.prefix_lists(which).await).await
    }

    async fn vpc_state(&self, vpc: &VpcId, lists: Option<&BTreeSet<Target>>) -> Result<VpcState, CloudError> {
        self.change(Bucket::VpcState, async || self.cloud.vpc_state(vpc, lists).await).await
    }

    async fn answer(&self, vpc: &VpcId, request: &RequestId) -> Result<Option<Answer>, CloudError> {
        self.change(Bucket::VpcState, async || self.cloud.answer(vpc, request).await).await
    }
}

impl<C: Change, K: Clock> Change for Paced<'_, C, K> {
    async fn create_group(&self, vpc: &VpcId, name: &str, tags: &OwnTags) -> Result<SecurityGroupId, CloudError> {
        self.change(Bucket::CreateGroup, async || self.cloud.create_group(vpc, name, tags).await).await
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
