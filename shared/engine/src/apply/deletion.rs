//! Undoing what nothing uses any more: cross references → groups.

use futures_util::future::join_all;
use tagwire_core::{group::GroupName, id::StoreId, plan::Deletion, state::Note};

use super::{Ensure, PAIRS_AT_ONCE, Stages, StepAction, StepFailure, StepOutcome, groups::revoke};
use crate::cloud::{Change, Clock, ErrorKind};

impl<C: Change, K: Clock> Stages<'_, C, K> {
    pub(super) async fn deletions(&mut self, all: Vec<(&StoreId, &Deletion)>) {
        for portion in all.chunks(PAIRS_AT_ONCE) {
            let has_time = self.has_time();
            let mut undone = Vec::new();
            for (id, deletion) in portion {
                if !has_time || self.ready.still_attached.contains(*id) {
                    let failure = || if has_time { StepFailure::StillAttached } else { StepFailure::OutOfTime };
                    let actions = deletion.delete.iter().map(|group| StepAction::Delete { group: group.id().clone() });
                    self.outcome.steps.extend(actions.map(|action| StepOutcome { action, result: Err(failure()) }));
                } else {
                    undone.push(undo(self.cloud, deletion));
                }
            }
            for step in join_all(undone).await.into_iter().flatten() {
                if let (StepAction::Delete { group }, Ok(_)) = (&step.action, &step.result) {
                    self.forget(Note::Unused(group.clone(), None));
                    // That AWS does not know it may mean that it does not know it everywhere yet.
                    let named = self.seen.groups.found.iter().find(|seen| seen.id == *group);
                    if step.result == Ok(Ensure::Done)
                        && let Some(name) = named.and_then(|seen| GroupName::read(&seen.name))
                    {
                        self.forget(Note::Identity(name, None));
                    }
                }
                self.outcome.steps.push(step);
            }
        }
    }
}

/// Takes the groups of a pair out of each other's rules, then deletes them.
async fn undo<C: Change>(cloud: &C, deletion: &Deletion) -> Vec<StepOutcome> {
    let mut steps = join_all(deletion.revoke.iter().map(|(group, rule)| revoke(cloud, group, rule))).await;
    if steps.iter().any(|step| step.result.is_err()) {
        return steps;
    }
    let deleted = deletion.delete.iter().map(async |group| {
        let result = match cloud.delete_group(group).await {
            Ok(()) => Ok(Ensure::Done),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(Ensure::NotNeeded),
            Err(error) => Err(error.into()),
        };
        StepOutcome { action: StepAction::Delete { group: group.id().clone() }, result }
    });
    steps.extend(join_all(deleted).await);
    steps
}
