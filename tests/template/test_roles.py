"""Who may do what, written out in full: a permission that is added or widened has to be added here as well."""

import json
import re

import pytest
from expanded import TOP

ACCOUNT = "arn:aws:{}:${{AWS::Region}}:${{AWS::AccountId}}:{}"


def arn(service, resource):
    return ACCOUNT.format(service, resource)


GROUPS = arn("ec2", "security-group/*")
DATABASES = [arn("rds", "cluster:*"), arn("rds", "db:*")]
CACHES = [arn("elasticache", f"{kind}:*") for kind in ("cluster", "replicationgroup", "serverlesscache")]
WAREHOUSES = [arn("redshift", "cluster:*")]
READ_STORES = [
    (
        "rds:DescribeDBClusters rds:DescribeDBInstances rds:DescribeDBSubnetGroups",
        [*DATABASES, arn("rds", "subgrp:*")],
        {},
    ),
    (
        "elasticache:DescribeCacheClusters elasticache:DescribeCacheSubnetGroups elasticache:DescribeReplicationGroups"
        " elasticache:DescribeServerlessCaches elasticache:ListTagsForResource",
        [*CACHES, arn("elasticache", "subnetgroup:*")],
        {},
    ),
    ("redshift:DescribeClusters", ["*"], {}),
]
FOR_A_SERVICE = {"Bool": {"aws:ViaAWSService": "true"}}
OUR_KEYS = {
    "ForAllValues:StringEquals": {
        "aws:TagKeys": ["tagwire:managed-by", "tagwire:data-store-id", "tagwire:data-store", "tagwire:side"]
    }
}
# Each of GroupTags would be where an empty key is.
OUR_KEYS_AND_NO_OTHER_YET = {
    "ForAllValues:StringEquals": {"aws:TagKeys": [*OUR_KEYS["ForAllValues:StringEquals"]["aws:TagKeys"], *[""] * 10]}
}
AS_OURS = {"aws:RequestTag/tagwire:managed-by": "tagwire"}
IS_OURS = {"StringEquals": {"aws:ResourceTag/tagwire:managed-by": "tagwire"}}


def reads(*names):
    return " ".join(f"ec2:{name}" for name in names), ["*"], {}


def common(name):
    return [
        ("logs:CreateLogStream logs:PutLogEvents", [f"{name}Logs.Arn"], {}),
        # X-Ray knows no resources, so there is nothing to limit this to.
        ("xray:PutTraceSegments xray:PutTelemetryRecords", ["*"], {}),
    ]


STATE = ["StateTable.Arn"]
ONLY_STATUS = {"ForAllValues:StringEquals": {"aws:TagKeys": ["tagwire:status"]}, "Null": {"aws:TagKeys": "false"}}


def takes(queue):
    return "sqs:ReceiveMessage sqs:DeleteMessage sqs:GetQueueAttributes", [f"{queue}.Arn"], {}


def sends(*queues):
    return "sqs:SendMessage", [f"{queue}.Arn" for queue in queues], {}


