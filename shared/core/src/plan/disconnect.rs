//! What is taken away, on which reason, and what has to wait.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Decision, DetachReason, Detachment, InterfaceChange, Plan, Verdict, index::Index, obstacles};
use crate::{
    finding::{Finding, Reason, Subject},
    group::{GroupKind, GroupList, Owned, OwnedGroup, Role},
    id::{InstanceId, InterfaceId, SecurityGroupId, StoreArn, StoreId},
    model::{DataStore, Instance},
    observation::{InterfaceOwner, Observation, Scope, StoreLookup},
    service::Side,
    state::{Connection, Note, Removal, VpcState, Wanted},
    tag::{ConnectTag, InvalidTag},
};

/// An instance side that is to leave an interface.
struct Leaving<'index> {
    instance: &'index Instance,
    interface: &'index InterfaceId,
    owned: &'index Owned,
    reason: DetachReason,
}

impl Leaving<'_> {
    fn connection(&self) -> Connection {
        Connection { instance: self.instance.id.clone(), store: self.owned.store.clone() }
    }
}

/// What becomes of an instance side that an instance has.
enum Fate {
    /// It is asked for, or nothing may be decided about it.
    Stays(Option<Finding>),
    /// It goes.
    Leaves(DetachReason),
}

/// Everything that is to leave an interface: what does so in this plan, and what is held back.
pub(crate) struct Disconnects<'index> {
    seen: &'index Observation,
    leaving: Vec<Leaving<'index>>,
    held_back: Vec<Leaving<'index>>,
    /// The connections of both.
    concerned: BTreeSet<Connection>,
    /// What leaves each interface.
    off: BTreeMap<&'index InterfaceId, BTreeSet<&'index SecurityGroupId>>,
    findings: Vec<Finding>,
    /// How many more counted connections this plan may remove.
    left: usize,
    /// How many it removes.
    used: usize,
    /// Counted removals of whole store sides that have to wait.
    waiting_at_stores: usize,
    notes: Vec<Note>,
    /// The interfaces that get a group in the same call, so that all that they have may leave them.
    gaining: BTreeSet<InterfaceId>,
    index: &'index Index<'index>,
}

impl<'index> Disconnects<'index> {
    pub(crate) fn of(index: &'index Index<'index>, gaining: BTreeSet<InterfaceId>) -> Self {
        let mut disconnects = Self {
            seen: index.seen,
            leaving: Vec::new(),
            held_back: Vec::new(),
            concerned: BTreeSet::new(),
            off: BTreeMap::new(),
            findings: Vec::new(),
            left: 0,
            used: 0,
            waiting_at_stores: 0,
            notes: Vec::new(),
            gaining,
            index,
        };
        // What belongs to whom is known only when every group was read.
        if !index.seen.groups.is_complete() {
            return disconnects;
        }
        let wanted = disconnects.wanted();
        disconnects.ration(wanted);
        for leaving in &disconnects.leaving {
            disconnects.off.entry(leaving.interface).or_default().insert(leaving.owned.group.id());
        }
        let all = disconnects.leaving.iter().chain(&disconnects.held_back);
        disconnects.concerned = all.map(Leaving::connection).collect();
        disconnects
    }

