//! The changes that a person agreed to, and whether a later plan of the same VPC makes any other.

use std::collections::{BTreeMap, BTreeSet};

use tagwire_core::{
    cidr::CidrPeer,
    group::{OwnedGroup, Role},
    id::{InterfaceId, SecurityGroupId, StoreArn, StoreId},
    observation::Observation,
    plan::{
        CidrWork, Deletion, Effect, GroupRef, InterfaceChange, PairRule, PairWork, Plan, StatusChange, StatusOf,
        StoreChange,
    },
    rule::{PortRange, Rule},
    work::RequestKind,
};

/// The group of a data store for a role.
type StoreRole = (StoreId, Role);

/// A group in a change. A group that the agreed plan creates is the same one before and after it has an id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum ChangedGroup {
    Created(StoreRole),
    Existing(SecurityGroupId),
}

/// A change without its reasons: two plans may make the same change for different reasons.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum AgreedChange {
    Create(ChangedGroup),
    AllowPeer {
        group: ChangedGroup,
        ports: PortRange,
        peer: ChangedGroup,
    },
    AllowCidr {
        group: ChangedGroup,
        ports: PortRange,
        peer: CidrPeer,
    },
    Revoke {
        group: ChangedGroup,
        rule: Rule,
    },
    Tag(ChangedGroup),
    AttachToStore {
        store: StoreArn,
        group: ChangedGroup,
    },
    DetachFromStore {
        store: StoreArn,
        group: ChangedGroup,
    },
    AttachToInterface {
        interface: InterfaceId,
        group: ChangedGroup,
    },
    DetachFromInterface {
        interface: InterfaceId,
        group: ChangedGroup,
    },
    Delete(ChangedGroup),
    /// A status tag, whatever its text: the text follows from the other changes.
    WriteStatus(StatusOf),
}

/// The changes that a person agreed to.
pub(super) struct Agreement {
    kind: RequestKind,
    /// The groups that the agreed plan creates.
    created: BTreeSet<StoreRole>,
    changes: BTreeSet<AgreedChange>,
}

impl Agreement {
    /// The agreement to a plan.
    pub(super) fn to(kind: RequestKind, seen: &Observation, plan: &Plan) -> Self {
        let sides = plan
            .pairs
            .iter()
            .flat_map(|(store, work)| work.create.keys().map(|side| (store.clone(), Role::Side(*side))));
        let cidrs = plan.cidrs.iter().filter(|(_, work)| work.create.is_some());
        let created: BTreeSet<StoreRole> = sides.chain(cidrs.map(|(store, _)| (store.clone(), Role::Cidr))).collect();
        let changes = Reader::new(&created, seen).changes(plan).into_iter().collect();
        Self { kind, created, changes }
    }

    /// Whether a later plan makes no other changes. When everything is to go or to come back, all that serves
    /// it is agreed to: a group can be deleted only when nothing has it attached any more, so more becomes
    /// possible on the way.
    pub(super) fn covers(&self, seen: &Observation, plan: &Plan) -> bool {
        match self.kind {
            RequestKind::Apply => Reader::new(&self.created, seen).changes(plan).iter().all(|change| self.has(change)),
            RequestKind::Uninstall => plan.actions().iter().all(|action| action.effect == Effect::Remove),
            RequestKind::CancelUninstall => plan.actions().iter().all(|action| action.effect != Effect::Remove),
        }
    }

    fn has(&self, change: &AgreedChange) -> bool {
        // AWS gives a new group a rule, which is revoked as part of its creation.
        let is_of_creation = matches!(
            change,
            AgreedChange::Revoke { group: ChangedGroup::Created(_), .. } | AgreedChange::Tag(ChangedGroup::Created(_))
        );
        is_of_creation || self.changes.contains(change)
    }
}

/// Reads the changes out of a plan.
struct Reader<'seen> {
    /// The groups of the observation that were created in the meantime.
    existing: BTreeMap<&'seen SecurityGroupId, StoreRole>,
}

