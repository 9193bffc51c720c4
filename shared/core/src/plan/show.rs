//! The plan as text, one line an action: what `tagwire plan` prints and what the planner's tests
//! compare with.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    CidrWork, Deletion, GroupRef, InterfaceChange, PairWork, Plan, StatusChange, StatusOf, StoreChange, Verdict,
};
use crate::{
    group::Role,
    id::{InstanceId, InterfaceId, StoreArn, StoreId},
    service::Side,
    tag::STATUS_KEY,
    work::PlanDigest,
};

/// The effect of a change on an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Something is made, let in or attached.
    Add,
    /// Something is taken away.
    Remove,
    /// Only tags of ours are written.
    Write,
}

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionKind {
    /// Creates a group.
    Create,
    /// Adds a rule to a group.
    Allow,
    /// Takes a rule out of a group.
    Revoke,
    /// Tags a group.
    Tag,
    /// Attaches a group to a data store or an interface.
    Attach,
    /// Detaches a group from a data store or an interface.
    Detach,
    /// Deletes a group.
    Delete,
    /// Writes or removes a status tag.
    Status,
}

impl ActionKind {
    /// The kind in a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Allow => "allow",
            Self::Revoke => "revoke",
            Self::Tag => "tag",
            Self::Attach => "attach",
            Self::Detach => "detach",
            Self::Delete => "delete",
            Self::Status => "status",
        }
    }
}

/// One change of a plan, as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Action {
    /// What it does.
    pub kind: ActionKind,
    /// The group, by its id, or by the name that it is going to have.
    pub group: Option<String>,
    /// The interface whose list of groups changes.
    pub interface: Option<InterfaceId>,
    /// The instance of that interface, or whose status is written.
    pub instance: Option<InstanceId>,
    /// The store that it is about; none when that is not known, or when it is about an instance's tags.
    pub store: Option<StoreArn>,
    /// Its effect.
    pub effect: Effect,
    /// The change, in a line.
    #[serde(rename = "action")]
    pub text: String,
}

/// Collects actions about one store.
struct About<'store> {
    store: Option<&'store StoreArn>,
    actions: Vec<Action>,
}

impl<'store> About<'store> {
    fn new(store: impl Into<Option<&'store StoreArn>>) -> Self {
        Self { store: store.into(), actions: Vec::new() }
    }

