//! Carrying out a checked plan. There is no judgement here. What only takes away comes first, then
//! groups empty → rules → what is too much revoked → stores → interfaces, and at last what undoes a
//! pair: store → cross references → groups. Independent things are done at the same time, a few at
//! once; when the time runs short, the rest is left and said to be. Lists are read again right before
//! they are replaced, and only our own ids in them change.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use futures_util::future::join_all;
use jiff::Timestamp;
use tagwire_core::{
    check::CheckedPlan,
    group::{BadGroupList, GroupKind, GroupList, OwnTags, OwnedGroup, Role, SecurityGroup},
    id::{InstanceId, InterfaceId, SecurityGroupId, StoreArn, StoreId},
    model::{DataStore, Interface},
    observation::{Gap, Observation, Reading, StoreLookup},
    plan::{
        CidrWork, Deletion, DetachReason, GroupRef, InterfaceChange, PairRule, PairWork, Plan, StatusChange, StatusOf,
        StoreChange,
    },
    policy::Policy,
    rule::Rule,
    service::Readiness,
    state::{Connection, Note, Removal, Target},
};
use thiserror::Error;

use crate::cloud::{Change, Clock, CloudError, ErrorKind, Groups};

/// What was done, or tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A group created.
    Create {
        /// Its name.
        name: String,
        /// The store it is for.
        store: StoreArn,
    },
    /// A group just created, waited for until AWS shows it.
    Await {
        /// The group.
        group: SecurityGroupId,
    },
    /// A rule added.
    Authorize {
        /// The group.
        group: SecurityGroupId,
        /// The rule.
        rule: Rule,
    },
    /// A rule taken away.
    Revoke {
        /// The group.
        group: SecurityGroupId,
        /// The rule.
        rule: Rule,
    },
    /// Our tags written.
    Tag {
        /// The group.
        group: SecurityGroupId,
    },
    /// A store's list changed.
    ChangeStore {
        /// The store.
        store: StoreArn,
        /// How many groups are added.
        attaches: usize,
        /// How many are taken away.
        detaches: usize,
    },
    /// An interface's list changed.
    ChangeInterface {
        /// The interface.
        interface: InterfaceId,
        /// Its instance.
        instance: InstanceId,
        /// How many instance sides are added.
        attaches: usize,
        /// How many are taken away.
        detaches: usize,
    },
    /// A group deleted.
    Delete {
        /// The group.
        group: SecurityGroupId,
    },
    /// A status tag written or taken away.
    Status {
        /// Where.
        of: StatusOf,
        /// What it says.
        text: Option<String>,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { name, store } => write!(out, "create {name} for {store}"),
            Self::Await { group } => write!(out, "wait until {group} can be read"),
            Self::Authorize { group, rule } => write!(out, "allow in {group}: {rule}"),
            Self::Revoke { group, rule } => write!(out, "revoke in {group}: {rule}"),
            Self::Tag { group } => write!(out, "tag {group}"),
            Self::ChangeStore { store, attaches, detaches: 0 } => write!(out, "attach {attaches} groups to {store}"),
            Self::ChangeStore { store, attaches: 0, detaches } => write!(out, "detach {detaches} groups from {store}"),
            Self::ChangeStore { store, attaches, detaches } => {
                write!(out, "attach {attaches} groups to {store} and detach {detaches}")
            }
            Self::ChangeInterface { interface, instance, attaches, detaches: 0 } => {
                write!(out, "attach {attaches} instance sides to {interface} of {instance}")
            }
            Self::ChangeInterface { interface, instance, attaches: 0, detaches } => {
                write!(out, "detach {detaches} instance sides from {interface} of {instance}")
            }
            Self::ChangeInterface { interface, instance, attaches, detaches } => {
                write!(out, "attach {attaches} instance sides to {interface} of {instance} and detach {detaches}")
            }
            Self::Delete { group } => write!(out, "delete {group}"),
            Self::Status { of, text } => {
                let of = match of {
                    StatusOf::Instance(instance) => instance.as_str(),
                    StatusOf::Store(store) => store.as_str(),
                };
                match text {
                    Some(text) => write!(out, "write the status {text:?} on {of}"),
                    None => write!(out, "take the status off {of}"),
                }
            }
        }
    }
}

/// What an idempotent step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ensure {
    /// It was done.
    Done,
    /// It was so already.
    NotNeeded,
}

