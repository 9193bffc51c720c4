//! Carrying out a checked plan. There is no judgement here. What only takes away comes first, then
//! groups empty → rules → what is too much revoked → stores → interfaces, and at last what undoes a
//! pair: store → cross references → groups. Independent things are done at the same time, a few at
//! once; when the time runs short, the rest is left and reported as left. Lists are read again right before
//! they are replaced, and only our own ids in them change.

mod deletion;
mod groups;
mod lists;
mod step;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::future::join_all;
use jiff::Timestamp;
use tagwire_core::{
    check::CheckedPlan,
    group::{GroupKind, Role},
    id::{InstanceId, SecurityGroupId, StoreArn, StoreId},
    observation::Observation,
    plan::{GroupRef, StatusChange},
    policy::Policy,
    state::{Note, Target},
};

use self::groups::works;
pub use self::step::{Ensure, Outcome, StepAction, StepFailure, StepOutcome};
use crate::cloud::{Change, Clock, CloudError, ErrorKind};

/// How many pairs, and how many lists, are worked on at once: with AWS's five changes a second, a few
/// seconds of work.
const PAIRS_AT_ONCE: usize = 5;
const LISTS_AT_ONCE: usize = 10;
/// The time that has to be left before more is begun: such a portion takes it when every bucket of
/// calls is empty.
const TIME_FOR_MORE: Duration = Duration::from_secs(12);
/// The same for a VPC that shares the function's time with others, and often has less than that: enough
/// unless the buckets are empty.
const SHARED_TIME_FOR_MORE: Duration = Duration::from_secs(2);

/// Until when a plan is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allotment {
    /// The end, shortly before which nothing new is begun.
    pub until: Timestamp,
    /// Whether others take their share of the time.
    pub is_shared: bool,
}

impl Allotment {
    fn time_for_more(self) -> Duration {
        if self.is_shared { SHARED_TIME_FOR_MORE } else { TIME_FOR_MORE }
    }
}

/// Carries out a plan that was made from, and checked against, `seen`, in the time that is allotted to it.
pub async fn apply<C: Change, K: Clock>(
    cloud: &C,
    clock: &K,
    seen: &Observation,
    plan: &CheckedPlan,
    policy: &Policy,
    time: Allotment,
) -> Outcome {
    let plan = plan.plan();
    let mut run = Stages { cloud, clock, seen, policy, time, outcome: Outcome::default(), ready: Ready::default() };
    let (urgent, later): (Vec<_>, Vec<_>) = plan.stores.iter().partition(|(_, change)| change.is_urgent());
    let (leaving, joining): (Vec<_>, Vec<_>) = plan.interfaces.iter().partition(|(_, change)| change.attach.is_empty());
    let (gaining, losing): (Vec<_>, Vec<_>) =
        later.into_iter().partition(|(_, change)| change.attached().next().is_some());

    run.stores(&urgent).await;
    run.interfaces(&lists::by_urgency(leaving)).await;
    run.groups(works(plan)).await;
    run.stores(&gaining).await;
    run.interfaces(&joining).await;
    run.stores(&losing).await;
    run.deletions(plan.deletions.iter().map(|((_, id), deletion)| (id, deletion)).collect()).await;
    run.statuses(&plan.statuses).await;
    Outcome { undone: run.ready.undone, ..run.outcome }
}

/// One plan being carried out.
struct Stages<'run, C, K> {
    cloud: &'run C,
    clock: &'run K,
    seen: &'run Observation,
    policy: &'run Policy,
    time: Allotment,
    outcome: Outcome,
    ready: Ready,
}