    fn say(&mut self, kind: ActionKind, group: &impl ToString, text: String) {
        let effect = match kind {
            ActionKind::Create | ActionKind::Allow | ActionKind::Attach => Effect::Add,
            ActionKind::Revoke | ActionKind::Detach | ActionKind::Delete => Effect::Remove,
            ActionKind::Tag | ActionKind::Status => Effect::Write,
        };
        let (group, store) = (Some(group.to_string()), self.store.cloned());
        self.actions.push(Action { kind, group, interface: None, instance: None, store, effect, text });
    }
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
        self.actions().into_iter().map(|action| action.text).collect()
    }

    /// The digest of the plan's changes: the same lines have the same digest, and nobody
    /// finds others that have it.
    #[must_use]
    pub fn digest(&self) -> PlanDigest {
        PlanDigest::of(&self.changes())
    }

    /// The changes, each with the store that it is about, in the order in which they are carried out.
    #[must_use]
    pub fn actions(&self) -> Vec<Action> {
        let pairs = self.pairs.values().flat_map(|work| self.pair_actions(work));
        let cidrs = self.cidrs.values().flat_map(|work| self.cidr_actions(work));
        let stores = self.stores.values().flat_map(|change| self.store_actions(change));
        let interfaces = self.interfaces.iter().flat_map(|(id, change)| self.interface_actions(id, change));
        let ends = self.deletions.iter().flat_map(|((_, id), deletion)| deletion_actions(id, deletion));
        let statuses = self.statuses.iter().map(status_action);
        pairs.chain(cidrs).chain(stores).chain(interfaces).chain(ends).chain(statuses).collect()
    }

    fn pair_actions(&self, work: &PairWork) -> Vec<Action> {
        let mut about = About::new(&work.store);
        for spec in work.create.values() {
            about.say(ActionKind::Create, &spec.name, format!("create {} for {}", spec.name, work.store.short()));
        }
        for (group, rule) in &work.authorize {
            let direction = if rule.side == Side::Store { "from" } else { "to" };
            let (group, peer) = (self.call(group), self.call(&rule.peer));
            about.say(ActionKind::Allow, &group, format!("allow in {group}: tcp {} {direction} {peer}", rule.ports));
        }
        for (group, rule) in &work.revoke {
            about.say(ActionKind::Revoke, group, format!("revoke in {group}: {rule}"));
        }
        for (group, tags) in &work.tag {
            let side = tags.role.tag_value();
            about.say(ActionKind::Tag, group, format!("tag {group} as {side} side of {}", tags.arn.short()));
        }
        about.actions
    }

    fn cidr_actions(&self, work: &CidrWork) -> Vec<Action> {
        let mut about = About::new(&work.store);
        let group = self.call(&work.group);
        if let Some(spec) = &work.create {
            about.say(ActionKind::Create, &spec.name, format!("create {} for {}", spec.name, work.store.short()));
        }
        let allow = work
            .authorize
            .iter()
            .map(|peer| (ActionKind::Allow, group.clone(), format!("allow in {group}: {}", work.rule(peer))));
        let revoke = work
            .revoke
            .iter()
            .map(|(group, rule)| (ActionKind::Revoke, group.to_string(), format!("revoke in {group}: {rule}")));
        let mut rules = [allow.collect::<Vec<_>>(), revoke.collect()];
        if work.revoke_first {
            rules.reverse();
        }
        for (kind, group, text) in rules.concat() {
            about.say(kind, &group, text);
        }
        if let Some((group, tags)) = &work.tag {
            about.say(ActionKind::Tag, group, format!("tag {group} as CIDR group of {}", tags.arn.short()));
        }
        about.actions
    }

    fn store_actions(&self, change: &StoreChange) -> Vec<Action> {
        let mut about = About::new(&change.store);
        let store = change.store.short();
        for group in change.attached() {
            let group = self.call(group);
            about.say(ActionKind::Attach, &group, format!("attach {group} to {store}"));
        }
        for ((_, group), reason) in &change.detach {
            about.say(ActionKind::Detach, group, format!("detach {group} from {store}: {reason}"));
        }
        about.actions
    }

    fn interface_actions(&self, interface: &InterfaceId, change: &InterfaceChange) -> Vec<Action> {
        let of = change.instance.as_ref().map(|instance| format!(" of {instance}")).unwrap_or_default();
        let action = |kind, effect, group: String, store: Option<&StoreArn>, text| Action {
            kind,
            group: Some(group),
            interface: Some(interface.clone()),
            instance: change.instance.clone(),
            store: store.cloned(),
            effect,
            text,
        };
        let attach = change.attach.iter().map(|(group, attachment)| {
            let names: Vec<_> = attachment.names.iter().map(ToString::to_string).collect();
            let (group, names, store) = (self.call(group), names.join(" "), attachment.store.short());
            let text = format!("attach {group} to {interface}{of}: shares {names} with {store}");
            action(ActionKind::Attach, Effect::Add, group, Some(&attachment.store), text)
        });
        let detach = change.detach.iter().map(|(group, detachment)| {
            let store = detachment.arn.as_ref().map_or_else(|| detachment.store.to_string(), StoreArn::short);
            let text = format!("detach {group} from {interface}{of}: {} ({store})", detachment.reason);
            action(ActionKind::Detach, Effect::Remove, group.to_string(), detachment.arn.as_ref(), text)
        });
        attach.chain(detach).collect()
    }

    /// The verdicts and findings, one line each.
    #[must_use]
    pub fn explanations(&self) -> Vec<String> {
        let decisions = self
            .decisions
            .iter()
            .map(|decision| format!("{} and {}: {}", decision.instance, decision.store.short(), decision.verdict));
        decisions.chain(self.findings.iter().map(ToString::to_string)).collect()
    }
}

fn deletion_actions(id: &StoreId, deletion: &Deletion) -> Vec<Action> {
    let mut about = About::new(deletion.store.as_ref());
    let store = deletion.store.as_ref().map_or_else(|| id.to_string(), StoreArn::short);
    for (group, rule) in &deletion.revoke {
        about.say(ActionKind::Revoke, group, format!("revoke in {group}: {rule}"));
    }
    for group in &deletion.delete {
        about.say(ActionKind::Delete, group, format!("delete {group} of {store}: {}", deletion.reason));
    }
    about.actions
}

fn status_action(change: &StatusChange) -> Action {
    let (of, store, instance) = match &change.of {
        StatusOf::Instance(instance) => (instance.to_string(), None, Some(instance.clone())),
        StatusOf::Store(store) => (store.short(), Some(store.clone()), None),
    };
    let (effect, text) = match &change.text {
        None => (Effect::Remove, format!("take the status off {of}")),
        Some(text) => (Effect::Write, format!("write on {of}: {STATUS_KEY}={text:?}")),
    };
    Action { kind: ActionKind::Status, group: None, interface: None, instance, store, effect, text }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected(via) => {
                let by = if via.owned { "tagwire" } else { "others" };
                write!(out, "connected by {by} through {} and {}", via.instance_side, via.store_side)
            }
            Self::Connecting => out.write_str("will be connected"),
            Self::Waiting(reason) => write!(out, "waits: {reason} ({})", reason.code()),
            Self::Refused(reason) => write!(out, "not connected: {reason} ({})", reason.code()),
            Self::Disconnecting(reason) => {
                write!(out, "will be disconnected: {reason}; connections that are open stay open until they are closed")
            }
            Self::HeldBack(reason) => write!(out, "stays connected for now: {reason} (disconnects-held-back)"),
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
