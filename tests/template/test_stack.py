"""The shape of the stack: queues, policies, sources, alarms, settings, parameters."""

import json
import re
import tomllib

import pytest
from expanded import TOP

FUNCTIONS = {
    "InstanceEventsFunction": ("instance-events", "InstanceQueue"),
    "DataStoreEventsFunction": ("data-store-events", "StoreQueue"),
    "ConnectFunction": ("connect", "ConnectQueue"),
    "SweepFunction": ("sweep", None),
}
RULES_OF_QUEUE = {
    "InstanceQueue": {"InstanceStateRule", "InstanceTagRule"},
    "StoreQueue": {
        "DatabaseClusterRule", "DatabaseInstanceRule", "DatabaseMovedRule", "ServerlessCacheRule", "StoreCallRule",
        "StoreTagRule", "StoreTaggedCallRule", "StoreUntaggedCallRule",
    },
}
SETTINGS = {
    "TAGWIRE_TAG_KEY": "tagwire:connect",
    "TAGWIRE_MODE": "enforce",
    "TAGWIRE_INTERFACE_GROUP_LIMIT": 5,
    "TAGWIRE_CONNECT_QUEUE_URL": "ConnectQueue",
    "TAGWIRE_INSTANCE_QUEUE_URL": "InstanceQueue",
    "TAGWIRE_STORE_QUEUE_URL": "StoreQueue",
    "TAGWIRE_STATE_TABLE": "StateTable",
    "TAGWIRE_MAX_DISCONNECTS": 10,
    "TAGWIRE_DISCONNECT_WINDOW": "900",
    "TAGWIRE_SWEEP_PERIOD": "900",
    "TAGWIRE_ISOLATION_GROUPS": "",
    "TAGWIRE_ALLOW_CIDR": "off",
    "TAGWIRE_WIDEST_IPV4": 16,
    "TAGWIRE_WIDEST_IPV6": 48,
    "TAGWIRE_STATUS_TAGS": "off",
    "TAGWIRE_GROUP_TAGS": "",
    "TAGWIRE_GIVE_UP_AFTER": 86400,
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


def settings_with(build, **parameters):
    """The environment of every function, which is the same for all of them."""
    functions = build(**parameters).of_type("AWS::Lambda::Function").values()
    [settings] = {json.dumps(function["Environment"]["Variables"]) for function in functions}
    return json.loads(settings)


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
    assert function["Timeout"] == (60 if name == "SweepFunction" else 40)
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert function["Environment"]["Variables"] == SETTINGS
    assert "ReservedConcurrentExecutions" not in function
    logs = name.replace("Function", "Logs")
    assert function["LoggingConfig"] == {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "LogGroup": logs}
    assert stack.of_type("AWS::Logs::LogGroup")[logs]["RetentionInDays"] == 90


def test_parameters_reach_the_functions(build):
    assert settings_with(
        build, MaxDisconnects=0, StatusTags="on", SweepMinutes=60, GiveUpAfterSeconds=3600
    ) == SETTINGS | {
        "TAGWIRE_MAX_DISCONNECTS": 0,
        "TAGWIRE_STATUS_TAGS": "on",
        "TAGWIRE_SWEEP_PERIOD": "3600",
        "TAGWIRE_GIVE_UP_AFTER": 3600,
    }
    clients = settings_with(build, AllowCidr="on", WidestIpv4=24, WidestIpv6=56)
    assert clients == SETTINGS | {
        "TAGWIRE_ALLOW_CIDR": "on",
        "TAGWIRE_WIDEST_IPV4": 24,
        "TAGWIRE_WIDEST_IPV6": 56,
    }
    groups = settings_with(build, IsolationGroups="sg-0123456789abcdef0, sg-89abcdef")
    assert groups["TAGWIRE_ISOLATION_GROUPS"] == "sg-0123456789abcdef0,sg-89abcdef"


@pytest.mark.parametrize("parameter", ["SweepMinutes", "DisconnectWindowMinutes"])
def test_every_number_of_minutes_that_may_be_chosen_becomes_seconds(build, written, parameter):
    setting = {"SweepMinutes": "TAGWIRE_SWEEP_PERIOD", "DisconnectWindowMinutes": "TAGWIRE_DISCONNECT_WINDOW"}
    for minutes in written["Parameters"][parameter]["AllowedValues"]:
        assert settings_with(build, **{parameter: minutes})[setting[parameter]] == str(60 * minutes)


def test_a_second_installation_is_refused_before_any_function_table_or_log_group_exists(stack):
    assert stack.of_type("AWS::SSM::Parameter")["Installation"]["Name"] == "/tagwire/installation"
    for name in [*FUNCTIONS, "StateTable", *stack.of_type("AWS::Logs::LogGroup")]:
        depends = stack.resources[name]["DependsOn"]
        assert "Installation" in (depends if isinstance(depends, list) else [depends])


# State


def test_the_state_is_kept_by_vpc_and_entry_and_ages(stack):
    assert stack.of_type("AWS::DynamoDB::Table") == {
        "StateTable": {
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
        }
    }


def test_the_state_is_encrypted_with_a_key_of_the_account_only_when_asked_for(stack, build):
    """KMS bills each use of such a key."""
    assert "SSESpecification" not in stack.of_type("AWS::DynamoDB::Table")["StateTable"]
    managed = build(StateTableKey="aws-managed").of_type("AWS::DynamoDB::Table")["StateTable"]
    assert managed["SSESpecification"] == {"SSEEnabled": True}


def test_the_state_outlives_the_stack_and_nothing_else_does(stack):
    kept = {"StateTable"}
    for name, resource in stack.resources.items():
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            assert resource.get(policy) == ("Retain" if name in kept else None)


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


def test_what_was_killed_is_delivered_again_within_two_minutes_and_never_beside_a_run(stack):
    """A message is invisible from its receipt on, for as long as its function may run and a poller may try to start it."""
    for name, (_, queue) in FUNCTIONS.items():
        if queue:
            timeout = stack.of_type("AWS::Lambda::Function")[name]["Timeout"]
            visibility = stack.of_type("AWS::SQS::Queue")[queue]["VisibilityTimeout"]
            window = sources(stack)[name].get("MaximumBatchingWindowInSeconds", 0)
            to_start_in = visibility - window - timeout
            assert to_start_in >= 55
            # And some seconds for the run that does it.
            assert visibility <= 110


def test_the_pollers_never_outrun_the_concurrency_of_a_new_account(stack):
    """What is throttled counts as received, and a new account runs ten functions at once."""
    at_once = [mapping["ScalingConfig"]["MaximumConcurrency"] for mapping in sources(stack).values()]
    assert len(at_once) == 3
    assert sum(at_once) + 1 <= 10


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
        assert mappings[name]["ScalingConfig"] == {"MaximumConcurrency": 2}
    connect = mappings["ConnectFunction"]
    # Ten VPCs in one batch would share the time of one run, and wait together when it is killed.
    assert connect["BatchSize"] == 1
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
    assert (alarm["Period"], alarm["EvaluationPeriods"]) == (str(60 * minutes), 4)
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["TreatMissingData"] == "breaching"


# The records in which a code is logged. A reason about an instance and a data store that share a name is the decision
# about the two, any other is a finding.
REASON = '$.record = "finding" || $.record = "decision"'
OUTCOME = '$.record = "outcome"'
RECORDS_OF = {
    "disconnects-held-back": REASON,
    "contested": REASON,
    "foreign-attachment": REASON,
    "plan-rejected": REASON,
    "gave-up": OUTCOME,
    "refused-by-aws": REASON,
    "unreadable": REASON,
}


# Codes that ring the alarm of another one: there is one thing to do about both.
COUNTED_WITH = {"foreign-attachment": ["copied-group", "cidr-widened"]}
# Connect says them all. What is waited for is given up where its events arrive, too, and every function reads.
LOGS_OF = {
    "gave-up": {"ConnectLogs", "DataStoreEventsLogs", "InstanceEventsLogs"},
    "unreadable": {"ConnectLogs", "SweepLogs", "DataStoreEventsLogs", "InstanceEventsLogs"},
}
# Sweeps are the tries of what these are about, and one refusal is none that lasts.
LASTING = {"refused-by-aws", "unreadable"}


def is_code(code):
    return f'$.code = "{code}"'


def test_what_has_to_be_looked_at_is_counted_in_the_log_of_who_says_it(stack):
    counted = {}
    for metric in stack.of_type("AWS::Logs::MetricFilter").values():
        [transformation] = metric["MetricTransformations"]
        code = transformation["MetricName"]
        assert transformation == {
            "MetricNamespace": "tagwire", "MetricName": code, "MetricValue": "1", "DefaultValue": 0, "Unit": "Count",
        }
        counted[metric["LogGroupName"], code] = metric["FilterPattern"]
    assert counted == {
        (log, code): f"{{ ({records}) && ({' || '.join(map(is_code, [code, *COUNTED_WITH.get(code, [])]))}) }}"
        for code, records in RECORDS_OF.items()
        for log in LOGS_OF.get(code, {"ConnectLogs"})
    }


def test_what_is_counted_is_a_code_that_the_functions_log():
    sources = "".join(path.read_text(encoding="utf-8") for path in (TOP / "shared").glob("*/src/**/*.rs"))
    for code in [*RECORDS_OF, *sum(COUNTED_WITH.values(), [])]:
        assert f'"{code}"' in sources


@pytest.mark.parametrize("minutes", [1, 15, 60])
def test_what_has_to_be_looked_at_rings_until_no_sweep_says_it_any_more(build, minutes):
    stack = build(SweepMinutes=minutes)
    alarms = {
        alarm["MetricName"]: alarm
        for alarm in stack.of_type("AWS::CloudWatch::Alarm").values()
        if alarm["Namespace"] == "tagwire"
    }
    assert set(alarms) == set(RECORDS_OF)
    for code, alarm in alarms.items():
        assert alarm["AlarmName"] == f"${{AWS::StackName}}-{code}"
        assert alarm["Statistic"] == "Sum"
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)
        assert alarm["Period"] == str(60 * minutes)
        rings_at = (2, 3) if code in LASTING else (1, 2)
        assert (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) == rings_at
        assert alarm["TreatMissingData"] == "notBreaching"
        assert "Dimensions" not in alarm