/// Why a step was not done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// AWS refused, or did not answer.
    #[error("{error}")]
    Cloud {
        /// What it message.
        error: CloudError,
    },
    /// What the step rests on could not be read right before it.
    #[error("{gap}")]
    Unread {
        /// The gap.
        gap: Box<Gap>,
    },
    /// The name belongs to a group of somebody else: the plan is made anew with another.
    #[error("a group named {name} is there already and belongs to somebody else")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The list, as it was read right before the step, has no room.
    #[error("{problem}")]
    List {
        /// What is wrong with it.
        problem: BadGroupList,
    },
    /// What was read right before the step is not what the plan was made for.
    #[error("it is no longer as it was observed: {what}")]
    Changed {
        /// What differs.
        what: String,
        /// Whether that may pass.
        passing: bool,
    },
    /// An earlier step that this one needs failed.
    #[error("the group or pair that it needs was not finished")]
    PairUnfinished,
    /// Something that this step would delete is still attached, because an earlier step failed.
    #[error("it is still attached")]
    StillAttached,
    /// The time ran short.
    #[error("no time was left for it; the next run goes on with it")]
    OutOfTime,
}

impl Failure {
    /// Whether the step may succeed later with nobody doing anything.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Cloud { error } => error.kind.passes(),
            Self::Unread { gap } => gap.passing,
            Self::Changed { passing, .. } => *passing,
            Self::NameTaken { .. }
            | Self::List { .. }
            | Self::PairUnfinished
            | Self::StillAttached
            | Self::OutOfTime => false,
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cloud { error } => match error.kind {
                ErrorKind::AlreadyThere => "already-there",
                ErrorKind::NotFound => "not-found",
                ErrorKind::NotReady => "not-ready",
                ErrorKind::PendingChanges => "pending-changes",
                ErrorKind::InUse => "in-use",
                ErrorKind::Limit => "limit",
                ErrorKind::Denied => "denied",
                ErrorKind::Throttled => "throttled",
                ErrorKind::Unavailable => "unavailable",
                ErrorKind::EffectUnknown => "effect-unknown",
                ErrorKind::Rejected => "rejected",
            },
            Self::Unread { .. } => "unread",
            Self::NameTaken { .. } => "name-taken",
            Self::List { .. } => "list-full",
            Self::Changed { .. } => "changed-meanwhile",
            Self::PairUnfinished => "pair-unfinished",
            Self::StillAttached => "still-attached",
            Self::OutOfTime => "out-of-time",
        }
    }
}

impl From<CloudError> for Failure {
    fn from(error: CloudError) -> Self {
        Self::Cloud { error }
    }
}

/// One step and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The step.
    pub action: Action,
    /// What became of it.
    pub result: Result<Ensure, Failure>,
}

/// What became of a plan, step by step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "an outcome may hold failures"]
pub struct Outcome {
    /// Every step, in the order of the stages.
    pub steps: Vec<Step>,
    /// What is to be remembered of the steps that were done.
    pub notes: Vec<Note>,
}

impl Outcome {
    /// The failures.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.steps.iter().filter_map(|step| step.result.as_ref().err())
    }

    /// The group names that turned out to be somebody else's.
    #[must_use]
    pub fn taken_names(&self) -> BTreeSet<String> {
        self.failures()
            .filter_map(|failure| match failure {
                Failure::NameTaken { name } => Some(name.clone()),
                Failure::Cloud { .. }
                | Failure::Unread { .. }
                | Failure::List { .. }
                | Failure::Changed { .. }
                | Failure::PairUnfinished
                | Failure::StillAttached
                | Failure::OutOfTime => None,
            })
            .collect()
    }

    /// Whether something was left for want of time.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.failures().any(|failure| *failure == Failure::OutOfTime)
    }

    /// How many steps changed something.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.steps.iter().filter(|step| step.result == Ok(Ensure::Done)).count()
    }
}

/// How many pairs, and how many lists, are worked on at once: with AWS's five changes a second, a few
/// seconds of work.
const PAIRS_AT_ONCE: usize = 5;
const LISTS_AT_ONCE: usize = 10;
/// What has to be left before more is begun: the time that such a portion takes when every bucket of
/// calls is empty.
const TIME_FOR_MORE: Duration = Duration::from_secs(12);

/// Carries out a plan that was made from, and checked against, `seen`; nothing new is begun shortly
/// before `until`.
pub async fn apply<C: Change, K: Clock>(
    cloud: &C,
    clock: &K,
    seen: &Observation,
    plan: &CheckedPlan,
    policy: &Policy,
    until: Timestamp,
) -> Outcome {
    let plan = plan.plan();
    let mut run =
        Run { cloud, clock, seen, policy, until, outcome: Outcome::default(), ready: Ready::default(), begun: false };
    let (urgent, later): (Vec<_>, Vec<_>) = plan.stores.iter().partition(|(_, change)| is_urgent(change));
    let (leaving, joining): (Vec<_>, Vec<_>) = plan.interfaces.iter().partition(|(_, change)| change.attach.is_empty());
    let (gaining, losing): (Vec<_>, Vec<_>) =
        later.into_iter().partition(|(_, change)| change.attached().next().is_some());

    run.stores(&urgent).await;
    run.interfaces(&by_urgency(leaving)).await;
    run.groups(works(plan)).await;
    run.stores(&gaining).await;
    run.interfaces(&joining).await;
    run.stores(&losing).await;
    run.deletions(plan.deletions.iter().map(|((_, id), deletion)| (id, deletion)).collect()).await;
    run.statuses(&plan.statuses).await;
    run.outcome
}

