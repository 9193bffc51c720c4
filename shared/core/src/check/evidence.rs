//! The checker's own index of an observation. It shares nothing with the planner's, on purpose.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    cidr::{CidrPeer, Family},
    group::{GroupKind, Owned, SecurityGroup},
    id::{InstanceId, InterfaceId, SecurityGroupId, StoreArn, StoreId},
    model::{DataStore, Instance},
    observation::{AttachedInterface, InterfaceOwner, Observation, StoreLookup},
    policy::Policy,
    rule::{Direction, Peer},
    service::Side,
    tag::ConnectionName,
};

/// An observation with the lookups that the checker needs.
pub(super) struct Evidence<'seen> {
    pub(super) seen: &'seen Observation,
    pub(super) policy: &'seen Policy,
    pub(super) instances: BTreeMap<&'seen InstanceId, &'seen Instance>,
    pub(super) by_name: BTreeMap<&'seen ConnectionName, BTreeSet<&'seen InstanceId>>,
    pub(super) stores: BTreeMap<&'seen StoreId, &'seen DataStore>,
    pub(super) by_arn: BTreeMap<&'seen StoreArn, &'seen DataStore>,
    pub(super) owned: BTreeMap<&'seen SecurityGroupId, (Owned, &'seen SecurityGroup)>,
    pub(super) cidr_groups: BTreeMap<&'seen SecurityGroupId, (Owned, &'seen SecurityGroup)>,
    /// The pairs' groups with an inbound rule that names a group.
    pub(super) lets_in: BTreeMap<&'seen SecurityGroupId, Vec<&'seen SecurityGroupId>>,
}

impl<'seen> Evidence<'seen> {
    pub(super) fn of(seen: &'seen Observation, policy: &'seen Policy) -> Self {
        let mut by_name = BTreeMap::<_, BTreeSet<_>>::new();
        for instance in &seen.instances.found {
            for name in instance.settings.connect.names() {
                by_name.entry(name).or_default().insert(&instance.id);
            }
        }
        let ours = seen.groups.found.iter().filter_map(|group| Some((&group.id, (group.ownership().ours()?, group))));
        let (owned, cidr_groups): (BTreeMap<_, _>, BTreeMap<_, _>) =
            ours.partition(|(_, (owned, _)): &(_, (Owned, _))| owned.role().kind() == GroupKind::Pair);
        let mut lets_in = BTreeMap::<_, Vec<_>>::new();
        for (id, (_, group)) in &owned {
            for rule in group.rules(Direction::Inbound) {
                if let Peer::Group(peer) = &rule.peer {
                    lets_in.entry(peer).or_default().push(*id);
                }
            }
        }
        let by_arn = seen.present_stores();
        Self {
            seen,
            policy,
            lets_in,
            instances: seen.instances.found.iter().map(|instance| (&instance.id, instance)).collect(),
            by_name,
            stores: by_arn.values().map(|store| (&store.id, *store)).collect(),
            by_arn,
            owned,
            cidr_groups,
        }
    }

    /// An owned group, whatever its role.
    pub(super) fn ours(&self, id: &SecurityGroupId) -> Option<&Owned> {
        self.owned.get(id).or_else(|| self.cidr_groups.get(id)).map(|(owned, _)| owned)
    }

