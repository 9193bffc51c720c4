//! The one queue of all that is counted: instance sides, store sides and groups for CIDR clients. The stores take
//! turns, of each store whoever waits longest goes first, a failed try goes to the end, and what goes is decided before
//! places in lists are given out.

mod offer;
mod turns;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use self::turns::Budget;
use super::{
    Decision, DetachReason, Verdict,
    conditions::{Places, gets_group},
    disconnect::is_of_its_store,
    index::Index,
    leaving::{self, Leaving, LeavingStore, last_group},
    left_over::{self, LeftOver},
    pair::PairStates,
};
use crate::{
    finding::{Finding, Reason, Subject},
    group::{GroupKind, Owned, OwnedGroup},
    id::{InstanceId, InterfaceId, SecurityGroupId, StoreId},
    model::{DataStore, Instance},
    observation::Scope,
    state::{Connection, Note, Removal, Wanted, Window},
};

/// Whether groups may leave their store now, the window aside.
enum Offer {
    /// They may, and cut so many connections that are counted.
    Ready(usize),
    /// Something else has to go first, or is not known.
    NotYet,
    /// No other group would be left.
    Last,
    /// They may not, for the reason of this finding.
    Not(Finding),
}

/// The groups that are detached from a store.
#[derive(Default)]
pub(crate) struct OffStore {
    pub(crate) groups: BTreeMap<(GroupKind, OwnedGroup), DetachReason>,
    pub(crate) cuts: usize,
}

/// Everything that is to leave a list: what does so in this plan, and what is held back.
pub(crate) struct Disconnects<'index> {
    index: &'index Index<'index>,
    leaving: Vec<Leaving<'index>>,
    held_back: Vec<Leaving<'index>>,
    /// What leaves interfaces without an instance, and what of it is held back.
    left_over: Vec<LeftOver<'index>>,
    left_over_held_back: Vec<LeftOver<'index>>,
    /// The connections of both.
    concerned: BTreeSet<(&'index InstanceId, &'index StoreId)>,
    /// The groups that leave each interface.
    off: BTreeMap<&'index InterfaceId, BTreeSet<&'index SecurityGroupId>>,
    /// The groups that leave each store.
    pub(crate) off_stores: BTreeMap<StoreId, OffStore>,
    /// The groups that could leave a store if another one came, and may be all that its list holds.
    last_of_stores: Vec<LeavingStore<'index>>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) notes: Vec<Note>,
    budget: Budget<'index>,
}

