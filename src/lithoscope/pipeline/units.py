"""Units of work and their tables: published where they are made, if the run can be reached there.

A worker that sees the run directory (a shared file system, or the client's own machine) writes the
tables itself, so they never pass through the client; one that does not returns them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lithoscope.errors import StorageError
from lithoscope.pipeline.engine import Engine, Function
from lithoscope.pipeline.rundir import RunDirectory, Tables, UnitFolder

# Clients of a network file system may see a new folder this much later (NFS: acdirmax, 60 s).
_VISIBLE_AFTER_S = 90.0


@dataclass(frozen=True)
class _Job:
    """What all units of a stage share; ``token`` proves that a folder is the client's own."""

    function: Function
    shared: Any
    stage: str
    path: Path
    token: str


def do_units(
    engine: Engine,
    directory: RunDirectory,
    stage: str,
    function: Function,
    shared: Any,
    units: Mapping[str, Any],
) -> Iterator[str]:
    """Do units and publish their tables; yield the key of each once it is on disk.

    Parameters
    ----------
    engine
        Where the units run.
    directory
        The run; its results appear below ``work/STAGE/KEY``.
    function
        From (shared, unit) to tables; a function of a module, as other processes import it.
    units
        By their keys.
    """
    job = _Job(function, shared, stage, directory.path.resolve(), directory.new_token())
    for (key, _), tables in engine.map(_do, job, list(units.items())):
        if tables is not None:
            directory.save(stage, key, tables)
        elif not _appears(directory, stage, key):
            raise StorageError(
                f"a worker wrote '{directory.unit(stage, key)}', but it is not there for this "
                "process; check that both see the same file system, and run again"
            )
        yield key


def load_units(directory: RunDirectory, stage: str, keys: Iterable[str]) -> list[Tables]:
    """Return the tables of units that are done.

    Raises
    ------
    StorageError
        If one is not there.
    """
    found = []
    for key in keys:
        tables = directory.load(stage, key)
        if tables is None:
            raise StorageError(
                f"result '{directory.unit(stage, key)}' vanished; run again to make it anew"
            )
        found.append(tables)
    return found


def _do(job: _Job, keyed: tuple[str, Any]) -> Tables | None:
    key, unit = keyed
    folder = UnitFolder.reached(job.path, job.token)
    if folder is not None and folder.has(job.stage, key):
        return None  # done by a worker that was lost before it could say so
    tables: Tables = job.function(job.shared, unit)
    if folder is None:
        return tables
    folder.save(job.stage, key, tables)
    return None


def _appears(directory: RunDirectory, stage: str, key: str) -> bool:
    deadline = time.monotonic() + _VISIBLE_AFTER_S
    while not directory.has(stage, key):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True
