"""The operator's documents tell of everything that the template offers, and of nothing else."""

import re

from conftest import TOP
from test_stack import RECORDS_OF


def rows(document, heading):
    """The first cell of each row of the first table under a heading, without its quotes, and the whole row."""
    text = (TOP / "docs" / document).read_text(encoding="utf-8")
    section = re.split(r"^## ", text.split(f"\n## {heading}\n", 1)[1], flags=re.MULTILINE)[0]
    table = re.findall(r"^\| (?!-)([^|]+) \|(.*)$", section, flags=re.MULTILINE)[1:]
    return {first.strip("`"): rest for first, rest in table}


def test_every_parameter_is_explained_with_its_default(written):
    explained = rows("deploy.md", "Parameters")
    assert set(explained) == set(written["Parameters"])
    for name, parameter in written["Parameters"].items():
        default = explained[name].split("|")[0].strip().strip("`")
        assert default == (str(parameter["Default"]) or "empty")


def test_what_rings_because_of_a_code_is_in_the_table_of_alarms_and_in_a_table_of_codes():
    rings = {alarm.removeprefix("tagwire-") for alarm in rows("deploy.md", "When an alarm rings")}
    explained = rows("operating.md", "Outcome codes") | rows("operating.md", "Codes of decisions and findings")
    for code in RECORDS_OF:
        assert code in rings
        assert "rings" in explained[code]
    assert {code for code, rest in explained.items() if re.search(r"\brings\b", rest)} == set(RECORDS_OF)


def test_the_alarms_and_metrics_are_counted_right(stack):
    words = {5: "Five", 17: "seventeen"}
    text = (TOP / "docs" / "deploy.md").read_text(encoding="utf-8")
    filters = stack.of_type("AWS::Logs::MetricFilter").values()
    metrics = {metric["MetricTransformations"][0]["MetricName"] for metric in filters}
    assert f"{words[len(metrics)]} metrics" in text
    assert f"{words[len(stack.of_type('AWS::CloudWatch::Alarm'))]} alarms" in text


def test_links_between_documents_lead_to_a_heading():
    headings = {}
    for path in (TOP / "docs").glob("*.md"):
        titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        headings[path.name] = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}
    followed = 0
    for path in (TOP / "docs").glob("*.md"):
        for name, heading in re.findall(r"\]\(([a-z-]+\.md)?#([^)]+)\)", path.read_text(encoding="utf-8")):
            assert heading in headings[name or path.name], f"{path.name}: {name}#{heading}"
            followed += 1
    assert followed > 10
