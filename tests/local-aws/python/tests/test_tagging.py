"""Tags of EC2 resources, and the tagging API."""

import json
from types import SimpleNamespace

import pytest
from conftest import refusal
from moto.ec2.models.core import TaggedEC2Resource
from tagwire_moto import tagging


def test_tags_of_a_resource_are_found_without_looking_at_those_of_others(monkeypatch):
    monkeypatch.setattr(TaggedEC2Resource, "get_tags", TaggedEC2Resource.get_tags)
    tagging.install()
    resource = TaggedEC2Resource()
    resource.id = "i-1"
    resource.ec2_backend = SimpleNamespace(
        tags={"i-1": {"a": "b"}, "i-2": {"c": "d"}},
        describe_tags=lambda filters: pytest.fail("every tag of the account was looked at"),
    )
    assert resource.get_tags() == [{"resource_id": "i-1", "key": "a", "value": "b", "resource_type": "instance"}]


def test_stores_and_instances_are_found_by_tag(network, tag_index, name):
    tags = [{"Key": "tagwire:connect", "Value": name}]
    network.cluster(f"c-{name}", Tags=tags)
    network.database(f"d-{name}", Tags=tags)
    instance = network.instance(TagSpecifications=[{"ResourceType": "instance", "Tags": tags}])["InstanceId"]

    def found(*types):
        answer = tag_index.get_resources(
            TagFilters=[{"Key": "tagwire:connect", "Values": [name]}], ResourceTypeFilters=list(types)
        )
        assert all(resource["Tags"] == tags for resource in answer["ResourceTagMappingList"])
        return sorted(resource["ResourceARN"] for resource in answer["ResourceTagMappingList"])

    cluster = f"arn:aws:rds:us-east-1:123456789012:cluster:c-{name}"
    database = f"arn:aws:rds:us-east-1:123456789012:db:d-{name}"
    machine = f"arn:aws:ec2:us-east-1:123456789012:instance/{instance}"
    assert found("rds:cluster") == [cluster]
    assert found("rds:db") == [database]
    assert found("ec2:instance") == [machine]
    assert found("rds:cluster", "rds:db", "ec2:instance") == sorted([cluster, database, machine])


def test_a_tag_key_alone_finds_every_value(network, tag_index, name):
    for value in ("one", "two"):
        network.cluster(f"{name}-{value}", Tags=[{"Key": f"key-{name}", "Value": value}])
    answer = tag_index.get_resources(TagFilters=[{"Key": f"key-{name}"}])
    assert len(answer["ResourceTagMappingList"]) == 2


def test_a_tag_that_was_taken_away_no_longer_finds(network, tag_index, name):
    arn = network.cluster(name, Tags=[{"Key": f"key-{name}", "Value": "x"}])["DBClusterArn"]
    network.rds.remove_tags_from_resource(ResourceName=arn, TagKeys=[f"key-{name}"])
    assert tag_index.get_resources(TagFilters=[{"Key": f"key-{name}"}])["ResourceTagMappingList"] == []


def test_instance_that_lost_its_tag_is_found_by_it_no_more(network, tag_index, name):
    key = f"key-{name}"
    filters = [{"Name": f"tag:{key}", "Values": ["x"]}]
    tagged = network.instance()["InstanceId"]
    never = network.instance()["InstanceId"]
    network.ec2.create_tags(Resources=[tagged], Tags=[{"Key": key, "Value": "x"}])
    assert len(network.ec2.describe_instances(Filters=filters)["Reservations"]) == 1
    network.ec2.delete_tags(Resources=[tagged], Tags=[{"Key": key}])
    network.ec2.delete_tags(Resources=[never], Tags=[{"Key": key}])
    assert network.ec2.describe_instances(Filters=filters)["Reservations"] == []
    assert tag_index.get_resources(TagFilters=[{"Key": key}])["ResourceTagMappingList"] == []
    arns = [f"arn:aws:ec2:us-east-1:123456789012:instance/{instance}" for instance in (tagged, never)]
    # What once had a tag is listed on, what never had one is not.
    assert tag_index.get_resources(ResourceARNList=arns)["ResourceTagMappingList"] == [
        {"ResourceARN": arns[0], "Tags": []}
    ]


