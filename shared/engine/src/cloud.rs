//! The cloud as the engine sees it: narrow traits in domain types. The AWS SDKs stand behind them
//! in production, a simulated AWS can in tests. Read-only functions are given [`Observe`] and
//! cannot change anything.
//!
//! The verbs are batches, because the number of calls is decided here.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use serde::Serialize;
use tagwire_core::{
    cidr::PrefixList,
    group::{GroupList, GroupName, Identities, OwnTags, OwnedGroup, SecurityGroup, Token},
    id::{InstanceId, InterfaceId, PrefixListId, RequestId, SecurityGroupId, StoreArn, StoreId, VpcId},
    model::{DataStore, Instance, Interface},
    observation::{AttachedInterface, Gap, Reading, StoreLookup, Subject},
    plan::StatusOf,
    rule::Rule,
    state::{Note, Target, VpcState, Window},
    tag::{ConnectTag, ConnectionName},
    untrusted::Shown,
    work::{Again, Answer, WorkItem},
};
use thiserror::Error;

/// The meaning of an error for the next action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// A group of that name, or the very same rule, is there already.
    AlreadyThere,
    /// The resource is not there, or not visible yet.
    NotFound,
    /// The resource is in a state that does not accept the call yet.
    NotReady,
    /// The call would also carry out changes of the owner's that wait for a maintenance window.
    PendingChanges,
    /// The resource to be removed is still in use.
    InUse,
    /// A quota is used up.
    Limit,
    /// The caller has no permission.
    Denied,
    /// Too many calls.
    Throttled,
    /// The service did not answer, or answered that it cannot; the call had no effect.
    Unavailable,
    /// The call was sent and no answer came: it may have had its effect.
    EffectUnknown,
    /// The request itself is wrong.
    Rejected,
}

impl ErrorKind {
    /// Whether the same thing may succeed later with nobody doing anything.
    #[must_use]
    pub fn passes(self) -> bool {
        match self {
            Self::NotReady
            | Self::PendingChanges
            | Self::InUse
            | Self::Throttled
            | Self::Unavailable
            | Self::EffectUnknown => true,
            Self::AlreadyThere | Self::NotFound | Self::Limit | Self::Denied | Self::Rejected => false,
        }
    }
}

impl ErrorKind {
    /// A person's way out, if AWS refuses the call itself and will until somebody allows it or raises a quota. That
    /// something is there already, or gone, is no refusal: it was read too early, and the next plan is another.
    #[must_use]
    pub fn way_out(self) -> Option<&'static str> {
        match self {
            Self::Denied => {
                Some("allow the call: a service control policy, a permissions boundary or a changed role forbids it")
            }
            Self::Limit => Some("raise the quota that AWS names, or take away what uses it up"),
            Self::Rejected => {
                Some("look up AWS's answer; if the call should be accepted, report it with the request id")
            }
            Self::AlreadyThere
            | Self::NotFound
            | Self::NotReady
            | Self::PendingChanges
            | Self::InUse
            | Self::Throttled
            | Self::Unavailable
            | Self::EffectUnknown => None,
        }
    }
}

/// A call that failed, with everything an operator needs to ask AWS about it.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize)]
#[error(
    "{call} on {} failed: {}: {} (request id {})",
    Shown(resource), Shown(code), Shown(message), Shown(request_id.as_deref().unwrap_or("none"))
)]
pub struct CloudError {
    /// The kind.
    pub kind: ErrorKind,
    /// Service and operation: `ec2:CreateSecurityGroup`.
    pub call: &'static str,
    /// The resource the call was about: an id or ARN.
    pub resource: String,
    /// The service's error code; for errors that never reached it, a word of ours.
    pub code: String,
    /// AWS's message.
    pub message: String,
    /// The request id, if an answer came.
    pub request_id: Option<String>,
}

impl From<CloudError> for Gap {
    fn from(error: CloudError) -> Self {
        let CloudError { kind, call, resource, code, message, request_id } = error;
        let request_id = request_id.unwrap_or_else(|| "none".to_owned());
        let soon = matches!(kind, ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::EffectUnknown);
        let of_store = StoreArn::parse(&resource).ok().map(Subject::Store);
        let of_instance = || InstanceId::parse(&resource).ok().map(Subject::Instance);
        let about = of_store.or_else(of_instance);
        let message = format!("{code}: {message} (request id {request_id})");
        Self::of(call, resource, message).about(about).that_passes(kind.passes(), soon)
    }
}

