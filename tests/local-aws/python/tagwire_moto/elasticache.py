"""ElastiCache: replication groups with their members, cache clusters, serverless caches.

moto's caches never carry security groups, have no members and never go, and it has no serverless
ones. Here they are replaced as a whole; users, snapshots and subnet groups stay moto's.
"""

import random
import string
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any
from weakref import WeakKeyDictionary

from moto.core.resource_tagging import TaggedResource
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.elasticache.exceptions import (
    CacheClusterAlreadyExists,
    CacheClusterNotFound,
    CacheSubnetGroupNotFound,
    InvalidARNFault,
    ReplicationGroupAlreadyExists,
    ReplicationGroupNotFound,
)
from moto.elasticache.models import ElastiCacheBackend, elasticache_backends
from moto.elasticache.responses import ElastiCacheResponse

from . import lifecycle, native_events, stores, tagging
from .errors import AwsError, invalid_parameter
from .patching import add, patch
from .networks import Words, default_subnets, ec2_of, groups_for
from .paging import page, rds_page

_WORDS = Words(
    "The security group {group} does not exist",
    "The security group {group} is in {vpc}, the cache in {own}",
    "The number of security groups exceeds the limit",
)

_PORTS = {"memcached": 11211, "redis": 6379, "valkey": 6379}
_VERSIONS = {"memcached": "1.6.22", "redis": "7.1.0", "valkey": "8.0.1"}
_DEFAULT_SUBNET_GROUP = "default"
_SERVERLESS_PER_PAGE = 50

# What waits for the maintenance window unless a request asks for it at once.
_PENDING_FIELDS = ("NumCacheNodes", "CacheNodeType", "EngineVersion")


class _Cache:
    """What the three kinds of caches have in common."""

    kind = ""
    state_error = ""
    status = lifecycle.status

    def __init__(self, backend: Any, name: str, engine: str, group_ids: list[str], subnet_ids: list[str]):
        self.backend, self.name, self.engine = backend, name, engine
        self.status = "available"
        self.group_ids, self.subnet_ids = group_ids, subnet_ids
        self.created = utcnow()
        self.token = "".join(random.choices(string.ascii_lowercase + string.digits, k=6))

    @property
    def arn(self) -> str:
        return f"arn:aws:elasticache:{self.backend.region_name}:{self.backend.account_id}:{self.kind}:{self.name}"

    @property
    def arns(self) -> list[str]:
        """All that carries the cache's tags."""
        return [self.arn]

    @property
    def wearers(self) -> list[str]:
        """What of the cache has an interface."""
        return [self.name]

    def endpoint(self, prefix: str, port: int) -> dict[str, Any] | None:
        """Where clients connect, once there is something to connect to."""
        if self.status == "creating":
            return None
        return {"Address": f"{prefix}{self.name}.{self.token}.use1.cache.amazonaws.com", "Port": port}

    def memberships(self) -> list[dict[str, str]]:
        return [
            {"SecurityGroupId": group_id, "Status": status}
            for group_id, status in lifecycle.memberships(self, self.group_ids)
        ]

    def require_available(self, message: str) -> None:
        if self.status != "available":
            raise AwsError(self.state_error, message)

    def carry(self, group_ids: list[str]) -> None:
        """Replaces the groups."""
        ec2 = ec2_of(self.backend)
        wanted = groups_for(self.backend, group_ids, ec2.get_subnet(self.subnet_ids[0]).vpc_id, _WORDS)
        before, self.group_ids = self.group_ids, wanted
        lifecycle.changed(self, before, wanted)


