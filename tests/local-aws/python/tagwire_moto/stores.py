"""What the data stores of an account hold, whatever service they belong to."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Wearer:
    """A part of a data store that has a network interface in the customer's VPC."""

    # Survives a rename, as the interface does.
    identity: str
    requester: str
    description: str
    subnet_id: str
    group_ids: list[str]


@dataclass(frozen=True)
class Service:
    """How a service tells of its data stores, by account and Region."""

    wearers: Callable[[str, str], Iterable[Wearer]]
    # Each store under its ARN; what is behind it has a `status`.
    by_arn: Callable[[str, str], Iterable[tuple[str, Any]]]


# A service's module adds its own when it is installed.
services: list[Service] = []


def wearers(account_id: str, region: str) -> Iterator[Wearer]:
    """Everything of the account's data stores that carries security groups."""
    for service in services:
        yield from service.wearers(account_id, region)


def by_arn(account_id: str, region: str) -> Iterator[tuple[str, Any]]:
    """The account's data stores, each under its ARN."""
    for service in services:
        yield from service.by_arn(account_id, region)
