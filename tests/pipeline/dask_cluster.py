"""A Dask cluster as an operator starts it: a scheduler and workers, each a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from synthetic_archive import SyntheticArchive


class Cluster:
    """A scheduler and workers on this machine; end it with `stop`.

    ``host`` is the scheduler's address, and ``scheduler_words`` and ``worker_words`` go before
    their commands (``ip netns exec NAME``).
    """

    def __init__(
        self,
        folder: Path,
        n_workers: int,
        *,
        host: str = "127.0.0.1",
        scheduler_words: Sequence[str] = (),
        worker_words: Sequence[str] = (),
    ) -> None:
        folder.mkdir(parents=True)
        self.folder, self.worker_words = folder, worker_words
        self.file = folder / "scheduler.json"
        self.workers: list[subprocess.Popen] = []
        self.scheduler = self._start(
            scheduler_words, "dask_scheduler", "--host", host, "--port", "0", "--no-dashboard"
        )
        try:
            # The file is there before all of it is written; it ends with a bracket.
            wait_for(lambda: self.file.exists() and self.file.read_text().rstrip().endswith("}"))
            self.address = json.loads(self.file.read_text())["address"]
            for _ in range(n_workers):
                self.add_worker()
        except BaseException:
            self.stop()
            raise

    def add_worker(self) -> None:
        """Start a worker without a guardian that would start it again."""
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard")
        self.workers.append(self._start(self.worker_words, "dask_worker", *options))

    def kill_worker(self, number: int = 0) -> None:
        os.kill(self.workers[number].pid, signal.SIGKILL)
        self.workers[number].wait()

    def stop(self) -> None:
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()

    def _start(self, before: Sequence[str], program: str, *options: str) -> subprocess.Popen:
        words = [*before, sys.executable, "-m", f"distributed.cli.{program}", *options]
        return subprocess.Popen(
            [*words, "--scheduler-file", str(self.file)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )


def wait_for(condition, timeout_s: float = 400.0) -> None:
    """Return once a condition holds; fail if it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def run_command(archive: SyntheticArchive, output: Path, *options: str) -> list[str]:
    """Return `lithoscope run` on a synthetic archive as the words of a command."""
    words = [sys.executable, "-m", "lithoscope", "run", str(archive.waveforms), *options]
    return [*words, "-s", str(archive.stations), "-o", str(output), "--set", "output.report=false"]


def finished(run: Path, stage: str) -> int:
    """Count the published units of a stage."""
    folder = run / "work" / stage
    return sum(not p.name.startswith(".") for p in folder.iterdir()) if folder.is_dir() else 0
