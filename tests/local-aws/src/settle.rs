//! Whether all work is done, and what to say when it is not.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::stack::Stack;

/// What the events and compute server says of one moment.
#[derive(Debug, Deserialize)]
pub(crate) struct State {
    pub(crate) queues: BTreeMap<String, Queue>,
    /// Invocations that have not ended, by function.
    pub(crate) running: BTreeMap<String, u32>,
    /// Batches that were taken from a queue and are not done with.
    pub(crate) batches: u32,
}

/// What lies in a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Depth {
    /// Messages that can be received.
    pub visible: u32,
    /// Messages that were sent with a delay that is not over.
    pub delayed: u32,
    /// Messages that were received, and neither deleted nor given back.
    pub in_flight: u32,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Queue {
    #[serde(flatten)]
    pub(crate) depth: Depth,
    next_in_seconds: Option<f64>,
    bodies: Vec<String>,
}

/// What the state means to somebody who waits for the end of all work.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing is left to do.
    Still,
    /// Something is, and it may end.
    Busy,
    /// A message was given up on.
    DeadLetters,
}

/// Whether delayed messages count as work that is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delayed {
    Count,
    MayStay,
}

impl State {
    pub(crate) fn verdict(&self, delayed: Delayed, stack: &Stack) -> Verdict {
        let dead = |name: &str| stack.queue(name).unwrap_or(name).contains("DeadLetter");
        let messages = |depth: &Depth| depth.visible + depth.in_flight + depth.delayed;
        if self.queues.iter().any(|(name, queue)| dead(name) && messages(&queue.depth) > 0) {
            return Verdict::DeadLetters;
        }
        let left = |depth: &Depth| match delayed {
            Delayed::Count => messages(depth),
            Delayed::MayStay => depth.visible + depth.in_flight,
        };
        let queued: u32 = self.queues.values().map(|queue| left(&queue.depth)).sum();
        let running: u32 = self.running.values().sum();
        if queued + running + self.batches == 0 { Verdict::Still } else { Verdict::Busy }
    }

    /// The state in words, a line for each queue that is not empty.
    pub(crate) fn report(&self, stack: &Stack) -> String {
        let mut report = String::new();
        for (name, queue) in &self.queues {
            let depth = &queue.depth;
            if *depth == Depth::default() {
                continue;
            }
            // Writing to a string cannot fail.
            write!(
                report,
                "\n  {}: {} visible, {} delayed, {} in flight",
                stack.queue(name).unwrap_or(name),
                depth.visible,
                depth.delayed,
                depth.in_flight
            )
            .ok();
            if let Some(seconds) = queue.next_in_seconds {
                write!(report, "; the next is visible in {seconds:.1} s").ok();
            }
            for body in &queue.bodies {
                write!(report, "\n    {body}").ok();
            }
        }
        for (function, number) in &self.running {
            write!(report, "\n  {}: {number} running", stack.logical_id(function).unwrap_or(function)).ok();
        }
        if report.is_empty() { "\n  queues empty, nothing running".to_owned() } else { report }
    }
}
