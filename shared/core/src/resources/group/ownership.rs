//! Whose a group is.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    Described, GroupName, GroupRecord, MANAGED_BY, MANAGED_BY_KEY, Role, SIDE_KEY, STORE_ARN_KEY, STORE_ID_KEY,
    SecurityGroup,
};
use crate::{
    id::{SecurityGroupId, StoreArn, StoreId},
    service::Side,
};

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

/// A group that has a name and a description of ours, and is not proven to be ours. A block takes it off a list;
/// nothing else is ever done with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct MarkedGroup(SecurityGroupId);

impl MarkedGroup {
    /// The group's id.
    #[must_use]
    pub fn id(&self) -> &SecurityGroupId {
        &self.0
    }
}

impl fmt::Display for MarkedGroup {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Whose a group is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// It carries none of our tags, or not our name and description.
    Foreign,
    /// It carries our tag, but not our name and description, which cannot be changed later.
    Forged(Forgery),
    /// It has our name and description, and the state table does not bear it out.
    Unproven(Unproven),
    /// Ours.
    Owned(Owned),
}

impl Ownership {
    /// The owned group, if it is one.
    #[must_use]
    pub fn ours(self) -> Option<Owned> {
        match self {
            Self::Owned(owned) => Some(owned),
            Self::Foreign | Self::Forged(_) | Self::Unproven(_) => None,
        }
    }
}

/// A group that looks like ours in all that cannot be changed, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unproven {
    /// The group.
    pub group: MarkedGroup,
    /// Its role, by its name.
    pub role: Role,
    /// Whether it carries our tag as well.
    pub tagged: bool,
    /// What the proof lacks.
    pub doubt: Doubt,
}

/// What the proof of a group's identity lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doubt {
    /// The state table has no record of a group of its name.
    #[error("the state table knows no group of its name")]
    NotRecorded,
    /// The record is about another group, which had its name.
    #[error("the state table knows another group of its name")]
    OtherGroup,
    /// Its description is not the one that the record was written for.
    #[error("its description is not the one that the state table knows")]
    OtherDescription,
}

/// An owned group, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// The proof.
    pub group: OwnedGroup,
    /// The name, which determines the role.
    pub name: GroupName,
    /// The identity of the store it was made for, by its description and the state table.
    pub store: StoreId,
    /// That store's ARN according to the state table, `None` when it does not tell.
    pub arn: Option<StoreArn>,
    /// The ARN in its tags, `None` when that tag is lost or unreadable. It is a hint of where to look.
    pub tagged_arn: Option<StoreArn>,
    /// Its tags, beside what is proven of it.
    pub tags: TagState,
}

/// The tags of an owned group beside what is proven of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TagState {
    /// They say the same.
    Agree,
    /// One of them says something else, or is gone. They can be put back.
    Differ,
    /// The tag that marks it as ours is gone or changed, without which the role may change nothing of it.
    // Decision 13
    Unmarked,
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

    /// The ARNs under which its store may be found: the one in the state table and the one in its tags.
    pub fn hints(&self) -> impl Iterator<Item = &StoreArn> {
        self.arn.iter().chain(self.tagged_arn.iter().filter(|tagged| Some(*tagged) != self.arn.as_ref()))
    }

    /// Whether its tags no longer let the role change it.
    #[must_use]
    pub fn is_unmarked(&self) -> bool {
        self.tags == TagState::Unmarked
    }

    /// Whether its tags are those of its store, which has this ARN now.
    #[must_use]
    pub fn has_tags_of(&self, arn: &StoreArn) -> bool {
        self.tags == TagState::Agree && self.tagged_arn.as_ref() == Some(arn)
    }
}

/// The difference between a forged group and an owned one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forgery {
    /// The name fits no pattern of ours.
    #[error("its name is none that tagwire gives")]
    Name,
    /// The description is none of ours for the name.
    #[error("its description is not the one tagwire writes")]
    Description,
}

impl SecurityGroup {
    /// The ownership check. The name and the description, which nobody can change after creation, have to be ours and
    /// to agree with the record of the state table, and that has to hold the group's id or, until it does, the token
    /// of the description. Tags make nothing ours, and their loss takes nothing from us. The default group fails it
    /// by its name.
    #[must_use]
    pub fn ownership(&self) -> Ownership {
        let tagged = self.has_tag(MANAGED_BY_KEY, MANAGED_BY);
        let otherwise = |forgery| if tagged { Ownership::Forged(forgery) } else { Ownership::Foreign };
        let Some(name) = GroupName::read(&self.name) else { return otherwise(Forgery::Name) };
        let Some(described) = Described::read(&self.description).filter(|described| described.role == name.role) else {
            return otherwise(Forgery::Description);
        };
        match self.proof(&described) {
            Ok(record) => Ownership::Owned(Owned {
                group: OwnedGroup(self.id.clone()),
                name,
                store: record.store.clone(),
                arn: record.arn.clone(),
                tagged_arn: self.tags.get(STORE_ARN_KEY).and_then(|arn| StoreArn::parse(arn).ok()),
                tags: self.tag_state(record),
            }),
            Err(doubt) => {
                let group = MarkedGroup(self.id.clone());
                Ownership::Unproven(Unproven { group, role: name.role, tagged, doubt })
            }
        }
    }

