"""The check of dependencies can fail, and every tool that is fetched is locked by its hash."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


def check(tmp_path, text):
    config = tmp_path / "deny.toml"
    config.write_text(text, encoding="utf-8")
    command = [os.environ["TAGWIRE_CARGO_DENY"], "--locked", "--manifest-path", TOP / "Cargo.toml", "--config", config]
    what = ["check", "--hide-inclusion-graph", "--deny", "warnings", "bans", "licenses", "sources"]
    ran = subprocess.run([*command, *what], capture_output=True, text=True, check=False)
    return ran.returncode, ran.stderr


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"ISC", ', "", r"error\[rejected\]"),
        ('    { crate = "syn@2", ', '    { crate = "syn@1", ', r"error\[duplicate\]: found 2 duplicate entries for crate 'syn'"),
        ('{ crate = "ring", reason', '{ crate = "rustls", reason', r"error\[banned\]"),
        ('[sources]', '[sources]\nallow-registry = []', r"error\[source-not-allowed\]"),
        ('"ISC", ', '"ISC", "GPL-3.0-only", ', r"error\[license-not-encountered\]"),
    ],
    ids=["licence", "duplicate", "banned", "source", "licence that nobody has"],
)
def test_a_crate_that_must_not_be_there_fails_the_check(tmp_path, old, new, complaint):
    text = (TOP / "deny.toml").read_text(encoding="utf-8")
    assert text.count(old) == 1
    status, said = check(tmp_path, text.replace(old, new))
    assert status != 0
    assert re.search(complaint, said), said


def test_every_crate_and_every_tool_is_locked_by_its_hash():
    crates = tomllib.loads((TOP / "Cargo.lock").read_text(encoding="utf-8"))["package"]
    fetched = [crate for crate in crates if "source" in crate]
    assert len(fetched) > 200
    assert [crate["name"] for crate in fetched if "checksum" not in crate] == []
    for lock in [*TOP.glob("tests/**/requirements.txt"), *TOP.glob("tests/**/requirements-*.txt")]:
        pinned = re.findall(r"^[^\s#].*?(?=^[^\s#]|\Z)", lock.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        assert pinned, lock
        for requirement in pinned:
            assert re.match(r"[\w.\[\]-]+==\S+", requirement), f"{lock}: {requirement}"
            assert "--hash=sha256:" in requirement, f"{lock}: {requirement}"
    packages = json.loads((TOP / "tests/iam/package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert len(packages) > 2
    assert [name for name, package in packages.items() if name and "integrity" not in package] == []


def test_the_version_is_the_same_wherever_it_stands():
    version = tomllib.loads((TOP / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["package"]["version"]
    template = (TOP / "template.yaml").read_text(encoding="utf-8")
    assert re.search(rf'Description: Version of tagwire that is installed\.\n    Value: "{re.escape(version)}"', template)
    changes = (TOP / "CHANGELOG.md").read_text(encoding="utf-8")
    [first, *_] = re.split(r"^## \[", changes, flags=re.MULTILINE)[1:]
    assert first.startswith("Unreleased]\n")
    assert re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}|The first version will be {re.escape(version)}\.", changes, re.MULTILINE)
