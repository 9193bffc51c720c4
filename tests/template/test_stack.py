"""The shape of the stack: queues, policies, sources, alarms, settings, parameters."""

import json
import re

import pytest
from conftest import TOP

FUNCTIONS = {
    "InstanceEventsFunction": ("instance-events", "InstanceQueue"),
    "DataStoreEventsFunction": ("data-store-events", "StoreQueue"),
    "ConnectFunction": ("connect", "ConnectQueue"),
    "SweepFunction": ("sweep", None),
}
RULES_OF_QUEUE = {
    "InstanceQueue": {"InstanceStateRule", "InstanceTagRule"},
    "StoreQueue": {"DatabaseClusterRule", "DatabaseInstanceRule", "DatabaseMovedRule", "StoreTagRule"},
}
SETTINGS = {
    "TAGWIRE_TAG_KEY": "tagwire:connect",
    "TAGWIRE_MODE": "enforce",
    "TAGWIRE_INTERFACE_GROUP_LIMIT": 5,
    "TAGWIRE_CONNECT_QUEUE_URL": "ConnectQueue",
    "TAGWIRE_INSTANCE_QUEUE_URL": "InstanceQueue",
    "TAGWIRE_STORE_QUEUE_URL": "StoreQueue",
}
WORK_QUEUES = [queue for _, queue in FUNCTIONS.values() if queue]


def sources(stack):
    return {body["FunctionName"]: body for body in stack.of_type("AWS::Lambda::EventSourceMapping").values()}


def alarms_on(stack, name, metric):
    return [
        alarm
        for alarm in stack.of_type("AWS::CloudWatch::Alarm").values()
        if alarm["MetricName"] == metric and alarm["Dimensions"][0]["Value"].split(".")[0] == name
    ]


# Functions


def test_there_are_four_functions_built_from_their_folders(stack, written):
    assert set(stack.of_type("AWS::Lambda::Function")) == set(FUNCTIONS)
    for name, (binary, _) in FUNCTIONS.items():
        function = written["Resources"][name]
        assert function["Metadata"] == {"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": binary}}
        assert function["Properties"]["CodeUri"] == f"functions/{binary}"
        assert (TOP / "functions" / binary / "Cargo.toml").exists()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_all_its_settings(stack, name):
    function = stack.of_type("AWS::Lambda::Function")[name]
    assert function["Runtime"] == "provided.al2023"
    assert function["Handler"] == "bootstrap"
    assert function["Architectures"] == ["arm64"]
    assert function["Timeout"] == 60
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert function["Environment"]["Variables"] == SETTINGS
    assert "ReservedConcurrentExecutions" not in function
    logs = name.replace("Function", "Logs")
    assert function["LoggingConfig"] == {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "LogGroup": logs}
    assert stack.of_type("AWS::Logs::LogGroup")[logs]["RetentionInDays"] == 90


def test_functions_that_send_themselves_work_are_allowed_to(stack):
    allowed = {
        name
        for name, function in stack.of_type("AWS::Lambda::Function").items()
        if function.get("RecursiveLoop") == "Allow"
    }
    assert allowed == {"InstanceEventsFunction", "DataStoreEventsFunction", "ConnectFunction"}


def test_a_second_installation_is_refused_before_any_function_exists(stack):
    assert stack.of_type("AWS::SSM::Parameter")["Installation"]["Name"] == "/tagwire/installation"
    for name in FUNCTIONS:
        depends = stack.resources[name]["DependsOn"]
        assert "Installation" in (depends if isinstance(depends, list) else [depends])


# Queues


def test_every_work_queue_has_a_dead_letter_queue_of_its_kind(stack):
    queues = stack.of_type("AWS::SQS::Queue")
    dead = set()
    for name in WORK_QUEUES:
        redrive = queues[name]["RedrivePolicy"]
        assert redrive["maxReceiveCount"] == 5
        target = redrive["deadLetterTargetArn"].removesuffix(".Arn")
        assert queues[target].get("FifoQueue") == queues[name].get("FifoQueue")
        dead.add(target)
    assert set(queues) == {*WORK_QUEUES, *dead, "DeliveryDeadLetters"}
    assert len(dead) == len(WORK_QUEUES)
    for name in {*dead, "DeliveryDeadLetters"}:
        assert queues[name]["MessageRetentionPeriod"] == 14 * 24 * 3600
        assert "RedrivePolicy" not in queues[name]


