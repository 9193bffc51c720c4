//! Remedies for each reason. A line that begins with `aws `, `sam ` or `tagwire ` is a command.

use std::collections::BTreeSet;

use super::{
    Explainer,
    facts::{few, words},
};
use crate::{
    finding::{Reason, Subject},
    group::SecurityGroup,
    id::{InterfaceId, SecurityGroupId},
    model::{DataStore, Instance},
    plan::{DetachReason, Premise, index::Index, obstacles},
    policy::HIGHEST_INTERFACE_GROUP_LIMIT,
    service::StoreApi,
    spelling::near,
    tag::{BLOCK_KEY, ConnectTag, ConnectionName, HOLD_KEY, MOST_NAMES},
};

/// Finds remedies for an instance and a store, as far as they are known.
#[derive(Clone, Copy)]
pub(super) struct Advisor<'explained> {
    pub(super) explainer: &'explained Explainer<'explained>,
    pub(super) instance: Option<&'explained Instance>,
    pub(super) store: Option<&'explained DataStore>,
}

/// A resource that people tag.
#[derive(Clone, Copy)]
enum Tagged<'explained> {
    Instance(&'explained Instance),
    Store(&'explained DataStore),
}

impl Tagged<'_> {
    fn connect(&self) -> &ConnectTag {
        match self {
            Self::Instance(instance) => &instance.settings.connect,
            Self::Store(store) => &store.settings.connect,
        }
    }

    fn set(&self, key: &str, value: &str) -> String {
        match self {
            Self::Instance(instance) => {
                format!("aws ec2 create-tags --resources {} --tags 'Key={key},Value={value}'", instance.id)
            }
            Self::Store(store) => {
                let StoreApi { name, tag_commands: [set, _], .. } = store.arn.kind().row().api;
                format!("aws {name} {set} --resource-name {} --tags 'Key={key},Value={value}'", store.arn)
            }
        }
    }

    fn take_off(&self, key: &str) -> String {
        match self {
            Self::Instance(instance) => format!("aws ec2 delete-tags --resources {} --tags Key={key}", instance.id),
            Self::Store(store) => {
                let StoreApi { name, tag_commands: [_, take_off], .. } = store.arn.kind().row().api;
                format!("aws {name} {take_off} --resource-name {} --tag-keys {key}", store.arn)
            }
        }
    }

    /// The names of its tag and one more in place of what is mistyped for it; `None` when that would be too many.
    fn with(&self, name: &ConnectionName, index: &Index<'_>) -> Option<String> {
        let is_kept = |held: &&ConnectionName| near(held, [name]).is_empty() || self.is_shared(held, index);
        let names: BTreeSet<&ConnectionName> = self.connect().names().filter(is_kept).chain([name]).collect();
        let value = names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ");
        (names.len() <= MOST_NAMES).then_some(value)
    }

    /// Whether the other side carries a name as well, as far as is known.
    fn is_shared(&self, name: &ConnectionName, index: &Index<'_>) -> bool {
        let carries = |connect: &ConnectTag| connect.names().any(|held| held == name);
        match self {
            Self::Instance(_) => {
                !index.seen.stores.gaps.is_empty() || index.stores().any(|store| carries(&store.settings.connect))
            }
            Self::Store(_) => {
                !index.seen.instances.is_complete()
                    || index.instances().any(|instance| carries(&instance.settings.connect))
            }
        }
    }
}

fn one(line: impl Into<String>) -> Vec<String> {
    vec![line.into()]
}

fn not_uninstall() -> Vec<String> {
    one("tagwire uninstall --cancel")
}

pub(super) fn move_together() -> Vec<String> {
    one("move one of the two into the VPC of the other, or connect the VPCs by other means")
}

