//! The plan: what turns an observation into what the tags ask for.
//!
//! [`plan`] is a pure function; all judgement is in it and in the tables it follows
//! ([`StoreRow`], [`PairRow`]). Nothing is left to choose when a plan is carried out.

pub(crate) mod budget;
pub(crate) mod carried_out;
mod cidr;
pub(crate) mod conditions;
pub(crate) mod connect;
pub(crate) mod copies;
pub(crate) mod delete;
mod detach_reason;
pub(crate) mod disconnect;
pub(crate) mod foreign;
pub(crate) mod index;
pub(crate) mod leaving;
pub(crate) mod left_over;
mod notes;
pub(crate) mod obstacles;
pub(crate) mod pair;
mod rows;
mod show;
mod status;
mod types;

use std::collections::BTreeMap;

pub(crate) use self::pair::is_usable;
use self::{
    budget::Disconnects,
    carried_out::carried_out,
    cidr::CidrGroups,
    conditions::Places,
    connect::Connections,
    delete::Works,
    index::Index,
    pair::{PairState, PairStates, Use},
};
pub use self::{
    conditions::{Condition, Premise},
    delete::DeleteCondition,
    detach_reason::DetachReason,
    obstacles::vpc_of,
    rows::{PairRow, StoreRow},
    show::{Action, ActionKind, Effect},
    status::{StatusChange, StatusOf},
    types::{
        Attachment, CidrWork, Decision, DeleteReason, Deletion, Detachment, GroupRef, GroupSpec, InterfaceChange,
        PairRule, PairWork, Plan, StoreChange, Verdict, Via,
    },
};
use crate::{
    finding::{Finding, Reason, Subject},
    group::{GroupKind, Owned},
    id::{InstanceId, InterfaceId, StoreId},
    observation::Observation,
    policy::Policy,
    service::Side,
    state::Note,
};

/// Decides what to do about everything that was observed.
pub fn plan(seen: &Observation, policy: &Policy) -> Plan {
    let index = Index::of(seen, policy);
    let mut plan = settle(&index).plan;
    if policy.status_tags && seen.groups.is_complete() {
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

/// The passes of planning, each over what the passes before it decided.
pub(crate) fn settle<'index>(index: &'index Index<'index>) -> Settled<'index> {
    let pair_states: PairStates<'_> = index.stores().map(|store| (&store.id, PairState::of(index, store))).collect();
    let mut disconnects = budget::decide(index, &pair_states);
    let connections = connect::decide(index, &pair_states, &disconnects);
    let gets_pair = |store: &StoreId| connections.attaches(&pair_states, store);
    disconnects.decide_last_of_stores(gets_pair);
    let (mut pairs, held) = pair_works(index, &pair_states, &connections);
    let cidrs = cidr::decide(index, gets_pair);
    let stores = store_changes(index, &pair_states, &disconnects, &connections, &cidrs);
    let works = Works { pairs: &pairs, cidrs: &cidrs.works };
    let deleted = delete::decide(index, &disconnects, &stores, works);
    // A pair that is deleted is not repaired before.
    pairs.retain(|store, _| !deleted.ends.contains_key(&(GroupKind::Pair, store.clone())));

    let departing = disconnects.decisions();
    let departed = departing.len();
    let findings = [
        obstacles::findings(index),
        copies::findings(index, &stores),
        disconnects.findings.clone(),
        connections.findings.clone(),
        ambiguities(index, &pair_states),
        held,
        cidrs.findings,
        deleted.findings,
        pairs.iter().filter_map(|(id, work)| Some(pair_states.get(id)?.drift(index, work))).flatten().collect(),
        disconnects.waiting().into_iter().collect(),
    ];
    let of_state = if index.seen.groups.is_complete() {
        [notes::follow_tags(index), notes::forget_deleted(index)].concat()
    } else {
        Vec::new()
    };
    let notes = [connections.notes.clone(), cidrs.notes, deleted.notes, of_state, disconnects.notes.clone()];
    let plan = Plan {
        interfaces: interface_changes(index, &pair_states, &disconnects, &connections),
        pairs,
        cidrs: cidrs.works,
        stores,
        deletions: deleted.ends,
        statuses: Vec::new(),
        window: disconnects.window(),
        notes: each_once(notes.concat()),
        decisions: [departing, connections.decisions].concat(),
        findings: sorted(findings.concat()),
    };
    Settled { plan, pair_states, disconnects, places: connections.places, departed }
}

fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort();
    findings.dedup();
    findings
}

fn each_once(notes: Vec<Note>) -> Vec<Note> {
    notes.into_iter().fold(Vec::new(), |mut kept, note| {
        if !kept.contains(&note) {
            kept.push(note);
        }
        kept
    })
}

fn ambiguities(index: &Index<'_>, pair_states: &PairStates<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pair_state in index.stores_here().filter_map(|(id, _)| pair_states.get(id)) {
        if index.takes_in(pair_state) {
            findings.extend(pair_state.ambiguity_finding());
        }
    }
    findings
}

