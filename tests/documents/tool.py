"""Stands in for `aws`, `sam`, `cargo` and `tagwire` while the commands of a document run: writes each call down, and has
the real tool run it, or, for a block that is for people with an account, no more than parse it. As `serve` it is a server
of the AWS CLI, which is loaded once and forked for each call: loading it takes longer than most calls."""

import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def parses_only():
    return os.environ["TAGWIRE_PARSE_ONLY"] == "1"


def serve(path):
    import awscli.clidriver  # noqa: F401

    # Where it finds its own data, which it says when it is loaded.
    kept = {"AWS_DATA_PATH": os.environ["AWS_DATA_PATH"]}
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.bind(path)
    server.listen()
    while True:
        connection, _ = server.accept()
        if os.fork() == 0:
            message, files, _, _ = socket.recv_fds(connection, 1 << 18, 3)
            for place, file in enumerate(files):
                os.dup2(file, place)
            call = json.loads(message)
            os.chdir(call["folder"])
            os.environ.clear()
            os.environ.update(call["environment"] | kept)
            status = aws(call["arguments"]) or 0
            sys.stdout.flush()
            connection.send(str(status).encode())
            os._exit(0)
        connection.close()


def ask_server(arguments):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(os.environ["TAGWIRE_AWS"])
    call = {"folder": os.getcwd(), "environment": dict(os.environ), "arguments": arguments}
    socket.send_fds(connection, [json.dumps(call).encode()], [0, 1, 2])
    return int(connection.recv(16) or 255)


def aws(arguments):
    """The AWS CLI, in this process. Where it must not call, each call ends when its parameters were found valid, with an
    empty answer; commands that go on with the answer get a word."""
    from awscli.clidriver import create_clidriver
    from botocore.awsrequest import AWSResponse

    driver = create_clidriver()
    if not parses_only():
        # This version sends `aws rds` to AWS in us-east-1, whatever the variables say.
        if arguments[0] == "rds":
            arguments = [*arguments, "--endpoint-url", os.environ["AWS_ENDPOINT_URL"]]
        return driver.main(arguments)

    def answer(**_):
        return AWSResponse("https://none.example", 200, {}, None), {}

    driver.session.register("before-call", answer)
    written = io.StringIO()
    with contextlib.redirect_stdout(written):
        status = driver.main(arguments)
    print(written.getvalue().strip() or "None")
    return status


def sam(arguments):
    """SAM's own parser, which reads samconfig.toml as well."""
    parse = (
        "import sys\n"
        "from samcli.cli.main import cli\n"
        "context = cli.make_context('sam', sys.argv[1:])\n"
        "name, command, rest = cli.resolve_command(context, [*context.protected_args, *context.args])\n"
        "command.make_context(name, rest, parent=context)\n"
    )
    python = os.environ["TAGWIRE_SAM_PYTHON"]
    if arguments[0] == "package":
        Path(arguments[arguments.index("--output-template-file") + 1]).touch()
    environment = {**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1"}
    return subprocess.run([python, "-W", "ignore", "-c", parse, *arguments], cwd=TOP, env=environment, check=False).returncode


def cargo(arguments):
    """Tests are built and not run, for `.ci/run` has run them; what `.ci/run` runs itself is only looked for there."""
    match arguments:
        case ["run", "-p", "tagwire-cli", "--", *rest]:
            return tagwire(rest)
        case ["test", "-p", *_] | ["test", *_] if len(arguments) > 1:
            return subprocess.run(["cargo", *arguments, "--no-run", "--locked", "--quiet"], cwd=TOP, env=outside(), check=False).returncode
        case ["install", *rest] if "--path" in rest:
            help_ = subprocess.run(["cargo", "install", "--help"], env=outside(), capture_output=True, text=True, check=True)
            folder = TOP / rest[rest.index("--path") + 1]
            known = all(re.search(rf"{option}\b", help_.stdout) for option in rest if option.startswith("--"))
            return 0 if known and (folder / "src" / "main.rs").is_file() else 101
        case _:
            command = " ".join(["cargo", *arguments]).removesuffix(" --stay")
            return 0 if re.search(rf"\b{command}\b", (TOP / ".ci" / "run").read_text(encoding="utf-8")) else 101


def outside():
    """The environment without the tools of this folder."""
    path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if part != os.environ["TAGWIRE_TOOLS"])
    return {**os.environ, "PATH": path, "HOME": os.environ["TAGWIRE_HOME"]}


def tagwire(arguments):
    program = TOP / "target" / "debug" / "tagwire"
    if not parses_only():
        status = subprocess.run([program, *arguments], check=False).returncode
        # Changes are pending, which is an answer and no error.
        return 0 if status == 2 and {"plan", "--plan"} & set(arguments) else status
    # With no Region it ends before it calls anything, and after it has read its arguments.
    ran = subprocess.run([program, *arguments], env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]},
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    sys.stderr.write(ran.stderr)
    return 0 if "no AWS Region is set" in ran.stderr + ran.stdout and "Usage:" not in ran.stderr else 1


def main():
    name, arguments = sys.argv[1], sys.argv[2:]
    if name == "serve":
        serve(*arguments)
    status = {"aws": ask_server, "sam": sam, "cargo": cargo, "tagwire": tagwire}[name](arguments) or 0
    sys.stdout.flush()
    with open(os.environ["TAGWIRE_CALLS"], "a", encoding="utf-8") as calls:
        calls.write(json.dumps({"tool": name, "arguments": arguments, "status": status}) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
