//! `connect`: the only thing that changes EC2 or a data store. Its queue is FIFO by VPC, which
//! makes it the only writer in a VPC.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use tagwire_core::{
    check::{CheckedPlan, check},
    event::Hint,
    id::{InstanceId, RequestId, StoreArn, VpcId},
    observation::{Observation, Scope},
    plan::{Plan, Verdict, plan},
    policy::Mode,
    state::Note,
    work::{Again, Answer, Cause, Request, RequestKind, Tries, VERSION, WorkItem},
};

use super::{Context, Failed, INSTANCE_MAY_BE_MISSING, Message, Settings, latest_tries, outcome};
use crate::{
    apply::{Failure, Outcome, apply},
    cloud::{Change, Clock, CloudError, ErrorKind, Line, Queues},
    observe::observe,
    paced::Paced,
};

/// How often a plan is made anew because a group name turned out to be somebody else's. Only a
/// name that differs from ours in case costs a round, for all others are read beforehand; a round
/// waits seconds for a group of our own to show under that name, so no more of them fit into the
/// function's time.
const ROUNDS: usize = 5;

/// The least time that makes it worth beginning with a VPC: an observation, and a plan's calls
/// one after the other.
const LEAST_TIME: Duration = Duration::from_secs(5);

/// Carries out a batch of work, merged by VPC: one observation for each, however many items, and another
/// when a sweep is among them, which comes last.
///
/// What failed and may pass is sent back through the delay and acknowledged, so that one VPC never
/// blocks another, nor itself. Only what was not looked at is reported as failed.
pub async fn connect<C: Change, Q: Queues, K: Clock>(
    context: &Context<'_, C, Q, K>,
    settings: &Settings,
    messages: &[Message],
) -> Failed {
    let mut failed = Failed::new();
    let batches = read(context.function, messages);
    let mut left = batches.len();
    for (Key { vpc, .. }, batch) in batches {
        let now = context.clock.now();
        let time = Duration::try_from(context.deadline.duration_since(now)).unwrap_or_default();
        if time < LEAST_TIME {
            tracing::warn!(function = context.function, %vpc, "no time is left for this VPC; its work is delivered again");
            failed.extend(batch.messages);
            continue;
        }
        let share = time / u32::try_from(left).unwrap_or(u32::MAX).max(1);
        left -= 1;
        let deadline = now.checked_add(share).unwrap_or(context.deadline);
        let run = Run { context, settings, cloud: context.paced(deadline), vpc: &vpc, batch: &batch };
        let (code, sentence) = Box::pin(run.run()).await;
        let result = match code {
            Code::Done(code) => Ok(code),
            Code::Later { stores, instances } => run.send_again(stores, instances).await.map(|()| "looked-at-again"),
            Code::GoesOn => run.go_on().await.map(|()| "goes-on"),
        };
        if let Ok(code) = &result {
            run.answer_request(code, &sentence).await;
        }
        for message in &batch.messages {
            match &result {
                Ok(code) => outcome(context.function, message, code, vpc.as_str(), &sentence),
                Err(error) => {
                    tracing::error!(
                        record = "outcome",
                        function = context.function,
                        event = message,
                        code = "not-sent",
                        subject = vpc.as_str(),
                        "{sentence}; {error}; the message is delivered again"
                    );
                    failed.insert(message.clone());
                }
            }
        }
    }
    failed
}

/// How many runs one piece of work may take, one after the other: at a dozen changes or more each, far
/// beyond what a VPC can hold. What is left then is found by the next sweep.
const MOST_CONTINUATIONS: u32 = 500;

/// Work that is done together.
struct Batch {
    scope: Scope,
    cause: Cause,
    tries: Tries,
    request: Option<Request>,
    messages: Vec<String>,
}

impl Batch {
    /// Whether something was asked for by name, which is looked at again until it is settled. What a
    /// sweep could not settle the next one will, and a chain of messages for each would only grow.
    fn is_asked(&self) -> bool {
        self.scope != Scope::Vpc
    }
}

