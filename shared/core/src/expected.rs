//! The observation that a completely carried out plan leads to. A completed apply is verified
//! against it, and every test plans again on it: that plan must be empty.

use crate::{check::CheckedPlan, observation::Observation, plan::carried_out::carried_out};

/// The observation that a completed run of `plan` leads to.
#[must_use]
pub fn expected(seen: &Observation, plan: &CheckedPlan) -> Observation {
    carried_out(seen, plan.plan())
}
