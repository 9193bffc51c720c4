//! The observation: everything that was read from AWS for one scope, when, and its gaps.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use crate::input::scope::Scope;
use crate::{
    cidr::PrefixList,
    group::{Identities, SecurityGroup},
    id::{InstanceId, InterfaceId, SecurityGroupId, StoreArn, StoreId, VpcId},
    model::{DataStore, Instance},
    state::{Attached, Note, Target, VpcState},
    tag::ConnectionName,
    untrusted::{Shown, Untrusted},
};

/// The resource that a finding or a gap is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A VPC.
    Vpc(VpcId),
    /// An instance.
    Instance(InstanceId),
    /// A data store.
    Store(StoreArn),
    /// A security group.
    Group(SecurityGroupId),
}

impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vpc(id) => id.fmt(out),
            Self::Instance(id) => id.fmt(out),
            Self::Store(arn) => arn.fmt(out),
            Self::Group(id) => id.fmt(out),
        }
    }
}

/// Something that could not be read. Absence is not evidence: whatever rests on it is not decided.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// The service: `rds`.
    pub service: Box<str>,
    /// The operation: `DescribeDBClusters`.
    pub operation: Box<str>,
    /// The purpose of the call, for people: `page 2`. Nothing reads it back.
    pub on: Box<str>,
    /// The VPC, if all that was not read is known to be in one.
    pub vpc: Option<VpcId>,
    /// The resources that were not read. Empty stands for everything that the call was for.
    pub resources: BTreeSet<Subject>,
    /// The answer: code, message, request id.
    pub message: Box<str>,
    /// Whether the same call may succeed later.
    pub passing: bool,
    /// Whether that may be within seconds, so that it is worth to ask again at once. A resource
    /// that is being created or changed passes too, but takes its time.
    pub soon: bool,
}

impl Gap {
    /// A gap that lasts, in everything that a call (`rds:DescribeDBClusters`) was made for.
    #[must_use]
    pub fn of(call: &str, on: impl Into<Box<str>>, message: impl Into<Box<str>>) -> Self {
        let (service, operation) = call.split_once(':').unwrap_or(("", call));
        Self {
            service: service.into(),
            operation: operation.into(),
            on: on.into(),
            vpc: None,
            resources: BTreeSet::new(),
            message: message.into(),
            passing: false,
            soon: false,
        }
    }

    /// The same gap, in nothing but these resources.
    #[must_use]
    pub fn about(mut self, resources: impl IntoIterator<Item = Subject>) -> Self {
        self.resources.extend(resources);
        self
    }

    /// The same gap, with whether it passes, and whether that may be within seconds.
    #[must_use]
    pub fn that_passes(self, passing: bool, soon: bool) -> Self {
        Self { passing, soon, ..self }
    }

    /// Whether something may have been missed because of it.
    #[must_use]
    pub fn hides(&self, subject: &Subject) -> bool {
        self.resources.is_empty() || self.resources.contains(subject)
    }

    /// The call, and what it was made for.
    #[must_use]
    pub fn reading(&self) -> String {
        let call = if self.service.is_empty() {
            self.operation.to_string()
        } else {
            format!("{}:{}", self.service, self.operation)
        };
        let others: Vec<String> = self
            .resources
            .iter()
            .map(ToString::to_string)
            .filter(|resource| !self.on.contains(resource.as_str()))
            .collect();
        let on = if self.on.is_empty() { String::new() } else { format!(" on {}", self.on) };
        let others = match others.as_slice() {
            [] => String::new(),
            [only] => format!(" for {only}"),
            [first, rest @ ..] => format!(" for {first} and {} more", rest.len()),
        };
        Shown(&format!("{call}{on}{others}")).to_string()
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.reading(), Shown(&self.message))
    }
}

/// The result of a read, with its gaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading<T> {
    /// Everything that was found.
    pub found: Vec<T>,
    /// Everything that could not be read.
    pub gaps: Vec<Gap>,
}

impl<T> Default for Reading<T> {
    fn default() -> Self {
        Self { found: Vec::new(), gaps: Vec::new() }
    }
}

impl<T> Reading<T> {
    /// A reading that saw everything there was to see.
    #[must_use]
    pub fn complete(found: Vec<T>) -> Self {
        Self { found, gaps: Vec::new() }
    }

    /// A reading that saw nothing at all.
    #[must_use]
    pub fn failed(gap: Gap) -> Self {
        Self { found: Vec::new(), gaps: vec![gap] }
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.gaps.is_empty()
    }

