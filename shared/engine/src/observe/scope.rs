//! The closure of a scope: what has to be read next, worked out from what was read so far.

use std::collections::{BTreeMap, BTreeSet};

use tagwire_core::{
    cidr::{CidrPeer, CidrTag},
    group::{Owned, Role, SecurityGroup},
    id::{InterfaceId, PrefixListId, SecurityGroupId, StoreArn, StoreId, VpcId},
    model::{DataStore, Instance},
    observation::{AttachedInterface, Reading, Scope, StoreLookup},
    service::Side,
    state::Target,
    tag::{ConnectTag, ConnectionName},
};

use crate::cloud::TaggedStore;

/// A scope of a VPC, and the owned groups there.
pub(super) struct Closure<'vpc> {
    vpc: &'vpc VpcId,
    scope: Scope,
    owned: Vec<Owned>,
}

impl<'vpc> Closure<'vpc> {
    pub(super) fn new(vpc: &'vpc VpcId, scope: Scope, groups: &[SecurityGroup]) -> Self {
        let owned = groups.iter().filter_map(|group| group.ownership().ours()).collect();
        Self { vpc, scope, owned }
    }

    pub(super) fn vpc(&self) -> &'vpc VpcId {
        self.vpc
    }

    pub(super) fn is_whole_vpc(&self) -> bool {
        self.scope == Scope::Vpc
    }

    pub(super) fn into_scope(self) -> Scope {
        self.scope
    }

    /// Adds stores to a scope that names some.
    pub(super) fn add_stores(&mut self, arns: Vec<StoreArn>) {
        if let Scope::Some { stores, .. } = &mut self.scope {
            stores.extend(arns);
        }
    }

    /// The identities of the stores that the scope names and that may have another name now.
    pub(super) fn renamed(&self, stores: &[StoreLookup]) -> BTreeMap<StoreId, StoreArn> {
        let Scope::Some { stores: named, .. } = &self.scope else { return BTreeMap::new() };
        identities(self.owned.iter().filter(|owned| owned.arn.as_ref().is_some_and(|arn| named.contains(arn))), stores)
    }

    /// The stores that the instances share a name with according to the index, and those whose owned groups
    /// are attached to them. Of a whole VPC, every store that has owned groups and, when `tagged_here` says
    /// which stores the VPC has, those, or else every tagged one.
    pub(super) fn stores(
        &self,
        instances: &[Instance],
        index: &[TaggedStore],
        read: &[StoreLookup],
        tagged_here: Option<&BTreeSet<StoreArn>>,
    ) -> BTreeSet<StoreArn> {
        let everything = self.is_whole_vpc();
        let shares = |store: &TaggedStore| {
            instances.iter().any(|instance| !instance.settings.connect.shared_with(&store.connect).is_empty())
        };
        let is_wanted = |store: &TaggedStore| match tagged_here.filter(|_| everything) {
            Some(here) => here.contains(&store.arn) || shares(store),
            None => everything || shares(store),
        };
        let mut arns: BTreeSet<StoreArn> =
            index.iter().filter(|store| is_wanted(store)).map(|store| store.arn.clone()).collect();
        let owned = self.owned.iter().filter(|owned| everything || has(instances, owned));
        arns.extend(owned.flat_map(|owned| owned.hints().cloned()));
        for lookup in read {
            arns.remove(lookup.arn());
        }
        arns
    }

    /// The names of the VPC's stores.
    pub(super) fn names(&self, stores: &[StoreLookup]) -> BTreeSet<ConnectionName> {
        present(stores)
            .filter(|store| store.vpc().is_none_or(|of| of == self.vpc))
            .flat_map(|store| store.settings.connect.names().cloned())
            .collect()
    }

    /// The instance sides of the stores that were asked for, there or not.
    pub(super) fn instance_sides(&self, stores: &[StoreLookup]) -> BTreeSet<SecurityGroupId> {
        let is_named = |arn: &StoreArn| matches!(&self.scope, Scope::Some { stores, .. } if stores.contains(arn));
        let of_store = |owned: &Owned| {
            owned.arn.as_ref().is_some_and(is_named) || present(stores).any(|store| store.id == owned.store)
        };
        let sides = self.owned.iter().filter(|owned| owned.role() == Side::Instance && of_store(owned));
        sides.map(|owned| owned.group.id().clone()).collect()
    }

    /// The identities to look for: those of the groups that the scope has to do with and whose stores their
    /// services do not know by name.
    pub(super) fn lost(&self, stores: &[StoreLookup], instances: &[Instance]) -> BTreeMap<StoreId, StoreArn> {
        identities(self.owned.iter().filter(|owned| self.is_whole_vpc() || has(instances, owned)), stores)
    }

    /// The owned groups of which it has to be known who has them: in a sweep all, else those of stores that
    /// may be gone or take no part any more.
    pub(super) fn groups_to_ask_about(
        &self,
        stores: &[StoreLookup],
        instances: &[Instance],
    ) -> BTreeSet<SecurityGroupId> {
        let is_concerned = |owned: &Owned| {
            owned.arn.as_ref().is_some_and(|arn| self.scope.has_store(arn))
                || present(stores).any(|store| store.id == owned.store && self.scope.has_store(&store.arn))
                || has(instances, owned)
        };
        let takes_part = |store: &DataStore, role: Role| {
            let has_clients = role != Role::Cidr || !store.settings.allow_cidr.asks_for_none();
            store.settings.connect != ConnectTag::Absent && has_clients
        };
        let is_ending = |owned: &&Owned| {
            !present(stores).any(|store| store.id == owned.store && takes_part(store, owned.role()))
                && is_concerned(owned)
        };
        let ends_with = |owned: &Owned| (owned.store.clone(), owned.role() == Role::Cidr);
        let ending: BTreeSet<(StoreId, bool)> = self.owned.iter().filter(is_ending).map(ends_with).collect();
        let asked = self.owned.iter().filter(|owned| self.is_whole_vpc() || ending.contains(&ends_with(owned)));
        asked.map(|owned| owned.group.id().clone()).collect()
    }

    /// Whether there is a group of ours that is for stores.
    pub(super) fn has_groups_for_stores(&self) -> bool {
        self.owned.iter().any(|owned| owned.role() != Side::Instance)
    }

    /// Whether an instance has an instance side that its tags do not ask for: when that goes, so does the way into
    /// whatever copy of the store it leads to as well.
    pub(super) fn takes_away(&self, stores: &[StoreLookup], instances: &[Instance]) -> bool {
        let asks = |instance: &Instance, owned: &Owned| {
            let mut of_group = present(stores).filter(|store| store.id == owned.store);
            of_group.any(|store| !store.settings.connect.shared_with(&instance.settings.connect).is_empty())
        };
        let mut sides = self.owned.iter().filter(|owned| owned.role() == Side::Instance);
        sides.any(|owned| {
            instances.iter().any(|instance| instance.has_group(owned.group.id()) && !asks(instance, owned))
        })
    }

    /// The stores of the VPC that have a group which was made for another one, and were not read yet.
    pub(super) fn copies(&self, all: &[DataStore], read: &[StoreLookup]) -> BTreeSet<StoreArn> {
        let is_copied = |store: &DataStore, owned: &Owned| {
            owned.store != store.id && owned.role() != Side::Instance && store.has_group(owned.group.id())
        };
        let here = all.iter().filter(|store| store.is_in(self.vpc) && !store.is_member());
        let carrying = here.filter(|store| self.owned.iter().any(|owned| is_copied(store, owned)));
        let unread = carrying.filter(|store| !read.iter().any(|lookup| *lookup.arn() == store.arn));
        unread.map(|store| store.arn.clone()).collect()
    }

    /// The lists of which it has to be known what was attached to them; `None` for all.
    pub(super) fn lists(&self, instances: &[Instance], stores: &[StoreLookup]) -> Option<BTreeSet<Target>> {
        if self.is_whole_vpc() {
            return None;
        }
        let interfaces = instances.iter().filter_map(|instance| instance.interface.as_ref());
        let interfaces = interfaces.map(|interface| Target::Interface(interface.id.clone()));
        Some(interfaces.chain(present(stores).map(|store| Target::Store(store.id.clone()))).collect())
    }

    /// The prefix lists that the tags for CIDR clients name in scope, and those that rules of their groups
    /// still name: these take up room until they are gone.
    pub(super) fn prefix_lists(&self, stores: &[StoreLookup], groups: &[SecurityGroup]) -> BTreeSet<PrefixListId> {
        let asks = |store: &&DataStore| {
            store.is_in(self.vpc)
                && self.scope.has_store(&store.arn)
                && matches!(&store.settings.allow_cidr, CidrTag::Peers(peers) if !peers.is_empty())
        };
        let asking: Vec<&DataStore> = present(stores).filter(asks).collect();
        let tagged = asking.iter().flat_map(|store| store.settings.allow_cidr.peers().cloned());
        let theirs = |group: &&SecurityGroup| {
            let mut of_clients = self.owned.iter().filter(|owned| owned.role() == Role::Cidr);
            of_clients.any(|owned| *owned.group.id() == group.id && asking.iter().any(|store| store.id == owned.store))
        };
        let rules = groups.iter().filter(theirs).flat_map(|group| &group.rules);
        let peers = tagged.chain(rules.filter_map(|rule| CidrPeer::of(&rule.peer)));
        let lists = peers.filter_map(|peer| match peer {
            CidrPeer::PrefixList(list) => Some(list),
            CidrPeer::Block(_) => None,
        });
        lists.collect()
    }
}

