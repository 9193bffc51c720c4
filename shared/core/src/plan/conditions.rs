//! The conditions of a connection, in the order in which they are looked at. The planner
//! decides by the first that does not hold, and an explanation walks all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Serialize;

use super::{
    index::Index,
    obstacles,
    pair::{PairState, PairStates},
};
use crate::{
    finding::Reason,
    id::{SecurityGroupId, StoreId, VpcId},
    model::{DataStore, Instance},
    service::Side,
    tag::{ConnectTag, ConnectionName, InvalidTag},
};

/// An instance and a store, and the names that both hold.
#[derive(Debug, Clone)]
pub(crate) struct Candidate<'seen> {
    pub(crate) store: &'seen DataStore,
    pub(crate) instance: &'seen Instance,
    pub(crate) names: BTreeSet<ConnectionName>,
}

impl<'seen> Candidate<'seen> {
    pub(crate) fn of(store: &'seen DataStore, instance: &'seen Instance) -> Self {
        Self { store, instance, names: store.settings.connect.shared_with(&instance.settings.connect) }
    }
}

/// A condition for deciding anything about an instance and a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Premise {
    /// They are in the same VPC. A store of which no VPC is known is not passed over, but refused by name.
    SameVpc,
    /// The instance carries a connect tag that can be read.
    InstanceTag,
    /// So does the store.
    StoreTag,
    /// One name is in both.
    SharedName,
    /// The scope names one of the two.
    InScope,
}

/// Why a premise does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unmet {
    /// The store is in another VPC.
    OtherVpc(VpcId),
    /// There is no connect tag.
    NoTag,
    /// It cannot be read.
    InvalidTag(InvalidTag),
    /// The tags share no name.
    NoSharedName,
    /// The scope names neither.
    OutsideScope,
}

impl Unmet {
    /// The stable code, which is that of the reason that says the same of one of the two alone.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::OtherVpc(_) => "different-vpc",
            Self::NoTag => "not-opted-in",
            Self::InvalidTag(_) => "invalid-tag",
            Self::NoSharedName => "no-match",
            Self::OutsideScope => "outside-scope",
        }
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherVpc(vpc) => write!(out, "the data store is in {vpc}, and a pair cannot cross VPCs"),
            Self::NoTag => out.write_str("it does not carry the connect tag, so it takes no part"),
            Self::InvalidTag(problem) => write!(out, "{}", Reason::InvalidTag { problem: problem.clone() }),
            Self::NoSharedName => out.write_str("no name is in both connect tags"),
            Self::OutsideScope => out.write_str("the observation was made for neither of the two"),
        }
    }
}

impl Premise {
    /// Every premise, in the order in which they are looked at.
    pub const ALL: [Self; 5] = [Self::SameVpc, Self::InstanceTag, Self::StoreTag, Self::SharedName, Self::InScope];

    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::SameVpc => "same-vpc",
            Self::InstanceTag => "instance-tag",
            Self::StoreTag => "store-tag",
            Self::SharedName => "shared-name",
            Self::InScope => "in-scope",
        }
    }

    /// The question that it answers.
    #[must_use]
    pub fn question(self) -> &'static str {
        match self {
            Self::SameVpc => "Are the two in the same VPC?",
            Self::InstanceTag => "Does the instance carry a connect tag that can be read?",
            Self::StoreTag => "Does the data store carry a connect tag that can be read?",
            Self::SharedName => "Is a name in both connect tags?",
            Self::InScope => "Was the observation made for one of the two?",
        }
    }

    pub(crate) fn check(self, index: &Index<'_>, candidate: &Candidate<'_>) -> Result<(), Unmet> {
        let Candidate { store, instance, names } = candidate;
        match self {
            Self::SameVpc => match store.vpc() {
                Some(vpc) if *vpc != index.seen.vpc => Err(Unmet::OtherVpc(vpc.clone())),
                Some(_) | None => Ok(()),
            },
            Self::InstanceTag => is_readable(&instance.settings.connect),
            Self::StoreTag => is_readable(&store.settings.connect),
            Self::SharedName if names.is_empty() => Err(Unmet::NoSharedName),
            Self::SharedName => Ok(()),
            Self::InScope => {
                let scope = &index.seen.scope;
                let named = scope.has_store(&store.arn) || scope.has_instance(&instance.id);
                if named { Ok(()) } else { Err(Unmet::OutsideScope) }
            }
        }
    }
}

