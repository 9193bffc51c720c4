//! The groups for clients that are not instances.

use std::collections::BTreeSet;

use super::{Checker, Objection, Objections, Part, Violation};
use crate::{
    cidr::{CidrPeer, CidrTag, Family, MOST_RULES, WIDEST_BLOCKS},
    group::{GroupKind, Role},
    id::StoreId,
    model::{DataStore, Form},
    plan::{CidrWork, DetachReason, GroupRef, StoreChange},
    service::Readiness,
    state::Target,
    tag::ConnectTag,
};

impl Checker<'_> {
    pub(super) fn cidrs(&self, found: &mut BTreeSet<Objection>) {
        for (store, work) in &self.plan.cidrs {
            self.cidr(store, work, &mut Objections::to(Part::Cidr(store.clone()), found));
        }
    }

    /// A rule with a block or a prefix list is in no group but the store's own for such clients, and is
    /// one that the store's tag asks for and the installation lets.
    fn cidr(&self, id: &StoreId, work: &CidrWork, objections: &mut Objections<'_>) {
        let here = |store: &&DataStore| store.is_in(&self.evidence.seen.vpc) && store.arn == work.store;
        let store = self.evidence.stores.get(id).copied().filter(here);
        let Some(store) = store.filter(|store| self.evidence.seen.scope.has_store(&store.arn)) else {
            objections.insert(Violation::OutsideScope { target: id.to_string() });
            return;
        };
        if !self.evidence.seen.groups.is_complete() {
            objections.insert(Violation::RestsOnGap { target: id.to_string() });
        }
        self.has_role(&work.group, id, Role::Cidr, objections);
        if let Some(spec) = &work.create {
            let planned = work.group == GroupRef::Planned(id.clone(), Role::Cidr);
            let tags = &spec.tags;
            let right = tags.role == Role::Cidr && tags.store == *id && tags.arn == store.arn;
            if !planned || !right || spec.name.service != store.service {
                objections.insert(Violation::BadName { name: spec.name.to_string(), store: id.clone() });
            }
        }
        if let Some((group, tags)) = &work.tag {
            self.has_role(&GroupRef::Existing(group.id().clone()), id, tags.role, objections);
            if tags.store != *id || tags.arn != store.arn || tags.role != Role::Cidr {
                objections.insert(Violation::NotOwned { group: group.id().clone(), store: tags.store.clone() });
            }
        }
        self.allowed(store, work, objections);
        let asked_for = store.settings.allow_cidr.peers().collect::<BTreeSet<_>>();
        for (group, rule) in &work.revoke {
            let found = self.evidence.cidr_groups.get(group.id()).filter(|(owned, _)| owned.store == *id);
            let peer = CidrPeer::of(&rule.peer);
            if !found.is_some_and(|(_, group)| group.rules.contains(rule)) {
                objections.insert(Violation::BadRule { rule: format!("{rule} in {group}"), store: id.clone() });
            } else if peer.is_some_and(|peer| asked_for.contains(&peer) && *rule == work.rule(&peer)) {
                objections.insert(Violation::CutsPair { group: group.id().clone() });
            }
        }
    }

    /// Nobody is let in whom the store's tag does not name or whom the installation forbids.
    fn allowed(&self, store: &DataStore, work: &CidrWork, objections: &mut Objections<'_>) {
        let mut refuse = |peer: String, why| {
            objections.insert(Violation::NotAllowed { store: store.arn.clone(), peer, why });
        };
        let takes_part = matches!(store.settings.connect, ConnectTag::Names(_));
        if !takes_part || store.settings.blocked || store.settings.held || self.evidence.seen.is_uninstalling() {
            refuse(store.arn.to_string(), "the data store takes no part, is blocked or held, or tagwire is to be gone");
        }
        if !store.tags_are_certain() {
            refuse(store.arn.to_string(), "it is not certain what its tags are");
        }
        let CidrTag::Peers(asked_for) = &store.settings.allow_cidr else {
            return refuse(store.arn.to_string(), "its tag asks for nothing or cannot be read");
        };
        let adds = !work.authorize.is_empty() || work.create.is_some();
        if adds && (store.form != Form::Plain || store.readiness() == Readiness::Never) {
            refuse(store.arn.to_string(), "the data store takes no new clients");
        }
        if Some(work.ports) != store.ports {
            refuse(format!("tcp {}", work.ports), "these are not its ports");
        }
        for peer in work.authorize.iter().filter(|peer| !asked_for.contains(peer)) {
            refuse(peer.to_string(), "its tag does not name it");
        }
        for (peer, why) in asked_for.iter().filter_map(|peer| Some((peer, self.evidence.forbids(store, peer)?))) {
            refuse(peer.to_string(), why);
        }
        for family in [Family::Ipv4, Family::Ipv6] {
            if asked_for.iter().map(|peer| self.evidence.rules_of(peer, family)).sum::<usize>() > MOST_RULES {
                refuse(family.to_string(), "a group has no room for so many rules");
            }
            if self.evidence.widest_blocks(asked_for, family) > WIDEST_BLOCKS {
                refuse(family.to_string(), "these are too many addresses together");
            }
        }
    }

    /// The group for clients that are not instances is added to its store's list or taken off it.
    pub(super) fn cidr_change(&self, store: &DataStore, change: &StoreChange, objections: &mut Objections<'_>) {
        let comes = change.attach.get(&GroupKind::Cidr);
        if comes.is_none() && change.detached_of(GroupKind::Cidr).next().is_none() {
            return;
        }
        if !self.evidence.seen.scope.has_store(&store.arn) || !store.is_in(&self.evidence.seen.vpc) {
            objections.insert(Violation::OutsideScope { target: store.arn.to_string() });
        }
        if !self.evidence.seen.groups.is_complete() {
            objections.insert(Violation::RestsOnGap { target: store.arn.to_string() });
        }
        let settings = &store.settings;
        let takes_part = matches!(settings.connect, ConnectTag::Names(_));
        let target = Target::Store(store.id.clone());
        if let Some(group) = comes {
            let objections = &mut objections.at(Part::Attachment(target.clone(), group.clone()));
            self.has_role(group, &store.id, Role::Cidr, objections);
            let asks = settings.allow_cidr.peers().next().is_some();
            let forbidden = settings.allow_cidr.peers().any(|peer| self.evidence.forbids(store, peer).is_some());
            let plain = store.form == Form::Plain && !settings.blocked && !settings.held;
            if !takes_part || !asks || forbidden || !plain || self.evidence.seen.is_uninstalling() {
                let peer = store.arn.to_string();
                let why = "its tags do not ask for it, or it may not be let in";
                objections.insert(Violation::NotAllowed { store: store.arn.clone(), peer, why });
            }
        }
        let unasked = settings.allow_cidr.asks_for_none();
        for (group, reason) in change.detached_of(GroupKind::Cidr) {
            let objections = &mut objections.at(Part::Detachment(target.clone(), group.id().clone()));
            let found = self.evidence.cidr_groups.get(group.id()).map(|(owned, _)| owned);
            let Some(owned) = found.filter(|_| store.groups.contains_key(group.id())) else {
                objections.insert(Violation::NotOwned { group: group.id().clone(), store: store.id.clone() });
                continue;
            };
            let is_own = owned.store == store.id;
            let holds = match reason {
                DetachReason::Blocked => settings.blocked,
                _ if !store.tags_are_certain() => false,
                DetachReason::OfAnotherStore => self.lets_go(store, change, owned),
                DetachReason::StoreOptedOut => is_own && settings.connect == ConnectTag::Absent && !settings.held,
                DetachReason::CidrNotAskedFor => {
                    let unreadable = matches!(settings.connect, ConnectTag::Invalid(_));
                    (takes_part || (is_own && unreadable)) && unasked && !settings.held
                }
                DetachReason::Uninstalling => self.evidence.seen.is_uninstalling() && !settings.held,
                DetachReason::NoInstance
                | DetachReason::NamesNotShared
                | DetachReason::NotAskedFor
                | DetachReason::StoreGone => false,
            };
            if !holds {
                let (store, peer) = (store.arn.clone(), group.to_string());
                objections.insert(Violation::NotAllowed { store, peer, why: "nothing takes them away" });
            }
        }
    }
}
