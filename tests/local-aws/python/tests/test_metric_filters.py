"""Which lines of a log a metric filter counts, and what an alarm makes of them."""

from types import SimpleNamespace

import metric_filters
import pytest

FINDING = {"record": "finding", "code": "contested", "at": {"vpc": "vpc-1"}, "number": 3}


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ('{ $.code = "contested" }', True),
        ('{ $.code != "contested" }', False),
        ('{ $.code != "held" }', True),
        ('{ $.missing != "held" }', False),
        ('{ $.at.vpc = "vpc-1" }', True),
        ("{ $.number = 3 }", True),
        ('{ $.record = "decision" || $.code = "contested" }', True),
        ('{ $.record = "decision" && $.code = "contested" }', False),
        ('{ ($.record = "finding" || $.record = "decision") && ($.code = "contested") }', True),
        ('{ ($.record = "outcome" || $.record = "decision") && ($.code = "contested") }', False),
    ],
)
def test_pattern_describes_lines(pattern, matches):
    assert metric_filters.matcher(pattern)(FINDING) is matches


@pytest.mark.parametrize(
    "pattern",
    ["contested", "{ }", '{ $.code = "a" ', '{ ($.code = "a" }', '{ $.code = "a" $.b = 1 }', "{ $.code IS TRUE }"],
)
def test_pattern_that_is_not_known_is_an_error(pattern):
    with pytest.raises(ValueError, match="code|contested|comparison"):
        metric_filters.matcher(pattern)


def test_lines_of_an_invocation_are_counted_for_the_filters_of_their_group():
    stored = []
    logs = SimpleNamespace(
        _metric_filters={
            ("/tagwire/connect", name): {
                "filterPattern": f'{{ $.code = "{name}" }}',
                "metricTransformations": [
                    {"metricNamespace": "tagwire", "metricName": name, "metricValue": "2", "defaultValue": 0.0}
                ],
            }
            for name in ("contested", "held")
        }
    )
    evaluated = []
    cloudwatch = SimpleNamespace(
        _store_datum=lambda *datum: stored.append((datum[1], datum[5])),
        _evaluate_all_alarms=lambda: evaluated.append(True),
    )
    lines = ['{"code": "contested"}', "not JSON", '{"code": "contested"}']
    metric_filters.publish(logs, cloudwatch, "/tagwire/connect", lines)
    metric_filters.publish(logs, cloudwatch, "/tagwire/sweep", lines)
    assert stored == [("contested", 4.0), ("held", 0.0)]
    assert evaluated == [True, True]