fn has(instances: &[Instance], owned: &Owned) -> bool {
    instances.iter().any(|instance| instance.has_group(owned.group.id()))
}

/// The identities of owned groups whose names their service does not know, or knows as others'.
fn identities<'owned>(
    owned: impl Iterator<Item = &'owned Owned>,
    stores: &[StoreLookup],
) -> BTreeMap<StoreId, StoreArn> {
    let here: BTreeSet<&StoreId> = present(stores).map(|store| &store.id).collect();
    let answered: BTreeSet<&StoreArn> = stores.iter().map(StoreLookup::arn).collect();
    owned
        .filter(|owned| !here.contains(&owned.store))
        .filter_map(|owned| Some((owned.store.clone(), owned.arn.clone().filter(|arn| answered.contains(arn))?)))
        .collect()
}

/// Of the primary interfaces of instances that were read, those speak for themselves.
pub(super) fn without_primary_interfaces(
    mut by: Reading<AttachedInterface>,
    instances: &[Instance],
) -> Reading<AttachedInterface> {
    let known: BTreeSet<&InterfaceId> =
        instances.iter().filter_map(|instance| instance.interface.as_ref()).map(|interface| &interface.id).collect();
    by.found.retain(|wearer| !known.contains(&wearer.interface));
    by
}

