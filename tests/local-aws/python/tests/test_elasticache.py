"""Replication groups, cache clusters and serverless caches."""

import json

import pytest
from botocore.exceptions import ClientError
from conftest import eventually, refusal

TAG = {"Key": "tagwire:connect", "Value": "orders"}
ARN = "arn:aws:elasticache:us-east-1:123456789012"


@pytest.fixture
def caches(elasticache, network):
    """Makers and readers of caches in the test's own network."""
    elasticache.create_cache_subnet_group(
        CacheSubnetGroupName=network.subnet_group, CacheSubnetGroupDescription="a test", SubnetIds=network.subnets
    )
    return Caches(elasticache, network, network.subnet_group)


class Caches:
    def __init__(self, api, network, subnet_group):
        self.api, self.network, self.subnet_group = api, network, subnet_group

    def group(self, name, *groups, **more):
        if groups:
            more["SecurityGroupIds"] = list(groups)
        return self.api.create_replication_group(
            ReplicationGroupId=name,
            ReplicationGroupDescription="a test",
            **{"Engine": "valkey", "CacheSubnetGroupName": self.subnet_group, **more},
        )["ReplicationGroup"]

    def cluster(self, name, *groups, **more):
        if groups:
            more["SecurityGroupIds"] = list(groups)
        settings = {"Engine": "memcached", "CacheSubnetGroupName": self.subnet_group, **more}
        return self.api.create_cache_cluster(CacheClusterId=name, **settings)["CacheCluster"]

    def serverless(self, name, *groups, **more):
        if groups:
            more["SecurityGroupIds"] = list(groups)
        settings = {"Engine": "valkey", "SubnetIds": self.network.subnets, **more}
        return self.api.create_serverless_cache(ServerlessCacheName=name, **settings)["ServerlessCache"]

    def seen_group(self, name):
        return self.api.describe_replication_groups(ReplicationGroupId=name)["ReplicationGroups"][0]

    def seen_cluster(self, name, **more):
        return self.api.describe_cache_clusters(CacheClusterId=name, **more)["CacheClusters"][0]

    def seen_serverless(self, name):
        return self.api.describe_serverless_caches(ServerlessCacheName=name)["ServerlessCaches"][0]

    def tags(self, arn):
        return self.api.list_tags_for_resource(ResourceName=arn)["TagList"]


def groups_of(cluster):
    return {group["SecurityGroupId"] for group in cluster["SecurityGroups"]}


def test_replication_group_tells_its_members_which_tell_the_rest(caches):
    name = "shown"
    first, second = caches.network.groups(2)
    made = caches.group(name, first, second, Tags=[TAG], NumCacheClusters=2)
    seen = caches.seen_group(name)
    assert made["ARN"] == seen["ARN"] == f"{ARN}:replicationgroup:{name}"
    assert (seen["Status"], seen["ClusterEnabled"]) == ("available", False)
    assert seen["MemberClusters"] == [f"{name}-001", f"{name}-002"]
    (shard,) = seen["NodeGroups"]
    assert (shard["PrimaryEndpoint"]["Port"], "ConfigurationEndpoint" in seen) == (6379, False)
    for key in ("SecurityGroups", "CacheSubnetGroupName", "VpcId", "Tags"):
        assert key not in seen
    for member in seen["MemberClusters"]:
        cluster = caches.seen_cluster(member)
        assert (cluster["ReplicationGroupId"], cluster["CacheSubnetGroupName"]) == (name, caches.subnet_group)
        assert groups_of(cluster) == {first, second}
        assert cluster["ARN"] == f"{ARN}:cluster:{member}"
        assert caches.tags(cluster["ARN"]) == [TAG]
    assert caches.tags(seen["ARN"]) == [TAG]
    subnet_group = caches.api.describe_cache_subnet_groups(CacheSubnetGroupName=caches.subnet_group)
    assert subnet_group["CacheSubnetGroups"][0]["VpcId"] == caches.network.vpc


