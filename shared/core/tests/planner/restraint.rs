//! Absence is not evidence: what could not be read takes nothing away.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::btree_set, prelude::*};
use tagwire_core::{
    group::{GroupKind, Owned, Ownership, Role},
    id::{InterfaceId, SecurityGroupId, StoreId},
    model::{DataStore, Membership},
    observation::{AttachedInterface, Gap, InterfaceOwner, StoreLookup},
    plan::{DeleteReason, DetachReason, Plan, plan},
    policy::Policy,
    service::Side,
};
use tagwire_world::{World, gaps, worlds};

use crate::{
    arbitrary::{config, fully_read, uncontested},
    case::holds,
};

/// Something that a plan takes away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Removal {
    InstanceSide(InterfaceId, SecurityGroupId, DetachReason),
    StoreSide(String, SecurityGroupId, DetachReason),
    Clients(String, SecurityGroupId, DetachReason),
    Deletion(SecurityGroupId, DeleteReason),
}

fn removals(plan: &Plan) -> BTreeSet<Removal> {
    let instance_sides = plan.interfaces.iter().flat_map(|(interface, change)| {
        change
            .detach
            .iter()
            .map(|(group, detachment)| (group.id(), detachment.reason))
            .chain(change.unproven.iter().map(|group| (group.id(), DetachReason::Blocked)))
            .map(|(group, reason)| Removal::InstanceSide(interface.clone(), group.clone(), reason))
    });
    let of_kind = |kind| {
        plan.stores.values().flat_map(move |change| {
            let detached = change.detached_of(kind);
            detached.map(|(group, reason)| (change.store.to_string(), group.id().clone(), reason))
        })
    };
    let store_sides = of_kind(GroupKind::Pair).map(|(store, group, reason)| Removal::StoreSide(store, group, reason));
    let unproven = plan.stores.values().flat_map(|change| {
        change.unproven.iter().map(|group| {
            let (store, group) = (change.store.to_string(), group.id().clone());
            if group.as_str().contains("-cidr-") {
                Removal::Clients(store, group, DetachReason::Blocked)
            } else {
                Removal::StoreSide(store, group, DetachReason::Blocked)
            }
        })
    });
    let clients = of_kind(GroupKind::Cidr).map(|(store, group, reason)| Removal::Clients(store, group, reason));
    let deletions = plan.deletions.values().flat_map(|deletion| {
        deletion.delete.iter().map(|group| Removal::Deletion(group.id().clone(), deletion.reason))
    });
    instance_sides.chain(store_sides).chain(clients).chain(unproven).chain(deletions).collect()
}

/// What a removal rests on beside the instance's and the store's own lookups. What is counted rests
/// on what was counted before; that a store is gone, and that nobody is left on a side, on everybody
/// who could have it; that nobody asks for a pair, on every store.
fn rests_on(removal: &Removal, world: &World) -> &'static [&'static str] {
    match removal {
        // That tagwire attached it, and that no instance has the interface.
        Removal::InstanceSide(interface, ..) if is_left_over(interface, world) => {
            &["groups", "identities", "instances", "attached_interfaces", "state"]
        }
        Removal::InstanceSide(_, group, DetachReason::StoreGone) if !has_other_side(group, world) => {
            &["groups", "identities"]
        }
        Removal::StoreSide(_, group, DetachReason::StoreOptedOut) if !has_other_side(group, world) => {
            &["groups", "identities", "state"]
        }
        Removal::InstanceSide(.., DetachReason::Blocked)
        | Removal::StoreSide(.., DetachReason::Blocked)
        | Removal::Clients(.., DetachReason::Blocked) => &["groups"],
        Removal::InstanceSide(.., DetachReason::StoreGone) => {
            &["groups", "identities", "instances", "attached_interfaces"]
        }
        Removal::StoreSide(_, group, DetachReason::Uninstalling) if !has_other_side(group, world) => {
            &["groups", "identities", "instances", "state"]
        }
        Removal::InstanceSide(..) | Removal::Clients(..) => &["groups", "identities", "state"],
        Removal::StoreSide(..) => &["groups", "identities", "instances", "attached_interfaces", "state"],
        Removal::Deletion(
            _,
            DeleteReason::StoreGone
            | DeleteReason::StoreOptedOut
            | DeleteReason::CidrNotAskedFor
            | DeleteReason::Uninstalling,
        ) => &["groups", "identities", "instances", "attached_interfaces", "templates"],
        Removal::Deletion(_, DeleteReason::Unused) => {
            &["groups", "identities", "instances", "attached_interfaces", "templates", "stores", "state"]
        }
    }
}

fn is_left_over(interface: &InterfaceId, world: &World) -> bool {
    world.seen.attachments.by.found.iter().any(|attached| attached.interface == *interface)
}

