//! The clients of data stores that are not instances: those that the groups for them let in, and those that
//! only the tags ask for. A rule for addresses in anybody else's group is no connection of one client.

use std::collections::BTreeMap;

use super::{
    known::Known,
    link::covers,
    row::{CONNECTING, Client, ConnectionStatus, DISCONNECTING, Maker, SideGroup, State},
};
use crate::{
    cidr::CidrPeer,
    finding::{Reason, Subject},
    group::{GroupKind, SecurityGroup},
    id::VpcId,
    model::DataStore,
    plan::Plan,
    rule::{Direction, Rule, Traffic},
    state::Target,
    tag::ConnectTag,
};

/// The code of a rule that is not for the data store's ports.
const MODIFIED: &str = "cidr-modified";

pub(super) fn rows(known: &Known<'_>) -> Vec<ConnectionStatus> {
    let mut rows = Vec::new();
    for store in known.stores() {
        let Some(vpc) = store.vpc() else { continue };
        let mut of_store = BTreeMap::new();
        for (owned, group) in known.cidr_groups(store) {
            for rule in group.rules(Direction::Inbound) {
                let Some(peer) = CidrPeer::of(&rule.peer) else { continue };
                let row = pair_state(known, vpc, store, group, rule, &peer);
                let row = ConnectionStatus {
                    since: known.attached_since(vpc, Target::Store(store.id.clone()), owned.group.id()),
                    ..row
                };
                // Of several rules for one client, one that serves tells more.
                let best = of_store.entry(peer).or_insert_with(|| row.clone());
                if row.state < best.state {
                    *best = row;
                }
            }
        }
        if let Some((_, plan)) = known.plan(vpc) {
            for (peer, state, code, reason) in wanted(plan, store) {
                let row =
                    || ConnectionStatus { state, code: Some(code), reason: Some(reason), ..blank(vpc, store, &peer) };
                of_store.entry(peer.clone()).or_insert_with(row);
            }
        }
        rows.extend(of_store.into_values());
    }
    rows
}

fn blank(vpc: &VpcId, store: &DataStore, peer: &CidrPeer) -> ConnectionStatus {
    ConnectionStatus {
        vpc: vpc.clone(),
        client: Client::Cidr(peer.clone()),
        instance_name: None,
        instance_zone: None,
        store: store.arn.clone(),
        service: store.service,
        store_zones: store.zones.clone(),
        cross_az: false,
        ports: store.ports,
        names: std::collections::BTreeSet::new(),
        store_side: None,
        instance_side: None,
        made_by: None,
        since: None,
        state: State::Connected,
        code: None,
        reason: None,
    }
}

/// A client that a rule lets in.
fn pair_state(
    known: &Known<'_>,
    vpc: &VpcId,
    store: &DataStore,
    group: &SecurityGroup,
    rule: &Rule,
    peer: &CidrPeer,
) -> ConnectionStatus {
    let exact = store.ports.is_some_and(|ports| rule.traffic == Traffic::Tcp(ports));
    let serves = store.ports.is_some_and(|ports| covers(&rule.traffic, ports));
    let state = if exact { State::Connected } else { State::Drifted };
    let plan = known.plan(vpc).map(|(_, plan)| plan);
    let leaves = plan.and_then(|plan| {
        let mut leaving = plan.stores.get(&store.id)?.detached_of(GroupKind::Cidr);
        leaving.find(|(gone, _)| *gone.id() == group.id).map(|(_, reason)| reason.to_string())
    });
    let goes = plan
        .and_then(|plan| plan.cidrs.get(&store.id))
        .is_some_and(|work| work.revoke.iter().any(|(of, gone)| *of.id() == group.id && gone == rule));
    let (code, reason) = match leaves {
        Some(reason) => (Some(DISCONNECTING), Some(reason)),
        None if exact && goes => {
            let reason = "the data store's tag does not name it any more".to_owned();
            (Some(DISCONNECTING), Some(reason))
        }
        None if exact => (None, None),
        None => {
            let how = if serves { "lets in more than" } else { "does not let in" };
            (Some(MODIFIED), Some(format!("the rule {rule} of {} {how} the data store's ports", group.id)))
        }
    };
    ConnectionStatus {
        store_side: Some(SideGroup { id: group.id.clone(), name: group.name.as_str().into() }),
        made_by: Some(Maker::Tagwire),
        state,
        code,
        reason,
        ..blank(vpc, store, peer)
    }
}

/// The clients that a data store's tag asks for and that are not let in: on their way, or refused.
fn wanted(plan: &Plan, store: &DataStore) -> Vec<(CidrPeer, State, &'static str, String)> {
    let asks = matches!(store.settings.connect, ConnectTag::Names(_)) && !store.settings.blocked;
    if !asks {
        return Vec::new();
    }
    let work = plan.cidrs.get(&store.id);
    let attaches = plan.stores.get(&store.id).is_some_and(|change| change.attach.contains_key(&GroupKind::Cidr));
    let refused = plan
        .findings
        .iter()
        .find(|finding| finding.subject == Subject::Store(store.arn.clone()) && keeps_out(&finding.reason));
    let state = |peer: &CidrPeer| {
        if attaches || work.is_some_and(|work| work.authorize.contains(peer)) {
            let reason = "the data store's tag asks for it, and the next run of tagwire lets it in".to_owned();
            return Some((State::Waiting, CONNECTING, reason));
        }
        let reason = &refused?.reason;
        let state = if reason.passes() { State::Waiting } else { State::Refused };
        Some((state, reason.code(), reason.to_string()))
    };
    let peers = store.settings.allow_cidr.peers();
    peers.filter_map(|peer| state(peer).map(|(state, code, reason)| (peer.clone(), state, code, reason))).collect()
}

/// Whether a finding about a data store is why its tag lets nobody in.
fn keeps_out(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::CidrNotAllowed
            | Reason::CidrTooWide { .. }
            | Reason::CidrWidened { .. }
            | Reason::CidrSumLimit { .. }
            | Reason::PrefixListForeign { .. }
            | Reason::PrefixListNotFound { .. }
            | Reason::CidrRuleLimit { .. }
            | Reason::Unread { .. }
            | Reason::Held
            | Reason::NotAvailable { .. }
            | Reason::ListChanging { .. }
            | Reason::StoreGroupLimit { .. }
            | Reason::Contested { .. }
            | Reason::ServerlessV1
            | Reason::GlobalDatabase { .. }
            | Reason::ClusterMember { .. }
    )
}
