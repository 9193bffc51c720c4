//! What a case looks like, and what holds for every plan.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use tagwire_core::{
    check::check,
    expected::expected,
    finding::Reason,
    group::SecurityGroup,
    id::{InstanceId, SecurityGroupId, StoreArn},
    observation::{AttachedInterface, InterfaceOwner, Observation},
    plan::{Decision, InterfaceChange, Plan, Verdict, plan},
};
use tagwire_world::World;

/// A world and the plan for it.
pub(crate) struct Case {
    pub(crate) world: World,
    pub(crate) plan: Plan,
}

/// Plans for a world, having verified all that holds for every plan.
#[track_caller]
pub(crate) fn case(world: &str) -> Case {
    let world = World::read(world).unwrap_or_else(|bad| panic!("{bad}"));
    let plan = holds(&world).unwrap_or_else(|broken| panic!("{broken}"));
    Case { world, plan }
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

impl Case {
    /// The plan's changes are exactly these lines.
    #[track_caller]
    pub(crate) fn changes(self, text: &str) -> Self {
        assert_eq!(self.plan.changes(), lines(text), "\nfor the world{:?}", self.world);
        self
    }

    /// The plan changes nothing.
    #[track_caller]
    pub(crate) fn changes_nothing(self) -> Self {
        self.changes("")
    }

    /// The plan's verdicts and findings are exactly these lines.
    #[track_caller]
    pub(crate) fn explains(self, text: &str) -> Self {
        assert_eq!(self.plan.explanations(), lines(text), "\nfor the world{:?}", self.world);
        self
    }

    /// The codes of everything that is reported, in the plan's order.
    #[track_caller]
    pub(crate) fn codes(self, codes: &[&str]) -> Self {
        let codes_found: Vec<&str> = reasons(&self.plan).iter().map(|reason| reason.code()).collect();
        assert_eq!(codes_found, codes, "\nfor the world{:?}", self.world);
        self
    }
}

/// Every reason in a plan: those of the verdicts, then those of the findings.
pub(crate) fn reasons(plan: &Plan) -> Vec<&Reason> {
    let verdicts = plan.decisions.iter().filter_map(|decision| match &decision.verdict {
        Verdict::Waiting(reason) | Verdict::Refused(reason) => Some(reason),
        Verdict::Connected(_) | Verdict::Connecting | Verdict::Disconnecting(_) | Verdict::HeldBack(_) => None,
    });
    verdicts.chain(plan.findings.iter().map(|finding| &finding.reason)).collect()
}

/// Plans for a world and verifies what holds for every plan: the checker takes it, once it is
/// carried out there is nothing left to do, what is not ours is as it was, and the verdicts say
/// what the changes do.
pub(crate) fn holds(world: &World) -> Result<Plan, String> {
    holds_within(world, MOST_ROUNDS)
}

/// In how many further plans everything that concerns copies is settled at most: the own pair, the group of the source,
/// what only that kept, and whatever gets the places.
const MOST_ROUNDS: usize = 4;

/// Whether a plan has to do with a store that has a group of another one.
fn concerns_copies(seen: &Observation, plan: &Plan) -> bool {
    let is_left = |reason: &&Reason| matches!(reason, Reason::CopiedGroup { .. } | Reason::CopiedGroupLeaving { .. });
    let owner = |id: &SecurityGroupId| seen.groups.found.iter().find(|group| group.id == *id)?.ownership().ours();
    let takes_off = plan.stores.iter().any(|(store, change)| {
        change.detached().any(|group| owner(group.id()).is_some_and(|owned| owned.store != *store))
    });
    takes_off || plan.findings.iter().map(|finding| &finding.reason).any(|reason| is_left(&reason))
}

fn holds_within(world: &World, rounds: usize) -> Result<Plan, String> {
    let World { seen, policy } = world;
    let first = plan(seen, policy);
    let fail = |what: String| Err(format!("{what}\nthe plan:\n{first}the world:{world:?}"));

    let checked = match check(first.clone(), seen, policy) {
        Ok(checked) => checked,
        Err(rejection) => return fail(format!("the checker refuses the plan: {:?}", rejection.objections)),
    };
    let after = expected(seen, &checked);
    let second = plan(&after, policy);
    // A name that a deletion sets free lets a pair be finished that nothing could be done about before.
    let stuck = |decision: &Decision| matches!(decision.verdict, Verdict::Refused(Reason::AmbiguousPair { .. }));
    let frees_a_name = !first.deletions.is_empty() && first.decisions.iter().any(stuck);
    // What a copy took over leaves when its own pair was seen in place, and then what only that kept.
    let goes_on = concerns_copies(seen, &first);
    if !second.is_empty() && !frees_a_name && !goes_on {
        return fail(format!("once it is carried out, there is still something to do:\n{second}"));
    }
    if let Err(rejection) = check(second.clone(), &after, policy) {
        return fail(format!("the checker refuses the plan that follows: {:?}", rejection.objections));
    }
    if not_owned(seen) != not_owned(&after) {
        return fail("a group that is not owned was changed".to_owned());
    }
    if foreign_in_lists(seen) != foreign_in_lists(&after) {
        return fail("a group that is not owned was attached or detached".to_owned());
    }
    let before = lists(seen);
    let is_emptied = |target: &str| before.get(target).is_none_or(|list| !list.is_empty());
    if let Some((target, _)) = lists(&after).into_iter().find(|(target, list)| list.is_empty() && is_emptied(target)) {
        return fail(format!("the list of {target} is empty"));
    }
    if !second.is_empty() {
        if goes_on {
            let then = World { seen: after.clone(), policy: policy.clone() };
            return match rounds.checked_sub(1) {
                Some(left) => holds_within(&then, left).map(|_| first),
                None => fail(format!("it does not end:\n{second}")),
            };
        }
        return Ok(first);
    }
    if let Some(contradiction) = contradiction(seen, &first, &second) {
        return fail(contradiction);
    }
    Ok(first)
}

/// The world once its plan has been carried out, some minutes later; all that holds for every
/// plan is verified.
pub(crate) fn after(world: &World, minutes: i64) -> Result<World, String> {
    holds(world).and_then(|_| step(world, minutes)).map(|(_, after)| after)
}

/// Likewise, verified by the checker alone.
pub(crate) fn step(world: &World, minutes: i64) -> Result<(Plan, World), String> {
    let World { seen, policy } = world;
    let plan = plan(seen, policy);
    let checked =
        check(plan.clone(), seen, policy).map_err(|rejection| format!("{:?} for\n{plan}", rejection.objections))?;
    let mut seen = expected(seen, &checked);
    seen.at += SignedDuration::from_mins(minutes);
    Ok((plan, World { seen, policy: policy.clone() }))
}

pub(crate) fn not_owned(seen: &Observation) -> BTreeMap<&SecurityGroupId, &SecurityGroup> {
    let groups = seen.groups.found.iter();
    groups.filter(|group| group.ownership().ours().is_none()).map(|group| (&group.id, group)).collect()
}

/// Every list of groups, by whose it is.
fn lists(seen: &Observation) -> BTreeMap<String, BTreeSet<&SecurityGroupId>> {
    let interfaces = seen.instances.found.iter().filter_map(|instance| instance.interface.as_ref());
    let interfaces = interfaces.map(|interface| (interface.id.to_string(), interface.groups.iter().collect()));
    let stores = seen.present_stores();
    let stores = stores.into_iter().map(|(arn, store)| (arn.to_string(), store.groups.keys().collect()));
    // Those of services follow other lists.
    let is_left_over = |attached: &&AttachedInterface| matches!(attached.owner, InterfaceOwner::Nobody { .. });
    let others = seen.attachments.by.found.iter().filter(is_left_over);
    let others = others.map(|attached| (attached.interface.to_string(), attached.groups.iter().collect()));
    interfaces.chain(others).chain(stores).collect()
}

/// What is not owned of every list of groups.
pub(crate) fn foreign_in_lists(seen: &Observation) -> BTreeMap<String, BTreeSet<&SecurityGroupId>> {
    let is_owned = |group: &SecurityGroup| group.ownership().ours().is_some();
    let owned: BTreeSet<_> = seen.groups.found.iter().filter(|group| is_owned(group)).map(|group| &group.id).collect();
    let foreign = |list: BTreeSet<_>| list.difference(&owned).copied().collect();
    lists(seen).into_iter().map(|(target, list)| (target, foreign(list))).collect()
}

/// Whether a plan repairs the pair of a store of which another one has a group.
fn is_repaired(first: &Plan, second: &Plan, store: &StoreArn) -> bool {
    let is_of_store = |reason: &Reason| matches!(reason, Reason::CopiedGroup { of, .. } | Reason::CopiedGroupLeaving { of, .. } if of.as_ref() == Some(store));
    first.pairs.values().any(|work| work.store == *store)
        && second.findings.iter().any(|finding| is_of_store(&finding.reason))
}

/// A verdict that the changes, or the verdict after them, do not bear out.
fn contradiction(seen: &Observation, first: &Plan, second: &Plan) -> Option<String> {
    let stores = seen.present_stores();
    let after: BTreeMap<(&InstanceId, &StoreArn), &Verdict> =
        second.decisions.iter().map(|decision| ((&decision.instance, &decision.store), &decision.verdict)).collect();
    // The name of a store that is gone may be another one's by now, and stands for both.
    let detachments = || first.interfaces.values().flat_map(|change| change.detach.values());
    let shares_name = |store: &StoreArn| {
        let id = stores.get(store).map(|store| &store.id);
        detachments()
            .any(|detachment| detachment.arn.as_ref() == Some(store) && id.is_some_and(|id| *id != detachment.store))
    };
    first.decisions.iter().filter(|decision| !shares_name(&decision.store)).find_map(|decision| {
        let of_instance = |change: &&InterfaceChange| change.instance.as_ref() == Some(&decision.instance);
        let changes = || first.interfaces.values().filter(of_instance);
        let attaches =
            changes().any(|change| change.attach.values().any(|attachment| attachment.store == decision.store));
        let detaches = changes()
            .any(|change| change.detach.values().any(|detachment| detachment.arn.as_ref() == Some(&decision.store)));
        let cuts = first.stores.values().any(|change| change.store == decision.store && !change.detach.is_empty());
        let works = attaches
            || first.pairs.values().any(|work| work.store == decision.store)
            || first.stores.values().any(|change| change.store == decision.store);
        let then = after.get(&(&decision.instance, &decision.store)).copied();
        let borne_out = match &decision.verdict {
            Verdict::Connected(_) => !attaches && !detaches && matches!(then, Some(Verdict::Connected(_))),
            Verdict::Connecting => works && matches!(then, Some(Verdict::Connected(_))),
            Verdict::Waiting(_) => then == Some(&decision.verdict),
            Verdict::Refused(_) => !attaches && matches!(then, Some(Verdict::Refused(_) | Verdict::Connected(_))),
            Verdict::Disconnecting(_) => {
                let by_others = matches!(then, Some(Verdict::Connected(via)) if !via.owned);
                (detaches || cuts) && (by_others || matches!(then, None | Some(Verdict::Refused(_))))
            }
            Verdict::HeldBack(_) => {
                // When the repair of a pair lets it lead to a copy of its store, whoever may reach that keeps it.
                let leads_on = then.is_none() && is_repaired(first, second, &decision.store);
                !attaches && !detaches && (then == Some(&decision.verdict) || leads_on)
            }
        };
        (!borne_out).then(|| format!("the verdict {decision:?} turned into {then:?}"))
    })
}
