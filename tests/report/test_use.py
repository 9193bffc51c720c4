"""Searching, filtering, sorting, unfolding and asking for details, by pointer and by keyboard."""

import data as samples
import pytest


def rows(page):
    more = page.locator("#table-more button")
    if more.is_visible():
        more.click()
    return page.locator("#table tbody tr[tabindex]").count()


def drawn(page):
    """Connections in the graph: each edge stands for one or more."""
    return page.evaluate("plots.flatMap((plot) => [...plot.items.values()]).filter((item) => item.kind === 'edge').reduce((sum, edge) => sum + edge.connections.length, 0)")


@pytest.mark.parametrize("words, matches", [
    ("payments", lambda c: "payments" in c["store_name"]),
    ("SHOP-web-3", lambda c: True),
    ("redshift-cidr", lambda c: (c["store_side"] or {}).get("name", "").startswith("redshift-cidr")),
    ("interface-group-limit", lambda c: c["code"] == "interface-group-limit"),
    ("elasticache eu-central-1b", lambda c: c["service"] == "ElastiCache"),
])
def test_search_narrows_the_graph_and_the_table_to_the_matches(show, words, matches):
    data = samples.moderate()
    names = {instance["id"]: instance["name"] for instance in data["instances"]}
    page = show("moderate")
    page.locator("#search").fill(words)

    def holds(connection, word):
        sides = [connection[side] for side in ("store_side", "instance_side") if connection[side]]
        texts = [connection[key] for key in ("vpc", "client", "store", "store_name", "service", "ports", "made_by", "state", "code", "reason", "instance_zone")]
        texts += connection["names"] + connection["store_zones"] + [text for side in sides for text in side.values()] + [names.get(connection["client"])]
        return any(word.lower() in text.lower() for text in texts if text)

    expected = [connection for connection in data["status"]["connections"] if all(holds(connection, word) for word in words.split())]
    assert expected and len(expected) < len(data["status"]["connections"])
    assert all(matches(connection) for connection in expected)
    assert rows(page) == len(expected) == drawn(page)
    assert page.locator("#shown").inner_text().startswith(f"{len(expected)} of ")


@pytest.mark.parametrize("field, value, key, expected", [
    ("state", "drifted", "state", "drifted"),
    ("state", "refused", "state", "refused"),
    ("vpc", "vpc-0f27b85d6e1c3a947", "vpc", "vpc-0f27b85d6e1c3a947"),
    ("service", "DocumentDB", "service", "DocumentDB"),
    ("made-by", "the console", "made_by", "console"),
    ("made-by", "nobody yet", "made_by", None),
])
def test_filters_leave_what_they_name(show, field, value, key, expected):
    page = show("moderate")
    page.locator(f"#filter-{field}").select_option(label=value)
    count = sum(connection[key] == expected for connection in samples.moderate()["status"]["connections"])
    assert 0 < count == rows(page) == drawn(page)
    page.locator("#reset").click()
    assert rows(page) == drawn(page) == 111


def test_filters_and_search_work_together_and_nothing_found_is_said(show):
    page = show("moderate")
    page.locator("#filter-state").select_option("refused")
    page.locator("#search").fill("sessions")
    assert rows(page) == drawn(page) == 0
    assert "matches" in page.locator("#graph").inner_text() and "matches" in page.locator("#table").inner_text()
    page.locator("#graph").get_by_role("button", name="Show everything").click()
    assert rows(page) == 111


def test_the_count_of_a_state_is_a_filter(show):
    page = show("moderate")
    button = page.locator(".tiles button", has_text="waiting")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert rows(page) == drawn(page) == 2
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert rows(page) == 111


def test_search_narrows_changes_and_findings(show):
    page = show("moderate")
    page.locator("#search").fill("pair-modified")
    assert page.locator(".finding").count() == 1
    assert page.locator(".change").count() == 0


@pytest.mark.parametrize("what", [".edge[role=button].state-connected", ".node.pair:not(.none)"])
@pytest.mark.parametrize("how", ["hover", "focus"])
def test_pointing_at_an_edge_or_a_pair_shows_the_rules_of_both_groups(show, what, how):
    data = samples.small()
    page = show("small")
    index = page.locator(what).evaluate_all("(all) => all.findIndex((one) => (one.getAttribute('aria-label')).includes(one.matches('.edge') ? 'web-1 to cluster/orders' : 'ec2-rds-1 and'))")
    thing = page.locator(what).nth(index)
    if how == "hover":
        thing.locator(".hit, .box").first.hover()
    else:
        thing.focus()
    details = page.locator("#details")
    groups = {group["name"]: group for group in data["groups"] if group["vpc"] == "vpc-1"}
    sides = details.locator(".side")
    assert sides.count() == 2
    assert groups["ec2-rds-1"]["rules"][0] in sides.nth(0).inner_text() and groups["ec2-rds-1"]["id"] in sides.nth(0).inner_text()
    assert groups["rds-ec2-1"]["rules"][0] in sides.nth(1).inner_text() and groups["rds-ec2-1"]["id"] in sides.nth(1).inner_text()
    assert "owned by tagwire" in sides.nth(0).inner_text()


