"""Every sample event wakes exactly the rule it should, and what must not wake anything does not."""

import json

import pytest
from conftest import TOP
from event_pattern import matches

WANTED = sorted((TOP / "events").glob("*.json"))
IGNORED = sorted((TOP / "events" / "ignored").glob("*.json"))

RULE_OF = {
    "ec2-instance-pending": "InstanceStateRule",
    "ec2-instance-running": "InstanceStateRule",
    "ec2-instance-tagged": "InstanceTagRule",
    "ec2-instance-untagged": "InstanceTagRule",
    "ec2-instance-blocked": "InstanceTagRule",
    "rds-cluster-created": "DatabaseClusterRule",
    "rds-cluster-deleted": "DatabaseClusterRule",
    "rds-cluster-renamed": "DatabaseClusterRule",
    "rds-cluster-started": "DatabaseClusterRule",
    "rds-cluster-starting-after-seven-days": "DatabaseClusterRule",
    "rds-cluster-tagged": "StoreTagRule",
    "rds-db-created": "DatabaseInstanceRule",
    "rds-db-created-cluster-member": "DatabaseInstanceRule",
    "rds-db-deleted": "DatabaseInstanceRule",
    "rds-db-clients-allowed": "StoreTagRule",
    "rds-db-held": "StoreTagRule",
    "rds-db-moved-to-another-vpc": "DatabaseMovedRule",
    "rds-db-restored-from-snapshot": "DatabaseInstanceRule",
    "rds-db-restored-to-point-in-time": "DatabaseInstanceRule",
    "rds-db-started": "DatabaseInstanceRule",
    "rds-db-starting-after-seven-days": "DatabaseInstanceRule",
    "rds-db-tagged": "StoreTagRule",
}


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def rules_for(stack, event):
    rules = stack.of_type("AWS::Events::Rule")
    return [name for name, rule in rules.items() if matches(rule["EventPattern"], event)]


def test_every_sample_is_named_here_and_every_rule_has_one(stack):
    assert sorted(path.stem for path in WANTED) == sorted(RULE_OF)
    assert set(RULE_OF.values()) == set(stack.of_type("AWS::Events::Rule"))
    assert IGNORED


@pytest.mark.parametrize("path", WANTED, ids=lambda path: path.stem)
def test_a_wanted_event_matches_exactly_its_rule(stack, path):
    assert rules_for(stack, load(path)) == [RULE_OF[path.stem]]


@pytest.mark.parametrize("path", IGNORED, ids=lambda path: path.stem)
def test_an_ignored_event_matches_no_rule(stack, path):
    assert rules_for(stack, load(path)) == []


def test_every_event_id_in_a_rule_has_a_sample(stack):
    listed = set()
    for rule in stack.of_type("AWS::Events::Rule").values():
        listed.update(rule["EventPattern"]["detail"].get("EventID", []))
    assert listed == {load(path)["detail"].get("EventID") for path in WANTED} - {None}


@pytest.mark.parametrize("path", WANTED + IGNORED, ids=lambda path: path.stem)
def test_a_sample_has_the_envelope_that_eventbridge_sends(path):
    event = load(path)
    assert set(event) == {
        "version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail",
    }
    if event["source"] == "aws.rds" and event["detail-type"].startswith("RDS "):
        assert event["resources"] == [event["detail"]["SourceArn"]]
    # A sample that took a real account's number along would publish it.
    assert event["account"] == "123456789012"
    assert all(":123456789012:" in arn for arn in event["resources"])


def test_the_tag_rules_follow_the_parameter(build):
    other = build(TagKey="team:data")
    event = load(TOP / "events" / "ec2-instance-tagged.json")
    assert rules_for(other, event) == []
    event["detail"]["changed-tag-keys"] = ["team:data"]
    assert rules_for(other, event) == ["InstanceTagRule"]


def test_every_sample_is_described_in_the_read_me():
    rows = (TOP / "events" / "README.md").read_text(encoding="utf-8")
    for path in WANTED + IGNORED:
        assert f"`{path.relative_to(TOP / 'events')}`" in rows