fn is_urgent(change: &StoreChange) -> bool {
    change.detach.values().any(|reason| *reason == DetachReason::Blocked)
}

/// Incident response first.
fn by_urgency<'plan>(
    mut changes: Vec<(&'plan InterfaceId, &'plan InterfaceChange)>,
) -> Vec<(&'plan InterfaceId, &'plan InterfaceChange)> {
    changes.sort_by_key(|(_, change)| !change.detach.values().any(|detached| detached.reason == DetachReason::Blocked));
    changes
}

/// One plan being carried out.
struct Run<'run, C, K> {
    cloud: &'run C,
    clock: &'run K,
    seen: &'run Observation,
    policy: &'run Policy,
    until: Timestamp,
    outcome: Outcome,
    ready: Ready,
    begun: bool,
}

impl<C: Change, K: Clock> Run<'_, C, K> {
    /// Whether another portion may be begun. The first always is: with nothing done, the next run would
    /// stand where this one does.
    fn has_time(&mut self) -> bool {
        let left = Duration::try_from(self.until.duration_since(self.clock.now())).unwrap_or_default();
        let may = !self.begun || left >= TIME_FOR_MORE;
        self.begun = true;
        may
    }

    fn leave(&mut self, action: Action) {
        self.outcome.steps.push(Step { action, result: Err(Failure::OutOfTime) });
    }

    async fn groups(&mut self, all: Vec<Work<'_>>) {
        for portion in all.chunks(PAIRS_AT_ONCE) {
            if !self.has_time() {
                for work in portion {
                    self.ready.unfinished.insert((work.store.clone(), work.kind));
                    let name = format!("what the {} lacks", called(work.kind));
                    self.leave(Action::Create { name, store: work.store.clone() });
                }
                continue;
            }
            let (cloud, clock, seen) = (self.cloud, self.clock, self.seen);
            let finish = portion.iter().map(|work| Making { cloud, clock, seen, work }.finish());
            for (work, finished) in portion.iter().zip(join_all(finish).await) {
                // Tags on a group that is whole are for people: traffic does not wait for them.
                let matters = |step: &Step| !matches!(step.action, Action::Tag { .. });
                if finished.steps.iter().any(|step| step.result.is_err() && matters(step)) {
                    self.ready.unfinished.insert((work.store.clone(), work.kind));
                }
                self.ready.groups.extend(finished.groups);
                self.outcome.steps.extend(finished.steps);
            }
        }
    }

    async fn stores(&mut self, changes: &[(&StoreId, &StoreChange)]) {
        for portion in changes.chunks(LISTS_AT_ONCE) {
            let action = |change: &StoreChange| Action::ChangeStore {
                store: change.store.clone(),
                attaches: change.attached().count(),
                detaches: change.detached().count(),
            };
            if !self.has_time() {
                for (id, change) in portion {
                    self.ready.fail(Some(&change.store), id, None);
                    self.leave(action(change));
                }
                continue;
            }
            let which = portion.iter().map(|(_, change)| change.store.clone()).collect();
            let now = self.cloud.stores(&which).await;
            let results = join_all(portion.iter().map(|(id, change)| self.store(&now, id, change))).await;
            for ((id, change), (attached, results)) in portion.iter().zip(results) {
                if results.iter().any(Result::is_err) {
                    self.ready.fail(Some(&change.store), id, None);
                }
                if results.last().is_some_and(Result::is_ok) {
                    let target = Target::Store((*id).clone());
                    for group in attached {
                        self.attached(target.clone(), group);
                    }
                    for group in change.detached() {
                        self.forget(Note::Attached(target.clone(), group.id().clone(), None));
                    }
                    for removal in change.removals(id) {
                        self.forget(Note::Wanted(removal, None));
                    }
                }
                self.outcome.steps.extend(results.into_iter().map(|result| Step { action: action(change), result }));
            }
        }
    }

    /// The groups that were newly attached, and what became of every part; the change of the list
    /// itself comes last.
    async fn store(
        &self,
        now: &Reading<StoreLookup>,
        id: &StoreId,
        change: &StoreChange,
    ) -> (Vec<SecurityGroupId>, Vec<Result<Ensure, Failure>>) {
        let wanted = change.attach.iter().map(|(kind, group)| (group, *kind));
        let (mut groups, mut results) = (BTreeSet::new(), Vec::new());
        for (group, kind) in wanted {
            match self.ready.id(group, &change.store, kind) {
                Ok(group) => drop(groups.insert(group)),
                Err(failure) => results.push(Err(failure)),
            }
        }
        if groups.is_empty() && change.detached().next().is_none() {
            return (Vec::new(), results);
        }
        let store = now.found.iter().find_map(|lookup| match lookup {
            StoreLookup::Found(store) => (store.arn == change.store).then_some(store.as_ref()),
            StoreLookup::NotFound(_) => None,
        });
        let Some(store) = store else {
            results.push(Err(missing(now.gaps.first(), false)));
            return (Vec::new(), results);
        };
        let new = groups.iter().filter(|group| !store.has_group(group)).cloned().collect();
        results.push(change_store(self.cloud, id, store, &groups, change).await);
        (new, results)
    }

    async fn interfaces(&mut self, changes: &[(&InterfaceId, &InterfaceChange)]) {
        for portion in changes.chunks(LISTS_AT_ONCE) {
            if !self.has_time() {
                for (id, change) in portion {
                    self.fail_interface(change);
                    self.leave(interface_action(id, change));
                }
                continue;
            }
            let which = portion.iter().map(|(id, _)| (*id).clone()).collect();
            let now = self.cloud.interfaces(&which).await;
            let results = join_all(portion.iter().map(|(id, change)| self.interface(&now, id, change))).await;
            for ((id, change), (attached, results)) in portion.iter().zip(results) {
                if results.iter().any(Result::is_err) {
                    self.fail_interface(change);
                }
                if results.last().is_some_and(Result::is_ok) {
                    let target = Target::Interface((*id).clone());
                    for group in attached {
                        self.attached(target.clone(), group);
                    }
                    for (group, detachment) in &change.detach {
                        let (instance, store) = (change.instance.clone(), detachment.store.clone());
                        self.forget(Note::Attached(target.clone(), group.id().clone(), None));
                        self.forget(Note::Wanted(Removal::Connection(Connection { instance, store }), None));
                    }
                }
                let steps = results.into_iter().map(|result| Step { action: interface_action(id, change), result });
                self.outcome.steps.extend(steps);
            }
        }
    }

    fn fail_interface(&mut self, change: &InterfaceChange) {
        for detachment in change.detach.values() {
            self.ready.fail(None, &detachment.store, Some(&change.instance));
        }
        self.ready.failed_instances.insert(change.instance.clone());
    }

    /// The groups that were newly attached, and what became of every part; the change of the list
    /// itself comes last.
    async fn interface(
        &self,
        now: &Reading<Interface>,
        id: &InterfaceId,
        change: &InterfaceChange,
    ) -> (Vec<SecurityGroupId>, Vec<Result<Ensure, Failure>>) {
        let mut groups = BTreeSet::new();
        let mut results = Vec::new();
        for (group, attachment) in &change.attach {
            match self.ready.id(group, &attachment.store, GroupKind::Pair) {
                Ok(group) => {
                    groups.insert(group);
                }
                Err(failure) => results.push(Err(failure)),
            }
        }
        if groups.is_empty() && change.detach.is_empty() {
            return (Vec::new(), results);
        }
        let Some(interface) = now.found.iter().find(|interface| interface.id == *id) else {
            results.push(Err(missing(now.gaps.first(), true)));
            return (Vec::new(), results);
        };
        let new = groups.iter().filter(|group| !interface.groups.contains(group)).cloned().collect();
        let gone = change.detach.keys().map(OwnedGroup::id).collect();
        results.push(change_interface(self.cloud, interface, &groups, &gone, self.policy).await);
        (new, results)
    }

    async fn deletions(&mut self, all: Vec<(&StoreId, &Deletion)>) {
        for portion in all.chunks(PAIRS_AT_ONCE) {
            let has_time = self.has_time();
            let mut undone = Vec::new();
            for (id, teardown) in portion {
                if !has_time || self.ready.still_attached.contains(*id) {
                    let failure = || if has_time { Failure::StillAttached } else { Failure::OutOfTime };
                    let actions = teardown.delete.iter().map(|group| Action::Delete { group: group.id().clone() });
                    self.outcome.steps.extend(actions.map(|action| Step { action, result: Err(failure()) }));
                } else {
                    undone.push(undo(self.cloud, teardown));
                }
            }
            for step in join_all(undone).await.into_iter().flatten() {
                if let (Action::Delete { group }, Ok(_)) = (&step.action, &step.result) {
                    self.forget(Note::Unused(group.clone(), None));
                }
                self.outcome.steps.push(step);
            }
        }
    }

    /// A status that would not be true is not written: the next run knows more.
    async fn statuses(&mut self, changes: &[StatusChange]) {
        let ready = &self.ready;
        let is_true = |change: &&StatusChange| {
            change.awaits.iter().all(|(instance, store)| {
                !ready.failed_instances.contains(instance)
                    && !ready.failed_stores.contains(store)
                    && !ready.unfinished.contains(&(store.clone(), GroupKind::Pair))
            })
        };
        let changes: Vec<_> = changes.iter().filter(is_true).collect();
        for portion in changes.chunks(LISTS_AT_ONCE) {
            let action = |change: &StatusChange| Action::Status { of: change.of.clone(), text: change.text.clone() };
            if !self.has_time() {
                for change in portion {
                    self.leave(action(change));
                }
                continue;
            }
            let cloud = self.cloud;
            let steps = portion.iter().map(async |change| Step {
                action: action(change),
                result: cloud
                    .set_status(&change.of, change.text.as_deref())
                    .await
                    .map(|()| Ensure::Done)
                    .map_err(Failure::from),
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

    /// Notes that something is over, if it is remembered at all.
    fn forget(&mut self, note: Note) {
        let is_known = self.seen.state.as_ref().ok().is_some_and(|state| match &note {
            Note::Wanted(removal, _) => state.wanted.contains_key(removal),
            Note::Unused(group, _) => state.unused.contains_key(group),
            Note::Attached(target, group, _) => state.attached.contains_key(&(target.clone(), group.clone())),
            Note::Uninstalling(_) => state.uninstalling.is_some(),
            Note::Swept(_) => state.swept.is_some(),
        });
        if is_known {
            self.outcome.notes.push(note);
        }
    }
}

fn interface_action(id: &InterfaceId, change: &InterfaceChange) -> Action {
    Action::ChangeInterface {
        interface: id.clone(),
        instance: change.instance.clone(),
        attaches: change.attach.len(),
        detaches: change.detach.len(),
    }
}

/// Takes the groups of a pair out of each other's rules, then deletes them.
async fn undo<C: Change>(cloud: &C, teardown: &Deletion) -> Vec<Step> {
    let mut steps = join_all(teardown.revoke.iter().map(|(group, rule)| revoke(cloud, group, rule))).await;
    if steps.iter().any(|step| step.result.is_err()) {
        return steps;
    }
    let deleted = teardown.delete.iter().map(async |group| {
        let result = match cloud.delete_group(group).await {
            Ok(()) => Ok(Ensure::Done),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(Ensure::NotNeeded),
            Err(error) => Err(error.into()),
        };
        Step { action: Action::Delete { group: group.id().clone() }, result }
    });
    steps.extend(join_all(deleted).await);
    steps
}

/// What earlier steps leave for later ones.
#[derive(Default)]
struct Ready {
    /// The groups that may be attached now.
    groups: BTreeMap<(StoreId, Role), SecurityGroupId>,
    /// The stores whose groups of a kind are not finished.
    unfinished: BTreeSet<(StoreArn, GroupKind)>,
    /// The stores whose groups could not be taken off somewhere.
    still_attached: BTreeSet<StoreId>,
    failed_stores: BTreeSet<StoreArn>,
    failed_instances: BTreeSet<InstanceId>,
}

impl Ready {
    fn fail(&mut self, store: Option<&StoreArn>, id: &StoreId, instance: Option<&InstanceId>) {
        self.still_attached.insert(id.clone());
        self.failed_stores.extend(store.cloned());
        self.failed_instances.extend(instance.cloned());
    }

    fn id(&self, group: &GroupRef, store: &StoreArn, kind: GroupKind) -> Result<SecurityGroupId, Failure> {
        if self.unfinished.contains(&(store.clone(), kind)) {
            return Err(Failure::PairUnfinished);
        }
        match group {
            GroupRef::Existing(id) => Ok(id.clone()),
            GroupRef::Planned(store, role) => {
                self.groups.get(&(store.clone(), *role)).cloned().ok_or(Failure::PairUnfinished)
            }
        }
    }
}

fn called(kind: GroupKind) -> &'static str {
    match kind {
        GroupKind::Pair => "pair",
        GroupKind::Cidr => "group for CIDR clients",
    }
}

/// A rule to be added.
enum NewRule<'plan> {
    /// One whose peer may have no id yet.
    OfPair(&'plan PairRule),
    /// One as AWS holds it.
    Whole(Rule),
}

/// What is to be done at groups of a store that belong together.
struct Work<'plan> {
    id: &'plan StoreId,
    store: &'plan StoreArn,
    kind: GroupKind,
    create: Vec<(String, &'plan OwnTags)>,
    authorize: Vec<(&'plan GroupRef, NewRule<'plan>)>,
    revoke: &'plan [(OwnedGroup, Rule)],
    revoke_first: bool,
    tag: Vec<&'plan (OwnedGroup, OwnTags)>,
}

impl<'plan> Work<'plan> {
    fn of_pair(id: &'plan StoreId, work: &'plan PairWork) -> Self {
        Self {
            id,
            store: &work.store,
            kind: GroupKind::Pair,
            create: work.create.values().map(|spec| (spec.name.to_string(), &spec.tags)).collect(),
            authorize: work.authorize.iter().map(|(group, rule)| (group, NewRule::OfPair(rule))).collect(),
            revoke: &work.revoke,
            revoke_first: false,
            tag: work.tag.iter().collect(),
        }
    }

    fn of_cidr(id: &'plan StoreId, work: &'plan CidrWork) -> Self {
        Self {
            id,
            store: &work.store,
            kind: GroupKind::Cidr,
            create: work.create.iter().map(|spec| (spec.name.to_string(), &spec.tags)).collect(),
            authorize: work.authorize.iter().map(|peer| (&work.group, NewRule::Whole(work.rule(peer)))).collect(),
            revoke: &work.revoke,
            revoke_first: work.revoke_first,
            tag: work.tag.iter().collect(),
        }
    }
}

fn works(plan: &Plan) -> Vec<Work<'_>> {
    let of_pairs = plan.pairs.iter().map(|(id, work)| Work::of_pair(id, work));
    of_pairs.chain(plan.cidrs.iter().map(|(id, work)| Work::of_cidr(id, work))).collect()
}

struct Finished {
    groups: BTreeMap<(StoreId, Role), SecurityGroupId>,
    steps: Vec<Step>,
}

/// The groups of one store being made and mended.
struct Making<'run, C, K> {
    cloud: &'run C,
    clock: &'run K,
    seen: &'run Observation,
    work: &'run Work<'run>,
}

