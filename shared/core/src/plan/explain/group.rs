//! One security group: what it is for, and whether it may go.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    Answer, Failure, GroupExplanation, Look, Walk,
    facts::{compared, words},
    remedy::About,
};
use crate::{
    cidr::CidrTag,
    finding::{Finding, Reason, Subject},
    group::{CidrGroupName, Owned, OwnedGroup, Ownership, Role, SecurityGroup, description},
    id::{SecurityGroupId, StoreId},
    memory::Recall,
    model::{DataStore, Instance, Membership},
    observation::{Bearer, Gap, Scope},
    plan::{
        Because, Plan, Teardown, Verdict,
        conditions::Candidate,
        leave::{self, Whereabouts, whereabouts},
        teardown,
    },
    rule::{Direction, Rule, Traffic},
    service::Side,
    tag::ALLOW_CIDR_KEY,
};

/// What has to hold for an owned group to be deleted, with all that belongs together with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It is tagwire's.
    Owned,
    /// Every group of the VPC was read.
    AllRead,
    /// The scope has to do with it.
    LookedAt,
    /// Its store's tags are what its service says, and not the tag index.
    TagsCertain,
    /// Its store is gone or takes no part any more, or no tags ask for it.
    NotAskedFor,
    /// Nothing wears it or the group that belongs to it.
    NotWorn,
    /// That has been so for long enough, where nothing else says that it is at an end.
    LongUnused,
    /// The store has no second one.
    OnlyOne,
    /// No launch template names it.
    NotInTemplate,
    /// No rule of a group that stays names it.
    NotInRule,
}

impl Ending {
    /// Every condition, in the order in which they are looked at.
    pub const ALL: [Self; 10] = [
        Self::Owned,
        Self::AllRead,
        Self::LookedAt,
        Self::TagsCertain,
        Self::NotAskedFor,
        Self::NotWorn,
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
            Self::LookedAt => "looked-at",
            Self::TagsCertain => "tags-certain",
            Self::NotAskedFor => "not-asked-for",
            Self::NotWorn => "not-worn",
            Self::LongUnused => "long-unused",
            Self::OnlyOne => "only-one",
            Self::NotInTemplate => "not-in-template",
            Self::NotInRule => "not-in-rule",
        }
    }

    /// What is asked.
    #[must_use]
    pub fn question(self) -> &'static str {
        match self {
            Self::Owned => "Is it tagwire's?",
            Self::AllRead => "Was every security group of the VPC read?",
            Self::LookedAt => "Has this look to do with it?",
            Self::TagsCertain => "Is it certain what the data store's tags are?",
            Self::NotAskedFor => "Does nothing ask for it?",
            Self::NotWorn => "Does nothing wear it, nor the group that belongs to it?",
            Self::LongUnused => "Has it been unused for a sweep period?",
            Self::OnlyOne => "Is it the data store's only one?",
            Self::NotInTemplate => "Does no launch template name it?",
            Self::NotInRule => "Does no rule of a group that stays name it?",
        }
    }
}

/// The groups that end together, taken apart.
enum Kin<'look> {
    Pair(Vec<&'look Owned>),
    Cidr(Vec<&'look Owned<CidrGroupName>>),
}

/// What the planner's own questions answer about the groups of one store.
struct Asked<'look> {
    store_id: &'look StoreId,
    store: Option<&'look DataStore>,
    kin: Kin<'look>,
    ids: BTreeSet<&'look SecurityGroupId>,
    ended: Option<Because>,
    unasked: bool,
    off: bool,
}

