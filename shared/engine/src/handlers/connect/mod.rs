//! `connect`: the only thing that changes EC2 or a data store. Its queue is FIFO by VPC, which
//! makes it the only writer in a VPC.

mod batch;
mod report;
mod retry;
mod run;
mod unsettled;

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use tagwire_core::id::VpcId;

use self::{
    batch::BatchKind,
    run::{Conclusion, VpcRun},
};
use super::{ConnectSettings, Context, Failed, Message, outcome};
use crate::{
    cloud::{Change, Clock, CloudError, Queues},
    observe::Region,
};

/// The least time that makes it worth beginning with a VPC: an observation, and a plan's calls
/// one after the other.
const LEAST_TIME: Duration = Duration::from_secs(5);

/// The part of each VPC's time that is kept for writing the notes and sending the messages of its run.
const TIME_TO_CONCLUDE: Duration = Duration::from_secs(1);

/// Carries out a batch of work, merged by VPC: one observation for each, however many items, and another
/// when a sweep is among them, which comes last.
///
/// What failed and may pass is sent back through the delay and acknowledged, so that one VPC never
/// blocks another, nor itself. Only what was not looked at is reported as failed.
pub async fn connect<C: Change, Q: Queues, K: Clock>(
    context: &Context<'_, C, Q, K>,
    settings: &ConnectSettings,
    messages: &[Message],
) -> Failed {
    let mut failed = Failed::new();
    let batches = batch::read(context.function, messages);
    let region = Region::default();
    let mut left = batches.len();
    let mut out_of_order = BTreeSet::new();
    for batch in batches {
        let time = share_of_time(context, left);
        left -= 1;
        let is_request = matches!(batch.kind, BatchKind::Requested(_));
        let result = match time {
            // Requests are answered in the order in which they arrived, so none overtakes one that failed.
            _ if is_request && out_of_order.contains(&batch.vpc) => Err(None),
            None => Err(None),
            Some((until, is_shared)) => {
                let run = VpcRun::new(context, settings, &region, &batch, until, is_shared);
                Box::pin(work(&run)).await.map_err(Some)
            }
        };
        if let Err(error) = result {
            let (function, vpc): (_, &VpcId) = (context.function, &batch.vpc);
            match error {
                None => tracing::warn!(function, %vpc, "no time is left for this VPC; its work is delivered again"),
                Some(Unsent { sentence, error }) => {
                    for message in &batch.messages {
                        tracing::error!(
                            record = "outcome",
                            function,
                            event = message,
                            code = "not-sent",
                            subject = vpc.as_str(),
                            "{sentence}; {error}; the message is delivered again"
                        );
                    }
                }
            }
            if is_request {
                out_of_order.insert(batch.vpc.clone());
            }
            failed.extend(batch.messages);
        }
    }
    failed
}

/// Until when the next of `left` batches may take, and whether that is less than what the function has; `None`
/// when that would be too little.
fn share_of_time<C, Q, K: Clock>(context: &Context<'_, C, Q, K>, left: usize) -> Option<(Timestamp, bool)> {
    let now = context.clock.now();
    let time = Duration::try_from(context.deadline.duration_since(now)).unwrap_or_default();
    if time < LEAST_TIME {
        return None;
    }
    let share = time / u32::try_from(left).unwrap_or(u32::MAX).max(1);
    Some((now.checked_add(share.saturating_sub(TIME_TO_CONCLUDE)).unwrap_or(context.deadline), left > 1))
}

/// The work of a VPC was done, and what follows from it could not be sent.
struct Unsent {
    sentence: String,
    error: CloudError,
}

async fn work<C: Change, Q: Queues, K: Clock>(run: &VpcRun<'_, C, Q, K>) -> Result<(), Unsent> {
    let (conclusion, sentence) = Box::pin(run.run()).await;
    let result = match conclusion {
        Conclusion::Done(code) => Ok(code),
        Conclusion::Later { stores, instances } => run.send_again(stores, instances).await.map(|()| "will-retry"),
        Conclusion::GoesOn => run.go_on().await.map(|()| "goes-on"),
    };
    match result {
        Ok(code) => {
            run.answer(code, &sentence).await;
            for message in &run.batch.messages {
                outcome(run.context.function, message, code, run.batch.vpc.as_str(), &sentence);
            }
            Ok(())
        }
        Err(error) => Err(Unsent { sentence, error }),
    }
}
