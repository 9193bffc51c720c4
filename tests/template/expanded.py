"""The template as CloudFormation sees it: SAM's transform applied offline, parameters at their defaults unless given."""

import copy
import functools
import os
import pathlib
import re

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samcli.yamlhelper import yaml_parse  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402

TOP = pathlib.Path(__file__).resolve().parents[2]


class NoManagedPolicies:
    """Stands where SAM would ask IAM for the names of managed policies; the template uses none."""

    def load(self):
        return {}


@functools.cache
def source():
    return yaml_parse((TOP / "template.yaml").read_text(encoding="utf-8"))


def expanded(document):
    """What CloudFormation makes of a template: SAM's transform applied."""
    document = copy.deepcopy(document)
    for resource in document["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # The transform takes only code that has been uploaded.
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    return transform(document, {}, NoManagedPolicies())


@functools.cache
def _ours():
    return expanded(source())


class Stack:
    """With `aws`, other pseudo parameters than the partition have values as well: `aws={"Region": "eu-west-1"}`."""

    def __init__(self, partition="aws", aws=None, document=None, **parameters):
        self.document = document or _ours()
        pseudo = {"Partition": partition} | (aws or {})
        self.pseudo = {f"AWS::{name}": value for name, value in pseudo.items()}
        self.parameters = {name: body["Default"] for name, body in self.document["Parameters"].items()} | parameters
        for name, body in self.document["Parameters"].items():
            if body["Type"] == "CommaDelimitedList":
                self.parameters[name] = [element.strip() for element in self.parameters[name].split(",")]
        self.conditions = {name: self._condition(body) for name, body in self.document["Conditions"].items()}
        self.resources = {
            name: {**body, "Properties": self._resolve(body.get("Properties", {}))}
            for name, body in self.document["Resources"].items()
        }

    def of_type(self, kind):
        return {name: body["Properties"] for name, body in self.resources.items() if body["Type"] == kind}

    def _condition(self, body):
        if "Fn::Not" in body:
            return not self._condition(body["Fn::Not"][0])
        if "Fn::And" in body:
            return all(self._condition(part) for part in body["Fn::And"])
        if "Fn::Or" in body:
            return any(self._condition(part) for part in body["Fn::Or"])
        if "Condition" in body:
            return self._condition(self.document["Conditions"][body["Condition"]])
        left, right = (self._resolve(side) for side in body["Fn::Equals"])
        return left == right

    def _resolve(self, node):
        """Parameters, mappings and conditions become values; a reference to a resource becomes `Name` or `Name.Arn`."""
        if isinstance(node, list):
            values = [self._resolve(item) for item in node]
            return [value for value in values if value != {"Ref": "AWS::NoValue"}]
        if not isinstance(node, dict):
            return node
        if set(node) == {"Ref"}:
            name = node["Ref"]
            return self.pseudo.get(name, node) if name.startswith("AWS::") else self.parameters.get(name, name)
        if set(node) == {"Fn::GetAtt"}:
            target = node["Fn::GetAtt"]
            return target if isinstance(target, str) else ".".join(target)
        if set(node) == {"Fn::If"}:
            condition, when, otherwise = node["Fn::If"]
            return self._resolve(when if self.conditions[condition] else otherwise)
        if set(node) == {"Fn::FindInMap"}:
            mapping, first, second = (self._resolve(part) for part in node["Fn::FindInMap"])
            return self.document["Mappings"][mapping][str(first)][second]
        if set(node) == {"Fn::Join"}:
            separator, values = node["Fn::Join"]
            return separator.join(self._resolve(values))
        if set(node) == {"Fn::Split"}:
            separator, value = node["Fn::Split"]
            value = self._resolve(value)
            # A pseudo parameter without a value stays what it is.
            return value.split(separator) if isinstance(value, str) else node
        if set(node) == {"Fn::Select"}:
            index, values = (self._resolve(part) for part in node["Fn::Select"])
            return values[int(index)] if isinstance(values, list) else node
        if set(node) == {"Fn::Sub"}:
            return self._substitute(node["Fn::Sub"])
        values = {key: self._resolve(value) for key, value in node.items()}
        return {key: value for key, value in values.items() if value != {"Ref": "AWS::NoValue"}}

    def _substitute(self, node):
        text, own = (node, {}) if isinstance(node, str) else node
        values = self.pseudo | self.parameters | {name: self._resolve(value) for name, value in own.items()}
        known = {name: value for name, value in values.items() if isinstance(value, str)}
        return re.sub(r"\$\{([^}]+)\}", lambda match: known.get(match[1], match[0]), text)
