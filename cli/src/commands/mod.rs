//! The commands, one file or folder each.

use tagwire_core::{finding::Reason, plan::Verdict};

use crate::help::CommandHelp;

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

/// Of all commands together.
pub(crate) const HELP: CommandHelp = CommandHelp {
    examples: &[],
    notes: &[],
    exit: &[
        (0, "done, nothing to do, or not agreed to"),
        (1, "an error, a wrong argument among them; or something could not be read"),
        (2, "changes are pending (plan, uninstall --plan)"),
        (130, "Ctrl-C"),
        (141, "the reader of the output closed it"),
    ],
};

/// What is shown below the options of a command; `None` for one that needs nothing there.
fn help_of(command: &str) -> Option<&'static CommandHelp> {
    Some(match command {
        "status" => &status::HELP,
        "plan" => &plan::HELP,
        "apply" => &apply::HELP,
        "explain" => &explain::HELP,
        "names" => &names::HELP,
        "doctor" => &doctor::HELP,
        "report" => &report::HELP,
        "uninstall" => &uninstall::HELP,
        "completions" => &completions::HELP,
        "man" => &man::HELP,
        _ => return None,
    })
}
