//! Why something was not done, or was done although it deserves a look. Every reason has a
//! stable code that logs, the CLI and alarms can rely on, and carries the facts it rests on.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    group::Forgery,
    id::{InstanceId, InterfaceId, SecurityGroupId, StoreArn, VpcId, ZoneName},
    observation::Gap,
    rule::Rule,
    tag::{ConnectionName, InvalidTag},
};

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A VPC.
    Vpc(VpcId),
    /// An instance.
    Instance(InstanceId),
    /// A data store.
    Store(StoreArn),
    /// A security group.
    Group(SecurityGroupId),
}

impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vpc(id) => id.fmt(out),
            Self::Instance(id) => id.fmt(out),
            Self::Store(arn) => arn.fmt(out),
            Self::Group(id) => id.fmt(out),
        }
    }
}

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
    /// Something needed for the decision could not be read.
    Unread {
        /// What.
        gap: Gap,
    },
}

impl Reason {
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
            | Self::CrossAz { .. } => false,
        }
    }
}

fn words<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidTag { problem } => {
                write!(out, "the connect tag cannot be read: {problem}; nothing is added or removed because of it")
            }
            Self::Blocked => out.write_str("it carries tagwire:block, so it gets no connection"),
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
            Self::Unread { gap } => write!(out, "something could not be read, so nothing is decided on it: {gap}"),
        }
    }
}
