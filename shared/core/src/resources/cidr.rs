//! Clients of a data store that are not EC2 instances: address blocks and managed prefix lists, the
//! tag that asks for them, and how wide they may be.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{id::PrefixListId, rule::Peer, untrusted::Untrusted};

/// Most inbound rules a group takes for each family of addresses, unless quota L-0EA8095F was raised.
/// The groups of CIDR clients are kept within the default, because a raised one lowers how many groups
/// an interface takes.
// Fact 3.1
pub const MOST_RULES: usize = 60;
/// The widest IPv4 block, unless the stack says otherwise: the size of the largest VPC.
pub const DEFAULT_WIDEST_IPV4: u8 = 16;
/// The widest IPv6 block, unless the stack says otherwise: what a site is usually given.
pub const DEFAULT_WIDEST_IPV6: u8 = 48;

/// The upper bound of the setting for IPv4: nothing wider than a whole class A network.
pub const WIDEST_IPV4: RangeInclusive<u8> = 8..=32;
/// The upper bound of the setting for IPv6: nothing wider than the larger blocks of a provider.
pub const WIDEST_IPV6: RangeInclusive<u8> = 16..=128;

/// How many blocks of the widest size the clients of one tag may be together, in each family. One tag holds up to
/// sixty blocks, and prefix lists of many more: without this, a limit for each one would be none for all of them.
pub const WIDEST_BLOCKS: u128 = 16;

/// The ranges of IPv6 whose addresses stand for addresses of IPv4: mapped and compatible ones, those that a NAT64 gateway
/// translates, and those of 6to4 and Teredo. A short one of them may stand for all of IPv4.
const STAND_FOR_IPV4: [(Ipv6Addr, u8); 6] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
    (Ipv6Addr::UNSPECIFIED, 96),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32),
];

/// IPv4 or IPv6, whose rules AWS counts separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    #[serde(rename = "IPv4")]
    Ipv4,
    /// IPv6.
    #[serde(rename = "IPv6")]
    Ipv6,
}

impl fmt::Display for Family {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// A block of addresses. Bits behind the prefix are dropped, as EC2 does when it stores a rule, so that
/// equal blocks are equal however they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Block {
    network: IpAddr,
    length: u8,
}

impl Block {
    /// Reads `203.0.113.0/24` or `2001:db8::/48`.
    ///
    /// # Errors
    /// [`InvalidCidr`] when it is not one.
    pub fn parse(text: &str) -> Result<Self, InvalidCidr> {
        let shown = || text.chars().take(80).collect();
        let Some((address, length)) = text.split_once('/') else {
            return Err(match text.parse::<IpAddr>() {
                Ok(address) => InvalidCidr::NoLength { word: shown(), longest: longest(address) },
                Err(_) => InvalidCidr::Word { word: shown() },
            });
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidCidr::Word { word: shown() })?;
        // Some programs read a number that begins with 0 as an octal one, and so another block.
        let digits = length.bytes().all(|byte| byte.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
        let length = length.parse().ok().filter(|length| digits && *length <= longest(address));
        let length = length.ok_or_else(|| InvalidCidr::Length { word: shown(), longest: longest(address) })?;
        Ok(Self { network: network(address, length), length })
    }

    /// Its family.
    #[must_use]
    pub fn family(self) -> Family {
        if self.network.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
    }

    /// Whether it takes in the whole of another block.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        let same_family = self.family() == other.family();
        same_family && self.length <= other.length && network(other.network, self.length) == self.network
    }

    /// Whether it takes in more than the limits let. Everything at once is too much whatever they say, and so is what
    /// stands for addresses of the other family.
    #[must_use]
    pub fn is_too_wide(self, limits: CidrLimits) -> bool {
        self.length == 0 || self.length < limits.widest(self.family()) || self.stands_for_ipv4()
    }

    /// Whether it is an IPv6 block some of whose addresses stand for addresses of IPv4.
    #[must_use]
    pub fn stands_for_ipv4(self) -> bool {
        self.network.is_ipv6()
            && STAND_FOR_IPV4.iter().any(|(range, length)| {
                let common = self.length.min(*length);
                network(self.network, common) == network(IpAddr::V6(*range), common)
            })
    }

