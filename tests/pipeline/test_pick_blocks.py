"""A unit of picking is worked on in blocks that bound memory and change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from obspy import Stream, Trace, UTCDateTime

from lithoscope.constants import NS_PER_S
from lithoscope.pipeline import RunSettings, pick, stages
from lithoscope.pipeline.tables import joined
from lithoscope.schema import PROBLEMS

START = UTCDateTime(2020, 1, 1, 23, 50)  # so that a day begins inside
RATE_HZ, LENGTH_S = 100, 1500
BLOCK_S = 100
SETTINGS = RunSettings.model_validate({"engine": {"workers": 1}})


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return noise with a burst every 40 s, a gap, a dead N and a piece of two samples."""
    folder = tmp_path_factory.mktemp("blocks")
    rng = np.random.default_rng(3)
    n = LENGTH_S * RATE_HZ
    late = np.arange(2000)
    for component, (p, s) in {"Z": (1.0, 0.5), "N": (0.4, 1.5), "E": (0.4, 1.5)}.items():
        data = rng.normal(0, 100, n)
        for onset in range(1500, n - 3000, 4000):
            burst = 2e4 * np.exp(-late / 300) * rng.normal(size=2000)
            data[onset : onset + 2000] += p * burst
            data[onset + 400 : onset + 2000] += s * burst[:-400]
        if component == "N":
            data[:] = 7
        header = {"network": "XX", "station": "ONE", "channel": f"HH{component}"}
        pieces = Stream()
        for first, stop in ((0, 60_000), (60_500, 60_502), (61_000, n)):
            at = START + first / RATE_HZ
            values = np.rint(data[first:stop]).astype(np.int32)
            pieces += Trace(values, header | {"sampling_rate": RATE_HZ, "starttime": at})
        pieces.write(str(folder / f"{component}.mseed"), "MSEED", encoding="STEIM2")
    return folder


def test_blocks_change_no_pick_and_bound_the_records(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, heard, about = pick([archive], [], SETTINGS)
    assert set(whole["phase"]) == {"P", "S"}
    assert len(whole) > 50
    lengths, read = [], stages.read_records

    def noted(*arguments, **options):
        records, problems = read(*arguments, **options)
        lengths.extend(record.n_samples / RATE_HZ for record in records)
        return records, problems

    monkeypatch.setattr(stages, "read_records", noted)
    monkeypatch.setattr(stages, "BLOCK_NS", BLOCK_S * NS_PER_S)
    cut, heard_cut, about_cut = pick([archive], [], SETTINGS)
    pd.testing.assert_frame_equal(cut, whole)
    pd.testing.assert_frame_equal(heard_cut, heard)
    margin_s = stages.make_picker(SETTINGS.picking).context_s
    assert max(lengths) <= BLOCK_S + 2 * margin_s + 1 / RATE_HZ
    # A dead component and a piece that is too short are told once in each stretch, as before.
    said = ["what", "problem", "detail", "action", "starttime", "endtime"]
    about, about_cut = (t.sort_values(said).reset_index(drop=True) for t in (about, about_cut))
    assert (about["problem"] == "dead").any()
    assert (about["problem"] == "cannot be picked").any()
    pd.testing.assert_frame_equal(about_cut, about)


def test_rows_that_say_the_same_are_joined_where_they_overlap() -> None:
    def row(start: float, end: float, detail: str = "constant at 7") -> dict[str, object]:
        moments = (
            pd.Timestamp("2020-01-01", tz="UTC") + pd.Timedelta(s, "s") for s in (start, end)
        )
        told = {"what": "XX.A..HHZ", "problem": "dead", "detail": detail, "action": "masked"}
        return told | dict(zip(("starttime", "endtime"), moments, strict=True))

    rows = [row(0, 10), row(8, 20), row(8, 20, "constant at 8"), row(25, 30), row(29, 40)]
    table = joined(PROBLEMS.table(rows))
    expected = [row(0, 20), row(8, 20, "constant at 8"), row(25, 40)]
    pd.testing.assert_frame_equal(table, PROBLEMS.table(expected))
    assert joined(PROBLEMS.empty()).empty
