//! The clients of a store that are not EC2 instances: a group of their own, kept in step with the
//! store's tag. One word of the tag that may not be let in refuses the whole of it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    CidrWork, GroupRef, GroupSpec,
    index::{Index, TakenNames},
    obstacles,
    pair::is_default_egress,
};
use crate::{
    cidr::{Block, CidrLimits, CidrPeer, CidrTag, Family, MOST_RULES, PrefixList, WIDEST_BLOCKS},
    finding::{Finding, Reason, Subject},
    group::{OwnTags, Owned, Role},
    id::{PrefixListId, StoreId},
    model::DataStore,
    rule::{Direction, Peer, PortRange, Rule, Traffic},
    state::Note,
    tag::ConnectTag,
};

/// The work at groups for CIDR clients, and those that are added to their stores' lists.
#[derive(Default)]
pub(crate) struct CidrGroups {
    pub(crate) works: BTreeMap<StoreId, CidrWork>,
    pub(crate) attach: BTreeMap<StoreId, GroupRef>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) notes: Vec<Note>,
}

/// Decides about the CIDR clients of every store that the scope names. Their group comes after the
/// store's pair, also to the last place in its list. That a group leaves is decided with all that is counted.
pub(crate) fn decide(index: &Index<'_>, gets_pair: impl Fn(&StoreId) -> bool) -> CidrGroups {
    let mut made = CidrGroups::default();
    // What belongs to whom is known only when every group was read.
    if !index.seen.groups.is_complete() {
        return made;
    }
    let mut names = index.taken_names();
    for (_, store) in index.stores_here().filter(|(_, store)| index.seen.scope.has_store(&store.arn)) {
        let clients = Clients::of(index, store, gets_pair(&store.id));
        made.findings.extend(clients.ambiguity());
        // A tag that may be stale is no reason to let anybody in, nor to keep anybody out.
        if !index.seen.is_uninstalling() && !store.tags_are_certain() {
            let concerned = !clients.groups.is_empty() || !store.settings.allow_cidr.asks_for_none();
            let reason = obstacles::list_waits(store).filter(|_| concerned);
            made.findings.extend(reason.map(|reason| clients.finding(reason)));
            continue;
        }
        match cidr_request(index, store) {
            CidrRequest::None => {}
            CidrRequest::Unreadable(reason) => made.findings.push(clients.finding(reason)),
            CidrRequest::Peers(peers) => match allowed(index, store, peers) {
                Ok(()) => clients.keep_in_step(peers, &mut names, &mut made),
                Err(reason) => made.findings.push(clients.finding(clients.if_let_in_already(reason))),
            },
        }
    }
    made
}

/// The CIDR clients that a store's tags ask for.
enum CidrRequest<'store> {
    /// None, or the connect tag cannot be read, which another finding reports.
    None,
    /// The tag for CIDR clients cannot be read.
    Unreadable(Reason),
    /// These clients.
    Peers(&'store BTreeSet<CidrPeer>),
}

fn cidr_request<'store>(index: &Index<'_>, store: &'store DataStore) -> CidrRequest<'store> {
    let takes_part = matches!(store.settings.connect, ConnectTag::Names(_));
    if store.settings.blocked || index.seen.is_uninstalling() || !takes_part {
        return CidrRequest::None;
    }
    match &store.settings.allow_cidr {
        CidrTag::Invalid(problem) => CidrRequest::Unreadable(Reason::InvalidCidr { problem: problem.clone() }),
        CidrTag::Peers(peers) if !peers.is_empty() => CidrRequest::Peers(peers),
        CidrTag::Absent | CidrTag::Peers(_) => CidrRequest::None,
    }
}

/// Whether every one of the peers may be let in, and there is room for the rules of all.
fn allowed(index: &Index<'_>, store: &DataStore, peers: &BTreeSet<CidrPeer>) -> Result<(), Reason> {
    let limits = index.policy.allow_cidr.ok_or(Reason::CidrNotAllowed)?;
    for peer in peers {
        may_come_in(index, store, peer, limits)?;
    }
    for family in [Family::Ipv4, Family::Ipv6] {
        let wanted = peers.iter().map(|peer| weight(index, peer, family)).sum();
        if wanted > MOST_RULES {
            return Err(Reason::CidrRuleLimit { family, wanted });
        }
        let addresses = peers.iter().fold(0_u128, |sum, peer| sum.saturating_add(addresses(index, peer, family)));
        let wanted = limits.widest_blocks(family, addresses);
        if wanted > WIDEST_BLOCKS {
            return Err(Reason::CidrSumLimit { family, wanted, limit: limits.widest(family).max(1) });
        }
    }
    Ok(())
}

