//! The log lines of a run, and the answer to a request.

use tagwire_core::{
    check::Violation,
    observation::Observation,
    plan::{Plan, Verdict},
    work::Answer,
};

use super::{batch::BatchKind, run::VpcRun};
use crate::{
    apply::{Outcome, StepFailure},
    cloud::{Change, Clock, CloudError, ErrorKind, Queues},
    handlers::refusals,
};

impl<C: Change, Q: Queues, K: Clock> VpcRun<'_, C, Q, K> {
    /// Answers the request, if there is one.
    pub(super) async fn answer(&self, code: &str, sentence: &str) {
        let Some(request) = &self.batch.request else { return };
        let answer = Answer { code: code.to_owned(), message: sentence.to_owned(), at: self.context.clock.now() };
        if let Err(error) = self.records().answer_request(&self.batch.vpc, &request.id, &answer).await {
            tracing::warn!(
                record = "finding", function = self.context.function, vpc = %self.batch.vpc, code = "result-not-written",
                "the answer to the request {} could not be written: {error}", request.id
            );
        }
    }

    pub(super) fn report_violations(&self, violations: &[Violation]) {
        let (function, vpc) = (self.context.function, &self.batch.vpc);
        for violation in violations {
            tracing::error!(record = "violation", function, %vpc, "{violation}");
        }
    }

    pub(super) fn report_not_reserved(&self, error: &CloudError) {
        tracing::error!(
            record = "finding", function = self.context.function, vpc = %self.batch.vpc, code = "window-not-reserved",
            "the removals could not be counted, so none is made that has to be: {error}"
        );
        self.report_refused("count removals", error, "what is not asked for any more stays connected");
    }

    pub(super) fn report_notes_lost(&self, count: usize, error: &CloudError) {
        tracing::warn!(
            record = "finding", function = self.context.function, vpc = %self.batch.vpc, code = "notes-not-written",
            "{count} notes were lost, which can only delay a removal: {error}"
        );
        self.report_refused("write notes", error, "removals are delayed, and unused groups stay");
    }

    pub(super) fn report_others_wait(&self, error: &CloudError) {
        tracing::warn!(
            record = "finding", function = self.context.function, vpc = %self.batch.vpc, code = "not-sent",
            "the status tags of others wait for the next sweep: {error}"
        );
    }

    pub(super) fn report_plan(&self, plan: &Plan) {
        let (function, vpc) = (self.context.function, &self.batch.vpc);
        for decision in &plan.decisions {
            let (code, sentence) = match &decision.verdict {
                Verdict::Connected(via) => {
                    ("connected", format!("through {} and {}", via.instance_side, via.store_side))
                }
                Verdict::Connecting => ("connecting", "this plan connects it".to_owned()),
                Verdict::Waiting(reason) | Verdict::Refused(reason) => (reason.code(), reason.to_string()),
                Verdict::Disconnecting(reason) => (
                    "disconnecting",
                    format!("{reason}; connections that are open already stay open until they are closed"),
                ),
                Verdict::HeldBack(reason) => ("disconnects-held-back", format!("it has to wait: {reason}")),
            };
            tracing::info!(
                record = "decision", function, %vpc, instance = %decision.instance, store = %decision.store, code, "{sentence}"
            );
        }
        for finding in &plan.findings {
            tracing::info!(
                record = "finding", function, %vpc, subject = %finding.subject, code = finding.reason.code(), "{}", finding.reason
            );
        }
        for change in plan.changes() {
            tracing::info!(record = "planned", function, %vpc, "{change}");
        }
    }

    fn is_sweep(&self) -> bool {
        self.batch.kind == BatchKind::Sweep
    }

    fn report_refused(&self, doing: &str, error: &CloudError, consequence: &str) {
        if self.is_sweep() {
            refusals::refused(self.context.function, self.batch.vpc.as_str(), doing, error, consequence);
        }
    }

    pub(super) fn report_unreadable(&self, seen: &Observation) {
        if self.is_sweep() {
            refusals::unreadable(self.context.function, Some(self.batch.vpc.as_str()), seen.gaps());
        }
    }

    /// Reports the steps that no further try will help. A person whose request it was gets the answer, and an event's
    /// next try is the sweep.
    pub(super) fn report_refusals(&self, outcome: &Outcome) {
        for step in &outcome.steps {
            match &step.result {
                Err(StepFailure::Cloud { error }) => {
                    let consequence = if step.action.takes_away() {
                        "what it would take away stays, and whoever was connected through it stays connected"
                    } else {
                        "what needs it is not connected"
                    };
                    self.report_refused(&step.action.to_string(), error, consequence);
                }
                Err(StepFailure::Unread { gap }) if self.is_sweep() => {
                    refusals::unreadable(self.context.function, Some(self.batch.vpc.as_str()), [gap.as_ref()]);
                }
                Ok(_) | Err(_) => {}
            }
        }
    }

    pub(super) fn report_outcome(&self, outcome: &Outcome) {
        let (function, vpc) = (self.context.function, &self.batch.vpc);
        for step in &outcome.steps {
            match &step.result {
                Ok(ensure) => tracing::info!(record = "step", function, %vpc, result = ?ensure, "{}", step.action),
                // AWS lets go of a group a while after its last wearer is gone.
                Err(StepFailure::Cloud { error }) if error.kind == ErrorKind::InUse => tracing::info!(
                    record = "step", function, %vpc, code = "in-use", passes = true,
                    "could not {} yet: {error}", step.action
                ),
                Err(StepFailure::OutOfTime) => {
                    tracing::info!(record = "step", function, %vpc, code = "out-of-time", "left: {}", step.action);
                }
                Err(failure) => tracing::error!(
                    record = "step", function, %vpc, code = failure.code(), passes = failure.passes(),
                    "could not {}: {failure}", step.action
                ),
            }
        }
    }
}
