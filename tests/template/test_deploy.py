"""The stack comes up: built for what it runs on, under names that fit, in every partition and Region."""

import json
import re
import shlex
import shutil
import subprocess

import pytest
from expanded import TOP, Stack, expanded
from samcli.cli.types import CfnParameterOverridesType
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
from samcli.yamlhelper import yaml_parse

# SAM checks a template by ways of its own that it has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

GUIDE = (TOP / "docs" / "deploy.md").read_text(encoding="utf-8")


# Architecture


def built_for(template, overrides):
    """What `sam build` compiles each function for, by SAM's own reading of the template."""
    stacks, _ = SamLocalStackProvider.get_stacks(str(template), parameter_overrides=overrides)
    return {function.name: function.architecture for function in SamFunctionProvider(stacks).get_all()}


def runs_on(template, parameters):
    """What the functions of the deployed stack run on."""
    document = expanded(yaml_parse(template.read_text(encoding="utf-8")))
    functions = Stack(document=document, **parameters).of_type("AWS::Lambda::Function")
    return {name: function["Architectures"][0] for name, function in functions.items()}


def other_values(written):
    """A value beside its default for every parameter that has one to choose from, as somebody may answer who is asked."""
    return {
        name: str(next(value for value in parameter["AllowedValues"] if value != parameter["Default"]))
        for name, parameter in written["Parameters"].items()
        if len(parameter.get("AllowedValues", [])) > 1
    }


def test_what_is_built_is_what_runs_whatever_is_given_to_the_build_or_to_the_deployment_alone(written):
    template = TOP / "template.yaml"
    other = other_values(written)
    assert {"Mode", "LogLevel", "StateTableKey"} <= set(other)
    expected = dict.fromkeys(runs_on(template, {}), "arm64")
    assert len(expected) == 4
    # `--guided`, `--parameter-overrides`, StackSets and what `sam package` leaves to another deploy give the deployment
    # parameters that the build has not seen; a `samconfig.toml` or a script may do the reverse.
    for for_build in ({}, other):
        for for_deployment in ({}, other):
            assert built_for(template, for_build) == expected
            assert runs_on(template, for_deployment) == expected


def test_the_documented_change_to_x86_64_reaches_the_build_and_the_functions(tmp_path, written):
    [command] = re.findall(r"^sed -i.+$", GUIDE, flags=re.MULTILINE)
    template = tmp_path / "template.yaml"
    shutil.copy(TOP / "template.yaml", template)
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    for given in ({}, other_values(written)):
        assert built_for(template, given) == runs_on(template, given)
        assert set(built_for(template, given).values()) == {"x86_64"}


def test_a_parameter_would_be_seen_to_set_the_two_apart(tmp_path):
    template = tmp_path / "template.yaml"
    text = (TOP / "template.yaml").read_text(encoding="utf-8").replace("[arm64]", "[!Ref Architecture]")
    template.write_text(
        text.replace("\nParameters:\n", "\nParameters:\n  Architecture: {Type: String, Default: arm64}\n"),
        encoding="utf-8",
    )
    assert set(built_for(template, {}).values()) == {"arm64"}
    assert set(runs_on(template, {"Architecture": "x86_64"}).values()) == {"x86_64"}


def test_sam_asks_no_question_before_it_builds():
    """Releases before 1.156 do, unless this is set."""
    config = (TOP / "samconfig.toml").read_text(encoding="utf-8")
    [build] = re.findall(r"^\[default\.build\.parameters\]\n(.*?)(?=^\[|\Z)", config, flags=re.MULTILINE | re.DOTALL)
    assert "\nbeta_features = true\n" in build


def is_within(value, bounds):
    if "AllowedValues" in bounds:
        return value in map(str, bounds["AllowedValues"])
    if "AllowedPattern" in bounds:
        return re.fullmatch(bounds["AllowedPattern"], value) is not None
    return bounds["MinValue"] <= int(value) <= bounds["MaxValue"]


def test_every_parameter_that_a_document_gives_is_read_by_sam_as_meant_and_is_within_its_bounds(written):
    given = set()
    for path in [TOP / "README.md", *(TOP / "docs").rglob("*.md")]:
        for options in re.findall(r"sam deploy .*--parameter-overrides ([^`\n]+)", path.read_text(encoding="utf-8")):
            for name, value in CfnParameterOverridesType().convert(tuple(shlex.split(options)), None, None).items():
                assert is_within(value, written["Parameters"][name]), f"{path.name}: {name}={value}"
                given.add((name, value))
    assert ("GroupTags", "Cost Center=42,Owner=data-platform") in given
    assert len(given) >= 5


# Names

