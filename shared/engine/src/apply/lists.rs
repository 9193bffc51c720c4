//! Changing the lists of groups of stores and interfaces.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use tagwire_core::{
    group::{GroupKind, GroupList},
    id::{InterfaceId, SecurityGroupId, StoreId},
    model::{DataStore, Interface},
    observation::{Gap, Reading, StoreLookup},
    plan::{InterfaceChange, StoreChange},
    policy::Policy,
    service::Readiness,
    state::{Note, Removal, Target, Wanted},
};

use super::{Ensure, LISTS_AT_ONCE, Stages, StepAction, StepFailure, StepOutcome, fresh};
use crate::cloud::{Change, Clock};

impl<C: Change, K: Clock> Stages<'_, C, K> {
    pub(super) async fn stores(&mut self, changes: &[(&StoreId, &StoreChange)]) {
        for portion in changes.chunks(LISTS_AT_ONCE) {
            let action = |change: &StoreChange| StepAction::ChangeStore {
                store: change.store.clone(),
                attaches: change.attached().count(),
                detaches: change.leaving().count(),
            };
            if !self.has_time() {
                for (id, change) in portion {
                    self.ready.fail(Some(&change.store), id, None);
                    self.leave(action(change));
                }
                continue;
            }
            let which = portion.iter().map(|(_, change)| change.store.clone()).collect();
            let now = self.cloud.stores(&which).await;
            let results = join_all(portion.iter().map(|(id, change)| self.store(&now, id, change))).await;
            for ((id, change), (attached, results)) in portion.iter().zip(results) {
                if results.iter().any(Result::is_err) {
                    self.ready.fail(Some(&change.store), id, None);
                }
                if results.last().is_some_and(Result::is_ok) {
                    let target = Target::Store((*id).clone());
                    for group in attached {
                        self.attached(target.clone(), group);
                    }
                    for group in change.leaving() {
                        self.forget(Note::Attached(target.clone(), group.clone(), None));
                    }
                    for removal in change.removals(id) {
                        self.forget(Note::Wanted(removal, None));
                    }
                } else {
                    let is_counted = |removal: &Removal| {
                        let kind =
                            if matches!(removal, Removal::CidrGroup(_)) { GroupKind::Cidr } else { GroupKind::Pair };
                        change.detached_of(kind).any(|(_, reason)| reason.is_counted())
                    };
                    for removal in change.removals(id).filter(is_counted) {
                        self.put_last(removal);
                    }
                }
                self.outcome
                    .steps
                    .extend(results.into_iter().map(|result| StepOutcome { action: action(change), result }));
            }
        }
    }

    /// The groups that were newly attached, and what became of every part; the change of the list
    /// itself comes last.
    async fn store(
        &self,
        now: &Reading<StoreLookup>,
        id: &StoreId,
        change: &StoreChange,
    ) -> (Vec<SecurityGroupId>, Vec<Result<Ensure, StepFailure>>) {
        let wanted = change.attach.iter().map(|(kind, group)| (group, *kind));
        let (mut groups, mut results) = (BTreeSet::new(), Vec::new());
        for (group, kind) in wanted {
            match self.ready.id(group, &change.store, kind) {
                Ok(group) => drop(groups.insert(group)),
                Err(failure) => results.push(Err(failure)),
            }
        }
        if groups.is_empty() && change.leaving().next().is_none() {
            return (Vec::new(), results);
        }
        let store = now.found.iter().find_map(|lookup| match lookup {
            StoreLookup::Found(store) => (store.arn == change.store).then_some(store.as_ref()),
            StoreLookup::NotFound(_) => None,
        });
        let Some(store) = store else {
            results.push(Err(missing(now.gaps.first(), false)));
            return (Vec::new(), results);
        };
        let new = groups.iter().filter(|group| !store.has_group(group)).cloned().collect();
        results.push(change_store(self.cloud, id, store, &groups, change).await);
        (new, results)
    }

    pub(super) async fn interfaces(&mut self, changes: &[(&InterfaceId, &InterfaceChange)]) {
        for portion in changes.chunks(LISTS_AT_ONCE) {
            if !self.has_time() {
                for (id, change) in portion {
                    self.fail_interface(change);
                    self.leave(interface_action(id, change));
                }
                continue;
            }
            let which = portion.iter().map(|(id, _)| (*id).clone()).collect();
            let now = self.cloud.interfaces(&which).await;
            let results = join_all(portion.iter().map(|(id, change)| self.interface(&now, id, change))).await;
            for ((id, change), (attached, results)) in portion.iter().zip(results) {
                if results.iter().any(Result::is_err) {
                    self.fail_interface(change);
                }
                if results.last().is_some_and(Result::is_ok) {
                    let target = Target::Interface((*id).clone());
                    for group in attached {
                        self.attached(target.clone(), group);
                    }
                    for group in change.leaving() {
                        self.forget(Note::Attached(target.clone(), group.clone(), None));
                    }
                    for detachment in change.detach.values() {
                        self.forget(Note::Wanted(change.removal(id, &detachment.store), None));
                    }
                } else {
                    for detachment in change.detach.values().filter(|detachment| detachment.reason.is_counted()) {
                        self.put_last(change.removal(id, &detachment.store));
                    }
                }
                let steps =
                    results.into_iter().map(|result| StepOutcome { action: interface_action(id, change), result });
                self.outcome.steps.extend(steps);
            }
        }
    }

    /// Notes that a removal failed, which puts it behind the others that wait: one that AWS refuses for good
    /// would use up the window in every sweep.
    fn put_last(&mut self, removal: Removal) {
        let Ok(state) = &self.seen.state else { return };
        let since = state.wanted.get(&removal).map_or(self.seen.at, |wanted| wanted.since);
        let wanted = Wanted { since, failed: Some(self.seen.at) };
        self.outcome.notes.push(Note::Wanted(removal, Some(wanted)));
    }

    fn fail_interface(&mut self, change: &InterfaceChange) {
        for detachment in change.detach.values() {
            self.ready.fail(None, &detachment.store, change.instance.as_ref());
        }
        self.ready.undone.instances.extend(change.instance.clone());
    }

    /// The groups that were newly attached, and what became of every part; the change of the list
    /// itself comes last.
    async fn interface(
        &self,
        now: &Reading<Interface>,
        id: &InterfaceId,
        change: &InterfaceChange,
    ) -> (Vec<SecurityGroupId>, Vec<Result<Ensure, StepFailure>>) {
        let mut groups = BTreeSet::new();
        let mut results = Vec::new();
        for (group, attachment) in &change.attach {
            match self.ready.id(group, &attachment.store, GroupKind::Pair) {
                Ok(group) => {
                    groups.insert(group);
                }
                Err(failure) => results.push(Err(failure)),
            }
        }
        if groups.is_empty() && change.leaving().next().is_none() {
            return (Vec::new(), results);
        }
        let Some(interface) = now.found.iter().find(|interface| interface.id == *id) else {
            results.push(Err(missing(now.gaps.first(), true)));
            return (Vec::new(), results);
        };
        let new = groups.iter().filter(|group| !interface.groups.contains(group)).cloned().collect();
        let gone = change.leaving().collect();
        results.push(change_interface(self.cloud, interface, &groups, &gone, self.policy).await);
        (new, results)
    }
}

