//! How an instance reaches a store now, and what the next run changes between the two.

use std::collections::BTreeSet;

use super::{Explainer, facts::few};
use crate::{
    group::GroupKind,
    id::{InstanceId, StoreArn},
    model::{DataStore, Instance},
    plan::{Action, ActionKind},
    service::Side,
};

impl Explainer<'_> {
    /// How an instance reaches a store before anything is changed, whatever the tags ask for.
    pub(super) fn now(&self, instance: Option<&Instance>, arn: &StoreArn, store: Option<&DataStore>) -> String {
        match (instance, store) {
            (None, _) => "the instance was not read".to_owned(),
            (Some(instance), None) => self.now_without_store(instance, arn),
            (Some(instance), Some(store)) => self
                .joined(instance, store)
                .or_else(|| self.joined_by_copy(instance, store))
                .or_else(|| self.half_joined(instance, store))
                .unwrap_or_else(|| "no pair connects them".to_owned()),
        }
    }

    fn now_without_store(&self, instance: &Instance, arn: &StoreArn) -> String {
        let sides = instance.interface.iter().flat_map(|interface| self.index.attached_instance_sides(interface));
        let of_store: Vec<String> = sides
            .filter(|owned| owned.arn.as_ref() == Some(arn) && self.index.store(&owned.store).is_none())
            .map(|owned| self.named(owned.group.id()))
            .collect();
        if of_store.is_empty() {
            return "no such data store was read, and the instance has no group of it".to_owned();
        }
        format!("the instance has {}, the instance side of a data store that was not found", few(of_store))
    }

    fn joined(&self, instance: &Instance, store: &DataStore) -> Option<String> {
        let via = self.settled.pair_states.get(&store.id)?.connection(instance, |_| false)?;
        let by = if via.owned { "tagwire" } else { "others" };
        Some(format!("connected by {by} through {} and {}", via.instance_side, via.store_side))
    }

    /// The way into a store by groups that it took over from another one.
    pub(super) fn joined_by_copy(&self, instance: &Instance, store: &DataStore) -> Option<String> {
        let sides: Vec<_> = instance.interface.iter().flat_map(|it| self.index.attached_instance_sides(it)).collect();
        let mut copied = self.index.copied_groups(store, GroupKind::Pair);
        copied.find_map(|store_side| {
            let id = store_side.group.id();
            let side = sides.iter().find(|side| self.index.are_joined(store, id, side.group.id()))?;
            let of = self.index.arn_of(store_side).map_or_else(|| store_side.store.to_string(), |arn| arn.short());
            let (side, copy) = (side.group.id(), store.arn.short());
            Some(format!("let in through {side} and {id}, which were made for {of}: {copy} took {id} over"))
        })
    }

    fn half_joined(&self, instance: &Instance, store: &DataStore) -> Option<String> {
        let pair_state = self.settled.pair_states.get(&store.id)?;
        let group = |side: Side| pair_state.serving(side).map(|owned| self.named(owned.group.id()));
        match (pair_state.instance_has_group(instance), pair_state.store_has_group()) {
            (true, true) => Some(format!(
                "both have their groups of the pair, {} and {}, whose rules are not those of a pair",
                group(Side::Instance)?,
                group(Side::Store)?
            )),
            (true, false) => Some(format!(
                "the instance has its group of the pair, {}, and the data store has none",
                group(Side::Instance)?
            )),
            (false, true) => Some(format!(
                "the data store has its group of the pair, {}, and the instance has none",
                group(Side::Store)?
            )),
            (false, false) => None,
        }
    }

    /// The changes of the next run that are about both: those of the store, its pair and the instance's list.
    pub(super) fn next(&self, instance: &InstanceId, arn: &StoreArn, store: Option<&DataStore>) -> Vec<String> {
        let owned = store.map(|store| self.index.owned_groups(&store.id)).into_iter().flatten();
        let groups: BTreeSet<&str> = owned.map(|owned| owned.group.id().as_str()).collect();
        let is_about = |action: &Action| match &action.instance {
            // A store that was renamed has another ARN than its groups' tags.
            Some(of) => {
                let of_pair = || action.group.as_deref().is_some_and(|group| groups.contains(group));
                of == instance && (action.store.as_ref() == Some(arn) || of_pair())
            }
            None => action.store.as_ref() == Some(arn) && action.kind != ActionKind::Status,
        };
        // An interface without an instance belongs to somebody else's row.
        let of_interface = |action: &Action| action.interface.is_none() || action.instance.is_some();
        let actions = self.settled.plan.actions().into_iter();
        actions.filter(|action| is_about(action) && of_interface(action)).map(|action| action.text).collect()
    }
}
