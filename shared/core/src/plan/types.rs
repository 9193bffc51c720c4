//! The types that a plan is made of.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Serialize;

use super::{DetachReason, StatusChange, StoreRow};
use crate::{
    cidr::CidrPeer,
    finding::{Finding, Reason, Subject},
    group::{GroupKind, GroupName, OwnTags, OwnedGroup, Role},
    id::{InstanceId, InterfaceId, SecurityGroupId, StoreArn, StoreId},
    rule::{Direction, Peer, PortRange, Rule, Traffic},
    service::Side,
    state::{Connection, Note, Removal, Window},
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
pub struct GroupSpec {
    /// The name, which says the role.
    pub name: GroupName,
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

/// The work at one store's pair.
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
    pub(super) fn is_empty(&self) -> bool {
        self.create.is_empty() && self.authorize.is_empty() && self.revoke.is_empty() && self.tag.is_empty()
    }
}

/// The work at a store's group for clients that are not EC2 instances. Its rules are written
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
    pub create: Option<GroupSpec>,
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
    pub(super) fn is_empty(&self) -> bool {
        self.create.is_none() && self.authorize.is_empty() && self.revoke.is_empty() && self.tag.is_none()
    }

    /// The rule that lets a peer in, as AWS holds it.
    #[must_use]
    pub fn rule(&self, peer: &CidrPeer) -> Rule {
        Rule { direction: Direction::Inbound, traffic: Traffic::Tcp(self.ports), peer: peer.to_peer() }
    }
}

/// A change of a store's list. Of each kind of group a store gets its own or loses it, never both at once; one that
/// it took over from another store may leave with either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreChange {
    /// The store.
    pub store: StoreArn,
    /// The groups to be added: the store side of its own pair, and its group for clients that are not
    /// instances.
    pub attach: BTreeMap<GroupKind, GroupRef>,
    /// The instances that need the store side that is added.
    pub needed_by: BTreeSet<InstanceId>,
    /// Groups to be taken away: its own, and those of other stores that are in its list.
    pub detach: BTreeMap<(GroupKind, OwnedGroup), DetachReason>,
    /// The number of connections cut here that have to be counted: those whose instance sides cannot be
    /// taken away one by one, and one for the group whose clients nobody can count.
    pub cuts: usize,
}

impl StoreChange {
    pub(super) fn of(store: &StoreArn) -> Self {
        Self {
            store: store.clone(),
            attach: BTreeMap::new(),
            needed_by: BTreeSet::new(),
            detach: BTreeMap::new(),
            cuts: 0,
        }
    }

    /// The groups that are added.
    pub fn attached(&self) -> impl Iterator<Item = &GroupRef> {
        self.attach.values()
    }

    /// The groups that are taken away.
    pub fn detached(&self) -> impl Iterator<Item = &OwnedGroup> {
        self.detach.keys().map(|(_, group)| group)
    }

    /// The groups of one kind that are taken away, each with the reason.
    pub fn detached_of(&self, kind: GroupKind) -> impl Iterator<Item = (&OwnedGroup, DetachReason)> {
        let of_kind = self.detach.iter().filter(move |((of, _), _)| *of == kind);
        of_kind.map(|((_, group), reason)| (group, *reason))
    }

    /// The removals, as they stand in the queue.
    pub fn removals(&self, store: &StoreId) -> impl Iterator<Item = Removal> {
        let kinds = GroupKind::ALL.into_iter().filter(|kind| self.detached_of(*kind).next().is_some());
        kinds.map(|kind| match kind {
            GroupKind::Pair => Removal::StoreSide(store.clone()),
            GroupKind::Cidr => Removal::CidrGroup(store.clone()),
        })
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
    /// The instance that the interface belongs to; none when it outlived its instance.
    pub instance: Option<InstanceId>,
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
    /// That store's ARN; `None` when the group has lost the tag that holds it.
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
pub struct Deletion {
    /// The store it belonged to; `None` when its groups have lost the tag that says it.
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

/// The pair through which an instance reaches a store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Via {
    /// The group on the store.
    pub store_side: SecurityGroupId,
    /// The group on the instance.
    pub instance_side: SecurityGroupId,
    /// Whether both are ours.
    pub owned: bool,
}

/// The decision about one instance and one store that share a name.
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

/// The changes to be made, and the reasons why not more. There is one change per target list, so two actions on
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
    /// Pairs and groups for clients that are not instances, to be deleted.
    pub deletions: BTreeMap<(GroupKind, StoreId), Deletion>,
    /// Status tags to be written.
    pub statuses: Vec<StatusChange>,
    /// The window with this plan's counted removals in it, to be written before them, on the condition
    /// that nobody else wrote it since.
    pub window: Option<Window>,
    /// The notes for the state table, written whether anything is carried out or not.
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
            && self.stores.is_empty()
            && self.interfaces.is_empty()
            && self.deletions.is_empty()
            && self.statuses.is_empty()
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

impl InterfaceChange {
    pub(super) fn of(instance: Option<&InstanceId>) -> Self {
        Self { instance: instance.cloned(), attach: BTreeMap::new(), detach: BTreeMap::new() }
    }

    /// The removal of what leads to a store, as it stands in the queue.
    #[must_use]
    pub fn removal(&self, interface: &InterfaceId, store: &StoreId) -> Removal {
        match self.instance.clone() {
            Some(instance) => Removal::Connection(Connection { instance, store: store.clone() }),
            None => Removal::LeftOver { interface: interface.clone(), store: store.clone() },
        }
    }
}
