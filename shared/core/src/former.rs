//! The groups that earlier versions made. Their descriptions name no store and hold no token, so they are bound
//! to a store by what the state table remembers: that tagwire attached them to it. Who has only tags is never adopted.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    group::{Described, GroupName, GroupRecord, Role, SecurityGroup, TagState},
    id::{SecurityGroupId, StoreId},
    rule::{Direction, Peer},
    service::Side,
    state::{Attached, Target},
};

/// The attachments that the state table remembers.
type Attachments = BTreeMap<(Target, SecurityGroupId), Attached>;

/// Whether an earlier version made a group that the state table has no record of.
#[must_use]
pub fn is_unbound_former(group: &SecurityGroup) -> bool {
    group.record.is_none() && former_name(group).is_some()
}

fn former_name(group: &SecurityGroup) -> Option<GroupName> {
    let name = GroupName::read(&group.name)?;
    let described = Described::read(&group.description)?;
    (described.is_former() && described.role == name.role).then_some(name)
}

/// Gives the groups of earlier versions the record that follows from what the state table remembers:
///
/// - one that is for stores belongs to the one store that it was ever attached to by tagwire, if its tags say the same;
/// - an instance side belongs to the store of the store side with its number, if that is bound, the rules of the two
///   name each other, and the tags of both say the same.
///
/// Where that does not hold, a group stays without a record.
pub fn bind_former(groups: &mut [SecurityGroup], attached: &Attachments) {
    let store_sides = groups.iter().filter(|group| is_unbound_former(group));
    let records: Vec<_> = store_sides.filter_map(|group| record_of_attached(group, attached)).collect();
    bind(groups, records);
    let instance_sides = groups.iter().filter(|group| is_unbound_former(group));
    let records: Vec<_> = instance_sides.filter_map(|group| record_of_partner(group, groups)).collect();
    bind(groups, records);
}

fn bind(groups: &mut [SecurityGroup], records: Vec<GroupRecord>) {
    for record in records {
        for group in groups.iter_mut().filter(|group| record.id.as_ref() == Some(&group.id)) {
            group.record = Some(record.clone());
        }
    }
}

/// The ARN is left out: the tag that holds it proves nothing, and is learned from the store itself.
fn record(group: &SecurityGroup, role: Role, store: &StoreId) -> Option<GroupRecord> {
    let record =
        GroupRecord { store: store.clone(), arn: None, role, token: None, id: Some(group.id.clone()), earlier: None };
    (group.tag_state(&record) == TagState::Agree).then_some(record)
}

fn record_of_attached(group: &SecurityGroup, attached: &Attachments) -> Option<GroupRecord> {
    let name = former_name(group).filter(|name| name.role != Side::Instance)?;
    let of_group = attached.keys().filter(|(_, id)| *id == group.id);
    let stores: BTreeSet<&StoreId> = of_group
        .filter_map(|(target, _)| match target {
            Target::Store(store) => Some(store),
            Target::Interface(_) => None,
        })
        .collect();
    match stores.into_iter().collect::<Vec<_>>().as_slice() {
        [only] => record(group, name.role, only),
        [] | [_, _, ..] => None,
    }
}

