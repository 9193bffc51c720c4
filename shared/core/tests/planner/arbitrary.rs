//! What holds for arbitrary worlds, judged by an oracle that knows nothing of the planner.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tagwire_core::{
    check::check,
    expected::expected,
    group::{Ownership, Role},
    id::{SecurityGroupId, StoreId},
    model::{DataStore, Form, Instance},
    observation::{Observation, Scope, StoreLookup},
    plan::plan,
    rule::{Direction, Peer, Rule},
    service::{Readiness, Side},
    state::VpcState,
    tag::{ConnectTag, TagSettings},
};
use tagwire_world::{Unread, World, reaches, shuffled, worlds};

use crate::case::holds;

/// Few enough for a few seconds; the environment variable `PROPTEST_CASES` asks for more.
pub(crate) fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(500), ..usual }
}

fn after(world: &World) -> Observation {
    let checked = check(plan(&world.seen, &world.policy), &world.seen, &world.policy).unwrap();
    expected(&world.seen, &checked)
}

/// Every instance and store that were seen.
pub(crate) fn everyone(seen: &Observation) -> Vec<(&Instance, &DataStore)> {
    let stores = seen.present_stores();
    let of = |store| seen.instances.found.iter().map(move |instance| (instance, store));
    stores.into_values().flat_map(of).collect()
}

pub(crate) fn is_blocked(world: &World, instance: &Instance, store: &DataStore) -> bool {
    let isolated = || world.policy.isolation_groups.iter().any(|group| instance.has_group(group));
    instance.settings.blocked || store.settings.blocked || isolated()
}

pub(crate) fn entitled(world: &World, instance: &Instance, store: &DataStore) -> bool {
    let shares = !instance.settings.connect.shared_with(&store.settings.connect).is_empty();
    shares && !is_blocked(world, instance, store) && !world.seen.is_uninstalling()
}

/// Whether what stands between them is left alone although their tags may share no name: the store is on hold, or the
/// instance is and the store takes part, or one tag cannot be read and the other one is there.
fn holds_still(world: &World, instance: &Instance, store: &DataStore) -> bool {
    let (mine, theirs) = (&instance.settings, &store.settings);
    let unreadable = |settings: &TagSettings| matches!(settings.connect, ConnectTag::Invalid(_));
    let there = |settings: &TagSettings| settings.connect != ConnectTag::Absent;
    let uncertain = unreadable(mine) && there(theirs) || unreadable(theirs) && there(mine);
    let takes_part = there(theirs) || !store.tags_are_certain();
    let still = theirs.held || mine.held && takes_part || uncertain && !world.seen.is_uninstalling();
    still && !is_blocked(world, instance, store)
}

/// Whether an instance reaches a store by nothing but the instance sides of another one, which it reaches by them as
/// well although their tags certainly share no name. What is certain goes before what only may be.
fn goes_with_another(world: &World, instance: &Instance, store: &DataStore) -> bool {
    let seen = &world.seen;
    let side_of = |id: &SecurityGroupId, of: &StoreId| {
        let owned = seen.groups.found.iter().find(|group| group.id == *id).and_then(|group| group.ownership().ours());
        owned.is_some_and(|owned| owned.store == *of && owned.role() == Side::Instance)
    };
    seen.present_stores().into_values().filter(|other| other.id != store.id).any(|other| {
        let mut without = pairs_alone(seen);
        for interface in without.instances.found.iter_mut().filter_map(|found| found.interface.as_mut()) {
            interface.groups.retain(|group| !side_of(group, &other.id));
        }
        let by_it = |store: &DataStore| {
            reaches(&pairs_alone(seen), &instance.id, &store.arn, Unread::LetsNothing)
                && !reaches(&without, &instance.id, &store.arn, Unread::LetsNothing)
        };
        by_it(other) && by_it(store) && !entitled(world, instance, other) && !holds_still(world, instance, other)
    })
}