fn may_come_in(index: &Index<'_>, store: &DataStore, peer: &CidrPeer, limits: CidrLimits) -> Result<(), Reason> {
    let id = match peer {
        CidrPeer::Block(block) if block.is_too_wide(limits) => {
            let limit = limits.widest(block.family()).max(1);
            return Err(Reason::CidrTooWide { peer: peer.clone(), block: *block, limit });
        }
        CidrPeer::Block(_) => return Ok(()),
        CidrPeer::PrefixList(id) => id,
    };
    let list = match (prefix_list(index, id), index.seen.prefix_lists.gaps.iter().min()) {
        (Some(list), _) => list,
        (None, Some(gap)) => return Err(Reason::unread(gap)),
        (None, None) => return Err(Reason::PrefixListNotFound { list: id.clone() }),
    };
    if list.owner != store.arn.account() {
        return Err(Reason::PrefixListForeign { list: id.clone(), owner: list.owner.clone() });
    }
    list.entries.iter().find(|block| block.is_too_wide(limits)).map_or(Ok(()), |block| {
        let limit = limits.widest(block.family()).max(1);
        Err(Reason::CidrTooWide { peer: peer.clone(), block: *block, limit })
    })
}

fn prefix_list<'seen>(index: &Index<'seen>, id: &PrefixListId) -> Option<&'seen PrefixList> {
    index.seen.prefix_lists.found.iter().find(|list| list.id == *id)
}

/// As how many rules of a family a peer counts. What is not known fills a group on its own.
fn weight(index: &Index<'_>, peer: &CidrPeer, family: Family) -> usize {
    match peer {
        CidrPeer::Block(block) => usize::from(block.family() == family),
        CidrPeer::PrefixList(id) => match prefix_list(index, id) {
            Some(list) if list.family == family => list.most_entries,
            Some(_) => 0,
            None => MOST_RULES,
        },
    }
}

/// How many addresses of a family a peer lets in. What two of its blocks share counts twice.
fn addresses(index: &Index<'_>, peer: &CidrPeer, family: Family) -> u128 {
    let of = |blocks: &mut dyn Iterator<Item = &Block>| {
        blocks.filter(|block| block.family() == family).fold(0_u128, |sum, block| sum.saturating_add(block.addresses()))
    };
    match peer {
        CidrPeer::Block(block) => of(&mut std::iter::once(block)),
        CidrPeer::PrefixList(id) => prefix_list(index, id).map_or(0, |list| of(&mut list.entries.iter())),
    }
}

fn weight_of_rule(index: &Index<'_>, rule: &Rule, family: Family) -> usize {
    // A rule with a group counts once, for whichever family.
    CidrPeer::of(&rule.peer).map_or(1, |peer| weight(index, &peer, family))
}

/// The groups of one store for CIDR clients.
struct Clients<'index> {
    index: &'index Index<'index>,
    store: &'index DataStore,
    /// By number; the first serves.
    groups: Vec<&'index Owned>,
    /// The store's pair is added to its list in the same plan.
    gets_pair: bool,
}

impl<'index> Clients<'index> {
    fn of(index: &'index Index<'index>, store: &'index DataStore, gets_pair: bool) -> Self {
        let mut groups: Vec<_> =
            index.cidr_groups(&store.id).filter(|owned| owned.name.service == store.service).collect();
        groups.sort_by_key(|owned| owned.name);
        Self { index, store, groups, gets_pair }
    }

    fn finding(&self, reason: Reason) -> Finding {
        Finding { subject: Subject::Store(self.store.arn.clone()), reason }
    }

    /// What is too wide and let in already is more than a refusal: a prefix list was widened after it was let in, or the
    /// installation's limit was lowered. Taking the rule away would cut off those that are rightly in the list, and who
    /// widened it can take that back; so it stays, and is told to somebody.
    fn if_let_in_already(&self, reason: Reason) -> Reason {
        let lets_in = |peer: &CidrPeer| {
            let attached = self.groups.iter().filter(|owned| self.store.has_group(owned.group.id()));
            let mut rules =
                attached.filter_map(|owned| self.index.group(owned.group.id())).flat_map(|group| &group.rules);
            rules.any(|rule| rule.direction == Direction::Inbound && CidrPeer::of(&rule.peer).as_ref() == Some(peer))
        };
        if let Reason::CidrTooWide { peer, block, limit } = &reason
            && lets_in(peer)
        {
            return Reason::CidrWidened { peer: peer.clone(), block: *block, limit: *limit };
        }
        reason
    }

    fn ambiguity(&self) -> Option<Finding> {
        let groups = || self.groups.iter().map(|owned| owned.group.id().clone()).collect();
        (self.groups.len() > 1).then(|| Finding {
            subject: Subject::Store(self.store.arn.clone()),
            reason: Reason::AmbiguousCidrGroup { groups: groups() },
        })
    }

