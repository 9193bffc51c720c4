//! One run in one VPC: observe → plan → check → apply.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use tagwire_core::{
    check::{CheckedPlan, check},
    id::{InstanceId, StoreArn},
    observation::{Observation, Reading, Scope},
    plan::{Plan, plan},
    policy::Mode,
    state::Note,
    work::{Cause, Request, RequestKind},
};

use super::{batch::Batch, unsettled::Unsettled};
use crate::{
    apply::{Allotment, apply},
    cloud::{Change, Clock, Observe, Queues},
    handlers::{ConnectSettings, Context},
    observe::{Look, Region},
    paced::Paced,
};

/// How often a plan is made anew because a group name turned out to be somebody else's. Only a
/// name that differs from ours in case costs a round, for all others are read beforehand; a round
/// waits seconds for a group of our own to show under that name, so no more of them fit into the
/// function's time.
const ROUNDS: usize = 5;

/// The most that writing one record may take. A state table that hangs takes no more of the time of others.
const TIME_TO_RECORD: Duration = Duration::from_secs(2);

/// How a VPC's run ended.
pub(super) enum Conclusion {
    /// Nothing is left to do.
    Done(&'static str),
    /// These have to be looked at again.
    Later { stores: BTreeSet<StoreArn>, instances: BTreeSet<InstanceId> },
    /// The time ran out in the middle, and the same work goes on behind what else waits for the VPC.
    GoesOn,
}

fn failed(sentence: String) -> (Conclusion, String) {
    (Conclusion::Done("failed"), sentence)
}

/// One VPC's work.
pub(super) struct VpcRun<'run, C, Q, K> {
    pub(super) context: &'run Context<'run, C, Q, K>,
    pub(super) settings: &'run ConnectSettings,
    pub(super) region: &'run Region,
    pub(super) batch: &'run Batch,
    /// The cloud until the VPC's share of the time is over.
    pub(super) cloud: Paced<'run, C, K>,
    /// Whether others of the batch take their share of the time.
    pub(super) is_shared: bool,
}

impl<'run, C: Change, Q: Queues, K: Clock> VpcRun<'run, C, Q, K> {
    pub(super) fn new(
        context: &'run Context<'run, C, Q, K>,
        settings: &'run ConnectSettings,
        region: &'run Region,
        batch: &'run Batch,
        until: Timestamp,
        is_shared: bool,
    ) -> Self {
        Self { context, settings, region, batch, cloud: context.paced(until), is_shared }
    }

