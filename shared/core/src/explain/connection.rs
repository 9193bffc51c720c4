//! One instance and one store.

use super::{
    Explainer, Explanation, FailedCondition, StepAnswer, Steps,
    facts::{self, words},
    remedy::{Advisor, move_together},
};
use crate::{
    finding::{Reason, Subject},
    group::{GroupKind, Owned},
    id::{InstanceId, SecurityGroupId, StoreArn},
    model::{DataStore, Form, Instance, Network},
    observation::StoreLookup,
    plan::{
        Condition, DetachReason, Premise, Verdict, Via,
        conditions::{Candidate, Places, Situation, Unmet, is_readable},
        disconnect,
        pair::PairState,
    },
};

pub(super) const INSTANCE_READ: (&str, &str) = ("instance-read", "Was the instance read?");
pub(super) const STORE_READ: (&str, &str) = ("store-read", "Does its service know the data store?");
pub(super) const KEPT: (&str, &str) = ("kept", "Is there no reason to take a connection away?");
pub(super) const CONNECTED: (&str, &str) = ("connected", "Are they connected already?");

fn is_unread(failure: &FailedCondition) -> bool {
    matches!(failure.reason, Some(Reason::Unread { .. })) || failure.code.ends_with("-not-read")
}

impl Explainer<'_> {
    pub(super) fn connection(&self, id: &InstanceId, arn: &StoreArn) -> Explanation {
        let (instance, store) = (self.index.instance(id), self.index.store_called(arn));
        let verdict = self.verdict(id, arn, store);
        let about = Advisor { explainer: self, instance, store };
        let mut steps = Steps::default();
        self.instance_read(&mut steps, id, about);
        let kept_facts = instance.map(|instance| self.kept_facts(instance, arn, store, verdict.as_ref()));
        steps.step(KEPT, about.kept(verdict.as_ref()), kept_facts.unwrap_or_default());
        self.store_read(&mut steps, arn, about);
        match (instance, store) {
            (Some(instance), Some(store)) => {
                self.premises(&mut steps, instance, store, about);
                if let Some(pair_state) = self.settled.pair_states.get(&store.id) {
                    self.conditions(&mut steps, instance, pair_state, about);
                }
            }
            _ => self.one_sided(&mut steps, about),
        }
        self.advise_of_copy(&mut steps, about);
        let message = match (&verdict, steps.first()) {
            (Some(verdict), _) => verdict.to_string(),
            // Of what was not read it is not known who manages it.
            (None, Some(failure)) if is_unread(failure) => format!("nothing is changed between them: {failure}"),
            (None, Some(failure)) => self.connected_anyway(instance, store).map_or_else(
                || format!("not managed by tagwire: {failure}"),
                // The sentence that says what keeps it may be the failure itself.
                |connected| {
                    if connected.contains(&failure.to_string()) { connected } else { format!("{connected}: {failure}") }
                },
            ),
            (None, None) => "not managed by tagwire".to_owned(),
        };
        Explanation {
            instance: id.clone(),
            store: arn.clone(),
            message: format!("{id} and {}: {message}", arn.short()),
            now: self.now(instance, arn, store),
            next: self.next(id, arn, store),
            verdict,
            steps: steps.taken,
            remedy: steps.remedy,
        }
    }

    /// The connection of two whose tags do not ask for it, and what keeps it.
    fn connected_anyway(&self, instance: Option<&Instance>, store: Option<&DataStore>) -> Option<String> {
        let (instance, store) = (instance?, store?);
        let Some(via) = self.standing_connection(self.settled.pair_states.get(&store.id)?, instance) else {
            return self.joined_by_copy(instance, store);
        };
        let mut sides = self.index.attached_instance_sides(instance.interface.as_ref()?);
        let side = sides.find(|owned| *owned.group.id() == via.instance_side);
        let kept = side.and_then(|owned| disconnect::kept_because(self.index, instance, owned));
        let connected = Verdict::Connected(via);
        Some(match kept {
            Some(reason) => format!("{connected}, and stays only because {reason} ({})", reason.code()),
            None => format!("{connected}, not managed by tagwire"),
        })
    }

    /// The finding that an instance keeps the group of a store that was not found.
    fn kept_for_lost_store(&self, instance: Option<&Instance>, arn: &StoreArn) -> Option<Reason> {
        let instance = instance?;
        let mut sides = self.index.attached_instance_sides(instance.interface.as_ref()?);
        let of_store = |owned: &&Owned| owned.arn.as_ref() == Some(arn) && self.index.store(&owned.store).is_none();
        sides.find(of_store).and_then(|owned| disconnect::kept_because(self.index, instance, owned))
    }

    /// What is to be done about groups of other stores by which the two are joined.
    fn advise_of_copy(&self, steps: &mut Steps, about: Advisor<'_>) {
        let Some((instance, store)) = about.instance.zip(about.store) else { return };
        if self.joined_by_copy(instance, store).is_none() {
            return;
        }
        for finding in self.findings(&Subject::Store(store.arn.clone())) {
            if matches!(finding.reason, Reason::CopiedGroup { .. }) {
                steps.advise(about.remedy(&finding.reason, &finding.subject));
            }
        }
    }

    fn instance_read(&self, steps: &mut Steps, id: &InstanceId, about: Advisor<'_>) {
        let seen = self.index.seen;
        let of_instance = match about.instance {
            Some(_) => StepAnswer::Holds,
            None => match seen.instances.gaps.iter().min() {
                Some(gap) => about.fails(Reason::unread(gap), &Subject::Instance(id.clone())),
                None => StepAnswer::Fails(
                    FailedCondition::new(
                        "instance-not-read",
                        format!(
                            "no such instance was read in {}: it is gone, is in another VPC or takes no part",
                            seen.vpc
                        ),
                    ),
                    vec![format!("look into the VPC that {id} is in, and at that instance by its id")],
                ),
            },
        };
        steps.step(INSTANCE_READ, of_instance, about.instance.map(|it| self.instance_facts(it)).unwrap_or_default());
    }

    fn store_read(&self, steps: &mut Steps, arn: &StoreArn, about: Advisor<'_>) {
        let seen = self.index.seen;
        let subject = Subject::Store(arn.clone());
        let gone = seen.stores.found.iter().any(|lookup| matches!(lookup, StoreLookup::NotFound(gone) if gone == arn));
        let cluster = seen.members().filter(|member| member.arn == *arn).find_map(|member| match &member.form {
            Form::ClusterMember { cluster } => Some(cluster.clone()),
            Form::Plain | Form::ServerlessV1 | Form::GlobalMember { .. } => None,
        });
        let of_store = match (about.store, seen.stores.gaps.iter().min()) {
            (Some(_), _) => StepAnswer::Holds,
            (None, _) if let Some(cluster) = cluster => about.fails(Reason::ClusterMember { cluster }, &subject),
            (None, _) if let Some(reason) = self.kept_for_lost_store(about.instance, arn) => {
                about.fails(reason, &subject)
            }
            (None, _) if gone => about.fails(Reason::StoreGone, &subject),
            (None, Some(gap)) => about.fails(Reason::unread(gap), &subject),
            (None, None) => StepAnswer::Fails(
                FailedCondition::new(
                    "store-not-read",
                    "no such data store was looked at: nothing tagged or owned led to it",
                ),
                vec![format!("look at {arn} by its ARN")],
            ),
        };
        steps.step(STORE_READ, of_store, about.store.map(|it| self.store_facts(it)).unwrap_or_default());
    }

    /// The steps when one of the two is missing.
    fn one_sided(&self, steps: &mut Steps, about: Advisor<'_>) {
        let Advisor { instance, store, .. } = about;
        for premise in Premise::ALL {
            let (of_instance, of_store) =
                (instance.map(|it| &it.settings.connect), store.map(|it| &it.settings.connect));
            let tag = match premise {
                Premise::InstanceTag => of_instance,
                Premise::StoreTag => of_store,
                Premise::SameVpc | Premise::SharedName | Premise::InScope => None,
            };
            let answer = tag.map_or(StepAnswer::Unknown, |tag| match is_readable(tag) {
                Ok(()) => StepAnswer::Holds,
                Err(unmet) => StepAnswer::Fails(self.unmet(premise, &unmet), about.unmet(premise, &unmet)),
            });
            let facts = tag.map(|tag| facts::connect_tag(self.connect_key, tag)).into_iter().collect();
            steps.step((premise.code(), premise.question()), answer, facts);
        }
        steps.step(CONNECTED, StepAnswer::Unknown, Vec::new());
        for condition in Condition::ALL {
            steps.step((condition.code(), condition.question()), StepAnswer::Unknown, Vec::new());
        }
    }

    fn kept_facts(
        &self,
        instance: &Instance,
        arn: &StoreArn,
        store: Option<&DataStore>,
        verdict: Option<&Verdict>,
    ) -> Vec<String> {
        let Some(interface) = &instance.interface else { return Vec::new() };
        let mut facts = Vec::new();
        let is_of_store = |owned: &&Owned| match store {
            Some(store) => owned.store == store.id,
            None => owned.arn.as_ref() == Some(arn),
        };
        for owned in self.index.attached_instance_sides(interface).filter(is_of_store) {
            let id = owned.group.id();
            facts.push(format!("{} has {id} ({}), an instance side of this data store", interface.id, owned.name));
            if let Some(reason) = disconnect::kept_because(self.index, instance, owned) {
                facts.push(format!("{id} stays whatever the tags ask for: {reason} ({})", reason.code()));
            }
            let last = |reason: &Reason| matches!(reason, Reason::LastGroup { group } if group == id);
            let findings = self.settled.plan.findings.iter().map(|finding| &finding.reason);
            facts.extend(findings.filter(|reason| last(reason)).map(|reason| format!("{reason} ({})", reason.code())));
        }
        if facts.is_empty() {
            facts.push("the instance has no instance side of this data store".to_owned());
        }
        if matches!(verdict, Some(Verdict::HeldBack(_))) {
            facts.extend(self.window_facts(instance, store));
        }
        if let Some(Verdict::Disconnecting(DetachReason::StoreOptedOut | DetachReason::Blocked)) = verdict
            && let Some(change) = store.and_then(|store| self.settled.plan.stores.get(&store.id))
        {
            facts.extend(
                change.detached_of(GroupKind::Pair).map(|(group, _)| format!("{group} leaves the data store as well")),
            );
        }
        facts
    }

    fn premises(&self, steps: &mut Steps, instance: &Instance, store: &DataStore, about: Advisor<'_>) {
        let candidate = Candidate::of(store, instance);
        for premise in Premise::ALL {
            let answer = match premise.check(self.index, &candidate) {
                Ok(()) if premise == Premise::SameVpc => same_vpc(store),
                Ok(()) => StepAnswer::Holds,
                Err(unmet) => StepAnswer::Fails(self.unmet(premise, &unmet), about.unmet(premise, &unmet)),
            };
            let facts = match premise {
                Premise::SameVpc => {
                    vec![format!(
                        "the data store is in {}, the observation is of {}",
                        facts::vpc(store),
                        self.index.seen.vpc
                    )]
                }
                Premise::InstanceTag => vec![facts::connect_tag(self.connect_key, &instance.settings.connect)],
                Premise::StoreTag => vec![facts::connect_tag(self.connect_key, &store.settings.connect)],
                Premise::SharedName if candidate.names.is_empty() => Vec::new(),
                Premise::SharedName => vec![format!("both hold {}", words(&candidate.names))],
                Premise::InScope => vec![format!("observed: {}", self.index.seen.scope)],
            };
            steps.step((premise.code(), premise.question()), answer, facts);
        }
    }

    /// Why a premise does not hold; of a tag that is missing, whose it is.
    fn unmet(&self, premise: Premise, unmet: &Unmet) -> FailedCondition {
        let key = self.connect_key;
        match (premise, unmet) {
            (Premise::InstanceTag, Unmet::NoTag) => {
                FailedCondition::new(unmet.code(), format!("the instance has no {key}"))
            }
            (Premise::StoreTag, Unmet::NoTag) => {
                FailedCondition::new(unmet.code(), format!("the data store has no {key}"))
            }
            _ => unmet.into(),
        }
    }

    /// How the two are connected once the plan has taken away what it takes away.
    pub(super) fn standing_connection(&self, pair_state: &PairState<'_>, instance: &Instance) -> Option<Via> {
        let leaves = |group: &SecurityGroupId| self.settled.disconnects.takes_off(instance, group);
        pair_state.connection(instance, leaves)
    }

    fn conditions(&self, steps: &mut Steps, instance: &Instance, pair_state: &PairState<'_>, about: Advisor<'_>) {
        let connection = self.standing_connection(pair_state, instance);
        let mut facts: Vec<String> = connection.iter().map(|via| Verdict::Connected(via.clone()).to_string()).collect();
        facts.extend(self.attachment_facts(pair_state, instance));
        steps.step(CONNECTED, if connection.is_some() { StepAnswer::Holds } else { StepAnswer::NotSo }, facts);
        let situation =
            Situation { index: self.index, pair_state, instance, places: self.places(pair_state, instance) };
        for condition in Condition::ALL {
            let answer = match condition.check(&situation) {
                // What would keep a connection from being made takes none away.
                _ if connection.is_some() => StepAnswer::NotNeeded,
                Ok(()) => StepAnswer::Holds,
                Err(reason) => about.fails(reason, &about.subject(condition)),
            };
            steps.step((condition.code(), condition.question()), answer, self.facts(condition, &situation));
        }
    }

    /// How full the lists were when it was the turn of the two; how full they will be, if it never was.
    fn places(&self, pair_state: &PairState<'_>, instance: &Instance) -> Places {
        let found = self.settled.places.get(&(&instance.id, &pair_state.store.id));
        found.copied().unwrap_or_else(|| {
            let on_interface = instance.interface.as_ref().map_or(0, |interface| {
                let change = self.settled.plan.interfaces.get(&interface.id);
                let (attached, detached) = change.map_or((0, 0), |change| (change.attach.len(), change.detach.len()));
                interface.groups.len().saturating_sub(detached) + attached
            });
            let leaving_store =
                self.settled.plan.stores.get(&pair_state.store.id).map_or(0, |change| change.detached().count());
            Places { leaving_store, on_interface }
        })
    }
}