/// The work that makes, finishes or puts back the pairs in scope, and the findings about those on hold.
fn pair_works(
    index: &Index<'_>,
    pair_states: &PairStates<'_>,
    connections: &Connections<'_>,
) -> (BTreeMap<StoreId, PairWork>, Vec<Finding>) {
    let (mut works, mut held) = (BTreeMap::new(), Vec::new());
    let mut names = index.taken_names();
    for (id, store) in index.stores_here() {
        let Some(pair_state) = pair_states.get(id).filter(|pair_state| index.takes_in(pair_state)) else { continue };
        let used = if connections.needs.contains_key(id) {
            Use::Needed
        } else if pair_state.instance_side().is_some_and(|side| index.is_used_by_entitled(store, side)) {
            Use::Attached
        } else {
            Use::Unused
        };
        let Some(work) = pair::work(index, pair_state, used, &mut names) else { continue };
        if store.settings.held {
            held.push(Finding { subject: Subject::Store(store.arn.clone()), reason: Reason::Held });
        } else {
            works.insert(id.clone(), work);
        }
    }
    (works, held)
}

/// The changes of the stores' lists.
fn store_changes(
    index: &Index<'_>,
    pair_states: &PairStates<'_>,
    disconnects: &Disconnects<'_>,
    connections: &Connections<'_>,
    cidrs: &CidrGroups,
) -> BTreeMap<StoreId, StoreChange> {
    let change = |id: &StoreId, store| {
        let mut change = StoreChange::of(store);
        if let Some(off) = disconnects.off_stores.get(id) {
            (change.detach, change.cuts) = (off.groups.clone(), off.cuts);
        }
        if connections.attaches(pair_states, id)
            && let Some((pair_state, needed_by)) = pair_states.get(id).zip(connections.needs.get(id))
        {
            change.attach.insert(GroupKind::Pair, pair_state.group_ref(Side::Store));
            change.needed_by = needed_by.iter().map(|candidate| candidate.instance.id.clone()).collect();
        }
        change.attach.extend(cidrs.attach.get(id).map(|group| (GroupKind::Cidr, group.clone())));
        change
    };
    let all = index.stores_here().map(|(id, store)| (id.clone(), change(id, &store.arn)));
    all.filter(|(_, change)| !change.attach.is_empty() || !change.detach.is_empty()).collect()
}

/// The changes of the interfaces' lists.
fn interface_changes(
    index: &Index<'_>,
    pair_states: &PairStates<'_>,
    disconnects: &Disconnects<'_>,
    connections: &Connections<'_>,
) -> BTreeMap<InterfaceId, InterfaceChange> {
    let mut changes = BTreeMap::<InterfaceId, InterfaceChange>::new();
    for leaving in disconnects.leaving() {
        let owned: &Owned = leaving.owned;
        let detachment = Detachment { store: owned.store.clone(), arn: index.arn_of(owned), reason: leaving.reason };
        let change = changes.entry(leaving.interface.clone());
        let change = change.or_insert_with(|| InterfaceChange::of(Some(&leaving.instance.id)));
        change.detach.insert(owned.group.clone(), detachment);
    }
    for left_over in disconnects.left_over() {
        let (interface, owned) = (left_over.interface, left_over.owned);
        let detachment = Detachment { store: owned.store.clone(), arn: index.arn_of(owned), reason: left_over.reason };
        let change = changes.entry(interface.clone()).or_insert_with(|| InterfaceChange::of(None));
        change.detach.insert(owned.group.clone(), detachment);
    }
    for (id, needed_by) in &connections.needs {
        let Some(pair_state) = pair_states.get(id) else { continue };
        let lacking = needed_by.iter().filter(|candidate| !pair_state.instance_has_group(candidate.instance));
        for (candidate, interface) in
            lacking.filter_map(|candidate| Some((candidate, candidate.instance.interface.as_ref()?)))
        {
            let attachment = Attachment { store: candidate.store.arn.clone(), names: candidate.names.clone() };
            let change = changes.entry(interface.id.clone());
            let change = change.or_insert_with(|| InterfaceChange::of(Some(&candidate.instance.id)));
            change.attach.insert(pair_state.group_ref(Side::Instance), attachment);
        }
    }
    changes
}
