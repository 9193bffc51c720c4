//! What is there, read with clients of the test's own.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use aws_sdk_ec2::types as ec2;
use tagwire_local_aws::{Call, LocalAws};

use crate::installation::{Kind, Launched, Store};

/// The rules of a group, each as a line: direction, protocol, ports, peer.
pub type Rules = BTreeSet<String>;

/// A pair through which an instance reaches a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Name of the group on the store.
    pub store_side: String,
    /// Name of the group on the instance.
    pub instance_side: String,
    /// The port; of several the first.
    pub port: i32,
}

/// The groups of an interface, by id.
///
/// # Errors
/// When the local AWS does not know the interface.
pub async fn interface_groups(aws: &LocalAws, interface: &str) -> Result<BTreeSet<String>> {
    let found = aws.ec2().describe_network_interfaces().network_interface_ids(interface).send().await?;
    let found = found.network_interfaces().first().with_context(|| format!("{interface} is not there"))?;
    Ok(found.groups().iter().filter_map(|group| group.group_id().map(str::to_owned)).collect())
}

/// The groups of a store, by id.
///
/// # Errors
/// When the local AWS does not know the store.
pub async fn store_groups(aws: &LocalAws, store: &Store) -> Result<BTreeSet<String>> {
    let gone = || format!("{} is not there", store.arn);
    let named = |ids: Vec<Option<&str>>| ids.into_iter().flatten().map(str::to_owned).collect();
    Ok(match store.kind {
        Kind::DbCluster => {
            let found = aws.rds().describe_db_clusters().db_cluster_identifier(&store.name).send().await?;
            let groups = found.db_clusters().first().with_context(gone)?.vpc_security_groups();
            named(groups.iter().map(|group| group.vpc_security_group_id()).collect())
        }
        Kind::DbInstance => {
            let found = aws.rds().describe_db_instances().db_instance_identifier(&store.name).send().await?;
            let groups = found.db_instances().first().with_context(gone)?.vpc_security_groups();
            named(groups.iter().map(|group| group.vpc_security_group_id()).collect())
        }
        Kind::ReplicationGroup | Kind::CacheCluster => {
            let found = aws.elasticache().describe_cache_clusters().send().await?;
            let mut nodes = found.cache_clusters().iter().filter(|node| {
                let of_group = store.kind == Kind::ReplicationGroup;
                let id = if of_group { node.replication_group_id() } else { node.cache_cluster_id() };
                id == Some(store.name.as_str())
            });
            let groups = nodes.next().with_context(gone)?.security_groups();
            ensure!(nodes.all(|node| node.security_groups() == groups), "the members of {} differ", store.name);
            named(groups.iter().map(|group| group.security_group_id()).collect())
        }
        Kind::ServerlessCache => {
            let request = aws.elasticache().describe_serverless_caches().serverless_cache_name(&store.name);
            let found = request.send().await?;
            let groups = found.serverless_caches().first().with_context(gone)?.security_group_ids();
            groups.iter().cloned().collect()
        }
        Kind::RedshiftCluster => {
            let found = aws.redshift().describe_clusters().cluster_identifier(&store.name).send().await?;
            let groups = found.clusters().first().with_context(gone)?.vpc_security_groups();
            named(groups.iter().map(|group| group.vpc_security_group_id()).collect())
        }
    })
}

async fn groups(aws: &LocalAws) -> Result<BTreeMap<String, ec2::SecurityGroup>> {
    let mut pages = aws.ec2().describe_security_groups().into_paginator().items().send();
    let mut groups = BTreeMap::new();
    while let Some(group) = pages.next().await {
        let group = group?;
        groups.insert(group.group_id().context("a group has no id")?.to_owned(), group);
    }
    Ok(groups)
}

