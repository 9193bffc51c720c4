//! The plan: what turns an observation into what the tags ask for.
//!
//! [`plan`] is a pure function; all judgement is in it and in the tables it follows
//! ([`StoreRow`], [`PairRow`]). Nothing is left to choose when a plan is carried out.

mod cidr;
pub(crate) mod conditions;
pub(crate) mod disconnect;
pub(crate) mod index;
pub(crate) mod obstacles;
pub(crate) mod pair;
pub(crate) mod places;
mod rows;
mod show;
mod status;
pub(crate) mod teardown;
mod types;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use self::index::is_usable;
use self::{
    conditions::{Candidate, Places, Situation},
    disconnect::Disconnects,
    index::Index,
    pair::{PairState, Use},
    places::Taken,
};
pub use self::{
    conditions::{Condition, Premise},
    rows::{PairRow, StoreRow},
    show::{Action, Effect},
    status::{StatusChange, StatusOf},
    types::{
        Attachment, CidrWork, Decision, DeleteReason, Deletion, DetachReason, Detachment, GroupRef, GroupSpec,
        InterfaceChange, PairRule, PairWork, Plan, StoreChange, Verdict, Via,
    },
};
use crate::{
    expected::carried_out,
    finding::{Finding, Reason, Subject},
    group::GroupKind,
    id::{InstanceId, InterfaceId, StoreId},
    observation::Observation,
    policy::Policy,
    service::Side,
};

/// Decides what to do about everything that was observed.
pub fn plan(seen: &Observation, policy: &Policy) -> Plan {
    let index = Index::of(seen, policy);
    let mut plan = settle(&index).plan;
    let all_read = seen.stores.is_complete() && seen.instances.is_complete() && seen.groups.is_complete();
    if policy.status_tags && all_read {
        let after = carried_out(seen, &plan);
        let then = settle(&Index::of(&after, policy)).plan;
        plan.statuses = status::changes(&plan, &then, &index);
    }
    plan
}

/// A plan, and what it was decided by.
pub(crate) struct Settled<'index> {
    pub(crate) plan: Plan,
    pub(crate) pair_states: PairStates<'index>,
    pub(crate) disconnects: Disconnects<'index>,
    /// How full the lists were at the turn of each instance and store that were decided about.
    pub(crate) places: BTreeMap<(&'index InstanceId, &'index StoreId), Places>,
    /// How many of the plan's first decisions are about instance sides that leave an interface.
    pub(crate) departed: usize,
}

pub(crate) fn settle<'index>(index: &'index Index<'index>) -> Settled<'index> {
    let pair_states: PairStates<'_> = index.stores().map(|store| (&store.id, PairState::of(index, store))).collect();
    let settled = decide(index, pair_states, BTreeSet::new());
    let plan = &settled.plan;
    // What kept its last group for want of another may lose it after all when it gets one.
    let keep_last: BTreeSet<&Subject> = plan
        .findings
        .iter()
        .filter(|finding| matches!(finding.reason, Reason::LastGroup { .. }))
        .map(|finding| &finding.subject)
        .collect();
    let gains = plan.interfaces.iter().filter(|(_, change)| {
        !change.attach.is_empty() && keep_last.contains(&Subject::Instance(change.instance.clone()))
    });
    let gaining: BTreeSet<InterfaceId> = gains.map(|(interface, _)| interface.clone()).collect();
    if gaining.is_empty() { settled } else { decide(index, settled.pair_states, gaining) }
}

fn decide<'index>(
    index: &'index Index<'index>,
    pair_states: PairStates<'index>,
    gaining: BTreeSet<InterfaceId>,
) -> Settled<'index> {
    let mut plan = Plan { findings: obstacles::findings(index), ..Plan::default() };
    let mut disconnects = Disconnects::of(index, gaining);
    disconnects.leave(&mut plan);
    let departed = plan.decisions.len();
    let last = cidr::leave(&mut plan, index, &mut disconnects);
    let (needs, places) = join(&mut plan, index, &pair_states, &disconnects);

    for (id, store) in index.stores_here() {
        let Some(pair_state) = pair_states.get(id).filter(|pair_state| index.takes_in(pair_state)) else { continue };
        plan.findings.extend(pair_state.ambiguity_finding());
        disconnects.leave_store(&mut plan, index, store);
        if let Some(needed_by) = needs.get(id).filter(|_| !store.settings.held) {
            attach(&mut plan, pair_state, needed_by);
        }
    }
    mend(&mut plan, index, &pair_states, &needs);
    cidr::decide(&mut plan, index, &mut disconnects, &last);
    teardown::tear_down(&mut plan, index, &disconnects);
    let works = plan.pairs.iter().filter_map(|(id, work)| Some((pair_states.get(id)?, work)));
    plan.findings.extend(works.flat_map(|(pair_state, work)| pair_state.drift(index, work)));
    disconnects.conclude(&mut plan);
    plan.findings.sort();
    plan.findings.dedup();
    Settled { plan, pair_states, disconnects, places, departed }
}

