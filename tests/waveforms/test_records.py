"""Files to records: nothing lost, nothing moved, whatever the files and the window."""

from __future__ import annotations

import pickle
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miniseed_files import START_NS, make_trace, noise, save

from lithoscope.errors import DataError
from lithoscope.waveforms import WaveformSettings, index_archive, read_records

STEP_NS = 10_000_000  # 100 Hz
STATION = "XX.AAA..HH"


def same(a, b) -> bool:
    return (
        a.starttime_ns == b.starttime_ns
        and a.channels == b.channels
        and np.array_equal(a.mask, b.mask)
        and np.array_equal(a.data, b.data)
    )


def test_samples_and_times_are_those_of_the_file(three):
    folder, data = three
    archive = index_archive(folder)
    records, problems = read_records(archive, STATION)
    assert archive.stations() == [STATION]
    assert archive.span_ns() == (START_NS, START_NS + 5999 * STEP_NS)
    assert len(records) == 1
    assert len(problems) == 0
    record = records[0]
    assert record.data.dtype == np.float32
    assert np.array_equal(record.data, data)
    assert record.mask.all()
    assert record.channels == ("XX.AAA..HHZ", "XX.AAA..HHN", "XX.AAA..HHE")
    assert record.starttime_ns == START_NS
    assert record.endtime_ns == START_NS + 5999 * STEP_NS
    assert np.array_equal(record.times_ns(), START_NS + STEP_NS * np.arange(6000))


@pytest.mark.parametrize("window", [(None, None), (700, 2500)])
def test_a_file_that_grew_since_it_was_indexed_gives_what_was_indexed(tmp_path, window):
    """A watch reads files that it is writing: longer at the end, and with gaps that were filled."""
    values = noise(4000)

    def write(*parts):
        traces = [
            make_trace("XX.AAA..HHZ", values[a:b], start_ns=START_NS + a * STEP_NS)
            for a, b in parts
        ]
        save(tmp_path / "a.mseed", traces, reclen=512)

    write((0, 1000), (1200, 3000))
    archive = index_archive(tmp_path)
    span = [None if k is None else START_NS + k * STEP_NS for k in window]
    before, _ = read_records(archive, STATION, *span)
    write((0, 4000))
    after, problems = read_records(archive, STATION, *span)
    assert len(before) == len(after) == 2
    assert all(map(same, before, after))
    assert len(problems) == 0


def test_24_bit_extremes_survive(tmp_path):
    values = noise(5000)
    values[[100, 200]] = 2**23 - 1, -(2**23)
    save(tmp_path / "a.mseed", [make_trace("XX.AAA..HHZ", values)])
    records, _ = read_records(index_archive(tmp_path), STATION)
    assert np.array_equal(records[0].data[0].astype(np.int64), values)


def test_values_beyond_24_bits_are_reported(tmp_path):
    values = noise(5000) + 2**26
    save(tmp_path / "a.mseed", [make_trace("XX.AAA..HHZ", values)])
    records, problems = read_records(index_archive(tmp_path), STATION)
    assert "large values" in set(problems["problem"])
    assert np.abs(records[0].data[0] - values).max() <= 4  # half of float32's spacing at 2^26


def test_index_and_archive_can_be_pickled(three):
    archive = pickle.loads(pickle.dumps(index_archive(three[0])))
    assert read_records(archive, STATION)[0][0].n_samples == 6000


