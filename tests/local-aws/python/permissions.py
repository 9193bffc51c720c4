"""What AWS asks IAM before it carries out a call: actions, resources and condition keys.

It knows the calls that tagwire's functions make. Any other is refused, so that no call goes through that nobody thought
about. What Lambda, the scheduler and ElastiCache do under a role is no call of a function and does not come by here.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

Parameters = dict[str, Any]
Context = dict[str, str | list[str]]


class UnknownCall(Exception):
    """A call that is not known here."""


@dataclass(frozen=True)
class Part:
    """An action on a resource, with the condition keys that come with it."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """A signed request."""

    service: str
    action: str
    parameters: Parameters


@dataclass(frozen=True)
class Place:
    """Where the resources are, and what is known of those that a request only names."""

    account: str
    region: str
    # The tags of a resource of EC2; the owner of a prefix list; the instance that has an interface.
    tags: Callable[[str], dict[str, str]] = lambda _: {}
    owner: Callable[[str], str] = lambda _: ""
    instance: Callable[[str], str | None] = lambda _: None

    def arn(self, service: str, resource: str, account: str = "") -> str:
        """The ARN of a resource of a service."""
        return f"arn:aws:{service}:{self.region}:{account or self.account}:{resource}"




def call(headers: dict[str, str], body: bytes) -> Call | None:
    """The call that a request is; None when it is not signed. The names of headers are in lower case."""
    signed = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", headers.get("authorization", ""))
    if not signed:
        return None
    target = headers.get("x-amz-target", "")
    if target:
        return Call(signed[1], target.rsplit(".", 1)[-1], json.loads(body or b"{}"))
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    return Call(signed[1], form.get("Action", ""), form)


def asked(call: Call, place: Place) -> list[Part]:
    """All that has to be allowed for a call."""
    of_service = {
        "ec2": _ec2,
        "rds": _store,
        "elasticache": _store,
        "redshift": _store,
        "dynamodb": _dynamodb,
        "sqs": _sqs,
        "tagging": _tag_index,
    }.get(call.service)
    if of_service is None:
        raise UnknownCall(f"{call.service} {call.action}")
    return list(of_service(call, place))


def _numbered(parameters: Parameters, form: str) -> dict[str, str]:
    """The parameters whose names are of a form, by the number in them."""
    return {match[1]: value for name, value in parameters.items() if (match := re.fullmatch(form, name))}


def _requested(parameters: Parameters) -> Context:
    """The condition keys of the tags that a request sets, or the keys of those that it removes."""
    keys = _numbered(parameters, r"(?:.*\.)?(?:Tag|Tags\.\w+|Tags)\.(\d+)\.Key")
    values = _numbered(parameters, r"(?:.*\.)?(?:Tag|Tags\.\w+|Tags)\.(\d+)\.Value")
    removed = _numbered(parameters, r"TagKeys\.\w+\.(\d+)")
    context: Context = {f"aws:RequestTag/{key}": values[number] for number, key in keys.items() if number in values}
    if keys or removed:
        context["aws:TagKeys"] = [*keys.values(), *removed.values()]
    return context


def _tagged(place: Place, resource_id: str) -> Context:
    return {f"aws:ResourceTag/{key}": value for key, value in place.tags(resource_id).items()}


_EC2_KINDS = {"i": "instance", "sg": "security-group", "eni": "network-interface", "pl": "prefix-list"}
_OF_GROUP = re.compile("(Authorize|Revoke)SecurityGroup(Ingress|Egress)|DeleteSecurityGroup")


def _ec2(call: Call, place: Place) -> Iterable[Part]:
    action, parameters = f"ec2:{call.action}", call.parameters

    def part(resource_id: str, more: Context | None = None) -> Part:
        resource = f"{_EC2_KINDS[resource_id.split('-', 1)[0]]}/{resource_id}"
        return Part(action, place.arn("ec2", resource), _tagged(place, resource_id) | (more or {}))

    if call.action == "GetManagedPrefixListEntries":
        prefix_list = parameters["PrefixListId"]
        yield Part(action, place.arn("ec2", f"prefix-list/{prefix_list}", place.owner(prefix_list)))
    elif call.action.startswith("Describe"):
        yield Part(action, "*")
    elif call.action == "CreateSecurityGroup":
        requested = _requested(parameters)
        group = place.arn("ec2", "security-group/sg-00000000000000000")
        yield Part(action, group, requested)
        yield Part(action, place.arn("ec2", f"vpc/{parameters['VpcId']}"))
        if requested:
            yield Part("ec2:CreateTags", group, requested | {"ec2:CreateAction": call.action})
    elif call.action in ("CreateTags", "DeleteTags"):
        for resource_id in _numbered(parameters, r"ResourceId\.(\d+)").values():
            yield part(resource_id, _requested(parameters))
    elif _OF_GROUP.fullmatch(call.action):
        yield part(parameters["GroupId"])
    elif call.action == "ModifyNetworkInterfaceAttribute":
        interface = parameters["NetworkInterfaceId"]
        instance = place.instance(interface)
        groups = _numbered(parameters, r"SecurityGroupId\.(\d+)").values()
        for resource_id in (interface, *([instance] if instance else []), *groups):
            yield Part(part(resource_id).action, part(resource_id).resource)
    else:
        raise UnknownCall(action)


# The parameter that names a store or what belongs to one, the kind in its ARN, and whether a call may leave it out.
_NAMES = {
    "rds": {
        "DBClusterIdentifier": "cluster",
        "DBInstanceIdentifier": "db",
        "DBSubnetGroupName": "subgrp",
        "DBClusterParameterGroupName": "cluster-pg",
        "DBParameterGroupName": "pg",
        "OptionGroupName": "og",
    },
    "elasticache": {
        "ReplicationGroupId": "replicationgroup",
        "CacheClusterId": "cluster",
        "ServerlessCacheName": "serverlesscache",
        "CacheSubnetGroupName": "subnetgroup",
        "CacheParameterGroupName": "parametergroup",
        "UserGroupId": "usergroup",
    },
    "redshift": {"ClusterIdentifier": "cluster"},
}
# What a call that reads is about when it names nothing.
_LISTED = {
    "DescribeDBClusters": "cluster",
    "DescribeDBInstances": "db",
    "DescribeDBSubnetGroups": "subgrp",
    "DescribeReplicationGroups": "replicationgroup",
    "DescribeCacheClusters": "cluster",
    "DescribeServerlessCaches": "serverlesscache",
    "DescribeCacheSubnetGroups": "subnetgroup",
    "DescribeClusters": "cluster",
}
_MODIFIES = re.compile("Modify(DBCluster|DBInstance|ReplicationGroup|CacheCluster|ServerlessCache|Cluster)")
_TAGS = re.compile("ListTagsForResource|AddTagsToResource|RemoveTagsFromResource|CreateTags|DeleteTags")


def _store(call: Call, place: Place) -> Iterable[Part]:
    action, parameters = f"{call.service}:{call.action}", call.parameters
    if _TAGS.fullmatch(call.action):
        yield Part(action, parameters["ResourceName"], _requested(parameters))
        return
    if call.action not in _LISTED and not _MODIFIES.fullmatch(call.action):
        raise UnknownCall(action)
    context: Context = {}
    if "ManageMasterUserPassword" in parameters:
        context["rds:ManageMasterUserPassword"] = parameters["ManageMasterUserPassword"]
    named = [
        (kind, parameters[name]) for name, kind in _NAMES[call.service].items() if parameters.get(name)
    ] or [(_LISTED[call.action], "*")]
    for kind, name in named:
        arn = name if name.startswith("arn:") else place.arn(call.service, f"{kind}:{name}")
        yield Part(action, arn, context)


def _dynamodb(call: Call, place: Place) -> Iterable[Part]:
    if call.action not in ("GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchGetItem"):
        raise UnknownCall(f"dynamodb:{call.action}")
    for table in call.parameters.get("RequestItems", [call.parameters.get("TableName")]):
        yield Part(f"dynamodb:{call.action}", place.arn("dynamodb", f"table/{table}"))


def _sqs(call: Call, place: Place) -> Iterable[Part]:
    # A batch is the same action to IAM.
    action = call.action.removesuffix("Batch")
    if action != "SendMessage":
        raise UnknownCall(f"sqs:{call.action}")
    yield Part("sqs:SendMessage", place.arn("sqs", call.parameters["QueueUrl"].rsplit("/", 1)[-1]))


def _tag_index(call: Call, _place: Place) -> Iterable[Part]:
    if call.action != "GetResources":
        raise UnknownCall(f"tag:{call.action}")
    yield Part("tag:GetResources", "*")
