//! The plan checker: the invariants of the design, verified on a finished plan without a word of
//! the planner's own reasoning. Nothing is carried out that has not passed it, in tests and in
//! production; a violation is a defect of the planner, never of the observation.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use thiserror::Error;

use crate::{
    group::{GroupList, GroupName, Owned, Ownership, SecurityGroup},
    id::{InstanceId, InterfaceId, SecurityGroupId, StoreArn, StoreId},
    model::{DataStore, Form, Instance},
    observation::Observation,
    plan::{GroupRef, PairRule, PairWork, Plan},
    policy::Policy,
    rule::Rule,
    service::{Readiness, Side},
};

/// A plan that holds every invariant: the only thing that can be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[must_use = "a checked plan does nothing until it is applied"]
pub struct CheckedPlan(Plan);

impl CheckedPlan {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.0
    }
}

/// What a plan would do that no plan may.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum Violation {
    /// A change of something that is neither in scope nor joined to something that is.
    #[error("{target} is outside the scope")]
    OutsideScope {
        /// The instance, store or interface.
        target: String,
    },
    /// A change of, or with, a group that is not the store's own.
    #[error("{group} is not a group of {store}")]
    NotOwned {
        /// The group.
        group: SecurityGroupId,
        /// The store.
        store: StoreId,
    },
    /// A group would be created under a name that is taken or not the store's to take.
    #[error("{name} cannot be the name of a new group of {store}")]
    BadName {
        /// The name.
        name: String,
        /// The store.
        store: StoreId,
    },
    /// A rule that is not the one rule of the pair's side.
    #[error("{rule} is not a rule of the pair of {store}")]
    BadRule {
        /// The rule, in words.
        rule: String,
        /// The store.
        store: StoreId,
    },
    /// The pair's own rule would be taken away.
    #[error("{group} would lose the rule its pair consists of")]
    CutsPair {
        /// The group.
        group: SecurityGroupId,
    },
    /// A group stands in the plan that it does not create.
    #[error("the {side:?} side of {store} is attached or referred to but not created")]
    NeverCreated {
        /// The store.
        store: StoreId,
        /// The side.
        side: Side,
    },
    /// A list would be longer than AWS takes.
    #[error("the list of {target} would be too long or empty")]
    BadList {
        /// The interface or store.
        target: String,
    },
    /// A store would be changed that does not take a change.
    #[error("{store} does not take a change of its groups now")]
    StoreNotReady {
        /// The store.
        store: StoreArn,
    },
    /// An instance would be joined to a store it may not be joined to.
    #[error("{instance} may not be joined to {store}")]
    NotJoinable {
        /// The instance.
        instance: InstanceId,
        /// The store.
        store: StoreArn,
    },
    /// A change rests on something that was not read.
    #[error("the change at {target} rests on something that could not be read")]
    RestsOnGap {
        /// The store.
        target: String,
    },
    /// An instance and a store in scope share a name and nothing is said about them.
    #[error("nothing is decided about {instance} and {store}")]
    Undecided {
        /// The instance.
        instance: InstanceId,
        /// The store.
        store: StoreArn,
    },
}

/// Verifies a plan against what was observed.
///
/// # Errors
/// Every [`Violation`] that it found; the plan is lost, for it must not be carried out.
pub fn check(plan: Plan, seen: &Observation, policy: &Policy) -> Result<CheckedPlan, Vec<Violation>> {
    let checker = Checker::new(&plan, seen);
    let mut violations = BTreeSet::new();
    for (store, work) in &plan.pairs {
        checker.pair(store, work, &mut violations);
    }
    checker.names(&mut violations);
    checker.stores(&mut violations);
    checker.interfaces(policy.interface_group_limit, &mut violations);
    checker.decisions(&mut violations);
    if violations.is_empty() { Ok(CheckedPlan(plan)) } else { Err(violations.into_iter().collect()) }
}

struct Checker<'plan> {
    plan: &'plan Plan,
    seen: &'plan Observation,
    stores: BTreeMap<&'plan StoreId, &'plan DataStore>,
    owned: BTreeMap<&'plan SecurityGroupId, (Owned, &'plan SecurityGroup)>,
}

impl<'plan> Checker<'plan> {
    fn new(plan: &'plan Plan, seen: &'plan Observation) -> Self {
        let owned = seen.groups.found.iter().filter_map(|group| match group.ownership() {
            Ownership::Owned(owned) => Some((&group.id, (owned, group))),
            Ownership::Foreign | Ownership::Forged(_) => None,
        });
        Self {
            plan,
            seen,
            stores: seen.present_stores().into_values().map(|store| (&store.id, store)).collect(),
            owned: owned.collect(),
        }
    }

