"""The example of an SCP keeps tags to those who are meant to set them, in every partition and for every stack."""

import functools
import json
import re

import pytest
from evaluator import ALLOW_ALL, Question, ask
from expanded import TOP
from place import ACCOUNT, PARTITIONS, REGIONS, Place

GUARD = json.loads((TOP / "docs" / "policies" / "guard-tags.json").read_text(encoding="utf-8"))
GUARDED = ["tagwire:connect", "tagwire:block", "tagwire:hold", "tagwire:allow-cidr", "tagwire:managed-by"]
SERVICES = ["autoscaling", "ec2", "elasticache", "rds", "redshift"]
TEAM, OTHERS = "network-team", "developers"
STACKS = ["tagwire", "data-access", "StackSet-networking-1a2b3c4d"]


@functools.cache
def taggers():
    """Each action of the services that takes tags, with a form of the resources it is checked against."""
    found = {}
    for action, details in ask([], services=SERVICES).documented.items():
        kinds = details["resourceTypes"]
        with_tags = [kind for kind in kinds if "aws:TagKeys" in kind["conditionKeys"]]
        if with_tags or "aws:TagKeys" in details["conditionKeys"]:
            found[action] = [kind["arn"] for kind in with_tags or kinds] or ["*"]
    return found


def named(place, form):
    """A resource of such a form."""
    values = {"Partition": place.partition, "Region": REGIONS[place.partition], "Account": ACCOUNT}
    return re.sub(r"\$\{(\w+)\}", lambda match: values.get(match[1], "orders"), form)


def may(place, role, requests):
    """Whether somebody whose own policies allow everything may do each of these."""
    principal = place.role(role)
    who = {"aws:PrincipalArn": principal}
    return ask(
        [
            Question(principal, action, resource, {**who, **context}, [ALLOW_ALL], control=GUARD)
            for action, resource, context in requests
        ]
    ).allowed


def on_what_is_tagged(place):
    """The requests by which a tag comes onto an instance or a data store, or off it."""
    return {
        "ec2:CreateTags": place.arn("ec2", "instance/i-1"),
        "ec2:DeleteTags": place.arn("ec2", "instance/i-1"),
        "ec2:RunInstances": place.arn("ec2", "instance/*"),
        "ec2:CreateFleet": place.arn("ec2", "instance/*"),
        "autoscaling:CreateAutoScalingGroup": named(place, taggers()["autoscaling:CreateAutoScalingGroup"][0]),
        "autoscaling:CreateOrUpdateTags": named(place, taggers()["autoscaling:CreateOrUpdateTags"][0]),
        "rds:AddTagsToResource": place.arn("rds", "cluster:orders"),
        "rds:CreateDBCluster": place.arn("rds", "cluster:orders"),
        "rds:RestoreDBClusterToPointInTime": place.arn("rds", "cluster:orders"),
        "rds:RestoreDBInstanceFromDBSnapshot": place.arn("rds", "db:orders"),
        "elasticache:CreateReplicationGroup": place.arn("elasticache", "replicationgroup:orders"),
        "redshift:RestoreFromClusterSnapshot": place.arn("redshift", "cluster:orders"),
    }


def test_the_example_fits_into_an_scp():
    assert len(json.dumps(GUARD, separators=(",", ":"))) < 5120


@pytest.mark.parametrize("partition", PARTITIONS)
def test_nobody_else_can_use_a_guarded_key_with_any_action_that_takes_tags(partition):
    place = Place(partition)
    requests = [
        (action, named(place, form), {"aws:TagKeys": ["Name", "tagwire:connect"]})
        for action, forms in taggers().items()
        for form in forms[:1]
    ]
    assert len(requests) > 150
    allowed = may(place, OTHERS, requests)
    assert not any(allowed), [request for request, may_do in zip(requests, allowed, strict=True) if may_do]


@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize("key", [*GUARDED, "Name", "tagwire:status"])
def test_the_team_and_the_role_of_any_stack_may_use_a_guarded_key_and_everybody_any_other(partition, key):
    for stack in STACKS:
        place = Place(partition, stack)
        requests = [(action, resource, {"aws:TagKeys": [key]}) for action, resource in on_what_is_tagged(place).items()]
        assert all(may(place, TEAM, requests))
        assert all(may(place, place.made("ConnectRole"), requests))
        assert may(place, OTHERS, requests) == [key not in GUARDED] * len(requests)


@pytest.mark.parametrize("partition", PARTITIONS)
def test_nobody_else_removes_tags_without_naming_them_or_writes_what_aws_launches_from(partition):
    place = Place(partition)
    connected = {"aws:ResourceTag/tagwire:connect": "orders"}
    requests = [
        ("ec2:DeleteTags", place.arn("ec2", "instance/i-1"), {}),
        ("ec2:CreateLaunchTemplate", place.arn("ec2", "launch-template/lt-1"), {}),
        ("ec2:CreateLaunchTemplateVersion", place.arn("ec2", "launch-template/lt-1"), {}),
        ("ec2:ModifyLaunchTemplate", place.arn("ec2", "launch-template/lt-1"), {}),
        ("ec2:RequestSpotFleet", place.arn("ec2", "spot-fleet-request/sfr-1"), {}),
        ("rds:RestoreDBInstanceFromDBSnapshot", place.arn("rds", "snapshot:orders"), connected),
        ("rds:RestoreDBClusterFromSnapshot", place.arn("rds", "cluster-snapshot:orders"), connected),
        ("rds:RestoreDBClusterToPointInTime", place.arn("rds", "cluster:orders"), connected),
        ("redshift:RestoreFromClusterSnapshot", place.arn("redshift", "snapshot:orders/final"), connected),
    ]
    for stack in STACKS:
        role = place.role(Place(partition, stack).made("ConnectRole"))
        for action in ("AttachRolePolicy", "CreateRole", "PassRole", "PutRolePolicy", "UpdateAssumeRolePolicy"):
            requests.append((f"iam:{action}", role, {}))
    assert all(may(place, TEAM, requests))
    assert not any(may(place, OTHERS, requests))


@pytest.mark.parametrize("partition", PARTITIONS)
def test_whoever_touches_no_guarded_tag_is_not_hindered(partition):
    place = Place(partition)
    requests = [
        ("ec2:RunInstances", place.arn("ec2", "instance/*"), {}),
        ("ec2:DeleteTags", place.arn("ec2", "instance/i-1"), {"aws:TagKeys": ["Name"]}),
        ("ec2:DescribeInstances", "*", {}),
        ("rds:CreateDBInstance", place.arn("rds", "db:orders"), {}),
        ("rds:ModifyDBInstance", place.arn("rds", "db:orders"), {}),
        ("rds:RestoreDBInstanceFromDBSnapshot", place.arn("rds", "snapshot:orders"), {}),
        ("autoscaling:UpdateAutoScalingGroup", named(place, taggers()["autoscaling:CreateOrUpdateTags"][0]), {}),
        ("iam:CreateRole", place.role("application"), {}),
    ]
    assert all(may(place, OTHERS, requests))
