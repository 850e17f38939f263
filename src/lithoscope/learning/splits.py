"""Train, validation and test parts that share no station, no event or no source.

The part follows from a hash of the station, event or source alone, so it does not change when rows
are added, and the same station has the same part in every dataset.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.errors import ConfigError, DataError
from lithoscope.files import replacing, storage_error

#: Name under which a split lies beside its dataset.
SPLIT_FILE = "split.csv"
PARTS = ("train", "validation", "test")
#: Part of rows that are left out because their event stands in the test part.
DROPPED = "dropped"
#: Smallest fraction of a source's training rows that must remain when rows are dropped.
LEAST_KEPT = 0.5
_COLUMNS = ["trace", "source", "station", "event", "split"]


@dataclass(frozen=True)
class Split:
    """Part of each row of a dataset.

    Attributes
    ----------
    parts
        ``train``, ``validation``, ``test`` or ``dropped``, one a row of the metadata.
    rule
        How the parts were made, in words; holds the seed.
    notes
        What a reader must know: rows dropped, or events that stand in two parts.
    """

    parts: NDArray[np.str_]
    rule: str
    notes: tuple[str, ...] = ()


def site(station: str) -> str:
    """Return NET.STA of a station code: location and instrument do not make another station."""
    return ".".join(str(station).split(".")[:2])


def folds_by_station(rows: Sequence[tuple[str, str]], folds: int) -> dict[str, int]:
    """Return the fold (0 to ``folds - 1``) of each station, NET.STA, so that folds are alike.

    Source by source, the station with the most traces first, each goes to the fold that has the
    fewest traces of that source so far. A station of several sources has one fold.

    Parameters
    ----------
    rows
        Source and station of each trace.
    folds
        How many.
    """
    counts = Counter((source, site(station)) for source, station in rows)
    out: dict[str, int] = {}
    for name in sorted({source for source, _ in counts}):
        own = {station: n for (source, station), n in counts.items() if source == name}
        filled = [0] * folds
        for station in sorted(own, key=lambda s: (s not in out, -own[s], s)):
            fold = out.setdefault(station, filled.index(min(filled)))
            filled[fold] += own[station]
    return out


def split_by_station(
    metadata: pd.DataFrame, seed: int = 0, *, test: float = 0.35, validation: float = 0.15
) -> Split:
    """Split so that no station (NET.STA) stands in two parts.

    ``u = SHA-256(f"{seed}/{NET.STA}") / 2**256`` decides: test where ``u < test``, validation
    where ``u < test + validation``, else train. Training and validation rows whose event also
    stands in test are dropped where this leaves their source at least half of its training
    rows; else they are kept and a note says so. Rows without a known event count as distinct.

    Parameters
    ----------
    metadata
        Columns ``source``, ``station``, ``event``.
    seed
        Another seed gives other parts.
    test, validation
        Expected fractions of the stations.

    Raises
    ------
    DataError
        If a column is missing or there is no row.
    ConfigError
        If the fractions are not within 0 to 1 in all.
    """
    key = _column(metadata, "station").map(site)
    parts = _parts(key, seed, test, validation)
    notes = _drop_shared_events(metadata, parts)
    rule = f"by station: SHA-256 of 'seed/NET.STA', seed {seed}, test {test:g}, "
    return Split(parts, rule + f"validation {validation:g}", notes)


def split_by_event(
    metadata: pd.DataFrame, seed: int = 0, *, test: float = 0.35, validation: float = 0.15
) -> Split:
    """Split so that no event stands in two parts; stations may. See `split_by_station`."""
    event = _column(metadata, "event").astype(str)
    alone = "row " + pd.Series(np.arange(len(metadata)), metadata.index).astype(str)
    key = _column(metadata, "source").astype(str) + "/" + event.where(event != "", alone)
    rule = f"by event: SHA-256 of 'seed/source/event', seed {seed}, test {test:g}, "
    return Split(_parts(key, seed, test, validation), rule + f"validation {validation:g}")


def split_by_source(
    metadata: pd.DataFrame, test: Sequence[str], validation: Sequence[str] = ()
) -> Split:
    """Give whole sources to test and validation, the others to training.

    Raises
    ------
    ConfigError
        If a named source is not in the metadata, or stands in both lists.
    """
    source = _column(metadata, "source").astype(str)
    known = sorted(set(source))
    for name in (*test, *validation):
        if name not in known:
            raise ConfigError(f"source '{name}' is not in the dataset; it has {', '.join(known)}")
    if both := sorted(set(test) & set(validation)):
        raise ConfigError(f"source(s) {', '.join(both)} named for test and for validation")
    parts = np.where(
        source.isin(test), "test", np.where(source.isin(validation), PARTS[1], "train")
    )
    rule = f"by source: test {', '.join(test) or 'none'}; validation {', '.join(validation) or '-'}"
    return Split(parts.astype(str), rule)


def write_split(path: Path, metadata: pd.DataFrame, split: Split) -> None:
    """Write the parts as CSV, one row a trace; rule and notes are comment lines at its top.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    table = metadata.reindex(columns=_COLUMNS[:-1]).assign(split=split.parts)
    head = [f"# rule: {split.rule}", *(f"# note: {note}" for note in split.notes)]
    with replacing(path) as temporary:
        temporary.write_text("\n".join([*head, table.to_csv(index=False)]))


