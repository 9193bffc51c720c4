//! The messages that follow from a run: for the same work to go on, for another look, and for the status tags of others.

use std::{collections::BTreeSet, time::Duration};

use tagwire_core::{
    event::Hint,
    id::{InstanceId, StoreArn},
    observation::{Observation, Scope},
    plan::{Plan, Verdict},
    work::{Again, Request, Tries, VERSION, WorkItem},
};

use super::{
    run::{Conclusion, VpcRun},
    unsettled::Unsettled,
};
use crate::{
    apply::Outcome,
    cloud::{Change, Clock, CloudError, EventQueue, Queues},
};

/// How many runs one piece of work may take, one after the other: at a dozen changes or more each, far
/// beyond what a VPC can hold. What is left then is found by the next sweep.
const MOST_CONTINUATIONS: u32 = 500;

impl<C: Change, Q: Queues, K: Clock> VpcRun<'_, C, Q, K> {
    /// Has those looked at whose connections changed and whom the scope did not name, for their status
    /// tags: of them only a part was seen. A change that failed is no change, so a look that can change
    /// nothing any more is the last.
    pub(super) async fn notify_others(&self, seen: &Observation, plan: &Plan, outcome: &Outcome) {
        let changed = plan
            .decisions
            .iter()
            .filter(|decision| matches!(decision.verdict, Verdict::Connecting | Verdict::Disconnecting(_)))
            .filter(|decision| outcome.has_carried_out(&decision.instance, &decision.store));
        let (mut instances, mut stores) = (BTreeSet::new(), BTreeSet::new());
        for decision in changed {
            if !seen.scope.has_instance(&decision.instance) {
                instances.insert(decision.instance.clone());
            }
            if !seen.scope.has_store(&decision.store) {
                stores.insert(decision.store.clone());
            }
        }
        if instances.is_empty() && stores.is_empty() {
            return;
        }
        let scope = Scope::Some { instances, stores };
        let item = self.item(scope, Tries::first(self.context.clock.now()));
        if let Err(error) = self.context.send_work(&item).await {
            self.report_others_wait(&error);
        }
    }

    fn item(&self, scope: Scope, tries: Tries) -> WorkItem {
        WorkItem {
            version: VERSION,
            vpc: self.batch.vpc.clone(),
            scope,
            cause: self.batch.cause,
            tries,
            request: None,
            tagged_stores: None,
        }
    }

    /// Sends the same work to the end of the VPC's queue: what came in meanwhile is looked at first, so
    /// that a launch never waits behind a long sweep for more than one run.
    pub(super) async fn go_on(&self) -> Result<(), CloudError> {
        let (tries, _) = self.batch.tries.next();
        let request = self.batch.request.clone().map(|request| Request { digest: None, ..request });
        let tagged_stores = self.batch.tagged_stores.clone();
        let item = WorkItem { request, tagged_stores, ..self.item(self.batch.scope.clone(), tries) };
        self.context.send_work(&item).await
    }

    pub(super) fn conclude(&self, unsettled: Unsettled, outcome: &Outcome) -> (Conclusion, String) {
        let failures: Vec<_> = outcome.failures().collect();
        let changes = outcome.changes();
        if failures.is_empty() {
            return self.settle(unsettled, "changed", format!("{changes} changes were made"));
        }
        if outcome.is_unfinished() && self.may_go_on(changes) {
            return (Conclusion::GoesOn, format!("{changes} changes were made before the time ran out; it goes on"));
        }
        let sentence = format!("{changes} changes were made and {} failed or were left", failures.len());
        if failures.iter().any(|failure| failure.passes()) && self.batch.is_asked() {
            return self.settle(unsettled.with_all(self.batch), "failed", sentence);
        }
        // AWS lets go of a group only a while after its last wearer, so this is how a removal usually begins.
        if self.batch.request.is_some() && failures.iter().all(|failure| failure.passes()) {
            let sentence = format!("{sentence}; it passes by itself, and the next sweep goes on");
            return (Conclusion::Done("left-to-sweep"), sentence);
        }
        if outcome.is_unfinished() {
            return (Conclusion::Done("left-to-sweep"), format!("{sentence}; the next sweep goes on"));
        }
        self.settle(unsettled, "failed", sentence)
    }

    /// Whether what is left may go on at once. With nothing done that would stand where this run did, unless
    /// this run had to share its time, in which case the next has more for what was not tried.
    fn may_go_on(&self, changes: usize) -> bool {
        let tries = self.batch.tries;
        let is_young = tries.age(self.context.clock.now()) < self.context.give_up_after;
        let may_get_further = changes > 0 || (self.is_shared && tries.attempt == 0);
        may_get_further && is_young && tries.attempt < MOST_CONTINUATIONS
    }

    /// Ends the run, or has the unsettled looked at again.
    pub(super) fn settle(&self, unsettled: Unsettled, code: &'static str, sentence: String) -> (Conclusion, String) {
        let Unsettled { stores, instances, because, only_at_rest } = unsettled;
        let is_cut_off = self.is_shared && self.context.clock.now() >= self.cloud.deadline();
        if is_cut_off && !self.batch.is_asked() && self.batch.tries.attempt == 0 {
            return (Conclusion::GoesOn, format!("{sentence}; it goes on, because it had to share its time"));
        }
        if stores.is_empty() && instances.is_empty() {
            return (Conclusion::Done(code), sentence);
        }
        if !self.batch.is_asked() {
            return (Conclusion::Done(code), format!("{sentence}; the next sweep looks again, because {because}"));
        }
        if self.batch.tries.age(self.context.clock.now()) >= self.context.give_up_after {
            if only_at_rest {
                let sentence =
                    format!("{sentence}; a data store that is stopped or paused is looked at when it is started");
                return (Conclusion::Done("left-to-sweep"), sentence);
            }
            return (
                Conclusion::Done("gave-up"),
                format!("{sentence}; it has been tried for too long and is left to the sweep: {because}"),
            );
        }
        (Conclusion::Later { stores, instances }, format!("{sentence}; it is looked at again, because {because}"))
    }

    pub(super) async fn send_again(
        &self,
        stores: BTreeSet<StoreArn>,
        instances: BTreeSet<InstanceId>,
    ) -> Result<(), CloudError> {
        let (tries, delay): (Tries, Duration) = self.batch.tries.next();
        let queues: [(EventQueue, BTreeSet<Hint>); 2] = [
            (EventQueue::Stores, stores.into_iter().map(Hint::Store).collect()),
            (EventQueue::Instances, instances.into_iter().map(Hint::Instance).collect()),
        ];
        for (queue, hints) in queues.into_iter().filter(|(_, hints)| !hints.is_empty()) {
            let again = Again { version: VERSION, hints, cause: self.batch.cause, tries };
            self.context.send_again(queue, &again, delay).await?;
        }
        Ok(())
    }
}
