"""Where the stack is: a partition, with names for what is in it; and the policies of the roles there."""

import functools
import json
import re
from dataclasses import dataclass

from expanded import TOP, Stack

ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
REGIONS = {
    "aws": "eu-west-1",
    "aws-cn": "cn-north-1",
    "aws-us-gov": "us-gov-west-1",
    "aws-eusc": "eusc-de-east-1",
}
PARTITIONS = list(REGIONS)


@dataclass(frozen=True)
class Place:
    """A partition with a stack in it."""

    partition: str
    stack: str = "tagwire"

    def arn(self, service, resource, account=ACCOUNT, region=None):
        region = REGIONS[self.partition] if region is None else region
        return f"arn:{self.partition}:{service}:{region}:{account}:{resource}"

    def made(self, logical):
        """The physical name of a resource of the stack."""
        return f"{self.stack}-{logical}-1A2B3C4D5E6F"

    def role(self, name, account=ACCOUNT):
        return self.arn("iam", f"role/{name}", account, region="")

    def queue(self, logical):
        given = stack(self).of_type("AWS::SQS::Queue")[logical].get("QueueName")
        return self.arn("sqs", given or self.made(logical))

    def table(self):
        return self.arn("dynamodb", f"table/{self.made('StateTable')}")

    def attribute(self, logical, kind):
        """What `!GetAtt X.Arn` becomes."""
        return {
            "AWS::SQS::Queue": lambda: self.queue(logical),
            "AWS::DynamoDB::Table": self.table,
            "AWS::Logs::LogGroup": lambda: self.arn("logs", f"log-group:/aws/lambda/{self.made(logical)}:*"),
            "AWS::Events::Rule": lambda: self.arn("events", f"rule/{self.made(logical)}"),
            "AWS::Lambda::Function": lambda: self.arn("lambda", f"function:{self.made(logical)}"),
        }[kind]()


@functools.cache
def stack(place, **parameters):
    """The expanded template there."""
    unique = "1a2b3c4d-0000-11f0-8000-0123456789ab"
    pseudo = {
        "AccountId": ACCOUNT,
        "Region": REGIONS[place.partition],
        "StackId": place.arn("cloudformation", f"stack/{place.stack}/{unique}"),
    }
    return Stack(partition=place.partition, aws=pseudo, **parameters)


def _concrete(node, place, kinds):
    """The policy with an ARN for each attribute of another resource."""
    if isinstance(node, list):
        return [_concrete(item, place, kinds) for item in node]
    if isinstance(node, dict):
        assert not any(key == "Ref" or key.startswith("Fn::") for key in node), node
        return {key: _concrete(value, place, kinds) for key, value in node.items()}
    assert "${" not in node, node
    match = re.fullmatch(r"(\w+)\.Arn", node)
    return place.attribute(match[1], kinds[match[1]]) if match else node


def _resolved(place, parameters, kind, documents_of):
    """The policies in the resources of a kind, with every reference resolved."""
    there = stack(place, **parameters)
    kinds = {name: body["Type"] for name, body in there.resources.items()}
    return {
        name: [_concrete(document, place, kinds) for document in documents_of(properties)]
        for name, properties in there.of_type(kind).items()
    }


@functools.cache
def roles(place, **parameters):
    """The policies of each role of the expanded template."""

    def policies(role):
        return [policy["PolicyDocument"] for policy in role["Policies"]]

    return _resolved(place, parameters, "AWS::IAM::Role", policies)


def trust(place):
    """Who may assume each role."""
    return _resolved(place, {}, "AWS::IAM::Role", lambda role: [role["AssumeRolePolicyDocument"]])


def queue_policies(place):
    """The policy of each queue that has one."""
    documents = _resolved(place, {}, "AWS::SQS::QueuePolicy", lambda policy: [policy["PolicyDocument"]])
    policies = stack(place).of_type("AWS::SQS::QueuePolicy")
    return {queue: documents[name][0] for name, policy in policies.items() for queue in policy["Queues"]}


def of_people(name):
    """A policy that the documents offer."""
    return [json.loads((TOP / "docs" / "policies" / f"{name}.json").read_text(encoding="utf-8"))]
