//! The plan: what turns an observation into what the tags ask for.
//!
//! [`plan`] is a pure function; all judgement is in it and in the tables it follows
//! ([`StoreRow`], [`PairRow`]). Nothing is left to choose when a plan is carried out.

mod pair;
mod refuse;
mod rows;
mod show;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use self::rows::{PairRow, StoreRow};
use self::{
    pair::{Standing, Use},
    view::{Candidate, View},
};
use crate::{
    finding::{Finding, Reason, Subject},
    group::{GroupName, OwnTags, OwnedGroup},
    id::{InstanceId, InterfaceId, SecurityGroupId, StoreArn, StoreId},
    model::Instance,
    observation::Observation,
    policy::Policy,
    rule::{Direction, Peer, PortRange, Rule, Traffic},
    service::Side,
    tag::ConnectionName,
};

/// A group that exists, or one that this plan creates and that has no id yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupRef {
    /// It is there.
    Existing(SecurityGroupId),
    /// The group of this side of this store's pair, created by the same plan.
    Planned(StoreId, Side),
}

/// A group to create. Its first rule, let out everything, is revoked as part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupSpec {
    /// The name, which says the side.
    pub name: GroupName,
    /// The tags.
    pub tags: OwnTags,
}

/// The one rule of a side: TCP on the store's ports, from or to the other side of the same pair.
/// A rule with a CIDR block cannot be written down here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PairRule {
    /// The side that gets the rule.
    pub side: Side,
    /// The store's ports.
    pub ports: PortRange,
    /// The other side.
    pub peer: GroupRef,
}

impl PairRule {
    /// The direction of a side's rule: into the store, out of the instance.
    #[must_use]
    pub fn direction(side: Side) -> Direction {
        match side {
            Side::Store => Direction::Inbound,
            Side::Instance => Direction::Outbound,
        }
    }

    /// The rule as AWS holds it, once the peer's id is known.
    #[must_use]
    pub fn with_peer(&self, peer: SecurityGroupId) -> Rule {
        Rule { direction: Self::direction(self.side), traffic: Traffic::Tcp(self.ports), peer: Peer::Group(peer) }
    }
}

/// What is to be done at one store's pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PairWork {
    /// The store.
    pub store: StoreArn,
    /// The row of the decision table that asks for it.
    pub row: StoreRow,
    /// Groups to create.
    pub create: BTreeMap<Side, GroupSpec>,
    /// Rules to add, each to the group that stands beside it.
    pub authorize: Vec<(GroupRef, PairRule)>,
    /// Rules to take away, after the new ones are in.
    pub revoke: Vec<(OwnedGroup, Rule)>,
    /// Tags to write again.
    pub tag: Vec<(OwnedGroup, OwnTags)>,
}

impl PairWork {
    fn is_empty(&self) -> bool {
        self.create.is_empty() && self.authorize.is_empty() && self.revoke.is_empty() && self.tag.is_empty()
    }
}

/// The store side, to be added to its store's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreChange {
    /// The store.
    pub store: StoreArn,
    /// The store side of its own pair.
    pub attach: GroupRef,
    /// The instances that need it.
    pub needed_by: BTreeSet<InstanceId>,
}

/// Instance sides to be added to an interface's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InterfaceChange {
    /// The instance that the interface belongs to.
    pub instance: InstanceId,
    /// The groups, each with the store it leads to and the names shared with it.
    pub attach: BTreeMap<GroupRef, Attachment>,
}

/// Why an instance side is attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attachment {
    /// The store it leads to.
    pub store: StoreArn,
    /// The names both sides hold.
    pub names: BTreeSet<ConnectionName>,
}

/// What makes an instance reach a store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Via {
    /// The group on the store.
    pub store_side: SecurityGroupId,
    /// The group on the instance.
    pub instance_side: SecurityGroupId,
    /// Whether both are ours.
    pub owned: bool,
}

/// What is decided about one instance and one store that share a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is connected already.
    Connected(Via),
    /// This plan connects it.
    Connecting,
    /// This plan does its part, but one call has to wait.
    Waiting(Reason),
    /// It is not connected.
    Refused(Reason),
}

/// A verdict on one instance and one store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The store.
    pub store: StoreArn,
    /// The instance.
    pub instance: InstanceId,
    /// The verdict.
    pub verdict: Verdict,
}

/// What is to be done, and why not more. There is one change per target list, so two actions on
/// one list cannot be written down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[must_use = "a plan does nothing until it is checked and applied"]
pub struct Plan {
    /// Work at pairs, by store.
    pub pairs: BTreeMap<StoreId, PairWork>,
    /// Changes of stores' lists.
    pub stores: BTreeMap<StoreId, StoreChange>,
    /// Changes of interfaces' lists.
    pub interfaces: BTreeMap<InterfaceId, InterfaceChange>,
    /// A verdict on every instance and store in scope that share a name.
    pub decisions: Vec<Decision>,
    /// Everything else that is worth saying.
    pub findings: Vec<Finding>,
}

