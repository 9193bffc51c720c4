"""Groups of network interfaces."""

from conftest import refusal


def ids(groups):
    return {group["GroupId"] for group in groups}


def primary(instance):
    return instance["NetworkInterfaces"][0]["NetworkInterfaceId"]


def set_groups(network, interface, *groups):
    network.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=list(groups))


def test_group_of_the_launch_can_be_detached(network):
    first, second = network.groups(2)
    instance = network.instance(first)
    set_groups(network, primary(instance), second)
    described = network.described(instance["InstanceId"])
    assert ids(described["SecurityGroups"]) == {second}
    assert ids(described["NetworkInterfaces"][0]["Groups"]) == {second}


def test_attached_group_shows_on_the_instance(network):
    first, second = network.groups(2)
    instance = network.instance(first)
    set_groups(network, primary(instance), first, second)
    assert ids(network.described(instance["InstanceId"])["SecurityGroups"]) == {first, second}
    interfaces = network.ec2.describe_network_interfaces(NetworkInterfaceIds=[primary(instance)])
    assert ids(interfaces["NetworkInterfaces"][0]["Groups"]) == {first, second}


def test_instance_without_groups_gets_the_default_one(network):
    instance = network.instance()
    assert ids(network.described(instance["InstanceId"])["SecurityGroups"]) == {network.default_group}


def test_sixth_group_is_refused_and_changes_nothing(network):
    groups = network.groups(6)
    instance = network.instance(*groups[:5])
    call = network.ec2.modify_network_interface_attribute
    code = refusal(call, NetworkInterfaceId=primary(instance), Groups=groups)
    assert code == "SecurityGroupsPerInterfaceLimitExceeded"
    assert ids(network.described(instance["InstanceId"])["SecurityGroups"]) == set(groups[:5])


def test_sixth_group_is_refused_at_launch(network):
    code = refusal(
        network.ec2.run_instances,
        ImageId="ami-12345678",
        MinCount=1,
        MaxCount=1,
        SubnetId=network.subnet,
        SecurityGroupIds=network.groups(6),
    )
    assert code == "SecurityGroupsPerInterfaceLimitExceeded"


def test_repeated_group_counts_once(network):
    groups = network.groups(5)
    instance = network.instance()
    set_groups(network, primary(instance), *groups, groups[0])
    assert ids(network.described(instance["InstanceId"])["SecurityGroups"]) == set(groups)


def test_unknown_group_is_refused(network):
    call = network.ec2.modify_network_interface_attribute
    interface = primary(network.instance())
    assert refusal(call, NetworkInterfaceId=interface, Groups=["sg-00000000000000000"]) == "InvalidGroup.NotFound"


def test_group_of_another_vpc_is_refused(network, new_network):
    foreign = new_network().group()
    call = network.ec2.modify_network_interface_attribute
    interface = primary(network.instance())
    assert refusal(call, NetworkInterfaceId=interface, Groups=[foreign]) == "InvalidGroup.NotFound"
    assert (
        refusal(network.ec2.create_network_interface, SubnetId=network.subnet, Groups=[foreign])
        == "InvalidGroup.NotFound"
    )


def test_empty_list_is_refused(network):
    interface = primary(network.instance())
    call = network.ec2.modify_network_interface_attribute
    assert refusal(call, NetworkInterfaceId=interface, Groups=[]) == "MissingParameter"


def test_unknown_interface_is_refused(network):
    call = network.ec2.modify_network_interface_attribute
    code = refusal(call, NetworkInterfaceId="eni-00000000000000000", Groups=[network.default_group])
    assert code == "InvalidNetworkInterfaceID.NotFound"


def test_filters_of_interfaces(network):
    group = network.group()
    instance = network.instance(group)
    network.instance()

    def found(**filters):
        answer = network.ec2.describe_network_interfaces(
            Filters=[{"Name": key.replace("_", "-"), "Values": [value]} for key, value in filters.items()]
        )
        return [interface["NetworkInterfaceId"] for interface in answer["NetworkInterfaces"]]

    assert found(group_id=group) == [primary(instance)]
    assert found(vpc_id=network.vpc, group_id=group) == [primary(instance)]
    assert len(found(vpc_id=network.vpc)) == 2
    assert found(**{"attachment.instance-id": instance["InstanceId"], "attachment.device-index": "0"}) == [
        primary(instance)
    ]


def test_tag_filters_of_interfaces(network):
    interface = primary(network.instance())
    network.ec2.create_tags(Resources=[interface], Tags=[{"Key": "tagwire:connect", "Value": network.vpc}])
    for filters in (
        [{"Name": "tag:tagwire:connect", "Values": [network.vpc]}],
        [{"Name": "tag-key", "Values": ["tagwire:connect"]}, {"Name": "vpc-id", "Values": [network.vpc]}],
    ):
        answer = network.ec2.describe_network_interfaces(Filters=filters)
        assert [found["NetworkInterfaceId"] for found in answer["NetworkInterfaces"]] == [interface]


def test_interfaces_are_paged(network):
    for _ in range(7):
        network.instance()
    of_vpc = [{"Name": "vpc-id", "Values": [network.vpc]}]
    first = network.ec2.describe_network_interfaces(Filters=of_vpc, MaxResults=5)
    second = network.ec2.describe_network_interfaces(Filters=of_vpc, MaxResults=5, NextToken=first["NextToken"])
    assert (len(first["NetworkInterfaces"]), len(second["NetworkInterfaces"])) == (5, 2)
    assert "NextToken" not in second


def test_groups_of_an_instance_with_two_interfaces_are_set_by_interface(network):
    group = network.group()
    instance = network.instance()
    second = network.ec2.create_network_interface(SubnetId=network.subnet, Groups=[group])["NetworkInterface"]
    network.ec2.attach_network_interface(
        NetworkInterfaceId=second["NetworkInterfaceId"], InstanceId=instance["InstanceId"], DeviceIndex=1
    )
    described = network.described(instance["InstanceId"])
    assert ids(described["SecurityGroups"]) == {network.default_group, group}
    call = network.ec2.modify_instance_attribute
    assert refusal(call, InstanceId=instance["InstanceId"], Groups=[group]) == "InvalidInstanceID"


def test_interfaces_that_wear_any_of_several_groups_are_found(network):
    groups = [network.group(), network.group(), network.group()]
    one, two = network.instance(groups[0]), network.instance(groups[1])
    filters = [{"Name": "vpc-id", "Values": [network.vpc]}, {"Name": "group-id", "Values": groups}]
    answer = network.ec2.describe_network_interfaces(Filters=filters)
    assert {interface["NetworkInterfaceId"] for interface in answer["NetworkInterfaces"]} == {primary(one), primary(two)}
