"""What a test may do to the local AWS that AWS itself would do: put a store into a state.

``POST /tagwire/store-status`` with ``{"store": <ARN or identifier>, "status": "modifying"}``; add
``"kind": "db"`` or ``"cluster"`` where an identifier alone is not clear. The answer is what the
store's state was before, so that a test can put it back.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

from moto.rds.models import rds_backends

PATH = "/tagwire/store-status"


class Refused(Exception):
    """A request to the control end point that makes no sense; its text is the answer."""


def serve(application: Callable[..., Iterable[bytes]], account_id: str, region: str) -> Callable[..., Iterable[bytes]]:
    """A WSGI application that answers the control end point itself and leaves all else to the given one."""

    def served(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != PATH:
            return application(environ, start_response)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        try:
            answer = _set_status(json.loads(environ["wsgi.input"].read(length)), account_id, region)
            status = "200 OK"
        except (Refused, KeyError, ValueError) as error:
            answer, status = {"error": f"{type(error).__name__}: {error}"}, "400 Bad Request"
        body = json.dumps(answer).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return served


def _set_status(wish: dict[str, str], account_id: str, region: str) -> dict[str, str]:
    store = _find(wish["store"], wish.get("kind"), account_id, region)
    before, store.status = store.status, wish["status"]
    return {"arn": store.arn, "before": before, "status": store.status}


def _find(name: str, kind: str | None, account_id: str, region: str) -> Any:
    if name.startswith("arn:"):
        parts = name.split(":", 6)
        if len(parts) < 7 or parts[2] != "rds":
            raise Refused(f"{name} is not the ARN of an RDS store")
        region, account_id, kind, name = parts[3], parts[4], parts[5], parts[6]
    backend = rds_backends[account_id][region]
    candidates = {"cluster": backend.clusters, "db": backend.databases}
    if kind is not None and kind not in candidates:
        raise Refused(f"kind is {kind!r}, expected one of {sorted(candidates)}")
    found = [stores[name] for of_kind, stores in candidates.items() if kind in (None, of_kind) and name in stores]
    if len(found) != 1:
        known = {of_kind: sorted(stores) for of_kind, stores in candidates.items()}
        raise Refused(f"{len(found)} stores are named {name!r} (kind {kind}); there are {known}")
    return found[0]