class _NodeBased(_Cache):
    """A cache of nodes that the customer chooses, in a subnet group."""

    def __init__(self, backend: Any, name: str, request: Any, engine: str):
        self.subnet_group = request._get_param("CacheSubnetGroupName") or _DEFAULT_SUBNET_GROUP
        subnet_group = _subnet_group(backend, self.subnet_group)
        group_ids = groups_for(backend, request._get_param("SecurityGroupIds"), subnet_group.vpc_id, _WORDS)
        super().__init__(backend, name, engine, group_ids, subnet_group.subnet_ids)
        self.port = request._get_int_param("Port") or _PORTS[engine]
        self.settings = {
            "CacheNodeType": request._get_param("CacheNodeType") or "cache.t4g.micro",
            "EngineVersion": request._get_param("EngineVersion") or _VERSIONS[engine],
        }
        self.pending: dict[str, Any] = {}

    def modify(self, request: Any) -> None:
        """Changes what is asked for now, or notes it for the maintenance window."""
        asked = {name: request._get_param(name) for name in _PENDING_FIELDS if request._get_param(name) is not None}
        group_ids = request._get_param("SecurityGroupIds")
        if not asked and not group_ids and not _other_fields(request):
            raise AwsError("InvalidParameterCombination", "No modifications were requested")
        self.pending |= asked
        # Whether AWS applies groups at once without being asked to is not documented. Here it does not, and nothing
        # shows of the change: who relies on the other reading is to see it fail.
        if request._get_bool_param("ApplyImmediately"):
            self.settings |= self.pending
            self.pending = {}
            if group_ids:
                self.carry(group_ids)


class _ReplicationGroup(_NodeBased):
    kind = "replicationgroup"
    state_error = "InvalidReplicationGroupState"

    def __init__(self, backend: Any, name: str, request: Any):
        super().__init__(backend, name, request, request._get_param("Engine") or "redis")
        self.description = request._get_param("ReplicationGroupDescription")
        shards = request._get_int_param("NumNodeGroups") or 1
        replicas = request._get_int_param("ReplicasPerNodeGroup")
        if replicas is None:
            replicas = (request._get_int_param("NumCacheClusters") or 1) - 1
        self.cluster_enabled = shards > 1 or request._get_param("ClusterMode") == "enabled"
        self.failover = "enabled" if request._get_bool_param("AutomaticFailoverEnabled") else "disabled"
        # The members of each shard, the primary one first.
        self.shards = {
            f"{shard:04}": [
                f"{name}-{shard:04}-{node:03}" if self.cluster_enabled else f"{name}-{node:03}"
                for node in range(1, replicas + 2)
            ]
            for shard in range(1, shards + 1)
        }

    @property
    def arns(self) -> list[str]:
        return [self.arn, *(self.arn.replace(f":{self.kind}:{self.name}", f":cluster:{each}") for each in self.members)]

    @property
    def wearers(self) -> list[str]:
        return self.members

    @property
    def members(self) -> list[str]:
        return [member for members in self.shards.values() for member in members]

    def shown(self) -> dict[str, Any]:
        """As DescribeReplicationGroups tells of it: without groups, subnet group, VPC and tags."""
        return {
            "ReplicationGroupId": self.name,
            "Description": self.description,
            "Status": self.status,
            "PendingModifiedValues": {},
            "MemberClusters": self.members,
            "NodeGroups": [self._shard(shard, members) for shard, members in self.shards.items()],
            "ConfigurationEndpoint": self.endpoint("clustercfg.", self.port) if self.cluster_enabled else None,
            "ClusterEnabled": self.cluster_enabled,
            "AutomaticFailover": self.failover,
            "MultiAZ": "disabled",
            "CacheNodeType": self.settings["CacheNodeType"],
            "SnapshotRetentionLimit": 0,
            "AuthTokenEnabled": False,
            "TransitEncryptionEnabled": False,
            "AtRestEncryptionEnabled": False,
            "ReplicationGroupCreateTime": self.created,
            "Engine": self.engine,
            "ARN": self.arn,
        }

    def _shard(self, shard: str, members: list[str]) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "NodeGroupId": shard,
            "Status": self.status,
            "NodeGroupMembers": [{"CacheClusterId": member, "CacheNodeId": "0001"} for member in members],
        }
        if not self.cluster_enabled:
            shown["PrimaryEndpoint"] = self.endpoint("master.", self.port)
            shown["ReaderEndpoint"] = self.endpoint("replica.", self.port)
        return shown


class _CacheCluster(_NodeBased):
    kind = "cluster"
    state_error = "InvalidCacheClusterState"

    def __init__(self, backend: Any, name: str, request: Any):
        super().__init__(backend, name, request, request._get_param("Engine") or "memcached")
        self.settings["NumCacheNodes"] = request._get_int_param("NumCacheNodes") or 1

    def shown(self, with_nodes: bool) -> dict[str, Any]:
        shown = _shown_cluster(self, self.name, None, int(self.settings["NumCacheNodes"]), with_nodes)
        if self.engine == "memcached":
            shown["ConfigurationEndpoint"] = self.endpoint("cfg.", self.port)
        return shown


