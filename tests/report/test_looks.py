"""How it looks: contrast, room, paper, small windows, and a picture of it."""

import os
from statistics import correlation

import data as samples
import pytest
from conftest import TOP
from PIL import Image, ImageFilter, ImageStat

# Every text that can be seen, with its colour and what is behind it. Colours are read from a canvas, which takes any
# form that a browser writes them in.
CONTRAST = """() => {
    const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const read = (colour) => {
        context.clearRect(0, 0, 1, 1);
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data;
        return { red, green, blue, alpha: alpha / 255 };
    };
    const over = (above, below) => ({
        red: above.red * above.alpha + below.red * (1 - above.alpha),
        green: above.green * above.alpha + below.green * (1 - above.alpha),
        blue: above.blue * above.alpha + below.blue * (1 - above.alpha),
        alpha: 1,
    });
    const behind = (element) => {
        const layers = [];
        for (let one = element; one; one = one.parentElement) {
            const box = one.matches('.node') ? one.querySelector('.box') : null;
            layers.push(read(box ? getComputedStyle(box).fill : getComputedStyle(one).backgroundColor));
        }
        return layers.reverse().reduce((below, above) => over(above, below), { red: 255, green: 255, blue: 255, alpha: 1 });
    };
    const light = ({ red, green, blue }) => {
        const [r, g, b] = [red, green, blue].map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (walker.currentNode.textContent.trim() === '' || !element.checkVisibility() || element.closest('script, .unseen, option')) continue;
        const isDrawn = element instanceof SVGElement;
        const below = behind(element);
        const style = getComputedStyle(element);
        const ink = over(read(isDrawn ? style.fill : style.color), below);
        const [brighter, darker] = [light(ink), light(below)].sort((one, other) => other - one);
        found.push({ text: walker.currentNode.textContent.trim().slice(0, 40), ratio: (brighter + 0.05) / (darker + 0.05) });
    }
    return found;
}"""

# Labels in the graph: where each stands, and the box that it has to stay in.
LABELS = """() => [...document.querySelectorAll('.plot text')].filter((text) => text.checkVisibility()).map((text) => {
    const rect = (one) => { const { left, right, top, bottom } = one.getBoundingClientRect(); return { left, right, top, bottom }; };
    return { text: text.textContent, at: rect(text), box: rect(text.closest('.node').querySelector('.box')), plot: plots.findIndex((plot) => plot.element.contains(text)) };
})"""


def overlap(one, other, slack=0.5):
    return (
        one["left"] < other["right"] - slack and other["left"] < one["right"] - slack
        and one["top"] < other["bottom"] - slack and other["top"] < one["bottom"] - slack
    )


def assert_labels_are_apart(page):
    labels = page.evaluate(LABELS)
    assert labels
    for label in labels:
        at, box = label["at"], label["box"]
        assert box["left"] <= at["left"] and at["right"] <= box["right"] and box["top"] - 1 <= at["top"] and at["bottom"] <= box["bottom"] + 1, label
    by_plot = {}
    for label in labels:
        by_plot.setdefault(label["plot"], []).append(label)
    for together in by_plot.values():
        # From top to bottom, so that only the near ones have to be compared.
        together.sort(key=lambda label: label["at"]["top"])
        for place, one in enumerate(together):
            for other in together[place + 1:]:
                if other["at"]["top"] >= one["at"]["bottom"]:
                    break
                # Lines of one node stand as close as lines of text do.
                assert not overlap(one["at"], other["at"], slack=3), (one, other)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("sample", ["small", "moderate", "partial", "empty"])
def test_every_text_can_be_read_in_light_and_dark(show, sample, scheme):
    page = show(sample, scheme=scheme)
    looks = [page.evaluate(CONTRAST)]
    if sample != "empty":
        # Details and marked rows as well, for each state.
        for row in page.locator("#table tbody tr").all()[:6]:
            row.click()
            page.mouse.move(2, 2)
            page.locator("#search").focus()
            page.evaluate("for (const plot of plots) plot.element.classList.remove('narrowed')")
            looks.append(page.evaluate(CONTRAST))
    for look in looks:
        assert len(look) > 15
        worst = min(look, key=lambda found: found["ratio"])
        assert worst["ratio"] >= 4.5, worst


def test_dark_is_dark(show):
    def ground(scheme):
        return page_colour(show("small", scheme=scheme))

    def page_colour(page):
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert ground("light") != ground("dark")


@pytest.mark.parametrize("unfolded", [False, True], ids=["folded", "unfolded"])
@pytest.mark.parametrize("sample, width", [("big", 1440), ("big", 1000), ("big", 360), ("moderate", 1440), ("hostile", 1100)])
def test_no_label_covers_another_or_leaves_its_box(show, sample, width, unfolded):
    page = show(sample, width=width)
    if unfolded and page.locator("#expand-all").is_visible():
        page.locator("#expand-all").click()
    assert_labels_are_apart(page)


def test_hundreds_of_nodes_are_gathered_by_vpc_and_name_and_folded(show):
    data = samples.big()
    page = show("big")
    vpcs = page.locator(".vpc h3").all_inner_texts()
    assert vpcs == sorted({connection["vpc"] for connection in data["status"]["connections"]})
    names = {(connection["vpc"], (connection["names"] or [None])[0]) for connection in data["status"]["connections"]}
    assert page.locator(".cluster").count() >= len(names)
    clusters = page.locator(".vpc").first.locator("h4").all_inner_texts()
    assert clusters == sorted(clusters, key=lambda name: (name == "No name in common", name))
    assert page.locator(".node").count() < 600
    page.locator("#expand-all").click()
    drawn = page.evaluate("new Set(plots.flatMap((plot) => [...plot.items.values()]).filter((item) => item.kind === 'edge').flatMap((edge) => edge.connections.map((one) => one.index))).size")
    assert drawn == 1500
    assert page.locator("#table tbody tr").count() < 100
    page.locator("#table-more button").click()
    assert page.locator("#table tbody tr").count() == 1500


