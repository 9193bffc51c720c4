"""RDS: DB instances and clusters, with those of DocumentDB and Neptune, which answer the same API."""

import random
import string
from collections.abc import Callable, Iterator
from typing import Any

from moto.rds.exceptions import DBClusterNotFoundError, DBSubnetGroupNotFoundError
from moto.rds.models import DBCluster, DBInstance, DBInstanceClustered, DBSubnetGroup, RDSBackend, rds_backends
from moto.rds.responses import RDSResponse
from moto.rds.utils import ClusterEngine, DbInstanceEngine, FilterDef

from . import lifecycle, stores
from .errors import AwsError
from .patching import patch
from .networks import Words, default_subnets, groups_for
from .paging import rds_page

# States in which AWS is known to take a change of security groups; not documented as a list.
_INSTANCE_TAKES_CHANGES = {"available", "backing-up", "storage-optimization", "storage-full", "stopped"}
_CLUSTER_TAKES_CHANGES = {"available", "backing-up", "storage-optimization", "storage-full"}

# The words for too many groups are AWS's; under which code they come is not known.
_WORDS = Words(
    "Invalid security group , groupId= {group}, groupName=.",
    "Database is in {own}, but Ec2 Security Group {group} is in {vpc}",
    "The request violates your limit on number of Ec2 VPC SecurityGroups associated with an instance",
)

_DOCUMENTDB = "docdb"
_DOCUMENTDB_PORT = 27017
_DOCUMENTDB_VERSION = "5.0.0"
_DEFAULT_SUBNET_GROUP = "default"


def install() -> None:
    """Mends engines, creation, change and description of DB instances and clusters."""
    _install_engines()
    _install_states()
    _install_create()
    _install_modify()
    _install_describe()
    stores.services.append(stores.Service(_wearers, _by_arn))


def _wearers(account_id: str, region: str) -> Iterator[stores.Wearer]:
    backend = rds_backends[account_id][region]
    for database in backend.databases.values():
        holder = database.cluster if isinstance(database, DBInstanceClustered) else database
        yield _wearer(database.dbi_resource_id, holder, database.db_subnet_group)
    for cluster in backend.clusters.values():
        # The members of an Aurora cluster have its interfaces, and there may be none yet.
        if not cluster.members:
            subnet_group = _subnet_group(backend, cluster.db_subnet_group_name)
            yield _wearer(cluster.db_cluster_resource_id, cluster, subnet_group)


def _by_arn(account_id: str, region: str) -> Iterator[tuple[str, Any]]:
    backend = rds_backends[account_id][region]
    for store in [*backend.clusters.values(), *backend.databases.values()]:
        yield store.arn, store


def _wearer(identity: str, holder: Any, subnet_group: DBSubnetGroup) -> stores.Wearer:
    group_ids = lifecycle.attached(holder, holder.vpc_security_group_ids)
    return stores.Wearer(identity, "amazon-rds", "RDSNetworkInterface", subnet_group._subnets[0].id, group_ids)


def _install_engines() -> None:
    # moto keeps DocumentDB out of its RDS API, where AWS has it.
    def with_documentdb(names: Callable[[], list[str]]) -> Callable[[], list[str]]:
        return lambda: sorted([*names(), _DOCUMENTDB])

    ClusterEngine.list_cluster_engines = with_documentdb(ClusterEngine.list_cluster_engines)  # type: ignore[method-assign]
    DbInstanceEngine.valid_db_instance_engine = with_documentdb(  # type: ignore[method-assign]
        DbInstanceEngine.valid_db_instance_engine
    )
    DBInstance.default_engine_versions |= {_DOCUMENTDB: _DOCUMENTDB_VERSION, "mariadb": "10.11.8"}

    def with_default(owner: type, name: str, documentdb: Any) -> None:
        original = getattr(owner, name)
        setattr(
            owner,
            name,
            staticmethod(
                lambda engine, *more, **named: (
                    documentdb if engine == _DOCUMENTDB else original(engine, *more, **named)
                )
            ),
        )

    with_default(DBCluster, "default_engine_version", _DOCUMENTDB_VERSION)
    with_default(DBCluster, "default_port", _DOCUMENTDB_PORT)
    with_default(DBCluster, "default_allocated_storage", 1)
    with_default(DBInstance, "default_port", _DOCUMENTDB_PORT)


