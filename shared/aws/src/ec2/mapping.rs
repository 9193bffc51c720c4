//! EC2's shapes to domain types and back, without any call.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{
    self as ec2, GroupIdentifier, InstanceNetworkInterface, InstanceStateName, IpPermission, IpRange, Ipv6Range,
    LaunchTemplateInstanceNetworkInterfaceSpecification as TemplateInterface, LaunchTemplateVersion, NetworkInterface,
    NetworkInterfaceAttachment, NetworkInterfaceStatus, NetworkInterfaceType, OperatorResponse, PrefixListId,
    UserIdGroupPair,
};
use tagwire_core::{
    cidr::{Block, Family, PrefixList},
    group::SecurityGroup,
    id::{InstanceId, InterfaceId, PrefixListId as ListId, SecurityGroupId, VpcId, ZoneName},
    model::{Instance, Interface},
    observation::{AttachedInterface, InterfaceOwner},
    rule::{Direction, Peer, PortRange, Rule, Traffic},
    tag::TagSettings,
    untrusted::Untrusted,
};

use crate::call::{Unusable, required};

/// The protocol that stands for all of them.
const ALL_PROTOCOLS: &str = "-1";
const TCP: &str = "tcp";

/// The tag that the EC2 console shows as an instance's name.
pub(super) const NAME_KEY: &str = "Name";

pub(super) fn instance(raw: &ec2::Instance, connect_key: &str) -> Result<Instance, Unusable> {
    let id = InstanceId::parse(required(raw.instance_id(), "InstanceId")?)?;
    let state = raw.state().and_then(|state| state.name()).ok_or_else(|| Unusable::lasting("State is missing"))?;
    let interface = if *state == InstanceStateName::ShuttingDown || *state == InstanceStateName::Terminated {
        None
    } else {
        // EC2 answers from several copies; a launch may be there before its interface is.
        let primary = raw.network_interfaces().iter().find(|interface| is_primary(interface));
        Some(
            primary
                .ok_or_else(|| Unusable::passing(format!("it is {state} and has no interface at device index 0")))?,
        )
    };
    let zone = raw.placement().and_then(|placement| placement.availability_zone()).filter(|zone| !zone.is_empty());
    let tags = raw.tags().iter().map(|tag| (tag.key().unwrap_or_default(), tag.value().unwrap_or_default()));
    let name = tags.clone().find(|(key, value)| *key == NAME_KEY && !value.is_empty());
    Ok(Instance {
        id,
        name: name.map(|(_, value)| value.into()),
        interface: interface.map(primary_interface).transpose()?,
        operator: raw.operator().and_then(operator).map(Untrusted::from),
        zone: zone.map(ZoneName::parse).transpose()?,
        settings: TagSettings::read(connect_key, tags),
    })
}

/// The service that manages something; none when it is the account's own to change.
fn operator(raw: &OperatorResponse) -> Option<String> {
    let named = || match raw.principal().filter(|principal| !principal.is_empty()) {
        Some(CAPACITY_PROVIDERS) => format!("a Lambda capacity provider ({CAPACITY_PROVIDERS})"),
        Some(principal) => principal.to_owned(),
        None => "a service of AWS".to_owned(),
    };
    raw.managed().unwrap_or_default().then(named)
}

/// Instances with several network cards count device indices on each of them, and the primary
/// interface is always on the first.
// Fact 4.3
fn is_primary(interface: &InstanceNetworkInterface) -> bool {
    interface.attachment().is_some_and(|attachment| {
        attachment.device_index() == Some(0) && attachment.network_card_index().unwrap_or(0) == 0
    })
}

fn primary_interface(raw: &InstanceNetworkInterface) -> Result<Interface, Unusable> {
    Ok(Interface {
        id: InterfaceId::parse(required(raw.network_interface_id(), "NetworkInterfaceId")?)?,
        vpc: VpcId::parse(required(raw.vpc_id(), "VpcId of the interface")?)?,
        groups: group_ids(raw.groups())?,
    })
}

pub(super) fn interface(raw: &NetworkInterface) -> Result<Interface, Unusable> {
    Ok(Interface {
        id: InterfaceId::parse(required(raw.network_interface_id(), "NetworkInterfaceId")?)?,
        vpc: VpcId::parse(required(raw.vpc_id(), "VpcId")?)?,
        groups: group_ids(raw.groups())?,
    })
}

/// The beginning of the description that the Amazon VPC CNI gives to the interfaces that it manages; the id of the
/// instance follows.
// Fact 10.2
const CNI_DESCRIPTION: &str = "aws-K8S-";
/// The service that starts the instances of Lambda's capacity providers.
// Fact 10.7
const CAPACITY_PROVIDERS: &str = "scaler.lambda.amazonaws.com";
/// The tag by which an interface says of which of Lambda's network connectors it is.
// Fact 10.7
const NETWORK_CONNECTOR_KEY: &str = "aws:lambda:networkConnectorName";

