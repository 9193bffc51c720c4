//! The state that AWS's own resources cannot hold: how many connections were removed lately, since when a
//! removal is wanted or a group unused, and how often something had to be attached again.
//!
//! All of it may be lost. Without it nothing counted is removed and nothing is cleaned up; adding
//! goes on.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    id::{InstanceId, InterfaceId, RequestId, SecurityGroupId, StoreId},
    policy::Policy,
    tag::ConnectTag,
    work::RequestKind,
};

/// One instance with one store: the unit in which removals are counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Connection {
    /// The instance.
    pub instance: InstanceId,
    /// The store's identity.
    pub store: StoreId,
}

/// A removal that is counted, and that may have to wait.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Removal {
    /// The instance sides of one connection leave an interface.
    Connection(Connection),
    /// The instance sides of one store leave an interface that no instance has any more.
    LeftOver {
        /// The interface.
        interface: InterfaceId,
        /// The store's identity.
        store: StoreId,
    },
    /// The groups for clients that are not instances leave their store.
    CidrGroup(StoreId),
    /// The store sides leave their store: after all that could leave one by one.
    StoreSide(StoreId),
}

impl Removal {
    /// The store that loses connections by it.
    #[must_use]
    pub fn store(&self) -> &StoreId {
        match self {
            Self::Connection(Connection { store, .. })
            | Self::LeftOver { store, .. }
            | Self::CidrGroup(store)
            | Self::StoreSide(store) => store,
        }
    }

    /// Whether it cuts the same connection each time that it is made. A store side cuts whoever has the other side then.
    #[must_use]
    pub fn is_of_one_connection(&self) -> bool {
        match self {
            Self::Connection(_) | Self::LeftOver { .. } | Self::CidrGroup(_) => true,
            Self::StoreSide(_) => false,
        }
    }
}

/// A removal that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Since when.
    pub since: Timestamp,
    /// When it was tried last and failed.
    pub failed: Option<Timestamp>,
}

impl Wanted {
    /// A removal that is wanted since a moment and was not tried yet.
    #[must_use]
    pub fn since(since: Timestamp) -> Self {
        Self { since, failed: None }
    }

    /// Its turn among those of its store: whoever waits longest goes first, and a failed try goes to the end.
    #[must_use]
    pub fn turn(&self) -> Timestamp {
        self.failed.unwrap_or(self.since)
    }
}

/// Something that has a list of groups.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// An instance's interface.
    Interface(InterfaceId),
    /// A data store.
    Store(StoreId),
}

/// A removal that was counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedRemoval {
    /// When its run decided; it was made within the run, a minute later at most.
    pub at: Timestamp,
    /// How many connections it cut.
    pub connections: u32,
    /// The removal; `None` when an earlier version counted it.
    pub of: Option<Removal>,
}

/// The counted removals of a VPC in the last window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Goes up by one with every write, which is made on the condition that it is still the one
    /// that was read: two runs at once cannot both use what is left.
    pub version: u64,
    /// The removals in the window. Of the one before it, only how many connections each run took from each store: by
    /// that the stores take turns.
    pub removals: Vec<CountedRemoval>,
}

impl Window {
    /// How many more connections may be removed at `now`. The window slides: at no moment have more
    /// than the policy's limit been removed in the span before it.
    #[must_use]
    pub fn left(&self, now: Timestamp, policy: &Policy) -> usize {
        let used: u64 = self.recent(now, policy).map(|(_, counted)| u64::from(counted.connections)).sum();
        policy.max_disconnects.saturating_sub(usize::try_from(used).unwrap_or(usize::MAX))
    }

    /// Whether the very same connection was removed in this window, so that to remove it once more uses nothing up.
    #[must_use]
    pub fn has(&self, removal: &Removal, now: Timestamp, policy: &Policy) -> bool {
        removal.is_of_one_connection()
            && self.recent(now, policy).any(|(_, counted)| counted.of.as_ref() == Some(removal))
    }