/// Whether a connect tag is there and can be read.
pub(crate) fn is_readable(connect: &ConnectTag) -> Result<(), Unmet> {
    match connect {
        ConnectTag::Names(_) => Ok(()),
        ConnectTag::Absent => Err(Unmet::NoTag),
        ConnectTag::Invalid(problem) => Err(Unmet::InvalidTag(problem.clone())),
    }
}

/// A condition for connecting an instance and a store that are not connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Tagwire is not to be gone from the VPC.
    NotUninstalling,
    /// The instance has an interface.
    InstanceThere,
    /// No service manages the instance, whose interfaces then only that service may change.
    InstanceNotManaged,
    /// The instance is neither blocked nor isolated.
    InstanceNotBlocked,
    /// The instance is not on hold.
    InstanceNotHeld,
    /// The store is in a network that has security groups.
    StoreInVpc,
    /// The store is of a kind that can be connected.
    StoreKind,
    /// The store is not blocked.
    StoreNotBlocked,
    /// The store is not on hold.
    StoreNotHeld,
    /// The store is not on its way out.
    StoreState,
    /// AWS shows the store's VPC, a port and its groups.
    StoreShown,
    /// Every group of the VPC was read.
    GroupsRead,
    /// A pair of the store serves, or can be made.
    OnePair,
    /// The store's list has room for its side of the pair.
    StorePlace,
    /// Nobody else keeps taking what has to be attached off.
    NotContested,
    /// The security group that it gets leads to no other store as well.
    OpensNoOther,
    /// The interface's list has room for its side of the pair.
    InterfacePlace,
    /// The store's list can be changed now, if it has to be.
    StoreListOpen,
}

/// The circumstances of one instance and one store: what the conditions are asked of.
#[derive(Clone, Copy)]
pub(crate) struct Situation<'index> {
    pub(crate) index: &'index Index<'index>,
    pub(crate) pair_state: &'index PairState<'index>,
    pub(crate) instance: &'index Instance,
    pub(crate) places: Places,
}

/// How full the two lists are when it is the turn of one instance and one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Places {
    /// How many groups leave the store's list.
    pub(crate) leaving_store: usize,
    /// How many groups the interface has, those that are on their way off left out and those that others
    /// of the same plan put there counted.
    pub(crate) on_interface: usize,
}

impl Situation<'_> {
    /// The first condition that does not hold, and why.
    pub(crate) fn first_unmet(&self) -> Option<(Condition, Reason)> {
        Condition::ALL.into_iter().find_map(|condition| Some((condition, condition.check(self).err()?)))
    }
}