impl<'seen> Reader<'seen> {
    fn new(created: &BTreeSet<StoreRole>, seen: &'seen Observation) -> Self {
        let owned = seen.groups.found.iter().filter_map(|group| {
            let owned = group.ownership().ours()?;
            let role = (owned.store.clone(), owned.role());
            created.contains(&role).then_some((&group.id, role))
        });
        Self { existing: owned.collect() }
    }

    fn existing(&self, id: &SecurityGroupId) -> ChangedGroup {
        match self.existing.get(id) {
            Some(role) => ChangedGroup::Created(role.clone()),
            None => ChangedGroup::Existing(id.clone()),
        }
    }

    fn group(&self, group: &GroupRef) -> ChangedGroup {
        match group {
            GroupRef::Existing(id) => self.existing(id),
            GroupRef::Planned(store, role) => ChangedGroup::Created((store.clone(), *role)),
        }
    }

    fn changes(&self, plan: &Plan) -> Vec<AgreedChange> {
        let pairs = plan.pairs.iter().flat_map(|(store, work)| self.pair(store, work));
        let cidrs = plan.cidrs.iter().flat_map(|(store, work)| self.cidr(store, work));
        let stores = plan.stores.values().flat_map(|change| self.store(change));
        let interfaces = plan.interfaces.iter().flat_map(|(id, change)| self.interface(id, change));
        let ends = plan.deletions.values().flat_map(|end| self.deletion(end));
        let statuses = plan.statuses.iter().map(|StatusChange { of, .. }| AgreedChange::WriteStatus(of.clone()));
        pairs.chain(cidrs).chain(stores).chain(interfaces).chain(ends).chain(statuses).collect()
    }

    fn pair(&self, store: &StoreId, work: &PairWork) -> Vec<AgreedChange> {
        let PairWork { store: _, row: _, create, authorize, revoke, tag } = work;
        let create =
            create.keys().map(|side| AgreedChange::Create(ChangedGroup::Created((store.clone(), (*side).into()))));
        let allow = authorize.iter().map(|(group, PairRule { side: _, ports, peer })| AgreedChange::AllowPeer {
            group: self.group(group),
            ports: *ports,
            peer: self.group(peer),
        });
        let tag = tag.iter().map(|(group, _)| AgreedChange::Tag(self.existing(group.id())));
        create.chain(allow).chain(self.revoked(revoke)).chain(tag).collect()
    }

    fn cidr(&self, store: &StoreId, work: &CidrWork) -> Vec<AgreedChange> {
        let CidrWork { store: _, ports, group, create, authorize, revoke, revoke_first: _, tag } = work;
        let create = create.iter().map(|_| AgreedChange::Create(ChangedGroup::Created((store.clone(), Role::Cidr))));
        let allow = authorize.iter().map(|peer| AgreedChange::AllowCidr {
            group: self.group(group),
            ports: *ports,
            peer: peer.clone(),
        });
        let tag = tag.iter().map(|(group, _)| AgreedChange::Tag(self.existing(group.id())));
        create.chain(allow).chain(self.revoked(revoke)).chain(tag).collect()
    }

