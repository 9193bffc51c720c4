"""Every sample event wakes exactly the rule it should, and what must not wake anything does not."""

import json

import pytest
from expanded import TOP
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
    "elasticache-replication-group-created": "StoreCallRule",
    "elasticache-replication-group-modified": "StoreCallRule",
    "elasticache-replication-group-deleted": "StoreCallRule",
    "elasticache-replication-group-tagged": "StoreTaggedCallRule",
    "elasticache-replication-group-untagged": "StoreUntaggedCallRule",
    "elasticache-replication-group-tag-changed": "StoreTagRule",
    "elasticache-cache-cluster-created": "StoreCallRule",
    "elasticache-cache-cluster-modified": "StoreCallRule",
    "elasticache-cache-cluster-deleted": "StoreCallRule",
    "elasticache-cache-cluster-tagged": "StoreTaggedCallRule",
    "elasticache-serverless-cache-created": "ServerlessCacheRule",
    "elasticache-serverless-cache-updated": "ServerlessCacheRule",
    "elasticache-serverless-cache-deleted": "ServerlessCacheRule",
    "elasticache-serverless-cache-tagged": "StoreTaggedCallRule",
    "redshift-cluster-created": "StoreCallRule",
    "redshift-cluster-restored": "StoreCallRule",
    "redshift-cluster-modified": "StoreCallRule",
    "redshift-cluster-renamed": "StoreCallRule",
    "redshift-cluster-resumed": "StoreCallRule",
    "redshift-cluster-deleted": "StoreCallRule",
    "redshift-cluster-tagged": "StoreTaggedCallRule",
    "redshift-cluster-untagged": "StoreUntaggedCallRule",
    "redshift-cluster-tag-changed": "StoreTagRule",
}
# What the samples have in the places of what CloudFormation fills in.
FILLED_IN = {
    "ConnectRole.Arn": "arn:aws:iam::123456789012:role/tagwire-ConnectRole",
    "${AWS::Region}": "us-east-1",
    "${AWS::AccountId}": "123456789012",
}


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def rules_for(stack, event):
    rules = json.dumps({name: rule["EventPattern"] for name, rule in stack.of_type("AWS::Events::Rule").items()})
    for gap, value in FILLED_IN.items():
        rules = rules.replace(gap, value)
    return [name for name, pattern in json.loads(rules).items() if matches(pattern, event)]


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


def test_every_call_in_a_rule_has_a_sample(stack):
    listed = set()
    for rule in stack.of_type("AWS::Events::Rule").values():
        listed.update(rule["EventPattern"].get("detail", {}).get("eventName", []))
    assert listed == {load(path)["detail"].get("eventName") for path in WANTED} - {None}


OWN_CALLS = [path for path in IGNORED if "-own-" in path.stem and not path.stem.startswith("cloudtrail-")]


def test_the_samples_of_our_own_calls_are_all_that_we_make():
    names = {load(path)["detail"]["eventName"] for path in OWN_CALLS}
    assert names == {"ModifyReplicationGroup", "ModifyCacheCluster", "ModifyCluster"}


@pytest.mark.parametrize("path", OWN_CALLS, ids=lambda path: path.stem)
def test_the_same_call_wakes_the_rule_when_somebody_else_makes_it(stack, path):
    event = load(path)
    issuer = event["detail"]["userIdentity"]["sessionContext"]["sessionIssuer"]
    assert issuer["arn"] == FILLED_IN["ConnectRole.Arn"]
    issuer["arn"] = "arn:aws:iam::123456789012:role/somebody-else"
    assert rules_for(stack, event) == ["StoreCallRule"]
    del event["detail"]["userIdentity"]["sessionContext"]
    assert rules_for(stack, event) == ["StoreCallRule"]


def test_every_event_id_in_a_rule_has_a_sample(stack):
    listed = set()
    for rule in stack.of_type("AWS::Events::Rule").values():
        listed.update(rule["EventPattern"].get("detail", {}).get("EventID", []))
    of_rds = [load(path)["detail"] for path in WANTED if path.stem.startswith("rds-")]
    assert listed == {detail.get("EventID") for detail in of_rds} - {None}


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
