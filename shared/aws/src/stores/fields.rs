//! The parts of descriptions that have the same form at every service.

use std::collections::{BTreeMap, BTreeSet};

use tagwire_core::{
    group::GroupList,
    id::{SecurityGroupId, ZoneName},
    model::Membership,
    rule::PortRange,
};

use crate::call::{Unusable, required};

pub(crate) fn group_ids(list: &GroupList) -> Vec<String> {
    list.iter().map(|group| group.as_str().to_owned()).collect()
}

/// A store's state. One that AWS does not say is none that anything is known of, which may pass.
pub(crate) fn state(said: Option<&str>) -> String {
    said.filter(|state| !state.is_empty()).unwrap_or("not shown").to_owned()
}

/// The range of all ports of a store's endpoints. A store that is still being created shows
/// no port, or port 0.
pub(crate) fn ports(ports: impl IntoIterator<Item = i32>) -> Result<Option<PortRange>, Unusable> {
    let port = |port: i32| u16::try_from(port).map_err(|_| Unusable::lasting(format!("{port} is not a port")));
    let ports: Vec<u16> = ports.into_iter().filter(|port| *port != 0).map(port).collect::<Result<_, _>>()?;
    let ends = ports.iter().min().zip(ports.iter().max());
    Ok(ends.and_then(|(first, last)| PortRange::new(*first, *last)))
}

pub(crate) fn zones<'zone>(names: impl Iterator<Item = &'zone str>) -> Result<BTreeSet<ZoneName>, Unusable> {
    names.filter(|name| !name.is_empty()).map(|name| Ok(ZoneName::parse(name)?)).collect()
}

/// A store's list of groups, from ids and states.
pub(crate) fn memberships<'raw>(
    raw: impl Iterator<Item = (Option<&'raw str>, Option<&'raw str>)>,
) -> Result<BTreeMap<SecurityGroupId, Membership>, Unusable> {
    raw.map(|(id, status)| {
        let id = SecurityGroupId::parse(required(id, "the id of a security group")?)?;
        Ok((id, membership(status)))
    })
    .collect()
}

/// AWS documents only `active`; the other two are seen. A word that nobody knows is taken for
/// `adding`: the group then counts as there, but nothing is written while it stays so, and a word
/// for being taken away can at worst delay a change, never make one of a list that is not real.
// Fact 4.1
fn membership(status: Option<&str>) -> Membership {
    match status.map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "active") => Membership::Active,
        Some("removing") => Membership::Removing,
        Some(_) => Membership::Adding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removing_is_never_taken_for_active_and_a_new_word_stops_writing() {
        let groups =
            [("sg-1", "active"), ("sg-2", "adding"), ("sg-3", "removing"), ("sg-4", "Removing"), ("sg-5", "resyncing")];
        let read = memberships(groups.into_iter().map(|(id, status)| (Some(id), Some(status)))).unwrap();
        assert_eq!(
            read.into_values().collect::<Vec<_>>(),
            [Membership::Active, Membership::Adding, Membership::Removing, Membership::Removing, Membership::Adding]
        );
        let silent = memberships([(Some("sg-1"), None)].into_iter()).unwrap();
        assert_eq!(silent.into_values().collect::<Vec<_>>(), [Membership::Active]);
        assert!(memberships([(Some("default"), None)].into_iter()).is_err());
        assert!(memberships([(None, Some("active"))].into_iter()).is_err());
    }

    #[test]
    fn all_ports_of_a_store_are_one_range() {
        assert_eq!(ports([6380, 6379]).unwrap(), PortRange::new(6379, 6380));
        assert_eq!(ports(Some(5439)).unwrap(), PortRange::single(5439));
        assert_eq!(ports([0, 6379]).unwrap(), PortRange::single(6379));
        assert_eq!(ports(None).unwrap(), None);
        assert_eq!(ports([6379, 70_000]), Err(Unusable::lasting("70000 is not a port")));
    }
}
