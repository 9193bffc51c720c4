//! Observing, applying and the handlers of the four functions, over the cloud's traits.
//!
//! An event or a sweep comes to [`handlers`], which has the VPC looked at ([`observe`]), plans by
//! `tagwire-core`, and has the checked plan carried out ([`apply`]). All calls go to the traits of [`cloud`]
//! through [`paced`], which has the retries, the API's buckets and the deadline.
//!
//! Single-threaded async without any SDK: the same answers of the cloud give the same run. A crash
//! is a dropped future.

pub mod apply;
pub mod cloud;
pub mod handlers;
pub mod observe;
pub mod paced;
