"""Deploys a SAM template to the local AWS: what ``sam package`` and a deployment do, without a build.

    python deploy.py --endpoint URL --template template.yaml --functions DIR --stack NAME --parameters '{"Mode": "enforce"}'
    python deploy.py --endpoint URL --stack NAME --delete

Each function's code is the file in ``--functions`` that its ``Metadata.BuildProperties.Binary``
names. Nothing else of the template is touched: the local AWS runs the code whatever architecture is
written there. Prints the stack's outputs and the physical ids of its resources as JSON; on failure
prints the stack's events to standard error and exits with 1. With ``--delete`` the stack is deleted
instead, but for what the template says to retain.
"""

import argparse
import hashlib
import io
import json
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from samtranslator.yaml_helper import yaml_parse

REGION = "us-east-1"
ACCOUNT = "123456789012"
BUCKET = "packages"
DEADLINE_SECONDS = 60


class DeploymentFailed(Exception):
    """A stack that did not come up; its text is for people."""


def main() -> None:
    """Reads the command line, deploys, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint", required=True, help="where the local AWS listens")
    parser.add_argument("--template", type=Path)
    parser.add_argument("--functions", type=Path, help="folder that holds the functions' binaries")
    parser.add_argument("--stack", required=True, help="name of the stack")
    parser.add_argument("--parameters", type=json.loads, default={}, help="JSON object of stack parameters")
    parser.add_argument("--delete", action="store_true", help="delete the stack")
    options = parser.parse_args()
    if not options.delete and not (options.template and options.functions):
        parser.error("a deployment needs --template and --functions")
    try:
        if options.delete:
            delete(options.stack, options.endpoint)
            return
        packaged = package(options.template, options.functions, options.endpoint)
        unknown = sorted(set(options.parameters) - set(packaged.get("Parameters", {})))
        if unknown:
            # AWS refuses these; the local AWS would pass over a misspelt name.
            raise DeploymentFailed(f"Parameters: {unknown} do not exist in the template")
        print(json.dumps(create(options.stack, packaged, options.parameters, options.endpoint)))
    except DeploymentFailed as failure:
        what = "deleting" if options.delete else f"deploying {options.template} as"
        sys.exit(f"{what} stack {options.stack} failed: {failure}")


def package(template: Path, functions: Path, endpoint: str) -> dict[str, Any]:
    """The template with each function's code uploaded and named."""
    s3 = client("s3", endpoint)
    s3.create_bucket(Bucket=BUCKET)
    packaged = yaml_parse(template.read_text())
    uploaded: dict[Path, str] = {}
    for logical_id, resource in packaged["Resources"].items():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        binary = functions / binary_name(logical_id, resource)
        if not binary.is_file():
            raise DeploymentFailed(
                f"the code of {logical_id} is to be {binary}, which is not there; "
                f"the folder holds {sorted(path.name for path in functions.iterdir() if path.is_file())}"
            )
        if binary not in uploaded:
            archive = zipped(binary)
            uploaded[binary] = f"{hashlib.sha256(archive).hexdigest()}.zip"
            s3.put_object(Bucket=BUCKET, Key=uploaded[binary], Body=archive)
        resource["Properties"]["CodeUri"] = f"s3://{BUCKET}/{uploaded[binary]}"
    return packaged


def binary_name(logical_id: str, resource: dict[str, Any]) -> str:
    """The name of the executable that a function is built into."""
    try:
        return resource["Metadata"]["BuildProperties"]["Binary"]
    except KeyError as missing:
        raise DeploymentFailed(f"{logical_id} does not name its binary: {missing} is missing in its Metadata") from None


def zipped(binary: Path) -> bytes:
    """A function's package; not compressed, since it goes no further than this machine."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as package_file:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        package_file.writestr(entry, binary.read_bytes())
    return archive.getvalue()


def create(stack: str, template: dict[str, Any], parameters: dict[str, str], endpoint: str) -> dict[str, Any]:
    """Creates the stack and waits until it is up."""
    cloudformation = client("cloudformation", endpoint)
    client("s3", endpoint).put_object(Bucket=BUCKET, Key=f"{stack}.json", Body=json.dumps(template).encode())
    try:
        cloudformation.create_stack(
            StackName=stack,
            TemplateURL=f"{endpoint}/{BUCKET}/{stack}.json",
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
    except ClientError as error:
        raise DeploymentFailed(f"CreateStack was refused: {error}") from error
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (described := cloudformation.describe_stacks(StackName=stack)["Stacks"][0])["StackStatus"] in (
        "CREATE_IN_PROGRESS",
        "REVIEW_IN_PROGRESS",
        "ROLLBACK_IN_PROGRESS",
    ):
        if time.monotonic() > deadline:
            raise DeploymentFailed(f"no end after {DEADLINE_SECONDS} s\n{events(cloudformation, stack)}")
        time.sleep(0.05)
    if described["StackStatus"] != "CREATE_COMPLETE":
        reason = described.get("StackStatusReason", "no reason given")
        raise DeploymentFailed(f"{described['StackStatus']}: {reason}\n{events(cloudformation, stack)}")
    return {
        "outputs": {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])},
        "resources": {
            resource["LogicalResourceId"]: {
                "type": resource["ResourceType"],
                "id": resource.get("PhysicalResourceId", ""),
            }
            for resource in resources(cloudformation, stack)
        },
    }


def delete(stack: str, endpoint: str) -> None:
    """Deletes the stack and waits until it is gone."""
    cloudformation = client("cloudformation", endpoint)
    try:
        # Under its id a stack can be described after its end as well.
        stack_id = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackId"]
    except ClientError as error:
        raise DeploymentFailed(f"there is no such stack: {error}") from error
    cloudformation.delete_stack(StackName=stack)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (status := cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"]) in (
        "CREATE_COMPLETE",
        "DELETE_IN_PROGRESS",
    ):
        if time.monotonic() > deadline:
            raise DeploymentFailed(f"{status} after {DEADLINE_SECONDS} s\n{events(cloudformation, stack_id)}")
        time.sleep(0.05)
    if status != "DELETE_COMPLETE":
        raise DeploymentFailed(f"{status}\n{events(cloudformation, stack_id)}")


def resources(cloudformation: Any, stack: str) -> list[dict[str, Any]]:
    """Every resource of a stack, what the transform added included."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    return [resource for page in pages for resource in page["StackResourceSummaries"]]


def events(cloudformation: Any, stack: str) -> str:
    """What happened to a stack, oldest first, a line each."""
    happened = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    return "\n".join(
        f"  {event['ResourceStatus']} {event['LogicalResourceId']} ({event['ResourceType']}) "
        f"{event.get('ResourceStatusReason', '')}"
        for event in reversed(happened)
    )


def client(service: str, endpoint: str) -> Any:
    """A client of one service of the local AWS."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="local",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, proxies={}),
    )


if __name__ == "__main__":
    main()
