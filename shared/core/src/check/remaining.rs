//! A plan without the parts that the checker objects to, and without all that depends on them.

use std::{collections::BTreeSet, mem};

use super::{
    Evidence, Objection, Part, objections,
    removals::{counted_cidr, counted_removals},
};
use crate::{
    finding::{Finding, Reason, Subject},
    group::GroupKind,
    id::StoreId,
    plan::{Decision, Plan, StatusOf, StoreChange, Verdict},
    state::Target,
};

/// More rounds than a chain of parts that depend on each other is ever long.
const MOST_ROUNDS: usize = 1000;

/// The part of a plan that holds every invariant. Its findings name whatever is left out.
pub(super) fn remaining(whole: &Plan, evidence: &Evidence<'_>, first: &BTreeSet<Objection>) -> Plan {
    let mut plan = whole.clone();
    let mut found = first.clone();
    for _ in 0..MOST_ROUNDS {
        if found.is_empty() {
            break;
        }
        for objection in &found {
            leave_out(&mut plan, &objection.part);
        }
        plan.findings.extend(found.iter().map(|objection| finding(whole, evidence, objection)));
        recount(&mut plan, evidence);
        found = objections(&plan, evidence);
    }
    if !found.is_empty() {
        plan = Plan { findings: plan.findings, decisions: plan.decisions, ..Plan::default() };
    }
    adjust_verdicts(whole, &mut plan);
    adjust_statuses(whole, &mut plan);
    plan.findings.sort();
    plan.findings.dedup();
    plan
}

fn leave_out(plan: &mut Plan, part: &Part) {
    match part {
        // Nothing is attached to a pair that was to be made, finished or repaired first.
        Part::Pair(store) => {
            if let Some(work) = plan.pairs.remove(store) {
                for change in plan.interfaces.values_mut() {
                    change.attach.retain(|_, attachment| attachment.store != work.store);
                }
                change_store(plan, store, |change| drop(change.attach.remove(&GroupKind::Pair)));
            }
        }
        Part::Cidr(store) => {
            if plan.cidrs.remove(store).is_some() {
                change_store(plan, store, |change| drop(change.attach.remove(&GroupKind::Cidr)));
            }
        }
        Part::List(Target::Interface(interface)) => drop(plan.interfaces.remove(interface)),
        Part::List(Target::Store(store)) => drop(plan.stores.remove(store)),
        Part::Attachment(Target::Interface(interface), group) => {
            if let Some(change) = plan.interfaces.get_mut(interface) {
                change.attach.remove(group);
            }
        }
        Part::Attachment(Target::Store(store), group) => change_store(plan, store, |change| {
            change.attach.retain(|_, attached| attached != group);
        }),
        Part::Detachment(Target::Interface(interface), group) => {
            // Several groups of one store are one connection, which goes as a whole or stays.
            if let Some(change) = plan.interfaces.get_mut(interface)
                && let Some(store) = change.detach.iter().find(|(gone, _)| gone.id() == group).map(|(_, of)| &of.store)
            {
                let store = store.clone();
                change.detach.retain(|_, detachment| detachment.store != store);
            }
        }
        Part::Detachment(Target::Store(store), group) => change_store(plan, store, |change| {
            // The groups for CIDR clients go as one.
            let of_cidr = change.detached_of(GroupKind::Cidr).any(|(gone, _)| gone.id() == group);
            change.detach.retain(|(kind, gone), _| match kind {
                GroupKind::Pair => gone.id() != group,
                GroupKind::Cidr => !of_cidr,
            });
        }),
        Part::NeededBy(store, instance) => change_store(plan, store, |change| {
            change.needed_by.remove(instance);
        }),
        Part::Deletion(kind, store) => drop(plan.deletions.remove(&(*kind, store.clone()))),
        Part::CountedRemovals => leave_out_counted(plan),
        Part::Omission(_) => {}
        Part::Verdict(instance, store) => {
            plan.decisions.retain(|decision| decision.instance != *instance || decision.store != *store);
            let verdict = Verdict::Refused(needed_part());
            plan.decisions.push(Decision { store: store.clone(), instance: instance.clone(), verdict });
        }
    }
    plan.interfaces.retain(|_, change| !change.attach.is_empty() || !change.detach.is_empty());
    plan.stores.retain(|_, change| change.attached().next().is_some() || change.detached().next().is_some());
}

fn leave_out_counted(plan: &mut Plan) {
    for change in plan.interfaces.values_mut() {
        change.detach.retain(|_, detachment| !detachment.reason.is_counted());
    }
    for store in plan.stores.keys().cloned().collect::<Vec<_>>() {
        change_store(plan, &store, |change| {
            change.detach.retain(|_, reason| !reason.is_counted());
        });
    }
}

/// Leaves something out of the change of a store's list, which keeps its count right.
fn change_store(plan: &mut Plan, store: &StoreId, leave_out: impl FnOnce(&mut StoreChange)) {
    let Some(change) = plan.stores.get_mut(store) else { return };
    let of_pairs = change.cuts.saturating_sub(counted_cidr(change));
    leave_out(change);
    if change.needed_by.is_empty() {
        change.attach.remove(&GroupKind::Pair);
    }
    if !change.attach.contains_key(&GroupKind::Pair) {
        change.needed_by.clear();
    }
    let cuts_pairs = change.detached_of(GroupKind::Pair).next().is_some();
    change.cuts = counted_cidr(change) + if cuts_pairs { of_pairs } else { 0 };
}

