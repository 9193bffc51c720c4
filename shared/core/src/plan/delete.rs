//! The end of a store's pair or of its group for CIDR clients: a list of conditions, which the planner walks
//! here and an explanation as well.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    CidrWork, DeleteReason, Deletion, PairWork, StoreChange,
    budget::Disconnects,
    disconnect::{StoreExistence, store_existence},
    foreign,
    index::Index,
    obstacles,
};
use crate::{
    finding::{Finding, Reason, Subject},
    group::{GroupKind, Owned, Role},
    id::{SecurityGroupId, StoreId},
    model::DataStore,
    observation::Scope,
    rule::{Peer, Rule},
    service::Side,
    state::{Note, VpcState},
    tag::ConnectTag,
};

/// The work at groups in the same plan.
#[derive(Clone, Copy)]
pub(crate) struct Works<'plan> {
    pub(crate) pairs: &'plan BTreeMap<StoreId, PairWork>,
    pub(crate) cidrs: &'plan BTreeMap<StoreId, CidrWork>,
}

/// A condition of the deletion of an owned group, with all that belongs together with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeleteCondition {
    /// It is tagwire's.
    Owned,
    /// Every group of the VPC was read.
    AllRead,
    /// The scope has to do with it.
    InScope,
    /// Its store's tags come from the service itself, and not from the tag index.
    TagsCertain,
    /// Its store is gone or takes no part any more, or no tags ask for it.
    NotAskedFor,
    /// Nothing has it or the group that belongs to it.
    NotAttached,
    /// It has been unused for long enough, where neither a tag nor a person ends it.
    LongUnused,
    /// The store has no second one.
    OnlyOne,
    /// No launch template names it.
    NotInTemplate,
    /// No rule of a group that stays names it.
    NotInRule,
}

impl DeleteCondition {
    /// Every condition, in the order in which they are looked at.
    pub const ALL: [Self; 10] = [
        Self::Owned,
        Self::AllRead,
        Self::InScope,
        Self::TagsCertain,
        Self::NotAskedFor,
        Self::NotAttached,
        Self::LongUnused,
        Self::OnlyOne,
        Self::NotInTemplate,
        Self::NotInRule,
    ];

    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Owned => "owned",
            Self::AllRead => "all-read",
            Self::InScope => "in-scope",
            Self::TagsCertain => "tags-certain",
            Self::NotAskedFor => "not-asked-for",
            Self::NotAttached => "not-attached",
            Self::LongUnused => "long-unused",
            Self::OnlyOne => "only-one",
            Self::NotInTemplate => "not-in-template",
            Self::NotInRule => "not-in-rule",
        }
    }

    /// The question.
    #[must_use]
    pub fn question(self) -> &'static str {
        match self {
            Self::Owned => "Is it tagwire's?",
            Self::AllRead => "Was every security group of the VPC read?",
            Self::InScope => "Is it in the scope of the observation?",
            Self::TagsCertain => "Is it certain what the data store's tags are?",
            Self::NotAskedFor => "Does nothing ask for it?",
            Self::NotAttached => "Does nothing have it, nor the group that belongs to it?",
            Self::LongUnused => "Has it been unused for a sweep period?",
            Self::OnlyOne => "Is it the data store's only one?",
            Self::NotInTemplate => "Does no launch template name it?",
            Self::NotInRule => "Does no rule of a group that stays name it?",
        }
    }

    /// Whether it holds for the groups of one kind of a store.
    pub(crate) fn holds(self, candidate: &DeleteCandidate<'_>) -> bool {
        let DeleteCandidate { index, kind, store, groups, .. } = candidate;
        match self {
            // Only owned groups are candidates, but for those that the role may not change.
            Self::Owned => !groups.iter().any(|owned| owned.is_unmarked()),
            // Which other groups go is known when all candidates are.
            Self::NotInRule => true,
            Self::AllRead => index.seen.groups.is_complete(),
            Self::InScope => groups.iter().any(|owned| {
                index.names_store(owned) || (*kind == GroupKind::Pair && is_attached_in_scope(index, owned))
            }),
            Self::TagsCertain => index.store(store).is_none_or(DataStore::tags_are_certain),
            Self::NotAskedFor => candidate.ended.is_some() || candidate.unasked,
            Self::NotAttached => candidate.off,
            Self::LongUnused => candidate.has_ended() || is_long_unused(index, groups, candidate.is_unused()),
            Self::OnlyOne => match kind {
                GroupKind::Pair => is_one_pair(candidate.ended, groups),
                GroupKind::Cidr => index.seen.is_uninstalling() || groups.len() == 1,
            },
            Self::NotInTemplate => index.seen.launch_templates.as_ref().is_some_and(|templates| {
                let named = groups.iter().any(|owned| templates.found.contains(owned.group.id()));
                templates.is_complete() && !named
            }),
        }
    }
}

