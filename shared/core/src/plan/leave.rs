//! What is taken away, on which ground, and what has to wait.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Decision, Detachment, Ground, InterfaceChange, Plan, Verdict, refuse, view::View};
use crate::{
    finding::{Finding, Reason, Subject},
    group::{GroupList, Owned, OwnedGroup, Role},
    id::{InstanceId, InterfaceId, SecurityGroupId, StoreArn, StoreId},
    memory::{Connection, Memory, Note},
    model::{DataStore, Instance},
    observation::{Bearer, Observation, Scope, Sighting},
    service::Side,
    tag::{ConnectTag, InvalidTag},
};

/// An instance side that is to leave an interface.
struct Leaving<'view> {
    instance: &'view Instance,
    interface: &'view InterfaceId,
    owned: &'view Owned,
    ground: Ground,
}

impl Leaving<'_> {
    fn connection(&self) -> Connection {
        Connection { instance: self.instance.id.clone(), store: self.owned.store.clone() }
    }
}

/// What becomes of an instance side that an instance wears.
enum Fate {
    /// It is asked for, or nothing may be decided about it.
    Stays(Option<Finding>),
    /// It goes.
    Leaves(Ground),
}

/// Everything that is to leave an interface: what does so in this plan, and what is held back.
pub(super) struct Departures<'view> {
    seen: &'view Observation,
    leaving: Vec<Leaving<'view>>,
    held_back: Vec<Leaving<'view>>,
    /// The connections of both.
    concerned: BTreeSet<Connection>,
    /// What leaves each interface.
    off: BTreeMap<&'view InterfaceId, BTreeSet<&'view SecurityGroupId>>,
    findings: Vec<Finding>,
    /// How many more counted connections this plan may remove.
    left: usize,
    /// How many it removes.
    used: usize,
    /// Counted removals of whole store sides that have to wait.
    waiting_at_stores: usize,
    notes: Vec<Note>,
    /// The interfaces that get a group in the same call, so that all that they have may leave them.
    gaining: &'view BTreeSet<InterfaceId>,
    view: &'view View<'view>,
}

impl<'view> Departures<'view> {
    pub(super) fn of(view: &'view View<'view>, gaining: &'view BTreeSet<InterfaceId>) -> Self {
        let mut departures = Self {
            seen: view.seen,
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
            view,
        };
        // What belongs to whom is known only when every group was read.
        if !view.seen.groups.is_complete() {
            return departures;
        }
        let wanted = departures.wanted();
        departures.ration(wanted);
        for leaving in &departures.leaving {
            departures.off.entry(leaving.interface).or_default().insert(leaving.owned.group.id());
        }
        let all = departures.leaving.iter().chain(&departures.held_back);
        departures.concerned = all.map(Leaving::connection).collect();
        departures
    }