/// The same world, with everything read.
pub(crate) fn fully_read(mut world: World) -> World {
    let seen = &mut world.seen;
    for gaps in [&mut seen.instances.gaps, &mut seen.stores.gaps, &mut seen.groups.gaps, &mut seen.attachments.by.gaps]
    {
        gaps.clear();
    }
    seen.launch_templates.get_or_insert_default().gaps.clear();
    seen.prefix_lists.gaps.clear();
    if seen.state.is_err() {
        seen.state = Ok(VpcState::default());
    }
    world
}

/// The same world, with nothing that was taken off too often.
pub(crate) fn uncontested(mut world: World) -> World {
    if let Ok(state) = &mut world.seen.state {
        state.attached.clear();
    }
    world
}

pub(crate) fn eligible(seen: &Observation, instance: &Instance, store: &DataStore) -> bool {
    instance.interface.is_some()
        && instance.operator.is_none()
        && !instance.settings.held
        && !store.settings.held
        && store.is_in(&seen.vpc)
        && store.form == Form::Plain
        && store.readiness() == Readiness::Ready
        && !store.list_is_changing()
        && store.ports.is_some()
}

/// Whether a store has at most one pair, by the oracle's own reading of the tags.
fn has_one_pair(seen: &Observation, store: &DataStore) -> bool {
    let sides = seen.groups.found.iter().filter_map(|group| match group.ownership() {
        Ownership::Owned(owned) => owned.side().filter(|_| owned.store == store.id),
        Ownership::Foreign | Ownership::Forged(_) => None,
    });
    let sides: Vec<Side> = sides.collect();
    Side::BOTH.iter().all(|side| sides.iter().filter(|other| *other == side).count() < 2)
}

fn has_side_of(seen: &Observation, instance: &Instance, store: &DataStore) -> bool {
    seen.groups.found.iter().any(|group| match group.ownership() {
        Ownership::Owned(owned) => {
            owned.role() != Role::Cidr && owned.store == store.id && instance.has_group(&group.id)
        }
        Ownership::Foreign | Ownership::Forged(_) => false,
    })
}

/// The same world with no rules but those of groups that hold a single rule and name each other:
/// what people rely on, as against what somebody opened besides.
fn pairs_alone(seen: &Observation) -> Observation {
    let single: BTreeMap<_, _> = seen
        .groups
        .found
        .iter()
        .filter(|group| group.rules.len() == 1)
        .filter_map(|group| match &group.rules.first()?.peer {
            Peer::Group(peer) => Some((group.id.clone(), peer.clone())),
            Peer::GroupOfAccount { .. } | Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::PrefixList(_) => None,
        })
        .collect();
    let mut alone = seen.clone();
    for group in &mut alone.groups.found {
        let peer = single.get(&group.id);
        if peer.and_then(|peer| single.get(peer)) != Some(&group.id) {
            group.rules.clear();
        }
    }
    alone
}

/// The same world without the rules by which somebody lets owned groups in elsewhere: that is
/// their own doing, and tagwire neither sees nor owns it. Those of CIDR clients are judged elsewhere, and so are copies
/// of a store, which are open to whoever gets the instance side of that until they let go of its group.
fn without_invitations(seen: &Observation) -> Observation {
    let owned: BTreeSet<_> = seen
        .groups
        .found
        .iter()
        .filter(|group| group.ownership().ours().is_some())
        .map(|group| Peer::Group(group.id.clone()))
        .collect();
    let mut without = seen.clone();
    let owners: BTreeMap<SecurityGroupId, StoreId> = seen
        .groups
        .found
        .iter()
        .filter_map(|group| Some((group.id.clone(), group.ownership().ours()?.store)))
        .collect();
    for lookup in &mut without.stores.found {
        if let StoreLookup::Found(store) = lookup {
            let id = store.id.clone();
            store.groups.retain(|group, _| owners.get(group).is_none_or(|owner| *owner == id));
        }
    }
    for group in &mut without.groups.found {
        if group.ownership().ours().is_some_and(|owned| owned.role() == Role::Cidr) {
            group.rules.clear();
        }
        if group.ownership().ours().is_none() {
            group.rules.retain(|rule| !owned.contains(&rule.peer));
        }
    }
    without
}