/// Something in the queue.
enum Queued<'index> {
    Sides(Vec<Leaving<'index>>),
    /// All that its interface's list holds: it goes only if another group comes.
    Last(Vec<Leaving<'index>>),
    LeftOver(Vec<LeftOver<'index>>),
    Store(LeavingStore<'index>),
    /// Another run's turn.
    OfAnotherScope,
}

/// Decides what leaves the lists, in the order of the queue.
pub(crate) fn decide<'index>(index: &'index Index<'index>, pair_states: &PairStates<'index>) -> Disconnects<'index> {
    let mut disconnects = Disconnects {
        index,
        leaving: Vec::new(),
        held_back: Vec::new(),
        left_over: Vec::new(),
        left_over_held_back: Vec::new(),
        concerned: BTreeSet::new(),
        off: BTreeMap::new(),
        off_stores: BTreeMap::new(),
        last_of_stores: Vec::new(),
        findings: Vec::new(),
        notes: Vec::new(),
        budget: Budget::of(index),
    };
    // What belongs to whom is known only when every group was read.
    if !index.seen.groups.is_complete() {
        return disconnects;
    }
    let sides = leaving::instance_sides(index, pair_states);
    let (stores, held) = leaving::groups_of_stores(index, pair_states);
    disconnects.findings.extend(sides.findings.into_iter().chain(held));
    let left_over = left_over::all(index);
    disconnects.findings.extend(left_over.findings);
    let (left_over, free) = left_over.all.into_iter().partition(|left_over| left_over.reason.is_counted());
    disconnects.left_over = free;
    let last = sides.last;
    let (counted, free): (Vec<_>, Vec<_>) = sides.all.into_iter().partition(|leaving| leaving.reason.is_counted());
    for leaving in free {
        disconnects.leave(leaving);
    }
    let mut undecided: BTreeSet<InstanceId> = last.iter().map(|leaving| leaving.instance.id.clone()).collect();
    let (last, mut put_off): (Vec<_>, Vec<_>) = last.into_iter().partition(|leaving| leaving.reason.is_counted());
    let mut pending = Vec::new();
    for (turn, removal, queued) in disconnects.queue(counted, left_over, last, stores) {
        match queued {
            Queued::Sides(sides) => disconnects.offer_sides(turn, removal, sides),
            Queued::Last(sides) => match sides.first().copied() {
                Some(first) if disconnects.gains(pair_states, first.instance) => {
                    undecided.remove(&first.instance.id);
                    disconnects.offer_sides(turn, removal, sides);
                }
                // Room for another group may be made by what comes later.
                Some(_) | None => put_off.extend(sides),
            },
            Queued::LeftOver(sides) => disconnects.offer_left_over(turn, removal, sides),
            Queued::Store(leaving) => {
                pending.extend(disconnects.offer_store(turn, leaving, pair_states, &undecided));
            }
            Queued::OfAnotherScope => disconnects.budget.reserve(&removal),
        }
    }
    disconnects.decide_last(pair_states, put_off);
    for leaving in pending {
        let turn = disconnects.budget.turn(&leaving.removal());
        disconnects.offer_store(turn, leaving, pair_states, &BTreeSet::new());
    }
    disconnects
}

impl<'index> Disconnects<'index> {
    /// Everything that waits, whether it is in this plan's scope or not, in order.
    fn queue(
        &mut self,
        counted: Vec<Leaving<'index>>,
        left_over: Vec<LeftOver<'index>>,
        last: Vec<Leaving<'index>>,
        stores: Vec<LeavingStore<'index>>,
    ) -> Vec<(Timestamp, Removal, Queued<'index>)> {
        let mut queue: BTreeMap<Removal, Queued<'index>> =
            by_connection(counted).map(|(of, sides)| (of, Queued::Sides(sides))).collect();
        queue.extend(by_connection(last).map(|(of, sides)| (of, Queued::Last(sides))));
        for left_over in left_over {
            let queued = queue.entry(left_over.removal()).or_insert_with(|| Queued::LeftOver(Vec::new()));
            if let Queued::LeftOver(sides) = queued {
                sides.push(left_over);
            }
        }
        queue.extend(stores.into_iter().map(|leaving| (leaving.removal(), Queued::Store(leaving))));
        for removal in self.budget.state.iter().flat_map(|state| state.wanted.keys()) {
            if queue.contains_key(removal) {
                continue;
            }
            if self.is_settled(removal) {
                self.notes.push(Note::Wanted(removal.clone(), None));
            } else if self.index.seen.scope != Scope::Vpc {
                // A look at everything is every turn, also of what it could not see.
                queue.insert(removal.clone(), Queued::OfAnotherScope);
            }
        }
        self.budget.in_turns(queue)
    }

    /// Whether a removal that was wanted once is not wanted any more, as far as can be seen.
    fn is_settled(&self, removal: &Removal) -> bool {
        let seen = self.index.seen;
        let everything = seen.scope == Scope::Vpc;
        let (instance, id) = match removal {
            Removal::Connection(Connection { instance, store }) => (Some(instance), store),
            Removal::LeftOver { store, .. } => {
                let read = seen.attachments.by.is_complete() && seen.instances.is_complete();
                return everything && read && self.index.knows_store(store);
            }
            Removal::CidrGroup(store) | Removal::StoreSide(store) => (None, store),
        };
        let store = self.index.store(id);
        if let Some(instance) = instance
            && self.index.instance(instance).is_none()
        {
            return everything && seen.instances.is_complete();
        }
        match store {
            Some(store) => {
                instance.is_some_and(|instance| seen.scope.has_instance(instance)) || seen.scope.has_store(&store.arn)
            }
            None => everything && self.index.knows_store(id),
        }
    }

    fn leave(&mut self, leaving: Leaving<'index>) {
        self.concerned.insert(leaving.ends());
        self.off.entry(leaving.interface).or_default().insert(leaving.owned.group.id());
        self.leaving.push(leaving);
    }

    fn hold_back(&mut self, leaving: Leaving<'index>) {
        self.concerned.insert(leaving.ends());
        self.held_back.push(leaving);
    }

    fn wait(&mut self, turn: Timestamp, removal: Removal) {
        if self.budget.state.is_some() && self.budget.wanted(&removal).is_none() {
            self.notes.push(Note::Wanted(removal, Some(Wanted::since(turn))));
        }
    }

    /// One connection, whose sides go together or wait together.
    fn offer_sides(&mut self, turn: Timestamp, removal: Removal, sides: Vec<Leaving<'index>>) {
        if self.budget.takes(&removal, 1) {
            for leaving in sides {
                self.leave(leaving);
            }
        } else {
            for leaving in sides {
                self.hold_back(leaving);
            }
            self.wait(turn, removal);
        }
    }

    /// What leads to one store from an interface without an instance.
    fn offer_left_over(&mut self, turn: Timestamp, removal: Removal, sides: Vec<LeftOver<'index>>) {
        if self.budget.takes(&removal, 1) {
            self.left_over.extend(sides);
        } else {
            self.left_over_held_back.extend(sides);
            self.wait(turn, removal);
        }
    }

    /// Takes groups off their store if the window lets it; back come those that may go later in this plan.
    fn offer_store(
        &mut self,
        turn: Timestamp,
        leaving: LeavingStore<'index>,
        pair_states: &PairStates<'index>,
        undecided: &BTreeSet<InstanceId>,
    ) -> Option<LeavingStore<'index>> {
        let cuts = match self.offer(&leaving, pair_states, undecided) {
            Offer::Ready(cuts) => cuts,
            Offer::NotYet => return Some(leaving),
            Offer::Not(finding) => {
                self.findings.push(finding);
                return None;
            }
            Offer::Last => {
                self.last_of_stores.push(leaving);
                return None;
            }
        };
        self.take_off_store(turn, &leaving, cuts);
        None
    }

    fn take_off_store(&mut self, turn: Timestamp, leaving: &LeavingStore<'index>, cuts: usize) {
        let removal = leaving.removal();
        let counted = leaving.reason.is_counted();
        if !counted || self.budget.takes(&removal, cuts) {
            let off = self.off_stores.entry(leaving.store.id.clone()).or_default();
            off.groups.extend(leaving.groups.iter().map(|owned| ((leaving.kind, owned.group.clone()), leaving.reason)));
            off.cuts += cuts;
            return;
        }
        let most = self.index.policy.max_disconnects;
        if self.budget.state.is_some() && most > 0 && cuts > most {
            let reason = Reason::MoreThanWindow { carried: cuts, limit: most };
            self.findings.push(Finding { subject: Subject::Store(leaving.store.arn.clone()), reason });
            self.notes.extend(self.budget.wanted(&removal).map(|_| Note::Wanted(removal, None)));
            return;
        }
        // A part of the window is of no use to it, so it goes when all that comes after has waited.
        self.budget.keep_all();
        self.budget.waiting_at_stores += cuts.max(1);
        self.wait(turn, removal);
    }

    /// Decides about what is all that its interface's list holds: it goes if another group comes for certain.
    fn decide_last(&mut self, pair_states: &PairStates<'index>, last: Vec<Leaving<'index>>) {
        let mut order: Vec<_> = by_connection(last).collect();
        order.sort_by_key(|(removal, _)| self.budget.turn(removal));
        for (removal, sides) in order {
            let Some(first) = sides.first().copied() else { continue };
            if !self.gains(pair_states, first.instance) {
                self.findings.push(last_group(Subject::Instance(first.instance.id.clone()), first.owned));
            } else if !first.reason.is_counted() {
                for leaving in sides {
                    self.leave(leaving);
                }
            } else {
                self.offer_sides(self.budget.turn(&removal), removal, sides);
            }
        }
    }

    /// Whether an instance with nothing but leaving groups gets another one for certain.
    fn gains(&self, pair_states: &PairStates<'_>, instance: &Instance) -> bool {
        self.index.candidates_of(instance).any(|candidate| {
            let places = Places { leaving_store: self.of_store(&candidate.store.id), on_interface: 0 };
            !self.contains(&instance.id, &candidate.store.id) && gets_group(self.index, pair_states, &candidate, places)
        })
    }

    /// Takes what is all that its store's list holds off those stores that get another group.
    pub(crate) fn decide_last_of_stores(&mut self, gains: impl Fn(&StoreId) -> bool) {
        for leaving in std::mem::take(&mut self.last_of_stores) {
            if gains(&leaving.store.id) {
                let cuts = usize::from(leaving.reason.is_counted());
                self.take_off_store(self.budget.turn(&leaving.removal()), &leaving, cuts);
            } else {
                self.findings.extend(leaving.last_group());
            }
        }
    }

    /// The instance sides that leave the interfaces.
    pub(crate) fn leaving(&self) -> &[Leaving<'index>] {
        &self.leaving
    }

    /// The instance sides that leave interfaces without an instance.
    pub(crate) fn left_over(&self) -> &[LeftOver<'index>] {
        &self.left_over
    }

    fn takes_off_left_over(&self, interface: &InterfaceId, group: &SecurityGroupId) -> bool {
        self.left_over.iter().any(|leaving| leaving.interface == interface && leaving.owned.group.id() == group)
    }

    /// The decisions about what leaves the interfaces, what goes now before what is held back.
    pub(crate) fn decisions(&self) -> Vec<Decision> {
        let mut decided = BTreeSet::new();
        let decision = |(leaving, verdict): (&Leaving<'_>, Verdict)| {
            // Two groups of one store are still one connection.
            let store = self.index.arn_of(leaving.owned)?;
            decided.insert(leaving.connection()).then(|| Decision {
                store,
                instance: leaving.instance.id.clone(),
                verdict,
            })
        };
        self.verdicts().filter_map(decision).collect()
    }

    fn verdicts(&self) -> impl Iterator<Item = (&Leaving<'index>, Verdict)> {
        let leaving = self.leaving.iter().map(|leaving| (leaving, Verdict::Disconnecting(leaving.reason)));
        let held_back = self.held_back.iter().map(|leaving| (leaving, Verdict::HeldBack(leaving.reason)));
        leaving.chain(held_back)
    }

    /// The verdict on one connection, if it is to be removed.
    pub(crate) fn verdict(&self, instance: &InstanceId, store: &StoreId) -> Option<Verdict> {
        let concerns = |leaving: &Leaving<'_>| leaving.instance.id == *instance && leaving.owned.store == *store;
        self.verdicts().find(|(leaving, _)| concerns(leaving)).map(|(_, verdict)| verdict)
    }

    /// Whether a connection is about to be removed, or held back from it.
    pub(crate) fn contains(&self, instance: &InstanceId, store: &StoreId) -> bool {
        self.concerned.contains(&(instance, store))
    }

    /// How many groups leave an interface.
    pub(crate) fn of_interface(&self, interface: &InterfaceId) -> usize {
        self.off.get(interface).map_or(0, BTreeSet::len)
    }

    /// How many groups leave a store.
    pub(crate) fn of_store(&self, store: &StoreId) -> usize {
        self.off_stores.get(store).map_or(0, |off| off.groups.len())
    }

    /// The store sides of its own that leave a store, and why.
    pub(crate) fn store_sides(&self, store: &StoreId) -> Option<(BTreeSet<&SecurityGroupId>, DetachReason)> {
        let groups = &self.off_stores.get(store)?.groups;
        let is_own = |group: &OwnedGroup| self.index.store_of(group.id()) == Some(store);
        let sides = || groups.iter().filter(|((kind, group), _)| *kind == GroupKind::Pair && is_own(group));
        let reason = sides().next().map(|(_, reason)| *reason)?;
        Some((sides().map(|((_, group), _)| group.id()).collect(), reason))
    }

    /// Why the store sides of other stores leave a store, if any does.
    pub(crate) fn reason_of_copies(&self, store: &DataStore) -> Option<DetachReason> {
        let leaving =
            self.index.copied_groups(store, GroupKind::Pair).map(|owned| (GroupKind::Pair, owned.group.clone()));
        let groups = &self.off_stores.get(&store.id)?.groups;
        leaving.into_iter().find_map(|group| groups.get(&group).copied())
    }

    /// Whether a group leaves a store.
    pub(crate) fn takes_off_store(&self, store: &StoreId, owned: &Owned) -> bool {
        let off = self.off_stores.get(store);
        off.is_some_and(|off| off.groups.contains_key(&(owned.role().kind(), owned.group.clone())))
    }

    /// Whether an instance side leaves an instance.
    fn leaves(&self, instance: &Instance, owned: &Owned) -> bool {
        self.takes_off(instance, owned.group.id())
    }

    /// Whether a group leaves an instance's interface.
    pub(crate) fn takes_off(&self, instance: &Instance, group: &SecurityGroupId) -> bool {
        let off = instance.interface.as_ref().and_then(|interface| self.off.get(&interface.id));
        off.is_some_and(|groups| groups.contains(group))
    }

    /// Whether nobody has a group once this plan is carried out, as far as interfaces go; `None` when
    /// that is not known.
    pub(crate) fn is_off_interfaces(&self, owned: &Owned) -> Option<bool> {
        let id = owned.group.id();
        let mut others = self.index.seen.other_attached(id)?;
        let others = others.any(|attached| {
            let leaves = self.takes_off_left_over(&attached.interface, id);
            !leaves && !is_of_its_store(self.index, owned, &attached.owner)
        });
        Some(!others && self.index.with_group(id).all(|instance| self.leaves(instance, owned)))
    }

    /// The finding for all that waits.
    pub(crate) fn waiting(&self) -> Option<Finding> {
        let held_back: BTreeSet<Connection> = self.held_back.iter().map(Leaving::connection).collect();
        let left_over: BTreeSet<Removal> = self.left_over_held_back.iter().map(LeftOver::removal).collect();
        let waiting = held_back.len() + left_over.len() + self.budget.waiting_at_stores;
        let policy = self.index.policy;
        (waiting > 0).then(|| Finding {
            subject: Subject::Vpc(self.index.seen.vpc.clone()),
            reason: Reason::DisconnectsHeldBack {
                waiting,
                limit: policy.max_disconnects,
                window: policy.disconnect_window.as_secs(),
            },
        })
    }

    /// The window with this plan's removals, `None` when it makes none that are counted.
    pub(crate) fn window(&self) -> Option<Window> {
        let state = self.budget.state.filter(|_| !self.budget.taken.is_empty())?;
        Some(state.window.with(&self.budget.taken, self.index.seen.at, self.index.policy))
    }
}

/// The sides of each connection, which go together or wait together.
fn by_connection<'index>(all: Vec<Leaving<'index>>) -> impl Iterator<Item = (Removal, Vec<Leaving<'index>>)> {
    let mut connections = BTreeMap::<Connection, Vec<Leaving<'index>>>::new();
    for leaving in all {
        connections.entry(leaving.connection()).or_default().push(leaving);
    }
    connections.into_iter().map(|(of, sides)| (Removal::Connection(of), sides))
}
