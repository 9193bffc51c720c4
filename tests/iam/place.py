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
        return self.arn("sqs", _queue_name(self, logical))

    def table(self):
        return self.arn("dynamodb", f"table/{self.made('StateTable')}")

    def attribute(self, logical, kind):
        """What `!GetAtt X.Arn` becomes."""
        return {
            "AWS::SQS::Queue": lambda: self.queue(logical),
            "AWS::DynamoDB::Table": self.table,
            "AWS::Logs::LogGroup": lambda: self.arn("logs", f"log-group:/aws/lambda/{self.made(logical)}:*"),
            "AWS::Lambda::Function": lambda: self.arn("lambda", f"function:{self.made(logical)}"),
        }[kind]()


@functools.cache
def _default():
    return Stack()


def _queue_name(place, logical):
    """The name that the template gives, or that CloudFormation makes."""
    queue = _default().of_type("AWS::SQS::Queue")[logical]
    given = queue.get("QueueName")
    return given if isinstance(given, str) else place.made(logical) + (".fifo" if queue.get("FifoQueue") else "")


def _concrete(node, place, kinds):
    if isinstance(node, list):
        return [_concrete(item, place, kinds) for item in node]
    if isinstance(node, dict):
        assert not set(node) & {"Ref", "Fn::Sub", "Fn::GetAtt"}, node
        return {key: _concrete(value, place, kinds) for key, value in node.items()}
    if isinstance(node, str):
        if match := re.fullmatch(r"(\w+)\.Arn", node):
            return place.attribute(match[1], kinds[match[1]])
        node = node.replace("${AWS::Region}", REGIONS[place.partition]).replace("${AWS::AccountId}", ACCOUNT)
        assert "${" not in node, node
    return node


@functools.cache
def roles(place, **parameters):
    """The policies of each role of the expanded template, with every reference resolved."""
    stack = Stack(partition=place.partition, **parameters)
    kinds = {name: body["Type"] for name, body in stack.resources.items()}
    return {
        name: [_concrete(policy["PolicyDocument"], place, kinds) for policy in role["Policies"]]
        for name, role in stack.of_type("AWS::IAM::Role").items()
    }


def of_people(name):
    """A policy that the documents offer."""
    return [json.loads((TOP / "docs" / "policies" / f"{name}.json").read_text(encoding="utf-8"))]