    /// The gap that something may have been missed by, the least of several.
    #[must_use]
    pub fn gap_in(&self, subject: &Subject) -> Option<&Gap> {
        self.gaps.iter().filter(|gap| gap.hides(subject)).min()
    }

    /// Adds another reading's findings and gaps.
    pub fn extend(&mut self, other: Self) {
        self.found.extend(other.found);
        self.gaps.extend(other.gaps);
    }
}

/// The answer of a data-store service about one ARN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreLookup {
    /// It is there.
    Found(Box<DataStore>),
    /// The service itself answered that there is none. Being absent from a list never makes one of these.
    NotFound(StoreArn),
}

impl StoreLookup {
    /// The ARN that was asked about.
    #[must_use]
    pub fn arn(&self) -> &StoreArn {
        match self {
            Self::Found(store) => &store.arn,
            Self::NotFound(arn) => arn,
        }
    }
}

/// The owner of an interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InterfaceOwner {
    /// An instance; at device index 0 it is the interface that gets groups from us.
    Instance {
        /// The instance.
        id: InstanceId,
        /// Whether it is at device index 0.
        primary: bool,
        /// Whether a network plugin of Kubernetes made it, which keeps copying the groups of the primary one
        /// onto it.
        // Fact 10.2
        copies: bool,
    },
    /// No instance any more, nor anything else: it may outlive its instance.
    // Fact 10.6
    Nobody {
        /// The interface's own description.
        description: Untrusted,
    },
    /// Something else: a data store, a function, a container, a load balancer.
    Other {
        /// The interface's own description.
        description: Untrusted,
    },
}

/// A network interface that has an owned group and is no instance's primary one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedInterface {
    /// The interface.
    pub interface: InterfaceId,
    /// The owner of the interface.
    pub owner: InterfaceOwner,
    /// Every group it has.
    pub groups: BTreeSet<SecurityGroupId>,
}

/// The interfaces that have some groups, beside the primary ones of the instances that were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachments {
    /// The groups that were asked about, here and among the instances. Of others nothing is known.
    pub of: BTreeSet<SecurityGroupId>,
    /// The other interfaces that have one of them.
    pub by: Reading<AttachedInterface>,
}

/// Everything the planner knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The VPC.
    pub vpc: VpcId,
    /// When the reading began.
    pub at: Timestamp,
    /// The scope that it was made for. A plan changes nothing outside.
    pub scope: Scope,
    /// Instances of the VPC.
    pub instances: Reading<Instance>,
    /// Data stores: those of the VPC, and those elsewhere that share a name with an instance here.
    pub stores: Reading<StoreLookup>,
    /// The names that the tag index lists for stores which could not be read: a hint, not their tags.
    pub listed: BTreeMap<StoreArn, BTreeSet<ConnectionName>>,
    /// The VPC's groups whose names fit a pattern of the service table, whoever made them, and its default
    /// group.
    pub groups: Reading<SecurityGroup>,
    /// Names that AWS refused as taken although no group of that name was read: names are unique
    /// without regard to case, and a filter by name is not.
    pub taken_names: BTreeSet<String>,
    /// Identities that no store has any more: their service listed all that it has.
    pub absent: BTreeSet<StoreId>,
    /// The interfaces that have owned groups that may have to be deleted.
    pub attachments: Attachments,
    /// The groups that the default or latest version of a launch template names; none when they
    /// were not asked for, because nothing is to be deleted.
    pub launch_templates: Option<Reading<SecurityGroupId>>,
    /// The prefix lists that tags or rules for CIDR clients name. One that is not among them does not
    /// exist, if there is no gap.
    pub prefix_lists: Reading<PrefixList>,
    /// The records of groups in the state table. Each group that was read carries its own. When they could not be
    /// read, no group is known to be tagwire's.
    pub identities: Result<Identities, Gap>,
    /// The state that earlier runs left in the state table.
    pub state: Result<VpcState, Gap>,
}

impl Observation {
    /// The stores that are there, by ARN. A member of a cluster or replication group is none: its whole has the
    /// list of groups and the connections of both.
    // Fact 4.2
    #[must_use]
    pub fn present_stores(&self) -> BTreeMap<&StoreArn, &DataStore> {
        self.found_stores().filter(|store| !store.is_member()).map(|store| (&store.arn, store)).collect()
    }

    /// The members of clusters and replication groups that were read because they carry the connect tag.
    pub fn members(&self) -> impl Iterator<Item = &DataStore> {
        self.found_stores().filter(|store| store.is_member())
    }

