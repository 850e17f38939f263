"""Commands and webhooks that are told of events, apart from the engine and never in its way."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

from lithoscope.errors import ConfigError
from lithoscope.pipeline.live.settings import HookSettings

# Messages that wait at most; beyond it the oldest is dropped and counted.
_WAITING = 1000
_ACTIONS = ("new", "update", "cancel")


def check_hooks(hooks: Sequence[HookSettings]) -> None:
    """Refuse hooks that could never work.

    Raises
    ------
    ConfigError
        If one names neither a command nor an address, or both, or an unknown action.
    """
    for number, hook in enumerate(hooks, 1):
        where = f"live.hooks, number {number}"
        if bool(hook.command) == bool(hook.url):
            raise ConfigError(f"{where}: give either command or url")
        if hook.url and not hook.url.startswith(("http://", "https://")):
            raise ConfigError(f"{where}: url = '{hook.url}' is no http or https address")
        unknown = [a for a in hook.actions if a not in _ACTIONS]
        if unknown:
            raise ConfigError(f"{where}: action '{unknown[0]}'; allowed are {', '.join(_ACTIONS)}")


def wanted(hook: HookSettings, message: dict[str, Any]) -> bool:
    """Tell whether a hook is to be told of a message.

    A cancelled event is judged by its last magnitude and place.
    """
    if message["action"] not in hook.actions:
        return False
    magnitude = message.get("magnitude")
    if hook.min_magnitude is not None and (
        magnitude is None or not magnitude >= hook.min_magnitude
    ):
        return False
    if hook.region_deg is None:
        return True
    west, east, south, north = hook.region_deg
    longitude, latitude = message.get("longitude"), message.get("latitude")
    if longitude is None or latitude is None:
        return False
    across = west <= longitude <= east if west <= east else longitude >= west or longitude <= east
    return bool(across and south <= latitude <= north)


class Hooks:
    """Runs hooks one after the other in a thread of its own.

    Parameters
    ----------
    settings
        Checked by `check_hooks`.
    complain
        Called with one line for each message that was given up, from the hooks' thread.
    pause_s
        Before a second try, doubled with each further one.
    """

    def __init__(
        self,
        settings: Sequence[HookSettings],
        complain: Callable[[str], None],
        *,
        pause_s: float = 1.0,
    ) -> None:
        self.settings = tuple(settings)
        self.n_done = self.n_failed = self.n_dropped = 0
        self._complain = complain
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._queue: queue.Queue[tuple[HookSettings, dict[str, Any]] | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._work, name="hooks", daemon=True)
        if self.settings:
            self._thread.start()

    def tell(self, message: dict[str, Any]) -> None:
        """Queue a message (action, event_id, version, ...) for every hook that wants it."""
        for hook in self.settings:
            if not wanted(hook, message):
                continue
            while True:
                try:
                    self._queue.put_nowait((hook, message))
                    break
                except queue.Full:
                    self.n_dropped += 1
                    try:
                        self._queue.get_nowait()
                    except queue.Empty:
                        continue

    def close(self, timeout_s: float = 10.0) -> None:
        """Let the messages that wait go out, for a while; then stop."""
        if not self.settings:
            return
        try:
            self._queue.put(None, timeout=timeout_s)
        except queue.Full:
            self._stop.set()
        self._thread.join(timeout_s)
        self._stop.set()

    def _work(self) -> None:
        while not self._stop.is_set() and (item := self._queue.get()) is not None:
            hook, message = item
            reason = self._try(hook, json.dumps(message).encode())
            if reason:
                self.n_failed += 1
                name = hook.url or hook.command[0]
                self._complain(f"hook {name}: {message['event_id']} given up: {reason}")
            else:
                self.n_done += 1

    def _try(self, hook: HookSettings, content: bytes) -> str:
        """Return why a message could not be delivered, empty if it was."""
        reason = ""
        for number in range(hook.tries):
            if number and self._stop.wait(min(self._pause_s * 2 ** (number - 1), 60.0)):
                return reason
            reason = _post(hook, content) if hook.url else _run(hook, content)
            if not reason:
                return ""
        return reason


def _run(hook: HookSettings, content: bytes) -> str:
    try:
        done = subprocess.run(
            hook.command, input=content, capture_output=True, timeout=hook.timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no end within {hook.timeout_s:g} s"
    except OSError as error:
        return error.strerror or str(error)
    return f"exit status {done.returncode}" if done.returncode else ""


def _post(hook: HookSettings, content: bytes) -> str:
    headers = {"Content-Type": "application/json", "User-Agent": "lithoscope"}
    request = urllib.request.Request(hook.url, data=content, headers=headers)
    started = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=hook.timeout_s) as answer:
            return "" if 200 <= answer.status < 300 else f"status {answer.status}"
    except urllib.error.HTTPError as error:
        error.close()
        return f"status {error.code}"
    except (OSError, ValueError) as error:
        waited = time.monotonic() - started
        return f"{getattr(error, 'reason', None) or error} after {waited:.1f} s"
