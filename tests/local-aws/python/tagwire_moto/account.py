"""What moto leaves out of an account that somebody asks whether it is ready.

- A dry run of an EC2 call is carried out.
- An account is said to have EC2-Classic, which AWS retired, and no default VPC.
- Only quotas that were applied for are told, as if all had been.
"""

import json
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, BaseResponse
from moto.ec2.responses._base_response import EC2BaseResponse
from moto.ec2.responses.account_attributes import AccountAttributes
from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.models import ServiceQuotasBackend
from moto.servicequotas.responses import ServiceQuotasResponse

from .errors import AwsError
from .patching import add, patch


def install() -> None:
    """Mends all of them."""
    applied: dict[tuple[str, str], float] = {}

    @patch(BaseResponse)
    def call_action(original: Callable[..., Any], self: Any) -> Any:
        if not (isinstance(self, EC2BaseResponse) and self._get_bool_param("DryRun", False)):
            return original(self)
        refusal = AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
        _, headers, body = self.serialized(ActionResult(refusal))
        headers["status"] = "412"
        return 412, headers, body

    @patch(AccountAttributes)
    def describe_account_attributes(original: Callable[..., Any], self: Any) -> ActionResult:
        wanted = self._get_param("AttributeNames", [])
        defaults = [vpc.id for vpc in self.ec2_backend.vpcs.values() if str(vpc.is_default).lower() == "true"]
        default = next(iter(defaults), "none")
        patched = {"supported-platforms": ["VPC"], "default-vpc": [default]}
        attributes = original(self).result["AccountAttributes"]
        for attribute in attributes:
            if values := patched.get(attribute["AttributeName"]):
                attribute["AttributeValues"] = [{"AttributeValue": value} for value in values]
        told = [of for of in attributes if not wanted or of["AttributeName"] in wanted]
        return ActionResult({"AccountAttributes": told})

    @patch(ServiceQuotasBackend)
    def get_service_quota(original: Callable[..., Any], self: Any, service_code: str, quota_code: str) -> Any:
        if (service_code, quota_code) not in applied:
            # AWS has no value of the account's own for a quota that it has never changed.
            original(self, service_code, quota_code)
            raise NoSuchResource
        return {**original(self, service_code, quota_code), "Value": applied[service_code, quota_code]}

    @add(ServiceQuotasResponse)
    def get_aws_default_service_quota(self: Any) -> str:
        wanted = json.loads(self.body)
        quotas = self.backend.list_aws_default_service_quotas(wanted["ServiceCode"])
        found = next((quota for quota in quotas if quota["QuotaCode"] == wanted["QuotaCode"]), None)
        if found is None:
            raise NoSuchResource
        return json.dumps({"Quota": found})

    @add(ServiceQuotasResponse)
    def request_service_quota_increase(self: Any) -> str:
        wanted = json.loads(self.body)
        # AWS takes days for some of these, and asks a person; here it is granted at once.
        applied[wanted["ServiceCode"], wanted["QuotaCode"]] = wanted["DesiredValue"]
        return json.dumps({"RequestedQuota": {**wanted, "Status": "APPROVED"}})