CONNECT_READS = [
    reads(
        "DescribeInstances",
        "DescribeLaunchTemplateVersions",
        "DescribeManagedPrefixLists",
        "DescribeNetworkInterfaces",
        "DescribeSecurityGroups",
    ),
    ("ec2:GetManagedPrefixListEntries", [arn("ec2", "prefix-list/*")], {}),
    *READ_STORES,
    ("tag:GetResources", ["*"], {}),
    ("dynamodb:BatchGetItem dynamodb:Query", STATE, {}),
    takes("ConnectQueue"),
    sends("ConnectQueue", "InstanceQueue", "StoreQueue"),
    *common("Connect"),
]
CONNECT_CHANGES = [
    ("ec2:CreateSecurityGroup", [GROUPS], {"StringEquals": AS_OURS}),
    ("ec2:CreateSecurityGroup", ["arn:aws:ec2:${AWS::Region}:*:vpc/*"], {}),
    (
        "ec2:CreateTags",
        [GROUPS],
        {"StringEquals": {"ec2:CreateAction": "CreateSecurityGroup", **AS_OURS}, **OUR_KEYS_AND_NO_OTHER_YET},
    ),
    ("ec2:CreateTags", [GROUPS], {**IS_OURS, "StringEqualsIfExists": AS_OURS, **OUR_KEYS}),
    (
        "ec2:AuthorizeSecurityGroupIngress ec2:AuthorizeSecurityGroupEgress ec2:DeleteSecurityGroup"
        " ec2:RevokeSecurityGroupIngress ec2:RevokeSecurityGroupEgress",
        [GROUPS],
        IS_OURS,
    ),
    (
        "ec2:ModifyNetworkInterfaceAttribute",
        [
            arn("ec2", "network-interface/*"),
            arn("ec2", "instance/*"),
            "arn:aws:ec2:${AWS::Region}:*:security-group/*",
        ],
        {},
    ),
    (
        "rds:ModifyDBCluster rds:ModifyDBInstance",
        DATABASES,
        {"BoolIfExists": {"rds:ManageMasterUserPassword": "false"}},
    ),
    (
        "elasticache:ModifyCacheCluster elasticache:ModifyReplicationGroup elasticache:ModifyServerlessCache",
        CACHES,
        {},
    ),
    ("ec2:DescribeSubnets ec2:DescribeTags ec2:DescribeVpcs", ["*"], FOR_A_SERVICE),
    (
        "ec2:CreateNetworkInterface ec2:DeleteNetworkInterface",
        [
            arn("ec2", "network-interface/*"),
            "arn:aws:ec2:${AWS::Region}:*:security-group/*",
            "arn:aws:ec2:${AWS::Region}:*:subnet/*",
        ],
        FOR_A_SERVICE,
    ),
    ("redshift:ModifyCluster", WAREHOUSES, {}),
    ("dynamodb:DeleteItem dynamodb:PutItem dynamodb:UpdateItem", STATE, {}),
]
CONNECT_TAGS = [
    ("ec2:CreateTags ec2:DeleteTags", [arn("ec2", "instance/*")], ONLY_STATUS),
    ("rds:AddTagsToResource rds:RemoveTagsFromResource", DATABASES, ONLY_STATUS),
    ("redshift:CreateTags redshift:DeleteTags", WAREHOUSES, ONLY_STATUS),
]
ROLES = {
    "InstanceEventsRole": [
        reads("DescribeInstances"),
        takes("InstanceQueue"),
        sends("ConnectQueue", "InstanceQueue"),
        *common("InstanceEvents"),
    ],
    "DataStoreEventsRole": [
        reads("DescribeSecurityGroups"),
        *READ_STORES,
        ("tag:GetResources", ["*"], {}),
        takes("StoreQueue"),
        sends("ConnectQueue", "StoreQueue"),
        *common("DataStoreEvents"),
    ],
    "ConnectRole": CONNECT_READS + CONNECT_CHANGES,
    "SweepRole": [
        reads("DescribeInstances", "DescribeSecurityGroups"),
        *READ_STORES,
        ("tag:GetResources", ["*"], {}),
        sends("ConnectQueue"),
        *common("Sweep"),
    ],
    "SweepScheduleRole": [
        ("lambda:InvokeFunction", ["SweepFunction.Arn"], {}),
        ("sqs:SendMessage", ["DeliveryDeadLetters.Arn"], {}),
    ],
}


def as_list(value):
    return value if isinstance(value, list) else [value]


def statements(stack, role):
    for policy in stack.of_type("AWS::IAM::Role")[role]["Policies"]:
        yield from policy["PolicyDocument"]["Statement"]


def plain(statement):
    assert statement["Effect"] == "Allow"
    return " ".join(as_list(statement["Action"])), as_list(statement["Resource"]), statement.get("Condition", {})


def test_these_are_all_the_roles(stack):
    roles = stack.of_type("AWS::IAM::Role")
    assert set(roles) == set(ROLES)
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::Lambda::Permission"):
        assert not stack.of_type(kind)
    assert not any("ManagedPolicyArns" in role for role in roles.values())


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_exactly_this(stack, role):
    assert [plain(statement) for statement in statements(stack, role)] == ROLES[role]


def test_in_dry_run_nothing_may_be_changed(build):
    for status_tags in ("off", "on"):
        dry = build(Mode="dry-run", StatusTags=status_tags)
        assert [plain(statement) for statement in statements(dry, "ConnectRole")] == CONNECT_READS


def test_status_tags_may_be_written_only_when_asked_for_and_none_but_them(build):
    stack = build(StatusTags="on")
    for role in ROLES:
        added = CONNECT_TAGS if role == "ConnectRole" else []
        assert [plain(statement) for statement in statements(stack, role)] == ROLES[role] + added


# Code that only the command line has, in a file of its own.
OF_THE_COMMAND = re.compile(r'#\[cfg\(feature = "account"\)\]\n(?:pub\(crate\) )?mod (\w+);')