    /// The cloud for what is written down of the run, also when its share of the time is over.
    pub(super) fn records(&self) -> Paced<'run, C, K> {
        let end = self.context.clock.now().checked_add(TIME_TO_RECORD).unwrap_or(self.context.deadline);
        self.context.paced(end.min(self.context.deadline))
    }

    pub(super) async fn run(&self) -> (Conclusion, String) {
        let mut taken_names = BTreeSet::new();
        let mut round = 0;
        loop {
            round += 1;
            let mut seen = Box::pin(self.observe(taken_names.clone())).await;
            let asked_for = match self.apply_request(&mut seen) {
                Ok(notes) => notes,
                Err(ended) => return ended,
            };
            Box::pin(self.complete(&mut seen)).await;
            let checked = self.decide(&seen);
            if round == 1
                && let Some(sentence) = self.differs(checked.plan())
            {
                return self.refuse(sentence, &asked_for).await;
            }
            if let Err(ended) = self.write_down(&asked_for).await {
                return ended;
            }
            let (checked, may_be_counted_later) = Box::pin(self.reserve_window(&mut seen, checked)).await;
            let plan = checked.plan();
            self.report_plan(plan);
            self.report_unreadable(&seen);
            let mut unsettled = Unsettled::of(&seen, plan, self.batch);
            if may_be_counted_later {
                unsettled = unsettled.with_all(self.batch);
            }
            if self.settings.mode == Mode::Enforce {
                self.write_notes(&self.with_sweep(plan, &seen)).await;
            }
            if plan.is_empty() {
                return self.settle(unsettled, "unchanged", "nothing had to be changed".to_owned());
            }
            if self.settings.mode == Mode::DryRun {
                let sentence = format!("dry run: {} changes were planned and none was made", plan.changes().len());
                return self.settle(unsettled, "dry-run", sentence);
            }
            let policy = &self.settings.policy;
            let time = Allotment { until: self.cloud.deadline(), is_shared: self.is_shared };
            let outcome = Box::pin(apply(&self.cloud, &self.cloud, &seen, &checked, policy, time)).await;
            self.report_outcome(&outcome);
            self.report_refusals(&outcome);
            self.write_notes(&outcome.notes).await;
            let more = outcome.taken_names();
            if !more.is_empty() && round < ROUNDS {
                taken_names.extend(more);
                continue;
            }
            if policy.status_tags {
                self.notify_others(&seen, plan, &outcome).await;
            }
            return self.conclude(unsettled, &outcome);
        }
    }

    async fn observe(&self, taken_names: BTreeSet<String>) -> Observation {
        let look = Look {
            vpc: &self.batch.vpc,
            scope: self.batch.scope.clone(),
            at: self.context.clock.now(),
            taken_names,
            tagged_stores: self.batch.tagged_stores.as_ref(),
        };
        look.observe(&self.cloud, self.region).await
    }

    /// Reads the launch templates, which takes as many calls as there are pages of them, only when it makes a
    /// difference that none of them names a group.
    async fn complete(&self, seen: &mut Observation) {
        if seen.attachments.of.is_empty() {
            return;
        }
        let without = plan(seen, &self.settings.policy);
        seen.launch_templates = Some(Reading::default());
        let matters = plan(seen, &self.settings.policy) != without;
        seen.launch_templates = if matters { Some(self.cloud.launch_template_groups().await) } else { None };
    }

    /// Takes into account what the request asks for beside a look; what is to be written down of it before
    /// anything is done. It is an error when that cannot be, and when a later request has taken its place:
    /// the last word of a person holds, whatever is left of an earlier one's work.
    fn apply_request(&self, seen: &mut Observation) -> Result<Vec<Note>, (Conclusion, String)> {
        let Some(request) = &self.batch.request else { return Ok(Vec::new()) };
        if request.kind == RequestKind::Apply {
            return Ok(Vec::new());
        }
        let at = seen.at;
        let state = match &mut seen.state {
            Ok(state) => state,
            Err(gap) => {
                return Err(failed(format!("the state table could not be read, so nothing was done: {gap}")));
            }
        };
        if self.batch.is_continuation() {
            let sentence = "another request came later, and its word holds; nothing more is done for this one";
            let is_last = state.last_request.as_ref() == Some(&request.id);
            return if is_last { Ok(Vec::new()) } else { Err((Conclusion::Done("superseded"), sentence.to_owned())) };
        }
        state.apply_request(request.kind, at);
        Ok(vec![Note::Uninstalling(state.uninstalling), Note::Requested(request.id.clone(), at)])
    }

    /// Whether the plan is another one than the person agreed to who asked for it. That there is nothing
    /// to do any more is no other plan.
    fn differs(&self, plan: &Plan) -> Option<String> {
        let agreed = self.batch.request.as_ref()?.digest.as_ref()?;
        let made = plan.digest();
        (*agreed != made && !plan.is_empty()).then(|| {
            format!(
                "nothing was changed: the plan that was agreed to has the digest {agreed}, and the one of now {made}"
            )
        })
    }

    /// Refuses a plan that nobody agreed to. A cancel is written down all the same: it takes nothing away, and an
    /// uninstall that goes on would otherwise change the plan before each cancel, and never be stopped.
    async fn refuse(&self, sentence: String, asked_for: &[Note]) -> (Conclusion, String) {
        let is_cancel = |request: &Request| request.kind == RequestKind::CancelUninstall;
        if !self.batch.request.as_ref().is_some_and(is_cancel) {
            return (Conclusion::Done("plan-changed"), sentence);
        }
        if let Err(ended) = self.write_down(asked_for).await {
            return ended;
        }
        (Conclusion::Done("plan-changed"), format!("{sentence}; the uninstall is cancelled and goes no further"))
    }

    /// Writes down what a request asks for before anything is done.
    async fn write_down(&self, asked_for: &[Note]) -> Result<(), (Conclusion, String)> {
        if asked_for.is_empty() || self.settings.mode != Mode::Enforce {
            return Ok(());
        }
        self.records().write_notes(&self.batch.vpc, asked_for).await.map_err(|error| {
            failed(format!("what was asked for could not be written down, so nothing was done: {error}"))
        })
    }

    /// The plan, checked: without the parts that break an invariant, which its findings name.
    fn decide(&self, seen: &Observation) -> CheckedPlan {
        let policy = &self.settings.policy;
        check(plan(seen, policy), seen, policy).unwrap_or_else(|rejection| {
            self.report_violations(&rejection.violations());
            rejection.remaining
        })
    }

    /// Counts the plan's removals before they are made. When that fails, the plan is made anew without those
    /// that have to be counted; the second value says whether counting may succeed later.
    async fn reserve_window(&self, seen: &mut Observation, checked: CheckedPlan) -> (CheckedPlan, bool) {
        let window = checked.plan().window.as_ref().filter(|_| self.settings.mode == Mode::Enforce);
        let Some(window) = window else { return (checked, false) };
        let Err(error) = self.cloud.reserve_window(&self.batch.vpc, window).await else {
            return (checked, false);
        };
        self.report_not_reserved(&error);
        let (at, policy) = (seen.at, &self.settings.policy);
        if let Ok(state) = &mut seen.state {
            state.window = state.window.used_up(at, policy);
        }
        (self.decide(seen), error.kind.passes())
    }

    /// The plan's notes, and that the VPC was swept, if it was: by that a person sees that the schedule, the
    /// queue and this function do their work.
    fn with_sweep(&self, plan: &Plan, seen: &Observation) -> Vec<Note> {
        let swept = self.batch.cause == Cause::Sweep && seen.scope == Scope::Vpc;
        plan.notes.iter().cloned().chain(swept.then_some(Note::Swept(seen.at))).collect()
    }

    async fn write_notes(&self, notes: &[Note]) {
        if notes.is_empty() {
            return;
        }
        if let Err(error) = self.records().write_notes(&self.batch.vpc, notes).await {
            self.report_notes_lost(notes.len(), &error);
        }
    }
}