/// The owned groups of one kind of a store, as candidates for deletion.
pub(crate) struct DeleteCandidate<'index> {
    pub(crate) index: &'index Index<'index>,
    pub(crate) kind: GroupKind,
    pub(crate) store: &'index StoreId,
    pub(crate) groups: Vec<&'index Owned>,
    /// Why the store takes no part any more, if it does not.
    pub(crate) ended: Option<DeleteReason>,
    /// No tags ask for the groups.
    pub(crate) unasked: bool,
    /// Nothing has any of them once the plan is carried out.
    pub(crate) off: bool,
}

impl<'index> DeleteCandidate<'index> {
    pub(crate) fn of(
        index: &'index Index<'index>,
        disconnects: &Disconnects<'_>,
        stores: &BTreeMap<StoreId, StoreChange>,
        kind: GroupKind,
        store: &'index StoreId,
    ) -> Self {
        let groups: Vec<&Owned> = index.groups_of(store, kind).collect();
        let ended = ended(index, store, &groups);
        let off = is_off(index, disconnects, stores, store, &groups);
        let unasked = match kind {
            GroupKind::Pair => is_unasked(index, store),
            GroupKind::Cidr => is_cidr_unasked(index, store),
        };
        Self { index, kind, store, groups, ended, unasked, off }
    }

    /// Whether a tag or a person ends it, so that it need not have been unused for long.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_some() || self.kind == GroupKind::Cidr
    }

    pub(crate) fn is_unused(&self) -> bool {
        !self.has_ended() && self.off && self.unasked
    }

    fn reason(&self) -> DeleteReason {
        self.ended.unwrap_or(match self.kind {
            GroupKind::Pair => DeleteReason::Unused,
            GroupKind::Cidr => DeleteReason::CidrNotAskedFor,
        })
    }

    /// Whether every other condition holds.
    fn goes_but_for(&self, condition: DeleteCondition) -> bool {
        DeleteCondition::ALL.into_iter().filter(|other| *other != condition).all(|other| other.holds(self))
    }

    /// The findings about groups that something else has, or that a person has to look after.
    fn findings(&self) -> Vec<Finding> {
        let (index, groups) = (self.index, &self.groups);
        let mut findings = keepers(index, self.store, groups);
        if self.kind == GroupKind::Pair
            && self.ended == Some(DeleteReason::StoreGone)
            && !DeleteCondition::OnlyOne.holds(self)
        {
            findings.extend(ambiguity(index, groups));
        }
        if self.goes_but_for(DeleteCondition::NotInTemplate) {
            findings.extend(in_templates(index, groups));
        }
        let uncertain = index.store(self.store).filter(|store| !store.tags_are_certain());
        findings.extend(uncertain.filter(|_| self.goes_but_for(DeleteCondition::TagsCertain)).map(|store| Finding {
            subject: Subject::Store(store.arn.clone()),
            reason: obstacles::not_available(store),
        }));
        findings
    }
}

/// The deletions of a plan, with the notes and findings about groups that nobody uses.
#[derive(Default)]
pub(crate) struct Deletions {
    pub(crate) ends: BTreeMap<(GroupKind, StoreId), Deletion>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) notes: Vec<Note>,
}