fn record_of_partner(group: &SecurityGroup, groups: &[SecurityGroup]) -> Option<GroupRecord> {
    let name = former_name(group).filter(|name| name.role == Side::Instance)?;
    let partner = GroupName { role: Role::Side(Side::Store), ..name };
    let names = |one: &SecurityGroup, direction: Direction, other: &SecurityGroup| {
        one.rules(direction).any(|rule| rule.peer == Peer::Group(other.id.clone()))
    };
    let mut partners = groups.iter().filter(|other| other.vpc == group.vpc && former_name(other) == Some(partner));
    let bound =
        partners.find(|other| names(other, Direction::Inbound, group) && names(group, Direction::Outbound, other))?;
    let bound = bound.ownership().ours().filter(|owned| owned.tags == TagState::Agree)?;
    record(group, name.role, &bound.store)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        group::{OwnTags, SIDE_KEY, STORE_ID_KEY, former_description},
        id::{InterfaceId, StoreArn, VpcId},
        rule::{PortRange, Rule, Traffic},
    };

    fn store(letter: &str) -> StoreId {
        StoreId::parse(format!("cluster-{letter}")).unwrap()
    }

    fn id(name: &str) -> SecurityGroupId {
        SecurityGroupId::parse(format!("sg-{name}")).unwrap()
    }

    fn group(name: &str, of: &str) -> SecurityGroup {
        let role = Role::of_name(name).unwrap();
        let arn = StoreArn::parse("arn:aws:rds:us-east-1:123456789012:cluster:a").unwrap();
        SecurityGroup {
            id: id(name),
            vpc: VpcId::parse("vpc-1").unwrap(),
            name: name.to_owned(),
            description: former_description(role).to_owned(),
            tags: OwnTags { store: store(of), arn, role }.to_map(),
            rules: BTreeSet::new(),
            record: None,
        }
    }

    fn pair() -> Vec<SecurityGroup> {
        let mut groups = vec![group("rds-ec2-1", "A"), group("ec2-rds-1", "A"), group("rds-cidr-1", "A")];
        let traffic = Traffic::Tcp(PortRange::single(5432).unwrap());
        let rule = |direction, peer: &str| Rule { direction, traffic: traffic.clone(), peer: Peer::Group(id(peer)) };
        groups[0].rules.insert(rule(Direction::Inbound, "ec2-rds-1"));
        groups[1].rules.insert(rule(Direction::Outbound, "rds-ec2-1"));
        groups
    }

    fn remembers(targets: &[(Target, &str)]) -> Attachments {
        let attached =
            Attached { tag: String::new(), since: Timestamp::UNIX_EPOCH, again: Vec::new(), contested: false };
        targets.iter().map(|(target, group)| ((target.clone(), id(group)), attached.clone())).collect()
    }

    fn on_store(letter: &str) -> Target {
        Target::Store(store(letter))
    }

    /// The names of the groups that are bound, each with its store.
    fn bound(mut groups: Vec<SecurityGroup>, attached: &Attachments) -> Vec<String> {
        bind_former(&mut groups, attached);
        let owned = groups.iter().filter_map(|group| group.ownership().ours());
        owned.map(|owned| format!("{} {}", owned.name, owned.store)).collect()
    }

    #[test]
    fn a_pair_that_was_attached_is_bound_to_its_store_and_so_is_the_group_for_cidr_clients() {
        let attached = remembers(&[(on_store("A"), "rds-ec2-1"), (on_store("A"), "rds-cidr-1")]);
        let all = ["rds-ec2-1 cluster-A", "ec2-rds-1 cluster-A", "rds-cidr-1 cluster-A"];
        assert_eq!(bound(pair(), &attached), all);
    }

    #[test]
    fn what_nobody_remembers_is_never_adopted() {
        assert_eq!(bound(pair(), &remembers(&[])), Vec::<String>::new());
        let on_instance = Target::Interface(InterfaceId::parse("eni-1").unwrap());
        assert_eq!(bound(pair(), &remembers(&[(on_instance, "ec2-rds-1")])), Vec::<String>::new());
    }

    #[test]
    fn a_group_that_was_attached_to_two_stores_is_bound_to_neither() {
        let attached = remembers(&[(on_store("A"), "rds-ec2-1"), (on_store("B"), "rds-ec2-1")]);
        assert_eq!(bound(pair(), &attached), Vec::<String>::new());
    }

    #[test]
    fn tags_that_say_something_else_than_the_state_table_keep_a_group_from_being_bound() {
        let attached = remembers(&[(on_store("A"), "rds-ec2-1")]);
        let mut groups = pair();
        groups[0].tags.insert(STORE_ID_KEY.to_owned(), "cluster-B".to_owned());
        assert_eq!(bound(groups, &attached), Vec::<String>::new());
        let mut groups = pair();
        groups[1].tags.insert(SIDE_KEY.to_owned(), "x".to_owned());
        assert_eq!(bound(groups, &attached), ["rds-ec2-1 cluster-A"]);
    }

    #[test]
    fn an_instance_side_is_bound_only_when_both_sides_name_each_other() {
        let attached = remembers(&[(on_store("A"), "rds-ec2-1")]);
        for without in [0, 1] {
            let mut groups = pair();
            groups[without].rules.clear();
            assert_eq!(bound(groups, &attached), ["rds-ec2-1 cluster-A"]);
        }
    }
}