/// How long a group just created may stay invisible: AWS lists `InvalidGroup.NotFound` right after
/// `CreateSecurityGroup` as normal, for seconds.
const VISIBILITY: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

impl<C: Change, K: Clock> Making<'_, C, K> {
    async fn finish(self) -> Finished {
        let mut steps = Vec::new();
        let mut made: BTreeMap<Role, SecurityGroup> = BTreeMap::new();
        let created = join_all(
            self.work.create.iter().map(async |(name, tags)| (name, tags.role, self.create(name, tags).await)),
        );
        let mut ids: BTreeMap<Role, SecurityGroupId> = BTreeMap::new();
        for (name, role, result) in created.await {
            let action = Action::Create { name: name.clone(), store: self.work.store.clone() };
            steps.push(Step {
                action,
                result: result.map(|(id, ensure)| {
                    ids.insert(role, id);
                    ensure
                }),
            });
        }
        // Also when the other side could not be created: a plan that is made anew has to see this one.
        let visible = self.visible(&ids).await;
        let all_created = steps.iter().all(|step| step.result.is_ok());
        match visible {
            Ok(visible) if all_created => {
                made = visible;
                steps.extend(self.rules(&made).await);
            }
            Ok(_) => {}
            Err((id, failure)) => steps.push(Step { action: Action::Await { group: id }, result: Err(failure) }),
        }
        Finished {
            groups: made.into_iter().map(|(role, group)| ((self.work.id.clone(), role), group.id)).collect(),
            steps,
        }
    }

    /// Creates a group, or finds the one that an earlier, interrupted run created.
    async fn create(&self, name: &str, tags: &OwnTags) -> Result<(SecurityGroupId, Ensure), Failure> {
        let error = match self.cloud.create_group(&self.seen.vpc, name, tags).await {
            Ok(id) => return Ok((id, Ensure::Done)),
            Err(error) => error,
        };
        if !matches!(error.kind, ErrorKind::AlreadyThere | ErrorKind::EffectUnknown) {
            return Err(error.into());
        }
        // A name that is taken and not found is somebody's who writes it otherwise, or that of a
        // group of our own that an interrupted run has just created and that cannot be read yet. What was
        // created without an answer shows as late; left unseen, its name would go to another store.
        let mut there = Vec::new();
        let begun = self.clock.now();
        for delay in VISIBILITY {
            self.clock.sleep(delay).await;
            let reading = self.cloud.groups(Groups::Named { vpc: &self.seen.vpc, name }).await;
            if let Some(gap) = reading.gaps.into_iter().next() {
                return Err(Failure::Unread { gap: Box::new(gap) });
            }
            there = reading.found;
            if !there.is_empty() {
                break;
            }
        }
        let is_ours = |group: &&SecurityGroup| {
            let owned = group.ownership().ours();
            group.name == name && owned.is_some_and(|owned| owned.store == *self.work.id && owned.role() == tags.role)
        };
        let ours = there.iter().find(is_ours);
        match ours {
            Some(group) => Ok((group.id.clone(), Ensure::NotNeeded)),
            None if error.kind != ErrorKind::AlreadyThere => Err(error.into()),
            // With less time than a group may take to show, it cannot be told whose it is; another number
            // would leave a second pair.
            None if there.is_empty() && self.waited_since(begun) < VISIBILITY.iter().sum() => {
                Err(Failure::Changed { what: format!("{name} is there already and cannot be read"), passing: true })
            }
            None => Err(Failure::NameTaken { name: name.to_owned() }),
        }
    }

    fn waited_since(&self, begun: Timestamp) -> Duration {
        Duration::try_from(self.clock.now().duration_since(begun)).unwrap_or_default()
    }

    /// Reads the groups just created until all are visible: their first rules are revoked by what
    /// was read, not by what is usual (an IPv6 VPC has one more).
    async fn visible(
        &self,
        ids: &BTreeMap<Role, SecurityGroupId>,
    ) -> Result<BTreeMap<Role, SecurityGroup>, (SecurityGroupId, Failure)> {
        let which: BTreeSet<SecurityGroupId> = ids.values().cloned().collect();
        let mut visible = BTreeMap::new();
        let Some(first) = which.first() else { return Ok(visible) };
        for delay in VISIBILITY {
            self.clock.sleep(delay).await;
            let reading = self.cloud.groups(Groups::Ids(&which)).await;
            if let Some(gap) = reading.gaps.into_iter().next() {
                return Err((first.clone(), Failure::Unread { gap: Box::new(gap) }));
            }
            visible = reading
                .found
                .into_iter()
                .filter_map(|group| {
                    let role = ids.iter().find_map(|(role, id)| (*id == group.id).then_some(*role))?;
                    group.ownership().ours().is_some().then_some((role, group))
                })
                .collect();
            if visible.len() == ids.len() {
                return Ok(visible);
            }
        }
        let missing = which.iter().find(|id| !visible.values().any(|group| group.id == **id)).unwrap_or(first);
        let what = "it was created but cannot be read yet".to_owned();
        Err((missing.clone(), Failure::Changed { what, passing: true }))
    }

    /// New rules first; only when all are in, what does not belong there is taken away, unless there is no
    /// room for both.
    async fn rules(&self, made: &BTreeMap<Role, SecurityGroup>) -> Vec<Step> {
        let (early, late) =
            if self.work.revoke_first { (self.work.revoke, &[][..]) } else { (&[][..], self.work.revoke) };
        let mut steps = join_all(early.iter().map(|(group, rule)| revoke(self.cloud, group, rule))).await;
        if steps.iter().any(|step| step.result.is_err()) {
            return steps;
        }
        steps.extend(join_all(self.work.authorize.iter().map(|(group, rule)| self.authorize(made, group, rule))).await);
        if steps.iter().any(|step| step.result.is_err()) {
            return steps;
        }
        let authorized: BTreeSet<(SecurityGroupId, Rule)> = steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::Authorize { group, rule } => Some((group.clone(), rule.clone())),
                Action::Create { .. }
                | Action::Await { .. }
                | Action::Revoke { .. }
                | Action::Tag { .. }
                | Action::ChangeStore { .. }
                | Action::ChangeInterface { .. }
                | Action::Delete { .. }
                | Action::Status { .. } => None,
            })
            .collect();
        let born = made
            .values()
            .filter_map(|group| Some((proof(group)?, group)))
            .flat_map(|(owned, group)| group.rules.iter().map(move |rule| (owned.clone(), rule.clone())));
        let born = born.filter(|(group, rule)| !authorized.contains(&(group.id().clone(), rule.clone())));
        let surplus: Vec<(OwnedGroup, Rule)> = late.iter().cloned().chain(born).collect();
        steps.extend(join_all(surplus.iter().map(|(group, rule)| revoke(self.cloud, group, rule))).await);
        steps.extend(
            join_all(self.work.tag.iter().map(async |(group, tags)| Step {
                action: Action::Tag { group: group.id().clone() },
                result: self.cloud.tag_group(group, tags).await.map(|()| Ensure::Done).map_err(Failure::from),
            }))
            .await,
        );
        steps
    }

    fn resolve<'group>(
        &'group self,
        made: &'group BTreeMap<Role, SecurityGroup>,
        group: &GroupRef,
    ) -> Option<&'group SecurityGroup> {
        match group {
            GroupRef::Existing(id) => self.seen.groups.found.iter().find(|group| group.id == *id),
            GroupRef::Planned(_, role) => made.get(role),
        }
    }

    async fn authorize(&self, made: &BTreeMap<Role, SecurityGroup>, group: &GroupRef, rule: &NewRule<'_>) -> Step {
        let rule = match rule {
            NewRule::Whole(rule) => Some(rule.clone()),
            NewRule::OfPair(rule) => self.resolve(made, &rule.peer).map(|peer| rule.with_peer(peer.id.clone())),
        };
        let Some((owned, rule)) = self.resolve(made, group).and_then(proof).zip(rule) else {
            let name = format!("what a rule of the {} needs", called(self.work.kind));
            let action = Action::Create { name, store: self.work.store.clone() };
            return Step { action, result: Err(Failure::PairUnfinished) };
        };
        let result = match self.cloud.authorize(&owned, &rule).await {
            Ok(()) => Ok(Ensure::Done),
            Err(error) if error.kind == ErrorKind::AlreadyThere => confirm(self.cloud, &owned, &rule, true).await,
            Err(error) => Err(fresh(error)),
        };
        Step { action: Action::Authorize { group: owned.id().clone(), rule }, result }
    }
}

