//! Connections: a verdict on every instance and store that share a name, and the places of the
//! interfaces' lists, given out in the order of the stores' ids so that the choice is the same from run to run.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Decision, DetachReason, PairRow, Verdict,
    budget::Disconnects,
    conditions::{Candidate, Condition, Places, Situation},
    copies,
    index::Index,
    obstacles,
    pair::PairStates,
    unproven,
};
use crate::{
    finding::Finding,
    id::{InstanceId, InterfaceId, SecurityGroupId, StoreId},
    service::Side,
    state::Note,
};

/// The verdicts, and those who are to be connected.
#[derive(Default)]
pub(crate) struct Connections<'index> {
    /// Those who are to be connected, by store.
    pub(crate) needs: BTreeMap<&'index StoreId, Vec<Candidate<'index>>>,
    pub(crate) decisions: Vec<Decision>,
    /// How full the lists were at the turn of each instance and store that were decided about.
    pub(crate) places: BTreeMap<(&'index InstanceId, &'index StoreId), Places>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) notes: Vec<Note>,
}

/// Decides about every instance and store that share a name, but for those whose connection is to go.
pub(crate) fn decide<'index>(
    index: &'index Index<'index>,
    pair_states: &PairStates<'index>,
    disconnects: &Disconnects<'index>,
) -> Connections<'index> {
    let mut made = Connections::default();
    let mut taken = BTreeMap::<InterfaceId, usize>::new();
    for candidate in index.candidates() {
        let (instance, store) = (candidate.instance, candidate.store);
        let Some(pair_state) = pair_states.get(&store.id) else { continue };
        if disconnects.contains(&instance.id, &store.id) {
            continue;
        }
        let on_interface = instance.interface.as_ref().map_or(0, |interface| {
            let more = taken.get(&interface.id).copied().unwrap_or_default();
            interface.groups.len().saturating_sub(disconnects.of_interface(&interface.id)) + more
        });
        let places = Places { leaving_store: disconnects.of_store(&store.id), on_interface };
        made.places.insert((&instance.id, &store.id), places);
        let leaves = |group: &SecurityGroupId| disconnects.takes_off(instance, group);
        let verdict = match PairRow::of(pair_state.connection(instance, leaves)) {
            PairRow::Connected(via)
                if unproven::takes_off_instance(index, disconnects, instance, &via.instance_side)
                    || unproven::takes_off_store(index, disconnects, store, &via.store_side) =>
            {
                Verdict::Disconnecting(DetachReason::Blocked)
            }
            PairRow::Connected(via) => match disconnects.store_sides(&store.id) {
                Some((sides, reason)) if sides.contains(&via.store_side) => Verdict::Disconnecting(reason),
                Some(_) | None => Verdict::Connected(via),
            },
            PairRow::NotConnected => match (Situation { index, pair_state, instance, places }).first_unmet() {
                Some((condition, reason)) if condition.refuses() => {
                    if condition == Condition::NotContested
                        && let Some(contest) = obstacles::contest(index, pair_state, instance)
                    {
                        made.notes.extend(contest.note());
                        made.findings.push(Finding { reason: contest.reason(), subject: contest.subject });
                    }
                    if condition.is_waited_for(&reason) { Verdict::Waiting(reason) } else { Verdict::Refused(reason) }
                }
                waits => {
                    if let Some(interface) =
                        instance.interface.as_ref().filter(|_| !pair_state.instance_has_group(instance))
                    {
                        *taken.entry(interface.id.clone()).or_default() += 1;
                    }
                    made.needs.entry(&store.id).or_default().push(candidate.clone());
                    waits.map_or(Verdict::Connecting, |(_, reason)| Verdict::Waiting(reason))
                }
            },
        };
        if !matches!(verdict, Verdict::Refused(_)) {
            made.findings.extend(obstacles::cross_zone(instance, store));
        }
        made.decisions.push(Decision { store: store.arn.clone(), instance: instance.id.clone(), verdict });
    }
    made.cut(index, pair_states, disconnects);
    made
}

impl<'index> Connections<'index> {
    /// Whether a store gets the store side of its pair.
    pub(crate) fn attaches(&self, pair_states: &PairStates<'_>, store: &StoreId) -> bool {
        pair_states.get(store).is_some_and(|pair_state| {
            self.needs.contains_key(store)
                && !pair_state.store_has_group()
                && obstacles::store_attachment_waits(pair_state).is_none()
        })
    }

    /// Adds those who keep an instance side of a store that loses its store side, or that led them to a copy of that
    /// store: they are disconnected all the same.
    fn cut(
        &mut self,
        index: &'index Index<'index>,
        pair_states: &PairStates<'index>,
        disconnects: &Disconnects<'index>,
    ) {
        for (_, store) in index.stores_here() {
            if let Some((pair_state, reason)) = pair_states.get(&store.id).zip(disconnects.reason_of_copies(store)) {
                for instance in copies::cut_off(index, disconnects, pair_state) {
                    if !self.places.contains_key(&(instance, &store.id)) && !disconnects.contains(instance, &store.id) {
                        let verdict = Verdict::Disconnecting(reason);
                        self.decisions.push(Decision { store: store.arn.clone(), instance: instance.clone(), verdict });
                    }
                }
            }
            let Some((_, reason)) = disconnects.store_sides(&store.id) else { continue };
            let sides = index.owned_groups(&store.id).filter(|owned| owned.role() == Side::Instance);
            let with: BTreeSet<&InstanceId> =
                sides.flat_map(|owned| index.with_group(owned.group.id())).map(|instance| &instance.id).collect();
            for instance in with.into_iter().filter(|instance| !disconnects.contains(instance, &store.id)) {
                if !self.places.contains_key(&(instance, &store.id)) {
                    let verdict = Verdict::Disconnecting(reason);
                    self.decisions.push(Decision { store: store.arn.clone(), instance: instance.clone(), verdict });
                }
            }
        }
    }
}
