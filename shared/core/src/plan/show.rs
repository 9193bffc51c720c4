//! The plan as text, one line an action: what `tagwire plan` prints and what the planner's tests
//! compare with.

use std::fmt;

use super::{CidrChange, CidrWork, GroupRef, Plan, StatusOf, Verdict};
use crate::{
    group::Role,
    id::{StoreArn, StoreKind},
    service::Side,
    tag::STATUS_KEY,
};

/// A store as people call it: `cluster/orders`.
pub(crate) fn short(store: &StoreArn) -> String {
    let kind = match store.kind() {
        StoreKind::DbCluster => "cluster",
        StoreKind::DbInstance => "db",
        StoreKind::ReplicationGroup => "replicationgroup",
        StoreKind::CacheCluster => "cache",
        StoreKind::ServerlessCache => "serverlesscache",
        StoreKind::Warehouse => "warehouse",
    };
    format!("{kind}/{}", store.name())
}

impl Plan {
    /// How a group is called in text: its id, or the name it is going to have.
    fn call(&self, group: &GroupRef) -> String {
        match group {
            GroupRef::Existing(id) => id.to_string(),
            GroupRef::Planned(store, role) => {
                let name = match role {
                    Role::Side(side) => {
                        self.pairs.get(store).and_then(|work| Some(work.create.get(side)?.name.to_string()))
                    }
                    Role::Cidr => self.cidrs.get(store).and_then(|work| Some(work.create.as_ref()?.name.to_string())),
                };
                name.unwrap_or_else(|| format!("{store}/{}", role.tag_value()))
            }
        }
    }

    /// The changes, one line each, in the order in which they are carried out.
    #[must_use]
    pub fn changes(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for work in self.pairs.values() {
            let store = short(&work.store);
            for spec in work.create.values() {
                lines.push(format!("create {} for {store}", spec.name));
            }
            for (group, rule) in &work.authorize {
                let direction = if rule.side == Side::Store { "from" } else { "to" };
                lines.push(format!(
                    "allow in {}: tcp {} {direction} {}",
                    self.call(group),
                    rule.ports,
                    self.call(&rule.peer)
                ));
            }
            for (group, rule) in &work.revoke {
                lines.push(format!("revoke in {group}: {rule}"));
            }
            for (group, tags) in &work.tag {
                lines.push(format!("tag {group} as {} side of {}", tags.role.tag_value(), short(&tags.arn)));
            }
        }
        lines.extend(self.cidrs.values().flat_map(|work| self.cidr_changes(work)));
        for change in self.stores.values() {
            let store = short(&change.store);
            lines.extend(change.attached().map(|group| format!("attach {} to {store}", self.call(group))));
            lines.extend(change.detach.iter().map(|(group, ground)| format!("detach {group} from {store}: {ground}")));
            if let Some(CidrChange::Detach { groups, ground }) = &change.cidr {
                lines.extend(groups.iter().map(|group| format!("detach {group} from {store}: {ground}")));
            }
        }
        for (interface, change) in &self.interfaces {
            for (group, attachment) in &change.attach {
                let names: Vec<_> = attachment.names.iter().map(ToString::to_string).collect();
                lines.push(format!(
                    "attach {} to {interface} of {}: shares {} with {}",
                    self.call(group),
                    change.instance,
                    names.join(" "),
                    short(&attachment.store),
                ));
            }
            for (group, detachment) in &change.detach {
                let store = detachment.arn.as_ref().map_or_else(|| detachment.store.to_string(), short);
                let (instance, ground) = (&change.instance, detachment.ground);
                lines.push(format!("detach {group} from {interface} of {instance}: {ground} ({store})"));
            }
        }
        for (id, teardown) in self.teardowns.iter().chain(&self.cidr_teardowns) {
            let store = teardown.store.as_ref().map_or_else(|| id.to_string(), short);
            lines.extend(teardown.revoke.iter().map(|(group, rule)| format!("revoke in {group}: {rule}")));
            let because = teardown.because;
            lines.extend(teardown.delete.iter().map(|group| format!("delete {group} of {store}: {because}")));
        }
        for change in &self.statuses {
            let of = match &change.of {
                StatusOf::Instance(instance) => instance.to_string(),
                StatusOf::Store(store) => short(store),
            };
            lines.push(change.text.as_ref().map_or_else(
                || format!("take the status off {of}"),
                |text| format!("write on {of}: {STATUS_KEY}={text:?}"),
            ));
        }
        lines
    }

    fn cidr_changes(&self, work: &CidrWork) -> Vec<String> {
        let (store, group) = (short(&work.store), self.call(&work.group));
        let create = work.create.iter().map(|spec| format!("create {} for {store}", spec.name));
        let mut rules = [
            work.authorize.iter().map(|peer| format!("allow in {group}: {}", work.rule(peer))).collect::<Vec<_>>(),
            work.revoke.iter().map(|(group, rule)| format!("revoke in {group}: {rule}")).collect(),
        ];
        if work.revoke_first {
            rules.reverse();
        }
        let tag = work.tag.iter().map(|(group, tags)| format!("tag {group} as CIDR group of {}", short(&tags.arn)));
        create.chain(rules.concat()).chain(tag).collect()
    }

    /// The verdicts and findings, one line each.
    #[must_use]
    pub fn explanations(&self) -> Vec<String> {
        let decisions = self.decisions.iter().map(|decision| {
            let verdict = &decision.verdict;
            format!("{} and {}: {verdict}", decision.instance, short(&decision.store))
        });
        decisions.chain(self.findings.iter().map(ToString::to_string)).collect()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected(via) => {
                let by = if via.owned { "tagwire" } else { "somebody else" };
                write!(out, "connected by {by} through {} and {}", via.instance_side, via.store_side)
            }
            Self::Connecting => out.write_str("is being connected"),
            Self::Waiting(reason) => write!(out, "waits: {reason} ({})", reason.code()),
            Self::Refused(reason) => write!(out, "not connected: {reason} ({})", reason.code()),
            Self::Disconnecting(ground) => {
                write!(out, "is being disconnected: {ground}; what is open already stays open until it is closed")
            }
            Self::HeldBack(ground) => write!(out, "stays connected for now: {ground} (disconnects-held-back)"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.changes().iter().chain(&self.explanations()) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}