/// Incident response first.
pub(super) fn by_urgency<'plan>(
    mut changes: Vec<(&'plan InterfaceId, &'plan InterfaceChange)>,
) -> Vec<(&'plan InterfaceId, &'plan InterfaceChange)> {
    changes.sort_by_key(|(_, change)| !change.is_urgent());
    changes
}

fn interface_action(id: &InterfaceId, change: &InterfaceChange) -> StepAction {
    StepAction::ChangeInterface {
        interface: id.clone(),
        instance: change.instance.clone(),
        attaches: change.attach.len(),
        detaches: change.leaving().count(),
    }
}

/// `may_show`: an interface that was seen at its instance may not be listed itself yet, while of a
/// store its service answered that it is gone.
fn missing(gap: Option<&Gap>, may_show: bool) -> StepFailure {
    gap.map_or_else(
        || StepFailure::Changed { what: "it is gone".to_owned(), passing: may_show },
        |gap| StepFailure::Unread { gap: Box::new(gap.clone()) },
    )
}

async fn change_store<C: Change>(
    cloud: &C,
    id: &StoreId,
    store: &DataStore,
    attach: &BTreeSet<SecurityGroupId>,
    change: &StoreChange,
) -> Result<Ensure, StepFailure> {
    if store.id != *id {
        let what = format!("another data store ({}) has its name now", store.id);
        return Err(StepFailure::Changed { what, passing: false });
    }
    let leaves = |group: &SecurityGroupId| change.detaches(group);
    if attach.iter().all(|group| store.has_group(group)) && !store.lasting_groups().any(leaves) {
        return Ok(Ensure::NotNeeded);
    }
    if store.list_is_changing() {
        let what = "a group is on its way into its list".to_owned();
        return Err(StepFailure::Changed { what, passing: true });
    }
    if store.readiness() != Readiness::Ready {
        let what = format!("its state is {:?} now", store.state);
        return Err(StepFailure::Changed { what, passing: store.readiness() == Readiness::Later });
    }
    let list = store.lasting_groups().filter(|group| !leaves(group)).chain(attach).cloned().collect();
    // A list that only gets shorter is never too long, whatever the limit is taken to be.
    let limit = if attach.is_empty() { usize::MAX } else { store.service.row().store_group_limit };
    let list = GroupList::new(list, limit).map_err(|problem| StepFailure::List { problem })?;
    cloud.set_store_groups(&store.arn, &list).await.map(|()| Ensure::Done).map_err(fresh)
}

async fn change_interface<C: Change>(
    cloud: &C,
    interface: &Interface,
    groups: &BTreeSet<SecurityGroupId>,
    gone: &BTreeSet<&SecurityGroupId>,
    policy: &Policy,
) -> Result<Ensure, StepFailure> {
    let list: BTreeSet<_> = interface.groups.union(groups).filter(|group| !gone.contains(group)).cloned().collect();
    if list == interface.groups {
        return Ok(Ensure::NotNeeded);
    }
    let limit = if groups.is_empty() { usize::MAX } else { policy.interface_group_limit };
    let list = GroupList::new(list, limit).map_err(|problem| StepFailure::List { problem })?;
    cloud.set_interface_groups(&interface.id, &list).await.map(|()| Ensure::Done).map_err(fresh)
}
