"""What ministack leaves out of an account that somebody asks whether it is ready.

- ``SimulatePrincipalPolicy`` knows one resource, no context and no permissions boundary, and denies
  what a role that does not exist would do.
- ``CreateServiceLinkedRole`` names roles by its own rule, which is not AWS's.
- ``DescribeEffectivePolicy`` is missing. Only what a policy assigns is understood, not the operators
  by which one policy limits what another may do.
"""

import json
from typing import Any
from xml.sax.saxutils import escape


def install() -> None:
    """Mends all of them."""
    from ministack.services import iam, organizations

    handlers = _dispatch(iam, "SimulatePrincipalPolicy")
    handlers["SimulatePrincipalPolicy"] = lambda params: _simulate(iam, params)
    create = handlers["CreateServiceLinkedRole"]
    handlers["CreateServiceLinkedRole"] = lambda params: _create_service_linked_role(iam, create, params)
    operations = _dispatch(organizations, "ListPolicies")
    if "DescribeEffectivePolicy" in operations:
        raise RuntimeError("this ministack has a DescribeEffectivePolicy of its own by now")
    operations["DescribeEffectivePolicy"] = lambda payload: _effective_policy(organizations, payload)


def _dispatch(module: Any, operation: str) -> dict[str, Any]:
    return next(table for table in vars(module).values() if isinstance(table, dict) and operation in table)


def _members(params: dict[str, Any], prefix: str) -> list[str]:
    values = []
    while (value := params.get(f"{prefix}.member.{len(values) + 1}")) is not None:
        values.append(value[0] if isinstance(value, list) else value)
    return values


def _context(params: dict[str, Any]) -> dict[str, Any]:
    context: dict[str, Any] = {}
    for number in range(1, 100):
        prefix = f"ContextEntries.member.{number}"
        if f"{prefix}.ContextKeyName" not in params:
            break
        name, kind = (params[f"{prefix}.{part}"] for part in ("ContextKeyName", "ContextKeyType"))
        name, kind = (part[0] if isinstance(part, list) else part for part in (name, kind))
        values = _members(params, f"{prefix}.ContextKeyValues")
        context[name.lower()] = values if kind.endswith("List") else values[0]
    return context


def _simulate(iam: Any, params: dict[str, Any]) -> Any:
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id, get_region

    principal = iam._p(params, "PolicySourceArn")
    account = get_account_id()
    kind, _, name = principal.rpartition(":")[2].partition("/")
    store = iam._roles if kind == "role" else iam._users
    if name not in store:
        return iam._error(404, "NoSuchEntity", f"The {kind} with name {name} cannot be found.", ns="iam")
    gather = iam_evaluator._gather_role_policies if kind == "role" else iam_evaluator._gather_user_policies
    policies, limits = gather(name, account), iam_evaluator._permissions_boundary(store, name, account)
    context = _context(params)

    def decide(action: str, resource: str, *layers: Any) -> str:
        asked = iam_evaluator.EvalContext(
            principal_arn=principal,
            principal_type="Role" if kind == "role" else "User",
            principal_account=account,
            action=action,
            resource_arn=resource,
            region=get_region(),
            source_ip="127.0.0.1",
            secure_transport=True,
            # A request that sets no tag has no such key, which is something else than an empty list.
            tag_keys=context.get("aws:tagkeys"),
            service_context=context,
        )
        decision = iam_evaluator.evaluate(asked, *layers).decision
        return {"Allow": "allowed", "Deny": "explicitDeny"}.get(decision, "implicitDeny")

    resources = _members(params, "ResourceArns") or ["*"]
    results = []
    for action in _members(params, "ActionNames"):
        parts, decisions = [], []
        for resource in resources:
            decision = decide(action, resource, policies, *limits)
            decisions.append(decision)
            boundary = "".join(
                "<PermissionsBoundaryDecisionDetail><AllowedByPermissionsBoundary>"
                f"{str(decide(action, resource, limit) == 'allowed').lower()}"
                "</AllowedByPermissionsBoundary></PermissionsBoundaryDecisionDetail>"
                for limit in limits
            )
            parts.append(
                f"<member><EvalResourceName>{escape(resource)}</EvalResourceName>"
                f"<EvalResourceDecision>{decision}</EvalResourceDecision>{boundary}</member>"
            )
        # The strictest decision stands for all.
        whole = max(decisions, key=["allowed", "implicitDeny", "explicitDeny"].index)
        results.append(
            f"<member><EvalActionName>{escape(action)}</EvalActionName><EvalResourceName>*</EvalResourceName>"
            f"<EvalDecision>{whole}</EvalDecision>"
            f"<ResourceSpecificResults>{''.join(parts)}</ResourceSpecificResults></member>"
        )
    return iam._xml(
        200,
        "SimulatePrincipalPolicyResponse",
        f"<SimulatePrincipalPolicyResult><EvaluationResults>{''.join(results)}</EvaluationResults>"
        "<IsTruncated>false</IsTruncated></SimulatePrincipalPolicyResult>",
        ns="iam",
    )


# What a service calls itself in the name of its role.
SERVICES = {"rds": "RDS", "elasticache": "ElastiCache"}


def _create_service_linked_role(iam: Any, create: Any, params: dict[str, Any]) -> Any:
    word = iam._p(params, "AWSServiceName").partition(".")[0]
    wrong, right = (f"AWSServiceRoleFor{name}" for name in (word.capitalize(), SERVICES.get(word, word.capitalize())))
    if right != wrong and right in iam._roles:
        return iam._error(409, "EntityAlreadyExists", f"Role with name {right} already exists.", ns="iam")
    status, headers, body = create(params)
    if status == 200 and right != wrong:
        role = iam._roles.pop(wrong)
        iam._roles[right] = {**role, "RoleName": right, "Arn": role["Arn"].replace(wrong, right)}
        body = body.replace(wrong.encode(), right.encode())
    return status, headers, body


def _effective_policy(organizations: Any, payload: dict[str, Any]) -> Any:
    from ministack.core.responses import get_account_id

    def refuse(code: str, message: str) -> Any:
        return organizations.error_response_json(code, message, 400)

    # ministack makes an organization for whoever asks for one; until then there is none.
    if "self" not in organizations._orgs:
        return refuse("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
    kind, account = payload["PolicyType"], get_account_id()
    targets, above = [], account
    while above:
        targets.append(above)
        record = organizations._accounts.get(above) or organizations._ous.get(above) or {}
        above = record.get("_ParentId")
    effective: dict[str, Any] = {}
    for target in reversed(targets):
        for policy in organizations._policies.values():
            if policy["Type"] == kind and target in (organizations._attachments.get(policy["Id"]) or []):
                _merge(effective, _assigned(json.loads(policy["_Content"])))
    if not effective:
        return refuse("EffectivePolicyNotFoundException", f"There is no effective policy of the type {kind}.")
    policy = {"PolicyContent": json.dumps(effective), "PolicyType": kind, "TargetId": account}
    return organizations._json(200, {"EffectivePolicy": policy})


def _assigned(content: Any) -> Any:
    if not isinstance(content, dict):
        return content
    if "@@assign" in content:
        return content["@@assign"]
    unknown = [key for key in content if key.startswith("@@")]
    if unknown:
        raise NotImplementedError(f"the local AWS does not know what {unknown} does to a policy")
    return {key: _assigned(value) for key, value in content.items()}


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
