//! One security group: whose it is, what it is for, and what happens to it.

use super::{
    Explainer, FailedCondition, GroupExplanation, StepAnswer, Steps,
    ending::Asked,
    facts::{compared, words},
    remedy::Advisor,
};
use crate::{
    cidr::CidrTag,
    finding::{Finding, Reason, Subject},
    group::{Owned, Ownership, Role, SecurityGroup},
    id::SecurityGroupId,
    model::{DataStore, Instance, Membership},
    observation::InterfaceOwner,
    plan::{
        DeleteCondition, Deletion, Plan, Verdict,
        conditions::Candidate,
        disconnect::{self, StoreExistence, store_existence},
        obstacles,
    },
    rule::{Direction, Rule, Traffic},
    service::Side,
    untrusted::Shown,
};

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
    pub(super) fn attached_interfaces(&self, id: &SecurityGroupId, of: Option<&Asked<'_>>) -> Vec<String> {
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
}

/// The plan's changes that name a group.
fn changes(plan: &Plan, id: &SecurityGroupId) -> Vec<String> {
    let is_id = |symbol: char| symbol.is_ascii_alphanumeric() || matches!(symbol, '-' | '_' | '.');
    let names = |line: &String| line.split(|symbol| !is_id(symbol)).any(|word| word == id.as_str());
    plan.changes().into_iter().filter(names).collect()
}
