//! The clients of a store that are not EC2 instances: a group of their own, kept in step with the
//! store's tag. One word of the tag that may not be let in refuses the whole of it.

use std::collections::BTreeSet;

use super::{
    CidrWork, DetachReason, GroupRef, GroupSpec, Plan,
    disconnect::{Disconnects, last_group},
    index::{Index, TakenNames},
    obstacles,
    pair::is_default_egress,
};
use crate::{
    cidr::{CidrLimits, CidrPeer, CidrTag, Family, MOST_RULES, PrefixList},
    finding::{Finding, Reason, Subject},
    group::{GroupKind, GroupList, OwnTags, Owned, Role},
    id::{PrefixListId, StoreId},
    model::DataStore,
    rule::{Direction, Peer, PortRange, Rule, Traffic},
    tag::ConnectTag,
};

/// Every store that the scope names; none when not every group was read, for what belongs to whom is
/// not known then.
fn stores<'index>(index: &'index Index<'_>) -> impl Iterator<Item = &'index DataStore> {
    let in_scope = |store: &&DataStore| index.seen.groups.is_complete() && index.seen.scope.has_store(&store.arn);
    index.stores_here().map(|(_, store)| store).filter(in_scope)
}

/// Takes the groups of CIDR clients that have to go off their stores, before pairs need the places.
/// One that is the last of its list can go only when a pair comes.
pub(crate) fn leave<'index>(
    plan: &mut Plan,
    index: &'index Index<'_>,
    disconnects: &mut Disconnects<'_>,
) -> Last<'index> {
    let mut last = Last::new();
    for store in stores(index) {
        if is_certain(index, store)
            && let CidrRequest::Leaves(reason) = cidr_request(index, store)
            && Clients::of(index, store).leave(plan, disconnects, reason).is_err()
        {
            last.insert(&store.id);
        }
    }
    last
}

/// The stores whose group of CIDR clients has to go and is the last one.
pub(crate) type Last<'index> = BTreeSet<&'index StoreId>;

/// Decides about the CIDR clients of every store that the scope names. Their group comes after the
/// store's pair, also to the last place in its list.
pub(crate) fn decide(plan: &mut Plan, index: &Index<'_>, disconnects: &mut Disconnects<'_>, last: &Last<'_>) {
    let mut names = index.taken_names();
    for store in stores(index) {
        let clients = Clients::of(index, store);
        plan.findings.extend(clients.ambiguity());
        // What may be stale is no reason to let anybody in, nor to keep anybody out.
        if !is_certain(index, store) {
            let concerned = !clients.groups.is_empty() || !store.settings.allow_cidr.asks_for_none();
            if let Some(reason) = obstacles::list_waits(store).filter(|_| concerned) {
                clients.say(plan, reason);
            }
            continue;
        }
        match cidr_request(index, store) {
            CidrRequest::Nothing => {}
            CidrRequest::Unreadable(reason) => clients.say(plan, reason),
            CidrRequest::Leaves(reason) => {
                if last.contains(&store.id)
                    && let Err(finding) = clients.leave(plan, disconnects, reason)
                {
                    plan.findings.push(finding);
                }
            }
            CidrRequest::Peers(peers) => match allowed(index, store, peers) {
                Ok(()) => clients.keep_in_step(plan, peers, &mut names),
                Err(reason) => clients.say(plan, reason),
            },
        }
    }
}

/// Whether it is certain what is wanted of a store: its tags are, or do not matter any more.
fn is_certain(index: &Index<'_>, store: &DataStore) -> bool {
    index.seen.is_uninstalling() || store.tags_are_certain()
}

/// What a store's tags ask for.
enum CidrRequest<'store> {
    /// Nothing can be told from the connect tag, of which something is said elsewhere.
    Nothing,
    /// Nothing can be told from the tag for CIDR clients.
    Unreadable(Reason),
    /// No CIDR clients, on this reason.
    Leaves(DetachReason),
    /// These clients.
    Peers(&'store BTreeSet<CidrPeer>),
}