/// A duplicate is only good news when the rule that is there is the one that was meant; and AWS says
/// "not found" of a rule as it does of a group that it does not know everywhere yet.
async fn confirm<C: Change>(cloud: &C, group: &OwnedGroup, rule: &Rule, wanted: bool) -> Result<Ensure, Failure> {
    let reading = cloud.groups(Groups::Ids(&[group.id().clone()].into())).await;
    if let Some(gap) = reading.gaps.into_iter().next() {
        return Err(Failure::Unread { gap: Box::new(gap) });
    }
    match reading.found.iter().find(|found| found.id == *group.id()) {
        Some(found) if found.rules.contains(rule) == wanted => Ok(Ensure::NotNeeded),
        _ => {
            let what = "AWS says one thing of the rule and shows another".to_owned();
            Err(Failure::Changed { what, passing: true })
        }
    }
}

async fn revoke<C: Change>(cloud: &C, group: &OwnedGroup, rule: &Rule) -> Step {
    let result = match cloud.revoke(group, rule).await {
        Ok(()) => Ok(Ensure::Done),
        Err(error) if error.kind == ErrorKind::NotFound => confirm(cloud, group, rule, false).await,
        Err(error) => Err(error.into()),
    };
    Step { action: Action::Revoke { group: group.id().clone(), rule: rule.clone() }, result }
}