/// Which instances to read.
#[derive(Debug, Clone, Copy)]
pub enum Instances<'which> {
    /// These. Ids that do not exist are simply not found; they are no error and no gap.
    Ids(&'which BTreeSet<InstanceId>),
    /// Those of a VPC that carry the connect tag; with names, at least those that hold one of
    /// them (more may come back: the caller compares).
    OptedIn {
        /// The VPC.
        vpc: &'which VpcId,
        /// The names, or none for all.
        names: Option<&'which BTreeSet<ConnectionName>>,
    },
    /// Those of a VPC that have one of these groups.
    WithGroups {
        /// The VPC.
        vpc: &'which VpcId,
        /// The groups.
        groups: &'which BTreeSet<SecurityGroupId>,
    },
    /// All of the account and Region that carry the connect tag.
    OptedInAnywhere,
    /// All of the account and Region that have one of these groups.
    WithGroupsAnywhere(&'which BTreeSet<SecurityGroupId>),
}

/// Which groups to read.
#[derive(Debug, Clone, Copy)]
pub enum Groups<'which> {
    /// Those of a VPC whose names fit a pattern of the service table, whoever made them, and its default group.
    InVpc(&'which VpcId),
    /// Those of a VPC, whatever their names, that carry our tag or have a rule that names one of these.
    Beside {
        /// The VPC.
        vpc: &'which VpcId,
        /// The groups that may be named.
        named: &'which BTreeSet<SecurityGroupId>,
    },
    /// These. Ids that do not exist are simply not found.
    Ids(&'which BTreeSet<SecurityGroupId>),
    /// The one of this name in a VPC.
    Named {
        /// The VPC.
        vpc: &'which VpcId,
        /// The name.
        name: &'which str,
    },
    /// All of the account and Region that carry our tag or a description of ours.
    OwnedAnywhere,
    /// All of the account and Region that carry our tag and were made for one of these stores.
    OwnedFor(&'which BTreeSet<StoreArn>),
    /// All of these VPCs, or of the account and Region, whatever their names and tags.
    All(Option<&'which BTreeSet<VpcId>>),
}

/// A store as the tag index knows it: a hint that may be stale. Its service has the word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedStore {
    /// The store.
    pub arn: StoreArn,
    /// Its connect tag, as the index has it.
    pub connect: ConnectTag,
}

/// Reading.
#[expect(async_fn_in_trait, reason = "static dispatch on one thread: no future has to be Send")]
pub trait Observe {
    /// Reads instances.
    async fn instances(&self, which: Instances<'_>) -> Reading<Instance>;
    /// Reads interfaces, all in one call: what a list is compared with right before it is replaced.
    async fn interfaces(&self, which: &BTreeSet<InterfaceId>) -> Reading<Interface>;
    /// Reads groups with their rules.
    async fn groups(&self, which: Groups<'_>) -> Reading<SecurityGroup>;
    /// Reads the tag index for stores that carry the connect tag.
    async fn candidates(&self) -> Reading<TaggedStore>;
    /// Asks the stores' own services. Every ARN comes back as a lookup or lies in a gap.
    async fn stores(&self, which: &BTreeSet<StoreArn>) -> Reading<StoreLookup>;
    /// Lists every store that the services have, whatever its tags. The members of a cluster or
    /// replication group may be left out: their connections are those of the whole.
    async fn all_stores(&self) -> Reading<DataStore>;
    /// Asks the services for the stores that have these identities, each with the ARN it had when it
    /// was last seen. A store was renamed or moved when one is found, and there is none when none is
    /// and nothing lies in a gap.
    async fn stores_by_id(&self, which: &BTreeMap<StoreId, StoreArn>) -> Reading<DataStore>;
    /// Reads every interface of a VPC that has one of these groups, whatever it belongs to.
    async fn attached_interfaces(&self, vpc: &VpcId, groups: &BTreeSet<SecurityGroupId>) -> Reading<AttachedInterface>;
    /// Reads the groups that the default or latest version of a launch template names.
    async fn launch_template_groups(&self) -> Reading<SecurityGroupId>;
    /// Reads managed prefix lists with their entries. Ids that do not exist are simply not found.
    async fn prefix_lists(&self, which: &BTreeSet<PrefixListId>) -> Reading<PrefixList>;
    /// Reads the state of a VPC; of attachments, those to these lists, or all with `None`.
    async fn vpc_state(&self, vpc: &VpcId, lists: Option<&BTreeSet<Target>>) -> Result<VpcState, CloudError>;
    /// Reads the records of a VPC's groups.
    async fn identities(&self, vpc: &VpcId) -> Result<Identities, CloudError>;
    /// Reads the VPCs that tagwire is being uninstalled from, whether anything is opted in or owned there or not.
    async fn vpcs_uninstalling(&self) -> Reading<VpcId>;
    /// Reads what became of a person's request about a VPC; none while it is not known.
    async fn answer(&self, vpc: &VpcId, request: &RequestId) -> Result<Option<Answer>, CloudError>;
}

/// Changing. Every call that changes a group takes the proof that it is ours.
#[expect(async_fn_in_trait, reason = "static dispatch on one thread: no future has to be Send")]
pub trait Change: Observe {
    /// A new random token.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    fn new_token(&self) -> Result<Token, CloudError>;
    /// Creates a group with its tags, and the description of their role, of their store and with a token, in one call.
    async fn create_group(
        &self,
        vpc: &VpcId,
        name: GroupName,
        tags: &OwnTags,
        token: &Token,
    ) -> Result<SecurityGroupId, CloudError>;
    /// Adds a rule. [`ErrorKind::AlreadyThere`] when the very same rule is there.
    async fn authorize(&self, group: &OwnedGroup, rule: &Rule) -> Result<(), CloudError>;
    /// Takes a rule away. [`ErrorKind::NotFound`] when it is not there.
    async fn revoke(&self, group: &OwnedGroup, rule: &Rule) -> Result<(), CloudError>;
    /// Writes our tags.
    async fn tag_group(&self, group: &OwnedGroup, tags: &OwnTags) -> Result<(), CloudError>;
    /// Replaces an interface's list of groups.
    async fn set_interface_groups(&self, of: &InterfaceId, to: &GroupList) -> Result<(), CloudError>;
    /// Replaces a store's list of groups, and changes nothing else of it.
    async fn set_store_groups(&self, of: &StoreArn, to: &GroupList) -> Result<(), CloudError>;
    /// Deletes a group. [`ErrorKind::NotFound`] when it is not there, [`ErrorKind::InUse`] while
    /// something has or names it.
    async fn delete_group(&self, group: &OwnedGroup) -> Result<(), CloudError>;
    /// Writes a status tag, or takes it away.
    async fn set_status(&self, of: &StatusOf, text: Option<&str>) -> Result<(), CloudError>;
    /// Writes a window on the condition that the one before it is still there.
    /// [`ErrorKind::AlreadyThere`] when somebody else has written one since.
    async fn reserve_window(&self, vpc: &VpcId, window: &Window) -> Result<(), CloudError>;
    /// Writes notes. Losing one delays a removal and does no other harm.
    async fn write_notes(&self, vpc: &VpcId, notes: &[Note]) -> Result<(), CloudError>;
    /// Tells whoever made a request what became of it. Losing it leaves them waiting and does no other harm.
    async fn answer_request(&self, vpc: &VpcId, request: &RequestId, answer: &Answer) -> Result<(), CloudError>;
}

/// Which of the two queues of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventQueue {
    /// The one of `instance-events`.
    Instances,
    /// The one of `data-store-events`.
    Stores,
}

/// The queues between the functions.
#[expect(async_fn_in_trait, reason = "static dispatch on one thread: no future has to be Send")]
pub trait Queues {
    /// Hands work to `connect`, in the order of its VPC.
    async fn send_work(&self, item: &WorkItem) -> Result<(), CloudError>;
    /// Has something looked at again after a delay of at most 15 minutes.
    async fn send_again(&self, queue: EventQueue, again: &Again, after: Duration) -> Result<(), CloudError>;
}

/// The time, which nothing else may read.
#[expect(async_fn_in_trait, reason = "static dispatch on one thread: no future has to be Send")]
pub trait Clock {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Waits.
    async fn sleep(&self, span: Duration);
}
