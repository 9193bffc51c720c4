//! Everything of ours that has to leave a list, whether it may go now or not: [`super::budget`] decides that.

use std::collections::BTreeMap;

use super::{
    DetachReason,
    conditions::may_gain,
    disconnect::{AttachedGroup, Retention},
    index::Index,
    pair::PairStates,
};
use crate::{
    finding::{Finding, Reason, Subject},
    group::{GroupKind, Owned},
    id::{InstanceId, InterfaceId, StoreId},
    model::{DataStore, Instance},
    service::Side,
    state::{Connection, Removal},
};

/// An instance side that is to leave an interface.
#[derive(Clone, Copy)]
pub(crate) struct Leaving<'index> {
    pub(crate) instance: &'index Instance,
    pub(crate) interface: &'index InterfaceId,
    pub(crate) owned: &'index Owned,
    pub(crate) reason: DetachReason,
}

impl<'index> Leaving<'index> {
    /// The two that it connects.
    pub(crate) fn ends(&self) -> (&'index InstanceId, &'index StoreId) {
        (&self.instance.id, &self.owned.store)
    }

    pub(crate) fn connection(&self) -> Connection {
        Connection { instance: self.instance.id.clone(), store: self.owned.store.clone() }
    }
}

/// Groups of one kind that are to leave their store.
pub(crate) struct LeavingStore<'index> {
    pub(crate) store: &'index DataStore,
    pub(crate) kind: GroupKind,
    pub(crate) groups: Vec<&'index Owned>,
    pub(crate) reason: DetachReason,
}

impl LeavingStore<'_> {
    pub(crate) fn removal(&self) -> Removal {
        match self.kind {
            GroupKind::Pair => Removal::StoreSide(self.store.id.clone()),
            GroupKind::Cidr => Removal::CidrGroup(self.store.id.clone()),
        }
    }

    pub(crate) fn last_group(&self) -> Option<Finding> {
        let subject = Subject::Store(self.store.arn.clone());
        let group = self.groups.first()?.group.id().clone();
        Some(Finding { subject, reason: Reason::LastGroup { group } })
    }
}

/// The instance sides that have to go.
#[derive(Default)]
pub(crate) struct LeavingSides<'index> {
    pub(crate) all: Vec<Leaving<'index>>,
    /// Those that are all that their list holds, and can go only if another group comes.
    pub(crate) last: Vec<Leaving<'index>>,
    pub(crate) findings: Vec<Finding>,
}

/// Every instance side that has to go, whether it may go now or not; and those that are all that their
/// list holds, and can go only if another group comes.
pub(crate) fn instance_sides<'index>(
    index: &'index Index<'index>,
    pair_states: &PairStates<'index>,
) -> LeavingSides<'index> {
    let mut found = LeavingSides::default();
    for instance in index.instances() {
        let Some(interface) = &instance.interface else { continue };
        let attached = index.attached_instance_sides(interface);
        let mut leaving = Vec::new();
        for owned in attached.filter(|owned| index.in_scope(instance, owned)) {
            match AttachedGroup::on_instance(index, owned, instance).decide() {
                Retention::Stays(finding) => found.findings.extend(finding),
                Retention::Leaves(reason) => {
                    leaving.push(Leaving { instance, interface: &interface.id, owned, reason });
                }
            }
        }
        if leaving.len() == interface.groups.len()
            && let Some(last) = leaving.last().copied()
        {
            // Half a connection taken away is none taken away.
            let (of_last, others) =
                leaving.into_iter().partition(|leaving: &Leaving<'_>| leaving.owned.store == last.owned.store);
            leaving = others;
            if may_gain(index, pair_states, instance) {
                found.last.extend::<Vec<_>>(of_last);
            } else {
                found.findings.push(last_group(Subject::Instance(instance.id.clone()), last.owned));
            }
        }
        found.all.extend(leaving);
    }
    found
}

/// Every group that has to leave its store, whether it may go now or not.
pub(crate) fn groups_of_stores<'index>(
    index: &'index Index<'index>,
    pair_states: &PairStates<'index>,
) -> (Vec<LeavingStore<'index>>, Vec<Finding>) {
    let (mut all, mut findings) = (Vec::new(), Vec::new());
    for (id, store) in index.stores_here() {
        for kind in GroupKind::ALL {
            let looked_at = match kind {
                GroupKind::Pair => pair_states.get(id).is_some_and(|pair_state| index.takes_in(pair_state)),
                GroupKind::Cidr => {
                    let certain = index.seen.is_uninstalling() || store.tags_are_certain();
                    index.seen.scope.has_store(&store.arn) && certain
                }
            };
            if !looked_at {
                continue;
            }
            // Whatever service they are named after.
            let groups = index.groups_of(id, kind).filter(|owned| owned.role() != Side::Instance);
            let groups = groups.filter(|owned| store.has_group(owned.group.id()));
            let mut leaving = BTreeMap::<DetachReason, Vec<&Owned>>::new();
            for owned in groups.chain(index.copied_groups(store, kind)) {
                match AttachedGroup::on_store(index, owned, store).decide() {
                    Retention::Leaves(reason) => leaving.entry(reason).or_default().push(owned),
                    Retention::Stays(finding) => {
                        findings.extend(finding.filter(|finding| {
                            let held = kind == GroupKind::Cidr && finding.reason == Reason::Held;
                            held || matches!(finding.reason, Reason::NotAvailable { .. })
                        }));
                    }
                }
            }
            // There is one reason at a time: a copied group stays while the store's own leave for a reason of its own.
            all.extend(leaving.into_iter().next().map(|(reason, groups)| LeavingStore { store, kind, groups, reason }));
        }
    }
    (all, findings)
}

pub(crate) fn last_group(subject: Subject, owned: &Owned) -> Finding {
    Finding { subject, reason: Reason::LastGroup { group: owned.group.id().clone() } }
}