def test_groups_of_others_and_groups_that_were_not_read_are_told_apart(show):
    page = show("small")
    page.locator(".node.pair.foreign").focus()
    assert "not owned by tagwire" in page.locator("#details").inner_text()
    data = samples.small()
    data["groups"] = []
    page = show(samples.assemble(data))
    page.locator(".node.pair:not(.none)").first.focus()
    assert "rules were not read" in page.locator("#details").inner_text()


def test_a_click_keeps_the_details_and_escape_lets_them_go(show):
    page = show("small")
    edge = page.locator(".edge.state-refused[role=button]")
    edge.locator(".hit").click()
    page.mouse.move(2, 2)
    assert "quota L-2AFB9258" in page.locator("#details").inner_text()
    page.locator("#search").focus()
    assert "quota L-2AFB9258" in page.locator("#details").inner_text()
    page.keyboard.press("Escape")
    assert "Point at anything" in page.locator("#details").inner_text()


def test_what_is_pointed_at_stands_out_in_the_graph(show):
    page = show("small")
    page.locator(".edge.state-waiting[role=button]").focus()
    assert page.locator(".node.active").count() == 3
    assert page.locator(".plot.narrowed").count() == 1


def test_slash_goes_to_the_search_and_escape_clears_it(show):
    page = show("moderate")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("a/b")
    assert page.locator("#search").input_value() == "a/b"
    page.keyboard.press("Escape")
    assert page.locator("#search").input_value() == ""
    assert rows(page) == 111


def test_everything_is_reached_by_the_tab_key_and_seen_to_be(show):
    page = show("small")
    wanted = page.evaluate("""() => {
        const all = [...document.querySelectorAll('a[href], button, input, select, summary, [tabindex="0"]')].filter((one) => one.checkVisibility() && one.tabIndex >= 0);
        all.forEach((one, index) => { one.dataset.stop = index; });
        return all.length;
    }""")
    assert page.evaluate("[...document.querySelectorAll('.plot')].every((plot) => plot.querySelectorAll('[tabindex=\"0\"]').length === 1)")
    look = """() => {
        const one = document.activeElement;
        const drawn = one.matches('.node') ? one.querySelector('.box') : one.matches('.edge') ? one.querySelector('.halo') : one;
        const style = getComputedStyle(drawn);
        return [one.dataset.stop ?? null, [style.outlineStyle, style.outlineWidth, style.outlineColor, style.stroke, style.strokeWidth, style.top].join(' ')];
    }"""
    unfocused = page.evaluate("""() => Object.fromEntries([...document.querySelectorAll('[data-stop]')].map((one) => {
        const drawn = one.matches('.node') ? one.querySelector('.box') : one;
        const style = getComputedStyle(drawn);
        return [one.dataset.stop, [style.outlineStyle, style.outlineWidth, style.outlineColor, style.stroke, style.strokeWidth, style.top].join(' ')];
    }))""")
    reached = set()
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        stop, focused = page.evaluate(look)
        if stop is not None and stop not in reached:
            reached.add(stop)
            assert focused != unfocused[stop], page.evaluate("document.activeElement.outerHTML")[:200]
    assert len(reached) == wanted


def test_the_focus_in_the_graph_looks_other_than_what_is_only_marked(show):
    page = show("small")
    look = "(one) => { const style = getComputedStyle(one); return [style.stroke, style.strokeWidth, style.opacity]; }"
    node, edge = page.locator(".node.store").first, page.locator(".edge[role=button]").first
    page.locator("#search").focus()
    page.keyboard.press("Tab")
    for thing, part in [(node, ".box"), (edge, ".halo")]:
        thing.locator(".box, .hit").first.dispatch_event("click")
        page.locator("#search").focus()
        assert "active" in thing.get_attribute("class")
        marked = thing.locator(part).evaluate(look)
        thing.focus()
        assert thing.locator(part).evaluate(look) != marked


def focused(page):
    return page.evaluate("document.activeElement.getAttribute('aria-label')")


def test_arrow_keys_move_among_nodes_along_edges_and_into_the_next_plot(show):
    page = show("small")
    page.evaluate("plots[1].stop.element.focus()")
    first = focused(page)
    assert first.startswith("Instance i-") or first.startswith("Client") or first.startswith("Instance web")
    page.keyboard.press("ArrowRight")
    assert focused(page).startswith("Connection from")
    page.keyboard.press("ArrowRight")
    assert focused(page).startswith(("Security groups", "no connection"))
    page.keyboard.press("ArrowRight")
    assert focused(page).startswith("Data store cluster/orders")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert focused(page).startswith(("Instance", "Client"))
    page.keyboard.press("Home")
    seen = [focused(page)]
    for _ in range(5):
        page.keyboard.press("ArrowDown")
        seen.append(focused(page))
    assert len(set(seen)) == 6
    assert any("batch-1" in label for label in seen), "the next plot is reached"
    page.keyboard.press("ArrowUp")
    assert focused(page) == seen[4]