def test_group_in_cluster_mode_has_one_endpoint_and_many_shards(caches):
    caches.group("shards", NumNodeGroups=2, ReplicasPerNodeGroup=1, Port=7000)
    seen = caches.seen_group("shards")
    assert seen["MemberClusters"] == ["shards-0001-001", "shards-0001-002", "shards-0002-001", "shards-0002-002"]
    assert (seen["ClusterEnabled"], seen["ConfigurationEndpoint"]["Port"]) == (True, 7000)
    assert all("PrimaryEndpoint" not in shard for shard in seen["NodeGroups"])


def test_cache_cluster_tells_what_a_connection_needs(caches):
    group = caches.network.group()
    caches.cluster("memory", group, Tags=[TAG], NumCacheNodes=2)
    seen = caches.seen_cluster("memory")
    assert (seen["CacheClusterStatus"], seen["Engine"], groups_of(seen)) == ("available", "memcached", {group})
    assert (seen["ConfigurationEndpoint"]["Port"], seen["NumCacheNodes"]) == (11211, 2)
    assert ("CacheNodes" in seen and seen["CacheNodes"], "ReplicationGroupId" in seen) == (False, False)
    nodes = caches.seen_cluster("memory", ShowCacheNodeInfo=True)["CacheNodes"]
    assert [node["Endpoint"]["Port"] for node in nodes] == [11211, 11211]
    assert caches.tags(seen["ARN"]) == [TAG]
    caches.cluster("single", Engine="redis")
    assert "ConfigurationEndpoint" not in caches.seen_cluster("single")
    assert groups_of(caches.seen_cluster("single")) == {caches.network.default_group}


def test_serverless_cache_tells_what_a_connection_needs(caches):
    group = caches.network.group()
    made = caches.serverless("boundless", group, Tags=[TAG])
    assert made["Status"] == "creating"
    seen = caches.seen_serverless("boundless")
    assert (seen["Status"], seen["ARN"]) == ("available", f"{ARN}:serverlesscache:boundless")
    assert (seen["Endpoint"]["Port"], seen["ReaderEndpoint"]["Port"]) == (6379, 6380)
    assert (seen["SubnetIds"], seen["SecurityGroupIds"]) == (caches.network.subnets, [group])
    assert caches.tags(seen["ARN"]) == [TAG]


def test_clusters_outside_of_replication_groups_can_be_asked_for(caches):
    caches.group("apart")
    caches.cluster("apart-too")

    def found(**more):
        answer = caches.api.describe_cache_clusters(**more)
        return {cluster["CacheClusterId"] for cluster in answer["CacheClusters"]}

    assert {"apart-001", "apart-too"} <= found()
    alone = found(ShowCacheClustersNotInReplicationGroups=True)
    assert ("apart-too" in alone, "apart-001" in alone) == (True, False)


def test_groups_of_each_kind_are_replaced(caches):
    first, second = caches.network.groups(2)
    caches.group("change-g", first, NumCacheClusters=2)
    caches.cluster("change-c", first)
    caches.serverless("change-s", first)
    api = caches.api
    api.modify_replication_group(ReplicationGroupId="change-g", SecurityGroupIds=[second], ApplyImmediately=True)
    api.modify_cache_cluster(CacheClusterId="change-c", SecurityGroupIds=[second], ApplyImmediately=True)
    api.modify_serverless_cache(ServerlessCacheName="change-s", SecurityGroupIds=[second])
    for member in ("change-g-001", "change-g-002", "change-c"):
        assert groups_of(caches.seen_cluster(member)) == {second}
    assert caches.seen_serverless("change-s")["SecurityGroupIds"] == [second]
    assert caches.network.interfaces_with(first) == []
    described = sorted(interface["Description"] for interface in caches.network.interfaces_with(second))
    assert described == [f"ElastiCache {each}" for each in ("change-c", "change-g-001", "change-g-002", "change-s")]
    assert refusal(caches.network.ec2.delete_security_group, GroupId=second) == "DependencyViolation"


