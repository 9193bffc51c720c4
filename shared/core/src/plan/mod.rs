//! The plan: what turns an observation into what the tags ask for.
//!
//! [`plan`] is a pure function; all judgement is in it and in the tables it follows
//! ([`StoreRow`], [`PairRow`]). Nothing is left to choose when a plan is carried out.

mod cidr;
pub(crate) mod conditions;
pub(crate) mod disconnect;
pub(crate) mod index;
pub(crate) mod obstacles;
pub(crate) mod pair;
pub(crate) mod places;
mod rows;
mod show;
mod status;
pub(crate) mod teardown;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Serialize;

pub(crate) use self::index::is_usable;
use self::{
    conditions::{Candidate, Places, Situation},
    disconnect::Disconnects,
    index::Index,
    pair::{PairState, Use},
    places::Taken,
};
pub use self::{
    conditions::{Condition, Premise},
    rows::{PairRow, StoreRow},
    show::{Action, Effect},
    status::{StatusChange, StatusOf},
};
use crate::{
    cidr::CidrPeer,
    expected::carried_out,
    finding::{Finding, Reason, Subject},
    group::{CidrGroupName, GroupName, OwnTags, OwnedGroup, Role},
    id::{InstanceId, InterfaceId, SecurityGroupId, StoreArn, StoreId},
    model::DataStore,
    observation::Observation,
    policy::Policy,
    rule::{Direction, Peer, PortRange, Rule, Traffic},
    service::Side,
    state::{Note, Window},
    tag::ConnectionName,
};

/// A group that exists, or one that this plan creates and that has no id yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupRef {
    /// It is there.
    Existing(SecurityGroupId),
    /// This store's group for this role, created by the same plan.
    Planned(StoreId, Role),
}

impl GroupRef {
    /// The id; of a planned group, the one under which it stands in an expected observation: another
    /// one for every identity, in the characters that an id may have.
    pub(crate) fn expected_id(&self) -> SecurityGroupId {
        let (store, role) = match self {
            Self::Existing(id) => return id.clone(),
            Self::Planned(store, role) => (store, role),
        };
        let spell = |symbol: char| match symbol {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' => symbol.to_string(),
            other => format!(".{:02x}", u32::from(other)),
        };
        let word = store.as_str().chars().map(spell).collect::<Vec<_>>().concat();
        SecurityGroupId::parse(format!("sg-planned-{word}-{}", role.tag_value()))
            .unwrap_or_else(|_| unreachable!("letters, digits, dots and dashes after sg- are a group id"))
    }
}

/// A group to create. Its first rule, let out everything, is revoked as part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupSpec<Name = GroupName> {
    /// The name, which says the role.
    pub name: Name,
    /// The tags.
    pub tags: OwnTags,
}

/// The one rule of a side: TCP on the store's ports, from or to the other side of the same pair.
/// A rule with a CIDR block cannot be written down here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PairRule {
    /// The side that gets the rule.
    pub side: Side,
    /// The store's ports.
    pub ports: PortRange,
    /// The other side.
    pub peer: GroupRef,
}

impl PairRule {
    /// The direction of a side's rule: into the store, out of the instance.
    #[must_use]
    pub fn direction(side: Side) -> Direction {
        match side {
            Side::Store => Direction::Inbound,
            Side::Instance => Direction::Outbound,
        }
    }

    /// The rule as AWS holds it, once the peer's id is known.
    #[must_use]
    pub fn with_peer(&self, peer: SecurityGroupId) -> Rule {
        Rule { direction: Self::direction(self.side), traffic: Traffic::Tcp(self.ports), peer: Peer::Group(peer) }
    }
}

/// What is to be done at one store's pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PairWork {
    /// The store.
    pub store: StoreArn,
    /// The row of the decision table that asks for it.
    pub row: StoreRow,
    /// Groups to create.
    pub create: BTreeMap<Side, GroupSpec>,
    /// Rules to add, each to the group that stands beside it.
    pub authorize: Vec<(GroupRef, PairRule)>,
    /// Rules to take away, after the new ones are in.
    pub revoke: Vec<(OwnedGroup, Rule)>,
    /// Tags to write again.
    pub tag: Vec<(OwnedGroup, OwnTags)>,
}

