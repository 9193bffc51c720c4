"""The events that AWS's services send to EventBridge of their own accord.

EventBridge lives in the other server, so they go there by its API. They are sent before the call
that causes them is answered: a test that sees the answer can rely on the event being on its way.
"""

import json
import threading
import urllib.request
import uuid
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

PUT_EVENTS_AT_MOST = 10

_endpoint: str | None = None
# Both servers are on this machine, whatever proxy the environment names.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def send_to(endpoint: str | None) -> None:
    """Sets where EventBridge is; without one, no events are sent."""
    global _endpoint
    _endpoint = endpoint


def instances_changed(backend: Any, instances: Iterable[Any], states: Iterable[str]) -> None:
    """Tells that each of the instances went through the given states."""
    _put(
        backend,
        [
            {
                "Source": "aws.ec2",
                "DetailType": "EC2 Instance State-change Notification",
                "Resources": [f"arn:aws:ec2:{backend.region_name}:{backend.account_id}:instance/{instance.id}"],
                "Detail": json.dumps({"instance-id": instance.id, "state": state}),
            }
            for state in states
            for instance in instances
        ],
    )


# Fact 1.2
def tags_changed(backend: Any, arn: str, changed: list[str], tags: dict[str, str], version: int) -> None:
    """Tells that tags of a resource were set or taken away; ``tags`` are those that it has now."""
    service, resource = arn.split(":", 2)[2].split(":", 1)[0], arn.split(":", 5)[5]
    _put(
        backend,
        [
            {
                "Source": "aws.tag",
                "DetailType": "Tag Change on Resource",
                "Resources": [arn],
                "Detail": json.dumps(
                    {
                        "changed-tag-keys": changed,
                        "tags": tags,
                        "service": service,
                        "resource-type": resource.replace(":", "/").split("/", 1)[0],
                        "version": version,
                    }
                ),
            }
        ],
    )


def serverless_cache_changed(backend: Any, cache: Any, what: str, seconds: float) -> None:
    """Tells that a serverless cache was created, updated or deleted; after the time that it takes."""
    if _endpoint is None:
        return
    happened = what.removeprefix("Cache ").lower()
    entry = {
        "Source": "aws.elasticache",
        "DetailType": what,
        "Resources": [cache.arn],
        "Detail": json.dumps(
            {
                "EventCategories": ["notification"],
                "EventID": str(uuid.uuid4()),
                "Message": "Cache is created and ready to use." if happened == "created" else f"Cache is {happened}.",
                "SourceArn": cache.arn,
                "SourceIdentifier": cache.name,
                "SourceType": "serverless-cache",
            }
        ),
    }
    if seconds > 0:
        later = threading.Timer(seconds, _put, (backend, [entry]))
        later.daemon = True
        later.start()
    else:
        _put(backend, [entry])


def api_call(backend: Any, service: str, record: dict[str, Any]) -> None:
    """Tells of a call, given as CloudTrail records it."""
    _put(
        backend,
        [{"Source": f"aws.{service}", "DetailType": "AWS API Call via CloudTrail", "Detail": json.dumps(record)}],
    )


def _put(backend: Any, entries: list[dict[str, Any]]) -> None:
    if _endpoint is None:
        return
    now = datetime.now(timezone.utc)
    for entry in entries:
        entry["Time"] = int(now.timestamp())
    for start in range(0, len(entries), PUT_EVENTS_AT_MOST):
        request = urllib.request.Request(
            _endpoint,
            data=json.dumps({"Entries": entries[start : start + PUT_EVENTS_AT_MOST]}).encode(),
            headers={
                "Content-Type": "application/x-amz-json-1.1",
                "X-Amz-Target": "AWSEvents.PutEvents",
                "Authorization": (
                    f"AWS4-HMAC-SHA256 Credential={backend.account_id}/{now:%Y%m%d}/{backend.region_name}"
                    "/events/aws4_request, SignedHeaders=host, Signature=local"
                ),
            },
        )
        with _direct.open(request, timeout=10) as response:
            answer = json.load(response)
        if answer.get("FailedEntryCount"):
            raise RuntimeError(f"EventBridge at {_endpoint} refused native events: {answer}")
