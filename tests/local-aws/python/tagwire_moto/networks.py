"""Where a data store lies, and whether it can carry the security groups that are asked for."""

from dataclasses import dataclass
from typing import Any

from moto.ec2.models import ec2_backends

from .errors import AwsError, invalid_parameter

GROUPS_PER_STORE = 5


@dataclass(frozen=True)
class Words:
    """How a service refuses groups. Of these only RDS's are known to be AWS's; the codes are alike."""

    unknown: str
    foreign: str
    many: str


def ec2_of(backend: Any) -> Any:
    """EC2 in the account and Region of another service's backend."""
    return ec2_backends[backend.account_id][backend.region_name]


def default_subnets(backend: Any) -> list[Any]:
    """The subnets of the default VPC."""
    ec2 = ec2_of(backend)
    return [subnet for subnet in ec2.describe_subnets() if subnet.vpc_id == ec2.default_vpc.id]


def groups_for(backend: Any, group_ids: list[str] | None, vpc_id: str, words: Words) -> list[str]:
    """The groups that a store in ``vpc_id`` is to carry, or the refusal in its service's words."""
    ec2 = ec2_of(backend)
    if not group_ids:
        return [ec2.get_default_security_group(vpc_id).id]
    unique = list(dict.fromkeys(group_ids))
    for group_id in unique:
        group = ec2.get_security_group_from_id(group_id)
        if group is None:
            raise invalid_parameter(words.unknown.format(group=group_id))
        if group.vpc_id != vpc_id:
            raise AwsError(
                "InvalidParameterCombination", words.foreign.format(group=group_id, vpc=group.vpc_id, own=vpc_id)
            )
    if len(unique) > GROUPS_PER_STORE:
        raise invalid_parameter(words.many)
    return unique
