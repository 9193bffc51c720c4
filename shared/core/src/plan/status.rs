//! The status tag: what became of a connect tag, written beside it for the person who set it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Decision, Plan, Verdict, index::Index};
use crate::{
    finding::{Reason, Subject},
    id::{InstanceId, StoreArn},
    model::{DataStore, Instance},
    tag::{ConnectTag, TagSettings},
};

/// A resource that carries a status tag.
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
// Fact 3.5
const LONGEST_VALUE: usize = 256;
/// Most things that are named behind one word.
const MOST_NAMED: usize = 8;

/// The status tags of everything that the scope names: of the rest, only a part was seen. What they say
/// is what is decided once the plan has been carried out.
pub(crate) fn changes(plan: &Plan, then: &Plan, index: &Index<'_>) -> Vec<StatusChange> {
    let seen = index.seen;
    let mut awaited_by_instances = BTreeMap::<_, BTreeSet<_>>::new();
    let mut awaited_by_stores = BTreeMap::<_, BTreeSet<_>>::new();
    for decision in &plan.decisions {
        if matches!(decision.verdict, Verdict::Connecting | Verdict::Disconnecting(_)) {
            let both = (decision.instance.clone(), decision.store.clone());
            awaited_by_instances.entry(&decision.instance).or_default().insert(both.clone());
            awaited_by_stores.entry(&decision.store).or_default().insert(both);
        }
    }
    let mut of_instances = BTreeMap::<_, Vec<_>>::new();
    let mut of_stores = BTreeMap::<_, Vec<_>>::new();
    for decision in &then.decisions {
        of_instances.entry(&decision.instance).or_default().push(decision);
        of_stores.entry(&decision.store).or_default().push(decision);
    }
    let mut reasons = BTreeMap::<_, Vec<_>>::new();
    for finding in &then.findings {
        reasons.entry(&finding.subject).or_default().push(&finding.reason);
    }
    let unmatched = |subject: &Subject| unmatched(reasons.get(subject).into_iter().flatten().copied());
    let instances = index.instances().filter(|instance| instance.interface.is_some());
    let known = |instance: &&Instance| {
        seen.instances.gap_in(&Subject::Instance(instance.id.clone())).is_none()
            && instance.settings.connect.names().all(|name| seen.knows_name(name))
    };
    let instances = instances.filter(|instance| seen.scope.has_instance(&instance.id)).filter(known);
    let instances = instances.filter_map(|instance| {
        let decisions = of_instances.remove(&instance.id).unwrap_or_default();
        let unmatched = unmatched(&Subject::Instance(instance.id.clone()));
        let words = words(&decisions, unmatched, |decision| decision.store.name().to_owned());
        let awaits = awaited_by_instances.remove(&instance.id).unwrap_or_default();
        let wanted = wanted(index, &instance.settings, &decisions, &words);
        change(StatusOf::Instance(instance.id.clone()), &instance.settings, wanted, awaits)
    });
    let stores = index.stores_here().map(|(_, store)| store).filter(|store| store.service.row().takes_status_tag);
    // Who shares a name with a store is known when every instance was read.
    let known = |store: &&DataStore| seen.instances.is_complete() && seen.gap_in_store(Some(&store.arn)).is_none();
    let stores = stores.filter(|store| seen.scope.has_store(&store.arn)).filter(known);
    let stores = stores.filter_map(|store| {
        let decisions = of_stores.remove(&store.arn).unwrap_or_default();
        let unmatched = unmatched(&Subject::Store(store.arn.clone()));
        let words = words(&decisions, unmatched, |decision| decision.instance.to_string());
        let awaits = awaited_by_stores.remove(&store.arn).unwrap_or_default();
        let wanted = wanted(index, &store.settings, &decisions, &words);
        change(StatusOf::Store(store.arn.clone()), &store.settings, wanted, awaits)
    });
    instances.chain(stores).collect()
}

/// A stable code, and what it is reasons of. What is connected comes first.
type Words = BTreeMap<(bool, &'static str), BTreeSet<String>>;

/// The value that the tag is to have; `None` when there is to be no tag.
fn wanted(index: &Index<'_>, settings: &TagSettings, decisions: &[&Decision], words: &Words) -> Option<String> {
    if index.seen.is_uninstalling() {
        return None;
    }
    let stands = decisions.iter().any(|decision| matches!(decision.verdict, Verdict::HeldBack(_)));
    match &settings.connect {
        ConnectTag::Absent if !stands => None,
        ConnectTag::Invalid(problem) => Some(Reason::InvalidTag { problem: problem.clone() }.code().to_owned()),
        ConnectTag::Absent | ConnectTag::Names(_) => Some(text(words)),
    }
}

fn change(
    of: StatusOf,
    settings: &TagSettings,
    text: Option<String>,
    awaits: BTreeSet<(InstanceId, StoreArn)>,
) -> Option<StatusChange> {
    (text != settings.status).then_some(StatusChange { of, text, awaits })
}

/// The words for names that nothing in the VPC shares, from the findings.
fn unmatched<'reasons>(reasons: impl Iterator<Item = &'reasons Reason>) -> Words {
    let mut words = Words::new();
    for reason in reasons {
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

fn words(decisions: &[&Decision], mut words: Words, name: impl Fn(&Decision) -> String) -> Words {
    for decision in decisions {
        let word = match &decision.verdict {
            Verdict::Connected(_) | Verdict::Connecting => CONNECTED,
            Verdict::Waiting(reason) | Verdict::Refused(reason) => reason.code(),
            Verdict::HeldBack(_) => "disconnects-held-back",
            Verdict::Disconnecting(_) => continue,
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
