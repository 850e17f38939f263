"""Bad input gives one line that says what to change, or a row in the problems; nothing is lost
(acceptance 7). Each case goes through the main job, as a user would meet it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
import pytest
from synthetic_archive import SyntheticArchive, make

from lithoscope.errors import LithoscopeError
from lithoscope.geo import distance_azimuth
from lithoscope.pipeline import RunResult, RunSettings, check, load_settings, run

SERIAL = {"engine": {"workers": 1}, "output": {"report": False}}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> SyntheticArchive:
    return make(tmp_path_factory.mktemp("synthetic"))


@pytest.fixture
def data(clean: SyntheticArchive, tmp_path: Path) -> SyntheticArchive:
    shutil.copytree(clean.waveforms, tmp_path / "waveforms")
    shutil.copy(clean.stations, tmp_path / "stations.csv")
    return SyntheticArchive(tmp_path / "waveforms", tmp_path / "stations.csv", clean.events)


def main_job(data: SyntheticArchive, settings: dict | None = None) -> RunResult:
    values = {**SERIAL, **(settings or {})}
    return run(
        [data.waveforms],
        [data.stations],
        data.stations.parent / "run",
        RunSettings.parse(values),
    )


def found(result: RunResult, truth: pd.DataFrame) -> int:
    """Count true events that the catalogue has within 1 s and 5 km."""
    events, n = result.catalog.events, 0
    for event in truth.itertuples():
        close = (events["time"] - event.time).abs() < pd.Timedelta("1s")
        away, _ = distance_azimuth(
            event.longitude, event.latitude, events["longitude"], events["latitude"]
        )
        n += bool((close & (away < 5)).any())
    return n


def test_clean_data_give_the_true_catalogue(data: SyntheticArchive) -> None:
    result = main_job(data)
    assert len(result.catalog.events) == len(data.events)
    assert found(result, data.events) == len(data.events)


def one_file(data: SyntheticArchive) -> Path:
    return sorted(data.waveforms.glob("*.mseed"))[0]


def garbage(data: SyntheticArchive) -> None:
    (data.waveforms / "broken.mseed").write_bytes(b"\x00\x01 not miniSEED" * 40)


def truncated(data: SyntheticArchive) -> None:
    path = one_file(data)
    path.write_bytes(path.read_bytes()[:-700])


def rewrite(data: SyntheticArchive, change: Callable[[obspy.Stream], None], encoding: str) -> None:
    path = one_file(data)
    stream = obspy.read(str(path))
    change(stream)
    stream.write(str(path), format="MSEED", encoding=encoding)


def with_nan(data: SyntheticArchive) -> None:
    def change(stream: obspy.Stream) -> None:
        for trace in stream:
            trace.data = trace.data.astype(np.float32)
            trace.data[1000:1100] = np.nan

    rewrite(data, change, "FLOAT32")


def one_sample(data: SyntheticArchive) -> None:
    def change(stream: obspy.Stream) -> None:
        for trace in stream:
            trace.data = trace.data[:1].copy()

    rewrite(data, change, "INT32")


def duplicates(data: SyntheticArchive) -> None:
    path = one_file(data)
    shutil.copy(path, path.with_name("copy.mseed"))


def in_the_future(data: SyntheticArchive) -> None:
    def change(stream: obspy.Stream) -> None:
        for trace in stream:
            trace.stats.starttime += 20 * 365.25 * 86400

    rewrite(data, change, "STEIM2")


def clock_step(data: SyntheticArchive) -> None:
    def change(stream: obspy.Stream) -> None:
        for trace in list(stream):
            half = len(trace.data) // 2
            second = trace.copy()
            second.data = trace.data[half:].copy()
            second.stats.starttime = trace.stats.starttime + half * trace.stats.delta - 0.25
            trace.data = trace.data[:half].copy()
            stream.append(second)

    rewrite(data, change, "STEIM2")


def dead(data: SyntheticArchive) -> None:
    def change(stream: obspy.Stream) -> None:
        for trace in stream:
            trace.data[:] = 17

    rewrite(data, change, "STEIM2")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (garbage, ("broken.mseed",)),
        (truncated, ()),
        (with_nan, ("NaN",)),
        (one_sample, ("sample",)),
        (duplicates, ("copy.mseed",)),
        (in_the_future, ("future",)),
        (clock_step, ("overlap",)),
        (dead, ("dead",)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_spoilt_file_is_named_and_the_rest_is_used(
    data: SyntheticArchive, spoil: Callable[[SyntheticArchive], None], words: tuple[str, ...]
) -> None:
    spoil(data)
    result = main_job(data)
    problems = result.catalog.problems
    text = (problems["what"] + " " + problems["problem"] + " " + problems["detail"]).str.cat(
        sep=" "
    )
    for word in words:
        assert word.lower() in text.lower(), text
    assert not problems["problem"].str.contains("\n").any()
    assert (problems["action"] != "").all()
    # One of six stations is spoilt: every event is still found by the other five.
    assert found(result, data.events) == len(data.events)


def test_zero_length_file(data: SyntheticArchive) -> None:
    (data.waveforms / "empty.mseed").write_bytes(b"")
    result = main_job(data)
    assert result.catalog.problems["what"].str.contains("empty.mseed").any()
    assert found(result, data.events) == len(data.events)


def edit(data: SyntheticArchive, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    change(pd.read_csv(data.stations)).to_csv(data.stations, index=False)


def test_station_without_coordinates_is_skipped_by_name(data: SyntheticArchive) -> None:
    edit(data, lambda t: t.iloc[1:])
    result = main_job(data)
    row = result.catalog.problems.set_index("what").loc["XX.S000..HH"]
    assert "skipped" in str(row["action"])
    assert found(result, data.events) == len(data.events)


def test_no_station_with_coordinates(data: SyntheticArchive) -> None:
    edit(data, lambda t: t.assign(station="OTHER" + t.index.astype(str)))
    one_line(lambda: main_job(data), "coordinates")


def one_line(action: Callable[[], object], *words: str) -> None:
    with pytest.raises(LithoscopeError) as caught:
        action()
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.assign(latitude=t["latitude"] + 60), ("coordinates", "stations.csv")),
        (lambda t: t.drop(columns="latitude"), ("latitude",)),
    ],
    ids=["out of range", "no latitude"],
)
def test_wrong_station_file_is_refused(data: SyntheticArchive, change, words) -> None:
    edit(data, change)
    one_line(lambda: main_job(data), *words)


def test_negative_gain_is_named_and_gives_no_magnitude(data: SyntheticArchive) -> None:
    edit(data, lambda t: t.assign(gain=[-1e9] + [1e9] * (len(t) - 1)))
    catalog = main_job(data).catalog
    problems = catalog.problems
    assert problems[problems["problem"].str.contains("gain")]["what"].str.contains("S000").any()
    mine = catalog.station_magnitudes[catalog.station_magnitudes["station"] == "XX.S000..HH"]
    assert not mine["used"].any()
    assert (mine["reason"] != "").all()
    assert catalog.station_magnitudes["used"].any()


def test_swapped_coordinates_are_noticed(data: SyntheticArchive) -> None:
    def swap(table: pd.DataFrame) -> pd.DataFrame:
        row = table.index[0]
        lon, lat = table.loc[row, "longitude"], table.loc[row, "latitude"]
        table.loc[row, ["longitude", "latitude"]] = [lat, lon]
        return table

    edit(data, swap)
    try:
        problems = main_job(data).catalog.problems
        text = (problems["what"] + problems["problem"] + problems["detail"]).str.cat(sep=" ")
    except LithoscopeError as error:
        text = str(error)
    assert "swapped" in text


def test_two_stations_at_one_place_are_reported(data: SyntheticArchive) -> None:
    def same(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[1, ["longitude", "latitude"]] = table.loc[0, ["longitude", "latitude"]].to_numpy()
        return table

    edit(data, same)
    problems = main_job(data).catalog.problems
    assert problems["problem"].str.contains("place").any()


def test_velocity_model_with_a_decreasing_depth(data: SyntheticArchive) -> None:
    model = data.stations.with_name("model.csv")
    model.write_text("depth_km,vp_km_s,vs_km_s\n0,5,3\n10,6,3.5\n5,7,4\n")
    one_line(lambda: main_job(data, {"model": {"path": str(model)}}), "model.csv", "line 4", "5")


def test_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[magnitude]\nmin_snrr = 3\n")
    one_line(lambda: load_settings(path), "magnitude.min_snrr", "min_snr")


def test_output_folder_that_cannot_be_written(data: SyntheticArchive) -> None:
    blocker = data.stations.with_name("taken")
    blocker.write_text("")
    one_line(
        lambda: run([data.waveforms], [data.stations], blocker / "run", RunSettings()), "--output"
    )
    assert blocker.read_text() == ""


def test_another_archive_does_not_overwrite_a_run(data: SyntheticArchive, tmp_path: Path) -> None:
    main_job(data)
    before = (tmp_path / "run" / "catalogue.sqlite").read_bytes()
    other = tmp_path / "other"
    shutil.copytree(data.waveforms, other)
    one_line(
        lambda: run([other], [data.stations], tmp_path / "run", RunSettings.parse(SERIAL)),
        "--output",
    )
    assert (tmp_path / "run" / "catalogue.sqlite").read_bytes() == before


def test_disk_full_in_mid_run_loses_nothing(
    data: SyntheticArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = pd.DataFrame.to_parquet, []

    def full(self: pd.DataFrame, path: object, *args: object, **kwargs: object) -> object:
        calls.append(path)
        if len(calls) > 7:
            raise OSError(28, "No space left on device")
        return whole(self, path, *args, **kwargs)

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
    one_line(lambda: main_job(data), "the disk is full", "finished work is kept")
    monkeypatch.undo()
    done = [p for p in (data.stations.parent / "run/work/pick").iterdir()]
    assert len(done) >= 2
    assert not [p for p in done if p.name.startswith(".")]
    assert found(main_job(data), data.events) == len(data.events)


def test_check_says_what_a_run_would_use(data: SyntheticArchive) -> None:
    dead(data)
    edit(data, lambda t: t[t["station"] != "S001"])
    overview, problems = check([data.waveforms], [data.stations], RunSettings())
    assert len(overview) == 6
    text = problems[["what", "problem", "detail"]].astype(str).to_string()
    assert "S001" in text
    assert "dead" in text.lower()
