//! What holds over several plans, while time passes and tags change. Who reaches what is judged by the
//! oracle.

use std::{collections::BTreeSet, fmt::Write as _};

use jiff::{SignedDuration, Timestamp};
use proptest::{collection::vec, prelude::*, sample::select};
use tagwire_core::{
    finding::Subject,
    group::{Ownership, SecurityGroup},
    id::{InstanceId, SecurityGroupId, StoreId},
    model::{DataStore, Instance},
    observation::{Observation, Scope, StoreLookup},
    plan::Plan,
    rule::Peer,
    tag::{ConnectTag, TagSettings},
};
use tagwire_world::{Unread, World, reaches, worlds};

use crate::{
    arbitrary::{config, eligible, entitled, everyone, fully_read, is_blocked, roomy, uncontested},
    case::{after, foreign_in_lists, not_owned, step},
};

/// Whether an instance reaches a store through groups that are owned and the store's.
fn reaches_through_own(seen: &Observation, instance: &Instance, store: &DataStore) -> bool {
    let own = |id: &SecurityGroupId, of: &StoreId| {
        let group = seen.groups.found.iter().find(|group| group.id == *id);
        matches!(group.map(SecurityGroup::ownership), Some(Ownership::Owned(owned)) if owned.store == *of)
    };
    let mut alone = seen.clone();
    for group in &mut alone.groups.found {
        let is_own = own(&group.id, &store.id);
        group.rules.retain(|rule| is_own && matches!(&rule.peer, Peer::Group(peer) if own(peer, &store.id)));
    }
    reaches(&alone, &instance.id, &store.arn, Unread::LetsNothing)
}

/// Whether an instance reaches a store through groups that are owned, whichever store they were made for.
fn reaches_through_owned(seen: &Observation, instance: &Instance, store: &DataStore) -> bool {
    let owned = |id: &SecurityGroupId| {
        let group = seen.groups.found.iter().find(|group| group.id == *id);
        group.is_some_and(|group| group.ownership().ours().is_some())
    };
    let mut alone = seen.clone();
    for group in &mut alone.groups.found {
        let is_owned = owned(&group.id);
        group.rules.retain(|rule| is_owned && matches!(&rule.peer, Peer::Group(peer) if owned(peer)));
    }
    reaches(&alone, &instance.id, &store.arn, Unread::LetsNothing)
}

/// Carries plans out, a sweep every quarter of an hour, until nothing is planned any more; the last plan
/// and the world in which it was made.
pub(crate) fn at_rest(mut world: World) -> Result<(Plan, World), String> {
    world.seen.scope = Scope::Vpc;
    let mut quiet = 0;
    for _ in 0..60 {
        let (plan, after) = step(&world, 15)?;
        quiet = if plan.is_empty() { quiet + 1 } else { 0 };
        // What is unused has to be seen twice, and what lies in the window has to leave it.
        if quiet == 4 {
            return Ok((plan, world));
        }
        world = after;
    }
    Err(format!("it never comes to rest: {world:?}"))
}

/// Whether a plan says what holds a removal back.
fn excuses(plan: &Plan, instance: &Instance, store: &DataStore) -> bool {
    plan.findings.iter().any(|finding| {
        let about = match &finding.subject {
            Subject::Vpc(_) => true,
            Subject::Instance(id) => *id == instance.id,
            Subject::Store(arn) => *arn == store.arn,
            Subject::Group(_) => false,
        };
        about
            && matches!(
                finding.reason.code(),
                "held" | "managed-instance" | "invalid-tag" | "last-group" | "not-available" | "disconnects-held-back"
            )
    })
}

