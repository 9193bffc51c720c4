//! Carrying out a checked plan. There is no judgement here: groups empty → rules → what is too
//! much revoked → stores → interfaces, independent things at the same time. Lists are read again
//! right before they are replaced, and only our own ids in them change.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use futures_util::future::join_all;
use tagwire_core::{
    check::CheckedPlan,
    group::{BadGroupList, GroupList, OwnedGroup, Ownership, SecurityGroup},
    id::{InstanceId, InterfaceId, SecurityGroupId, StoreArn, StoreId},
    model::{DataStore, Interface},
    observation::{Gap, Observation, Sighting},
    plan::{GroupRef, GroupSpec, InterfaceChange, PairRule, PairWork, StoreChange},
    policy::Policy,
    rule::Rule,
    service::{Readiness, Side},
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
    /// A store side added to its store's list.
    AttachToStore {
        /// The store.
        store: StoreArn,
    },
    /// Instance sides added to an interface's list.
    AttachToInterface {
        /// The interface.
        interface: InterfaceId,
        /// Its instance.
        instance: InstanceId,
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
            Self::AttachToStore { store } => write!(out, "attach the store side to {store}"),
            Self::AttachToInterface { interface, instance } => {
                write!(out, "attach the instance side to {interface} of {instance}")
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
        /// What it said.
        error: CloudError,
    },
    /// What the step rests on could not be read right before it.
    #[error("{gap}")]
    Unread {
        /// What.
        gap: Gap,
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
    #[error("its pair was not finished")]
    PairUnfinished,
}

impl Failure {
    /// Whether the step may succeed later with nobody doing anything.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Cloud { error } => error.kind.passes(),
            Self::Unread { gap } => gap.passing,
            Self::Changed { passing, .. } => *passing,
            Self::NameTaken { .. } | Self::List { .. } | Self::PairUnfinished => false,
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
                | Failure::PairUnfinished => None,
            })
            .collect()
    }

    /// How many steps changed something.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.steps.iter().filter(|step| step.result == Ok(Ensure::Done)).count()
    }
}

/// Carries out a plan that was made from, and checked against, `seen`.
pub async fn apply<C: Change, K: Clock>(
    cloud: &C,
    clock: &K,
    seen: &Observation,
    plan: &CheckedPlan,
    policy: &Policy,
) -> Outcome {
    let plan = plan.plan();
    let pairs = join_all(plan.pairs.iter().map(|(id, work)| Pair { cloud, clock, seen, id, work }.finish())).await;
    let mut steps = Vec::new();
    let mut ready = Ready { groups: BTreeMap::new(), unfinished: BTreeSet::new() };
    for finished in pairs {
        // Tags on a group that is whole are for people: traffic does not wait for them.
        let matters = |step: &Step| !matches!(step.action, Action::Tag { .. });
        if finished.steps.iter().any(|step| step.result.is_err() && matters(step)) {
            ready.unfinished.insert(finished.store);
        }
        ready.groups.extend(finished.groups);
        steps.extend(finished.steps);
    }
    steps.extend(attach_to_stores(cloud, &plan.stores, &ready).await);
    steps.extend(attach_to_interfaces(cloud, &plan.interfaces, &ready, policy).await);
    Outcome { steps }
}

/// The groups that may be attached now.
struct Ready {
    groups: BTreeMap<(StoreId, Side), SecurityGroupId>,
    unfinished: BTreeSet<StoreArn>,
}

impl Ready {
    fn id(&self, group: &GroupRef, store: &StoreArn) -> Result<SecurityGroupId, Failure> {
        if self.unfinished.contains(store) {
            return Err(Failure::PairUnfinished);
        }
        match group {
            GroupRef::Existing(id) => Ok(id.clone()),
            GroupRef::Planned(store, side) => {
                self.groups.get(&(store.clone(), *side)).cloned().ok_or(Failure::PairUnfinished)
            }
        }
    }
}