    /// Every instance side that has to go, whether it may go now or not.
    fn wanted(&mut self) -> Vec<Leaving<'view>> {
        let mut wanted = Vec::new();
        for instance in self.view.instances() {
            let Some(interface) = &instance.interface else { continue };
            let worn: Vec<&Owned> = self.view.worn_instance_sides(interface).collect();
            let mut leaving = Vec::new();
            for owned in worn.into_iter().filter(|owned| self.view.in_scope(instance, owned)) {
                match fate(self.view, instance, owned) {
                    Fate::Stays(finding) => self.findings.extend(finding),
                    Fate::Leaves(ground) => {
                        leaving.push(Leaving { instance, interface: &interface.id, owned, ground });
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
    fn ration(&mut self, wanted: Vec<Leaving<'view>>) {
        let (counted, free): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|leaving| leaving.ground.is_counted());
        self.leaving = free;
        let Some(memory) = self.seen.memory.known() else {
            self.held_back = counted;
            return;
        };
        let mut queue: BTreeMap<Connection, Timestamp> = BTreeMap::new();
        for leaving in &counted {
            let connection = leaving.connection();
            let since = memory.wanted.get(&connection).copied().unwrap_or(self.seen.at);
            queue.insert(connection, since);
        }
        for (connection, since) in &memory.wanted {
            if queue.contains_key(connection) {
                continue;
            }
            if self.is_settled(connection) {
                self.notes.push(Note::Wanted(connection.clone(), None));
            } else if self.seen.scope != Scope::Vpc {
                // Another run's turn. A look at everything is every turn, also of what it could not see.
                queue.insert(connection.clone(), *since);
            }
        }
        let mut order: Vec<(Timestamp, Connection)> =
            queue.into_iter().map(|(connection, since)| (since, connection)).collect();
        order.sort();
        self.left = memory.window.left(self.seen.at, self.view.policy);
        let (now, later) = order.split_at(self.left.min(order.len()));
        let now: BTreeSet<&Connection> = now.iter().map(|(_, connection)| connection).collect();
        self.left -= now.len();
        let (leaving, held_back): (Vec<_>, Vec<_>) =
            counted.into_iter().partition(|leaving| now.contains(&leaving.connection()));
        let taken: BTreeSet<Connection> = leaving.iter().map(Leaving::connection).collect();
        self.used = taken.len();
        let waiting: BTreeSet<Connection> = held_back.iter().map(Leaving::connection).collect();
        for (since, connection) in later {
            if waiting.contains(connection) && !memory.wanted.contains_key(connection) {
                self.notes.push(Note::Wanted(connection.clone(), Some(*since)));
            }
        }
        self.leaving.extend(leaving);
        self.held_back = held_back;
    }

    /// Whether a removal that was wanted once is not wanted any more, as far as can be seen.
    fn is_settled(&self, connection: &Connection) -> bool {
        let scope = &self.seen.scope;
        let store = self.view.store(&connection.store);
        let looked_at =
            scope.has_instance(&connection.instance) || store.is_some_and(|store| scope.has_store(&store.arn));
        let everything = *scope == Scope::Vpc;
        match (self.view.instance(&connection.instance), store) {
            (Some(_), Some(_)) => looked_at,
            (None, _) => everything && self.seen.instances.is_complete(),
            (Some(_), None) => everything && self.seen.stores.is_complete(),
        }
    }

    /// Puts the departures into the plan.
    pub(super) fn leave(&self, plan: &mut Plan) {
        plan.findings.extend(self.findings.iter().cloned());
        for leaving in &self.leaving {
            let change = plan.interfaces.entry(leaving.interface.clone());
            let change = change.or_insert_with(|| InterfaceChange::of(&leaving.instance.id));
            let owned = leaving.owned;
            let detachment =
                Detachment { store: owned.store.clone(), arn: self.view.arn_of(owned), ground: leaving.ground };
            change.detach.insert(owned.group.clone(), detachment);
        }
        let leaving = self.leaving.iter().map(|leaving| (leaving, Verdict::Disconnecting(leaving.ground)));
        let held_back = self.held_back.iter().map(|leaving| (leaving, Verdict::HeldBack(leaving.ground)));
        let mut decided = BTreeSet::new();
        for (leaving, verdict) in leaving.chain(held_back) {
            // Two groups of one store are still one connection.
            if let Some(store) = self.view.arn_of(leaving.owned)
                && decided.insert(leaving.connection())
            {
                plan.decisions.push(Decision { store, instance: leaving.instance.id.clone(), verdict });
            }
        }
    }

    /// Whether a connection is about to be removed, or held back from it.
    pub(super) fn concern(&self, instance: &InstanceId, store: &StoreId) -> bool {
        self.concerned.contains(&Connection { instance: instance.clone(), store: store.clone() })
    }

    /// How many groups leave an interface.
    pub(super) fn of_interface(&self, interface: &InterfaceId) -> usize {
        self.off.get(interface).map_or(0, BTreeSet::len)
    }

    /// Whether an instance side leaves an instance.
    fn leaves<Name>(&self, instance: &Instance, owned: &Owned<Name>) -> bool {
        let off = instance.interface.as_ref().and_then(|interface| self.off.get(&interface.id));
        off.is_some_and(|groups| groups.contains(owned.group.id()))
    }

    /// Whether nobody wears a group once this plan is carried out, as far as interfaces go; none when
    /// that is not known.
    pub(super) fn is_off_interfaces<Name: Copy + Into<Role>>(&self, owned: &Owned<Name>) -> Option<bool> {
        let id = owned.group.id();
        let others = self.seen.other_wearers(id)?.any(|wearer| !is_of_its_store(self.view, owned, &wearer.bearer));
        Some(!others && self.view.wearing(id).all(|instance| self.leaves(instance, owned)))
    }

    /// Takes the store sides off a store that takes no part any more or is blocked.
    pub(super) fn leave_store(&mut self, plan: &mut Plan, view: &View<'_>, store: &DataStore) {
        let ground = if store.wishes.blocked {
            Ground::Blocked
        } else if store.wishes.held {
            return;
        } else if self.seen.is_uninstalling() {
            Ground::Uninstalling
        } else if store.wishes.connect == ConnectTag::Absent {
            Ground::StoreOptedOut
        } else {
            return;
        };
        // Whatever service they are named after.
        let sides = |side| view.owned_groups(&store.id).filter(move |owned| owned.name.side == side);
        let worn: Vec<&Owned> = sides(Side::Store).filter(|owned| store.wears(owned.group.id())).collect();
        if worn.is_empty() || !self.seen.groups.is_complete() {
            return;
        }
        let cuts = if ground.is_counted() {
            match self.still_carried(sides(Side::Instance)) {
                Some(cuts) => cuts,
                None => return,
            }
        } else {
            0
        };
        let subject = Subject::Store(store.arn.clone());
        if let Some(reason) = refuse::list_waits(store) {
            plan.findings.push(Finding { subject, reason });
            return;
        }
        let worn_ids: BTreeSet<_> = worn.iter().map(|owned| owned.group.id()).collect();
        let change = plan.stores.get(&store.id);
        let leaves = |group| worn_ids.contains(group) || change.is_some_and(|change| change.detaches(group));
        let rest = store.lasting_groups().filter(|group| !leaves(group)).cloned().collect();
        if GroupList::new(rest, usize::MAX).is_err() {
            plan.findings.extend(worn.first().map(|owned| last_group(subject, owned)));
            return;
        }
        let unknown = ground.is_counted() && self.seen.memory.known().is_none();
        if unknown || cuts > self.left {
            self.waiting_at_stores += cuts.max(1);
            return;
        }
        self.left -= cuts;
        self.used += cuts;
        self.cut(plan, store, &worn_ids, ground);
        let change = plan.change_of(store);
        change.detach = worn.into_iter().map(|owned| (owned.group.clone(), ground)).collect();
        change.cuts += cuts;
    }

    /// Counts the removal of a group from a store as that of one connection, for nobody knows how many
    /// clients it carries; whether the window lets it.
    pub(super) fn spend_on_store(&mut self) -> bool {
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
    fn cut(&self, plan: &mut Plan, store: &DataStore, sides: &BTreeSet<&SecurityGroupId>, ground: Ground) {
        let instance_sides = self.view.owned_groups(&store.id).filter(|owned| owned.name.side == Side::Instance);
        let wearing = instance_sides.flat_map(|owned| self.view.wearing(owned.group.id()));
        let wearing: BTreeSet<&InstanceId> = wearing.map(|instance| &instance.id).collect();
        for instance in wearing.into_iter().filter(|instance| !self.concern(instance, &store.id)) {
            let decided = plan
                .decisions
                .iter_mut()
                .find(|decision| decision.instance == *instance && decision.store == store.arn);
            let verdict = Verdict::Disconnecting(ground);
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
            carried += self.seen.other_wearers(owned.group.id())?.count();
            for instance in self.view.wearing(owned.group.id()) {
                if self.leaves(instance, owned) {
                    continue;
                }
                let alone = instance.interface.as_ref().is_some_and(|interface| {
                    self.view.worn_instance_sides(interface).count() == interface.groups.len()
                });
                let wanted = matches!(fate(self.view, instance, owned), Fate::Leaves(_));
                if !alone || !wanted || self.concern(&instance.id, &owned.store) {
                    return None;
                }
                carried += 1;
            }
        }
        Some(carried)
    }

    /// What is left to be said and remembered when everything is decided.
    pub(super) fn conclude(self, plan: &mut Plan) {
        let held_back: BTreeSet<Connection> = self.held_back.iter().map(Leaving::connection).collect();
        let waiting = held_back.len() + self.waiting_at_stores;
        if waiting > 0 {
            let reason = Reason::DisconnectsHeldBack {
                waiting,
                limit: self.view.policy.max_disconnects,
                window: self.view.policy.disconnect_window.as_secs(),
            };
            plan.findings.push(Finding { subject: Subject::Vpc(self.seen.vpc.clone()), reason });
        }
        plan.notes.extend(self.notes);
        if let Some(Memory { window, .. }) = self.seen.memory.known()
            && self.used > 0
        {
            plan.window = Some(window.with(self.used, self.seen.at, self.view.policy));
        }
    }
}

pub(super) fn last_group<Name>(subject: Subject, owned: &Owned<Name>) -> Finding {
    Finding { subject, reason: Reason::LastGroup { group: owned.group.id().clone() } }
}

/// A store's own interfaces wear its groups for as long as its list holds them, which is where they
/// are looked at; they follow the list a little later.
fn is_of_its_store<Name: Copy + Into<Role>>(view: &View<'_>, owned: &Owned<Name>, bearer: &Bearer) -> bool {
    let listed = || view.store(&owned.store).is_some_and(|store| store.groups.contains_key(owned.group.id()));
    owned.role() != Role::Side(Side::Instance) && matches!(bearer, Bearer::Other { .. }) && listed()
}

/// The grounds for removal are these and no others; whatever is not known for certain is none.
fn fate(view: &View<'_>, instance: &Instance, owned: &Owned) -> Fate {
    if view.is_blocked(instance) {
        return Fate::Leaves(Ground::Blocked);
    }
    let about = || Subject::Instance(instance.id.clone());
    let held = || Fate::Stays(Some(Finding { subject: about(), reason: Reason::Held }));
    if view.seen.is_uninstalling() {
        // That the group is ours is all that this rests on, wherever its store is.
        let store = view.store(&owned.store);
        return match store.filter(|store| store.wishes.held) {
            _ if instance.wishes.held => held(),
            Some(store) => Fate::Stays(Some(held_store(store))),
            None => Fate::Leaves(Ground::Uninstalling),
        };
    }
    let Some(store) = view.store(&owned.store) else {
        return match whereabouts(view, owned) {
            Whereabouts::Gone if instance.wishes.held => held(),
            Whereabouts::Gone => Fate::Leaves(Ground::StoreGone),
            Whereabouts::Carried(finding) | Whereabouts::Unknown(Some(finding)) => Fate::Stays(Some(finding)),
            Whereabouts::Unknown(None) => Fate::Stays(None),
        };
    };
    if store.vpc.as_ref() != Some(&view.seen.vpc) {
        let moved = store.vpc.clone().map(|vpc| Reason::StoreMoved { vpc });
        return Fate::Stays(moved.map(|reason| Finding { subject: Subject::Store(store.arn.clone()), reason }));
    }
    if store.wishes.blocked {
        return Fate::Leaves(Ground::Blocked);
    }
    let ground = match (&instance.wishes.connect, &store.wishes.connect) {
        // What cannot be read is not an empty value.
        (ConnectTag::Invalid(problem), _) => return unreadable(about(), problem),
        (_, ConnectTag::Invalid(problem)) => return unreadable(Subject::Store(store.arn.clone()), problem),
        (_, ConnectTag::Absent) => Ground::StoreOptedOut,
        (ConnectTag::Absent, ConnectTag::Names(_)) => Ground::NotAskedFor,
        (ConnectTag::Names(mine), ConnectTag::Names(theirs)) if mine.is_disjoint(theirs) => {
            if !store.tags_are_certain() {
                let reason = Reason::NotAvailable { state: store.state.clone(), passing: true };
                let finding = Finding { subject: Subject::Store(store.arn.clone()), reason };
                return Fate::Stays(Some(finding));
            }
            Ground::NamesNotShared
        }
        (ConnectTag::Names(_), ConnectTag::Names(_)) => return Fate::Stays(None),
    };
    if instance.wishes.held {
        held()
    } else if store.wishes.held {
        Fate::Stays(Some(held_store(store)))
    } else {
        Fate::Leaves(ground)
    }
}

fn held_store(store: &DataStore) -> Finding {
    Finding { subject: Subject::Store(store.arn.clone()), reason: Reason::Held }
}

fn unreadable(subject: Subject, problem: &InvalidTag) -> Fate {
    Fate::Stays(Some(Finding { subject, reason: Reason::InvalidTag { problem: problem.clone() } }))
}

/// Where a store is that has no sighting under its identity.
pub(super) enum Whereabouts {
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
pub(super) fn whereabouts<Name>(view: &View<'_>, owned: &Owned<Name>) -> Whereabouts {
    let unknown = || {
        let reason = Reason::StoreUnknown { store: owned.store.clone() };
        // A gap says for itself what could not be read.
        let finding = Finding { subject: Subject::Group(owned.group.id().clone()), reason };
        Whereabouts::Unknown(view.seen.stores.is_complete().then_some(finding))
    };
    let Some(arn) = view.arn_of(owned) else { return unknown() };
    if !is_free_name(view, &arn) || !view.seen.absent.contains(&owned.store) {
        return unknown();
    }
    let store_sides = view.owned_groups(&owned.store).filter(|group| group.name.side == Side::Store);
    let carried = store_sides.map(|side| &side.group).chain(view.cidr_groups(&owned.store).map(|group| &group.group));
    for id in carried.map(OwnedGroup::id) {
        let Some(mut others) = view.seen.other_wearers(id) else { return Whereabouts::Unknown(None) };
        let carried = others.next().is_some() || view.wearing(id).next().is_some() || !view.stores_with(id).is_empty();
        if carried {
            let reason = Reason::StillCarried { group: id.clone() };
            return Whereabouts::Carried(Finding { subject: Subject::Store(arn), reason });
        }
    }
    Whereabouts::Gone
}

/// Whether the service said that nothing has this name, or that something else has.
fn is_free_name(view: &View<'_>, arn: &StoreArn) -> bool {
    view.seen.stores.found.iter().any(|sighting| match sighting {
        Sighting::Gone(gone) => gone == arn,
        Sighting::Present(store) => store.arn == *arn,
    })
}
