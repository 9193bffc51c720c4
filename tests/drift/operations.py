"""The operations of AWS that the production code calls, read from the code and from the sources of the locked SDK."""

import functools
import json
import os
import pathlib
import re
import subprocess
from dataclasses import dataclass

TOP = pathlib.Path(__file__).resolve().parents[2]

# The SDK's name for a service, where IAM and the service models have another one.
IN_IAM = {"resourcegroupstagging": "tag"}
IN_MODELS = {"resourcegroupstagging": "resourcegroupstaggingapi", "servicequotas": "service-quotas"}


@dataclass(frozen=True, order=True)
class Operation:
    """A call that the code makes."""

    service: str
    name: str
    method: str

    @property
    def action(self):
        """As IAM names it."""
        return f"{IN_IAM.get(self.service, self.service)}:{self.name}"

    @property
    def model(self):
        """The service in botocore."""
        return IN_MODELS.get(self.service, self.service)


@functools.cache
def sdk():
    """The folder of each service's locked SDK; cargo downloads what is missing."""
    cargo = os.environ.get("CARGO", "cargo")
    command = [cargo, "metadata", "--locked", "--format-version", "1"]
    packages = json.loads(subprocess.run(command, cwd=TOP, check=True, stdout=subprocess.PIPE).stdout)["packages"]
    return {
        package["name"].removeprefix("aws-sdk-"): pathlib.Path(package["manifest_path"]).parent
        for package in packages
        if package["name"].startswith("aws-sdk-")
    }


@functools.cache
def production():
    """The text of each file of production code, without its tests."""
    folders = [TOP / folder for folder in ("shared", "cli", "functions")]
    paths = [path for folder in folders for path in folder.rglob("*.rs")]
    return {
        path: path.read_text(encoding="utf-8").split("#[cfg(test)]\nmod tests {")[0]
        for path in paths
        if "src" in path.parts and "tests" not in path.parts and path.stem not in ("tests", "testing")
    }


def services_of(path):
    """The SDKs that a file uses: those it names, or else those its parent module names."""
    parents = [path, path.with_name("mod.rs"), path.parent.with_suffix(".rs")]
    for file in parents:
        named = set(re.findall(r"\baws_sdk_(\w+)::", production().get(file, "")))
        if named:
            return named
    return set()


def named(service, method):
    """The name that AWS gives to the operation of a method of an SDK's client, if there is one."""
    folder = sdk()[service] / "src"
    if not (folder / "client" / f"{method}.rs").is_file():
        return None
    code = (folder / "operation" / f"{method}.rs").read_text(encoding="utf-8")
    return re.search(r'Metadata::new\(\s*"(\w+)"', code)[1]


@functools.cache
def called():
    """Every operation that the code calls."""
    found = set()
    for path, text in production().items():
        methods = set(re.findall(r"\.\s*([a-z]\w*)\(\)", text))
        for service in services_of(path):
            found |= {Operation(service, name, method) for method in methods if (name := named(service, method))}
    return sorted(found)


@functools.cache
def code_for(service):
    """The production code that deals with a service, and what all services share."""
    ours = TOP / "shared" / "aws"
    texts = [
        text
        for path, text in production().items()
        if service in services_of(path) or (ours in path.parents and not services_of(path))
    ]
    return "\n".join(texts)


def words_for(service):
    """Every word of that code."""
    return set(re.findall(r"\w+", code_for(service)))


def literals_for(service):
    """Every text in quotes, the states of data stores in the table of services among them."""
    table = production()[TOP / "shared" / "core" / "src" / "resources" / "service.rs"]
    return set(re.findall(r'"([^"\n]+)"', code_for(service) + table))
