"""Security groups: names, rules, deletion, paging."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import (
    DependencyViolationError,
    InvalidSecurityGroupDuplicateError,
    RulesPerSecurityGroupLimitExceededError,
)
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupBackend, SecurityGroupRule
from moto.ec2.responses.security_groups import SecurityGroups

from . import prefix_lists
from .errors import AwsError, group_not_found, invalid_parameter
from .patching import patch
from .paging import ec2_page

GROUPS_PER_INTERFACE = 5
# In each direction.
RULES_PER_FAMILY = 60

_TEXT = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}\Z")
# The same set without the ampersand.
_RULE_TEXT = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=;{}!$*]{0,255}\Z")


def resolve(backend: Any, group_ids: Iterable[str], vpc_id: str) -> list[SecurityGroup]:
    """The groups that a network interface in ``vpc_id`` is to carry, or AWS's refusal."""
    groups = []
    for group_id in dict.fromkeys(group_ids):
        group = backend.get_security_group_from_id(group_id)
        if group is None:
            raise group_not_found(group_id)
        if group.vpc_id != vpc_id:
            raise AwsError(
                "InvalidGroup.NotFound",
                f"You have specified two resources that belong to different networks: {group_id} is not in {vpc_id}",
            )
        groups.append(group)
    if len(groups) > GROUPS_PER_INTERFACE:
        raise AwsError(
            "SecurityGroupsPerInterfaceLimitExceeded",
            "The maximum number of security groups per interface has been reached.",
        )
    return groups


def install() -> None:
    """Mends naming, rules, deletion and description of security groups."""
    _install_look_up()
    _install_rules()
    _install_life()


def _install_look_up() -> None:
    @patch(SecurityGroupBackend)
    def get_security_group_from_id(original: Callable[..., Any], self: Any, group_id: str) -> SecurityGroup | None:
        return next((groups[group_id] for groups in self.groups.values() if group_id in groups), None)

    @patch(SecurityGroupBackend)
    def describe_security_groups(
        original: Callable[..., Any],
        self: Any,
        group_ids: list[str] | None = None,
        groupnames: list[str] | None = None,
        filters: Any = None,
    ) -> list[SecurityGroup]:
        for group_id in group_ids or []:
            if self.get_security_group_from_id(group_id) is None:
                raise group_not_found(group_id)
        return original(self, group_ids, groupnames, filters)

    @patch(SecurityGroup)
    def matches_filter(original: Callable[..., Any], self: Any, key: str, filter_value: Any) -> bool:
        if not key.startswith("tag") and key not in self.filters:
            raise invalid_parameter(f"The filter '{key}' is invalid")
        return original(self, key, filter_value)

    @patch(SecurityGroups)
    def describe_security_groups(original: Callable[..., Any], self: Any) -> Any:  # noqa: F811
        answer = original(self)
        found, token = ec2_page(self, answer.result["SecurityGroups"])
        answer.result.update(SecurityGroups=found, NextToken=token)
        return answer


def _meaning(rule: SecurityGroupRule) -> tuple[Any, ...]:
    """What makes two rules the same rule; a description is not part of it."""
    peer = rule.source_group or {}
    ports = None if rule.ip_protocol == "-1" else (str(rule.from_port), str(rule.to_port))
    return (
        rule.ip_protocol,
        ports,
        rule.ip_range.get("CidrIp"),
        rule.ip_range.get("CidrIpv6"),
        peer.get("GroupId") or peer.get("GroupName"),
        rule.prefix_list_id,
    )


def _install_rules() -> None:
    @patch(SecurityGroupRule)
    def __eq__(original: Callable[..., Any], self: Any, other: Any) -> bool:
        return isinstance(other, SecurityGroupRule) and _meaning(self) == _meaning(other)

    SecurityGroupRule.__hash__ = lambda rule: hash(_meaning(rule))  # type: ignore[method-assign]

    # moto knows the description of a CIDR rule only, although it keeps that of a group rule too.
    SecurityGroupRule.description = property(  # type: ignore[assignment, method-assign]
        lambda rule: rule.ip_range.get("Description") or rule.source_group.get("Description")
    )

    # moto counts a prefix list as nothing, and the rules of both address families together; what
    # they come to is counted once they are there.
    @patch(SecurityGroupBackend)
    def _verify_group_will_respect_rule_count_limit(original: Callable[..., Any], self: Any, *_: Any, **__: Any) -> None:
        pass

    # A call that changes several rules takes effect as a whole or not at all.
    def change_rules(direction: str, change: str) -> Callable[..., Any]:
        kept_in = f"{direction}_rules"

        def changed(original: Callable[..., Any], self: Any) -> ActionResult:
            self.error_on_dryrun()
            requests = list(self._process_rules_from_querystring())
            name_or_id = requests[0]["group_name_or_id"] if requests else None
            group = self.ec2_backend.get_security_group_by_name_or_id(name_or_id) if name_or_id else None
            if group is None:
                raise group_not_found(name_or_id)
            if change == "authorize":
                _check_peers_and_texts(self.ec2_backend, group, requests)
            before = list(getattr(group, kept_in))
            added = []
            try:
                for request in requests:
                    if change == "revoke":
                        request.pop("sgrule_tags")
                    answer = getattr(self.ec2_backend, f"{change}_security_group_{direction}")(**request)
                    if change == "authorize":
                        added.extend(answer[0])
                        _check_room(self.ec2_backend, getattr(group, kept_in))
            except Exception:
                setattr(group, kept_in, before)
                raise
            return ActionResult({"Return": True, "SecurityGroupRules": added} if added else {"Return": True})

        changed.__name__ = f"{change}_security_group_{direction}"
        return changed

    for direction in ("ingress", "egress"):
        for change in ("authorize", "revoke"):
            patch(SecurityGroups)(change_rules(direction, change))