def test_pages_survive_a_resource_that_comes_in_between(network, tag_index, name):
    wanted = {"TagFilters": [{"Key": f"key-{name}"}], "ResourcesPerPage": 2}
    for number in range(3):
        network.cluster(f"{name}-{number}", Tags=[{"Key": f"key-{name}", "Value": "x"}])
    first = tag_index.get_resources(**wanted)
    network.cluster(f"{name}-late", Tags=[{"Key": f"key-{name}", "Value": "x"}])
    second = tag_index.get_resources(**wanted, PaginationToken=first["PaginationToken"])
    assert (len(first["ResourceTagMappingList"]), len(second["ResourceTagMappingList"])) == (2, 1)
    assert not second.get("PaginationToken")


def test_arns_and_filters_do_not_go_together(network, tag_index, name):
    arn = network.cluster(name, Tags=[{"Key": "a", "Value": "b"}])["DBClusterArn"]
    found = tag_index.get_resources(ResourceARNList=[arn])["ResourceTagMappingList"]
    assert [resource["ResourceARN"] for resource in found] == [arn]
    call = tag_index.get_resources
    assert refusal(call, ResourceARNList=[arn], TagFilters=[{"Key": "a"}]) == "InvalidParameterException"


def test_a_tag_that_changes_on_an_instance_is_told_with_what_is_left(network, event_bus):
    instance = network.instance()["InstanceId"]
    before = len(event_bus.entries)
    tags = [{"Key": "tagwire:connect", "Value": "orders"}, {"Key": "owner", "Value": "shop"}]
    network.ec2.create_tags(Resources=[instance], Tags=tags)
    network.ec2.create_tags(Resources=[instance], Tags=tags)
    network.ec2.delete_tags(Resources=[instance], Tags=[{"Key": "tagwire:connect"}])
    told = event_bus.entries[before:]
    assert {(entry["Source"], entry["DetailType"]) for entry in told} == {("aws.tag", "Tag Change on Resource")}
    arn = f"arn:aws:ec2:us-east-1:123456789012:instance/{instance}"
    assert [entry["Resources"] for entry in told] == [[arn], [arn]]
    first, second = (json.loads(entry["Detail"]) for entry in told)
    assert first == {
        "changed-tag-keys": ["owner", "tagwire:connect"],
        "tags": {"tagwire:connect": "orders", "owner": "shop"},
        "service": "ec2",
        "resource-type": "instance",
        "version": 1,
    }
    assert second == first | {"changed-tag-keys": ["tagwire:connect"], "tags": {"owner": "shop"}, "version": 2}


def test_a_tag_that_changes_on_a_store_is_told(network, event_bus, name):
    cluster = network.cluster(f"c-{name}")["DBClusterArn"]
    database = network.database(f"d-{name}")["DBInstanceArn"]
    for arn, kind in ((cluster, "cluster"), (database, "db")):
        before = len(event_bus.entries)
        network.rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "tagwire:block", "Value": ""}])
        network.rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["tagwire:block", "never-there"])
        told = event_bus.entries[before:]
        assert [entry["Resources"] for entry in told] == [[arn], [arn]]
        details = [json.loads(entry["Detail"]) for entry in told]
        assert [detail["changed-tag-keys"] for detail in details] == [["tagwire:block"]] * 2
        assert [detail["tags"] for detail in details] == [{"tagwire:block": ""}, {}]
        assert {(detail["service"], detail["resource-type"]) for detail in details} == {("rds", kind)}


def test_tag_events_can_be_lost(network, event_bus, control):
    instance = network.instance()["InstanceId"]
    before = len(event_bus.entries)
    control("tag-events", sent=False)
    network.ec2.create_tags(Resources=[instance], Tags=[{"Key": "lost", "Value": ""}])
    control("tag-events", sent=True)
    network.ec2.create_tags(Resources=[instance], Tags=[{"Key": "sent", "Value": ""}])
    told = [json.loads(entry["Detail"])["changed-tag-keys"] for entry in event_bus.entries[before:]]
    assert told == [["sent"]]
