"""Interfaces that other services of AWS put into a VPC."""

import urllib.error

import pytest
from conftest import refusal


def ids(interface):
    return {group["GroupId"] for group in interface["Groups"]}


def test_every_interface_that_wears_a_group_is_listed(network, name):
    group, other, unworn = network.groups(3)
    instance = network.instance(group)
    network.database(name, other)
    found = {interface["Description"]: interface for interface in network.interfaces_with(group, other, unworn)}
    assert len(found) == 2
    of_store = found.pop("RDSNetworkInterface")
    assert of_store["RequesterManaged"]
    assert (of_store["InterfaceType"], of_store["Status"]) == ("interface", "in-use")
    assert (of_store["RequesterId"], of_store["Attachment"]["InstanceOwnerId"]) == ("amazon-rds", "amazon-rds")
    assert "InstanceId" not in of_store["Attachment"]
    assert (of_store["VpcId"], of_store["SubnetId"]) == (network.vpc, network.subnet)
    (of_instance,) = found.values()
    assert (of_instance["RequesterManaged"], of_instance["InterfaceType"]) == (False, "interface")
    assert of_instance["Attachment"]["InstanceId"] == instance["InstanceId"]
    assert (of_instance["Attachment"]["DeviceIndex"], of_instance["Status"]) == (0, "in-use")


def test_interface_of_a_store_follows_its_groups_and_goes_with_it(network, name):
    first, second = network.groups(2)
    network.database(name, first)
    (before,) = network.interfaces_with(first)
    network.rds.modify_db_instance(DBInstanceIdentifier=name, VpcSecurityGroupIds=[first, second])
    (after,) = network.interfaces_with(second)
    assert after["NetworkInterfaceId"] == before["NetworkInterfaceId"]
    assert ids(after) == {first, second}
    network.rds.modify_db_instance(DBInstanceIdentifier=name, NewDBInstanceIdentifier=f"{name}-new")
    assert [each["NetworkInterfaceId"] for each in network.interfaces_with(first)] == [before["NetworkInterfaceId"]]
    network.rds.delete_db_instance(DBInstanceIdentifier=f"{name}-new", SkipFinalSnapshot=True)
    assert network.interfaces_with(first, second) == []


def test_members_of_a_cluster_have_its_interfaces(network, name):
    group = network.group()
    network.cluster(name, group)
    assert len(network.interfaces_with(group)) == 1
    for number in (1, 2):
        network.rds.create_db_instance(
            DBInstanceIdentifier=f"{name}-{number}",
            DBInstanceClass="db.r6g.large",
            Engine="aurora-postgresql",
            DBClusterIdentifier=name,
        )
    assert len(network.interfaces_with(group)) == 2
    network.rds.modify_db_cluster(DBClusterIdentifier=name, VpcSecurityGroupIds=[network.default_group])
    assert network.interfaces_with(group) == []


def test_interface_of_a_function_is_listed_and_holds_its_group(network, control):
    group = network.group()
    description = "AWS Lambda VPC ENI-report-1"
    made = control(
        "interface",
        subnet=network.subnet,
        groups=[group],
        kind="lambda",
        requester="AROAEXAMPLE:report",
        description=description,
    )["interface"]
    (seen,) = network.interfaces_with(group)
    assert (seen["NetworkInterfaceId"], seen["InterfaceType"], seen["Description"]) == (made, "lambda", description)
    assert seen["RequesterManaged"]
    assert refusal(network.ec2.delete_security_group, GroupId=group) == "DependencyViolation"
    control("interface", delete=made)
    network.ec2.delete_security_group(GroupId=group)


def test_only_interfaces_that_were_made_here_are_deleted_here(network, control):
    own = network.instance()["NetworkInterfaces"][0]["NetworkInterfaceId"]
    with pytest.raises(urllib.error.HTTPError) as caught:
        control("interface", delete=own)
    assert caught.value.code == 400


def test_managed_interface_is_nobody_elses_to_change(network, name):
    group = network.group()
    network.database(name, group)
    interface = network.interfaces_with(group)[0]["NetworkInterfaceId"]
    call = network.ec2.modify_network_interface_attribute
    assert refusal(call, NetworkInterfaceId=interface, Groups=[network.default_group]) == "AuthFailure"
    assert refusal(network.ec2.delete_network_interface, NetworkInterfaceId=interface) == "AuthFailure"
    of_instance = network.instance()["NetworkInterfaces"][0]["NetworkInterfaceId"]
    call = network.ec2.delete_network_interface
    assert refusal(call, NetworkInterfaceId=of_instance) == "InvalidParameterValue"


def test_managed_interfaces_are_filtered(network, name):
    network.database(name)
    network.instance()

    def found(name, value):
        filters = [{"Name": "vpc-id", "Values": [network.vpc]}, {"Name": name, "Values": [value]}]
        return len(network.ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"])

    assert (found("requester-managed", "true"), found("requester-managed", "false")) == (1, 1)
    assert (found("status", "in-use"), found("status", "available")) == (2, 0)
    assert (found("interface-type", "interface"), found("interface-type", "lambda")) == (2, 0)
    assert (found("requester-id", "amazon-rds"), found("description", "RDSNetworkInterface")) == (1, 1)
