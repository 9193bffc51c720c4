"""The tables of docs/security.md: each action that a role has, why, what limits it, and what fails without it."""

import functools
import re

from asked import CONNECT, DATA_STORE_EVENTS, GROUP_TAGS, INSTANCE_EVENTS, ROLES, SCHEDULE, SWEEP
from expanded import TOP
from place import ACCOUNT, Place
from scenarios import known
from weaken import listed, noticed, policies_of, taken_away, widened
from why import MADE_BY_AWS, WHY

PAGE = TOP / "docs" / "security.md"
NAMES = {
    INSTANCE_EVENTS: "instance-events",
    DATA_STORE_EVENTS: "data-store-events",
    SWEEP: "sweep",
    CONNECT: "connect",
    SCHEDULE: "the schedule",
}
PLACE = Place("aws")


def shown_resources(arns, who):
    """ARNs in short; whether they are of this account is said, and the Region is always the stack's."""
    shown = {}
    for arn in arns:
        if arn == "*":
            return "everything"
        _, _, service, _, account, name = arn.split(":", 5)
        if own := re.search(rf"{PLACE.stack}-(\w+)-[\w-]+", name):
            # A queue, a log, the table or a function: the names are the template's.
            shown["its own log" if own[1] == who.replace("Role", "Logs") else f"`{own[1]}`"] = []
        else:
            shown.setdefault(service, []).append(f"`{name}`" + ("" if account == ACCOUNT else " of any account"))
    return ", ".join(f"{service} {', '.join(names)}" if names else service for service, names in shown.items())


def shown_condition(statement):
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            named = [value for value in listed(values) if value and value not in dict(GROUP_TAGS)]
            more = " and those of `GroupTags`" if len(named) < len(listed(values)) else ""
            values = [f"`{value}`" for value in named]
            if key == "aws:TagKeys" and operator.startswith("ForAllValues"):
                yield f"it sets no tag but {', '.join(values)}{more}"
            elif operator == "Null":
                yield f"`{key}` is in the request"
            elif operator.endswith("IfExists"):
                yield f"`{key}`, if sent, is {', '.join(values)}"
            else:
                yield f"`{key}` is {', '.join(values)}"


def shown_call(call):
    return f"{call.action.split(':')[1]} {call.what}".replace("which knows no resources", "by the role itself")


def of_changes(statement):
    """Whether a statement is one of those that connect has only where it may change something."""
    return any(statement is one for policy in policies_of(PLACE, CONNECT)[1:] for one in policy["Statement"])


def needed_in(who, sid, action):
    """The end-to-end test in which a role used an action, or who else makes the call."""
    if sid in MADE_BY_AWS:
        return f"made by {MADE_BY_AWS[sid]}"
    return f"`{known()[who][action]}`"


def rows_of_actions(changes):
    """One for each action and each limit of it, with those who have it."""
    rows = {}
    for who in ROLES:
        mutants = [
            mutant
            for mutant in taken_away(PLACE, who)
            if mutant.about in listed(mutant.statement["Action"]) and of_changes(mutant.statement) == changes
        ]
        refused = noticed(PLACE, mutants, allowed=False)
        for mutant in mutants:
            statement, action = mutant.statement, mutant.about
            where = shown_resources(listed(statement["Resource"]), who)
            limit = "; ".join(shown_condition(statement)) or "–"
            why = WHY.get((action, statement["Sid"])) or WHY[statement["Sid"]]
            case = refused[str(mutant)][0].what.replace(who, "the function").replace("which knows no resources", "any")
            row = rows.setdefault((f"`{action}`", where, limit, why, case), ([], set()))
            row[0].append(NAMES[who])
            row[1].add(needed_in(who, statement["Sid"], action))
    # Of several tests one is enough to look at.
    return [((*row, min(tests)), who) for row, (who, tests) in sorted(rows.items())]


def rows_of_limits():
    """One for each condition and each list of resources of what connect may change, with a call that it refuses."""
    mutants = [mutant for mutant in widened(PLACE, CONNECT) if of_changes(mutant.statement)]
    allowed = noticed(PLACE, mutants, allowed=True)
    for mutant in mutants:
        if mutant.what == "on everything" or mutant.what.startswith("without "):
            weakened = f"without `{mutant.about}`" if mutant.about else mutant.what
            yield f"`{mutant.statement['Sid']}`", weakened, shown_call(allowed[str(mutant)][0])


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


@functools.cache
def tables():
    """Each table by the name that stands in its markers."""
    columns = ["on", "only if", "why", "refused without it", "needed end to end, for instance, in"]
    reads = [(action, ", ".join(who), *rest) for (action, *rest), who in rows_of_actions(changes=False)]
    changes = [row for row, _ in rows_of_actions(changes=True)]
    return {
        "reads": table(["action", "who", *columns], reads),
        "changes": table(["action", *columns], changes),
        "limits": table(["statement", "weakened", "would then be allowed, for instance"], rows_of_limits()),
    }


def written(page):
    """The page with each table between its markers."""
    for name, text in tables().items():
        begin, end = f"<!-- {name}: generated -->\n", f"<!-- end of {name} -->\n"
        before, rest = page.split(begin)
        page = before + begin + "\n" + text + "\n" + end + rest.split(end)[1]
    return page
