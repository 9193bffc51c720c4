//! Security groups: their names, whose they are, and the lists they stand in.

mod identity;
mod list;
mod ownership;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

pub use self::{
    identity::{DESCRIPTION_BEGINS, Described, GroupRecord, Identities, Token, description, former_description},
    list::{BadGroupList, GroupList},
    ownership::{Doubt, Forgery, MarkedGroup, Owned, OwnedGroup, Ownership, TagState, Unproven},
};
use crate::{
    id::{SecurityGroupId, StoreArn, StoreId, VpcId},
    rule::{Direction, Peer, Rule},
    service::{Service, Side},
};

/// Tag key that marks a group as ours.
pub const MANAGED_BY_KEY: &str = "tagwire:managed-by";
/// The value of [`MANAGED_BY_KEY`].
pub const MANAGED_BY: &str = "tagwire";
/// Tag key that holds the identity of the store a group belongs to.
pub const STORE_ID_KEY: &str = "tagwire:data-store-id";
/// Tag key that holds the store's ARN, for people; rewritten after a rename.
pub const STORE_ARN_KEY: &str = "tagwire:data-store";
/// Tag key that holds the role: the side of a pair, or `cidr`.
pub const SIDE_KEY: &str = "tagwire:side";

/// A security group as read from AWS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// Its id.
    pub id: SecurityGroupId,
    /// Its VPC.
    pub vpc: VpcId,
    /// Its name, unique in the VPC without regard to case, unchangeable.
    pub name: String,
    /// Its description, unchangeable.
    pub description: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its rules of both directions.
    pub rules: BTreeSet<Rule>,
    /// What the state table says of a group of this name in its VPC; `None` when it says nothing, or was not asked.
    #[serde(skip)]
    pub record: Option<GroupRecord>,
}

impl SecurityGroup {
    /// The rules of one direction.
    pub fn rules(&self, direction: Direction) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| rule.direction == direction)
    }

    /// The groups that the inbound rules name.
    pub fn let_in(&self) -> impl Iterator<Item = &SecurityGroupId> {
        self.rules(Direction::Inbound).filter_map(|rule| match &rule.peer {
            Peer::Group(group) => Some(group),
            Peer::GroupOfAccount { .. } | Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::PrefixList(_) => None,
        })
    }

    /// Whether it has a name and a description of ours. That proves nothing, but nobody else has a reason to write them.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        let described = Described::read(&self.description);
        Role::of_name(&self.name).is_some_and(|role| described.is_some_and(|described| described.role == role))
    }

    /// Gives it the record that the state table has of a group of its name in its VPC.
    pub fn look_up(&mut self, identities: &Identities) {
        self.record = GroupName::read(&self.name).and_then(|name| identities.get(&name)).cloned();
    }

    /// Whether it is the group that every VPC has. AWS gives the name to no other.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.name == "default"
    }
}

/// The name of a group of ours: the service's pattern for the role, and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GroupName {
    /// The service of the store.
    pub service: Service,
    /// The role of the group.
    pub role: Role,
    /// The number, 1 or more.
    pub number: u32,
}

impl GroupName {
    /// Reads a group's name. Only the canonical form counts (`rds-ec2-3`, not `rds-ec2-03` or
    /// `RDS-EC2-3`), because that is what the RDS console looks for.
    #[must_use]
    pub fn read(name: &str) -> Option<Self> {
        // Fact 2.4
        let (beginning, digits) = name.rsplit_once('-')?;
        let number = digits.starts_with(|first| matches!(first, '1'..='9')).then(|| digits.parse().ok())??;
        let mut kinds = Service::ALL.iter().flat_map(|&service| Role::ALL.map(|role| (service, role)));
        let (service, role) = kinds.find(|&(service, role)| begins(beginning, service, role))?;
        Some(Self { service, role, number })
    }

    /// The name as AWS compares it: names are unique in a VPC without regard to case.
    #[must_use]
    // Fact 3.6
    pub fn folded(self) -> String {
        self.to_string().to_ascii_lowercase()
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", pattern(self.service, self.role), self.number)
    }
}

/// The beginning of a group's name, without `-n`.
fn pattern(service: Service, role: Role) -> String {
    match role {
        Role::Side(side) => service.row().pattern(side).to_owned(),
        Role::Cidr => service.row().cidr_pattern(),
    }
}

/// Whether a name that begins like this is of the role. Every group of a VPC is asked, so no pattern is put together
/// that cannot be it.
fn begins(beginning: &str, service: Service, role: Role) -> bool {
    match role {
        Role::Side(side) => service.row().pattern(side) == beginning,
        Role::Cidr => beginning.ends_with("-cidr") && service.row().cidr_pattern() == beginning,
    }
}

/// The role of an owned group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A store's clients that are not EC2 instances.
    Cidr,
    /// One side of a pair.
    #[serde(untagged)]
    Side(Side),
}

/// Which of a store's groups belong together: they are made, attached and deleted as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupKind {
    /// The two sides that instances use.
    Pair,
    /// The group for clients that are not EC2 instances.
    Cidr,
}

impl GroupKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Pair, Self::Cidr];
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Side(Side::Store), Self::Side(Side::Instance), Self::Cidr];

    /// The groups that one with this role belongs to.
    #[must_use]
    pub fn kind(self) -> GroupKind {
        match self {
            Self::Side(_) => GroupKind::Pair,
            Self::Cidr => GroupKind::Cidr,
        }
    }

    /// The value of the side tag.
    #[must_use]
    pub fn tag_value(self) -> &'static str {
        match self {
            Self::Side(side) => side.tag_value(),
            Self::Cidr => "cidr",
        }
    }

    /// The role that belongs to a group's name; `None` when the name is not one of ours.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        GroupName::read(name).map(|name| name.role)
    }
}

impl PartialEq<Side> for Role {
    fn eq(&self, side: &Side) -> bool {
        *self == Self::Side(*side)
    }
}

impl From<Side> for Role {
    fn from(side: Side) -> Self {
        Self::Side(side)
    }
}

/// The tags of an owned group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnTags {
    /// The identity of the store.
    pub store: StoreId,
    /// Its ARN when the tags were written.
    pub arn: StoreArn,
    /// The role of the group.
    pub role: Role,
}

impl OwnTags {
    /// The tags as keys and values.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, String> {
        [
            (MANAGED_BY_KEY, MANAGED_BY),
            (STORE_ID_KEY, self.store.as_str()),
            (STORE_ARN_KEY, self.arn.as_str()),
            (SIDE_KEY, self.role.tag_value()),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_as_they_are_written() {
        for &service in Service::ALL {
            for role in Role::ALL {
                let name = GroupName { service, role, number: 12 };
                assert_eq!(GroupName::read(&name.to_string()), Some(name));
            }
        }
        for name in [
            "rds-ec2-",
            "rds-ec2-0",
            "rds-ec2-1a",
            "rds-ec2--1",
            "rds-ec2-+1",
            "ec2-rds",
            "rds-ec2-4294967296",
            "rds-lambda-1",
        ] {
            assert_eq!(GroupName::read(name), None, "{name}");
        }
    }

    #[test]
    fn a_list_is_never_empty_and_never_too_long() {
        let groups =
            |count: u32| (0..count).map(|index| SecurityGroupId::parse(format!("sg-{index}")).unwrap()).collect();
        assert_eq!(GroupList::new(groups(0), 5), Err(BadGroupList::LastGroup));
        assert_eq!(GroupList::new(groups(6), 5), Err(BadGroupList::Full { wanted: 6, limit: 5 }));
        assert_eq!(GroupList::new(groups(5), 5).unwrap().iter().count(), 5);
    }
}
