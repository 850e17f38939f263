"""The page in headless Chromium, against a small server with the shapes of the JSON API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser import Browser, until
from page_server import HOSTILE, TOKEN, PageServer

EVENT = "ls000010"
STATION = "XX.ST03..HH"
VIEWS = {
    "map": (
        "/",
        "lithoscope.catalogue.state === 'ready' && lithoscope.stations.list.length > 0"
        " && document.getElementById('title').textContent"
        " && (lithoscope.overview().timeline.axes || lithoscope.catalogue.n === 0)",
    ),
    "event": (f"/#/event/{EVENT}", "document.querySelectorAll('.seg').length === 3"),
    "stations": ("/#/stations", "document.querySelectorAll('tbody tr').length === 14"),
    "station": (f"/#/station/{STATION}", "document.querySelectorAll('canvas').length === 4"),
    "health": ("/#/health", "document.querySelectorAll('tbody tr').length === 16"),
    "download": ("/#/download", "document.querySelectorAll('a[download]').length === 5"),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Browser]:
    """A page that must end without a complaint of the console or an address outside."""
    browser.clear()
    browser.size(1440, 900)
    yield browser
    leave(browser)


def leave(browser: Browser) -> None:
    """Check what the page has said and asked, and leave it before its server stops."""
    assert browser.errors() == []
    assert browser.outside("http://127.0.0.1:") == []
    browser.clear()


@pytest.fixture(scope="module")
def shared_server() -> Iterator[PageServer]:
    with PageServer() as server:
        yield server


@pytest.fixture
def server(page: Browser) -> Iterator[PageServer]:
    with PageServer() as server:
        yield server
        leave(page)


def show(page: Browser, server: PageServer, view: str = "map") -> None:
    path, ready = VIEWS[view]
    page.open(server.url + path)
    page.wait(ready)


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_in_light_and_dark(
    page: Browser, shared_server: PageServer, view: str
) -> None:
    show(page, shared_server, view)
    if view == "map":
        page.js("lithoscope.catalogue.select(arguments[0])", EVENT)
        page.wait("document.querySelector('.card').textContent.includes('68 % region')")
    for theme in ("light", "dark"):
        if page.js("return document.documentElement.dataset.theme") != theme:
            page.click("#theme")
        assert page.violations() == [], theme
        background = page.js("return getComputedStyle(document.body).backgroundColor")
        brightness = sum(int(v) for v in background.strip("rgb()").split(","))
        assert (brightness > 600) == (theme == "light")


@pytest.mark.parametrize("view", VIEWS)
def test_small_screens_never_scroll_sideways(
    page: Browser, shared_server: PageServer, view: str
) -> None:
    page.size(390, 844)
    show(page, shared_server, view)
    assert page.js("return document.documentElement.scrollWidth") <= 390


def test_the_map_shows_what_the_catalogue_holds(page: Browser, shared_server: PageServer) -> None:
    show(page, shared_server)
    assert page.find(".count").text == "300 of 300"
    # a click where the largest event is drawn selects an event whose circle is there
    place = page.js(
        "const c = lithoscope.catalogue, m = lithoscope.overview().map; let b = 0;"
        "for (let i = 0; i < c.n; i += 1) if (c.magnitude[i] > (c.magnitude[b] || -9)) b = i;"
        "m.showEvents(); const box = m.over.getBoundingClientRect();"
        "const [x, y] = m.view.project(c.longitude[b], c.latitude[b]);"
        "return [box.left + x, box.top + y, x, y]"
    )
    pixel = page.js(
        "const m = lithoscope.overview().map; const k = m.events.getContext('2d');"
        "return [...k.getImageData(arguments[0], arguments[1], 1, 1).data]",
        place[2],
        place[3],
    )
    assert pixel[3] > 200
    for kind in ("mousePressed", "mouseReleased"):
        page.driver.execute_cdp_cmd(
            "Input.dispatchMouseEvent",
            {"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1},
        )
    chosen = page.wait("lithoscope.catalogue.selected")
    assert chosen in shared_server.catalogue.rows
    page.wait("!document.querySelector('.card').hidden")
    page.wait("document.querySelector('tr[aria-selected=true]')")


def test_the_time_line_filters_map_list_and_address(
    page: Browser, shared_server: PageServer
) -> None:
    show(page, shared_server)
    box = page.js(
        "const b = document.querySelector('.time-panel canvas').getBoundingClientRect();"
        "return [b.left, b.top, b.width, b.height]"
    )
    y = box[1] + box[3] / 2
    for kind, share in (("mousePressed", 0.3), ("mouseMoved", 0.4), ("mouseReleased", 0.5)):
        x = box[0] + box[2] * (share if kind != "mouseReleased" else 0.4)
        event = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1, "buttons": 1}
        page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)
    span = page.wait("(({from, to}) => from && [from, to])(lithoscope.catalogue.filter)")
    expected = sum(span[0] <= row[1] <= span[1] for row in shared_server.catalogue.rows.values())
    assert 0 < expected < 100
    page.wait("lithoscope.catalogue.nShown === arguments[0]", expected)
    page.wait("lithoscope.overview().list.rows.length === arguments[0]", expected)
    assert page.find(".count").text == f"{expected} of 300"
    address = page.wait("location.hash.includes('from=') && location.href")
    # the address brings the same view back
    page.open(address)
    page.wait("lithoscope.catalogue.nShown === arguments[0]", expected)
    page.click(".filters button", "Clear")
    page.wait("lithoscope.catalogue.nShown === 300")


def test_the_list_sorts_searches_and_holds_only_what_is_seen(
    page: Browser, shared_server: PageServer
) -> None:
    show(page, shared_server)
    column = "[...document.querySelectorAll('tr.row td:nth-child(2)')].map(e => e.textContent)"
    for times in (1, 2):
        page.click(".list-panel th button", "Mag.")
        shown = [
            float(text.replace("ML", "").replace("−", "-")) for text in page.js(f"return {column}")
        ]
        assert shown == sorted(shown, reverse=times == 1)
    assert page.js("return document.querySelectorAll('tr.row').length") < 60
    page.write("input[type=search]", "LS00001")
    page.wait("lithoscope.catalogue.nShown === 10")
    page.press("zzz")
    page.wait("document.querySelector('.list-panel').textContent.includes('No event passes')")


def test_the_keyboard_reaches_and_works_everything(
    page: Browser, shared_server: PageServer
) -> None:
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    show(page, shared_server)
    page.js("lithoscope.overview().map.over.focus()")
    before = page.js("const v = lithoscope.overview().map.view; return [v.x, v.scale]")
    page.press(keys.ARROW_RIGHT, "+")
    page.wait("lithoscope.overview().map.view.x > arguments[0]", before[0])
    page.wait("lithoscope.overview().map.view.scale > arguments[0]", before[1])
    page.press("n", "n")
    page.wait("lithoscope.catalogue.selected === 'ls000001'")
    page.js("document.querySelector('.time-panel canvas').focus()")
    page.press(keys.ARROW_DOWN)
    page.wait("lithoscope.catalogue.nShown < 300")
    page.press(keys.ESCAPE)
    page.wait("lithoscope.catalogue.nShown === 300")
    # every control shows where the focus is, and the tab key leaves each again
    page.js("document.getElementById('skip').focus()")
    seen = set()
    for _ in range(40):
        page.press(keys.TAB)
        seen.add(
            page.js(
                "const e = document.activeElement; const s = getComputedStyle(e);"
                "return `${e.tagName} ${e.getAttribute('aria-label') ?? e.textContent.slice(0, 20)}"
                " ${s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1}`"
            )
        )
    assert len(seen) >= 25
    assert [text for text in seen if not text.startswith("BODY") and text.endswith("false")] == []
    page.js("lithoscope.overview().map.over.focus()")
    page.press(keys.ENTER)
    page.wait("location.hash === '#/event/ls000001'")


def test_the_tab_key_goes_through_the_whole_list(page: Browser, shared_server: PageServer) -> None:
    """Rows exist only in sight: those that come and go as it scrolls must not take the focus."""
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    show(page, shared_server)
    newest = sorted(shared_server.catalogue.rows.values(), key=lambda row: -row[1])
    page.js("document.querySelector('tr.row a').focus()")
    for row in newest[:60]:
        assert page.focused() == f"#/event/{row[0]}"
        page.wait("document.activeElement.closest('tr').nextElementSibling?.matches('.row')")
        page.press(keys.TAB)


def test_the_focus_outlives_what_is_drawn_anew(page: Browser, server: PageServer) -> None:
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    page.open(server.url + "/")
    page.js("sessionStorage.setItem('lithoscope-token', arguments[0])", TOKEN)
    show(page, server)
    server.wait_for_listener()
    rows = server.catalogue.rows
    newest, last, fourth = sorted(rows, reverse=True)[:3]  # ids are in the order of time
    # a new event above, a new place in the order, an event that is gone
    page.js("document.querySelectorAll('tr.row a')[1].focus()")
    rows["ls999999"] = ["ls999999", rows[newest][1] + 60_000, *rows[newest][2:]]
    server.announce("new", "ls999999")
    page.wait("document.querySelectorAll('tr.row a')[2] === document.activeElement")
    rows[last][1] = rows[fourth][1] - 1
    server.announce("update", last)
    page.wait("document.querySelectorAll('tr.row a')[3] === document.activeElement")
    assert page.focused() == f"#/event/{last}"
    del rows[last]
    server.announce("cancel", last)
    page.wait("!lithoscope.catalogue.row.has(arguments[0])", last)
    assert page.focused() == "List of events"
    # a link of the frame, which is marked anew for each view
    page.js("document.querySelector('nav a[href=\"#/stations\"]').focus()")
    page.press(keys.ENTER)
    page.wait("document.querySelectorAll('tbody tr').length === 14")
    assert page.focused() == "#/stations"
    # a table that is read again
    page.size(390, 844)
    page.js(
        "const link = document.querySelectorAll('tbody a')[5]; link.focus();"
        "link.closest('[role=region]').scrollLeft = 90; link.id = ''; link.old = true;"
        "lithoscope.stations.load()"
    )
    page.wait("document.querySelectorAll('tbody a')[5].old === undefined")
    assert page.focused() == f"#/station/{server.catalogue.stations[5]['station']}"
    assert page.js("return document.querySelector('[role=region]').scrollLeft") == 90
    # a word half written and a plot's button, while the event changes
    page.js("location.hash = arguments[0]", f"#/event/{EVENT}")
    page.wait(VIEWS["event"][1])
    for selector in (".form textarea", "[aria-label='Order of the traces'] button"):
        before = page.js(
            "const e = document.querySelector(arguments[0]); e.focus();"
            "window.drawn = document.querySelector('.h560 canvas'); return e.textContent",
            selector,
        )
        if selector.endswith("textarea"):
            page.press("sne", keys.ARROW_LEFT)
        server.announce("update", EVENT)
        page.wait("!document.contains(window.drawn) && document.querySelector('.h560 canvas')")
        assert page.js(
            "return document.activeElement === document.querySelector(arguments[0])", selector
        ), before
        if selector.endswith("textarea"):
            page.press("e")
            assert page.js("return document.activeElement.value") == "snee"
    page.js("sessionStorage.clear()")


def test_live_changes_arrive_without_reload(page: Browser, server: PageServer) -> None:
    show(page, server)
    server.wait_for_listener()
    page.wait("document.getElementById('connection').dataset.state === 'live'")
    page.js("window.sameePage = true")
    rows = server.catalogue.rows
    rows["ls999999"] = [
        "ls999999",
        rows[EVENT][1] + 60_000,
        -117.4,
        35.6,
        8.0,
        3.3,
        "ML",
        "",
        "preliminary",
        "automatic",
        1,
    ]
    server.announce("new", "ls999999")
    page.wait("lithoscope.catalogue.row.has('ls999999')")
    assert page.find(".count").text == "301 of 301"
    rows["ls999999"][5] = 3.9
    server.announce("update", "ls999999")
    page.wait("lithoscope.catalogue.magnitude[lithoscope.catalogue.row.get('ls999999')] === 3.9")
    del rows["ls999999"]
    server.announce("cancel", "ls999999")
    page.wait("!lithoscope.catalogue.row.has('ls999999') && lithoscope.catalogue.n === 300")
    assert page.js("return window.sameePage") is True


def test_the_page_says_when_the_server_is_gone_and_comes_back(browser: Browser) -> None:
    with PageServer() as server:
        show(browser, server)
        server.wait_for_listener()
        browser.wait("document.getElementById('connection').dataset.state === 'live'")
    browser.wait("document.getElementById('connection').dataset.state === 'lost'")
    assert "does not answer" in browser.find("#banner").text
    assert browser.find(".count").text == "300 of 300"  # what is known stays in sight
    with PageServer(301, port=server.port):
        browser.wait("document.getElementById('connection').dataset.state === 'live'")
        browser.wait("lithoscope.catalogue.n === 301")
        assert browser.find("#banner").text == ""
    browser.errors()  # refused connections are reported by the browser itself


def test_an_event_opens_by_its_address(page: Browser, shared_server: PageServer) -> None:
    show(page, shared_server, "event")
    text = page.text()
    row = shared_server.catalogue.rows[EVENT]
    assert f"{row[5]:.1f}" in page.find(".magnitude").text
    assert "region of 1.2 × 0.8 km with 68 % probability" in text
    assert "(1 sigma)" in text
    assert "automatic, preliminary" in text
    assert len(page.js("return [...document.querySelectorAll('canvas')]")) == 3
    ink = page.js(
        "const c = document.querySelector('.h560 canvas');"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n / (d.length / 4)"
    )
    assert ink > 0.05
    page.open(f"{shared_server.url}/#/event/none")
    page.wait("document.body.innerText.includes('There is no event none')")
    page.errors()  # the browser reports the 404 itself


def test_text_of_the_data_stays_text(page: Browser, shared_server: PageServer) -> None:
    for view in ("event", "health"):
        show(page, shared_server, view)
        assert HOSTILE in page.text()
    assert page.js("return window.hurt") is None
    assert page.js("return document.querySelectorAll('main img').length") == 0
    page.wait("document.getElementById('title').textContent.includes('<b>')")


def test_review_needs_the_token_and_keeps_it_in_the_tab(page: Browser, server: PageServer) -> None:
    show(page, server, "event")
    assert "Read-only" in page.text()
    for token, wanted in (("wrong", "not accepted"), (TOKEN, "manual, reviewed")):
        page.click("#operator")
        page.write("dialog input", token)
        page.click("dialog button", "Use token")
        page.write(".form textarea", f"looks right {HOSTILE}")
        page.click(".form button", "Accept")
        page.wait("document.body.innerText.includes(arguments[0])", wanted)
    assert [text.removeprefix("Bearer ") for text in server.reviews_with] == ["wrong", TOKEN]
    assert server.catalogue.n_reviews[0]["comment"] == f"looks right {HOSTILE}"
    page.wait("document.querySelector('.audit')?.textContent.includes('looks right')")
    stored = page.js("return [JSON.stringify(sessionStorage), JSON.stringify(localStorage)]")
    assert TOKEN in stored[0]
    assert TOKEN not in stored[1]
    assert page.violations() == []
    page.errors()  # the browser reports the 403 itself


def taken(page: Browser, server: PageServer, n: int) -> None:
    """Wait until the service has ``n`` reviews and the page knows it, which empties its form."""
    until(lambda: len(server.catalogue.n_reviews) == n)
    page.wait("document.querySelector('.form .message').textContent === 'Done.'")


def test_picks_are_moved_removed_and_added(page: Browser, server: PageServer) -> None:
    page.open(server.url + "/")
    page.js("sessionStorage.setItem('lithoscope-token', arguments[0])", TOKEN)
    show(page, server, "event")
    page.wait("document.querySelector('.h560 canvas')")
    page.js("document.querySelector('.scrolly td button').click()")  # Move, of the first arrival
    page.write(".form input[type=number]", "0.25")
    page.click(".form button", "Move and locate again")
    taken(page, server, 1)
    review = server.catalogue.n_reviews[0]
    assert review["action"] == "move_pick"
    station, phase, old_ms = review["pick_id"].split("/")
    assert (station, phase) == ("XX.ST00..HH", "P")
    moved = page.js("return Date.parse(arguments[0])", review["time"])
    assert moved - int(old_ms) == pytest.approx(250, abs=1)
    page.click(".scrolly td button", "Remove")
    page.click(".form button", "Remove and locate again")
    taken(page, server, 2)
    removed = server.catalogue.n_reviews[1]
    assert (removed["action"], removed["pick_id"]) == ("remove_pick", review["pick_id"])
    # A double click on the last trace, at its right end, proposes an S there.
    page.wait(
        "(c => { const b = c?.getBoundingClientRect(); c?.dispatchEvent(new MouseEvent('dblclick',"
        " {clientX: b.right - 20, clientY: b.bottom - 50, bubbles: true}));"
        " return document.querySelector('.form datalist'); })"
        "(document.querySelector('.h560 canvas'))"
    )
    page.click(".form button", "Add and locate again")
    taken(page, server, 3)
    added = server.catalogue.n_reviews[2]
    assert (added["action"], added["phase"], added["time_sigma_s"]) == ("add_pick", "S", 0.1)
    assert added["station"] == "XX.ST13..HH"
    assert page.js("return Date.parse(arguments[0])", added["time"]) > moved
    page.js("sessionStorage.clear()")


def test_the_links_carry_the_filter(page: Browser, shared_server: PageServer) -> None:
    page.open(f"{shared_server.url}/#/?minmag=1.5&from=2019-07-04T18:00:00Z")
    page.wait("lithoscope.catalogue.state === 'ready'")
    page.click("nav a", "Download")
    link = page.wait("document.querySelector('a[download]').href")
    assert "minmagnitude=1.5" in link
    assert "starttime=2019-07-04T18%3A00%3A00.000Z" in link
    n = page.js("return lithoscope.catalogue.nShown")
    assert f"{n} of 300 events pass" in page.text()


def test_an_archive_without_recordings_or_events_says_so(page: Browser) -> None:
    with PageServer(0, archive=True) as server:
        show(page, server)
        assert "The catalogue holds no events yet." in page.text()
        page.wait("document.getElementById('connection').textContent === 'Connected'")
        assert page.violations() == []
        page.open(f"{server.url}/#/station/{STATION}")
        page.wait("document.body.innerText.includes('No picks of this station')")
        leave(page)
    with PageServer(3, archive=True) as server:
        page.open(f"{server.url}/#/event/ls000001")
        page.wait("document.body.innerText.includes('the recordings are not there')")
        leave(page)


def cpu_ms(page: Browser, act: str, times: int = 12) -> float:
    """CPU time of the page's main thread for one frame in which ``act`` is done, redraws included.

    CPU time, not wall time: other work on the machine must not decide.
    """

    def spent() -> float:
        metrics = page.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return float(next(m["value"] for m in metrics if m["name"] == "TaskDuration"))

    page.driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    before = spent()
    page.driver.execute_async_script(
        "const [times, done] = arguments, c = lithoscope.catalogue, o = lithoscope.overview();"
        "const m = o.map; let k = 0; const step = () => {" + act + "; k += 1;"
        "if (k < times) requestAnimationFrame(step); else requestAnimationFrame(done); };"
        "requestAnimationFrame(step)",
        times,
    )
    spent_ms = 1000 * (spent() - before) / times
    page.driver.execute_cdp_cmd("Performance.disable", {})
    return spent_ms


def test_a_hundred_thousand_events_stay_fluid(page: Browser) -> None:
    with PageServer(100_000) as server:
        page.open(server.url + "/")
        page.wait("lithoscope.catalogue.state === 'ready'", looks=2400)
        page.js("lithoscope.overview().map.touched = true")
        frame = cpu_ms(page, "m.view.pan(3, 2); m.ask()")
        brush = cpu_ms(page, "o.change({ from: c.time[0] + k * 1e6 })")
        pick = cpu_ms(page, "for (let i = 0; i < 1000; i += 1) m.eventAt(400 + (i % 90), 200)")
        assert page.js("return document.querySelectorAll('tr.row').length") < 60
        leave(page)

    figures = f"CPU ms: frame {frame:.1f}, brush {brush:.1f}, 1000 picks {pick:.1f}"
    # drawn by the processor alone; bounds are four times what was measured
    assert frame < 120, figures
    assert brush < 400, figures
    assert pick < 400, figures


def test_webgl_draws_the_same_circles_as_pixels(page: Browser, shared_server: PageServer) -> None:
    """Chromium has WebGL in software here; what both layers cover must agree."""
    cover = {}
    page.size(720, 600)  # software draws every pixel
    for layer in ("webgl", "pixels"):
        page.open(f"{shared_server.url}/#/?layer={layer}")
        page.wait(VIEWS["map"][1])
        if page.js("return lithoscope.overview().map.layer.kind") != layer:
            pytest.skip("this browser has no WebGL 2")
        cover[layer] = page.js(
            "const m = lithoscope.overview().map; m.showEvents();"
            "const c = document.createElement('canvas'); c.width = 100; c.height = 60;"
            "const k = c.getContext('2d', {willReadFrequently: true}); m.drawAll();"
            "k.imageSmoothingQuality = 'high'; k.drawImage(m.events, 0, 0, 100, 60);"
            "return [...k.getImageData(0, 0, 100, 60).data].filter((_, i) => i % 4 === 3)"
        )
    difference = [abs(a - b) for a, b in zip(cover["webgl"], cover["pixels"], strict=True)]
    assert sum(cover["pixels"]) > 10_000
    # circles lie on whole pixels in one and between them in the other
    assert sum(difference) / sum(cover["pixels"]) < 0.15
