"""Security groups."""

import pytest
from conftest import refusal


def tcp(peer=None, port=5432, cidr=None, text=None):
    permission = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    described = {"Description": text} if text else {}
    if peer:
        permission["UserIdGroupPairs"] = [{"GroupId": peer, **described}]
    if cidr:
        permission["IpRanges"] = [{"CidrIp": cidr, **described}]
    return permission


def described(network, group):
    return network.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]


def test_new_group_allows_all_egress_and_nothing_else(network):
    group = described(network, network.group())
    assert group["IpPermissions"] == []
    assert len(group["IpPermissionsEgress"]) == 1
    rule = group["IpPermissionsEgress"][0]
    assert rule["IpProtocol"] == "-1"
    assert rule["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}]
    assert "FromPort" not in rule


def test_tags_of_creation_are_answered_and_kept(network):
    tags = [{"Key": "tagwire:side", "Value": "store"}]
    answer = network.ec2.create_security_group(
        GroupName="tagged",
        Description="a test",
        VpcId=network.vpc,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
    )
    assert answer["Tags"] == tags
    assert described(network, answer["GroupId"])["Tags"] == tags


def test_names_are_unique_in_a_vpc_whatever_their_case(network, new_network):
    network.group("rds-ec2-1")
    arguments = {"GroupName": "RDS-EC2-1", "Description": "a test", "VpcId": network.vpc}
    assert refusal(network.ec2.create_security_group, **arguments) == "InvalidGroup.Duplicate"
    new_network().group("rds-ec2-1")


def test_name_like_an_id_is_refused(network):
    arguments = {"GroupName": "sg-mine", "Description": "a test", "VpcId": network.vpc}
    assert refusal(network.ec2.create_security_group, **arguments) == "InvalidParameterValue"


@pytest.mark.parametrize("text", ["caf\u00e9", "a>b", "x" * 256])
def test_text_that_aws_does_not_take_is_refused(network, text):
    arguments = {"GroupName": "fine", "Description": text, "VpcId": network.vpc}
    assert refusal(network.ec2.create_security_group, **arguments) == "InvalidParameterValue"
    group = network.group()
    rule = tcp(cidr="10.0.0.0/8", text=text)
    call = network.ec2.authorize_security_group_ingress
    assert refusal(call, GroupId=group, IpPermissions=[rule]) == "InvalidParameterValue"


def test_unknown_vpc_is_refused(network):
    arguments = {"GroupName": "lost", "Description": "a test", "VpcId": "vpc-00000000"}
    assert refusal(network.ec2.create_security_group, **arguments) == "InvalidVpcID.NotFound"


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_rule_that_differs_only_in_its_description_is_a_duplicate(network, direction):
    group, peer = network.groups(2)
    authorize = getattr(network.ec2, f"authorize_security_group_{direction}")
    authorize(GroupId=group, IpPermissions=[tcp(peer, text="one")])
    assert refusal(authorize, GroupId=group, IpPermissions=[tcp(peer, text="two")]) == "InvalidPermission.Duplicate"
    authorize(GroupId=group, IpPermissions=[tcp(peer, port=5433)])


def test_call_with_a_duplicate_among_its_rules_changes_nothing(network):
    group, peer = network.groups(2)
    authorize = network.ec2.authorize_security_group_ingress
    authorize(GroupId=group, IpPermissions=[tcp(peer)])
    assert (
        refusal(authorize, GroupId=group, IpPermissions=[tcp(peer, port=1), tcp(peer)])
        == "InvalidPermission.Duplicate"
    )
    ports = [permission["FromPort"] for permission in described(network, group)["IpPermissions"]]
    assert ports == [5432]


def test_authorize_answers_every_rule_it_made(network):
    group, peer = network.groups(2)
    answer = network.ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[tcp(peer, text="why"), tcp(peer, port=5433)]
    )
    rules = answer["SecurityGroupRules"]
    assert [rule["FromPort"] for rule in rules] == [5432, 5433]
    assert all(rule["SecurityGroupRuleId"].startswith("sgr-") for rule in rules)
    assert rules[0]["ReferencedGroupInfo"]["GroupId"] == peer


def test_description_of_a_group_rule_is_told(network):
    group, peer = network.groups(2)
    network.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[tcp(peer, text="why")])
    pair = described(network, group)["IpPermissions"][0]["UserIdGroupPairs"][0]
    assert pair["Description"] == "why"
    rules = network.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
    ingress = [rule for rule in rules["SecurityGroupRules"] if not rule["IsEgress"]]
    assert ingress[0]["Description"] == "why"


def test_revoke_needs_no_description_and_refuses_what_is_not_there(network):
    group, peer = network.groups(2)
    network.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[tcp(peer, text="why")])
    revoke = network.ec2.revoke_security_group_ingress
    revoke(GroupId=group, IpPermissions=[tcp(peer)])
    assert described(network, group)["IpPermissions"] == []
    assert refusal(revoke, GroupId=group, IpPermissions=[tcp(peer)]) == "InvalidPermission.NotFound"


def test_default_egress_can_be_revoked(network):
    group = network.group()
    network.ec2.revoke_security_group_egress(
        GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )
    assert described(network, group)["IpPermissionsEgress"] == []


