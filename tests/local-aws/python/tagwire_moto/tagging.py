"""Tags of EC2 resources, and the tagging API."""

from collections.abc import Callable
from typing import Any

from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix
from moto.resourcegroupstaggingapi.models import ResourceGroupsTaggingAPIBackend

from .errors import AwsError
from .mending import mend


def install() -> None:
    """Makes tag look-ups cheap and paged reads of the tagging API stable."""

    # moto finds the tags of a resource by matching its id, as a pattern, against every tag of the
    # account: a tag filter over thousands of instances took the better part of a minute.
    @mend(TaggedEC2Resource)
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
    # between two of them.
    @mend(ResourceGroupsTaggingAPIBackend)
    def _get_resources_generator(original: Callable[..., Any], self: Any, *arguments: Any, **named: Any) -> Any:
        return iter(list(original(self, *arguments, **named)))

    @mend(ResourceGroupsTaggingAPIBackend)
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