pieces = st.lists(st.integers(1, 2999), min_size=0, max_size=6, unique=True)


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.tuples(pieces, pieces, pieces),
    overlap=st.integers(0, 200),
    order=st.randoms(use_true_random=False),
    together=st.booleans(),
)
def test_cutting_files_elsewhere_changes_no_record(cuts, overlap, order, together):
    """Any cut of the same data into (agreeing, overlapping) files gives the same records."""
    gaps = {"Z": (1000, 1200), "N": (900, 1100), "E": (2000, 2001)}
    with tempfile.TemporaryDirectory() as name:
        whole, cut = Path(name) / "whole", Path(name) / "cut"
        traces = []
        for seed, (component, inner) in enumerate(zip("ZNE", cuts, strict=True)):
            values = noise(3000, seed)
            # Components whose clocks differ by a part of a sample.
            start_ns = START_NS + 3_000_000 * seed
            low, high = gaps[component]
            parts = []
            for a, b in ((0, low), (high, 3000)):
                save(
                    whole / f"{component}{a}.mseed",
                    [
                        make_trace(
                            f"XX.AAA..HH{component}", values[a:b], start_ns=start_ns + a * STEP_NS
                        )
                    ],
                )
                edges = sorted({a, b, *(c for c in inner if a < c < b)})
                for first, last in pairwise(edges):
                    first = max(first - overlap, a)
                    if last - first > 1:
                        parts.append((first, last))
            # A piece of one sample is refused, so a cut that would leave one is taken together.
            covered = np.zeros(3000, bool)
            for first, last in parts:
                covered[first:last] = True
            for a, b in ((0, low), (high, 3000)):
                if not covered[a:b].all():
                    parts.append((a, b))
            traces += [
                make_trace(f"XX.AAA..HH{component}", values[a:b], start_ns=start_ns + a * STEP_NS)
                for a, b in parts
            ]
        order.shuffle(traces)
        if together:
            save(cut / "all.mseed", traces)
        else:
            for number, trace in enumerate(traces):
                save(cut / f"{number}.mseed", [trace])
        expected, _ = read_records(index_archive(whole), STATION)
        found, problems = read_records(index_archive(cut), STATION)
        assert "overlap disagrees" not in set(problems["problem"])
        assert len(found) == len(expected) >= 4
        assert all(same(a, b) for a, b in zip(found, expected, strict=True))


@settings(max_examples=30, deadline=None)
@given(start=st.integers(-500, 7000), length=st.integers(0, 7000), fraction=st.integers(1, 9))
def test_a_window_is_a_cut_of_the_whole(window_archive, start, length, fraction):
    """Gap, flat stretch, clock step and another sampling rate: a window changes no sample."""
    archive, whole = window_archive
    a = START_NS + start * STEP_NS + fraction * 1_000_000
    b = a + length * STEP_NS
    found, _ = read_records(archive, STATION, a, b, settings=WaveformSettings(flat_s=3.0))
    expected = [r for r in (w.cut(a, b) for w in whole) if r.n_samples > 1]
    assert len(found) == len(expected)
    for left, right in zip(found, expected, strict=True):
        assert abs(left.starttime_ns - right.starttime_ns) <= 1
        assert left.channels == right.channels
        assert left.sampling_rate_hz == right.sampling_rate_hz
        assert np.array_equal(left.data, right.data)


@pytest.fixture(scope="module")
def window_archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("window")
    z, n, e = noise(6000, 1), noise(6000, 2), noise(3000, 3)
    n[1500:2100] = 7  # dead for 6 s
    traces = [
        make_trace("XX.AAA..HHZ", z[:4000]),
        # The clock jumps back by 2 s: what overlaps disagrees.
        make_trace("XX.AAA..HHZ", z[4000:], start_ns=START_NS + 3800 * STEP_NS),
        make_trace("XX.AAA..HHN", n[:2500]),
        make_trace("XX.AAA..HHN", n[2800:], start_ns=START_NS + 2800 * STEP_NS),
        make_trace("XX.AAA..HHE", e, rate_hz=50.0),
    ]
    for number, trace in enumerate(traces):
        save(folder / f"{number}.mseed", [trace])
    archive = index_archive(folder)
    return archive, read_records(archive, STATION, settings=WaveformSettings(flat_s=3.0))[0]


def test_the_window_archive_has_what_it_should(window_archive):
    _, whole = window_archive
    assert len(whole) >= 5
    assert {tuple(r.mask) for r in whole} >= {(True, True, True), (True, False, True)}
    assert {r.sampling_rate_hz for r in whole} == {100.0}