/// Decides which groups end with this plan, whose other changes are these.
pub(crate) fn decide<'index>(
    index: &'index Index<'index>,
    disconnects: &Disconnects<'_>,
    stores: &BTreeMap<StoreId, StoreChange>,
    works: Works<'_>,
) -> Deletions {
    let mut made = Deletions::default();
    if !index.seen.groups.is_complete() {
        return made;
    }
    let mut going = BTreeMap::<(GroupKind, StoreId), DeleteCandidate<'index>>::new();
    for kind in GroupKind::ALL {
        for store in index.owners(kind) {
            let candidate = DeleteCandidate::of(index, disconnects, stores, kind, store);
            made.findings.extend(candidate.groups.iter().flat_map(|owned| foreign::findings(index, owned)));
            if !DeleteCondition::InScope.holds(&candidate) {
                continue;
            }
            if kind == GroupKind::Pair {
                made.notes.extend(unused_notes(index, &candidate.groups, candidate.is_unused()));
            }
            made.findings.extend(candidate.findings());
            if DeleteCondition::ALL.iter().all(|condition| condition.holds(&candidate)) {
                going.insert((kind, store.clone()), candidate);
            }
        }
    }
    loop {
        let named = named_elsewhere(index, works, &going);
        if named.is_empty() {
            break;
        }
        for (key, findings) in named {
            going.remove(&key);
            made.findings.extend(findings);
        }
    }
    made.ends = going.into_iter().map(|(key, candidate)| (key, deletion(&candidate))).collect();
    made
}

/// The finding about several pairs of a store that is gone; for a store that exists, the choice of its pair reports it.
fn ambiguity(index: &Index<'_>, groups: &[&Owned]) -> Option<Finding> {
    let arn = groups.iter().find_map(|owned| index.arn_of(owned))?;
    let all = groups.iter().map(|owned| owned.group.id().clone()).collect();
    Some(Finding { subject: Subject::Store(arn), reason: Reason::AmbiguousPair { groups: all } })
}

/// Whether there is at most one group of each side, if that matters.
fn is_one_pair(ended: Option<DeleteReason>, groups: &[&Owned]) -> bool {
    ended == Some(DeleteReason::Uninstalling)
        || Side::BOTH.iter().all(|side| groups.iter().filter(|owned| owned.name.role == *side).count() < 2)
}

/// Whether no tags ask for a store's pair. One that is asked for and cannot be attached at present is
/// kept: another one in its place would fare no better.
fn is_unasked(index: &Index<'_>, store: &StoreId) -> bool {
    let here = index.store(store).filter(|store| store.may_be_in(&index.seen.vpc));
    here.is_none_or(|store| !store.settings.held && index.sharing(store).is_empty())
}

/// AWS deletes no group that a rule of another one names: the candidates named by a rule that outlives the
/// plan, each with the findings.
fn named_elsewhere(
    index: &Index<'_>,
    works: Works<'_>,
    going: &BTreeMap<(GroupKind, StoreId), DeleteCandidate<'_>>,
) -> BTreeMap<(GroupKind, StoreId), Vec<Finding>> {
    let by_group: BTreeMap<&SecurityGroupId, &(GroupKind, StoreId)> = going
        .iter()
        .flat_map(|(key, candidate)| candidate.groups.iter().map(move |owned| (owned.group.id(), key)))
        .collect();
    let mut named = BTreeMap::<_, Vec<Finding>>::new();
    for (namer, peer) in namers(index, works, |group| by_group.contains_key(group)) {
        if let Some(key) = by_group.get(peer) {
            let reason = Reason::GroupInRule { group: namer.clone() };
            let finding = Finding { subject: Subject::Group(peer.clone()), reason };
            named.entry((*key).clone()).or_default().push(finding);
        }
    }
    named
}

