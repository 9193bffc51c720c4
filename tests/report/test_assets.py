"""The three files by themselves: what they promise to whoever puts them together."""

import json
import re

import data as samples
import pytest


@pytest.mark.parametrize("name", ["style", "script", "data"])
def test_each_place_to_be_filled_is_there_once(name):
    assert samples.asset("page.html").count("{{%s}}" % name) == 1
    assert "{{%s}}" % name not in samples.asset("page.css") + samples.asset("page.js")


def test_the_policy_names_the_style_and_the_script_as_they_are():
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', samples.asset("page.html"))[1]
    # When one of the two was changed: put the digest that is expected here into page.html.
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{samples.digest(samples.asset('page.css'))}'; "
        f"script-src 'sha256-{samples.digest(samples.asset('page.js'))}'; base-uri 'none'; form-action 'none'"
    )


def test_nothing_refers_to_anything_outside():
    for name in ["page.html", "page.css", "page.js"]:
        addresses = set(re.findall(r"\b(?:https?:)?//[a-z0-9.-]+\.[a-z]+[^\s\"']*", samples.asset(name)))
        # The name of a namespace is an address that nobody visits.
        assert addresses <= {"http://www.w3.org/2000/svg"}, name
        assert not re.search(r"@import|url\(|<link|<iframe|\bsrc=|\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(", samples.asset(name)), name


def test_text_never_becomes_markup():
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function|\.setAttribute\(\"on", samples.asset("page.js"))


@pytest.mark.parametrize("name", sorted(samples.SAMPLES))
def test_samples_are_the_same_each_time_and_survive_being_put_into_the_page(name):
    data = samples.SAMPLES[name]()
    assert data == samples.SAMPLES[name]()
    document = samples.assemble(data)
    held = re.search(r'<script type="application/json" id="data">(.*?)</script>', document, re.DOTALL)[1]
    assert json.loads(held) == data


def test_the_big_sample_is_as_big_as_it_says():
    data = samples.big()
    assert [len(data[kind]) for kind in ("instances", "stores")] == [400, 60]
    assert len({store["arn"] for store in data["stores"]}) == 60
    ends = {(connection["client"], connection["store"]) for connection in data["status"]["connections"]}
    assert len(ends) == len(data["status"]["connections"]) == 1500
