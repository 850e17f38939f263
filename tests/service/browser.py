"""Headless Chromium for the tests of the page."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
# Chromium's own remark where there is no graphics processor; it is not the page's.
NOT_OURS = ("software WebGL", "GL Driver Message")


def missing(what: str) -> None:
    """Skip, or fail where a missing browser would hide the tests of the page."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing: run .ci/chromium.sh")
    pytest.skip(f"{what} is missing (.ci/chromium.sh installs it)")


def started(start: Callable[[], Any], tries: int = 3) -> Any:
    """Start a browser: chromedriver gives it a minute, which a busy machine may not."""
    late = pytest.importorskip("selenium.common.exceptions").SessionNotCreatedException
    for _ in range(tries - 1):
        with suppress(late):
            return start()
    return start()


class Browser:
    """A browser with a profile of its own that dies with it."""

    def __init__(self) -> None:
        webdriver = pytest.importorskip("selenium.webdriver")
        binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
        if binary is None or driver is None:
            missing("chromium" if binary is None else "chromedriver")
        self.profile = tempfile.mkdtemp(prefix="lithoscope-page-")
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        for option in (*OPTIONS, f"--user-data-dir={self.profile}"):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = started(lambda: webdriver.Chrome(options, webdriver.ChromeService(driver)))
        self.driver.set_script_timeout(300)
        self.size(1440, 900)

    def close(self) -> None:
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def open(self, url: str) -> None:
        """Load an address anew, so that no state of an earlier test is left."""
        self.driver.get("about:blank")
        self.driver.get(url)

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, script: str, *arguments: Any, looks: int = 800) -> Any:
        """Return the value of a script once it is true.

        Looks are counted, 0.05 s apart, so that a machine that stands still does not decide.
        """
        for _ in range(looks):
            if value := self.js(f"return ({script})", *arguments):
                return value
            time.sleep(0.05)
        raise AssertionError(f"not seen in {looks} looks: {script}\n{self.text()[:2000]}")

    def text(self) -> str:
        return str(self.js("return document.body.innerText"))

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def click(self, selector: str, text: str = "") -> None:
        found = (
            "[...document.querySelectorAll(arguments[0])]"
            ".find(e => e.textContent.includes(arguments[1]))"
        )
        # In one go: the page may build itself anew between two scripts.
        self.wait(f"(e => e && (e.click(), true))({found})", selector, text)

    def press(self, *keys: str) -> None:
        """Press keys where the focus is, as a user does: an element looked up could be gone."""
        chains = pytest.importorskip("selenium.webdriver.common.action_chains")
        chains.ActionChains(self.driver).send_keys(*keys).perform()

    def write(self, selector: str, text: str) -> None:
        """Type in place of what a field holds."""
        field = "document.querySelector(arguments[0])"
        self.wait(f"(e => e && (e.focus(), e.select(), true))({field})", selector)
        self.press(text)

    def focused(self) -> str:
        """Return what the control with the focus is: where it leads, its label or its words."""
        return str(
            self.js(
                "const e = document.activeElement; return e.getAttribute('href')"
                " ?? e.getAttribute('aria-label') ?? (e === document.body ? '' : e.textContent)"
            )
        )

    def errors(self) -> list[str]:
        """What the console has seen since the last call, other than plain remarks."""
        entries = self.driver.get_log("browser")
        found = [e["message"] for e in entries if e["level"] in ("SEVERE", "WARNING")]
        return [message for message in found if not any(word in message for word in NOT_OURS)]

    def outside(self, address: str) -> list[str]:
        """Return what was asked of others than ``address`` since the last call."""
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        return [url for url in found if re.match(r"(http|ws)", url) and not url.startswith(address)]

    def clear(self) -> None:
        """Leave the page and forget what it said and asked."""
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get_log("performance")

    def violations(self) -> list[str]:
        """Run axe-core on what is shown; one line for each thing it objects to."""
        spec = importlib.util.find_spec("axe_core_python")
        if spec is None or spec.origin is None:
            missing("axe-core-python")
        script = Path(str(spec.origin)).with_name("axe.min.js").read_text()
        if not self.js("return typeof window.axe === 'object'"):
            self.js(script)
        result = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then(done)"
        )
        assert len(result["passes"]) > 5
        return [
            f"{violation['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
            for violation in result["violations"]
            for node in violation["nodes"]
        ]


def until(true: Callable[[], Any], looks: int = 1500) -> Any:
    """Wait for a condition on this side of the browser, looking at it every 0.02 s."""
    for _ in range(looks):
        if value := true():
            return value
        time.sleep(0.02)
    raise AssertionError("the condition did not come true")
