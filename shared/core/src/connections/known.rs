//! Everything that was read, in one place. The observation of a plan takes precedence over the survey, so
//! that a row and its verdict are of the same moment.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{row::SideGroup, survey::Survey};
use crate::{
    finding::{Finding, Reason},
    group::{Owned, Ownership, Role, SecurityGroup},
    id::{InstanceId, SecurityGroupId, StoreArn, StoreId, VpcId},
    model::{DataStore, Instance},
    observation::Observation,
    plan::Plan,
    service::{Service, Side},
    state::Target,
};

pub(super) struct Known<'known> {
    stores: BTreeMap<&'known StoreArn, &'known DataStore>,
    by_id: BTreeMap<&'known StoreId, &'known DataStore>,
    groups: BTreeMap<&'known SecurityGroupId, &'known SecurityGroup>,
    ownership: BTreeMap<&'known SecurityGroupId, Ownership>,
    instances: BTreeMap<&'known InstanceId, &'known Instance>,
    /// The instances that have a group on their primary interface.
    with_group: BTreeMap<&'known SecurityGroupId, Vec<&'known Instance>>,
    planned: BTreeMap<&'known VpcId, (&'known Observation, &'known Plan)>,
}

impl<'known> Known<'known> {
    pub(super) fn of(survey: &'known Survey, planned: &[(&'known Observation, &'known Plan)]) -> Self {
        let observed = || planned.iter().map(|(seen, _)| *seen);
        let mut stores: BTreeMap<_, _> = survey.present_stores().map(|store| (&store.arn, store)).collect();
        stores.extend(observed().flat_map(Observation::present_stores));
        let groups = survey.groups.found.iter().chain(observed().flat_map(|seen| &seen.groups.found));
        let groups: BTreeMap<_, _> = groups.map(|group| (&group.id, group)).collect();
        let instances = survey.instances.found.iter().chain(observed().flat_map(|seen| &seen.instances.found));
        let instances: BTreeMap<_, _> = instances.map(|instance| (&instance.id, instance)).collect();
        let mut with_group = BTreeMap::<_, Vec<_>>::new();
        for instance in instances.values().copied() {
            for group in instance.interface.iter().flat_map(|interface| &interface.groups) {
                with_group.entry(group).or_default().push(instance);
            }
        }
        Self {
            ownership: groups.iter().map(|(id, group)| (*id, group.ownership())).collect(),
            planned: planned.iter().map(|(seen, plan)| (&seen.vpc, (*seen, *plan))).collect(),
            by_id: stores.values().map(|store| (&store.id, *store)).collect(),
            stores,
            groups,
            instances,
            with_group,
        }
    }