def test_no_log_level_silences_the_alarms_that_read_the_log(written):
    """Findings and outcomes are logged at INFO."""
    assert set(written["Parameters"]["LogLevel"]["AllowedValues"]) == {"TRACE", "DEBUG", "INFO"}


def test_every_alarm_says_what_to_do_under_a_name_of_its_own(stack):
    alarms = stack.of_type("AWS::CloudWatch::Alarm").values()
    assert len({alarm["AlarmName"] for alarm in alarms}) == len(alarms) == 19
    for alarm in alarms:
        # CloudWatch takes no longer description.
        assert 80 < len(alarm["AlarmDescription"]) <= 1024


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


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ("", True),
        ("sg-0123456789abcdef0", True),
        ("sg-89abcdef, sg-0123456789abcdef0", True),
        ("quarantine", False),
        ("sg-0123456789abcdef0,quarantine", False),
        ("sg-0123456789ABCDEF0", False),
        ("sg-0123456789abcde", False),
        ("sg-0123456789abcdef0 sg-89abcdef", False),
    ],
)
def test_isolation_groups_are_group_ids(written, value, accepted):
    parameter = written["Parameters"]["IsolationGroups"]
    assert parameter["Type"] == "CommaDelimitedList"
    elements = [element.strip() for element in value.split(",")]
    assert all(re.fullmatch(parameter["AllowedPattern"], element) for element in elements) is accepted


