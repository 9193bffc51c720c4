import pytest
from event_pattern import UnknownOperator, matches


def test_fields_that_the_pattern_does_not_name_do_not_count():
    assert matches({"source": ["aws.ec2"]}, {"source": "aws.ec2", "region": "us-east-1"})


def test_every_named_field_has_to_hold():
    assert not matches({"source": ["aws.ec2"], "detail": {"state": ["running"]}}, {"source": "aws.ec2", "detail": {}})
    assert not matches({"detail": {"state": ["running"]}}, {"detail": "running"})


def test_one_alternative_is_enough():
    assert matches({"detail": {"state": ["pending", "running"]}}, {"detail": {"state": "running"}})
    assert not matches({"detail": {"state": ["pending", "running"]}}, {"detail": {"state": "stopped"}})


def test_an_array_in_the_event_matches_by_any_element():
    pattern = {"changed": ["tagwire:connect", "tagwire:block"]}
    assert matches(pattern, {"changed": ["Name", "tagwire:block"]})
    assert not matches(pattern, {"changed": ["Name"]})
    assert not matches(pattern, {"changed": []})


def test_matching_is_exact_and_case_sensitive():
    assert not matches({"a": ["Running"]}, {"a": "running"})
    assert not matches({"a": ["1"]}, {"a": 1})
    assert not matches({"a": ["run"]}, {"a": "running"})


def test_prefix():
    assert matches({"Message": [{"prefix": "Finished moving"}]}, {"Message": "Finished moving DB instance"})
    assert not matches({"Message": [{"prefix": "Finished moving"}]}, {"Message": "Not Finished moving"})
    assert not matches({"Message": [{"prefix": "x"}]}, {"Message": None})


@pytest.mark.parametrize(
    "pattern",
    [{"a": [{"suffix": "x"}]}, {"a": [{"exists": False}]}, {"$or": [{"a": ["x"]}]}, {"a": "x"}],
)
def test_what_is_not_understood_is_an_error(pattern):
    with pytest.raises(UnknownOperator):
        matches(pattern, {"a": "y"})