/// What is merged is of one kind: a launch would have to take its turn among everything that a sweep
/// finds, and a plan that somebody agreed to must not grow. In the order in which they are worked on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Asked,
    Requested(RequestId),
    Sweep,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: Kind,
    vpc: VpcId,
}

fn read(function: &str, messages: &[Message]) -> BTreeMap<Key, Batch> {
    let mut batches: BTreeMap<Key, Batch> = BTreeMap::new();
    for message in messages {
        let item = match serde_json::from_str::<WorkItem>(&message.body) {
            Ok(item) if item.version == VERSION => item,
            other => {
                let problem = other.map_or_else(
                    |error| error.to_string(),
                    |item| format!("version {} is not {VERSION}", item.version),
                );
                let body = message.beginning();
                tracing::error!(
                    record = "outcome",
                    function,
                    event = message.id,
                    code = "message-unreadable",
                    body,
                    "a work item cannot be read: {problem}; it is consumed, and the next sweep looks at its VPC"
                );
                continue;
            }
        };
        let kind = match &item.request {
            Some(request) => Kind::Requested(request.id.clone()),
            None if item.scope == Scope::Vpc => Kind::Sweep,
            None => Kind::Asked,
        };
        let key = Key { kind, vpc: item.vpc };
        let batch = match batches.remove(&key) {
            None => Batch {
                scope: item.scope,
                cause: item.cause,
                tries: item.tries,
                request: item.request,
                messages: vec![message.id.clone()],
            },
            Some(mut batch) => {
                // A tag change is looked into even when the tag is gone, so it wins over other causes.
                if item.cause == Cause::TagChange {
                    batch.cause = item.cause;
                }
                batch.tries = latest_tries(batch.tries, item.tries);
                batch.scope = batch.scope.merged(item.scope);
                batch.messages.push(message.id.clone());
                batch
            }
        };
        batches.insert(key, batch);
    }
    batches
}

/// What became of a VPC's work.
enum Code {
    /// Nothing is left to do.
    Done(&'static str),
    /// These have to be looked at again.
    Later { stores: BTreeSet<StoreArn>, instances: BTreeSet<InstanceId> },
    /// The time ran out in the middle, and the same work goes on behind what else waits for the VPC.
    GoesOn,
}

struct Run<'run, C, Q, K> {
    context: &'run Context<'run, C, Q, K>,
    settings: &'run Settings,
    cloud: Paced<'run, C, K>,
    vpc: &'run VpcId,
    batch: &'run Batch,
}