class _ServerlessCache(_Cache):
    kind = "serverlesscache"
    state_error = "InvalidServerlessCacheStateFault"

    def __init__(self, backend: Any, name: str, request: Any):
        engine = request._get_param("Engine").lower()
        if engine not in _PORTS:
            raise invalid_parameter(f"Invalid engine {engine}")
        subnet_ids = request._get_param("SubnetIds") or [subnet.id for subnet in default_subnets(backend)]
        vpc_id = ec2_of(backend).get_subnet(subnet_ids[0]).vpc_id
        group_ids = groups_for(backend, request._get_param("SecurityGroupIds"), vpc_id, _WORDS)
        super().__init__(backend, name, engine, group_ids, subnet_ids)
        self.description = request._get_param("Description")

    def modify(self, request: Any) -> None:
        fields = sorted(name for name in request.params if name != "ServerlessCacheName")
        if len(fields) != 1:
            raise AwsError(
                "InvalidParameterCombination",
                "Serverless Cache modifications only support modifying one field per request",
            )
        if fields == ["SecurityGroupIds"]:
            self.carry(request._get_param("SecurityGroupIds"))
        elif fields == ["Description"]:
            self.description = request._get_param("Description")
        else:
            raise NotImplementedError(f"a change of {fields[0]}")

    def shown(self) -> dict[str, Any]:
        port = _PORTS[self.engine]
        return {
            "ServerlessCacheName": self.name,
            "Description": self.description,
            "CreateTime": self.created,
            "Status": self.status,
            "Engine": self.engine,
            "MajorEngineVersion": _VERSIONS[self.engine].split(".")[0],
            "FullEngineVersion": _VERSIONS[self.engine],
            # A serverless cache shows a bare list, which has no place for what is on its way.
            "SecurityGroupIds": self.group_ids,
            "Endpoint": self.endpoint("", port),
            "ReaderEndpoint": self.endpoint("", port + 1),
            "ARN": self.arn,
            "SubnetIds": self.subnet_ids,
            "SnapshotRetentionLimit": 0,
        }


_serverless_caches: WeakKeyDictionary[Any, dict[str, _ServerlessCache]] = WeakKeyDictionary()


def install() -> None:
    """Replaces the calls about caches, and lists their tags where AWS does."""
    _install_replication_groups()
    _install_cache_clusters()
    _install_serverless_caches()
    _install_tags()
    stores.services.append(stores.Service(_wearers, _by_arn))


def _serverless(backend: Any) -> dict[str, _ServerlessCache]:
    return _serverless_caches.setdefault(backend, {})


def _all(backend: Any) -> Iterator[Any]:
    yield from backend.replication_groups.values()
    yield from backend.cache_clusters.values()
    yield from _serverless(backend).values()


def _by_arn(account_id: str, region: str) -> Iterator[tuple[str, Any]]:
    for cache in _all(elasticache_backends[account_id][region]):
        yield cache.arn, cache


def _wearers(account_id: str, region: str) -> Iterator[stores.Wearer]:
    for cache in _all(elasticache_backends[account_id][region]):
        group_ids = lifecycle.attached(cache, cache.group_ids)
        for name in cache.wearers:
            yield stores.Wearer(
                f"{cache.arn}#{name}#{cache.token}",
                "amazon-elasticache",
                f"ElastiCache {name}",
                cache.subnet_ids[0],
                group_ids,
            )


def _subnet_group(backend: Any, name: str) -> Any:
    """The subnet group that a new cache is to lie in; `default` is there without being made."""
    if name == _DEFAULT_SUBNET_GROUP and name not in backend.cache_subnet_groups:
        subnet_ids = [subnet.id for subnet in default_subnets(backend)]
        backend.create_cache_subnet_group(name, "Default CacheSubnetGroup", subnet_ids, [])
    if name not in backend.cache_subnet_groups:
        raise CacheSubnetGroupNotFound(name)
    return backend.cache_subnet_groups[name]