def test_the_bounds_of_the_disconnect_window(written):
    most = written["Parameters"]["MaxDisconnects"]
    assert (most["Type"], most["Default"], most["MinValue"], most["MaxValue"]) == ("Number", 10, 0, 1000)
    assert written["Parameters"]["DisconnectWindowMinutes"]["Default"] == 15


def test_outputs_lead_to_every_queue_and_function_and_to_the_state(stack):
    outputs = {name: output["Value"] for name, output in stack.document["Outputs"].items()}
    del outputs["Version"]
    # Named by the policies of docs/policies.
    assert outputs.pop("ConnectRoleArn") == {"Fn::GetAtt": ["ConnectRole", "Arn"]}
    values = {value["Ref"] for value in outputs.values()}
    assert values == {*stack.of_type("AWS::SQS::Queue"), *FUNCTIONS, "StateTable"}


def test_the_version_is_the_one_of_the_code(stack):
    workspace = tomllib.loads((TOP / "Cargo.toml").read_text(encoding="utf-8"))
    assert stack.document["Outputs"]["Version"]["Value"] == workspace["workspace"]["package"]["version"]


def test_there_is_no_address_range_anywhere():
    text = (TOP / "template.yaml").read_text(encoding="utf-8")
    assert not re.search(r"\b\d{1,3}(\.\d{1,3}){3}\b|::/0|\bCidr", text)


def test_nothing_is_named_that_is_not_there(stack):
    """A null would pass every check here and be refused by CloudFormation."""
    assert "null" not in json.dumps(stack.document)
