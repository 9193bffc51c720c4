//! Worlds back to text. Everything that was read is written out in its plainest form: pairs become
//! two `group` lines.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use tagwire_core::{
    cidr::{CidrTag, Family, InvalidCidr, PrefixList},
    group::SecurityGroup,
    id::{InstanceId, SecurityGroupId, StoreArn, StoreId, ZoneName},
    model::{DataStore, Form, Instance, Membership, Network},
    observation::{AttachedInterface, Gap, InterfaceOwner, Observation, Scope, StoreLookup, Subject},
    policy::Policy,
    state::{Removal, Target},
    tag::{ConnectTag, InvalidTag, TagSettings},
};

use crate::{
    World,
    read::{STORES, ZONE_PREFIX, identity},
};

fn joined<T>(items: impl IntoIterator<Item = T>, text: impl Fn(T) -> String) -> String {
    let words: Vec<String> = items.into_iter().map(text).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(",") }
}

fn group(id: &SecurityGroupId) -> String {
    id.as_str().trim_start_matches("sg-").to_owned()
}

fn zone(zone: &ZoneName) -> String {
    zone.as_str().trim_start_matches(ZONE_PREFIX).to_owned()
}

fn settings(settings: &TagSettings) -> String {
    let mut text = match &settings.connect {
        ConnectTag::Absent => String::new(),
        ConnectTag::Names(names) if names.is_empty() => " connect=\"\"".to_owned(),
        ConnectTag::Names(names) => format!(" connect={}", joined(names, ToString::to_string)),
        ConnectTag::Invalid(InvalidTag::Character { name, .. } | InvalidTag::Length { name }) => {
            format!(" connect=\"{name}\"")
        }
        ConnectTag::Invalid(InvalidTag::TooMany { count }) => {
            format!(" connect={}", joined(0..*count, |index| format!("n{index}")))
        }
    };
    text.push_str(if settings.blocked { " block" } else { "" });
    text.push_str(if settings.held { " hold" } else { "" });
    match &settings.allow_cidr {
        CidrTag::Absent => {}
        CidrTag::Peers(peers) => {
            let peers: Vec<String> = peers.iter().map(ToString::to_string).collect();
            let _ = write!(text, " allow-cidr=\"{}\"", peers.join(" "));
        }
        CidrTag::Invalid(
            InvalidCidr::Word { word }
            | InvalidCidr::NoLength { word, .. }
            | InvalidCidr::StandsForIpv4 { word }
            | InvalidCidr::Length { word, .. },
        ) => {
            let _ = write!(text, " allow-cidr=\"{word}\"");
        }
    }
    if let Some(status) = &settings.status {
        let _ = write!(text, " status=\"{status}\"");
    }
    text
}

/// What is remembered, as lines. Identities are written as the names of the stores that have them.
fn state(seen: &Observation) -> Vec<String> {
    let state = match &seen.state {
        Ok(state) => state,
        Err(found) => return vec![gap(seen, "state", found)],
    };
    let present: Vec<_> = seen.present_stores().into_values().chain(seen.members()).collect();
    let name = |id: &StoreId| {
        let store = present.iter().find(|store| store.id == *id);
        store.map_or_else(|| id.as_str().trim_start_matches("db-").to_owned(), |store| store.arn.name().to_owned())
    };
    let minutes = |at: Timestamp| (seen.at.as_second() - at.as_second()) / 60;
    let mut lines: Vec<String> = Vec::new();
    let removal = |removal: &Removal| match removal {
        Removal::Connection(of) => format!("{} {}", of.instance, name(&of.store)),
        Removal::LeftOver { interface, store } => format!("{interface} {}", name(store)),
        Removal::StoreSide(store) => format!("store-side {}", name(store)),
        Removal::CidrGroup(store) => format!("cidr-group {}", name(store)),
    };
    lines.extend(state.window.removals.iter().map(|counted| {
        let of = counted.of.as_ref().map_or_else(String::new, |of| format!(" {}", removal(of)));
        format!("removed {}{of} ago={}", counted.connections, minutes(counted.at))
    }));
    lines.extend(state.wanted.iter().map(|(wanted_removal, wanted)| {
        let of = removal(wanted_removal);
        let failed = wanted.failed.map_or_else(String::new, |at| format!(" failed={}", minutes(at)));
        format!("wanted {of} ago={}{failed}", minutes(wanted.since))
    }));
    lines.extend(state.uninstalling.iter().map(|at| format!("uninstalling ago={}", minutes(*at))));
    lines.extend(state.unused.iter().map(|(id, at)| format!("unused {} ago={}", group(id), minutes(*at))));
    lines.extend(state.attached.iter().map(|((target, id), attached)| {
        let target = match target {
            Target::Interface(interface) => interface.as_str().replacen("eni-", "i-", 1),
            Target::Store(store) => name(store),
        };
        let again = joined(&attached.again, |at| minutes(*at).to_string());
        let contested = if attached.contested { " contested" } else { "" };
        let (tag, ago) = (&attached.tag, minutes(attached.since));
        format!("attached {target} {} tag=\"{tag}\" ago={ago} again={again}{contested}", group(id))
    }));
    lines
}

