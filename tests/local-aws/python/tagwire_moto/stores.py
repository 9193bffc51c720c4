"""What the data stores of an account hold, whatever service they belong to."""

from collections.abc import Iterator

from moto.rds.models import rds_backends


def groups_in_use(account_id: str, region: str) -> Iterator[str]:
    """The ids of the security groups that a data store of the account carries."""
    databases = rds_backends[account_id][region]
    for store in [*databases.clusters.values(), *databases.databases.values()]:
        yield from store.vpc_security_group_ids
