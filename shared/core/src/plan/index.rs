//! The observation, indexed the way the planner asks for it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    group::{GroupKind, GroupName, Owned, Ownership, Role, SecurityGroup},
    id::{InstanceId, SecurityGroupId, StoreArn, StoreId},
    model::{DataStore, Instance, Interface},
    observation::{Observation, Scope},
    policy::Policy,
    rule::{Direction, Peer},
    service::{Service, Side},
    tag::ConnectionName,
};

pub(crate) struct Index<'seen> {
    pub(crate) seen: &'seen Observation,
    pub(crate) policy: &'seen Policy,
    groups: BTreeMap<&'seen SecurityGroupId, &'seen SecurityGroup>,
    ownership: BTreeMap<&'seen SecurityGroupId, Ownership>,
    /// The owned groups of an identity, by what they are for.
    by_store: BTreeMap<GroupKind, BTreeMap<StoreId, Vec<&'seen SecurityGroupId>>>,
    stores: BTreeMap<&'seen StoreId, &'seen DataStore>,
    instances: BTreeMap<&'seen InstanceId, &'seen Instance>,
    /// The instances that share a name with a store, in the order of their ids.
    sharing: BTreeMap<&'seen StoreId, Vec<&'seen Instance>>,
    /// The instances that have a group on their primary interface.
    by_group: BTreeMap<&'seen SecurityGroupId, BTreeMap<&'seen InstanceId, &'seen Instance>>,
    /// The stores that hold a name, in the order of their identities.
    stores_by_name: BTreeMap<&'seen ConnectionName, Vec<&'seen DataStore>>,
    /// The owned groups with a rule that lets in an owned group of another store.
    let_in_by: BTreeMap<SecurityGroupId, Vec<&'seen SecurityGroupId>>,
    /// The stores whose lists hold a group, in whatever membership.
    stores_by_group: BTreeMap<&'seen SecurityGroupId, Vec<&'seen DataStore>>,
}

/// The group names of the VPC that are taken, by somebody or by this very plan.
pub(crate) struct TakenNames(BTreeSet<String>);

impl TakenNames {
    /// `preferred` if its names of the `missing` sides are free, else the smallest number that is
    /// free for both sides. That it must be free for both keeps the number of another store's
    /// unfinished pair for that store. The names are taken from then on.
    pub(crate) fn take(&mut self, service: Service, missing: &[Side], preferred: Option<u32>) -> Option<u32> {
        let is_free = |side: Side, number| !self.0.contains(&GroupName { service, role: side.into(), number }.folded());
        let number = preferred
            .filter(|&number| missing.iter().all(|&side| is_free(side, number)))
            .or_else(|| (1..=u32::MAX).find(|&number| Side::BOTH.into_iter().all(|side| is_free(side, number))))?;
        self.0.extend(missing.iter().map(|&side| GroupName { service, role: side.into(), number }.folded()));
        Some(number)
    }

    /// The smallest free number of a group for clients that are not instances, taken from then on.
    pub(crate) fn take_cidr(&mut self, service: Service) -> Option<GroupName> {
        let names = (1..=u32::MAX).map(|number| GroupName { service, role: Role::Cidr, number });
        names.into_iter().find(|name| self.0.insert(name.folded()))
    }
}

impl<'seen> Index<'seen> {
    pub(crate) fn of(seen: &'seen Observation, policy: &'seen Policy) -> Self {
        let groups: BTreeMap<_, _> = seen.groups.found.iter().map(|group| (&group.id, group)).collect();
        let mut by_name = BTreeMap::<&ConnectionName, Vec<&Instance>>::new();
        let mut by_group = BTreeMap::<_, BTreeMap<_, _>>::new();
        for instance in &seen.instances.found {
            for name in instance.settings.connect.names() {
                by_name.entry(name).or_default().push(instance);
            }
            for group in instance.interface.iter().flat_map(|interface| &interface.groups) {
                by_group.entry(group).or_default().insert(&instance.id, instance);
            }
        }
        let ownership: BTreeMap<_, _> = groups.iter().map(|(id, group)| (*id, group.ownership())).collect();
        let mut by_store = BTreeMap::<_, BTreeMap<_, Vec<_>>>::new();
        for (id, ownership) in &ownership {
            if let Ownership::Owned(owned) = ownership {
                let of_kind = by_store.entry(owned.role().kind()).or_default();
                of_kind.entry(owned.store.clone()).or_default().push(*id);
            }
        }
        let let_in_by = let_in_by(&groups, &ownership);
        let stores: BTreeMap<&StoreId, &DataStore> =
            seen.present_stores().into_values().map(|store| (&store.id, store)).collect();
        let sharing = |store: &DataStore| {
            let named = store.settings.connect.names().filter_map(|name| by_name.get(name)).flatten();
            let by_id: BTreeMap<_, _> = named.map(|instance| (&instance.id, *instance)).collect();
            by_id.into_values().collect()
        };
        let sharing = stores.iter().map(|(id, store)| (*id, sharing(store))).collect();
        let mut stores_by_name = BTreeMap::<_, Vec<_>>::new();
        let mut stores_by_group = BTreeMap::<_, Vec<_>>::new();
        for store in stores.values() {
            for name in store.settings.connect.names() {
                stores_by_name.entry(name).or_default().push(*store);
            }
            for group in store.groups.keys() {
                stores_by_group.entry(group).or_default().push(*store);
            }
        }
        Self {
            seen,
            policy,
            sharing,
            by_group,
            by_store,
            let_in_by,
            ownership,
            stores,
            stores_by_name,
            stores_by_group,
            instances: seen.instances.found.iter().map(|instance| (&instance.id, instance)).collect(),
            groups,
        }
    }