def _install_states() -> None:
    # moto's clusters leave `creating` by being looked at, which is one look too early or too late
    # for any test that cares. Here a state is what it was set to, or what the store passes through.
    DBCluster.status = lifecycle.status  # type: ignore[assignment, method-assign]
    DBInstance.status = lifecycle.status  # type: ignore[assignment]

    def shown_groups(store: Any) -> list[dict[str, str]]:
        holder = store.cluster if isinstance(store, DBInstanceClustered) else store
        return [
            {"VpcSecurityGroupId": group_id, "Status": status}
            for group_id, status in lifecycle.memberships(holder, holder.vpc_security_group_ids)
        ]

    DBCluster.vpc_security_groups = property(shown_groups)  # type: ignore[assignment, method-assign]
    DBInstance.vpc_security_group_membership_list = property(shown_groups)  # type: ignore[assignment, method-assign]

    endpoint = DBInstance.endpoint.fget  # type: ignore[attr-defined]
    DBInstance.endpoint = property(  # type: ignore[assignment, method-assign]
        lambda database: None if database.status == "creating" else endpoint(database)
    )


def _install_create() -> None:
    @patch(RDSBackend)
    def create_db_cluster(original: Callable[..., Any], self: Any, kwargs: Any) -> DBCluster:
        if kwargs["db_cluster_identifier"] in self.clusters:
            raise AwsError("DBClusterAlreadyExistsFault", "DB Cluster already exists")
        subnet_group = _subnet_group(self, kwargs.get("db_subnet_group_name"))
        group_ids = groups_for(self, kwargs.get("vpc_security_group_ids"), subnet_group.vpc_id, _WORDS)
        _forget_automated_snapshots(self.cluster_snapshots, kwargs["db_cluster_identifier"])
        cluster = original(self, kwargs)
        cluster.db_subnet_group_name = subnet_group.name
        cluster.vpc_security_group_ids = group_ids
        cluster.status = "available"
        lifecycle.created(cluster)
        return cluster

    @patch(RDSBackend)
    def create_db_instance(original: Callable[..., Any], self: Any, db_kwargs: Any) -> DBInstance:
        cluster_id = db_kwargs.get("db_cluster_identifier")
        if cluster_id is None:
            subnet_group = _subnet_group(self, db_kwargs.get("db_subnet_group_name"))
            group_ids = groups_for(self, db_kwargs.get("vpc_security_group_ids"), subnet_group.vpc_id, _WORDS)
        else:
            if cluster_id not in self.clusters:
                raise DBClusterNotFoundError(cluster_id)
            if db_kwargs.get("vpc_security_group_ids"):
                raise _managed_by_cluster()
            subnet_group = _subnet_group(self, self.clusters[cluster_id].db_subnet_group_name)
        _forget_automated_snapshots(self.database_snapshots, db_kwargs["db_instance_identifier"])
        database = original(self, db_kwargs)
        database.db_subnet_group_name = subnet_group.name
        if cluster_id is None:
            database.vpc_security_group_ids = group_ids
        # moto gives one and the same identity to every DB instance.
        database.dbi_resource_id = "db-" + "".join(random.choices(string.ascii_uppercase + string.digits, k=26))
        lifecycle.created(database)
        return database


def _forget_automated_snapshots(snapshots: Any, store: str) -> None:
    # moto takes one of each new store and names it by the minute, so that a second store of a name
    # could not be made within the same one.
    for name in [name for name in snapshots if name.startswith(f"rds:{store}-")]:
        del snapshots[name]


