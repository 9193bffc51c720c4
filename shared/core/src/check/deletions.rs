//! The deletion of groups.

use std::{collections::BTreeSet, time::Duration};

use super::{Checker, Evidence, Objection, Objections, Part, Violation};
use crate::{
    group::{GroupKind, Owned, OwnedGroup, Role},
    id::{InterfaceId, SecurityGroupId, StoreId},
    model::DataStore,
    observation::{InterfaceOwner, Scope},
    plan::{DeleteReason, Deletion, StoreChange},
    rule::Peer,
    service::Side,
    tag::ConnectTag,
};

impl Checker<'_> {
    pub(super) fn deletions(&self, found: &mut BTreeSet<Objection>) {
        let named = self.named_afterwards();
        for ((kind, store), deletion) in &self.plan.deletions {
            let mut objections = Objections::to(Part::Deletion(*kind, store.clone()), found);
            self.deletion(store, deletion, *kind, &named, &mut objections);
        }
    }

    /// A group is deleted only when it is owned, nothing has or names it, and its store needs it no
    /// more or nobody has used it for long.
    fn deletion(
        &self,
        id: &StoreId,
        deletion: &Deletion,
        kind: GroupKind,
        named: &BTreeSet<&SecurityGroupId>,
        objections: &mut Objections<'_>,
    ) {
        for group in &deletion.delete {
            let owned = self.evidence.ours(group.id());
            let Some(owned) = owned.filter(|owned| owned.store == *id && owned.role().kind() == kind) else {
                objections.insert(Violation::NotOwned { group: group.id().clone(), store: id.clone() });
                continue;
            };
            let mut refuse = |why| objections.insert(Violation::NotDeletable { group: group.id().clone(), why });
            self.users(owned).into_iter().for_each(&mut refuse);
            if named.contains(group.id()) {
                refuse("a rule of another group names it");
            }
            let templates = self.evidence.seen.launch_templates.as_ref().filter(|reading| reading.is_complete());
            if templates.is_none_or(|templates| templates.found.contains(group.id())) {
                refuse("a launch template names it, or not all were read");
            }
            if !self.delete_reason_holds(deletion.reason, owned) {
                refuse("it may still be needed");
            }
        }
        for (group, rule) in &deletion.revoke {
            let crosses = matches!(&rule.peer, Peer::Group(peer) if self.evidence.ours(peer).is_some());
            if !crosses || !deletion.delete.contains(group) {
                objections.insert(Violation::BadRule { rule: format!("{rule} in {group}"), store: id.clone() });
            }
        }
    }

    /// The signs that something has a group once the plan is carried out, or may have it unseen.
    fn users(&self, owned: &Owned) -> Vec<&'static str> {
        let (seen, group) = (self.evidence.seen, owned.group.id());
        let mut users = Vec::new();
        if !seen.groups.is_complete() {
            users.push("not all groups were read");
        }
        let store = self.evidence.stores.get(&owned.store);
        // The interfaces of a store follow its list, and are looked at there, but for those that may be of one which
        // was not read.
        let is_stores = |owner: &InterfaceOwner| {
            owned.role() != Side::Instance
                && matches!(owner, InterfaceOwner::Other { .. })
                && self.evidence.seen.lacks_no_store()
                && store.is_some_and(|store| store.groups.contains_key(group))
        };
        match seen.other_attached(group) {
            None => users.push("it is not known who has it"),
            Some(mut others) => {
                let leaves = |of: &InterfaceId| self.leaves_interface_of_nobody(of, group);
                if others.any(|attached| !is_stores(&attached.owner) && !leaves(&attached.interface)) {
                    users.push("an interface has it");
                }
            }
        }
        if self.attached_after(group).next().is_some() {
            users.push("an instance has it");
        }
        let is_listed = |store: &DataStore| {
            let change = self.plan.stores.get(&store.id).filter(|change| change.store == store.arn);
            store.has_group(group) && !change.is_some_and(|change| change.detaches(group))
        };
        let takes = |change: &StoreChange| change.attach.contains_key(&owned.role().kind());
        let is_worked_at = match owned.role() {
            Role::Cidr => self.plan.cidrs.contains_key(&owned.store),
            Role::Side(_) => self.plan.pairs.contains_key(&owned.store),
        };
        if self.evidence.stores.values().copied().any(is_listed)
            || self.plan.stores.get(&owned.store).is_some_and(takes)
            || is_worked_at
        {
            users.push("a data store uses it");
        }
        users
    }

    fn delete_reason_holds(&self, reason: DeleteReason, owned: &Owned) -> bool {
        let seen = self.evidence.seen;
        let of_cidr = owned.role() == Role::Cidr;
        let store = self.evidence.stores.get(&owned.store).copied();
        let here = store.filter(|store| store.is_in(&seen.vpc));
        let held = store.is_some_and(|store| store.settings.held);
        match reason {
            _ if !self.evidence.tags_are_certain(&owned.store) => false,
            DeleteReason::Uninstalling => {
                let read = store.is_some() || seen.gap_in_store(owned.arn.as_ref()).is_none();
                seen.is_uninstalling() && !held && read
            }
            DeleteReason::StoreGone => self.evidence.is_gone(owned),
            DeleteReason::StoreOptedOut => {
                here.is_some_and(|store| store.settings.connect == ConnectTag::Absent && !held)
            }
            DeleteReason::CidrNotAskedFor => {
                of_cidr && here.is_some_and(|store| store.settings.allow_cidr.asks_for_none() && !held)
            }
            DeleteReason::Unused => !of_cidr && self.is_long_unused(owned, here),
        }
    }

    fn is_long_unused(&self, owned: &Owned, here: Option<&DataStore>) -> bool {
        let Evidence { seen, policy, by_name, .. } = self.evidence;
        let Ok(state) = &seen.state else { return false };
        let since = state.unused.get(owned.group.id());
        let age = since.and_then(|since| Duration::try_from(seen.at.duration_since(*since)).ok());
        let asked_for = here.is_some_and(|store| {
            store.settings.held || store.settings.connect.names().any(|name| by_name.contains_key(name))
        });
        // A gap elsewhere hides neither this store nor its tags.
        let arns = owned.arn.iter().chain(here.map(|store| &store.arn)).collect::<Vec<_>>();
        let is_read = match arns.as_slice() {
            [] => seen.stores.is_complete(),
            arns => arns.iter().all(|arn| seen.gap_in_store(Some(arn)).is_none()),
        };
        seen.scope == Scope::Vpc && is_read && !asked_for && age.is_some_and(|age| age >= policy.sweep_period)
    }

    /// The groups that rules name which are there once the plan is carried out.
    fn named_afterwards(&self) -> BTreeSet<&SecurityGroupId> {
        let deleted: BTreeSet<_> =
            self.plan.deletions.values().flat_map(|deletion| &deletion.delete).map(OwnedGroup::id).collect();
        let of_pairs = self.plan.pairs.values().flat_map(|work| &work.revoke);
        let works = of_pairs.chain(self.plan.cidrs.values().flat_map(|work| &work.revoke));
        let revoked: BTreeSet<_> = works.map(|(group, rule)| (group.id(), rule)).collect();
        let staying = self.evidence.seen.groups.found.iter().filter(|group| !deleted.contains(&group.id));
        let rules = staying.flat_map(|group| group.rules.iter().map(move |rule| (&group.id, rule)));
        rules
            .filter(|rule| !revoked.contains(rule))
            .filter_map(|(_, rule)| match &rule.peer {
                Peer::Group(peer) => Some(peer),
                Peer::GroupOfAccount { .. } | Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::PrefixList(_) => None,
            })
            .collect()
    }
}
