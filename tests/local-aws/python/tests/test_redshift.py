"""Redshift clusters."""

import pytest
from botocore.exceptions import ClientError
from conftest import eventually, refusal

TAG = {"Key": "tagwire:connect", "Value": "orders"}
ARN = "arn:aws:redshift:us-east-1:123456789012:cluster"


@pytest.fixture
def warehouses(redshift, network):
    """A maker and a reader of clusters in the test's own network."""
    redshift.create_cluster_subnet_group(
        ClusterSubnetGroupName=network.subnet_group, Description="a test", SubnetIds=network.subnets
    )
    return Warehouses(redshift, network, network.subnet_group)


class Warehouses:
    def __init__(self, api, network, subnet_group):
        self.api, self.network, self.subnet_group = api, network, subnet_group

    def make(self, name, *groups, **more):
        if groups:
            more["VpcSecurityGroupIds"] = list(groups)
        return self.api.create_cluster(
            ClusterIdentifier=name,
            NodeType="ra3.xlplus",
            MasterUsername="someone",
            MasterUserPassword="something",
            **{"ClusterSubnetGroupName": self.subnet_group, **more},
        )["Cluster"]

    def seen(self, name):
        return self.api.describe_clusters(ClusterIdentifier=name)["Clusters"][0]


def groups_of(cluster):
    return {group["VpcSecurityGroupId"]: group["Status"] for group in cluster["VpcSecurityGroups"]}


def test_cluster_tells_what_a_connection_needs(warehouses):
    group = warehouses.network.group()
    assert warehouses.make("shown", group, Tags=[TAG])["ClusterStatus"] == "creating"
    seen = warehouses.seen("shown")
    assert (seen["ClusterStatus"], seen["Endpoint"]["Port"]) == ("available", 5439)
    assert (seen["VpcId"], groups_of(seen), seen["Tags"]) == (warehouses.network.vpc, {group: "active"}, [TAG])
    assert seen["ClusterNamespaceArn"].startswith("arn:aws:redshift:us-east-1:123456789012:namespace:")
    warehouses.make("plain")
    plain = warehouses.seen("plain")
    assert groups_of(plain) == {warehouses.network.default_group: "active"}
    assert plain["ClusterNamespaceArn"] != seen["ClusterNamespaceArn"]


def test_groups_are_replaced_and_worn(warehouses):
    first, second = warehouses.network.groups(2)
    warehouses.make("change", first)
    warehouses.api.modify_cluster(ClusterIdentifier="change", VpcSecurityGroupIds=[second])
    assert groups_of(warehouses.seen("change")) == {second: "active"}
    (interface,) = warehouses.network.wearing(second)
    assert (interface["Description"], interface["RequesterManaged"]) == ("RedshiftNetworkInterface", True)
    assert warehouses.network.wearing(first) == []
    assert refusal(warehouses.network.ec2.delete_security_group, GroupId=second) == "DependencyViolation"


def test_groups_that_a_cluster_cannot_carry_are_refused(warehouses, new_network):
    warehouses.make("carry")
    foreign, many = new_network().group(), warehouses.network.groups(6)
    for groups, code in (
        (["sg-00000000000000000"], "InvalidParameterValue"),
        ([foreign], "InvalidParameterCombination"),
        (many, "InvalidParameterValue"),
    ):
        call = warehouses.api.modify_cluster
        assert refusal(call, ClusterIdentifier="carry", VpcSecurityGroupIds=groups) == code
        with pytest.raises(ClientError, match=code):
            warehouses.make("never", *groups)
    assert groups_of(warehouses.seen("carry")) == {warehouses.network.default_group: "active"}


def test_rename_keeps_what_it_is_and_has(warehouses):
    group = warehouses.network.group()
    warehouses.make("old-name", group, Tags=[TAG])
    before = warehouses.seen("old-name")
    (interface,) = warehouses.network.wearing(group)
    warehouses.api.modify_cluster(ClusterIdentifier="old-name", NewClusterIdentifier="new-name")
    after = warehouses.seen("new-name")
    assert after["ClusterNamespaceArn"] == before["ClusterNamespaceArn"]
    assert (after["Tags"], groups_of(after)) == ([TAG], {group: "active"})
    assert [each["NetworkInterfaceId"] for each in warehouses.network.wearing(group)] == [
        interface["NetworkInterfaceId"]
    ]
    assert refusal(warehouses.api.describe_clusters, ClusterIdentifier="old-name") == "ClusterNotFound"
    warehouses.make("old-name")
    assert warehouses.seen("old-name")["ClusterNamespaceArn"] != after["ClusterNamespaceArn"]
    call = warehouses.api.modify_cluster
    code = refusal(call, ClusterIdentifier="new-name", NewClusterIdentifier="old-name")
    assert code == "ClusterAlreadyExists"


