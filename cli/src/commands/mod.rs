//! The commands, one file or folder each.

pub(crate) mod apply;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod man;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod status;
pub(crate) mod uninstall;