def test_every_queue_is_encrypted_at_rest(stack):
    assert all(queue["SqsManagedSseEnabled"] is True for queue in stack.of_type("AWS::SQS::Queue").values())


def test_a_message_is_invisible_six_times_as_long_as_its_function_may_run(stack):
    for name, (_, queue) in FUNCTIONS.items():
        if queue:
            timeout = stack.of_type("AWS::Lambda::Function")[name]["Timeout"]
            assert stack.of_type("AWS::SQS::Queue")[queue]["VisibilityTimeout"] >= 6 * timeout


def test_the_connect_queue_orders_by_group_and_swallows_nothing(stack):
    queue = stack.of_type("AWS::SQS::Queue")["ConnectQueue"]
    assert queue["FifoQueue"] is True
    assert queue["ContentBasedDeduplication"] is False
    assert queue["DeduplicationScope"] == "messageGroup"
    assert queue["FifoThroughputLimit"] == "perMessageGroupId"


def test_each_function_takes_from_its_queue_and_reports_single_failures(stack):
    mappings = sources(stack)
    assert set(mappings) == {name for name, (_, queue) in FUNCTIONS.items() if queue}
    for name, mapping in mappings.items():
        assert mapping["EventSourceArn"] == f"{FUNCTIONS[name][1]}.Arn"
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    for name in ("InstanceEventsFunction", "DataStoreEventsFunction"):
        assert mappings[name]["BatchSize"] == 100
        assert mappings[name]["MaximumBatchingWindowInSeconds"] == 1
    connect = mappings["ConnectFunction"]
    assert connect["BatchSize"] == 10
    # Lambda refuses a batching window on a FIFO queue.
    assert "MaximumBatchingWindowInSeconds" not in connect
    assert connect["ScalingConfig"] == {"MaximumConcurrency": 5}


# Rules and the policies that let them in


def test_each_rule_sends_to_one_queue_and_keeps_what_it_could_not_deliver(stack):
    for name, rule in stack.of_type("AWS::Events::Rule").items():
        [target] = rule["Targets"]
        queue = target["Arn"].removesuffix(".Arn")
        assert name in RULES_OF_QUEUE[queue]
        assert target["DeadLetterConfig"] == {"Arn": "DeliveryDeadLetters.Arn"}
        assert target["RetryPolicy"]["MaximumRetryAttempts"] == 185


def test_a_queue_takes_messages_from_its_own_rules_only(stack):
    expected = {**RULES_OF_QUEUE, "DeliveryDeadLetters": set().union(*RULES_OF_QUEUE.values())}
    seen = {}
    for policy in stack.of_type("AWS::SQS::QueuePolicy").values():
        [queue] = policy["Queues"]
        [statement] = policy["PolicyDocument"]["Statement"]
        assert statement["Effect"] == "Allow"
        assert statement["Principal"] == {"Service": "events.amazonaws.com"}
        assert statement["Action"] == "sqs:SendMessage"
        assert statement["Resource"] == f"{queue}.Arn"
        condition = statement["Condition"]
        assert set(condition) == {"StringEquals", "ArnEquals"}
        assert condition["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        seen[queue] = {arn.removesuffix(".Arn") for arn in condition["ArnEquals"]["aws:SourceArn"]}
    assert seen == expected


def test_the_sweep_runs_on_a_schedule_that_keeps_what_failed(stack):
    [schedule] = stack.of_type("AWS::Scheduler::Schedule").values()
    assert schedule["ScheduleExpression"] == "rate(15 minutes)"
    target = schedule["Target"]
    assert target["Arn"] == "SweepFunction.Arn"
    assert target["RoleArn"] == "SweepScheduleRole.Arn"
    assert target["DeadLetterConfig"] == {"Arn": "DeliveryDeadLetters.Arn"}
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 300, "MaximumRetryAttempts": 3}


# Alarms


def test_every_dead_letter_queue_rings_at_the_first_message(stack):
    for name in stack.of_type("AWS::SQS::Queue"):
        if name.endswith("DeadLetters"):
            [alarm] = alarms_on(stack, name, "ApproximateNumberOfMessagesVisible")
            assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)


