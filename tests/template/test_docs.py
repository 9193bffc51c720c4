"""The operator's documents tell of everything that the template offers, and of nothing else."""

import datetime
import json
import re

from expanded import TOP
from test_stack import RECORDS_OF


def rows(document, heading):
    """Each name in the first cell of a row of the first table under a heading, and the rest of the row."""
    text = (TOP / "docs" / document).read_text(encoding="utf-8")
    [section] = re.findall(rf"^#+ {heading}\n(.*?)(?=^##+ |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    table = re.search(r"(?:^\|.*\n)+", section, flags=re.MULTILINE)[0]
    cells = re.findall(r"^\| (?!-)([^|]+) \|(.*)$", table, flags=re.MULTILINE)[1:]
    return {name: rest for first, rest in cells for name in re.findall(r"`([^`]+)`", first) or [first]}


def test_every_parameter_is_explained_with_its_default(written):
    explained = rows("deploy.md", "Parameters")
    assert set(explained) == set(written["Parameters"])
    for name, parameter in written["Parameters"].items():
        default = explained[name].split("|")[0].strip().strip("`")
        assert default == (str(parameter["Default"]) or "empty")


def test_codes_that_raise_an_alarm_are_in_the_table_of_alarms_and_in_a_table_of_codes():
    alarms = {alarm.removeprefix("tagwire-") for alarm in rows("deploy.md", "When an alarm is raised")}
    tables = ("Outcome codes", "Codes of decisions and findings", "Refused for good")
    explained = {code: rest for table in tables for code, rest in rows("operating.md", table).items()}
    assert set(RECORDS_OF) <= alarms
    assert {code for code, rest in explained.items() if "raises an alarm" in rest} == set(RECORDS_OF)


def test_the_alarms_and_metrics_are_counted_right(stack):
    words = {8: "Eight", 20: "twenty"}
    text = (TOP / "docs" / "deploy.md").read_text(encoding="utf-8")
    filters = stack.of_type("AWS::Logs::MetricFilter").values()
    metrics = {metric["MetricTransformations"][0]["MetricName"] for metric in filters}
    assert f"{words[len(metrics)]} metrics" in text
    assert f"{words[len(stack.of_type('AWS::CloudWatch::Alarm'))]} alarms" in text


def test_the_first_page_counts_and_prices_what_the_stack_has(stack):
    """The list prices are those of fact 11.14."""
    text = (TOP / "README.md").read_text(encoding="utf-8")
    costs = dict(re.findall(r"^\| ([^|]+) \| (\d+ at [\d.]+ \| [\d.]+) \|$", text, flags=re.MULTILINE))
    filters = stack.of_type("AWS::Logs::MetricFilter").values()
    metrics = len({metric["MetricTransformations"][0]["MetricName"] for metric in filters})
    alarms = len(stack.of_type("AWS::CloudWatch::Alarm"))
    assert costs == {
        "CloudWatch alarms": f"{alarms} at 0.10 | {alarms * 0.10:.2f}",
        "metrics of its own": f"{metrics} at 0.30 | {metrics * 0.30:.2f}",
    }
    fixed = alarms * 0.10 + metrics * 0.30
    assert f"About **{round(fixed + (0.40 + 0.85) / 2 + 0.5)} USD a month**" in text


def test_the_first_page_names_every_guide_and_every_command():
    text = (TOP / "README.md").read_text(encoding="utf-8")
    for guide in (TOP / "docs").glob("*.md"):
        assert f"](docs/{guide.name})" in text, guide.name
    commands = set(rows("cli.md", "The command line")) - {"completions", "man", "version"}
    assert len(commands) >= 8
    for command in commands:
        assert f"\n| `{command}" in text, command


def anchors(path):
    """The anchors that GitHub gives to the headings of a document."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_in_documents_lead_to_a_file_and_to_a_heading_of_it():
    followed = set()
    others = [*TOP.glob("*.md"), TOP / "events" / "README.md", TOP / "tests" / "local-aws" / "README.md"]
    for path in [*others, *(TOP / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            if target.startswith("https://"):
                continue
            file, _, heading = target.partition("#")
            there = (path.parent / file).resolve() if file else path
            assert there.is_file(), f"{path.name}: {target}"
            assert not heading or heading in anchors(there), f"{path.name}: {target}"
            followed.add((path, target))
    assert len(followed) > 40


def sources(*folders):
    """The texts of the production code below some folders."""
    paths = [path for folder in folders for path in (TOP / folder).rglob("*.rs")]
    return [path.read_text(encoding="utf-8") for path in paths if "tests" not in path.parts and path.stem != "tests"]


def as_aws_names_it(method):
    return "".join(word.capitalize() for word in method.split("_"))


def test_the_policy_for_whoever_applies_allows_what_apply_and_uninstall_call_beside_looking_and_nothing_else(stack):
    """Requests are sent from one file, and each method of the cloud names its calls in the service's file."""
    [carried_out] = [text for text in sources("cli/src") if "send_work(" in text]
    methods = set(re.findall(r"session\s*\.(?:aws|cloud\(\)\?)\s*\.(\w+)\(", carried_out))
    assert methods == {"send_work", "answer"}
    called = set()
    for path in (TOP / "shared" / "aws" / "src").rglob("*.rs"):
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
    # CloudFormation puts the logical id of what has no name between the name of the stack and letters of its own.
    queue = stack.of_type("AWS::SQS::Queue")["ConnectQueue"]["QueueName"]
    assert allowed["sqs:SendMessage"] == "arn:*:sqs:*:*:*-ConnectQueue-*"
    assert re.fullmatch(r"\w+-ConnectQueue-\S+", queue)
    assert "TableName" not in stack.of_type("AWS::DynamoDB::Table")["StateTable"]
    assert allowed["dynamodb:GetItem"] == "arn:*:dynamodb:*:*:table/*-StateTable-*"


def test_every_code_that_a_run_ends_with_is_explained_to_the_operator():
    codes = set(re.findall(r'Conclusion::Done\("([a-z-]+)"\)', "".join(sources("shared/engine/src"))))
    explained = set(rows("operating.md", "Outcome codes"))
    assert len(codes) > 3
    assert codes <= explained


# How the code says that a condition of an explanation fails.
FAILED = r"\bFailedCondition::new\("


def explained_codes():
    """The codes that only explanations have; all others are those of findings."""
    code = "".join(text for text in sources("shared/core/src") if re.search(FAILED, text) or "impl Unmet" in text)
    failures = re.findall(FAILED + r'\s*"([a-z-]+)"', code)
    chosen = re.findall(r'(?<!= )\("([a-z-]+)", (?:format!\()?"', code)
    unmet = re.findall(r'Self::\w+(?:\(_\))? => "([a-z-]+)",', code.split("impl Unmet")[1].split("\n}\n")[0])
    return {*failures, *chosen, *unmet}


def test_every_code_of_an_explanation_is_in_a_table():
    own = rows("operating.md", "Codes of explanations")
    findings = rows("operating.md", "Codes of decisions and findings")
    assert explained_codes() - set(findings) <= set(own) <= explained_codes()


def test_every_reason_and_finding_of_the_tables_made_from_the_code_is_explained_to_the_operator():
    made = rows("decision-tables.md", "Reasons for taking a connection away")
    assert set(made) == set(rows("operating.md", "How a connection is removed"))
    assert set(rows("decision-tables.md", "Findings")) == set(rows("operating.md", "Codes of decisions and findings"))


def facts():
    """The numbers of the facts about AWS that code has to cite, and of those that are background."""
    text = (TOP / "docs" / "aws-facts.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (\d+\.\d+) (.+)$", text, flags=re.MULTILINE)
    background = {number for number, title in headings if title.endswith("(background)")}
    assert len(headings) == len({number for number, _ in headings})
    return {number for number, _ in headings} - background, background


def test_every_fact_says_how_it_was_checked_and_when_it_was_last_looked_at():
    text = (TOP / "docs" / "aws-facts.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| (\w+) \| (?:yes|no|by [\w' ]+) \|", text, flags=re.MULTILINE)
    assert words == ["model", "document", "seen", "derived", "assumed"]
    sections = re.split(r"^### ", re.sub(r"^## .*$", "", text, flags=re.MULTILINE), flags=re.MULTILINE)[1:]
    assert len(sections) == len(set.union(*facts()))
    for section in sections:
        title, last = section.split("\n", 1)[0], section.rstrip().rsplit("\n\n", 1)[1]
        form = r"Source: (.+?)\. Checked: (.+)\. Looked at: (\d{4}-(?:0[1-9]|1[0-2]))\."
        stated = re.fullmatch(form, " ".join(last.split()))
        assert stated, f"{title}: ends without its source, how it was checked, and the month"
        assert set(re.findall(r"\w+", stated[2])) & set(words), f"{title}: {stated[2]}"
        assert "2026-06" <= stated[3] <= datetime.date.today().isoformat()[:7], f"{title}: {stated[3]}"


def test_every_fact_that_code_cites_is_listed_and_every_listed_fact_is_cited_or_background():
    template = (TOP / "template.yaml").read_text(encoding="utf-8")
    code = "".join([template, *sources("shared", "cli/src", "functions")])
    cited = {number for list_ in re.findall(r"\bFacts? (\d+\.\d+(?:(?:, | and )\d+\.\d+)*)", code)
             for number in re.findall(r"\d+\.\d+", list_)}
    required, background = facts()
    assert not cited & background, "these are cited, so they are no background"
    assert cited == required


def test_every_fact_that_a_document_cites_is_listed():
    listed = set.union(*facts())
    for path in (TOP / "docs").rglob("*.md"):
        for list_ in re.findall(r"\bfacts? ((?:\[?\d+\.\d+[^ ,]*(?:, | and )?)+)", path.read_text(encoding="utf-8")):
            assert {number for number in re.findall(r"(?<![\w.#/-])\d+\.\d+", list_)} <= listed, f"{path.name}: {list_}"


def test_every_decision_is_linked_from_the_design_under_its_number():
    design = (TOP / "docs" / "design.md").read_text(encoding="utf-8")
    decisions = sorted((TOP / "docs" / "decisions").glob("*.md"))
    assert [path.name[:3] for path in decisions] == [f"{number:03}" for number in range(1, len(decisions) + 1)]
    for number, path in enumerate(decisions, start=1):
        text = path.read_text(encoding="utf-8")
        assert f"| [{number}](decisions/{path.name}) |" in design
        assert text.startswith(f"# {number}. ")
        headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences", "Rejected"], path.name


def test_every_path_that_a_document_names_exists():
    named = set()
    for path in [TOP / "README.md", *(TOP / "docs").rglob("*.md")]:
        text = path.read_text(encoding="utf-8")
        for target in re.findall(r"`((?:shared|cli|functions|tests|events|xtask|docs)/[\w./-]*)`", text):
            assert (TOP / target).exists(), f"{path.name}: {target}"
            named.add(target)
    assert len(named) > 20
