"""Metric filters: what of a function's log counts, so that an alarm on it goes on.

Of CloudWatch Logs' filter patterns it knows those for JSON lines that compare members with strings or
numbers: ``{ ($.record = "finding" || $.record = "decision") && $.code = "contested" }``. Any other is an
error, and not a filter that never matches.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

_TOKEN = re.compile(r'\s*(\(|\)|&&|\|\||!=|=|\$(?:\.\w+)+|"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?)')

Matcher = Callable[[Any], bool]


def matcher(pattern: str) -> Matcher:
    """Whether a line of a log, read as JSON, is one that the pattern describes."""
    text = pattern.strip()
    if not (text.startswith("{") and text.endswith("}")):
        raise ValueError(f"{pattern!r} is no pattern for JSON")
    tokens = list(_tokens(text[1:-1], pattern))
    matches = _either(tokens, pattern)
    if tokens:
        raise ValueError(f"{pattern!r} goes on with {tokens[0]!r}")
    return matches


def publish(logs: Any, cloudwatch: Any, group: str, lines: list[str]) -> None:
    """Counts the lines that a function wrote in one invocation, for every filter of its log group."""
    records = [record for record in map(_record, lines) if record is not None]
    for (of_group, _), described in list(logs._metric_filters.items()):
        if of_group != group:
            continue
        number = sum(map(matcher(described["filterPattern"]), records))
        for metric in described["metricTransformations"]:
            value = float(metric["metricValue"]) * number if number else metric.get("defaultValue")
            if value is not None:
                namespace, name = metric["metricNamespace"], metric["metricName"]
                cloudwatch._store_datum(namespace, name, {}, time.time(), "Count", value, None, None, None)
    cloudwatch._evaluate_all_alarms()


def _record(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _tokens(text: str, pattern: str) -> Iterator[str]:
    position = 0
    while text[position:].strip():
        found = _TOKEN.match(text, position)
        if found is None:
            raise ValueError(f"{pattern!r} has {text[position:].strip()!r}, which is not known here")
        position = found.end()
        yield found[1]


def _either(tokens: list[str], pattern: str) -> Matcher:
    parts = [_both(tokens, pattern)]
    while tokens and tokens[0] == "||":
        tokens.pop(0)
        parts.append(_both(tokens, pattern))
    return lambda record: any(part(record) for part in parts)


def _both(tokens: list[str], pattern: str) -> Matcher:
    parts = [_one(tokens, pattern)]
    while tokens and tokens[0] == "&&":
        tokens.pop(0)
        parts.append(_one(tokens, pattern))
    return lambda record: all(part(record) for part in parts)


def _one(tokens: list[str], pattern: str) -> Matcher:
    if tokens and tokens[0] == "(":
        tokens.pop(0)
        inner = _either(tokens, pattern)
        if not tokens or tokens.pop(0) != ")":
            raise ValueError(f"{pattern!r} lacks a closing bracket")
        return inner
    if len(tokens) < 3 or not tokens[0].startswith("$") or tokens[1] not in ("=", "!="):
        raise ValueError(f"{pattern!r} lacks a comparison at {tokens!r}")
    path, relation, wanted = tokens.pop(0).split(".")[1:], tokens.pop(0), json.loads(tokens.pop(0))

    def compare(record: Any) -> bool:
        for name in path:
            if not isinstance(record, dict) or name not in record:
                return False
            record = record[name]
        return (record == wanted) == (relation == "=")

    return compare
