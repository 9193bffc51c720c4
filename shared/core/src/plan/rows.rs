//! The decision tables as types: one variant a row, in the order of the documented tables. The
//! documents are checked against the words here, and every row has a test of its own.

use serde::Serialize;

use super::Via;

/// Which pair serves a store: decided once in a plan, over the owned groups of the VPC that carry
/// the store's identity, attached or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
// Fact 2.2
pub enum StoreRow {
    /// There are none.
    NoGroups,
    /// There is one whole pair, and it is usable.
    WholePair,
    /// There is one pair, unfinished or modified.
    Unfinished,
    /// There is more than one.
    Several,
}

impl StoreRow {
    /// Every row, in the table's order.
    pub const ALL: [Self; 4] = [Self::NoGroups, Self::WholePair, Self::Unfinished, Self::Several];

    /// The table's left column: owned groups of this store.
    #[must_use]
    pub fn condition(self) -> &'static str {
        match self {
            Self::NoGroups => "none",
            Self::WholePair => "one whole pair, usable",
            Self::Unfinished => "unfinished, modified, one side missing",
            Self::Several => "several",
        }
    }

    /// The table's right column: what is done.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Self::NoGroups => "make a pair, if some instance needs one",
            Self::WholePair => "use it",
            Self::Unfinished => "finish or repair it, then use it",
            Self::Several => {
                "use the one with the lowest number and report `ambiguous-pair`; leave the others to a person"
            }
        }
    }
}

/// Whether one instance reaches one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairRow {
    /// Through a usable pair, anyone's, attached on both sides.
    Connected(Via),
    /// Not so.
    NotConnected,
}

impl PairRow {
    /// The rows' conditions and actions, in the table's order.
    pub const TABLE: [(&'static str, &'static str); 2] = [
        ("through a usable pair, anyone's, attached on both sides", "nothing: connected, and say by whom"),
        ("not", "attach the store's pair, whichever side is not attached"),
    ];

    pub(crate) fn of(connection: Option<Via>) -> Self {
        connection.map_or(Self::NotConnected, Self::Connected)
    }
}
