"""Nothing is granted in vain and no limit stands there in vain: a policy with less refuses what must be allowed, and
one with a limit less allows what must be refused.
"""

import os

import pytest
import table
from asked import EVERYBODY, FUNCTIONS
from evaluator import ask
from expanded import TOP
from place import Place
from scenarios import known
from weaken import knows_no_other_kind, listed, noticed, statements, taken_away, widened
from why import MADE_BY_AWS

PLACE = Place("aws")


@pytest.mark.parametrize("who", EVERYBODY)
def test_no_action_resource_or_value_can_be_taken_away_unnoticed(who):
    mutants = list(taken_away(PLACE, who))
    calls = noticed(PLACE, mutants, allowed=False)
    assert len(mutants) >= sum(len(listed(statement["Action"])) for statement in statements(PLACE, who)) > 0
    assert not (unnoticed := [name for name, refused in calls.items() if not refused]), "\n".join(unnoticed)


@pytest.mark.parametrize("who", EVERYBODY)
def test_no_condition_and_no_resource_can_be_widened_unnoticed(who):
    mutants = list(widened(PLACE, who))
    calls = noticed(PLACE, mutants, allowed=True)
    documented = ask([], {action for mutant in mutants for action in listed(mutant.statement["Action"])}).documented
    unnoticed = [
        str(mutant)
        for mutant in mutants
        if not calls[str(mutant)] and not knows_no_other_kind(PLACE, mutant, documented)
    ]
    assert not unnoticed, "\n".join(unnoticed)
    # Each statement that limits anything was widened.
    limited = {str(one["Sid"]) for one in statements(PLACE, who) if one["Resource"] != "*" or "Condition" in one}
    assert {mutant.statement["Sid"] for mutant in mutants} == limited


def test_every_action_of_a_function_is_used_end_to_end_with_iam_enforced_or_made_by_a_service():
    """`tests/iam/acceptance` writes which test used which."""
    granted = {
        (who, action)
        for who in FUNCTIONS
        for statement in statements(PLACE, who)
        if statement["Sid"] not in MADE_BY_AWS
        for action in listed(statement["Action"])
    }
    used = {(who, action): test for who, actions in known().items() for action, test in actions.items()}
    assert granted == set(used), sorted(granted ^ set(used))
    modules = TOP / "tests" / "acceptance" / "tests" / "acceptance"
    for module, _, name in (test.rpartition("::") for test in used.values()):
        assert f"fn {name}()" in (modules / f"{module}.rs").read_text(encoding="utf-8"), f"{module}::{name}"


def test_the_tables_of_the_documents_are_what_the_evaluator_found():
    """`TAGWIRE_WRITE_TABLES=1 tests/iam/run` writes them anew."""
    page = table.PAGE.read_text(encoding="utf-8")
    if os.environ.get("TAGWIRE_WRITE_TABLES"):
        table.PAGE.write_text(table.written(page), encoding="utf-8")
    else:
        assert table.written(page) == page, "docs/security.md is not up to date: TAGWIRE_WRITE_TABLES=1 tests/iam/run"