impl Condition {
    /// Every condition, in the order in which they are looked at.
    pub const ALL: [Self; 18] = [
        Self::NotUninstalling,
        Self::InstanceThere,
        Self::InstanceNotManaged,
        Self::InstanceNotBlocked,
        Self::InstanceNotHeld,
        Self::StoreInVpc,
        Self::StoreKind,
        Self::StoreNotBlocked,
        Self::StoreNotHeld,
        Self::StoreState,
        Self::StoreShown,
        Self::GroupsRead,
        Self::OnePair,
        Self::StorePlace,
        Self::NotContested,
        Self::OpensNoOther,
        Self::InterfacePlace,
        Self::StoreListOpen,
    ];

    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotUninstalling => "not-uninstalling",
            Self::InstanceThere => "instance-there",
            Self::InstanceNotManaged => "instance-not-managed",
            Self::InstanceNotBlocked => "instance-not-blocked",
            Self::InstanceNotHeld => "instance-not-held",
            Self::StoreInVpc => "store-in-vpc",
            Self::StoreKind => "store-kind",
            Self::StoreNotBlocked => "store-not-blocked",
            Self::StoreNotHeld => "store-not-held",
            Self::StoreState => "store-state",
            Self::StoreShown => "store-shown",
            Self::GroupsRead => "groups-read",
            Self::OnePair => "one-pair",
            Self::StorePlace => "store-place",
            Self::NotContested => "not-contested",
            Self::OpensNoOther => "opens-no-other",
            Self::InterfacePlace => "interface-place",
            Self::StoreListOpen => "store-list-open",
        }
    }

    /// The question that it answers.
    #[must_use]
    pub fn question(self) -> &'static str {
        match self {
            Self::NotUninstalling => "Is tagwire not being uninstalled?",
            Self::InstanceThere => "Is the instance there, with a network interface?",
            Self::InstanceNotManaged => "Is the instance managed by no service of AWS?",
            Self::InstanceNotBlocked => "Is the instance neither blocked nor isolated?",
            Self::InstanceNotHeld => "Is the instance not on hold?",
            Self::StoreInVpc => "Is the data store in a network that has security groups?",
            Self::StoreKind => "Is the data store of a kind that can be connected?",
            Self::StoreNotBlocked => "Is the data store not blocked?",
            Self::StoreNotHeld => "Is the data store not on hold?",
            Self::StoreState => "Is the data store neither being deleted nor failed?",
            Self::StoreShown => {
                "Does AWS show the data store's VPC, a port that it listens on, and its security groups?"
            }
            Self::GroupsRead => "Was every security group of the VPC read?",
            Self::OnePair => "Does one pair serve the data store, or can one be made?",
            Self::StorePlace => "Is there room in the data store's list of security groups?",
            Self::NotContested => "Does nobody else keep taking these security groups off?",
            Self::OpensNoOther => "Does no other data store's security group let its instances in?",
            Self::InterfacePlace => "Is there room in the network interface's list of security groups?",
            Self::StoreListOpen => "Can the data store's list be changed now, if it has to be?",
        }
    }

    /// Whether there is no connection as long as it does not hold. Otherwise all is done that can be, and
    /// one call waits.
    #[must_use]
    pub fn refuses(self) -> bool {
        self != Self::StoreListOpen
    }

    /// Whether what it refuses for is on its way by itself, so that the connection is waited for.
    pub(crate) fn is_waited_for(self, reason: &Reason) -> bool {
        self == Self::StoreShown && reason.passes()
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// The reason why not.
    pub(crate) fn check(self, situation: &Situation<'_>) -> Result<(), Reason> {
        let Situation { index, pair_state, instance, places } = situation;
        let store = pair_state.store;
        let reason = match self {
            Self::NotUninstalling => index.seen.is_uninstalling().then_some(Reason::Uninstalling),
            Self::InstanceThere => instance.interface.is_none().then_some(Reason::InstanceGone),
            Self::InstanceNotManaged => obstacles::managed(instance),
            Self::InstanceNotBlocked => index.is_blocked(instance).then_some(Reason::Blocked),
            Self::InstanceNotHeld => instance.settings.held.then_some(Reason::Held),
            Self::StoreInVpc => obstacles::by_network(store),
            Self::StoreKind => obstacles::by_form(store),
            Self::StoreNotBlocked => store.settings.blocked.then_some(Reason::Blocked),
            Self::StoreNotHeld => store.settings.held.then_some(Reason::Held),
            Self::StoreState => obstacles::by_state(store),
            Self::StoreShown => obstacles::by_description(store),
            // Without every group of the VPC and its record a pair of this store may be there unseen, and its name taken.
            Self::GroupsRead => obstacles::groups_unread(index.seen),
            Self::OnePair => pair_state.obstacle(),
            Self::StorePlace => {
                let limit = store.service.row().store_group_limit;
                let staying = store.lasting_groups().count().saturating_sub(places.leaving_store);
                (!pair_state.store_has_group() && staying >= limit).then_some(Reason::StoreGroupLimit { limit })
            }
            Self::NotContested => obstacles::contest(index, pair_state, instance).map(|contest| contest.reason()),
            Self::OpensNoOther => opens_other(index, pair_state, instance),
            Self::InterfacePlace => {
                let limit = index.policy.interface_group_limit;
                let full = !pair_state.instance_has_group(instance) && places.on_interface >= limit;
                let interface = instance.interface.as_ref().filter(|_| full);
                interface.map(|interface| Reason::InterfaceGroupLimit { interface: interface.id.clone(), limit })
            }
            Self::StoreListOpen => obstacles::store_attachment_waits(pair_state),
        };
        reason.map_or(Ok(()), Err)
    }
}

