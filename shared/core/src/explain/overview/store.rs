//! A data store and everybody who reaches it or asks to.

use super::{Account, Overview, OverviewLine, SharedEnd, counted};
use crate::{
    explain::{Explainer, facts, remedy::Advisor},
    finding::Subject,
    id::StoreArn,
    plan::{Premise, index::Index},
    tag::ConnectTag,
};

impl Account<'_> {
    pub(super) fn store(&self, arn: &StoreArn) -> Overview {
        let lines: Vec<OverviewLine> =
            self.rows().iter().filter(|row| row.store == *arn).map(OverviewLine::of).collect();
        let store = self.survey.stores.found.iter().find(|store| store.arn == *arn);
        let message = match (store, lines.is_empty()) {
            (None, true) => "no such data store was found".to_owned(),
            (None, false) => format!("no such data store was found; of what is left: {}", counted(&lines)),
            (Some(_), true) => "nobody is connected, and nobody's tags ask for it".to_owned(),
            (Some(_), false) => counted(&lines),
        };
        let mut overview = Overview {
            subject: arn.to_string(),
            message: format!("{}: {message}", arn.short()),
            facts: store.map(|store| facts::store(self.connect_key, store)).unwrap_or_default(),
            next: self.actions(|action| action.store.as_ref() == Some(arn)),
            end: SharedEnd::Store,
            ..Overview::default()
        };
        let vpc = store.and_then(|store| store.vpc()).or_else(|| lines.first().map(|line| &line.vpc));
        if let Some((seen, _)) = vpc.and_then(|vpc| self.planned(vpc)) {
            let index = Index::of(seen, self.policy);
            let explainer = Explainer::of(&index, self.connect_key);
            let subject = Subject::Store(arn.clone());
            overview.findings = explainer.findings(&subject).cloned().collect();
            overview.remedy = explainer.remedies(&overview.findings, store);
        }
        if let Some(store) = store.filter(|store| !matches!(store.settings.connect, ConnectTag::Names(_))) {
            overview.facts.push("without a connect tag that can be read, nobody is connected by tagwire".to_owned());
            overview.remedy.extend(self.of_store_alone(store, |about| about.share_a_name(Premise::StoreTag)));
        }
        overview.with_lines(lines)
    }

    /// Advice about a store that may be in a VPC without a plan.
    fn of_store_alone(
        &self,
        store: &crate::model::DataStore,
        advice: impl Fn(Advisor<'_>) -> Vec<String>,
    ) -> Vec<String> {
        let Some((seen, _)) = store.vpc().and_then(|vpc| self.planned(vpc)) else { return Vec::new() };
        let index = Index::of(seen, self.policy);
        let explainer = Explainer::of(&index, self.connect_key);
        advice(Advisor { explainer: &explainer, instance: None, store: Some(store) })
    }
}
