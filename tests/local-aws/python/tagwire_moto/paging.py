"""Pages of a list, as the Describe calls of EC2 and RDS cut them."""

import base64
from collections.abc import Sequence
from typing import Any

from .errors import AwsError


def page(
    items: Sequence[Any], size: int | None, token: str | None, bad_token: AwsError
) -> tuple[list[Any], str | None]:
    """The page of ``items`` that ``token`` points to, and the token of the next one, if any.

    Tokens are opaque on purpose, so that nothing comes to rely on what is in them.
    """
    start = 0
    if token:
        try:
            start = int(base64.urlsafe_b64decode(token.encode()).decode().removeprefix("from-"))
        except ValueError:
            raise bad_token from None
    end = len(items) if size is None else start + size
    following = base64.urlsafe_b64encode(f"from-{end}".encode()).decode() if end < len(items) else None
    return list(items[start:end]), following


def ec2_page(response: Any, items: Sequence[Any], default_size: int | None = None) -> tuple[list[Any], str | None]:
    """A page by EC2's ``MaxResults`` (5 to 1000) and ``NextToken``."""
    size = response._get_param("MaxResults")
    if size is not None and not 5 <= int(size) <= 1000:
        raise AwsError(
            "InvalidParameterValue",
            f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value greater than or equal to 5 and at most 1000.",
        )
    return page(
        items,
        default_size if size is None else int(size),
        response._get_param("NextToken"),
        AwsError("InvalidNextToken", "The token is invalid"),
    )


def rds_page(response: Any, items: Sequence[Any]) -> tuple[list[Any], str | None]:
    """A page by the ``MaxRecords`` (20 to 100, 100 when absent) and ``Marker`` of RDS, ElastiCache and Redshift."""
    size = response.params.get("MaxRecords")
    if size is not None and not 20 <= int(size) <= 100:
        raise AwsError("InvalidParameterValue", f"Invalid value {size} for MaxRecords. Must be between 20 and 100")
    return page(
        items,
        100 if size is None else int(size),
        response.params.get("Marker"),
        AwsError("InvalidParameterValue", "The parameter Marker is invalid"),
    )
