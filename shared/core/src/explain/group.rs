//! One security group: its role, and whether it may be deleted.

use std::collections::BTreeSet;

use super::{
    Explainer, FailedCondition, GroupExplanation, StepAnswer, Steps,
    facts::{compared, few, words},
    remedy::Advisor,
};
use crate::{
    cidr::CidrTag,
    finding::{Finding, Reason, Subject},
    group::{GroupKind, Owned, OwnedGroup, Ownership, Role, SecurityGroup},
    id::{InterfaceId, SecurityGroupId, StoreId},
    model::{DataStore, Instance, Membership},
    observation::{Gap, InterfaceOwner, Scope},
    plan::{
        DeleteCondition, Deletion, Plan, Verdict,
        conditions::Candidate,
        delete::{self, DeleteCandidate, Works},
        disconnect::{self, StoreExistence, store_existence},
        obstacles,
    },
    rule::{Direction, Rule, Traffic},
    service::Side,
    tag::ALLOW_CIDR_KEY,
    untrusted::Shown,
};

/// The groups of one store that end together, as the planner asks about them.
struct Asked<'explained> {
    candidate: DeleteCandidate<'explained>,
    store: Option<&'explained DataStore>,
    ids: BTreeSet<&'explained SecurityGroupId>,
}

impl Explainer<'_> {
    pub(super) fn group(&self, id: &SecurityGroupId) -> GroupExplanation {
        let subject = Subject::Group(id.clone());
        let group = self.index.group(id);
        let ownership = self.index.ownership().find(|(of, _)| *of == id).map(|(_, ownership)| ownership);
        let mut steps = Steps::default();
        let mut facts = group.map(|group| self.group_facts(group)).unwrap_or_default();
        match ownership {
            Some(Ownership::Owned(owned)) => self.ending(&mut steps, owned, &mut facts),
            Some(Ownership::Foreign | Ownership::Forged(_) | Ownership::Unproven(_)) | None => {
                self.not_ours(&mut steps, id, group, ownership);
            }
        }
        let plan = &self.settled.plan;
        let deleted = |deletion: &&Deletion| deletion.delete.iter().any(|owned| owned.id() == id);
        let because = plan.deletions.values().find(deleted).map(|deletion| deletion.reason);
        let findings: Vec<Finding> = self.findings(&subject).cloned().collect();
        let about = Advisor { explainer: self, instance: None, store: None };
        for finding in &findings {
            steps.advise(about.remedy(&finding.reason, &finding.subject));
        }
        let message = match (because, steps.first()) {
            (Some(because), _) => format!("it goes now: {because}"),
            (None, Some(failure)) => format!("it stays: {failure}"),
            (None, None) => "it stays".to_owned(),
        };
        GroupExplanation {
            group: id.clone(),
            facts,
            steps: steps.taken,
            may_go: because.is_some(),
            because,
            message: format!("{}: {message}", self.named(id)),
            changes: changes(plan, id),
            findings,
            remedy: steps.remedy,
        }
    }

    /// The steps for a group that is not tagwire's end at once.
    fn not_ours(
        &self,
        steps: &mut Steps,
        id: &SecurityGroupId,
        group: Option<&SecurityGroup>,
        ownership: Option<&Ownership>,
    ) {
        let about = Advisor { explainer: self, instance: None, store: None };
        let subject = Subject::Group(id.clone());
        let failure = match (ownership, group) {
            (Some(Ownership::Forged(forgery)), _) => {
                about.because(Reason::OwnershipForged { forgery: *forgery }, &subject)
            }
            (Some(Ownership::Unproven(_)), _) if let Err(gap) = &self.index.seen.identities => {
                about.because(Reason::unread(gap), &subject)
            }
            (Some(Ownership::Unproven(unproven)), _) => about.because(obstacles::unproven_because(unproven), &subject),
            (_, Some(_)) => (
                FailedCondition::new("not-owned", "it carries none of tagwire's tags, and tagwire leaves it alone"),
                Vec::new(),
            ),
            (_, None) => match self.index.seen.groups.gaps.iter().min() {
                Some(gap) => about.because(Reason::unread(gap), &subject),
                None => (
                    FailedCondition::new(
                        "group-not-read",
                        format!(
                            "no such group was read in {}: its name is none that pairs have, or it is gone",
                            self.index.seen.vpc
                        ),
                    ),
                    Vec::new(),
                ),
            },
        };
        let mut owned = Some(failure);
        for ending in DeleteCondition::ALL {
            let answer = owned.take().map_or(StepAnswer::Unknown, |failure| StepAnswer::of(Some(failure)));
            let facts =
                if ending == DeleteCondition::NotAttached { self.attached_interfaces(id, None) } else { Vec::new() };
            steps.step((ending.code(), ending.question()), answer, facts);
        }
    }

    /// The role of a group, and its rules beside those that it should have.
    fn group_facts(&self, group: &SecurityGroup) -> Vec<String> {
        let mut facts = vec![format!("{} in {}, described as {:?}", Shown(&group.name), group.vpc, group.description)];
        let ours = group.ownership().ours();
        let Some(owned) = ours else {
            facts.extend(group.rules.iter().map(|rule| format!("rule {rule}")));
            return facts;
        };
        facts.push(match owned.role() {
            Role::Side(Side::Store) => format!("the store side of a pair of {}", owned.store),
            Role::Side(Side::Instance) => format!("the instance side of a pair of {}", owned.store),
            Role::Cidr => format!("lets in the clients of {} that are not EC2 instances", owned.store),
        });
        facts.extend(self.store_of_group(&owned));
        let Some(store) = self.index.store(&owned.store) else {
            facts.extend(group.rules.iter().map(|rule| format!("rule {rule}")));
            return facts;
        };
        match owned.role() {
            Role::Side(side) => facts.extend(self.side_facts(group, store, side)),
            Role::Cidr => {
                let peers = match &store.settings.allow_cidr {
                    CidrTag::Peers(peers) => peers.iter().collect(),
                    CidrTag::Absent | CidrTag::Invalid(_) => Vec::new(),
                };
                let wanted = store.ports.into_iter().flat_map(|ports| {
                    peers.iter().map(move |peer| Rule {
                        direction: Direction::Inbound,
                        traffic: Traffic::Tcp(ports),
                        peer: peer.to_peer(),
                    })
                });
                facts.extend(compared(group, &wanted.collect::<Vec<_>>()));
            }
        }
        facts
    }

    fn side_facts(&self, group: &SecurityGroup, store: &DataStore, side: Side) -> Vec<String> {
        let Some(pair_state) = self.settled.pair_states.get(&store.id) else { return Vec::new() };
        let serves = pair_state.serving(side).is_some_and(|owned| *owned.group.id() == group.id);
        if !serves {
            let mut facts = self.pair_facts(pair_state);
            facts.extend(group.rules.iter().map(|rule| format!("rule {rule}")));
            return facts;
        }
        let peer = pair_state.serving(side.opposite()).map(|owned| self.named(owned.group.id()));
        let peer = peer.unwrap_or_else(|| "not there".to_owned());
        let mut facts = vec![format!("the {} side that belongs to it: {peer}", side.opposite().tag_value())];
        facts.extend(compared(group, &pair_state.wanted(side).into_iter().collect::<Vec<_>>()));
        facts
    }

    fn store_of_group(&self, owned: &Owned) -> Vec<String> {
        let Some(store) = self.index.store(&owned.store) else {
            let arn = owned.arn.as_ref().map_or_else(|| "its tag names none".to_owned(), ToString::to_string);
            let mut facts = vec![match store_existence(self.index, owned) {
                StoreExistence::Gone => format!("its data store is gone: {arn}"),
                StoreExistence::Carried(finding) | StoreExistence::Unknown(Some(finding)) => {
                    format!("its data store was not found ({arn}): {} ({})", finding.reason, finding.reason.code())
                }
                StoreExistence::Unknown(None) => format!("its data store was not read: {arn}"),
            }];
            if self.index.seen.absent.contains(&owned.store) {
                facts.push("its service lists nothing with that identity".to_owned());
            }
            return facts;
        };
        let mut facts = self.store_facts(store);
        let (here, there) = (&self.index.seen.vpc, store.vpc());
        facts.extend(
            there
                .is_some_and(|there| there != here)
                .then(|| "its data store is in another VPC now, where a pair cannot follow".to_owned()),
        );
        if let Some(arn) = owned.arn.as_ref().filter(|arn| **arn != store.arn) {
            facts.push(format!("its data store was renamed: the tag says {arn}"));
        }
        facts
    }

    /// The instances, stores and interfaces that have a group. `of` tells whether an instance's tags ask for it.
    fn attached_interfaces(&self, id: &SecurityGroupId, of: Option<&Asked<'_>>) -> Vec<String> {
        let (index, name) = (self.index, self.named(id));
        let mut facts: Vec<String> = index
            .with_group(id)
            .map(|instance| format!("{} has {name}{}", instance.id, self.asks(instance, id, of)))
            .collect();
        for store in index.stores_with(id) {
            let leaves = self.settled.plan.stores.get(&store.id).is_some_and(|change| change.detaches(id));
            let word = match store.groups.get(id) {
                Some(Membership::Removing) => ", on its way out",
                _ if leaves => ", and loses it now",
                _ => "",
            };
            facts.push(format!("{} has {name}{word}", store.arn.short()));
        }
        match index.seen.other_attached(id) {
            Some(others) => facts.extend(others.map(|attached| {
                let owner = match &attached.owner {
                    InterfaceOwner::Instance { id, .. } => id.to_string(),
                    InterfaceOwner::Nobody { description } => format!("of no instance, {description}"),
                    InterfaceOwner::Other { description } => description.to_string(),
                };
                format!("{} ({owner}) has {name}", attached.interface)
            })),
            None => facts.push(format!("whether other interfaces have {name} is not known")),
        }
        facts
    }

    /// Whether an instance's tags ask for a group that it has, and the verdict on it.
    fn asks(&self, instance: &Instance, id: &SecurityGroupId, of: Option<&Asked<'_>>) -> String {
        let Some(asked) = of else { return String::new() };
        if let Some(verdict) = self.settled.disconnects.verdict(&instance.id, asked.candidate.store) {
            return match verdict {
                Verdict::HeldBack(reason) => format!(", until a later window lets it go: {reason}"),
                Verdict::Connected(_)
                | Verdict::Connecting
                | Verdict::Waiting(_)
                | Verdict::Refused(_)
                | Verdict::Disconnecting(_) => format!(": {verdict}"),
            };
        }
        let names = asked.store.map(|store| Candidate::of(store, instance).names).unwrap_or_default();
        let kept = self
            .index
            .owned(id)
            .filter(|owned| owned.role() != Role::Cidr)
            .and_then(|owned| disconnect::kept_because(self.index, instance, owned));
        match (names.is_empty(), kept) {
            (false, _) => format!(", whose tags ask for it: {}", words(names)),
            (true, Some(reason)) => format!(", and keeps it: {reason} ({})", reason.code()),
            (true, None) => ", whose tags do not ask for it".to_owned(),
        }
    }

    /// Walks the conditions of a deletion, each by the planner's own question.
    fn ending(&self, steps: &mut Steps, owned: &Owned, facts: &mut Vec<String>) {
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
type Advised = (FailedCondition, Vec<String>);

impl Advisor<'_> {
    fn because(&self, reason: Reason, subject: &Subject) -> Advised {
        let remedy = self.remedy(&reason, subject);
        (reason.into(), remedy)
    }

    fn unknown_store(&self, store: &StoreId) -> StepAnswer {
        let subject = Subject::Vpc(self.explainer.index.seen.vpc.clone());
        StepAnswer::of(Some(self.because(Reason::StoreUnknown { store: store.clone() }, &subject)))
    }
}

/// The plan's changes that name a group.
fn changes(plan: &Plan, id: &SecurityGroupId) -> Vec<String> {
    let is_id = |symbol: char| symbol.is_ascii_alphanumeric() || matches!(symbol, '-' | '_' | '.');
    let names = |line: &String| line.split(|symbol| !is_id(symbol)).any(|word| word == id.as_str());
    plan.changes().into_iter().filter(names).collect()
}
