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
mod tests {
    use aws_sdk_ec2::types::{InstanceNetworkInterfaceAttachment, InstanceState, Placement, Tag};
    use tagwire_core::tag::{BLOCK_KEY, ConnectTag};

    use super::*;

    fn attached(id: &str, device: i32, card: Option<i32>, group: &str) -> InstanceNetworkInterface {
        let attachment =
            InstanceNetworkInterfaceAttachment::builder().device_index(device).set_network_card_index(card).build();
        InstanceNetworkInterface::builder()
            .network_interface_id(id)
            .vpc_id("vpc-1")
            .groups(GroupIdentifier::builder().group_id(group).build())
            .attachment(attachment)
            .build()
    }

    fn machine(state: InstanceStateName, interfaces: &[InstanceNetworkInterface]) -> ec2::Instance {
        ec2::Instance::builder()
            .instance_id("i-1")
            .state(InstanceState::builder().name(state).build())
            .placement(Placement::builder().availability_zone("eu-west-1a").build())
            .set_network_interfaces(Some(interfaces.to_vec()))
            .tags(Tag::builder().key("k").value("one").build())
            .tags(Tag::builder().key(BLOCK_KEY).build())
            .build()
    }

    #[test]
    fn the_interface_of_an_instance_is_the_one_at_device_index_zero_of_the_first_card() {
        let interfaces = [
            attached("eni-1", 1, Some(0), "sg-1"),
            attached("eni-2", 0, Some(1), "sg-2"),
            attached("eni-3", 0, Some(0), "sg-3"),
        ];
        for state in [
            InstanceStateName::Pending,
            InstanceStateName::Running,
            InstanceStateName::Stopping,
            InstanceStateName::Stopped,
        ] {
            let instance = instance(&machine(state, &interfaces), "k").unwrap();
            let interface = instance.interface.unwrap();
            assert_eq!((interface.id.as_str(), interface.vpc.as_str()), ("eni-3", "vpc-1"));
            assert_eq!(interface.groups, [SecurityGroupId::parse("sg-3").unwrap()].into());
            assert_eq!(instance.zone, Some(ZoneName::parse("eu-west-1a").unwrap()));
            assert_eq!(instance.settings.connect, ConnectTag::read(Some("one")));
            assert!(instance.settings.blocked);
        }
    }

    #[test]
    fn an_instance_is_called_by_its_name_tag_if_that_says_anything() {
        let named = |tag: Option<Tag>| {
            let mut raw = machine(InstanceStateName::Running, &[attached("eni-1", 0, None, "sg-1")]);
            raw.tags.get_or_insert_default().extend(tag);
            instance(&raw, "k").unwrap().name
        };
        assert_eq!(named(None), None);
        assert_eq!(named(Some(Tag::builder().key("Name").value("web-1").build())).as_deref(), Some("web-1"));
        assert_eq!(named(Some(Tag::builder().key("Name").value("").build())), None);
        assert_eq!(named(Some(Tag::builder().key("name").value("web-1").build())), None);
    }

    #[test]
    fn an_instance_names_the_service_that_manages_it() {
        let of = |managed: Option<bool>, principal: &str| {
            let mut raw = machine(InstanceStateName::Running, &[attached("eni-1", 0, None, "sg-1")]);
            raw.operator = Some(OperatorResponse::builder().set_managed(managed).principal(principal).build());
            instance(&raw, "k").unwrap().operator
        };
        assert_eq!(of(Some(true), "eks.amazonaws.com").as_deref(), Some("eks.amazonaws.com"));
        assert_eq!(of(Some(true), "").as_deref(), Some("a service of AWS"));
        let of_lambda = of(Some(true), "scaler.lambda.amazonaws.com");
        assert_eq!(of_lambda.as_deref(), Some("a Lambda capacity provider (scaler.lambda.amazonaws.com)"));
        assert_eq!((of(Some(false), "eks.amazonaws.com"), of(None, "")), (None, None));
    }

    #[test]
    fn an_instance_on_its_way_out_has_no_interface_whatever_is_listed() {
        for state in [InstanceStateName::ShuttingDown, InstanceStateName::Terminated] {
            let instance = instance(&machine(state, &[attached("eni-1", 0, None, "sg-1")]), "k").unwrap();
            assert_eq!(instance.interface, None);
        }
    }

    #[test]
    fn a_live_instance_without_an_interface_is_asked_for_again() {
        let odd = instance(&machine(InstanceStateName::Pending, &[]), "k").unwrap_err();
        assert_eq!(odd, Unusable::passing("it is pending and has no interface at device index 0"));
    }

    #[test]
    fn what_cannot_be_understood_is_said_and_not_guessed() {
        let odd = instance(&machine(InstanceStateName::Running, &[attached("eni-1", 0, None, "x")]), "k").unwrap_err();
        assert_eq!(odd, Unusable::lasting("\"x\" is not a security group id such as sg-0a1b2c3d"));
        let odd = interface(&NetworkInterface::builder().network_interface_id("eni-1").build()).unwrap_err();
        assert_eq!(odd, Unusable::lasting("VpcId is missing"));
    }