/// Whether an instance keeps the groups of a store for a copy of it that it may reach, and the plan says so of the copy.
fn kept_for_a_copy(world: &World, plan: &Plan, instance: &Instance, store: &DataStore) -> bool {
    let said = |copy: &DataStore| {
        plan.findings.iter().any(|finding| {
            finding.subject == Subject::Store(copy.arn.clone())
                && matches!(finding.reason.code(), "copied-group" | "copied-group-leaving")
        })
    };
    let of_instance = everyone(&world.seen).into_iter().filter(|(other, _)| other.id == instance.id);
    let mut copies = of_instance.map(|(_, copy)| copy).filter(|copy| copy.id != store.id && said(copy));
    copies.any(|copy| entitled(world, instance, copy) && reaches_through_owned(&world.seen, instance, copy))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: config().cases / 4, ..config() })]

    #[test]
    fn when_nothing_happens_any_more_everybody_reaches_exactly_what_the_tags_say(world in worlds()) {
        let before = uncontested(fully_read(world));
        let (plan, world) = at_rest(before.clone()).map_err(TestCaseError::fail)?;
        for (instance, store) in everyone(&before.seen) {
            if entitled(&before, instance, store) && eligible(&before.seen, instance, store) && roomy(&before, instance, store) {
                prop_assert!(
                    reaches(&world.seen, &instance.id, &store.arn, Unread::LetsNothing),
                    "{} does not reach {} in the end:\n{plan}{world:?}", instance.id, store.arn
                );
            }
        }
        for (instance, store) in everyone(&world.seen) {
            if reaches_through_own(&world.seen, instance, store) {
                prop_assert!(
                    entitled(&world, instance, store)
                        || excuses(&plan, instance, store)
                        || kept_for_a_copy(&world, &plan, instance, store),
                    "{} reaches {} in the end:\n{plan}{world:?}", instance.id, store.arn
                );
            }
            // By the group of another store only if that is said of this one.
            let said = |code: &str| {
                plan.findings.iter().any(|finding| {
                    finding.subject == Subject::Store(store.arn.clone()) && finding.reason.code() == code
                })
            };
            if reaches_through_owned(&world.seen, instance, store) && !entitled(&world, instance, store) {
                prop_assert!(
                    said("copied-group")
                        || said("copied-group-leaving")
                        || excuses(&plan, instance, store)
                        || kept_for_a_copy(&world, &plan, instance, store),
                    "{} reaches {} by a group of another store in the end:\n{plan}{world:?}", instance.id, store.arn
                );
            }
        }
        prop_assert_eq!(not_owned(&before.seen), not_owned(&world.seen));
        prop_assert_eq!(foreign_in_lists(&before.seen), foreign_in_lists(&world.seen));
    }
}

const INSTANCES: usize = 6;
const STORES: usize = 3;

/// Something that happens between two looks.
#[derive(Debug, Clone)]
enum Event {
    Tag(Option<&'static str>),
    Block(bool),
    Hold(bool),
    /// Only a store.
    Gone,
}

/// Who it happens to, how many minutes later it is looked at, and whether as part of a sweep.
type Happening = (usize, Event, i64, bool);

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let tags = select(vec![None, None, None, Some(""), Some("a"), Some("a"), Some("b"), Some("a b"), Some("a,b")]);
    let event = prop_oneof![
        12 => tags.prop_map(Event::Tag),
        1 => any::<bool>().prop_map(Event::Block),
        1 => any::<bool>().prop_map(Event::Hold),
        1 => Just(Event::Gone),
    ];
    vec((0..INSTANCES + STORES, event, 0..8_i64, any::<bool>()), 5..=25)
}

/// Instances that have whatever pairs, some of them nothing else, and stores whose tags match.
fn fleets() -> impl Strategy<Value = World> {
    let attached = vec((any::<[bool; STORES]>(), prop::bool::weighted(0.15)), INSTANCES);
    (attached, 0..4_usize).prop_map(|(attached, max)| {
        let mut text = format!("max {max}\n");
        for (index, (sides, alone)) in attached.iter().enumerate() {
            let alone = *alone && sides.contains(&true);
            let _ = writeln!(text, "instance i-{index} connect=a groups={}", if alone { "none" } else { "default" });
        }
        for store in 0..STORES {
            let attached =
                attached.iter().enumerate().filter(|(_, (sides, _))| sides.get(store).is_some_and(|side| *side));
            let attached: Vec<String> = attached.map(|(index, _)| format!("i-{index}")).collect();
            let _ =
                writeln!(text, "db s{store} connect=a\npair s{store} {} attached-to={}", store + 1, attached.join(","));
        }
        World::read(&text).unwrap()
    })
}

