//! Every connection of an account and Region at present: who reaches which data store, through which
//! groups, who made it, and whether tagwire is about to change it.
//!
//! [`connections`] joins two looks. The [`Survey`] holds all there is, tagged or not, and the pairs in it
//! are found by the conditions by which the RDS console finds its own. The plans add what the tags ask
//! for, also where there is no connection yet. There is one row for each client and data store.
//!
//! A default group and somebody else's rule for a block of addresses let in whoever happens to be there:
//! they are no connections.

mod clients;
mod known;
mod link;
mod row;
mod survey;

use std::collections::BTreeMap;

pub(crate) use self::link::covers;
use self::{
    known::Known,
    link::{Link, LinkState},
};
pub use self::{
    link::maker,
    row::{CONNECTING, COPIED, Client, ConnectionStatus, DISCONNECTING, HELD_BACK, MODIFIED, Maker, SideGroup, State},
    survey::Survey,
};
use crate::{
    finding::{Finding, Reason, Subject},
    group::Owned,
    id::{SecurityGroupId, StoreArn, VpcId},
    model::{DataStore, Instance},
    observation::Observation,
    plan::{Decision, DetachReason, GroupRef, Plan, Verdict, Via},
    service::Side,
    state::Target,
};

/// The subject of a row. A data store may have the name of one that is gone and whose pair is still there.
type RowKey = (VpcId, StoreArn, Client, Former);

/// Whether a row is about the data store that had the name before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Former {
    No,
    Yes,
}

/// Every connection that was found or is planned, in the order of VPCs, data stores and clients.
#[must_use]
pub fn connections(survey: &Survey, planned: &[(&Observation, &Plan)]) -> Vec<ConnectionStatus> {
    let known = Known::of(survey, planned);
    let decisions = decisions(&known, planned);
    let mut rows = BTreeMap::new();
    for (key, (seen, plan, decision)) in &decisions {
        let row = decided(&known, seen, plan, decision, key.3);
        rows.insert(key.clone(), row);
    }
    for store in known.stores() {
        let Some(vpc) = store.vpc() else { continue };
        for instance in known.let_in(store) {
            let key = (vpc.clone(), store.arn.clone(), Client::Instance(instance.id.clone()), Former::No);
            if !rows.contains_key(&key)
                && let Some(joined) = link::find(&known, store, instance)
            {
                rows.insert(key, found(&known, vpc, store, instance, &joined));
            }
        }
    }
    for (key, row) in half_attached(&known) {
        rows.entry(key).or_insert(row);
    }
    let cidr = clients::rows(&known);
    let mut rows: Vec<ConnectionStatus> = rows.into_values().chain(cidr).collect();
    rows.sort_by(|one, other| (&one.vpc, &one.store, &one.client).cmp(&(&other.vpc, &other.store, &other.client)));
    rows
}

/// The decisions by their subjects. Of two about the same instance and ARN, one may be about the
/// data store that had the name before; where that is unknown, the first counts.
fn decisions<'known>(
    known: &Known<'known>,
    planned: &[(&'known Observation, &'known Plan)],
) -> BTreeMap<RowKey, (&'known Observation, &'known Plan, &'known Decision)> {
    let mut decisions = BTreeMap::new();
    for (seen, plan) in planned.iter().copied() {
        for decision in &plan.decisions {
            let is_gone = decision.verdict == Verdict::Disconnecting(DetachReason::StoreGone);
            let former = if is_gone && known.store(&decision.store).is_some() { Former::Yes } else { Former::No };
            let key = (seen.vpc.clone(), decision.store.clone(), Client::Instance(decision.instance.clone()), former);
            decisions.entry(key).or_insert((seen, plan, decision));
        }
    }
    decisions
}

/// The row of a decision, with the connection that there is already.
fn decided(
    known: &Known<'_>,
    seen: &Observation,
    plan: &Plan,
    decision: &Decision,
    former: Former,
) -> ConnectionStatus {
    let store = known.store(&decision.store).filter(|_| former == Former::No);
    let instance = known.instance(&decision.instance);
    let joined = match &decision.verdict {
        Verdict::Connected(via) => {
            let groups = known.group(&via.store_side).zip(known.group(&via.instance_side));
            groups.zip(store).map(|((store_side, instance_side), store)| {
                Link::through(store, store_side, instance_side, plan_fixes(plan, store, via))
            })
        }
        Verdict::Connecting
        | Verdict::Waiting(_)
        | Verdict::Refused(_)
        | Verdict::Disconnecting(_)
        | Verdict::HeldBack(_) => store.zip(instance).and_then(|(store, instance)| link::find(known, store, instance)),
    };
    let mut row = RowBuilder { known, vpc: &seen.vpc, arn: &decision.store, store, instance }
        .row(Client::Instance(decision.instance.clone()), joined.as_ref());
    (row.state, row.code, row.reason) = state_of(&decision.verdict, joined.as_ref().map(|joined| &joined.how));
    if matches!(row.state, State::Connected | State::Drifted) && row.made_by.is_none() {
        row.made_by = Some(Maker::Tagwire);
    }
    row
}

