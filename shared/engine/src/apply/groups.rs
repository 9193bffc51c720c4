//! Making and repairing a store's groups: groups empty → rules → what is too much revoked.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::future::join_all;
use jiff::Timestamp;
use tagwire_core::{
    group::{GroupKind, GroupName, GroupRecord, OwnTags, OwnedGroup, Role, SecurityGroup},
    id::{SecurityGroupId, StoreArn, StoreId},
    observation::Observation,
    plan::{CidrWork, GroupRef, PairRule, PairWork, Plan},
    rule::{Direction, Peer, Rule},
    state::Note,
};

use super::{Ensure, PAIRS_AT_ONCE, Stages, StepAction, StepFailure, StepOutcome, fresh};
use crate::cloud::{Change, Clock, ErrorKind, Groups};

impl<C: Change, K: Clock> Stages<'_, C, K> {
    pub(super) async fn groups(&mut self, all: Vec<Work<'_>>) {
        for portion in all.chunks(PAIRS_AT_ONCE) {
            if !self.has_time() {
                for work in portion {
                    self.leave_unfinished(work);
                    let name = format!("what the {} lacks", called(work.kind));
                    self.leave(StepAction::Create { name, store: work.store.clone() });
                }
                continue;
            }
            let (cloud, clock, seen) = (self.cloud, self.clock, self.seen);
            let finish = portion.iter().map(|work| Making { cloud, clock, seen, work }.finish());
            for (work, finished) in portion.iter().zip(join_all(finish).await) {
                // Tags on a group that is whole are for people: traffic does not wait for them.
                let matters = |step: &StepOutcome| !matches!(step.action, StepAction::Tag { .. });
                if finished.steps.iter().any(|step| step.result.is_err() && matters(step)) {
                    self.leave_unfinished(work);
                }
                self.ready.groups.extend(finished.groups);
                self.outcome.steps.extend(finished.steps);
                self.outcome.notes.extend(finished.notes);
            }
        }
    }

    /// Who gets a group that a rule of this work still lets in would reach its store as well.
    fn leave_unfinished(&mut self, work: &Work<'_>) {
        self.ready.leave_unfinished(work.store, work.kind);
        let inbound = work.revoke.iter().filter(|(_, rule)| rule.direction == Direction::Inbound);
        self.ready.let_in_elsewhere.extend(inbound.filter_map(|(_, rule)| match &rule.peer {
            Peer::Group(peer) => Some(peer.clone()),
            Peer::GroupOfAccount { .. } | Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::PrefixList(_) => None,
        }));
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

/// The work at groups of a store that belong together.
pub(super) struct Work<'plan> {
    id: &'plan StoreId,
    store: &'plan StoreArn,
    kind: GroupKind,
    create: Vec<(GroupName, &'plan OwnTags)>,
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
            create: work.create.values().map(|spec| (spec.name, &spec.tags)).collect(),
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
            create: work.create.iter().map(|spec| (spec.name, &spec.tags)).collect(),
            authorize: work.authorize.iter().map(|peer| (&work.group, NewRule::Whole(work.rule(peer)))).collect(),
            revoke: &work.revoke,
            revoke_first: work.revoke_first,
            tag: work.tag.iter().collect(),
        }
    }
}

pub(super) fn works(plan: &Plan) -> Vec<Work<'_>> {
    let of_pairs = plan.pairs.iter().map(|(id, work)| Work::of_pair(id, work));
    of_pairs.chain(plan.cidrs.iter().map(|(id, work)| Work::of_cidr(id, work))).collect()
}

struct Finished {
    groups: BTreeMap<(StoreId, Role), SecurityGroupId>,
    steps: Vec<StepOutcome>,
    /// The records that could not be written.
    notes: Vec<Note>,
}

/// A group that is there, with its record.
struct Created {
    id: SecurityGroupId,
    record: GroupRecord,
    /// The note that could not be written.
    unwritten: Option<Note>,
}

/// The making and repairing of one store's groups.
struct Making<'run, C, K> {
    cloud: &'run C,
    clock: &'run K,
    seen: &'run Observation,
    work: &'run Work<'run>,
}

