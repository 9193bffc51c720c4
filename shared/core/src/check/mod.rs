//! The plan checker: the invariants of the design, verified on a finished plan without a word of
//! the planner's own reasoning. Nothing is carried out that has not passed it, in tests and in
//! production; a violation is a defect of the planner, never of the observation.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Serialize;
use thiserror::Error;

use crate::{
    cidr::{CidrPeer, CidrTag, Family, MOST_RULES},
    group::{GroupKind, GroupList, GroupName, Owned, OwnedGroup, Role, SecurityGroup},
    id::{InstanceId, InterfaceId, SecurityGroupId, StoreArn, StoreId},
    model::{DataStore, Form, Instance, Interface},
    observation::{InterfaceOwner, Observation, Scope, StoreLookup},
    plan::{
        CidrWork, DeleteReason, Deletion, DetachReason, Detachment, GroupRef, PairRule, PairWork, Plan, StoreChange,
    },
    policy::Policy,
    rule::{Peer, Rule},
    service::{Readiness, Side},
    tag::{ConnectTag, ConnectionName},
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
    #[error("the {} group of {store} is attached or referred to but not created", role.tag_value())]
    NeverCreated {
        /// The store.
        store: StoreId,
        /// What it is for.
        role: Role,
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
    /// Something would be taken away without the reason that the plan gives.
    #[error("{group} may not be taken off {target}: {reason:?} does not hold")]
    ReasonDoesNotHold {
        /// The group.
        group: SecurityGroupId,
        /// The interface or store.
        target: String,
        /// The reason.
        reason: DetachReason,
    },
    /// More connections would be removed than the window lets, or without counting them.
    #[error("{removed} connections would be removed and {counted} are counted, of {left} that the window lets")]
    BreaksWindow {
        /// How many would be removed.
        removed: usize,
        /// How many the plan counts.
        counted: usize,
        /// How many may be.
        left: usize,
    },
    /// Clients that are not instances would be let in or kept out otherwise than the store's tags say.
    #[error("{peer} may not be let into {store} or kept out: {why}")]
    NotAllowed {
        /// The store.
        store: StoreArn,
        /// The clients, or the group that lets them in.
        peer: String,
        /// Why not.
        why: &'static str,
    },
    /// A group would be deleted that is in use or may be needed.
    #[error("{group} may not be deleted: {why}")]
    NotDeletable {
        /// The group.
        group: SecurityGroupId,
        /// Why not.
        why: &'static str,
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
    let checker = Checker::new(&plan, seen, policy);
    let mut violations = BTreeSet::new();
    for (store, work) in &plan.pairs {
        checker.pair(store, work, &mut violations);
    }
    for (store, work) in &plan.cidrs {
        checker.cidr(store, work, &mut violations);
    }
    checker.names(&mut violations);
    checker.stores(&mut violations);
    checker.interfaces(&mut violations);
    checker.window(&mut violations);
    let named = checker.named_afterwards();
    for ((kind, store), deletion) in &plan.deletions {
        checker.deletion(store, deletion, *kind, &named, &mut violations);
    }
    checker.decisions(&mut violations);
    if violations.is_empty() { Ok(CheckedPlan(plan)) } else { Err(violations.into_iter().collect()) }
}

struct Checker<'plan> {
    plan: &'plan Plan,
    seen: &'plan Observation,
    policy: &'plan Policy,
    instances: BTreeMap<&'plan InstanceId, &'plan Instance>,
    by_name: BTreeMap<&'plan ConnectionName, BTreeSet<&'plan InstanceId>>,
    stores: BTreeMap<&'plan StoreId, &'plan DataStore>,
    owned: BTreeMap<&'plan SecurityGroupId, (Owned, &'plan SecurityGroup)>,
    cidr_groups: BTreeMap<&'plan SecurityGroupId, (Owned, &'plan SecurityGroup)>,
    /// Every owned group, by what it is for.
    ours: BTreeMap<&'plan SecurityGroupId, Owned>,
}