/// The answer for a store in no other VPC. That it is in none fails a condition, which says why.
fn same_vpc(store: &DataStore) -> StepAnswer {
    match store.network {
        Network::Vpc(_) => StepAnswer::Holds,
        Network::NotShown => StepAnswer::Unknown,
        Network::VpcNetworkingOff | Network::PublicEndpoint | Network::Classic => StepAnswer::NotSo,
    }
}

impl Advisor<'_> {
    /// The subject of a condition.
    fn subject(&self, condition: Condition) -> Subject {
        let instance = self.instance.map(|instance| Subject::Instance(instance.id.clone()));
        let store = self.store.map(|store| Subject::Store(store.arn.clone()));
        let of = match condition {
            Condition::InstanceThere
            | Condition::InstanceNotManaged
            | Condition::InstanceNotBlocked
            | Condition::InstanceNotHeld
            | Condition::OpensNoOther
            | Condition::InterfacePlace => instance,
            Condition::StoreInVpc
            | Condition::StoreKind
            | Condition::StoreNotBlocked
            | Condition::StoreNotHeld
            | Condition::StoreState
            | Condition::StoreShown
            | Condition::OnePair
            | Condition::StorePlace
            | Condition::StoreListOpen => store,
            Condition::NotContested => self.contested(),
            Condition::NotUninstalling | Condition::GroupsRead => None,
        };
        of.unwrap_or_else(|| Subject::Vpc(self.explainer.index.seen.vpc.clone()))
    }

    /// Whether the plan takes nothing away between the two.
    fn kept(&self, verdict: Option<&Verdict>) -> StepAnswer {
        match verdict {
            Some(Verdict::Disconnecting(reason) | Verdict::HeldBack(reason)) => {
                StepAnswer::Fails((*reason).into(), self.against(*reason))
            }
            None if self.instance.is_none() => StepAnswer::Unknown,
            Some(Verdict::Connected(_) | Verdict::Connecting | Verdict::Waiting(_) | Verdict::Refused(_)) | None => {
                StepAnswer::Holds
            }
        }
    }

    fn fails(&self, reason: Reason, subject: &Subject) -> StepAnswer {
        let remedy = self.remedy(&reason, subject);
        StepAnswer::Fails(reason.into(), remedy)
    }

    /// The remedy for a premise.
    fn unmet(&self, premise: Premise, unmet: &Unmet) -> Vec<String> {
        match unmet {
            Unmet::OtherVpc(_) => move_together(),
            Unmet::NoTag | Unmet::InvalidTag(_) | Unmet::NoSharedName => self.share_a_name(premise),
            Unmet::OutsideScope => vec!["look at one of the two, or at the whole VPC".to_owned()],
        }
    }
}