def test_change_waits_for_its_window_unless_it_is_wanted_at_once(caches):
    first, second = caches.network.groups(2)
    caches.group("waits", first)
    caches.cluster("waits-too", first)
    api = caches.api
    api.modify_replication_group(ReplicationGroupId="waits", SecurityGroupIds=[second])
    assert groups_of(caches.seen_cluster("waits-001")) == {first}
    api.modify_replication_group(ReplicationGroupId="waits", CacheNodeType="cache.r7g.large")
    api.modify_cache_cluster(CacheClusterId="waits-too", NumCacheNodes=3)
    assert caches.seen_cluster("waits-001")["PendingModifiedValues"] == {"CacheNodeType": "cache.r7g.large"}
    assert caches.seen_cluster("waits-too")["PendingModifiedValues"] == {"NumCacheNodes": 3}
    # What waits goes along with what is wanted at once.
    api.modify_replication_group(ReplicationGroupId="waits", SecurityGroupIds=[second], ApplyImmediately=True)
    seen = caches.seen_cluster("waits-001")
    assert (seen["CacheNodeType"], seen["PendingModifiedValues"]) == ("cache.r7g.large", {})
    assert groups_of(seen) == {second}


def test_call_that_changes_nothing_is_refused(caches):
    caches.group("idle")
    call = caches.api.modify_replication_group
    code = refusal(call, ReplicationGroupId="idle", ApplyImmediately=True)
    assert code == "InvalidParameterCombination"


def test_groups_that_a_cache_cannot_carry_are_refused(caches, new_network):
    caches.group("carry")
    caches.serverless("carry-s")
    foreign, many = new_network().group(), caches.network.groups(6)
    for groups, code in (
        (["sg-00000000000000000"], "InvalidParameterValue"),
        ([foreign], "InvalidParameterCombination"),
        (many, "InvalidParameterValue"),
    ):
        call = caches.api.modify_replication_group
        assert refusal(call, ReplicationGroupId="carry", SecurityGroupIds=groups, ApplyImmediately=True) == code
        call = caches.api.modify_serverless_cache
        assert refusal(call, ServerlessCacheName="carry-s", SecurityGroupIds=groups) == code
        call = caches.api.create_cache_cluster
        arguments = {"Engine": "memcached", "CacheSubnetGroupName": caches.subnet_group}
        assert refusal(call, CacheClusterId="carry-c", SecurityGroupIds=groups, **arguments) == code
    assert groups_of(caches.seen_cluster("carry-001")) == {caches.network.default_group}
    assert caches.seen_serverless("carry-s")["SecurityGroupIds"] == [caches.network.default_group]


def test_serverless_cache_changes_one_field_at_a_time(caches):
    caches.serverless("one-field")
    call = caches.api.modify_serverless_cache
    groups = [caches.network.default_group]
    code = refusal(call, ServerlessCacheName="one-field", SecurityGroupIds=groups, Description="two")
    assert code == "InvalidParameterCombination"
    call(ServerlessCacheName="one-field", Description="one")
    assert caches.seen_serverless("one-field")["Description"] == "one"


def test_member_of_a_replication_group_is_not_changed_alone(caches):
    caches.group("whole")
    call = caches.api.modify_cache_cluster
    groups = [caches.network.default_group]
    assert refusal(call, CacheClusterId="whole-001", SecurityGroupIds=groups) == "InvalidParameterCombination"
    assert refusal(caches.api.delete_cache_cluster, CacheClusterId="whole-001") == "InvalidParameterCombination"