def _other_fields(request: Any) -> list[str]:
    """What a modify call names beside the cache, the groups and what may wait."""
    known = {"ReplicationGroupId", "CacheClusterId", "SecurityGroupIds", "ApplyImmediately", *_PENDING_FIELDS}
    return sorted(set(request.params) - known)


def _made(backend: Any, cache: _Cache, request: Any) -> None:
    tags = request._get_param("Tags", [])
    for arn in cache.arns:
        backend.tagging_service.tag_resource(arn, tags)
    lifecycle.created(cache)


def _forget_tags(backend: Any, cache: _Cache) -> None:
    for arn in cache.arns:
        backend.tagging_service.delete_all_tags_for_resource(arn)


def _shown_cluster(
    cache: _NodeBased, name: str, replication_group: str | None, nodes: int, with_nodes: bool
) -> dict[str, Any]:
    """A cache cluster as DescribeCacheClusters tells of it, a member of a replication group included."""
    shown = {
        "CacheClusterId": name,
        "CacheNodeType": cache.settings["CacheNodeType"],
        "Engine": cache.engine,
        "EngineVersion": cache.settings["EngineVersion"],
        "CacheClusterStatus": cache.status,
        "NumCacheNodes": nodes,
        "PreferredAvailabilityZone": "us-east-1a",
        "CacheClusterCreateTime": cache.created,
        "PendingModifiedValues": cache.pending,
        "CacheSecurityGroups": [],
        "CacheSubnetGroupName": cache.subnet_group,
        "SecurityGroups": cache.memberships(),
        "ReplicationGroupId": replication_group,
        "AuthTokenEnabled": False,
        "TransitEncryptionEnabled": False,
        "AtRestEncryptionEnabled": False,
        "ARN": f"arn:aws:elasticache:{cache.backend.region_name}:{cache.backend.account_id}:cluster:{name}",
    }
    if with_nodes:
        shown["CacheNodes"] = [
            {
                "CacheNodeId": f"{node:04}",
                "CacheNodeStatus": cache.status,
                "CacheNodeCreateTime": cache.created,
                "Endpoint": cache.endpoint(f"{name}.{node:04}.", cache.port),
            }
            for node in range(1, nodes + 1)
        ]
    return shown


def _install_replication_groups() -> None:
    @patch(ElastiCacheResponse)
    def create_replication_group(original: Callable[..., Any], self: Any) -> ActionResult:
        backend, name = self.elasticache_backend, self._get_param("ReplicationGroupId").lower()
        if name in backend.replication_groups:
            raise ReplicationGroupAlreadyExists(name)
        backend.replication_groups[name] = group = _ReplicationGroup(backend, name, self)
        _made(backend, group, self)
        return ActionResult({"ReplicationGroup": group.shown()})

    @patch(ElastiCacheResponse)
    def describe_replication_groups(original: Callable[..., Any], self: Any) -> ActionResult:
        name = self._get_param("ReplicationGroupId")
        groups = [_replication_group(self)] if name else list(self.elasticache_backend.replication_groups.values())
        found, marker = rds_page(self, groups)
        return ActionResult({"ReplicationGroups": [group.shown() for group in found], "Marker": marker})

    @patch(ElastiCacheResponse)
    def modify_replication_group(original: Callable[..., Any], self: Any) -> ActionResult:
        group = _replication_group(self)
        group.require_available("Replication group must be in available state to modify.")
        group.modify(self)
        group.description = self._get_param("ReplicationGroupDescription") or group.description
        return ActionResult({"ReplicationGroup": group.shown()})

    @patch(ElastiCacheResponse)
    def delete_replication_group(original: Callable[..., Any], self: Any) -> ActionResult:
        group = _replication_group(self)
        group.require_available("Replication group must be in available state to delete.")
        del self.elasticache_backend.replication_groups[group.name]
        _forget_tags(self.elasticache_backend, group)
        return ActionResult({"ReplicationGroup": group.shown() | {"Status": "deleting"}})


def _replication_group(response: Any) -> _ReplicationGroup:
    name = response._get_param("ReplicationGroupId")
    groups = response.elasticache_backend.replication_groups
    if name.lower() not in groups:
        raise ReplicationGroupNotFound(name)
    return groups[name.lower()]


