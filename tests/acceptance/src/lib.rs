//! Places to test in: VPCs with instances and data stores on a local AWS, and what can be read
//! back of them with clients of their own. Nothing here uses tagwire's code: what is read back is
//! judged by the groups and rules alone.

mod installation;
mod read_back;

pub use crate::{
    installation::{Installation, Kind, Launched, Place, Store},
    read_back::{
        Connection, Foreign, Pair, Rules, connection, foreign, interface_groups, is_note, is_write, owned_groups, pair,
        rules_of, store_groups, ways_in,
    },
};

/// The tag key of an unchanged installation.
pub const CONNECT: &str = "tagwire:connect";
