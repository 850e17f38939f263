"""Training data from analysts' picks and recordings, and the commands around datasets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from obspy import Stream, Trace, UTCDateTime
from typer.testing import CliRunner

from lithoscope import schema
from lithoscope.catalog import Catalog, export
from lithoscope.cli import app
from lithoscope.errors import DataError
from lithoscope.learning.datasets import read_dataset
from lithoscope.pipeline.datasets import DatasetSettings, build_dataset, dataset_from_events

START_NS = 1_600_000_000 * 10**9
RATE_HZ = 50.0
#: Onsets (s from the start of the recordings) by event, station and phase.
PICKS = {
    ("e1", "AAA"): {"P": 200.004, "S": 205.5},
    ("e1", "BBB"): {"P": 201.0},
    ("e2", "AAA"): {"P": 240.0, "S": 246.0},
    ("e2", "BBB"): {"P": 330.0, "S": 350.0},  # its recording has a gap between the two
    ("e3", "AAA"): {"P": 420.0, "S": 415.0},
    ("e3", "CCC"): {"P": 400.0},  # not recorded
    ("e4", "AAA"): {"P": 9000.0},  # after the recording's end
}


def record(folder: Path) -> Path:
    """Write 600 s of noise of two stations, each onset marked by a step of its own height."""
    rng = np.random.default_rng(0)
    for station in ("AAA", "BBB"):
        stream = Stream()
        for component in "ZNE":
            values = rng.integers(-5, 6, int(600 * RATE_HZ)).astype(np.int32)
            for (_, code), onsets in PICKS.items():
                for t in onsets.values() if code == station else ():
                    values[int(np.ceil(t * RATE_HZ)) :] += 1000
            header = {
                "network": "XX", "station": station, "location": "", "channel": f"HH{component}",
                "starttime": UTCDateTime(ns=START_NS), "sampling_rate": RATE_HZ,
            }  # fmt: skip
            whole = Trace(values, header)
            pieces = [whole]
            if station == "BBB":
                pieces = [
                    whole.slice(endtime=whole.stats.starttime + 340),
                    whole.slice(starttime=whole.stats.starttime + 341),
                ]
            stream.extend(pieces)
        folder.mkdir(exist_ok=True)
        stream.write(str(folder / f"{station}.mseed"), format="MSEED")
    return folder


def catalogue(code: str = "XX.{}..HH") -> Catalog:
    """Return the events with their picks."""
    picks, arrivals = [], []
    for (event, station), onsets in PICKS.items():
        for phase, t in onsets.items():
            time_ns, name = START_NS + round(t * 1e9), code.format(station)
            time = pd.Timestamp(time_ns, tz="UTC")
            pick = schema.pick_id(name, phase, time_ns)
            base = {"pick_id": pick, "station": name, "phase": phase, "time": time}
            picks.append(base | {"time_sigma_s": 0.05})
            arrivals.append(
                base | {"event_id": event, "distance_km": 12.5, "azimuth_deg": 0.0,
                        "residual_s": 0.0, "weight": 1.0}
            )  # fmt: skip
    events = [
        {
            "event_id": event, "time": pd.Timestamp(START_NS + 10**9 * 100, tz="UTC"),
            "longitude": 10.0, "latitude": 45.0, "depth_km": 5.0, "magnitude": 1.5,
            "magnitude_type": "ML",
        }
        for event in ("e1", "e2", "e3", "e4")
    ]  # fmt: skip
    tables = {"events": events, "picks": picks, "arrivals": arrivals}
    schemas = {"events": schema.EVENTS, "picks": schema.PICKS, "arrivals": schema.ARRIVALS}
    filled = {k: [_filled(schemas[k]) | row for row in rows] for k, rows in tables.items()}
    return Catalog(**{k: schemas[k].table(rows) for k, rows in filled.items()})


def _filled(wanted: schema.Schema) -> dict[str, object]:
    default = {"text": "", "float": np.nan, "integer": 0, "boolean": False, "time": pd.NaT}
    return {c.name: default[c.kind] for c in wanted.columns}


@pytest.fixture(scope="module")
def waveforms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of recordings."""
    return record(tmp_path_factory.mktemp("recordings") / "data")


def check_labels(path: Path, expected: int) -> pd.DataFrame:
    """Check that every label stands at the step in its waveform; return the metadata."""
    data = read_dataset(path)
    n = 0
    for i in range(len(data)):
        for _, sample in data.metadata["labels"][i]:
            at = int(np.ceil(sample - 1e-6))
            rise = data.waveform(i)[:, at] - data.waveform(i)[:, at - 1]
            assert (rise > 900).all()
            n += 1
    assert n == expected
    return data.metadata


