"""The policies of a role with one thing taken away or one limit widened, and the calls that notice it."""

import functools
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from asked import APPLIES, CONNECT, GROUP_TAGS, LOOKS
from calls import calls
from evaluator import Question, ask
from place import of_people, roles

# The settings with which connect may do all that it ever may.
FULL = {"StatusTags": "on", "GroupTags": ",".join(map("=".join, GROUP_TAGS))}


def listed(value):
    return value if isinstance(value, list) else [value]


@functools.cache
def policies_of(place, who):
    """The same objects each time, since a statement is known again by being the same."""
    if who in (LOOKS, APPLIES):
        return of_people(who)
    return roles(place, **(FULL if who == CONNECT else {}))[who]


def statements(place, who):
    return [statement for policy in policies_of(place, who) for statement in policy["Statement"]]


@dataclass(frozen=True)
class Mutant:
    """The policies of somebody in which one statement is another."""

    who: str
    statement: dict
    what: str
    becomes: dict | None
    # The one action or resource that it is about.
    about: str = ""

    def __str__(self):
        return f"{self.who} {self.statement['Sid']}: {self.what}"

    def policies(self, place):
        for policy in policies_of(place, self.who):
            kept = [self.becomes if one is self.statement else one for one in policy["Statement"]]
            if kept := [one for one in kept if one]:
                yield policy | {"Statement": kept}


def _without(statement, member, value):
    """The statement without one of a list; None when nothing would be left of it."""
    left = [one for one in listed(statement[member]) if one != value]
    return statement | {member: left} if left else None


def _conditions(statement):
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            yield operator, key, listed(values)


def _with_condition(statement, operator, key, values):
    """The statement with other values for a key; without the key if there are none."""
    keys = {name: value for name, value in statement["Condition"][operator].items() if name != key}
    return statement | {"Condition": statement["Condition"] | {operator: keys | ({key: values} if values else {})}}


def taken_away(place, who) -> Iterator[Mutant]:
    """Without one action, one resource or one value of a condition."""
    for statement in statements(place, who):
        for action in listed(statement["Action"]):
            yield Mutant(who, statement, f"without {action}", _without(statement, "Action", action), action)
        resources = listed(statement["Resource"])
        for resource in resources if len(resources) > 1 else []:
            yield Mutant(who, statement, f"without {resource}", _without(statement, "Resource", resource), resource)
        for operator, key, values in _conditions(statement):
            # An empty one stands for each of GroupTags that is not set.
            for value in [one for one in values if one] if len(values) > 1 else []:
                left = [one for one in values if one != value]
                mutant = _with_condition(statement, operator, key, left)
                yield Mutant(who, statement, f"without {value} in {key}", mutant)


def _wider(resource):
    """The ARN with more in the place of the account, of the Region and of what is named."""
    words = resource.split(":", 5)
    if len(words) == 6:
        for number, what in ((4, "in any account"), (3, "in any Region"), (5, "of any kind and name")):
            if words[number] not in ("", "*"):
                yield what, ":".join([*words[:number], "*", *words[number + 1 :]])


def widened(place, who) -> Iterator[Mutant]:
    """Without one condition, on everything, or with one resource that is wider."""
    for statement in statements(place, who):
        for operator, key, _ in _conditions(statement):
            mutant = _with_condition(statement, operator, key, None)
            yield Mutant(who, statement, f"without {operator} {key}", mutant, key)
        resources = listed(statement["Resource"])
        if resources != ["*"]:
            yield Mutant(who, statement, "on everything", statement | {"Resource": "*"})
        for resource in resources:
            for what, wider in _wider(resource):
                others = [wider if one == resource else one for one in resources]
                tail = resource.split(":", 5)[-1]
                yield Mutant(who, statement, f"{tail} {what}", statement | {"Resource": others}, resource)


def asked_for(place, call, policies):
    role = place.role("whoever")
    return [Question(role, part.action or call.action, part.resource, part.context, policies) for part in call.parts]


def actions_in(call):
    return {part.action or call.action for part in call.parts}


def noticed(place, mutants, allowed):
    """For each change the calls that it makes allowed, or refused, and that must not be."""
    tries = []
    everything = calls(place)
    for mutant in mutants:
        policies = list(mutant.policies(place))
        actions = set(listed(mutant.statement["Action"]))
        for call in everything:
            if (mutant.who in call.who) != allowed and actions & actions_in(call):
                tries.append((mutant, call, asked_for(place, call, policies)))
    answers = iter(ask([question for _, _, questions in tries for question in questions]).allowed)
    found = {str(mutant): [] for mutant in mutants}
    for mutant, call, questions in tries:
        if all(list(itertools.islice(answers, len(questions)))) == allowed:
            found[str(mutant)].append(call)
    return found


def kind_of(arn):
    """`cluster` in both `arn:…:cluster:*` and `arn:…:cluster:${Name}`."""
    return re.split("[:/]", arn.split(":", 5)[-1])[0]


def knows_no_other_kind(place, mutant, documented):
    """Whether AWS checks the actions against no kind of resource that the role may not name anyway, so that "of any
    kind" says no more than the list of all kinds does.
    """
    if not mutant.what.endswith("of any kind and name") or not re.search(r"[:/]\*$", mutant.about):
        return False
    for action in listed(mutant.statement["Action"]):
        granted = {
            kind_of(resource)
            for statement in statements(place, mutant.who)
            if action in listed(statement["Action"])
            for resource in listed(statement["Resource"])
        }
        if not {kind_of(kind["arn"]) for kind in documented[action]["resourceTypes"]} <= granted:
            return False
    return True