impl PairWork {
    fn is_empty(&self) -> bool {
        self.create.is_empty() && self.authorize.is_empty() && self.revoke.is_empty() && self.tag.is_empty()
    }
}

/// What is to be done at a store's group for clients that are not EC2 instances. Its rules are written
/// here as what they let in, so that none of another kind can be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CidrWork {
    /// The store.
    pub store: StoreArn,
    /// Its ports.
    pub ports: PortRange,
    /// The group.
    pub group: GroupRef,
    /// The group to create.
    pub create: Option<GroupSpec<CidrGroupName>>,
    /// Whom to let in.
    pub authorize: BTreeSet<CidrPeer>,
    /// Rules to take away, after the new ones are in.
    pub revoke: Vec<(OwnedGroup, Rule)>,
    /// They have to go before, because the group has no room for both.
    pub revoke_first: bool,
    /// Tags to write again.
    pub tag: Option<(OwnedGroup, OwnTags)>,
}

impl CidrWork {
    fn is_empty(&self) -> bool {
        self.create.is_none() && self.authorize.is_empty() && self.revoke.is_empty() && self.tag.is_none()
    }

    /// The rule that lets a peer in, as AWS holds it.
    #[must_use]
    pub fn rule(&self, peer: &CidrPeer) -> Rule {
        Rule { direction: Direction::Inbound, traffic: Traffic::Tcp(self.ports), peer: peer.to_peer() }
    }
}

/// Why the group for clients that are not instances is taken off its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CidrDetachReason {
    /// The store is blocked: the urgent path.
    Blocked,
    /// The store does not carry the connect tag.
    StoreOptedOut,
    /// The store's tag for such clients is gone or empty.
    NotAskedFor,
    /// A person asked for tagwire to be gone.
    Uninstalling,
}

impl CidrDetachReason {
    /// Whether the removal uses up the window.
    #[must_use]
    pub fn is_counted(self) -> bool {
        match self {
            Self::Blocked | Self::Uninstalling => false,
            Self::StoreOptedOut | Self::NotAskedFor => true,
        }
    }
}

impl fmt::Display for CidrDetachReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Blocked => "blocked",
            Self::StoreOptedOut => "the data store has no connect tag",
            Self::NotAskedFor => "the data store asks for no clients but instances",
            Self::Uninstalling => "tagwire is being uninstalled",
        })
    }
}

/// What becomes of the group for clients that are not instances in its store's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CidrChange {
    /// It is added.
    Attach(GroupRef),
    /// It is taken away, with others like it if there are several.
    Detach {
        /// The groups.
        groups: BTreeSet<OwnedGroup>,
        /// Why.
        reason: CidrDetachReason,
    },
}

/// Why something of ours is taken away. There are no other reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DetachReason {
    /// Both carry the connect tag, and share no name any more.
    NamesNotShared,
    /// The instance does not carry the connect tag.
    NotAskedFor,
    /// The store does not carry it.
    StoreOptedOut,
    /// The store is gone.
    StoreGone,
    /// One of the two is blocked, or the interface isolated: the urgent path.
    Blocked,
    /// A person asked for tagwire to be gone.
    Uninstalling,
}

impl DetachReason {
    /// Every reason, in the documented table's order.
    pub const ALL: [Self; 6] = [
        Self::NamesNotShared,
        Self::NotAskedFor,
        Self::StoreOptedOut,
        Self::StoreGone,
        Self::Blocked,
        Self::Uninstalling,
    ];

