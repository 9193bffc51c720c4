//! What of a run is to be looked at again.

use std::collections::BTreeSet;

use tagwire_core::{
    id::{InstanceId, StoreArn},
    observation::{Gap, Observation, Scope},
    plan::Plan,
};

use super::batch::Batch;
use crate::handlers::INSTANCE_MAY_BE_MISSING;

/// The stores and instances that may be different in a while with nobody doing anything.
pub(super) struct Unsettled {
    pub(super) stores: BTreeSet<StoreArn>,
    pub(super) instances: BTreeSet<InstanceId>,
    /// Why, in words.
    pub(super) because: String,
    /// Whether nothing but stores that somebody stopped or paused is waited for.
    pub(super) only_at_rest: bool,
}

impl Unsettled {
    pub(super) fn of(seen: &Observation, plan: &Plan, batch: &Batch) -> Self {
        let stores = plan.stores_to_revisit();
        let present = seen.present_stores();
        let only_at_rest = stores.iter().all(|arn| present.get(arn).is_some_and(|store| store.is_at_rest()));
        let mut unsettled = Self { stores, instances: BTreeSet::new(), because: String::new(), only_at_rest };
        let mut because = BTreeSet::new();
        if !unsettled.stores.is_empty() {
            because.insert("a data store cannot be changed yet".to_owned());
        }
        if let Scope::Some { instances, .. } = &seen.scope {
            let found: BTreeSet<&InstanceId> = seen.instances.found.iter().map(|instance| &instance.id).collect();
            let missing: BTreeSet<_> = instances.iter().filter(|id| !found.contains(id)).cloned().collect();
            if !missing.is_empty() && batch.tries.age(seen.at) < INSTANCE_MAY_BE_MISSING {
                because.insert("an instance cannot be seen yet".to_owned());
                unsettled.only_at_rest = false;
                unsettled.instances.extend(missing);
            }
        }
        if let Some(gap) = seen.gaps().find(|gap| gap.passing && concerns(gap, seen)) {
            because.insert(format!("something could not be read ({gap})"));
            unsettled = unsettled.with_all(batch);
        }
        unsettled.because = because.into_iter().collect::<Vec<_>>().join(", and ");
        unsettled
    }

    /// Everything that was asked for is unsettled, and looking at that looks at its stores as well: were
    /// they looked at by themselves, one piece of work would become several with each try.
    pub(super) fn with_all(mut self, batch: &Batch) -> Self {
        self.only_at_rest = false;
        if let Scope::Some { instances, stores } = &batch.scope {
            self.instances.clone_from(instances);
            self.stores.clone_from(stores);
        }
        if self.because.is_empty() {
            "a call failed that may succeed later".clone_into(&mut self.because);
        }
        self
    }
}

/// Whether what could not be read may be of the VPC that was looked at. Of another VPC it is no reason to look
/// here again.
fn concerns(gap: &Gap, seen: &Observation) -> bool {
    gap.vpc.as_ref().is_none_or(|vpc| *vpc == seen.vpc)
}