    /// Whether a group is the given side of the given store: owned and there, or created here.
    fn is_side(&self, group: &GroupRef, store: &StoreId, side: Side, violations: &mut BTreeSet<Violation>) {
        let violation = match group {
            GroupRef::Existing(id) => {
                let owned =
                    self.owned.get(id).is_some_and(|(owned, _)| owned.store == *store && owned.name.side == side);
                (!owned).then(|| Violation::NotOwned { group: id.clone(), store: store.clone() })
            }
            GroupRef::Planned(of, of_side) => {
                let created = self.plan.pairs.get(of).is_some_and(|work| work.create.contains_key(of_side));
                (of != store || *of_side != side || !created)
                    .then(|| Violation::NeverCreated { store: of.clone(), side: *of_side })
            }
        };
        violations.extend(violation);
    }

    fn pair(&self, id: &StoreId, work: &PairWork, violations: &mut BTreeSet<Violation>) {
        let Some(store) = self.stores.get(id).filter(|store| store.vpc.as_ref() == Some(&self.seen.vpc)) else {
            violations.insert(Violation::OutsideScope { target: id.to_string() });
            return;
        };
        if !self.in_scope(store) {
            violations.insert(Violation::OutsideScope { target: id.to_string() });
        }
        if !self.seen.groups.is_complete() {
            violations.insert(Violation::RestsOnGap { target: id.to_string() });
        }
        for (side, spec) in &work.create {
            let right = spec.name.side == *side
                && spec.name.service == store.service
                && spec.tags.side == *side
                && spec.tags.store == *id
                && spec.tags.arn == store.arn;
            if !right {
                violations.insert(Violation::BadName { name: spec.name.to_string(), store: id.clone() });
            }
        }
        for (group, rule) in &work.authorize {
            self.is_side(group, id, rule.side, violations);
            self.is_side(&rule.peer, id, rule.side.opposite(), violations);
            if Some(rule.ports) != store.ports {
                violations.insert(Violation::BadRule { rule: format!("tcp {}", rule.ports), store: id.clone() });
            }
        }
        for (group, rule) in &work.revoke {
            match self.owned.get(group.id()) {
                Some((owned, group)) if owned.store == *id && group.rules.contains(rule) => {
                    if self.cuts(store, work, owned, group) {
                        violations.insert(Violation::CutsPair { group: group.id.clone() });
                    }
                }
                Some((owned, group)) if owned.store == *id => {
                    violations
                        .insert(Violation::BadRule { rule: format!("{rule} in {}", group.id), store: id.clone() });
                }
                _ => {
                    violations.insert(Violation::NotOwned { group: group.id().clone(), store: id.clone() });
                }
            }
        }
        for (group, tags) in &work.tag {
            self.is_side(&GroupRef::Existing(group.id().clone()), id, tags.side, violations);
            if tags.store != *id || tags.arn != store.arn {
                violations.insert(Violation::NotOwned { group: group.id().clone(), store: tags.store.clone() });
            }
        }
    }

    /// Whether the scope names the store, or an instance that shares a name with it or wears a
    /// group of it.
    fn in_scope(&self, store: &DataStore) -> bool {
        let scope = &self.seen.scope;
        scope.has_store(&store.arn)
            || self.seen.instances.found.iter().any(|instance| {
                let wears = || self.owned.iter().any(|(id, (owned, _))| owned.store == store.id && instance.wears(id));
                let shares = !instance.wishes.connect.shared_with(&store.wishes.connect).is_empty();
                scope.has_instance(&instance.id) && (shares || wears())
            })
    }

    /// Whether a group would be left without any of the rules by which it and another owned group of
    /// its store are a pair.
    fn cuts(&self, store: &DataStore, work: &PairWork, owned: &Owned, group: &SecurityGroup) -> bool {
        let Some(ports) = store.ports else { return false };
        let rule_to = |side: Side, peer: &SecurityGroupId| {
            PairRule { side, ports, peer: GroupRef::Existing(peer.clone()) }.with_peer(peer.clone())
        };
        let side = owned.name.side;
        let peers = self.owned.iter().filter(|(_, (peer, other))| {
            peer.store == owned.store
                && peer.name.side == side.opposite()
                && other.rules.contains(&rule_to(side.opposite(), &group.id))
        });
        let own: BTreeSet<Rule> =
            peers.map(|(peer, _)| rule_to(side, peer)).filter(|rule| group.rules.contains(rule)).collect();
        let revoked = |rule: &Rule| work.revoke.iter().any(|(of, gone)| *of.id() == group.id && gone == rule);
        let authorized = work.authorize.iter().any(|(of, _)| *of == GroupRef::Existing(group.id.clone()));
        !own.is_empty() && own.iter().all(revoked) && !authorized
    }

    /// Names are unique in a VPC, without regard to case, also among the groups created here.
    fn names(&self, violations: &mut BTreeSet<Violation>) {
        let existing = self.seen.groups.found.iter().map(|group| group.name.to_ascii_lowercase());
        let refused = self.seen.taken_names.iter().map(|name| name.to_ascii_lowercase());
        let mut taken: BTreeSet<String> = existing.chain(refused).collect();
        for (store, work) in &self.plan.pairs {
            for spec in work.create.values() {
                if !taken.insert(GroupName::folded(spec.name)) {
                    violations.insert(Violation::BadName { name: spec.name.to_string(), store: store.clone() });
                }
            }
        }
    }

