//! `sweep`: has every VPC looked at that has something opted in or owned, so that what events
//! missed is picked up. It only reads and sends.

use std::collections::BTreeSet;

use tagwire_core::{
    id::VpcId,
    observation::Scope,
    work::{Cause, Tries, VERSION, WorkItem},
};

use super::{Context, outcome, refusals::unreadable};
use crate::{
    cloud::{Clock, CloudError, Observe, Queues},
    observe::vpcs_with_stores,
};

/// A message takes 256 KiB, and an ARN some hundred characters.
const MOST_STORES_IN_A_MESSAGE: usize = 1000;

/// Sends every VPC that has something opted in or owned to `connect`; returns them.
///
/// # Errors
/// The first message that could not be sent; the others were tried. The schedule tries again.
pub async fn sweep<C: Observe, Q: Queues, K: Clock>(
    context: &Context<'_, C, Q, K>,
    request: &str,
) -> Result<BTreeSet<VpcId>, CloudError> {
    let found = vpcs_with_stores(&context.paced(context.deadline)).await;
    // What could not be read hides VPCs from this sweep, never from the next.
    for gap in found.gaps.iter().filter(|gap| gap.passing) {
        tracing::error!(record = "finding", function = context.function, code = "unread", "{gap}");
    }
    unreadable(context.function, None, &found.gaps);
    let mut vpcs = BTreeSet::new();
    let mut first_error = None;
    let tries = Tries::first(context.clock.now());
    for (vpc, stores) in found.found {
        vpcs.insert(vpc.clone());
        let item = WorkItem {
            version: VERSION,
            vpc: vpc.clone(),
            scope: Scope::Vpc,
            cause: Cause::Sweep,
            tries,
            request: None,
            tagged_stores: Some(stores).filter(|stores| stores.len() <= MOST_STORES_IN_A_MESSAGE),
        };
        if let Err(error) = context.send_work(&item).await {
            tracing::error!(record = "finding", function = context.function, code = "not-sent", %vpc, "{error}");
            first_error.get_or_insert(error);
        }
    }
    match first_error {
        None => {
            let sentence = format!("{} VPCs are looked at", vpcs.len());
            outcome(context.function, request, "swept", "the account's Region", &sentence);
            Ok(vpcs)
        }
        Some(error) => {
            tracing::error!(
                record = "outcome",
                function = context.function,
                event = request,
                code = "not-sent",
                subject = "the account's Region",
                "some VPCs could not be handed on: {error}; the schedule tries again"
            );
            Err(error)
        }
    }
}
