"""What the local AWS cannot do is said in a way that nobody tries again."""

import urllib.error
import urllib.request

import pytest
from conftest import client, refusal


def test_unimplemented_action_is_a_clear_refusal(ec2, rds):
    assert refusal(ec2.get_security_groups_for_vpc, VpcId="vpc-1") == "LocalAwsUnimplemented"
    assert refusal(rds.describe_account_attributes) == "LocalAwsUnimplemented"


def test_unimplemented_filter_is_a_clear_refusal(network):
    network.instance()
    call = network.ec2.describe_instances
    assert refusal(call, Filters=[{"Name": "colour", "Values": ["red"]}]) == "LocalAwsUnimplemented"


def test_unimplemented_action_of_a_json_service_is_a_clear_refusal(endpoint):
    call = client("resourcegroupstaggingapi", endpoint).start_report_creation
    assert refusal(call, S3Bucket="somewhere") == "LocalAwsUnimplemented"


def test_service_that_cannot_be_loaded_is_a_clear_refusal(endpoint):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(
            urllib.request.Request(
                endpoint,
                headers={"Authorization": "AWS4-HMAC-SHA256 Credential=1/20260101/us-east-1/nothing/aws4_request, x"},
            )
        )
    assert 400 <= caught.value.code < 500
