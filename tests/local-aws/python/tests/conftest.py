"""One patched server for the session, and a VPC of its own for each test."""

import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

PYTHON = Path(__file__).resolve().parent.parent
ACCOUNT = "123456789012"
REGION = "us-east-1"


@dataclass
class EventBus:
    """Stands where EventBridge is, and keeps what it is sent."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    endpoint: str = ""

    def of_instance(self, instance_id: str) -> list[dict[str, Any]]:
        """The events about one instance, in the order in which they came."""
        return [entry for entry in self.entries if instance_id in entry["Detail"]]

    def calls(self, service: str, name: str) -> list[dict[str, Any]]:
        """CloudTrail's records of calls to a service that name something."""
        return [
            json.loads(entry["Detail"])
            for entry in self.entries
            if entry["Source"] == f"aws.{service}"
            and entry["DetailType"] == "AWS API Call via CloudTrail"
            and f'"{name}"' in entry["Detail"]
        ]

    def states_of(self, instance_id: str) -> list[str]:
        """The states that one instance's events told of."""
        return [json.loads(entry["Detail"])["state"] for entry in self.of_instance(instance_id)]


@pytest.fixture(scope="session")
def event_bus() -> Iterator[EventBus]:
    """An EventBridge that answers PutEvents and keeps them."""
    bus = EventBus()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            entries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["Entries"]
            assert self.headers["X-Amz-Target"] == "AWSEvents.PutEvents"
            assert len(entries) <= 10
            bus.entries.extend(entries)
            body = json.dumps({"FailedEntryCount": 0, "Entries": [{"EventId": "e"} for _ in entries]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    bus.endpoint = f"http://127.0.0.1:{server.server_port}"
    yield bus
    server.shutdown()


@pytest.fixture(scope="session")
def endpoint(event_bus: EventBus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the patched server listens."""
    log = tmp_path_factory.mktemp("server") / "moto.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "tagwire_moto", "--events-endpoint", event_bus.endpoint],
            cwd=PYTHON,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        ) as server,
    ):
        line = server.stdout.readline()
        assert line, f"the server ended before it listened:\n{log.read_text()}"
        yield f"http://127.0.0.1:{json.loads(line)['port']}"
        server.stdin.close()
        server.wait(timeout=10)


def client(service: str, endpoint: str) -> Any:
    """A client of one service that does not try anything twice."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="local",
        # The server is to refuse what is wrong, not the client.
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the events and compute server listens."""
    folder = tmp_path_factory.mktemp("ministack")
    with (
        (folder / "server.log").open("w") as errors,
        subprocess.Popen(
            [sys.executable, "ministack_local.py", "--function-log", str(folder / "functions.jsonl")],
            cwd=PYTHON,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        ) as process,
    ):
        line = process.stdout.readline()
        assert line, f"the server ended before it listened:\n{(folder / 'server.log').read_text()}"
        yield f"http://127.0.0.1:{json.loads(line)['port']}"
        process.stdin.close()
        process.wait(timeout=10)


@pytest.fixture(scope="session")
def ec2(endpoint: str) -> Any:
    """EC2."""
    return client("ec2", endpoint)


@pytest.fixture(scope="session")
def rds(endpoint: str) -> Any:
    """RDS."""
    return client("rds", endpoint)


@pytest.fixture(scope="session")
def elasticache(endpoint: str) -> Any:
    """ElastiCache."""
    return client("elasticache", endpoint)


@pytest.fixture(scope="session")
def redshift(endpoint: str) -> Any:
    """Redshift."""
    return client("redshift", endpoint)


@pytest.fixture(scope="session")
def tag_index(endpoint: str) -> Any:
    """The tagging API."""
    return client("resourcegroupstaggingapi", endpoint)


@pytest.fixture
def control(endpoint: str) -> Callable[..., Any]:
    """Does at a control end point what AWS itself would do."""

    def do(what: str, **body: Any) -> Any:
        request = urllib.request.Request(
            f"{endpoint}/tagwire/{what}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    return do


@pytest.fixture
def set_status(control: Callable[..., Any]) -> Callable[..., Any]:
    """Puts a data store into a state."""
    return lambda store, status, **more: control("store-status", store=store, status=status, **more)


@pytest.fixture
def delays(control: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Says how long data stores take, for this test."""
    yield lambda **seconds: control("delays", **seconds)
    control("delays", creating=0, changing=0)


def eventually(look: Callable[[], Any], wanted: Any, seconds: float = 5) -> None:
    """Looks until it sees what is wanted."""
    deadline = time.monotonic() + seconds
    while (seen := look()) != wanted:
        assert time.monotonic() < deadline, f"{seen} is not {wanted} after {seconds} s"
        time.sleep(0.02)


@dataclass
class Network:
    """A VPC with two subnets and a DB subnet group, and makers of what lies in it."""

    ec2: Any
    rds: Any
    vpc: str
    subnet: str
    subnets: list[str]
    subnet_group: str
    default_group: str
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def group(self, name: str | None = None, **more: Any) -> str:
        """A security group's id."""
        name = name or f"group-{next(self.numbers)}"
        return self.ec2.create_security_group(GroupName=name, Description="a test", VpcId=self.vpc, **more)["GroupId"]

    def groups(self, number: int) -> list[str]:
        """The ids of several security groups."""
        return [self.group() for _ in range(number)]

    def instance(self, *groups: str, **more: Any) -> dict[str, Any]:
        """A running instance, as RunInstances tells of it."""
        if groups:
            more["SecurityGroupIds"] = list(groups)
        return self.ec2.run_instances(
            ImageId="ami-12345678", MinCount=1, MaxCount=1, SubnetId=self.subnet, **more
        )["Instances"][0]

    def interfaces_with(self, *groups: str) -> list[dict[str, Any]]:
        """The network interfaces that have one of the groups."""
        answer = self.ec2.describe_network_interfaces(Filters=[{"Name": "group-id", "Values": list(groups)}])
        return answer["NetworkInterfaces"]

    def described(self, instance_id: str) -> dict[str, Any]:
        """An instance, as DescribeInstances tells of it."""
        return self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]

    def cluster(self, name: str, *groups: str, **more: Any) -> dict[str, Any]:
        """A DB cluster, as CreateDBCluster tells of it."""
        settings = {
            "Engine": "aurora-postgresql",
            "MasterUsername": "someone",
            "MasterUserPassword": "something",
            "DBSubnetGroupName": self.subnet_group,
            **more,
        }
        if groups:
            settings["VpcSecurityGroupIds"] = list(groups)
        return self.rds.create_db_cluster(DBClusterIdentifier=name, **settings)["DBCluster"]

    def database(self, name: str, *groups: str, **more: Any) -> dict[str, Any]:
        """A DB instance, as CreateDBInstance tells of it."""
        settings = {
            "Engine": "postgres",
            "DBInstanceClass": "db.t3.micro",
            "AllocatedStorage": 20,
            "MasterUsername": "someone",
            "MasterUserPassword": "something",
            "DBSubnetGroupName": self.subnet_group,
            **more,
        }
        if groups:
            settings["VpcSecurityGroupIds"] = list(groups)
        return self.rds.create_db_instance(DBInstanceIdentifier=name, **settings)["DBInstance"]


_networks = count(1)


@pytest.fixture
def new_network(ec2: Any, rds: Any) -> Callable[[], Network]:
    """Makes networks."""

    def make() -> Network:
        number = next(_networks)
        vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{third}.0/24", AvailabilityZone=f"{REGION}{zone}")
            for third, zone in enumerate("ab")
        ]
        ids = [subnet["Subnet"]["SubnetId"] for subnet in subnets]
        rds.create_db_subnet_group(
            DBSubnetGroupName=f"subnets-{number}", DBSubnetGroupDescription="a test", SubnetIds=ids
        )
        default = ec2.describe_security_groups(
            Filters=[{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}]
        )["SecurityGroups"][0]["GroupId"]
        return Network(ec2, rds, vpc, ids[0], ids, f"subnets-{number}", default)

    return make


@pytest.fixture
def network(new_network: Callable[[], Network]) -> Network:
    """A network of the test's own."""
    return new_network()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A store name that no other test uses."""
    return request.node.name.replace("test_", "")[:50].replace("_", "-").strip("-")


def refusal(call: Callable[..., Any], **arguments: Any) -> str:
    """The error code with which a call is refused."""
    return refusal_and_text(call, **arguments)[0]


def refusal_and_text(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    """The error code and message with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 401, 404), caught.value.response
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]