def _subnet_group(backend: Any, name: str | None) -> DBSubnetGroup:
    """The subnet group that a new store is to lie in; `default` is there without being made."""
    if name is not None and name.lower() != _DEFAULT_SUBNET_GROUP:
        if name not in backend.subnet_groups:
            raise DBSubnetGroupNotFoundError(name)
        return backend.subnet_groups[name]
    if _DEFAULT_SUBNET_GROUP not in backend.subnet_groups:
        backend.create_subnet_group(_DEFAULT_SUBNET_GROUP, _DEFAULT_SUBNET_GROUP, default_subnets(backend), [])
    return backend.subnet_groups[_DEFAULT_SUBNET_GROUP]


def _managed_by_cluster() -> AwsError:
    return AwsError(
        "InvalidParameterCombination",
        "The specified DB Instance is a member of a cluster. "
        "Modify vpc security group for the DB Cluster using the ModifyDbCluster API",
    )


def _install_modify() -> None:
    @patch(RDSBackend)
    def modify_db_cluster(original: Callable[..., Any], self: Any, kwargs: Any) -> DBCluster:
        cluster_id = kwargs["db_cluster_identifier"]
        if cluster_id not in self.clusters:
            raise DBClusterNotFoundError(cluster_id)
        cluster = self.clusters[cluster_id]
        status = cluster.status
        if status not in _CLUSTER_TAKES_CHANGES:
            raise AwsError(
                "InvalidDBClusterStateFault", f"DB cluster is not available for modification with status {status}"
            )
        if kwargs.get("vpc_security_group_ids"):
            vpc_id = _subnet_group(self, cluster.db_subnet_group_name).vpc_id
            kwargs["vpc_security_group_ids"] = groups_for(self, kwargs["vpc_security_group_ids"], vpc_id, _WORDS)
        before = list(cluster.vpc_security_group_ids)
        members = cluster.members
        answer = original(self, kwargs)
        for member in members:
            member.db_cluster_identifier = cluster.db_cluster_identifier
        cluster.status = status
        lifecycle.changed(cluster, before, cluster.vpc_security_group_ids)
        return answer

    @patch(RDSBackend)
    def modify_db_instance(
        original: Callable[..., Any], self: Any, db_instance_identifier: str, db_kwargs: Any
    ) -> DBInstance:
        database = self.databases.get(db_instance_identifier)
        if database is not None:
            if database.status not in _INSTANCE_TAKES_CHANGES:
                raise AwsError("InvalidDBInstanceState", "Database instance is not in available state.")
            if db_kwargs.get("vpc_security_group_ids"):
                if isinstance(database, DBInstanceClustered):
                    raise _managed_by_cluster()
                db_kwargs["vpc_security_group_ids"] = groups_for(
                    self, db_kwargs["vpc_security_group_ids"], database.db_subnet_group.vpc_id, _WORDS
                )
            before = list(database.vpc_security_group_ids)
        answer = original(self, db_instance_identifier, db_kwargs)
        if not isinstance(answer, DBInstanceClustered):
            lifecycle.changed(answer, before, answer.vpc_security_group_ids)
        return answer


def _install_describe() -> None:
    DBCluster.SUPPORTED_FILTERS["db-cluster-resource-id"] = FilterDef(
        ["db_cluster_resource_id"], "DB Cluster Resource Ids"
    )

    @patch(RDSResponse)
    def describe_db_clusters(original: Callable[..., Any], self: Any) -> Any:
        answer = original(self)
        found, marker = rds_page(self, answer.result["DBClusters"])
        answer.result.update(DBClusters=found, Marker=marker)
        return answer

    @patch(RDSBackend)
    def describe_db_subnet_groups(original: Callable[..., Any], self: Any, subnet_group_name: str) -> Any:
        if subnet_group_name is not None and subnet_group_name.lower() == _DEFAULT_SUBNET_GROUP:
            return [_subnet_group(self, _DEFAULT_SUBNET_GROUP)]
        return original(self, subnet_group_name)