    /// How many connections each store lost in this window and in the one before it.
    #[must_use]
    pub fn by_store(&self, now: Timestamp, policy: &Policy) -> BTreeMap<StoreId, usize> {
        let mut lost = BTreeMap::<StoreId, usize>::new();
        for (_, counted) in self.younger(now, policy.disconnect_window.saturating_mul(2)) {
            if let Some(removal) = &counted.of {
                *lost.entry(removal.store().clone()).or_default() +=
                    usize::try_from(counted.connections).unwrap_or(usize::MAX);
            }
        }
        lost
    }

    /// The window after more removals at `now`, each with the number of connections that it cuts. A connection that
    /// is removed again counts from now on, and once. What lies further back than two windows is forgotten.
    #[must_use]
    pub fn with(&self, removed: &[(Removal, usize)], now: Timestamp, policy: &Policy) -> Self {
        let again = |counted: &CountedRemoval| {
            let is_same = |removal: &Removal| removal.is_of_one_connection() && counted.of.as_ref() == Some(removal);
            removed.iter().any(|(removal, _)| is_same(removal))
        };
        let recent = self.recent(now, policy).filter(|(_, counted)| !again(counted));
        let recent = recent.map(|(at, counted)| CountedRemoval { at, ..counted.clone() });
        let added = removed.iter().map(|(removal, connections)| CountedRemoval {
            at: now,
            connections: u32::try_from(*connections).unwrap_or(u32::MAX),
            of: Some(removal.clone()),
        });
        let removals = self.of_window_before(now, policy).into_iter().chain(recent).chain(added).collect();
        Self { version: self.version.saturating_add(1), removals }
    }

    /// The window when nothing more may be removed in it, nor again.
    #[must_use]
    pub fn used_up(&self, now: Timestamp, policy: &Policy) -> Self {
        let connections = u32::try_from(policy.max_disconnects).unwrap_or(u32::MAX);
        Self { version: self.version, removals: vec![CountedRemoval { at: now, connections, of: None }] }
    }

    fn of_window_before(&self, now: Timestamp, policy: &Policy) -> Vec<CountedRemoval> {
        let mut lost = BTreeMap::<(Timestamp, &StoreId), u32>::new();
        let is_before = |at: Timestamp| !is_younger(at, now, policy.disconnect_window);
        let of_both = self.younger(now, policy.disconnect_window.saturating_mul(2));
        for (at, counted) in of_both.filter(|(at, _)| is_before(*at)) {
            if let Some(removal) = &counted.of {
                let of_store = lost.entry((at, removal.store())).or_default();
                *of_store = of_store.saturating_add(counted.connections);
            }
        }
        let of = |store: &StoreId| Some(Removal::StoreSide(store.clone()));
        lost.into_iter().map(|((at, store), connections)| CountedRemoval { at, connections, of: of(store) }).collect()
    }

    fn recent(&self, now: Timestamp, policy: &Policy) -> impl Iterator<Item = (Timestamp, &CountedRemoval)> {
        self.younger(now, policy.disconnect_window)
    }

    /// A clock that ran ahead must not make the future count for ever, nor set anything free: what
    /// lies in the future counts like what was just done.
    fn younger(&self, now: Timestamp, span: std::time::Duration) -> impl Iterator<Item = (Timestamp, &CountedRemoval)> {
        let younger = self.removals.iter().filter(move |counted| is_younger(counted.at, now, span));
        younger.map(move |counted| (counted.at.min(now), counted))
    }
}

fn is_younger(at: Timestamp, now: Timestamp, span: std::time::Duration) -> bool {
    std::time::Duration::try_from(now.duration_since(at)).is_ok_and(|age| age < span) || at > now
}

/// For how long attaching something again counts.
const ATTACHED_AGAIN_COUNTS_FOR: std::time::Duration = std::time::Duration::from_hours(24);
/// How often in that time something that was detached by others is attached again. Whoever takes
/// it away more often than that owns the list (a deployment tool, a firewall manager), and two
/// tools must not fight for ever.
pub const MOST_TIMES_AGAIN: usize = 3;

