//! The reasons, with the facts that each rests on.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    cidr::{Block, CidrPeer, Family, InvalidCidr},
    group::{Doubt, Forgery},
    id::{InstanceId, InterfaceId, PrefixListId, SecurityGroupId, StoreArn, StoreId, VpcId, ZoneName},
    observation::Gap,
    rule::Rule,
    tag::{ConnectionName, InvalidTag},
    untrusted::Untrusted,
};

/// A reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Reason {
    /// The connect tag's value breaks the grammar: it adds nothing and removes nothing.
    InvalidTag {
        /// The error.
        problem: InvalidTag,
    },
    /// The resource carries `tagwire:block`.
    Blocked,
    /// The resource carries `tagwire:hold`.
    Held,
    /// Nothing in the VPC shares the name, but something elsewhere does.
    DifferentVpc {
        /// The name.
        name: ConnectionName,
        /// A store that has it.
        store: StoreArn,
        /// That store's VPC.
        vpc: VpcId,
    },
    /// Nothing shares these names.
    NoMatch {
        /// The names.
        names: BTreeSet<ConnectionName>,
    },
    /// The instance is shutting down or gone: it has no interface left.
    InstanceGone,
    /// A service manages the instance, so nobody else may change its interfaces.
    ManagedInstance {
        /// The service.
        operator: Untrusted,
    },
    /// The data store's service knows no such store.
    StoreGone,
    /// The store's state does not accept a change.
    NotAvailable {
        /// The state in the service's own word.
        state: String,
        /// Whether the state may pass.
        passing: bool,
    },
    /// A group is still on its way into the store's list.
    ListChanging {
        /// The groups on their way.
        groups: BTreeSet<SecurityGroupId>,
    },
    /// Aurora Serverless v1.
    #[serde(rename = "serverless-v1")]
    ServerlessV1,
    /// Member of an Aurora global database.
    GlobalDatabase {
        /// The global cluster.
        global: Untrusted,
    },
    /// A DB instance that belongs to a DB cluster, or a cache to a replication group.
    ClusterMember {
        /// The cluster or replication group.
        cluster: Untrusted,
    },
    /// An Aurora cluster whose VPC networking is turned off.
    NoVpcNetworking {
        /// Its identifier.
        cluster: Untrusted,
    },
    /// A serverless cache that is reached over the internet and has no security groups.
    PublicEndpoint,
    /// On the EC2-Classic platform.
    #[serde(rename = "ec2-classic")]
    Ec2Classic,
    /// AWS shows neither the store's VPC nor what it could be known by, although its state is one in which it does.
    NetworkNotShown {
        /// The state.
        state: String,
    },
    /// Likewise no port.
    NoEndpoint {
        /// The state.
        state: String,
    },
    /// Likewise not one security group.
    GroupsNotShown {
        /// The state.
        state: String,
    },
    /// The store's list of groups is full.
    StoreGroupLimit {
        /// How many it takes.
        limit: usize,
    },
    /// The interface's list of groups is full.
    InterfaceGroupLimit {
        /// The interface.
        interface: InterfaceId,
        /// How many it takes.
        limit: usize,
    },
    /// More than one owned pair belongs to the store.
    AmbiguousPair {
        /// All owned groups of the store.
        groups: BTreeSet<SecurityGroupId>,
    },
    /// A group carries our tags and is not ours.
    OwnershipForged {
        /// The difference from an owned group.
        forgery: Forgery,
    },
    /// An owned group's tags say something else than its description and the state table, which are believed.
    IdentityConflict {
        /// The group.
        group: SecurityGroupId,
        /// The store that it was made for.
        store: StoreId,
        /// Whether they cannot be put back, because the one is gone by which the role may change the group.
        unmarked: bool,
    },
    /// A group has a name and a description of ours and our tags, and the state table does not bear it out.
    IdentityUnproven {
        /// What the proof lacks.
        doubt: Doubt,
    },
    /// An owned group's rules are not the pair's; they are put back.
    PairModified {
        /// Rules that do not belong there.
        extra: BTreeSet<Rule>,
        /// Whether the pair's own rule is missing.
        incomplete: bool,
    },
    /// Instance and store are in different Availability Zones.
    CrossAz {
        /// The instance's.
        instance_zone: ZoneName,
        /// The store's.
        store_zones: BTreeSet<ZoneName>,
    },
    /// More connections are to be removed than the window lets.
    DisconnectsHeldBack {
        /// How many have to wait.
        waiting: usize,
        /// How many a window lets.
        limit: usize,
        /// The window, in seconds.
        window: u64,
    },
    /// Something of ours was taken off a list again and again.
    Contested {
        /// The group.
        group: SecurityGroupId,
    },
    /// Something has an owned group that is not what the group was made for.
    ForeignAttachment {
        /// The interface or store that has it.
        holder: String,
    },
    /// The store has a group that was made for another one, and takes no part, so that its list is left alone.
    CopiedGroup {
        /// The group.
        group: SecurityGroupId,
        /// The store it was made for, when its name is known.
        of: Option<StoreArn>,
        /// The store that has it.
        carrier: StoreArn,
        /// The rest of its list.
        rest: BTreeSet<SecurityGroupId>,
    },
    /// The store has a group that was made for another one, which leaves when its own are in place.
    CopiedGroupLeaving {
        /// The group.
        group: SecurityGroupId,
        /// The store it was made for, when its name is known.
        of: Option<StoreArn>,
    },
    /// A further interface of an instance still has what a network plugin copied from the primary one.
    CopyRemains {
        /// The interface.
        interface: InterfaceId,
        /// Its instance.
        instance: InstanceId,
    },
    /// An interface that no instance has any more has no other group, and AWS takes no empty list.
    InterfaceLeftOver {
        /// The interface.
        interface: InterfaceId,
    },
    /// A store has the default group of its VPC.
    DefaultGroupAttached {
        /// The default group.
        group: SecurityGroupId,
    },
    /// An owned group is the only one left in a list, and AWS takes no empty one.
    LastGroup {
        /// The group.
        group: SecurityGroupId,
    },
    /// A group that is to be deleted is named in a launch template.
    GroupInLaunchTemplate,
    /// A group that is to be deleted is named in a rule of another one.
    GroupInRule {
        /// The group that has the rule.
        group: SecurityGroupId,
    },
    /// A group has our name and description, and lost our tags.
    OwnershipLost,
    /// It is not known what became of the data store of an owned group.
    StoreUnknown {
        /// The identity in its tags.
        store: StoreId,
    },
    /// The data store is in another VPC now than its pair.
    // Fact 9.2
    StoreMoved {
        /// The VPC that it is in now.
        vpc: VpcId,
    },
    /// The data store is gone, and its group is still attached to an interface.
    StillAttached {
        /// The group.
        group: SecurityGroupId,
    },
    /// The value of the tag for clients that are not instances breaks the grammar: it adds nothing and
    /// removes nothing.
    InvalidCidr {
        /// The error.
        problem: InvalidCidr,
    },
    /// More than one owned group for clients that are not instances belongs to the store.
    AmbiguousCidrGroup {
        /// All of them.
        groups: BTreeSet<SecurityGroupId>,
    },
    /// The group for clients that are not instances holds rules that no tag can have asked for; they are
    /// taken away.
    CidrModified {
        /// The rules.
        extra: BTreeSet<Rule>,
    },
    /// The installation lets in no clients that are not instances.
    CidrNotAllowed,
    /// A block is wider than the installation lets.
    CidrTooWide {
        /// The block or list that the tag names.
        peer: CidrPeer,
        /// The block: itself, or an entry of the list.
        block: Block,
        /// The shortest prefix that is let in.
        limit: u8,
    },
    /// A block is wider than the installation lets, and is let in already.
    CidrWidened {
        /// The block or list that the tag names.
        peer: CidrPeer,
        /// The block: itself, or an entry of the list.
        block: Block,
        /// The shortest prefix that is let in.
        limit: u8,
    },
    /// The clients are too many addresses together.
    CidrSumLimit {
        /// The family.
        family: Family,
        /// As how many blocks of the widest size they count.
        wanted: u128,
        /// The length of the prefix of such a block.
        limit: u8,
    },
    /// A prefix list is another account's, or AWS's, who could change what it lets in.
    PrefixListForeign {
        /// The list.
        list: PrefixListId,
        /// The account that owns it, or AWS.
        owner: Untrusted,
    },
    /// There is no such prefix list.
    PrefixListNotFound {
        /// The list.
        list: PrefixListId,
    },
    /// The blocks and lists need more rules than a group takes.
    CidrRuleLimit {
        /// The family of addresses that they are too many of.
        family: Family,
        /// How many rules they count as.
        wanted: usize,
    },
    /// A store side carries more connections that cannot be taken away one by one than a window lets.
    MoreThanWindow {
        /// How many.
        carried: usize,
        /// The most that are removed in a window.
        limit: usize,
    },
    /// A group of another store lets in the instance side, so that it would lead there too.
    LetInElsewhere {
        /// The instance side.
        group: SecurityGroupId,
        /// The group of the other store.
        by: SecurityGroupId,
    },
    /// A person asked for tagwire to be gone from the VPC.
    Uninstalling,
    /// Something needed for the decision could not be read.
    Unread {
        /// What.
        gap: Box<Gap>,
    },
    /// The planner decided something that no plan may do, which the checker left out.
    PlanRejected {
        /// The violation, in a sentence.
        problem: String,
    },
}
