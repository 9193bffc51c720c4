"""Starts ministack, which serves events and compute: ``python ministack_local.py --function-log FILE``.

It takes a port that the system chooses, on the loopback interface only, and says which in one JSON
line on its standard output. It ends when its standard input closes. See `hosted`.

Functions inherit this process's environment, which is how they learn where the servers are.

What differs from plain ministack:

- ``PutEvents`` takes the sources of AWS's own services, and keeps an event's time. The other server
  and the tests stand for those services.
- A function without code fails. Plain ministack says that all went well, so that a test of
  something being left alone would pass on nothing.
- What functions write goes to a file as well, a JSON line for each invocation, and is counted by the
  metric filters of its log group.
- A function's name is in the user agent of the AWS calls that it makes, the ARN of its role in their
  session token, so that the other server can tell who called.
- What an account allows and what its organization asks of it can be asked for. See `account`.
- ``DescribeStackResources`` finds a stack by the physical id of one of its resources.
- A table of a stack has the expiry, recovery and encryption that its template asks for, and a stack
  that is made again gets a new table: one that was retained keeps its name and its items.
- ``POST /tagwire/kill`` with ``{"function": <name>}`` ends the processes of a function in the middle of
  whatever they do, without a word to them; the answer has their number.
- With an evaluator, the functions' calls are judged under their roles' policies; the other server asks
  ``POST /tagwire/authorize`` about those that it gets. See `enforcement`.
- ``GET /tagwire/state`` tells, as of one moment, what lies in each queue and what is running.
"""

import argparse
import contextvars
import json
import os
import socket
import threading
import time
import weakref
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import account
import enforcement
import metric_filters
from hosted import announce, end_with_standard_input
from permissions import Place

ACCOUNT = "123456789012"
REGION = "us-east-1"

_running: Counter[str] = Counter()
_running_lock = threading.Lock()
_workers: weakref.WeakSet[Any] = weakref.WeakSet()


