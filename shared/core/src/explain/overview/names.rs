//! A connection name: who carries it on either side, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Account, Overview, OverviewLine, counted};
use crate::{
    explain::{Explainer, facts::few},
    finding::Finding,
    id::VpcId,
    plan::{Action, index::Index},
    spelling::near,
    tag::ConnectionName,
};

/// Who carries a name in a VPC, or in none.
#[derive(Default)]
struct CarriersInVpc {
    instances: BTreeSet<String>,
    stores: BTreeSet<String>,
}

impl Account<'_> {
    pub(super) fn name(&self, name: &ConnectionName) -> Overview {
        let rows = self.rows();
        let lines: Vec<OverviewLine> =
            rows.iter().filter(|row| row.names.contains(name)).map(OverviewLine::of).collect();
        let carriers = self.carriers(name);
        let message = match (carriers.is_empty(), lines.is_empty()) {
            (true, _) => "nobody carries this name".to_owned(),
            (false, true) => "it connects nothing".to_owned(),
            (false, false) => counted(&lines),
        };
        let mut overview = Overview {
            subject: name.to_string(),
            message: format!("{name}: {message}"),
            facts: carriers.iter().map(|(vpc, carriers)| carriers.words(*vpc)).collect(),
            ..Overview::default()
        };
        overview.facts.extend(self.much_like(name));
        let is_of_line = |action: &Action| {
            lines.iter().any(|line| {
                let of_instance = action.instance.is_none() || action.instance == line.instance;
                line.code.is_some() && action.store.as_ref() == Some(&line.store) && of_instance
            })
        };
        overview.next = self.actions(is_of_line);
        for (seen, _) in self.planned {
            let index = Index::of(seen, self.policy);
            let explainer = Explainer::of(&index, self.connect_key);
            let findings: Vec<Finding> = explainer.findings_of_name(name).cloned().collect();
            overview.remedy.extend(explainer.remedies(&findings, None));
            overview.findings.extend(findings);
        }
        overview.with_lines(lines)
    }

    fn carriers(&self, name: &ConnectionName) -> BTreeMap<Option<&VpcId>, CarriersInVpc> {
        let mut carriers = BTreeMap::<_, CarriersInVpc>::new();
        let survey = self.survey;
        for instance in survey.instances.found.iter().filter(|it| it.settings.connect.names().any(|held| held == name))
        {
            let vpc = instance.interface.as_ref().map(|interface| &interface.vpc);
            carriers.entry(vpc).or_default().instances.insert(instance.id.to_string());
        }
        for store in survey.present_stores().filter(|it| it.settings.connect.names().any(|held| held == name)) {
            carriers.entry(store.vpc()).or_default().stores.insert(store.arn.short());
        }
        carriers
    }

    /// The names that may be meant, or that may be mistyped for this one.
    fn much_like(&self, name: &ConnectionName) -> Vec<String> {
        let survey = self.survey;
        let instances = survey.instances.found.iter().flat_map(|instance| instance.settings.connect.names());
        let stores = survey.present_stores().flat_map(|store| store.settings.connect.names());
        let names: BTreeSet<&ConnectionName> = instances.chain(stores).collect();
        let near = near(name, names);
        (!near.is_empty()).then(|| format!("names much like it: {}", few(near))).into_iter().collect()
    }
}

impl CarriersInVpc {
    fn words(&self, vpc: Option<&VpcId>) -> String {
        let side = |all: &BTreeSet<String>, one: &str, more: &str| match all.len() {
            0 => format!("no {one}"),
            1 => format!("1 {one} ({})", few(all)),
            several => format!("{several} {more} ({})", few(all)),
        };
        let instances = side(&self.instances, "instance", "instances");
        let stores = side(&self.stores, "data store", "data stores");
        let place = vpc.map_or_else(|| "in no VPC".to_owned(), |vpc| format!("in {vpc}"));
        format!("{place}, {instances} and {stores} carry it")
    }
}