def test_unknown_caches_are_not_found(caches):
    api = caches.api
    for call, key, code in (
        (api.describe_replication_groups, "ReplicationGroupId", "ReplicationGroupNotFoundFault"),
        (api.modify_replication_group, "ReplicationGroupId", "ReplicationGroupNotFoundFault"),
        (api.delete_replication_group, "ReplicationGroupId", "ReplicationGroupNotFoundFault"),
        (api.describe_cache_clusters, "CacheClusterId", "CacheClusterNotFound"),
        (api.modify_cache_cluster, "CacheClusterId", "CacheClusterNotFound"),
        (api.delete_cache_cluster, "CacheClusterId", "CacheClusterNotFound"),
        (api.describe_serverless_caches, "ServerlessCacheName", "ServerlessCacheNotFoundFault"),
        (api.modify_serverless_cache, "ServerlessCacheName", "ServerlessCacheNotFoundFault"),
        (api.delete_serverless_cache, "ServerlessCacheName", "ServerlessCacheNotFoundFault"),
    ):
        assert refusal(call, **{key: "nobody"}) == code
    for kind, code in (
        ("replicationgroup", "ReplicationGroupNotFoundFault"),
        ("cluster", "CacheClusterNotFound"),
        ("serverlesscache", "ServerlessCacheNotFoundFault"),
    ):
        assert refusal(api.list_tags_for_resource, ResourceName=f"{ARN}:{kind}:nobody") == code
    assert refusal(api.list_tags_for_resource, ResourceName="nobody") == "InvalidARN"


def test_second_cache_of_a_name_is_refused(caches):
    caches.group("twice")
    caches.serverless("twice")
    caches.cluster("twice-c")
    with pytest.raises(ClientError, match="ReplicationGroupAlreadyExists"):
        caches.group("twice")
    with pytest.raises(ClientError, match="ServerlessCacheAlreadyExistsFault"):
        caches.serverless("twice")
    for taken in ("twice-c", "twice-001"):
        with pytest.raises(ClientError, match="CacheClusterAlreadyExists"):
            caches.cluster(taken)


@pytest.mark.parametrize("status", ["creating", "modifying"])
def test_cache_that_is_not_available_refuses_everything_but_to_be_described(caches, set_status, status):
    api, groups = caches.api, [caches.network.default_group]
    caches.group(f"g-{status}", Tags=[TAG])
    caches.cluster(f"c-{status}", Tags=[TAG])
    caches.serverless(f"s-{status}", Tags=[TAG])
    for kind, key, name, modify, delete, code in (
        (
            "replicationgroup",
            "ReplicationGroupId",
            f"g-{status}",
            api.modify_replication_group,
            api.delete_replication_group,
            "InvalidReplicationGroupState",
        ),
        (
            "cluster",
            "CacheClusterId",
            f"c-{status}",
            api.modify_cache_cluster,
            api.delete_cache_cluster,
            "InvalidCacheClusterState",
        ),
        (
            "serverlesscache",
            "ServerlessCacheName",
            f"s-{status}",
            api.modify_serverless_cache,
            api.delete_serverless_cache,
            "InvalidServerlessCacheStateFault",
        ),
    ):
        arn = f"{ARN}:{kind}:{name}"
        set_status(arn, status)
        assert refusal(modify, **{key: name}, SecurityGroupIds=groups) == code
        assert refusal(delete, **{key: name}) == code
        assert refusal(api.list_tags_for_resource, ResourceName=arn) == code
        assert refusal(api.add_tags_to_resource, ResourceName=arn, Tags=[TAG]) == code
        assert refusal(api.remove_tags_from_resource, ResourceName=arn, TagKeys=["a"]) == code
    assert caches.seen_group(f"g-{status}")["Status"] == status
    assert caches.seen_cluster(f"g-{status}-001")["CacheClusterStatus"] == status
    assert caches.seen_cluster(f"c-{status}")["CacheClusterStatus"] == status
    assert caches.seen_serverless(f"s-{status}")["Status"] == status
    for arn in (f"replicationgroup:g-{status}", f"cluster:c-{status}", f"serverlesscache:s-{status}"):
        assert set_status(f"{ARN}:{arn}", "available")["before"] == status
        assert caches.tags(f"{ARN}:{arn}") == [TAG]