    /// How many addresses it has, as far as they can be counted.
    #[must_use]
    pub fn addresses(self) -> u128 {
        1_u128.checked_shl(u32::from(longest(self.network) - self.length)).unwrap_or(u128::MAX)
    }
}

fn longest(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn network(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.network, self.length)
    }
}

impl TryFrom<String> for Block {
    type Error = InvalidCidr;
    fn try_from(text: String) -> Result<Self, InvalidCidr> {
        Self::parse(&text)
    }
}

impl From<Block> for String {
    fn from(block: Block) -> Self {
        block.to_string()
    }
}

/// How wide a block may be: the shortest prefix of each family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CidrLimits {
    /// Of IPv4.
    pub widest_ipv4: u8,
    /// Of IPv6.
    pub widest_ipv6: u8,
}

impl Default for CidrLimits {
    fn default() -> Self {
        Self { widest_ipv4: DEFAULT_WIDEST_IPV4, widest_ipv6: DEFAULT_WIDEST_IPV6 }
    }
}

impl CidrLimits {
    /// The shortest prefix of a family.
    #[must_use]
    pub fn widest(self, family: Family) -> u8 {
        match family {
            Family::Ipv4 => self.widest_ipv4,
            Family::Ipv6 => self.widest_ipv6,
        }
    }

    /// As how many blocks of the widest size so many addresses of a family count.
    #[must_use]
    pub fn widest_blocks(self, family: Family, addresses: u128) -> u128 {
        let longest: u8 = match family {
            Family::Ipv4 => 32,
            Family::Ipv6 => 128,
        };
        let one = 1_u128.checked_shl(u32::from(longest.saturating_sub(self.widest(family)))).unwrap_or(u128::MAX);
        addresses.div_ceil(one)
    }
}

/// One word of the tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CidrPeer {
    /// A block of addresses.
    Block(Block),
    /// A managed prefix list.
    PrefixList(PrefixListId),
}

impl CidrPeer {
    /// Reads a block such as `203.0.113.0/24`, or the id of a prefix list.
    ///
    /// # Errors
    /// [`InvalidCidr`] when it is neither.
    pub fn parse(word: &str) -> Result<Self, InvalidCidr> {
        if word.starts_with("pl-") {
            let invalid = |_| InvalidCidr::Word { word: word.chars().take(80).collect() };
            PrefixListId::parse(word).map(Self::PrefixList).map_err(invalid)
        } else {
            let block = Block::parse(word)?;
            // All of IPv6 is too wide before it is anything else.
            if block.length > 0 && block.stands_for_ipv4() {
                return Err(InvalidCidr::StandsForIpv4 { word: word.chars().take(80).collect() });
            }
            Ok(Self::Block(block))
        }
    }

    /// The peer of a rule as one of these; `None` when it is a group.
    #[must_use]
    pub fn of(peer: &Peer) -> Option<Self> {
        match peer {
            Peer::Ipv4(text) | Peer::Ipv6(text) | Peer::PrefixList(text) => Self::parse(text).ok(),
            Peer::Group(_) | Peer::GroupOfAccount { .. } => None,
        }
    }

    /// The peer as a rule has it.
    #[must_use]
    pub fn to_peer(&self) -> Peer {
        match self {
            Self::Block(block) => match block.family() {
                Family::Ipv4 => Peer::Ipv4(block.to_string()),
                Family::Ipv6 => Peer::Ipv6(block.to_string()),
            },
            Self::PrefixList(list) => Peer::PrefixList(list.to_string()),
        }
    }
}

impl fmt::Display for CidrPeer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(block) => block.fmt(out),
            Self::PrefixList(list) => list.fmt(out),
        }
    }
}