/// How long a group just created may stay invisible: AWS lists `InvalidGroup.NotFound` right after
/// `CreateSecurityGroup` as normal, for seconds.
// Fact 4.3
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
            self.work.create.iter().map(async |&(name, tags)| (name, tags.role, self.create(name, tags).await)),
        );
        let (mut ids, mut notes) = (BTreeMap::<Role, Created>::new(), Vec::new());
        for (name, role, result) in created.await {
            let action = StepAction::Create { name: name.to_string(), store: self.work.store.clone() };
            let result = result.map(|(created, ensure)| {
                notes.extend(created.unwritten.clone());
                ids.insert(role, created);
                ensure
            });
            steps.push(StepOutcome { action, result });
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
            Err((id, failure)) => {
                steps.push(StepOutcome { action: StepAction::Await { group: id }, result: Err(failure) });
            }
        }
        Finished {
            groups: made.into_iter().map(|(role, group)| ((self.work.id.clone(), role), group.id)).collect(),
            steps,
            notes,
        }
    }

    /// Writes the record of a group, then creates the group, or finds the one that an earlier, interrupted run created.
    async fn create(&self, name: GroupName, tags: &OwnTags) -> Result<(Created, Ensure), StepFailure> {
        let before = self.seen.identities.as_ref().ok().and_then(|identities| identities.get(&name));
        let record = self.reserve(name, tags, before).await?;
        let token = record.token.clone().ok_or(StepFailure::PairUnfinished)?;
        let error = match self.cloud.create_group(&self.seen.vpc, name, tags, &token).await {
            Ok(id) => {
                let record = GroupRecord { id: Some(id.clone()), earlier: None, ..record };
                return Ok((self.bind(name, record, id).await, Ensure::Done));
            }
            Err(error) => error,
        };
        if !matches!(error.kind, ErrorKind::AlreadyThere | ErrorKind::EffectUnknown) {
            return Err(error.into());
        }
        let begun = self.clock.now();
        let there = self.await_named(&name.to_string()).await?;
        let known = there.iter().find_map(|group| {
            let group = SecurityGroup { record: Some(record.clone()), ..group.clone() };
            let known = group.proven().filter(|_| group.name == name.to_string())?;
            Some(GroupRecord { id: Some(group.id.clone()), earlier: None, ..known.clone() })
        });
        match known.and_then(|known| Some((known.id.clone()?, known))) {
            Some((id, known)) => {
                let is_its = known.store == *self.work.id && known.role == tags.role;
                let created = self.bind(name, known, id).await;
                let not_its = || StepFailure::NameTaken { name: name.to_string() };
                is_its.then_some((created, Ensure::NotNeeded)).ok_or_else(not_its)
            }
            None if error.kind != ErrorKind::AlreadyThere => Err(error.into()),
            // With less time than a group may take to show, it is not known whose it is; another number
            // would leave a second pair.
            None if there.is_empty() && self.waited_since(begun) < VISIBILITY.iter().sum() => {
                Err(StepFailure::Changed { what: format!("{name} is there already and cannot be read"), passing: true })
            }
            None => Err(StepFailure::NameTaken { name: name.to_string() }),
        }
    }

    /// Writes the record of a group that is about to be created. One that an interrupted run wrote, whose group may
    /// have been created, is kept: a new token would make that group nobody's.
    async fn reserve(
        &self,
        name: GroupName,
        tags: &OwnTags,
        before: Option<&GroupRecord>,
    ) -> Result<GroupRecord, StepFailure> {
        let is_for_it = |before: &&GroupRecord| {
            before.id.is_none() && before.token.is_some() && before.store == tags.store && before.role == tags.role
        };
        if let Some(before) = before.filter(is_for_it) {
            return Ok(before.clone());
        }
        let token = Some(self.cloud.new_token()?);
        let (store, arn, role) = (tags.store.clone(), Some(tags.arn.clone()), tags.role);
        let earlier = before.and_then(|before| before.versions().find(|before| before.id.is_some()));
        let earlier = earlier.map(|earlier| Box::new(GroupRecord { earlier: None, ..earlier.clone() }));
        let record = GroupRecord { store, arn, role, token, id: None, earlier };
        self.cloud.write_notes(&self.seen.vpc, &[Note::Identity(name, Some(record.clone()))]).await?;
        Ok(record)
    }

    /// Writes the id of a group into its record. When that fails, the token proves it until the run's notes are
    /// written, or the next run's.
    async fn bind(&self, name: GroupName, record: GroupRecord, id: SecurityGroupId) -> Created {
        let note = Note::Identity(name, Some(record.clone()));
        let unwritten = self.cloud.write_notes(&self.seen.vpc, std::slice::from_ref(&note)).await.err().map(|_| note);
        Created { id, record, unwritten }
    }

    /// Reads the group of a name until it shows. A name that is taken and not found is somebody's who writes it
    /// otherwise, or that of a group of our own that an interrupted run has just created and that cannot be read yet.
    /// What was created without an answer shows as late; left unseen, its name would go to another store.
    async fn await_named(&self, name: &str) -> Result<Vec<SecurityGroup>, StepFailure> {
        for delay in VISIBILITY {
            self.clock.sleep(delay).await;
            let reading = self.cloud.groups(Groups::Named { vpc: &self.seen.vpc, name }).await;
            if let Some(gap) = reading.gaps.into_iter().next() {
                return Err(StepFailure::Unread { gap: Box::new(gap) });
            }
            if !reading.found.is_empty() {
                return Ok(reading.found);
            }
        }
        Ok(Vec::new())
    }

    fn waited_since(&self, begun: Timestamp) -> Duration {
        Duration::try_from(self.clock.now().duration_since(begun)).unwrap_or_default()
    }

    /// Reads the groups just created until all are visible: their first rules are revoked by what
    /// was read, not by what is usual (an IPv6 VPC has one more).
    async fn visible(
        &self,
        ids: &BTreeMap<Role, Created>,
    ) -> Result<BTreeMap<Role, SecurityGroup>, (SecurityGroupId, StepFailure)> {
        let which: BTreeSet<SecurityGroupId> = ids.values().map(|created| created.id.clone()).collect();
        let mut visible = BTreeMap::new();
        let Some(first) = which.first() else { return Ok(visible) };
        for delay in VISIBILITY {
            self.clock.sleep(delay).await;
            let reading = self.cloud.groups(Groups::Ids(&which)).await;
            if let Some(gap) = reading.gaps.into_iter().next() {
                return Err((first.clone(), StepFailure::Unread { gap: Box::new(gap) }));
            }
            visible = reading
                .found
                .into_iter()
                .filter_map(|group| {
                    let (role, created) = ids.iter().find(|(_, created)| created.id == group.id)?;
                    let group = SecurityGroup { record: Some(created.record.clone()), ..group };
                    group.ownership().ours().is_some().then_some((*role, group))
                })
                .collect();
            if visible.len() == ids.len() {
                return Ok(visible);
            }
        }
        let missing = which.iter().find(|id| !visible.values().any(|group| group.id == **id)).unwrap_or(first);
        let what = "it was created but cannot be read yet".to_owned();
        Err((missing.clone(), StepFailure::Changed { what, passing: true }))
    }

    /// New rules first; only when all are in, what does not belong there is taken away, unless there is no
    /// room for both.
    async fn rules(&self, made: &BTreeMap<Role, SecurityGroup>) -> Vec<StepOutcome> {
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
                StepAction::Authorize { group, rule } => Some((group.clone(), rule.clone())),
                StepAction::Create { .. }
                | StepAction::Await { .. }
                | StepAction::Revoke { .. }
                | StepAction::Tag { .. }
                | StepAction::ChangeStore { .. }
                | StepAction::ChangeInterface { .. }
                | StepAction::Delete { .. }
                | StepAction::Status { .. } => None,
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
            join_all(self.work.tag.iter().map(async |(group, tags)| StepOutcome {
                action: StepAction::Tag { group: group.id().clone() },
                result: self.cloud.tag_group(group, tags).await.map(|()| Ensure::Done).map_err(StepFailure::from),
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

    async fn authorize(
        &self,
        made: &BTreeMap<Role, SecurityGroup>,
        group: &GroupRef,
        rule: &NewRule<'_>,
    ) -> StepOutcome {
        let rule = match rule {
            NewRule::Whole(rule) => Some(rule.clone()),
            NewRule::OfPair(rule) => self.resolve(made, &rule.peer).map(|peer| rule.with_peer(peer.id.clone())),
        };
        let Some((owned, rule)) = self.resolve(made, group).and_then(proof).zip(rule) else {
            let name = format!("what a rule of the {} needs", called(self.work.kind));
            let action = StepAction::Create { name, store: self.work.store.clone() };
            return StepOutcome { action, result: Err(StepFailure::PairUnfinished) };
        };
        let result = match self.cloud.authorize(&owned, &rule).await {
            Ok(()) => Ok(Ensure::Done),
            Err(error) if error.kind == ErrorKind::AlreadyThere => confirm(self.cloud, &owned, &rule, true).await,
            Err(error) => Err(fresh(error)),
        };
        StepOutcome { action: StepAction::Authorize { group: owned.id().clone(), rule }, result }
    }
}

/// A duplicate is only good news when the rule that is there is the one that was meant; and AWS says
/// "not found" of a rule as it does of a group that it does not know everywhere yet.
async fn confirm<C: Change>(cloud: &C, group: &OwnedGroup, rule: &Rule, wanted: bool) -> Result<Ensure, StepFailure> {
    let reading = cloud.groups(Groups::Ids(&[group.id().clone()].into())).await;
    if let Some(gap) = reading.gaps.into_iter().next() {
        return Err(StepFailure::Unread { gap: Box::new(gap) });
    }
    match reading.found.iter().find(|found| found.id == *group.id()) {
        Some(found) if found.rules.contains(rule) == wanted => Ok(Ensure::NotNeeded),
        _ => {
            let what = "AWS answers one thing about the rule and shows another".to_owned();
            Err(StepFailure::Changed { what, passing: true })
        }
    }
}

pub(super) async fn revoke<C: Change>(cloud: &C, group: &OwnedGroup, rule: &Rule) -> StepOutcome {
    let result = match cloud.revoke(group, rule).await {
        Ok(()) => Ok(Ensure::Done),
        Err(error) if error.kind == ErrorKind::NotFound => confirm(cloud, group, rule, false).await,
        Err(error) => Err(error.into()),
    };
    StepOutcome { action: StepAction::Revoke { group: group.id().clone(), rule: rule.clone() }, result }
}

fn proof(group: &SecurityGroup) -> Option<OwnedGroup> {
    group.ownership().ours().map(|owned| owned.group)
}
