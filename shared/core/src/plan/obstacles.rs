//! Why a connection is not made. Nothing here takes one away: an instance that is connected never
//! comes here. In which order it is asked: [`super::conditions`].

use std::collections::BTreeSet;

use super::{GroupRef, index::Index, pair::PairState};
use crate::{
    finding::{Finding, Reason, Subject},
    group::{Owned, Ownership, SecurityGroup, TagState, Unproven},
    id::{SecurityGroupId, VpcId},
    model::{DataStore, Form, Instance, Membership, Network},
    observation::{Observation, Scope, StoreLookup},
    service::{Readiness, Side},
    state::{Attached, Note, Target},
    tag::{ConnectTag, ConnectionName, TagSettings},
};

/// Something that would have to be attached to a list, and that others took off it too often.
pub(crate) struct Contest<'index> {
    pub(crate) subject: Subject,
    target: Target,
    pub(crate) group: SecurityGroupId,
    pub(crate) attached: &'index Attached,
}

impl Contest<'_> {
    pub(crate) fn reason(&self) -> Reason {
        Reason::Contested { group: self.group.clone() }
    }

    /// The note that keeps it so until the tag of the list's owner changes, unless it is written already.
    pub(crate) fn note(&self) -> Option<Note> {
        let attached = Attached { contested: true, ..self.attached.clone() };
        let note = Note::Attached(self.target.clone(), self.group.clone(), Some(attached));
        (!self.attached.contested).then_some(note)
    }
}

/// The group that would have to be attached for a connection and was taken off too often.
pub(crate) fn contest<'index>(
    index: &Index<'index>,
    pair_state: &PairState<'_>,
    instance: &Instance,
) -> Option<Contest<'index>> {
    let store = pair_state.store;
    let of_store = (!pair_state.store_has_group())
        .then(|| (Side::Store, Target::Store(store.id.clone()), &store.settings, Subject::Store(store.arn.clone())));
    let of_instance =
        instance.interface.as_ref().filter(|_| !pair_state.instance_has_group(instance)).map(|interface| {
            let target = Target::Interface(interface.id.clone());
            (Side::Instance, target, &instance.settings, Subject::Instance(instance.id.clone()))
        });
    of_store.into_iter().chain(of_instance).find_map(|(side, target, settings, subject)| {
        match pair_state.group_ref(side) {
            GroupRef::Existing(group) => contest_of_list(index, &group, target, &settings.connect, subject),
            GroupRef::Planned(..) => None,
        }
    })
}

/// A group that was taken off a store's list too often.
pub(crate) fn contest_at_store<'index>(
    index: &Index<'index>,
    group: &SecurityGroupId,
    store: &DataStore,
) -> Option<Contest<'index>> {
    let (target, subject) = (Target::Store(store.id.clone()), Subject::Store(store.arn.clone()));
    contest_of_list(index, group, target, &store.settings.connect, subject)
}

/// Whether a group was taken off a list too often, whose owner's connect tag is this one.
fn contest_of_list<'index>(
    index: &Index<'index>,
    group: &SecurityGroupId,
    target: Target,
    connect: &ConnectTag,
    subject: Subject,
) -> Option<Contest<'index>> {
    let state = index.seen.state.as_ref().ok()?;
    let attached = state.attached.get(&(target.clone(), group.clone()))?;
    let contested = attached.is_contested(&Attached::tag_of(connect), index.seen.at);
    contested.then(|| Contest { subject, target, group: group.clone(), attached })
}

/// Why the list of groups of an instance's interface cannot be changed by anybody here.
// Fact 10.1
pub(crate) fn managed(instance: &Instance) -> Option<Reason> {
    instance.operator.clone().map(|operator| Reason::ManagedInstance { operator })
}

/// Why nothing new is let into a store, whatever its tags say.
pub(crate) fn by_nature(store: &DataStore) -> Option<Reason> {
    by_network(store).or_else(|| by_form(store)).or_else(|| by_state(store)).or_else(|| by_description(store))
}

pub(crate) fn by_form(store: &DataStore) -> Option<Reason> {
    match &store.form {
        Form::Plain => None,
        Form::ServerlessV1 => Some(Reason::ServerlessV1),
        Form::GlobalMember { global } => Some(Reason::GlobalDatabase { global: global.clone() }),
        Form::ClusterMember { cluster } => Some(Reason::ClusterMember { cluster: cluster.clone() }),
    }
}

/// The VPC in which a store is looked at.
///
/// # Errors
/// Why none is known.
pub fn vpc_of(store: &DataStore) -> Result<&VpcId, Reason> {
    Err(match &store.network {
        Network::Vpc(vpc) => return Ok(vpc),
        Network::NotShown => not_shown(store, |state| Reason::NetworkNotShown { state }),
        Network::VpcNetworkingOff => Reason::NoVpcNetworking { cluster: store.arn.name().into() },
        Network::PublicEndpoint => Reason::PublicEndpoint,
        Network::Classic => Reason::Ec2Classic,
    })
}

