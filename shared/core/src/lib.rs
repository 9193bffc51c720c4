//! The pure part of tagwire: the tags, an observation of AWS, and the plan that follows from both.
//!
//! Nothing here is asynchronous, reads a clock or knows an SDK. The stages, each with the modules that
//! belong to it, in the way of the data:
//!
//! | stage | modules | what it gives |
//! |---|---|---|
//! | *resources* | [`id`], [`tag`], [`cidr`], [`rule`], [`group`], [`group_tags`], [`service`], [`model`] | the nouns of all stages |
//! | *input* | [`event`], [`work`] | an AWS event as a hint where to look, and the work that the functions send each other |
//! | *observation* | [`observation`], [`state`], [`former`], [`policy`] | the resources as they were read, with the gaps; the state table; the settings |
//! | *plan* | [`plan`](mod@plan), [`finding`] | the changes, a verdict on each pair of instance and data store, and the findings |
//! | *check* | [`check`](mod@check) | the same plan, verified by code that shares nothing with the planner |
//! | *expected* | [`expected`](mod@expected) | the observation that a carried out plan leads to |
//!
//! [`explain`] and [`connections`](mod@connections) read a plan for people. Carrying a plan out is
//! another crate's.

pub mod check;
pub mod connections;
pub mod expected;
pub mod explain;
pub mod finding;
pub mod former;
mod input;
pub mod observation;
pub mod plan;
pub mod policy;
mod resources;
pub mod state;

pub use self::{
    input::{event, work},
    resources::{cidr, group, group_tags, id, model, rule, service, spelling, tag, untrusted},
};