/// The groups whose rules outlive the plan and name one that goes, each with that one.
pub(crate) fn namers<'seen>(
    index: &Index<'seen>,
    works: Works<'_>,
    goes: impl Fn(&SecurityGroupId) -> bool,
) -> Vec<(&'seen SecurityGroupId, &'seen SecurityGroupId)> {
    let is_revoked = |id: &SecurityGroupId, rule: &Rule| {
        let Some(store) = index.store_of(id) else { return false };
        let of_pair = works.pairs.get(store).into_iter().flat_map(|work| &work.revoke);
        let mut revoked = of_pair.chain(works.cidrs.get(store).into_iter().flat_map(|work| &work.revoke));
        revoked.any(|(group, revoked)| group.id() == id && revoked == rule)
    };
    let staying = index.seen.groups.found.iter().filter(|group| !goes(&group.id));
    let rules = staying.flat_map(|group| group.rules.iter().map(move |rule| (&group.id, rule)));
    let naming = rules.filter_map(|(namer, rule)| match &rule.peer {
        Peer::Group(peer) => (goes(peer) && !is_revoked(namer, rule)).then_some((namer, peer)),
        Peer::GroupOfAccount { .. } | Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::PrefixList(_) => None,
    });
    naming.collect()
}

/// Whether a store that takes part asks for no clients but instances, and that decides.
fn is_cidr_unasked(index: &Index<'_>, store: &StoreId) -> bool {
    let here = index.store(store).filter(|store| store.is_in(&index.seen.vpc));
    let here = here.filter(|_| !index.seen.is_uninstalling());
    here.is_some_and(|store| {
        let takes_part = matches!(store.settings.connect, ConnectTag::Names(_)) && !store.settings.held;
        takes_part && store.settings.allow_cidr.asks_for_none()
    })
}

/// The findings about what keeps groups during an uninstall: a hold, and stores elsewhere that have them in
/// their lists.
fn keepers(index: &Index<'_>, store: &StoreId, groups: &[&Owned]) -> Vec<Finding> {
    if !index.seen.is_uninstalling() {
        return Vec::new();
    }
    let held = index.store(store).filter(|store| store.settings.held);
    let held = held.map(|store| Finding { subject: Subject::Store(store.arn.clone()), reason: Reason::Held });
    groups.iter().flat_map(|owned| carried_elsewhere(index, owned)).chain(held).collect()
}

/// The stores elsewhere that have a group in their lists, which keeps it.
fn carried_elsewhere(index: &Index<'_>, owned: &Owned) -> Vec<Finding> {
    let id = owned.group.id();
    let elsewhere = |holder: &&&DataStore| holder.has_group(id) && !holder.is_in(&index.seen.vpc);
    let finding = |holder: &&DataStore| Finding {
        subject: Subject::Store(holder.arn.clone()),
        reason: obstacles::vpc_of(holder).map_or_else(|reason| reason, |vpc| Reason::StoreMoved { vpc: vpc.clone() }),
    };
    index.stores_with(id).iter().filter(elsewhere).map(finding).collect()
}

pub(crate) fn is_attached_in_scope(index: &Index<'_>, owned: &Owned) -> bool {
    index.with_group(owned.group.id()).any(|instance| index.seen.scope.has_instance(&instance.id))
}

/// Whether the store takes no part any more, for certain.
fn ended(index: &Index<'_>, store: &StoreId, groups: &[&Owned]) -> Option<DeleteReason> {
    if index.seen.is_uninstalling() {
        let kept = match index.store(store) {
            Some(store) => store.settings.held,
            None => !index.knows_store(store),
        };
        return (!kept).then_some(DeleteReason::Uninstalling);
    }
    let Some(store) = index.store(store) else {
        let gone = groups.iter().all(|owned| matches!(store_existence(index, owned), StoreExistence::Gone));
        return gone.then_some(DeleteReason::StoreGone);
    };
    let here = store.is_in(&index.seen.vpc);
    let opted_out = store.settings.connect == ConnectTag::Absent && !store.settings.held;
    (here && opted_out).then_some(DeleteReason::StoreOptedOut)
}

