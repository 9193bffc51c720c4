//! The identity of a group of ours: its description, which AWS never lets anyone change, and the record that the
//! state table keeps of it. Tags are for finding a group; whose it is, these two tell.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{GroupName, Role};
use crate::{
    id::{SecurityGroupId, StoreArn, StoreId},
    service::Side,
};

/// A random number of 128 bits, made for one group before it is created. A group that somebody made beforehand cannot
/// have it in its description.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Token(String);

impl Token {
    const DIGITS: usize = 32;

    /// The token of 128 bits.
    #[must_use]
    pub fn of_bits(bits: u128) -> Self {
        Self(format!("{bits:032x}"))
    }

    /// Reads a token; `None` for anything but 32 hexadecimal digits in small letters.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == Self::DIGITS && text.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl TryFrom<String> for Token {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::read(&text).ok_or("a token is 32 hexadecimal digits")
    }
}

impl From<Token> for String {
    fn from(token: Token) -> Self {
        token.0
    }
}

/// What the state table says of the group that has a name in a VPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// The identity of the store that the group is for.
    pub store: StoreId,
    /// The ARN that the store had when the record was written; `None` while it is not known.
    pub arn: Option<StoreArn>,
    /// The role of the group.
    pub role: Role,
    /// The token in its description; `None` for a group of a version that wrote none.
    pub token: Option<Token>,
    /// Its id; `None` from before it is created until that is known.
    pub id: Option<SecurityGroupId>,
    /// The record over which this one was written: its group was not seen, and may only not have been visible yet.
    // Fact 4.3
    pub earlier: Option<Box<Self>>,
}

impl GroupRecord {
    /// The record, and the one over which it was written.
    pub fn versions(&self) -> impl Iterator<Item = &Self> {
        [self].into_iter().chain(self.earlier.as_deref())
    }
}

/// The records of a VPC, by the names of the groups.
pub type Identities = BTreeMap<GroupName, GroupRecord>;

/// Longest description that EC2 takes.
// Fact 3.6
const LONGEST_DESCRIPTION: usize = 255;

/// The words with which every description of ours begins, of this version and of earlier ones.
pub const DESCRIPTION_BEGINS: &str = "Made by tagwire for ";

/// The sentence for people with which a description begins.
fn sentence(role: Role) -> &'static str {
    match role {
        Role::Side(Side::Store) => {
            "Made by tagwire for a data store: lets in the instances that have the other group of this pair."
        }
        Role::Side(Side::Instance) => {
            "Made by tagwire for instances: lets them out to the data store that has the other group of this pair."
        }
        Role::Cidr => "Made by tagwire for a data store: lets in the clients that its tag tagwire:allow-cidr names.",
    }
}

/// The description of a new group: a sentence for people, then the identity of its store and the token. AWS never
/// lets a description be changed.
// Fact 3.6
#[must_use]
pub fn description(role: impl Into<Role>, store: &StoreId, token: &Token) -> String {
    let role = role.into();
    format!("{} [{} {token}]", sentence(role), written(role, store))
}

/// A store's identity as a description has it: the identity itself, or a digest of one that does not fit.
fn written(role: Role, store: &StoreId) -> String {
    let room = LONGEST_DESCRIPTION - sentence(role).len() - " [".len() - " ".len() - Token::DIGITS - "]".len();
    let is_taken = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/".contains(&byte);
    let text = store.as_str();
    if text.len() <= room && text.bytes().all(is_taken) && !text.starts_with(DIGEST) {
        return text.to_owned();
    }
    let digits = Sha256::digest(text).into_iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    let digits: String = digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
    format!("{DIGEST}{digits}")
}

const DIGEST: &str = "sha256:";

/// The fixed description of the groups that earlier versions made, by role. It says nothing of the store.
#[must_use]
pub fn former_description(role: impl Into<Role>) -> &'static str {
    match role.into() {
        Role::Side(Side::Store) => {
            "Made by tagwire for a data store: lets in the instances that have the other group of this pair. Its rules are put back when changed."
        }
        Role::Side(Side::Instance) => {
            "Made by tagwire for instances: lets them out to the data store that has the other group of this pair. Its rules are put back when changed."
        }
        Role::Cidr => {
            "Made by tagwire for a data store: lets in the CIDR blocks and prefix lists that its tag tagwire:allow-cidr names. Its rules are put back when changed."
        }
    }
}

