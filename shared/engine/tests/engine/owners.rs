//! What the owners of instances and stores do, and others beside them.

use tagwire_core::{
    id::{InterfaceId, SecurityGroupId, StoreArn, StoreId, VpcId},
    model::{Instance, Network},
    observation::InterfaceOwner,
    rule::Rule,
    tag::{ConnectTag, TagSettings},
};

use crate::simulated::{World, cluster, instance};

impl World {
    pub(crate) fn instance_mut(&mut self, word: &str) -> &mut Instance {
        self.instances.get_mut(&instance(word)).unwrap()
    }

    pub(crate) fn tag_instance(&mut self, word: &str, names: Option<&str>) {
        self.instance_mut(word).settings.connect = ConnectTag::read(names);
    }

    /// Tags a store or takes its tag away; the tag index knows at once.
    pub(crate) fn tag_store(&mut self, name: &str, names: Option<&str>) {
        let connect = ConnectTag::read(names);
        self.stores.get_mut(&cluster(name)).unwrap().settings.connect = connect.clone();
        self.index.remove(&cluster(name));
        if names.is_some() {
            self.index.insert(cluster(name), connect);
        }
    }

    pub(crate) fn settings_of_store(&mut self, name: &str) -> &mut TagSettings {
        &mut self.stores.get_mut(&cluster(name)).unwrap().settings
    }

    /// The instance shuts down: AWS no longer reports its interface.
    pub(crate) fn terminate(&mut self, word: &str) {
        if let Some(interface) = self.instance_mut(word).interface.take() {
            self.theirs.remove(interface.id.as_str());
        }
    }

    /// The instance is gone, and its interface stays behind with the groups that it has.
    pub(crate) fn terminate_without_interface(&mut self, word: &str) -> InterfaceId {
        let interface = self.instances.remove(&instance(word)).unwrap().interface.unwrap();
        let owner = InterfaceOwner::Nobody { description: format!("of {word} once").into() };
        self.others.insert(interface.id.clone(), (interface.vpc, owner, interface.groups));
        interface.id
    }

    /// Others take their groups off an interface that no instance has any more.
    pub(crate) fn they_leave(&mut self, interface: &InterfaceId) {
        let ours: Vec<_> = self.ours().into_values().flatten().map(|group| group.id.clone()).collect();
        self.others.get_mut(interface).unwrap().2.retain(|group| ours.contains(group));
        self.theirs.remove(interface.as_str());
    }

    /// The store is deleted, and its interface with it.
    pub(crate) fn delete_store(&mut self, name: &str) {
        self.stores.remove(&cluster(name));
        self.index.remove(&cluster(name));
        self.theirs.remove(cluster(name).as_str());
    }

    pub(crate) fn rename_store(&mut self, from: &str, to: &str) -> StoreArn {
        let mut store = self.stores.remove(&cluster(from)).unwrap();
        store.arn = cluster(to);
        let theirs = self.theirs.remove(cluster(from).as_str()).unwrap_or_default();
        self.theirs.insert(cluster(to).to_string(), theirs);
        if let Some(connect) = self.index.remove(&cluster(from)) {
            self.index.insert(cluster(to), connect);
        }
        self.stores.insert(cluster(to), store);
        cluster(to)
    }

    /// The store is restored into another VPC, where its list begins anew.
    pub(crate) fn move_store(&mut self, name: &str, to: &VpcId) {
        let store = self.stores.get_mut(&cluster(name)).unwrap();
        store.network = Network::Vpc(to.clone());
        let groups = &self.groups;
        store.groups.retain(|group, _| groups.get(group).is_none_or(|there| !Self::is_ours(&there.group)));
    }

    /// The store is deleted, and another takes its name.
    pub(crate) fn replace_store(&mut self, name: &str, of: &VpcId, names: Option<&str>) {
        self.delete_store(name);
        self.store(name, of, names);
        let identity = StoreId::parse(format!("cluster-{}-AGAIN", name.to_uppercase())).unwrap();
        self.stores.get_mut(&cluster(name)).unwrap().id = identity;
    }

    /// A store with an identity of its own and the tags and groups of another.
    pub(crate) fn store_like(&mut self, name: &str, other: &str) {
        let mut store = self.stores[&cluster(other)].clone();
        store.arn = cluster(name);
        store.id = StoreId::parse(format!("cluster-{}", name.to_uppercase())).unwrap();
        self.theirs.insert(cluster(name).to_string(), self.theirs[cluster(other).as_str()].clone());
        self.index.insert(cluster(name), store.settings.connect.clone());
        self.stores.insert(cluster(name), store);
    }

    /// From now on the stores' own interfaces keep what they have, whatever their lists say.
    pub(crate) fn interfaces_stay(&mut self) {
        self.lagging = self.store_interfaces();
    }

    /// The stores' own interfaces have what their lists say.
    pub(crate) fn interfaces_follow(&mut self) {
        self.lagging.clear();
    }

    /// An interface of something that is neither an instance nor a store.
    pub(crate) fn other_interface(&mut self, word: &str, of: &VpcId, groups: &[SecurityGroupId]) -> InterfaceId {
        let id = InterfaceId::parse(format!("eni-{word}")).unwrap();
        let owner = InterfaceOwner::Other { description: format!("of {word}").into() };
        self.others.insert(id.clone(), (of.clone(), owner, groups.iter().cloned().collect()));
        id
    }

    /// Somebody takes a group of ours off a list.
    pub(crate) fn they_take_off(&mut self, target: &str, group: &SecurityGroupId) {
        if self.list_of(target).contains(group) {
            *self.taken_off.entry(target.to_owned()).or_default() += 1;
        }
        for store in self.stores.values_mut().filter(|store| store.arn.as_str() == target) {
            store.groups.remove(group);
        }
        for interface in self.interfaces_mut().filter(|interface| interface.id.as_str() == target) {
            interface.groups.remove(group);
        }
    }

    /// Somebody adds a rule to a group, ours or theirs.
    pub(crate) fn they_add_rule(&mut self, group: &SecurityGroupId, rule: Rule) {
        self.groups.get_mut(group).unwrap().group.rules.insert(rule.clone());
        if let Some(made) = self.their_groups.get_mut(group) {
            made.rules.insert(rule);
        }
    }

    pub(crate) fn they_delete_group(&mut self, group: &SecurityGroupId) {
        self.groups.remove(group);
        self.their_groups.remove(group);
    }

    /// Our group of one side of a store, by the side's tag.
    pub(crate) fn side(&self, store: &StoreId, side: &str) -> Option<SecurityGroupId> {
        let groups = self.ours().remove(&(store.to_string(), side.to_owned()))?;
        groups.first().map(|group| group.id.clone())
    }
}