/// An interface that has a group, and its owner.
pub(super) fn attached(raw: &NetworkInterface) -> Result<AttachedInterface, Unusable> {
    let attachment = raw.attachment();
    let instance = attachment.and_then(|attachment| attachment.instance_id()).filter(|id| !id.is_empty());
    let owner = if let Some(id) = instance {
        let index = attachment.and_then(NetworkInterfaceAttachment::device_index);
        let card = attachment.and_then(NetworkInterfaceAttachment::network_card_index).unwrap_or(0);
        let copies = raw.description().is_some_and(|text| text.starts_with(CNI_DESCRIPTION));
        InterfaceOwner::Instance { id: InstanceId::parse(id)?, primary: index == Some(0) && card == 0, copies }
    } else if let Some(id) = node(raw).filter(|_| is_left_over(raw)) {
        InterfaceOwner::Instance { id, primary: false, copies: true }
    } else if is_left_over(raw) {
        InterfaceOwner::Nobody { description: interface_description(raw).into() }
    } else {
        InterfaceOwner::Other { description: interface_description(raw).into() }
    };
    Ok(AttachedInterface {
        interface: InterfaceId::parse(required(raw.network_interface_id(), "NetworkInterfaceId")?)?,
        owner,
        groups: group_ids(raw.groups())?,
    })
}

/// The node for which the Amazon VPC CNI made an interface, whether that is attached to it yet, or still.
// Fact 10.2
fn node(raw: &NetworkInterface) -> Option<InstanceId> {
    InstanceId::parse(raw.description()?.strip_prefix(CNI_DESCRIPTION)?).ok()
}

/// Whether an interface of the account's own is attached to nothing. Those of services are attached to
/// something, or managed by it.
// Fact 10.6
fn is_left_over(raw: &NetworkInterface) -> bool {
    let of_instances = [NetworkInterfaceType::Interface, NetworkInterfaceType::Efa];
    raw.attachment().is_none()
        && raw.status() == Some(&NetworkInterfaceStatus::Available)
        && raw.interface_type().is_none_or(|of| of_instances.contains(of))
        && !raw.requester_managed().unwrap_or_default()
        && raw.operator().and_then(operator).is_none()
}

/// What an interface is of, as far as a tag, its operator or its description say.
fn interface_description(raw: &NetworkInterface) -> String {
    let connector = raw.tag_set().iter().find(|tag| tag.key() == Some(NETWORK_CONNECTOR_KEY));
    let connector = connector.map(|tag| format!("Lambda network connector {}", tag.value().unwrap_or_default()));
    let described = raw.description().filter(|text| !text.is_empty()).map(str::to_owned);
    let parts = [connector.or_else(|| raw.operator().and_then(operator)), described];
    let text = parts.into_iter().flatten().collect::<Vec<_>>().join(": ");
    if text.is_empty() { "without a description".to_owned() } else { text }
}

/// The groups that a version of a launch template names: ids, for the instance or for its
/// interfaces, and names.
#[derive(Debug)]
pub(super) struct TemplateGroups {
    pub(super) ids: Vec<SecurityGroupId>,
    pub(super) names: Vec<String>,
}

/// A template may hold anything in place of an id, which no launch would take: that names no group.
pub(super) fn template_groups(raw: &LaunchTemplateVersion) -> Result<TemplateGroups, Unusable> {
    let data = raw.launch_template_data().ok_or_else(|| Unusable::lasting("LaunchTemplateData is missing"))?;
    let of_interfaces = data.network_interfaces().iter().flat_map(TemplateInterface::groups);
    let ids = data.security_group_ids().iter().chain(of_interfaces);
    Ok(TemplateGroups {
        ids: ids.filter_map(|id| SecurityGroupId::parse(id.as_str()).ok()).collect(),
        names: data.security_groups().to_vec(),
    })
}

fn group_ids(raw: &[GroupIdentifier]) -> Result<BTreeSet<SecurityGroupId>, Unusable> {
    raw.iter().map(|group| Ok(SecurityGroupId::parse(required(group.group_id(), "GroupId")?)?)).collect()
}

pub(super) fn security_group(raw: &ec2::SecurityGroup) -> Result<SecurityGroup, Unusable> {
    let mut rules = BTreeSet::new();
    for (direction, permissions) in
        [(Direction::Inbound, raw.ip_permissions()), (Direction::Outbound, raw.ip_permissions_egress())]
    {
        for permission in permissions {
            let traffic = traffic(permission)?;
            for peer in peers(permission, raw.owner_id())? {
                rules.insert(Rule { direction, traffic: traffic.clone(), peer });
            }
        }
    }
    let tags = raw.tags().iter().map(|tag| (text(tag.key()), text(tag.value())));
    Ok(SecurityGroup {
        id: SecurityGroupId::parse(required(raw.group_id(), "GroupId")?)?,
        vpc: VpcId::parse(required(raw.vpc_id(), "VpcId")?)?,
        name: required(raw.group_name(), "GroupName")?.to_owned(),
        description: text(raw.description()),
        tags: tags.collect::<BTreeMap<_, _>>(),
        rules,
        record: None,
    })
}

