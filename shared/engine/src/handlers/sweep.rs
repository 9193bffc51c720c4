//! `sweep`: has every VPC looked at that has something opted in or owned, so that what events
//! missed is picked up. It only reads and sends.

use std::collections::BTreeSet;

use futures_util::join;
use tagwire_core::{
    id::{StoreArn, VpcId},
    observation::{Reading, Scope, Sighting},
    work::{Cause, Tries, VERSION, WorkItem},
};

use super::{Context, outcome};
use crate::cloud::{Clock, CloudError, Groups, Instances, Observe, Queues};

/// Sends every VPC that has something opted in or owned to `connect`; returns them.
///
/// # Errors
/// The first message that could not be sent; the others were tried. The schedule tries again.
pub async fn sweep<C: Observe, Q: Queues, K: Clock>(
    context: &Context<'_, C, Q, K>,
    request: &str,
) -> Result<BTreeSet<VpcId>, CloudError> {
    let cloud = context.paced(context.deadline);
    let (instances, groups, index) =
        join!(cloud.instances(Instances::OptedInAnywhere), cloud.groups(Groups::OwnedAnywhere), cloud.candidates(),);
    let arns: BTreeSet<StoreArn> = index.found.into_iter().map(|store| store.arn).collect();
    let stores = if arns.is_empty() { Reading::default() } else { cloud.stores(&arns).await };

    // What could not be read hides VPCs from this sweep, never from the next.
    for gap in instances.gaps.iter().chain(&groups.gaps).chain(&index.gaps).chain(&stores.gaps) {
        tracing::error!(record = "finding", function = context.function, code = "unread", "{gap}");
    }
    let mut vpcs: BTreeSet<VpcId> = groups.found.into_iter().map(|group| group.vpc).collect();
    vpcs.extend(instances.found.into_iter().filter_map(|instance| instance.interface).map(|interface| interface.vpc));
    vpcs.extend(stores.found.into_iter().filter_map(|sighting| match sighting {
        Sighting::Present(store) => store.vpc,
        Sighting::Gone(_) => None,
    }));

    let mut first_error = None;
    let tries = Tries::first(context.clock.now());
    for vpc in &vpcs {
        let item = WorkItem { version: VERSION, vpc: vpc.clone(), scope: Scope::Vpc, cause: Cause::Sweep, tries };
        if let Err(error) = context.queues.send_work(&item).await {
            tracing::error!(record = "finding", function = context.function, code = "not-sent", %vpc, "{error}");
            first_error.get_or_insert(error);
        }
    }
    match first_error {
        None => {
            let said = format!("{} VPCs are looked at", vpcs.len());
            outcome(context.function, request, "swept", "the account's Region", &said);
            Ok(vpcs)
        }
        Some(error) => {
            tracing::error!(
                record = "outcome",
                function = context.function,
                event = request,
                code = "not-sent",
                about = "the account's Region",
                "some VPCs could not be handed on: {error}; the schedule tries again"
            );
            Err(error)
        }
    }
}
