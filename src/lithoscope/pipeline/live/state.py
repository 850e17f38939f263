"""What a watch must know to go on after a kill, beside the spool and the store."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from lithoscope.errors import StorageError
from lithoscope.files import replacing
from lithoscope.pipeline.rundir import write_parquet
from lithoscope.schema import DETECTIONS, PICKS, STATION_MAGNITUDES

FOLDER = "live"


@dataclass
class Saved:
    """State of an earlier process.

    ``final_ns`` says for each station until when its ``picks`` are final; ``measured`` for each
    event what its ``magnitudes`` (without corrections from the catalogue) rest on. Up to change
    number ``sequence`` of the store, ``provisional`` are the picks in it that were not final.
    """

    clock_ns: int = 0
    settled_s: float = 0.0
    final_ns: dict[str, int] = field(default_factory=dict)
    measured: dict[str, str] = field(default_factory=dict)
    sequence: int = 0
    provisional: list[str] = field(default_factory=list)
    picks: pd.DataFrame = field(default_factory=PICKS.empty)
    detections: pd.DataFrame = field(default_factory=DETECTIONS.empty)
    magnitudes: pd.DataFrame = field(default_factory=STATION_MAGNITUDES.empty)


class StateFiles:
    """Files of the state, each whole or as before.

    ``marks.json`` holds how far each source has been read into the spool; ``state.json`` the
    rest, and the number of the tables that belong to it.
    """

    def __init__(self, run: Path) -> None:
        self.folder = run / FOLDER
        self._number = 0

    def save_marks(self, marks: dict[str, dict[str, int]]) -> None:
        """Remember what has been read of each source; call it once the spool is on the disk."""
        with replacing(self.folder / "marks.json") as temporary:
            temporary.write_text(json.dumps(marks))

    def marks(self) -> dict[str, dict[str, int]]:
        found = self._json("marks.json")
        return {str(k): {str(a): int(b) for a, b in v.items()} for k, v in found.items()}

    def save(self, saved: Saved) -> None:
        """Write the state, then remove the tables of the one before."""
        number = self._number = self._number % 1_000_000 + 1
        tables = {
            "picks": saved.picks,
            "detections": saved.detections,
            "magnitudes": saved.magnitudes,
        }
        for name, table in tables.items():
            write_parquet(table, self.folder / f"{name}-{number}.parquet")
        content = {
            "tables": number,
            "clock_ns": saved.clock_ns,
            "settled_s": saved.settled_s,
            "final_ns": saved.final_ns,
            "measured": saved.measured,
            "sequence": saved.sequence,
            "provisional": saved.provisional,
        }
        with replacing(self.folder / "state.json") as temporary:
            temporary.write_text(json.dumps(content))
        for path in self.folder.glob("*-*.parquet"):
            if not path.stem.endswith(f"-{number}"):
                path.unlink(missing_ok=True)

    def load(self) -> Saved:
        """Return the saved state, an empty one if there is none."""
        content = self._json("state.json")
        if not content:
            return Saved()
        number = self._number = int(content["tables"])
        tables = {}
        for name, schema in (
            ("picks", PICKS),
            ("detections", DETECTIONS),
            ("magnitudes", STATION_MAGNITUDES),
        ):
            path = self.folder / f"{name}-{number}.parquet"
            try:
                tables[name] = schema.check(pd.read_parquet(path))
            except (OSError, ValueError) as error:
                raise self._damaged(path, error) from None
        return Saved(
            int(content["clock_ns"]),
            float(content["settled_s"]),
            {str(k): int(v) for k, v in content["final_ns"].items()},
            {str(k): str(v) for k, v in content["measured"].items()},
            int(content.get("sequence", 0)),
            [str(p) for p in content.get("provisional", ())],
            **tables,
        )

    def _json(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        try:
            return dict(json.loads(path.read_text())) if path.exists() else {}
        except (OSError, ValueError) as error:
            raise self._damaged(path, error) from None

    def _damaged(self, path: Path, error: Exception) -> StorageError:
        reason = str(error).splitlines()[0]
        return StorageError(
            f"'{path}' is damaged ({reason}); remove the folder '{self.folder}' to pick what the "
            "spool holds anew"
        )