fn proof(group: &SecurityGroup) -> Option<OwnedGroup> {
    group.ownership().ours().map(|owned| owned.group)
}

/// `NotFound` about a group that was read a moment ago means that it is not visible everywhere yet.
fn fresh(error: CloudError) -> Failure {
    let kind = if error.kind == ErrorKind::NotFound { ErrorKind::NotReady } else { error.kind };
    CloudError { kind, ..error }.into()
}

/// `may_show`: an interface that its instance has told of may not be listed itself yet, while of a
/// store its service has said that it is gone.
fn missing(gap: Option<&Gap>, may_show: bool) -> Failure {
    gap.map_or_else(
        || Failure::Changed { what: "it is gone".to_owned(), passing: may_show },
        |gap| Failure::Unread { gap: Box::new(gap.clone()) },
    )
}

async fn change_store<C: Change>(
    cloud: &C,
    id: &StoreId,
    store: &DataStore,
    attach: &BTreeSet<SecurityGroupId>,
    change: &StoreChange,
) -> Result<Ensure, Failure> {
    if store.id != *id {
        let what = format!("another data store ({}) has its name now", store.id);
        return Err(Failure::Changed { what, passing: false });
    }
    let leaves = |group: &SecurityGroupId| change.detaches(group);
    if attach.iter().all(|group| store.has_group(group)) && !store.lasting_groups().any(leaves) {
        return Ok(Ensure::NotNeeded);
    }
    if store.list_is_changing() {
        let what = "a group is on its way into its list".to_owned();
        return Err(Failure::Changed { what, passing: true });
    }
    if store.readiness() != Readiness::Ready {
        let what = format!("its state is {:?} now", store.state);
        return Err(Failure::Changed { what, passing: store.readiness() == Readiness::Later });
    }
    let list = store.lasting_groups().filter(|group| !leaves(group)).chain(attach).cloned().collect();
    // A list that only gets shorter is never too long, whatever the limit is taken to be.
    let limit = if attach.is_empty() { usize::MAX } else { store.service.row().store_group_limit };
    let list = GroupList::new(list, limit).map_err(|problem| Failure::List { problem })?;
    cloud.set_store_groups(&store.arn, &list).await.map(|()| Ensure::Done).map_err(fresh)
}

async fn change_interface<C: Change>(
    cloud: &C,
    interface: &Interface,
    groups: &BTreeSet<SecurityGroupId>,
    gone: &BTreeSet<&SecurityGroupId>,
    policy: &Policy,
) -> Result<Ensure, Failure> {
    let list: BTreeSet<_> = interface.groups.union(groups).filter(|group| !gone.contains(group)).cloned().collect();
    if list == interface.groups {
        return Ok(Ensure::NotNeeded);
    }
    let limit = if groups.is_empty() { usize::MAX } else { policy.interface_group_limit };
    let list = GroupList::new(list, limit).map_err(|problem| Failure::List { problem })?;
    cloud.set_interface_groups(&interface.id, &list).await.map(|()| Ensure::Done).map_err(fresh)
}