    fn revoked<'rules>(
        &'rules self,
        rules: &'rules [(OwnedGroup, Rule)],
    ) -> impl Iterator<Item = AgreedChange> + 'rules {
        rules.iter().map(|(group, rule)| AgreedChange::Revoke { group: self.existing(group.id()), rule: rule.clone() })
    }

    fn store(&self, change: &StoreChange) -> Vec<AgreedChange> {
        let store = &change.store;
        let attach = change.attached().map(|group| self.group(group));
        let attach = attach.map(|group| AgreedChange::AttachToStore { store: store.clone(), group });
        let detach = change.leaving().map(|group| self.existing(group));
        let detach = detach.map(|group| AgreedChange::DetachFromStore { store: store.clone(), group });
        attach.chain(detach).collect()
    }

    fn interface(&self, interface: &InterfaceId, change: &InterfaceChange) -> Vec<AgreedChange> {
        let attach = change.attach.keys().map(|group| self.group(group));
        let attach = attach.map(|group| AgreedChange::AttachToInterface { interface: interface.clone(), group });
        let detach = change.leaving().map(|group| self.existing(group));
        let detach = detach.map(|group| AgreedChange::DetachFromInterface { interface: interface.clone(), group });
        attach.chain(detach).collect()
    }

    fn deletion(&self, end: &Deletion) -> Vec<AgreedChange> {
        let delete = end.delete.iter().map(|group| AgreedChange::Delete(self.existing(group.id())));
        self.revoked(&end.revoke).chain(delete).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tagwire_core::plan::plan;
    use tagwire_world::{World, worlds};

    use super::*;

    /// Whether the agreement to the plan for one world covers the plan for another.
    fn covers(kind: RequestKind, agreed: &str, later: &str) -> bool {
        let [agreed, later] = [agreed, later].map(|world| World::read(world).unwrap());
        let agreement = Agreement::to(kind, &agreed.seen, &plan(&agreed.seen, &agreed.policy));
        let later_plan = plan(&later.seen, &later.policy);
        assert!(!later_plan.is_empty(), "nothing is left to be covered");
        agreement.covers(&later.seen, &later_plan)
    }

    const BEGINNING: &str = "instance i-1 connect=orders\nreplicationgroup orders connect=orders";

    #[test]
    fn the_rest_of_a_plan_is_still_the_agreed_plan_when_its_groups_have_ids() {
        for rest in [
            // The groups are created, and nothing else.
            "pair orders 1 loose",
            // An instance has its side, and the store has none yet.
            "pair orders 1 loose attached-to=i-1",
            // The store has its side, and the instance has none yet.
            "pair orders 1",
        ] {
            assert!(covers(RequestKind::Apply, BEGINNING, &format!("{BEGINNING}\n{rest}")), "{rest}");
        }
    }

    #[test]
    fn another_instance_is_not_covered_by_the_agreement() {
        let later = format!("{BEGINNING}\npair orders 1 loose attached-to=i-1\ninstance i-2 connect=orders");
        assert!(!covers(RequestKind::Apply, BEGINNING, &later));
    }

    #[test]
    fn a_group_that_is_taken_away_is_the_agreed_one_or_it_is_not_covered() {
        let two = "instance i-1\ninstance i-2\ndb orders connect=orders\npair orders 1 attached-to=i-1,i-2";
        let one =
            "instance i-1\ninstance i-2 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1,i-2";
        assert!(covers(RequestKind::Apply, two, one));
        assert!(!covers(RequestKind::Apply, one, two));
    }

    #[test]
    fn the_reason_for_a_change_may_be_another() {
        let untagged = "instance i-1\ndb orders connect=orders\npair orders 1 attached-to=i-1";
        let renamed = "instance i-1 connect=other\ndb orders connect=orders\npair orders 1 attached-to=i-1";
        assert!(covers(RequestKind::Apply, untagged, renamed));
    }

    #[test]
    fn everything_that_serves_an_uninstallation_is_agreed_to_and_nothing_else() {
        let attached =
            "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1\nuninstalling";
        let gone = "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 loose\nuninstalling";
        assert!(covers(RequestKind::Uninstall, attached, gone));
        assert!(!covers(RequestKind::Uninstall, attached, BEGINNING));
        assert!(covers(RequestKind::CancelUninstall, attached, BEGINNING));
    }

    proptest! {
        #[test]
        fn every_line_of_a_plan_is_a_change_that_has_to_be_agreed_to(world in worlds()) {
            let plan = plan(&world.seen, &world.policy);
            let changes = Reader::new(&BTreeSet::new(), &world.seen).changes(&plan);
            prop_assert_eq!(changes.len(), plan.changes().len());
        }

        #[test]
        fn a_plan_is_covered_by_the_agreement_to_it(world in worlds()) {
            let plan = plan(&world.seen, &world.policy);
            prop_assert!(Agreement::to(RequestKind::Apply, &world.seen, &plan).covers(&world.seen, &plan));
        }
    }
}
