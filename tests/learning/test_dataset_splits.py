"""Splits: nothing shared between parts, deterministic, written and read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lithoscope.errors import ConfigError, DataError
from lithoscope.learning.splits import (
    DROPPED,
    read_split,
    split_by_event,
    split_by_source,
    split_by_station,
    write_split,
)


def table(stations: list[str], events: list[str], source: str = "a") -> pd.DataFrame:
    """Return the metadata columns that splits use."""
    names = [f"{source}/{i}" for i in range(len(stations))]
    return pd.DataFrame({"trace": names, "source": source, "station": stations, "event": events})


def test_the_rule_is_the_stated_hash() -> None:
    # SHA-256 of "0/XX.AAA", "0/XX.BBB", "0/XX.JJJ" by coreutils' sha256sum begins with bed533a1,
    # 7ebc133c, 3cbc74f0: 0.745, 0.495, 0.237 of 2**32.
    made = split_by_station(table(["XX.AAA", "XX.BBB.00.HH", "XX.JJJ"], [""] * 3))
    assert list(made.parts) == ["train", "validation", "test"]


@settings(max_examples=50, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), min_size=1, max_size=60),
    seed=st.integers(0, 5),
)
def test_no_station_and_no_kept_event_in_two_parts(pairs: list[tuple[int, int]], seed: int) -> None:
    stations = [f"XX.S{s}.0{i % 3}.HH" for i, (s, _) in enumerate(pairs)]
    metadata = table(stations, [f"e{e}" for _, e in pairs])
    made = split_by_station(metadata, seed)
    kept = metadata.assign(part=made.parts)[made.parts != DROPPED]
    site = kept["station"].str.split(".").str[1]
    assert (kept.groupby(site)["part"].nunique() == 1).all()
    shared = set(kept.loc[kept["part"] == "test", "event"]) & set(
        kept.loc[kept["part"] != "test", "event"]
    )
    assert bool(shared) == any("also stand in test" in note for note in made.notes)


def test_adding_rows_moves_no_station() -> None:
    few = table([f"XX.S{i}" for i in range(20)], [""] * 20)
    many = table([f"XX.S{i}" for i in range(200)], [""] * 200)
    assert list(split_by_station(few).parts) == list(split_by_station(many).parts[:20])
    parts = split_by_station(many).parts
    # binomial standard deviation of 200 draws: 0.034 (test) and 0.025 (validation); 4 of them
    assert (parts == "test").mean() == pytest.approx(0.35, abs=0.135)
    assert (parts == "validation").mean() == pytest.approx(0.15, abs=0.10)


def test_shared_events_are_dropped_only_where_enough_remains() -> None:
    stations = [f"XX.S{i}" for i in range(40)]
    parts = split_by_station(table(stations, [""] * 40)).parts
    test, train = (np.flatnonzero(parts == name)[:1][0] for name in ("test", "train"))
    events = [f"e{i}" for i in range(40)]
    events[train] = events[test]
    some = split_by_station(table(stations, events))
    assert some.parts[train] == DROPPED
    assert "1 rows dropped" in some.notes[0]
    every = split_by_station(table(stations, ["one"] * 40))
    assert DROPPED not in every.parts
    assert "kept" in every.notes[0]


def test_events_without_a_name_are_distinct() -> None:
    parts = split_by_event(table(["XX.A"] * 300, [""] * 300)).parts
    assert set(parts) == {"train", "validation", "test"}
    assert len(set(split_by_event(table(["XX.A"] * 300, ["one"] * 300)).parts)) == 1


def test_whole_sources() -> None:
    metadata = pd.concat([table(["XX.A"], ["1"], name) for name in "abc"], ignore_index=True)
    assert list(split_by_source(metadata, ["b"], ["c"]).parts) == ["train", "test", "validation"]
    with pytest.raises(ConfigError, match="'d' is not in the dataset; it has a, b, c"):
        split_by_source(metadata, ["d"])


def test_written_with_rule_and_notes_and_read_back(tmp_path: Path) -> None:
    metadata = table([f"XX.S{i}" for i in range(30)], ["one"] * 30)
    made = split_by_station(metadata, 3)
    write_split(tmp_path / "split.csv", metadata, made)
    back = read_split(tmp_path / "split.csv", metadata.iloc[::-1])
    assert list(back.parts) == list(made.parts[::-1])
    assert (back.rule, back.notes) == (made.rule, made.notes)
    assert "seed 3" in back.rule
    with pytest.raises(DataError, match="lacks 1 trace"):
        read_split(tmp_path / "split.csv", metadata.assign(trace="other").iloc[:1])


@pytest.mark.parametrize("fractions", [(0.8, 0.3), (-0.1, 0.2)])
def test_impossible_fractions(fractions: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="fractions"):
        split_by_station(table(["XX.A"], ["1"]), test=fractions[0], validation=fractions[1])


def test_nothing_to_split() -> None:
    with pytest.raises(DataError, match="no rows"):
        split_by_station(table([], []))
    with pytest.raises(DataError, match="no column 'station'"):
        split_by_station(pd.DataFrame({"source": ["a"]}))
