"""A real browser, and pages that may reach nothing but themselves."""

import os
import pathlib

import data as samples
import pytest
from playwright.sync_api import sync_playwright

TOP = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        # The sandbox needs rights that a container does not give, and there is no screen to draw on.
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--force-color-profile=srgb", "--hide-scrollbars"]
        browser = playwright.chromium.launch(executable_path=os.environ["TAGWIRE_CHROMIUM"], args=options)
        yield browser
        browser.close()


@pytest.fixture
def show(browser, tmp_path):
    """Opens a sample by its name, or a page as it is. Whatever a test does: no request but for the page, no error."""
    contexts, recorded, expected = [], [], []

    def open_page(what, width=1440, height=1000, scheme="light", **options):
        document = samples.assemble(samples.SAMPLES[what]()) if what in samples.SAMPLES else what
        path = tmp_path / f"page-{len(contexts)}.html"
        path.write_text(document, encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce", **options)
        contexts.append(context)
        page = context.new_page()
        expected.append(path.as_uri())
        page.on("request", lambda request: recorded.append(("request", request.url)))
        page.on("console", lambda message: recorded.append((message.type, message.text)))
        page.on("pageerror", lambda error: recorded.append(("pageerror", str(error))))
        page.on("dialog", lambda dialog: recorded.append(("dialog", dialog.message)))
        page.goto(path.as_uri())
        return page

    open_page.recorded = recorded
    yield open_page
    for context in contexts:
        context.close()
    unexpected = [what for what in recorded if what[0] != "request" or what[1].split("#")[0] not in expected]
    assert unexpected == []


@pytest.fixture(scope="session")
def target():
    (TOP / "target").mkdir(exist_ok=True)
    return TOP / "target"
