"""Prefix lists, and rules that name them."""

import pytest
from conftest import refusal

PORT = {"IpProtocol": "tcp", "FromPort": 5439, "ToPort": 5439}
UNKNOWN = "pl-00000000000000000"


@pytest.fixture
def prefix_list(network):
    def make(name, entries=("203.0.113.0/24",), room=5, family="IPv4"):
        return network.ec2.create_managed_prefix_list(
            PrefixListName=name,
            MaxEntries=room,
            AddressFamily=family,
            Entries=[{"Cidr": cidr} for cidr in entries],
        )["PrefixList"]["PrefixListId"]

    return make


def rule(**peer):
    return [{**PORT, **peer}]


def of_list(prefix_list_id):
    return rule(PrefixListIds=[{"PrefixListId": prefix_list_id}])


def of_cidr(cidr):
    return rule(IpRanges=[{"CidrIp": cidr}])


def test_list_tells_its_owner_its_room_and_its_entries(network, prefix_list):
    made = prefix_list("office", ("203.0.113.0/24", "198.51.100.7/32"))
    (seen,) = network.ec2.describe_managed_prefix_lists(PrefixListIds=[made])["PrefixLists"]
    assert (seen["OwnerId"], seen["MaxEntries"], seen["AddressFamily"]) == ("123456789012", 5, "IPv4")
    entries = network.ec2.get_managed_prefix_list_entries(PrefixListId=made)["Entries"]
    assert [entry["Cidr"] for entry in entries] == ["203.0.113.0/24", "198.51.100.7/32"]


def test_unknown_list_is_not_found(network):
    ec2, code = network.ec2, "InvalidPrefixListID.NotFound"
    assert refusal(ec2.describe_managed_prefix_lists, PrefixListIds=[UNKNOWN]) == code
    assert refusal(ec2.get_managed_prefix_list_entries, PrefixListId=UNKNOWN) == code
    call, group = ec2.authorize_security_group_ingress, network.group()
    assert refusal(call, GroupId=group, IpPermissions=of_list(UNKNOWN)) == code


def test_rules_of_lists_and_of_both_address_families_come_and_go(network, prefix_list):
    group, office = network.group(), prefix_list("come-and-go")
    rules = [*of_list(office), *of_cidr("10.1.0.0/16"), *rule(Ipv6Ranges=[{"CidrIpv6": "2001:db8::/48"}])]
    network.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rules)

    def seen():
        (described,) = network.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
        return [
            peer[name]
            for permission in described["IpPermissions"]
            for kind, name in (("PrefixListIds", "PrefixListId"), ("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6"))
            for peer in permission[kind]
        ]

    assert seen() == [office, "10.1.0.0/16", "2001:db8::/48"]
    call = network.ec2.authorize_security_group_ingress
    for each in rules:
        assert refusal(call, GroupId=group, IpPermissions=[each]) == "InvalidPermission.Duplicate"
    network.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=rules)
    assert seen() == []


def test_list_takes_the_room_that_it_may_grow_into(network, prefix_list):
    call, limit = network.ec2.authorize_security_group_ingress, "RulesPerSecurityGroupLimitExceeded"
    group = network.group()
    call(GroupId=group, IpPermissions=of_list(prefix_list("big", room=58)))
    call(GroupId=group, IpPermissions=of_cidr("10.1.0.0/16"))
    call(GroupId=group, IpPermissions=of_cidr("10.2.0.0/16"))
    assert refusal(call, GroupId=group, IpPermissions=of_cidr("10.3.0.0/16")) == limit
    peer = rule(UserIdGroupPairs=[{"GroupId": network.group()}])
    assert refusal(call, GroupId=group, IpPermissions=peer) == limit
    # The other address family has room of its own.
    call(GroupId=group, IpPermissions=rule(Ipv6Ranges=[{"CidrIpv6": "2001:db8::/48"}]))
    call(GroupId=group, IpPermissions=of_list(prefix_list("six", (), room=59, family="IPv6")))
    assert refusal(call, GroupId=group, IpPermissions=rule(Ipv6Ranges=[{"CidrIpv6": "2001:db9::/48"}])) == limit
    (described,) = network.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    (permission,) = described["IpPermissions"]
    assert [len(permission[kind]) for kind in ("IpRanges", "Ipv6Ranges", "PrefixListIds")] == [2, 1, 2]


def test_sixty_first_rule_is_refused(network):
    group = network.group()
    many = [{"CidrIp": f"10.{number}.0.0/16"} for number in range(60)]
    call = network.ec2.authorize_security_group_ingress
    call(GroupId=group, IpPermissions=rule(IpRanges=many))
    code = refusal(call, GroupId=group, IpPermissions=of_cidr("172.16.0.0/12"))
    assert code == "RulesPerSecurityGroupLimitExceeded"