def test_every_work_queue_rings_when_work_grows_old(stack):
    for name in WORK_QUEUES:
        [alarm] = alarms_on(stack, name, "ApproximateAgeOfOldestMessage")
        assert alarm["Threshold"] == 1800


def test_every_function_rings_when_it_fails(stack):
    for name in FUNCTIONS:
        [alarm] = alarms_on(stack, name, "Errors")
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)


@pytest.mark.parametrize("minutes", [1, 5, 10, 15, 30, 60])
def test_a_sweep_that_has_not_run_for_four_periods_rings(build, minutes):
    stack = build(SweepMinutes=minutes)
    [alarm] = alarms_on(stack, "SweepFunction", "Invocations")
    [schedule] = stack.of_type("AWS::Scheduler::Schedule").values()
    assert schedule["ScheduleExpression"] == f"rate({minutes} minute{'' if minutes == 1 else 's'})"
    assert (alarm["Period"], alarm["EvaluationPeriods"]) == (60 * minutes, 4)
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["TreatMissingData"] == "breaching"


def test_alarms_tell_the_topic_when_there_is_one(stack, build):
    topic = "arn:aws:sns:us-east-1:123456789012:on-call"
    told = build(AlarmTopicArn=topic)
    for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items():
        assert "AlarmActions" not in alarm
        assert told.of_type("AWS::CloudWatch::Alarm")[name]["AlarmActions"] == [topic]
        assert told.of_type("AWS::CloudWatch::Alarm")[name]["OKActions"] == [topic]


# Parameters and outputs


def test_every_parameter_is_described_bounded_used_and_shown(written):
    interface = written["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(written["Parameters"]) == sorted(interface["ParameterLabels"])
    body = json.dumps({key: written[key] for key in ("Conditions", "Globals", "Resources")})
    for name, parameter in written["Parameters"].items():
        assert parameter["Description"] and parameter["ConstraintDescription"] and "Default" in parameter
        assert {"AllowedValues", "AllowedPattern", "MinValue"} & set(parameter)
        assert f'{{"Ref": "{name}"}}' in body


@pytest.mark.parametrize(
    ("key", "accepted"),
    [
        ("tagwire:connect", True),
        ("team/data+store=1@x_y.z-a", True),
        ("tagwire:connect-more", True),
        ("", False),
        ("aws:connect", False),
        ("rds:connect", False),
        ("tagwire:block", False),
        ("tagwire:hold", False),
        ("tagwire:managed-by", False),
        ("a,b", False),
        ("a b", False),
    ],
)
def test_the_tag_key_is_one_that_every_service_takes_and_that_means_nothing_else(written, key, accepted):
    assert bool(re.fullmatch(written["Parameters"]["TagKey"]["AllowedPattern"], key)) is accepted


@pytest.mark.parametrize(
    ("parameter", "value", "accepted"),
    [
        ("AlarmTopicArn", "", True),
        ("AlarmTopicArn", "arn:aws:sns:us-east-1:123456789012:on-call", True),
        ("AlarmTopicArn", "arn:aws-us-gov:sns:us-gov-west-1:123456789012:on-call", True),
        ("AlarmTopicArn", "on-call", False),
        ("PermissionsBoundaryArn", "", True),
        ("PermissionsBoundaryArn", "arn:aws:iam::123456789012:policy/path/limits", True),
        ("PermissionsBoundaryArn", "arn:aws:iam::aws:policy/PowerUserAccess", True),
        ("PermissionsBoundaryArn", "arn:aws:iam::123456789012:role/admin", False),
    ],
)
def test_arns_are_checked_before_anything_is_made(written, parameter, value, accepted):
    assert bool(re.fullmatch(written["Parameters"][parameter]["AllowedPattern"], value)) is accepted


def test_outputs_lead_to_every_queue_and_function(stack):
    values = {output["Value"]["Ref"] for output in stack.document["Outputs"].values()}
    assert values == {*stack.of_type("AWS::SQS::Queue"), *FUNCTIONS}


def test_there_is_no_address_range_anywhere():
    text = (TOP / "template.yaml").read_text(encoding="utf-8")
    assert not re.search(r"\b\d{1,3}(\.\d{1,3}){3}\b|::/0|\bCidr", text)


def test_nothing_is_named_that_is_not_there(stack):
    """A null would pass every check here and be refused by CloudFormation."""
    assert "null" not in json.dumps(stack.document)
