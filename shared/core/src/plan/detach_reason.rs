//! The reasons for which something of ours is taken off a list, in words.

use std::fmt;

use serde::Serialize;

/// Why something of ours is taken away. There are no other reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DetachReason {
    /// No instance has the interface any more.
    NoInstance,
    /// Both carry the connect tag, and share no name any more.
    NamesNotShared,
    /// The instance does not carry the connect tag.
    NotAskedFor,
    /// The store does not carry it.
    StoreOptedOut,
    /// The store's tag for clients that are not instances is gone or empty.
    CidrNotAskedFor,
    /// The store is gone.
    StoreGone,
    /// One of the two is blocked, or the interface isolated: the urgent path.
    Blocked,
    /// A person asked for tagwire to be gone.
    Uninstalling,
    /// It was made for another store, from which this one took it over.
    OfAnotherStore,
}

impl DetachReason {
    /// Every reason, in the order in which they are looked at.
    pub const ALL: [Self; 9] = [
        Self::Blocked,
        Self::Uninstalling,
        Self::StoreGone,
        Self::StoreOptedOut,
        Self::NoInstance,
        Self::NotAskedFor,
        Self::NamesNotShared,
        Self::CidrNotAskedFor,
        Self::OfAnotherStore,
    ];

    /// When it holds.
    #[must_use]
    pub fn condition(self) -> &'static str {
        match self {
            Self::NoInstance => {
                "no instance has the interface any more, and the state table says that tagwire attached the group to it"
            }
            Self::NamesNotShared => "both carry the connect tag, and no name is in both",
            Self::NotAskedFor => "the data store carries the connect tag, and the instance does not",
            Self::StoreOptedOut => "the data store does not carry the connect tag",
            Self::CidrNotAskedFor => "`tagwire:allow-cidr` of the data store is gone or empty",
            Self::StoreGone => {
                "its service does not know the data store's name and lists nothing with its identity, and nothing carries its store side"
            }
            Self::Blocked => {
                "one of the two carries `tagwire:block`, or the instance's interface has an isolation group"
            }
            Self::Uninstalling => "a person asked for tagwire to be gone from the VPC, with `tagwire uninstall`",
            Self::OfAnotherStore => {
                "the data store carries the connect tag and has a group that was made for another one, and nobody who shares a name with it reaches it by that group alone; seen when the whole VPC is looked at"
            }
        }
    }

    /// The parts that are removed, in words.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Self::NoInstance | Self::NamesNotShared | Self::NotAskedFor => "the instance side leaves the interface",
            Self::StoreOptedOut => {
                "the instance sides leave the interfaces; when all have, the store side leaves the data store and the pair is deleted"
            }
            Self::CidrNotAskedFor => "the group for CIDR clients leaves the data store and is deleted",
            Self::StoreGone => "the instance sides leave the interfaces, and the pair is deleted",
            Self::Blocked => {
                "the instance side leaves the interface; a blocked data store loses its store side as well"
            }
            Self::Uninstalling => {
                "the instance sides leave the interfaces, the store side leaves the data store, and the pair is deleted"
            }
            Self::OfAnotherStore => "that group leaves the data store, and stays on the one that it was made for",
        }
    }

    /// Whether the removal uses up the window. What somebody asked for in so many words does not,
    /// nor does what leads nowhere.
    #[must_use]
    pub fn is_counted(self) -> bool {
        match self {
            Self::NoInstance
            | Self::NamesNotShared
            | Self::NotAskedFor
            | Self::StoreOptedOut
            | Self::CidrNotAskedFor
            | Self::OfAnotherStore => true,
            Self::StoreGone | Self::Blocked | Self::Uninstalling => false,
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NoInstance => "no-instance",
            Self::NamesNotShared => "names-not-shared",
            Self::NotAskedFor => "not-asked-for",
            Self::StoreOptedOut => "store-opted-out",
            Self::CidrNotAskedFor => "cidr-not-asked-for",
            Self::StoreGone => "store-gone",
            Self::Blocked => "blocked",
            Self::Uninstalling => "uninstalling",
            Self::OfAnotherStore => "of-another-store",
        }
    }
}

impl fmt::Display for DetachReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NoInstance => "no instance has the interface any more",
            Self::NamesNotShared => "they share no name any more",
            Self::NotAskedFor => "the instance has no connect tag",
            Self::StoreOptedOut => "the data store has no connect tag",
            Self::CidrNotAskedFor => "the data store asks for no clients but instances",
            Self::StoreGone => "the data store is gone",
            Self::Blocked => "blocked",
            Self::Uninstalling => "tagwire is being uninstalled",
            Self::OfAnotherStore => "the group was made for another data store",
        })
    }
}
