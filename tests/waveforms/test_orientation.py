"""Rows come out up, north and east, and what is not known is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from miniseed_files import START_NS, make_trace, noise, save

from lithoscope.schema import CHANNELS
from lithoscope.waveforms import index_archive, read_records

STATION = "XX.AAA..HH"
NORTH, EAST, UP = noise(2000, 1), noise(2000, 2), noise(2000, 3)


def channels(**directions: tuple[float, float]) -> pd.DataFrame:
    return CHANNELS.table(
        [
            {"channel": STATION + c, "station": STATION, "azimuth_deg": a, "dip_deg": d}
            for c, (a, d) in directions.items()
        ]
    )


def read(tmp_path, rows: dict[str, np.ndarray], table=None):
    traces = [make_trace(STATION + c, v.astype(np.float64)) for c, v in rows.items()]
    save(tmp_path / "a.mseed", traces)
    records, problems = read_records(index_archive(tmp_path), STATION, channels=table)
    assert len(records) == 1
    return records[0], problems


def along(azimuth: float) -> np.ndarray:
    angle = np.radians(azimuth)
    return np.cos(angle) * NORTH + np.sin(angle) * EAST


@pytest.mark.parametrize("letters", ["12", "RT", "NE", "23"])
@pytest.mark.parametrize("azimuths", [(30.0, 120.0), (200.0, 290.0), (10.0, 80.0), (90.0, 0.0)])
def test_known_azimuths_give_north_and_east(tmp_path, letters, azimuths):
    a, b = letters
    rows = {"Z": UP, a: along(azimuths[0]), b: along(azimuths[1])}
    table = channels(**{"Z": (0, -90), a: (azimuths[0], 0), b: (azimuths[1], 0)})
    record, _ = read(tmp_path, rows, table)
    assert np.array_equal(record.data[0], UP)
    assert np.allclose(record.data[1], NORTH, atol=0.01)  # float32 of values to 4000
    assert np.allclose(record.data[2], EAST, atol=0.01)
    assert record.channels == tuple(STATION + c for c in ("Z", a, b))


def test_unknown_azimuths_are_taken_as_north_and_east_and_reported(tmp_path):
    record, problems = read(tmp_path, {"Z": UP, "1": NORTH, "2": EAST})
    assert np.array_equal(record.data, np.array([UP, NORTH, EAST], np.float32))
    assert list(problems["problem"]) == ["orientation unknown"]
    assert problems.iloc[0]["action"] == "1 used as N, 2 used as E"


def test_north_and_east_need_no_metadata(tmp_path):
    record, problems = read(tmp_path, {"Z": UP, "N": NORTH, "E": EAST})
    assert len(problems) == 0
    assert np.array_equal(record.data[2], EAST)


def test_a_vertical_that_points_down_changes_sign(tmp_path):
    record, problems = read(tmp_path, {"Z": -UP}, channels(Z=(0, 90)))
    assert np.array_equal(record.data[0], UP)
    assert list(problems["problem"]) == ["vertical reversed"]


def test_three_without_z_is_the_vertical(tmp_path):
    table = channels(**{"1": (0, 0), "2": (90, 0), "3": (0, -90)})
    record, _ = read(tmp_path, {"1": NORTH, "2": EAST, "3": UP}, table)
    assert np.array_equal(record.data, np.array([UP, NORTH, EAST], np.float32))


def test_parallel_horizontals_are_not_solved(tmp_path):
    table = channels(N=(0, 0), E=(10, 0))
    record, problems = read(tmp_path, {"N": NORTH, "E": EAST}, table)
    assert np.array_equal(record.data[2], EAST)
    assert list(problems["problem"]) == ["horizontals parallel"]


def test_a_lone_misaligned_horizontal_is_reported(tmp_path):
    record, problems = read(tmp_path, {"Z": UP, "N": NORTH}, channels(N=(40, 0)))
    assert np.array_equal(record.data[1], NORTH)
    assert list(problems["problem"]) == ["horizontal not aligned"]


def test_a_change_of_direction_starts_a_new_record(tmp_path):
    turn = pd.Timestamp(START_NS + 10 * 10**9, tz="UTC")
    save(tmp_path / "a.mseed", [make_trace(STATION + "Z", UP)])
    table = channels(Z=(0, -90))
    table = pd.concat([table, channels(Z=(0, 90))], ignore_index=True)
    table.loc[0, "endtime"] = turn
    table.loc[1, "starttime"] = turn
    records, _ = read_records(index_archive(tmp_path), STATION, channels=table)
    assert [r.n_samples for r in records] == [1000, 1000]
    assert np.array_equal(records[0].data[0], UP[:1000])
    assert np.array_equal(records[1].data[0], -UP[1000:])