/// The names that the index lists for the stores that were asked for without an answer.
pub(super) fn unread(
    index: Vec<TaggedStore>,
    asked: &BTreeSet<StoreArn>,
    stores: &[StoreLookup],
) -> BTreeMap<StoreArn, BTreeSet<ConnectionName>> {
    let answered: BTreeSet<&StoreArn> = stores.iter().map(StoreLookup::arn).collect();
    let unread = index.into_iter().filter(|store| asked.contains(&store.arn) && !answered.contains(&store.arn));
    unread.map(|store| (store.arn, store.connect.names().cloned().collect())).collect()
}

/// The stores that are there.
pub(super) fn present(stores: &[StoreLookup]) -> impl Iterator<Item = &DataStore> {
    stores.iter().filter_map(|lookup| match lookup {
        StoreLookup::Found(store) => Some(store.as_ref()),
        StoreLookup::NotFound(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use tagwire_core::{
        cidr::CidrTag,
        group::{GroupRecord, OwnTags, Token, description},
        id::InstanceId,
        model::Interface,
        tag::TagSettings,
    };

    use super::*;

    fn vpc() -> VpcId {
        VpcId::parse("vpc-1").unwrap()
    }

    fn arn(name: &str) -> StoreArn {
        StoreArn::parse(format!("arn:aws:rds:us-east-1:123456789012:cluster:{name}")).unwrap()
    }

    fn tagged(name: &str, names: &str) -> TaggedStore {
        TaggedStore { arn: arn(name), connect: ConnectTag::read(Some(names)) }
    }

    fn group(side: Side, store: &str) -> SecurityGroup {
        let store_id = StoreId::parse(format!("cluster-{}", store.to_uppercase())).unwrap();
        let tags = OwnTags { store: store_id, arn: arn(store), role: side.into() };
        let name = if side == Side::Store { "rds-ec2-1" } else { "ec2-rds-1" };
        let id = SecurityGroupId::parse(format!("sg-{store}-{}", side.tag_value())).unwrap();
        let token = Token::of_bits(1);
        SecurityGroup {
            id: id.clone(),
            vpc: vpc(),
            name: name.to_owned(),
            description: description(side, &tags.store, &token),
            tags: tags.to_map(),
            rules: BTreeSet::new(),
            record: Some(GroupRecord {
                store: tags.store,
                arn: Some(tags.arn),
                role: tags.role,
                token: Some(token),
                id: Some(id),
                earlier: None,
            }),
        }
    }

    fn instance(names: &str, groups: &[&SecurityGroup]) -> Instance {
        let groups = groups.iter().map(|group| group.id.clone()).collect();
        let interface = Interface { id: InterfaceId::parse("eni-1").unwrap(), vpc: vpc(), groups };
        let connect = ConnectTag::read(Some(names));
        let settings = TagSettings { connect, blocked: false, held: false, allow_cidr: CidrTag::Absent, status: None };
        let id = InstanceId::parse("i-1").unwrap();
        Instance { id, name: None, interface: Some(interface), operator: None, zone: None, settings }
    }

    #[test]
    fn a_scope_of_an_instance_reads_the_stores_it_shares_a_name_with_and_those_whose_groups_it_has() {
        let (vpc, attached) = (vpc(), group(Side::Instance, "former"));
        let closure = Closure::new(&vpc, Scope::of_instances(BTreeSet::new()), std::slice::from_ref(&attached));
        let index = [tagged("orders", "orders"), tagged("billing", "billing")];
        let wanted = closure.stores(&[instance("orders", &[&attached])], &index, &[], None);
        assert_eq!(wanted, [arn("orders"), arn("former")].into());
        let read = [StoreLookup::NotFound(arn("orders"))];
        let wanted = closure.stores(&[instance("orders", &[&attached])], &index, &read, None);
        assert_eq!(wanted, [arn("former")].into(), "what was read is not read again");
    }

    #[test]
    fn a_whole_vpc_reads_every_tagged_store_unless_it_is_known_which_are_there() {
        let (vpc, owned) = (vpc(), group(Side::Store, "former"));
        let closure = Closure::new(&vpc, Scope::Vpc, std::slice::from_ref(&owned));
        let index = [tagged("orders", "orders"), tagged("here", "nothing"), tagged("far", "far")];
        let instances = [instance("orders", &[])];
        let all = closure.stores(&instances, &index, &[], None);
        assert_eq!(all, [arn("orders"), arn("here"), arn("far"), arn("former")].into());
        let here = [arn("here")].into();
        let wanted = closure.stores(&instances, &index, &[], Some(&here));
        assert_eq!(wanted, [arn("orders"), arn("here"), arn("former")].into());
    }

    #[test]
    fn a_store_that_its_service_does_not_know_by_name_is_looked_for_by_identity() {
        let (vpc, owned) = (vpc(), group(Side::Store, "orders"));
        let closure = Closure::new(&vpc, Scope::of_stores([arn("orders")].into()), std::slice::from_ref(&owned));
        assert!(closure.renamed(&[]).is_empty(), "nobody has answered for the name yet");
        let gone = [StoreLookup::NotFound(arn("orders"))];
        let looked_for: Vec<StoreArn> = closure.renamed(&gone).into_values().collect();
        assert_eq!(looked_for, [arn("orders")]);
    }
}