    /// The record that proves it to be ours.
    #[must_use]
    pub fn proven(&self) -> Option<&GroupRecord> {
        let name = GroupName::read(&self.name)?;
        let described = Described::read(&self.description).filter(|described| described.role == name.role)?;
        self.proof(&described).ok()
    }

    fn proof(&self, described: &Described) -> Result<&GroupRecord, Doubt> {
        let record = self.record.as_ref().ok_or(Doubt::NotRecorded)?;
        let now = self.proof_by(record, described);
        let earlier = record.earlier.as_deref().map(|earlier| self.proof_by(earlier, described));
        now.or_else(|doubt| earlier.and_then(Result::ok).ok_or(doubt))
    }

    fn proof_by<'record>(
        &self,
        record: &'record GroupRecord,
        described: &Described,
    ) -> Result<&'record GroupRecord, Doubt> {
        match &record.id {
            Some(id) if *id != self.id => Err(Doubt::OtherGroup),
            // A description without a token proves nothing by itself.
            None if record.token.is_none() => Err(Doubt::OtherGroup),
            Some(_) | None if !described.agrees_with(record) => Err(Doubt::OtherDescription),
            Some(_) | None => Ok(record),
        }
    }

    /// Whether its tags say what a record does, the ARN aside, which changes with the store's name.
    pub(crate) fn tag_state(&self, record: &GroupRecord) -> TagState {
        if !self.has_tag(MANAGED_BY_KEY, MANAGED_BY) {
            return TagState::Unmarked;
        }
        let agree =
            self.has_tag(SIDE_KEY, record.role.tag_value()) && self.has_tag(STORE_ID_KEY, record.store.as_str());
        if agree { TagState::Agree } else { TagState::Differ }
    }

    fn has_tag(&self, key: &str, value: &str) -> bool {
        self.tags.get(key).is_some_and(|found| found == value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        group::{OwnTags, Token, description, former_description},
        id::VpcId,
        service::Service,
    };

    fn store() -> StoreId {
        StoreId::parse("cluster-A").unwrap()
    }

    fn arn() -> StoreArn {
        StoreArn::parse("arn:aws:rds:us-east-1:123456789012:cluster:a").unwrap()
    }

    fn owned() -> SecurityGroup {
        let role = Role::Side(Side::Store);
        let token = Token::of_bits(7);
        let id = SecurityGroupId::parse("sg-1").unwrap();
        SecurityGroup {
            id: id.clone(),
            vpc: VpcId::parse("vpc-1").unwrap(),
            name: "rds-ec2-1".into(),
            description: description(role, &store(), &token),
            tags: OwnTags { store: store(), arn: arn(), role }.to_map(),
            rules: BTreeSet::new(),
            record: Some(GroupRecord {
                store: store(),
                arn: Some(arn()),
                role,
                token: Some(token),
                id: Some(id),
                earlier: None,
            }),
        }
    }

    fn verdict(change: impl FnOnce(&mut SecurityGroup)) -> Ownership {
        let mut group = owned();
        change(&mut group);
        group.ownership()
    }

    fn tags_after(change: impl FnOnce(&mut SecurityGroup)) -> TagState {
        let verdict = verdict(change);
        let Ownership::Owned(owned) = verdict else { panic!("{verdict:?}") };
        assert_eq!(owned.store, store());
        owned.tags
    }

    fn doubt(change: impl FnOnce(&mut SecurityGroup)) -> Doubt {
        let verdict = verdict(change);
        let Ownership::Unproven(unproven) = verdict else { panic!("{verdict:?}") };
        unproven.doubt
    }

    fn recorded(group: &mut SecurityGroup) -> &mut GroupRecord {
        group.record.as_mut().unwrap()
    }

    #[test]
    fn a_group_of_ours_is_ours_whatever_its_tags_say() {
        let set = |key: &'static str, value: &'static str| {
            tags_after(move |group| drop(group.tags.insert(key.to_owned(), value.to_owned())))
        };
        let lose = |key: &'static str| tags_after(move |group| drop(group.tags.remove(key)));
        assert_eq!(set("team", "a"), TagState::Agree);
        assert_eq!(lose(STORE_ARN_KEY), TagState::Agree);
        assert_eq!(set(STORE_ID_KEY, "cluster-B"), TagState::Differ);
        assert_eq!(set(SIDE_KEY, "x"), TagState::Differ);
        assert_eq!(lose(STORE_ID_KEY), TagState::Differ);
        assert_eq!(set(MANAGED_BY_KEY, "terraform"), TagState::Unmarked);
        assert_eq!(tags_after(|group| group.tags.clear()), TagState::Unmarked);
    }

    #[test]
    fn a_group_is_nobody_s_whom_the_state_table_does_not_know() {
        assert_eq!(doubt(|group| group.record = None), Doubt::NotRecorded);
    }

    #[test]
    fn a_group_that_was_deleted_and_made_again_is_another_one() {
        let other = SecurityGroupId::parse("sg-2").unwrap();
        assert_eq!(doubt(|group| group.id = other), Doubt::OtherGroup);
    }

    #[test]
    fn a_record_that_was_written_over_still_proves_a_group_that_could_not_be_read() {
        let written_over = |group: &mut SecurityGroup| {
            let earlier = recorded(group).clone();
            let token = Some(Token::of_bits(8));
            group.record = Some(GroupRecord { token, id: None, earlier: Some(Box::new(earlier.clone())), ..earlier });
        };
        assert!(verdict(written_over).ours().is_some());
        let another = |group: &mut SecurityGroup| {
            written_over(group);
            group.id = SecurityGroupId::parse("sg-2").unwrap();
        };
        assert_eq!(doubt(another), Doubt::OtherDescription);
    }

    #[test]
    fn until_the_table_knows_its_id_the_token_tells_it_from_one_made_beforehand() {
        assert!(verdict(|group| recorded(group).id = None).ours().is_some());
        let beforehand = |group: &mut SecurityGroup| {
            recorded(group).id = None;
            group.description = description(Side::Store, &store(), &Token::of_bits(8));
        };
        assert_eq!(doubt(beforehand), Doubt::OtherDescription);
        let of_a_former_version = |group: &mut SecurityGroup| {
            recorded(group).id = None;
            group.description = former_description(Side::Store).into();
        };
        assert_eq!(doubt(of_a_former_version), Doubt::OtherDescription);
    }

    #[test]
    fn a_group_of_a_former_version_is_ours_by_its_id_alone() {
        let former = |group: &mut SecurityGroup| {
            group.description = former_description(Side::Store).into();
            recorded(group).token = None;
        };
        assert!(verdict(former).ours().is_some());
        let without_id = |group: &mut SecurityGroup| {
            former(group);
            recorded(group).id = None;
        };
        assert_eq!(doubt(without_id), Doubt::OtherGroup);
    }

    #[test]
    fn description_and_record_have_to_name_one_store_and_one_role() {
        assert_eq!(
            doubt(|group| recorded(group).store = StoreId::parse("cluster-B").unwrap()),
            Doubt::OtherDescription
        );
        assert_eq!(doubt(|group| recorded(group).role = Role::Side(Side::Instance)), Doubt::OtherDescription);
    }

    #[test]
    fn our_tags_on_anything_else_are_a_forgery() {
        assert_eq!(verdict(|group| group.name = "default".into()), Ownership::Forged(Forgery::Name));
        assert_eq!(verdict(|group| group.name = "rds-ec2-01".into()), Ownership::Forged(Forgery::Name));
        assert_eq!(verdict(|group| group.name = "ec2-rds-1".into()), Ownership::Forged(Forgery::Description));
        assert_eq!(verdict(|group| group.name = "rds-cidr-1".into()), Ownership::Forged(Forgery::Description));
        assert_eq!(verdict(|group| group.description.push('.')), Ownership::Forged(Forgery::Description));
        let without_tags = |group: &mut SecurityGroup| {
            group.tags.clear();
            group.description.push('.');
        };
        assert_eq!(verdict(without_tags), Ownership::Foreign);
    }

    #[test]
    fn a_group_for_cidr_clients_is_none_of_a_pair() {
        let Ownership::Owned(owned) = verdict(|group| {
            group.name = "rds-cidr-2".into();
            group.description = description(Role::Cidr, &store(), &Token::of_bits(7));
            recorded(group).role = Role::Cidr;
        }) else {
            panic!("not owned")
        };
        let name = GroupName { service: Service::Rds, role: Role::Cidr, number: 2 };
        assert_eq!((owned.store, owned.name, owned.tags), (store(), name, TagState::Differ));
    }
}
