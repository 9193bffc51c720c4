//! The reasons for which something of ours is taken off a list: a list of predicates, which the planner
//! walks here and an explanation as well. That a removal is wanted does not say that it may be made now:
//! [`super::budget`] decides that.

use super::{DetachReason, copies, index::Index, obstacles};
use crate::{
    finding::{Finding, Reason, Subject},
    group::{Owned, OwnedGroup, Role},
    id::StoreArn,
    model::{DataStore, Instance},
    observation::{InterfaceOwner, Scope, StoreLookup},
    service::Side,
    tag::{ConnectTag, InvalidTag},
};

/// A group of ours in a list: an instance side on an instance, or a store side or a group for CIDR clients
/// on a store, its own or one that took it over from that.
#[derive(Clone, Copy)]
pub(crate) struct AttachedGroup<'index> {
    pub(crate) index: &'index Index<'index>,
    pub(crate) owned: &'index Owned,
    /// The instance, `None` when the group is on a store or no instance has the interface.
    pub(crate) instance: Option<&'index Instance>,
    /// The store that has the group, or else the group's store as far as it was found, wherever it is.
    pub(crate) store: Option<&'index DataStore>,
    /// It is on an interface that no instance has any more.
    pub(crate) left_over: bool,
}

/// Whether a reason holds.
pub(crate) enum Holding {
    /// It does not.
    No,
    /// It does.
    Yes,
    /// It is not known whether it holds, so nothing is removed for this reason or a later one.
    Unknown(Option<Finding>),
}

/// Whether a group stays in a list.
pub(crate) enum Retention {
    /// It is asked for, or nothing may be decided about it.
    Stays(Option<Finding>),
    /// It is to go.
    Leaves(DetachReason),
}

impl<'index> AttachedGroup<'index> {
    /// An instance side on an instance.
    pub(crate) fn on_instance(index: &'index Index<'index>, owned: &'index Owned, instance: &'index Instance) -> Self {
        Self { index, owned, instance: Some(instance), store: index.store(&owned.store), left_over: false }
    }

    /// A group on a store.
    pub(crate) fn on_store(index: &'index Index<'index>, owned: &'index Owned, store: &'index DataStore) -> Self {
        Self { index, owned, instance: None, store: Some(store), left_over: false }
    }

    /// An instance side on an interface that no instance has any more.
    pub(crate) fn left_over(index: &'index Index<'index>, owned: &'index Owned) -> Self {
        Self { index, owned, instance: None, store: index.store(&owned.store), left_over: true }
    }

    /// Walks the reasons; the first that holds decides, unless a hold keeps the group from it, or tags that are not
    /// certain, among which a hold may be missing.
    pub(crate) fn decide(self) -> Retention {
        match self.on_its_own() {
            Retention::Leaves(reason) if reason != DetachReason::Blocked => {
                self.relied_on(reason).unwrap_or(Retention::Leaves(reason))
            }
            decided @ (Retention::Leaves(_) | Retention::Stays(_)) => decided,
        }
    }

    /// Likewise, if nobody reached another store by it.
    fn on_its_own(self) -> Retention {
        let mut kept = None;
        for reason in DetachReason::ALL {
            match reason.holds(&self) {
                Holding::No => {}
                Holding::Unknown(finding) => return Retention::Stays(kept.or(finding)),
                Holding::Yes if self.managed().is_some() => return Retention::Stays(self.managed()),
                // A later reason may hold against which nothing keeps it.
                Holding::Yes => match self.kept_from(reason) {
                    Some(finding) => kept = kept.or(Some(finding)),
                    None => return Retention::Leaves(reason),
                },
            }
        }
        Retention::Stays(kept)
    }

    /// Whether it stays on an instance for the sake of another store alone, until somebody changes something.
    pub(crate) fn stays_for_another(self) -> bool {
        let goes = matches!(self.on_its_own(), Retention::Leaves(reason) if reason != DetachReason::Blocked);
        goes && self.instance.is_some_and(|instance| self.index.stays_for_another(instance, self.owned))
    }

    /// That a service manages the instance, so that nothing can be taken off its interface.
    fn managed(&self) -> Option<Finding> {
        let instance = self.instance?;
        let reason = obstacles::managed(instance)?;
        Some(Finding { subject: Subject::Instance(instance.id.clone()), reason })
    }

    /// What keeps the group although a reason holds. Nothing keeps it from a block.
    fn kept_from(&self, reason: DetachReason) -> Option<Finding> {
        if reason == DetachReason::Blocked { None } else { self.hold(reason).or_else(|| self.uncertain_tags()) }
    }

    /// The hold on one of the two. That of an instance has no say when the store takes no part any more.
    fn hold(&self, reason: DetachReason) -> Option<Finding> {
        let has_say = |instance: &&Instance| instance.settings.held && reason != DetachReason::StoreOptedOut;
        let of_instance = self.instance.filter(has_say).map(|instance| Subject::Instance(instance.id.clone()));
        let of_store = || self.store.filter(|store| store.settings.held).map(about);
        of_instance.or_else(of_store).map(|subject| Finding { subject, reason: Reason::Held })
    }