/// Counts the removals that are left.
fn recount(plan: &mut Plan, evidence: &Evidence<'_>) {
    let removed = counted_removals(plan);
    plan.window = match &evidence.seen.state {
        Ok(state) if !removed.is_empty() && plan.window.is_some() => {
            Some(state.window.with(&removed, evidence.seen.at, evidence.policy))
        }
        _ => None,
    };
}

fn finding(whole: &Plan, evidence: &Evidence<'_>, objection: &Objection) -> Finding {
    let of_store = |id: &StoreId| {
        let seen = || evidence.stores.get(id).map(|store| store.arn.clone());
        let changed = || whole.stores.get(id).map(|change| change.store.clone());
        let of_pair = || whole.pairs.get(id).map(|work| work.store.clone());
        let of_cidr = || whole.cidrs.get(id).map(|work| work.store.clone());
        seen().or_else(changed).or_else(of_pair).or_else(of_cidr).map(Subject::Store)
    };
    let subject = match &objection.part {
        Part::List(Target::Interface(id))
        | Part::Omission(Target::Interface(id))
        | Part::Attachment(Target::Interface(id), _)
        | Part::Detachment(Target::Interface(id), _) => {
            whole.interfaces.get(id).and_then(|change| change.instance.clone()).map(Subject::Instance)
        }
        Part::NeededBy(_, instance) | Part::Verdict(instance, _) => Some(Subject::Instance(instance.clone())),
        Part::List(Target::Store(id))
        | Part::Omission(Target::Store(id))
        | Part::Attachment(Target::Store(id), _)
        | Part::Detachment(Target::Store(id), _)
        | Part::Pair(id)
        | Part::Cidr(id) => of_store(id),
        Part::Deletion(kind, id) => {
            let deletion = whole.deletions.get(&(*kind, id.clone()));
            deletion.and_then(|deletion| deletion.delete.first()).map(|group| Subject::Group(group.id().clone()))
        }
        Part::CountedRemovals => None,
    };
    let subject = subject.unwrap_or_else(|| Subject::Vpc(evidence.seen.vpc.clone()));
    Finding { subject, reason: Reason::PlanRejected { problem: objection.violation.to_string() } }
}

fn needed_part() -> Reason {
    Reason::PlanRejected { problem: "a change that the connection needs breaks an invariant".to_owned() }
}

/// Keeps the verdicts true: nothing is connected or disconnected by a change that is left out.
fn adjust_verdicts(whole: &Plan, plan: &mut Plan) {
    let mut decisions = mem::take(&mut plan.decisions);
    for decision in &mut decisions {
        let lost = |has: fn(&Plan, &Decision) -> bool| has(whole, decision) && !has(plan, decision);
        let verdict = match &decision.verdict {
            Verdict::Connecting | Verdict::Waiting(_) if lost(attaches_instance_side) || lost(works_at_pair) => {
                Verdict::Refused(needed_part())
            }
            Verdict::Connecting | Verdict::Waiting(_) if lost(attaches_store_side) => Verdict::Waiting(needed_part()),
            Verdict::Disconnecting(reason) if lost(detaches) => Verdict::HeldBack(*reason),
            Verdict::Connected(_)
            | Verdict::Connecting
            | Verdict::Waiting(_)
            | Verdict::Refused(_)
            | Verdict::Disconnecting(_)
            | Verdict::HeldBack(_) => continue,
        };
        decision.verdict = verdict;
    }
    plan.decisions = decisions;
}

fn attaches_instance_side(plan: &Plan, decision: &Decision) -> bool {
    let mut changes = plan.interfaces.values().filter(|change| change.instance.as_ref() == Some(&decision.instance));
    changes.any(|change| change.attach.values().any(|attachment| attachment.store == decision.store))
}

fn attaches_store_side(plan: &Plan, decision: &Decision) -> bool {
    plan.stores.values().any(|change| change.store == decision.store && change.attach.contains_key(&GroupKind::Pair))
}

fn works_at_pair(plan: &Plan, decision: &Decision) -> bool {
    plan.pairs.values().any(|work| work.store == decision.store)
}

fn detaches(plan: &Plan, decision: &Decision) -> bool {
    let mut changes = plan.interfaces.values().filter(|change| change.instance.as_ref() == Some(&decision.instance));
    changes.any(|change| change.detach.values().any(|detachment| detachment.arn.as_ref() == Some(&decision.store)))
        || plan.stores.values().any(|change| change.store == decision.store && !change.detach.is_empty())
}

/// Leaves out the status tags that would not be true.
fn adjust_statuses(whole: &Plan, plan: &mut Plan) {
    let rejected = plan.findings.iter().filter(|finding| matches!(finding.reason, Reason::PlanRejected { .. }));
    let mut concerned: BTreeSet<Subject> = rejected.map(|finding| finding.subject.clone()).collect();
    for decision in plan.decisions.iter().filter(|decision| !whole.decisions.contains(decision)) {
        concerned.insert(Subject::Instance(decision.instance.clone()));
        concerned.insert(Subject::Store(decision.store.clone()));
    }
    plan.statuses.retain(|status| {
        !concerned.contains(&match &status.of {
            StatusOf::Instance(instance) => Subject::Instance(instance.clone()),
            StatusOf::Store(store) => Subject::Store(store.clone()),
        })
    });
}