/// Whether nothing has any of the groups once the plan is carried out, for certain.
fn is_off(
    index: &Index<'_>,
    disconnects: &Disconnects<'_>,
    stores: &BTreeMap<StoreId, StoreChange>,
    store: &StoreId,
    groups: &[&Owned],
) -> bool {
    let change = stores.get(store);
    let is_pair = groups.iter().any(|owned| owned.role() != Role::Cidr);
    let attaches = is_pair && change.is_some_and(|change| change.attach.contains_key(&GroupKind::Pair));
    let listed = |group: &SecurityGroupId| {
        let leaves = |holder: &StoreId| stores.get(holder).is_some_and(|change| change.detaches(group));
        index.stores_with(group).iter().any(|holder| holder.has_group(group) && !leaves(&holder.id))
    };
    !attaches
        && groups.iter().all(|owned| disconnects.is_off_interfaces(owned) == Some(true) && !listed(owned.group.id()))
}

/// The state, when it is known whether a store's groups are unused, which takes an observation of everything.
fn state_of_unused<'seen>(index: &Index<'seen>, groups: &[&Owned]) -> Option<&'seen VpcState> {
    let seen = index.seen;
    let read = seen.instances.is_complete() && seen.attachments.by.is_complete();
    let known = groups.iter().all(|owned| index.knows_store(&owned.store));
    seen.state.as_ref().ok().filter(|_| read && known && seen.scope == Scope::Vpc)
}

/// Whether groups that are unused now have been for long enough.
pub(crate) fn is_long_unused(index: &Index<'_>, groups: &[&Owned], unused: bool) -> bool {
    let Some(state) = state_of_unused(index, groups) else { return false };
    let is_long = |owned: &&Owned| {
        state.unused.get(owned.group.id()).is_some_and(|since| {
            let age = std::time::Duration::try_from(index.seen.at.duration_since(*since)).unwrap_or_default();
            age >= index.policy.sweep_period
        })
    };
    unused && groups.iter().all(is_long)
}

/// The notes since when groups are unused.
fn unused_notes(index: &Index<'_>, groups: &[&Owned], unused: bool) -> Vec<Note> {
    let Some(state) = state_of_unused(index, groups) else { return Vec::new() };
    let note = |owned: &&Owned| {
        let id = owned.group.id();
        match (state.unused.contains_key(id), unused) {
            (false, true) => Some(Note::Unused(id.clone(), Some(index.seen.at))),
            (true, false) => Some(Note::Unused(id.clone(), None)),
            (true, true) | (false, false) => None,
        }
    };
    groups.iter().filter_map(note).collect()
}

/// The findings about launch templates that would fail without the groups.
pub(crate) fn in_templates(index: &Index<'_>, groups: &[&Owned]) -> Vec<Finding> {
    let templates = index.seen.launch_templates.as_ref().filter(|reading| reading.is_complete());
    let named = |owned: &&&Owned| templates.is_some_and(|templates| templates.found.contains(owned.group.id()));
    let finding = |owned: &&Owned| Finding {
        subject: Subject::Group(owned.group.id().clone()),
        reason: Reason::GroupInLaunchTemplate,
    };
    groups.iter().filter(named).map(finding).collect()
}

fn deletion(candidate: &DeleteCandidate<'_>) -> Deletion {
    let DeleteCandidate { index, groups, .. } = candidate;
    let names_one = |peer: &Peer| matches!(peer, Peer::Group(peer) if index.store_of(peer).is_some());
    let revoke = groups.iter().flat_map(|owned| {
        let rules = index.group(owned.group.id()).into_iter().flat_map(|group| &group.rules);
        rules.filter(|rule| names_one(&rule.peer)).map(|rule| (owned.group.clone(), rule.clone()))
    });
    Deletion {
        revoke: revoke.collect(),
        delete: groups.iter().map(|owned| owned.group.clone()).collect(),
        reason: candidate.reason(),
        store: groups.iter().find_map(|owned| index.arn_of(owned)),
    }
}