/// Whether the pair has another side, which somebody could have.
fn has_other_side(group: &SecurityGroupId, world: &World) -> bool {
    let owned: Vec<Owned> = world
        .seen
        .groups
        .found
        .iter()
        .filter_map(|group| match group.ownership() {
            Ownership::Owned(owned) => Some(owned).filter(|owned| owned.role() != Role::Cidr),
            Ownership::Foreign | Ownership::Forged(_) | Ownership::Unproven(_) => None,
        })
        .collect();
    let this = owned.iter().find(|owned| owned.group.id() == group);
    this.is_some_and(|this| owned.iter().any(|other| other.store == this.store && other.name.role != this.name.role))
}

/// Whether an instance side leaves somebody who shares no name with its store, and only a copy that is not seen would
/// have kept it there. That the two share no name is certain, and outweighs what is not known of a copy.
fn only_an_unseen_copy_kept(removal: &Removal, world: &World, with: &World) -> bool {
    let Removal::InstanceSide(_, group, DetachReason::NamesNotShared | DetachReason::StoreOptedOut) = removal else {
        return false;
    };
    let owned = |id: &SecurityGroupId| world.seen.groups.found.iter().find(|group| group.id == *id)?.ownership().ours();
    let Some(side) = owned(group) else { return false };
    let is_seen = |id: &StoreId| stores(with).any(|store| store.id == *id);
    stores(world).filter(|store| store.id != side.store && !is_seen(&store.id)).any(|copy| {
        let mut carried = copy.groups.keys().filter_map(owned);
        carried.any(|carried| carried.store == side.store && carried.role() == Side::Store)
    })
}

fn stores(world: &World) -> impl Iterator<Item = &DataStore> {
    world.seen.stores.found.iter().filter_map(|lookup| match lookup {
        StoreLookup::Found(store) => Some(&**store),
        StoreLookup::NotFound(_) => None,
    })
}

/// The same world with gaps in some readings, and what falls into them not seen.
fn with_gaps(world: &World, gaps: &BTreeSet<&str>, unseen: &[bool]) -> World {
    fn lose<T>(found: &mut Vec<T>, unseen: &[bool]) -> Vec<T> {
        let mut unseen = unseen.iter().cycle();
        found.extract_if(.., |_| unseen.next().is_some_and(|unseen| *unseen)).collect()
    }
    let mut world = world.clone();
    let seen = &mut world.seen;
    let gap = Gap::of("a call", "", "Throttling").that_passes(true, true);
    for what in gaps {
        match *what {
            "instances" => {
                lose(&mut seen.instances.found, unseen);
                seen.instances.gaps.push(gap.clone());
            }
            "stores" => {
                // A store that was not read has interfaces all the same, and these were.
                let lost = lose(&mut seen.stores.found, unseen);
                seen.attachments.by.found.extend(lost.iter().enumerate().filter_map(|(index, lookup)| match lookup {
                    StoreLookup::Found(store) => Some(AttachedInterface {
                        interface: InterfaceId::parse(format!("eni-unread-{index}")).unwrap(),
                        owner: InterfaceOwner::Other { description: "RDSNetworkInterface".into() },
                        groups: store.groups.keys().cloned().collect(),
                    }),
                    StoreLookup::NotFound(_) => None,
                }));
                seen.stores.gaps.push(gap.clone());
            }
            "groups" => {
                lose(&mut seen.groups.found, unseen);
                seen.groups.gaps.push(gap.clone());
            }
            "attached_interfaces" => {
                lose(&mut seen.attachments.by.found, unseen);
                seen.attachments.by.gaps.push(gap.clone());
            }
            "templates" => {
                let templates = seen.launch_templates.get_or_insert_default();
                lose(&mut templates.found, unseen);
                templates.gaps.push(gap.clone());
            }
            "prefix-lists" => {
                lose(&mut seen.prefix_lists.found, unseen);
                seen.prefix_lists.gaps.push(gap.clone());
            }
            "identities" => {
                seen.identities = Err(gap.clone());
                seen.groups.found.iter_mut().for_each(|group| group.record = None);
            }
            _ => seen.state = Err(gap.clone()),
        }
    }
    world
}

/// What would be seen without the gaps, as far as it decides what is wanted: who cannot read the state
/// table does not know that tagwire is to be gone.
fn without_gaps(world: &World, gaps: &BTreeSet<&str>) -> World {
    let mut world = world.clone();
    if let Ok(state) = &mut world.seen.state
        && gaps.contains("state")
    {
        state.uninstalling = None;
    }
    world
}

