"""What is new at AWS about the operations that tagwire calls, and whether somebody has judged it."""

import datetime
import fnmatch
import pathlib
import re
import sys
import tomllib

from compare import Comparison
from facts import broken
from operations import TOP, called, literals_for, sdk, words_for
from shapes import Release, Sdk

HERE = TOP / "tests" / "drift"


def differences(theirs):
    """All differences between the locked SDKs and the models."""
    comparisons = {}
    for operation in called():
        service = operation.service
        if service not in comparisons:
            used = words_for(service), literals_for(service)
            comparisons[service] = Comparison(operation.model, Sdk(sdk()[service]), theirs[operation.model], *used)
        comparisons[service].operation(operation)
    return set().union(*(comparison.found for comparison in comparisons.values()))


def judgements():
    return tomllib.loads((HERE / "judged.toml").read_text(encoding="utf-8"))


def judged(difference, judged_):
    return any(fnmatch.fnmatchcase(difference.what, escaped(pattern)) for pattern in judged_)


def escaped(pattern):
    """Only `*` stands for something: names of AWS have brackets in them."""
    return pattern.replace("[", "[[]").replace("?", "[?]")


def old_facts(today):
    """The facts that nobody has looked at for a year."""
    text = (TOP / "docs" / "aws-facts.md").read_text(encoding="utf-8")
    year_ago = f"{today.year - 1}-{today.month:02}"
    found = re.findall(r"^### (\d+\.\d+) .*?Looked\s+at:\s+(\d{4}-\d{2})\.", text, flags=re.MULTILINE | re.DOTALL)
    return [number for number, month in found if month < year_ago]


def main(judged_wheel, *newer):
    """Reports on the release that was judged and on newer ones; says whether something grave is unjudged."""
    known = judgements()["judged"]
    everything, doubtful = set(), set()
    for wheel in (judged_wheel, *newer):
        release = Release(wheel)
        found = differences(release)
        print(f"{pathlib.Path(wheel).name}: {len(found)} differences in {len(called())} operations")
        everything |= found
        doubtful |= set(broken(release))
    unjudged = {difference for difference in everything if not judged(difference, known)}
    for difference in sorted(unjudged):
        print(f"{'FAILED' if difference.grave else 'warning'}: {difference.what}")
    # Documentation is reworded now and then, so this asks for a look and no more.
    for fact in sorted(doubtful):
        print(f"warning: {fact}")
    if unjudged:
        print("look at each, and write what you found into tests/drift/judged.toml")
    for pattern in known:
        if not any(judged(difference, [pattern]) for difference in everything):
            print(f"note: nothing is like this any more, so leave it out of tests/drift/judged.toml: {pattern}")
    for fact in old_facts(datetime.date.today()):
        print(f"note: nobody has looked at fact {fact} for a year")
    return 1 if any(difference.grave for difference in unjudged) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