    /// Makes the group and its rules what the tag asks for, and attaches it.
    fn keep_in_step(&self, peers: &BTreeSet<CidrPeer>, names: &mut TakenNames, made: &mut CidrGroups) {
        let store = self.store;
        let unfit = obstacles::by_nature(store);
        let Some(ports) = store.ports else {
            made.findings.extend(unfit.map(|reason| self.finding(reason)));
            return;
        };
        let attached = self.groups.first().is_some_and(|owned| store.has_group(owned.group.id()));
        let Some(mut work) = self.work(peers, ports, names) else { return };
        let obstacle = unfit.or_else(|| if attached { None } else { self.no_place(&mut made.notes) });
        let adds = !attached || !work.authorize.is_empty();
        if store.settings.held {
            let waits = adds || !work.is_empty();
            made.findings.extend(waits.then(|| self.finding(Reason::Held)));
            return;
        }
        if let Some(reason) = obstacle.as_ref().filter(|_| adds) {
            made.findings.push(self.finding(reason.clone()));
            (work.create, work.authorize, work.revoke_first) = (None, BTreeSet::new(), false);
        }
        made.findings.extend(self.drift(&work, attached));
        if !attached && obstacle.is_none() {
            match obstacles::list_waits(store) {
                Some(reason) => made.findings.push(self.finding(reason)),
                None => drop(made.attach.insert(store.id.clone(), work.group.clone())),
            }
        }
        if !work.is_empty() {
            made.works.insert(store.id.clone(), work);
        }
    }

    /// Why the group cannot be attached; `None` when it can.
    fn no_place(&self, notes: &mut Vec<Note>) -> Option<Reason> {
        let store = self.store;
        let limit = store.service.row().store_group_limit;
        if store.lasting_groups().count() + usize::from(self.gets_pair) >= limit {
            return Some(Reason::StoreGroupLimit { limit });
        }
        let group = self.groups.first()?.group.id();
        let contest = obstacles::contest_at_store(self.index, group, store)?;
        notes.extend(contest.note());
        Some(contest.reason())
    }

    fn work(&self, peers: &BTreeSet<CidrPeer>, ports: PortRange, names: &mut TakenNames) -> Option<CidrWork> {
        let (index, store) = (self.index, self.store);
        let tags = OwnTags { store: store.id.clone(), arn: store.arn.clone(), role: Role::Cidr };
        let mut work = CidrWork {
            store: store.arn.clone(),
            ports,
            group: GroupRef::Planned(store.id.clone(), Role::Cidr),
            create: None,
            authorize: peers.clone(),
            revoke: Vec::new(),
            revoke_first: false,
            tag: None,
        };
        let Some(owned) = self.groups.first() else {
            work.create = Some(GroupSpec { name: names.take_cidr(store.service)?, tags });
            return Some(work);
        };
        let group = index.group(owned.group.id())?;
        work.group = GroupRef::Existing(group.id.clone());
        let wanted = |rule: &Rule| {
            let right = rule.direction == Direction::Inbound && rule.traffic == Traffic::Tcp(ports);
            CidrPeer::of(&rule.peer).filter(|peer| right && peers.contains(peer))
        };
        for rule in &group.rules {
            match wanted(rule) {
                Some(peer) => drop(work.authorize.remove(&peer)),
                None => work.revoke.push((owned.group.clone(), rule.clone())),
            }
        }
        work.revoke_first = !work.revoke.is_empty()
            && [Family::Ipv4, Family::Ipv6].into_iter().any(|family| {
                let there: usize =
                    group.rules(Direction::Inbound).map(|rule| weight_of_rule(index, rule, family)).sum();
                let new: usize = work.authorize.iter().map(|peer| weight(index, peer, family)).sum();
                new > 0 && there + new > MOST_RULES
            });
        if owned.arn.as_ref() != Some(&store.arn) {
            work.tag = Some((owned.group.clone(), tags));
        }
        Some(work)
    }

    /// The finding about rules of the group that no tag can have asked for. A rule for a client that the tag names
    /// no more is nobody's mistake, and neither is the one that lets a new group out everywhere.
    fn drift(&self, work: &CidrWork, attached: bool) -> Option<Finding> {
        let from_a_tag = |rule: &Rule| {
            let shape = rule.direction == Direction::Inbound && matches!(rule.traffic, Traffic::Tcp(_));
            shape && matches!(rule.peer, Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::PrefixList(_))
        };
        let rules = work.revoke.iter().map(|(_, rule)| rule);
        let extra: BTreeSet<Rule> =
            rules.filter(|rule| !from_a_tag(rule) && (attached || !is_default_egress(rule))).cloned().collect();
        let owned = self.groups.first().filter(|_| !extra.is_empty())?;
        Some(Finding { subject: Subject::Group(owned.group.id().clone()), reason: Reason::CidrModified { extra } })
    }
}