/// An attachment of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// The names in the connect tag of the list's owner at that time. When they are others, somebody
    /// has looked at it, and all is forgotten.
    pub tag: String,
    /// When it was attached first.
    pub since: Timestamp,
    /// When it had to be attached again.
    pub again: Vec<Timestamp>,
    /// It was attached again too often, and is left alone.
    pub contested: bool,
}

impl Attached {
    /// The names of a connect tag, in the form in which they are compared.
    #[must_use]
    pub fn tag_of(connect: &ConnectTag) -> String {
        connect.names().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    /// Whether it may not be attached once more at `now`, to an owner whose tag says `tag`.
    #[must_use]
    pub fn is_contested(&self, tag: &str, now: Timestamp) -> bool {
        self.tag == tag && (self.contested || self.recent(now).count() >= MOST_TIMES_AGAIN)
    }

    /// The record after it was attached at `now`.
    #[must_use]
    pub fn after(before: Option<&Self>, tag: String, now: Timestamp) -> Self {
        match before.filter(|before| before.tag == tag) {
            Some(before) => Self {
                since: before.since,
                again: before.recent(now).chain([now]).collect(),
                contested: before.contested,
                tag,
            },
            None => Self { tag, since: now, again: Vec::new(), contested: false },
        }
    }

    fn recent(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        self.again.iter().copied().filter(move |at| {
            std::time::Duration::try_from(now.duration_since(*at)).map_or(true, |age| age < ATTACHED_AGAIN_COUNTS_FOR)
        })
    }
}

/// Everything that the state table holds of a VPC, as far as one run needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VpcState {
    /// Removals lately.
    pub window: Window,
    /// Removals that were held back or failed.
    pub wanted: BTreeMap<Removal, Wanted>,
    /// Since when owned groups are seen unused.
    pub unused: BTreeMap<SecurityGroupId, Timestamp>,
    /// The groups that tagwire attached, by the list that they are in.
    pub attached: BTreeMap<(Target, SecurityGroupId), Attached>,
    /// Since when tagwire is being uninstalled from the VPC: a person asked for it, and until that is cancelled
    /// nothing is made there and everything owned is taken away.
    pub uninstalling: Option<Timestamp>,
    /// The last request that had tagwire uninstalled from the VPC, or that cancelled that.
    pub last_request: Option<RequestId>,
    /// When a sweep last looked at all of the VPC.
    pub swept: Option<Timestamp>,
}

/// An entry of the state table to be written, or, with `None`, to be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    /// A removal that waits.
    Wanted(Removal, Option<Wanted>),
    /// Since when a group is unused.
    Unused(SecurityGroupId, Option<Timestamp>),
    /// An attachment.
    Attached(Target, SecurityGroupId, Option<Attached>),
    /// Since when tagwire is being uninstalled; `None` when that was cancelled.
    Uninstalling(Option<Timestamp>),
    /// The request that had tagwire uninstalled or cancelled that, and when.
    Requested(RequestId, Timestamp),
    /// When everything was last looked at.
    Swept(Timestamp),
}

impl VpcState {
    /// Takes a request into account as if the state table held it already. Both the command that shows its plan
    /// and the function that carries it out plan on this. A second uninstall keeps the time of the first.
    pub fn apply_request(&mut self, kind: RequestKind, now: Timestamp) {
        match kind {
            RequestKind::Apply => {}
            RequestKind::Uninstall => self.uninstalling = Some(self.uninstalling.unwrap_or(now)),
            RequestKind::CancelUninstall => self.uninstalling = None,
        }
    }

    /// Takes a note.
    pub fn note(&mut self, note: Note) {
        fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
            match value {
                Some(value) => drop(map.insert(key, value)),
                None => drop(map.remove(&key)),
            }
        }
        match note {
            Note::Wanted(removal, wanted) => put(&mut self.wanted, removal, wanted),
            Note::Unused(group, since) => put(&mut self.unused, group, since),
            Note::Attached(target, group, attached) => put(&mut self.attached, (target, group), attached),
            Note::Uninstalling(since) => self.uninstalling = since,
            Note::Requested(request, _) => self.last_request = Some(request),
            Note::Swept(at) => self.swept = Some(at),
        }
    }
}