def calls_of_the_code():
    """The calls that the functions and the command line make. The code names each by its action, for its errors."""
    sources = {path: path.read_text(encoding="utf-8") for path in (TOP / "shared" / "aws" / "src").rglob("*.rs")}
    of_the_command = {
        path.parent / f"{name}.rs" for path, text in sources.items() for name in OF_THE_COMMAND.findall(text)
    }
    assert of_the_command <= set(sources) and len(of_the_command) > 5

    def calls(paths):
        code = "".join(sources[path].split("#[cfg(test)]\nmod tests {")[0] for path in paths if path.stem != "tests")
        return set(re.findall(r'"((?!tagwire:)[a-z0-9]+:[A-Z][A-Za-z]+)"', code))

    return calls(set(sources) - of_the_command), calls(of_the_command)


def actions_of_connect(build):
    return set(" ".join(plain(statement)[0] for statement in statements(build(StatusTags="on"), "ConnectRole")).split())


def test_connect_may_make_every_call_that_the_code_names(build):
    calls, _ = calls_of_the_code()
    assert len(calls) > 15
    # The answers to requests are read by the command line alone.
    assert calls - {"dynamodb:GetItem"} <= actions_of_connect(build)


def test_the_policy_for_the_command_line_allows_every_read_and_nothing_else(build):
    """What it shares with connect, whose calls on ElastiCache's behalf are nobody else's, and what is its own."""
    policy = json.loads((TOP / "docs" / "policies" / "read-only.json").read_text(encoding="utf-8"))
    allowed = [action for statement in policy["Statement"] for action in as_list(statement["Action"])]
    assert all(statement["Effect"] == "Allow" for statement in policy["Statement"])
    assert len(set(allowed)) == len(allowed)
    of_functions, of_command = calls_of_the_code()
    reads = re.compile(r"\w+:(Describe|Get|List|Query|BatchGet|Simulate)")
    others = {"sts:GetCallerIdentity"}  # which nobody has to be allowed
    assert {action for action in of_functions | of_command if reads.match(action)} - others <= set(allowed)
    assert all(reads.match(action) for action in allowed)
    of_connect = {action for action in actions_of_connect(build) if reads.match(action)}
    for_elasticache = {"ec2:DescribeSubnets", "ec2:DescribeTags", "ec2:DescribeVpcs"}
    assert set(allowed) == (of_connect - for_elasticache) | (of_command - others) | {"dynamodb:GetItem"}


def test_no_change_is_allowed_on_everything(build):
    stack = build(StatusTags="on")
    for role in ROLES:
        for statement in statements(stack, role):
            actions, resources, _ = plain(statement)
            for action in actions.split():
                assert "*" not in action
                reads_only = action.split(":")[1].startswith(("Describe", "Get"))
                if "*" in resources and not reads_only:
                    assert action.startswith("xray:")


def test_no_role_may_delete_or_open_a_group_that_is_not_ours(stack):
    guarded = {"AuthorizeSecurityGroup", "RevokeSecurityGroup", "DeleteSecurityGroup"}
    found = set()
    for role in ROLES:
        for statement in statements(stack, role):
            actions, _, condition = plain(statement)
            touched = {action for action in guarded if action in actions}
            if touched:
                assert (role, condition) == ("ConnectRole", IS_OURS)
            found |= touched
    assert found == guarded


def test_each_function_has_its_own_role_for_lambda_only(stack):
    functions = stack.of_type("AWS::Lambda::Function")
    assert sorted(function["Role"] for function in functions.values()) == sorted(
        f"{name}.Arn" for name in ROLES if name != "SweepScheduleRole"
    )
    for name, role in stack.of_type("AWS::IAM::Role").items():
        [trust] = role["AssumeRolePolicyDocument"]["Statement"]
        service = "scheduler" if name == "SweepScheduleRole" else "lambda"
        assert trust["Principal"] == {"Service": f"{service}.amazonaws.com"}
        assert trust["Action"] == "sts:AssumeRole"


def test_the_boundary_reaches_every_role(stack, build):
    boundary = "arn:aws:iam::123456789012:policy/limits"
    assert all("PermissionsBoundary" not in role for role in stack.of_type("AWS::IAM::Role").values())
    bounded = build(PermissionsBoundaryArn=boundary)
    assert all(role["PermissionsBoundary"] == boundary for role in bounded.of_type("AWS::IAM::Role").values())
