"""Instances: their end, their pages, their filters, and the events that tell of them."""

import json

from conftest import refusal


def in_vpc(network):
    return [{"Name": "vpc-id", "Values": [network.vpc]}]


def found(answer):
    return [instance["InstanceId"] for reservation in answer["Reservations"] for instance in reservation["Instances"]]


def test_terminate_frees_interface_and_groups(network):
    group = network.group()
    instance = network.instance(group)
    interface = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    network.ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])

    described = network.described(instance["InstanceId"])
    assert described["State"]["Name"] == "terminated"
    assert described.get("NetworkInterfaces", []) == []
    assert described.get("SecurityGroups", []) == []
    assert "VpcId" not in described and "SubnetId" not in described
    call = network.ec2.describe_network_interfaces
    assert refusal(call, NetworkInterfaceIds=[interface]) == "InvalidNetworkInterfaceID.NotFound"
    network.ec2.delete_security_group(GroupId=group)


def test_terminate_keeps_an_interface_that_was_attached(network):
    instance = network.instance()
    second = network.ec2.create_network_interface(SubnetId=network.subnet)["NetworkInterface"]["NetworkInterfaceId"]
    network.ec2.attach_network_interface(
        NetworkInterfaceId=second, InstanceId=instance["InstanceId"], DeviceIndex=1
    )
    network.ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    interfaces = network.ec2.describe_network_interfaces(NetworkInterfaceIds=[second])["NetworkInterfaces"]
    assert interfaces[0]["Status"] == "available"


def test_pages_are_of_instances_not_of_reservations(network):
    network.ec2.run_instances(ImageId="ami-12345678", MinCount=7, MaxCount=7, SubnetId=network.subnet)
    first = network.ec2.describe_instances(Filters=in_vpc(network), MaxResults=5)
    second = network.ec2.describe_instances(Filters=in_vpc(network), MaxResults=5, NextToken=first["NextToken"])
    assert (len(found(first)), len(found(second))) == (5, 2)
    assert "NextToken" not in second
    assert len({*found(first), *found(second)}) == 7


def test_ids_and_page_size_do_not_go_together(network):
    instance = network.instance()["InstanceId"]
    call = network.ec2.describe_instances
    assert refusal(call, InstanceIds=[instance], MaxResults=5) == "InvalidParameterCombination"


def test_unknown_id_is_refused_even_beside_a_known_one(network):
    instance = network.instance()["InstanceId"]
    call = network.ec2.describe_instances
    assert refusal(call, InstanceIds=[instance, "i-00000000000000000"]) == "InvalidInstanceID.NotFound"


def test_filters_of_instances(network):
    group = network.group()
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "tagwire:connect", "Value": "orders billing"}]}]
    tagged = network.instance(group, TagSpecifications=tags)["InstanceId"]
    other = network.instance()["InstanceId"]
    network.ec2.stop_instances(InstanceIds=[other])

    def of(**filters):
        wanted = [{"Name": key, "Values": [value]} for key, value in filters.items()]
        return found(network.ec2.describe_instances(Filters=[*in_vpc(network), *wanted]))

    assert sorted(of()) == sorted([tagged, other])
    assert of(**{"tag-key": "tagwire:connect"}) == [tagged]
    assert of(**{"tag:tagwire:connect": "orders billing"}) == [tagged]
    assert of(**{"tag:tagwire:connect": "*orders*"}) == [tagged]
    assert of(**{"tag:tagwire:connect": "billing"}) == []
    assert of(**{"instance.group-id": group}) == [tagged]
    assert of(**{"network-interface.group-id": group}) == [tagged]
    assert of(**{"instance-state-name": "running"}) == [tagged]
    assert of(**{"instance-state-name": "stopped"}) == [other]


def test_launch_sends_pending_and_running(network, event_bus):
    instance = network.instance()["InstanceId"]
    assert event_bus.states_of(instance) == ["pending", "running"]
    event = event_bus.of_instance(instance)[0]
    assert event["Source"] == "aws.ec2"
    assert event["DetailType"] == "EC2 Instance State-change Notification"
    assert event["Resources"] == [f"arn:aws:ec2:us-east-1:123456789012:instance/{instance}"]
    assert json.loads(event["Detail"]) == {"instance-id": instance, "state": "pending"}


def test_each_change_of_state_sends_its_two_events(network, event_bus):
    instance = network.instance()["InstanceId"]
    network.ec2.stop_instances(InstanceIds=[instance])
    network.ec2.start_instances(InstanceIds=[instance])
    network.ec2.terminate_instances(InstanceIds=[instance])
    assert event_bus.states_of(instance)[2:] == [
        "stopping",
        "stopped",
        "pending",
        "running",
        "shutting-down",
        "terminated",
    ]


def test_a_state_that_does_not_change_sends_nothing(network, event_bus):
    instance = network.instance()["InstanceId"]
    network.ec2.start_instances(InstanceIds=[instance])
    network.ec2.terminate_instances(InstanceIds=[instance])
    network.ec2.terminate_instances(InstanceIds=[instance])
    assert event_bus.states_of(instance) == ["pending", "running", "shutting-down", "terminated"]


def test_a_large_launch_sends_an_event_for_each(network, event_bus):
    answer = network.ec2.run_instances(ImageId="ami-12345678", MinCount=12, MaxCount=12, SubnetId=network.subnet)
    for instance in answer["Instances"]:
        assert event_bus.states_of(instance["InstanceId"]) == ["pending", "running"]
