//! Whether the groups of a data store may be deleted: the conditions of a deletion, each with what it rests on.

use std::collections::BTreeSet;

use super::{
    Explainer, FailedCondition, StepAnswer, Steps,
    facts::{few, words},
    remedy::Advisor,
};
use crate::{
    finding::{Reason, Subject},
    group::{GroupKind, Owned, OwnedGroup},
    id::{InterfaceId, SecurityGroupId, StoreId},
    model::{DataStore, Instance},
    observation::{Gap, Scope},
    plan::{
        DeleteCondition,
        delete::{self, DeleteCandidate, Works},
        obstacles,
    },
    tag::ALLOW_CIDR_KEY,
};

/// The groups of one store that end together, as the planner asks about them.
pub(super) struct Asked<'explained> {
    pub(super) candidate: DeleteCandidate<'explained>,
    pub(super) store: Option<&'explained DataStore>,
    pub(super) ids: BTreeSet<&'explained SecurityGroupId>,
}

impl Explainer<'_> {
    /// Walks the conditions of a deletion, each by the planner's own question.
    pub(super) fn ending(&self, steps: &mut Steps, owned: &Owned, facts: &mut Vec<String>) {
        let (index, settled) = (self.index, &self.settled);
        let kind = owned.role().kind();
        let candidate = DeleteCandidate::of(index, &settled.disconnects, &settled.plan.stores, kind, &owned.store);
        let ids = candidate.groups.iter().map(|owned| owned.group.id()).collect();
        let asked = Asked { candidate, store: index.store(&owned.store), ids };
        let others: Vec<String> =
            asked.ids.iter().filter(|id| **id != owned.group.id()).map(|id| self.named(id)).collect();
        facts.extend((!others.is_empty()).then(|| format!("other groups of the same data store: {}", words(others))));
        for ending in DeleteCondition::ALL {
            let (answer, facts) = self.end(ending, &asked);
            steps.step((ending.code(), ending.question()), answer, facts);
        }
    }

    fn end(&self, ending: DeleteCondition, asked: &Asked<'_>) -> (StepAnswer, Vec<String>) {
        let index = self.index;
        let about = Advisor { explainer: self, instance: None, store: asked.store };
        let subject = match asked.store {
            Some(store) => Subject::Store(store.arn.clone()),
            None => Subject::Vpc(index.seen.vpc.clone()),
        };
        let unread = |gap: &Gap| about.because(Reason::unread(gap), &subject);
        let (none, candidate) = (Vec::new(), &asked.candidate);
        let holds = ending.holds(candidate);
        match ending {
            DeleteCondition::Owned => {
                let unmarked = candidate.groups.iter().find(|owned| owned.is_unmarked());
                let failure = unmarked
                    .map(|owned| about.because(obstacles::conflict(owned), &Subject::Group(owned.group.id().clone())));
                let proof = "its name and description are tagwire's, and the state table knows it".to_owned();
                (StepAnswer::of(failure), vec![proof])
            }
            DeleteCondition::AllRead => (StepAnswer::of(index.seen.groups.gaps.iter().min().map(unread)), none),
            DeleteCondition::InScope => {
                let outside = || {
                    let failure = FailedCondition::new("outside-scope", "the observation was made for something else");
                    (failure, vec!["look at the whole VPC".to_owned()])
                };
                (StepAnswer::of((!holds).then(outside)), vec![format!("observed: {}", index.seen.scope)])
            }
            DeleteCondition::TagsCertain => {
                let answer = match asked.store {
                    None => StepAnswer::NotNeeded,
                    Some(store) => {
                        StepAnswer::of((!holds).then(|| about.because(obstacles::not_available(store), &subject)))
                    }
                };
                (answer, none)
            }
            DeleteCondition::NotAskedFor => self.asked_for(asked, about),
            DeleteCondition::NotAttached => self.attached_to(asked, unread),
            DeleteCondition::LongUnused => self.unused(asked, unread),
            DeleteCondition::OnlyOne => {
                let groups = asked.ids.iter().map(|id| (*id).clone()).collect();
                let several = (!holds).then_some(match candidate.kind {
                    GroupKind::Pair => Reason::AmbiguousPair { groups },
                    GroupKind::Cidr => Reason::AmbiguousCidrGroup { groups },
                });
                let facts = vec![format!("owned groups of the data store: {}", words(&asked.ids))];
                (StepAnswer::of(several.map(|reason| about.because(reason, &subject))), facts)
            }
            DeleteCondition::NotInTemplate => self.in_template(asked, unread),
            DeleteCondition::NotInRule => {
                let plan = &self.settled.plan;
                let going: BTreeSet<_> =
                    plan.deletions.values().flat_map(|end| &end.delete).map(OwnedGroup::id).collect();
                let works = Works { pairs: &plan.pairs, cidrs: &plan.cidrs };
                let namers = delete::namers(index, works, |id| asked.ids.contains(id) || going.contains(id));
                let namers: Vec<_> = namers.into_iter().filter(|(_, named)| asked.ids.contains(named)).collect();
                let facts =
                    namers.iter().map(|(namer, named)| format!("a rule of {} names {named}", self.named(namer)));
                let failure = namers
                    .first()
                    .map(|(namer, _)| about.because(Reason::GroupInRule { group: (*namer).clone() }, &subject));
                (StepAnswer::of(failure), facts.collect())
            }
        }
    }

    /// Whether something asks for the groups, or keeps them although nothing does.
    fn asked_for(&self, asked: &Asked<'_>, about: Advisor<'_>) -> (StepAnswer, Vec<String>) {
        let mut facts = Vec::new();
        if let Some(because) = asked.candidate.ended {
            return (StepAnswer::Holds, vec![because.to_string()]);
        }
        let Some(store) = asked.store else {
            let holds =
                if asked.candidate.unasked { StepAnswer::Holds } else { about.unknown_store(asked.candidate.store) };
            return (holds, vec!["its data store was not found, and nothing is known to ask for it".to_owned()]);
        };
        let sharing = self.index.sharing(store);
        let names = || few(sharing.iter().map(|instance| &instance.id));
        if !sharing.is_empty() {
            facts.push(format!("share a name with the data store: {}", names()));
        }
        if asked.candidate.unasked {
            return (StepAnswer::Holds, facts);
        }
        let held = store.settings.held.then(|| about.because(Reason::Held, &Subject::Store(store.arn.clone())));
        let key = self.connect_key;
        let take_off = match asked.candidate.kind {
            GroupKind::Pair => format!("take {key} off the data store, or the shared names off the instances"),
            GroupKind::Cidr => format!("take {ALLOW_CIDR_KEY} off the data store"),
        };
        let (code, message) = match asked.candidate.kind {
            GroupKind::Pair => ("asked-for", format!("its data store shares a name with {}", names())),
            GroupKind::Cidr if !store.is_in(&self.index.seen.vpc) => {
                ("store-moved", "its data store is in another VPC now".to_owned())
            }
            GroupKind::Cidr => {
                ("asked-for", "the data store's tags ask for such clients, or cannot be read".to_owned())
            }
        };
        let failure = held.unwrap_or_else(|| (FailedCondition::new(code, message), vec![take_off]));
        (StepAnswer::of(Some(failure)), facts)
    }

    fn attached_to(&self, asked: &Asked<'_>, unread: impl Fn(&Gap) -> Advised) -> (StepAnswer, Vec<String>) {
        let facts: Vec<String> = asked.ids.iter().flat_map(|id| self.attached_interfaces(id, Some(asked))).collect();
        if asked.candidate.off {
            return (StepAnswer::Holds, facts);
        }
        let seen = self.index.seen;
        let known = asked.ids.iter().all(|id| seen.other_attached(id).is_some());
        let gap = seen.attachments.by.gaps.iter().chain(&seen.instances.gaps).min();
        let failure = match gap.filter(|_| !known) {
            Some(gap) => unread(gap),
            None if !known => {
                let failure =
                    FailedCondition::new("interfaces-not-read", "it was not read what the group is attached to");
                (failure, vec!["look at the whole VPC".to_owned()])
            }
            None => {
                let attached_interfaces = self.staying_interfaces(asked);
                let who =
                    if attached_interfaces.is_empty() { "something".to_owned() } else { few(attached_interfaces) };
                let take_off = vec![format!("it goes when none of these has one of its groups: {who}")];
                (FailedCondition::new("attached", format!("attached by, or to be attached to, {who}")), take_off)
            }
        };
        (StepAnswer::of(Some(failure)), facts)
    }

    /// The users of the groups after the plan, those that get one by it included.
    fn staying_interfaces(&self, asked: &Asked<'_>) -> BTreeSet<String> {
        let (index, plan) = (self.index, &self.settled.plan);
        let mut found = BTreeSet::new();
        for id in &asked.ids {
            let leaves = |instance: &Instance| {
                let change = instance.interface.as_ref().and_then(|interface| plan.interfaces.get(&interface.id));
                change.is_some_and(|change| change.detaches(id))
            };
            let instances = index.with_group(id).filter(|instance| !leaves(instance));
            found.extend(instances.map(|instance| instance.id.to_string()));
            let loses = |store: &DataStore| plan.stores.get(&store.id).is_some_and(|change| change.detaches(id));
            let stores = index.stores_with(id).iter().filter(|store| store.has_group(id) && !loses(store));
            found.extend(stores.map(|store| store.arn.short()));
            let others = index.seen.other_attached(id).into_iter().flatten();
            let stays = |of: &InterfaceId| {
                let change = plan.interfaces.get(of);
                !change.is_some_and(|change| change.detaches(id))
            };
            let others = others.filter(|attached| stays(&attached.interface));
            found.extend(others.map(|attached| attached.interface.to_string()));
        }
        let gains = plan.stores.get(asked.candidate.store).filter(|change| change.attached().next().is_some());
        found.extend(gains.map(|change| change.store.short()));
        found
    }

    fn unused(&self, asked: &Asked<'_>, unread: impl Fn(&Gap) -> Advised) -> (StepAnswer, Vec<String>) {
        let (index, seen) = (self.index, self.index.seen);
        // The tag itself, or a person, says that it is at an end.
        if asked.candidate.has_ended() {
            return (StepAnswer::NotNeeded, Vec::new());
        }
        let unused = asked.candidate.off && asked.candidate.unasked;
        let period = index.policy.sweep_period.as_secs();
        let mut facts = vec![format!("it has to be seen unused twice, {period} seconds apart")];
        if let Ok(state) = seen.state.as_ref() {
            facts.extend(
                asked
                    .ids
                    .iter()
                    .filter_map(|id| state.unused.get(*id).map(|since| format!("{id} is seen unused since {since}"))),
            );
        }
        if DeleteCondition::LongUnused.holds(&asked.candidate) {
            return (StepAnswer::Holds, facts);
        }
        let gaps = seen.instances.gaps.iter().chain(&seen.attachments.by.gaps).min();
        let of_store = || {
            let arn = asked.candidate.groups.iter().find_map(|owned| owned.arn.as_ref());
            seen.gap_in_store(arn).filter(|_| asked.store.is_none())
        };
        let gap = match &seen.state {
            Ok(_) => gaps.or_else(of_store),
            Err(gap) => Some(gap),
        };
        let failure = match gap {
            Some(gap) => unread(gap),
            None if !unused => (FailedCondition::new("in-use", "it is not unused"), Vec::new()),
            None if seen.scope != Scope::Vpc => {
                let failure = FailedCondition::new("outside-scope", "only an observation of the whole VPC shows it");
                (failure, vec!["look at the whole VPC".to_owned()])
            }
            None => {
                let failure = FailedCondition::new(
                    "not-unused-for-long",
                    format!("it is not known to be unused for {period} seconds"),
                );
                (failure, vec!["nothing: wait for the next sweeps".to_owned()])
            }
        };
        (StepAnswer::of(Some(failure)), facts)
    }

    fn in_template(&self, asked: &Asked<'_>, unread: impl Fn(&Gap) -> Advised) -> (StepAnswer, Vec<String>) {
        if DeleteCondition::NotInTemplate.holds(&asked.candidate) {
            return (StepAnswer::Holds, Vec::new());
        }
        let findings = delete::in_templates(self.index, &asked.candidate.groups);
        let about = Advisor { explainer: self, instance: None, store: asked.store };
        let gap = self.index.seen.launch_templates.as_ref().and_then(|reading| reading.gaps.iter().min());
        let failure = match (findings.first(), gap) {
            (Some(finding), _) => about.because(finding.reason.clone(), &finding.subject),
            (None, Some(gap)) => unread(gap),
            (None, None) => {
                let failure = FailedCondition::new("templates-not-read", "the launch templates were not asked for");
                (failure, vec!["look at the whole VPC".to_owned()])
            }
        };
        let facts = findings.iter().map(|finding| format!("a launch template names {}", finding.subject));
        (StepAnswer::of(Some(failure)), facts.collect())
    }
}

/// A failure and its remedy.
pub(super) type Advised = (FailedCondition, Vec<String>);

impl Advisor<'_> {
    pub(super) fn because(&self, reason: Reason, subject: &Subject) -> Advised {
        let remedy = self.remedy(&reason, subject);
        (reason.into(), remedy)
    }

    fn unknown_store(&self, store: &StoreId) -> StepAnswer {
        let subject = Subject::Vpc(self.explainer.index.seen.vpc.clone());
        StepAnswer::of(Some(self.because(Reason::StoreUnknown { store: store.clone() }, &subject)))
    }
}