LONGEST = "s" * 128
STACK_ID = "arn:aws:cloudformation:us-east-1:123456789012:stack/{}/{}"
# The property that names a resource, and how long the name may be. Without it CloudFormation makes one that fits, from
# the stack's name, except that it forgets the end of a FIFO queue's.
NAMED_BY = {
    "AWS::CloudWatch::Alarm": ("AlarmName", 255),
    "AWS::DynamoDB::Table": ("TableName", 255),
    "AWS::Events::Rule": ("Name", 64),
    "AWS::IAM::Role": ("RoleName", 64),
    "AWS::Lambda::Function": ("FunctionName", 64),
    "AWS::Logs::LogGroup": ("LogGroupName", 512),
    "AWS::Logs::MetricFilter": ("FilterName", 512),
    "AWS::SQS::Queue": ("QueueName", 80),
    "AWS::SSM::Parameter": ("Name", 1011),
    "AWS::Scheduler::Schedule": ("Name", 64),
}
UNNAMED = {"AWS::Lambda::EventInvokeConfig", "AWS::Lambda::EventSourceMapping", "AWS::SQS::QueuePolicy"}


def names(stack):
    """The names that the template gives, by kind and logical id."""
    assert {body["Type"] for body in stack.resources.values()} == set(NAMED_BY) | UNNAMED
    return {
        (kind, name): properties[NAMED_BY[kind][0]]
        for kind in NAMED_BY
        for name, properties in stack.of_type(kind).items()
        if NAMED_BY[kind][0] in properties
    }


def stack_named(build, name, number):
    unique = f"51af3dc0-da77-11e4-872e-12345678901{number}"
    return build(aws={"StackName": name, "StackId": STACK_ID.format(name, unique), "Region": "us-east-1"})


def test_every_name_fits_in_a_stack_with_the_longest_name(build):
    given = names(stack_named(build, LONGEST, 1))
    assert len(given) > 20
    for (kind, name), value in given.items():
        assert re.fullmatch(r"[\w./-]+", value), f"{name}: {value}"
        assert len(value) <= NAMED_BY[kind][1], f"{name}: {value}"


def test_no_fifo_queue_is_left_to_cloudformation_to_name(build):
    stack = stack_named(build, LONGEST, 1)
    for name, queue in stack.of_type("AWS::SQS::Queue").items():
        assert queue.get("QueueName", "").endswith(".fifo") is queue.get("FifoQueue", False), name


def test_two_stacks_share_only_names_that_wait_for_the_installation(build):
    one, other = names(stack_named(build, "tagwire", 1)), names(stack_named(build, "second", 2))
    shared = {name for (kind, name), value in one.items() if other[kind, name] == value}
    assert shared == {"Installation", "InstanceEventsLogs", "DataStoreEventsLogs", "ConnectLogs", "SweepLogs"}
    for name in shared - {"Installation"}:
        assert build().resources[name]["DependsOn"] == "Installation"


def test_a_queue_is_named_anew_when_a_stack_of_the_same_name_is_made_again(build):
    """SQS refuses the name of a queue that was deleted within the last minute."""
    one, other = names(stack_named(build, "tagwire", 1)), names(stack_named(build, "tagwire", 2))
    queues = {key for key in one if key[0] == "AWS::SQS::Queue"}
    assert len(queues) == 2
    assert all(one[key] != other[key] for key in queues)


# Partitions and Regions

PARTITIONS = {
    "aws": "eu-west-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1", "aws-eusc": "eusc-de-east-1",
    "aws-iso": "us-iso-east-1",
}


@pytest.mark.parametrize(("partition", "region"), PARTITIONS.items())
def test_every_arn_and_principal_is_of_the_partition_that_the_stack_is_in(build, partition, region):
    aws = {"Region": region, "AccountId": "123456789012"}
    text = json.dumps(build(partition, aws, StatusTags="on").resources)
    arns = re.findall(r"\barn:[^\"]*", text)
    assert len(arns) > 40
    for arn in arns:
        assert re.match(rf"arn:{partition}:\w+:{region}:(123456789012|\*):", arn), arn
    # These services have the same principal in every partition.
    assert set(re.findall(r"[\w.-]+\.amazonaws\.[\w.]+", text)) == {
        "events.amazonaws.com", "lambda.amazonaws.com", "scheduler.amazonaws.com",
    }


@pytest.mark.parametrize(("partition", "region"), PARTITIONS.items())
@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("AlarmTopicArn", "arn:{partition}:sns:{region}:123456789012:on-call"),
        ("PermissionsBoundaryArn", "arn:{partition}:iam::123456789012:policy/limits"),
    ],
)
def test_arns_of_every_partition_are_taken_as_parameters(written, partition, region, parameter, value):
    pattern = written["Parameters"][parameter]["AllowedPattern"]
    assert re.fullmatch(pattern, value.format(partition=partition, region=region))


SELF_SENDERS = {"InstanceEventsFunction", "DataStoreEventsFunction", "ConnectFunction"}


