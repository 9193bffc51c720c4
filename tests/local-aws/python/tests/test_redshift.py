"""Redshift clusters."""

import pytest
from botocore.exceptions import ClientError
from conftest import eventually, refusal

TAG = {"Key": "tagwire:connect", "Value": "orders"}
ARN = "arn:aws:redshift:us-east-1:123456789012:cluster"


@pytest.fixture
def redshift_clusters(redshift, network):
    """A maker and a reader of clusters in the test's own network."""
    redshift.create_cluster_subnet_group(
        ClusterSubnetGroupName=network.subnet_group, Description="a test", SubnetIds=network.subnets
    )
    return RedshiftClusters(redshift, network, network.subnet_group)


class RedshiftClusters:
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


def test_cluster_tells_what_a_connection_needs(redshift_clusters):
    group = redshift_clusters.network.group()
    assert redshift_clusters.make("shown", group, Tags=[TAG])["ClusterStatus"] == "creating"
    seen = redshift_clusters.seen("shown")
    assert (seen["ClusterStatus"], seen["Endpoint"]["Port"]) == ("available", 5439)
    assert (seen["VpcId"], groups_of(seen), seen["Tags"]) == (redshift_clusters.network.vpc, {group: "active"}, [TAG])
    assert seen["ClusterNamespaceArn"].startswith("arn:aws:redshift:us-east-1:123456789012:namespace:")
    redshift_clusters.make("plain")
    plain = redshift_clusters.seen("plain")
    assert groups_of(plain) == {redshift_clusters.network.default_group: "active"}
    assert plain["ClusterNamespaceArn"] != seen["ClusterNamespaceArn"]


def test_groups_are_replaced_and_worn(redshift_clusters):
    first, second = redshift_clusters.network.groups(2)
    redshift_clusters.make("change", first)
    redshift_clusters.api.modify_cluster(ClusterIdentifier="change", VpcSecurityGroupIds=[second])
    assert groups_of(redshift_clusters.seen("change")) == {second: "active"}
    (interface,) = redshift_clusters.network.interfaces_with(second)
    assert (interface["Description"], interface["RequesterManaged"]) == ("RedshiftNetworkInterface", True)
    assert redshift_clusters.network.interfaces_with(first) == []
    assert refusal(redshift_clusters.network.ec2.delete_security_group, GroupId=second) == "DependencyViolation"


def test_groups_that_a_cluster_cannot_carry_are_refused(redshift_clusters, new_network):
    redshift_clusters.make("carry")
    foreign, many = new_network().group(), redshift_clusters.network.groups(6)
    for groups, code in (
        (["sg-00000000000000000"], "InvalidParameterValue"),
        ([foreign], "InvalidParameterCombination"),
        (many, "InvalidParameterValue"),
    ):
        call = redshift_clusters.api.modify_cluster
        assert refusal(call, ClusterIdentifier="carry", VpcSecurityGroupIds=groups) == code
        with pytest.raises(ClientError, match=code):
            redshift_clusters.make("never", *groups)
    assert groups_of(redshift_clusters.seen("carry")) == {redshift_clusters.network.default_group: "active"}


def test_rename_keeps_what_it_is_and_has(redshift_clusters):
    group = redshift_clusters.network.group()
    redshift_clusters.make("old-name", group, Tags=[TAG])
    before = redshift_clusters.seen("old-name")
    (interface,) = redshift_clusters.network.interfaces_with(group)
    redshift_clusters.api.modify_cluster(ClusterIdentifier="old-name", NewClusterIdentifier="new-name")
    after = redshift_clusters.seen("new-name")
    assert after["ClusterNamespaceArn"] == before["ClusterNamespaceArn"]
    assert (after["Tags"], groups_of(after)) == ([TAG], {group: "active"})
    assert [each["NetworkInterfaceId"] for each in redshift_clusters.network.interfaces_with(group)] == [
        interface["NetworkInterfaceId"]
    ]
    assert refusal(redshift_clusters.api.describe_clusters, ClusterIdentifier="old-name") == "ClusterNotFound"
    redshift_clusters.make("old-name")
    assert redshift_clusters.seen("old-name")["ClusterNamespaceArn"] != after["ClusterNamespaceArn"]
    call = redshift_clusters.api.modify_cluster
    code = refusal(call, ClusterIdentifier="new-name", NewClusterIdentifier="old-name")
    assert code == "ClusterAlreadyExists"


@pytest.mark.parametrize("status", ["creating", "modifying", "paused", "resizing"])
def test_cluster_in_another_state_refuses_changes(redshift_clusters, set_status, status):
    name = f"is-{status}"
    redshift_clusters.make(name)
    assert set_status(f"{ARN}:{name}", status)["before"] == "available"
    seen = redshift_clusters.seen(name)
    assert (seen["ClusterStatus"], "Endpoint" in seen) == (status, status != "creating")
    call, groups = redshift_clusters.api.modify_cluster, [redshift_clusters.network.group()]
    assert refusal(call, ClusterIdentifier=name, VpcSecurityGroupIds=groups) == "InvalidClusterState"
    call = redshift_clusters.api.delete_cluster
    assert refusal(call, ClusterIdentifier=name, SkipFinalClusterSnapshot=True) == "InvalidClusterState"
    set_status(name, "available", kind="cluster")
    redshift_clusters.api.modify_cluster(ClusterIdentifier=name, VpcSecurityGroupIds=groups)


