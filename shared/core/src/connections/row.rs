//! A row: one client and one data store, with the state of their connection.

use std::{collections::BTreeSet, fmt};

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    cidr::CidrPeer,
    id::{InstanceId, SecurityGroupId, StoreArn, VpcId, ZoneName},
    rule::PortRange,
    service::Service,
    tag::ConnectionName,
    untrusted::Untrusted,
};

/// The code of a connection that tagwire is about to make.
pub const CONNECTING: &str = "connecting";
/// The code of a connection that tagwire is about to take away.
pub const DISCONNECTING: &str = "disconnecting";
/// The code of a connection that is to be taken away, and has to wait for a later window.
pub const HELD_BACK: &str = "disconnects-held-back";
/// The code of a connection whose groups do not hold exactly the pair's rules.
pub const MODIFIED: &str = "pair-modified";
/// The code of a way into a data store through the store side of another one, which it may be a copy of.
pub const COPIED: &str = "copied-group";

/// A client that is let in to a data store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Client {
    /// An instance.
    Instance(InstanceId),
    /// Whoever has an address of a block or of a prefix list.
    Cidr(CidrPeer),
}

impl Client {
    /// The instance, if it is one.
    #[must_use]
    pub fn instance(&self) -> Option<&InstanceId> {
        match self {
            Self::Instance(instance) => Some(instance),
            Self::Cidr(_) => None,
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(instance) => instance.fmt(out),
            Self::Cidr(peer) => peer.fmt(out),
        }
    }
}

/// The state of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The client is let in, and the groups are as they should be.
    Connected,
    /// Its groups are attached, and are not as they should be: a rule is missing or there is one too
    /// many, or only one side is attached.
    Drifted,
    /// The tags ask for it, and it is on its way.
    Waiting,
    /// The tags ask for it, and it is not made.
    Refused,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Connected, Self::Drifted, Self::Waiting, Self::Refused];

    /// The state in a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Drifted => "drifted",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
        }
    }
}

/// The maker of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Maker {
    /// tagwire: both groups pass the ownership check.
    Tagwire,
    /// The RDS console: both groups have the names and the descriptions that it gives.
    Console,
    /// Anybody else: a person or a tool.
    Other,
}

impl Maker {
    /// The maker in a word, which does not change.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Tagwire => "tagwire",
            Self::Console => "console",
            Self::Other => "other",
        }
    }
}

/// A group of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SideGroup {
    /// Its id.
    pub id: SecurityGroupId,
    /// Its name; empty when the group could not be read.
    pub name: Untrusted,
}

/// One client and one data store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionStatus {
    /// The VPC in which they meet.
    pub vpc: VpcId,
    /// The client that is let in.
    pub client: Client,
    /// The instance's `Name` tag.
    pub instance_name: Option<Untrusted>,
    /// The instance's Availability Zone.
    pub instance_zone: Option<ZoneName>,
    /// The data store.
    pub store: StoreArn,
    /// The data store's service.
    pub service: Service,
    /// The Availability Zones that the data store runs in; empty when not known.
    pub store_zones: BTreeSet<ZoneName>,
    /// Whether the instance is in none of them: traffic between them may cost.
    pub cross_az: bool,
    /// The data store's ports; `None` while it is being created or when it is gone.
    pub ports: Option<PortRange>,
    /// The connection names that both hold.
    pub names: BTreeSet<ConnectionName>,
    /// The group on the data store.
    pub store_side: Option<SideGroup>,
    /// The group on the instance.
    pub instance_side: Option<SideGroup>,
    /// The maker; `None` while nothing is made.
    pub made_by: Option<Maker>,
    /// The time since which both groups are attached; `None` when the state table does not tell.
    pub since: Option<Timestamp>,
    /// The state.
    pub state: State,
    /// The stable code of the reason for the state.
    pub code: Option<&'static str>,
    /// The reason in a sentence.
    pub reason: Option<String>,
}
