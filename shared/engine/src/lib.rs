//! Observing, applying and the handlers of the four functions, over the cloud's traits.
//!
//! Single-threaded async without any SDK: the same answers of the cloud give the same run. A crash
//! is a dropped future.

pub mod apply;
pub mod cloud;
pub mod handlers;
pub mod observe;
pub mod paced;
pub mod survey;