impl<C: Change, Q: Queues, K: Clock> Run<'_, C, Q, K> {
    async fn run(&self) -> (Code, String) {
        let mut taken_names = BTreeSet::new();
        let mut rounds = 0;
        loop {
            rounds += 1;
            let at = self.context.clock.now();
            let scope = self.batch.scope.clone();
            let mut seen = Box::pin(observe(&self.cloud, self.vpc, scope, at, taken_names.clone())).await;
            let asked_for = match self.apply_request(&mut seen) {
                Ok(note) => note,
                Err(sentence) => return (Code::Done("failed"), sentence),
            };
            let mut checked = self.decide(&seen);
            if rounds == 1
                && let Some(sentence) = self.differs(checked.plan())
            {
                return (Code::Done("plan-changed"), sentence);
            }
            if let Some(note) = asked_for
                && self.settings.mode == Mode::Enforce
                && let Err(error) = self.cloud.write_notes(self.vpc, &[note]).await
            {
                let sentence = format!("what was asked for could not be written down, so nothing was done: {error}");
                return (Code::Done("failed"), sentence);
            }
            let mut may_be_counted_later = false;
            if self.settings.mode == Mode::Enforce
                && let Err(error) = self.reserve_window(checked.plan()).await
            {
                tracing::error!(
                    record = "finding", function = self.context.function, vpc = %self.vpc, code = "window-not-reserved",
                    "the removals could not be counted, so none is made that has to be: {error}"
                );
                if let Ok(state) = &mut seen.state {
                    let policy = &self.settings.policy;
                    state.window = state.window.with(policy.max_disconnects, at, policy);
                }
                may_be_counted_later = error.kind.passes();
                checked = self.decide(&seen);
            }
            let plan = checked.plan();
            self.report_plan(plan);
            let mut unsettled = Unsettled::of(&seen, plan, at, self.batch);
            if may_be_counted_later {
                unsettled = unsettled.with_all(self.batch);
            }
            if self.settings.mode == Mode::DryRun {
                if plan.is_empty() {
                    return self.settle(unsettled, "unchanged", "nothing had to be changed".to_owned());
                }
                let sentence = format!("dry run: {} changes were planned and none was made", plan.changes().len());
                return self.settle(unsettled, "dry-run", sentence);
            }
            self.write_notes(&self.with_sweep(plan, &seen)).await;
            if plan.is_empty() {
                return self.settle(unsettled, "unchanged", "nothing had to be changed".to_owned());
            }
            let policy = &self.settings.policy;
            let deadline = self.cloud.deadline();
            let outcome = Box::pin(apply(&self.cloud, &self.cloud, &seen, &checked, policy, deadline)).await;
            self.report_outcome(&outcome);
            self.write_notes(&outcome.notes).await;
            let more = outcome.taken_names();
            if !more.is_empty() && rounds < ROUNDS {
                taken_names.extend(more);
                continue;
            }
            if policy.status_tags
                && let Err(error) = self.tell_the_others(&seen, plan).await
            {
                tracing::warn!(
                    record = "finding", function = self.context.function, vpc = %self.vpc, code = "not-sent",
                    "the status tags of others wait for the next sweep: {error}"
                );
            }
            return self.conclude(unsettled, &outcome);
        }
    }

    /// Takes into account what the request asks for beside a look; what is to be remembered of it before
    /// anything is done. It is an error when that cannot be.
    fn apply_request(&self, seen: &mut Observation) -> Result<Option<Note>, String> {
        let kind = match self.batch.request.as_ref().map(|request| request.kind) {
            None | Some(RequestKind::Apply) => return Ok(None),
            Some(kind @ (RequestKind::Uninstall | RequestKind::CancelUninstall)) => kind,
        };
        match &mut seen.state {
            Ok(state) => {
                state.apply_request(kind, seen.at);
                Ok(Some(Note::Uninstalling(state.uninstalling)))
            }
            Err(gap) => Err(format!("the state table could not be read, so nothing was done: {gap}")),
        }
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

    /// Tells whoever asked what became of it.
    async fn answer_request(&self, code: &str, sentence: &str) {
        let Some(request) = &self.batch.request else { return };
        let answer = Answer { code: code.to_owned(), message: sentence.to_owned(), at: self.context.clock.now() };
        if let Err(error) = self.cloud.answer_request(self.vpc, &request.id, &answer).await {
            tracing::warn!(
                record = "finding", function = self.context.function, vpc = %self.vpc, code = "not-told",
                "whoever made the request {} is not told what became of it: {error}", request.id
            );
        }
    }

    /// The plan, checked: without the parts that break an invariant, which its findings name.
    fn decide(&self, seen: &Observation) -> CheckedPlan {
        let policy = &self.settings.policy;
        check(plan(seen, policy), seen, policy).unwrap_or_else(|rejection| {
            for violation in rejection.violations() {
                tracing::error!(record = "violation", function = self.context.function, vpc = %self.vpc, "{violation}");
            }
            rejection.remaining
        })
    }

    /// Counts the plan's removals before they are made.
    async fn reserve_window(&self, plan: &Plan) -> Result<(), CloudError> {
        match &plan.window {
            Some(window) => self.cloud.reserve_window(self.vpc, window).await,
            None => Ok(()),
        }
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
        if let Err(error) = self.cloud.write_notes(self.vpc, notes).await {
            tracing::warn!(
                record = "finding", function = self.context.function, vpc = %self.vpc, code = "not-remembered",
                "{} notes were lost, which can only delay a removal: {error}", notes.len()
            );
        }
    }

    /// Has those looked at whose connections changed and whom the scope did not name, for their status
    /// tags: of them only a part was seen. The second look changes no connection, so it ends there.
    async fn tell_the_others(&self, seen: &Observation, plan: &Plan) -> Result<(), CloudError> {
        let changing = plan
            .decisions
            .iter()
            .filter(|decision| matches!(decision.verdict, Verdict::Connecting | Verdict::Disconnecting(_)));
        let (mut instances, mut stores) = (BTreeSet::new(), BTreeSet::new());
        for decision in changing {
            if !seen.scope.has_instance(&decision.instance) {
                instances.insert(decision.instance.clone());
            }
            if !seen.scope.has_store(&decision.store) {
                stores.insert(decision.store.clone());
            }
        }
        if instances.is_empty() && stores.is_empty() {
            return Ok(());
        }
        let scope = Scope::Some { instances, stores };
        self.context.queues.send_work(&self.item(scope, Tries::first(self.context.clock.now()))).await
    }

    fn item(&self, scope: Scope, tries: Tries) -> WorkItem {
        WorkItem { version: VERSION, vpc: self.vpc.clone(), scope, cause: self.batch.cause, tries, request: None }
    }

    /// Sends the same work to the end of the VPC's line: what came in meanwhile is looked at first, so
    /// that a launch never waits behind a long sweep for more than one run.
    async fn go_on(&self) -> Result<(), CloudError> {
        let (tries, _) = self.batch.tries.next();
        let request = self.batch.request.clone().map(|request| Request { digest: None, ..request });
        let item = WorkItem { request, ..self.item(self.batch.scope.clone(), tries) };
        self.context.queues.send_work(&item).await
    }

    fn conclude(&self, unsettled: Unsettled, outcome: &Outcome) -> (Code, String) {
        let failures: Vec<_> = outcome.failures().collect();
        let changes = outcome.changes();
        if failures.is_empty() {
            return self.settle(unsettled, "changed", format!("{changes} changes were made"));
        }
        // With nothing done, going on would stand where this run did.
        let young = self.batch.tries.age(self.context.clock.now()) < self.context.give_up_after;
        if outcome.is_unfinished() && changes > 0 && young && self.batch.tries.attempt < MOST_CONTINUATIONS {
            return (Code::GoesOn, format!("{changes} changes were made before the time ran out; it goes on"));
        }
        let sentence = format!("{changes} changes were made and {} failed or were left", failures.len());
        if failures.iter().any(|failure| failure.passes()) && self.batch.is_asked() {
            return self.settle(unsettled.with_all(self.batch), "failed", sentence);
        }
        // AWS lets go of a group only a while after its last attached, so this is how a removal usually begins.
        if self.batch.request.is_some() && failures.iter().all(|failure| failure.passes()) {
            return (
                Code::Done("left-to-sweep"),
                format!("{sentence}; it passes by itself, and the next sweep goes on"),
            );
        }
        if outcome.is_unfinished() {
            return (Code::Done("left-to-sweep"), format!("{sentence}; the next sweep goes on"));
        }
        self.settle(unsettled, "failed", sentence)
    }

    /// Ends the run, or has the unsettled looked at again.
    fn settle(&self, unsettled: Unsettled, code: &'static str, sentence: String) -> (Code, String) {
        let Unsettled { stores, instances, reason } = unsettled;
        if stores.is_empty() && instances.is_empty() {
            return (Code::Done(code), sentence);
        }
        if !self.batch.is_asked() {
            return (Code::Done(code), format!("{sentence}; the next sweep looks again, because {reason}"));
        }
        if self.batch.tries.age(self.context.clock.now()) >= self.context.give_up_after {
            return (
                Code::Done("gave-up"),
                format!("{sentence}; it has been tried for too long and is left to the sweep: {reason}"),
            );
        }
        (Code::Later { stores, instances }, format!("{sentence}; it is looked at again, because {reason}"))
    }

    async fn send_again(&self, stores: BTreeSet<StoreArn>, instances: BTreeSet<InstanceId>) -> Result<(), CloudError> {
        let (tries, delay) = self.batch.tries.next();
        let lines: [(Line, BTreeSet<Hint>); 2] = [
            (Line::Stores, stores.into_iter().map(Hint::Store).collect()),
            (Line::Instances, instances.into_iter().map(Hint::Instance).collect()),
        ];
        for (line, hints) in lines.into_iter().filter(|(_, hints)| !hints.is_empty()) {
            let again = Again { version: VERSION, hints, cause: self.batch.cause, tries };
            self.context.queues.send_again(line, &again, delay).await?;
        }
        Ok(())
    }

    fn report_plan(&self, plan: &Plan) {
        let function = self.context.function;
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
                record = "decision", function, vpc = %self.vpc, instance = %decision.instance, store = %decision.store, code, "{sentence}"
            );
        }
        for finding in &plan.findings {
            tracing::info!(
                record = "finding", function, vpc = %self.vpc, subject = %finding.subject, code = finding.reason.code(), "{}", finding.reason
            );
        }
        for change in plan.changes() {
            tracing::info!(record = "planned", function, vpc = %self.vpc, "{change}");
        }
    }

    fn report_outcome(&self, outcome: &Outcome) {
        let function = self.context.function;
        for step in &outcome.steps {
            match &step.result {
                Ok(ensure) => {
                    tracing::info!(record = "step", function, vpc = %self.vpc, result = ?ensure, "{}", step.action);
                }
                // AWS lets go of a group a while after its last attached is gone.
                Err(Failure::Cloud { error }) if error.kind == ErrorKind::InUse => tracing::info!(
                    record = "step", function, vpc = %self.vpc, code = "in-use", passes = true,
                    "could not {} yet: {error}", step.action
                ),
                Err(Failure::OutOfTime) => {
                    tracing::info!(record = "step", function, vpc = %self.vpc, code = "out-of-time", "left: {}", step.action);
                }
                Err(failure) => tracing::error!(
                    record = "step", function, vpc = %self.vpc, code = failure.code(), passes = failure.passes(),
                    "could not {}: {failure}", step.action
                ),
            }
        }
    }
}