/// The state of a connection, from the verdict and the groups. A connection that exists is called so
/// whatever was decided: an instance that is refused a connection and has another one is let in.
fn state_of(verdict: &Verdict, how: Option<&LinkState>) -> (State, Option<&'static str>, Option<String>) {
    let (modified, stands) = match how {
        None => (None, None),
        Some(LinkState::Usable | LinkState::ByHand) => (None, Some(State::Connected)),
        Some(LinkState::Modified(what)) => (Some(what.clone()), Some(State::Drifted)),
    };
    // The planner counts no whole pair here, so one that seems to be is not to be relied on.
    let on_the_way = |state| if how == Some(&LinkState::Usable) { State::Drifted } else { stands.unwrap_or(state) };
    match verdict {
        Verdict::Connected(_) => (stands.unwrap_or(State::Connected), modified.is_some().then_some(MODIFIED), modified),
        Verdict::Connecting => {
            let code = if modified.is_some() { MODIFIED } else { CONNECTING };
            let planned = || "the tags ask for it, and the next run of tagwire makes it".to_owned();
            (on_the_way(State::Waiting), Some(code), Some(modified.unwrap_or_else(planned)))
        }
        Verdict::Waiting(reason) => (on_the_way(State::Waiting), Some(reason.code()), Some(reason.to_string())),
        Verdict::Refused(reason) => (on_the_way(State::Refused), Some(reason.code()), Some(reason.to_string())),
        Verdict::Disconnecting(reason) => {
            (stands.unwrap_or(State::Drifted), Some(DISCONNECTING), Some(reason.to_string()))
        }
        Verdict::HeldBack(reason) => (stands.unwrap_or(State::Drifted), Some(HELD_BACK), Some(reason.to_string())),
    }
}

/// Whether the plan changes rules of the pair in use.
fn plan_fixes(plan: &Plan, store: &DataStore, via: &Via) -> bool {
    let in_use = |group: &SecurityGroupId| *group == via.store_side || *group == via.instance_side;
    plan.pairs.get(&store.id).is_some_and(|work| {
        let revokes = work.revoke.iter().any(|(group, _)| in_use(group.id()));
        let adds = |group: &GroupRef| matches!(group, GroupRef::Existing(group) if in_use(group));
        revokes || work.authorize.iter().any(|(group, _)| adds(group))
    })
}

/// The row of a connection that no plan decides about.
fn found(
    known: &Known<'_>,
    vpc: &VpcId,
    store: &DataStore,
    instance: &Instance,
    joined: &Link<'_>,
) -> ConnectionStatus {
    let blank = RowBuilder { known, vpc, arn: &store.arn, store: Some(store), instance: Some(instance) };
    let row = blank.row(Client::Instance(instance.id.clone()), Some(joined));
    if joined.is_copied_to(store) {
        let reason = "its store side was made for another data store, whose clients reach this one too".to_owned();
        return ConnectionStatus { state: State::Drifted, code: Some(COPIED), reason: Some(reason), ..row };
    }
    match &joined.how {
        LinkState::Usable | LinkState::ByHand => row,
        LinkState::Modified(what) => {
            ConnectionStatus { state: State::Drifted, code: Some(MODIFIED), reason: Some(what.clone()), ..row }
        }
    }
}

