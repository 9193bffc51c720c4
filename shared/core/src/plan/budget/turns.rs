//! How much of the window is left, and whose turn it is.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    plan::index::Index,
    policy::Policy,
    state::{Removal, VpcState, Wanted},
};

/// How many more counted connections this plan may remove.
pub(super) struct Budget<'index> {
    /// The state, `None` when it could not be read: then nothing counted goes.
    pub(super) state: Option<&'index VpcState>,
    now: Timestamp,
    policy: &'index Policy,
    pub(super) left: usize,
    /// What goes, with the number of connections that it cuts.
    pub(super) taken: Vec<(Removal, usize)>,
    /// Something had to wait, so nobody goes before it for nothing.
    waits: bool,
    /// Counted removals at stores that have to wait.
    pub(super) waiting_at_stores: usize,
}

impl<'index> Budget<'index> {
    pub(super) fn of(index: &Index<'index>) -> Self {
        let (state, now, policy) = (index.seen.state.as_ref().ok(), index.seen.at, index.policy);
        let left = state.map_or(0, |state| state.window.left(now, policy));
        Self { state, now, policy, left, taken: Vec::new(), waits: false, waiting_at_stores: 0 }
    }

    pub(super) fn wanted(&self, removal: &Removal) -> Option<&'index Wanted> {
        self.state.and_then(|state| state.wanted.get(removal))
    }

    /// Since when a removal waits, as far as the queue goes.
    pub(super) fn turn(&self, removal: &Removal) -> Timestamp {
        self.wanted(removal).map_or(self.now, Wanted::turn)
    }

    /// The stores take turns: first goes what its store has lost the fewest connections before, lately or by what
    /// stands before it in the queue. Of one store, and where that is the same, whoever waits longest goes first.
    pub(super) fn in_turns<Queued>(&self, queue: BTreeMap<Removal, Queued>) -> Vec<(Timestamp, Removal, Queued)> {
        let mut order: Vec<_> =
            queue.into_iter().map(|(removal, queued)| (self.turn(&removal), removal, queued)).collect();
        order.sort_by(|(one, removal, _), (other, other_removal, _)| (one, removal).cmp(&(other, other_removal)));
        let mut lost = self.state.map(|state| state.window.by_store(self.now, self.policy)).unwrap_or_default();
        let mut turns: Vec<_> = order
            .into_iter()
            .map(|(since, removal, queued)| {
                let of_store = lost.entry(removal.store().clone()).or_default();
                let before = *of_store;
                // What is removed once more was counted there already.
                *of_store += usize::from(!self.was_counted(&removal));
                (before, (since, removal, queued))
            })
            .collect();
        turns.sort_by_key(|(before, _)| *before);
        turns.into_iter().map(|(_, of_store)| of_store).collect()
    }

    fn was_counted(&self, removal: &Removal) -> bool {
        self.state.is_some_and(|state| state.window.has(removal, self.now, self.policy))
    }

    /// Whether a removal is of a connection that was removed in this window already. It uses nothing up, but never goes
    /// before something that waits: or else whoever changes a tag to and fro would keep the window from all others.
    fn is_counted_already(&self, removal: &Removal) -> bool {
        self.was_counted(removal) && !self.waits && self.policy.max_disconnects > 0
    }

    /// Whether a removal may be made that cuts so many connections; then they are counted.
    pub(super) fn takes(&mut self, removal: &Removal, count: usize) -> bool {
        let already = self.is_counted_already(removal);
        let lets = self.state.is_some() && (already || count <= self.left);
        if !lets {
            self.waits = true;
            return false;
        }
        if !already {
            self.left -= count;
        }
        if count > 0 {
            self.taken.push((removal.clone(), count));
        }
        true
    }

    /// Keeps a place for another run's removal.
    pub(super) fn reserve(&mut self, removal: &Removal) {
        if self.is_counted_already(removal) {
            return;
        }
        self.waits |= self.left == 0;
        self.left = match removal {
            Removal::Connection(_) | Removal::LeftOver { .. } | Removal::CidrGroup(_) => self.left.saturating_sub(1),
            // How much a store side carries, only its own run can tell.
            Removal::StoreSide(_) => 0,
        };
    }

    /// Keeps the whole window for something that a part of it does not suffice for.
    pub(super) fn keep_all(&mut self) {
        (self.left, self.waits) = (0, true);
    }
}
