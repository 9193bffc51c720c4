"""The examples of policies keep tags, groups and roles to those who are meant to have them, in every partition."""

import copy
import functools
import json
import re

import pytest
from evaluator import ALLOW_ALL, Question, ask
from expanded import TOP
from place import ACCOUNT, OTHER_ACCOUNT, PARTITIONS, REGIONS, Place

GUARDED = [
    "tagwire:connect",
    "tagwire:block",
    "tagwire:hold",
    "tagwire:allow-cidr",
    "tagwire:managed-by",
    "tagwire:data-store-id",
    "tagwire:data-store",
    "tagwire:side",
    "tagwire:status",
]
SERVICES = ["autoscaling", "ec2", "elasticache", "rds", "redshift"]
TEAM, OTHERS = "network-team", "developers"
# What connect does with its own groups.
ACTIONS_OF_CONNECT = {
    "ec2:AuthorizeSecurityGroupEgress",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:CreateSecurityGroup",
    "ec2:CreateTags",
    "ec2:DeleteSecurityGroup",
    "ec2:ModifyNetworkInterfaceAttribute",
    "ec2:RevokeSecurityGroupEgress",
    "ec2:RevokeSecurityGroupIngress",
}
OURS = {"aws:ResourceTag/tagwire:managed-by": "tagwire"}
CONNECTED = {"aws:ResourceTag/tagwire:connect": "orders"}


def example(name, place):
    """A policy of the documents, as somebody in that partition writes it."""
    text = (TOP / "docs" / "policies" / f"{name}.json").read_text(encoding="utf-8")
    return json.loads(text.replace("arn:aws:", f"arn:{place.partition}:"))


@functools.cache
def documented():
    """Each action of the services, with what AWS documents about it."""
    return ask([], services=[*SERVICES, "iam", "lambda"]).documented


@functools.cache
def taggers():
    """Each action of the services that takes tags, with a form of the resources it is checked against."""
    found = {}
    for action, details in documented().items():
        kinds = details["resourceTypes"]
        with_tags = [kind for kind in kinds if "aws:TagKeys" in kind["conditionKeys"]]
        if action.split(":")[0] in SERVICES and (with_tags or "aws:TagKeys" in details["conditionKeys"]):
            found[action] = [kind["arn"] for kind in with_tags or kinds] or ["*"]
    return found


def actions_on(service, kind):
    """Each action of a service that AWS checks against a kind of resource, but for those that only read."""
    reads = re.compile(r"\w+:(Describe|Get|List|Generate|Simulate|Search)")
    return [
        (action, resource)
        for action, details in documented().items()
        if action.startswith(f"{service}:") and not reads.match(action)
        for resource in details["resourceTypes"]
        if resource["name"] == kind
    ]


def named(place, form):
    """A resource of such a form."""
    values = {"Partition": place.partition, "Region": REGIONS[place.partition], "Account": ACCOUNT}
    return re.sub(r"\$\{(\w+)\}", lambda match: values.get(match[1], "orders"), form)


def may(place, role, requests, account=ACCOUNT):
    """Whether somebody whose own policies allow everything may do each of these."""
    principal = place.role(role, account)
    who = {"aws:PrincipalArn": principal}
    control = example("guard-tags", place)
    return ask(
        [
            Question(principal, action, resource, {**who, **context}, [ALLOW_ALL], control=control)
            for action, resource, context in requests
        ]
    ).allowed


def on_what_is_tagged(place):
    """The requests by which a tag comes onto an instance, a data store or a group, or off it."""
    return {
        "ec2:CreateTags": place.arn("ec2", "instance/i-1"),
        "ec2:DeleteTags": place.arn("ec2", "instance/i-1"),
        "ec2:CreateSecurityGroup": place.arn("ec2", "security-group/sg-1"),
        "ec2:RunInstances": place.arn("ec2", "instance/*"),
        "ec2:CreateFleet": place.arn("ec2", "instance/*"),
        "autoscaling:CreateAutoScalingGroup": named(place, taggers()["autoscaling:CreateAutoScalingGroup"][0]),
        "autoscaling:CreateOrUpdateTags": named(place, taggers()["autoscaling:CreateOrUpdateTags"][0]),
        "rds:AddTagsToResource": place.arn("rds", "cluster:orders"),
        "rds:CreateDBCluster": place.arn("rds", "cluster:orders"),
        "rds:CreateDBInstanceReadReplica": place.arn("rds", "db:orders"),
        "rds:RestoreDBClusterToPointInTime": place.arn("rds", "cluster:orders"),
        "rds:RestoreDBInstanceFromDBSnapshot": place.arn("rds", "db:orders"),
        "elasticache:CreateReplicationGroup": place.arn("elasticache", "replicationgroup:orders"),
        "redshift:RestoreFromClusterSnapshot": place.arn("redshift", "cluster:orders"),
    }