    /// Every instance side that has to go, whether it may go now or not.
    fn wanted(&mut self) -> Vec<Leaving<'index>> {
        let mut wanted = Vec::new();
        for instance in self.index.instances() {
            let Some(interface) = &instance.interface else { continue };
            let attached: Vec<&Owned> = self.index.attached_instance_sides(interface).collect();
            let mut leaving = Vec::new();
            for owned in attached.into_iter().filter(|owned| self.index.in_scope(instance, owned)) {
                match fate(self.index, instance, owned) {
                    Fate::Stays(finding) => self.findings.extend(finding),
                    Fate::Leaves(reason) => {
                        leaving.push(Leaving { instance, interface: &interface.id, owned, reason });
                    }
                }
            }
            if leaving.len() == interface.groups.len()
                && !self.gaining.contains(&interface.id)
                && let Some(last) = leaving.pop()
            {
                // Half a connection taken away is none taken away.
                leaving.retain(|other| other.owned.store != last.owned.store);
                self.findings.push(last_group(Subject::Instance(instance.id.clone()), last.owned));
            }
            wanted.extend(leaving);
        }
        wanted
    }

    /// Lets those go that need not be counted, and of the others as many as the window lets, the
    /// oldest first, whether they are in this plan's scope or not.
    fn ration(&mut self, wanted: Vec<Leaving<'index>>) {
        let (counted, free): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|leaving| leaving.reason.is_counted());
        self.leaving = free;
        let Some(state) = self.seen.state.as_ref().ok() else {
            self.held_back = counted;
            return;
        };
        let mut queue: BTreeMap<Connection, Timestamp> = BTreeMap::new();
        for leaving in &counted {
            let connection = leaving.connection();
            let wanted = state.wanted.get(&Removal::Connection(connection.clone()));
            queue.insert(connection, wanted.map_or(self.seen.at, Wanted::turn));
        }
        for (removal, wanted) in &state.wanted {
            let Removal::Connection(connection) = removal else { continue };
            if queue.contains_key(connection) {
                continue;
            }
            if self.is_settled(connection) {
                self.notes.push(Note::Wanted(removal.clone(), None));
            } else if self.seen.scope != Scope::Vpc {
                // Another run's turn. A look at everything is every turn, also of what it could not see.
                queue.insert(connection.clone(), wanted.turn());
            }
        }
        let mut order: Vec<(Timestamp, Connection)> =
            queue.into_iter().map(|(connection, since)| (since, connection)).collect();
        order.sort();
        self.left = state.window.left(self.seen.at, self.index.policy);
        let (now, later) = order.split_at(self.left.min(order.len()));
        let now: BTreeSet<&Connection> = now.iter().map(|(_, connection)| connection).collect();
        self.left -= now.len();
        let (leaving, held_back): (Vec<_>, Vec<_>) =
            counted.into_iter().partition(|leaving| now.contains(&leaving.connection()));
        let taken: BTreeSet<Connection> = leaving.iter().map(Leaving::connection).collect();
        self.used = taken.len();
        let waiting: BTreeSet<Connection> = held_back.iter().map(Leaving::connection).collect();
        for (since, connection) in later {
            let removal = Removal::Connection(connection.clone());
            if waiting.contains(connection) && !state.wanted.contains_key(&removal) {
                self.notes.push(Note::Wanted(removal, Some(Wanted::since(*since))));
            }
        }
        self.leaving.extend(leaving);
        self.held_back = held_back;
    }

    /// Whether a removal that was wanted once is not wanted any more, as far as can be seen.
    fn is_settled(&self, connection: &Connection) -> bool {
        let scope = &self.seen.scope;
        let store = self.index.store(&connection.store);
        let looked_at =
            scope.has_instance(&connection.instance) || store.is_some_and(|store| scope.has_store(&store.arn));
        let everything = *scope == Scope::Vpc;
        match (self.index.instance(&connection.instance), store) {
            (Some(_), Some(_)) => looked_at,
            (None, _) => everything && self.seen.instances.is_complete(),
            (Some(_), None) => everything && self.seen.stores.is_complete(),
        }
    }

    /// Puts the disconnects into the plan.
    pub(crate) fn leave(&self, plan: &mut Plan) {
        plan.findings.extend(self.findings.iter().cloned());
        for leaving in &self.leaving {
            let change = plan.interfaces.entry(leaving.interface.clone());
            let change = change.or_insert_with(|| InterfaceChange::of(&leaving.instance.id));
            let owned = leaving.owned;
            let detachment =
                Detachment { store: owned.store.clone(), arn: self.index.arn_of(owned), reason: leaving.reason };
            change.detach.insert(owned.group.clone(), detachment);
        }
        let mut decided = BTreeSet::new();
        for (leaving, verdict) in self.verdicts() {
            // Two groups of one store are still one connection.
            if let Some(store) = self.index.arn_of(leaving.owned)
                && decided.insert(leaving.connection())
            {
                plan.decisions.push(Decision { store, instance: leaving.instance.id.clone(), verdict });
            }
        }
    }

    /// What is decided about each, what goes now before what is held back.
    fn verdicts(&self) -> impl Iterator<Item = (&Leaving<'index>, Verdict)> {
        let leaving = self.leaving.iter().map(|leaving| (leaving, Verdict::Disconnecting(leaving.reason)));
        let held_back = self.held_back.iter().map(|leaving| (leaving, Verdict::HeldBack(leaving.reason)));
        leaving.chain(held_back)
    }

    /// What is decided about one, if it is to be removed.
    pub(crate) fn verdict(&self, instance: &InstanceId, store: &StoreId) -> Option<Verdict> {
        let concerns = |leaving: &Leaving<'_>| leaving.instance.id == *instance && leaving.owned.store == *store;
        self.verdicts().find(|(leaving, _)| concerns(leaving)).map(|(_, verdict)| verdict)
    }

    /// Whether a connection is about to be removed, or held back from it.
    pub(crate) fn contains(&self, instance: &InstanceId, store: &StoreId) -> bool {
        self.concerned.contains(&Connection { instance: instance.clone(), store: store.clone() })
    }

    /// How many groups leave an interface.
    pub(crate) fn of_interface(&self, interface: &InterfaceId) -> usize {
        self.off.get(interface).map_or(0, BTreeSet::len)
    }

    /// Whether an instance side leaves an instance.
    fn leaves(&self, instance: &Instance, owned: &Owned) -> bool {
        let off = instance.interface.as_ref().and_then(|interface| self.off.get(&interface.id));
        off.is_some_and(|groups| groups.contains(owned.group.id()))
    }

    /// Whether nobody has a group once this plan is carried out, as far as interfaces go; none when
    /// that is not known.
    pub(crate) fn is_off_interfaces(&self, owned: &Owned) -> Option<bool> {
        let id = owned.group.id();
        let others = self.seen.other_attached(id)?.any(|attached| !is_of_its_store(self.index, owned, &attached.owner));
        Some(!others && self.index.with_group(id).all(|instance| self.leaves(instance, owned)))
    }

    /// Takes the store sides off a store that takes no part any more or is blocked.
    pub(crate) fn leave_store(&mut self, plan: &mut Plan, index: &Index<'_>, store: &DataStore) {
        let reason = if store.settings.blocked {
            DetachReason::Blocked
        } else if store.settings.held {
            return;
        } else if self.seen.is_uninstalling() {
            DetachReason::Uninstalling
        } else if store.settings.connect == ConnectTag::Absent {
            DetachReason::StoreOptedOut
        } else {
            return;
        };
        // Whatever service they are named after.
        let sides = |side| index.owned_groups(&store.id).filter(move |owned| owned.name.role == side);
        let attached: Vec<&Owned> = sides(Side::Store).filter(|owned| store.has_group(owned.group.id())).collect();
        if attached.is_empty() || !self.seen.groups.is_complete() {
            return;
        }
        let cuts = if reason.is_counted() {
            match self.still_carried(sides(Side::Instance)) {
                Some(cuts) => cuts,
                None => return,
            }
        } else {
            0
        };
        let subject = Subject::Store(store.arn.clone());
        if let Some(reason) = obstacles::list_waits(store) {
            plan.findings.push(Finding { subject, reason });
            return;
        }
        let attached_ids: BTreeSet<_> = attached.iter().map(|owned| owned.group.id()).collect();
        let change = plan.stores.get(&store.id);
        let leaves = |group| attached_ids.contains(group) || change.is_some_and(|change| change.detaches(group));
        let rest = store.lasting_groups().filter(|group| !leaves(group)).cloned().collect();
        if GroupList::new(rest, usize::MAX).is_err() {
            plan.findings.extend(attached.first().map(|owned| last_group(subject, owned)));
            return;
        }
        let unknown = reason.is_counted() && self.seen.state.as_ref().ok().is_none();
        if unknown || cuts > self.left {
            self.waiting_at_stores += cuts.max(1);
            return;
        }
        self.left -= cuts;
        self.used += cuts;
        self.cut(plan, store, &attached_ids, reason);
        let change = plan.change_of(store);
        change.detach.extend(attached.into_iter().map(|owned| ((GroupKind::Pair, owned.group.clone()), reason)));
        change.cuts += cuts;
    }

    /// Counts the removal of a group from a store as that of one connection, for nobody knows how many
    /// clients it carries; whether the window lets it.
    pub(crate) fn spend_on_store(&mut self) -> bool {
        let lets = self.left > 0;
        if lets {
            self.left -= 1;
            self.used += 1;
        } else {
            self.waiting_at_stores += 1;
        }
        lets
    }

    /// Says of those who keep a store's instance side that they are disconnected all the same.
    fn cut(&self, plan: &mut Plan, store: &DataStore, sides: &BTreeSet<&SecurityGroupId>, reason: DetachReason) {
        let instance_sides = self.index.owned_groups(&store.id).filter(|owned| owned.name.role == Side::Instance);
        let with = instance_sides.flat_map(|owned| self.index.with_group(owned.group.id()));
        let with: BTreeSet<&InstanceId> = with.map(|instance| &instance.id).collect();
        for instance in with.into_iter().filter(|instance| !self.contains(instance, &store.id)) {
            let decided = plan
                .decisions
                .iter_mut()
                .find(|decision| decision.instance == *instance && decision.store == store.arn);
            let verdict = Verdict::Disconnecting(reason);
            let is_cut =
                |decided: &Verdict| matches!(decided, Verdict::Connected(via) if sides.contains(&via.store_side));
            match decided {
                Some(decision) if is_cut(&decision.verdict) => decision.verdict = verdict,
                Some(_) => {}
                None => {
                    plan.decisions.push(Decision { store: store.arn.clone(), instance: instance.clone(), verdict });
                }
            }
        }
    }

    /// How many connections a store side still carries that cannot be taken away one by one; none when
    /// some can and have to go first, or when it is not known.
    fn still_carried<'owned>(&self, instance_sides: impl Iterator<Item = &'owned Owned>) -> Option<usize> {
        let mut carried = 0;
        for owned in instance_sides {
            carried += self.seen.other_attached(owned.group.id())?.count();
            for instance in self.index.with_group(owned.group.id()) {
                if self.leaves(instance, owned) {
                    continue;
                }
                let alone = instance.interface.as_ref().is_some_and(|interface| {
                    self.index.attached_instance_sides(interface).count() == interface.groups.len()
                });
                let wanted = matches!(fate(self.index, instance, owned), Fate::Leaves(_));
                if !alone || !wanted || self.contains(&instance.id, &owned.store) {
                    return None;
                }
                carried += 1;
            }
        }
        Some(carried)
    }

    /// What is left to be said and remembered when everything is decided.
    pub(crate) fn conclude(&mut self, plan: &mut Plan) {
        let held_back: BTreeSet<Connection> = self.held_back.iter().map(Leaving::connection).collect();
        let waiting = held_back.len() + self.waiting_at_stores;
        if waiting > 0 {
            let reason = Reason::DisconnectsHeldBack {
                waiting,
                limit: self.index.policy.max_disconnects,
                window: self.index.policy.disconnect_window.as_secs(),
            };
            plan.findings.push(Finding { subject: Subject::Vpc(self.seen.vpc.clone()), reason });
        }
        plan.notes.append(&mut self.notes);
        if let Some(VpcState { window, .. }) = self.seen.state.as_ref().ok()
            && self.used > 0
        {
            plan.window = Some(window.with(self.used, self.seen.at, self.index.policy));
        }
    }
}