/// Why the tag's value cannot be read. A value that cannot be read adds nothing and removes nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InvalidCidr {
    /// It is neither a block nor a list.
    #[error(
        "{word:?} is neither a CIDR block such as 203.0.113.0/24 or 2001:db8::/48 nor a prefix list such as pl-0a1b2c3d; they are separated by spaces"
    )]
    Word {
        /// The beginning of the word.
        word: String,
    },
    /// It is an address without the length of a prefix.
    #[error("{word:?} is an address and not a block: write {word}/{longest} for this one address")]
    NoLength {
        /// The address.
        word: String,
        /// The length that makes it a block of one.
        longest: u8,
    },
    /// It is an IPv6 block with addresses that stand for addresses of IPv4.
    #[error("{word:?} has addresses that stand for addresses of IPv4: name the IPv4 block")]
    StandsForIpv4 {
        /// The beginning of the word.
        word: String,
    },
    /// The length of the prefix is no number from 0 to 32, or 128.
    #[error("the prefix of {word:?} has no length from 0 to {longest}")]
    Length {
        /// The beginning of the word.
        word: String,
        /// The greatest length.
        longest: u8,
    },
}

/// The value of a store's tag for clients that are not EC2 instances: blocks and prefix lists, separated
/// by spaces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CidrTag {
    /// There is no such tag.
    #[default]
    Absent,
    /// The peers; an empty value holds none.
    Peers(BTreeSet<CidrPeer>),
    /// The value cannot be read. It is not an empty one.
    Invalid(InvalidCidr),
}

impl CidrTag {
    /// Reads the tag's value; `None` means that the store does not carry the key.
    #[must_use]
    pub fn read(value: Option<&str>) -> Self {
        let Some(value) = value else { return Self::Absent };
        let words = value.split(' ').filter(|word| !word.is_empty());
        match words.map(CidrPeer::parse).collect() {
            Ok(peers) => Self::Peers(peers),
            Err(problem) => Self::Invalid(problem),
        }
    }

    /// Whether it certainly asks for no clients: it is absent or empty.
    #[must_use]
    pub fn asks_for_none(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Peers(peers) => peers.is_empty(),
            Self::Invalid(_) => false,
        }
    }

    /// The peers; none when the tag is absent or cannot be read.
    pub fn peers(&self) -> impl Iterator<Item = &CidrPeer> {
        match self {
            Self::Peers(peers) => Some(peers),
            Self::Absent | Self::Invalid(_) => None,
        }
        .into_iter()
        .flatten()
    }
}

