//! The observation, indexed the way the planner asks for it.

use std::collections::{BTreeMap, BTreeSet};

use super::{PairRule, Via, pair::Standing};
use crate::{
    group::{GroupName, Owned, Ownership, SecurityGroup},
    id::{InstanceId, SecurityGroupId, StoreId},
    model::{DataStore, Instance},
    observation::Observation,
    rule::{Direction, Peer, PortRange, Traffic},
    service::{Service, Side},
    tag::ConnectionName,
};

/// An instance and a store that share names, at least one of them in scope.
#[derive(Debug, Clone)]
pub(super) struct Candidate<'seen> {
    pub(super) store: &'seen DataStore,
    pub(super) instance: &'seen Instance,
    pub(super) names: BTreeSet<ConnectionName>,
}

pub(super) struct View<'seen> {
    pub(super) seen: &'seen Observation,
    groups: BTreeMap<&'seen SecurityGroupId, &'seen SecurityGroup>,
    ownership: BTreeMap<&'seen SecurityGroupId, Ownership>,
    stores: BTreeMap<&'seen StoreId, &'seen DataStore>,
    instances: BTreeMap<&'seen InstanceId, &'seen Instance>,
}

/// The group names of the VPC that are taken, by somebody or by this very plan.
pub(super) struct TakenNames(BTreeSet<String>);

impl TakenNames {
    /// `preferred` if its names of the `missing` sides are free, else the smallest number that is
    /// free for both sides. That it must be free for both keeps the number of another store's
    /// half-made pair for that store. The names are taken from then on.
    pub(super) fn take(&mut self, service: Service, missing: &[Side], preferred: Option<u32>) -> Option<u32> {
        let is_free = |side, number| !self.0.contains(&GroupName { service, side, number }.folded());
        let number = preferred
            .filter(|&number| missing.iter().all(|&side| is_free(side, number)))
            .or_else(|| (1..=u32::MAX).find(|&number| Side::BOTH.into_iter().all(|side| is_free(side, number))))?;
        self.0.extend(missing.iter().map(|&side| GroupName { service, side, number }.folded()));
        Some(number)
    }
}

impl<'seen> View<'seen> {
    pub(super) fn of(seen: &'seen Observation) -> Self {
        let groups: BTreeMap<_, _> = seen.groups.found.iter().map(|group| (&group.id, group)).collect();
        Self {
            seen,
            ownership: groups.iter().map(|(id, group)| (*id, group.ownership())).collect(),
            stores: seen.present_stores().into_values().map(|store| (&store.id, store)).collect(),
            instances: seen.instances.found.iter().map(|instance| (&instance.id, instance)).collect(),
            groups,
        }
    }

    /// The stores of this VPC, by identity.
    pub(super) fn stores_here(&self) -> impl Iterator<Item = (&'seen StoreId, &'seen DataStore)> {
        self.stores
            .iter()
            .filter(|(_, store)| store.vpc.as_ref() == Some(&self.seen.vpc))
            .map(|(id, store)| (*id, *store))
    }

