//! The places of the interfaces' lists, so that no call is planned that must fail.

use std::collections::BTreeMap;

use super::{leave::Departures, pair::Standing};
use crate::{
    id::InterfaceId,
    model::{Instance, Interface},
};

/// Counts the places that are taken. Stores are served in the order of their ids, which makes the choice
/// the same from run to run.
pub(super) struct Taken<'plan> {
    departures: &'plan Departures<'plan>,
    more: BTreeMap<InterfaceId, usize>,
}

impl<'plan> Taken<'plan> {
    pub(super) fn new(departures: &'plan Departures<'plan>) -> Self {
        Self { departures, more: BTreeMap::new() }
    }

    /// How many places of an instance's interface are taken.
    pub(super) fn on_interface(&self, instance: &Instance) -> usize {
        let staying = |interface: &Interface| {
            let more = self.more.get(&interface.id).copied().unwrap_or_default();
            interface.groups.len().saturating_sub(self.departures.of_interface(&interface.id)) + more
        };
        instance.interface.as_ref().map_or(0, staying)
    }

    /// Takes a place for a pair's instance side, unless it is there already.
    pub(super) fn take(&mut self, standing: &Standing<'_>, instance: &Instance) {
        if let Some(interface) = instance.interface.as_ref().filter(|_| !standing.instance_wears(instance)) {
            *self.more.entry(interface.id.clone()).or_default() += 1;
        }
    }
}