/// A managed prefix list, as read from AWS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixList {
    /// Its id.
    pub id: PrefixListId,
    /// The account that owns it, or `AWS`.
    pub owner: Untrusted,
    /// Its family.
    pub family: Family,
    /// How many entries it may have: so many rules it counts as, however many it has.
    pub most_entries: usize,
    /// Its entries.
    pub entries: BTreeSet<Block>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(words: &[&str]) -> CidrTag {
        CidrTag::Peers(words.iter().map(|word| CidrPeer::parse(word).unwrap()).collect())
    }

    #[test]
    fn blocks_and_lists_are_separated_by_any_number_of_spaces() {
        let tag = CidrTag::read(Some("  203.0.113.0/24 2001:db8::/48   pl-1 203.0.113.0/24"));
        assert_eq!(tag, peers(&["203.0.113.0/24", "2001:db8::/48", "pl-1"]));
        assert_eq!(tag.peers().count(), 3);
    }

    #[test]
    fn an_empty_value_holds_nothing_and_is_not_an_absent_tag() {
        assert_eq!(CidrTag::read(Some(" ")), peers(&[]));
        assert_eq!(CidrTag::read(None), CidrTag::Absent);
    }

    #[test]
    fn a_block_is_shown_as_ec2_stores_it() {
        for (written, shown) in [
            ("203.0.113.77/24", "203.0.113.0/24"),
            ("203.0.113.77/32", "203.0.113.77/32"),
            ("203.0.113.77/0", "0.0.0.0/0"),
            ("2001:0DB8:0:0:1::5/48", "2001:db8::/48"),
            ("::1/128", "::1/128"),
            ("ff::/0", "::/0"),
        ] {
            assert_eq!(Block::parse(written).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (word, why) in [
            ("203.0.113.7", "write 203.0.113.7/32"),
            ("2001:db8::1", "write 2001:db8::1/128"),
            ("203.0.113.0/33", "length from 0 to 32"),
            ("2001:db8::/129", "length from 0 to 128"),
            ("203.0.113.0/", "length from 0 to 32"),
            ("203.0.113.0/+8", "length from 0 to 32"),
            ("10.0.0.0/016", "length from 0 to 32"),
            ("10.0.0.0/00", "length from 0 to 32"),
            ("2001:db8::/048", "length from 0 to 128"),
            ("010.0.0.0/24", "neither a CIDR block"),
            ("::ffff:0.0.0.0/96", "name the IPv4 block"),
            ("::ffff:203.0.113.0/120", "name the IPv4 block"),
            ("::ffff:0:0/95", "name the IPv4 block"),
            ("::/64", "name the IPv4 block"),
            ("64:ff9b::/96", "name the IPv4 block"),
            ("64:ff9b::203.0.113.7/128", "name the IPv4 block"),
            ("64:ff9b::/64", "name the IPv4 block"),
            ("64:ff9b:1::/48", "name the IPv4 block"),
            ("2002:cb00:7107::/48", "name the IPv4 block"),
            ("2001:0:1::/48", "name the IPv4 block"),
            ("203.0.113/24", "neither a CIDR block"),
            ("203.0.113.0/24,10.0.0.0/8", "length from 0 to 32"),
            ("laptop", "neither a CIDR block"),
            ("pl-", "neither a CIDR block"),
            ("sg-1", "neither a CIDR block"),
        ] {
            let CidrTag::Invalid(problem) = CidrTag::read(Some(&format!("10.0.0.0/24 {word}"))) else {
                panic!("{word} was read")
            };
            assert!(problem.to_string().contains(why), "{problem}");
        }
    }

    #[test]
    fn a_block_of_the_other_family_in_disguise_is_too_wide_whatever_its_length() {
        let all = CidrLimits { widest_ipv4: 32, widest_ipv6: 128 };
        for (text, expected) in [
            ("::ffff:0.0.0.0/96", true),
            ("64:ff9b::/96", true),
            ("::ffff:203.0.113.7/128", true),
            ("2001:db8::1/128", false),
            ("2600:1f18::1/128", false),
            ("fd00::1/128", false),
            ("64:ff9c::1/128", false),
            ("::1:0:0:0/128", false),
            ("203.0.113.7/32", false),
        ] {
            assert_eq!(Block::parse(text).unwrap().is_too_wide(all), expected, "{text}");
        }
    }

    #[test]
    fn addresses_are_counted_in_blocks_of_the_widest_size() {
        let count = |text: &str| {
            let block = Block::parse(text).unwrap();
            CidrLimits::default().widest_blocks(block.family(), block.addresses())
        };
        for (text, expected) in [("10.0.0.0/16", 1), ("10.0.0.7/32", 1), ("10.0.0.0/12", 16), ("2001:db8::/44", 16)] {
            assert_eq!(count(text), expected, "{text}");
        }
        assert_eq!(Block::parse("::/0").unwrap().addresses(), u128::MAX);
        assert_eq!(Block::parse("0.0.0.0/0").unwrap().addresses(), 1 << 32);
    }

    #[test]
    fn what_is_wider_than_the_limit_is_too_wide_and_everything_always_is() {
        let too_wide = |text: &str, limits: CidrLimits| Block::parse(text).unwrap().is_too_wide(limits);
        let (usual, none) = (CidrLimits::default(), CidrLimits { widest_ipv4: 0, widest_ipv6: 0 });
        for (text, expected) in
            [("10.0.0.0/15", true), ("10.0.0.0/16", false), ("fd00::/47", true), ("fd00::/48", false)]
        {
            assert_eq!(too_wide(text, usual), expected, "{text}");
            assert!(!too_wide(text, none), "{text}");
        }
        assert!(too_wide("0.0.0.0/0", none) && too_wide("::/0", none));
    }

    #[test]
    fn a_peer_is_known_again_in_a_rule_however_it_is_written() {
        for word in ["203.0.113.0/24", "2001:db8::/48", "pl-1"] {
            let peer = CidrPeer::parse(word).unwrap();
            assert_eq!((peer.to_string().as_str(), CidrPeer::of(&peer.to_peer())), (word, Some(peer)));
        }
        assert_eq!(CidrPeer::of(&Peer::Ipv6("2001:0db8::/48".into())), CidrPeer::parse("2001:db8::/48").ok());
    }
}
