"""Progress with remaining time: a bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Step:
    """Counter handed to a stage; call it once for each finished unit."""

    def __init__(self, update: Callable[[int], object]) -> None:
        self._update = update
        self.done = 0

    def __call__(self) -> None:
        self.done += 1
        self._update(self.done)


class Reporter(Protocol):
    """Receives what happens in a run."""

    def say(self, message: str) -> None:
        """Take a sentence about what happens now."""

    def track(self, what: str, total: int) -> AbstractContextManager[Step]:
        """Give a counter for ``total`` units of work."""


class Silent:
    """Reports nothing."""

    def say(self, message: str) -> None:
        return None

    @contextmanager
    def track(self, what: str, total: int) -> Iterator[Step]:
        yield Step(lambda done: None)


class Terminal:
    """Writes to standard error: a bar with remaining time on a terminal, lines otherwise."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)

    def say(self, message: str) -> None:
        self.console.print(message, markup=False, soft_wrap=True)

    @contextmanager
    def track(self, what: str, total: int) -> Iterator[Step]:
        if total and self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            with Progress(*columns, console=self.console, transient=True) as bar:
                task = bar.add_task(what, total=total)
                yield Step(lambda done: bar.update(task, completed=done))
        else:
            yield Step(_plain_lines(self, what, total))


def _plain_lines(terminal: Terminal, what: str, total: int) -> Callable[[int], None]:
    last = time.monotonic()
    begun: tuple[float, int] | None = None

    def update(done: int) -> None:
        nonlocal last, begun
        now = time.monotonic()
        if begun is None:
            # What came before the first unit (loading, work already done) says nothing of the pace.
            begun = now, done
        elif now - last >= 10 and begun[1] < done < total:
            last = now
            left = (now - begun[0]) / (done - begun[1]) * (total - done)
            terminal.say(f"{what}: {done} of {total}, about {left:.0f} s left")

    return update
