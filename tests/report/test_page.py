"""What the page says, for each sample."""

import collections
import json
import os
import pathlib
import re

import data as samples
import pytest

HELD = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def given():
    """The samples, and what the environment names: a page that the command made, or data to make one from."""
    yield from (pytest.param(samples.assemble(make()), id=name) for name, make in samples.SAMPLES.items())
    if path := os.environ.get("TAGWIRE_REPORT_PAGE"):
        yield pytest.param(pathlib.Path(path).read_text(encoding="utf-8"), id="page given")
    if path := os.environ.get("TAGWIRE_REPORT_DATA"):
        yield pytest.param(samples.assemble(json.loads(pathlib.Path(path).read_text(encoding="utf-8"))), id="data given")


@pytest.mark.parametrize("document", list(given()))
def test_the_counts_are_those_of_the_data(show, document):
    data = json.loads(HELD.search(document)[1])
    page = show(document)
    vpcs = data["plan"]["vpcs"]
    connections = data["status"]["connections"]
    states = collections.Counter(connection["state"] for connection in connections)
    expected = {
        "instances": len(data["instances"]),
        "stores": len(data["stores"]),
        "connections": len(connections),
        "changes": sum(len(vpc["changes"]) for vpc in vpcs),
        "findings": sum(len(vpc["findings"]) for vpc in vpcs),
    } | {f"state-{state}": states[state] for state in ("connected", "drifted", "waiting", "refused")}
    shown = page.evaluate("Object.fromEntries([...document.querySelectorAll('[data-count]')].map((of) => [of.dataset.count, Number(of.textContent.replaceAll(',', ''))]))")
    assert shown == expected
    where = page.locator("#where").inner_text()
    assert data["account"] in where and data["region"] in where
    assert page.locator("#where time").get_attribute("datetime") == data["generated_at"]


def test_nothing_but_the_file_is_asked_for(show):
    page = show("moderate")
    page.locator(".node").first.click()
    page.locator("#search").fill("orders")
    page.wait_for_load_state("networkidle")
    assert [what for what, _ in show.recorded] == ["request"]


def test_the_policy_forbids_all_network_whoever_asks(show):
    page = show("small")
    asked = page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'went out', (error) => error.name)")
    assert asked == "TypeError"
    assert any("Content Security Policy" in text for kind, text in show.recorded if kind == "error")
    show.recorded[:] = [what for what in show.recorded if what[0] == "request"]


def test_hostile_names_are_text_and_nothing_else(show):
    page = show("hostile")
    assert page.title() == "tagwire report: 123456789012 eu-central-1"
    assert page.locator("img, iframe, object, embed, link, a[href^=javascript]").count() == 0
    assert page.locator("script").count() == 2
    assert page.evaluate("[...document.querySelectorAll('*')].every((of) => [...of.attributes].every((one) => !one.name.startsWith('on')))")
    for text in samples.HOSTILE[:6]:
        row = page.locator("#table tbody tr").filter(has_text=text).first
        row.click()
        assert text in page.locator("#details").inner_text()
        assert page.locator(".cluster h4").filter(has_text=text).count() == 1
    assert page.evaluate("({}).polluted === undefined && Object.prototype.toString.call({}) === '[object Object]'")


def test_what_cannot_be_seen_is_spelled_out(show):
    page = show("hostile")
    assert page.locator(".cluster h4", has_text="⟨U+202E⟩moc.live⟨U+2066⟩").count() == 1
    assert "\u202e" not in page.locator("body").inner_text()


def test_a_script_that_gets_into_the_page_is_not_run(show):
    """The escaping is the command's; should it fail once, the policy still stands."""
    document = samples.fill(json.dumps(samples.small()).replace("web-1", "</script><script>document.title='broken'</script>"))
    page = show(document)
    assert page.title() == "tagwire report"
    assert "cannot be read" in page.locator("#banners").inner_text()
    assert any("Content Security Policy" in text for kind, text in show.recorded if kind == "error")
    show.recorded[:] = [what for what in show.recorded if what[0] == "request"]


def test_what_could_not_be_read_is_said_at_the_top(show):
    page = show("partial")
    banner = page.locator("#incomplete")
    assert banner.is_visible() and "incomplete" in banner.inner_text()
    for gap in samples.partial()["gaps"]:
        assert gap in banner.inner_text()
    assert "could be read" in page.locator("#changes-list").inner_text()
    assert show("moderate").locator("#incomplete").count() == 0


def test_incomplete_without_a_gap_is_said_as_well(show):
    assert show(samples.assemble(samples.small() | {"complete": False})).locator("#incomplete").is_visible()


def test_an_empty_account_is_told_how_to_begin(show):
    page = show("empty")
    assert "tagwire:connect" in page.locator("#empty").inner_text()
    assert not page.locator("#body").is_visible()


def test_an_account_that_could_not_be_read_is_not_called_empty(show):
    page = show(samples.assemble(samples.empty() | {"complete": False, "gaps": ["ec2:DescribeInstances: denied"]}))
    assert "not everything could be read" in page.locator("#empty").inner_text()
    assert "carries the connect tag" not in page.locator("#empty").inner_text()


@pytest.mark.parametrize("data", [{}, [], None, {"version": 2, "status": None, "plan": {"vpcs": [None, {"findings": [{"subject": "?"}]}]}, "stores": [{}], "instances": "?"}])
def test_data_that_lacks_things_breaks_nothing(show, data):
    page = show(samples.assemble(data))
    assert page.locator("[data-count=connections]").inner_text() == "0"


def test_another_version_is_said(show):
    assert "version" in show(samples.assemble(samples.small() | {"version": 3})).locator("#banners").inner_text()


