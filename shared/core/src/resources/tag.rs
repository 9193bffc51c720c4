//! The tag contract: the tags that people set on instances and data stores, and their meaning.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cidr::CidrTag;

/// The key whose value holds the connection names, unless the stack says otherwise.
pub const DEFAULT_CONNECT_KEY: &str = "tagwire:connect";
/// An instance or store that carries this key, with any value, gets no connection.
pub const BLOCK_KEY: &str = "tagwire:block";
/// Nothing is attached or detached at an instance or store that carries this key.
pub const HOLD_KEY: &str = "tagwire:hold";
/// The clients of a store that are not EC2 instances; the grammar is [`CidrTag`]'s.
pub const ALLOW_CIDR_KEY: &str = "tagwire:allow-cidr";
/// The key of the status tag, which tagwire writes beside the connect tag when the stack asks for it.
pub const STATUS_KEY: &str = "tagwire:status";

/// Most names one tag may hold. An interface takes 5 to 16 groups, so more could never be served.
pub const MOST_NAMES: usize = 10;
/// Longest name, in characters: ten of them with their spaces still fit RDS's 256-character value
/// only when they are short, so the bound is that of a DNS label, which people already know.
// Fact 3.5
pub const LONGEST_NAME: usize = 63;

/// One word inside the tag's value. Instance and data store are joined when they share one.
/// Case-sensitive; 1 to 63 of `A-Z a-z 0-9 . _ -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConnectionName(String);

impl ConnectionName {
    /// Checks the grammar of one name.
    ///
    /// # Errors
    /// [`InvalidTag`] that names the first thing wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidTag> {
        if text.is_empty() || text.chars().count() > LONGEST_NAME {
            return Err(InvalidTag::Length { name: text.chars().take(80).collect() });
        }
        match text.chars().find(|&symbol| !matches!(symbol, 'A'..='Z' | 'a'..='z' | '0'..='9' | '.' | '_' | '-')) {
            Some(symbol) => Err(InvalidTag::Character { name: text.to_owned(), symbol }),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The name as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectionName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl TryFrom<String> for ConnectionName {
    type Error = InvalidTag;
    fn try_from(text: String) -> Result<Self, InvalidTag> {
        Self::parse(&text)
    }
}

impl From<ConnectionName> for String {
    fn from(name: ConnectionName) -> Self {
        name.0
    }
}

/// Why a tag's value cannot be read. A value that cannot be read adds nothing and removes nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InvalidTag {
    /// A name holds a character outside the grammar.
    #[error(
        "the name {name:?} holds {symbol:?}; allowed are letters, digits, '.', '_' and '-', and names are separated by spaces"
    )]
    Character {
        /// The name.
        name: String,
        /// The first character that is not allowed.
        symbol: char,
    },
    /// A name is longer than [`LONGEST_NAME`].
    #[error("the name {name:?} is longer than {LONGEST_NAME} characters")]
    Length {
        /// The beginning of the name.
        name: String,
    },
    /// There are more than [`MOST_NAMES`].
    #[error("it holds {count} names; at most {MOST_NAMES} are allowed")]
    TooMany {
        /// How many different names it holds.
        count: usize,
    },
}

/// The connect tag of an instance or a data store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectTag {
    /// There is no such tag: the resource takes no part.
    Absent,
    /// The names it holds; an empty value holds none.
    Names(BTreeSet<ConnectionName>),
    /// The value cannot be read. It is not an empty one.
    Invalid(InvalidTag),
}

impl ConnectTag {
    /// Reads the tag's value; `None` means that the resource does not carry the key.
    #[must_use]
    pub fn read(value: Option<&str>) -> Self {
        let Some(value) = value else { return Self::Absent };
        match value
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(ConnectionName::parse)
            .collect::<Result<BTreeSet<_>, _>>()
        {
            Ok(names) if names.len() > MOST_NAMES => Self::Invalid(InvalidTag::TooMany { count: names.len() }),
            Ok(names) => Self::Names(names),
            Err(problem) => Self::Invalid(problem),
        }
    }

    /// The names; none when the tag is absent or cannot be read.
    pub fn names(&self) -> impl Iterator<Item = &ConnectionName> {
        match self {
            Self::Names(names) => Some(names),
            Self::Absent | Self::Invalid(_) => None,
        }
        .into_iter()
        .flatten()
    }

    /// The names that both tags hold.
    #[must_use]
    pub fn shared_with(&self, other: &Self) -> BTreeSet<ConnectionName> {
        match (self, other) {
            (Self::Names(mine), Self::Names(theirs)) => mine.intersection(theirs).cloned().collect(),
            _ => BTreeSet::new(),
        }
    }
}

