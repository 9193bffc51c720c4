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


def test_anything_but():
    assert matches({"a": [{"anything-but": ["x"]}]}, {"a": "y"})
    assert not matches({"a": [{"anything-but": ["x"]}]}, {"a": "x"})
    assert not matches({"a": [{"anything-but": ["x"]}]}, {})


def test_absence_and_presence():
    assert matches({"a": [{"exists": False}]}, {"b": 1})
    assert not matches({"a": [{"exists": False}]}, {"a": None})
    assert matches({"a": [{"exists": True}]}, {"a": None})
    assert not matches({"a": [{"exists": True}]}, {"b": 1})


def test_absent_or_something_else():
    pattern = {"user": {"issuer": {"arn": [{"exists": False}, {"anything-but": ["own"]}]}}}
    assert matches(pattern, {"user": {"issuer": {"arn": "other"}}})
    assert matches(pattern, {"user": {"name": "someone"}})
    assert matches(pattern, {})
    assert not matches(pattern, {"user": {"issuer": {"arn": "own"}}})


def test_a_list_of_objects_matches_by_any_of_them():
    pattern = {"tags": {"key": ["x"]}}
    assert matches(pattern, {"tags": [{"key": "y"}, {"key": "x"}]})
    assert not matches(pattern, {"tags": [{"key": "y"}]})
    assert not matches(pattern, {"tags": []})


@pytest.mark.parametrize(
    "pattern",
    [{"a": [{"suffix": "x"}]}, {"a": [{"wildcard": "x*"}]}, {"$or": [{"a": ["x"]}]}, {"a": "x"}],
)
def test_what_is_not_understood_is_an_error(pattern):
    with pytest.raises(UnknownOperator):
        matches(pattern, {"a": "y"})