fn happen(world: &mut World, (whom, event, minutes, sweep): &Happening) {
    let seen = &mut world.seen;
    seen.at += SignedDuration::from_mins(*minutes);
    let change = |settings: &mut TagSettings| match event {
        Event::Tag(value) => settings.connect = ConnectTag::read(*value),
        Event::Block(blocked) => settings.blocked = *blocked,
        Event::Hold(held) => settings.held = *held,
        Event::Gone => {}
    };
    let scope = if let Some(instance) = seen.instances.found.get_mut(*whom) {
        change(&mut instance.settings);
        Scope::of_instances([instance.id.clone()].into())
    } else {
        let lookup = seen.stores.found.get_mut(*whom - INSTANCES).unwrap();
        let arn = lookup.arn().clone();
        if let StoreLookup::Found(store) = lookup {
            change(&mut store.settings);
            if matches!(event, Event::Gone) {
                seen.absent.insert(store.id.clone());
                *lookup = StoreLookup::NotFound(arn.clone());
            }
        }
        Scope::of_stores([arn].into())
    };
    seen.scope = if *sweep { Scope::Vpc } else { scope };
}

/// The connections that end between two looks that nobody blocked and that have a store to lead to.
fn cut(before: &World, after: &World) -> BTreeSet<(InstanceId, StoreId)> {
    let stands = |instance: &Instance, store: &DataStore| {
        let seen = &after.seen;
        let now = seen.instances.found.iter().find(|found| found.id == instance.id);
        let store = seen.present_stores().get(&store.arn).copied().cloned();
        now.zip(store).is_some_and(|(now, store)| reaches_through_own(seen, now, &store))
    };
    let connected = everyone(&before.seen).into_iter().filter(|(instance, store)| {
        reaches_through_own(&before.seen, instance, store) && !is_blocked(before, instance, store)
    });
    let ended = connected.filter(|(instance, store)| !stands(instance, store));
    ended.map(|(instance, store)| (instance.id.clone(), store.id.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: config().cases / 8, ..config() })]

    #[test]
    fn in_no_window_more_is_cut_than_the_policy_lets_however_the_tags_change(
        world in fleets(), happenings in happenings()
    ) {
        let start = world.clone();
        let mut world = world;
        let mut cuts: Vec<(Timestamp, BTreeSet<(InstanceId, StoreId)>)> = Vec::new();
        for happening in &happenings {
            happen(&mut world, happening);
            let after = after(&world, 0).map_err(TestCaseError::fail)?;
            cuts.push((world.seen.at, cut(&world, &after)));
            world = after;
            let window = SignedDuration::try_from(world.policy.disconnect_window).unwrap();
            let recent = cuts.iter().filter(|(at, _)| world.seen.at.duration_since(*at) < window);
            // One that is cut again is still one.
            let all: BTreeSet<_> = recent.flat_map(|(_, connections)| connections).collect();
            prop_assert!(all.len() <= world.policy.max_disconnects, "{} are cut: {cuts:?}", all.len());
        }
        prop_assert_eq!(not_owned(&start.seen), not_owned(&world.seen));
        let interfaces = |seen: &Observation| -> Vec<String> {
            let lists = foreign_in_lists(seen).into_iter().filter(|(target, _)| target.starts_with("eni-"));
            lists.map(|list| format!("{list:?}")).collect()
        };
        prop_assert_eq!(interfaces(&start.seen), interfaces(&world.seen));
    }
}

/// Without this the property above could hold because nothing is ever cut.
#[test]
fn a_sequence_of_removals_cuts_as_many_as_the_window_lets() {
    let mut world = World::read(
        "instance i-0
         instance i-1
         instance i-2
         db s0 connect=a
         pair s0 1 attached-to=i-0,i-1,i-2
         max 2",
    )
    .unwrap();
    let mut cuts = Vec::new();
    for _ in 0..3 {
        let (_, after) = step(&world, 0).unwrap();
        cuts.push(cut(&world, &after).len());
        world = after;
        world.seen.at += SignedDuration::from_mins(15);
    }
    assert_eq!(cuts, [2, 1, 0]);
}