def test_jitter_below_half_a_sample_is_joined(tmp_path):
    values = noise(3000)
    starts = [0, 1000 * STEP_NS + 4_000_000, 2000 * STEP_NS - 4_000_000]
    for k, start in enumerate(starts):
        part = make_trace(
            "XX.AAA..HHZ", values[1000 * k : 1000 * (k + 1)], start_ns=START_NS + start
        )
        save(tmp_path / f"{k}.mseed", [part])
    archive = index_archive(tmp_path)
    records, _ = read_records(archive, STATION)
    assert len(records) == 1
    assert np.array_equal(records[0].data[0], values)
    assert "time jitter" in set(archive.problems["problem"])


def test_a_step_of_more_than_half_a_sample_is_a_gap(tmp_path):
    values = noise(2000)
    late = START_NS + 1000 * STEP_NS + 7_000_000
    save(tmp_path / "a.mseed", [make_trace("XX.AAA..HHZ", values[:1000])])
    save(tmp_path / "b.mseed", [make_trace("XX.AAA..HHZ", values[1000:], start_ns=late)])
    archive = index_archive(tmp_path)
    records, _ = read_records(archive, STATION)
    assert [r.starttime_ns for r in records] == [START_NS, late]
    assert list(archive.problems["problem"]) == ["gap"]


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_overlap_that_disagrees_keeps_the_earlier_and_starts_a_new_record(tmp_path, names):
    first, second = noise(2000, 1), noise(2000, 2)
    back = START_NS + 1500 * STEP_NS
    save(tmp_path / f"{names[0]}.mseed", [make_trace("XX.AAA..HHZ", first)])
    save(tmp_path / f"{names[1]}.mseed", [make_trace("XX.AAA..HHZ", second, start_ns=back)])
    records, problems = read_records(index_archive(tmp_path), STATION)
    assert [r.n_samples for r in records] == [2000, 1500]
    assert np.array_equal(records[0].data[0], first)
    assert np.array_equal(records[1].data[0], second[500:])
    row = problems[problems["problem"] == "overlap disagrees"].iloc[0]
    assert "earlier-starting piece kept" in row["action"]


def test_a_clock_step_by_part_of_a_sample_goes_on_with_its_own_times(tmp_path):
    first, second = noise(2000, 1), noise(2000, 2)
    back = START_NS + 1500 * STEP_NS + 3_000_000
    save(tmp_path / "a.mseed", [make_trace("XX.AAA..HHZ", first)])
    save(tmp_path / "b.mseed", [make_trace("XX.AAA..HHZ", second, start_ns=back)])
    archive = index_archive(tmp_path)
    records, _ = read_records(archive, STATION)
    assert list(archive.problems["problem"]) == ["clock step"]
    assert [r.starttime_ns for r in records] == [START_NS, back + 500 * STEP_NS]
    assert np.array_equal(records[0].data[0], first)
    assert np.array_equal(records[1].data[0], second[500:])


def test_another_sampling_rate_begins_a_new_record(tmp_path):
    later = START_NS + 20 * 10**9
    save(tmp_path / "a.mseed", [make_trace("XX.AAA..HHZ", noise(1000), rate_hz=50.0)])
    save(tmp_path / "b.mseed", [make_trace("XX.AAA..HHZ", noise(1000), start_ns=later)])
    inside = make_trace("XX.AAA..HHZ", noise(100), start_ns=later + 10**9, rate_hz=20.0)
    save(tmp_path / "c.mseed", [inside])
    archive = index_archive(tmp_path)
    records, _ = read_records(archive, STATION)
    assert [(r.n_samples, r.sampling_rate_hz) for r in records] == [(1000, 50.0), (1000, 100.0)]
    found = set(archive.problems["problem"])
    assert found == {"two sampling rates", "sampling rate changes"}


