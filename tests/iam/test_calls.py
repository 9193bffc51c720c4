"""What must be allowed is allowed to exactly those who need it, and what must be refused is refused to everybody."""

import itertools
import re

import operations
import pytest
from asked import (
    ALWAYS,
    APPLIES,
    CONNECT,
    ENFORCES,
    EVERYBODY,
    GROUP_TAGS,
    HAS_GROUP_TAGS,
    LOOKS,
    ROLES,
    WRITES_STATUS,
)
from calls import FREE, NOT_NAMED, calls
from evaluator import Question, ask
from place import PARTITIONS, Place, of_people, roles

# The settings of a stack that its permissions depend on, and what connect may do with them.
SETTINGS = {
    (): {ALWAYS, ENFORCES},
    (("StatusTags", "on"),): {ALWAYS, ENFORCES, WRITES_STATUS},
    (("GroupTags", ",".join(map("=".join, GROUP_TAGS))),): {ALWAYS, ENFORCES, HAS_GROUP_TAGS},
    (("Mode", "dry-run"),): {ALWAYS},
    (("Mode", "dry-run"), ("StatusTags", "on")): {ALWAYS},
}


def listed(value):
    return value if isinstance(value, list) else [value]


def policies(place, settings, who):
    return of_people(who) if who in (LOOKS, APPLIES) else roles(place, **dict(settings))[who]


def asked(place, call, policies_of_them, **others):
    principal = place.role("whoever")
    return [
        Question(principal, part.action or call.action, part.resource, part.context, policies_of_them, **others)
        for part in call.parts
    ]


def judged(place, cases):
    """Whether each call is allowed; a call is, if all its parts are."""
    questions = [asked(place, call, policies(place, settings, who)) for settings, who, call in cases]
    answers = iter(ask([question for parts in questions for question in parts]).allowed)
    return [all(list(itertools.islice(answers, len(parts)))) for parts in questions]


def tried():
    """Each setting that grants something in each partition; what a dry run may not is the same in all."""
    for settings, grants in SETTINGS.items():
        name = "-".join("=".join(pair) for pair in settings) or "defaults"
        for partition in PARTITIONS if ENFORCES in grants else ["aws"]:
            yield pytest.param(partition, settings, id=f"{partition}-{name}")


@pytest.mark.parametrize(("partition", "settings"), list(tried()))
def test_each_call_is_allowed_to_whom_it_is_for_and_to_nobody_else(partition, settings):
    place = Place(partition)
    # Only connect's role depends on the settings, which a test of the template holds as well.
    whom = EVERYBODY if not settings else [CONNECT]
    cases = [(settings, who, call) for call in calls(place) for who in whom]
    wrong = [
        f"{who} {'may' if allowed else 'may not'}: {call}"
        for (_, who, call), allowed in zip(cases, judged(place, cases), strict=True)
        if allowed != (who in call.who and call.when in SETTINGS[settings])
    ]
    assert not wrong, "\n".join(wrong)
    assert len(cases) > 100


def test_every_call_that_the_code_can_make_has_a_case_that_is_allowed():
    made = {operation.action for operation in operations.called()}
    assert len(made) > 50
    assert made - {call.action for call in calls(Place("aws")) if call.who} == FREE


def test_every_action_that_a_policy_grants_has_a_case_that_is_allowed():
    place = Place("aws")
    settings = (("StatusTags", "on"),)
    tried = {(who, call.action) for call in calls(place) for who in call.who}
    granted = set()
    for who in EVERYBODY:
        for policy in policies(place, settings, who):
            for statement in policy["Statement"]:
                granted |= {(who, action) for action in listed(statement["Action"])}
    # What ElastiCache does on the role's behalf is also what the role does itself.
    assert granted <= tried, sorted(granted - tried)


def is_of(kind, resource):
    """Whether a resource is of a kind that AWS documents with the form of its ARNs."""
    form = re.sub(r"\\\$\\{\w+\\}", ".+", re.escape(kind["arn"])).replace(":.+:.+:", ":.*:.*:")
    return re.fullmatch(form, resource)


def test_every_call_is_tried_on_each_kind_of_resource_that_aws_documents_for_it():
    """Allowed with what it needs; and allowed, refused or never named with what a request may name besides."""
    place = Place("aws")
    needed, tried = {}, {}
    for call in calls(place):
        for part in call.parts:
            tried.setdefault(part.action or call.action, set()).add(part.resource)
            if call.who:
                needed.setdefault(part.action or call.action, set()).add(part.resource)
    documented = ask([], needed).documented
    assert all(documented.values()), [action for action, details in documented.items() if not details]
    missing = set()
    for action, details in documented.items():
        if details["isWildcardOnly"]:
            assert needed[action] == {"*"}, action
        # What sets tags takes resources of every kind.
        any_kind = re.search(r"Tags(ToResource|FromResource)?$", action)
        for kind in details["resourceTypes"]:
            resources = needed if kind["required"] else tried
            passed_over = kind["name"] in NOT_NAMED.get(action, ()) or (any_kind and not kind["required"])
            if not passed_over and not any(is_of(kind, resource) for resource in resources[action]):
                missing.add((action, kind["name"]))
    assert not missing, sorted(missing)


def test_a_role_holds_for_a_stack_of_any_name():
    place = Place("aws", stack="StackSet-networking-1a2b3c4d")
    cases = [((), who, call) for call in calls(place) for who in ROLES if who in call.who]
    allowed = judged(place, cases)
    assert [call.when in SETTINGS[()] for _, _, call in cases] == allowed


def test_a_permissions_boundary_limits_what_a_role_may():
    place = Place("aws")
    reads = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["ec2:Describe*"], "Resource": "*"}]}
    chosen = [call for call in calls(place) if CONNECT in call.who and call.when in SETTINGS[()]]
    questions = [
        Question(place.role("c"), part.action or call.action, part.resource, part.context, roles(place)[CONNECT], reads)
        for call in chosen
        for part in call.parts
    ]
    allowed = ask(questions).allowed
    assert allowed == [question.action.startswith("ec2:Describe") for question in questions]
    assert {True, False} == set(allowed)