def test_rule_to_a_group_of_another_vpc_is_refused(network, new_network):
    foreign = new_network().group()
    call = network.ec2.authorize_security_group_ingress
    assert refusal(call, GroupId=network.group(), IpPermissions=[tcp(foreign)]) == "InvalidGroup.NotFound"


def test_rule_to_an_unknown_group_is_refused(network):
    call = network.ec2.authorize_security_group_ingress
    rule = tcp("sg-00000000000000000")
    assert refusal(call, GroupId=network.group(), IpPermissions=[rule]) == "InvalidGroup.NotFound"


def test_group_on_an_interface_is_not_deleted(network):
    group = network.group()
    network.instance(group)
    assert refusal(network.ec2.delete_security_group, GroupId=group) == "DependencyViolation"


def test_group_on_a_store_is_not_deleted(network, name):
    on_cluster, on_database = network.groups(2)
    network.cluster(f"c-{name}", on_cluster)
    network.database(f"d-{name}", on_database)
    for group in (on_cluster, on_database):
        assert refusal(network.ec2.delete_security_group, GroupId=group) == "DependencyViolation"


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_group_in_a_rule_of_another_is_not_deleted(network, direction):
    group, other = network.groups(2)
    getattr(network.ec2, f"authorize_security_group_{direction}")(GroupId=other, IpPermissions=[tcp(group)])
    assert refusal(network.ec2.delete_security_group, GroupId=group) == "DependencyViolation"
    getattr(network.ec2, f"revoke_security_group_{direction}")(GroupId=other, IpPermissions=[tcp(group)])
    network.ec2.delete_security_group(GroupId=group)


def test_group_in_a_rule_of_its_own_is_deleted(network):
    group = network.group()
    network.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[tcp(group)])
    network.ec2.delete_security_group(GroupId=group)
    assert refusal(network.ec2.describe_security_groups, GroupIds=[group]) == "InvalidGroup.NotFound"


def test_default_group_is_not_deleted(network):
    assert refusal(network.ec2.delete_security_group, GroupId=network.default_group) == "CannotDelete"


def test_unknown_group_is_not_deleted_either(network):
    call = network.ec2.delete_security_group
    assert refusal(call, GroupId="sg-00000000000000000") == "InvalidGroup.NotFound"


def test_groups_are_paged(network):
    network.groups(6)
    of_vpc = [{"Name": "vpc-id", "Values": [network.vpc]}]
    first = network.ec2.describe_security_groups(Filters=of_vpc, MaxResults=5)
    second = network.ec2.describe_security_groups(Filters=of_vpc, MaxResults=5, NextToken=first["NextToken"])
    assert (len(first["SecurityGroups"]), len(second["SecurityGroups"])) == (5, 2)
    assert "NextToken" not in second
    call = network.ec2.describe_security_groups
    assert refusal(call, MaxResults=4) == "InvalidParameterValue"
    assert refusal(call, NextToken="nonsense") == "InvalidNextToken"


def test_filters_of_groups(network):
    tags = [{"ResourceType": "security-group", "Tags": [{"Key": "tagwire:managed-by", "Value": "tagwire"}]}]
    store, instance = network.group("rds-ec2-7", TagSpecifications=tags), network.group("ec2-rds-7")
    network.ec2.authorize_security_group_ingress(GroupId=store, IpPermissions=[tcp(instance)])

    def found(**filters):
        wanted = [{"Name": key, "Values": [value]} for key, value in filters.items()]
        answer = network.ec2.describe_security_groups(
            Filters=[{"Name": "vpc-id", "Values": [network.vpc]}, *wanted]
        )
        return [group["GroupId"] for group in answer["SecurityGroups"]]

    assert sorted(found()) == sorted([store, instance, network.default_group])
    assert found(**{"group-name": "rds-ec2-*"}) == [store]
    assert found(**{"group-name": "*-rds-?"}) == [instance]
    assert found(**{"tag:tagwire:managed-by": "tagwire"}) == [store]
    assert found(**{"tag-key": "tagwire:managed-by"}) == [store]
    assert found(**{"ip-permission.group-id": instance}) == [store]
    assert found(**{"group-id": store}) == [store]


def test_unknown_filter_is_refused(network):
    call = network.ec2.describe_security_groups
    assert refusal(call, Filters=[{"Name": "colour", "Values": ["red"]}]) == "InvalidParameterValue"


def test_groups_whose_rules_name_a_group_are_found_in_either_direction(network):
    named, inbound, outbound = network.group(), network.group(), network.group()
    network.group()
    network.ec2.authorize_security_group_ingress(GroupId=inbound, IpPermissions=[tcp(named)])
    network.ec2.authorize_security_group_egress(GroupId=outbound, IpPermissions=[tcp(named)])

    def naming(name):
        filters = [{"Name": "vpc-id", "Values": [network.vpc]}, {"Name": name, "Values": [named, "sg-00000000000000000"]}]
        return [group["GroupId"] for group in network.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]]

    assert naming("ip-permission.group-id") == [inbound]
    assert naming("egress.ip-permission.group-id") == [outbound]