    fn stores(&self, violations: &mut BTreeSet<Violation>) {
        for (id, change) in &self.plan.stores {
            let Some(store) = self.stores.get(id).filter(|store| store.arn == change.store) else {
                violations.insert(Violation::OutsideScope { target: change.store.to_string() });
                continue;
            };
            self.is_side(&change.attach, id, Side::Store, violations);
            for instance in &change.needed_by {
                self.joinable(instance, store, violations);
            }
            let in_scope = self.seen.scope.has_store(&store.arn)
                || change.needed_by.iter().any(|instance| self.seen.scope.has_instance(instance));
            if !in_scope || change.needed_by.is_empty() {
                violations.insert(Violation::OutsideScope { target: store.arn.to_string() });
            }
            if store.readiness() != Readiness::Ready || store.list_is_changing() || store.wishes.held {
                violations.insert(Violation::StoreNotReady { store: store.arn.clone() });
            }
            let list = store.lasting_groups().cloned().chain([stand_in(&change.attach)]).collect();
            if GroupList::new(list, store.service.row().store_group_limit).is_err() {
                violations.insert(Violation::BadList { target: store.arn.to_string() });
            }
        }
    }

    fn interfaces(&self, limit: usize, violations: &mut BTreeSet<Violation>) {
        for (id, change) in &self.plan.interfaces {
            let instance = self.instance(&change.instance);
            let interface =
                instance.and_then(|instance| instance.interface.as_ref()).filter(|interface| interface.id == *id);
            let Some(interface) = interface.filter(|interface| interface.vpc == self.seen.vpc) else {
                violations.insert(Violation::OutsideScope { target: InterfaceId::to_string(id) });
                continue;
            };
            let list = interface.groups.iter().cloned().chain(change.attach.keys().map(stand_in)).collect();
            if change.attach.is_empty() || GroupList::new(list, limit).is_err() {
                violations.insert(Violation::BadList { target: id.to_string() });
            }
            for (group, attachment) in &change.attach {
                let Some(store) = self.stores.values().find(|store| store.arn == attachment.store) else {
                    violations.insert(Violation::OutsideScope { target: attachment.store.to_string() });
                    continue;
                };
                self.is_side(group, &store.id, Side::Instance, violations);
                self.joinable(&change.instance, store, violations);
                if !self.seen.scope.has_instance(&change.instance) && !self.seen.scope.has_store(&store.arn) {
                    violations.insert(Violation::OutsideScope { target: change.instance.to_string() });
                }
            }
        }
    }

    fn instance(&self, id: &InstanceId) -> Option<&'plan Instance> {
        self.seen.instances.found.iter().find(|instance| instance.id == *id)
    }

    /// The grounds on which a connection may be made, all of them.
    fn joinable(&self, instance: &InstanceId, store: &DataStore, violations: &mut BTreeSet<Violation>) {
        let joinable = self.instance(instance).is_some_and(|instance| {
            !instance.wishes.connect.shared_with(&store.wishes.connect).is_empty()
                && [&instance.wishes, &store.wishes].iter().all(|wishes| !wishes.blocked && !wishes.held)
                && store.vpc.as_ref() == Some(&self.seen.vpc)
                && store.form == Form::Plain
                && store.readiness() != Readiness::Never
        });
        if !joinable {
            violations.insert(Violation::NotJoinable { instance: instance.clone(), store: store.arn.clone() });
        }
    }

    fn decisions(&self, violations: &mut BTreeSet<Violation>) {
        let decided: BTreeSet<_> =
            self.plan.decisions.iter().map(|decision| (&decision.instance, &decision.store)).collect();
        for store in self.stores.values().filter(|store| store.vpc.as_ref() == Some(&self.seen.vpc)) {
            for instance in &self.seen.instances.found {
                let in_scope = self.seen.scope.has_instance(&instance.id) || self.seen.scope.has_store(&store.arn);
                let shared = !instance.wishes.connect.shared_with(&store.wishes.connect).is_empty();
                if in_scope && shared && !decided.contains(&(&instance.id, &store.arn)) {
                    violations.insert(Violation::Undecided { instance: instance.id.clone(), store: store.arn.clone() });
                }
            }
        }
    }
}

/// An id to count with where a group has none yet.
fn stand_in(group: &GroupRef) -> SecurityGroupId {
    match group {
        GroupRef::Existing(id) => id.clone(),
        GroupRef::Planned(store, side) => planned_id(store, *side),
    }
}

/// The id under which a group that is still to be created stands in an expected observation:
/// another one for every identity, in the characters that an id may have.
pub(crate) fn planned_id(store: &StoreId, side: Side) -> SecurityGroupId {
    let spell = |symbol: char| match symbol {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' => symbol.to_string(),
        other => format!(".{:02x}", u32::from(other)),
    };
    let word = store.as_str().chars().map(spell).collect::<Vec<_>>().concat();
    SecurityGroupId::parse(format!("sg-planned-{word}-{}", side.tag_value()))
        .unwrap_or_else(|_| unreachable!("letters, digits, dots and dashes after sg- are a group id"))
}
