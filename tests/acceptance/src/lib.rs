//! Places to test in: VPCs with instances and data stores on a local AWS, and what can be read
//! back of them with clients of their own. Nothing here uses tagwire's code: what is read back is
//! judged by the groups and rules alone.

mod read_back;
mod site;

pub use crate::{
    read_back::{Connection, Rules, connection, foreign_rules, interface_groups, is_write, owned_groups, store_groups},
    site::{Kind, Launched, Site, Store},
};

/// The tag key of an unchanged installation.
pub const CONNECT: &str = "tagwire:connect";