/// Why no security group can connect it where it is. What AWS does not show is left to [`by_description`].
pub(crate) fn by_network(store: &DataStore) -> Option<Reason> {
    vpc_of(store).err().filter(|_| store.network != Network::NotShown)
}

pub(crate) fn by_state(store: &DataStore) -> Option<Reason> {
    (store.readiness() == Readiness::Never).then(|| not_available(store))
}

/// What a pair has to know of a store and AWS does not show.
pub(crate) fn by_description(store: &DataStore) -> Option<Reason> {
    let no_network = || vpc_of(store).err().filter(|_| store.network == Network::NotShown);
    let no_port = || store.ports.is_none().then(|| not_shown(store, |state| Reason::NoEndpoint { state }));
    // A list that shows nobody's groups may not be all of it, and a change would replace what is not shown.
    let no_groups = || store.groups.is_empty().then(|| not_shown(store, |state| Reason::GroupsNotShown { state }));
    no_network().or_else(no_port).or_else(no_groups)
}

/// The reason for something that AWS does not show. Of a store that is being created it is on its way.
// Fact 4.2
fn not_shown(store: &DataStore, otherwise: impl FnOnce(String) -> Reason) -> Reason {
    match store.readiness() {
        Readiness::Later | Readiness::Never => not_available(store),
        Readiness::Ready => otherwise(store.state.clone()),
    }
}

/// The reason for which a store that is not available has to be waited for.
pub(crate) fn not_available(store: &DataStore) -> Reason {
    Reason::NotAvailable { state: store.state.clone(), passing: store.readiness() != Readiness::Never }
}

/// Why the store side cannot be attached right now; none when it can, or is attached already.
pub(crate) fn store_attachment_waits(pair_state: &PairState<'_>) -> Option<Reason> {
    if pair_state.store_has_group() { None } else { list_waits(pair_state.store) }
}

/// Why a store's list of groups cannot be changed right now; none when it can.
pub(crate) fn list_waits(store: &DataStore) -> Option<Reason> {
    if store.list_is_changing() {
        let adding = store.groups.iter().filter(|(_, membership)| **membership == Membership::Adding);
        Some(Reason::ListChanging { groups: adding.map(|(group, _)| group.clone()).collect() })
    } else if store.readiness() == Readiness::Ready {
        None
    } else {
        Some(not_available(store))
    }
}

/// The finding for an instance in another zone than its store.
pub(crate) fn cross_zone(instance: &Instance, store: &DataStore) -> Option<Finding> {
    let zone = instance.zone.as_ref()?;
    let store_zones = &store.zones;
    (!store_zones.is_empty() && !store_zones.contains(zone)).then(|| Finding {
        subject: Subject::Instance(instance.id.clone()),
        reason: Reason::CrossAz { instance_zone: zone.clone(), store_zones: store_zones.clone() },
    })
}

/// The findings about the resources themselves: tags that cannot be read, names that nothing
/// shares, forged groups, gaps.
pub(crate) fn findings(index: &Index<'_>) -> Vec<Finding> {
    let seen = index.seen;
    let mut findings: Vec<Finding> = seen
        .gaps()
        .map(|gap| Finding { subject: Subject::Vpc(seen.vpc.clone()), reason: Reason::unread(gap) })
        .collect();

    // In a whole VPC it is a stale entry of the tag index, which is nothing to speak of.
    if seen.scope != Scope::Vpc {
        findings.extend(seen.stores.found.iter().filter_map(|lookup| match lookup {
            StoreLookup::NotFound(arn) if seen.scope.has_store(arn) => {
                Some(Finding { subject: Subject::Store(arn.clone()), reason: Reason::StoreGone })
            }
            StoreLookup::Found(_) | StoreLookup::NotFound(_) => None,
        }));
    }
    findings.extend(seen.members().filter_map(|member| misplaced(index, member)));
    for (id, ownership) in index.ownership() {
        let reason = match ownership {
            Ownership::Forged(forgery) => Reason::OwnershipForged { forgery: *forgery },
            // The gap says for itself that nothing could be proven.
            Ownership::Unproven(_) if seen.identities.is_err() => continue,
            Ownership::Unproven(unproven) => unproven_because(unproven),
            Ownership::Owned(owned) if owned.tags != TagState::Agree => conflict(owned),
            Ownership::Foreign | Ownership::Owned(_) => continue,
        };
        findings.push(Finding { subject: Subject::Group(id.clone()), reason });
    }
    for instance in seen.instances.found.iter().filter(|instance| seen.scope.has_instance(&instance.id)) {
        let reasons = if instance.interface.is_none() {
            vec![Reason::InstanceGone]
        } else {
            unmatched(index, &instance.settings)
        };
        findings.extend(
            reasons.into_iter().map(|reason| Finding { subject: Subject::Instance(instance.id.clone()), reason }),
        );
    }
    for (_, store) in index.stores_here().filter(|(_, store)| seen.scope.has_store(&store.arn)) {
        let mut reasons = invalid(&store.settings);
        reasons.extend(default_group(index, store));
        if seen.instances.is_complete() && index.sharing(store).is_empty() {
            reasons.extend(no_match(store.settings.connect.names().cloned().collect(), &store.settings));
        }
        findings
            .extend(reasons.into_iter().map(|reason| Finding { subject: Subject::Store(store.arn.clone()), reason }));
    }
    findings
}

