"""Managed prefix lists: those that are not there, and how much room they take in a security group."""

from collections.abc import Callable
from typing import Any

from moto.ec2.models.managed_prefixes import ManagedPrefixList, ManagedPrefixListBackend

from .errors import AwsError
from .patching import patch


def install() -> None:
    """Makes an unknown list an error."""

    @patch(ManagedPrefixListBackend)
    def describe_managed_prefix_lists(
        original: Callable[..., Any], self: Any, prefix_list_ids: list[str] | None = None, filters: Any = None
    ) -> list[ManagedPrefixList]:
        for prefix_list_id in prefix_list_ids or []:
            find(self, prefix_list_id)
        return original(self, prefix_list_ids, filters)

    @patch(ManagedPrefixListBackend)
    def get_managed_prefix_list_entries(
        original: Callable[..., Any], self: Any, prefix_list_id: str
    ) -> ManagedPrefixList:
        return find(self, prefix_list_id)


def find(backend: Any, prefix_list_id: str) -> ManagedPrefixList:
    """The list of an id, or AWS's refusal."""
    found = backend.managed_prefix_lists.get(prefix_list_id)
    if found is None or found.state == "delete-complete":
        raise AwsError("InvalidPrefixListID.NotFound", f"The prefix list ID '{prefix_list_id}' does not exist")
    return found
