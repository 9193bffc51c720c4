//! One instance and one store.

use super::{
    Answer, Explanation, Failure, Look, Walk,
    facts::{self, words},
    remedy::{About, move_together},
};
use crate::{
    finding::{Reason, Subject},
    group::Owned,
    id::{InstanceId, StoreArn},
    model::{DataStore, Instance},
    observation::Sighting,
    plan::{
        Condition, Ground, Premise, Verdict,
        conditions::{Candidate, Places, Situation, Unmet, is_readable},
        leave,
        pair::Standing,
    },
};

pub(super) const INSTANCE_READ: (&str, &str) = ("instance-read", "Was the instance read?");
pub(super) const STORE_READ: (&str, &str) = ("store-read", "Does its service know the data store?");
pub(super) const KEPT: (&str, &str) = ("kept", "Is there no ground to take a connection away?");
pub(super) const CONNECTED: (&str, &str) = ("connected", "Are they connected already?");

impl Look<'_> {
    pub(super) fn connection(&self, id: &InstanceId, arn: &StoreArn) -> Explanation {
        let (instance, store) = (self.view.instance(id), self.view.store_called(arn));
        let verdict = self.verdict(id, arn, store);
        let about = About { look: self, instance, store };
        let mut walk = Walk::default();
        self.instance_read(&mut walk, id, about);
        let kept_facts = instance.map(|instance| self.kept_facts(instance, arn, store, verdict.as_ref()));
        walk.step(KEPT, about.kept(verdict.as_ref()), kept_facts.unwrap_or_default());
        self.store_read(&mut walk, arn, about);
        match (instance, store) {
            (Some(instance), Some(store)) => {
                self.premises(&mut walk, instance, store, about);
                if let Some(standing) = self.settled.standings.get(&store.id) {
                    self.conditions(&mut walk, instance, standing, about);
                }
            }
            _ => self.one_sided(&mut walk, about),
        }
        let says = match (&verdict, walk.first()) {
            (Some(verdict), _) => verdict.to_string(),
            (None, Some(failure)) => format!("nothing is decided about them: {failure}"),
            (None, None) => "nothing is decided about them".to_owned(),
        };
        Explanation {
            instance: id.clone(),
            store: arn.clone(),
            says: format!("{id} and {}: {says}", arn.short()),
            verdict,
            steps: walk.steps,
            remedy: walk.remedy,
        }
    }

    fn instance_read(&self, walk: &mut Walk, id: &InstanceId, about: About<'_>) {
        let seen = self.view.seen;
        let of_instance = match about.instance {
            Some(_) => Answer::Holds,
            None => match seen.instances.gaps.iter().min() {
                Some(gap) => about.fails(Reason::Unread { gap: gap.clone() }, &Subject::Instance(id.clone())),
                None => Answer::Fails(
                    Failure::new(
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
        walk.step(INSTANCE_READ, of_instance, about.instance.map(|it| self.instance_facts(it)).unwrap_or_default());
    }

    fn store_read(&self, walk: &mut Walk, arn: &StoreArn, about: About<'_>) {
        let seen = self.view.seen;
        let subject = Subject::Store(arn.clone());
        let gone = seen.stores.found.iter().any(|sighting| matches!(sighting, Sighting::Gone(gone) if gone == arn));
        let of_store = match (about.store, seen.stores.gaps.iter().min()) {
            (Some(_), _) => Answer::Holds,
            (None, _) if gone => about.fails(Reason::StoreGone, &subject),
            (None, Some(gap)) => about.fails(Reason::Unread { gap: gap.clone() }, &subject),
            (None, None) => Answer::Fails(
                Failure::new("store-not-read", "no such data store was looked at: nothing tagged or owned led to it"),
                vec![format!("look at {arn} by its ARN")],
            ),
        };
        walk.step(STORE_READ, of_store, about.store.map(|it| self.store_facts(it)).unwrap_or_default());
    }

    /// What can be said when one of the two is missing.
    fn one_sided(&self, walk: &mut Walk, about: About<'_>) {
        let About { instance, store, .. } = about;
        for premise in Premise::ALL {
            let (of_instance, of_store) = (instance.map(|it| &it.wishes.connect), store.map(|it| &it.wishes.connect));
            let tag = match premise {
                Premise::InstanceTag => of_instance,
                Premise::StoreTag => of_store,
                Premise::SameVpc | Premise::SharedName | Premise::InScope => None,
            };
            let answer = tag.map_or(Answer::Unknown, |tag| match is_readable(tag) {
                Ok(()) => Answer::Holds,
                Err(unmet) => Answer::Fails((&unmet).into(), about.unmet(premise, &unmet)),
            });
            let facts = tag.map(|tag| facts::connect_tag(self.connect_key, tag)).into_iter().collect();
            walk.step((premise.code(), premise.question()), answer, facts);
        }
        walk.step(CONNECTED, Answer::Unknown, Vec::new());
        for condition in Condition::ALL {
            walk.step((condition.code(), condition.question()), Answer::Unknown, Vec::new());
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
        for owned in self.view.worn_instance_sides(interface).filter(is_of_store) {
            let id = owned.group.id();
            facts.push(format!("{} wears {id} ({}), an instance side of this data store", interface.id, owned.name));
            if let Some(reason) = leave::kept_because(self.view, instance, owned) {
                facts.push(format!("{id} stays whatever the tags ask for: {reason} ({})", reason.code()));
            }
            let last = |reason: &Reason| matches!(reason, Reason::LastGroup { group } if group == id);
            let findings = self.settled.plan.findings.iter().map(|finding| &finding.reason);
            facts.extend(findings.filter(|reason| last(reason)).map(|reason| format!("{reason} ({})", reason.code())));
        }
        if facts.is_empty() {
            facts.push("the instance wears no instance side of this data store".to_owned());
        }
        if matches!(verdict, Some(Verdict::HeldBack(_))) {
            facts.extend(self.window_facts(instance, store));
        }
        if let Some(Verdict::Disconnecting(Ground::StoreOptedOut | Ground::Blocked)) = verdict
            && let Some(change) = store.and_then(|store| self.settled.plan.stores.get(&store.id))
        {
            facts.extend(change.detach.keys().map(|group| format!("{group} leaves the data store as well")));
        }
        facts
    }

    fn premises(&self, walk: &mut Walk, instance: &Instance, store: &DataStore, about: About<'_>) {
        let candidate = Candidate::of(store, instance);
        for premise in Premise::ALL {
            let answer = match premise.check(self.view, &candidate) {
                Ok(()) => Answer::Holds,
                Err(unmet) => Answer::Fails((&unmet).into(), about.unmet(premise, &unmet)),
            };
            let facts = match premise {
                Premise::SameVpc => {
                    vec![format!("the data store is in {}, the look is at {}", facts::vpc(store), self.view.seen.vpc)]
                }
                Premise::InstanceTag => vec![facts::connect_tag(self.connect_key, &instance.wishes.connect)],
                Premise::StoreTag => vec![facts::connect_tag(self.connect_key, &store.wishes.connect)],
                Premise::SharedName if candidate.names.is_empty() => Vec::new(),
                Premise::SharedName => vec![format!("both hold {}", words(&candidate.names))],
                Premise::InScope => vec![format!("looked at: {}", self.view.seen.scope)],
            };
            walk.step((premise.code(), premise.question()), answer, facts);
        }
    }

    fn conditions(&self, walk: &mut Walk, instance: &Instance, standing: &Standing<'_>, about: About<'_>) {
        let connection = self.view.connection(standing, instance);
        let mut facts: Vec<String> = connection.iter().map(|via| Verdict::Connected(via.clone()).to_string()).collect();
        facts.extend(self.worn_facts(standing, instance));
        walk.step(CONNECTED, if connection.is_some() { Answer::Holds } else { Answer::NotSo }, facts);
        let situation = Situation { view: self.view, standing, instance, places: self.places(standing, instance) };
        for condition in Condition::ALL {
            let answer = match condition.check(&situation) {
                // What would keep a connection from being made takes none away.
                _ if connection.is_some() => Answer::NotNeeded,
                Ok(()) => Answer::Holds,
                Err(reason) => about.fails(reason, &about.subject(condition)),
            };
            walk.step((condition.code(), condition.question()), answer, self.facts(condition, &situation));
        }
    }

    /// How full the lists were when it was the turn of the two; how full they will be, if it never was.
    fn places(&self, standing: &Standing<'_>, instance: &Instance) -> Places {
        let found = self.settled.places.get(&(&instance.id, &standing.store.id));
        found.copied().unwrap_or_else(|| {
            let on_interface = instance.interface.as_ref().map_or(0, |interface| {
                let change = self.settled.plan.interfaces.get(&interface.id);
                let (attached, detached) = change.map_or((0, 0), |change| (change.attach.len(), change.detach.len()));
                interface.groups.len().saturating_sub(detached) + attached
            });
            let leaving_store =
                self.settled.plan.stores.get(&standing.store.id).map_or(0, |change| change.detached().count());
            Places { leaving_store, on_interface }
        })
    }
}

impl About<'_> {
    /// Whose a condition is.
    fn subject(&self, condition: Condition) -> Subject {
        let instance = self.instance.map(|instance| Subject::Instance(instance.id.clone()));
        let store = self.store.map(|store| Subject::Store(store.arn.clone()));
        let of = match condition {
            Condition::InstanceThere
            | Condition::InstanceNotBlocked
            | Condition::InstanceNotHeld
            | Condition::InterfacePlace => instance,
            Condition::StoreInVpc
            | Condition::StoreKind
            | Condition::StoreNotBlocked
            | Condition::StoreNotHeld
            | Condition::StoreState
            | Condition::OnePair
            | Condition::StorePlace
            | Condition::StoreListOpen => store,
            Condition::NotContested => self.contested(),
            Condition::NotUninstalling | Condition::GroupsRead => None,
        };
        of.unwrap_or_else(|| Subject::Vpc(self.look.view.seen.vpc.clone()))
    }

    /// Whether the plan takes nothing away between the two.
    fn kept(&self, verdict: Option<&Verdict>) -> Answer {
        match verdict {
            Some(Verdict::Disconnecting(ground) | Verdict::HeldBack(ground)) => {
                Answer::Fails((*ground).into(), self.against(*ground))
            }
            None if self.instance.is_none() => Answer::Unknown,
            Some(Verdict::Connected(_) | Verdict::Connecting | Verdict::Waiting(_) | Verdict::Refused(_)) | None => {
                Answer::Holds
            }
        }
    }

    fn fails(&self, reason: Reason, subject: &Subject) -> Answer {
        let remedy = self.remedy(&reason, subject);
        Answer::Fails(reason.into(), remedy)
    }

    /// What to do about a premise.
    fn unmet(&self, premise: Premise, unmet: &Unmet) -> Vec<String> {
        match unmet {
            Unmet::OtherVpc(_) => move_together(),
            Unmet::NoTag | Unmet::InvalidTag(_) | Unmet::NoSharedName => self.share_a_name(premise),
            Unmet::OutsideScope => vec!["look at one of the two, or at the whole VPC".to_owned()],
        }
    }
}
