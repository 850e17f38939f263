"""Functions that units run in other processes, which import them by name."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path

from lithoscope.errors import LithoscopeError


class Counted:
    """Shared data that leave a file each time they arrive in a process."""

    def __init__(self, folder: Path, factor: int) -> None:
        self.folder, self.factor = folder, factor

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        (self.folder / f"arrived-{os.getpid()}-{time.time_ns()}").touch()


def multiply(shared: int, unit: int) -> tuple[int, str]:
    return shared * unit, os.environ.get("OMP_NUM_THREADS", "")


def name_process(shared: int, unit: int) -> tuple[int, int]:
    return unit, os.getpid()


def counted(shared: Counted, unit: int) -> tuple[int, int]:
    time.sleep(0.02)
    return shared.factor * unit, os.getpid()


def die(shared: int, unit: int) -> int:
    if unit == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return unit


def die_once(shared: Path, unit: int) -> int:
    """Be killed in the middle of unit 3, the first time that it is tried."""
    if unit == 3 and not (shared / "died").exists():
        (shared / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 3 * unit


def fail(shared: int, unit: int) -> int:
    raise LithoscopeError(f"unit {unit} cannot be done; change it")


def hold(shared: Path, unit: int) -> None:
    """Lock a file of one's own as long as this process lives, and say so."""
    with (shared / f"held-{unit}").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        (shared / f"pid-{unit}").write_text(str(os.getpid()))
        time.sleep(600.0)