/// The default group of the VPC on a store that takes part: AWS puts it there when nobody names a group.
// Fact 9.2
fn default_group(index: &Index<'_>, store: &DataStore) -> Option<Reason> {
    let takes_part = store.settings.connect != ConnectTag::Absent;
    let mut attached = store.groups.keys().filter(|group| store.has_group(group));
    let is_default = |group: &&SecurityGroupId| index.group(group).is_some_and(SecurityGroup::is_default);
    let group = attached.find(is_default).filter(|_| takes_part)?;
    Some(Reason::DefaultGroupAttached { group: group.clone() })
}

/// The finding about a member whose tag holds a name that its whole does not: nothing is connected by it.
// Fact 3.5
fn misplaced(index: &Index<'_>, member: &DataStore) -> Option<Finding> {
    let Form::ClusterMember { cluster } = &member.form else { return None };
    let mut names = member.settings.connect.names();
    let in_scope = index.seen.scope.has_store(&member.arn)
        || index.sharing(member).iter().any(|instance| index.seen.scope.has_instance(&instance.id));
    let whole = index.stores().find(|store| member.is_member_of(&store.arn));
    let lacks_one = match whole {
        Some(whole) => names.any(|name| !whole.settings.connect.names().any(|other| other == name)),
        // Where something was not read, it may be the whole.
        None => names.next().is_some() && index.seen.stores.is_complete(),
    };
    let reason = Reason::ClusterMember { cluster: cluster.clone() };
    (in_scope && lacks_one).then(|| Finding { subject: Subject::Store(member.arn.clone()), reason })
}

/// Why a group that looks like ours is not taken for ours.
pub(crate) fn unproven_because(unproven: &Unproven) -> Reason {
    if unproven.tagged { Reason::IdentityUnproven { doubt: unproven.doubt } } else { Reason::OwnershipLost }
}

/// That the tags of an owned group say something else than what is proven of it.
pub(crate) fn conflict(owned: &Owned) -> Reason {
    Reason::IdentityConflict {
        group: owned.group.id().clone(),
        store: owned.store.clone(),
        unmarked: owned.is_unmarked(),
    }
}

/// Why it is not known what belongs to whom: a group or the record of one may have been missed.
pub(crate) fn groups_unread(seen: &Observation) -> Option<Reason> {
    seen.groups.gaps.iter().min().or(seen.identities.as_ref().err()).map(Reason::unread)
}

fn invalid(settings: &TagSettings) -> Vec<Reason> {
    match &settings.connect {
        ConnectTag::Invalid(problem) => vec![Reason::InvalidTag { problem: problem.clone() }],
        ConnectTag::Absent | ConnectTag::Names(_) => Vec::new(),
    }
}

fn no_match(names: BTreeSet<ConnectionName>, settings: &TagSettings) -> Option<Reason> {
    matches!(settings.connect, ConnectTag::Names(_)).then_some(Reason::NoMatch { names })
}

/// The reasons about an instance's names that no store of its VPC has.
fn unmatched(index: &Index<'_>, settings: &TagSettings) -> Vec<Reason> {
    let mut reasons = invalid(settings);
    let mut nowhere = BTreeSet::new();
    let names: BTreeSet<&ConnectionName> = settings.connect.names().collect();
    for name in &names {
        let stores = index.stores_named(name);
        if stores.iter().any(|store| store.vpc().is_none_or(|vpc| *vpc == index.seen.vpc)) {
            continue;
        }
        let elsewhere = stores.iter().find_map(|store| Some((store, store.vpc().cloned()?)));
        match elsewhere {
            // A resource that was not read may well be a store of this VPC, so no absence is reported.
            _ if !index.seen.knows_name(name) => {}
            Some((store, vpc)) => {
                reasons.push(Reason::DifferentVpc { name: (*name).clone(), store: store.arn.clone(), vpc });
            }
            None => {
                nowhere.insert((*name).clone());
            }
        }
    }
    if !nowhere.is_empty() || names.is_empty() {
        reasons.extend(no_match(nowhere, settings));
    }
    reasons
}