fn rules(group: &ec2::SecurityGroup) -> Rules {
    let mut lines = Rules::new();
    let directions = [("in", group.ip_permissions()), ("out", group.ip_permissions_egress())];
    for (direction, permissions) in directions {
        for permission in permissions {
            let what = format!(
                "{direction} {} {}..{}",
                permission.ip_protocol().unwrap_or("?"),
                permission.from_port().unwrap_or(-1),
                permission.to_port().unwrap_or(-1)
            );
            let peers = permission.user_id_group_pairs().iter().filter_map(|pair| pair.group_id());
            let v4 = permission.ip_ranges().iter().filter_map(|range| range.cidr_ip());
            let v6 = permission.ipv6_ranges().iter().filter_map(|range| range.cidr_ipv6());
            let lists = permission.prefix_list_ids().iter().filter_map(|list| list.prefix_list_id());
            lines.extend(peers.chain(v4).chain(v6).chain(lists).map(|peer| format!("{what} {peer}")));
        }
    }
    lines
}

/// Anybody can write tagwire's tags on a group, and nobody can change a group's description.
fn is_ours(group: &ec2::SecurityGroup) -> bool {
    let described = group.description().is_some_and(|text| text.starts_with("Made by tagwire for "));
    described && tag_of(group, "tagwire:managed-by") == Some("tagwire")
}

fn tag_of<'group>(group: &'group ec2::SecurityGroup, key: &str) -> Option<&'group str> {
    group.tags().iter().find(|tag| tag.key() == Some(key)).and_then(ec2::Tag::value)
}

/// The pair through which an instance reaches a store: one group on each, with nothing in either
/// but the one rule that names the other and the port. None when there is none.
///
/// # Errors
/// When the local AWS cannot be read.
pub async fn connection(aws: &LocalAws, instance: &Launched, store: &Store) -> Result<Option<Connection>> {
    let groups = groups(aws).await?;
    let (on_instance, on_store) = (interface_groups(aws, &instance.interface).await?, store_groups(aws, store).await?);
    for (store_side, store_group) in on_store.iter().filter_map(|id| Some((id, groups.get(id)?))) {
        for (instance_side, instance_group) in on_instance.iter().filter_map(|id| Some((id, groups.get(id)?))) {
            let (first, last) = store.ports;
            let lets_in = Rules::from([format!("in tcp {first}..{last} {instance_side}")]);
            let lets_out = Rules::from([format!("out tcp {first}..{last} {store_side}")]);
            if rules(store_group) == lets_in && rules(instance_group) == lets_out {
                return Ok(Some(Connection {
                    store_side: store_group.group_name().unwrap_or_default().to_owned(),
                    instance_side: instance_group.group_name().unwrap_or_default().to_owned(),
                    port: first,
                }));
            }
        }
    }
    Ok(None)
}

/// The rules by which any group of a store, whoever made it, lets in any group of an instance, each after its group.
///
/// # Errors
/// When the local AWS cannot be read.
pub async fn ways_in(aws: &LocalAws, instance: &Launched, store: &Store) -> Result<BTreeSet<String>> {
    let groups = groups(aws).await?;
    let (on_instance, on_store) = (interface_groups(aws, &instance.interface).await?, store_groups(aws, store).await?);
    let mut ways = BTreeSet::new();
    for (id, group) in on_store.iter().filter_map(|id| Some((id, groups.get(id)?))) {
        let lets_in = |rule: &&String| {
            rule.strip_prefix("in ").is_some_and(|rule| on_instance.iter().any(|peer| rule.ends_with(peer.as_str())))
        };
        ways.extend(rules(group).iter().filter(lets_in).map(|rule| format!("{id}: {rule}")));
    }
    Ok(ways)
}

/// The names of the groups that carry tagwire's tag.
///
/// # Errors
/// When the local AWS cannot be read.
pub async fn owned_groups(aws: &LocalAws) -> Result<BTreeSet<String>> {
    let groups = groups(aws).await?;
    Ok(groups
        .values()
        .filter(|group| is_ours(group))
        .filter_map(|group| group.group_name().map(str::to_owned))
        .collect())
}

/// The groups of a store's pair, by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The group for the store.
    pub store_side: String,
    /// The group for its instances.
    pub instance_side: String,
}