def _install_cache_clusters() -> None:
    @patch(ElastiCacheResponse)
    def create_cache_cluster(original: Callable[..., Any], self: Any) -> ActionResult:
        backend, name = self.elasticache_backend, self._get_param("CacheClusterId").lower()
        if name in backend.cache_clusters or name in _members(backend):
            raise CacheClusterAlreadyExists(name)
        if self._get_param("ReplicationGroupId"):
            raise NotImplementedError("a replica that is added to a replication group")
        backend.cache_clusters[name] = cluster = _CacheCluster(backend, name, self)
        _made(backend, cluster, self)
        return ActionResult({"CacheCluster": cluster.shown(with_nodes=False)})

    @patch(ElastiCacheResponse)
    def describe_cache_clusters(original: Callable[..., Any], self: Any) -> ActionResult:
        backend, name = self.elasticache_backend, self._get_param("CacheClusterId")
        with_nodes = bool(self._get_bool_param("ShowCacheNodeInfo"))
        shown = {name: cluster.shown(with_nodes) for name, cluster in backend.cache_clusters.items()}
        if not self._get_bool_param("ShowCacheClustersNotInReplicationGroups"):
            shown |= {
                member: _shown_cluster(group, member, group.name, 1, with_nodes)
                for member, group in _members(backend).items()
            }
        if name:
            if name.lower() not in shown:
                raise CacheClusterNotFound(name)
            shown = {name: shown[name.lower()]}
        found, marker = rds_page(self, list(shown.values()))
        return ActionResult({"CacheClusters": found, "Marker": marker})

    @add(ElastiCacheResponse)
    def modify_cache_cluster(self: Any) -> ActionResult:
        cluster = _cache_cluster(self)
        cluster.require_available("Cache cluster is not in available state.")
        cluster.modify(self)
        return ActionResult({"CacheCluster": cluster.shown(with_nodes=False)})

    @patch(ElastiCacheResponse)
    def delete_cache_cluster(original: Callable[..., Any], self: Any) -> ActionResult:
        cluster = _cache_cluster(self)
        cluster.require_available("Cache cluster is not in available state.")
        del self.elasticache_backend.cache_clusters[cluster.name]
        _forget_tags(self.elasticache_backend, cluster)
        return ActionResult({"CacheCluster": cluster.shown(with_nodes=False) | {"CacheClusterStatus": "deleting"}})


def _members(backend: Any) -> dict[str, _ReplicationGroup]:
    return {member: group for group in backend.replication_groups.values() for member in group.members}


def _cache_cluster(response: Any) -> _CacheCluster:
    """The cache cluster that a call changes, which a member of a replication group is not for."""
    name = response._get_param("CacheClusterId")
    clusters = response.elasticache_backend.cache_clusters
    if name.lower() in _members(response.elasticache_backend):
        raise AwsError(
            "InvalidParameterCombination", f"{name} is a member of a replication group. Change the group instead."
        )
    if name.lower() not in clusters:
        raise CacheClusterNotFound(name)
    return clusters[name.lower()]


def _install_serverless_caches() -> None:
    @add(ElastiCacheResponse)
    def create_serverless_cache(self: Any) -> ActionResult:
        backend, name = self.elasticache_backend, self._get_param("ServerlessCacheName").lower()
        if name in _serverless(backend):
            raise AwsError("ServerlessCacheAlreadyExistsFault", f"Serverless cache {name} already exists")
        _serverless(backend)[name] = cache = _ServerlessCache(backend, name, self)
        _made(backend, cache, self)
        native_events.serverless_cache_changed(backend, cache, "Cache Created", lifecycle.delays.creating)
        return ActionResult({"ServerlessCache": cache.shown() | {"Status": "creating"}})

    @add(ElastiCacheResponse)
    def describe_serverless_caches(self: Any) -> ActionResult:
        caches = list(_serverless(self.elasticache_backend).values())
        if self._get_param("ServerlessCacheName"):
            caches = [_serverless_cache(self)]
        found, token = page(
            caches,
            self._get_int_param("MaxResults") or _SERVERLESS_PER_PAGE,
            self._get_param("NextToken"),
            invalid_parameter("The NextToken is invalid"),
        )
        return ActionResult({"ServerlessCaches": [cache.shown() for cache in found], "NextToken": token})

    @add(ElastiCacheResponse)
    def modify_serverless_cache(self: Any) -> ActionResult:
        cache = _serverless_cache(self)
        cache.require_available(f"Serverless cache {cache.name} is not in available state")
        cache.modify(self)
        native_events.serverless_cache_changed(
            self.elasticache_backend, cache, "Cache Updated", lifecycle.delays.changing
        )
        return ActionResult({"ServerlessCache": cache.shown() | {"Status": "modifying"}})

    @add(ElastiCacheResponse)
    def delete_serverless_cache(self: Any) -> ActionResult:
        cache = _serverless_cache(self)
        cache.require_available(f"Serverless cache {cache.name} is not in available state")
        del _serverless(self.elasticache_backend)[cache.name]
        _forget_tags(self.elasticache_backend, cache)
        native_events.serverless_cache_changed(self.elasticache_backend, cache, "Cache Deleted", 0)
        return ActionResult({"ServerlessCache": cache.shown() | {"Status": "deleting"}})


