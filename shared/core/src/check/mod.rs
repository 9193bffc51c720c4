//! The plan checker: it verifies the invariants of the design on a finished plan and shares no reasoning
//! with the planner. Only a checked plan can be carried out, in tests and in production. A violation is a
//! defect of the planner, never of the observation.
//!
//! An objection costs a plan the part that it is about, and whatever depends on that part. The rest
//! is checked again and may be carried out.

mod cidr;
mod copies;
mod deletions;
mod evidence;
mod groups;
mod identity;
mod lists;
mod objection;
mod remaining;
mod removals;
mod violation;

use std::collections::BTreeSet;

use serde::Serialize;

use self::{evidence::Evidence, objection::Objections};
pub use self::{
    objection::{Objection, Part},
    violation::Violation,
};
use crate::{observation::Observation, plan::Plan, policy::Policy};

/// A plan that holds every invariant: the only thing that can be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[must_use = "a checked plan does nothing until it is applied"]
pub struct CheckedPlan(Plan);

impl CheckedPlan {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.0
    }
}

/// The answer to a plan that breaks an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The objections to the plan as it was.
    pub objections: BTreeSet<Objection>,
    /// The plan without the parts objected to and without those that depend on them. Its findings
    /// name each of these.
    pub remaining: CheckedPlan,
}

impl Rejection {
    /// The violations, each once.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        let violations: BTreeSet<_> = self.objections.iter().map(|objection| objection.violation.clone()).collect();
        violations.into_iter().collect()
    }
}

/// Verifies a plan against the observation that it was made from.
///
/// # Errors
/// A [`Rejection`], with the part of the plan that may still be carried out.
pub fn check(plan: Plan, seen: &Observation, policy: &Policy) -> Result<CheckedPlan, Box<Rejection>> {
    let evidence = Evidence::of(seen, policy);
    let objections = objections(&plan, &evidence);
    if objections.is_empty() {
        return Ok(CheckedPlan(plan));
    }
    let remaining = CheckedPlan(remaining::remaining(&plan, &evidence, &objections));
    Err(Box::new(Rejection { objections, remaining }))
}

fn objections(plan: &Plan, evidence: &Evidence<'_>) -> BTreeSet<Objection> {
    let checker = Checker { plan, evidence };
    let mut found = BTreeSet::new();
    checker.pairs(&mut found);
    checker.cidrs(&mut found);
    checker.names(&mut found);
    checker.stores(&mut found);
    checker.interfaces(&mut found);
    checker.window(&mut found);
    checker.deletions(&mut found);
    checker.decisions(&mut found);
    checker.copies(&mut found);
    checker.identities(&mut found);
    found
}

/// A plan beside the evidence that it is judged by.
struct Checker<'plan> {
    plan: &'plan Plan,
    evidence: &'plan Evidence<'plan>,
}

impl Checker<'_> {
    /// Every instance and store in scope that share a name have a verdict.
    fn decisions(&self, found: &mut BTreeSet<Objection>) {
        let Evidence { seen, by_name, .. } = self.evidence;
        let decided: BTreeSet<_> =
            self.plan.decisions.iter().map(|decision| (&decision.instance, &decision.store)).collect();
        for store in self.evidence.stores.values().filter(|store| store.is_in(&seen.vpc)) {
            let sharing = store.settings.connect.names().filter_map(|name| by_name.get(name)).flatten();
            for instance in sharing.filter_map(|id| self.evidence.instance(id)) {
                let in_scope = seen.scope.has_instance(&instance.id) || seen.scope.has_store(&store.arn);
                if in_scope && !decided.contains(&(&instance.id, &store.arn)) {
                    let (instance, store) = (instance.id.clone(), store.arn.clone());
                    Objections::to(Part::Verdict(instance.clone(), store.clone()), found)
                        .insert(Violation::Undecided { instance, store });
                }
            }
        }
    }
}
