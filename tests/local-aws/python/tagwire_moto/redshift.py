"""Redshift: provisioned clusters."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

from moto.core.resource_tagging import TaggedResource
from moto.core.responses import ActionResult
from moto.redshift.exceptions import ClusterAlreadyExistsFaultError, ClusterSubnetGroupNotFoundError
from moto.redshift.models import Cluster, RedshiftBackend, redshift_backends
from moto.redshift.responses import RedshiftResponse

from . import lifecycle, stores, tagging
from .errors import AwsError
from .patching import patch
from .networks import Words, default_subnets, groups_for
from .paging import rds_page

_WORDS = Words(
    "The security group {group} does not exist",
    "The security group {group} is in {vpc}, the cluster in {own}",
    "The number of security groups exceeds the limit",
)

# States in which AWS is known to take a change of security groups; not documented as a list.
_TAKES_CHANGES = {"available", "available, prep-for-resize", "available, resize-cleanup"}

_DEFAULT_SUBNET_GROUP = "default"


def install() -> None:
    """Mends creation, change and description of clusters, and lists their tags where AWS does."""
    _install_shape()
    _install_life()
    _install_describe()
    stores.services.append(stores.Service(_wearers, _by_arn))
    tagging.others.append(_tagged)


def _by_arn(account_id: str, region: str) -> Iterator[tuple[str, Any]]:
    for cluster in redshift_backends[account_id][region].clusters.values():
        yield cluster.arn, cluster


def _wearers(account_id: str, region: str) -> Iterator[stores.Wearer]:
    backend = redshift_backends[account_id][region]
    for cluster in backend.clusters.values():
        subnet_group = _subnet_group(backend, cluster.cluster_subnet_group_name)
        group_ids = lifecycle.attached(cluster, cluster.vpc_security_group_ids)
        namespace = cluster.cluster_namespace_arn
        yield stores.Wearer(
            namespace, "amazon-redshift", "RedshiftNetworkInterface", subnet_group.subnet_ids[0], group_ids
        )


def _tagged(account_id: str, region: str) -> Iterator[TaggedResource]:
    for cluster in redshift_backends[account_id][region].clusters.values():
        tags = {tag["Key"]: tag["Value"] for tag in cluster.tags}
        yield TaggedResource(cluster.arn, tags, "redshift:cluster")


def _subnet_group(backend: Any, name: str | None) -> Any:
    """The subnet group that a cluster lies in; `default` is there without being made."""
    name = name or _DEFAULT_SUBNET_GROUP
    if name == _DEFAULT_SUBNET_GROUP and name not in backend.subnet_groups:
        subnet_ids = [subnet.id for subnet in default_subnets(backend)]
        backend.create_cluster_subnet_group(name, name, subnet_ids, backend.region_name)
    if name not in backend.subnet_groups:
        raise ClusterSubnetGroupNotFoundError(name)
    return backend.subnet_groups[name]


def _install_shape() -> None:
    Cluster.status = lifecycle.status  # type: ignore[assignment, attr-defined]
    Cluster.vpc_security_group_membership_list = property(  # type: ignore[assignment, method-assign]
        lambda cluster: [
            {"VpcSecurityGroupId": group_id, "Status": status}
            for group_id, status in lifecycle.memberships(cluster, cluster.vpc_security_group_ids)
        ]
    )
    endpoint = Cluster.endpoint.fget  # type: ignore[attr-defined]
    Cluster.endpoint = property(  # type: ignore[assignment, method-assign]
        lambda cluster: None if cluster.status == "creating" else endpoint(cluster)
    )
    Cluster.vpc_id = property(  # type: ignore[attr-defined]
        lambda cluster: _subnet_group(cluster.redshift_backend, cluster.cluster_subnet_group_name).vpc_id
    )


def _install_life() -> None:
    @patch(RedshiftBackend)
    def create_cluster(original: Callable[..., Any], self: Any, **cluster_kwargs: Any) -> Cluster:
        name = cluster_kwargs["cluster_identifier"]
        subnet_group = _subnet_group(self, cluster_kwargs.get("cluster_subnet_group_name"))
        cluster_kwargs["cluster_subnet_group_name"] = subnet_group.cluster_subnet_group_name
        cluster_kwargs["vpc_security_group_ids"] = groups_for(
            self, cluster_kwargs.get("vpc_security_group_ids"), subnet_group.vpc_id, _WORDS
        )
        if name in self.clusters:
            raise ClusterAlreadyExistsFaultError()
        # moto takes a snapshot of each new cluster and names it by the minute, so that a second
        # cluster of a name could not be made within the same one.
        for snapshot in [snapshot for snapshot in self.snapshots if snapshot.startswith(f"rs:{name}-")]:
            del self.snapshots[snapshot]
        cluster = original(self, **cluster_kwargs)
        cluster.cluster_namespace_arn = (
            f"arn:aws:redshift:{self.region_name}:{self.account_id}:namespace:{uuid.uuid4()}"
        )
        lifecycle.created(cluster)
        return cluster

    @patch(RedshiftBackend)
    def modify_cluster(original: Callable[..., Any], self: Any, **cluster_kwargs: Any) -> Cluster:
        cluster = self.describe_clusters(cluster_kwargs["cluster_identifier"])[0]
        new_name = cluster_kwargs.get("new_cluster_identifier")
        _require_available(cluster)
        if new_name in self.clusters:
            raise ClusterAlreadyExistsFaultError()
        before = list(cluster.vpc_security_group_ids)
        if cluster_kwargs.get("vpc_security_group_ids"):
            cluster_kwargs["vpc_security_group_ids"] = groups_for(
                self, cluster_kwargs["vpc_security_group_ids"], cluster.vpc_id, _WORDS
            )
        answer = original(self, **cluster_kwargs)
        lifecycle.changed(cluster, before, cluster.vpc_security_group_ids)
        return answer

    @patch(RedshiftResponse)
    def delete_cluster(original: Callable[..., Any], self: Any) -> ActionResult:
        _require_available(self.redshift_backend.describe_clusters(self._get_param("ClusterIdentifier"))[0])
        return original(self)

    @patch(RedshiftBackend)
    def delete_tags(original: Callable[..., Any], self: Any, resource_name: str, tag_keys: list[str]) -> None:
        tagging.untagged(resource_name, self._get_resource_from_arn(resource_name).tags)
        original(self, resource_name, tag_keys)


def _require_available(cluster: Any) -> None:
    if cluster.status not in _TAKES_CHANGES:
        raise AwsError(
            "InvalidClusterState",
            "There is an operation running on the Cluster. Please try to modify it at a later time.",
        )


def _install_describe() -> None:
    # moto knows no tag values and no pages.
    @patch(RedshiftResponse)
    def describe_clusters(original: Callable[..., Any], self: Any) -> ActionResult:
        name = self._get_param("ClusterIdentifier")
        keys, values = self._get_param("TagKeys", []), self._get_param("TagValues", [])
        clusters = self.redshift_backend.describe_clusters(name)
        if keys or values:
            clusters = [
                cluster
                for cluster in clusters
                if any(tag["Key"] in keys or tag["Value"] in values for tag in cluster.tags)
            ]
        found, marker = rds_page(self, clusters)
        return ActionResult({"Clusters": found, "Marker": marker})
