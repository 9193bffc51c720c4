"""What IAM is asked about a call, and what becomes of a call that is refused."""

import json
from urllib.parse import urlencode

import enforcement
import pytest
from permissions import Call, Part, Place, UnknownCall, asked, call

GROUP = "arn:aws:ec2:us-east-1:123456789012:security-group"
OURS = {"aws:ResourceTag/tagwire:managed-by": "tagwire"}


@pytest.fixture
def place():
    def tags(resource_id):
        return {"tagwire:managed-by": "tagwire"} if resource_id == "sg-1" else {}

    return Place("123456789012", "us-east-1", tags, lambda _: "aws", lambda _: "i-1")


def test_making_a_group_with_tags_is_three_questions(place):
    form = {
        "VpcId": "vpc-1",
        "TagSpecification.1.ResourceType": "security-group",
        "TagSpecification.1.Tag.1.Key": "tagwire:managed-by",
        "TagSpecification.1.Tag.1.Value": "tagwire",
    }
    requested = {"aws:RequestTag/tagwire:managed-by": "tagwire", "aws:TagKeys": ["tagwire:managed-by"]}
    group = f"{GROUP}/sg-00000000000000000"
    assert asked(Call("ec2", "CreateSecurityGroup", form), place) == [
        Part("ec2:CreateSecurityGroup", group, requested),
        Part("ec2:CreateSecurityGroup", "arn:aws:ec2:us-east-1:123456789012:vpc/vpc-1"),
        Part("ec2:CreateTags", group, requested | {"ec2:CreateAction": "CreateSecurityGroup"}),
    ]


def test_a_list_of_groups_is_asked_for_with_its_interface_its_instance_and_each_group(place):
    form = {"NetworkInterfaceId": "eni-1", "SecurityGroupId.1": "sg-1", "SecurityGroupId.2": "sg-2"}
    parts = asked(Call("ec2", "ModifyNetworkInterfaceAttribute", form), place)
    here = "arn:aws:ec2:us-east-1:123456789012"
    assert [part.resource for part in parts] == [
        f"{here}:network-interface/eni-1",
        f"{here}:instance/i-1",
        f"{here}:security-group/sg-1",
        f"{here}:security-group/sg-2",
    ]


@pytest.mark.parametrize(("group", "context"), [("sg-1", OURS), ("sg-2", {})])
def test_a_change_of_a_group_is_asked_for_with_the_tags_that_the_group_has(place, group, context):
    for action in ("AuthorizeSecurityGroupIngress", "RevokeSecurityGroupEgress", "DeleteSecurityGroup"):
        [part] = asked(Call("ec2", action, {"GroupId": group}), place)
        assert part == Part(f"ec2:{action}", f"{GROUP}/{group}", context)


@pytest.mark.parametrize(
    ("service", "action", "parameters", "resource", "context"),
    [
        ("ec2", "DescribeInstances", {}, "*", {}),
        ("ec2", "GetManagedPrefixListEntries", {"PrefixListId": "pl-1"}, "ec2:us-east-1:aws:prefix-list/pl-1", {}),
        ("rds", "DescribeDBClusters", {}, "rds:us-east-1:123456789012:cluster:*", {}),
        ("rds", "ModifyDBInstance", {"DBInstanceIdentifier": "a"}, "rds:us-east-1:123456789012:db:a", {}),
        (
            "rds",
            "ModifyDBCluster",
            {"DBClusterIdentifier": "a", "ManageMasterUserPassword": "true"},
            "rds:us-east-1:123456789012:cluster:a",
            {"rds:ManageMasterUserPassword": "true"},
        ),
        (
            "rds",
            "AddTagsToResource",
            {"ResourceName": "arn:aws:rds:r:a:db:a", "Tags.Tag.1.Key": "k", "Tags.Tag.1.Value": "v"},
            "rds:r:a:db:a",
            {"aws:RequestTag/k": "v", "aws:TagKeys": ["k"]},
        ),
        (
            "redshift",
            "DeleteTags",
            {"ResourceName": "arn:aws:redshift:r:a:cluster:a", "TagKeys.TagKey.1": "k"},
            "redshift:r:a:cluster:a",
            {"aws:TagKeys": ["k"]},
        ),
        ("dynamodb", "BatchGetItem", {"RequestItems": {"t": {}}}, "dynamodb:us-east-1:123456789012:table/t", {}),
        ("tagging", "GetResources", {}, "*", {}),
    ],
)
def test_a_call_is_asked_for_on_what_it_names(place, service, action, parameters, resource, context):
    [part] = asked(Call(service, action, parameters), place)
    assert (part.resource.removeprefix("arn:aws:"), part.context) == (resource, context)


def test_a_message_of_a_batch_is_the_same_to_iam(place):
    for action in ("SendMessage", "SendMessageBatch"):
        parts = asked(Call("sqs", action, {"QueueUrl": "http://127.0.0.1:1/123456789012/q.fifo"}), place)
        assert parts == [Part("sqs:SendMessage", "arn:aws:sqs:us-east-1:123456789012:q.fifo")]


@pytest.mark.parametrize(
    ("service", "action"),
    [("ec2", "RunInstances"), ("rds", "DeleteDBCluster"), ("sqs", "PurgeQueue"), ("kms", "Decrypt")],
)
def test_a_call_that_nobody_thought_of_is_not_let_through(place, service, action):
    with pytest.raises(UnknownCall):
        asked(Call(service, action, {}), place)
    status, _, body = enforcement.refused(_signed(service, action), _form(action), place, lambda *_: None)
    assert status in (400, 403) and action in body.decode()


def _form(action):
    return urlencode({"Action": action}).encode()


def _signed(service, action, role="arn:aws:iam::123456789012:role/tagwire-ConnectRole-1"):
    scope = f"Credential=123456789012/20261128/us-east-1/{service}/aws4_request"
    return {"authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host", "x-amz-security-token": role}


def test_a_call_of_a_function_is_judged_under_its_role_and_one_of_a_test_is_no_such_call(place):
    seen = []

    def refusal(role, parts):
        seen.append((role, [part["action"] for part in parts]))
        return "no"

    headers = _signed("ec2", "DescribeInstances")
    status, _, body = enforcement.refused(headers, _form("DescribeInstances"), place, refusal)
    assert (status, b"UnauthorizedOperation" in body) == (403, True)
    assert seen == [("arn:aws:iam::123456789012:role/tagwire-ConnectRole-1", ["ec2:DescribeInstances"])]
    assert enforcement.is_of_function(headers)
    assert not enforcement.is_of_function({"authorization": headers["authorization"]})


def test_the_target_of_a_json_call_is_its_action():
    headers = _signed("dynamodb", "") | {"x-amz-target": "DynamoDB_20120810.PutItem"}
    assert call(headers, json.dumps({"TableName": "t"}).encode()) == Call("dynamodb", "PutItem", {"TableName": "t"})
    assert call({}, b"") is None
