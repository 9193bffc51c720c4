"""The calls that EventBridge is told of through CloudTrail.

ElastiCache's node-based caches and Redshift's clusters send no events of their own, so that who wants
to know of them reads `AWS API Call via CloudTrail`. Calls that only read are not delivered; calls
that failed are, with their error code.

Who made a call is told by the session token that stands in its request: the functions have the ARN of
their role there (the other server sees to it), as on AWS a token stands for a role. A call without
one is an IAM user's.
"""

import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

from botocore.parsers import create_parser
from moto.core.responses import BaseResponse
from moto.core.utils import get_service_model

from . import native_events
from .patching import patch

SERVICES = frozenset({"elasticache", "redshift"})

_READS = ("Describe", "List", "Get")
_SECRETS = frozenset({"masterUserPassword", "authToken"})


def install() -> None:
    """Tells EventBridge of every call that changes something in one of the services."""

    @patch(BaseResponse)
    def call_action(original: Callable[..., Any], self: Any) -> Any:
        answer = original(self)
        action = self._get_action()
        if self.service_name in SERVICES and not action.startswith(_READS):
            _tell(self, action, answer)
        return answer


def _tell(response: Any, action: str, answer: tuple[int, Any, Any]) -> None:
    status, headers, body = answer
    model = get_service_model(response.boto3_service_name)
    text = body.encode() if isinstance(body, str) else body
    parsed = create_parser(model.protocol).parse(
        {"status_code": status, "headers": headers, "body": text}, model.operation_model(action).output_shape
    )
    parsed.pop("ResponseMetadata", None)
    now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    record: dict[str, Any] = {
        "eventVersion": "1.11",
        "userIdentity": _caller(response),
        "eventTime": now,
        "eventSource": f"{response.service_name}.amazonaws.com",
        "eventName": action,
        "awsRegion": response.region,
        "sourceIPAddress": "203.0.113.10",
        "userAgent": response.headers.get("User-Agent", ""),
        "requestParameters": _recorded(dict(response.params)),
        "responseElements": None,
        "requestID": str(uuid.uuid4()),
        "eventID": str(uuid.uuid4()),
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": response.current_account,
        "eventCategory": "Management",
    }
    if status >= 400:
        record |= {"errorCode": parsed["Error"]["Code"], "errorMessage": parsed["Error"].get("Message", "")}
    else:
        record["responseElements"] = _response_elements(_recorded(parsed))
    backend = SimpleNamespace(account_id=response.current_account, region_name=response.region)
    native_events.api_call(backend, response.service_name, record)


def _response_elements(members: dict[str, Any]) -> Any:
    """What CloudTrail keeps of an answer: only those about serverless caches stay in the member that wraps them."""
    wrapped = next(iter(members.values())) if len(members) == 1 else None
    if isinstance(wrapped, dict) and "serverlessCache" not in members:
        return wrapped
    return members or None


def _caller(response: Any) -> dict[str, Any]:
    account = response.current_account
    role = response.headers.get("X-Amz-Security-Token", "")
    if ":role/" not in role:
        return {
            "type": "IAMUser",
            "principalId": "AIDAEXAMPLEUSER00001",
            "arn": f"arn:aws:iam::{account}:user/Admin",
            "accountId": account,
            "userName": "Admin",
        }
    name = role.rsplit("/", 1)[-1]
    return {
        "type": "AssumedRole",
        "principalId": f"AROAEXAMPLEROLE00001:{name}",
        "arn": f"arn:aws:sts::{account}:assumed-role/{name}/{name}",
        "accountId": account,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAEXAMPLEROLE00001",
                "arn": role,
                "accountId": account,
                "userName": name,
            }
        },
    }


def _recorded(value: Any) -> Any:
    """A request or an answer in CloudTrail's spelling: the first letter of each member in lower case."""
    if isinstance(value, dict):
        spelled = {name[0].lower() + name[1:]: _recorded(member) for name, member in value.items()}
        return {name: "****" if name in _SECRETS else member for name, member in spelled.items()}
    if isinstance(value, (list, tuple)):
        return [_recorded(member) for member in value]
    if isinstance(value, datetime):
        return f"{value:%b %-d, %Y %-I:%M:%S %p}"
    return value