pub(crate) type PairStates<'index> = BTreeMap<&'index StoreId, PairState<'index>>;
pub(crate) type Needs<'index> = BTreeMap<&'index StoreId, Vec<Candidate<'index>>>;

/// Decides about every instance and store that share a name; those that are to be connected, by store,
/// and how full the lists were at the turn of each.
fn join<'index>(
    plan: &mut Plan,
    index: &'index Index<'index>,
    pair_states: &PairStates<'index>,
    disconnects: &Disconnects<'_>,
) -> (Needs<'index>, BTreeMap<(&'index InstanceId, &'index StoreId), Places>) {
    let (mut needs, mut found) = (Needs::new(), BTreeMap::new());
    let mut taken = Taken::new(disconnects);
    for candidate in index.candidates() {
        let (instance, store) = (candidate.instance, candidate.store);
        let Some(pair_state) = pair_states.get(&store.id) else { continue };
        if disconnects.contains(&instance.id, &store.id) {
            continue;
        }
        let leaving_store = plan.stores.get(&store.id).map_or(0, |change| change.detached().count());
        let places = Places { leaving_store, on_interface: taken.on_interface(instance) };
        found.insert((&instance.id, &store.id), places);
        let verdict = match PairRow::of(index.connection(pair_state, instance)) {
            PairRow::Connected(via) => Verdict::Connected(via),
            PairRow::NotConnected => match (Situation { index, pair_state, instance, places }).first_unmet() {
                Some((condition, reason)) if condition.refuses() => {
                    if condition == Condition::NotContested {
                        obstacles::leave_contested(plan, index, pair_state, instance);
                    }
                    Verdict::Refused(reason)
                }
                waits => {
                    taken.take(pair_state, instance);
                    needs.entry(&store.id).or_default().push(candidate.clone());
                    waits.map_or(Verdict::Connecting, |(_, reason)| Verdict::Waiting(reason))
                }
            },
        };
        if !matches!(verdict, Verdict::Refused(_)) {
            plan.findings.extend(obstacles::cross_zone(&candidate));
        }
        plan.decisions.push(Decision { store: store.arn.clone(), instance: instance.id.clone(), verdict });
    }
    (needs, found)
}

/// Makes, finishes or puts back the pairs in scope.
fn mend(plan: &mut Plan, index: &Index<'_>, pair_states: &PairStates<'_>, needs: &Needs<'_>) {
    let mut names = index.taken_names();
    for (id, store) in index.stores_here() {
        let Some(pair_state) = pair_states.get(id).filter(|pair_state| index.takes_in(pair_state)) else { continue };
        let used = if needs.contains_key(id) {
            Use::Needed
        } else if pair_state.instance_side().is_some_and(|side| index.is_used_by_entitled(store, side)) {
            Use::Attached
        } else {
            Use::Unused
        };
        let Some(work) = pair::work(index, pair_state, used, &mut names) else { continue };
        if store.settings.held {
            plan.findings.push(Finding { subject: Subject::Store(store.arn.clone()), reason: Reason::Held });
        } else {
            plan.pairs.insert(id.clone(), work);
        }
    }
}

/// Adds the pair to the lists that lack it.
fn attach(plan: &mut Plan, pair_state: &PairState<'_>, needed_by: &[Candidate<'_>]) {
    let store = pair_state.store;
    if !pair_state.store_has_group() && obstacles::store_attachment_waits(pair_state).is_none() {
        let change = plan.change_of(store);
        change.attach.insert(GroupKind::Pair, pair_state.group_ref(Side::Store));
        change.needed_by = needed_by.iter().map(|candidate| candidate.instance.id.clone()).collect();
    }
    for candidate in needed_by {
        let Some(interface) = &candidate.instance.interface else { continue };
        if pair_state.instance_has_group(candidate.instance) {
            continue;
        }
        let attachment = Attachment { store: store.arn.clone(), names: candidate.names.clone() };
        let change = plan.interfaces.entry(interface.id.clone());
        let change = change.or_insert_with(|| InterfaceChange::of(&candidate.instance.id));
        change.attach.insert(pair_state.group_ref(Side::Instance), attachment);
    }
}