    pub(super) fn stores(&self) -> impl Iterator<Item = &'known DataStore> {
        self.stores.values().copied()
    }

    pub(super) fn store(&self, arn: &StoreArn) -> Option<&'known DataStore> {
        self.stores.get(arn).copied()
    }

    pub(super) fn store_by_id(&self, id: &StoreId) -> Option<&'known DataStore> {
        self.by_id.get(id).copied()
    }

    pub(super) fn group(&self, id: &SecurityGroupId) -> Option<&'known SecurityGroup> {
        self.groups.get(id).copied()
    }

    pub(super) fn instance(&self, id: &InstanceId) -> Option<&'known Instance> {
        self.instances.get(id).copied()
    }

    /// The plan for a VPC and the observation that it was made from.
    pub(super) fn plan(&self, vpc: &VpcId) -> Option<(&'known Observation, &'known Plan)> {
        self.planned.get(vpc).copied()
    }

    pub(super) fn finding(&self, vpc: &VpcId, which: impl Fn(&Finding) -> bool) -> Option<&'known Reason> {
        let (_, plan) = self.plan(vpc)?;
        plan.findings.iter().find(|finding| which(finding)).map(|finding| &finding.reason)
    }

    /// A group as a row names it.
    pub(super) fn side_group(&self, id: &SecurityGroupId) -> SideGroup {
        let name = self.group(id).map(|group| group.name.as_str()).unwrap_or_default();
        SideGroup { id: id.clone(), name: name.into() }
    }

    /// The instances that have a group which some group on a data store lets in, each once.
    pub(super) fn let_in(&self, store: &DataStore) -> impl Iterator<Item = &'known Instance> {
        let on_store = store.groups.keys().filter(|group| store.has_group(group));
        let named = on_store.filter_map(|group| self.group(group)).flat_map(SecurityGroup::let_in);
        let with = named.filter_map(|group| self.with_group.get(group)).flatten();
        let instances: BTreeMap<&InstanceId, &Instance> = with.map(|instance| (&instance.id, *instance)).collect();
        instances.into_values()
    }

    fn owned(&self, id: &SecurityGroupId) -> Option<&Owned> {
        match self.ownership.get(id)? {
            Ownership::Owned(owned) => Some(owned),
            Ownership::Foreign | Ownership::Forged(_) | Ownership::Unproven(_) => None,
        }
    }

    /// Every instance with an instance side of tagwire's that it has.
    pub(super) fn attached_instance_sides(&self) -> impl Iterator<Item = (&'known Instance, &Owned)> {
        let instances = self.instances.values().copied();
        let attached = instances.flat_map(|instance| {
            instance.interface.iter().flat_map(|interface| &interface.groups).map(move |group| (instance, group))
        });
        attached
            .filter_map(|(instance, group)| Some((instance, self.owned(group)?)))
            .filter(|(_, owned)| owned.name.role == Side::Instance)
    }

    /// The store side of tagwire's that is on a data store.
    pub(super) fn store_side(&self, store: &DataStore) -> Option<&'known SecurityGroup> {
        let attached = store.groups.keys().filter(|group| store.has_group(group));
        let own = attached.filter_map(|group| self.owned(group));
        let mut own = own.filter(|owned| owned.store == store.id && owned.name.role == Side::Store);
        own.next().and_then(|owned| self.group(owned.group.id()))
    }

    /// The instance side of a data store that an instance has.
    pub(super) fn instance_side(
        &self,
        instance: &Instance,
        store: Option<&DataStore>,
        arn: &StoreArn,
    ) -> Option<&'known SecurityGroup> {
        let owned = self.instance_side_of(instance, store, arn)?;
        self.group(owned.group.id())
    }

    fn instance_side_of(&self, instance: &Instance, store: Option<&DataStore>, arn: &StoreArn) -> Option<&Owned> {
        let attached = instance.interface.iter().flat_map(|interface| &interface.groups);
        let sides = attached.filter_map(|group| self.owned(group)).filter(|owned| owned.name.role == Side::Instance);
        // Of a data store that is gone, the tag of its groups is all there is.
        let mut own = sides.filter(|owned| match store {
            Some(store) => owned.store == store.id,
            None => owned.arn.as_ref() == Some(arn) && self.store_by_id(&owned.store).is_none(),
        });
        own.next()
    }

    /// The service of a data store, also of one that is gone: its groups are named after it.
    pub(super) fn service(&self, arn: &StoreArn, store: Option<&DataStore>, instance: Option<&Instance>) -> Service {
        let of_group = || Some(self.instance_side_of(instance?, None, arn)?.name.service);
        store.map(|store| store.service).or_else(of_group).unwrap_or_else(|| arn.kind().row().usual_service)
    }

    /// When tagwire attached a group to a list; `None` when the state table does not tell.
    pub(super) fn attached_since(&self, vpc: &VpcId, target: Target, group: &SecurityGroupId) -> Option<Timestamp> {
        let state = self.plan(vpc)?.0.state.as_ref().ok()?;
        state.attached.get(&(target, group.clone())).map(|attached| attached.since)
    }

    /// The groups of tagwire's for the CIDR clients of a data store that are on it.
    pub(super) fn cidr_groups(&self, store: &DataStore) -> Vec<(&Owned, &'known SecurityGroup)> {
        let all = self.ownership.iter().filter_map(|(id, ownership)| match ownership {
            Ownership::Owned(owned) if owned.role() == Role::Cidr && owned.store == store.id => {
                Some((owned, self.group(id)?))
            }
            Ownership::Owned(_) | Ownership::Foreign | Ownership::Forged(_) | Ownership::Unproven(_) => None,
        });
        all.filter(|(owned, _)| store.has_group(owned.group.id())).collect()
    }
}
