//! The tags of an organisation that every group gets when it is made.

use std::collections::BTreeMap;

use thiserror::Error;

/// Most of them.
pub const MOST_GROUP_TAGS: usize = 10;
/// Longest key and longest value that EC2 takes.
// Fact 3.5
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;
/// The beginnings of keys that are AWS's and ours, in small letters.
const RESERVED: [&str; 2] = ["aws:", "tagwire:"];

/// Tags beside our own that a group gets when it is made. Groups keep the tags that they have later, these as well as
/// anybody's, so no change of them is drift.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupTags(BTreeMap<String, String>);

/// Why a text holds no such tags.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidGroupTags {
    /// A tag has no `=`, or nothing before it.
    #[error("{0:?} is not Key=Value")]
    Form(String),
    /// A key or value holds something that EC2 does not take, or too much of it.
    #[error("{0:?} is longer than EC2 takes, or holds other symbols than letters, digits, spaces and _ . : / = + - @")]
    Symbols(String),
    /// A key is reserved.
    #[error("the key {0:?} is not free: those that begin with aws: or tagwire: belong to others")]
    Reserved(String),
    /// A key is there twice.
    #[error("the key {0:?} is there twice")]
    Twice(String),
    /// There are too many.
    #[error("there are more than {MOST_GROUP_TAGS}")]
    TooMany,
}

impl GroupTags {
    /// Reads `Key=Value,Key=Value`. A value ends at the next comma and cannot hold one.
    ///
    /// # Errors
    /// [`InvalidGroupTags`] for the first tag that cannot be used.
    pub fn read(text: &str) -> Result<Self, InvalidGroupTags> {
        let mut tags = BTreeMap::new();
        for tag in text.split(',').filter(|_| !text.is_empty()) {
            let (key, value) = tag.split_once('=').ok_or_else(|| InvalidGroupTags::Form(tag.to_owned()))?;
            if key.trim().is_empty() {
                return Err(InvalidGroupTags::Form(tag.to_owned()));
            }
            if !is_taken(key, LONGEST_KEY) || !is_taken(value, LONGEST_VALUE) {
                return Err(InvalidGroupTags::Symbols(tag.to_owned()));
            }
            let folded = key.to_ascii_lowercase();
            if RESERVED.iter().any(|prefix| folded.starts_with(prefix)) {
                return Err(InvalidGroupTags::Reserved(key.to_owned()));
            }
            if tags.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(InvalidGroupTags::Twice(key.to_owned()));
            }
        }
        if tags.len() > MOST_GROUP_TAGS { Err(InvalidGroupTags::TooMany) } else { Ok(Self(tags)) }
    }

    /// The keys and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

fn is_taken(text: &str, longest: usize) -> bool {
    let is_symbol = |symbol: char| {
        symbol.is_alphanumeric() || matches!(symbol, ' ' | '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@')
    };
    text.chars().count() <= longest && text.chars().all(is_symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_from_keys_and_values_between_commas() {
        let tags = GroupTags::read("CostCenter=42,Cost Centre=a=b,Empty=").unwrap();
        assert_eq!(tags.iter().collect::<Vec<_>>(), [("Cost Centre", "a=b"), ("CostCenter", "42"), ("Empty", "")]);
        assert_eq!(GroupTags::read("").unwrap(), GroupTags::default());
    }

    #[test]
    fn what_ec2_would_refuse_or_what_would_pass_for_ours_is_refused() {
        let long = format!("k={}", "v".repeat(257));
        let many: Vec<String> = (0..11).map(|number| format!("k{number}=v")).collect();
        for (text, code) in [
            ("CostCenter", "is not Key=Value"),
            ("=42", "is not Key=Value"),
            ("a=1,", "is not Key=Value"),
            ("a=1, =2", "is not Key=Value"),
            ("a=\n", "longer than EC2 takes"),
            (&long, "longer than EC2 takes"),
            ("AWS:x=1", "is not free"),
            ("tagwire:managed-by=me", "is not free"),
            ("Tagwire:side=store", "is not free"),
            ("a=1,a=2", "is there twice"),
            (&many.join(","), "more than 10"),
        ] {
            let problem = GroupTags::read(text).unwrap_err().to_string();
            assert!(problem.contains(code), "{text:?}: {problem}");
        }
        assert!(GroupTags::read(&many[..10].join(",")).is_ok());
    }
}
