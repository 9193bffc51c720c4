//! Security groups: their names, whose they are, and the lists they stand in.

mod list;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::list::{BadGroupList, GroupList};
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
        Service::ALL.iter().flat_map(|&service| Role::ALL.map(|role| (service, role))).find_map(|(service, role)| {
            // Fact 2.4
            let number = number_behind(name, &pattern(service, role))?;
            Some(Self { service, role, number })
        })
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

fn number_behind(name: &str, pattern: &str) -> Option<u32> {
    let digits = name.strip_prefix(pattern)?.strip_prefix('-')?;
    let number: u32 = digits.parse().ok()?;
    (number > 0 && number.to_string() == digits).then_some(number)
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

/// The fixed description of our groups, by role. AWS never lets a description be changed, so it
/// is a part of the ownership check that no tag editor can forge onto an existing group.
#[must_use]
pub fn description(role: impl Into<Role>) -> &'static str {
    match role.into() {
        Role::Side(Side::Store) => {
            "Made by tagwire for a data store: lets in the instances that have the other group of this pair. Its rules are put back when changed."
        }
        Role::Side(Side::Instance) => {
            "Made by tagwire for instances: lets them out to the data store that has the other group of this pair. Its rules are put back when changed."
        }
        Role::Cidr => {
            "Made by tagwire for a data store: lets in the CIDR blocks and prefix lists that its tag tagwire:allow-cidr names. Its rules are put back when changed."
        }
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

/// A group that passed the ownership check. Every call that changes a group takes one of these,
/// and nothing but the check makes one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct OwnedGroup(SecurityGroupId);

impl OwnedGroup {
    /// The group's id.
    #[must_use]
    pub fn id(&self) -> &SecurityGroupId {
        &self.0
    }
}

impl fmt::Display for OwnedGroup {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Whose a group is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// It carries none of our tags.
    Foreign,
    /// It carries our tag, but something that cannot be changed later says otherwise.
    Forged(Forgery),
    /// Ours.
    Owned(Owned),
}

impl Ownership {
    /// The owned group, if it is one.
    #[must_use]
    pub fn ours(self) -> Option<Owned> {
        match self {
            Self::Owned(owned) => Some(owned),
            Self::Foreign | Self::Forged(_) => None,
        }
    }
}

/// An owned group, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// The proof.
    pub group: OwnedGroup,
    /// The name, which determines the role.
    pub name: GroupName,
    /// The identity of the store it was made for.
    pub store: StoreId,
    /// The ARN in its tags, `None` when that tag is lost or unreadable.
    pub arn: Option<StoreArn>,
}

impl Owned {
    /// The role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.name.role
    }

    /// The side of a pair that it is; `None` for a group that is no side.
    #[must_use]
    pub fn side(&self) -> Option<Side> {
        match self.name.role {
            Role::Side(side) => Some(side),
            Role::Cidr => None,
        }
    }
}

/// The difference between a forged group and an owned one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forgery {
    /// The name fits no pattern of ours.
    #[error("its name is none that tagwire gives")]
    Name,
    /// The side tag is missing or names another side than the name does.
    #[error("its side tag does not agree with its name")]
    Side,
    /// The description is not our sentence for the side.
    #[error("its description is not the one tagwire writes")]
    Description,
    /// The identity tag is missing or unreadable.
    #[error("it does not say which data store it belongs to")]
    StoreId,
}

