"""The operator's documents tell of everything that the template offers, and of nothing else."""

import json
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


def anchors(path):
    """What GitHub makes of the headings of a document."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_in_documents_lead_to_a_file_and_to_a_heading_of_it():
    followed = set()
    for path in [TOP / "README.md", *(TOP / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            if target.startswith("https://"):
                continue
            file, _, heading = target.partition("#")
            there = (path.parent / file).resolve() if file else path
            assert there.is_file(), f"{path.name}: {target}"
            assert not heading or heading in anchors(there), f"{path.name}: {target}"
            followed.add((path, target))
    assert len(followed) > 40


def as_aws_names_it(method):
    return "".join(word.capitalize() for word in method.split("_"))


def test_the_policy_for_whoever_applies_allows_what_apply_and_uninstall_call_beside_looking_and_nothing_else(stack):
    """What they ask of the cloud is in one file, and each method of the cloud names its calls in the service's file."""
    carried_out = (TOP / "cli" / "src" / "carry_out.rs").read_text(encoding="utf-8")
    methods = set(re.findall(r"session\s*\.(?:aws|cloud\(\)\?)\s*\.(\w+)\(", carried_out))
    assert methods == {"send_work", "answer"}
    called = set()
    for path in (TOP / "shared" / "aws" / "src").glob("*.rs"):
        if path.stem in ("lib", "tests"):
            continue
        method = rf"async fn (?:{'|'.join(methods)})\((.+?)\n    }}\n"
        for body in re.findall(method, path.read_text(encoding="utf-8"), re.DOTALL):
            calls = re.findall(r"self\s*\.client\s*\.(\w+)\(\)", body)
            called |= {f"{path.stem}:{as_aws_names_it(call)}" for call in calls}
    policy = json.loads((TOP / "docs" / "policies" / "operator.json").read_text(encoding="utf-8"))
    assert [statement["Effect"] for statement in policy["Statement"]] == ["Allow", "Allow"]
    allowed = {statement["Action"]: statement["Resource"] for statement in policy["Statement"]}
    assert set(allowed) == called == {"sqs:SendMessage", "dynamodb:GetItem"}
    # CloudFormation puts the logical id between the name of the stack and letters of its own.
    for resource, kind in [("ConnectQueue", "AWS::SQS::Queue"), ("StateTable", "AWS::DynamoDB::Table")]:
        assert not {"QueueName", "TableName"} & set(stack.of_type(kind)[resource])
    assert allowed["sqs:SendMessage"] == "arn:*:sqs:*:*:*-ConnectQueue-*"
    assert allowed["dynamodb:GetItem"] == "arn:*:dynamodb:*:*:table/*-StateTable-*"


def explained_codes():
    """The codes that explanations have of their own: those that no finding says the same with."""
    folder = TOP / "shared" / "core" / "src" / "plan"
    sources = [*(folder / "explain").glob("*.rs"), folder / "conditions.rs"]
    code = "".join(path.read_text(encoding="utf-8") for path in sources)
    failures = re.findall(r'Failure::new\(\s*"([a-z-]+)"', code)
    chosen = re.findall(r'(?<!= )\("([a-z-]+)", (?:format!\()?"', code)
    unmet = re.findall(r'Self::\w+(?:\(_\))? => "([a-z-]+)",', code.split("impl Unmet")[1].split("\n}\n")[0])
    return {*failures, *chosen, *unmet}


def test_every_code_of_an_explanation_is_in_a_table():
    own = rows("operating.md", "Codes of explanations")
    findings = rows("operating.md", "Codes of decisions and findings")
    assert explained_codes() - set(findings) <= set(own) <= explained_codes()


def test_every_ground_and_finding_of_the_tables_made_from_the_code_is_explained_to_the_operator():
    made = rows("decision-tables.md", "Grounds for taking a connection away")
    assert set(made) == set(rows("operating.md", "How a connection is taken away"))
    assert set(rows("decision-tables.md", "Findings")) == set(rows("operating.md", "Codes of decisions and findings"))
