//! The pure part of tagwire: what the tags mean, what was observed, and what follows from it.
//!
//! Nothing here is asynchronous, reads a clock or knows an SDK. The way of the data is
//! event → scope → observation → plan → checked plan; carrying a plan out is another crate's.

pub mod check;
pub mod cidr;
pub mod event;
pub mod expected;
pub mod finding;
pub mod group;
pub mod id;
pub mod model;
pub mod observation;
pub mod plan;
pub mod policy;
pub mod rule;
pub mod service;
pub mod state;
pub mod status;
pub mod tag;
pub mod work;

pub use plan::explain;