    /// Every store that was seen, here or elsewhere.
    pub(super) fn stores(&self) -> impl Iterator<Item = &'seen DataStore> {
        self.stores.values().copied()
    }

    /// Whether a store can share names with an instance here: it is here, or in no VPC at all, in
    /// which case it is refused by name instead of being passed over.
    fn concerns(&self, store: &DataStore) -> bool {
        store.vpc.as_ref().is_none_or(|vpc| *vpc == self.seen.vpc)
    }

    /// What is to be decided: instances and stores that share names and of which at least one is
    /// in scope, in the order of the stores' ids and the instances'.
    pub(super) fn candidates(&self) -> Vec<Candidate<'seen>> {
        let mut found = Vec::new();
        for store in self.stores().filter(|store| self.concerns(store)) {
            for &instance in self.instances.values() {
                let in_scope = self.seen.scope.has_store(&store.arn) || self.seen.scope.has_instance(&instance.id);
                let names = store.wishes.connect.shared_with(&instance.wishes.connect);
                if in_scope && !names.is_empty() {
                    found.push(Candidate { store, instance, names });
                }
            }
        }
        found
    }

    /// Whether the scope takes a store in: by name, or through an instance in it that shares a name
    /// with the store or wears a group of it.
    pub(super) fn takes_in(&self, standing: &Standing<'_>) -> bool {
        let scope = &self.seen.scope;
        let joined = |instance: &Instance| {
            !instance.wishes.connect.shared_with(&standing.store.wishes.connect).is_empty()
                || standing.all.iter().any(|group| instance.wears(group))
        };
        scope.has_store(&standing.store.arn)
            || self.instances.values().any(|instance| scope.has_instance(&instance.id) && joined(instance))
    }

    /// Whether an instance wears a store's pair that may reach it as far as the tags go.
    pub(super) fn is_worn_by_entitled(&self, standing: &Standing<'_>) -> bool {
        let of_store = &standing.store.wishes;
        !of_store.blocked
            && self.instances.values().any(|instance| {
                let wishes = &instance.wishes;
                !wishes.blocked
                    && !wishes.connect.shared_with(&of_store.connect).is_empty()
                    && standing.instance_wears(instance)
            })
    }

    pub(super) fn group(&self, id: &SecurityGroupId) -> Option<&'seen SecurityGroup> {
        self.groups.get(id).copied()
    }

    pub(super) fn ownership(&self) -> impl Iterator<Item = (&'seen SecurityGroupId, &Ownership)> {
        self.ownership.iter().map(|(id, ownership)| (*id, ownership))
    }

    /// The owned groups that carry a store's identity and are named after its service, of one side,
    /// by number. A group of another service's name could never be a part of a usable pair.
    pub(super) fn owned_by(&self, store: &DataStore, side: Side) -> BTreeMap<u32, &Owned> {
        self.ownership
            .values()
            .filter_map(|ownership| match ownership {
                Ownership::Owned(owned) => Some(owned),
                Ownership::Foreign | Ownership::Forged(_) => None,
            })
            .filter(|owned| owned.store == store.id && owned.name.service == store.service && owned.name.side == side)
            .map(|owned| (owned.name.number, owned))
            .collect()
    }

    pub(super) fn taken_names(&self) -> TakenNames {
        let names = self.seen.taken_names.iter().chain(self.groups.values().map(|group| &group.name));
        TakenNames(names.map(|name| name.to_ascii_lowercase()).collect())
    }

    pub(super) fn is_free(&self, name: GroupName) -> bool {
        !self.taken_names().0.contains(&name.folded())
    }

    /// How `instance` reaches a store through a usable pair that is attached on both sides.
    pub(super) fn connection(&self, standing: &Standing<'_>, instance: &Instance) -> Option<Via> {
        let store = standing.store;
        let ports = store.ports?;
        let worn_by_instance = || instance.interface.iter().flat_map(|interface| &interface.groups);
        let mut found: Vec<Via> = store
            .groups
            .keys()
            .filter(|group| store.wears(group))
            .flat_map(|store_side| worn_by_instance().map(move |instance_side| (store_side, instance_side)))
            .filter(|(store_side, instance_side)| {
                let sides = self.group(store_side).zip(self.group(instance_side));
                sides.is_some_and(|(store_side, instance_side)| is_usable(store, ports, store_side, instance_side))
            })
            .map(|(store_side, instance_side)| Via {
                store_side: store_side.clone(),
                instance_side: instance_side.clone(),
                owned: [store_side, instance_side]
                    .into_iter()
                    .all(|group| matches!(self.ownership.get(group), Some(Ownership::Owned(_)))),
            })
            .filter(|via| standing.lets_stand(via))
            .collect();
        // An owned connection is named before somebody else's.
        found.sort_by_key(|via| (!via.owned, via.clone()));
        found.into_iter().next()
    }
}

/// Whether two groups are a usable pair for a store: their names match its service's patterns,
/// they hold exactly the pair's rules, and these name each other and the store's ports.
pub(super) fn is_usable(
    store: &DataStore,
    ports: PortRange,
    store_side: &SecurityGroup,
    instance_side: &SecurityGroup,
) -> bool {
    [(Side::Store, store_side, instance_side), (Side::Instance, instance_side, store_side)].into_iter().all(
        |(side, group, peer)| {
            let named =
                GroupName::read(&group.name).is_some_and(|name| name.side == side && name.service == store.service);
            named && holds_only(group, PairRule::direction(side), ports, &peer.id)
        },
    )
}

fn holds_only(group: &SecurityGroup, direction: Direction, ports: PortRange, peer: &SecurityGroupId) -> bool {
    group.rules.len() == 1
        && group
            .rules(direction)
            .all(|rule| rule.traffic == Traffic::Tcp(ports) && rule.peer == Peer::Group(peer.clone()))
        && group.rules(direction).count() == 1
}
