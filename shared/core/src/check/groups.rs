//! The groups of pairs: their names, rules and tags.

use std::collections::BTreeSet;

use super::{Checker, Evidence, Objection, Objections, Part, Violation};
use crate::{
    group::{GroupName, Owned, Role, SecurityGroup},
    id::{SecurityGroupId, StoreId},
    model::DataStore,
    plan::{GroupRef, PairRule, PairWork},
    rule::Rule,
    service::Side,
};

impl Checker<'_> {
    /// Whether a group has the given role for the given store: owned and there, or created here.
    pub(super) fn has_role(
        &self,
        group: &GroupRef,
        store: &StoreId,
        role: impl Into<Role>,
        objections: &mut Objections<'_>,
    ) {
        let role = role.into();
        let violation = match group {
            GroupRef::Existing(id) => {
                let owned = self.evidence.ours(id).is_some_and(|owned| owned.store == *store && owned.role() == role);
                (!owned).then(|| Violation::NotOwned { group: id.clone(), store: store.clone() })
            }
            GroupRef::Planned(of, of_role) => {
                let created = match of_role {
                    Role::Side(side) => self.plan.pairs.get(of).is_some_and(|work| work.create.contains_key(side)),
                    Role::Cidr => self.plan.cidrs.get(of).is_some_and(|work| work.create.is_some()),
                };
                (of != store || *of_role != role || !created)
                    .then(|| Violation::NeverCreated { store: of.clone(), role: *of_role })
            }
        };
        if let Some(violation) = violation {
            objections.insert(violation);
        }
    }

    pub(super) fn pairs(&self, found: &mut BTreeSet<Objection>) {
        for (store, work) in &self.plan.pairs {
            self.pair(store, work, &mut Objections::to(Part::Pair(store.clone()), found));
        }
    }

    fn pair(&self, id: &StoreId, work: &PairWork, objections: &mut Objections<'_>) {
        let Some(store) = self.evidence.stores.get(id).filter(|store| store.is_in(&self.evidence.seen.vpc)) else {
            objections.insert(Violation::OutsideScope { target: id.to_string() });
            return;
        };
        if !self.evidence.in_scope(store) {
            objections.insert(Violation::OutsideScope { target: id.to_string() });
        }
        if !self.evidence.seen.groups.is_complete() {
            objections.insert(Violation::RestsOnGap { target: id.to_string() });
        }
        for (side, spec) in &work.create {
            let right = spec.name.role == *side
                && spec.name.service == store.service
                && spec.tags.role == Role::Side(*side)
                && spec.tags.store == *id
                && spec.tags.arn == store.arn;
            if !right {
                objections.insert(Violation::BadName { name: spec.name.to_string(), store: id.clone() });
            }
        }
        for (group, rule) in &work.authorize {
            self.has_role(group, id, rule.side, objections);
            self.has_role(&rule.peer, id, rule.side.opposite(), objections);
            if Some(rule.ports) != store.ports {
                objections.insert(Violation::BadRule { rule: format!("tcp {}", rule.ports), store: id.clone() });
            }
        }
        self.revoked(id, store, work, objections);
        for (group, tags) in &work.tag {
            self.has_role(&GroupRef::Existing(group.id().clone()), id, tags.role, objections);
            if tags.store != *id || tags.arn != store.arn || tags.role == Role::Cidr {
                objections.insert(Violation::NotOwned { group: group.id().clone(), store: tags.store.clone() });
            }
        }
    }

    /// Only rules that an owned group of the store holds are taken away, and never its pair's own.
    fn revoked(&self, id: &StoreId, store: &DataStore, work: &PairWork, objections: &mut Objections<'_>) {
        for (group, rule) in &work.revoke {
            match self.evidence.owned.get(group.id()) {
                Some((owned, group)) if owned.store == *id && group.rules.contains(rule) => {
                    if self.cuts(store, work, owned, group) {
                        objections.insert(Violation::CutsPair { group: group.id.clone() });
                    }
                }
                Some((owned, group)) if owned.store == *id => {
                    objections
                        .insert(Violation::BadRule { rule: format!("{rule} in {}", group.id), store: id.clone() });
                }
                _ => {
                    objections.insert(Violation::NotOwned { group: group.id().clone(), store: id.clone() });
                }
            }
        }
    }

    /// Whether a group would be left without any of the rules by which it and another owned group of
    /// its store are a pair.
    fn cuts(&self, store: &DataStore, work: &PairWork, owned: &Owned, group: &SecurityGroup) -> bool {
        let Some(ports) = store.ports else { return false };
        let rule_to = |side: Side, peer: &SecurityGroupId| {
            PairRule { side, ports, peer: GroupRef::Existing(peer.clone()) }.with_peer(peer.clone())
        };
        let Some(side) = owned.side() else { return false };
        let peers = self.evidence.owned.iter().filter(|(_, (peer, other))| {
            peer.store == owned.store
                && peer.name.role == side.opposite()
                && other.rules.contains(&rule_to(side.opposite(), &group.id))
        });
        let own: BTreeSet<Rule> =
            peers.map(|(peer, _)| rule_to(side, peer)).filter(|rule| group.rules.contains(rule)).collect();
        let revoked = |rule: &Rule| work.revoke.iter().any(|(of, gone)| *of.id() == group.id && gone == rule);
        let authorized = work.authorize.iter().any(|(of, _)| *of == GroupRef::Existing(group.id.clone()));
        !own.is_empty() && own.iter().all(revoked) && !authorized
    }

    /// Names are unique in a VPC, without regard to case, also among the groups created here.
    pub(super) fn names(&self, found: &mut BTreeSet<Objection>) {
        let Evidence { seen, .. } = self.evidence;
        let existing = seen.groups.found.iter().map(|group| group.name.to_ascii_lowercase());
        let refused = seen.taken_names.iter().map(|name| name.to_ascii_lowercase());
        let mut taken: BTreeSet<String> = existing.chain(refused).collect();
        for (store, work) in &self.plan.pairs {
            for spec in work.create.values() {
                if !taken.insert(GroupName::folded(spec.name)) {
                    Objections::to(Part::Pair(store.clone()), found)
                        .insert(Violation::BadName { name: spec.name.to_string(), store: store.clone() });
                }
            }
        }
        for (store, work) in &self.plan.cidrs {
            let name = work.create.iter().map(|spec| spec.name.to_string());
            for name in name.filter(|name| !taken.insert(name.clone())) {
                Objections::to(Part::Cidr(store.clone()), found)
                    .insert(Violation::BadName { name, store: store.clone() });
            }
        }
    }
}
