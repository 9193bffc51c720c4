//! Why something was not done, or was done although it deserves a look. Every reason has a
//! stable code that logs, the CLI and alarms can rely on, and carries the facts it rests on.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

pub use crate::observation::Subject;
use crate::{
    cidr::{Block, CidrPeer, Family, InvalidCidr, MOST_RULES},
    group::Forgery,
    id::{InterfaceId, PrefixListId, SecurityGroupId, StoreArn, StoreId, VpcId, ZoneName},
    observation::Gap,
    rule::Rule,
    state::MOST_TIMES_AGAIN,
    tag::{ConnectionName, InvalidTag},
};

/// A reason about a subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about.
    pub subject: Subject,
    /// The reason.
    #[serde(flatten)]
    pub reason: Reason,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} ({})", self.subject, self.reason, self.reason.code())
    }
}

/// A reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Reason {
    /// The connect tag's value breaks the grammar: it adds nothing and removes nothing.
    InvalidTag {
        /// What is wrong with it.
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
    /// The data store's service says that there is no such store.
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
        global: String,
    },
    /// A DB instance that belongs to a DB cluster, or a cache to a replication group.
    ClusterMember {
        /// The cluster or replication group.
        cluster: String,
    },
    /// Outside any VPC.
    #[serde(rename = "ec2-classic")]
    Ec2Classic,
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
        /// What gives it away.
        forgery: Forgery,
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
        /// What was taken off.
        group: SecurityGroupId,
    },
    /// Something has an owned group that is not what the group was made for.
    ForeignAttachment {
        /// What has it.
        holder: String,
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
    /// It cannot be told which data store an owned group belongs to.
    StoreUnknown {
        /// The identity in its tags.
        store: StoreId,
    },
    /// The data store is in another VPC now than its pair.
    StoreMoved {
        /// Where it is.
        vpc: VpcId,
    },
    /// The data store is gone, and an interface still carries its group.
    StillCarried {
        /// The group.
        group: SecurityGroupId,
    },
    /// The value of the tag for clients that are not instances breaks the grammar: it adds nothing and
    /// removes nothing.
    InvalidCidr {
        /// What is wrong with it.
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
        /// What the tag names.
        peer: CidrPeer,
        /// The block: itself, or an entry of the list.
        block: Block,
        /// The shortest prefix that is let in.
        limit: u8,
    },
    /// A prefix list is another account's, or AWS's, who could change what it lets in.
    PrefixListForeign {
        /// The list.
        list: PrefixListId,
        /// Who owns it.
        owner: String,
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
    /// A person asked for tagwire to be gone from the VPC.
    Uninstalling,
    /// Something needed for the decision could not be read.
    Unread {
        /// The gap.
        gap: Box<Gap>,
    },
}

impl Reason {
    /// That a decision rests on what a gap hides.
    #[must_use]
    pub fn unread(gap: &Gap) -> Self {
        Self::Unread { gap: Box::new(gap.clone()) }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidTag { .. } => "invalid-tag",
            Self::Blocked => "blocked",
            Self::Held => "held",
            Self::DifferentVpc { .. } => "different-vpc",
            Self::NoMatch { .. } => "no-match",
            Self::InstanceGone => "instance-gone",
            Self::StoreGone => "store-gone",
            Self::NotAvailable { .. } => "not-available",
            Self::ListChanging { .. } => "list-changing",
            Self::ServerlessV1 => "serverless-v1",
            Self::GlobalDatabase { .. } => "global-database",
            Self::ClusterMember { .. } => "cluster-member",
            Self::Ec2Classic => "ec2-classic",
            Self::StoreGroupLimit { .. } => "store-group-limit",
            Self::InterfaceGroupLimit { .. } => "interface-group-limit",
            Self::AmbiguousPair { .. } => "ambiguous-pair",
            Self::OwnershipForged { .. } => "ownership-forged",
            Self::PairModified { .. } => "pair-modified",
            Self::CrossAz { .. } => "cross-az",
            Self::DisconnectsHeldBack { .. } => "disconnects-held-back",
            Self::Contested { .. } => "contested",
            Self::ForeignAttachment { .. } => "foreign-attachment",
            Self::LastGroup { .. } => "last-group",
            Self::GroupInLaunchTemplate => "group-in-launch-template",
            Self::GroupInRule { .. } => "group-in-rule",
            Self::OwnershipLost => "ownership-lost",
            Self::StoreUnknown { .. } => "store-unknown",
            Self::StoreMoved { .. } => "store-moved",
            Self::StillCarried { .. } => "still-carried",
            Self::InvalidCidr { .. } => "invalid-cidr",
            Self::AmbiguousCidrGroup { .. } => "ambiguous-cidr-group",
            Self::CidrModified { .. } => "cidr-modified",
            Self::CidrNotAllowed => "cidr-not-allowed",
            Self::CidrTooWide { .. } => "cidr-too-wide",
            Self::PrefixListForeign { .. } => "prefix-list-foreign",
            Self::PrefixListNotFound { .. } => "prefix-list-not-found",
            Self::CidrRuleLimit { .. } => "cidr-rule-limit",
            Self::Uninstalling => "uninstalling",
            Self::Unread { .. } => "unread",
        }
    }

    /// Whether the same look may find another answer in a while, with nobody doing anything.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::NotAvailable { passing, .. } => *passing,
            Self::Unread { gap } => gap.passing,
            Self::ListChanging { .. } => true,
            Self::InvalidTag { .. }
            | Self::Blocked
            | Self::Held
            | Self::DifferentVpc { .. }
            | Self::NoMatch { .. }
            | Self::InstanceGone
            | Self::StoreGone
            | Self::ServerlessV1
            | Self::GlobalDatabase { .. }
            | Self::ClusterMember { .. }
            | Self::Ec2Classic
            | Self::StoreGroupLimit { .. }
            | Self::InterfaceGroupLimit { .. }
            | Self::AmbiguousPair { .. }
            | Self::OwnershipForged { .. }
            | Self::PairModified { .. }
            | Self::CrossAz { .. }
            | Self::DisconnectsHeldBack { .. }
            | Self::Contested { .. }
            | Self::ForeignAttachment { .. }
            | Self::LastGroup { .. }
            | Self::GroupInLaunchTemplate
            | Self::GroupInRule { .. }
            | Self::OwnershipLost
            | Self::StoreUnknown { .. }
            | Self::StoreMoved { .. }
            | Self::StillCarried { .. }
            | Self::InvalidCidr { .. }
            | Self::AmbiguousCidrGroup { .. }
            | Self::CidrModified { .. }
            | Self::CidrNotAllowed
            | Self::CidrTooWide { .. }
            | Self::PrefixListForeign { .. }
            | Self::PrefixListNotFound { .. }
            | Self::CidrRuleLimit { .. }
            | Self::Uninstalling => false,
        }
    }
}