def test_cache_is_at_something_until_it_has_arrived(caches, delays, set_status):
    group, arn, serverless = caches.network.group(), f"{ARN}:replicationgroup:slow", f"{ARN}:serverlesscache:slow-s"
    delays(creating=600, changing=600)
    caches.group("slow")
    caches.serverless("slow-s")
    seen = caches.seen_group("slow")
    assert (seen["Status"], "PrimaryEndpoint" in seen["NodeGroups"][0]) == ("creating", False)
    assert "Endpoint" not in caches.seen_serverless("slow-s")
    set_status(arn, "available")
    set_status(serverless, "available")
    assert caches.seen_group("slow")["NodeGroups"][0]["PrimaryEndpoint"]["Port"] == 6379
    assert caches.seen_serverless("slow-s")["Endpoint"]["Port"] == 6379

    caches.api.modify_replication_group(ReplicationGroupId="slow", SecurityGroupIds=[group], ApplyImmediately=True)

    def memberships():
        seen = caches.seen_cluster("slow-001")["SecurityGroups"]
        return {group["SecurityGroupId"]: group["Status"] for group in seen}

    assert memberships() == {group: "adding", caches.network.default_group: "removing"}
    assert caches.seen_group("slow")["Status"] == "modifying"
    set_status(arn, "available")
    assert memberships() == {group: "active"}

    # A tag alone keeps a replication group busy.
    caches.api.add_tags_to_resource(ResourceName=arn, Tags=[TAG])
    assert caches.seen_group("slow")["Status"] == "modifying"
    assert refusal(caches.api.list_tags_for_resource, ResourceName=arn) == "InvalidReplicationGroupState"
    set_status(arn, "available")
    assert caches.tags(arn) == [TAG]


def test_caches_arrive_by_themselves(caches, delays):
    delays(creating=0.2)
    caches.group("arrives")
    caches.serverless("arrives-s")
    eventually(lambda: caches.seen_group("arrives")["Status"], "available")
    eventually(lambda: caches.seen_serverless("arrives-s")["Status"], "available")


def test_caches_are_found_by_tag_and_nodes_carry_the_tags_of_their_group(caches, tag_index, name):
    tag = {"Key": f"key-{name}", "Value": "orders"}
    caches.group("index", NumCacheClusters=2)
    caches.cluster("index-c", Tags=[tag])
    caches.serverless("index-s", Tags=[tag])
    group = f"{ARN}:replicationgroup:index"
    caches.api.add_tags_to_resource(ResourceName=group, Tags=[tag])

    def found(*types):
        answer = tag_index.get_resources(
            TagFilters=[{"Key": tag["Key"], "Values": ["orders"]}], ResourceTypeFilters=list(types)
        )
        return sorted(resource["ResourceARN"] for resource in answer["ResourceTagMappingList"])

    members = [f"{ARN}:cluster:index-001", f"{ARN}:cluster:index-002"]
    assert found("elasticache:replicationgroup") == [group]
    assert found("elasticache:cluster") == [*members, f"{ARN}:cluster:index-c"]
    assert found("elasticache:serverlesscache") == [f"{ARN}:serverlesscache:index-s"]
    caches.api.remove_tags_from_resource(ResourceName=group, TagKeys=[tag["Key"]])
    assert found("elasticache:replicationgroup", "elasticache:cluster") == [f"{ARN}:cluster:index-c"]
    listed = tag_index.get_resources(ResourceARNList=[group, f"{ARN}:replicationgroup:nobody"])
    assert listed["ResourceTagMappingList"] == [{"ResourceARN": group, "Tags": []}]