def test_every_item_of_a_plot_is_reached_by_arrow_keys(show):
    page = show("moderate")
    count = page.evaluate("plots.find((plot) => plot.cluster.name === 'orders').items.size")
    page.evaluate("plots.find((plot) => plot.cluster.name === 'orders').stop.element.focus()")
    seen, todo = {}, [[]]
    # Wherever a key leads within the plot is gone on from, until nothing new comes.
    step = """(path) => {
        const plot = plots.find((one) => one.cluster.name === 'orders');
        let item = plot.items.get(path) ?? plot.stop;
        return [item.key, ['ArrowUp', 'ArrowDown', 'ArrowLeft', 'ArrowRight', 'Home', 'End'].map((key) => neighbour(item, key)).filter((next) => next && next.plot === plot).map((next) => next.key)];
    }"""
    todo = [page.evaluate(step, None)[0]]
    while todo:
        key = todo.pop()
        if key not in seen:
            seen[key] = page.evaluate(step, key)[1]
            todo += seen[key]
    assert len(seen) == count


@pytest.mark.parametrize("key", ["Enter", " "])
def test_a_fold_opens_and_closes_by_keyboard_and_keeps_the_focus(show, key):
    page = show("moderate")
    fold = page.locator(".node[aria-expanded]").first
    edges = page.locator(".edge[role=button]").count()
    fold.focus()
    page.keyboard.press(key)
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
    assert page.locator(".edge[role=button]").count() > edges
    page.keyboard.press(key)
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "false"
    assert page.locator(".edge[role=button]").count() == edges


def test_a_fold_opens_by_click_and_all_at_once(show):
    page = show("moderate")
    page.locator(".node[aria-expanded=false]").first.click()
    assert page.locator(".node[aria-expanded=true]").count() == 1
    page.locator("#expand-all").click()
    assert page.locator(".node[aria-expanded=false]").count() == 0
    assert drawn(page) == 111
    page.locator("#expand-all").click()
    assert page.locator(".node[aria-expanded=true]").count() == 0
    assert drawn(page) == 111


def test_a_fold_of_data_stores_keeps_every_connection(show):
    account = samples.Account()
    clients = [account.instance(f"web-{number}", "vpc-1", ["all"]) for number in range(7)]
    stores = [account.store(f"shard-{number}", "vpc-1", names=["all"]) for number in range(30)]
    for client in clients:
        for store in stores:
            account.connect(client, store)
    page = show(samples.assemble(account.data()))
    assert page.locator(".node").count() == 3
    assert drawn(page) == 210
    page.locator(".node.store").click()
    assert page.locator(".node.pair").count() == 30
    assert drawn(page) == 210


def test_a_table_column_is_sorted_by_keyboard_and_says_so(show):
    page = show("moderate")
    sorted_by = page.locator("th[aria-sort]")
    assert sorted_by.count() == 1 and sorted_by.inner_text() == "State"
    assert page.locator("#table tbody tr").first.inner_text().startswith("refused")
    head = page.locator("th[data-column=client]")
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending" and sorted_by.count() == 1
    assert page.evaluate("document.activeElement.closest('th').dataset.column") == "client"
    rows(page)
    names = page.locator("#table tbody td:nth-child(2) strong").all_inner_texts()
    # Numbers within names count as numbers.
    assert names.index("shop-web-2") < names.index("shop-web-10")
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert page.locator("#table tbody td:nth-child(2) strong").all_inner_texts() == sorted_backwards(names)


def sorted_backwards(names):
    order = list(dict.fromkeys(names))
    return [name for one in reversed(order) for name in names if name == one]


def test_table_rows_are_walked_by_arrow_keys_and_show_their_details(show):
    page = show("moderate")
    page.locator("#table tbody tr").first.focus()
    assert "cidr-too-wide" in page.locator("#details").inner_text()
    page.keyboard.press("ArrowDown")
    assert "interface-group-limit" in page.locator("#details").inner_text()
    page.keyboard.press("Enter")
    page.locator("#details").get_by_role("button", name="Show in the graph").click()
    assert focused(page) == "Connection from payment-worker-2 to cluster/orders: 1 refused"


def test_a_finding_leads_to_its_instance_whatever_hides_it(show):
    page = show("moderate")
    page.locator(".finding .jump", has_text="stage-batch").click()
    assert focused(page).startswith("Instance stage-batch")
    page.locator("#filter-state").select_option("connected")
    page.locator("#filter-vpc").select_option("vpc-0a41c7e29d3b8f605")
    page.locator("summary").first.click()
    page.locator("#table tbody tr", has_text="shop-web-1").first.click()
    page.locator("#details").get_by_role("button", name="Show in the graph").click()
    assert focused(page).startswith("Connection from shop-web-1 to ")
    assert page.evaluate("document.activeElement.getBoundingClientRect().top < innerHeight")
