"""IAM, enforced for the functions: each call is judged under the policies that the stack gives to the function's role.

It is off unless `TAGWIRE_EVALUATE` and `TAGWIRE_NODE` say where the evaluator of `tests/iam` and a Node.js are. The
evaluator is AGPL and runs in a process of its own. The role stands in the request's session token; a call without one
is a test's and goes through.

With `TAGWIRE_PERMISSIONS_USED`, a folder, what was allowed is written there for each role and action, with the test in
which it was.
"""

import json
import os
import subprocess
import threading
import urllib.request
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from permissions import Part, Place, UnknownCall, asked, call


def is_on() -> bool:
    """Whether calls are to be judged."""
    return "TAGWIRE_EVALUATE" in os.environ


class Judge:
    """Answers whether a role may do something, by the evaluator. For the process that knows the roles."""

    def __init__(self, account: str, policies: Callable[[str], list[dict[str, Any]]]):
        self._account = account
        self._policies = policies
        self._lock = threading.Lock()
        self._evaluator: subprocess.Popen[str] | None = None
        self._used: set[tuple[str, str]] = set()
        folder = os.environ.get("TAGWIRE_PERMISSIONS_USED")
        self._record = Path(folder) / f"{uuid.uuid4()}.jsonl" if folder else None

    def refusal(self, role: str, parts: Iterable[dict[str, Any]]) -> str | None:
        """What of a call the role may not do; None if it may do all of it."""
        parts = list(parts)
        answers = self._answers([self._simulation(role, part) for part in parts])
        for part, answer in zip(parts, answers, strict=True):
            # A condition key that AWS does not document for the action would be a mistake of ours.
            if answer.get("result") != "Allowed" or answer["ignored"]:
                return f"{role} is not authorized to perform {part['action']} on {part['resource']}: {answer}"
        for part in parts:
            self._note(role, part["action"])
        return None

    def _simulation(self, role: str, part: dict[str, Any]) -> dict[str, Any]:
        policies = [{"name": str(number), "policy": policy} for number, policy in enumerate(self._policies(role))]
        return {
            "request": {
                "principal": role,
                "action": part["action"],
                "resource": {"resource": part["resource"], "accountId": self._account},
                "contextVariables": part["context"],
            },
            "identityPolicies": policies,
            "serviceControlPolicies": [],
            "resourceControlPolicies": [],
        }

    def _answers(self, simulations: list[dict[str, Any]]) -> list[dict[str, Any]]:
        line = json.dumps({"simulations": simulations, "actions": [], "services": []})
        with self._lock:
            if self._evaluator is None:
                command = [os.environ["TAGWIRE_NODE"], os.environ["TAGWIRE_EVALUATE"]]
                pipe = subprocess.PIPE
                self._evaluator = subprocess.Popen(command, stdin=pipe, stdout=pipe, encoding="utf-8")
            assert self._evaluator.stdin and self._evaluator.stdout
            self._evaluator.stdin.write(line + "\n")
            self._evaluator.stdin.flush()
            return json.loads(self._evaluator.stdout.readline())["answers"]

    def _note(self, role: str, action: str) -> None:
        with self._lock:
            if self._record is None or (role, action) in self._used:
                return
            self._used.add((role, action))
            self._record.parent.mkdir(parents=True, exist_ok=True)
            line = {"role": role, "action": action, "test": os.environ.get("TAGWIRE_TEST", "")}
            with self._record.open("a") as file:
                file.write(json.dumps(line) + "\n")


def judged_elsewhere(endpoint: str) -> Callable[[str, list[dict[str, Any]]], str | None]:
    """Asks the process that knows the roles."""

    def refusal(role: str, parts: list[dict[str, Any]]) -> str | None:
        body = json.dumps({"role": role, "parts": parts}).encode()
        request = urllib.request.Request(f"{endpoint}/tagwire/authorize", data=body, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["refusal"]

    return refusal


Refusal = Callable[[str, list[dict[str, Any]]], str | None]


def is_of_function(headers: dict[str, str]) -> bool:
    """Whether a function made the request. The names of headers are in lower case."""
    return ":role/" in headers.get("x-amz-security-token", "")


def refused(headers: dict[str, str], body: bytes, place: Place, refusal: Refusal) -> tuple[int, str, bytes] | None:
    """The answer to a call of a function that its role may not make: status, type and body. None if it may."""
    made = call(headers, body)
    if made is None:
        return None
    role = headers["x-amz-security-token"]
    try:
        parts: list[Part] = asked(made, place)
        message = refusal(role, [vars(part) for part in parts])
    except (UnknownCall, KeyError) as error:
        message = f"it is not known what AWS asks IAM about {made.service} {made.action}: {error!r}"
    return None if message is None else _answer(made.service, message)


def _answer(service: str, message: str) -> tuple[int, str, bytes]:
    if service == "ec2":
        text = (
            f"<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>{escape(message)}</Message></Error>"
            "</Errors><RequestID>refused</RequestID></Response>"
        )
        return 403, "text/xml", text.encode()
    if service in ("rds", "elasticache", "redshift"):
        text = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{escape(message)}</Message>"
            "</Error><RequestId>refused</RequestId></ErrorResponse>"
        )
        return 403, "text/xml", text.encode()
    body = {"__type": "AccessDeniedException", "message": message}
    return 400, "application/x-amz-json-1.1", json.dumps(body).encode()