    /// When it holds.
    #[must_use]
    pub fn condition(self) -> &'static str {
        match self {
            Self::NamesNotShared => "both carry the connect tag, and no name is in both",
            Self::NotAskedFor => "the data store carries the connect tag, and the instance does not",
            Self::StoreOptedOut => "the data store does not carry the connect tag",
            Self::StoreGone => {
                "its service does not know the data store's name and lists nothing with its identity, and nothing carries its store side"
            }
            Self::Blocked => {
                "one of the two carries `tagwire:block`, or the instance's interface has a group of isolation"
            }
            Self::Uninstalling => "a person asked for tagwire to be gone from the VPC, with `tagwire uninstall`",
        }
    }

    /// What goes.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Self::NamesNotShared | Self::NotAskedFor => "the instance side leaves the interface",
            Self::StoreOptedOut => {
                "the instance sides leave the interfaces; when all have, the store side leaves the data store and the pair is deleted"
            }
            Self::StoreGone => "the instance sides leave the interfaces, and the pair is deleted",
            Self::Blocked => {
                "the instance side leaves the interface; a blocked data store loses its store side as well"
            }
            Self::Uninstalling => {
                "the instance sides leave the interfaces, the store side leaves the data store, and the pair is deleted"
            }
        }
    }

    /// Whether the removal uses up the window. What somebody asked for in so many words does not,
    /// nor does what leads nowhere.
    #[must_use]
    pub fn is_counted(self) -> bool {
        match self {
            Self::NamesNotShared | Self::NotAskedFor | Self::StoreOptedOut => true,
            Self::StoreGone | Self::Blocked | Self::Uninstalling => false,
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NamesNotShared => "names-not-shared",
            Self::NotAskedFor => "not-asked-for",
            Self::StoreOptedOut => "store-opted-out",
            Self::StoreGone => "store-gone",
            Self::Blocked => "blocked",
            Self::Uninstalling => "uninstalling",
        }
    }
}

impl fmt::Display for DetachReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NamesNotShared => "they share no name any more",
            Self::NotAskedFor => "the instance has no connect tag",
            Self::StoreOptedOut => "the data store has no connect tag",
            Self::StoreGone => "the data store is gone",
            Self::Blocked => "blocked",
            Self::Uninstalling => "tagwire is being uninstalled",
        })
    }
}

/// A change of a store's list. A store gets its pair or loses it, never both at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreChange {
    /// The store.
    pub store: StoreArn,
    /// The store side of its own pair, to be added.
    pub attach: Option<GroupRef>,
    /// The instances that need it.
    pub needed_by: BTreeSet<InstanceId>,
    /// Store sides of its own pairs, to be taken away.
    pub detach: BTreeMap<OwnedGroup, DetachReason>,
    /// What becomes of its group for clients that are not instances.
    pub cidr: Option<CidrChange>,
    /// How many connections that cuts which have to be counted: those whose instance sides cannot be
    /// taken away one by one, and one for the group whose clients nobody can count.
    pub cuts: usize,
}

impl StoreChange {
    fn of(store: &StoreArn) -> Self {
        Self {
            store: store.clone(),
            attach: None,
            needed_by: BTreeSet::new(),
            detach: BTreeMap::new(),
            cidr: None,
            cuts: 0,
        }
    }

    /// The groups that are added.
    pub fn attached(&self) -> impl Iterator<Item = &GroupRef> {
        let cidr = match &self.cidr {
            Some(CidrChange::Attach(group)) => Some(group),
            Some(CidrChange::Detach { .. }) | None => None,
        };
        self.attach.iter().chain(cidr)
    }

    /// The groups that are taken away.
    pub fn detached(&self) -> impl Iterator<Item = &OwnedGroup> {
        let cidr = match &self.cidr {
            Some(CidrChange::Detach { groups, .. }) => Some(groups),
            Some(CidrChange::Attach(_)) | None => None,
        };
        self.detach.keys().chain(cidr.into_iter().flatten())
    }

    /// Whether a group is taken away.
    #[must_use]
    pub fn detaches(&self, group: &SecurityGroupId) -> bool {
        self.detached().any(|gone| gone.id() == group)
    }
}

/// A change of an interface's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InterfaceChange {
    /// The instance that the interface belongs to.
    pub instance: InstanceId,
    /// The instance sides to be added, each with the store it leads to and the names shared with it.
    pub attach: BTreeMap<GroupRef, Attachment>,
    /// The instance sides to be taken away.
    pub detach: BTreeMap<OwnedGroup, Detachment>,
}

/// Why an instance side is taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Detachment {
    /// The identity of the store it led to.
    pub store: StoreId,
    /// That store's ARN; none when the group has lost the tag that says it.
    pub arn: Option<StoreArn>,
    /// The reason.
    pub reason: DetachReason,
}

/// Why a pair is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeleteReason {
    /// Its store is gone.
    StoreGone,
    /// Its store takes no part any more.
    StoreOptedOut,
    /// Its store asks for no clients but instances.
    CidrNotAskedFor,
    /// Nobody has used it for longer than the time between two sweeps.
    Unused,
    /// A person asked for tagwire to be gone.
    Uninstalling,
}