    /// That the store's tags may not be all that it has.
    // Facts 3.4 and 4.2
    fn uncertain_tags(&self) -> Option<Finding> {
        let store = self.store.filter(|store| !store.tags_are_certain())?;
        Some(Finding { subject: about(store), reason: obstacles::not_available(store) })
    }

    /// That the instance reaches a copy of the group's store, or another store, by it and in no other way yet, and may
    /// reach that. While it leads to the group's own store, from which it certainly has to go, it takes a connect tag
    /// that can be read to keep it.
    fn relied_on(&self, reason: DetachReason) -> Option<Retention> {
        let instance = self.instance?;
        let of_instance = matches!(reason, DetachReason::NotAskedFor | DetachReason::NamesNotShared);
        let is_certain = of_instance && self.store_here().is_some_and(|store| self.index.leads_to(self.owned, store));
        let counts = |store: &DataStore| !is_certain || self.index.is_asked_for(instance, store);
        let mut copies = self.index.copies_reached_by(instance, self.owned);
        if let Some((copy, store_side)) = copies.find(|(copy, _)| counts(copy)) {
            return Some(Retention::Stays(Some(copies::finding(self.index, copy, store_side))));
        }
        let mut others = self.index.keeps_by(instance, self.owned);
        others.find(|(store, _)| counts(store)).map(|(_, kept)| kept)
    }

    /// Whether the group was made for another store than the one that has it.
    fn is_copied(&self) -> bool {
        self.instance.is_none() && self.store.is_some_and(|store| store.id != self.owned.store)
    }

    /// The store, if it is in this VPC.
    fn store_here(&self) -> Option<&'index DataStore> {
        self.store.filter(|store| store.is_in(&self.index.seen.vpc))
    }

    fn unreadable(&self) -> Option<Finding> {
        let problem = |tag: &'index ConnectTag| match tag {
            ConnectTag::Invalid(problem) => Some(problem),
            ConnectTag::Absent | ConnectTag::Names(_) => None,
        };
        let finding = |subject: Subject, problem: &InvalidTag| Finding {
            subject,
            reason: Reason::InvalidTag { problem: problem.clone() },
        };
        let of_instance = self.instance.and_then(|instance| {
            problem(&instance.settings.connect).map(|found| finding(Subject::Instance(instance.id.clone()), found))
        });
        of_instance.or_else(|| {
            let store = self.store?;
            problem(&store.settings.connect).map(|found| finding(about(store), found))
        })
    }
}

impl DetachReason {
    /// Whether the reason holds for a group in a list. What is not known for certain is no reason.
    pub(crate) fn holds(self, attached: &AttachedGroup<'_>) -> Holding {
        match self {
            Self::Blocked => {
                let instance = attached.instance.is_some_and(|instance| attached.index.is_blocked(instance));
                yes(instance || attached.store_here().is_some_and(|store| store.settings.blocked))
            }
            Self::Uninstalling => uninstalling(attached),
            Self::StoreGone => store_gone(attached),
            Self::StoreOptedOut => opted_out(attached),
            Self::NoInstance => yes(attached.left_over),
            Self::NotAskedFor => {
                yes(attached.instance.is_some_and(|instance| instance.settings.connect == ConnectTag::Absent))
            }
            Self::NamesNotShared => names_not_shared(attached),
            Self::CidrNotAskedFor => {
                let unasked = attached.store.is_some_and(|store| store.settings.allow_cidr.asks_for_none());
                yes(attached.owned.role() == Role::Cidr && unasked && (!attached.is_copied() || takes_part(attached)))
            }
            Self::OfAnotherStore => yes(attached.is_copied() && takes_part(attached) && is_replaced(attached)),
        }
    }
}

fn yes(holds: bool) -> Holding {
    if holds { Holding::Yes } else { Holding::No }
}

fn about(store: &DataStore) -> Subject {
    Subject::Store(store.arn.clone())
}

/// Rests only on the group's being ours, wherever its store is, and on nothing unread's being on hold.
fn uninstalling(attached: &AttachedGroup<'_>) -> Holding {
    let seen = attached.index.seen;
    if !seen.is_uninstalling() {
        return Holding::No;
    }
    let hidden = attached.store.is_none() && seen.gap_in_store(attached.owned.arn.as_ref()).is_some();
    // The gap says for itself what could not be read.
    if hidden { Holding::Unknown(None) } else { Holding::Yes }
}

fn store_gone(attached: &AttachedGroup<'_>) -> Holding {
    if attached.store.is_some() {
        return Holding::No;
    }
    match store_existence(attached.index, attached.owned) {
        StoreExistence::Gone => Holding::Yes,
        StoreExistence::Carried(finding) => Holding::Unknown(Some(finding)),
        StoreExistence::Unknown(finding) => Holding::Unknown(finding),
    }
}