def test_deleted_caches_are_gone_and_free_their_groups_and_names(caches, tag_index):
    group = caches.network.group()
    caches.group("gone", group, Tags=[TAG])
    caches.cluster("gone-c", group, Tags=[TAG])
    caches.serverless("gone-s", group, Tags=[TAG])
    assert len(caches.network.interfaces_with(group)) == 3
    api = caches.api
    assert api.delete_replication_group(ReplicationGroupId="gone")["ReplicationGroup"]["Status"] == "deleting"
    assert api.delete_cache_cluster(CacheClusterId="gone-c")["CacheCluster"]["CacheClusterStatus"] == "deleting"
    assert api.delete_serverless_cache(ServerlessCacheName="gone-s")["ServerlessCache"]["Status"] == "deleting"
    assert refusal(api.describe_cache_clusters, CacheClusterId="gone-001") == "CacheClusterNotFound"
    assert caches.network.interfaces_with(group) == []
    caches.network.ec2.delete_security_group(GroupId=group)
    caches.group("gone")
    assert caches.tags(f"{ARN}:replicationgroup:gone") == []


def test_caches_are_paged(caches):
    for number in range(21):
        caches.group(f"paged-{number}")
        caches.serverless(f"paged-{number}")

    def pages(call, key, name, size, more_in, more_out):
        seen, number, more = [], 0, {}
        while number == 0 or more:
            answer = call(**size, **more)
            assert len(answer[key]) <= 20
            seen.extend(each[name] for each in answer[key])
            number += 1
            more = {more_in: answer[more_out]} if answer.get(more_out) else {}
        assert number >= 2
        assert len(seen) == len(set(seen)) >= 21

    marker = ({"MaxRecords": 20}, "Marker", "Marker")
    pages(caches.api.describe_replication_groups, "ReplicationGroups", "ReplicationGroupId", *marker)
    pages(caches.api.describe_cache_clusters, "CacheClusters", "CacheClusterId", *marker)
    token = ({"MaxResults": 20}, "NextToken", "NextToken")
    pages(caches.api.describe_serverless_caches, "ServerlessCaches", "ServerlessCacheName", *token)


def test_cache_without_subnet_group_lies_in_the_default_vpc(caches):
    caches.api.create_replication_group(ReplicationGroupId="homeless", ReplicationGroupDescription="a test")
    assert caches.seen_cluster("homeless-001")["CacheSubnetGroupName"] == "default"
    group = caches.api.describe_cache_subnet_groups(CacheSubnetGroupName="default")["CacheSubnetGroups"][0]
    vpcs = caches.network.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    assert group["VpcId"] == vpcs[0]["VpcId"]
    with pytest.raises(ClientError, match="CacheSubnetGroupNotFoundFault"):
        caches.group("nowhere", CacheSubnetGroupName="nowhere")


def test_serverless_caches_tell_of_themselves(caches, event_bus, delays):
    def told():
        return [
            entry["DetailType"]
            for entry in event_bus.entries
            if entry["Source"] == "aws.elasticache" and entry.get("Resources") == [f"{ARN}:serverlesscache:talks"]
        ]

    delays(creating=0.3)
    caches.serverless("talks")
    assert told() == []
    eventually(told, ["Cache Created"])
    eventually(lambda: caches.seen_serverless("talks")["Status"], "available")
    caches.api.modify_serverless_cache(ServerlessCacheName="talks", Description="more")
    caches.api.delete_serverless_cache(ServerlessCacheName="talks")
    assert told() == ["Cache Created", "Cache Updated", "Cache Deleted"]
    details = [json.loads(entry["Detail"]) for entry in event_bus.entries if entry["DetailType"] == "Cache Created"]
    (detail,) = (detail for detail in details if detail["SourceIdentifier"] == "talks")
    assert detail["SourceArn"] == f"{ARN}:serverlesscache:talks"
    assert detail["SourceType"] == "serverless-cache"