    pub(super) fn instance(&self, id: &InstanceId) -> Option<&'seen Instance> {
        self.instances.get(id).copied()
    }

    /// Whether an instance may have no connection, by its tag or by an isolation group.
    pub(super) fn is_blocked(&self, instance: &Instance) -> bool {
        instance.settings.blocked || self.policy.isolation_groups.iter().any(|group| instance.has_group(group))
    }

    /// Whether an interface is a further one of an instance whose primary one has the group.
    pub(super) fn copies_primary(&self, attached: &AttachedInterface, group: &SecurityGroupId) -> bool {
        match &attached.owner {
            InterfaceOwner::Instance { id, primary, .. } => {
                !primary && self.instance(id).is_some_and(|instance| instance.has_group(group))
            }
            InterfaceOwner::Nobody { .. } | InterfaceOwner::Other { .. } => false,
        }
    }

    /// An interface that no instance has any more.
    pub(super) fn left_over(&self, id: &InterfaceId) -> Option<&'seen AttachedInterface> {
        let is_left_over = |attached: &&AttachedInterface| {
            attached.interface == *id && matches!(attached.owner, InterfaceOwner::Nobody { .. })
        };
        self.seen.attachments.by.found.iter().find(is_left_over)
    }

    /// Whether the scope names the store, or an instance that shares a name with it or has a
    /// group of it.
    pub(super) fn in_scope(&self, store: &DataStore) -> bool {
        let scope = &self.seen.scope;
        scope.has_store(&store.arn)
            || self.seen.instances.found.iter().any(|instance| {
                let has_group =
                    || self.owned.iter().any(|(id, (owned, _))| owned.store == store.id && instance.has_group(id));
                let shares = !instance.settings.connect.shared_with(&store.settings.connect).is_empty();
                scope.has_instance(&instance.id) && (shares || has_group())
            })
    }

    /// Whether a store's tags, if it was found, are all that it has. Those of the tag index may not be.
    // Facts 3.4 and 4.2
    pub(super) fn tags_are_certain(&self, store: &StoreId) -> bool {
        self.stores.get(store).is_none_or(|store| store.tags_are_certain())
    }

    /// Whether a store is gone for certain.
    pub(super) fn is_gone(&self, owned: &Owned) -> bool {
        let named = owned.arn.as_ref().is_some_and(|arn| {
            self.seen.stores.found.iter().any(|lookup| match lookup {
                StoreLookup::NotFound(gone) => gone == arn,
                StoreLookup::Found(store) => store.arn == *arn && store.id != owned.store,
            })
        });
        let all = self.owned.iter().chain(&self.cidr_groups);
        let mut of_store = all.filter(|(_, (group, _))| group.store == owned.store && group.role() != Side::Instance);
        let carried = of_store.any(|(id, _)| {
            self.seen.other_attached(id).is_none_or(|mut others| others.next().is_some())
                || self.stores.values().any(|store| store.groups.contains_key(*id))
                || self.seen.instances.found.iter().any(|instance| instance.has_group(id))
        });
        named && !carried && self.seen.absent.contains(&owned.store) && !self.stores.contains_key(&owned.store)
    }

    /// Why a peer may not be let in, whoever asks for it.
    pub(super) fn forbids(&self, store: &DataStore, peer: &CidrPeer) -> Option<&'static str> {
        let Some(limits) = self.policy.allow_cidr else {
            return Some("the installation lets in no clients but instances");
        };
        let list = match peer {
            CidrPeer::Block(block) => return block.is_too_wide(limits).then_some("it is too wide"),
            CidrPeer::PrefixList(id) => self.seen.prefix_lists.found.iter().find(|list| list.id == *id),
        };
        let Some(list) = list else { return Some("the prefix list was not read") };
        if list.owner != store.arn.account() {
            return Some("the prefix list is not this account's");
        }
        list.entries.iter().any(|block| block.is_too_wide(limits)).then_some("an entry of the prefix list is too wide")
    }

    /// As how many blocks of the widest size all addresses of a family count that these peers let in.
    pub(super) fn widest_blocks(&self, peers: &BTreeSet<CidrPeer>, family: Family) -> u128 {
        let lists = &self.seen.prefix_lists.found;
        let entries = lists.iter().filter(|list| peers.contains(&CidrPeer::PrefixList(list.id.clone())));
        let own = peers.iter().filter_map(|peer| match peer {
            CidrPeer::Block(block) => Some(block),
            CidrPeer::PrefixList(_) => None,
        });
        let blocks = own.chain(entries.flat_map(|list| &list.entries)).filter(|block| block.family() == family);
        let addresses = blocks.fold(0_u128, |sum, block| sum.saturating_add(block.addresses()));
        self.policy.allow_cidr.map_or(0, |limits| limits.widest_blocks(family, addresses))
    }

    pub(super) fn rules_of(&self, peer: &CidrPeer, family: Family) -> usize {
        match peer {
            CidrPeer::Block(block) => usize::from(block.family() == family),
            CidrPeer::PrefixList(id) => {
                let mut lists = self.seen.prefix_lists.found.iter();
                let list = lists.find(|list| list.id == *id && list.family == family);
                list.map_or(0, |list| list.most_entries)
            }
        }
    }
}
