//! The places of the interfaces' lists, so that no call is planned that must fail.

use std::collections::BTreeMap;

use super::{disconnect::Disconnects, pair::PairState};
use crate::{
    id::InterfaceId,
    model::{Instance, Interface},
};

/// Counts the places that are taken. Stores are served in the order of their ids, which makes the choice
/// the same from run to run.
pub(crate) struct Taken<'plan> {
    disconnects: &'plan Disconnects<'plan>,
    more: BTreeMap<InterfaceId, usize>,
}

impl<'plan> Taken<'plan> {
    pub(crate) fn new(disconnects: &'plan Disconnects<'plan>) -> Self {
        Self { disconnects, more: BTreeMap::new() }
    }

    /// How many places of an instance's interface are taken.
    pub(crate) fn on_interface(&self, instance: &Instance) -> usize {
        let staying = |interface: &Interface| {
            let more = self.more.get(&interface.id).copied().unwrap_or_default();
            interface.groups.len().saturating_sub(self.disconnects.of_interface(&interface.id)) + more
        };
        instance.interface.as_ref().map_or(0, staying)
    }

    /// Takes a place for a pair's instance side, unless it is there already.
    pub(crate) fn take(&mut self, pair_state: &PairState<'_>, instance: &Instance) {
        if let Some(interface) = instance.interface.as_ref().filter(|_| !pair_state.instance_has_group(instance)) {
            *self.more.entry(interface.id.clone()).or_default() += 1;
        }
    }
}
