"""Which end-to-end test made which call under which role, with IAM enforced: written by `tests/iam/acceptance`.

A test is named for each action that a function used; runs of single modules add to what is known.
"""

import json
import pathlib
import re
import sys

FILE = pathlib.Path(__file__).with_name("scenarios.json")


def known():
    """For each role and action the test that needed it."""
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}


def merged(before, records):
    """What was known, and of what was seen besides the first test by name, so that a further run changes nothing."""
    found = {role: dict(actions) for role, actions in before.items()}
    for record in sorted(records, key=lambda record: record["test"]):
        role = re.search(r"-(\w+Role)-", record["role"])[1]
        found.setdefault(role, {}).setdefault(record["action"], record["test"])
    return {role: dict(sorted(actions.items())) for role, actions in sorted(found.items())}


def main(folder):
    """Adds what was recorded in a folder."""
    lines = [line for path in sorted(pathlib.Path(folder).glob("*.jsonl")) for line in path.read_text().splitlines()]
    FILE.write_text(json.dumps(merged(known(), map(json.loads, lines)), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