def of_the_team_alone(place):
    """What nobody else may do, connect's role included, be it by tags or not."""
    template = place.arn("ec2", "launch-template/lt-1")
    requests = [
        ("ec2:DeleteTags", place.arn("ec2", "instance/i-1"), {}),
        ("ec2:CreateLaunchTemplate", template, {}),
        ("ec2:CreateLaunchTemplateVersion", template, {}),
        ("ec2:ModifyLaunchTemplate", template, {}),
        ("ec2:RequestSpotFleet", place.arn("ec2", "spot-fleet-request/sfr-1"), {}),
        ("rds:RestoreDBInstanceFromDBSnapshot", place.arn("rds", "snapshot:orders"), CONNECTED),
        ("rds:RestoreDBClusterFromSnapshot", place.arn("rds", "cluster-snapshot:orders"), CONNECTED),
        ("rds:RestoreDBClusterToPointInTime", place.arn("rds", "cluster:orders"), CONNECTED),
        ("rds:CreateDBInstanceReadReplica", place.arn("rds", "db:orders"), CONNECTED),
        ("rds:CreateBlueGreenDeployment", place.arn("rds", "db:orders"), CONNECTED),
        ("redshift:RestoreFromClusterSnapshot", place.arn("redshift", "snapshot:orders/final"), CONNECTED),
    ]
    for role in (place.role(TEAM), place.role(place.made("ConnectRole"))):
        requests += [(action, role, {}) for action, _ in actions_on("iam", "role")]
    function = place.attribute("ConnectFunction", "AWS::Lambda::Function")
    as_it = ["AddPermission", "InvokeFunction", "PublishVersion", "UpdateFunctionCode", "UpdateFunctionConfiguration"]
    return requests + [(f"lambda:{action}", function, {}) for action in as_it]


def groups_in_use(place):
    """Every request that names a group of tagwire's: rules, lists of interfaces, launches, its tags and its end."""
    group = place.arn("ec2", "security-group/sg-1")
    return [(action, group, OURS) for action, _ in actions_on("ec2", "security-group")]


def test_the_example_fits_into_an_scp():
    assert len(json.dumps(example("guard-tags", Place("aws")), separators=(",", ":"))) < 5120


@pytest.mark.parametrize("partition", PARTITIONS)
def test_nobody_else_can_use_a_key_of_tagwire_with_any_action_that_takes_tags(partition):
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
@pytest.mark.parametrize("key", [*GUARDED, "Name", "tagwired"])
def test_the_team_and_the_role_of_the_stack_may_use_a_key_of_tagwire_and_everybody_any_other(partition, key):
    place = Place(partition)
    requests = [(action, resource, {"aws:TagKeys": [key]}) for action, resource in on_what_is_tagged(place).items()]
    assert all(may(place, TEAM, requests))
    assert all(may(place, place.made("ConnectRole"), requests))
    assert may(place, OTHERS, requests) == [key not in GUARDED] * len(requests)


@pytest.mark.parametrize("partition", PARTITIONS)
def test_a_role_that_is_only_named_like_an_exempt_one_is_not_exempt(partition):
    place = Place(partition)
    requests = [("ec2:CreateTags", place.arn("ec2", "instance/i-1"), {"aws:TagKeys": ["tagwire:connect"]})]
    assert may(place, TEAM, requests) == [True]
    for name in ("other-ConnectRole-1A2B3C4D5E6F", "tagwire-ConnectRole-000000000000", f"path/{TEAM}"):
        assert may(place, name, requests) == [False], name
    assert may(place, TEAM, requests, OTHER_ACCOUNT) == [False]
    assert may(place, place.made("ConnectRole"), requests, OTHER_ACCOUNT) == [False]


@pytest.mark.parametrize("partition", PARTITIONS)
def test_nobody_else_uses_or_changes_a_group_of_tagwire_and_its_role_does(partition):
    place = Place(partition)
    requests = groups_in_use(place)
    assert {"ec2:RunInstances", "ec2:CreateNetworkInterface", "ec2:ModifyNetworkInterfaceAttribute"} < {
        action for action, _, _ in requests
    }
    assert all(may(place, TEAM, requests))
    of_connect = [request for request in requests if request[0] in ACTIONS_OF_CONNECT]
    assert len(of_connect) == len(ACTIONS_OF_CONNECT)
    assert all(may(place, place.made("ConnectRole"), of_connect))
    allowed = may(place, OTHERS, requests)
    assert not any(allowed), [request for request, may_do in zip(requests, allowed, strict=True) if may_do]


@pytest.mark.parametrize("partition", PARTITIONS)
def test_nobody_else_copies_what_is_connected_writes_what_aws_launches_from_or_acts_as_an_exempt_role(partition):
    place = Place(partition)
    requests = of_the_team_alone(place)
    assert {"iam:PassRole", "iam:UpdateAssumeRolePolicy", "lambda:UpdateFunctionCode"} < {one for one, _, _ in requests}
    assert all(may(place, TEAM, requests))
    for who in (OTHERS, place.made("ConnectRole")):
        allowed = may(place, who, requests)
        assert not any(allowed), [request for request, may_do in zip(requests, allowed, strict=True) if may_do]