/// Room on both lists whatever else is attached, and no more than one pair to choose from.
pub(crate) fn roomy(world: &World, instance: &Instance, store: &DataStore) -> bool {
    let stores = world.seen.present_stores().len();
    let groups = instance.interface.as_ref().map_or(0, |interface| interface.groups.len());
    groups + stores <= world.policy.interface_group_limit
        && store.lasting_groups().count() < store.service.row().store_group_limit
        && has_one_pair(&world.seen, store)
        && !is_let_in_elsewhere(&world.seen, store)
}

/// Whether a group of another store's pair that no sweep puts right lets in an instance side of this one.
fn is_let_in_elsewhere(seen: &Observation, store: &DataStore) -> bool {
    let owner = |id: &SecurityGroupId| {
        let owned = seen.groups.found.iter().find(|group| group.id == *id)?.ownership().ours()?;
        (owned.role() != Role::Cidr).then_some(owned.store)
    };
    let is_put_right = |of: &StoreId| {
        let here = |other: &&DataStore| other.is_in(&seen.vpc) && !other.settings.held;
        let other = seen.present_stores().into_values().find(|other| other.id == *of);
        other.filter(here).is_some_and(|other| other.ports.is_some() && has_one_pair(seen, other))
    };
    seen.groups.found.iter().any(|group| {
        let lets_in = |rule: &Rule| {
            let peer = if let Peer::Group(peer) = &rule.peer { owner(peer) } else { None };
            rule.direction == Direction::Inbound && peer.as_ref() == Some(&store.id)
        };
        let of_other = owner(&group.id).filter(|of| *of != store.id);
        of_other.is_some_and(|of| !is_put_right(&of)) && group.rules.iter().any(lets_in)
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_plan_passes_the_checker_and_leaves_nothing_to_do(world in worlds()) {
        let _plan = holds(&world).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn the_order_of_what_was_read_does_not_matter(
        (world, other) in worlds().prop_flat_map(|world| (Just(world.clone()), shuffled(world)))
    ) {
        prop_assert_eq!(plan(&world.seen, &world.policy), plan(&other.seen, &other.policy));
    }

    #[test]
    fn whoever_shares_a_name_with_a_store_that_can_be_connected_reaches_it(world in worlds()) {
        let mut world = uncontested(fully_read(world));
        world.seen.scope = Scope::Vpc;
        let after = after(&world);
        for (instance, store) in everyone(&world.seen) {
            if entitled(&world, instance, store) && eligible(&world.seen, instance, store) && roomy(&world, instance, store) {
                prop_assert!(
                    reaches(&after, &instance.id, &store.arn, Unread::LetsNothing),
                    "{} does not reach {} after\n{}", instance.id, store.arn, plan(&world.seen, &world.policy)
                );
            }
        }
    }

    #[test]
    fn nobody_reaches_a_store_who_did_not_and_shares_no_name_with_it(world in worlds()) {
        let (before, after) = (without_invitations(&world.seen), without_invitations(&after(&world)));
        for (instance, store) in everyone(&world.seen) {
            // Who has a store's instance side already gets back in when its rule is put back for
            // somebody else: one group serves all instances of a store.
            if !entitled(&world, instance, store)
                && !has_side_of(&world.seen, instance, store)
                && reaches(&after, &instance.id, &store.arn, Unread::LetsOut)
            {
                prop_assert!(
                    reaches(&before, &instance.id, &store.arn, Unread::LetsOut),
                    "{} reaches {} after\n{}", instance.id, store.arn, plan(&world.seen, &world.policy)
                );
            }
        }
    }

    #[test]
    fn no_connection_through_a_pair_is_cut_that_tags_ask_for_whoever_made_it(world in worlds()) {
        let (before, after) = (pairs_alone(&world.seen), after(&world));
        for (instance, store) in everyone(&world.seen) {
            let stays = entitled(&world, instance, store)
                || (holds_still(&world, instance, store) && !goes_with_another(&world, instance, store));
            if stays && reaches(&before, &instance.id, &store.arn, Unread::LetsNothing) {
                prop_assert!(
                    reaches(&after, &instance.id, &store.arn, Unread::LetsNothing),
                    "{} no longer reaches {} after\n{}", instance.id, store.arn, plan(&world.seen, &world.policy)
                );
            }
        }
    }
}