impl Look<'_> {
    pub(super) fn group(&self, id: &SecurityGroupId) -> GroupExplanation {
        let subject = Subject::Group(id.clone());
        let group = self.view.group(id);
        let ownership = self.view.ownership().find(|(of, _)| *of == id).map(|(_, ownership)| ownership);
        let mut walk = Walk::default();
        let mut facts = group.map(|group| self.group_facts(group)).unwrap_or_default();
        match ownership {
            Some(Ownership::Owned(owned)) => self.ending(&mut walk, owned, &mut facts),
            Some(Ownership::OwnedCidr(owned)) => self.ending(&mut walk, owned, &mut facts),
            Some(Ownership::Foreign | Ownership::Forged(_)) | None => self.not_ours(&mut walk, id, group, ownership),
        }
        let plan = &self.settled.plan;
        let teardowns = plan.teardowns.values().chain(plan.cidr_teardowns.values());
        let deleted = |teardown: &&Teardown| teardown.delete.iter().any(|owned| owned.id() == id);
        let because = teardowns.into_iter().find(deleted).map(|teardown| teardown.because);
        let findings: Vec<Finding> = self.findings(&subject).cloned().collect();
        let about = About { look: self, instance: None, store: None };
        for finding in &findings {
            walk.advise(about.remedy(&finding.reason, &finding.subject));
        }
        let says = match (because, walk.first()) {
            (Some(because), _) => format!("it goes now: {because}"),
            (None, Some(failure)) => format!("it stays: {failure}"),
            (None, None) => "it stays".to_owned(),
        };
        GroupExplanation {
            group: id.clone(),
            facts,
            steps: walk.steps,
            may_go: because.is_some(),
            because,
            says: format!("{}: {says}", self.named(id)),
            changes: changes(plan, id),
            findings,
            remedy: walk.remedy,
        }
    }

    /// The walk for a group that is not tagwire's ends at once.
    fn not_ours(
        &self,
        walk: &mut Walk,
        id: &SecurityGroupId,
        group: Option<&SecurityGroup>,
        ownership: Option<&Ownership>,
    ) {
        let about = About { look: self, instance: None, store: None };
        let subject = Subject::Group(id.clone());
        let lost = |group: &SecurityGroup| {
            Role::of_name(&group.name).is_some_and(|role| group.description == description(role))
        };
        let failure = match (ownership, group) {
            (Some(Ownership::Forged(forgery)), _) => {
                about.because(Reason::OwnershipForged { forgery: *forgery }, &subject)
            }
            (_, Some(group)) if lost(group) => about.because(Reason::OwnershipLost, &subject),
            (_, Some(_)) => (
                Failure::new("not-owned", "it carries none of tagwire's tags, and tagwire leaves it alone"),
                Vec::new(),
            ),
            (_, None) => match self.view.seen.groups.gaps.iter().min() {
                Some(gap) => about.because(Reason::Unread { gap: gap.clone() }, &subject),
                None => (
                    Failure::new(
                        "group-not-read",
                        format!(
                            "no such group was read in {}: its name is none that pairs have, or it is gone",
                            self.view.seen.vpc
                        ),
                    ),
                    Vec::new(),
                ),
            },
        };
        let mut owned = Some(failure);
        for ending in Ending::ALL {
            let answer = owned.take().map_or(Answer::Unknown, |failure| Answer::of(Some(failure)));
            let facts = if ending == Ending::NotWorn { self.wearers(id, None) } else { Vec::new() };
            walk.step((ending.code(), ending.question()), answer, facts);
        }
    }

    /// What a group is, and how its rules stand.
    fn group_facts(&self, group: &SecurityGroup) -> Vec<String> {
        let mut facts = vec![format!("{} in {}, described as {:?}", group.name, group.vpc, group.description)];
        let ours = group.ownership().ours();
        let Some(owned) = ours else {
            facts.extend(group.rules.iter().map(|rule| format!("rule {rule}")));
            return facts;
        };
        facts.push(match owned.name {
            Role::Side(Side::Store) => format!("the store side of a pair of {}", owned.store),
            Role::Side(Side::Instance) => format!("the instance side of a pair of {}", owned.store),
            Role::Cidr => format!("lets in the clients of {} that are not EC2 instances", owned.store),
        });
        facts.extend(self.store_of_group(&owned));
        let Some(store) = self.view.store(&owned.store) else {
            facts.extend(group.rules.iter().map(|rule| format!("rule {rule}")));
            return facts;
        };
        match owned.name {
            Role::Side(side) => facts.extend(self.side_facts(group, store, side)),
            Role::Cidr => {
                let peers = match &store.wishes.allow_cidr {
                    CidrTag::Peers(peers) => peers.iter().collect(),
                    CidrTag::Absent | CidrTag::Invalid(_) => Vec::new(),
                };
                let wanted = store.ports.into_iter().flat_map(|ports| {
                    peers.iter().map(move |peer| Rule {
                        direction: Direction::Inbound,
                        traffic: Traffic::Tcp(ports),
                        peer: peer.to_peer(),
                    })
                });
                facts.extend(compared(group, &wanted.collect::<Vec<_>>()));
            }
        }
        facts
    }

    fn side_facts(&self, group: &SecurityGroup, store: &DataStore, side: Side) -> Vec<String> {
        let Some(standing) = self.settled.standings.get(&store.id) else { return Vec::new() };
        let serves = standing.serving(side).is_some_and(|owned| *owned.group.id() == group.id);
        if !serves {
            let mut facts = self.pair_facts(standing);
            facts.extend(group.rules.iter().map(|rule| format!("rule {rule}")));
            return facts;
        }
        let peer = standing.serving(side.opposite()).map(|owned| self.named(owned.group.id()));
        let peer = peer.unwrap_or_else(|| "not there".to_owned());
        let mut facts = vec![format!("the {} side that belongs to it: {peer}", side.opposite().tag_value())];
        facts.extend(compared(group, &standing.wanted(side).into_iter().collect::<Vec<_>>()));
        facts
    }

    fn store_of_group(&self, owned: &Owned<Role>) -> Vec<String> {
        let Some(store) = self.view.store(&owned.store) else {
            let arn = owned.arn.as_ref().map_or_else(|| "its tag names none".to_owned(), ToString::to_string);
            let mut facts = vec![match whereabouts(self.view, owned) {
                Whereabouts::Gone => format!("its data store is gone: {arn}"),
                Whereabouts::Carried(finding) | Whereabouts::Unknown(Some(finding)) => {
                    format!("its data store was not found ({arn}): {} ({})", finding.reason, finding.reason.code())
                }
                Whereabouts::Unknown(None) => format!("its data store was not read: {arn}"),
            }];
            if self.view.seen.absent.contains(&owned.store) {
                facts.push("its service lists nothing with that identity".to_owned());
            }
            return facts;
        };
        let mut facts = self.store_facts(store);
        let (here, there) = (&self.view.seen.vpc, store.vpc.as_ref());
        facts.extend(
            (there != Some(here))
                .then(|| "its data store is in another VPC now, where a pair cannot follow".to_owned()),
        );
        if let Some(arn) = owned.arn.as_ref().filter(|arn| **arn != store.arn) {
            facts.push(format!("its data store was renamed: the tag says {arn}"));
        }
        facts
    }

    /// Who wears a group. What `of` is about says whether an instance's tags ask for it.
    fn wearers(&self, id: &SecurityGroupId, of: Option<&Asked<'_>>) -> Vec<String> {
        let (view, name) = (self.view, self.named(id));
        let mut facts: Vec<String> = view
            .wearing(id)
            .map(|instance| format!("{} wears {name}{}", instance.id, self.asks(instance, id, of)))
            .collect();
        for store in view.stores_with(id) {
            let leaves = self.settled.plan.stores.get(&store.id).is_some_and(|change| change.detaches(id));
            let word = match store.groups.get(id) {
                Some(Membership::Removing) => ", on its way out",
                _ if leaves => ", and loses it now",
                _ => "",
            };
            facts.push(format!("{} wears {name}{word}", store.arn.short()));
        }
        match view.seen.other_wearers(id) {
            Some(others) => facts.extend(others.map(|wearer| {
                let bearer = match &wearer.bearer {
                    Bearer::Instance { id, .. } => id.to_string(),
                    Bearer::Other { description } => description.clone(),
                };
                format!("{} ({bearer}) wears {name}", wearer.interface)
            })),
            None => facts.push(format!("whether other interfaces wear {name} is not known")),
        }
        facts
    }

    /// Whether an instance's tags ask for a group that it wears, and what becomes of that.
    fn asks(&self, instance: &Instance, id: &SecurityGroupId, of: Option<&Asked<'_>>) -> String {
        let Some(asked) = of else { return String::new() };
        if let Some(verdict) = self.settled.departures.verdict(&instance.id, asked.store_id) {
            return match verdict {
                Verdict::HeldBack(ground) => format!(", until a later window lets it go: {ground}"),
                Verdict::Connected(_)
                | Verdict::Connecting
                | Verdict::Waiting(_)
                | Verdict::Refused(_)
                | Verdict::Disconnecting(_) => format!(": {verdict}"),
            };
        }
        let names = asked.store.map(|store| Candidate::of(store, instance).names).unwrap_or_default();
        let kept = self.view.owned(id).and_then(|owned| leave::kept_because(self.view, instance, owned));
        match (names.is_empty(), kept) {
            (false, _) => format!(", whose tags ask for it: {}", words(names)),
            (true, Some(reason)) => format!(", and keeps it: {reason} ({})", reason.code()),
            (true, None) => ", whose tags do not ask for it".to_owned(),
        }
    }

    /// Walks the conditions of a deletion, each by the planner's own question.
    fn ending<Name: Copy + Into<Role>>(&self, walk: &mut Walk, owned: &Owned<Name>, facts: &mut Vec<String>) {
        let view = self.view;
        let asked = match owned.role() {
            Role::Side(_) => {
                let groups: Vec<_> = view.owned_groups(&owned.store).collect();
                let unasked = teardown::is_unasked(view, &owned.store);
                self.asked(&owned.store, unasked, &groups, Kin::Pair(groups.clone()))
            }
            Role::Cidr => {
                let groups: Vec<_> = view.cidr_groups(&owned.store).collect();
                let unasked = teardown::cidr_unasked(view, &owned.store);
                self.asked(&owned.store, unasked, &groups, Kin::Cidr(groups.clone()))
            }
        };
        let others: Vec<String> =
            asked.ids.iter().filter(|id| **id != owned.group.id()).map(|id| self.named(id)).collect();
        facts.extend((!others.is_empty()).then(|| format!("other groups of the same data store: {}", words(others))));
        for ending in Ending::ALL {
            let (answer, facts) = self.end(ending, &asked);
            walk.step((ending.code(), ending.question()), answer, facts);
        }
    }

    fn asked<'look, Name: Copy + Into<Role>>(
        &'look self,
        store: &'look StoreId,
        unasked: bool,
        groups: &[&'look Owned<Name>],
        kin: Kin<'look>,
    ) -> Asked<'look> {
        let (view, settled) = (self.view, &self.settled);
        Asked {
            store_id: store,
            store: view.store(store),
            ids: groups.iter().map(|owned| owned.group.id()).collect(),
            ended: teardown::ended(view, store, groups),
            off: teardown::is_off(&settled.plan, view, &settled.departures, store, groups),
            unasked,
            kin,
        }
    }

    fn end(&self, ending: Ending, asked: &Asked<'_>) -> (Answer, Vec<String>) {
        let view = self.view;
        let about = About { look: self, instance: None, store: asked.store };
        let subject = match asked.store {
            Some(store) => Subject::Store(store.arn.clone()),
            None => Subject::Vpc(view.seen.vpc.clone()),
        };
        let unread = |gap: &Gap| about.because(Reason::Unread { gap: gap.clone() }, &subject);
        let none = Vec::new();
        match ending {
            Ending::Owned => (Answer::Holds, vec!["its tags, name and description are tagwire's".to_owned()]),
            Ending::AllRead => (Answer::of(view.seen.groups.gaps.iter().min().map(unread)), none),
            Ending::LookedAt => {
                let looked_at = match &asked.kin {
                    Kin::Pair(groups) => {
                        groups.iter().any(|owned| view.names_store(owned) || teardown::wears_in_scope(view, owned))
                    }
                    Kin::Cidr(groups) => groups.iter().any(|owned| view.names_store(owned)),
                };
                let outside = || {
                    let failure = Failure::new("outside-scope", "this look was made for something else");
                    (failure, vec!["look at the whole VPC".to_owned()])
                };
                (Answer::of((!looked_at).then(outside)), vec![format!("looked at: {}", view.seen.scope)])
            }
            Ending::TagsCertain => {
                let uncertain = asked.store.filter(|_| !teardown::cidr_certain(view, asked.store_id));
                let answer = match &asked.kin {
                    Kin::Pair(_) => Answer::NotNeeded,
                    Kin::Cidr(_) => Answer::of(uncertain.map(|store| {
                        about.because(Reason::NotAvailable { state: store.state.clone(), passing: true }, &subject)
                    })),
                };
                (answer, none)
            }
            Ending::NotAskedFor => self.asked_for(asked, about),
            Ending::NotWorn => self.worn_by(asked, unread),
            Ending::LongUnused => self.unused(asked, unread),
            Ending::OnlyOne => {
                let groups = asked.ids.iter().map(|id| (*id).clone()).collect();
                let several = match &asked.kin {
                    Kin::Pair(pair) => {
                        (!teardown::is_one_pair(asked.ended, pair)).then_some(Reason::AmbiguousPair { groups })
                    }
                    Kin::Cidr(cidr) => {
                        (!teardown::is_one_cidr_group(view, cidr)).then_some(Reason::AmbiguousCidrGroup { groups })
                    }
                };
                let facts = vec![format!("owned groups of the data store: {}", words(&asked.ids))];
                (Answer::of(several.map(|reason| about.because(reason, &subject))), facts)
            }
            Ending::NotInTemplate => self.in_template(asked, unread),
            Ending::NotInRule => {
                let plan = &self.settled.plan;
                let ends = plan.teardowns.values().chain(plan.cidr_teardowns.values());
                let going: BTreeSet<_> = ends.flat_map(|end| &end.delete).map(OwnedGroup::id).collect();
                let namers = teardown::namers(plan, view, |id| asked.ids.contains(id) || going.contains(id));
                let namers: Vec<_> = namers.into_iter().filter(|(_, named)| asked.ids.contains(named)).collect();
                let facts =
                    namers.iter().map(|(namer, named)| format!("a rule of {} names {named}", self.named(namer)));
                let failure = namers
                    .first()
                    .map(|(namer, _)| about.because(Reason::GroupInRule { group: (*namer).clone() }, &subject));
                (Answer::of(failure), facts.collect())
            }
        }
    }

    /// Whether something asks for the groups, or keeps them although nothing does.
    fn asked_for(&self, asked: &Asked<'_>, about: About<'_>) -> (Answer, Vec<String>) {
        let mut facts = Vec::new();
        if let Some(because) = asked.ended {
            return (Answer::Holds, vec![because.to_string()]);
        }
        let Some(store) = asked.store else {
            let holds = if asked.unasked { Answer::Holds } else { about.unknown_store(asked.store_id) };
            return (holds, vec!["its data store was not found, and nothing is known to ask for it".to_owned()]);
        };
        let sharing = self.view.sharing(store);
        let names = || words(sharing.iter().map(|instance| &instance.id));
        if !sharing.is_empty() {
            facts.push(format!("share a name with the data store: {}", names()));
        }
        if asked.unasked {
            return (Answer::Holds, facts);
        }
        let held = store.wishes.held.then(|| about.because(Reason::Held, &Subject::Store(store.arn.clone())));
        let key = self.connect_key;
        let take_off = match &asked.kin {
            Kin::Pair(_) => format!("take {key} off the data store, or the shared names off the instances"),
            Kin::Cidr(_) => format!("take {ALLOW_CIDR_KEY} off the data store"),
        };
        let (code, says) = match &asked.kin {
            Kin::Pair(_) => ("asked-for", format!("its data store shares a name with {}", names())),
            Kin::Cidr(_) if store.vpc.as_ref() != Some(&self.view.seen.vpc) => {
                ("store-moved", "its data store is in another VPC now".to_owned())
            }
            Kin::Cidr(_) => ("asked-for", "the data store's tags ask for such clients, or cannot be read".to_owned()),
        };
        let failure = held.unwrap_or_else(|| (Failure::new(code, says), vec![take_off]));
        (Answer::of(Some(failure)), facts)
    }

    fn worn_by(&self, asked: &Asked<'_>, unread: impl Fn(&Gap) -> Advised) -> (Answer, Vec<String>) {
        let facts: Vec<String> = asked.ids.iter().flat_map(|id| self.wearers(id, Some(asked))).collect();
        if asked.off {
            return (Answer::Holds, facts);
        }
        let seen = self.view.seen;
        let known = asked.ids.iter().all(|id| seen.other_wearers(id).is_some());
        let gap = seen.wearing.by.gaps.iter().chain(&seen.instances.gaps).min();
        let failure = match gap.filter(|_| !known) {
            Some(gap) => unread(gap),
            None if !known => {
                let failure = Failure::new("wearers-not-read", "it was not asked who wears it");
                (failure, vec!["look at the whole VPC".to_owned()])
            }
            None => {
                let wearers = self.staying_wearers(asked);
                let who = if wearers.is_empty() { "something".to_owned() } else { words(wearers) };
                let take_off = vec![format!("it goes when none of these wears one of its groups: {who}")];
                (Failure::new("worn", format!("worn by, or to be attached to, {who}")), take_off)
            }
        };
        (Answer::of(Some(failure)), facts)
    }

    /// Who wears one of the groups once the plan is carried out, or gets one by it.
    fn staying_wearers(&self, asked: &Asked<'_>) -> BTreeSet<String> {
        let (view, plan) = (self.view, &self.settled.plan);
        let mut found = BTreeSet::new();
        for id in &asked.ids {
            let leaves = |instance: &Instance| {
                let change = instance.interface.as_ref().and_then(|interface| plan.interfaces.get(&interface.id));
                change.is_some_and(|change| change.detach.keys().any(|gone| gone.id() == *id))
            };
            let instances = view.wearing(id).filter(|instance| !leaves(instance));
            found.extend(instances.map(|instance| instance.id.to_string()));
            let loses = |store: &DataStore| plan.stores.get(&store.id).is_some_and(|change| change.detaches(id));
            let stores = view.stores_with(id).iter().filter(|store| store.wears(id) && !loses(store));
            found.extend(stores.map(|store| store.arn.short()));
            found.extend(view.seen.other_wearers(id).into_iter().flatten().map(|wearer| wearer.interface.to_string()));
        }
        let gains = plan.stores.get(asked.store_id).filter(|change| change.attached().next().is_some());
        found.extend(gains.map(|change| change.store.short()));
        found
    }

    fn unused(&self, asked: &Asked<'_>, unread: impl Fn(&Gap) -> Advised) -> (Answer, Vec<String>) {
        let (view, seen) = (self.view, self.view.seen);
        let groups = match &asked.kin {
            // The tag itself says that its clients are to be let in no more.
            Kin::Cidr(_) => return (Answer::NotNeeded, Vec::new()),
            Kin::Pair(groups) => groups,
        };
        if asked.ended.is_some() {
            return (Answer::NotNeeded, Vec::new());
        }
        let unused = asked.off && asked.unasked;
        let period = view.policy.sweep_period.as_secs();
        let mut facts = vec![format!("it has to be seen unused twice, {period} seconds apart")];
        if let Some(memory) = seen.memory.known() {
            facts.extend(
                asked
                    .ids
                    .iter()
                    .filter_map(|id| memory.unused.get(*id).map(|since| format!("{id} is seen unused since {since}"))),
            );
        }
        if teardown::remember(&mut Plan::default(), view, groups, unused) {
            return (Answer::Holds, facts);
        }
        let gaps = seen.instances.gaps.iter().chain(&seen.stores.gaps).chain(&seen.wearing.by.gaps);
        let gap = match &seen.memory {
            Recall::Known(_) => gaps.min(),
            Recall::Unknown(gap) => Some(gap),
        };
        let failure = match gap {
            Some(gap) => unread(gap),
            None if !unused => (Failure::new("in-use", "it is not unused"), Vec::new()),
            None if seen.scope != Scope::Vpc => {
                let failure = Failure::new("outside-scope", "only a look at the whole VPC can tell");
                (failure, vec!["look at the whole VPC".to_owned()])
            }
            None => {
                let failure =
                    Failure::new("not-unused-for-long", format!("it is not known to be unused for {period} seconds"));
                (failure, vec!["nothing: wait for the next sweeps".to_owned()])
            }
        };
        (Answer::of(Some(failure)), facts)
    }

    fn in_template(&self, asked: &Asked<'_>, unread: impl Fn(&Gap) -> Advised) -> (Answer, Vec<String>) {
        let mut said = Plan::default();
        let may_go = match &asked.kin {
            Kin::Pair(groups) => teardown::may_be_deleted(&mut said, self.view, groups),
            Kin::Cidr(groups) => teardown::may_be_deleted(&mut said, self.view, groups),
        };
        if may_go {
            return (Answer::Holds, Vec::new());
        }
        let about = About { look: self, instance: None, store: asked.store };
        let gap = self.view.seen.launch_templates.as_ref().and_then(|reading| reading.gaps.iter().min());
        let failure = match (said.findings.first(), gap) {
            (Some(finding), _) => about.because(finding.reason.clone(), &finding.subject),
            (None, Some(gap)) => unread(gap),
            (None, None) => {
                let failure = Failure::new("templates-not-read", "the launch templates were not asked for");
                (failure, vec!["look at the whole VPC".to_owned()])
            }
        };
        let facts = said.findings.iter().map(|finding| format!("a launch template names {}", finding.subject));
        (Answer::of(Some(failure)), facts.collect())
    }
}

/// A failure, and what to do about it.
type Advised = (Failure, Vec<String>);

impl About<'_> {
    fn because(&self, reason: Reason, subject: &Subject) -> Advised {
        let remedy = self.remedy(&reason, subject);
        (reason.into(), remedy)
    }

    fn unknown_store(&self, store: &StoreId) -> Answer {
        let subject = Subject::Vpc(self.look.view.seen.vpc.clone());
        Answer::of(Some(self.because(Reason::StoreUnknown { store: store.clone() }, &subject)))
    }
}

/// The plan's changes that name a group.
fn changes(plan: &Plan, id: &SecurityGroupId) -> Vec<String> {
    let is_id = |symbol: char| symbol.is_ascii_alphanumeric() || matches!(symbol, '-' | '_' | '.');
    let names = |line: &String| line.split(|symbol| !is_id(symbol)).any(|word| word == id.as_str());
    plan.changes().into_iter().filter(names).collect()
}