def _serverless_cache(response: Any) -> _ServerlessCache:
    name = response._get_param("ServerlessCacheName")
    caches = _serverless(response.elasticache_backend)
    if name.lower() not in caches:
        raise AwsError("ServerlessCacheNotFoundFault", f"Serverless cache {name} not found")
    return caches[name.lower()]


def _install_tags() -> None:
    @patch(ElastiCacheResponse)
    def list_tags_for_resource(original: Callable[..., Any], self: Any) -> ActionResult:
        backend, arn, cache = _to_tag(self)
        if cache is None:
            return original(self)
        return ActionResult({"TagList": backend.tagging_service.list_tags_for_resource(arn)["Tags"]})

    def change(name: str) -> Callable[..., Any]:
        def changed(original: Callable[..., Any], self: Any) -> ActionResult:
            backend, arn, cache = _to_tag(self)
            if cache is None:
                return original(self)
            # The nodes of a replication group carry its tags.
            for each in cache.arns if arn == cache.arn else [arn]:
                if name == "add_tags_to_resource":
                    backend.tagging_service.tag_resource(each, self._get_param("Tags", []))
                else:
                    tagging.untagged(each, backend.tagging_service.get_tag_dict_for_resource(each))
                    backend.tagging_service.untag_resource_using_names(each, self._get_param("TagKeys", []))
            if isinstance(cache, _ReplicationGroup):
                lifecycle.busy(cache)
            return ActionResult({"TagList": backend.tagging_service.list_tags_for_resource(arn)["Tags"]})

        changed.__name__ = name
        return changed

    patch(ElastiCacheResponse)(change("add_tags_to_resource"))
    patch(ElastiCacheResponse)(change("remove_tags_from_resource"))

    @patch(ElastiCacheBackend)
    def iter_tagged_resources(original: Callable[..., Any], self: Any) -> Iterator[TaggedResource]:
        arns = [arn for cache in _all(self) for arn in cache.arns]
        others = [*self.cache_subnet_groups.values(), *self.snapshots.values(), *islice(self.users.values(), 1, None)]
        for arn in [*arns, *(other.arn for other in others)]:
            kind = arn.split(":")[5]
            yield TaggedResource(arn, self.tagging_service.get_tag_dict_for_resource(arn), f"elasticache:{kind}")


def _to_tag(response: Any) -> tuple[Any, str, _Cache | None]:
    """The cache behind the ARN of a call about tags, which must be available; None for what is no cache."""
    backend, arn = response.elasticache_backend, response._get_param("ResourceName")
    parts = arn.split(":", 6)
    if len(parts) < 7 or parts[2] != "elasticache":
        raise InvalidARNFault(arn)
    cache = next((cache for cache in _all(backend) if arn in cache.arns), None)
    if cache is None:
        kind, name = parts[5], parts[6]
        if kind == "replicationgroup":
            raise ReplicationGroupNotFound(name)
        if kind == "cluster":
            raise CacheClusterNotFound(name)
        if kind == "serverlesscache":
            raise AwsError("ServerlessCacheNotFoundFault", f"Serverless cache {name} not found")
        return backend, arn, None
    cache.require_available("Cluster not in available state to perform tagging operations.")
    return backend, arn, cache
