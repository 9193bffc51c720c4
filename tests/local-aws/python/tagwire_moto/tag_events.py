"""The event that AWS sends when the tags of a resource change: `Tag Change on Resource`.

Sent for EC2's resources and RDS's alone. Whether AWS sends it for caches and Redshift clusters is not
known; of these CloudTrail tells. Tags that come with a new resource send none here, and neither does a
call that changes nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from moto.ec2.responses.tags import TagResponse
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix
from moto.rds.models import RDSBackend

from . import native_events
from .patching import patch

# Events get lost on AWS, too: a test may lose them all for a while.
state = SimpleNamespace(sent=True)

_versions: Counter[str] = Counter()


def install() -> None:
    """Tells EventBridge of every tag that is set or taken away."""
    for name in ("create_tags", "delete_tags"):

        def change(original: Callable[..., Any], self: Any) -> Any:
            resource_ids = self._get_param("Resources", [])
            before = _of_ec2(self.ec2_backend, resource_ids)
            answer = original(self)
            after = _of_ec2(self.ec2_backend, resource_ids)
            for resource_id in before:
                _tell(self.ec2_backend, _arn(self.ec2_backend, resource_id), before[resource_id], after[resource_id])
            return answer

        change.__name__ = name
        patch(TagResponse)(change)

    for name in ("add_tags_to_resource", "remove_tags_from_resource"):

        def change_store(original: Callable[..., Any], self: Any, arn: str, changed: Any) -> Any:
            before = _of_rds(self, arn)
            answer = original(self, arn, changed)
            _tell(self, arn, before, _of_rds(self, arn))
            return answer

        change_store.__name__ = name
        patch(RDSBackend)(change_store)


def _of_ec2(backend: Any, resource_ids: Iterable[str]) -> dict[str, dict[str, str]]:
    return {resource_id: dict(backend.tags.get(resource_id) or {}) for resource_id in resource_ids}


def _of_rds(backend: Any, arn: str) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in backend.list_tags_for_resource(arn)}


def _arn(backend: Any, resource_id: str) -> str:
    kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource_id), "")
    return f"arn:aws:ec2:{backend.region_name}:{backend.account_id}:{kind}/{resource_id}"


def _tell(backend: Any, arn: str, before: dict[str, str], after: dict[str, str]) -> None:
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    if changed and state.sent:
        _versions[arn] += 1
        native_events.tags_changed(backend, arn, changed, after, _versions[arn])
