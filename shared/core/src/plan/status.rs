//! The status tag: what became of a connect tag, written beside it for the person who set it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    Decision, Plan, Standings, Verdict, Via, refuse,
    view::{Candidate, View},
};
use crate::{
    finding::{Finding, Reason, Subject},
    id::{InstanceId, StoreArn},
    tag::{ConnectTag, Wishes},
};

/// What carries a status tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatusOf {
    /// An instance.
    Instance(InstanceId),
    /// A data store.
    Store(StoreArn),
}

/// A status tag to be written, or, with none, taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusChange {
    /// Where.
    pub of: StatusOf,
    /// The text.
    pub text: Option<String>,
    /// The instances and stores whose steps have to succeed for it to be true.
    pub awaits: BTreeSet<(InstanceId, StoreArn)>,
}

const CONNECTED: &str = "connected";
/// Longest value of a tag, in characters, for every service.
const LONGEST_VALUE: usize = 256;
/// Most things that are named behind one word.
const MOST_NAMED: usize = 8;

/// Plans the status tags of everything that the scope names: of the rest, only a part was seen.
pub(super) fn write(plan: &mut Plan, view: &View<'_>, standings: &Standings<'_>) {
    let seen = view.seen;
    let all_read = seen.stores.is_complete() && seen.instances.is_complete() && seen.groups.is_complete();
    if !view.policy.status_tags || !all_read {
        return;
    }
    let afterwards = afterwards(plan, view, standings);
    let mut of_instances = BTreeMap::<&InstanceId, Vec<&Decision>>::new();
    let mut of_stores = BTreeMap::<&StoreArn, Vec<&Decision>>::new();
    for decision in &plan.decisions {
        of_instances.entry(&decision.instance).or_default().push(decision);
        of_stores.entry(&decision.store).or_default().push(decision);
    }
    let mut changes = Vec::new();
    for instance in view.instances().filter(|instance| seen.scope.has_instance(&instance.id)) {
        let decisions = of_instances.remove(&instance.id).unwrap_or_default();
        let name = |decision: &Decision| decision.store.name().to_owned();
        if instance.interface.is_some() {
            let unmatched = unmatched(&plan.findings, &Subject::Instance(instance.id.clone()));
            let words = words(&decisions, unmatched, &afterwards, name);
            changes.extend(change(StatusOf::Instance(instance.id.clone()), &instance.wishes, &decisions, &words));
        }
    }
    for (_, store) in view.stores_here().filter(|(_, store)| seen.scope.has_store(&store.arn)) {
        let decisions = of_stores.remove(&store.arn).unwrap_or_default();
        let name = |decision: &Decision| decision.instance.to_string();
        if store.service.row().takes_status_tag {
            let unmatched = unmatched(&plan.findings, &Subject::Store(store.arn.clone()));
            let words = words(&decisions, unmatched, &afterwards, name);
            changes.extend(change(StatusOf::Store(store.arn.clone()), &store.wishes, &decisions, &words));
        }
    }
    plan.statuses = changes;
}

