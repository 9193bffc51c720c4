"""Services of AWS may do under the policies of queues and roles what the stack needs, and nothing else."""

import itertools

import pytest
from asked import FUNCTIONS, ROLES, SCHEDULE
from evaluator import Question, ask
from place import ACCOUNT, OTHER_ACCOUNT, PARTITIONS, Place, queue_policies, stack, trust

OTHER_SERVICES = ["sns.amazonaws.com", "s3.amazonaws.com", "pipes.amazonaws.com"]


def from_source(arn, account=ACCOUNT):
    return {"aws:SourceArn": arn, "aws:SourceAccount": account}


def sends(place):
    """Each queue with a policy, with the rules that have it as a target or for what they could not deliver."""
    found = {queue: set() for queue in queue_policies(place)}
    for name, rule in stack(place).of_type("AWS::Events::Rule").items():
        for target in rule["Targets"]:
            for arn in (target["Arn"], target["DeadLetterConfig"]["Arn"]):
                found[arn.removesuffix(".Arn")].add(name)
    return found


def may_send(place, principal, queue, context):
    policy = queue_policies(place)[queue]
    return Question(principal, "sqs:SendMessage", place.queue(queue), context, [], of_resource=policy)


@pytest.mark.parametrize("partition", PARTITIONS)
def test_each_rule_may_send_to_its_queues_and_to_no_other(partition):
    place = Place(partition)
    rules = stack(place).of_type("AWS::Events::Rule")
    cases = [(rule, queue) for rule in rules for queue in sends(place)]
    questions = [
        may_send(place, "events.amazonaws.com", queue, from_source(place.attribute(rule, "AWS::Events::Rule")))
        for rule, queue in cases
    ]
    assert ask(questions).allowed == [rule in sends(place)[queue] for rule, queue in cases]
    assert len(sends(place)) == 3 and all(sends(place).values())


@pytest.mark.parametrize("partition", PARTITIONS)
def test_nobody_else_may_send_to_a_queue_by_its_policy(partition):
    place = Place(partition)
    questions = []
    for queue, rules in sends(place).items():
        ours = place.attribute(sorted(rules)[0], "AWS::Events::Rule")
        theirs = place.arn("events", "rule/somebody-elses")
        questions += [
            may_send(place, "events.amazonaws.com", queue, from_source(theirs)),
            may_send(place, "events.amazonaws.com", queue, from_source(ours, OTHER_ACCOUNT)),
            may_send(place, "events.amazonaws.com", queue, {}),
            *(may_send(place, service, queue, from_source(ours)) for service in OTHER_SERVICES),
            may_send(place, place.role("developers"), queue, from_source(ours)),
        ]
    assert not any(ask(questions).allowed)
    assert len(questions) > 20


def may_assume(place, service, role, context):
    [policy] = trust(place)[role]
    return Question(service, "sts:AssumeRole", place.role(place.made(role)), context, [], of_resource=policy)


@pytest.mark.parametrize("partition", PARTITIONS)
def test_lambda_alone_may_assume_the_roles_of_functions_and_the_scheduler_that_of_its_schedule(partition):
    place = Place(partition)
    schedules = from_source(place.arn("scheduler", "schedule-group/default"))
    wanted = {("lambda.amazonaws.com", role) for role in FUNCTIONS} | {("scheduler.amazonaws.com", SCHEDULE)}
    services = ["lambda.amazonaws.com", "scheduler.amazonaws.com", *OTHER_SERVICES]
    cases = [(service, role) for service in services for role in ROLES]
    questions = [may_assume(place, service, role, schedules) for service, role in cases]
    assert ask(questions).allowed == [case in wanted for case in cases]


@pytest.mark.parametrize("partition", PARTITIONS)
def test_no_schedule_of_another_account_or_group_may_assume_the_role_of_ours(partition):
    place = Place(partition)
    others = [
        from_source(place.arn("scheduler", "schedule-group/default", OTHER_ACCOUNT), OTHER_ACCOUNT),
        from_source(place.arn("scheduler", "schedule-group/other")),
        {},
    ]
    questions = [may_assume(place, "scheduler.amazonaws.com", SCHEDULE, context) for context in others]
    assert ask(questions).allowed == [False] * len(others)


def without_a_limit(policy):
    """The policy of a queue or a role without one of its conditions, and for everybody."""
    [statement] = policy["Statement"]
    for operator, keys in statement.get("Condition", {}).items():
        for key in keys:
            left = {name: value for name, value in keys.items() if name != key}
            mutant = statement | {"Condition": statement["Condition"] | {operator: left}}
            yield f"without {key}", policy | {"Statement": [mutant]}
    yield "for everybody", policy | {"Statement": [statement | {"Principal": "*"}]}


def test_no_limit_of_a_policy_of_a_queue_or_a_role_can_be_left_out_unnoticed():
    place = Place("aws")
    rule = place.arn("events", "rule/somebody-elses")
    group = place.arn("scheduler", "schedule-group/other")
    tries = []
    for queue, policy in queue_policies(place).items():
        ours = place.attribute(sorted(sends(place)[queue])[0], "AWS::Events::Rule")
        contexts = [from_source(rule), from_source(ours, OTHER_ACCOUNT), from_source(ours)]
        principals = ["events.amazonaws.com", "events.amazonaws.com", "sns.amazonaws.com"]
        tries += [(queue, "sqs:SendMessage", place.queue(queue), policy, principals, contexts)]
    for role, [policy] in trust(place).items():
        ours = place.arn("scheduler", "schedule-group/default")
        contexts = [from_source(group), from_source(ours, OTHER_ACCOUNT), from_source(ours)]
        principals = ["scheduler.amazonaws.com", "scheduler.amazonaws.com", "sns.amazonaws.com"]
        tries += [(role, "sts:AssumeRole", place.role(place.made(role)), policy, principals, contexts)]
    questions = {
        (name, what): [
            Question(principal, action, resource, context, [], of_resource=mutant)
            for principal, context in zip(principals, contexts, strict=True)
        ]
        for name, action, resource, policy, principals, contexts in tries
        for what, mutant in without_a_limit(policy)
    }
    answers = iter(ask([question for asked in questions.values() for question in asked]).allowed)
    unnoticed = [name for name, asked in questions.items() if not any(list(itertools.islice(answers, len(asked))))]
    assert not unnoticed
    # For three queues and five roles whoever is named, and the two conditions of the queues and of the schedule.
    assert len(questions) == (3 + 5) + 2 * (3 + 1)