def test_a_copy_inside_a_longer_piece_changes_nothing(tmp_path):
    values = noise(3000)
    save(tmp_path / "a.mseed", [make_trace("XX.AAA..HHZ", values)])
    inner = make_trace("XX.AAA..HHZ", values[500:900], start_ns=START_NS + 500 * STEP_NS)
    save(tmp_path / "b.mseed", [inner])
    records, problems = read_records(index_archive(tmp_path), STATION)
    assert len(records) == 1
    assert np.array_equal(records[0].data[0], values)
    assert len(problems) == 0


def test_bands_of_one_site_are_stations_of_their_own(tmp_path):
    for code in ("HHZ", "HNZ", "HNN"):
        save(tmp_path / f"{code}.mseed", [make_trace(f"XX.AAA.00.{code}", noise(500))])
    archive = index_archive(tmp_path)
    assert archive.stations() == ["XX.AAA.00.HH", "XX.AAA.00.HN"]
    records, _ = read_records(archive, "XX.AAA.00.HN")
    assert records[0].mask.tolist() == [True, True, False]
    assert not records[0].data[2].any()


def test_channels_can_be_chosen(three):
    archive = index_archive(three[0], WaveformSettings(include=("*.HHZ", "*.HHN"), exclude=("*N",)))
    assert archive.channels(STATION) == ["XX.AAA..HHZ"]


def test_cut_is_half_open(three):
    record = read_records(index_archive(three[0]), STATION)[0][0]
    piece = record.cut(START_NS + 10 * STEP_NS, START_NS + 20 * STEP_NS)
    assert piece.starttime_ns == START_NS + 10 * STEP_NS
    assert np.array_equal(piece.data, record.data[:, 10:20])
    assert record.cut(START_NS - 5, START_NS).n_samples == 0
    with pytest.raises(DataError, match="must not be before"):
        record.cut(START_NS, START_NS - 1)


def test_digest_follows_content_not_paths(three, tmp_path_factory):
    folder, data = three
    window = (STATION, START_NS, START_NS + 10**9)
    archive = index_archive(folder)
    key = archive.digest(*window)
    moved = tmp_path_factory.mktemp("moved")
    for number, path in enumerate(sorted(folder.glob("*.mseed"))):
        (moved / f"other{number}.ms").write_bytes(path.read_bytes())
    assert index_archive(moved).digest(*window) == key
    late = make_trace("XX.AAA..HHZ", noise(100), start_ns=START_NS + 100 * 10**9)
    save(moved / "later.mseed", [late])
    assert index_archive(moved).digest(*window) == key
    changed = data[0].astype(np.int32)
    changed[3000] += 1
    save(folder / "Z.mseed", [make_trace("XX.AAA..HHZ", changed)])
    assert index_archive(folder).digest(*window) != key


def test_unknown_station_names_the_known_ones(three):
    with pytest.raises(DataError, match=r"'XX\.B\.\.HH' is not in the data; there are XX\.AAA"):
        read_records(index_archive(three[0]), "XX.B..HH")


def test_a_slow_component_is_put_on_the_verticals_samples(tmp_path):
    """10 Hz sine recorded at 50 Hz comes out at 100 Hz; error below the filter's 80 dB."""
    t = np.arange(6000) / 100.0
    wave = 1e5 * np.sin(2 * np.pi * 10.0 * t)
    save(tmp_path / "z.mseed", [make_trace("XX.AAA..HHZ", noise(6000))])
    slow = make_trace("XX.AAA..HHN", np.rint(wave[::2]).astype(np.int32), rate_hz=50.0)
    save(tmp_path / "n.mseed", [slow])
    records, _ = read_records(index_archive(tmp_path), STATION)
    record = max(records, key=lambda r: r.n_samples)
    assert record.mask.tolist() == [True, True, False]
    error = record.data[1, 500:5000] - wave[500:5000]
    assert np.abs(error).max() < 1e5 * 1e-4 + 1.0  # 80 dB, and rounding to counts