/// A stable code, and what it is said of. What is connected comes first.
type Words = BTreeMap<(bool, &'static str), BTreeSet<String>>;

fn change(of: StatusOf, wishes: &Wishes, decisions: &[&Decision], words: &Words) -> Option<StatusChange> {
    let stands = decisions.iter().any(|decision| matches!(decision.verdict, Verdict::HeldBack(_)));
    let text = match &wishes.connect {
        ConnectTag::Absent if !stands => None,
        ConnectTag::Invalid(problem) => Some(Reason::InvalidTag { problem: problem.clone() }.code().to_owned()),
        ConnectTag::Absent | ConnectTag::Names(_) => Some(text(words)),
    };
    if text == wishes.status {
        return None;
    }
    let changing =
        decisions.iter().filter(|decision| matches!(decision.verdict, Verdict::Connecting | Verdict::Disconnecting(_)));
    let awaits = changing.map(|decision| (decision.instance.clone(), decision.store.clone())).collect();
    Some(StatusChange { of, text, awaits })
}

/// What the findings say of names that nothing in the VPC shares.
fn unmatched(findings: &[Finding], subject: &Subject) -> Words {
    let mut words = Words::new();
    for reason in findings.iter().filter(|finding| finding.subject == *subject).map(|finding| &finding.reason) {
        let names: BTreeSet<String> = if let Reason::NoMatch { names } = reason {
            names.iter().map(ToString::to_string).collect()
        } else if let Reason::DifferentVpc { name, .. } = reason {
            [name.to_string()].into()
        } else {
            continue;
        };
        words.entry((true, reason.code())).or_default().extend(names);
    }
    words
}

/// What is to be said of those who are being disconnected and whose names are still shared.
type Afterwards = BTreeMap<(InstanceId, StoreArn), &'static str>;

fn afterwards(plan: &Plan, view: &View<'_>, standings: &Standings<'_>) -> Afterwards {
    let leaving = plan.decisions.iter().filter(|decision| matches!(decision.verdict, Verdict::Disconnecting(_)));
    let leaving: BTreeSet<_> = leaving.map(|decision| (&decision.instance, &decision.store)).collect();
    let candidates = view.candidates().into_iter();
    let left = candidates.filter(|candidate| leaving.contains(&(&candidate.instance.id, &candidate.store.arn)));
    let said = left.filter_map(|candidate| {
        let standing = standings.get(&candidate.store.id)?;
        let connections = view.connections(standing, candidate.instance);
        let code = if connections.iter().any(|via| outlives(plan, &candidate, via)) {
            CONNECTED
        } else {
            refuse::refusal(view, standing, &candidate)?.code()
        };
        Some(((candidate.instance.id.clone(), candidate.store.arn.clone()), code))
    });
    said.collect()
}

/// Whether the plan leaves both groups of a connection where they are: they are somebody else's.
fn outlives(plan: &Plan, candidate: &Candidate<'_>, via: &Via) -> bool {
    let of_store = plan.stores.get(&candidate.store.id).into_iter().flat_map(|change| change.detach.keys());
    let interface = candidate.instance.interface.as_ref().and_then(|interface| plan.interfaces.get(&interface.id));
    let mut detached = of_store.chain(interface.into_iter().flat_map(|change| change.detach.keys()));
    !detached.any(|group| *group.id() == via.store_side || *group.id() == via.instance_side)
}

fn words(decisions: &[&Decision], mut words: Words, later: &Afterwards, name: impl Fn(&Decision) -> String) -> Words {
    for decision in decisions {
        let word = match &decision.verdict {
            Verdict::Connected(_) | Verdict::Connecting => CONNECTED,
            Verdict::Waiting(reason) | Verdict::Refused(reason) => reason.code(),
            Verdict::HeldBack(_) => "disconnects-held-back",
            Verdict::Disconnecting(_) => {
                let word = later.get(&(decision.instance.clone(), decision.store.clone()));
                let Some(word) = word else { continue };
                word
            }
        };
        words.entry((word != CONNECTED, word)).or_default().insert(name(decision));
    }
    words
}

/// `connected: orders-db / not-available: billing-db`, in characters that every service takes.
fn text(words: &Words) -> String {
    let part = |((_, word), names): (&(bool, &'static str), &BTreeSet<String>)| {
        let more = names.len().saturating_sub(MOST_NAMED);
        let named: Vec<&str> = names.iter().take(MOST_NAMED).map(String::as_str).collect();
        let more = if more == 0 { String::new() } else { format!(" +{more}") };
        if named.is_empty() { (*word).to_owned() } else { format!("{word}: {}{more}", named.join(" ")) }
    };
    let text = words.iter().map(part).collect::<Vec<_>>().join(" / ");
    text.chars().take(LONGEST_VALUE).collect::<String>().trim_end().to_owned()
}