/// A store's pair, found by its tags, whoever has it; none when one of its groups is missing.
///
/// # Errors
/// When the local AWS cannot be read, or the store has more than one pair.
pub async fn pair(aws: &LocalAws, store: &Store) -> Result<Option<Pair>> {
    let groups = groups(aws).await?;
    let of_store = |side| {
        let mut found = groups.iter().filter(move |(_, group)| {
            is_ours(group)
                && tag_of(group, "tagwire:data-store") == Some(store.arn.as_str())
                && tag_of(group, "tagwire:side") == Some(side)
        });
        let first = found.next().map(|(id, _)| id.clone());
        ensure!(found.next().is_none(), "{} has several groups for the {side} side", store.arn);
        Ok(first)
    };
    let sides = of_store("store")?.zip(of_store("instance")?);
    Ok(sides.map(|(store_side, instance_side)| Pair { store_side, instance_side }))
}

/// The rules of one group.
///
/// # Errors
/// When there is no such group.
pub async fn rules_of(aws: &LocalAws, group: &str) -> Result<Rules> {
    groups(aws).await?.get(group).map(rules).with_context(|| format!("{group} is not there"))
}

/// What others have: the rules of their groups, and which of these every interface and database has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    rules: BTreeMap<String, Rules>,
    attached: BTreeMap<String, BTreeSet<String>>,
}

impl Foreign {
    /// What is different now. Something new is no difference, and neither is an interface or database
    /// that is gone, for tagwire can delete none.
    #[must_use]
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let of_groups = self.rules.iter().filter_map(|(group, before)| match now.rules.get(group) {
            Some(rules) if rules == before => None,
            rules => Some(format!("{group} held {before:?} and holds {rules:?}")),
        });
        let of_lists = self.attached.iter().filter_map(|(holder, before)| match now.attached.get(holder) {
            Some(attached) if attached != before => Some(format!("{holder} wore {before:?} and has {attached:?}")),
            _ => None,
        });
        of_groups.chain(of_lists).collect()
    }
}

/// Everything that is not tagwire's, to compare before and after.
///
/// # Errors
/// When the local AWS cannot be read.
pub async fn foreign(aws: &LocalAws) -> Result<Foreign> {
    let groups = groups(aws).await?;
    let is_foreign = |id: &str| groups.get(id).is_none_or(|group| !is_ours(group));
    let theirs = |ids: Vec<&str>| ids.into_iter().filter(|id| is_foreign(id)).map(str::to_owned).collect();
    let mut attached = BTreeMap::new();
    let mut interfaces = aws.ec2().describe_network_interfaces().into_paginator().items().send();
    while let Some(interface) = interfaces.next().await {
        let interface = interface?;
        let ids = interface.groups().iter().filter_map(|group| group.group_id()).collect();
        attached.insert(interface.network_interface_id().unwrap_or_default().to_owned(), theirs(ids));
    }
    for database in aws.rds().describe_db_instances().send().await?.db_instances() {
        let ids = database.vpc_security_groups().iter().filter_map(|group| group.vpc_security_group_id()).collect();
        attached.insert(database.dbi_resource_id().unwrap_or_default().to_owned(), theirs(ids));
    }
    for cluster in aws.rds().describe_db_clusters().send().await?.db_clusters() {
        let ids = cluster.vpc_security_groups().iter().filter_map(|group| group.vpc_security_group_id()).collect();
        attached.insert(cluster.db_cluster_resource_id().unwrap_or_default().to_owned(), theirs(ids));
    }
    let rules = groups.iter().filter(|(_, group)| !is_ours(group)).map(|(id, group)| (id.clone(), rules(group)));
    Ok(Foreign { rules: rules.collect(), attached })
}

fn reads(call: &Call) -> bool {
    ["Describe", "Get", "List", "Query", "Scan", "BatchGet"].iter().any(|verb| call.action.starts_with(verb))
}

/// Whether a call changes something in EC2 or a data store.
#[must_use]
pub fn is_write(call: &Call) -> bool {
    !reads(call) && ["ec2", "rds", "elasticache", "redshift", "tagging"].contains(&call.service.as_str())
}

/// Whether a call changes the state table.
#[must_use]
pub fn is_note(call: &Call) -> bool {
    !reads(call) && call.service == "dynamodb"
}