impl Plan {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.stores.is_empty() && self.interfaces.is_empty()
    }

    /// The stores to look at again in a while, because something about them passes by itself.
    #[must_use]
    pub fn stores_to_revisit(&self) -> BTreeSet<StoreArn> {
        let of_decisions = self.decisions.iter().filter_map(|decision| match &decision.verdict {
            Verdict::Waiting(reason) | Verdict::Refused(reason) => reason.passes().then_some(&decision.store),
            Verdict::Connected(_) | Verdict::Connecting => None,
        });
        let of_findings = self.findings.iter().filter_map(|finding| match &finding.subject {
            Subject::Store(store) => finding.reason.passes().then_some(store),
            Subject::Vpc(_) | Subject::Instance(_) | Subject::Group(_) => None,
        });
        of_decisions.chain(of_findings).cloned().collect()
    }
}

/// Decides what to do about everything that was observed.
pub fn plan(seen: &Observation, policy: &Policy) -> Plan {
    let view = View::of(seen);
    let standings: Standings<'_> = view.stores().map(|store| (&store.id, Standing::of(&view, store))).collect();
    let mut plan = Plan { findings: refuse::findings(&view), ..Plan::default() };
    let mut needs: BTreeMap<&StoreId, Vec<Candidate<'_>>> = BTreeMap::new();
    let mut places = Places::new(policy);
    let mut names = view.taken_names();

    for candidate in view.candidates() {
        let Some(standing) = standings.get(&candidate.store.id) else { continue };
        let verdict = match PairRow::of(view.connection(standing, candidate.instance)) {
            PairRow::Connected(via) => Verdict::Connected(via),
            PairRow::NotConnected => {
                let refusal = refuse::refusal(&view, standing, &candidate);
                if let Some(reason) = refusal.or_else(|| places.take(standing, candidate.instance)) {
                    Verdict::Refused(reason)
                } else {
                    needs.entry(&candidate.store.id).or_default().push(candidate.clone());
                    refuse::store_attachment_waits(standing).map_or(Verdict::Connecting, Verdict::Waiting)
                }
            }
        };
        if !matches!(verdict, Verdict::Refused(_)) {
            plan.findings.extend(refuse::cross_zone(&candidate));
        }
        plan.decisions.push(Decision {
            store: candidate.store.arn.clone(),
            instance: candidate.instance.id.clone(),
            verdict,
        });
    }

    for (id, store) in view.stores_here() {
        let Some(standing) = standings.get(id).filter(|standing| view.takes_in(standing)) else { continue };
        let needed_by = needs.remove(id).unwrap_or_default();
        plan.findings.extend(standing.ambiguity_finding());
        let used = if !needed_by.is_empty() {
            Use::Needed
        } else if view.is_worn_by_entitled(standing) {
            Use::Worn
        } else {
            Use::Unused
        };
        let work = pair::work(&view, standing, used, &mut names);
        if store.wishes.held {
            let held = Finding { subject: Subject::Store(store.arn.clone()), reason: Reason::Held };
            plan.findings.extend(work.map(|_| held));
            continue;
        }
        attach(&mut plan, standing, &needed_by);
        if let Some(work) = work {
            plan.findings.extend(standing.drift(&view, &work));
            plan.pairs.insert(id.clone(), work);
        }
    }
    plan.findings.sort();
    plan.findings.dedup();
    plan
}

type Standings<'view> = BTreeMap<&'view StoreId, Standing<'view>>;

/// Adds the pair to the lists that lack it.
fn attach(plan: &mut Plan, standing: &Standing<'_>, needed_by: &[Candidate<'_>]) {
    let store = standing.store;
    if !needed_by.is_empty() && !standing.store_wears() && refuse::store_attachment_waits(standing).is_none() {
        plan.stores.insert(
            store.id.clone(),
            StoreChange {
                store: store.arn.clone(),
                attach: standing.group_ref(Side::Store),
                needed_by: needed_by.iter().map(|candidate| candidate.instance.id.clone()).collect(),
            },
        );
    }
    for candidate in needed_by {
        let Some(interface) = &candidate.instance.interface else { continue };
        if standing.instance_wears(candidate.instance) {
            continue;
        }
        plan.interfaces
            .entry(interface.id.clone())
            .or_insert_with(|| InterfaceChange { instance: candidate.instance.id.clone(), attach: BTreeMap::new() })
            .attach
            .insert(
                standing.group_ref(Side::Instance),
                Attachment { store: store.arn.clone(), names: candidate.names.clone() },
            );
    }
}

/// Counts the free places of the interfaces, so that no call is planned that must fail. Stores
/// are served in the order of their ids, which makes the choice the same from run to run.
struct Places {
    limit: usize,
    taken: BTreeMap<InterfaceId, usize>,
}

impl Places {
    fn new(policy: &Policy) -> Self {
        Self { limit: policy.interface_group_limit, taken: BTreeMap::new() }
    }

    /// Takes a place on the instance's interface for a pair's instance side; the reason why not,
    /// when there is none left.
    fn take(&mut self, standing: &Standing<'_>, instance: &Instance) -> Option<Reason> {
        let interface = instance.interface.as_ref()?;
        if standing.instance_wears(instance) {
            return None;
        }
        let taken = self.taken.entry(interface.id.clone()).or_insert(interface.groups.len());
        if *taken >= self.limit {
            return Some(Reason::InterfaceGroupLimit { interface: interface.id.clone(), limit: self.limit });
        }
        *taken += 1;
        None
    }
}