impl<'plan> Checker<'plan> {
    fn new(plan: &'plan Plan, seen: &'plan Observation, policy: &'plan Policy) -> Self {
        let mut by_name = BTreeMap::<_, BTreeSet<_>>::new();
        for instance in &seen.instances.found {
            for name in instance.settings.connect.names() {
                by_name.entry(name).or_default().insert(&instance.id);
            }
        }
        let of_kind = |kind: GroupKind| {
            seen.groups.found.iter().filter_map(move |group| {
                let owned = group.ownership().ours().filter(|owned| owned.role().kind() == kind)?;
                Some((&group.id, (owned, group)))
            })
        };
        Self {
            plan,
            seen,
            policy,
            instances: seen.instances.found.iter().map(|instance| (&instance.id, instance)).collect(),
            by_name,
            stores: seen.present_stores().into_values().map(|store| (&store.id, store)).collect(),
            owned: of_kind(GroupKind::Pair).collect(),
            cidr_groups: of_kind(GroupKind::Cidr).collect(),
            ours: seen.groups.found.iter().filter_map(|group| Some((&group.id, group.ownership().ours()?))).collect(),
        }
    }

    /// Whether a group has the given role for the given store: owned and there, or created here.
    fn has_role(&self, group: &GroupRef, store: &StoreId, role: impl Into<Role>, violations: &mut BTreeSet<Violation>) {
        let role = role.into();
        let violation = match group {
            GroupRef::Existing(id) => {
                let owned = self.ours.get(id).is_some_and(|owned| owned.store == *store && owned.role() == role);
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
        violations.extend(violation);
    }

    /// A rule with a block or a prefix list is in no group but the store's own for such clients, and is
    /// one that the store's tag asks for and the installation lets.
    fn cidr(&self, id: &StoreId, work: &CidrWork, violations: &mut BTreeSet<Violation>) {
        let here = |store: &&DataStore| store.vpc.as_ref() == Some(&self.seen.vpc) && store.arn == work.store;
        let store = self.stores.get(id).copied().filter(here);
        let Some(store) = store.filter(|store| self.seen.scope.has_store(&store.arn)) else {
            violations.insert(Violation::OutsideScope { target: id.to_string() });
            return;
        };
        if !self.seen.groups.is_complete() {
            violations.insert(Violation::RestsOnGap { target: id.to_string() });
        }
        self.has_role(&work.group, id, Role::Cidr, violations);
        if let Some(spec) = &work.create {
            let planned = work.group == GroupRef::Planned(id.clone(), Role::Cidr);
            let tags = &spec.tags;
            let right = tags.role == Role::Cidr && tags.store == *id && tags.arn == store.arn;
            if !planned || !right || spec.name.service != store.service {
                violations.insert(Violation::BadName { name: spec.name.to_string(), store: id.clone() });
            }
        }
        if let Some((group, tags)) = &work.tag {
            self.has_role(&GroupRef::Existing(group.id().clone()), id, tags.role, violations);
            if tags.store != *id || tags.arn != store.arn || tags.role != Role::Cidr {
                violations.insert(Violation::NotOwned { group: group.id().clone(), store: tags.store.clone() });
            }
        }
        let mut refuse = |peer: String, why| {
            violations.insert(Violation::NotAllowed { store: store.arn.clone(), peer, why });
        };
        let takes_part = matches!(store.settings.connect, ConnectTag::Names(_));
        if !takes_part || store.settings.blocked || store.settings.held || self.seen.is_uninstalling() {
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
        for (peer, why) in asked_for.iter().filter_map(|peer| Some((peer, self.forbids(store, peer)?))) {
            refuse(peer.to_string(), why);
        }
        for family in [Family::Ipv4, Family::Ipv6] {
            if asked_for.iter().map(|peer| self.rules_of(peer, family)).sum::<usize>() > MOST_RULES {
                refuse(family.to_string(), "a group has no room for so many rules");
            }
        }
        for (group, rule) in &work.revoke {
            let found = self.cidr_groups.get(group.id()).filter(|(owned, _)| owned.store == *id);
            let peer = CidrPeer::of(&rule.peer);
            if !found.is_some_and(|(_, group)| group.rules.contains(rule)) {
                violations.insert(Violation::BadRule { rule: format!("{rule} in {group}"), store: id.clone() });
            } else if peer.is_some_and(|peer| asked_for.contains(&peer) && *rule == work.rule(&peer)) {
                violations.insert(Violation::CutsPair { group: group.id().clone() });
            }
        }
    }

    /// Why a peer may not be let in, whoever asks for it.
    fn forbids(&self, store: &DataStore, peer: &CidrPeer) -> Option<&'static str> {
        let Some(limits) = self.policy.allow_cidr else {
            return Some("the installation lets in no clients but instances");
        };
        let list = match peer {
            CidrPeer::Block(block) => return block.is_too_wide(limits).then_some("it is too wide"),
            CidrPeer::PrefixList(id) => self.seen.prefix_lists.found.iter().find(|list| list.id == *id),
        };
        let Some(list) = list else { return Some("the prefix list was not read") };
        if list.owner != store.arn.account() {
            return Some("the prefix list is not this account's");
        }
        list.entries.iter().any(|block| block.is_too_wide(limits)).then_some("an entry of the prefix list is too wide")
    }

    fn rules_of(&self, peer: &CidrPeer, family: Family) -> usize {
        match peer {
            CidrPeer::Block(block) => usize::from(block.family() == family),
            CidrPeer::PrefixList(id) => {
                let mut lists = self.seen.prefix_lists.found.iter();
                let list = lists.find(|list| list.id == *id && list.family == family);
                list.map_or(0, |list| list.most_entries)
            }
        }
    }

    /// What becomes of a store's group for clients that are not instances in its list.
    fn cidr_change(&self, store: &DataStore, change: &StoreChange, violations: &mut BTreeSet<Violation>) {
        let comes = change.attach.get(&GroupKind::Cidr);
        if comes.is_none() && change.detached_of(GroupKind::Cidr).next().is_none() {
            return;
        }
        if !self.seen.scope.has_store(&store.arn) || store.vpc.as_ref() != Some(&self.seen.vpc) {
            violations.insert(Violation::OutsideScope { target: store.arn.to_string() });
        }
        if !self.seen.groups.is_complete() {
            violations.insert(Violation::RestsOnGap { target: store.arn.to_string() });
        }
        let settings = &store.settings;
        let takes_part = matches!(settings.connect, ConnectTag::Names(_));
        if let Some(group) = comes {
            self.has_role(group, &store.id, Role::Cidr, violations);
            let asks = settings.allow_cidr.peers().next().is_some();
            let forbidden = settings.allow_cidr.peers().any(|peer| self.forbids(store, peer).is_some());
            let plain = store.form == Form::Plain && !settings.blocked && !settings.held;
            if !takes_part || !asks || forbidden || !plain || self.seen.is_uninstalling() {
                let peer = store.arn.to_string();
                let why = "its tags do not ask for it, or it may not be let in";
                violations.insert(Violation::NotAllowed { store: store.arn.clone(), peer, why });
            }
        }
        let unasked = settings.allow_cidr.asks_for_none();
        for (group, reason) in change.detached_of(GroupKind::Cidr) {
            let holds = match reason {
                DetachReason::Blocked => settings.blocked,
                DetachReason::StoreOptedOut => settings.connect == ConnectTag::Absent && !settings.held,
                DetachReason::CidrNotAskedFor => takes_part && unasked && !settings.held,
                DetachReason::Uninstalling => self.seen.is_uninstalling() && !settings.held,
                DetachReason::NamesNotShared | DetachReason::NotAskedFor | DetachReason::StoreGone => false,
            };
            self.has_role(&GroupRef::Existing(group.id().clone()), &store.id, Role::Cidr, violations);
            if !holds {
                let (store, peer) = (store.arn.clone(), group.to_string());
                violations.insert(Violation::NotAllowed { store, peer, why: "nothing takes them away" });
            }
        }
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
            let right = spec.name.role == *side
                && spec.name.service == store.service
                && spec.tags.role == Role::Side(*side)
                && spec.tags.store == *id
                && spec.tags.arn == store.arn;
            if !right {
                violations.insert(Violation::BadName { name: spec.name.to_string(), store: id.clone() });
            }
        }
        for (group, rule) in &work.authorize {
            self.has_role(group, id, rule.side, violations);
            self.has_role(&rule.peer, id, rule.side.opposite(), violations);
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
            self.has_role(&GroupRef::Existing(group.id().clone()), id, tags.role, violations);
            if tags.store != *id || tags.arn != store.arn || tags.role == Role::Cidr {
                violations.insert(Violation::NotOwned { group: group.id().clone(), store: tags.store.clone() });
            }
        }
    }

    /// Whether the scope names the store, or an instance that shares a name with it or has a
    /// group of it.
    fn in_scope(&self, store: &DataStore) -> bool {
        let scope = &self.seen.scope;
        scope.has_store(&store.arn)
            || self.seen.instances.found.iter().any(|instance| {
                let has_group =
                    || self.owned.iter().any(|(id, (owned, _))| owned.store == store.id && instance.has_group(id));
                let shares = !instance.settings.connect.shared_with(&store.settings.connect).is_empty();
                scope.has_instance(&instance.id) && (shares || has_group())
            })
    }

    /// Whether a group would be left without any of the rules by which it and another owned group of
    /// its store are a pair.
    fn cuts(&self, store: &DataStore, work: &PairWork, owned: &Owned, group: &SecurityGroup) -> bool {
        let Some(ports) = store.ports else { return false };
        let rule_to = |side: Side, peer: &SecurityGroupId| {
            PairRule { side, ports, peer: GroupRef::Existing(peer.clone()) }.with_peer(peer.clone())
        };
        let Some(side) = owned.side() else { return false };
        let peers = self.owned.iter().filter(|(_, (peer, other))| {
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
        for (store, work) in &self.plan.cidrs {
            let name = work.create.iter().map(|spec| spec.name.to_string());
            for name in name.filter(|name| !taken.insert(name.clone())) {
                violations.insert(Violation::BadName { name, store: store.clone() });
            }
        }
    }

    fn stores(&self, violations: &mut BTreeSet<Violation>) {
        for (id, change) in &self.plan.stores {
            let Some(store) = self.stores.get(id).filter(|store| store.arn == change.store) else {
                violations.insert(Violation::OutsideScope { target: change.store.to_string() });
                continue;
            };
            for (group, reason) in change.detached_of(GroupKind::Pair) {
                self.leaves_store(store, change, group.id(), reason, violations);
            }
            if let Some(group) = change.attach.get(&GroupKind::Pair) {
                self.has_role(group, id, Side::Store, violations);
            }
            self.cidr_change(store, change, violations);
            for instance in &change.needed_by {
                self.joinable(instance, store, violations);
            }
            let in_scope = self.seen.scope.has_store(&store.arn)
                || change.needed_by.iter().any(|instance| self.seen.scope.has_instance(instance));
            let takes = change.attach.contains_key(&GroupKind::Pair);
            let both = GroupKind::ALL
                .into_iter()
                .any(|kind| change.attach.contains_key(&kind) && change.detached_of(kind).next().is_some());
            let nothing = change.attached().next().is_none() && change.detached().next().is_none();
            if (takes && (!in_scope || change.needed_by.is_empty())) || both || nothing {
                violations.insert(Violation::OutsideScope { target: store.arn.to_string() });
            }
            let held = store.settings.held && !store.settings.blocked;
            if store.readiness() != Readiness::Ready || store.list_is_changing() || held {
                violations.insert(Violation::StoreNotReady { store: store.arn.clone() });
            }
            let kept = store.lasting_groups().filter(|group| !change.detaches(group));
            let list = kept.cloned().chain(change.attached().map(stand_in)).collect();
            // A list that only gets shorter is no business of the limit's.
            let limit =
                if change.attached().next().is_some() { store.service.row().store_group_limit } else { usize::MAX };
            if GroupList::new(list, limit).is_err() {
                violations.insert(Violation::BadList { target: store.arn.to_string() });
            }
        }
    }

    fn interfaces(&self, violations: &mut BTreeSet<Violation>) {
        for (id, change) in &self.plan.interfaces {
            let instance = self.instance(&change.instance);
            let interface =
                instance.and_then(|instance| instance.interface.as_ref()).filter(|interface| interface.id == *id);
            let Some(interface) = interface.filter(|interface| interface.vpc == self.seen.vpc) else {
                violations.insert(Violation::OutsideScope { target: InterfaceId::to_string(id) });
                continue;
            };
            let kept = interface.groups.iter().filter(|group| !change.detach.keys().any(|gone| gone.id() == *group));
            let list = kept.cloned().chain(change.attach.keys().map(stand_in)).collect();
            let empty = change.attach.is_empty() && change.detach.is_empty();
            // A list that only gets shorter is no business of the limit's.
            let limit = if change.attach.is_empty() { usize::MAX } else { self.policy.interface_group_limit };
            if empty || GroupList::new(list, limit).is_err() {
                violations.insert(Violation::BadList { target: id.to_string() });
            }
            if let Some(instance) = instance {
                for (group, detachment) in &change.detach {
                    self.leaves_interface(instance, interface, group.id(), detachment, violations);
                }
            }
            for (group, attachment) in &change.attach {
                let Some(store) = self.stores.values().find(|store| store.arn == attachment.store) else {
                    violations.insert(Violation::OutsideScope { target: attachment.store.to_string() });
                    continue;
                };
                self.has_role(group, &store.id, Side::Instance, violations);
                self.joinable(&change.instance, store, violations);
                if !self.seen.scope.has_instance(&change.instance) && !self.seen.scope.has_store(&store.arn) {
                    violations.insert(Violation::OutsideScope { target: change.instance.to_string() });
                }
            }
        }
    }

    fn instance(&self, id: &InstanceId) -> Option<&'plan Instance> {
        self.instances.get(id).copied()
    }

    /// Whether an instance may have no connection, by its tag or by a group of isolation.
    fn is_blocked(&self, instance: &Instance) -> bool {
        instance.settings.blocked || self.policy.isolation_groups.iter().any(|group| instance.has_group(group))
    }

    /// An instance side leaves an interface only if it is one, is there, and has to.
    fn leaves_interface(
        &self,
        instance: &Instance,
        interface: &Interface,
        group: &SecurityGroupId,
        detachment: &Detachment,
        violations: &mut BTreeSet<Violation>,
    ) {
        let target = interface.id.to_string();
        let owned = self.owned.get(group).map(|(owned, _)| owned);
        let Some(owned) = owned.filter(|owned| {
            owned.name.role == Side::Instance && owned.store == detachment.store && interface.groups.contains(group)
        }) else {
            violations.insert(Violation::NotOwned { group: group.clone(), store: detachment.store.clone() });
            return;
        };
        if !self.seen.groups.is_complete() {
            violations.insert(Violation::RestsOnGap { target: target.clone() });
        }
        let store = self.stores.get(&owned.store).copied();
        let names = owned.arn.iter().chain(store.map(|store| &store.arn));
        let in_scope = self.seen.scope.has_instance(&instance.id)
            || self.seen.scope == Scope::Vpc
            || names.into_iter().any(|arn| self.seen.scope.has_store(arn));
        if !in_scope {
            violations.insert(Violation::OutsideScope { target: target.clone() });
        }
        let held = instance.settings.held || store.is_some_and(|store| store.settings.held);
        let here = store.is_some_and(|store| store.vpc.as_ref() == Some(&self.seen.vpc));
        let tags = store.map(|store| (&instance.settings.connect, &store.settings.connect));
        let holds = match detachment.reason {
            DetachReason::Blocked => {
                self.is_blocked(instance) || (here && store.is_some_and(|store| store.settings.blocked))
            }
            DetachReason::StoreGone => !instance.settings.held && self.is_gone(owned),
            DetachReason::StoreOptedOut => {
                !held && here && matches!(tags, Some((mine, ConnectTag::Absent)) if is_readable(mine))
            }
            DetachReason::NotAskedFor => {
                !held && here && matches!(tags, Some((ConnectTag::Absent, ConnectTag::Names(_))))
            }
            DetachReason::NamesNotShared => {
                let both = |mine: &ConnectTag, theirs: &ConnectTag| {
                    matches!(mine, ConnectTag::Names(_))
                        && matches!(theirs, ConnectTag::Names(_))
                        && mine.shared_with(theirs).is_empty()
                };
                let certain = store.is_some_and(DataStore::tags_are_certain);
                !held && here && certain && tags.is_some_and(|(mine, theirs)| both(mine, theirs))
            }
            DetachReason::Uninstalling => !held && self.seen.is_uninstalling(),
            DetachReason::CidrNotAskedFor => false,
        };
        if !holds {
            violations.insert(Violation::ReasonDoesNotHold { group: group.clone(), target, reason: detachment.reason });
        }
    }

    /// A store side leaves its store only when the store is blocked, or takes no part any more and
    /// everybody who could be taken off one by one has been.
    fn leaves_store(
        &self,
        store: &DataStore,
        change: &StoreChange,
        group: &SecurityGroupId,
        reason: DetachReason,
        violations: &mut BTreeSet<Violation>,
    ) {
        self.has_role(&GroupRef::Existing(group.clone()), &store.id, Side::Store, violations);
        if !self.in_scope(store) || store.vpc.as_ref() != Some(&self.seen.vpc) {
            violations.insert(Violation::OutsideScope { target: store.arn.to_string() });
        }
        let instance_sides =
            self.owned.iter().filter(|(_, (owned, _))| owned.store == store.id && owned.name.role == Side::Instance);
        let mut still_attached = 0;
        for (side, _) in instance_sides {
            let others = self.seen.other_attached(side).map(Iterator::count);
            if others.is_none() && !matches!(reason, DetachReason::Blocked | DetachReason::Uninstalling) {
                violations.insert(Violation::RestsOnGap { target: store.arn.to_string() });
            }
            still_attached += others.unwrap_or_default() + self.attached_after(side).count();
        }
        let holds = match reason {
            DetachReason::Blocked => store.settings.blocked,
            DetachReason::StoreOptedOut => {
                let of_pairs = change.cuts.saturating_sub(counted_cidr(change));
                store.settings.connect == ConnectTag::Absent && !store.settings.held && still_attached <= of_pairs
            }
            // Who keeps an instance side because it is the last of its list loses the connection here.
            DetachReason::Uninstalling => self.seen.is_uninstalling() && !store.settings.held,
            DetachReason::StoreGone
            | DetachReason::NotAskedFor
            | DetachReason::NamesNotShared
            | DetachReason::CidrNotAskedFor => false,
        };
        if !holds {
            violations.insert(Violation::ReasonDoesNotHold {
                group: group.clone(),
                target: store.arn.to_string(),
                reason,
            });
        }
    }

    /// The instances that have a group once the plan is carried out.
    fn attached_after<'this>(&'this self, group: &'this SecurityGroupId) -> impl Iterator<Item = &'this Instance> {
        self.seen.instances.found.iter().filter(move |instance| {
            let change = instance.interface.as_ref().and_then(|interface| self.plan.interfaces.get(&interface.id));
            let leaves = change.is_some_and(|change| change.detach.keys().any(|gone| gone.id() == group));
            let comes = change.is_some_and(|change| change.attach.contains_key(&GroupRef::Existing(group.clone())));
            (instance.has_group(group) && !leaves) || comes
        })
    }

    /// Whether a store is gone for certain.
    fn is_gone(&self, owned: &Owned) -> bool {
        let named = owned.arn.as_ref().is_some_and(|arn| {
            self.seen.stores.found.iter().any(|lookup| match lookup {
                StoreLookup::NotFound(gone) => gone == arn,
                StoreLookup::Found(store) => store.arn == *arn && store.id != owned.store,
            })
        });
        let mut of_store =
            self.ours.iter().filter(|(_, group)| group.store == owned.store && group.role() != Side::Instance);
        let carried = of_store.any(|(id, _)| {
            self.seen.other_attached(id).is_none_or(|mut others| others.next().is_some())
                || self.stores.values().any(|store| store.groups.contains_key(*id))
                || self.seen.instances.found.iter().any(|instance| instance.has_group(id))
        });
        named && !carried && self.seen.absent.contains(&owned.store) && !self.stores.contains_key(&owned.store)
    }

    /// Every counted removal is counted in the window that is written before it.
    fn window(&self, violations: &mut BTreeSet<Violation>) {
        let of_interfaces = self.plan.interfaces.values().flat_map(|change| {
            let counted = change.detach.values().filter(|detachment| detachment.reason.is_counted());
            counted.map(|detachment| (&change.instance, &detachment.store))
        });
        let removed = of_interfaces.collect::<BTreeSet<_>>().len()
            + self.plan.stores.values().map(|change| change.cuts.max(counted_cidr(change))).sum::<usize>();
        let off_store =
            self.plan.stores.values().any(|change| change.detach.values().any(|reason| reason.is_counted()));
        let Some(state) = self.seen.state.as_ref().ok() else {
            if removed > 0 || off_store {
                violations.insert(Violation::BreaksWindow { removed, counted: 0, left: 0 });
            }
            return;
        };
        let left = state.window.left(self.seen.at, self.policy);
        let window = self.plan.window.as_ref();
        let counted = window.map_or(0, |window| left.saturating_sub(window.left(self.seen.at, self.policy)));
        let follows = window.is_none_or(|window| window.version == state.window.version.saturating_add(1));
        if removed > left || removed > counted || !follows {
            violations.insert(Violation::BreaksWindow { removed, counted, left });
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
        violations: &mut BTreeSet<Violation>,
    ) {
        let of_cidr = kind == GroupKind::Cidr;
        let store = self.stores.get(id).copied();
        for group in &deletion.delete {
            let owned = self.ours.get(group.id());
            let Some(owned) = owned.filter(|owned| owned.store == *id && owned.role().kind() == kind) else {
                violations.insert(Violation::NotOwned { group: group.id().clone(), store: id.clone() });
                continue;
            };
            let mut refuse = |why| {
                violations.insert(Violation::NotDeletable { group: group.id().clone(), why });
            };
            if !self.seen.groups.is_complete() {
                refuse("not all groups were read");
            }
            let is_stores = |owner: &InterfaceOwner| {
                owned.role() != Side::Instance
                    && matches!(owner, InterfaceOwner::Other { .. })
                    && store.is_some_and(|store| store.groups.contains_key(group.id()))
            };
            match self.seen.other_attached(group.id()) {
                None => refuse("it is not known who has it"),
                Some(mut others) => {
                    if others.any(|attached| !is_stores(&attached.owner)) {
                        refuse("an interface has it");
                    }
                }
            }
            if self.attached_after(group.id()).next().is_some() {
                refuse("an instance has it");
            }
            let listed = self.stores.values().any(|holder| {
                let change = self.plan.stores.get(&holder.id).filter(|change| change.store == holder.arn);
                holder.has_group(group.id()) && !change.is_some_and(|change| change.detaches(group.id()))
            });
            let attached = self.plan.stores.get(id).is_some_and(|change| change.attach.contains_key(&kind));
            let worked_at = if of_cidr { self.plan.cidrs.contains_key(id) } else { self.plan.pairs.contains_key(id) };
            if listed || attached || worked_at {
                refuse("a data store uses it");
            }
            if named.contains(group.id()) {
                refuse("a rule of another group names it");
            }
            let templates = self.seen.launch_templates.as_ref().filter(|reading| reading.is_complete());
            if templates.is_none_or(|templates| templates.found.contains(group.id())) {
                refuse("a launch template names it, or not all were read");
            }
            let certain = store.is_none_or(|store| !of_cidr || store.tags_are_certain());
            let held = store.is_some_and(|store| store.settings.held);
            let holds = match deletion.reason {
                DeleteReason::Uninstalling => self.seen.is_uninstalling() && !held,
                _ if !certain => false,
                DeleteReason::StoreGone => self.is_gone(owned),
                DeleteReason::StoreOptedOut => store.is_some_and(|store| {
                    store.vpc.as_ref() == Some(&self.seen.vpc)
                        && store.settings.connect == ConnectTag::Absent
                        && !store.settings.held
                }),
                DeleteReason::CidrNotAskedFor => {
                    of_cidr
                        && store.is_some_and(|store| {
                            store.settings.allow_cidr.asks_for_none()
                                && store.vpc.as_ref() == Some(&self.seen.vpc)
                                && !store.settings.held
                        })
                }
                DeleteReason::Unused if of_cidr => false,
                DeleteReason::Unused => self.seen.state.as_ref().ok().is_some_and(|state| {
                    let since = state.unused.get(group.id());
                    let age = since.and_then(|since| Duration::try_from(self.seen.at.duration_since(*since)).ok());
                    let asked_for = store.is_some_and(|store| {
                        let here = store.vpc.as_ref() == Some(&self.seen.vpc);
                        let shares = || store.settings.connect.names().any(|name| self.by_name.contains_key(name));
                        here && (store.settings.held || shares())
                    });
                    self.seen.scope == Scope::Vpc
                        && self.seen.stores.is_complete()
                        && !asked_for
                        && age.is_some_and(|age| age >= self.policy.sweep_period)
                }),
            };
            if !holds {
                refuse("it may still be needed");
            }
        }
        for (group, rule) in &deletion.revoke {
            let crosses = matches!(&rule.peer, Peer::Group(peer) if self.ours.contains_key(peer));
            if !crosses || !deletion.delete.contains(group) {
                violations.insert(Violation::BadRule { rule: format!("{rule} in {group}"), store: id.clone() });
            }
        }
    }

    /// The groups that rules name which are there once the plan is carried out.
    fn named_afterwards(&self) -> BTreeSet<&'plan SecurityGroupId> {
        let deleted: BTreeSet<_> =
            self.plan.deletions.values().flat_map(|deletion| &deletion.delete).map(OwnedGroup::id).collect();
        let of_pairs = self.plan.pairs.values().flat_map(|work| &work.revoke);
        let works = of_pairs.chain(self.plan.cidrs.values().flat_map(|work| &work.revoke));
        let revoked: BTreeSet<_> = works.map(|(group, rule)| (group.id(), rule)).collect();
        let staying = self.seen.groups.found.iter().filter(|group| !deleted.contains(&group.id));
        let rules = staying.flat_map(|group| group.rules.iter().map(move |rule| (&group.id, rule)));
        rules
            .filter(|rule| !revoked.contains(rule))
            .filter_map(|(_, rule)| match &rule.peer {
                Peer::Group(peer) => Some(peer),
                Peer::GroupOfAccount { .. } | Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::PrefixList(_) => None,
            })
            .collect()
    }

    /// The reasons on which a connection may be made, all of them.
    fn joinable(&self, instance: &InstanceId, store: &DataStore, violations: &mut BTreeSet<Violation>) {
        let joinable = self.instance(instance).is_some_and(|instance| {
            !self.seen.is_uninstalling()
                && !instance.settings.connect.shared_with(&store.settings.connect).is_empty()
                && [&instance.settings, &store.settings].iter().all(|settings| !settings.blocked && !settings.held)
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
            let sharing = store.settings.connect.names().filter_map(|name| self.by_name.get(name)).flatten();
            for instance in sharing.filter_map(|id| self.instance(id)) {
                let in_scope = self.seen.scope.has_instance(&instance.id) || self.seen.scope.has_store(&store.arn);
                if in_scope && !decided.contains(&(&instance.id, &store.arn)) {
                    violations.insert(Violation::Undecided { instance: instance.id.clone(), store: store.arn.clone() });
                }
            }
        }
    }
}

/// As how many connections the removal of a group for clients that are not instances counts.
fn counted_cidr(change: &StoreChange) -> usize {
    usize::from(change.detached_of(GroupKind::Cidr).any(|(_, reason)| reason.is_counted()))
}

fn is_readable(connect: &ConnectTag) -> bool {
    !matches!(connect, ConnectTag::Invalid(_))
}

/// An id to count with where a group has none yet.
fn stand_in(group: &GroupRef) -> SecurityGroupId {
    match group {
        GroupRef::Existing(id) => id.clone(),
        GroupRef::Planned(store, role) => planned_id(store, *role),
    }
}

/// The id under which a group that is still to be created stands in an expected observation:
/// another one for every identity, in the characters that an id may have.
pub(crate) fn planned_id(store: &StoreId, role: impl Into<Role>) -> SecurityGroupId {
    let spell = |symbol: char| match symbol {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' => symbol.to_string(),
        other => format!(".{:02x}", u32::from(other)),
    };
    let word = store.as_str().chars().map(spell).collect::<Vec<_>>().concat();
    SecurityGroupId::parse(format!("sg-planned-{word}-{}", role.into().tag_value()))
        .unwrap_or_else(|_| unreachable!("letters, digits, dots and dashes after sg- are a group id"))
}