    fn group(permission: IpPermission) -> SecurityGroup {
        let raw = ec2::SecurityGroup::builder()
            .group_id("sg-1")
            .vpc_id("vpc-1")
            .owner_id("111111111111")
            .group_name("rds-ec2-1")
            .description("d")
            .tags(Tag::builder().key("a").value("b").build())
            .ip_permissions(permission)
            .build();
        security_group(&raw).unwrap()
    }

    fn peers_of(group: &SecurityGroup) -> Vec<Peer> {
        group.rules.iter().map(|rule| rule.peer.clone()).collect()
    }

    fn sg(id: &str) -> SecurityGroupId {
        SecurityGroupId::parse(id).unwrap()
    }

    #[test]
    fn a_permission_is_one_rule_for_each_of_its_peers() {
        let permission = IpPermission::builder()
            .ip_protocol("tcp")
            .from_port(3306)
            .to_port(3307)
            .user_id_group_pairs(UserIdGroupPair::builder().group_id("sg-2").user_id("111111111111").build())
            .user_id_group_pairs(UserIdGroupPair::builder().group_id("sg-3").user_id("222222222222").build())
            .ip_ranges(IpRange::builder().cidr_ip("10.0.0.0/8").build())
            .ipv6_ranges(Ipv6Range::builder().cidr_ipv6("::/0").build())
            .prefix_list_ids(PrefixListId::builder().prefix_list_id("pl-1").build())
            .build();
        let group = group(permission);
        assert_eq!(
            peers_of(&group),
            [
                Peer::Group(sg("sg-2")),
                Peer::GroupOfAccount { account: "222222222222".into(), group: sg("sg-3") },
                Peer::Ipv4("10.0.0.0/8".into()),
                Peer::Ipv6("::/0".into()),
                Peer::PrefixList("pl-1".into()),
            ]
        );
        let ports = PortRange::new(3306, 3307).unwrap();
        assert!(group.rules.iter().all(|rule| rule.traffic == Traffic::Tcp(ports)));
        assert_eq!(group.tags, [("a".to_owned(), "b".to_owned())].into());
    }

    #[test]
    fn inbound_and_outbound_are_told_apart() {
        let everywhere = IpRange::builder().cidr_ip("0.0.0.0/0").build();
        let raw = ec2::SecurityGroup::builder()
            .group_id("sg-1")
            .vpc_id("vpc-1")
            .group_name("a")
            .ip_permissions_egress(IpPermission::builder().ip_protocol("-1").ip_ranges(everywhere).build())
            .build();
        let rule = Rule { direction: Direction::Outbound, traffic: Traffic::All, peer: Peer::Ipv4("0.0.0.0/0".into()) };
        assert_eq!(security_group(&raw).unwrap().rules, [rule].into());
    }

    #[test]
    fn traffic_that_is_no_tcp_range_is_kept_whole() {
        for (protocol, from, to, traffic) in [
            ("-1", None, None, Traffic::All),
            ("-1", Some(-1), Some(-1), Traffic::All),
            ("tcp", Some(1), Some(65535), Traffic::Tcp(PortRange::new(1, 65535).unwrap())),
            ("tcp", Some(0), Some(65535), Traffic::Other { protocol: "tcp".into(), from: Some(0), to: Some(65535) }),
            ("udp", Some(53), Some(53), Traffic::Other { protocol: "udp".into(), from: Some(53), to: Some(53) }),
            ("icmp", Some(8), Some(-1), Traffic::Other { protocol: "icmp".into(), from: Some(8), to: Some(-1) }),
            ("50", None, None, Traffic::Other { protocol: "50".into(), from: None, to: None }),
        ] {
            let permission = IpPermission::builder()
                .ip_protocol(protocol)
                .set_from_port(from)
                .set_to_port(to)
                .ip_ranges(IpRange::builder().cidr_ip("10.0.0.0/8").build())
                .build();
            let rules = group(permission).rules;
            assert_eq!(rules.first().map(|rule| &rule.traffic), Some(&traffic), "{protocol}");
        }
    }

    #[test]
    fn every_rule_is_written_as_it_is_read() {
        let traffics = [
            Traffic::All,
            Traffic::Tcp(PortRange::single(5432).unwrap()),
            Traffic::Tcp(PortRange::new(6379, 6380).unwrap()),
            Traffic::Other { protocol: "icmpv6".into(), from: Some(-1), to: Some(-1) },
            Traffic::Other { protocol: "tcp".into(), from: Some(0), to: Some(0) },
            Traffic::Other { protocol: "50".into(), from: None, to: None },
        ];
        let peers = [
            Peer::Group(sg("sg-2")),
            Peer::GroupOfAccount { account: "222222222222".into(), group: sg("sg-3") },
            Peer::Ipv4("10.0.0.0/8".into()),
            Peer::Ipv6("::/0".into()),
            Peer::PrefixList("pl-1".into()),
        ];
        for traffic in &traffics {
            for peer in &peers {
                let rule = Rule { direction: Direction::Inbound, traffic: traffic.clone(), peer: peer.clone() };
                for description in [None, Some("for people")] {
                    assert_eq!(group(permission(&rule, description)).rules, [rule.clone()].into());
                }
            }
        }
    }
}
