"""Refuses the functions' calls that their roles do not allow. See `enforcement`."""

import io
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import enforcement
from moto.ec2.models import ec2_backends
from permissions import Place


def guard(
    application: Callable[..., Iterable[bytes]], account_id: str, region: str, events_endpoint: str
) -> Callable[..., Iterable[bytes]]:
    """A WSGI application that lets through to the given one what is allowed."""
    backend = ec2_backends[account_id][region]

    def tags(resource_id: str) -> dict[str, str]:
        return {tag["key"]: tag["value"] for tag in backend.describe_tags(filters={"resource-id": [resource_id]})}

    def owner(prefix_list_id: str) -> str:
        found = backend.managed_prefix_lists.get(prefix_list_id)
        return found.owner_id if found else account_id

    def instance(interface_id: str) -> str | None:
        interface = backend.enis.get(interface_id)
        return interface.instance.id if interface and interface.instance else None

    place = Place(account_id, region, tags, owner, instance)
    refusal = enforcement.judged_elsewhere(events_endpoint)

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        if not enforcement.is_of_function(headers):
            return application(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        answer = enforcement.refused(headers, body, place, refusal)
        if answer is None:
            return application(environ, start_response)
        status, kind, text = answer
        start_response(
            f"{status} {HTTPStatus(status).phrase}", [("Content-Type", kind), ("Content-Length", str(len(text)))]
        )
        return [text]

    return guarded
