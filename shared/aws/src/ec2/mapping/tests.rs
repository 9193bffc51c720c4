//! What is made of EC2's answers.

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