/// A description of ours, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The role that it is written for.
    pub role: Role,
    /// The store, as it is written there, and the token; `None` when an earlier version wrote it.
    of: Option<(String, Token)>,
}

impl Described {
    /// Reads a description; `None` when it is not ours.
    #[must_use]
    pub fn read(description: &str) -> Option<Self> {
        Role::ALL.into_iter().find_map(|role| {
            if description == former_description(role) {
                return Some(Self { role, of: None });
            }
            let rest = description.strip_prefix(sentence(role))?.strip_prefix(" [")?.strip_suffix(']')?;
            let (store, token) = rest.split_once(' ')?;
            let token = Token::read(token)?;
            (!store.is_empty()).then(|| Self { role, of: Some((store.to_owned(), token)) })
        })
    }

    /// Whether an earlier version wrote it, which named no store.
    #[must_use]
    pub fn is_former(&self) -> bool {
        self.of.is_none()
    }

    /// The token; `None` when an earlier version wrote it.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        self.of.as_ref().map(|(_, token)| token)
    }

    /// Whether it is the description of the group that a record is about.
    pub(super) fn agrees_with(&self, record: &GroupRecord) -> bool {
        self.role == record.role
            && match (&self.of, &record.token) {
                (Some((store, token)), Some(recorded)) => {
                    token == recorded && *store == written(self.role, &record.store)
                }
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(id: &str) -> StoreId {
        StoreId::parse(id).unwrap()
    }

    fn stores() -> [StoreId; 4] {
        let cache =
            format!("arn:aws-us-gov:elasticache:us-gov-west-1:123456789012:replicationgroup:{}", "n".repeat(40));
        [store("cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ"), store(&cache), store(&"x".repeat(256)), store("a\"b%")]
    }

    #[test]
    fn a_description_holds_only_what_a_group_description_may() {
        for (role, of) in Role::ALL.into_iter().flat_map(|role| stores().map(|of| (role, of))) {
            for text in [description(role, &of, &Token::of_bits(7)), former_description(role).to_owned()] {
                assert!(text.starts_with(DESCRIPTION_BEGINS));
                assert!(text.len() <= LONGEST_DESCRIPTION, "{} in {text}", text.len());
                let is_taken =
                    |symbol: char| symbol.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(symbol);
                assert!(text.chars().all(is_taken), "{text}");
            }
        }
    }

    #[test]
    fn a_description_is_read_back_as_it_was_written() {
        for (role, of) in Role::ALL.into_iter().flat_map(|role| stores().map(|of| (role, of))) {
            let token = Token::of_bits(0x1234);
            let read = Described::read(&description(role, &of, &token)).unwrap();
            let record = |store: &StoreId, token: Option<&Token>| GroupRecord {
                store: store.clone(),
                arn: None,
                role,
                token: token.cloned(),
                id: None,
                earlier: None,
            };
            assert!(read.agrees_with(&record(&of, Some(&token))));
            assert!(!read.agrees_with(&record(&store("another"), Some(&token))), "{of}");
            assert!(!read.agrees_with(&record(&of, Some(&Token::of_bits(0x1235)))), "{of}");
            assert!(!read.agrees_with(&record(&of, None)), "{of}");
            let former = Described::read(former_description(role)).unwrap();
            assert!(former.is_former() && former.role == role && former.agrees_with(&record(&of, None)));
        }
    }

    #[test]
    fn what_is_not_word_for_word_ours_is_not_read() {
        let ours = description(Side::Store, &store("cluster-A"), &Token::of_bits(7));
        for other in [
            format!("{ours} "),
            ours.replace("cluster-A", ""),
            ours.replace("0007", "0G07"),
            ours.to_uppercase(),
            ours.replace(']', ""),
            "made by hand".to_owned(),
            String::new(),
        ] {
            assert_eq!(Described::read(&other), None, "{other}");
        }
    }

    #[test]
    fn a_token_is_all_of_its_bits() {
        assert_eq!(Token::of_bits(u128::MAX).as_str(), "f".repeat(32));
        assert_eq!(Token::read(Token::of_bits(1).as_str()), Some(Token::of_bits(1)));
        for other in ["", "1", &"g".repeat(32), &"F".repeat(32), &"0".repeat(33)] {
            assert_eq!(Token::read(other), None, "{other}");
        }
    }
}
