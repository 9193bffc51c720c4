"""The demo's local AWS, and a shell in which the tools are those of this folder."""

import ctypes
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from blocks import TOP

TOOL = Path(__file__).with_name("tool.py")
DEMO = TOP / "target" / "demo"


def end_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGINT)


@pytest.fixture(scope="session")
def demo():
    """The variables that lead to a local AWS on which the demo has run."""
    written = DEMO / "environment"
    written.unlink(missing_ok=True)
    DEMO.mkdir(parents=True, exist_ok=True)
    log = DEMO / "documents.log"
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [TOP / "target" / "debug" / "xtask", "demo", "--stay"], cwd=TOP, stdout=output, stderr=output,
            env={**os.environ, "CARGO_TERM_COLOR": "never"}, preexec_fn=end_with_parent if sys.platform == "linux" else None,
        )
    try:
        until = time.monotonic() + 900
        while not written.is_file():
            assert process.poll() is None and time.monotonic() < until, log.read_text(encoding="utf-8")
            time.sleep(0.2)
        yield dict(re.findall(r"^export (\w+)='([^']*)'$", written.read_text(encoding="utf-8"), flags=re.MULTILINE))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        written.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def aws_cli(tmp_path_factory):
    """Where the AWS CLI is served."""
    path = tmp_path_factory.mktemp("aws") / "socket"
    process = subprocess.Popen([sys.executable, TOOL, "serve", path], preexec_fn=end_with_parent if sys.platform == "linux" else None)
    try:
        until = time.monotonic() + 60
        while not path.exists():
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.05)
        yield path
    finally:
        process.kill()
        process.wait()


class Shell:
    """Runs a block in a folder of its own, and says which tools it called how."""

    def __init__(self, folder, aws_cli, variables, parse_only):
        self.folder, self.calls_path = folder, folder / "calls"
        tools = folder / "tools"
        tools.mkdir()
        for name in ("aws", "sam", "cargo", "tagwire"):
            (tools / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -S {shlex.quote(str(TOOL))} {name} "$@"\n')
            (tools / name).chmod(0o755)
        # Waiting for AWS is for people with an account.
        (tools / "sleep").write_text("#!/bin/sh\nexit 0\n")
        (tools / "sleep").chmod(0o755)
        (folder / "target").symlink_to(TOP / "target")
        (folder / "template.yaml").write_bytes((TOP / "template.yaml").read_bytes())
        ci = folder / ".ci" / "run"
        ci.parent.mkdir()
        ci.write_text("#!/bin/sh\nexit 0\n")
        ci.chmod((TOP / ".ci" / "run").stat().st_mode)
        self.environment = {
            "PATH": os.pathsep.join([str(tools), os.environ["PATH"]]), "HOME": str(folder), "LC_ALL": "C.UTF-8",
            "TAGWIRE_TOOLS": str(tools), "TAGWIRE_HOME": os.environ["HOME"], "TAGWIRE_CALLS": str(self.calls_path),
            "TAGWIRE_AWS": str(aws_cli),
            "TAGWIRE_SAM_PYTHON": os.environ["TAGWIRE_SAM_PYTHON"], "TAGWIRE_PARSE_ONLY": str(int(parse_only)),
            # So that the AWS CLI neither looks for credentials nor calls without an endpoint that is given.
            "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DEFAULT_REGION": "us-east-1", **variables,
        }

    def run(self, text, answer=""):
        # Whoever asks wants a person at a terminal.
        person, terminal = pty.openpty()
        os.write(person, answer.encode())
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text], cwd=self.folder, env=self.environment,
            stdin=terminal if answer else subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False,
        )
        os.close(person)
        os.close(terminal)
        said = f"{text}\n{ran.stdout}\n{ran.stderr}"
        assert ran.returncode == 0, f"ended with {ran.returncode}\n{said}"
        lines = self.calls_path.read_text(encoding="utf-8").splitlines() if self.calls_path.exists() else []
        calls = [json.loads(line) for line in lines]
        assert [call for call in calls if call["status"] != 0] == [], said
        return calls, ran.stdout


@pytest.fixture
def shell(tmp_path, aws_cli):
    count = iter(range(9))

    def new(variables, parse_only):
        folder = tmp_path / str(next(count))
        folder.mkdir()
        return Shell(folder, aws_cli, variables, parse_only)

    return new
