//! Who has an owned group that was not made for them.

use super::{conditions::Candidate, index::Index, left_over::is_ours};
use crate::{
    finding::{Finding, Reason, Subject},
    group::{Owned, Role},
    id::{InstanceId, SecurityGroupId},
    model::Instance,
    observation::{AttachedInterface, InterfaceOwner, Scope},
    service::Side,
};

/// The findings about those who have an owned group that was not made for them.
pub(crate) fn findings(index: &Index<'_>, owned: &Owned) -> Vec<Finding> {
    let id = owned.group.id();
    let attached = index.seen.attachments.by.found.iter().filter(|attached| attached.groups.contains(id));
    let interfaces = attached.filter_map(|attached| of_interface(index, owned, attached));
    let holders = instances(index, owned).chain(stores(index, owned));
    let holders = holders.map(|holder| Reason::ForeignAttachment { holder });
    let about = |reason| Finding { subject: Subject::Group(id.clone()), reason };
    interfaces.chain(holders).map(about).collect()
}

fn is_instance_side(owned: &Owned) -> bool {
    owned.role() == Role::Side(Side::Instance)
}

/// Whether an interface has a group because its instance's primary one has it: what follows that is no
/// business of anybody's.
// Fact 10.2
pub(crate) fn is_copy(index: &Index<'_>, attached: &AttachedInterface, group: &SecurityGroupId) -> bool {
    let InterfaceOwner::Instance { id, primary: false, .. } = &attached.owner else { return false };
    index.instance(id).is_some_and(|instance| instance.has_group(group))
}

/// Whether the primary interface of an instance that was not read, as in a smaller look, has a group.
fn has_it_on_primary(index: &Index<'_>, instance: &InstanceId, group: &SecurityGroupId) -> bool {
    index.seen.attachments.by.found.iter().any(|attached| match &attached.owner {
        InterfaceOwner::Instance { id, primary: true, .. } => id == instance && attached.groups.contains(group),
        InterfaceOwner::Instance { .. } | InterfaceOwner::Nobody { .. } | InterfaceOwner::Other { .. } => false,
    })
}

fn of_interface(index: &Index<'_>, owned: &Owned, attached: &AttachedInterface) -> Option<Reason> {
    let (interface, group) = (&attached.interface, owned.group.id());
    let holder = match (&attached.owner, is_instance_side(owned)) {
        // The store's own interfaces have its groups.
        (InterfaceOwner::Other { .. }, false) | (InterfaceOwner::Instance { primary: true, .. }, true) => return None,
        (InterfaceOwner::Instance { id, .. }, true)
            if is_copy(index, attached, group) || has_it_on_primary(index, id, group) =>
        {
            return None;
        }
        (InterfaceOwner::Instance { id, copies: true, .. }, true) => {
            return Some(Reason::CopyRemains { interface: interface.clone(), instance: id.clone() });
        }
        (InterfaceOwner::Other { description }, true) => format!("{interface} ({description})"),
        // Only a look at everything knows what tagwire attached there.
        (InterfaceOwner::Nobody { .. }, true)
            if index.seen.scope != Scope::Vpc || index.seen.state.is_err() || is_ours(index, attached, group) =>
        {
            return None;
        }
        (InterfaceOwner::Nobody { description }, _) => format!("{interface} of no instance ({description})"),
        (InterfaceOwner::Instance { id, .. }, _) => format!("{interface} of {id}"),
    };
    Some(Reason::ForeignAttachment { holder })
}

/// The instances that have a group which is none for instances, and those that a service manages: tagwire
/// never attached it there.
fn instances<'index>(index: &'index Index<'index>, owned: &'index Owned) -> impl Iterator<Item = String> {
    let asks = |instance: &Instance| {
        index.store(&owned.store).is_some_and(|store| !Candidate::of(store, instance).names.is_empty())
    };
    index.with_group(owned.group.id()).filter_map(move |instance| match (&instance.operator, is_instance_side(owned)) {
        (_, false) => Some(format!("instance {}", instance.id)),
        (Some(operator), true) if !asks(instance) => Some(format!("instance {} of {operator}", instance.id)),
        (Some(_) | None, true) => None,
    })
}

/// The data stores that have a group which is for instances. Of one that lets somebody in, the store itself is told.
fn stores<'index>(index: &'index Index<'index>, owned: &'index Owned) -> impl Iterator<Item = String> {
    let id = owned.group.id();
    let holders = index.stores_with(id).iter().filter(move |store| store.has_group(id) && is_instance_side(owned));
    holders.map(|store| store.arn.to_string())
}