def test_findings_are_above_the_graph_and_the_rare_come_first(show):
    page = show("moderate")
    order = page.locator(".content > *").evaluate_all("(all) => all.map((one) => one.id)")
    assert order == ["findings", "limits", "graph-section", "connections", "changes", "codes"]
    codes = page.locator("#findings-list .code").all_inner_texts()
    assert len(codes) == 4 and "cross-az" not in codes
    assert codes.index("no-match") >= 0


def test_notices_are_folded_and_counted(show):
    page = show("moderate")
    fold = page.locator("#notices details")
    assert fold.locator("summary").inner_text() == "10 notices: cross-az ×10"
    assert fold.locator(".finding").count() == 10 and not fold.locator(".finding").first.is_visible()
    fold.locator("summary").click()
    assert fold.locator(".finding").first.is_visible()
    # What was opened stays open while somebody searches, and is found.
    page.locator("#search").fill("cross-az")
    assert fold.locator(".finding").first.is_visible()
    assert "None matches" in page.locator("#findings-list").inner_text()
    page.locator("#search").fill("no-match")
    assert not fold.is_visible()


def test_a_code_leads_to_what_it_means_on_the_page_itself(show):
    page = show("moderate")
    expected = {entry["code"] for entry in samples.moderate()["codes"]}
    assert set(page.locator("#codes-list code").all_inner_texts()) == expected and len(expected) > 4
    page.locator("#findings-list a.meaning", has_text="no-match").first.click()
    meant = page.locator("#codes-list > div:target")
    assert meant.inner_text().split("\n") == ["no-match", "the meaning of no-match", "What to do: what is done about no-match"]
    assert meant.evaluate("(one) => { const at = one.getBoundingClientRect(); return at.top >= 0 && at.bottom <= innerHeight; }")
    targets = page.locator("a.meaning").evaluate_all("(all) => all.map((one) => one.getAttribute('href'))")
    assert len(targets) > 4
    for target in set(targets):
        assert page.locator(target).count() == 1


def test_a_code_that_nobody_explains_is_shown_without_a_link(show):
    page = show(samples.assemble(samples.small() | {"codes": []}))
    assert page.locator("a.meaning").count() == 0
    assert page.locator("#findings-list .code").count() > 1
    assert not page.locator("#codes").is_visible()


def test_the_page_says_what_it_does_not_show(show):
    page = show("small")
    limits = page.locator("#limits")
    assert limits.locator("summary").is_visible()
    assert "open to the world" in limits.locator("summary").inner_text()
    limits.locator("summary").click()
    assert limits.locator("li").count() >= 5 and limits.locator("li").last.is_visible()


def test_zones_are_named_as_zones_and_names_are_counted(show):
    page = show("moderate")
    lines = page.locator(".node text").all_text_contents()
    assert "etl ×8" in lines
    assert "RDS · zones a, b, c" in lines
    assert any(line.endswith(" · zone c") for line in lines)
    page.locator("#table tbody tr").filter(has_text="payment-worker-2").first.click()
    assert "eu-central-1c → eu-central-1a, eu-central-1b" in page.locator("#details").inner_text()


def test_changes_say_what_they_do_in_words_and_signs(show):
    page = show("small")
    assert sorted(page.locator(".effect").all_text_contents()) == ["+add", "−remove", "✎write"]


def test_what_can_be_connected_to_nothing_is_shown_all_the_same(show):
    labels = show("small").locator(".node").evaluate_all("(all) => all.map((one) => one.getAttribute('aria-label'))")
    assert any(label.startswith("Instance batch-1") and "no connection" in label for label in labels)
    assert any(label.startswith("Data store cluster/archive") and "no connection" in label for label in labels)


def test_what_is_not_made_for_different_reasons_is_drawn_apart(show):
    account = samples.Account()
    store = account.store("orders", "vpc-1", names=["orders"])
    for code in ["interface-group-limit", "interface-group-limit", "blocked", "held"]:
        account.connect(account.instance(f"web-{code}", "vpc-1", ["orders"]), store, "refused", code=code)
    page = show(samples.assemble(account.data()))
    labels = page.locator(".node.pair.none").evaluate_all("(all) => all.map((one) => one.getAttribute('aria-label')).sort()")
    assert labels == ["no connection: blocked, 1 refused", "no connection: held, 1 refused", "no connection: interface-group-limit, 2 refused"]


def test_states_differ_by_shape_and_text_and_not_by_colour_alone(show):
    page = show("small")
    shapes = page.locator(".tiles button.state svg").evaluate_all("(all) => all.map((one) => one.innerHTML.replace(/class=\"[^\"]*\"/g, ''))")
    assert len(set(shapes)) == 4
    dashes = {}
    for state in ("connected", "drifted", "waiting", "refused"):
        edge = page.locator(f".edge.state-{state}[role=button]").first
        dashes[state] = edge.locator(".line").evaluate("(line) => getComputedStyle(line).strokeDasharray")
        assert state in edge.get_attribute("aria-label")
        assert edge.locator(".sign").count() == (0 if state == "connected" else 1)
        for part in edge.locator(".sign > *").all():
            look = part.evaluate("(part) => [getComputedStyle(part).fill, getComputedStyle(part).stroke]")
            assert look != ["none", "none"], f"the sign of {state} cannot be seen"
    assert len(set(dashes.values())) == 4


def test_a_hint_stands_below_its_finding_and_no_other(show):
    findings = show("small").locator("#findings-list")
    assert "Hint: put the name archive on an instance" in findings.inner_text()
    with_hint = [one for one in samples.small()["plan"]["vpcs"][0]["findings"] if one["hint"] is not None]
    assert findings.locator(".hint").count() == len(with_hint)