def test_traces_around_the_picks(tmp_path: Path, waveforms: Path) -> None:
    settings = DatasetSettings(before_s=20.0, after_s=50.0, noise_per_station=1)
    made = build_dataset(catalogue(), [waveforms], tmp_path / "d", settings, name="mine")
    m = check_labels(tmp_path / "d", 4 + 2 + 1).set_index("trace")
    assert set(m.index) == {
        "e1/XX.AAA..HH", "e2/XX.AAA..HH", "e1/XX.BBB..HH", "noise 0/XX.AAA..HH",
        "noise 0/XX.BBB..HH",
    }  # fmt: skip
    # 20 s before the first pick; the second event stands inside the first one's window too
    assert [p for p, _ in m["labels"]["e1/XX.AAA..HH"]] == ["P", "S", "P", "S"]
    assert m["labels"]["e1/XX.AAA..HH"][0][1] == pytest.approx(20 * RATE_HZ, abs=1.0)
    assert m["n_samples"]["e1/XX.BBB..HH"] == pytest.approx(70 * RATE_HZ, abs=2)
    first = m.loc["e1/XX.AAA..HH"]
    assert (first["event"], first["kind"], first["source"]) == ("e1", "manual", "mine")
    assert (first["magnitude"], first["distance_km"], first["sampling_rate_hz"]) == (1.5, 12.5, 50)
    assert (m["kind"].str.startswith("noise") == m.index.str.startswith("noise")).all()
    noise = m.loc["noise 0/XX.AAA..HH"]
    onsets = [t for (_, s), some in PICKS.items() if s == "AAA" for t in some.values()]
    offset = (noise["starttime"].value - START_NS) / 1e9
    assert all(offset + 70 <= t - 30 or offset >= t + 180 for t in onsets)
    assert dict(zip(made.exclusions["reason"], made.exclusions["n"], strict=True)) == {
        "P not before S": 1,
        "no recordings at that time": 1,
        "a gap at an onset": 1,
        "no recordings of the station": 1,
    }


def test_quakeml_of_another_program(tmp_path: Path, waveforms: Path) -> None:
    """Stations named NET.STA only, as analysts' files often do."""
    (path,) = export(catalogue("XX.{}"), tmp_path / "q.xml", "quakeml")
    dataset_from_events([path], [waveforms], tmp_path / "d", DatasetSettings(after_s=50.0))
    m = check_labels(tmp_path / "d", 4 + 2 + 1)
    assert set(m["station"]) == {"XX.AAA..HH", "XX.BBB..HH"}
    assert set(m["source"]) == {"q"}


def test_nothing_usable_is_an_error(tmp_path: Path, waveforms: Path) -> None:
    whole = catalogue()
    none = Catalog(events=whole.events)
    with pytest.raises(DataError, match="no associated picks"):
        build_dataset(none, [waveforms], tmp_path / "a")
    late = whole.arrivals[whole.arrivals["event_id"] == "e4"].reset_index(drop=True)
    with pytest.raises(DataError, match="no recordings at that time"):
        build_dataset(Catalog(events=whole.events, arrivals=late), [waveforms], tmp_path / "b")


def command(*words: object) -> dict:
    """Run a command with --json and return what it prints."""
    done = CliRunner().invoke(app, [str(w) for w in (*words, "--json")])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_commands_build_show_split_convert_evaluate(tmp_path: Path, waveforms: Path) -> None:
    (quakeml,) = export(catalogue(), tmp_path / "q.xml", "quakeml")
    folder = tmp_path / "d"
    made = command("dataset", "build", folder, "--events", quakeml, "--data", waveforms)
    assert made["traces"] == 3
    assert sum(row["n"] for row in made["left_out"]) == 4
    assert (folder / "split.csv").read_text().startswith("# rule: by station")
    split = command("dataset", "split", folder, "--by", "event", "--seed", 1)
    assert split["notes"][0].startswith("by event")
    parts = pd.read_csv(folder / "metadata.csv")["split"]
    assert set(parts) <= {"train", "dev", "test"}
    shown = command("dataset", "show", folder, "--waveforms")
    assert shown["parts"] == split["parts"]
    copied = command("dataset", "convert", folder, "-o", tmp_path / "copy")
    assert copied["parts"] == split["parts"]
    assert read_dataset(tmp_path / "copy").notes == read_dataset(folder).notes
    scores = command("evaluate", "classical", folder, "--part", "all", "-o", tmp_path / "page")
    assert {row["measure"] for row in scores["scores"]} >= {"precision", "recall", "f1"}
    assert "Scores" in (tmp_path / "page" / "evaluation.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dataset", "build", "x"], "name either --run RUN"),
        (["dataset", "build", "x", "--events", "q.xml"], "needs the recordings"),
        (["dataset", "show", "nowhere"], "does not exist"),
        (["dataset", "split", "nowhere"], "does not exist"),
        (["evaluate", "classical", "nowhere"], "does not exist"),
        (["evaluate", "classical", "nowhere", "--split", "thirds"], "allowed are"),
    ],
)
def test_wrong_use_is_one_line(words: list[str], message: str) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code != 0
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)
