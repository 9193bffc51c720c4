//! Security-group rules, as read from AWS. A rule's description is not part of it: two rules that
//! differ only there are the same rule for AWS (`InvalidPermission.Duplicate`) and for us.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{id::SecurityGroupId, untrusted::Shown};

/// An inclusive range of TCP ports; a single port is a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// A range; `None` when `first` is 0 or lies behind `last`.
    #[must_use]
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (first > 0 && first <= last).then_some(Self { first, last })
    }

    /// The range of one port; `None` for port 0.
    #[must_use]
    pub fn single(port: u16) -> Option<Self> {
        Self::new(port, port)
    }

    /// The lowest port.
    #[must_use]
    pub fn first(self) -> u16 {
        self.first
    }

    /// The highest port.
    #[must_use]
    pub fn last(self) -> u16 {
        self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(out, "{}", self.first)
        } else {
            write!(out, "{}-{}", self.first, self.last)
        }
    }
}

/// The traffic that a rule lets through.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Traffic {
    /// TCP on a range of ports.
    Tcp(PortRange),
    /// Every protocol and port (`-1`).
    All,
    /// Anything else, kept as it was read so that exactly this rule can be revoked.
    Other {
        /// The protocol as AWS names it.
        protocol: String,
        /// `FromPort`, which for ICMP is the type.
        from: Option<i32>,
        /// `ToPort`, which for ICMP is the code.
        to: Option<i32>,
    },
}

/// The other end of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// The interfaces that have a group of this account.
    Group(SecurityGroupId),
    /// The interfaces that have a group of another account (VPC peering, shared VPCs).
    GroupOfAccount {
        /// The account as AWS reports it.
        account: String,
        /// The group.
        group: SecurityGroupId,
    },
    /// An IPv4 block.
    Ipv4(String),
    /// An IPv6 block.
    Ipv6(String),
    /// A managed prefix list.
    PrefixList(String),
}

/// Which way a rule lets traffic through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Into the interfaces that have the group.
    Inbound,
    /// Out of them.
    Outbound,
}

/// One rule of a security group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rule {
    /// Which way.
    pub direction: Direction,
    /// The traffic.
    pub traffic: Traffic,
    /// The other end.
    pub peer: Peer,
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.traffic {
            Traffic::Tcp(ports) => write!(out, "tcp {ports}")?,
            Traffic::All => out.write_str("all traffic")?,
            Traffic::Other { protocol, from: None, to: None } => write!(out, "{}", Shown(protocol))?,
            Traffic::Other { protocol, from, to } => {
                write!(out, "{} {}..{}", Shown(protocol), from.unwrap_or(-1), to.unwrap_or(-1))?;
            }
        }
        out.write_str(match self.direction {
            Direction::Inbound => " from ",
            Direction::Outbound => " to ",
        })?;
        match &self.peer {
            Peer::Group(group) => write!(out, "{group}"),
            Peer::GroupOfAccount { account, group } => write!(out, "{}/{group}", Shown(account)),
            Peer::Ipv4(text) | Peer::Ipv6(text) | Peer::PrefixList(text) => Shown(text).fmt(out),
        }
    }
}