pub(crate) fn last_group(subject: Subject, owned: &Owned) -> Finding {
    Finding { subject, reason: Reason::LastGroup { group: owned.group.id().clone() } }
}

/// A store's own interfaces have its groups for as long as its list holds them, which is where they
/// are looked at; they follow the list a little later.
fn is_of_its_store(index: &Index<'_>, owned: &Owned, interface_owner: &InterfaceOwner) -> bool {
    let listed = || index.store(&owned.store).is_some_and(|store| store.groups.contains_key(owned.group.id()));
    owned.role() != Role::Side(Side::Instance) && matches!(interface_owner, InterfaceOwner::Other { .. }) && listed()
}

/// The reasons for removal are these and no others; whatever is not known for certain is none.
fn fate(index: &Index<'_>, instance: &Instance, owned: &Owned) -> Fate {
    if index.is_blocked(instance) {
        return Fate::Leaves(DetachReason::Blocked);
    }
    let about = || Subject::Instance(instance.id.clone());
    let held = || Fate::Stays(Some(Finding { subject: about(), reason: Reason::Held }));
    if index.seen.is_uninstalling() {
        // That the group is ours is all that this rests on, wherever its store is.
        let store = index.store(&owned.store);
        return match store.filter(|store| store.settings.held) {
            _ if instance.settings.held => held(),
            Some(store) => Fate::Stays(Some(held_store(store))),
            None => Fate::Leaves(DetachReason::Uninstalling),
        };
    }
    let Some(store) = index.store(&owned.store) else {
        return match store_existence(index, owned) {
            StoreExistence::Gone if instance.settings.held => held(),
            StoreExistence::Gone => Fate::Leaves(DetachReason::StoreGone),
            StoreExistence::Carried(finding) | StoreExistence::Unknown(Some(finding)) => Fate::Stays(Some(finding)),
            StoreExistence::Unknown(None) => Fate::Stays(None),
        };
    };
    if store.vpc.as_ref() != Some(&index.seen.vpc) {
        let moved = store.vpc.clone().map(|vpc| Reason::StoreMoved { vpc });
        return Fate::Stays(moved.map(|reason| Finding { subject: Subject::Store(store.arn.clone()), reason }));
    }
    if store.settings.blocked {
        return Fate::Leaves(DetachReason::Blocked);
    }
    let reason = match (&instance.settings.connect, &store.settings.connect) {
        // What cannot be read is not an empty value.
        (ConnectTag::Invalid(problem), _) => return unreadable(about(), problem),
        (_, ConnectTag::Invalid(problem)) => return unreadable(Subject::Store(store.arn.clone()), problem),
        (_, ConnectTag::Absent) => DetachReason::StoreOptedOut,
        (ConnectTag::Absent, ConnectTag::Names(_)) => DetachReason::NotAskedFor,
        (ConnectTag::Names(mine), ConnectTag::Names(theirs)) if mine.is_disjoint(theirs) => {
            if !store.tags_are_certain() {
                let reason = Reason::NotAvailable { state: store.state.clone(), passing: true };
                let finding = Finding { subject: Subject::Store(store.arn.clone()), reason };
                return Fate::Stays(Some(finding));
            }
            DetachReason::NamesNotShared
        }
        (ConnectTag::Names(_), ConnectTag::Names(_)) => return Fate::Stays(None),
    };
    if instance.settings.held {
        held()
    } else if store.settings.held {
        Fate::Stays(Some(held_store(store)))
    } else {
        Fate::Leaves(reason)
    }
}