def test_cluster_is_at_something_until_it_has_arrived(redshift_clusters, delays, set_status):
    group = redshift_clusters.network.group()
    delays(creating=600, changing=600)
    redshift_clusters.make("slow")
    assert redshift_clusters.seen("slow")["ClusterStatus"] == "creating"
    set_status(f"{ARN}:slow", "available")
    redshift_clusters.api.modify_cluster(ClusterIdentifier="slow", VpcSecurityGroupIds=[group])
    seen = redshift_clusters.seen("slow")
    assert groups_of(seen) == {group: "adding", redshift_clusters.network.default_group: "removing"}
    assert seen["ClusterStatus"] == "modifying"
    set_status(f"{ARN}:slow", "available")
    assert groups_of(redshift_clusters.seen("slow")) == {group: "active"}


def test_cluster_arrives_by_itself(redshift_clusters, delays):
    delays(creating=0.2)
    redshift_clusters.make("arrives")
    eventually(lambda: redshift_clusters.seen("arrives")["ClusterStatus"], "available")


def test_clusters_are_found_by_tag(redshift_clusters, tag_index, name):
    key = f"key-{name}"
    redshift_clusters.make("tagged", Tags=[{"Key": key, "Value": "one"}])
    redshift_clusters.make("valued", Tags=[{"Key": "another", "Value": f"two-{name}"}])
    redshift_clusters.make("neither")

    def found(**filters):
        return sorted(each["ClusterIdentifier"] for each in redshift_clusters.api.describe_clusters(**filters)["Clusters"])

    assert found(TagKeys=[key]) == ["tagged"]
    assert found(TagValues=[f"two-{name}"]) == ["valued"]
    assert found(TagKeys=[key], TagValues=[f"two-{name}"]) == ["tagged", "valued"]

    def indexed():
        answer = tag_index.get_resources(TagFilters=[{"Key": key}], ResourceTypeFilters=["redshift:cluster"])
        return [resource["ResourceARN"] for resource in answer["ResourceTagMappingList"]]

    assert indexed() == [f"{ARN}:tagged"]
    redshift_clusters.api.create_tags(ResourceName=f"{ARN}:neither", Tags=[{"Key": key, "Value": "late"}])
    assert indexed() == [f"{ARN}:tagged", f"{ARN}:neither"]
    redshift_clusters.api.delete_tags(ResourceName=f"{ARN}:tagged", TagKeys=[key])
    assert indexed() == [f"{ARN}:neither"]
    listed = tag_index.get_resources(ResourceARNList=[f"{ARN}:tagged"])["ResourceTagMappingList"]
    assert listed == [{"ResourceARN": f"{ARN}:tagged", "Tags": []}]
    assert redshift_clusters.seen("tagged")["Tags"] == []


def test_deleted_cluster_is_gone_and_frees_its_group_and_name(redshift_clusters):
    group = redshift_clusters.network.group()
    redshift_clusters.make("gone", group)
    before = redshift_clusters.seen("gone")["ClusterNamespaceArn"]
    redshift_clusters.api.delete_cluster(ClusterIdentifier="gone", SkipFinalClusterSnapshot=True)
    assert refusal(redshift_clusters.api.describe_clusters, ClusterIdentifier="gone") == "ClusterNotFound"
    redshift_clusters.network.ec2.delete_security_group(GroupId=group)
    redshift_clusters.make("gone")
    assert redshift_clusters.seen("gone")["ClusterNamespaceArn"] != before
    with pytest.raises(ClientError, match="ClusterAlreadyExists"):
        redshift_clusters.make("gone")


def test_cluster_without_subnet_group_lies_in_the_default_vpc(redshift, network):
    redshift.create_cluster(
        ClusterIdentifier="homeless",
        NodeType="ra3.xlplus",
        MasterUsername="someone",
        MasterUserPassword="something",
    )
    vpcs = network.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    assert redshift.describe_clusters(ClusterIdentifier="homeless")["Clusters"][0]["VpcId"] == vpcs[0]["VpcId"]


def test_clusters_are_paged(redshift_clusters):
    for number in range(21):
        redshift_clusters.make(f"paged-{number}")
    seen, pages, more = [], 0, {}
    while pages == 0 or more:
        answer = redshift_clusters.api.describe_clusters(MaxRecords=20, **more)
        assert len(answer["Clusters"]) <= 20
        seen.extend(cluster["ClusterIdentifier"] for cluster in answer["Clusters"])
        pages, more = pages + 1, {"Marker": answer["Marker"]} if answer.get("Marker") else {}
    assert pages >= 2
    assert len(seen) == len(set(seen)) >= 21
