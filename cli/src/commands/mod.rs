//! The commands, one file or folder each.

use tagwire_core::{finding::Reason, plan::Verdict};

pub(crate) mod apply;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod explain;
#[cfg(test)]
mod hostile;
pub(crate) mod man;
pub(crate) mod names;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod status;
pub(crate) mod uninstall;

/// The reason for which a connection is not made, or not yet; `None` for any other verdict.
fn reason_of(verdict: &Verdict) -> Option<&Reason> {
    match verdict {
        Verdict::Waiting(reason) | Verdict::Refused(reason) => Some(reason),
        Verdict::Connected(_) | Verdict::Connecting | Verdict::Disconnecting(_) | Verdict::HeldBack(_) => None,
    }
}