impl<'explained> Advisor<'explained> {
    fn tagged(&self, subject: &Subject) -> Option<Tagged<'explained>> {
        match subject {
            Subject::Instance(id) => self.explainer.index.instance(id).map(Tagged::Instance),
            Subject::Store(arn) => self.explainer.index.store_called(arn).map(Tagged::Store),
            Subject::Vpc(_) | Subject::Group(_) => None,
        }
    }

    /// The name that the two may share: one that one of them has already, so that the other gets it.
    fn name_to_share(&self) -> Option<ConnectionName> {
        let (instance, store) = (self.instance.map(Tagged::Instance), self.store.map(Tagged::Store));
        let of = |side: Option<Tagged<'explained>>| side.and_then(|side| side.connect().names().next().cloned());
        let takes = |side: Option<Tagged<'explained>>, name: &ConnectionName| {
            side.is_none_or(|side| side.with(name, self.explainer.index).is_some())
        };
        let mistyped = || {
            let (instance, store) = (instance?, store?);
            let meant = |name| near(name, store.connect().names()).first().map(|&name| name.clone());
            instance.connect().names().find_map(meant)
        };
        let from_store = of(store).filter(|name| takes(instance, name));
        let from_instance = || of(instance).filter(|name| takes(store, name));
        let new = || ConnectionName::parse(self.store?.arn.name()).ok();
        mistyped().or(from_store).or_else(from_instance).or_else(new)
    }

    /// Gives the two a name to share, on the side that a premise is about.
    pub(super) fn share_a_name(&self, premise: Premise) -> Vec<String> {
        let key = self.explainer.connect_key;
        let sides = [
            self.instance.map(Tagged::Instance).filter(|_| premise != Premise::StoreTag),
            self.store.map(Tagged::Store).filter(|_| premise != Premise::InstanceTag),
        ];
        let Some(name) = self.name_to_share() else {
            return one(format!("give instance and data store a name to share in {key}"));
        };
        let lacking = sides.into_iter().flatten().filter(|side| !side.connect().names().any(|held| *held == name));
        let set = lacking.map(|side| match side.with(&name, self.explainer.index) {
            Some(value) => side.set(key, &value),
            None => format!("make room for {name} in a tag {key}: each holds {MOST_NAMES} names already"),
        });
        set.collect()
    }

    /// The owner of the list of groups that is contested.
    pub(super) fn contested(&self) -> Option<Subject> {
        let (instance, store) = (self.instance?, self.store?);
        let pair_state = self.explainer.settled.pair_states.get(&store.id)?;
        obstacles::contest(self.explainer.index, pair_state, instance).map(|contest| contest.subject)
    }

    /// The remedy that keeps, or brings back, a connection that a reason takes away.
    pub(super) fn against(&self, reason: DetachReason) -> Vec<String> {
        match reason {
            DetachReason::NamesNotShared | DetachReason::OfAnotherStore => self.share_a_name(Premise::SharedName),
            DetachReason::NotAskedFor => self.share_a_name(Premise::InstanceTag),
            DetachReason::StoreOptedOut => self.share_a_name(Premise::StoreTag),
            DetachReason::CidrNotAskedFor => one("put the clients into tagwire:allow-cidr of the data store"),
            DetachReason::Uninstalling => not_uninstall(),
            DetachReason::NoInstance => {
                one("nothing: an instance that gets the interface gets the group by its own tags")
            }
            DetachReason::StoreGone => one("nothing: there is no data store to connect to any more"),
            DetachReason::Blocked => {
                let instance = self.instance.filter(|instance| self.explainer.index.is_blocked(instance));
                let of_instance = instance.map(|instance| self.unblock(Tagged::Instance(instance)));
                let store = self.store.filter(|store| store.settings.blocked);
                let of_store = store.map(|store| self.unblock(Tagged::Store(store)));
                of_instance.into_iter().chain(of_store).flatten().collect()
            }
        }
    }

    fn unblock(&self, tagged: Tagged<'_>) -> Vec<String> {
        let instance = match tagged {
            Tagged::Store(_) => return one(tagged.take_off(BLOCK_KEY)),
            Tagged::Instance(instance) => instance,
        };
        let mut lines = Vec::new();
        if instance.settings.blocked {
            lines.push(tagged.take_off(BLOCK_KEY));
        }
        let isolating = &self.explainer.index.policy.isolation_groups;
        if let Some(interface) = instance.interface.as_ref().filter(|it| !it.groups.is_disjoint(isolating)) {
            let rest: Vec<&str> = interface.groups.difference(isolating).map(SecurityGroupId::as_str).collect();
            lines.push(if rest.is_empty() {
                format!("give {} another group in place of the one that isolates it", interface.id)
            } else {
                let (id, rest) = (&interface.id, rest.join(" "));
                format!("aws ec2 modify-network-interface-attribute --network-interface-id {id} --groups {rest}")
            });
        }
        lines
    }

    /// The remedy for a reason at a subject: the reason's own hint, or commands where the subject is known.
    pub(super) fn remedy(&self, reason: &Reason, subject: &Subject) -> Vec<String> {
        let key = self.explainer.connect_key;
        match (reason, self.tagged(subject)) {
            (Reason::Blocked, Some(tagged)) => self.unblock(tagged),
            (Reason::Held, Some(tagged)) => one(tagged.take_off(HOLD_KEY)),
            (Reason::ClusterMember { cluster }, Some(tagged)) => {
                one(format!("put {key} on {cluster}, with {}, and take it off here", words(tagged.connect().names())))
            }
            (Reason::Contested { group }, Some(tagged)) => {
                let names = tagged.connect().names().map(ConnectionName::as_str).collect::<Vec<_>>().join(" ");
                vec![
                    format!("have whatever else manages that list leave {group} in it; then:"),
                    tagged.take_off(key),
                    "wait until tagwire has looked at it, which is one sweep at most".to_owned(),
                    tagged.set(key, &names),
                ]
            }
            (Reason::StoreGroupLimit { .. }, _) => {
                let groups = self.store.into_iter().flat_map(DataStore::lasting_groups);
                let groups = groups.filter(|group| self.explainer.index.owned(group).is_none());
                one(format!("{}: {}", reason.hint(), few(groups)))
            }
            (Reason::InterfaceGroupLimit { interface, limit }, _) => self.make_room(interface, *limit),
            _ => one(reason.hint()),
        }
    }

    /// Makes room in the list of an interface: by taking a group off that is not tagwire's, by giving up another
    /// connection, or by raising the quota.
    fn make_room(&self, interface: &InterfaceId, limit: usize) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(instance) = self.instance {
            let others = self.groups_of_others(instance);
            // Of a group that was not read it is not known whose it is.
            if !others.is_empty() && self.explainer.index.seen.groups.is_complete() {
                lines.push(format!("take a group that is not tagwire's off {interface}: {}", few(others)));
            }
            lines.extend(self.connections_to_give_up(instance));
        }
        let more = limit + 1;
        if more <= HIGHEST_INTERFACE_GROUP_LIMIT {
            lines.extend([
                format!("raise quota L-2AFB9258 to {more}, and deploy with the new limit when it is raised:"),
                format!(
                    "aws service-quotas request-service-quota-increase --service-code vpc --quota-code L-2AFB9258 --desired-value {more}"
                ),
                format!("sam deploy --parameter-overrides InterfaceGroupLimit={more}"),
            ]);
        }
        let or = |(place, line): (usize, String)| {
            let is_command = line.starts_with("aws ") || line.starts_with("sam ");
            if place == 0 || is_command { line } else { format!("or {line}") }
        };
        lines.into_iter().enumerate().map(or).collect()
    }

    /// The groups on an instance's interface that are not tagwire's, each with the connection that is lost with it.
    fn groups_of_others(&self, instance: &Instance) -> Vec<String> {
        let index = self.explainer.index;
        let groups = instance.interface.iter().flat_map(|interface| &interface.groups);
        let is_ours = |group: &SecurityGroupId| {
            index.owned(group).is_some() || index.group(group).is_some_and(SecurityGroup::is_marked)
        };
        let others = groups.filter(|group| !is_ours(group));
        let lost = |group: &SecurityGroupId| {
            let pair_states = self.explainer.settled.pair_states.values();
            let by_it = pair_states.filter(|pair_state| {
                let via = pair_state.connection(instance, |_| false);
                via.is_some_and(|via| via.instance_side == *group)
                    && pair_state.connection(instance, |other| other == group).is_none()
            });
            few(by_it.map(|pair_state| pair_state.store.arn.short()))
        };
        let named = others.map(|group| match lost(group) {
            stores if stores.is_empty() => self.explainer.named(group),
            stores => format!("{group} (with it goes the connection with {stores})"),
        });
        named.collect()
    }

    /// The connections of tagwire's that can be given up in favour of the one that is explained: those that rest on
    /// names of which it has none.
    fn connections_to_give_up(&self, instance: &Instance) -> Option<String> {
        let index = self.explainer.index;
        let names = |store: &DataStore| store.settings.connect.shared_with(&instance.settings.connect);
        let own = self.store.map(names).unwrap_or_default();
        let sides = instance.interface.iter().flat_map(|interface| index.attached_instance_sides(interface));
        let stores: BTreeSet<_> = sides.filter_map(|owned| index.store(&owned.store)).map(|store| &store.arn).collect();
        let stores = stores.into_iter().filter_map(|arn| index.store_called(arn));
        let given_up: Vec<String> = stores
            .filter(|store| !names(store).is_empty() && names(store).is_disjoint(&own))
            .map(|store| format!("{} ({})", store.arn.short(), words(names(store))))
            .collect();
        let key = self.explainer.connect_key;
        (!given_up.is_empty()).then(|| {
            format!("give up a connection, by taking its names out of {key} of {}: {}", instance.id, few(given_up))
        })
    }
}