@pytest.mark.parametrize(
    ("partition", "region", "offered"),
    [
        ("aws", "us-east-1", True),
        ("aws", "eu-central-1", True),
        ("aws", "mx-central-1", False),
        ("aws", "ap-southeast-6", False),
        ("aws-cn", "cn-north-1", False),
        ("aws-us-gov", "us-gov-west-1", False),
        ("aws-eusc", "eusc-de-east-1", False),
        ("aws-iso", "us-iso-east-1", False),
    ],
)
def test_functions_that_send_themselves_work_are_allowed_to_where_lambda_would_stop_them(
    build, partition, region, offered
):
    functions = build(partition, aws={"Region": region}).of_type("AWS::Lambda::Function")
    set_to = {name: function["RecursiveLoop"] for name, function in functions.items() if "RecursiveLoop" in function}
    assert set_to == (dict.fromkeys(SELF_SENDERS, "Allow") if offered else {})


@pytest.mark.parametrize(
    ("partition", "mode"),
    [("aws", "Active"), ("aws-us-gov", "Active"), ("aws-cn", "PassThrough"), ("aws-eusc", "PassThrough")],
)
def test_functions_are_traced_where_x_ray_takes_their_traces(build, partition, mode):
    functions = build(partition).of_type("AWS::Lambda::Function").values()
    assert [function["TracingConfig"] for function in functions] == [{"Mode": mode}] * 4


# What an organisation demands


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ("", True),
        ("CostCenter=42", True),
        ("CostCenter=42,Owner=data-platform", True),
        ("Cost Center=a=b", True),
        ("team/cost:center=x@example.com", True),
        ("Empty=", True),
        (",".join(f"Key{number}=v" for number in range(10)), True),
        (",".join(f"Key{number}=v" for number in range(11)), False),
        ("CostCenter=42,CostCenter=43", False),
        ("CostCenter=42,Owner=x,CostCenter=43", False),
        ("CostCenter=42,Center=43", True),
        ("CostCenter", False),
        ("=42", False),
        ("CostCenter=42,", False),
        ("CostCenter=42, Owner=x", False),
        ("aws:createdBy=x", False),
        ("AWS:createdBy=x", False),
        ("tagwire:managed-by=tagwire", False),
        ("Owner=x,tagwire:side=store", False),
        (f"{'k' * 128}={'v' * 256}", True),
        (f"{'k' * 129}=v", False),
        (f"k={'v' * 257}", False),
    ],
)
def test_group_tags_are_such_as_ec2_takes_and_none_of_aws_or_of_ours(written, value, accepted):
    parameter = written["Parameters"]["GroupTags"]
    assert bool(re.fullmatch(parameter["AllowedPattern"], value)) is accepted
    assert parameter["MaxLength"] == 1024


def keys_at_creation(stack):
    policies = stack.of_type("AWS::IAM::Role")["ConnectRole"]["Policies"]
    [statement] = [
        statement
        for policy in policies
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Sid"] == "TagGroupWhileCreatingIt"
    ]
    return {key for key in statement["Condition"]["ForAllValues:StringEquals"]["aws:TagKeys"] if key}


OUR_KEYS = {"tagwire:managed-by", "tagwire:data-store-id", "tagwire:data-store", "tagwire:side"}


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        ("", set()),
        ("CostCenter=42", {"CostCenter"}),
        ("Cost Center=a=b,Owner=x", {"Cost Center", "Owner"}),
        (",".join(f"Key{number}=v" for number in range(10)), {f"Key{number}" for number in range(10)}),
    ],
)
def test_connect_may_send_the_group_tags_and_no_others_with_a_group_that_it_makes(build, value, keys):
    stack = build(GroupTags=value)
    assert keys_at_creation(stack) == OUR_KEYS | keys
    for function in stack.of_type("AWS::Lambda::Function").values():
        assert function["Environment"]["Variables"]["TAGWIRE_GROUP_TAGS"] == value


def test_settings_fit_into_the_environment_of_a_function(build, written):
    """Lambda keeps at most 4 KB, names included."""
    longest = {
        name: "x" * parameter["MaxLength"] for name, parameter in written["Parameters"].items() if "MaxLength" in parameter
    }
    assert set(longest) == {"TagKey", "GroupTags"}
    queues = {"ConnectQueue": "x" * 200, "InstanceQueue": "x" * 200, "StoreQueue": "x" * 200, "StateTable": "x" * 255}
    stack = build(**longest, IsolationGroups=",".join(["sg-0123456789abcdef0"] * 16))
    for function in stack.of_type("AWS::Lambda::Function").values():
        settings = function["Environment"]["Variables"]
        assert sum(len(name) + len(queues.get(str(value), str(value))) for name, value in settings.items()) < 4096
