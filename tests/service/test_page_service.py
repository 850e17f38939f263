"""The page on the real service: shapes, security policy, a review from one tab to another."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser
from service_run import serving

from lithoscope.service.settings import ServiceSettings

TOKEN = "a-token-of-the-tests-of-the-page"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def address(browser: Browser, small_run: Path, tmp_path: Path) -> Iterator[str]:
    """A server on a copy of the run, which a review may change."""
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    settings = ServiceSettings(source=str(run), tokens=(("anna", TOKEN),), poll_s=0.05)
    with serving(settings) as url:
        browser.clear()
        yield url
        browser.clear()  # no page is left to complain that the server is gone


def test_every_view_shows_what_the_service_has(browser: Browser, address: str) -> None:
    browser.open(address + "/")
    browser.wait("lithoscope.catalogue.state === 'ready' && lithoscope.catalogue.n > 0")
    n = browser.js("return lithoscope.catalogue.n")
    browser.wait("document.querySelectorAll('tr.row').length === arguments[0]", n)
    browser.wait("lithoscope.stations.list.length === 3")
    browser.wait("lithoscope.overview().map.coast.shapes.polygons.length > 0")
    browser.wait("document.getElementById('connection').dataset.state === 'live'")
    event = browser.js("return lithoscope.catalogue.event_id[0]")

    browser.open(f"{address}/#/event/{event}")
    # record section, posterior and station magnitudes
    browser.wait("document.querySelectorAll('canvas').length === 3")
    browser.wait("document.querySelectorAll('.scrolly:not(.short) tbody tr').length === 6")
    assert "68 % probability" in browser.text()

    browser.open(f"{address}/#/station/XX.BBB.00.HH")
    browser.wait("document.querySelectorAll('canvas').length === 4")
    browser.wait("document.body.innerText.includes('XX.BBB.00.HHZ, ')")

    browser.open(f"{address}/#/health")
    browser.wait("document.querySelectorAll('tbody tr').length >= 4")
    browser.open(f"{address}/#/download")
    link = browser.wait("document.querySelector('a[download]')?.href")
    body = browser.driver.execute_async_script(
        "fetch(arguments[0]).then(r => r.text()).then(arguments[1])", link
    )
    assert body.count("<event ") == n
    assert browser.errors() == []
    assert browser.outside(address) == []


def test_a_review_in_one_tab_shows_in_another(browser: Browser, address: str) -> None:
    browser.open(address + "/")
    browser.wait("lithoscope.catalogue.state === 'ready' && lithoscope.catalogue.n > 0")
    browser.wait("document.getElementById('connection').dataset.state === 'live'")
    event = browser.js("return lithoscope.catalogue.event_id[0]")
    watching = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    browser.driver.get(f"{address}/#/event/{event}")
    browser.js("sessionStorage.setItem('lithoscope-token', arguments[0])", TOKEN)
    browser.js("dispatchEvent(new CustomEvent('operator'))")
    browser.write(".form textarea", "seen <b>and</b> confirmed")
    browser.click(".form button", "Accept")
    browser.wait("document.querySelector('.audit')?.textContent.includes('anna')")
    assert "seen <b>and</b> confirmed" in browser.text()
    browser.driver.close()
    browser.driver.switch_to.window(watching)
    mode = "((c) => c.evaluation_mode[c.row.get(arguments[0])])(lithoscope.catalogue)"
    browser.wait(f"{mode} === 'manual'", event)
    assert browser.errors() == []
