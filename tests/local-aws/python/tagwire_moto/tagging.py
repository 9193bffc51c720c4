"""Tags of EC2 resources, and the tagging API."""

from collections.abc import Callable, Iterator
from typing import Any

from moto.core.resource_tagging import (
    TaggedResource,
    iter_taggable_backends,
    make_tag_matcher,
    match_resource_type,
)
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.tags import TagBackend
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix
from moto.rds.models import RDSBackend
from moto.resourcegroupstaggingapi.models import ResourceGroupsTaggingAPIBackend

from .errors import AwsError
from .patching import patch


# What has had a tag taken away: the tagging API goes on listing it when it has none left. EC2's
# resources stand here by their ids, others by their ARNs.
_once_tagged: set[str] = set()

# Services whose resources moto keeps out of the tagging API; a service's module adds its own.
others: list[Callable[[str, str], Iterator[TaggedResource]]] = []


def untagged(name: str, tags: Any) -> None:
    """Notes that a resource loses tags, if it has any."""
    if tags:
        _once_tagged.add(name)


def install() -> None:
    """Makes tag look-ups cheap and paged reads of the tagging API stable."""

    # moto finds the tags of a resource by matching its id, as a pattern, against every tag of the
    # account: a tag filter over thousands of instances took the better part of a minute.
    @patch(TaggedEC2Resource)
    def get_tags(original: Callable[..., Any], self: Any) -> list[dict[str, str]]:
        tags = self.ec2_backend.tags.get(self.id) if self.id else None
        if not tags:
            return []
        kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(self.id), "")
        return [
            {"resource_id": self.id, "key": key, "value": value, "resource_type": kind}
            for key, value in tags.items()
        ]

    # moto's pages are cut from a live iteration, which breaks when a resource comes or goes
    # between two of them. Which untagged resources it lists hangs on the service.
    @patch(ResourceGroupsTaggingAPIBackend)
    def _get_resources_generator(
        original: Callable[..., Any],
        self: Any,
        tag_filters: list[dict[str, Any]] | None = None,
        resource_type_filters: list[str] | None = None,
        resource_arn_list: list[str] | None = None,
    ) -> Iterator[TaggedResource]:
        has_tags = make_tag_matcher(tag_filters)
        resources = [
            *(backend.iter_tagged_resources() for backend in iter_taggable_backends(self.account_id, self.region_name)),
            *(service(self.account_id, self.region_name) for service in others),
        ]
        found = [
            resource
            for of_service in resources
            for resource in of_service
            if (resource.tags or resource.arn.rsplit("/", 1)[-1] in _once_tagged)
            and match_resource_type(resource.resource_type, resource_type_filters)
            and has_tags(resource.tags)
            and (not resource_arn_list or resource.arn in resource_arn_list)
        ]
        return iter(found)

    for name in ("delete_tags", "delete_tag_keys"):

        def untag(original: Callable[..., Any], self: Any, resource_ids: list[str], tags: Any) -> Any:
            for resource_id in resource_ids:
                untagged(resource_id, self.tags.get(resource_id))
            return original(self, resource_ids, tags)

        untag.__name__ = name
        patch(TagBackend)(untag)

    @patch(RDSBackend)
    def remove_tags_from_resource(original: Callable[..., Any], self: Any, arn: str, tag_keys: list[str]) -> None:
        resource = self._get_resource_for_tagging(arn)
        untagged(arn, resource.get_tags() if resource else None)
        original(self, arn, tag_keys)

    @patch(ResourceGroupsTaggingAPIBackend)
    def get_resources(
        original: Callable[..., Any],
        self: Any,
        pagination_token: str | None = None,
        resources_per_page: int = 50,
        tags_per_page: int = 100,
        tag_filters: list[dict[str, Any]] | None = None,
        resource_type_filters: list[str] | None = None,
        resource_arn_list: list[str] | None = None,
    ) -> Any:
        if resource_arn_list and (tag_filters or resource_type_filters or pagination_token):
            raise AwsError(
                "InvalidParameterException",
                "ResourceARNList cannot be combined with TagFilters, ResourceTypeFilters or PaginationToken",
            )
        return original(
            self,
            pagination_token,
            resources_per_page,
            tags_per_page,
            tag_filters,
            resource_type_filters,
            resource_arn_list,
        )