def _check_room(backend: Any, rules: list[SecurityGroupRule]) -> None:
    for family, member in (("IPv4", "CidrIp"), ("IPv6", "CidrIpv6")):
        taken = 0
        for rule in rules:
            if rule.prefix_list_id:
                prefix_list = prefix_lists.find(backend, rule.prefix_list_id)
                # A list takes the room that it may grow into.
                taken += int(prefix_list.max_entries or 1) if prefix_list.address_family == family else 0
            elif rule.ip_range:
                taken += member in rule.ip_range
            else:
                taken += 1
        if taken > RULES_PER_FAMILY:
            raise RulesPerSecurityGroupLimitExceededError


def _check_peers_and_texts(backend: Any, group: SecurityGroup, requests: list[dict[str, Any]]) -> None:
    for request in requests:
        for named in request["prefix_list_ids"] or []:
            prefix_lists.find(backend, named["PrefixListId"])
        for peer in request["source_groups"] or []:
            other = backend.get_security_group_from_id(peer.get("GroupId")) if peer.get("GroupId") else None
            if other is not None and other.vpc_id != group.vpc_id:
                raise AwsError(
                    "InvalidGroup.NotFound",
                    "You have specified two resources that belong to different networks: "
                    f"{other.id} is not in {group.vpc_id}",
                )
        for part in [*(request["source_groups"] or []), *(request["ip_ranges"] or [])]:
            if isinstance(part, dict) and not _RULE_TEXT.match(part.get("Description") or ""):
                raise invalid_parameter(
                    "Invalid rule description. Valid descriptions are strings less than 256 characters "
                    "from the following set: a-zA-Z0-9. _-:/()#,@[]+=;{}!$*"
                )


def _install_life() -> None:
    @patch(SecurityGroupBackend)
    def create_security_group(
        original: Callable[..., Any],
        self: Any,
        name: str,
        description: str,
        vpc_id: str | None = None,
        tags: dict[str, str] | None = None,
        force: bool = False,
        is_default: bool | None = None,
    ) -> SecurityGroup:
        vpc_id = vpc_id or self.default_vpc.id
        if vpc_id not in self.vpcs:
            raise AwsError("InvalidVpcID.NotFound", f"The vpc ID '{vpc_id}' does not exist")
        if not is_default:
            _check_name(name, description)
            taken = {group.name.lower() for group in self.groups[vpc_id].values()}
            if name.lower() in taken:
                raise InvalidSecurityGroupDuplicateError(name)
        return original(self, name, description, vpc_id, tags, force, is_default)

    @patch(SecurityGroups)
    def create_security_group(original: Callable[..., Any], self: Any) -> Any:  # noqa: F811
        answer = original(self)
        tags = self._parse_tag_specification().get("security-group", {})
        answer.result["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
        return answer

    @patch(SecurityGroupBackend)
    def _delete_security_group(original: Callable[..., Any], self: Any, vpc_id: str | None, group_id: str) -> None:
        group = self.groups[vpc_id or self.default_vpc.id][group_id]
        if group.is_default or group.name == "default":
            raise AwsError(
                "CannotDelete",
                f'the specified group: "{group_id}" name: "{group.name}" cannot be deleted by a user',
            )
        if any(_dependents(self, group_id)):
            raise DependencyViolationError(f"resource {group_id} has a dependent object")
        original(self, vpc_id, group_id)


def _check_name(name: str, description: str) -> None:
    if name.startswith("sg-"):
        raise invalid_parameter("Invalid value for groupName. Group names may not be in the format sg-*")
    for parameter, text in (("groupName", name), ("GroupDescription", description)):
        # moto has its own answer for a missing description.
        if text and not _TEXT.match(text):
            raise invalid_parameter(
                f"Value ({text}) for parameter {parameter} is invalid: 1 to 255 of a-zA-Z0-9 ._-:/()#,@[]+=&;{{}}!$*"
            )


def _dependents(backend: Any, group_id: str) -> Iterable[bool]:
    # Those of data stores are among them.
    for interface in backend.get_all_network_interfaces():
        yield any(group.id == group_id for group in interface.group_set)
    for groups in backend.groups.values():
        for other in groups.values():
            if other.id != group_id:
                yield any(
                    (rule.source_group or {}).get("GroupId") == group_id
                    for rule in [*other.ingress_rules, *other.egress_rules]
                )