struct FinishedPair {
    store: StoreArn,
    groups: BTreeMap<(StoreId, Side), SecurityGroupId>,
    steps: Vec<Step>,
}

struct Pair<'run, C, K> {
    cloud: &'run C,
    clock: &'run K,
    seen: &'run Observation,
    id: &'run StoreId,
    work: &'run PairWork,
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

impl<C: Change, K: Clock> Pair<'_, C, K> {
    async fn finish(self) -> FinishedPair {
        let mut steps = Vec::new();
        let mut made: BTreeMap<Side, SecurityGroup> = BTreeMap::new();
        let created =
            join_all(self.work.create.iter().map(async |(side, spec)| (*side, spec, self.create(spec).await)));
        let mut ids: BTreeMap<Side, SecurityGroupId> = BTreeMap::new();
        for (side, spec, result) in created.await {
            let action = Action::Create { name: spec.name.to_string(), store: self.work.store.clone() };
            steps.push(Step {
                action,
                result: result.map(|(id, ensure)| {
                    ids.insert(side, id);
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
        FinishedPair {
            store: self.work.store.clone(),
            groups: made.into_iter().map(|(side, group)| ((self.id.clone(), side), group.id)).collect(),
            steps,
        }
    }

    /// Creates a group, or finds the one that an earlier, interrupted run created.
    async fn create(&self, spec: &GroupSpec) -> Result<(SecurityGroupId, Ensure), Failure> {
        let error = match self.cloud.create_group(&self.seen.vpc, spec).await {
            Ok(id) => return Ok((id, Ensure::Done)),
            Err(error) => error,
        };
        if !matches!(error.kind, ErrorKind::AlreadyThere | ErrorKind::EffectUnknown) {
            return Err(error.into());
        }
        let name = spec.name.to_string();
        // A name that is taken and not found is somebody's who writes it otherwise, or that of a
        // group of our own that an interrupted run has just created and that cannot be read yet.
        let mut there = Vec::new();
        for delay in VISIBILITY {
            self.clock.sleep(delay).await;
            let reading = self.cloud.groups(Groups::Named { vpc: &self.seen.vpc, name: &name }).await;
            if let Some(gap) = reading.gaps.into_iter().next() {
                return Err(Failure::Unread { gap });
            }
            there = reading.found;
            if !there.is_empty() || error.kind != ErrorKind::AlreadyThere {
                break;
            }
        }
        let ours = there.iter().find(|group| {
            matches!(group.ownership(), Ownership::Owned(owned) if owned.store == *self.id && owned.name == spec.name)
        });
        match ours {
            Some(group) => Ok((group.id.clone(), Ensure::NotNeeded)),
            None if error.kind == ErrorKind::AlreadyThere => Err(Failure::NameTaken { name }),
            None => Err(error.into()),
        }
    }

    /// Reads the groups just created until all are visible: their first rules are revoked by what
    /// was read, not by what is usual (an IPv6 VPC has one more).
    async fn visible(
        &self,
        ids: &BTreeMap<Side, SecurityGroupId>,
    ) -> Result<BTreeMap<Side, SecurityGroup>, (SecurityGroupId, Failure)> {
        let which: BTreeSet<SecurityGroupId> = ids.values().cloned().collect();
        let mut visible = BTreeMap::new();
        let Some(first) = which.first() else { return Ok(visible) };
        for delay in VISIBILITY {
            self.clock.sleep(delay).await;
            let reading = self.cloud.groups(Groups::Ids(&which)).await;
            if let Some(gap) = reading.gaps.into_iter().next() {
                return Err((first.clone(), Failure::Unread { gap }));
            }
            visible = reading
                .found
                .into_iter()
                .filter_map(|group| {
                    let side = ids.iter().find_map(|(side, id)| (*id == group.id).then_some(*side))?;
                    matches!(group.ownership(), Ownership::Owned(_)).then_some((side, group))
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

    /// New rules first; only when all are in, what does not belong there is taken away.
    async fn rules(&self, made: &BTreeMap<Side, SecurityGroup>) -> Vec<Step> {
        let mut steps =
            join_all(self.work.authorize.iter().map(|(group, rule)| self.authorize(made, group, rule))).await;
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
                | Action::AttachToStore { .. }
                | Action::AttachToInterface { .. } => None,
            })
            .collect();
        let born = made
            .values()
            .filter_map(|group| Some((proof(group)?, group)))
            .flat_map(|(owned, group)| group.rules.iter().map(move |rule| (owned.clone(), rule.clone())));
        let born = born.filter(|(group, rule)| !authorized.contains(&(group.id().clone(), rule.clone())));
        let revoke: Vec<(OwnedGroup, Rule)> = self.work.revoke.iter().cloned().chain(born).collect();
        steps.extend(join_all(revoke.iter().map(|(group, rule)| self.revoke(group, rule))).await);
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
        made: &'group BTreeMap<Side, SecurityGroup>,
        group: &GroupRef,
    ) -> Option<&'group SecurityGroup> {
        match group {
            GroupRef::Existing(id) => self.seen.groups.found.iter().find(|group| group.id == *id),
            GroupRef::Planned(_, side) => made.get(side),
        }
    }

    async fn authorize(&self, made: &BTreeMap<Side, SecurityGroup>, group: &GroupRef, rule: &PairRule) -> Step {
        let resolved = self.resolve(made, group).zip(self.resolve(made, &rule.peer));
        let Some((owned, rule)) =
            resolved.and_then(|(group, peer)| Some((proof(group)?, rule.with_peer(peer.id.clone()))))
        else {
            let action =
                Action::Create { name: format!("the {} side", rule.side.tag_value()), store: self.work.store.clone() };
            return Step { action, result: Err(Failure::PairUnfinished) };
        };
        let result = match self.cloud.authorize(&owned, &rule).await {
            Ok(()) => Ok(Ensure::Done),
            Err(error) if error.kind == ErrorKind::AlreadyThere => self.confirm(&owned, &rule, true).await,
            Err(error) => Err(fresh(error)),
        };
        Step { action: Action::Authorize { group: owned.id().clone(), rule }, result }
    }

    /// A duplicate is only good news when the rule that is there is the one that was meant; and
    /// AWS says "not found" of a rule as it does of a group that it does not know everywhere yet.
    async fn confirm(&self, group: &OwnedGroup, rule: &Rule, wanted: bool) -> Result<Ensure, Failure> {
        let reading = self.cloud.groups(Groups::Ids(&[group.id().clone()].into())).await;
        if let Some(gap) = reading.gaps.into_iter().next() {
            return Err(Failure::Unread { gap });
        }
        match reading.found.iter().find(|found| found.id == *group.id()) {
            Some(found) if found.rules.contains(rule) == wanted => Ok(Ensure::NotNeeded),
            _ => {
                let what = "AWS says one thing of the rule and shows another".to_owned();
                Err(Failure::Changed { what, passing: true })
            }
        }
    }

    async fn revoke(&self, group: &OwnedGroup, rule: &Rule) -> Step {
        let result = match self.cloud.revoke(group, rule).await {
            Ok(()) => Ok(Ensure::Done),
            Err(error) if error.kind == ErrorKind::NotFound => self.confirm(group, rule, false).await,
            Err(error) => Err(error.into()),
        };
        Step { action: Action::Revoke { group: group.id().clone(), rule: rule.clone() }, result }
    }
}

fn proof(group: &SecurityGroup) -> Option<OwnedGroup> {
    match group.ownership() {
        Ownership::Owned(owned) => Some(owned.group),
        Ownership::Foreign | Ownership::Forged(_) => None,
    }
}

/// `NotFound` about a group that was read a moment ago means that it is not visible everywhere yet.
fn fresh(error: CloudError) -> Failure {
    let kind = if error.kind == ErrorKind::NotFound { ErrorKind::NotReady } else { error.kind };
    CloudError { kind, ..error }.into()
}

async fn attach_to_stores<C: Change>(cloud: &C, changes: &BTreeMap<StoreId, StoreChange>, ready: &Ready) -> Vec<Step> {
    let which: BTreeSet<StoreArn> = changes.values().map(|change| change.store.clone()).collect();
    if which.is_empty() {
        return Vec::new();
    }
    let now = cloud.stores(&which).await;
    join_all(changes.iter().map(async |(id, change)| {
        let store = now.found.iter().find_map(|sighting| match sighting {
            Sighting::Present(store) => (store.arn == change.store).then_some(store.as_ref()),
            Sighting::Gone(_) => None,
        });
        let result = match (ready.id(&change.attach, &change.store), store) {
            (Err(failure), _) => Err(failure),
            (Ok(group), Some(store)) => attach_to_store(cloud, id, store, group).await,
            (Ok(_), None) => Err(missing(now.gaps.first(), false)),
        };
        Step { action: Action::AttachToStore { store: change.store.clone() }, result }
    }))
    .await
}

/// `may_show`: an interface that its instance has told of may not be listed itself yet, while of a
/// store its service has said that it is gone.
fn missing(gap: Option<&Gap>, may_show: bool) -> Failure {
    gap.map_or_else(
        || Failure::Changed { what: "it is gone".to_owned(), passing: may_show },
        |gap| Failure::Unread { gap: gap.clone() },
    )
}

async fn attach_to_store<C: Change>(
    cloud: &C,
    id: &StoreId,
    store: &DataStore,
    group: SecurityGroupId,
) -> Result<Ensure, Failure> {
    if store.id != *id {
        let what = format!("another data store ({}) has its name now", store.id);
        return Err(Failure::Changed { what, passing: false });
    }
    if store.wears(&group) {
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
    let list = store.lasting_groups().cloned().chain([group]).collect();
    let list =
        GroupList::new(list, store.service.row().store_group_limit).map_err(|problem| Failure::List { problem })?;
    cloud.set_store_groups(&store.arn, &list).await.map(|()| Ensure::Done).map_err(fresh)
}

async fn attach_to_interfaces<C: Change>(
    cloud: &C,
    changes: &BTreeMap<InterfaceId, InterfaceChange>,
    ready: &Ready,
    policy: &Policy,
) -> Vec<Step> {
    let which: BTreeSet<InterfaceId> = changes.keys().cloned().collect();
    if which.is_empty() {
        return Vec::new();
    }
    let now = cloud.interfaces(&which).await;
    let steps = join_all(changes.iter().map(async |(id, change)| {
        let action = Action::AttachToInterface { interface: id.clone(), instance: change.instance.clone() };
        let mut groups = BTreeSet::new();
        let mut steps = Vec::new();
        for (group, attachment) in &change.attach {
            match ready.id(group, &attachment.store) {
                Ok(group) => {
                    groups.insert(group);
                }
                Err(failure) => steps.push(Step { action: action.clone(), result: Err(failure) }),
            }
        }
        if !groups.is_empty() {
            let result = match now.found.iter().find(|interface| interface.id == *id) {
                Some(interface) => attach_to_interface(cloud, interface, groups, policy).await,
                None => Err(missing(now.gaps.first(), true)),
            };
            steps.push(Step { action, result });
        }
        steps
    }))
    .await;
    steps.into_iter().flatten().collect()
}

async fn attach_to_interface<C: Change>(
    cloud: &C,
    interface: &Interface,
    groups: BTreeSet<SecurityGroupId>,
    policy: &Policy,
) -> Result<Ensure, Failure> {
    if groups.is_subset(&interface.groups) {
        return Ok(Ensure::NotNeeded);
    }
    let list = interface.groups.iter().cloned().chain(groups).collect();
    let list = GroupList::new(list, policy.interface_group_limit).map_err(|problem| Failure::List { problem })?;
    cloud.set_interface_groups(&interface.id, &list).await.map(|()| Ensure::Done).map_err(fresh)
}