def read_split(path: Path, metadata: pd.DataFrame) -> Split:
    """Read parts that `write_split` wrote and give them to the rows of ``metadata`` by ``trace``.

    Raises
    ------
    DataError
        If the file is no split, or lacks a trace of the metadata.
    StorageError
        If it cannot be read.
    """
    try:
        lines = path.read_text().splitlines()
        table = pd.read_csv(path, comment="#", dtype=str, keep_default_na=False)
    except OSError as error:
        raise storage_error("read", path, error) from None
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is no split ({str(error).splitlines()[0]})") from None
    if not {"trace", "split"} <= set(table) or not table["split"].isin([*PARTS, DROPPED]).all():
        raise DataError(f"{path}: is no split; columns trace and split needed, one of {PARTS}")
    by_trace = table.drop_duplicates("trace").set_index("trace")["split"]
    missing = metadata.loc[~metadata["trace"].isin(by_trace.index), "trace"]
    if len(missing):
        raise DataError(f"{path}: lacks {len(missing)} trace(s), the first '{missing.iloc[0]}'")
    parts = by_trace.loc[metadata["trace"]].to_numpy(str)
    found = [line[2:].partition(": ") for line in lines if line.startswith("# ")]
    rule = next((text for kind, _, text in found if kind == "rule"), "")
    return Split(parts, rule, tuple(text for kind, _, text in found if kind == "note"))


def _column(metadata: pd.DataFrame, name: str) -> pd.Series:
    if name not in metadata:
        raise DataError(f"metadata has no column '{name}' to split by")
    if metadata.empty:
        raise DataError("the dataset has no rows to split")
    return metadata[name]


def _parts(key: pd.Series, seed: int, test: float, validation: float) -> NDArray[np.str_]:
    if not (0 <= test <= 1 and 0 <= validation <= 1 and test + validation <= 1):
        raise ConfigError(f"test {test:g}, validation {validation:g}: fractions of 1 in all needed")
    u = key.map({k: _uniform(f"{seed}/{k}") for k in key.unique()}).to_numpy(float)
    return np.where(u < test, "test", np.where(u < test + validation, PARTS[1], "train"))


def _uniform(text: str) -> float:
    """Return a number in [0, 1) that follows from the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2.0**64


def _drop_shared_events(metadata: pd.DataFrame, parts: NDArray[np.str_]) -> tuple[str, ...]:
    """Drop rows whose event stands in test (in place) and return the notes."""
    notes = []
    source = _column(metadata, "source").astype(str)
    event = _column(metadata, "event").astype(str)
    for name in sorted(set(source)):
        here = (source == name).to_numpy()
        tested = set(event[here & (parts == "test")]) - {""}
        shared = here & (parts != "test") & event.isin(tested).to_numpy()
        training = here & (parts == "train")
        if not shared.any():
            continue
        left = (training & ~shared).sum()
        if left >= LEAST_KEPT * training.sum() and left > 0:
            parts[shared] = DROPPED
            notes.append(f"{name}: {shared.sum()} rows dropped, their events stand in test")
        else:
            notes.append(
                f"{name}: {shared.sum()} rows of training and validation show events that also "
                "stand in test at other stations; kept, since too few training rows would remain"
            )
    return tuple(notes)
