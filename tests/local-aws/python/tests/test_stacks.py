"""What the events and compute server makes of a stack."""

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import client, refusal, refusal_and_text

TEMPLATE = {
    "Resources": {
        "State": {
            "Type": "AWS::DynamoDB::Table",
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": "vpc", "AttributeType": "S"},
                    {"AttributeName": "entry", "AttributeType": "S"},
                ],
                "KeySchema": [
                    {"AttributeName": "vpc", "KeyType": "HASH"},
                    {"AttributeName": "entry", "KeyType": "RANGE"},
                ],
                "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
                "SSESpecification": {"SSEEnabled": True},
            },
        }
    },
    "Outputs": {"Table": {"Value": {"Ref": "State"}}},
}


@pytest.fixture
def cloudformation(server: str) -> Any:
    """CloudFormation."""
    return client("cloudformation", server)


@pytest.fixture
def tables(server: str) -> Any:
    """DynamoDB."""
    return client("dynamodb", server)


@pytest.fixture
def deploy(cloudformation: Any, name: str) -> Any:
    """Makes the test's own stack, and answers its first output."""

    def make(template: dict[str, Any] = TEMPLATE) -> str:
        cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
        while (stack := cloudformation.describe_stacks(StackName=name)["Stacks"][0])["StackStatus"].endswith(
            "IN_PROGRESS"
        ):
            time.sleep(0.02)
        assert stack["StackStatus"] == "CREATE_COMPLETE", stack
        return stack["Outputs"][0]["OutputValue"]

    def delete() -> None:
        cloudformation.delete_stack(StackName=name)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                cloudformation.describe_stacks(StackName=name)
            except ClientError:
                return
            time.sleep(0.02)
        pytest.fail("the stack was not deleted")

    make.delete = delete
    return make


INSTALLATION = {
    "Resources": {
        "Installation": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/here", "Type": "String", "Value": "a"}},
        "Queue": {"Type": "AWS::SQS::Queue"},
    },
    "Outputs": {"Name": {"Value": {"Ref": "Installation"}}},
}


def test_stack_is_found_by_one_of_its_resources_and_not_by_those_of_nobody(cloudformation, deploy, name):
    assert refusal_and_text(cloudformation.describe_stack_resources, PhysicalResourceId="/here") == (
        "ValidationError",
        "Stack for /here does not exist",
    )
    assert deploy(INSTALLATION) == "/here"
    found = cloudformation.describe_stack_resources(PhysicalResourceId="/here")["StackResources"]
    assert {resource["LogicalResourceId"] for resource in found} == {"Installation", "Queue"}
    assert {resource["StackName"] for resource in found} == {name}
    both = {"PhysicalResourceId": "/here", "StackName": name}
    assert refusal(cloudformation.describe_stack_resources, **both) == "ValidationError"
    deploy.delete()
    assert refusal(cloudformation.describe_stack_resources, PhysicalResourceId="/here") == "ValidationError"


def test_stack_that_was_refused_a_resource_is_not_found_by_it(cloudformation, deploy, name):
    deploy(INSTALLATION)
    second = f"{name[:40]}-second"
    cloudformation.create_stack(StackName=second, TemplateBody=json.dumps(INSTALLATION))
    while (stack := cloudformation.describe_stacks(StackName=second)["Stacks"][0])["StackStatus"].endswith(
        "IN_PROGRESS"
    ):
        time.sleep(0.02)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE", stack
    found = cloudformation.describe_stack_resources(PhysicalResourceId="/here")["StackResources"]
    assert {resource["StackName"] for resource in found} == {name}
    deploy.delete()
    assert refusal(cloudformation.describe_stack_resources, PhysicalResourceId="/here") == "ValidationError"


def item(entry, version, **more):
    return {"vpc": {"S": "vpc-1"}, "entry": {"S": entry}, "version": {"N": str(version)}, **more}


def test_table_is_as_its_template_says(tables, deploy):
    table = deploy()
    described = tables.describe_table(TableName=table)["Table"]
    assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert described["SSEDescription"]["Status"] == "ENABLED"
    assert tables.describe_time_to_live(TableName=table)["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "ENABLED",
        "AttributeName": "expires",
    }
    backups = tables.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_write_with_a_condition_that_does_not_hold_is_refused(tables, deploy):
    table = deploy()
    absent = {"ConditionExpression": "attribute_not_exists(vpc)"}
    of_version_1 = {"ConditionExpression": "version = :v", "ExpressionAttributeValues": {":v": {"N": "1"}}}
    tables.put_item(TableName=table, Item=item("window", 1), **absent)
    refused = "ConditionalCheckFailedException"
    assert refusal(tables.put_item, TableName=table, Item=item("window", 9), **absent) == refused
    tables.put_item(TableName=table, Item=item("window", 2), **of_version_1)
    assert refusal(tables.put_item, TableName=table, Item=item("window", 9), **of_version_1) == refused
    key = {"vpc": {"S": "vpc-1"}, "entry": {"S": "window"}}
    assert refusal(tables.delete_item, TableName=table, Key=key, **of_version_1) == refused
    change = {"UpdateExpression": "SET seen = :v", **of_version_1}
    assert refusal(tables.update_item, TableName=table, Key=key, **change) == refused
    assert tables.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"] == item("window", 2)


def test_long_answers_come_in_pages(tables, deploy):
    table = deploy()
    for start in range(0, 75, 25):
        puts = [
            {"PutRequest": {"Item": item(f"{number:03}", 1, text={"S": "x" * 40_000})}}
            for number in range(start, start + 25)
        ]
        assert tables.batch_write_item(RequestItems={table: puts})["UnprocessedItems"] == {}
    found, pages, more = [], 0, {}
    while pages == 0 or more:
        answer = tables.query(
            TableName=table,
            KeyConditionExpression="vpc = :v",
            ExpressionAttributeValues={":v": {"S": "vpc-1"}},
            ConsistentRead=True,
            **more,
        )
        found.extend(row["entry"]["S"] for row in answer["Items"])
        pages += 1
        more = {"ExclusiveStartKey": answer["LastEvaluatedKey"]} if "LastEvaluatedKey" in answer else {}
    assert (found, pages) == ([f"{number:03}" for number in range(75)], 3)
    keys = [{"vpc": {"S": "vpc-1"}, "entry": {"S": entry}} for entry in ("000", "074", "nothing")]
    answer = tables.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
    assert sorted(row["entry"]["S"] for row in answer["Responses"][table]) == ["000", "074"]


def test_retained_table_outlives_its_stack_and_the_next_stack_has_another(tables, deploy):
    first = deploy()
    tables.put_item(TableName=first, Item=item("window", 1))
    deploy.delete()
    assert tables.scan(TableName=first)["Items"] == [item("window", 1)]
    second = deploy()
    assert second != first
    assert tables.scan(TableName=second)["Items"] == []
    assert tables.scan(TableName=first)["Items"] == [item("window", 1)]


def test_metric_filter_whose_pattern_is_not_known_fails_the_stack(deploy):
    template = {
        "Resources": {
            "Logs": {"Type": "AWS::Logs::LogGroup"},
            "Errors": {
                "Type": "AWS::Logs::MetricFilter",
                "Properties": {
                    "LogGroupName": {"Ref": "Logs"},
                    "FilterPattern": "an error",
                    "MetricTransformations": [
                        {"MetricNamespace": "tagwire", "MetricName": "errors", "MetricValue": "1"}
                    ],
                },
            },
        }
    }
    with pytest.raises(AssertionError, match="ROLLBACK"):
        deploy(template)