/// Whom EC2 names as the owner of the lists that AWS manages.
pub(super) const AWS_OWNER: &str = "AWS";

/// A prefix list, still without its entries.
pub(super) fn prefix_list(raw: &ec2::ManagedPrefixList) -> Result<PrefixList, Unusable> {
    let family = match required(raw.address_family(), "AddressFamily")? {
        "IPv4" => Family::Ipv4,
        "IPv6" => Family::Ipv6,
        other => return Err(Unusable::lasting(format!("its AddressFamily is {other:?}"))),
    };
    Ok(PrefixList {
        id: ListId::parse(required(raw.prefix_list_id(), "PrefixListId")?)?,
        owner: required(raw.owner_id(), "OwnerId")?.into(),
        family,
        // The lists that AWS manages have none.
        most_entries: usize::try_from(raw.max_entries().unwrap_or_default()).unwrap_or_default(),
        entries: BTreeSet::new(),
    })
}

pub(super) fn prefix_list_entry(raw: &ec2::PrefixListEntry) -> Result<Block, Unusable> {
    Block::parse(required(raw.cidr(), "Cidr")?).map_err(|problem| Unusable::lasting(problem.to_string()))
}

fn text(field: Option<&str>) -> String {
    field.unwrap_or_default().to_owned()
}

fn traffic(permission: &IpPermission) -> Result<Traffic, Unusable> {
    let protocol = required(permission.ip_protocol(), "IpProtocol of a rule")?;
    let (from, to) = (permission.from_port(), permission.to_port());
    let port = |number: Option<i32>| number.and_then(|number| u16::try_from(number).ok());
    let range = port(from).zip(port(to)).and_then(|(first, last)| PortRange::new(first, last));
    Ok(match (protocol, range) {
        (ALL_PROTOCOLS, _) => Traffic::All,
        (TCP, Some(range)) => Traffic::Tcp(range),
        _ => Traffic::Other { protocol: protocol.to_owned(), from, to },
    })
}

/// One permission of EC2 is a rule for each of its peers; a permission without any
/// lets nothing through and is no rule.
fn peers(permission: &IpPermission, owner: Option<&str>) -> Result<Vec<Peer>, Unusable> {
    let groups = permission.user_id_group_pairs().iter().map(|pair| group_peer(pair, owner));
    let ipv4 = permission.ip_ranges().iter().map(|range| Ok(Peer::Ipv4(peer_text(range.cidr_ip())?)));
    let ipv6 = permission.ipv6_ranges().iter().map(|range| Ok(Peer::Ipv6(peer_text(range.cidr_ipv6())?)));
    let lists = permission.prefix_list_ids().iter().map(|list| Ok(Peer::PrefixList(peer_text(list.prefix_list_id())?)));
    groups.chain(ipv4).chain(ipv6).chain(lists).collect()
}

fn peer_text(field: Option<&str>) -> Result<String, Unusable> {
    required(field, "the peer of a rule").map(str::to_owned)
}

fn group_peer(pair: &UserIdGroupPair, owner: Option<&str>) -> Result<Peer, Unusable> {
    let group = SecurityGroupId::parse(required(pair.group_id(), "GroupId of a rule")?)?;
    let account = pair.user_id().filter(|account| owner.is_some_and(|owner| owner != *account));
    Ok(match account {
        Some(account) => Peer::GroupOfAccount { account: account.to_owned(), group },
        None => Peer::Group(group),
    })
}

/// The permission that means exactly this rule. A description is no part of a rule: EC2 takes a
/// rule away without it.
pub(super) fn permission(rule: &Rule, description: Option<&str>) -> IpPermission {
    let permission = match &rule.traffic {
        Traffic::Tcp(ports) => IpPermission::builder()
            .ip_protocol(TCP)
            .from_port(i32::from(ports.first()))
            .to_port(i32::from(ports.last())),
        Traffic::All => IpPermission::builder().ip_protocol(ALL_PROTOCOLS),
        Traffic::Other { protocol, from, to } => {
            IpPermission::builder().ip_protocol(protocol).set_from_port(*from).set_to_port(*to)
        }
    };
    let description = description.map(str::to_owned);
    match &rule.peer {
        Peer::Group(group) => permission.user_id_group_pairs(
            UserIdGroupPair::builder().group_id(group.as_str()).set_description(description).build(),
        ),
        Peer::GroupOfAccount { account, group } => permission.user_id_group_pairs(
            UserIdGroupPair::builder().user_id(account).group_id(group.as_str()).set_description(description).build(),
        ),
        Peer::Ipv4(block) => {
            permission.ip_ranges(IpRange::builder().cidr_ip(block).set_description(description).build())
        }
        Peer::Ipv6(block) => {
            permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(block).set_description(description).build())
        }
        Peer::PrefixList(list) => permission
            .prefix_list_ids(PrefixListId::builder().prefix_list_id(list).set_description(description).build()),
    }
    .build()
}

#[cfg(test)]
mod tests;