/// A world in which everything was read, nothing is contested, and no list is ours alone: what is not
/// known may decide which of several groups stays as the last one.
fn whole() -> impl Strategy<Value = World> {
    worlds().prop_map(|world| {
        let mut world = uncontested(fully_read(world));
        let default = SecurityGroupId::parse("sg-default").unwrap();
        for interface in world.seen.instances.found.iter_mut().filter_map(|instance| instance.interface.as_mut()) {
            interface.groups.insert(default.clone());
        }
        for lookup in &mut world.seen.stores.found {
            if let StoreLookup::Found(store) = lookup {
                store.groups.insert(default.clone(), Membership::Active);
            }
        }
        world
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_gap_takes_nothing_away_that_rests_on_it_nor_anything_else_that_would_have_stayed(
        world in whole(), gaps in btree_set(gaps(), 1..=2)
    ) {
        let with = with_gaps(&world, &gaps, &[false]);
        let world = without_gaps(&world, &gaps);
        let (removed, before) = (removals(&holds(&with).map_err(TestCaseError::fail)?), removals(&plan(&world.seen, &world.policy)));
        for removal in &removed {
            prop_assert!(!rests_on(removal, &world).iter().any(|rest| gaps.contains(rest)), "{removal:?} rests on {gaps:?}");
            prop_assert!(before.contains(removal), "{removal:?} only with {gaps:?}");
        }
    }

    #[test]
    fn what_is_not_seen_takes_nothing_away_that_would_never_go(
        world in whole(), gaps in btree_set(gaps(), 1..=3), unseen in proptest::collection::vec(any::<bool>(), 1..=5)
    ) {
        let with = with_gaps(&world, &gaps, &unseen);
        let world = without_gaps(&world, &gaps);
        let removed = removals(&holds(&with).map_err(TestCaseError::fail)?);
        let policy = Policy { max_disconnects: usize::MAX, ..world.policy.clone() };
        let wanted = removals(&plan(&world.seen, &policy));
        for removal in &removed {
            prop_assert!(!rests_on(removal, &world).iter().any(|rest| gaps.contains(rest)), "{removal:?} rests on {gaps:?}");
            prop_assert!(
                wanted.contains(removal) || only_an_unseen_copy_kept(removal, &world, &with),
                "{removal:?} only with {gaps:?} and without what fell into them"
            );
        }
    }
}

/// Without this the properties above could hold because nothing is ever removed.
#[test]
fn each_kind_of_removal_is_seen_and_each_gap_it_rests_on_keeps_it() {
    let gone = "instance i-1\ngone orders\npair orders 1 attached-to=i-1";
    let opted_out = "instance i-1\ndb orders\npair orders 1 attached-to=i-1";
    let blocked = "instance i-1 connect=orders\ndb orders connect=orders block\npair orders 1 attached-to=i-1";
    let not_asked_for =
        "instance i-1\ninstance i-2 connect=lost\ndb orders connect=orders\npair orders 1 attached-to=i-1,i-2";
    let uninstalling =
        "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1\nuninstalling ago=5";
    let unused = "db orders connect=orders\npair orders 1 loose\nunused rds-ec2-1 ago=20\nunused ec2-rds-1 ago=20";
    let mut kinds = BTreeMap::<String, usize>::new();
    let group = "group rds-cidr-1 tagged=orders/cidr ours=cidr on=orders";
    let no_clients = format!("db orders connect=orders\n{group}");
    let blocked_clients = format!("db orders connect=orders block\n{group}");
    let left_over = "db orders connect=orders\npair orders 1\ninterface eni-9 groups=web,ec2-rds-1 of=x detached\nattached i-9 ec2-rds-1";
    for text in
        [gone, opted_out, blocked, not_asked_for, uninstalling, unused, &no_clients, &blocked_clients, left_over]
    {
        let world = World::read(text).unwrap();
        for removal in removals(&holds(&world).unwrap()) {
            for gap in rests_on(&removal, &world) {
                let with = World::read(&format!("{text}\ngap {gap}")).unwrap();
                assert!(!removals(&holds(&with).unwrap()).contains(&removal), "{removal:?} in spite of {gap}");
            }
            let kind = match &removal {
                Removal::InstanceSide(.., reason) => format!("instance side: {reason:?}"),
                Removal::StoreSide(.., reason) => format!("store side: {reason:?}"),
                Removal::Clients(.., reason) => format!("clients: {reason:?}"),
                Removal::Deletion(_, because) => format!("deletion: {because:?}"),
            };
            *kinds.entry(kind).or_default() += 1;
        }
    }
    let kinds: Vec<&str> = kinds.keys().map(String::as_str).collect();
    assert_eq!(
        kinds,
        [
            "clients: Blocked",
            "clients: CidrNotAskedFor",
            "deletion: CidrNotAskedFor",
            "deletion: StoreGone",
            "deletion: StoreOptedOut",
            "deletion: Uninstalling",
            "deletion: Unused",
            "instance side: Blocked",
            "instance side: NamesNotShared",
            "instance side: NoInstance",
            "instance side: NotAskedFor",
            "instance side: StoreGone",
            "instance side: StoreOptedOut",
            "instance side: Uninstalling",
            "store side: Blocked",
            "store side: StoreOptedOut",
            "store side: Uninstalling",
        ]
    );
}
