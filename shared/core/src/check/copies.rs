//! Groups that were made for one store and are in the list of another one, its copy.

use std::collections::BTreeSet;

use super::{Checker, Objection, Objections, Part, Violation, removals::counted_cidr};
use crate::{
    finding::{Finding, Reason, Subject},
    group::{GroupKind, Owned, SecurityGroup},
    id::SecurityGroupId,
    model::{DataStore, Instance},
    observation::Scope,
    plan::{DetachReason, StoreChange, Verdict},
    rule::{Direction, Peer, Rule, Traffic},
    service::{Readiness, Side},
    state::Target,
    tag::ConnectTag,
};

impl Checker<'_> {
    /// A store that is blocked keeps no group of ours, whoever it was made for; and nothing is called a connection of a
    /// store that goes through a group of another one.
    pub(super) fn copies(&self, found: &mut BTreeSet<Objection>) {
        let seen = self.evidence.seen;
        let blocked = self
            .evidence
            .stores
            .values()
            .filter(|store| store.settings.blocked && store.is_in(&seen.vpc) && seen.scope.has_store(&store.arn));
        for store in blocked.filter(|_| seen.groups.is_complete()) {
            let is_open = store.readiness() == Readiness::Ready && !store.list_is_changing();
            let lets_in = |group: &&SecurityGroupId| {
                self.evidence.ours(group).is_some_and(|owned| owned.role() != Side::Instance)
            };
            let change = self.plan.stores.get(&store.id);
            let ours: Vec<_> = store.lasting_groups().filter(lets_in).collect();
            let is_all = ours.len() == store.lasting_groups().count();
            let mut stays = ours.into_iter().filter(|group| !change.is_some_and(|change| change.detaches(group)));
            if is_open
                && !is_all
                && let Some(group) = stays.next()
            {
                let violation = Violation::LeavesOpen { store: store.arn.clone(), group: group.clone() };
                // What a plan does not do cannot be left out of it. One that says so is not objected to again.
                let reason = Reason::PlanRejected { problem: violation.to_string() };
                if !self.plan.findings.contains(&Finding { subject: Subject::Store(store.arn.clone()), reason }) {
                    let part = Part::Omission(Target::Store(store.id.clone()));
                    Objections::to(part, found).insert(violation);
                }
            }
        }
        for decision in &self.plan.decisions {
            let Verdict::Connected(via) = &decision.verdict else { continue };
            let store = self.evidence.by_arn.get(&decision.store);
            let of_another = |group: &&SecurityGroupId| {
                let owned = self.evidence.ours(group);
                owned.is_some_and(|owned| store.is_none_or(|store| store.id != owned.store))
            };
            if let Some(group) = Some(&via.store_side).filter(of_another) {
                let (instance, store) = (decision.instance.clone(), decision.store.clone());
                Objections::to(Part::Verdict(instance.clone(), store.clone()), found)
                    .insert(Violation::OfAnotherStore { instance, store, group: group.clone() });
            }
        }
    }

    /// Whether a group that was made for another store may leave the list of one that takes part: everybody was looked
    /// at, and nobody who may reach the store loses it; whoever else does is counted.
    pub(super) fn lets_go(&self, store: &DataStore, change: &StoreChange, owned: &Owned) -> bool {
        let seen = self.evidence.seen;
        let takes_part = matches!(store.settings.connect, ConnectTag::Names(_)) && !store.settings.held;
        if owned.store == store.id || !takes_part || seen.scope != Scope::Vpc {
            return false;
        }
        if owned.role().kind() == GroupKind::Cidr {
            let mut own = self.evidence.cidr_groups.iter().filter(|(_, (cidr, _))| cidr.store == store.id);
            return own.any(|(id, _)| store.has_group(id) && !change.detaches(id));
        }
        if !seen.instances.is_complete() || seen.other_attached(owned.group.id()).is_none() {
            return false;
        }
        let sides = self.evidence.owned.iter().filter(|(_, (side, _))| is_instance_side(side, owned));
        let (mut cut, mut others) = (BTreeSet::new(), 0);
        for (id, _) in sides {
            let Some(attached) = seen.other_attached(id) else { return false };
            others += attached.count();
            for instance in seen.instances.found.iter().filter(|instance| instance.has_group(id)) {
                if self.reaches(instance, store, Some(change)) {
                    continue;
                }
                if self.is_entitled(instance, store) && self.joins(store, owned.group.id(), id) {
                    return false;
                }
                if self.attached_after(id).any(|with| with.id == instance.id) {
                    cut.insert(&instance.id);
                }
            }
        }
        cut.len() + others <= change.cuts.saturating_sub(counted_cidr(change))
    }

    /// Whether an instance that loses an instance side may reach a copy of that side's store, and has no other way. If
    /// the side lets it reach a store for which its tags certainly do not ask, only a tag that can be read counts.
    pub(super) fn cuts_from_copy(&self, instance: &Instance, side: &Owned, reason: DetachReason) -> bool {
        let own = self.evidence.stores.get(&side.store).filter(|store| store.is_in(&self.evidence.seen.vpc));
        let by_names = matches!(reason, DetachReason::NotAskedFor | DetachReason::NamesNotShared);
        let is_certain = by_names
            && own.is_some_and(|store| {
                store.groups.keys().any(|id| store.has_group(id) && self.joins(store, id, side.group.id()))
            });
        let may_reach = |store: &DataStore| {
            let shares = !instance.settings.connect.shared_with(&store.settings.connect).is_empty();
            self.is_entitled(instance, store) && (shares || !is_certain)
        };
        let store_sides = self
            .evidence
            .owned
            .iter()
            .filter(|(_, (owned, _))| owned.store == side.store && owned.role() == Side::Store);
        store_sides.into_iter().any(|(id, _)| {
            let copies =
                self.evidence.stores.values().filter(|store| {
                    store.id != side.store && store.is_in(&self.evidence.seen.vpc) && store.has_group(id)
                });
            copies.into_iter().any(|store| {
                may_reach(store)
                    && self.joins(store, id, side.group.id())
                    && !self.reaches(instance, store, self.plan.stores.get(&store.id))
            })
        })
    }

    /// Whether the tags let an instance keep what it has of a store.
    fn is_entitled(&self, instance: &Instance, store: &DataStore) -> bool {
        let (mine, theirs) = (&instance.settings.connect, &store.settings.connect);
        let may_share = match (mine, theirs) {
            (ConnectTag::Absent, _) | (_, ConnectTag::Absent) => false,
            (ConnectTag::Names(mine), ConnectTag::Names(theirs)) => !mine.is_disjoint(theirs),
            (ConnectTag::Invalid(_), _) | (_, ConnectTag::Invalid(_)) => true,
        };
        let takes_part = *theirs != ConnectTag::Absent || !store.tags_are_certain();
        let held = store.settings.held || (instance.settings.held && takes_part);
        let asked_for = may_share && !self.evidence.seen.is_uninstalling();
        !self.evidence.is_blocked(instance) && !store.settings.blocked && (held || asked_for)
    }

    /// Whether an instance reaches a store by no group of another store, those left out that the change takes off it.
    fn reaches(&self, instance: &Instance, store: &DataStore, change: Option<&StoreChange>) -> bool {
        let is_of_another =
            |group: &SecurityGroupId| self.evidence.ours(group).is_some_and(|owned| owned.store != store.id);
        let inside = store.groups.keys().filter(|group| {
            store.has_group(group) && !is_of_another(group) && !change.is_some_and(|change| change.detaches(group))
        });
        let outside = || instance.interface.iter().flat_map(|interface| &interface.groups);
        inside.into_iter().any(|inside| outside().any(|outside| self.joins(store, inside, outside)))
    }

    /// Whether two groups let each other through on a store's ports.
    fn joins(&self, store: &DataStore, inside: &SecurityGroupId, outside: &SecurityGroupId) -> bool {
        let group = |id: &SecurityGroupId| self.evidence.seen.groups.found.iter().find(|group| group.id == *id);
        let holds = |group: &SecurityGroup, direction: Direction, peer: &SecurityGroupId| {
            store.ports.is_some_and(|ports| {
                let traffic = Traffic::Tcp(ports);
                group.rules.contains(&Rule { direction, traffic, peer: Peer::Group(peer.clone()) })
            })
        };
        group(inside).is_some_and(|group| holds(group, Direction::Inbound, outside))
            && group(outside).is_some_and(|group| holds(group, Direction::Outbound, inside))
    }
}

fn is_instance_side(side: &Owned, of: &Owned) -> bool {
    side.store == of.store && side.role() == Side::Instance
}