/// Whether the store that has the group is here and carries a connect tag that can be read, and everything was looked
/// at: who reaches a copy, a smaller look does not tell.
fn takes_part(attached: &AttachedGroup<'_>) -> bool {
    let names = |store: &DataStore| matches!(store.settings.connect, ConnectTag::Names(_));
    attached.index.seen.scope == Scope::Vpc && attached.store_here().is_some_and(names)
}

/// Whether a copy has a group for its own CIDR clients in place of its source's. Whether those who use a pair have
/// another way is asked for each of them when the groups are about to leave.
fn is_replaced(attached: &AttachedGroup<'_>) -> bool {
    attached.owned.role() != Role::Cidr
        || attached
            .store
            .is_some_and(|store| attached.index.cidr_groups(&store.id).any(|own| store.has_group(own.group.id())))
}

fn opted_out(attached: &AttachedGroup<'_>) -> Holding {
    if attached.is_copied() {
        return Holding::No;
    }
    let Some(store) = attached.store else { return Holding::No };
    if attached.store_here().is_none() {
        let moved = store.vpc().cloned().map(|vpc| Reason::StoreMoved { vpc });
        return Holding::Unknown(moved.map(|reason| Finding { subject: about(store), reason }));
    }
    // What cannot be read is not an empty value.
    yes(store.settings.connect == ConnectTag::Absent)
}

fn names_not_shared(attached: &AttachedGroup<'_>) -> Holding {
    let Some((instance, store)) = attached.instance.zip(attached.store) else { return Holding::No };
    if let Some(finding) = attached.unreadable() {
        return Holding::Unknown(Some(finding));
    }
    let (ConnectTag::Names(mine), ConnectTag::Names(theirs)) = (&instance.settings.connect, &store.settings.connect)
    else {
        return Holding::No;
    };
    yes(mine.is_disjoint(theirs))
}

/// The reason for which an instance side stays on an instance although its tags may not ask for it.
pub(crate) fn kept_because<'index>(
    index: &'index Index<'index>,
    instance: &'index Instance,
    owned: &'index Owned,
) -> Option<Reason> {
    match AttachedGroup::on_instance(index, owned, instance).decide() {
        Retention::Stays(finding) => finding.map(|finding| finding.reason),
        Retention::Leaves(_) => None,
    }
}

/// The existence of a store that was not found under its identity.
pub(crate) enum StoreExistence {
    /// It is gone.
    Gone,
    /// There is none, but something carries its group: it was replaced by another that took the group
    /// over, or is still being deleted.
    Carried(Finding),
    /// It is not known.
    Unknown(Option<Finding>),
}

/// A store is gone only when its service says so of its name, lists nothing with its identity, and no
/// interface or other store carries its store side or its group for clients that are not instances.
pub(crate) fn store_existence(index: &Index<'_>, owned: &Owned) -> StoreExistence {
    let unknown = || {
        let reason = Reason::StoreUnknown { store: owned.store.clone() };
        // A gap says for itself what could not be read.
        let finding = Finding { subject: Subject::Group(owned.group.id().clone()), reason };
        StoreExistence::Unknown(index.seen.gap_in_store(index.arn_of(owned).as_ref()).is_none().then_some(finding))
    };
    let Some(arn) = index.arn_of(owned) else { return unknown() };
    if !is_free_name(index, &arn) || !index.seen.absent.contains(&owned.store) {
        return unknown();
    }
    let store_sides = index.owned_groups(&owned.store).filter(|group| group.role() == Side::Store);
    let carried = store_sides.map(|side| &side.group).chain(index.cidr_groups(&owned.store).map(|group| &group.group));
    for id in carried.map(OwnedGroup::id) {
        let Some(mut others) = index.seen.other_attached(id) else { return StoreExistence::Unknown(None) };
        let carried =
            others.next().is_some() || index.with_group(id).next().is_some() || !index.stores_with(id).is_empty();
        if carried {
            let reason = Reason::StillAttached { group: id.clone() };
            return StoreExistence::Carried(Finding { subject: Subject::Store(arn), reason });
        }
    }
    StoreExistence::Gone
}

/// Whether the service answered that nothing has this name, or that something else has.
fn is_free_name(index: &Index<'_>, arn: &StoreArn) -> bool {
    index.seen.stores.found.iter().any(|lookup| match lookup {
        StoreLookup::NotFound(gone) => gone == arn,
        StoreLookup::Found(store) => store.arn == *arn,
    })
}

/// A store's own interfaces have its groups for as long as its list holds them, which is where they
/// are looked at; they follow the list a little later. While a store may be missing, an interface that looks the same
/// may be that one's.
pub(crate) fn is_of_its_store(index: &Index<'_>, owned: &Owned, of: &InterfaceOwner) -> bool {
    let listed = || index.store(&owned.store).is_some_and(|store| store.groups.contains_key(owned.group.id()));
    owned.role() != Side::Instance
        && matches!(of, InterfaceOwner::Other { .. })
        && index.seen.lacks_no_store()
        && listed()
}
