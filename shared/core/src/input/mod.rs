//! What arrives: events of AWS, and work that the functions send each other.

pub mod event;
pub mod work;