def main() -> None:
    """Serves until standard input closes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--function-log", type=Path, required=True, help="file for what functions write")
    options = parser.parse_args()
    end_with_standard_input()

    # ministack reads its port when it is imported, and puts it into queue URLs. The socket is held
    # from here on, so that nobody else can take the port in between.
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    os.environ.update(
        GATEWAY_PORT=str(port),
        MINISTACK_HOST="127.0.0.1",
        MINISTACK_ACCOUNT_ID=ACCOUNT,
        MINISTACK_REGION=REGION,
        BIND_HOST="127.0.0.1",
        IOT_MTLS_PORT="0",
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
    )
    _mend(options.function_log)
    _serve(listener, port)


def _mend(function_log: Path) -> None:
    from ministack.core import lambda_runtime
    from ministack.services import dynamodb, eventbridge, lambda_svc
    from ministack.services import cloudformation
    from ministack.services.cloudformation import handlers, provisioners

    account.install()
    _find_stacks_by_resource(cloudformation, handlers)
    _make_tables_whole(provisioners, dynamodb)
    _refuse_unknown_patterns(provisioners)
    _take_events_of_aws(eventbridge)
    _watch_functions(lambda_svc, function_log)
    _name_functions(lambda_svc, lambda_runtime)
    _wait_for_lines(lambda_runtime.ProvidedWorker)
    _know_workers(lambda_runtime.ProvidedWorker)


def _find_stacks_by_resource(cloudformation: Any, handlers: Any) -> None:
    describe = handlers._ACTION_HANDLERS["DescribeStackResources"]

    def describe_by_either(params: dict[str, Any]) -> Any:
        name, resource = (handlers._p(params, key) for key in ("StackName", "PhysicalResourceId"))
        if name and resource:
            return handlers._error("ValidationError", "StackName and PhysicalResourceId cannot both be given")
        if not resource:
            return describe(params)
        for stack in cloudformation._stacks.values():
            if any(_is_there(resource, held) for held in stack.get("_resources", {}).values()):
                return describe({**params, "StackName": [stack["StackName"]]})
        return handlers._error("ValidationError", f"Stack for {resource} does not exist")

    handlers._ACTION_HANDLERS["DescribeStackResources"] = describe_by_either


def _is_there(physical_id: str, resource: dict[str, Any]) -> bool:
    # A stack that was refused a resource has a record of it, which names what another stack holds.
    gone = resource.get("ResourceStatus") in ("CREATE_FAILED", "DELETE_COMPLETE")
    return resource.get("PhysicalResourceId") == physical_id and not gone


def _make_tables_whole(provisioners: Any, dynamodb: Any) -> None:
    table_handlers = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    create = table_handlers["create"]

    def create_whole(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        if not properties.get("TableName"):
            usual = provisioners._physical_name(stack_name, logical_id, max_len=240)
            names = (usual if number == 1 else f"{usual}-{number}" for number in count(1))
            properties = {**properties, "TableName": next(name for name in names if name not in dynamodb._tables)}
        name, attributes = create(logical_id, properties, stack_name)
        if expiry := properties.get("TimeToLiveSpecification"):
            dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": expiry})
        if recovery := properties.get("PointInTimeRecoverySpecification"):
            dynamodb._update_continuous_backups({"TableName": name, "PointInTimeRecoverySpecification": recovery})
        if encryption := properties.get("SSESpecification"):
            dynamodb._update_table(
                {"TableName": name, "SSESpecification": {"Enabled": _is_true(encryption.get("SSEEnabled"))}}
            )
        return name, attributes

    table_handlers["create"] = create_whole


def _refuse_unknown_patterns(provisioners: Any) -> None:
    filter_handlers = provisioners._RESOURCE_HANDLERS["AWS::Logs::MetricFilter"]
    create = filter_handlers["create"]

    def create_known(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        # A pattern that cannot be followed is to fail the deployment, and not every invocation after it.
        metric_filters.matcher(properties["FilterPattern"])
        return create(logical_id, properties, stack_name)

    filter_handlers["create"] = create_known


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"


def _take_events_of_aws(eventbridge: Any) -> None:
    event_time: contextvars.ContextVar[float | None] = contextvars.ContextVar("event_time", default=None)
    now, put_events = eventbridge._now_ts, eventbridge._put_events

    eventbridge._now_ts = lambda: event_time.get() or now()

    def put_events_of_aws(data: dict[str, Any], allow_aws_source: bool = True) -> Any:
        entries = data.get("Entries", [])
        if len(entries) > 10 or not any("Time" in entry for entry in entries):
            return put_events(data, True)
        results: list[Any] = []
        for entry in entries:
            token = event_time.set(entry.get("Time"))
            try:
                status, headers, body = put_events({"Entries": [entry]}, True)
            finally:
                event_time.reset(token)
            if status != 200:
                return status, headers, body
            results.extend(json.loads(body)["Entries"])
        failed = sum("ErrorCode" in result for result in results)
        return 200, headers, json.dumps({"FailedEntryCount": failed, "Entries": results}).encode()

    eventbridge._put_events = put_events_of_aws


def _watch_functions(lambda_svc: Any, function_log: Path) -> None:
    from ministack.services import cloudwatch, cloudwatch_logs

    execute, emit_logs = lambda_svc._execute_function, lambda_svc._emit_lambda_logs
    log_lock = threading.Lock()

    def execute_watched(func: dict[str, Any], event: Any) -> dict[str, Any]:
        config = func.get("config") or func
        name = config.get("FunctionName", "unknown")
        if not func.get("code_zip"):
            message = f"{name} has no code; deploy it before it is called"
            return {"body": {"errorType": "LocalAwsNoCode", "errorMessage": message}, "error": True, "log": message}
        with _running_lock:
            _running[name] += 1
        try:
            return execute(func, event)
        finally:
            with _running_lock:
                _running[name] -= 1

    def emit_logs_kept(
        func: dict[str, Any], request_id: str, log_text: str, error: bool, duration_ms: int, **more: Any
    ) -> None:
        config = func.get("config") or func
        line = {
            "time": time.time(),
            "function": config.get("FunctionName", "unknown"),
            "request": request_id,
            "failed": bool(error),
            "milliseconds": duration_ms,
            "lines": (log_text or "").splitlines(),
        }
        with log_lock, function_log.open("a") as file:
            file.write(json.dumps(line) + "\n")
        emit_logs(func, request_id, log_text, error, duration_ms, **more)
        group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{line['function']}"
        metric_filters.publish(cloudwatch_logs, cloudwatch, group, line["lines"])

    lambda_svc._execute_function = execute_watched
    lambda_svc._emit_lambda_logs = emit_logs_kept


def _name_functions(lambda_svc: Any, lambda_runtime: Any) -> None:
    worker_environment = lambda_svc._provided_worker_env

    def named(config: dict[str, Any], code_dir: str, port: int) -> dict[str, str]:
        environment = worker_environment(config, code_dir, port)
        # SDKs put this into the user agent, and take no more than fifty characters.
        environment["AWS_SDK_UA_APP_ID"] = config.get("FunctionName", "unknown")[-50:]
        environment["AWS_SESSION_TOKEN"] = config["Role"]
        return environment

    lambda_svc._provided_worker_env = named
    if getattr(lambda_runtime, "_provided_worker_env", None) is worker_environment:
        lambda_runtime._provided_worker_env = named


def _wait_for_lines(worker: Any) -> None:
    # What a function writes comes through a pipe and a thread of its own: on a busy machine its last
    # lines are later than its answer by more than the few milliseconds that are waited for.
    drain = worker._drain_stderr_bounded

    def drain_to_the_end(self: Any, **waits: float) -> str:
        return drain(self, **waits, idle_confirm=0.05, hard_cap=1.0)

    worker._drain_stderr_bounded = drain_to_the_end


def _know_workers(worker: Any) -> None:
    spawn = worker._spawn

    def spawn_known(self: Any, *arguments: Any, **named: Any) -> Any:
        _workers.add(self)
        return spawn(self, *arguments, **named)

    worker._spawn = spawn_known


def _kill(order: dict[str, str]) -> dict[str, int]:
    killed = 0
    for worker in list(_workers):
        process = worker._proc
        if worker.func_name == order["function"] and process is not None and process.poll() is None:
            process.kill()
            killed += 1
    return {"killed": killed}


def _state() -> dict[str, Any]:
    from ministack.services import lambda_svc, sqs

    now = time.time()
    queues = {}
    # One lock over all queues: a function deletes its message after it has sent the next one, so
    # work cannot be between two queues at the moment that is looked at.
    with sqs._queues_lock:
        for queue in sqs._queues._data.values():
            messages = queue.get("messages") or []
            waiting = [message for message in messages if message.get("visible_at", 0) > now]
            delayed = [message for message in waiting if not message.get("receive_count")]
            queues[queue["name"]] = {
                "visible": len(messages) - len(waiting),
                "delayed": len(delayed),
                "in_flight": len(waiting) - len(delayed),
                "next_in_seconds": min((message["visible_at"] - now for message in waiting), default=None),
                "bodies": [str(message.get("body"))[:2000] for message in messages[:5]],
            }
    with _running_lock:
        running = {name: number for name, number in _running.items() if number > 0}
    batches = sum(lambda_svc._esm_inflight.values())
    return {"queues": queues, "running": running, "batches": batches}


def _policies(role: str) -> list[dict[str, Any]]:
    from ministack.services import iam

    held = iam._roles[role.rsplit("/", 1)[-1]]["InlinePolicies"].values()
    return [json.loads(policy) if isinstance(policy, str) else policy for policy in held]


async def _body(receive: Any) -> bytes:
    whole = b""
    while True:
        message = await receive()
        whole += message.get("body", b"")
        if not message.get("more_body"):
            return whole


def _guard(app: Any) -> Any:
    """An application that lets through to the given one what the roles allow."""
    import asyncio

    judge = enforcement.Judge(ACCOUNT, _policies)
    place = Place(ACCOUNT, REGION)

    def headers_of(scope: Any) -> dict[str, str]:
        return {name.decode().lower(): value.decode() for name, value in scope["headers"]}

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        is_asked = scope["type"] == "http" and scope["path"] == "/tagwire/authorize"
        if not is_asked and not (scope["type"] == "http" and enforcement.is_of_function(headers_of(scope))):
            await app(scope, receive, send)
            return
        body = await _body(receive)
        if is_asked:
            order = json.loads(body)
            refusal = await asyncio.to_thread(judge.refusal, order["role"], order["parts"])
            answer = (200, "application/json", json.dumps({"refusal": refusal}).encode())
        else:
            answer = await asyncio.to_thread(enforcement.refused, headers_of(scope), body, place, judge.refusal)
        if answer is None:
            async def receive_again() -> Any:
                return {"type": "http.request", "body": body, "more_body": False}

            await app(scope, receive_again, send)
        else:
            await _answer(send, *answer)

    return guarded


async def _answer(send: Any, status: int, kind: str, body: bytes) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _serve(listener: socket.socket, port: int) -> None:
    import asyncio

    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    async def with_state(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            async def send_and_announce(message: Any) -> None:
                await send(message)
                if message["type"] == "lifespan.startup.complete":
                    announce(port)

            await app(scope, receive, send_and_announce)
        elif scope["type"] == "http" and scope["path"] in ("/tagwire/state", "/tagwire/kill"):
            if scope["path"] == "/tagwire/kill":
                body = json.dumps(_kill(json.loads((await receive())["body"]))).encode()
            else:
                body = json.dumps(await asyncio.to_thread(_state)).encode()
            await _answer(send, 200, "application/json", body)
        else:
            await app(scope, receive, send)

    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.keep_alive_timeout = 75
    config.accesslog = None
    asyncio.run(serve(_guard(with_state) if enforcement.is_on() else with_state, config))


if __name__ == "__main__":
    main()