/// What is to be said of an instance side that stays on an instance although its tags may not ask for it.
pub(crate) fn kept_because(index: &Index<'_>, instance: &Instance, owned: &Owned) -> Option<Reason> {
    match fate(index, instance, owned) {
        Fate::Stays(finding) => finding.map(|finding| finding.reason),
        Fate::Leaves(_) => None,
    }
}

fn held_store(store: &DataStore) -> Finding {
    Finding { subject: Subject::Store(store.arn.clone()), reason: Reason::Held }
}

fn unreadable(subject: Subject, problem: &InvalidTag) -> Fate {
    Fate::Stays(Some(Finding { subject, reason: Reason::InvalidTag { problem: problem.clone() } }))
}

/// Where a store is that has no lookup under its identity.
pub(crate) enum StoreExistence {
    /// It is gone.
    Gone,
    /// There is none, but something carries its group: it was replaced by another that took the group
    /// over, or is still being deleted.
    Carried(Finding),
    /// It cannot be told.
    Unknown(Option<Finding>),
}

/// A store is gone only when its service says so of its name, lists nothing with its identity, and no
/// interface or other store carries its store side or its group for clients that are not instances.
pub(crate) fn store_existence(index: &Index<'_>, owned: &Owned) -> StoreExistence {
    let unknown = || {
        let reason = Reason::StoreUnknown { store: owned.store.clone() };
        // A gap says for itself what could not be read.
        let finding = Finding { subject: Subject::Group(owned.group.id().clone()), reason };
        StoreExistence::Unknown(index.seen.stores.is_complete().then_some(finding))
    };
    let Some(arn) = index.arn_of(owned) else { return unknown() };
    if !is_free_name(index, &arn) || !index.seen.absent.contains(&owned.store) {
        return unknown();
    }
    let store_sides = index.owned_groups(&owned.store).filter(|group| group.name.role == Side::Store);
    let carried = store_sides.map(|side| &side.group).chain(index.cidr_groups(&owned.store).map(|group| &group.group));
    for id in carried.map(OwnedGroup::id) {
        let Some(mut others) = index.seen.other_attached(id) else { return StoreExistence::Unknown(None) };
        let carried =
            others.next().is_some() || index.with_group(id).next().is_some() || !index.stores_with(id).is_empty();
        if carried {
            let reason = Reason::StillCarried { group: id.clone() };
            return StoreExistence::Carried(Finding { subject: Subject::Store(arn), reason });
        }
    }
    StoreExistence::Gone
}

/// Whether the service said that nothing has this name, or that something else has.
fn is_free_name(index: &Index<'_>, arn: &StoreArn) -> bool {
    index.seen.stores.found.iter().any(|lookup| match lookup {
        StoreLookup::NotFound(gone) => gone == arn,
        StoreLookup::Found(store) => store.arn == *arn,
    })
}
