//! Rules as text, in the words in which they are shown.

use tagwire_core::{
    id::SecurityGroupId,
    rule::{Direction, Peer, PortRange, Rule, Traffic},
};

/// The rule that AWS gives every new group.
pub(crate) fn default_egress() -> Rule {
    Rule { direction: Direction::Outbound, traffic: Traffic::All, peer: Peer::Ipv4("0.0.0.0/0".into()) }
}

pub(crate) fn ports(text: &str) -> Option<PortRange> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    PortRange::new(first.parse().ok()?, last.parse().ok()?)
}

fn peer(text: &str) -> Option<Peer> {
    if let Some((account, group)) = text.split_once("/sg-") {
        let group = SecurityGroupId::parse(format!("sg-{group}")).ok()?;
        return Some(Peer::GroupOfAccount { account: account.to_owned(), group });
    }
    if text.starts_with("sg-") {
        return SecurityGroupId::parse(text).ok().map(Peer::Group);
    }
    if text.starts_with("pl-") {
        return Some(Peer::PrefixList(text.to_owned()));
    }
    let (address, _) = text.split_once('/')?;
    Some(if address.contains(':') { Peer::Ipv6(text.to_owned()) } else { Peer::Ipv4(text.to_owned()) })
}

/// Reads `tcp 5432 from sg-1`, `all traffic to 0.0.0.0/0`, `udp 53..53 to pl-1` or `50 from ::/0`.
pub(crate) fn read(text: &str) -> Option<Rule> {
    let (direction, traffic, other) = match text.split_once(" from ") {
        Some((traffic, other)) => (Direction::Inbound, traffic, other),
        None => text.split_once(" to ").map(|(traffic, other)| (Direction::Outbound, traffic, other))?,
    };
    let traffic = match traffic.split_once(' ') {
        Some(("all", "traffic")) => Traffic::All,
        Some(("tcp", range)) => Traffic::Tcp(ports(range)?),
        Some((protocol, range)) => {
            let (from, to) = range.split_once("..")?;
            Traffic::Other { protocol: protocol.to_owned(), from: Some(from.parse().ok()?), to: Some(to.parse().ok()?) }
        }
        None if matches!(traffic, "tcp" | "all") => return None,
        None => Traffic::Other { protocol: traffic.to_owned(), from: None, to: None },
    };
    Some(Rule { direction, traffic, peer: peer(other)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_they_are_shown() {
        for text in [
            "tcp 5432 from sg-1",
            "tcp 5432-5440 to sg-1",
            "all traffic to 0.0.0.0/0",
            "all traffic from ::/0",
            "udp 53..53 to pl-1",
            "icmpv6 from 123456789012/sg-1",
        ] {
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        for text in ["", "tcp from sg-1", "tcp 0 from sg-1", "tcp 5432", "tcp 5432 from nowhere"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