@pytest.mark.parametrize("status", ["creating", "modifying", "paused", "resizing"])
def test_cluster_in_another_state_refuses_changes(warehouses, set_status, status):
    name = f"is-{status}"
    warehouses.make(name)
    assert set_status(f"{ARN}:{name}", status)["before"] == "available"
    seen = warehouses.seen(name)
    assert (seen["ClusterStatus"], "Endpoint" in seen) == (status, status != "creating")
    call, groups = warehouses.api.modify_cluster, [warehouses.network.group()]
    assert refusal(call, ClusterIdentifier=name, VpcSecurityGroupIds=groups) == "InvalidClusterState"
    call = warehouses.api.delete_cluster
    assert refusal(call, ClusterIdentifier=name, SkipFinalClusterSnapshot=True) == "InvalidClusterState"
    set_status(name, "available", kind="cluster")
    warehouses.api.modify_cluster(ClusterIdentifier=name, VpcSecurityGroupIds=groups)


def test_cluster_is_at_something_until_it_has_arrived(warehouses, delays, set_status):
    group = warehouses.network.group()
    delays(creating=600, changing=600)
    warehouses.make("slow")
    assert warehouses.seen("slow")["ClusterStatus"] == "creating"
    set_status(f"{ARN}:slow", "available")
    warehouses.api.modify_cluster(ClusterIdentifier="slow", VpcSecurityGroupIds=[group])
    seen = warehouses.seen("slow")
    assert groups_of(seen) == {group: "adding", warehouses.network.default_group: "removing"}
    assert seen["ClusterStatus"] == "modifying"
    set_status(f"{ARN}:slow", "available")
    assert groups_of(warehouses.seen("slow")) == {group: "active"}


def test_cluster_arrives_by_itself(warehouses, delays):
    delays(creating=0.2)
    warehouses.make("arrives")
    eventually(lambda: warehouses.seen("arrives")["ClusterStatus"], "available")


def test_clusters_are_found_by_tag(warehouses, tag_index, name):
    key = f"key-{name}"
    warehouses.make("tagged", Tags=[{"Key": key, "Value": "one"}])
    warehouses.make("valued", Tags=[{"Key": "another", "Value": f"two-{name}"}])
    warehouses.make("neither")

    def found(**filters):
        return sorted(each["ClusterIdentifier"] for each in warehouses.api.describe_clusters(**filters)["Clusters"])

    assert found(TagKeys=[key]) == ["tagged"]
    assert found(TagValues=[f"two-{name}"]) == ["valued"]
    assert found(TagKeys=[key], TagValues=[f"two-{name}"]) == ["tagged", "valued"]

    def indexed():
        answer = tag_index.get_resources(TagFilters=[{"Key": key}], ResourceTypeFilters=["redshift:cluster"])
        return [resource["ResourceARN"] for resource in answer["ResourceTagMappingList"]]

    assert indexed() == [f"{ARN}:tagged"]
    warehouses.api.create_tags(ResourceName=f"{ARN}:neither", Tags=[{"Key": key, "Value": "late"}])
    assert indexed() == [f"{ARN}:tagged", f"{ARN}:neither"]
    warehouses.api.delete_tags(ResourceName=f"{ARN}:tagged", TagKeys=[key])
    assert indexed() == [f"{ARN}:neither"]
    listed = tag_index.get_resources(ResourceARNList=[f"{ARN}:tagged"])["ResourceTagMappingList"]
    assert listed == [{"ResourceARN": f"{ARN}:tagged", "Tags": []}]
    assert warehouses.seen("tagged")["Tags"] == []


def test_deleted_cluster_is_gone_and_frees_its_group_and_name(warehouses):
    group = warehouses.network.group()
    warehouses.make("gone", group)
    before = warehouses.seen("gone")["ClusterNamespaceArn"]
    warehouses.api.delete_cluster(ClusterIdentifier="gone", SkipFinalClusterSnapshot=True)
    assert refusal(warehouses.api.describe_clusters, ClusterIdentifier="gone") == "ClusterNotFound"
    warehouses.network.ec2.delete_security_group(GroupId=group)
    warehouses.make("gone")
    assert warehouses.seen("gone")["ClusterNamespaceArn"] != before
    with pytest.raises(ClientError, match="ClusterAlreadyExists"):
        warehouses.make("gone")


def test_cluster_without_subnet_group_lies_in_the_default_vpc(redshift, network):
    redshift.create_cluster(
        ClusterIdentifier="homeless",
        NodeType="ra3.xlplus",
        MasterUsername="someone",
        MasterUserPassword="something",
    )
    vpcs = network.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    assert redshift.describe_clusters(ClusterIdentifier="homeless")["Clusters"][0]["VpcId"] == vpcs[0]["VpcId"]


def test_clusters_are_paged(warehouses):
    for number in range(21):
        warehouses.make(f"paged-{number}")
    seen, pages, more = [], 0, {}
    while pages == 0 or more:
        answer = warehouses.api.describe_clusters(MaxRecords=20, **more)
        assert len(answer["Clusters"]) <= 20
        seen.extend(cluster["ClusterIdentifier"] for cluster in answer["Clusters"])
        pages, more = pages + 1, {"Marker": answer["Marker"]} if answer.get("Marker") else {}
    assert pages >= 2
    assert len(seen) == len(set(seen)) >= 21
