//! One instance, and every store that it has to do with.

use std::collections::BTreeSet;

use super::{Explanation, InstanceExplanation, Look, StoreLine, remedy::About};
use crate::{
    finding::{Finding, Subject},
    id::{InstanceId, StoreArn},
    model::{DataStore, Instance},
    tag::ConnectTag,
};

impl Look<'_> {
    pub(super) fn instance(&self, id: &InstanceId) -> InstanceExplanation {
        let instance = self.view.instance(id);
        let lines = self.stores_of(id, instance).into_iter().map(|store| line(self.connection(id, &store)));
        let stores: Vec<StoreLine> = lines.collect();
        let findings: Vec<Finding> = self.findings(&Subject::Instance(id.clone())).cloned().collect();
        let about = About { look: self, instance, store: None };
        let mut facts = instance.map_or_else(
            || vec![format!("{id} was not read in {}", self.view.seen.vpc)],
            |instance| self.instance_facts(instance),
        );
        if stores.is_empty() {
            facts.push(
                "no data store that was looked at shares a name with it, and it wears the group of none".to_owned(),
            );
        }
        let mut remedy: Vec<String> = Vec::new();
        if instance.is_some_and(|instance| instance.wishes.connect == ConnectTag::Absent) {
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

    /// The stores that share a name with an instance, that it reaches, or whose group it wears.
    fn stores_of(&self, id: &InstanceId, instance: Option<&Instance>) -> BTreeSet<StoreArn> {
        let decisions = self.settled.plan.decisions.iter().filter(|decision| decision.instance == *id);
        let mut found: BTreeSet<StoreArn> = decisions.map(|decision| decision.store.clone()).collect();
        let Some(instance) = instance else { return found };
        let worn = instance.interface.iter().flat_map(|interface| self.view.worn_instance_sides(interface));
        found.extend(worn.filter_map(|owned| self.view.arn_of(owned)));
        let concerned = |store: &&DataStore| {
            let shares = !store.wishes.connect.shared_with(&instance.wishes.connect).is_empty();
            let reaches = || {
                let standing = self.settled.standings.get(&store.id);
                standing.is_some_and(|standing| self.view.connection(standing, instance).is_some())
            };
            shares || reaches()
        };
        found.extend(self.view.stores().filter(concerned).map(|store| store.arn.clone()));
        found
    }
}

fn line(explained: Explanation) -> StoreLine {
    let condition = explained.first_failing().map(|(step, _)| step.condition);
    StoreLine { store: explained.store, verdict: explained.verdict, says: explained.says, condition }
}
