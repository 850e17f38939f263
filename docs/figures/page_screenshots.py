"""Take the pictures of docs/page.md from a running `lithoscope serve`.

    python docs/figures/page_screenshots.py http://127.0.0.1:8000 map event station
    python docs/figures/page_screenshots.py http://127.0.0.1:8001 live

Needs Chromium and its driver (.ci/chromium.sh) and selenium (extra ``test``). Each view is taken at
1440 and at 390 pixels wide; the wide picture of the station is dark, the others are light.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/service"))

from browser import Browser  # noqa: E402

FOLDER = Path(__file__).parent
LARGEST = (
    "(c => [...c.event_id.keys()].reduce((a, b) => (c.magnitude[b] || -9) > (c.magnitude[a] || -9)"
    " ? b : a, 0))(lithoscope.catalogue)"
)


def take(browser: Browser, address: str, view: str, width: int, dark: bool) -> None:
    """Show a view, wait until it is complete, and write its picture."""
    height = 900 if width > 700 else 844
    browser.size(width, height)
    browser.open(address + "/")
    browser.js(
        "localStorage.setItem('lithoscope-theme', arguments[0])", "dark" if dark else "light"
    )
    browser.driver.refresh()
    browser.wait("lithoscope.catalogue.state === 'ready' && lithoscope.catalogue.n > 0", looks=6000)
    browser.wait("lithoscope.stations.list.length > 0", looks=6000)
    browser.wait("lithoscope.overview().map.coast.has", looks=6000)
    event = browser.js(f"return lithoscope.catalogue.event_id[{LARGEST}]")
    station = browser.js("return lithoscope.stations.list[1].station")
    if view == "map":
        if width > 700:
            browser.js("lithoscope.catalogue.select(arguments[0])", event)
            browser.wait("document.querySelector('.card').textContent.includes('68 %')", looks=6000)
    elif view == "event":
        browser.js("location.hash = `#/event/${arguments[0]}`", event)
        browser.wait("document.querySelectorAll('canvas').length === 3", looks=6000)
    elif view == "station":
        browser.js("location.hash = `#/station/${arguments[0]}`", station)
        browser.wait("document.querySelectorAll('canvas').length === 4", looks=6000)
    elif view == "live":
        browser.wait("document.getElementById('connection').textContent === 'Live'", looks=6000)
    if view in ("event", "station"):
        whole = browser.js("return document.documentElement.scrollHeight")
        browser.size(width, min(whole, 1300 if width > 700 else 1500))
    settle = "requestAnimationFrame(() => setTimeout(arguments[0], 1500))"
    browser.driver.execute_async_script(settle)
    picture = Image.open(io.BytesIO(browser.driver.get_screenshot_as_png())).convert("RGB")
    few = picture.quantize(256, kmeans=4, dither=Image.Dither.NONE)
    few.save(FOLDER / f"page_{view}_{width}.png", optimize=True)


def main() -> None:
    address, *views = sys.argv[1:]
    browser = Browser()
    try:
        for view in views:
            for width in (1440, 390):
                take(browser, address, view, width, dark=view == "station" and width > 700)
    finally:
        browser.close()


if __name__ == "__main__":
    main()
