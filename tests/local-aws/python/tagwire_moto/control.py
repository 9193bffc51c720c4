"""What a test may do to the local AWS that AWS itself would do. Each is a ``POST`` with a JSON object.

``/tagwire/store-status`` with ``{"store": <ARN or identifier>, "status": "modifying"}`` puts a data
store into a state; add ``"kind"``, as it stands in ARNs, where an identifier alone is not clear. The
answer is what the store's state was before, so that a test can put it back.

``/tagwire/delays`` with ``{"creating": 2, "changing": 0.5}`` says how many seconds stores take from
now on: to become available once they are made, and to change their security groups, which are
`adding` and `removing` until then.

``/tagwire/tag-events`` with ``{"sent": false}`` loses the events of tags that change from now on.

``/tagwire/interface`` with ``{"subnet": ..., "groups": [...], "kind": "lambda", "requester": ...,
"description": ...}`` makes a network interface that another service manages, as Lambda does for a
function; the answer has its id. With ``{"delete": <id>}`` such an interface goes again.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

from moto.ec2.models import ec2_backends

from . import lifecycle, stores, tag_events
from .errors import AwsError
from .interfaces import ManagedInterface
from .security_groups import resolve


class Refused(Exception):
    """A request to a control end point that makes no sense; its text is the answer."""


def serve(application: Callable[..., Iterable[bytes]], account_id: str, region: str) -> Callable[..., Iterable[bytes]]:
    """A WSGI application that answers the control end points itself and leaves all else to the given one."""
    actions: dict[str, Callable[[Any, str, str], dict[str, Any]]] = {
        "/tagwire/store-status": _set_status,
        "/tagwire/delays": _set_delays,
        "/tagwire/tag-events": _send_tag_events,
        "/tagwire/interface": _change_interface,
    }

    def served(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        action = actions.get(environ.get("PATH_INFO", ""))
        if action is None:
            return application(environ, start_response)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        try:
            answer = action(json.loads(environ["wsgi.input"].read(length)), account_id, region)
            status = "200 OK"
        except (Refused, AwsError, KeyError, ValueError) as error:
            answer, status = {"error": f"{type(error).__name__}: {error}"}, "400 Bad Request"
        body = json.dumps(answer).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return served


def _set_status(request: dict[str, str], account_id: str, region: str) -> dict[str, Any]:
    arn, store = _find(request["store"], request.get("kind"), account_id, region)
    before, store.status = store.status, request["status"]
    return {"arn": arn, "before": before, "status": store.status}


def _find(name: str, kind: str | None, account_id: str, region: str) -> tuple[str, Any]:
    known = dict(stores.by_arn(account_id, region))
    if name in known:
        return name, known[name]

    def named(arn: str) -> bool:
        of_kind, identifier = arn.split(":", 6)[5:]
        return identifier == name and kind in (None, of_kind)

    found = [(arn, store) for arn, store in known.items() if named(arn)]
    if len(found) != 1:
        raise Refused(f"{len(found)} stores are named {name!r} (kind {kind}); there are {sorted(known)}")
    return found[0]


def _set_delays(request: dict[str, float], _account_id: str, _region: str) -> dict[str, Any]:
    for name, seconds in request.items():
        if name not in vars(lifecycle.delays):
            raise Refused(f"there is no delay {name!r}; there are {sorted(vars(lifecycle.delays))}")
        setattr(lifecycle.delays, name, float(seconds))
    return vars(lifecycle.delays)


def _send_tag_events(request: dict[str, bool], _account_id: str, _region: str) -> dict[str, Any]:
    tag_events.state.sent = bool(request["sent"])
    return {"sent": tag_events.state.sent}


def _change_interface(request: dict[str, Any], account_id: str, region: str) -> dict[str, Any]:
    backend = ec2_backends[account_id][region]
    if "delete" in request:
        if not isinstance(backend.enis.get(request["delete"]), ManagedInterface):
            raise Refused(f"{request['delete']} is no interface that was made here")
        del backend.enis[request["delete"]]
        return {"deleted": request["delete"]}
    subnet = backend.get_subnet(request["subnet"])
    groups = [group.id for group in resolve(backend, request["groups"], subnet.vpc_id)]
    interface = ManagedInterface(backend, subnet.id, groups, request["requester"], request["description"], request["kind"])
    backend.enis[interface.id] = interface
    return {"interface": interface.id}