impl<C: Change, K: Clock> Stages<'_, C, K> {
    /// Whether another portion may be begun. As long as nothing was changed, the next run would stand where
    /// this one does, so what fails keeps nothing behind it from being tried.
    fn has_time(&self) -> bool {
        let left = Duration::try_from(self.time.until.duration_since(self.clock.now())).unwrap_or_default();
        left >= self.time.time_for_more() || (self.outcome.changes() == 0 && !left.is_zero())
    }

    fn leave(&mut self, action: StepAction) {
        self.outcome.steps.push(StepOutcome { action, result: Err(StepFailure::OutOfTime) });
    }

    /// A status that would not be true is not written: the next run knows more.
    async fn statuses(&mut self, changes: &[StatusChange]) {
        let undone = &self.ready.undone;
        let is_true =
            |change: &&StatusChange| change.awaits.iter().all(|(instance, store)| !undone.concerns(instance, store));
        let changes: Vec<_> = changes.iter().filter(is_true).collect();
        for portion in changes.chunks(LISTS_AT_ONCE) {
            let action =
                |change: &StatusChange| StepAction::Status { of: change.of.clone(), text: change.text.clone() };
            if !self.has_time() {
                for change in portion {
                    self.leave(action(change));
                }
                continue;
            }
            let cloud = self.cloud;
            let steps = portion.iter().map(async |change| StepOutcome {
                action: action(change),
                result: cloud
                    .set_status(&change.of, change.text.as_deref())
                    .await
                    .map(|()| Ensure::Done)
                    .map_err(StepFailure::from),
            });
            let steps = join_all(steps).await;
            self.outcome.steps.extend(steps);
        }
    }

    /// Notes an attachment, unless it is not known how often there was one before: a first one in its place
    /// would end no fight.
    fn attached(&mut self, target: Target, group: SecurityGroupId) {
        if self.seen.state.as_ref().ok().is_some() {
            self.outcome.notes.push(self.seen.attached(target, group));
        }
    }

    /// Notes that an entry is over, if the state table has it at all.
    fn forget(&mut self, note: Note) {
        let is_known = self.seen.state.as_ref().ok().is_some_and(|state| match &note {
            Note::Wanted(removal, _) => state.wanted.contains_key(removal),
            Note::Unused(group, _) => state.unused.contains_key(group),
            Note::Attached(target, group, _) => state.attached.contains_key(&(target.clone(), group.clone())),
            Note::Uninstalling(_) => state.uninstalling.is_some(),
            Note::Requested(..) => state.last_request.is_some(),
            Note::Swept(_) => state.swept.is_some(),
            Note::Identity(name, _) => {
                self.seen.identities.as_ref().is_ok_and(|identities| identities.contains_key(name))
            }
        });
        if is_known {
            self.outcome.notes.push(note);
        }
    }
}

/// The results of earlier steps that later ones use.
#[derive(Default)]
struct Ready {
    /// The groups that may be attached now.
    groups: BTreeMap<(StoreId, Role), SecurityGroupId>,
    /// The stores whose groups of a kind are not finished.
    unfinished: BTreeSet<(StoreArn, GroupKind)>,
    /// The groups that another store's group may still let in by a rule that this plan revokes.
    let_in_elsewhere: BTreeSet<SecurityGroupId>,
    /// The stores whose groups could not be taken off somewhere.
    still_attached: BTreeSet<StoreId>,
    undone: Undone,
}

/// The instances and stores of which not every step succeeded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Undone {
    instances: BTreeSet<InstanceId>,
    stores: BTreeSet<StoreArn>,
}

impl Undone {
    pub(crate) fn concerns(&self, instance: &InstanceId, store: &StoreArn) -> bool {
        self.instances.contains(instance) || self.stores.contains(store)
    }
}

impl Ready {
    fn fail(&mut self, store: Option<&StoreArn>, id: &StoreId, instance: Option<&InstanceId>) {
        self.still_attached.insert(id.clone());
        self.undone.stores.extend(store.cloned());
        self.undone.instances.extend(instance.cloned());
    }

    fn leave_unfinished(&mut self, store: &StoreArn, kind: GroupKind) {
        self.unfinished.insert((store.clone(), kind));
        if kind == GroupKind::Pair {
            self.undone.stores.insert(store.clone());
        }
    }

    fn id(&self, group: &GroupRef, store: &StoreArn, kind: GroupKind) -> Result<SecurityGroupId, StepFailure> {
        if self.unfinished.contains(&(store.clone(), kind)) {
            return Err(StepFailure::PairUnfinished);
        }
        match group {
            GroupRef::Existing(id) if self.let_in_elsewhere.contains(id) => Err(StepFailure::PairUnfinished),
            GroupRef::Existing(id) => Ok(id.clone()),
            GroupRef::Planned(store, role) => {
                self.groups.get(&(store.clone(), *role)).cloned().ok_or(StepFailure::PairUnfinished)
            }
        }
    }
}

/// `NotFound` about a group that was read a moment ago means that it is not visible everywhere yet.
fn fresh(error: CloudError) -> StepFailure {
    let kind = if error.kind == ErrorKind::NotFound { ErrorKind::NotReady } else { error.kind };
    CloudError { kind, ..error }.into()
}