fn words<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Reason {
    #[expect(clippy::too_many_lines, reason = "one sentence for each reason")]
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidTag { problem } => {
                write!(out, "the connect tag cannot be read: {problem}; nothing is added or removed because of it")
            }
            Self::Blocked => {
                out.write_str("it carries tagwire:block or has a group of isolation, so it gets no connection")
            }
            Self::Held => out.write_str("it carries tagwire:hold, so nothing is attached or detached"),
            Self::DifferentVpc { name, store, vpc } => write!(
                out,
                "no data store in its VPC has the name {name}; {store} has it, but in {vpc}, and a pair cannot cross VPCs"
            ),
            Self::NoMatch { names } if names.is_empty() => out.write_str("its connect tag holds no names"),
            Self::NoMatch { names } => write!(out, "nothing on the other side shares the name {}", words(names)),
            Self::InstanceGone => out.write_str("the instance is shutting down or gone"),
            Self::StoreGone => out.write_str("there is no such data store"),
            Self::NotAvailable { state, passing: true } => {
                write!(out, "its state is {state:?}, in which its groups cannot be changed; it is looked at again")
            }
            Self::NotAvailable { state, passing: false } => {
                write!(out, "its state is {state:?}, which no change of groups will be accepted in any more")
            }
            Self::ListChanging { groups } => {
                write!(out, "{} is still on its way into its list of groups; it is looked at again", words(groups))
            }
            Self::ServerlessV1 => out.write_str("Aurora Serverless v1 clusters cannot be connected"),
            Self::GlobalDatabase { global } => {
                write!(out, "it is a member of the Aurora global database {global}, which cannot be connected")
            }
            Self::ClusterMember { cluster } => {
                write!(out, "it belongs to {cluster}, which is connected as a whole: put the tag there")
            }
            Self::Ec2Classic => {
                out.write_str("it is not in a VPC (EC2-Classic was retired in 2022): restore it into a VPC")
            }
            Self::StoreGroupLimit { limit } => write!(
                out,
                "its {limit} places for security groups are all taken, and no quota raises that: remove a group from it"
            ),
            Self::InterfaceGroupLimit { interface, limit } => write!(
                out,
                "{interface} has no free place: it takes {limit} security groups (raise quota L-2AFB9258, and the InterfaceGroupLimit parameter with it)"
            ),
            Self::AmbiguousPair { groups } => write!(
                out,
                "more than one owned pair belongs to it ({}): the lowest number serves, the others need a person",
                words(groups)
            ),
            Self::OwnershipForged { forgery } => {
                write!(out, "it carries tagwire's tags but is not tagwire's: {forgery}; it is left alone")
            }
            Self::PairModified { extra, incomplete } => {
                if !extra.is_empty() {
                    write!(out, "it holds rules that are not the pair's ({})", words(extra))?;
                }
                if *incomplete {
                    out.write_str(if extra.is_empty() { "it lacks the pair's rule" } else { " and lacks the pair's" })?;
                }
                out.write_str("; put back")
            }
            Self::CrossAz { instance_zone, store_zones } => write!(
                out,
                "it is in {instance_zone} and the data store in {}: traffic between them may cost",
                words(store_zones)
            ),
            Self::DisconnectsHeldBack { waiting, limit, window } => write!(
                out,
                "{} to be removed, but at most {limit} of a VPC are in {window} seconds; the oldest go first in the next sweeps: if the tags were taken away by mistake, put them back and nothing more is lost",
                if *waiting == 1 { "1 connection more is".to_owned() } else { format!("{waiting} more connections are") }
            ),
            Self::Contested { group } => write!(
                out,
                "{group} was attached again {MOST_TIMES_AGAIN} times in a day and was taken off each time; something else manages that list of groups, so it is left alone until the connect tag there changes"
            ),
            Self::ForeignAttachment { holder } => write!(
                out,
                "{holder} has it, which tagwire did not attach and cannot take away; it can reach what the group reaches"
            ),
            Self::LastGroup { group } => {
                write!(
                    out,
                    "{group} is the only security group left there, and AWS takes no empty list: add another group"
                )
            }
            Self::GroupInLaunchTemplate => {
                out.write_str("nobody uses it, but a launch template names it, and would no longer launch without it")
            }
            Self::GroupInRule { group } => {
                write!(
                    out,
                    "nobody uses it, but a rule of {group} names it, and AWS deletes no group that a rule names"
                )
            }
            Self::OwnershipLost => {
                out.write_str("it has a name and description of tagwire's and lost its tags; it is left alone")
            }
            Self::StoreUnknown { store } => {
                write!(out, "it cannot be told what became of its data store {store}; it is left alone")
            }
            Self::StoreMoved { vpc } => {
                write!(out, "it is in {vpc} now, where its pair cannot follow; nothing is removed because of that")
            }
            Self::StillCarried { group } => {
                write!(
                    out,
                    "there is no such data store, but something still carries its group {group}; nothing is removed"
                )
            }
            Self::InvalidCidr { problem } => {
                write!(
                    out,
                    "its tag tagwire:allow-cidr cannot be read: {problem}; nothing is added or removed because of it"
                )
            }
            Self::AmbiguousCidrGroup { groups } => write!(
                out,
                "more than one owned group for CIDR clients belongs to it ({}): the lowest number serves, the others need a person",
                words(groups)
            ),
            Self::CidrModified { extra } => {
                write!(out, "it holds rules that tagwire never writes there ({}); taken away", words(extra))
            }
            Self::CidrNotAllowed => out.write_str(
                "it has clients that are not EC2 instances, which this installation does not let in (AllowCidr); nothing is added, and what stands is left alone",
            ),
            Self::CidrTooWide { peer, block, limit } => {
                if *peer == CidrPeer::Block(*block) {
                    write!(out, "{block} is wider than the /{limit} that this installation lets in")?;
                } else {
                    write!(out, "{peer} holds {block}, which is wider than the /{limit} that this installation lets in")?;
                }
                out.write_str("; nothing is added or removed because of the tag")
            }
            Self::PrefixListForeign { list, owner } => write!(
                out,
                "{list} belongs to {owner} and not to this account, so somebody else could change what it lets in; nothing is added or removed because of the tag"
            ),
            Self::PrefixListNotFound { list } => {
                write!(out, "there is no {list} here; nothing is added or removed because of the tag")
            }
            Self::CidrRuleLimit { family, wanted } => write!(
                out,
                "its blocks and prefix lists count as {wanted} rules for {family}, and a group takes {MOST_RULES} (quota Inbound or outbound rules per security group, L-0EA8095F; a prefix list counts with the most entries it may have); nothing is added or removed because of the tag"
            ),
            Self::Uninstalling => out.write_str(
                "tagwire is being uninstalled from its VPC, so nothing is connected there (`tagwire uninstall --cancel` takes that back)",
            ),
            Self::Unread { gap } => write!(out, "something could not be read, so nothing is decided on it: {gap}"),
        }
    }
}