/// A rule too many of another store's own group, which lets in whoever gets this store's instance side. It is
/// put back in a plan that has to do with that store; until then nobody new gets the side.
fn opens_other(index: &Index<'_>, pair_state: &PairState<'_>, instance: &Instance) -> Option<Reason> {
    let group = pair_state.instance_side().filter(|_| !pair_state.instance_has_group(instance))?;
    let by = index.let_in_by(group).find(|by| !is_put_back(index, by))?;
    Some(Reason::LetInElsewhere { group: group.clone(), by: by.clone() })
}

fn is_put_back(index: &Index<'_>, group: &SecurityGroupId) -> bool {
    let store = index.store_of(group).and_then(|store| index.store(store));
    let here = store.filter(|store| store.is_in(&index.seen.vpc));
    here.is_some_and(|store| {
        let pair_state = PairState::of(index, store);
        let serves = pair_state.serving(Side::Store).is_some_and(|owned| owned.group.id() == group);
        serves && !store.settings.held && store.ports.is_some() && index.takes_in(&pair_state)
    })
}

impl<'seen> Index<'seen> {
    /// The candidates for a connection: instances and stores for which every premise holds, in the order of the
    /// stores' ids and the instances'.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = Candidate<'seen>> {
        let all = self
            .stores()
            .flat_map(|store| self.sharing(store).iter().map(move |instance| Candidate::of(store, instance)));
        all.filter(|candidate| Premise::ALL.into_iter().all(|premise| premise.check(self, candidate).is_ok()))
    }

    /// The same for one instance.
    pub(crate) fn candidates_of<'this>(
        &'this self,
        instance: &'this Instance,
    ) -> impl Iterator<Item = Candidate<'this>> {
        let stores = instance.settings.connect.names().flat_map(|name| self.stores_named(name));
        let stores: BTreeMap<&StoreId, &DataStore> = stores.map(|store| (&store.id, *store)).collect();
        let all = stores.into_values().map(move |store| Candidate::of(store, instance));
        all.filter(|candidate| Premise::ALL.into_iter().all(|premise| premise.check(self, candidate).is_ok()))
    }
}

/// Whether it gets one if room is made on whatever store.
pub(crate) fn may_gain(index: &Index<'_>, pair_states: &PairStates<'_>, instance: &Instance) -> bool {
    let roomy = Places { leaving_store: usize::MAX, on_interface: 0 };
    index.candidates_of(instance).any(|candidate| gets_group(index, pair_states, &candidate, roomy))
}

/// Whether it gets a group of a candidate's pair where that many places are taken.
pub(crate) fn gets_group(
    index: &Index<'_>,
    pair_states: &PairStates<'_>,
    candidate: &Candidate<'_>,
    places: Places,
) -> bool {
    let instance = candidate.instance;
    pair_states.get(&candidate.store.id).is_some_and(|pair_state| {
        let unmet = || Situation { index, pair_state, instance, places }.first_unmet();
        !pair_state.instance_has_group(instance)
            && pair_state.connection(instance, |_| false).is_none()
            && unmet().is_none_or(|(condition, _)| !condition.refuses())
    })
}
