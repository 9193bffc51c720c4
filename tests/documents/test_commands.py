"""Every command that a document shows in a block runs."""

import json
import re
import subprocess

import pytest
from blocks import TOP, blocks

BLOCKS = blocks()
NUMBER = "123456789012"
# What asks before it acts, and what is answered: once to the uninstallation, once to its end.
ANSWERS = {"tagwire uninstall ": f"{NUMBER}\n{NUMBER}\n"}


FUNCTION = r"^\w+\(\) \{.*(?:\n  .*)*"


def called(text):
    """Each tool that a block calls, with its command and sub-command. What a function does is called when it is."""
    code = re.sub(r"(^|\s)#.*$", r"\1", re.sub(FUNCTION, "", text, flags=re.MULTILINE).replace("\\\n", " "), flags=re.MULTILINE)
    found = re.findall(r"(?:^|[|;&({]|\bdo\b)\s*(aws|sam|cargo|tagwire) ([a-z0-9-]+)(?: ([a-z][a-z0-9-]+))?", code, flags=re.MULTILINE)
    return {(tool, *words[: 2 if tool == "aws" else 1]) for tool, *words in found}


def as_called(call):
    """The same of a call that was made."""
    tool, arguments = call["tool"], call["arguments"]
    return (tool, *arguments[: 2 if tool == "aws" else 1])


def test_there_are_blocks_of_both_kinds():
    assert len(BLOCKS) > 40
    assert sum(block.account for block in BLOCKS) > 10
    assert {block.path for block in BLOCKS} >= {"README.md", "docs/cli.md", "docs/deploy.md", "docs/operating.md"}


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.account], ids=str)
def test_a_block_for_an_account_is_understood_by_every_tool_that_it_calls(block, shell):
    # A page is one session: what a block sets, the later ones use.
    before = [other.text for other in BLOCKS if other.path == block.path and other.account and other.line < block.line]
    declared = "\n".join(re.findall(rf"^export .*$|{FUNCTION}", "\n".join(before), flags=re.MULTILINE))
    names = sorted(set(re.findall(r"\$\{?([A-Z_]+)\b", f"{declared}\n{block.text}")))
    unset = "\n".join(f"{name}=${{{name}:-i-0a1b2c3d}}" for name in names)
    calls, _ = shell({}, True).run(f"{unset}\n{declared}\n{block.text}")
    assert called(block.text) - {as_called(call) for call in calls} == set()
    assert calls


@pytest.fixture(scope="session")
def places(demo):
    """What stands in the documents, and what it is in the demo's world."""

    def ask(*command):
        program = TOP / "target" / "debug" / "tagwire"
        ran = subprocess.run([program, *command], env=demo, capture_output=True, text=True, check=True)
        return json.loads(ran.stdout)

    [row, *_] = [row for row in ask("status", "-o", "json")["connections"] if row["store_name"].endswith("orders") and row["instance"]]
    arn = f"arn:aws:rds:us-east-1:{NUMBER}:db:orders-archive"
    return {
        r"\bi-(?:0a1b2c3d|0123456789abcdef0)\b": row["instance"], r"\bvpc-0a1b2c3d\b": row["vpc"],
        r"\bsg-0a1b2c3d\b": row["store_side"]["id"], r"\barn:aws:rds:[\w-]+:\d+:db:orders\b": arn,
        r"\barn:aws:redshift:[\w-]+:\d+:cluster:orders\b": f"arn:aws:redshift:us-east-1:{NUMBER}:cluster:orders-warehouse",
    }


def there_instead(text, places):
    for written, there in places.items():
        text = re.sub(written, there, text)
    return text


@pytest.mark.parametrize("block", [block for block in BLOCKS if not block.account], ids=str)
def test_a_block_runs_on_the_local_aws(block, shell, demo, places):
    answer = "".join(answer for command, answer in ANSWERS.items() if command in block.text)
    calls, _ = shell(demo, False).run(there_instead(block.text, places), answer)
    assert called(block.text) - {as_called(call) for call in calls} == set()


def test_what_is_said_for_when_the_stack_is_gone_leaves_no_group(shell, demo):
    """The last of all, for it is run above as well, and nothing makes groups anew."""
    [removal] = [block.text for block in BLOCKS if "GROUPS_TO_GO=" in block.text]
    list_ = "aws ec2 describe-security-groups --filters Name=tag:tagwire:managed-by,Values=tagwire --query 'SecurityGroups[].GroupId'"
    for _ in range(3):
        _, said = shell(demo, False).run(f"{removal}\n{list_}")
        if said.rstrip().endswith("[]"):
            return
    pytest.fail(said)
