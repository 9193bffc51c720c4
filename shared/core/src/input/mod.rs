//! Messages: events of AWS, and work that the functions send each other.

pub mod event;
pub(crate) mod scope;
pub mod work;
