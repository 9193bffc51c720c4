//! One instance, and every store that it has to do with.

use std::collections::BTreeSet;

use super::{Explainer, Explanation, InstanceExplanation, StoreLine, remedy::Advisor};
use crate::{
    finding::{Finding, Reason, Subject},
    id::{InstanceId, StoreArn},
    model::{DataStore, Instance},
    tag::{ConnectTag, ConnectionName},
};

impl Explainer<'_> {
    pub(super) fn instance(&self, id: &InstanceId) -> InstanceExplanation {
        let instance = self.index.instance(id);
        let lines = self.stores_of(id, instance).into_iter().map(|store| line(self.connection(id, &store)));
        let stores: Vec<StoreLine> = lines.collect();
        let findings: Vec<Finding> = self.findings(&Subject::Instance(id.clone())).cloned().collect();
        let about = Advisor { explainer: self, instance, store: None };
        let mut facts = instance.map_or_else(
            || vec![format!("{id} was not read in {}", self.index.seen.vpc)],
            |instance| self.instance_facts(instance),
        );
        if stores.is_empty() {
            facts.push(
                "no data store that was looked at shares a name with it, and it has the group of none".to_owned(),
            );
        }
        let mut remedy: Vec<String> = Vec::new();
        if instance.is_some_and(|instance| instance.settings.connect == ConnectTag::Absent) {
            remedy.push(format!("give it a tag {} with a name of the data store that it needs", self.connect_key));
        }
        for finding in &findings {
            remedy.extend(about.remedy(&finding.reason, &finding.subject));
        }
        InstanceExplanation { instance: id.clone(), facts, stores, findings, remedy }
    }

    pub(super) fn findings<'this>(&'this self, subject: &'this Subject) -> impl Iterator<Item = &'this Finding> {
        self.settled.plan.findings.iter().filter(move |finding| finding.subject == *subject)
    }

    /// The findings that name a connection name.
    pub(super) fn findings_of_name<'this>(
        &'this self,
        name: &'this ConnectionName,
    ) -> impl Iterator<Item = &'this Finding> {
        self.settled.plan.findings.iter().filter(move |finding| {
            matches!(&finding.reason, Reason::NoMatch { names } if names.contains(name))
                || matches!(&finding.reason, Reason::DifferentVpc { name: other, .. } if other == name)
        })
    }

    /// The stores that share a name with an instance, that it reaches, or whose group it has.
    fn stores_of(&self, id: &InstanceId, instance: Option<&Instance>) -> BTreeSet<StoreArn> {
        let decisions = self.settled.plan.decisions.iter().filter(|decision| decision.instance == *id);
        let mut found: BTreeSet<StoreArn> = decisions.map(|decision| decision.store.clone()).collect();
        let Some(instance) = instance else { return found };
        let attached = instance.interface.iter().flat_map(|interface| self.index.attached_instance_sides(interface));
        found.extend(attached.filter_map(|owned| self.index.arn_of(owned)));
        let concerned = |store: &&DataStore| {
            let shares = !store.settings.connect.shared_with(&instance.settings.connect).is_empty();
            let reaches = || {
                let pair_state = self.settled.pair_states.get(&store.id);
                pair_state.is_some_and(|pair_state| self.standing_connection(pair_state, instance).is_some())
            };
            shares || reaches()
        };
        found.extend(self.index.stores().filter(concerned).map(|store| store.arn.clone()));
        found
    }
}

fn line(explained: Explanation) -> StoreLine {
    let condition = explained.first_failing().map(|(step, _)| step.condition);
    StoreLine { store: explained.store, verdict: explained.verdict, message: explained.message, condition }
}
