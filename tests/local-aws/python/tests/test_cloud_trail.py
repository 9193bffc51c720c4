"""What EventBridge hears of calls to services that send no events of their own."""

import boto3
import pytest
from conftest import refusal

ROLE = "arn:aws:iam::123456789012:role/tagwire-ConnectRole-1A2B3C"


@pytest.fixture
def redshift_of_role(endpoint):
    """Redshift, called with the credentials of a role."""
    return boto3.client(
        "redshift",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="123456789012",
        aws_secret_access_key="local",
        aws_session_token=ROLE,
    )


def make_redshift_cluster(redshift, name, **more):
    redshift.create_cluster(
        ClusterIdentifier=name,
        NodeType="ra3.xlplus",
        MasterUsername="someone",
        MasterUserPassword="a-secret-word",
        **more,
    )


def test_call_of_a_user_is_told_of_in_the_words_of_cloudtrail(redshift, event_bus):
    tags = [{"Key": "tagwire:connect", "Value": "orders"}]
    make_redshift_cluster(redshift, "told-warehouse", Port=5500, Tags=tags)
    (record,) = event_bus.calls("redshift", "told-warehouse")
    assert (record["eventSource"], record["eventName"]) == ("redshift.amazonaws.com", "CreateCluster")
    assert (record["awsRegion"], record["recipientAccountId"]) == ("us-east-1", "123456789012")
    request = record["requestParameters"]
    assert (request["clusterIdentifier"], request["port"]) == ("told-warehouse", 5500)
    assert request["tags"] == [{"key": "tagwire:connect", "value": "orders"}]
    assert request["masterUserPassword"] == "****"
    answered = record["responseElements"]
    assert (answered["clusterIdentifier"], answered["clusterStatus"]) == ("told-warehouse", "creating")
    assert answered["vpcSecurityGroups"][0]["status"] == "active"
    assert (record["userIdentity"]["type"], "sessionContext" in record["userIdentity"]) == ("IAMUser", False)
    assert "errorCode" not in record
    assert "a-secret-word" not in str(record)


def test_call_of_a_role_names_the_role(redshift, redshift_of_role, event_bus):
    make_redshift_cluster(redshift, "role-warehouse")
    redshift_of_role.modify_cluster(ClusterIdentifier="role-warehouse", AllowVersionUpgrade=True)
    record = event_bus.calls("redshift", "role-warehouse")[-1]
    assert record["eventName"] == "ModifyCluster"
    identity = record["userIdentity"]
    assert (identity["type"], identity["sessionContext"]["sessionIssuer"]["arn"]) == ("AssumedRole", ROLE)


def test_call_that_failed_is_told_of_with_its_error(redshift, event_bus):
    call = redshift.modify_cluster
    assert refusal(call, ClusterIdentifier="not-there", Encrypted=False) == "ClusterNotFound"
    (record,) = event_bus.calls("redshift", "not-there")
    assert (record["errorCode"], record["responseElements"]) == ("ClusterNotFound", None)
    assert record["errorMessage"]
    assert record["requestParameters"]["clusterIdentifier"] == "not-there"


def test_calls_that_only_read_are_not_told_of(redshift, elasticache, event_bus):
    make_redshift_cluster(redshift, "read-warehouse")
    redshift.describe_clusters(ClusterIdentifier="read-warehouse")
    redshift.describe_tags(ResourceName="arn:aws:redshift:us-east-1:123456789012:cluster:read-warehouse")
    assert [record["eventName"] for record in event_bus.calls("redshift", "read-warehouse")] == ["CreateCluster"]


def test_calls_about_tags_name_the_arn(redshift, elasticache, event_bus):
    make_redshift_cluster(redshift, "tag-warehouse")
    redshift_cluster = "arn:aws:redshift:us-east-1:123456789012:cluster:tag-warehouse"
    redshift.create_tags(ResourceName=redshift_cluster, Tags=[{"Key": "a", "Value": "b"}])
    redshift.delete_tags(ResourceName=redshift_cluster, TagKeys=["a"])
    made, removed = event_bus.calls("redshift", redshift_cluster)
    assert (made["eventName"], removed["eventName"]) == ("CreateTags", "DeleteTags")
    assert made["requestParameters"] == {"resourceName": redshift_cluster, "tags": [{"key": "a", "value": "b"}]}
    assert removed["requestParameters"]["tagKeys"] == ["a"]
    assert made["responseElements"] is None

    cache = "arn:aws:elasticache:us-east-1:123456789012:replicationgroup:tag-cache"
    elasticache.create_replication_group(ReplicationGroupId="tag-cache", ReplicationGroupDescription="a test")
    elasticache.add_tags_to_resource(ResourceName=cache, Tags=[{"Key": "a", "Value": "b"}])
    elasticache.remove_tags_from_resource(ResourceName=cache, TagKeys=["a"])
    (created,) = event_bus.calls("elasticache", "tag-cache")
    assert created["responseElements"]["replicationGroupId"] == "tag-cache"
    assert created["responseElements"]["status"] == "available"
    told = [record for record in event_bus.calls("elasticache", cache) if "Tags" in record["eventName"]]
    assert [record["eventName"] for record in told] == ["AddTagsToResource", "RemoveTagsFromResource"]
    assert told[0]["requestParameters"]["resourceName"] == cache


def test_answer_about_a_serverless_cache_is_nested(elasticache, event_bus):
    elasticache.create_serverless_cache(ServerlessCacheName="nested", Engine="valkey")
    created = next(
        record for record in event_bus.calls("elasticache", "nested") if record["eventName"] == "CreateServerlessCache"
    )
    assert created["requestParameters"]["serverlessCacheName"] == "nested"
    assert created["responseElements"]["serverlessCache"]["status"] == "creating"
