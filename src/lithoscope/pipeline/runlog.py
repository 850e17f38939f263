"""The log of a run directory: what each run was, did, skipped and failed on."""

from __future__ import annotations

import shlex
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd

from lithoscope import __version__
from lithoscope.errors import LithoscopeError
from lithoscope.files import replacing
from lithoscope.pipeline.progress import Reporter, Step

LOG_NAME = "log.txt"
#: A log longer than this is cut to its newer half when the next run begins (bytes).
LONGEST_LOG = 1_000_000
#: Longest message (characters); a command may name thousands of files.
LONGEST_MESSAGE = 2000
#: Rows of PROBLEMS that one stage writes; all of them are in the catalogue.
MOST_PROBLEMS = 200


class RunLog:
    """A reporter that also appends to a file: UTC time, kind (info, warning, error), message.

    A log that cannot be written never stops a run: the error that matters (a full disk) shows
    where results are written.

    Parameters
    ----------
    path
        File to append to.
    reporter
        Receives messages and progress too.
    """

    def __init__(self, path: Path, reporter: Reporter) -> None:
        self.path = path
        self._reporter = reporter

    def say(self, message: str) -> None:
        self._reporter.say(message)
        self.write(message)

    @contextmanager
    def track(self, what: str, total: int) -> Iterator[Step]:
        self.write(f"{what}: {total} unit(s) to do")
        with self._reporter.track(what, total) as step:
            yield step

    @contextmanager
    def session(self, what: str) -> Iterator[None]:
        """Frame one run: version and command, then how it ended, an error included."""
        self._shorten()
        self.write(f"lithoscope {__version__}: {what}")
        self.write(f"command: {shlex.join(sys.argv)}")
        started = time.monotonic()
        try:
            yield
        except BaseException as error:
            self.write(_described(error), "error")
            self.write(f"stopped after {time.monotonic() - started:.1f} s", "error")
            raise
        self.write(f"done in {time.monotonic() - started:.1f} s")

    @contextmanager
    def stage(self, message: str) -> Iterator[Callable[[str], None]]:
        """Frame one stage; what it yields takes the outcome in words."""
        self._reporter.say(message)
        self.write(f"start: {message}")
        started, outcome = time.monotonic(), list[str]()
        yield outcome.append
        words = "; ".join([message, *outcome])
        self.write(f"end:   {words}; {time.monotonic() - started:.1f} s")

    def problems(self, problems: pd.DataFrame) -> None:
        """Write PROBLEMS as warnings, the first `MOST_PROBLEMS` of them."""
        for row in problems.head(MOST_PROBLEMS).to_dict("records"):
            text = f"{row['what']}: {row['problem']} ({row['detail']}); {row['action']}"
            self.write(text, "warning")
        if len(problems) > MOST_PROBLEMS:
            self.write(f"and {len(problems) - MOST_PROBLEMS} more problems", "warning")

    def write(self, message: str, kind: str = "info") -> None:
        """Append a message; its further lines are indented."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if len(message) > LONGEST_MESSAGE:
            half = LONGEST_MESSAGE // 2
            message = f"{message[:half]} ... {message[-half:]}"
        text = message.rstrip().replace("\n", "\n    ")
        with suppress(OSError), self.path.open("a", encoding="utf-8") as file:
            file.write(f"{stamp} {kind:7s} {text}\n")

    def _shorten(self) -> None:
        with suppress(OSError):
            content = self.path.read_bytes()
            if len(content) > LONGEST_LOG:
                kept = content[-LONGEST_LOG // 2 :].partition(b"\n")[2]
                with replacing(self.path) as temporary:
                    temporary.write_bytes(b"(older lines were removed)\n" + kept)


def _described(error: BaseException) -> str:
    if isinstance(error, LithoscopeError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "stopped by the user"
    # An error nobody foresaw: who reports it needs to say where.
    return "".join(traceback.format_exception(error))
