//! Instances and data stores, as read from AWS.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    id::{InstanceId, InterfaceId, SecurityGroupId, StoreArn, StoreId, VpcId, ZoneName},
    rule::PortRange,
    service::{Readiness, Service},
    tag::TagSettings,
    untrusted::Untrusted,
};

/// A network interface and its list of groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its id.
    pub id: InterfaceId,
    /// Its VPC.
    pub vpc: VpcId,
    /// The groups it has. AWS treats the list as a set.
    pub groups: BTreeSet<SecurityGroupId>,
}

/// An EC2 instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// The `Name` tag. Nothing is decided by it.
    pub name: Option<Untrusted>,
    /// The interface at device index 0. None once the instance is shutting down: AWS then no
    /// longer reports one, and there is nothing to connect.
    pub interface: Option<Interface>,
    /// The service that manages it, such as `eks.amazonaws.com`: then nobody else may change its interfaces.
    // Fact 10.1
    pub operator: Option<Untrusted>,
    /// Its Availability Zone.
    pub zone: Option<ZoneName>,
    /// The settings in its tags.
    pub settings: TagSettings,
}

impl Instance {
    /// Whether it has a group on its primary interface.
    #[must_use]
    pub fn has_group(&self, group: &SecurityGroupId) -> bool {
        self.interface.as_ref().is_some_and(|interface| interface.groups.contains(group))
    }
}

/// The state of a group in a data store's list, which changes asynchronously.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Membership {
    /// In force.
    Active,
    /// On its way in.
    Adding,
    /// On its way out: counts as absent.
    Removing,
}

/// The form of a store, as far as it decides whether a pair can be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// One that can be connected.
    Plain,
    /// Aurora Serverless v1: the console's own feature refuses it.
    // Fact 2.3
    ServerlessV1,
    /// Member of an Aurora global database: likewise.
    GlobalMember {
        /// The global cluster's identifier.
        global: Untrusted,
    },
    /// A DB instance that belongs to a DB cluster, or a cache cluster that belongs to a replication
    /// group, which is the unit that has the group list.
    ClusterMember {
        /// The identifier of the cluster or replication group.
        cluster: Untrusted,
    },
}

/// The network that a store is in. Security groups can connect it in a VPC only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// A VPC.
    Vpc(VpcId),
    /// AWS does not show which: a replication group without members, a serverless cache without security
    /// groups. It may be any VPC, so nothing follows from it about one.
    // Fact 9.4
    NotShown,
    /// None: an Aurora cluster whose VPC networking is turned off.
    // Fact 9.1
    VpcNetworkingOff,
    /// None: a serverless cache that is reached over the internet.
    // Fact 9.3
    PublicEndpoint,
    /// None: the EC2-Classic platform, which AWS retired.
    // Fact 4.4
    Classic,
}

impl Network {
    /// The VPC; `None` when there is none or it is not known.
    #[must_use]
    pub fn vpc(&self) -> Option<&VpcId> {
        match self {
            Self::Vpc(vpc) => Some(vpc),
            Self::NotShown | Self::VpcNetworkingOff | Self::PublicEndpoint | Self::Classic => None,
        }
    }
}

/// A data store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataStore {
    /// Its identity, which survives a rename.
    pub id: StoreId,
    /// Its ARN, which does not.
    pub arn: StoreArn,
    /// The service it belongs to.
    pub service: Service,
    /// The network that it is in.
    pub network: Network,
    /// The Availability Zones it runs in; empty when not known.
    pub zones: BTreeSet<ZoneName>,
    /// The ports its endpoints listen on; `None` while AWS shows none, as of a store that is being created.
    pub ports: Option<PortRange>,
    /// Its state, in the service's own word.
    pub state: String,
    /// The form.
    pub form: Form,
    /// Its list of groups.
    pub groups: BTreeMap<SecurityGroupId, Membership>,
    /// The settings in its tags.
    pub settings: TagSettings,
}

impl DataStore {
    /// Its VPC; `None` when it is in none or AWS does not show which.
    #[must_use]
    pub fn vpc(&self) -> Option<&VpcId> {
        self.network.vpc()
    }

    /// Whether it is in a VPC as far as AWS shows.
    #[must_use]
    pub fn may_be_in(&self, vpc: &VpcId) -> bool {
        self.is_in(vpc) || self.network == Network::NotShown
    }

    /// Whether it is known to be in a VPC.
    #[must_use]
    pub fn is_in(&self, vpc: &VpcId) -> bool {
        self.vpc() == Some(vpc)
    }

    /// Whether its list of groups can be changed in its present state.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.service.row().readiness(&self.state)
    }

    /// Whether it is being deleted.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.service.row().is_leaving(&self.state)
    }

    /// Whether somebody stopped or paused it.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.service.row().is_at_rest(&self.state)
    }

    /// Whether its tags were read from its own service. The tag index may be stale: it is good
    /// enough to find what may be connected, and never a reason for taking something away.
    #[must_use]
    pub fn tags_are_certain(&self) -> bool {
        !self.service.row().lists_tags_only_when_ready || self.readiness() == Readiness::Ready
    }

    /// Whether it is a part of a cluster or replication group, and so no store of its own: the whole has the list of
    /// groups of all its members.
    // Fact 4.2
    #[must_use]
    pub fn is_member(&self) -> bool {
        matches!(self.form, Form::ClusterMember { .. })
    }

    /// Whether it is a member of the cluster or replication group `whole`.
    // Fact 4.2
    #[must_use]
    pub fn is_member_of(&self, whole: &StoreArn) -> bool {
        let (own, other) = (self.arn.kind(), whole.kind());
        matches!(&self.form, Form::ClusterMember { cluster } if cluster == whole.name())
            && own != other
            && own.row().api == other.row().api
    }

    /// Whether a group is in its list or on its way in.
    #[must_use]
    pub fn has_group(&self, group: &SecurityGroupId) -> bool {
        matches!(self.groups.get(group), Some(Membership::Active | Membership::Adding))
    }

    /// Whether a change of the list is still on its way in. Nothing is written then: the answer
    /// would be built on a list that is about to be another.
    #[must_use]
    pub fn list_is_changing(&self) -> bool {
        self.groups.values().any(|membership| *membership == Membership::Adding)
    }

    /// The groups that stay in the list.
    pub fn lasting_groups(&self) -> impl Iterator<Item = &SecurityGroupId> {
        self.groups.iter().filter(|(_, membership)| **membership != Membership::Removing).map(|(group, _)| group)
    }
}