fn interface(attached: &AttachedInterface) -> String {
    let of = match &attached.owner {
        InterfaceOwner::Instance { id, primary, copies } => {
            let (primary, copies) = (if *primary { " primary" } else { "" }, if *copies { " copies" } else { "" });
            format!("{id}{primary}{copies}")
        }
        InterfaceOwner::Nobody { description } => format!("\"{description}\" detached"),
        InterfaceOwner::Other { description } => format!("\"{description}\""),
    };
    format!("interface {} groups={} of={of}", attached.interface, joined(&attached.groups, group))
}

fn instance(instance: &Instance) -> String {
    let mut line = format!("instance {}{}", instance.id, settings(&instance.settings));
    if let Some(name) = &instance.zone {
        let _ = write!(line, " zone={}", zone(name));
    }
    if let Some(operator) = &instance.operator {
        let _ = write!(line, " managed-by={operator}");
    }
    match &instance.interface {
        Some(interface) => {
            let _ = write!(line, " groups={}", joined(&interface.groups, group));
        }
        None => line.push_str(" gone"),
    }
    line
}

fn store(store: &DataStore) -> String {
    let kind = store.arn.kind();
    let head = STORES.iter().find(|(_, service, of, _)| (*service, *of) == (store.service, kind));
    let head = head.map_or("db", |(head, ..)| head);
    let port = store.ports.map_or_else(|| "none".to_owned(), |ports| ports.to_string());
    let mut line = format!("{head} {}{} port={port}", store.arn.name(), settings(&store.settings));
    if store.id.as_str() != identity(kind, store.arn.name()) {
        let _ = write!(line, " id={}", store.id);
    }
    let groups = joined(&store.groups, |(id, membership)| match membership {
        Membership::Active => group(id),
        Membership::Adding => format!("{}:adding", group(id)),
        Membership::Removing => format!("{}:removing", group(id)),
    });
    let _ = write!(line, " state=\"{}\" groups={groups}", store.state);
    if !store.zones.is_empty() {
        let _ = write!(line, " zone={}", joined(&store.zones, zone));
    }
    match &store.network {
        Network::Vpc(vpc) => {
            let _ = write!(line, " vpc={}", vpc.as_str().trim_start_matches("vpc-"));
        }
        Network::NotShown => line.push_str(" not-shown"),
        Network::VpcNetworkingOff => line.push_str(" vpc-networking-off"),
        Network::PublicEndpoint => line.push_str(" public-endpoint"),
        Network::Classic => line.push_str(" classic"),
    }
    match &store.form {
        Form::Plain => {}
        Form::ServerlessV1 => line.push_str(" serverless-v1"),
        Form::GlobalMember { global } => {
            let _ = write!(line, " global={global}");
        }
        Form::ClusterMember { cluster } => {
            let _ = write!(line, " member-of={cluster}");
        }
    }
    line
}