impl fmt::Display for DeleteReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::StoreGone => "its data store is gone",
            Self::StoreOptedOut => "its data store has no connect tag",
            Self::CidrNotAskedFor => "its data store asks for no clients but instances",
            Self::Unused => "nobody uses it",
            Self::Uninstalling => "tagwire is being uninstalled",
        })
    }
}

/// The end of a store's pair, or of its group for clients that are not instances. It is carried out last,
/// when nothing has it any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Teardown {
    /// The store it belonged to; none when its groups have lost the tag that says it.
    pub store: Option<StoreArn>,
    /// Why.
    pub reason: DeleteReason,
    /// The rules by which the groups name owned ones, each other above all: AWS deletes no group that
    /// another one names.
    pub revoke: Vec<(OwnedGroup, Rule)>,
    /// The groups.
    pub delete: Vec<OwnedGroup>,
}

/// Why an instance side is attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attachment {
    /// The store it leads to.
    pub store: StoreArn,
    /// The names both sides hold.
    pub names: BTreeSet<ConnectionName>,
}

/// What makes an instance reach a store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Via {
    /// The group on the store.
    pub store_side: SecurityGroupId,
    /// The group on the instance.
    pub instance_side: SecurityGroupId,
    /// Whether both are ours.
    pub owned: bool,
}

/// What is decided about one instance and one store that share a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is connected already.
    Connected(Via),
    /// This plan connects it.
    Connecting,
    /// This plan does its part, but one call has to wait.
    Waiting(Reason),
    /// It is not connected.
    Refused(Reason),
    /// This plan takes the connection away. What is open already stays open until it is closed.
    Disconnecting(DetachReason),
    /// It is to be taken away, and has to wait for a later window.
    HeldBack(DetachReason),
}

/// A verdict on one instance and one store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The store.
    pub store: StoreArn,
    /// The instance.
    pub instance: InstanceId,
    /// The verdict.
    pub verdict: Verdict,
}

/// What is to be done, and why not more. There is one change per target list, so two actions on
/// one list cannot be written down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[must_use = "a plan does nothing until it is checked and applied"]
pub struct Plan {
    /// Work at pairs, by store.
    pub pairs: BTreeMap<StoreId, PairWork>,
    /// Work at groups for clients that are not instances, by store.
    pub cidrs: BTreeMap<StoreId, CidrWork>,
    /// Changes of stores' lists.
    pub stores: BTreeMap<StoreId, StoreChange>,
    /// Changes of interfaces' lists.
    pub interfaces: BTreeMap<InterfaceId, InterfaceChange>,
    /// Pairs to be deleted.
    pub teardowns: BTreeMap<StoreId, Teardown>,
    /// Groups for clients that are not instances, to be deleted.
    pub cidr_teardowns: BTreeMap<StoreId, Teardown>,
    /// Status tags to be written.
    pub statuses: Vec<StatusChange>,
    /// The window with this plan's counted removals in it, to be written before them, on the condition
    /// that nobody else wrote it since.
    pub window: Option<Window>,
    /// What is to be remembered, whether anything is carried out or not.
    pub notes: Vec<Note>,
    /// A verdict on every instance and store in scope that share a name, or that lose a connection.
    pub decisions: Vec<Decision>,
    /// Everything else that is worth saying.
    pub findings: Vec<Finding>,
}

impl Plan {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
            && self.cidrs.is_empty()
            && self.cidr_teardowns.is_empty()
            && self.stores.is_empty()
            && self.interfaces.is_empty()
            && self.teardowns.is_empty()
            && self.statuses.is_empty()
    }

    fn change_of(&mut self, store: &DataStore) -> &mut StoreChange {
        self.stores.entry(store.id.clone()).or_insert_with(|| StoreChange::of(&store.arn))
    }

    /// The stores to look at again in a while, because something about them passes by itself.
    #[must_use]
    pub fn stores_to_revisit(&self) -> BTreeSet<StoreArn> {
        let of_decisions = self.decisions.iter().filter_map(|decision| match &decision.verdict {
            Verdict::Waiting(reason) | Verdict::Refused(reason) => reason.passes().then_some(&decision.store),
            Verdict::Connected(_) | Verdict::Connecting | Verdict::Disconnecting(_) | Verdict::HeldBack(_) => None,
        });
        let of_findings = self.findings.iter().filter_map(|finding| match &finding.subject {
            Subject::Store(store) => finding.reason.passes().then_some(store),
            Subject::Vpc(_) | Subject::Instance(_) | Subject::Group(_) => None,
        });
        of_decisions.chain(of_findings).cloned().collect()
    }
}