fn cidr_request<'store>(index: &Index<'_>, store: &'store DataStore) -> CidrRequest<'store> {
    if store.settings.blocked {
        return CidrRequest::Leaves(DetachReason::Blocked);
    }
    if index.seen.is_uninstalling() {
        return CidrRequest::Leaves(DetachReason::Uninstalling);
    }
    match (&store.settings.connect, &store.settings.allow_cidr) {
        (ConnectTag::Absent, _) => CidrRequest::Leaves(DetachReason::StoreOptedOut),
        (ConnectTag::Invalid(_), _) => CidrRequest::Nothing,
        (ConnectTag::Names(_), CidrTag::Invalid(problem)) => {
            CidrRequest::Unreadable(Reason::InvalidCidr { problem: problem.clone() })
        }
        (ConnectTag::Names(_), CidrTag::Peers(peers)) if !peers.is_empty() => CidrRequest::Peers(peers),
        (ConnectTag::Names(_), CidrTag::Absent | CidrTag::Peers(_)) => {
            CidrRequest::Leaves(DetachReason::CidrNotAskedFor)
        }
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
}

impl<'index> Clients<'index> {
    fn of(index: &'index Index<'index>, store: &'index DataStore) -> Self {
        let mut groups: Vec<_> =
            index.cidr_groups(&store.id).filter(|owned| owned.name.service == store.service).collect();
        groups.sort_by_key(|owned| owned.name);
        Self { index, store, groups }
    }

    fn say(&self, plan: &mut Plan, reason: Reason) {
        plan.findings.push(Finding { subject: Subject::Store(self.store.arn.clone()), reason });
    }

    fn ambiguity(&self) -> Option<Finding> {
        let groups = || self.groups.iter().map(|owned| owned.group.id().clone()).collect();
        (self.groups.len() > 1).then(|| Finding {
            subject: Subject::Store(self.store.arn.clone()),
            reason: Reason::AmbiguousCidrGroup { groups: groups() },
        })
    }

    /// Takes the groups off the store, whatever service they are named after; the finding when no other
    /// would be left in its list.
    fn leave(&self, plan: &mut Plan, disconnects: &mut Disconnects<'_>, reason: DetachReason) -> Result<(), Finding> {
        let store = self.store;
        let attached: Vec<_> =
            self.index.cidr_groups(&store.id).filter(|owned| store.has_group(owned.group.id())).collect();
        let Some(first) = attached.first() else { return Ok(()) };
        if store.settings.held && reason != DetachReason::Blocked {
            self.say(plan, Reason::Held);
            return Ok(());
        }
        if let Some(reason) = obstacles::list_waits(store) {
            self.say(plan, reason);
            return Ok(());
        }
        let change = plan.stores.get(&store.id);
        let leaves = |group| {
            attached.iter().any(|owned| owned.group.id() == group)
                || change.is_some_and(|change| change.detaches(group))
        };
        let rest = store.lasting_groups().filter(|group| !leaves(group)).cloned().collect();
        let gains = change.is_some_and(|change| change.attach.contains_key(&GroupKind::Pair));
        if !gains && GroupList::new(rest, usize::MAX).is_err() {
            return Err(last_group(Subject::Store(store.arn.clone()), first));
        }
        if !reason.is_counted() || disconnects.spend_on_store() {
            let change = plan.change_of(store);
            change.detach.extend(attached.iter().map(|owned| ((GroupKind::Cidr, owned.group.clone()), reason)));
            change.cuts += usize::from(reason.is_counted());
        }
        Ok(())
    }

    /// Makes the group and its rules what the tag asks for, and attaches it.
    fn keep_in_step(&self, plan: &mut Plan, peers: &BTreeSet<CidrPeer>, names: &mut TakenNames) {
        let store = self.store;
        let unfit = obstacles::by_nature(store);
        let Some(ports) = store.ports else {
            plan.findings.extend(unfit.map(|reason| Finding { subject: Subject::Store(store.arn.clone()), reason }));
            return;
        };
        let attached = self.groups.first().is_some_and(|owned| store.has_group(owned.group.id()));
        let Some(mut work) = self.work(peers, ports, names) else { return };
        let obstacle = unfit.or_else(|| if attached { None } else { self.no_place(plan) });
        let adds = !attached || !work.authorize.is_empty();
        if store.settings.held {
            if adds || !work.is_empty() {
                self.say(plan, Reason::Held);
            }
            return;
        }
        if let Some(reason) = obstacle.as_ref().filter(|_| adds) {
            self.say(plan, reason.clone());
            (work.create, work.authorize, work.revoke_first) = (None, BTreeSet::new(), false);
        }
        plan.findings.extend(self.drift(&work, attached));
        if !attached && obstacle.is_none() {
            match obstacles::list_waits(store) {
                Some(reason) => self.say(plan, reason),
                None => drop(plan.change_of(store).attach.insert(GroupKind::Cidr, work.group.clone())),
            }
        }
        if !work.is_empty() {
            plan.cidrs.insert(store.id.clone(), work);
        }
    }

    /// Why the group cannot be attached; none when it can.
    fn no_place(&self, plan: &mut Plan) -> Option<Reason> {
        let store = self.store;
        let pair = plan.stores.get(&store.id).is_some_and(|change| change.attach.contains_key(&GroupKind::Pair));
        let limit = store.service.row().store_group_limit;
        if store.lasting_groups().count() + usize::from(pair) >= limit {
            return Some(Reason::StoreGroupLimit { limit });
        }
        let group = self.groups.first()?.group.id();
        obstacles::contested_at_store(plan, self.index, group, store)
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

    /// What was found at the group and no tag can have asked for. A rule for a client that the tag names
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