/// What may be different in a while with nobody doing anything.
struct Unsettled {
    stores: BTreeSet<StoreArn>,
    instances: BTreeSet<InstanceId>,
    reason: String,
}

impl Unsettled {
    fn of(seen: &Observation, plan: &Plan, now: Timestamp, batch: &Batch) -> Self {
        let mut unsettled =
            Self { stores: plan.stores_to_revisit(), instances: BTreeSet::new(), reason: String::new() };
        let mut reasons = BTreeSet::new();
        if !unsettled.stores.is_empty() {
            reasons.insert("a data store cannot be changed yet".to_owned());
        }
        if let Scope::Some { instances, .. } = &seen.scope {
            let found: BTreeSet<&InstanceId> = seen.instances.found.iter().map(|instance| &instance.id).collect();
            let missing: BTreeSet<_> = instances.iter().filter(|id| !found.contains(id)).cloned().collect();
            if !missing.is_empty() && batch.tries.age(now) < INSTANCE_MAY_BE_MISSING {
                reasons.insert("an instance cannot be seen yet".to_owned());
                unsettled.instances.extend(missing);
            }
        }
        if let Some(gap) = seen.gaps().find(|gap| gap.passing) {
            reasons.insert(format!("something could not be read ({gap})"));
            unsettled = unsettled.with_all(batch);
        }
        unsettled.reason = reasons.into_iter().collect::<Vec<_>>().join(", and ");
        unsettled
    }

    /// Everything that was asked for is unsettled.
    fn with_all(mut self, batch: &Batch) -> Self {
        if let Scope::Some { instances, stores } = &batch.scope {
            self.instances.extend(instances.iter().cloned());
            self.stores.extend(stores.iter().cloned());
        }
        if self.reason.is_empty() {
            "a call failed that may succeed later".clone_into(&mut self.reason);
        }
        self
    }
}