@pytest.mark.parametrize("partition", PARTITIONS)
def test_whoever_touches_nothing_of_tagwire_is_not_hindered(partition):
    place = Place(partition)
    requests = [
        ("ec2:RunInstances", place.arn("ec2", "instance/*"), {}),
        ("ec2:RunInstances", place.arn("ec2", "security-group/sg-1"), {}),
        ("ec2:AuthorizeSecurityGroupIngress", place.arn("ec2", "security-group/sg-1"), {}),
        ("ec2:DeleteTags", place.arn("ec2", "instance/i-1"), {"aws:TagKeys": ["Name"]}),
        ("ec2:DescribeInstances", "*", {}),
        ("rds:CreateDBInstance", place.arn("rds", "db:orders"), {}),
        ("rds:ModifyDBInstance", place.arn("rds", "db:orders"), {}),
        ("rds:RestoreDBInstanceFromDBSnapshot", place.arn("rds", "snapshot:orders"), {}),
        ("autoscaling:UpdateAutoScalingGroup", named(place, taggers()["autoscaling:CreateOrUpdateTags"][0]), {}),
        ("iam:CreateRole", place.role("application"), {}),
        ("iam:GetRole", place.role(place.made("ConnectRole")), {}),
        ("lambda:UpdateFunctionCode", place.arn("lambda", "function:application"), {}),
    ]
    assert all(may(place, OTHERS, requests))


def without_exemption(policy):
    """The same statements for everybody to whom the policy is attached."""
    policy = copy.deepcopy(policy)
    for statement in policy["Statement"]:
        del statement["Condition"]["ArnNotEquals"]
        if not statement["Condition"]:
            del statement["Condition"]
    return policy


def test_the_policy_for_an_account_without_an_organization_says_the_same_of_everybody_who_has_it():
    place = Place("aws")
    assert example("guard-tags-identity", place) == without_exemption(example("guard-tags", place))
    requests = [
        *((action, arn, {"aws:TagKeys": [GUARDED[0]]}) for action, arn in on_what_is_tagged(place).items()),
        *of_the_team_alone(place),
        *groups_in_use(place),
        ("ec2:RunInstances", place.arn("ec2", "instance/*"), {}),
    ]
    policies = [ALLOW_ALL, example("guard-tags-identity", place)]
    allowed = ask([Question(place.role(OTHERS), *request, policies) for request in requests]).allowed
    assert allowed == [False] * (len(requests) - 1) + [True]


def test_of_the_example_nothing_can_be_left_out_unnoticed():
    """Without a statement, or a condition, something else is allowed than must be."""
    place = Place("aws")
    control = example("guard-tags", place)
    tagging = [(action, arn, {"aws:TagKeys": [GUARDED[0]]}) for action, arn in on_what_is_tagged(place).items()]
    harmless = [(action, arn, {"aws:TagKeys": ["Name"]}) for action, arn in on_what_is_tagged(place).items()]
    others = [("rds:RestoreDBInstanceFromDBSnapshot", place.arn("rds", "snapshot:orders"), {})]
    others += [("ec2:RunInstances", place.arn("ec2", "security-group/sg-1"), {})]
    requests = [*tagging, *of_the_team_alone(place), *groups_in_use(place), *harmless, *others]

    def judged(policy):
        answers = []
        for who in (OTHERS, TEAM, place.made("ConnectRole")):
            role = place.role(who)
            keys = {"aws:PrincipalArn": role}
            answers += [
                Question(role, action, arn, keys | context, [ALLOW_ALL], control=policy)
                for action, arn, context in requests
            ]
        return ask(answers).allowed

    as_it_is = judged(control)
    for number, statement in enumerate(control["Statement"]):
        left = [one for one in control["Statement"] if one is not statement]
        assert judged(control | {"Statement": left}) != as_it_is, statement["Sid"]
        for operator in statement["Condition"]:
            fewer = {name: keys for name, keys in statement["Condition"].items() if name != operator}
            mutant = statement | {"Condition": fewer}
            changed = [*control["Statement"][:number], mutant, *control["Statement"][number + 1 :]]
            assert judged(control | {"Statement": changed}) != as_it_is, (statement["Sid"], operator)


def test_the_tag_policy_names_keys_that_people_set_and_values_that_tagwire_can_read():
    policy = json.loads((TOP / "docs" / "policies" / "tag-policy.json").read_text(encoding="utf-8"))["tags"]
    assert set(policy) == {"tagwire:connect", "tagwire:block", "tagwire:hold"}
    for key, rule in policy.items():
        assert rule["tag_key"] == {"@@assign": key}
        services = {kind.split(":")[0] for kind in rule["enforced_for"]["@@assign"]}
        assert services == {"ec2", "elasticache", "rds", "redshift"}
    names = [name for value in policy["tagwire:connect"]["tag_value"]["@@assign"] for name in value.split(" ")]
    assert names and all(re.fullmatch(r"[A-Za-z0-9._-]{1,63}", name) for name in names)