/// The instances that have an instance side of tagwire's and reach nothing by it.
fn half_attached(known: &Known<'_>) -> Vec<(RowKey, ConnectionStatus)> {
    let mut rows = Vec::new();
    for (instance, owned) in known.attached_instance_sides() {
        let Some(interface) = &instance.interface else { continue };
        let store = known.store_by_id(&owned.store);
        let Some(arn) = store.map(|store| &store.arn).or(owned.arn.as_ref()) else { continue };
        let former = if store.is_none() && known.store(arn).is_some() { Former::Yes } else { Former::No };
        let blank = RowBuilder { known, vpc: &interface.vpc, arn, store, instance: Some(instance) };
        let mut row = blank.row(Client::Instance(instance.id.clone()), None);
        row.instance_side = Some(known.side_group(owned.group.id()));
        row.made_by = Some(Maker::Tagwire);
        row.state = State::Drifted;
        let finding = known.finding(&interface.vpc, |finding| explains(finding, owned, arn, store.is_some()));
        (row.code, row.reason) = match finding {
            Some(reason) => (Some(reason.code()), Some(reason.to_string())),
            None => (Some(MODIFIED), Some(half(known, store, owned))),
        };
        rows.push(((interface.vpc.clone(), arn.clone(), row.client.clone(), former), row));
    }
    rows
}

/// Whether a finding explains where the data store of a pair is. One about a data store that is gone says nothing of a
/// pair whose data store is there, though both had the ARN.
fn explains(finding: &Finding, owned: &Owned, arn: &StoreArn, is_there: bool) -> bool {
    let about = match &finding.subject {
        Subject::Group(group) => group == owned.group.id(),
        Subject::Store(store) => store == arn,
        Subject::Vpc(_) | Subject::Instance(_) => false,
    };
    let of_gone = matches!(finding.reason, Reason::StoreUnknown { .. } | Reason::StillAttached { .. });
    about && ((of_gone && !is_there) || matches!(finding.reason, Reason::StoreMoved { .. }))
}

fn half(known: &Known<'_>, store: Option<&DataStore>, owned: &Owned) -> String {
    let store_side = store.and_then(|store| known.store_side(store));
    match (store_side, known.group(owned.group.id()), store) {
        (Some(store_side), Some(instance_side), Some(store)) => {
            link::differences(store, store_side, instance_side).unwrap_or_else(|| "it lets nothing through".to_owned())
        }
        _ => format!("the instance has {}, and its other side is not on the data store", owned.group),
    }
}

/// An instance and a data store, before the state of their connection is known.
struct RowBuilder<'row, 'known> {
    known: &'row Known<'known>,
    vpc: &'row VpcId,
    arn: &'row StoreArn,
    store: Option<&'row DataStore>,
    instance: Option<&'row Instance>,
}

impl RowBuilder<'_, '_> {
    fn row(&self, client: Client, joined: Option<&Link<'_>>) -> ConnectionStatus {
        let Self { known, vpc, arn, store, instance } = *self;
        let half = |of: Side| match of {
            Side::Store => store.and_then(|store| known.store_side(store)),
            Side::Instance => instance.and_then(|instance| known.instance_side(instance, store, arn)),
        };
        let half = |of| half(of).map(|group| &group.id);
        let store_side = joined.map(|joined| &joined.store_side.id).or_else(|| half(Side::Store));
        let instance_side = joined.map(|joined| joined.instance_side).or_else(|| half(Side::Instance));
        let instance_zone = instance.and_then(|instance| instance.zone.clone());
        let store_zones = store.map(|store| store.zones.clone()).unwrap_or_default();
        let cross_az =
            !store_zones.is_empty() && instance_zone.as_ref().is_some_and(|zone| !store_zones.contains(zone));
        let shared =
            |store: &DataStore, instance: &Instance| store.settings.connect.shared_with(&instance.settings.connect);
        let since = store.zip(instance).zip(joined).and_then(|((store, instance), joined)| {
            let interface = Target::Interface(instance.interface.as_ref()?.id.clone());
            let store_since = known.attached_since(vpc, Target::Store(store.id.clone()), &joined.store_side.id)?;
            let instance_since = known.attached_since(vpc, interface, joined.instance_side)?;
            Some(store_since.max(instance_since))
        });
        ConnectionStatus {
            vpc: vpc.clone(),
            client,
            instance_name: instance.and_then(|instance| instance.name.clone()),
            instance_zone,
            store: arn.clone(),
            service: known.service(arn, store, instance),
            store_zones,
            cross_az,
            ports: store.and_then(|store| store.ports),
            names: store.zip(instance).map(|(store, instance)| shared(store, instance)).unwrap_or_default(),
            store_side: store_side.map(|id| known.side_group(id)),
            instance_side: instance_side.map(|id| known.side_group(id)),
            made_by: joined.map(Link::maker),
            since,
            state: State::Connected,
            code: None,
            reason: None,
        }
    }
}
