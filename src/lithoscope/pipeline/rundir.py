"""The run directory: one owner at a time, results published whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from lithoscope.errors import StorageError
from lithoscope.files import replacing, storage_error, sync_path

MARKER = "lithoscope-run.json"
_TOKEN = ".token"
Tables = dict[str, pd.DataFrame]


def content_key(*parts: object) -> str:
    """Return a short hash of values, tables and paths' contents given as bytes.

    Equal content gives an equal key on every machine; tables are hashed by their CSV text with
    full precision, so that column types do not matter.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, bytes):
            digest.update(part)
        elif isinstance(part, pd.DataFrame):
            digest.update(part.to_csv(index=False, float_format="%.17g").encode())
        else:
            digest.update(json.dumps(part, sort_keys=True, default=str).encode())
        digest.update(b"\x00")
    return digest.hexdigest()[:20]


class UnitFolder:
    """Results of units of work, published whole.

    They are written to a temporary folder and renamed into ``work/<stage>/<key>`` once they are
    on disk, so a kill at any moment leaves either the whole result or none, and a later run with
    the same key reuses it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def reached(cls, path: Path, token: str) -> UnitFolder | None:
        """Return the folder if it is the one in which ``token`` was made, as seen from here."""
        try:
            same = (path / _TOKEN).read_text() == token
        except OSError:
            return None
        return cls(path) if same else None

    def unit(self, stage: str, key: str) -> Path:
        """Return where the result of a unit of work lies, once it is done."""
        return self.path / "work" / stage / key

    def has(self, stage: str, key: str) -> bool:
        """Return whether a unit is done, without reading its tables."""
        return self.unit(stage, key).is_dir()

    def load(self, stage: str, key: str) -> Tables | None:
        """Return the stored tables of a unit, or None if it has not been done."""
        if not self.has(stage, key):
            return None
        folder = self.unit(stage, key)
        with storage_errors(folder):
            return {file.stem: pd.read_parquet(file) for file in sorted(folder.glob("*.parquet"))}

    def save(self, stage: str, key: str, tables: Tables) -> None:
        """Publish the tables of a unit; safe against a kill and against a second writer."""
        target = self.unit(stage, key)
        with storage_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
            try:
                for name, table in tables.items():
                    write_parquet(table, temporary / f"{name}.parquet")
                try:
                    temporary.rename(target)
                except OSError:
                    if not target.exists():  # another writer was first
                        raise
                sync_path(target.parent)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)


class RunDirectory(UnitFolder):
    """Folder that holds everything of one run.

    Parameters
    ----------
    path
        Folder to create or reopen.

    Raises
    ------
    StorageError
        If the folder cannot be written, or holds files that are no run of Lithoscope.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            others = [p.name for p in path.iterdir()]
        except OSError as error:
            raise StorageError(
                f"output folder '{path}' cannot be used ({error.strerror}); "
                "choose another with --output"
            ) from None
        if others and MARKER not in others:
            raise StorageError(
                f"output folder '{path}' is not empty and holds no Lithoscope run; "
                "choose a new folder with --output"
            )
        if not os.access(path, os.W_OK):
            raise StorageError(
                f"output folder '{path}' is not writable; choose another with --output"
            )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for this process; a second `lithoscope run` on it is refused."""
        with (self.path / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StorageError(
                    f"another process is working in '{self.path}'; wait for it or choose "
                    "another --output"
                ) from None
            yield

    def read_marker(self) -> dict[str, Any]:
        """Return what is known of the run (sources, status); empty for a new one."""
        marker = self.path / MARKER
        if not marker.exists():
            return {}
        try:
            return dict(json.loads(marker.read_text()))
        except (OSError, ValueError):
            raise StorageError(f"'{marker}' is damaged; remove it to start the run anew") from None

    def write_marker(self, content: Mapping[str, object]) -> None:
        self.write_text(MARKER, json.dumps(dict(content), indent=2, default=str) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a file whole or not at all."""
        with replacing(self.path / name) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def new_token(self) -> str:
        """Put a new secret into the run, by which a process elsewhere knows it for the same."""
        token = uuid.uuid4().hex
        self.write_text(_TOKEN, token)
        return token

    def cached(self, stage: str, key: str, compute: Callable[[], Tables]) -> Tables:
        """Return the stored result of a unit, or compute and store it."""
        tables = self.load(stage, key)
        if tables is None:
            self.save(stage, key, compute())
            tables = self.load(stage, key)
            if tables is None:
                raise StorageError(f"result of stage '{stage}' vanished from '{self.path}'")
        return tables

    def sweep(self, used: Mapping[str, set[str]]) -> None:
        """Remove results that the finished run did not use, and leftovers of killed runs."""
        for stage, keys in used.items():
            folder = self.path / "work" / stage
            if not folder.is_dir():
                continue
            for unit in folder.iterdir():
                if unit.name not in keys:
                    shutil.rmtree(unit, ignore_errors=True)


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a table whole or not at all, and wait until it is on the disk."""
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn errors of the file system into one line that names the file and the remedy."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise storage_error("write or read", path, error) from None