    /// The stores of this VPC, by identity.
    pub(crate) fn stores_here(&self) -> impl Iterator<Item = (&'seen StoreId, &'seen DataStore)> {
        self.stores.iter().filter(|(_, store)| store.is_in(&self.seen.vpc)).map(|(id, store)| (*id, *store))
    }

    /// Every store that was seen, here or elsewhere.
    pub(crate) fn stores(&self) -> impl Iterator<Item = &'seen DataStore> {
        self.stores.values().copied()
    }

    /// The stores that hold a name, here or elsewhere.
    pub(crate) fn stores_named(&self, name: &ConnectionName) -> &[&'seen DataStore] {
        self.stores_by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// The stores whose lists hold a group, on its way in or out as well.
    pub(crate) fn stores_with(&self, group: &SecurityGroupId) -> &[&'seen DataStore] {
        self.stores_by_group.get(group).map_or(&[], Vec::as_slice)
    }

    /// Every instance that was seen.
    pub(crate) fn instances(&self) -> impl Iterator<Item = &'seen Instance> {
        self.instances.values().copied()
    }

    pub(crate) fn instance(&self, id: &InstanceId) -> Option<&'seen Instance> {
        self.instances.get(id).copied()
    }

    /// The store with an identity, wherever it is.
    pub(crate) fn store(&self, id: &StoreId) -> Option<&'seen DataStore> {
        self.stores.get(id).copied()
    }

    /// Whether an instance gets no connection and keeps none: by its tag, or by an isolation group on
    /// its interface.
    pub(crate) fn is_blocked(&self, instance: &Instance) -> bool {
        let isolated = || self.policy.isolation_groups.iter().any(|group| instance.has_group(group));
        instance.settings.blocked || isolated()
    }

    /// Whether the tags ask for a connection of the two.
    pub(crate) fn is_asked_for(&self, instance: &Instance, store: &DataStore) -> bool {
        !self.seen.is_uninstalling()
            && !self.is_blocked(instance)
            && !store.settings.blocked
            && !instance.settings.connect.shared_with(&store.settings.connect).is_empty()
    }

    /// The instances that share a name with a store, in the order of their ids.
    pub(crate) fn sharing(&self, store: &DataStore) -> &[&'seen Instance] {
        self.sharing.get(&store.id).map_or(&[], Vec::as_slice)
    }

    /// The instances that have a group on their primary interface.
    pub(crate) fn with_group(&self, group: &SecurityGroupId) -> impl Iterator<Item = &'seen Instance> {
        self.by_group.get(group).into_iter().flat_map(BTreeMap::values).copied()
    }

    /// Whether the scope takes in what an instance has to do with an owned group's store.
    pub(crate) fn in_scope(&self, instance: &Instance, owned: &Owned) -> bool {
        self.seen.scope.has_instance(&instance.id) || self.names_store(owned)
    }

    /// Whether the scope names an owned group's store, by the name it has or by the one it had.
    pub(crate) fn names_store(&self, owned: &Owned) -> bool {
        let now = self.store(&owned.store).map(|store| &store.arn);
        owned.arn.iter().chain(now).any(|arn| self.seen.scope.has_store(arn)) || self.seen.scope == Scope::Vpc
    }

    /// The ARN of an owned group's store: the one it has, or else the one it had.
    pub(crate) fn arn_of(&self, owned: &Owned) -> Option<StoreArn> {
        self.store(&owned.store).map(|store| store.arn.clone()).or_else(|| owned.arn.clone())
    }

    /// Whether nothing that could not be read hides the store with an identity. Its ARN is known from the tags
    /// of its groups.
    pub(crate) fn knows_store(&self, id: &StoreId) -> bool {
        let groups = GroupKind::ALL.into_iter().flat_map(|kind| self.groups_of(id, kind));
        let now = self.store(id).map(|store| &store.arn);
        let arns: BTreeSet<&StoreArn> = groups.filter_map(|owned| owned.arn.as_ref()).chain(now).collect();
        match arns.first() {
            None => self.seen.gap_in_store(None).is_none(),
            Some(_) => arns.iter().all(|arn| self.seen.gap_in_store(Some(arn)).is_none()),
        }
    }

    /// The identities that have owned groups of a kind.
    pub(crate) fn owners(&self, kind: GroupKind) -> impl Iterator<Item = &StoreId> {
        self.by_store.get(&kind).into_iter().flat_map(BTreeMap::keys)
    }

    /// All owned groups of an identity that are of a kind.
    pub(crate) fn groups_of(&self, store: &StoreId, kind: GroupKind) -> impl Iterator<Item = &Owned> {
        let groups = self.by_store.get(&kind).and_then(|of_kind| of_kind.get(store));
        groups.into_iter().flatten().filter_map(|id| self.owned(id))
    }

    /// The owned groups of a store's pairs.
    pub(crate) fn owned_groups(&self, store: &StoreId) -> impl Iterator<Item = &Owned> {
        self.groups_of(store, GroupKind::Pair)
    }

    /// The owned groups of a store for clients that are not instances.
    pub(crate) fn cidr_groups(&self, store: &StoreId) -> impl Iterator<Item = &Owned> {
        self.groups_of(store, GroupKind::Cidr)
    }

    /// A group, if it is owned.
    pub(crate) fn owned(&self, id: &SecurityGroupId) -> Option<&Owned> {
        match self.ownership.get(id)? {
            Ownership::Owned(owned) => Some(owned),
            Ownership::Foreign | Ownership::Forged(_) => None,
        }
    }

    /// The owned groups of other stores that let in an owned group, and that something may have.
    pub(crate) fn let_in_by(&self, group: &SecurityGroupId) -> impl Iterator<Item = &'seen SecurityGroupId> {
        self.let_in_by.get(group).into_iter().flatten().copied().filter(|by| self.may_be_attached(by))
    }

    fn may_be_attached(&self, group: &SecurityGroupId) -> bool {
        let others = || self.seen.other_attached(group).is_none_or(|mut others| others.next().is_some());
        !self.stores_with(group).is_empty() || self.with_group(group).next().is_some() || others()
    }

    /// The store that an owned group was made for.
    pub(crate) fn store_of(&self, id: &SecurityGroupId) -> Option<&StoreId> {
        self.owned(id).map(|owned| &owned.store)
    }

    /// The owned instance sides that an interface has.
    pub(crate) fn attached_instance_sides<'this>(
        &'this self,
        interface: &'this Interface,
    ) -> impl Iterator<Item = &'this Owned> {
        interface.groups.iter().filter_map(|group| self.owned(group)).filter(|owned| owned.name.role == Side::Instance)
    }

    /// Whether an instance has a store's instance side that may reach it as far as the tags go.
    pub(crate) fn is_used_by_entitled(&self, store: &DataStore, instance_side: &SecurityGroupId) -> bool {
        !self.seen.is_uninstalling()
            && !store.settings.blocked
            && self
                .sharing(store)
                .iter()
                .any(|instance| !self.is_blocked(instance) && instance.has_group(instance_side))
    }

    pub(crate) fn group(&self, id: &SecurityGroupId) -> Option<&'seen SecurityGroup> {
        self.groups.get(id).copied()
    }

    /// The store that has an ARN now.
    pub(crate) fn store_called(&self, arn: &StoreArn) -> Option<&'seen DataStore> {
        self.stores().find(|store| store.arn == *arn)
    }

    pub(crate) fn ownership(&self) -> impl Iterator<Item = (&'seen SecurityGroupId, &Ownership)> {
        self.ownership.iter().map(|(id, ownership)| (*id, ownership))
    }

    /// The owned groups that carry a store's identity and are named after its service, of one side,
    /// by number. A group of another service's name could never be a part of a usable pair.
    pub(crate) fn owned_by(&self, store: &DataStore, side: Side) -> BTreeMap<u32, &Owned> {
        self.owned_groups(&store.id)
            .filter(|owned| owned.name.service == store.service && owned.name.role == side)
            .map(|owned| (owned.name.number, owned))
            .collect()
    }

    pub(crate) fn taken_names(&self) -> TakenNames {
        let names = self.seen.taken_names.iter().chain(self.groups.values().map(|group| &group.name));
        TakenNames(names.map(|name| name.to_ascii_lowercase()).collect())
    }

    pub(crate) fn is_free(&self, name: GroupName) -> bool {
        !self.taken_names().0.contains(&name.folded())
    }
}

fn let_in_by<'seen>(
    groups: &BTreeMap<&'seen SecurityGroupId, &'seen SecurityGroup>,
    ownership: &BTreeMap<&'seen SecurityGroupId, Ownership>,
) -> BTreeMap<SecurityGroupId, Vec<&'seen SecurityGroupId>> {
    let owner = |id: &SecurityGroupId| match ownership.get(id)? {
        Ownership::Owned(owned) => Some(&owned.store).filter(|_| owned.role().kind() == GroupKind::Pair),
        Ownership::Foreign | Ownership::Forged(_) => None,
    };
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for (id, group) in groups {
        let Some(store) = owner(id) else { continue };
        for rule in group.rules(Direction::Inbound) {
            if let Peer::Group(peer) = &rule.peer
                && owner(peer).is_some_and(|other| other != store)
            {
                found.entry(peer.clone()).or_default().push(*id);
            }
        }
    }
    found
}