/// The settings in the tags of an instance or a data store, and the status tag beside them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagSettings {
    /// The connect tag.
    pub connect: ConnectTag,
    /// Carries [`BLOCK_KEY`].
    pub blocked: bool,
    /// Carries [`HOLD_KEY`].
    pub held: bool,
    /// The value of [`ALLOW_CIDR_KEY`]. Only a store's counts.
    pub allow_cidr: CidrTag,
    /// The value of [`STATUS_KEY`]; `None` without the tag.
    pub status: Option<String>,
}

impl TagSettings {
    /// Reads a resource's tags. `connect_key` is the stack's tag key.
    pub fn read<'tag>(connect_key: &str, tags: impl IntoIterator<Item = (&'tag str, &'tag str)>) -> Self {
        let (mut connect, mut allow_cidr, mut status, mut blocked, mut held) = (None, None, None, false, false);
        for (key, value) in tags {
            if key == connect_key {
                connect = Some(value);
            }
            if key == ALLOW_CIDR_KEY {
                allow_cidr = Some(value);
            }
            if key == STATUS_KEY {
                status = Some(value.to_owned());
            }
            blocked |= key == BLOCK_KEY;
            held |= key == HOLD_KEY;
        }
        let (connect, allow_cidr) = (ConnectTag::read(connect), CidrTag::read(allow_cidr));
        Self { connect, blocked, held, allow_cidr, status }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> ConnectTag {
        ConnectTag::Names(words.iter().map(|word| ConnectionName::parse(word).unwrap()).collect())
    }

    #[test]
    fn words_are_separated_by_any_number_of_spaces() {
        assert_eq!(ConnectTag::read(Some("  orders   billing.v2 ")), names(&["orders", "billing.v2"]));
        assert_eq!(ConnectTag::read(Some("orders orders")), names(&["orders"]));
    }

    #[test]
    fn an_empty_value_holds_no_names_and_is_not_an_absent_tag() {
        assert_eq!(ConnectTag::read(Some("")), names(&[]));
        assert_eq!(ConnectTag::read(None), ConnectTag::Absent);
    }

    #[test]
    fn what_breaks_the_grammar_is_invalid_as_a_whole() {
        assert!(matches!(
            ConnectTag::read(Some("orders bill,ing")),
            ConnectTag::Invalid(InvalidTag::Character { symbol: ',', .. })
        ));
        assert!(matches!(
            ConnectTag::read(Some("orders\tbilling")),
            ConnectTag::Invalid(InvalidTag::Character { symbol: '\t', .. })
        ));
        assert!(matches!(
            ConnectTag::read(Some("größe")),
            ConnectTag::Invalid(InvalidTag::Character { symbol: 'ö', .. })
        ));
        assert!(matches!(ConnectTag::read(Some(&"a".repeat(64))), ConnectTag::Invalid(InvalidTag::Length { .. })));
        let eleven = (0..11).map(|index| format!("n{index}")).collect::<Vec<_>>().join(" ");
        assert_eq!(ConnectTag::read(Some(&eleven)), ConnectTag::Invalid(InvalidTag::TooMany { count: 11 }));
    }

    #[test]
    fn the_longest_name_and_the_most_names_are_taken() {
        let ten = (0..10).map(|index| format!("n{index}")).collect::<Vec<_>>().join(" ");
        assert_eq!(ConnectTag::read(Some(&ten)).names().count(), 10);
        assert_eq!(ConnectTag::read(Some(&"a".repeat(63))).names().count(), 1);
    }

    #[test]
    fn names_are_case_sensitive() {
        assert!(names(&["Orders"]).shared_with(&names(&["orders"])).is_empty());
        assert_eq!(names(&["a", "b"]).shared_with(&names(&["b", "c"])).len(), 1);
    }

    #[test]
    fn an_unreadable_tag_shares_nothing() {
        assert!(ConnectTag::read(Some("a,b")).shared_with(&names(&["a", "b"])).is_empty());
    }

    #[test]
    fn block_and_hold_count_with_any_value() {
        let settings = TagSettings::read(
            "team:connect",
            [
                ("team:connect", "a"),
                (BLOCK_KEY, ""),
                (HOLD_KEY, "no"),
                (DEFAULT_CONNECT_KEY, "b"),
                (STATUS_KEY, "no-match"),
            ],
        );
        let status = Some("no-match".to_owned());
        assert_eq!(
            settings,
            TagSettings { connect: names(&["a"]), blocked: true, held: true, allow_cidr: CidrTag::Absent, status }
        );
    }
}
