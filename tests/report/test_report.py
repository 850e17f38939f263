"""The report: complete, self-contained, safe, the same every time, and quick."""

from __future__ import annotations

import base64
import itertools
import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import report_builder as builder
from lxml import html as lxml_html

from lithoscope.catalog import Catalog, compare
from lithoscope.errors import DataError, StorageError
from lithoscope.report import ReportSettings, write_report
from lithoscope.report.arrivals import station_residuals
from lithoscope.report.maps import round_length
from lithoscope.report.quality import coverage
from lithoscope.report.traces import Window, envelope, filtered, packed
from lithoscope.waveforms.record import Record

VOID = {"meta", "link", "input", "br", "hr", "img", "rect", "path", "circle", "ellipse"}
ANCHORS = [
    "summary", "map", "time", "magnitudes", "records", "events", "wadati", "residuals", "picks",
    "data", "appendix",
]  # fmt: skip


class Checker(HTMLParser):
    """Checks that tags nest, and keeps every element and attribute."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.errors = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.errors.append((tag, self.getpos()))


def checked(text):
    """Return all elements after checks that hold for every report."""
    checker = Checker()
    checker.feed(text)
    assert checker.errors == []
    assert checker.open == []
    ids = [a["id"] for _, a in checker.tags if "id" in a]
    assert len(ids) == len(set(ids)), "an id occurs twice"
    assert not re.search(r"https?://|url\(\s*['\"]?(?!#)|@import|//cdn", text)
    for tag, attributes in checker.tags:
        assert tag not in ("link", "iframe", "object", "embed", "img", "base")
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert "src" not in attributes
        if "href" in attributes:
            assert attributes["href"].startswith("#")
            assert attributes["href"][1:] in ids
        if tag == "svg":
            assert attributes["aria-label"]
    levels = [int(tag[1]) for tag, _ in checker.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert not re.search(r'\s(d|cx|cy|r|rx|ry|x|y|transform|width|height)="[^"]*(nan|inf)', text)
    return checker.tags


def write(path, simulated, **changes):
    """Write a report with everything and return its text."""
    arguments = {
        "title": "Test network",
        "settings": {"picking": {"low_hz": 2.0}, "seed": 1},
        "model": builder.model(),
        "versions": {"lithoscope": "0.1.0"},
        "read": simulated.read,
        "segments": simulated.segments,
    } | changes
    write_report(path, simulated.catalog, **arguments)
    return path.read_text(encoding="utf-8")


def data_of(text):
    """Return the data of the script."""
    return json.loads(re.search(r'id="report-data">(.*?)</script>', text).group(1))


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    simulated = builder.build(40, 8)
    comparison = compare(simulated.catalog.events, builder.reference(simulated.catalog))
    path = tmp_path_factory.mktemp("report") / "report.html"
    settings = ReportSettings(record_sections=10)
    text = write(path, simulated, comparison=comparison, run_time_s=75.0, report_settings=settings)
    return simulated, comparison, text


def test_page_is_whole_and_loads_nothing(full):
    tags = checked(full[2])
    sections = [a["id"] for tag, a in tags if tag == "section"]
    assert sections == [*ANCHORS[:6], "reference", *ANCHORS[6:]]
    policy = next(a["content"] for tag, a in tags if a.get("http-equiv"))
    assert "default-src 'none'" in policy
    headers = [a for tag, a in tags if tag == "th"]
    assert headers
    assert all(a.get("scope") == "col" for a in headers)


def test_numbers_of_the_catalogue_are_on_the_page(full):
    simulated, comparison, text = full
    page = lxml_html.fromstring(text)
    summary = page.get_element_by_id("summary").text_content()
    assert f"{len(simulated.catalog.picks):,}" in summary
    assert f"{len(comparison.matched)} of {len(comparison.matched) + 1}" in summary
    assert "75 s" in summary
    rows = page.get_element_by_id("event-table").xpath("tbody/tr")
    assert len(rows) == 40
    event = simulated.catalog.events.sort_values("time").iloc[5]
    assert f"{event['longitude']:.4f}" in rows[5].text_content()
    ratio = re.search(r"Vp/Vs = ([\d.]+) ± ([\d.]+)", text)
    true = builder.VP / builder.VS
    assert abs(float(ratio.group(1)) - true) < 4 * float(ratio.group(2)) + 5e-4
    assert "12.0 s missing" in text
    assert "picking.low_hz" in text


def test_record_sections_hold_the_right_events_and_picks(full):
    simulated, comparison, text = full
    events = data_of(text)["events"]
    assert len(events) == 10
    new = set(comparison.new["event_id"])
    assert new <= {e["id"] for e in events}
    assert len(new) < 10
    rest = simulated.catalog.events[~simulated.catalog.events["event_id"].isin(new)]
    largest = set(rest.nlargest(10 - len(new), "magnitude")["event_id"])
    assert {e["id"] for e in events} == new | largest
    arrivals = simulated.catalog.arrivals
    for event in events:
        distances = [row["d"] for row in event["rows"]]
        assert distances == sorted(distances)
        assert len(event["rows"]) == 8
        own = arrivals[arrivals["event_id"] == event["id"]]
        assert sum(len(row["p"]) for row in event["rows"]) == len(own)
        for row in event["rows"]:
            assert {q[0] for q in row["q"]} == {"P", "S"}
            for phase, at, _sigma, residual, _weight in row["p"]:
                predicted = next(q[1] for q in row["q"] if q[0] == phase)
                # three numbers rounded to 1 ms
                assert abs(at - residual - predicted) < 2e-3
            assert len(base64.b64decode(row["z"])) == 2 * event["n"]
    vertical_only = [r for e in events for r in e["rows"] if r["s"].startswith("XX.S00")]
    assert all(row["h"] == "" and row["z"] for row in vertical_only)


def test_a_model_that_is_not_the_locations_is_named(tmp_path):
    simulated = builder.build(3, 4)
    words = "are not the ones of the location"
    assert words not in write(tmp_path / "same.html", simulated)
    slow = replace(builder.model(), vp_km_s=np.array([5.5, 8.0]), vs_km_s=np.array([3.0, 4.6]))
    assert words in write(tmp_path / "other.html", simulated, model=slow)


def test_reasons_without_magnitude_are_grouped(tmp_path):
    simulated = builder.build(9, 3, magnitudes=False)
    events = simulated.catalog.events.copy()
    events["magnitude_reason"] = [f"no usable station of {k % 4}" for k in range(9)]
    tables = dict(simulated.catalog.tables()) | {"events": events}
    other = builder.Simulated(Catalog(**tables), simulated.picks_ns, simulated.span_ns)
    assert "no usable station of 0 (9 events)" in write(tmp_path / "few.html", other, read=None)


def test_onset_is_drawn_where_the_pick_is(full):
    _, _, text = full
    event = data_of(text)["events"][0]
    row = next(r for r in event["rows"] if len(r["p"]) == 2 and r["p"][0][4] > 0.5)
    pairs = np.frombuffer(base64.b64decode(row["z"]), np.int8).reshape(-1, 2).astype(float)
    column = (event["to"] - event["from"]) / event["n"]
    onset = int((row["p"][0][1] - event["from"]) / column)
    size = np.abs(pairs).max(axis=1)
    assert size[onset + 2 : onset + 30].max() > 5 * np.median(size[: onset - 2])


def test_same_input_same_bytes(tmp_path, full):
    simulated, comparison, text = full
    again = write(
        tmp_path / "again.html",
        simulated,
        comparison=comparison,
        run_time_s=75.0,
        report_settings=ReportSettings(record_sections=10),
    )
    assert again == text
    shuffled = builder.Simulated(
        Catalog(**{k: t.sample(frac=1, random_state=1) for k, t in simulated.catalog.tables()}),
        simulated.picks_ns,
        simulated.span_ns,
    )
    comparison = compare(shuffled.catalog.events, builder.reference(simulated.catalog))
    other = write(
        tmp_path / "other.html",
        shuffled,
        segments=simulated.segments,
        comparison=comparison,
        run_time_s=75.0,
        report_settings=ReportSettings(record_sections=10),
    )
    assert data_of(other) == data_of(text)


EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&</table>"


def test_nothing_from_the_data_becomes_markup(tmp_path):
    simulated = builder.build(8, 4)
    tables = {name: table.copy() for name, table in simulated.catalog.tables()}
    for name, column in (
        ("events", "magnitude_reason"), ("events", "event_type"), ("problems", "detail"),
        ("problems", "what"), ("problems", "action"), ("events", "magnitude_type"),
    ):  # fmt: skip
        tables[name][column] = EVIL
    tables["problems"]["problem"] = EVIL
    rename = {"XX.S01..HH": f"XX.S01{EVIL}..HH"}
    for name in ("stations", "arrivals", "picks"):
        tables[name]["station"] = tables[name]["station"].replace(rename)
    for name in ("events", "arrivals"):
        tables[name]["event_id"] = tables[name]["event_id"] + EVIL
    catalog = Catalog(**tables)
    evil = builder.Simulated(catalog, simulated.picks_ns, simulated.span_ns)
    reference = builder.reference(catalog).assign(event_id=lambda t: t["event_id"] + EVIL)
    text = write(
        tmp_path / "evil.html",
        evil,
        title=EVIL,
        settings={EVIL: EVIL},
        versions={EVIL: EVIL},
        comparison=compare(catalog.events, reference),
    )
    tags = checked(text)
    assert [tag for tag, _ in tags].count("script") == 2
    assert "<img" not in text
    assert EVIL not in text
    assert any(EVIL in event["id"] for event in data_of(text)["events"])


@pytest.mark.parametrize("n_events", [0, 1, 2])
def test_few_events(tmp_path, n_events):
    simulated = builder.build(2, 4)
    keep = set(simulated.catalog.events["event_id"][:n_events])
    tables = dict(simulated.catalog.tables())
    for name in ("events", "arrivals"):
        tables[name] = tables[name][tables[name]["event_id"].isin(keep)]
    small = builder.Simulated(Catalog(**tables), simulated.picks_ns, simulated.span_ns)
    text = write(tmp_path / "few.html", small)
    checked(text)
    assert len(data_of(text)["events"]) == n_events
    if n_events == 0:
        assert "No event was found in these data." in text
        assert "Picks per station" in text
    else:
        assert "a magnitude of completeness needs at least 30" in text


def test_entirely_empty_catalogue(tmp_path):
    write_report(tmp_path / "empty.html", Catalog(), title="Nothing", settings={})
    text = (tmp_path / "empty.html").read_text()
    checked(text)
    assert "There are no picks." in text


def test_no_magnitudes_says_why(tmp_path):
    simulated = builder.build(35, 4, magnitudes=False)
    text = write(tmp_path / "none.html", simulated, read=None, segments=None)
    checked(text)
    assert "no channel has a response (35 events)" in text
    assert "The recordings were not at hand" in text


def test_missing_values_everywhere(tmp_path):
    simulated = builder.build(12, 5)
    tables = {name: table.copy() for name, table in simulated.catalog.tables()}
    optional = [
        "ellipse_95_major_km", "ellipse_68_major_km", "depth_68_low_km", "rms_s", "depth_sigma_km",
        "magnitude_sigma", "azimuthal_gap_deg", "time_sigma_s", "nearest_station_km",
    ]  # fmt: skip
    tables["events"].loc[::2, optional] = np.nan
    tables["events"].loc[1, ["depth_km", "magnitude"]] = np.nan
    tables["arrivals"].loc[::3, ["residual_s", "distance_km", "azimuth_deg"]] = np.nan
    tables["picks"].loc[::3, ["probability", "time_sigma_s"]] = np.nan
    tables["stations"] = tables["stations"].iloc[1:]
    damaged = builder.Simulated(Catalog(**tables), simulated.picks_ns, simulated.span_ns)
    checked(write(tmp_path / "nan.html", damaged, segments=None))
    tables["events"][[*optional, "magnitude"]] = np.nan
    damaged = builder.Simulated(Catalog(**tables), simulated.picks_ns, simulated.span_ns)
    text = write(tmp_path / "nan.html", damaged, segments=None, model=None)
    checked(text)
    assert "The catalogue has no error ellipses." in text


def test_reader_that_fails_leaves_a_row_without_data(tmp_path):
    simulated = builder.build(3, 4)

    def read(station, start_ns, end_ns):
        if station == "XX.S02..HH":
            raise DataError("cannot read XX.S02..HH: file truncated")
        return simulated.read(station, start_ns, end_ns) if station != "XX.S03..HH" else []

    text = write(tmp_path / "fails.html", simulated, read=read)
    for event in data_of(text)["events"]:
        empty = {row["s"] for row in event["rows"] if not row["z"]}
        assert empty == {"XX.S02..HH", "XX.S03..HH"}


def test_many_events_stay_small_and_quick(tmp_path):
    """1,000 events in under 15 CPU seconds and 4 MB without the traces: 5,000 fit their limits."""
    simulated = builder.build(1000, 12, hours=48)
    comparison = compare(simulated.catalog.events, builder.reference(simulated.catalog))
    windows = []

    def read(station, start_ns, end_ns):
        windows.append((end_ns - start_ns) / 1e9)
        return simulated.read(station, start_ns, end_ns)

    settings = ReportSettings(record_sections=8, record_section_size_mb=0.2)
    started = time.process_time()
    text = write(
        tmp_path / "many.html",
        simulated,
        comparison=comparison,
        read=read,
        report_settings=settings,
    )
    assert time.process_time() - started < 15
    assert len(text) < 4e6
    assert len(windows) == 8 * 12
    assert max(windows) < 60  # windows only, never the whole archive
    assert "8 of 1000 events" in text


def test_disk_errors_are_one_line(tmp_path):
    (tmp_path / "no").write_text("")
    with pytest.raises(StorageError, match="choose another place") as error:
        write_report(tmp_path / "no" / "folder.html", Catalog(), title="x", settings={})
    assert "\n" not in str(error.value)


def test_envelope_keeps_extremes_gaps_and_moments():
    rng = np.random.default_rng(1)
    data = np.zeros((3, 5000), np.float32)
    data[0] = rng.normal(0, 0.01, 5000)
    data[0, 3210] = 7.0
    mask = np.array([True, False, False])
    record = Record("X.Y..HH", 10**18, 100.0, data, mask, ("", "", ""), np.zeros(3, bool))
    gap = record.cut(10**18 + 20 * 10**9, 10**18 + 10**11)
    # below 0.4 x 100 Hz nothing is left of this band, so the trace only loses its mean
    flat = (100.0, 200.0)
    found = envelope([gap], Window(10**18, 10**18 + 50 * 10**9, 500), "z", np.nan, flat)
    assert np.isnan(found[:, :200]).all()
    assert np.isfinite(found[:, 200:]).all()
    assert np.argmax(np.nan_to_num(found[1], nan=-1)) == 321
    assert found[1, 321] == pytest.approx(7.0, abs=0.01)
    assert envelope([gap], Window(10**18, 2 * 10**18, 5), "h", 0.0, flat).shape == (2, 5)
    sparse = envelope([record], Window(10**18, 10**18 + 10**9, 400), "z", np.nan, flat)
    assert np.isfinite(sparse[:, 1:]).all(), "columns between samples are no gaps"


def test_packed_marks_gaps_and_uses_the_full_range():
    values = np.array([[np.nan, -0.5, 0.0], [np.nan, 0.25, 1.0]])
    raw = np.frombuffer(base64.b64decode(packed(values)), np.int8).tolist()
    assert raw == [-128, -128, -64, 32, 0, 127]
    assert packed(np.full((2, 4), np.nan)) == ""
    assert packed(np.zeros((2, 4))) == ""


def test_filter_is_causal_and_passes_its_band():
    rate, n = 100.0, 4000
    t = np.arange(n) / rate
    burst = np.where(t >= 20, np.sin(2 * np.pi * 6 * (t - 20)), 0.0) + 1000.0
    out = filtered(burst, rate, 2.0, 20.0)
    assert np.abs(out[1990:2000]).max() < 1e-6 * np.abs(out).max()
    assert np.abs(out[3000:]).max() == pytest.approx(1.0, abs=0.05)


def test_coverage_joins_pieces_and_keeps_gaps():
    segments = pd.DataFrame(
        [("A", 0, 10**9), ("A", 10**9 + 10**7, 3 * 10**9), ("A", 9 * 10**9, 10**10), ("B", 5, 6)],
        columns=["station", "starttime_ns", "endtime_ns"],
    ).assign(sampling_rate_hz=100.0)
    found = coverage(segments)
    assert found["A"].tolist() == [[0, 3 * 10**9], [9 * 10**9, 10**10]]
    assert found["B"].tolist() == [[5, 6]]


def test_station_residuals_by_hand():
    arrivals = builder.build(1, 1).catalog.arrivals.iloc[[0] * 4].reset_index(drop=True)
    arrivals["phase"] = "P"
    arrivals["residual_s"] = [0.1, 0.2, 0.4, 3.0]
    arrivals["weight"] = [1.0, 0.9, 0.8, 0.1]
    row = station_residuals(arrivals).iloc[0]
    assert (row["n"], row["n_outliers"]) == (3, 1)
    assert row["median_s"] == pytest.approx(0.2)
    assert row["spread_s"] == pytest.approx(1.4826 * 0.1)


def test_scale_bar_is_round():
    for longest, length in ((9.9, 5.0), (20.0, 20.0), (0.07, 0.05), (333.0, 200.0)):
        assert round_length(longest) == pytest.approx(length)