    fn found_stores(&self) -> impl Iterator<Item = &DataStore> {
        self.stores.found.iter().filter_map(|lookup| match lookup {
            StoreLookup::Found(store) => Some(store.as_ref()),
            StoreLookup::NotFound(_) => None,
        })
    }

    /// Whether nothing that could not be read hides a subject.
    #[must_use]
    pub fn knows(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Vpc(_) => self.gaps().next().is_none(),
            Subject::Instance(_) => self.instances.gap_in(subject).is_none(),
            Subject::Store(_) => self.stores.gap_in(subject).is_none(),
            Subject::Group(_) => self.groups.gap_in(subject).is_none(),
        }
    }

    /// The gap that may hide a store, whose ARN may be unknown.
    #[must_use]
    pub fn gap_in_store(&self, store: Option<&StoreArn>) -> Option<&Gap> {
        match store {
            Some(arn) => self.stores.gap_in(&Subject::Store(arn.clone())),
            None => self.stores.gaps.iter().min(),
        }
    }

    /// Whether no store that may be in this VPC is missing, whatever its name: one that was not read may have taken
    /// over any other one's groups.
    #[must_use]
    pub fn lacks_no_store(&self) -> bool {
        let found: BTreeSet<&StoreArn> = self.found_stores().map(|store| &store.arn).collect();
        let is_found = |resource: &Subject| match resource {
            Subject::Store(arn) => found.contains(arn),
            Subject::Vpc(_) | Subject::Instance(_) | Subject::Group(_) => false,
        };
        self.stores.gaps.iter().all(|gap| {
            let elsewhere = gap.vpc.as_ref().is_some_and(|vpc| *vpc != self.vpc);
            elsewhere || (!gap.resources.is_empty() && gap.resources.iter().all(is_found))
        })
    }

    /// Whether every store of this VPC that may hold a connection name was read. Of one that was not, the tag
    /// index is believed.
    #[must_use]
    pub fn knows_name(&self, name: &ConnectionName) -> bool {
        let has_it = |resource: &Subject| match resource {
            Subject::Store(arn) => self.listed.get(arn).is_none_or(|names| names.contains(name)),
            Subject::Vpc(_) | Subject::Instance(_) | Subject::Group(_) => true,
        };
        self.stores.gaps.iter().all(|gap| {
            let elsewhere = gap.vpc.as_ref().is_some_and(|vpc| *vpc != self.vpc);
            elsewhere || (!gap.resources.is_empty() && !gap.resources.iter().any(has_it))
        })
    }

    /// The interfaces other than instances' primary ones that have a group; none when it is not known
    /// for certain who has it, instances included.
    #[must_use]
    pub fn other_attached(&self, group: &SecurityGroupId) -> Option<impl Iterator<Item = &AttachedInterface>> {
        let known =
            self.attachments.of.contains(group) && self.attachments.by.is_complete() && self.instances.is_complete();
        let group = group.clone();
        known.then(|| self.attachments.by.found.iter().filter(move |attached| attached.groups.contains(&group)))
    }

    /// Whether a person asked for tagwire to be gone from the VPC. When it cannot be read whether, nobody did.
    #[must_use]
    pub fn is_uninstalling(&self) -> bool {
        self.state.as_ref().ok().is_some_and(|state| state.uninstalling.is_some())
    }

    /// The note to be written when a group has been added to a list.
    #[must_use]
    pub fn attached(&self, target: Target, group: SecurityGroupId) -> Note {
        let connect = match &target {
            Target::Interface(id) => {
                let has =
                    |instance: &&Instance| instance.interface.as_ref().is_some_and(|interface| interface.id == *id);
                self.instances.found.iter().find(has).map(|instance| &instance.settings.connect)
            }
            Target::Store(id) => {
                let stores = self.present_stores();
                stores.into_values().find(|store| store.id == *id).map(|store| &store.settings.connect)
            }
        };
        let tag = connect.map(Attached::tag_of).unwrap_or_default();
        let before = self.state.as_ref().ok().and_then(|state| state.attached.get(&(target.clone(), group.clone())));
        let attached = Attached::after(before, tag, self.at);
        Note::Attached(target, group, Some(attached))
    }

    /// Everything that could not be read.
    pub fn gaps(&self) -> impl Iterator<Item = &Gap> {
        let templates = self.launch_templates.iter().flat_map(|reading| &reading.gaps);
        let state = self.state.as_ref().err().into_iter().chain(self.identities.as_ref().err());
        let read = self.instances.gaps.iter().chain(&self.stores.gaps).chain(&self.groups.gaps);
        read.chain(&self.attachments.by.gaps).chain(&self.prefix_lists.gaps).chain(templates).chain(state)
    }
}