/// Decides what to do about everything that was observed.
pub fn plan(seen: &Observation, policy: &Policy) -> Plan {
    let index = Index::of(seen, policy);
    let mut plan = settle(&index).plan;
    let all_read = seen.stores.is_complete() && seen.instances.is_complete() && seen.groups.is_complete();
    if policy.status_tags && all_read {
        let after = carried_out(seen, &plan);
        let then = settle(&Index::of(&after, policy)).plan;
        plan.statuses = status::changes(&plan, &then, &index);
    }
    plan
}

/// A plan, and what it was decided by.
pub(crate) struct Settled<'index> {
    pub(crate) plan: Plan,
    pub(crate) pair_states: PairStates<'index>,
    pub(crate) disconnects: Disconnects<'index>,
    /// How full the lists were at the turn of each instance and store that were decided about.
    pub(crate) places: BTreeMap<(&'index InstanceId, &'index StoreId), Places>,
    /// How many of the plan's first decisions are about instance sides that leave an interface.
    pub(crate) departed: usize,
}

pub(crate) fn settle<'index>(index: &'index Index<'index>) -> Settled<'index> {
    let pair_states: PairStates<'_> = index.stores().map(|store| (&store.id, PairState::of(index, store))).collect();
    let settled = decide(index, pair_states, BTreeSet::new());
    let plan = &settled.plan;
    // What kept its last group for want of another may lose it after all when it gets one.
    let keep_last: BTreeSet<&Subject> = plan
        .findings
        .iter()
        .filter(|finding| matches!(finding.reason, Reason::LastGroup { .. }))
        .map(|finding| &finding.subject)
        .collect();
    let gains = plan.interfaces.iter().filter(|(_, change)| {
        !change.attach.is_empty() && keep_last.contains(&Subject::Instance(change.instance.clone()))
    });
    let gaining: BTreeSet<InterfaceId> = gains.map(|(interface, _)| interface.clone()).collect();
    if gaining.is_empty() { settled } else { decide(index, settled.pair_states, gaining) }
}

fn decide<'index>(
    index: &'index Index<'index>,
    pair_states: PairStates<'index>,
    gaining: BTreeSet<InterfaceId>,
) -> Settled<'index> {
    let mut plan = Plan { findings: obstacles::findings(index), ..Plan::default() };
    let mut disconnects = Disconnects::of(index, gaining);
    disconnects.leave(&mut plan);
    let departed = plan.decisions.len();
    let last = cidr::leave(&mut plan, index, &mut disconnects);
    let (needs, places) = join(&mut plan, index, &pair_states, &disconnects);

    for (id, store) in index.stores_here() {
        let Some(pair_state) = pair_states.get(id).filter(|pair_state| index.takes_in(pair_state)) else { continue };
        plan.findings.extend(pair_state.ambiguity_finding());
        disconnects.leave_store(&mut plan, index, store);
        if let Some(needed_by) = needs.get(id).filter(|_| !store.settings.held) {
            attach(&mut plan, pair_state, needed_by);
        }
    }
    mend(&mut plan, index, &pair_states, &needs);
    cidr::decide(&mut plan, index, &mut disconnects, &last);
    teardown::tear_down(&mut plan, index, &disconnects);
    let works = plan.pairs.iter().filter_map(|(id, work)| Some((pair_states.get(id)?, work)));
    plan.findings.extend(works.flat_map(|(pair_state, work)| pair_state.drift(index, work)));
    disconnects.conclude(&mut plan);
    plan.findings.sort();
    plan.findings.dedup();
    Settled { plan, pair_states, disconnects, places, departed }
}