@pytest.mark.parametrize("sample", ["small", "moderate", "big", "hostile", "empty", "partial"])
@pytest.mark.parametrize("width", [360, 768, 1440])
def test_no_window_is_too_small(show, sample, width):
    page = show(sample, width=width, height=740)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = page.evaluate("""() => [...document.querySelectorAll('.tile, .tools > *, .vpc, .cluster > *, .banner, .list, .heading, .empty')].filter((one) => {
        const { left, right, width } = one.getBoundingClientRect();
        return one.checkVisibility() && width > 0 && (left < -1 || right > innerWidth + 1);
    }).map((one) => one.className)""")
    assert outside == []


def test_details_are_a_sheet_in_a_small_window(show):
    page = show("small", width=360, height=740, has_touch=True)
    assert not page.locator("#details").is_visible()
    page.locator(".node.pair:not(.none)").first.tap()
    assert page.locator("#details").is_visible()
    assert page.evaluate("document.getElementById('details').getBoundingClientRect().bottom <= innerHeight + 1")
    page.get_by_role("button", name="Close the details").tap()
    page.evaluate("document.activeElement.blur()")
    assert not page.locator("#details").is_visible()


def test_the_graph_follows_the_width_of_the_window(show):
    page = show("small", width=1440)
    before = page.locator(".plot").first.bounding_box()["width"]
    page.set_viewport_size({"width": 700, "height": 900})
    page.wait_for_function("(before) => document.querySelector('.plot').getBoundingClientRect().width < before * 0.8", arg=before)
    assert_labels_are_apart(page)


def test_paper_is_white_holds_every_row_and_no_controls(show):
    page = show("moderate", scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for hidden in [".tools", "#details", "#expand-all"]:
        assert not page.locator(hidden).is_visible()
    assert page.locator("#table tbody tr").count() < 111
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#table tbody tr").count() == 111
    worst = min(page.evaluate(CONTRAST), key=lambda found: found["ratio"])
    assert worst["ratio"] >= 4.5, worst
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("#table tbody tr").count() < 111
    assert page.pdf(format="A4").startswith(b"%PDF")


WIDTH, HEIGHT = 1440, 1680
PICTURE = TOP / "docs/report.png"


def take(page, path):
    """The picture of the documentation: something chosen, so that its details are in it."""
    page.evaluate("choose(infoOf(plots.find((plot) => plot.cluster.name === 'orders').order[2].find((item) => item.pair.includes('null') === false)))")
    page.screenshot(path=path)
    return Image.open(path).convert("RGB")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("sample", ["moderate", "big"])
def test_a_picture_shows_what_is_there(show, target, sample, scheme):
    page = show(sample, width=WIDTH, height=HEIGHT, scheme=scheme)
    if sample == "moderate":
        picture = take(page, target / f"report-{sample}-{scheme}.png")
    else:
        page.screenshot(path=target / f"report-{sample}-{scheme}.png")
        picture = Image.open(target / f"report-{sample}-{scheme}.png").convert("RGB")
    assert picture.size == (WIDTH, HEIGHT)
    assert len(picture.getcolors(WIDTH * HEIGHT)) > 200
    # Much is in every part of it but the lower right, where the details end.
    for left, top in [(0, 0), (WIDTH // 2, 0), (0, HEIGHT // 2)]:
        part = picture.crop((left, top, left + WIDTH // 2, top + HEIGHT // 2))
        assert ImageStat.Stat(part.convert("L")).stddev[0] > 8
    ground = picture.getpixel((4, HEIGHT - 4))
    assert (sum(ground) > 600) == (scheme == "light")
    # Where the page says that a node stands, its border and not the ground is seen.
    boxes = page.evaluate("[...document.querySelectorAll('.node .box')].map((box) => box.getBoundingClientRect()).filter((at) => at.top > 300 && at.bottom < innerHeight).map(({ left, top, width, height }) => [left, top, width, height])")
    assert len(boxes) > 10
    for left, top, width, height in boxes:
        part = picture.crop((round(left), round(top), round(left + width), round(top + height)))
        assert len(part.getcolors(part.width * part.height)) > 5


def test_the_picture_in_the_documentation_is_of_this_page(show, target):
    path = target / "report.png"
    picture = take(show("moderate", width=WIDTH, height=HEIGHT), path)
    if os.environ.get("TAGWIRE_WRITE_SCREENSHOT") == "1":
        picture.save(PICTURE, optimize=True)
    kept = Image.open(PICTURE).convert("RGB")
    assert kept.size == picture.size, "write it anew: TAGWIRE_WRITE_SCREENSHOT=1 tests/report/run"
    # Fonts differ from machine to machine. Where the graph begins depends on whether a line above it was broken, and then
    # what is compared is where it is light and dark, not letters: another page comes to 0.3, another font to more than 0.95.
    likeness = max(correlation(shades(kept, 330), shades(picture, 330 + shift)) for shift in range(-60, 61, 3))
    assert likeness > 0.9, "it looks otherwise now: TAGWIRE_WRITE_SCREENSHOT=1 tests/report/run"


def shades(picture, top):
    part = picture.crop((0, top, WIDTH, top + 720)).convert("L").filter(ImageFilter.GaussianBlur(6))
    return list(part.resize((WIDTH // 12, 60), Image.Resampling.BOX).tobytes())