impl SecurityGroup {
    /// The ownership check: our tags **and** everything that nobody can change after creation.
    /// The default group fails it by its name.
    #[must_use]
    pub fn ownership(&self) -> Ownership {
        if self.tags.get(MANAGED_BY_KEY).map(String::as_str) != Some(MANAGED_BY) {
            return Ownership::Foreign;
        }
        let Some(name) = GroupName::read(&self.name) else { return Ownership::Forged(Forgery::Name) };
        let role = name.role;
        if self.tags.get(SIDE_KEY).map(String::as_str) != Some(role.tag_value()) {
            return Ownership::Forged(Forgery::Side);
        }
        if self.description != description(role) {
            return Ownership::Forged(Forgery::Description);
        }
        let Some(Ok(store)) = self.tags.get(STORE_ID_KEY).map(StoreId::parse) else {
            return Ownership::Forged(Forgery::StoreId);
        };
        let arn = self.tags.get(STORE_ARN_KEY).and_then(|arn| StoreArn::parse(arn).ok());
        Ownership::Owned(Owned { group: OwnedGroup(self.id.clone()), name, store, arn })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned() -> SecurityGroup {
        let tags = OwnTags {
            store: StoreId::parse("cluster-A").unwrap(),
            arn: StoreArn::parse("arn:aws:rds:us-east-1:123456789012:cluster:a").unwrap(),
            role: Side::Store.into(),
        };
        SecurityGroup {
            id: SecurityGroupId::parse("sg-1").unwrap(),
            vpc: VpcId::parse("vpc-1").unwrap(),
            name: "rds-ec2-1".into(),
            description: description(Side::Store).into(),
            tags: tags.to_map(),
            rules: BTreeSet::new(),
        }
    }

    fn verdict(change: impl FnOnce(&mut SecurityGroup)) -> Ownership {
        let mut group = owned();
        change(&mut group);
        group.ownership()
    }

    #[test]
    fn a_group_of_ours_is_ours_whatever_else_it_carries() {
        let Ownership::Owned(owned) = verdict(|group| {
            group.tags.insert("team".into(), "a".into());
        }) else {
            panic!("not owned")
        };
        assert_eq!((owned.store.as_str(), owned.name.number), ("cluster-A", 1));
    }

    #[test]
    fn a_lost_arn_tag_does_not_make_it_a_forgery() {
        let Ownership::Owned(owned) = verdict(|group| {
            group.tags.remove(STORE_ARN_KEY);
        }) else {
            panic!("not owned")
        };
        assert_eq!(owned.arn, None);
    }

    #[test]
    fn our_tags_on_anything_else_are_a_forgery() {
        assert_eq!(verdict(|group| group.name = "default".into()), Ownership::Forged(Forgery::Name));
        assert_eq!(verdict(|group| group.name = "rds-ec2-01".into()), Ownership::Forged(Forgery::Name));
        assert_eq!(verdict(|group| group.name = "ec2-rds-1".into()), Ownership::Forged(Forgery::Side));
        assert_eq!(verdict(|group| group.description.push('.')), Ownership::Forged(Forgery::Description));
        assert_eq!(
            verdict(|group| {
                group.tags.remove(STORE_ID_KEY);
            }),
            Ownership::Forged(Forgery::StoreId)
        );
    }

    #[test]
    fn without_the_managed_by_tag_a_group_is_foreign() {
        assert_eq!(
            verdict(|group| {
                group.tags.insert(MANAGED_BY_KEY.into(), "terraform".into());
            }),
            Ownership::Foreign
        );
    }

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
    fn a_group_for_cidr_clients_is_none_of_a_pair() {
        let cidr = |group: &mut SecurityGroup| {
            group.name = "rds-cidr-2".into();
            group.description = description(Role::Cidr).into();
            group.tags.insert(SIDE_KEY.into(), "cidr".into());
        };
        let Ownership::Owned(owned) = verdict(cidr) else { panic!("not owned") };
        assert_eq!(
            (owned.store.as_str(), owned.name.to_string(), owned.role()),
            ("cluster-A", "rds-cidr-2".to_owned(), Role::Cidr)
        );
        let forged = |change: fn(&mut SecurityGroup)| {
            verdict(|group| {
                cidr(group);
                change(group);
            })
        };
        let store_side: fn(&mut SecurityGroup) = |group| drop(group.tags.insert(SIDE_KEY.into(), "store".into()));
        assert_eq!(forged(store_side), Ownership::Forged(Forgery::Side));
        assert_eq!(forged(|group| group.name = "rds-ec2-2".into()), Ownership::Forged(Forgery::Side));
        assert_eq!(forged(|group| group.name = "rds-cidr-02".into()), Ownership::Forged(Forgery::Name));
        assert_eq!(
            forged(|group| group.description = description(Side::Store).into()),
            Ownership::Forged(Forgery::Description)
        );
    }

    #[test]
    fn descriptions_hold_only_what_a_group_description_may() {
        for role in Side::BOTH.map(Role::Side).into_iter().chain([Role::Cidr]) {
            let text = description(role);
            assert!(text.len() <= 255);
            assert!(
                text.chars().all(|symbol| symbol.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(symbol))
            );
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