pub(crate) type PairStates<'index> = BTreeMap<&'index StoreId, PairState<'index>>;
pub(crate) type Needs<'index> = BTreeMap<&'index StoreId, Vec<Candidate<'index>>>;

/// Decides about every instance and store that share a name; those that are to be connected, by store,
/// and how full the lists were at the turn of each.
fn join<'index>(
    plan: &mut Plan,
    index: &'index Index<'index>,
    pair_states: &PairStates<'index>,
    disconnects: &Disconnects<'_>,
) -> (Needs<'index>, BTreeMap<(&'index InstanceId, &'index StoreId), Places>) {
    let (mut needs, mut found) = (Needs::new(), BTreeMap::new());
    let mut taken = Taken::new(disconnects);
    for candidate in index.candidates() {
        let (instance, store) = (candidate.instance, candidate.store);
        let Some(pair_state) = pair_states.get(&store.id) else { continue };
        if disconnects.contains(&instance.id, &store.id) {
            continue;
        }
        let leaving_store = plan.stores.get(&store.id).map_or(0, |change| change.detached().count());
        let places = Places { leaving_store, on_interface: taken.on_interface(instance) };
        found.insert((&instance.id, &store.id), places);
        let verdict = match PairRow::of(index.connection(pair_state, instance)) {
            PairRow::Connected(via) => Verdict::Connected(via),
            PairRow::NotConnected => match (Situation { index, pair_state, instance, places }).first_unmet() {
                Some((condition, reason)) if condition.refuses() => {
                    if condition == Condition::NotContested {
                        obstacles::leave_contested(plan, index, pair_state, instance);
                    }
                    Verdict::Refused(reason)
                }
                waits => {
                    taken.take(pair_state, instance);
                    needs.entry(&store.id).or_default().push(candidate.clone());
                    waits.map_or(Verdict::Connecting, |(_, reason)| Verdict::Waiting(reason))
                }
            },
        };
        if !matches!(verdict, Verdict::Refused(_)) {
            plan.findings.extend(obstacles::cross_zone(&candidate));
        }
        plan.decisions.push(Decision { store: store.arn.clone(), instance: instance.id.clone(), verdict });
    }
    (needs, found)
}

/// Makes, finishes or puts back the pairs in scope.
fn mend(plan: &mut Plan, index: &Index<'_>, pair_states: &PairStates<'_>, needs: &Needs<'_>) {
    let mut names = index.taken_names();
    for (id, store) in index.stores_here() {
        let Some(pair_state) = pair_states.get(id).filter(|pair_state| index.takes_in(pair_state)) else { continue };
        let used = if needs.contains_key(id) {
            Use::Needed
        } else if pair_state.instance_side().is_some_and(|side| index.is_used_by_entitled(store, side)) {
            Use::Attached
        } else {
            Use::Unused
        };
        let Some(work) = pair::work(index, pair_state, used, &mut names) else { continue };
        if store.settings.held {
            plan.findings.push(Finding { subject: Subject::Store(store.arn.clone()), reason: Reason::Held });
        } else {
            plan.pairs.insert(id.clone(), work);
        }
    }
}

/// Adds the pair to the lists that lack it.
fn attach(plan: &mut Plan, pair_state: &PairState<'_>, needed_by: &[Candidate<'_>]) {
    let store = pair_state.store;
    if !pair_state.store_has_group() && obstacles::store_attachment_waits(pair_state).is_none() {
        let change = plan.change_of(store);
        change.attach = Some(pair_state.group_ref(Side::Store));
        change.needed_by = needed_by.iter().map(|candidate| candidate.instance.id.clone()).collect();
    }
    for candidate in needed_by {
        let Some(interface) = &candidate.instance.interface else { continue };
        if pair_state.instance_has_group(candidate.instance) {
            continue;
        }
        let attachment = Attachment { store: store.arn.clone(), names: candidate.names.clone() };
        let change = plan.interfaces.entry(interface.id.clone());
        let change = change.or_insert_with(|| InterfaceChange::of(&candidate.instance.id));
        change.attach.insert(pair_state.group_ref(Side::Instance), attachment);
    }
}

impl InterfaceChange {
    fn of(instance: &InstanceId) -> Self {
        Self { instance: instance.clone(), attach: BTreeMap::new(), detach: BTreeMap::new() }
    }
}