fn security_group(found: &SecurityGroup) -> String {
    let mut line = format!("group {} id={} description=\"{}\"", found.name, group(&found.id), found.description);
    for (key, value) in &found.tags {
        let _ = write!(line, " tag:{key}=\"{value}\"");
    }
    for rule in &found.rules {
        let _ = write!(line, " rule=\"{rule}\"");
    }
    line
}

fn prefix_list(list: &PrefixList) -> String {
    let family = if list.family == Family::Ipv6 { " ipv6" } else { "" };
    let entries = joined(&list.entries, ToString::to_string);
    format!("prefix-list {} owner={} most={} entries={entries}{family}", list.id, list.owner, list.most_entries)
}

fn gap(seen: &Observation, what: &str, gap: &Gap) -> String {
    let stores = || {
        gap.resources.iter().filter_map(|resource| match resource {
            Subject::Store(arn) => Some(arn),
            Subject::Vpc(_) | Subject::Instance(_) | Subject::Group(_) => None,
        })
    };
    let of = if gap.resources.is_empty() {
        String::new()
    } else {
        format!(" of={}", joined(stores(), |arn| arn.name().to_owned()))
    };
    let listed = stores().find_map(|arn| seen.listed.get(arn));
    let names = listed.map_or_else(String::new, |names| format!(" names={}", joined(names, ToString::to_string)));
    format!("gap {what}{of}{names}{}", if gap.passing { "" } else { " lasting" })
}

impl fmt::Display for World {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = &self.seen;
        let mut lines: Vec<String> = seen.instances.found.iter().map(instance).collect();
        lines.extend(seen.stores.found.iter().map(|lookup| match lookup {
            StoreLookup::Found(found) => store(found),
            StoreLookup::NotFound(arn) => {
                let absent = seen.absent.iter().any(|id| id.as_str() == format!("db-{}", arn.name()));
                format!("gone {}{}", arn.name(), if absent { "" } else { " unsure" })
            }
        }));
        lines.extend(seen.groups.found.iter().map(security_group));
        lines.extend(seen.attachments.by.found.iter().map(interface));
        lines.extend(state(seen));
        lines.extend(seen.prefix_lists.found.iter().map(prefix_list));
        let templates = seen.launch_templates.as_ref();
        lines.extend(templates.iter().flat_map(|reading| &reading.found).map(|id| format!("template {}", group(id))));
        lines.extend(templates.iter().flat_map(|reading| &reading.gaps).map(|found| gap(seen, "templates", found)));
        if let Scope::Some { instances, stores } = &seen.scope {
            let names = instances.iter().map(InstanceId::as_str).chain(stores.iter().map(StoreArn::name));
            lines.push(format!("scope {}", names.collect::<Vec<_>>().join(" ")));
        }
        for (what, gaps) in [
            ("instances", &seen.instances.gaps),
            ("stores", &seen.stores.gaps),
            ("groups", &seen.groups.gaps),
            ("attached_interfaces", &seen.attachments.by.gaps),
            ("prefix-lists", &seen.prefix_lists.gaps),
        ] {
            lines.extend(gaps.iter().map(|found| gap(seen, what, found)));
        }
        lines.extend(seen.taken_names.iter().map(|name| format!("taken {name}")));
        let (policy, usual) = (&self.policy, Policy::default());
        if policy.interface_group_limit != usual.interface_group_limit {
            lines.push(format!("limit {}", policy.interface_group_limit));
        }
        if policy.max_disconnects != usual.max_disconnects {
            lines.push(format!("max {}", policy.max_disconnects));
        }
        if policy.disconnect_window != usual.disconnect_window {
            lines.push(format!("window {}", policy.disconnect_window.as_secs() / 60));
        }
        lines.extend(policy.isolation_groups.iter().map(|id| format!("isolation {}", group(id))));
        if let Some(limits) = policy.allow_cidr {
            lines.push(format!("allow-cidr ipv4={} ipv6={}", limits.widest_ipv4, limits.widest_ipv6));
        }
        if policy.status_tags {
            lines.push("status-tags".to_owned());
        }
        for line in lines {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}

/// A failing test shows the world as a text that can be pasted into the next one.
impl fmt::Debug for World {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "\n{self}")
    }
}
