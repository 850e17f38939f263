"""An archive cut into packets: every sample once, at its time, in the order of a network."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from obspy import Stream, Trace, UTCDateTime, read

from lithoscope.errors import ConfigError
from lithoscope.waveforms import index_archive
from lithoscope.waveforms.seedlink import cutting, decode
from lithoscope.waveforms.seedlink.cutting import ArchiveCutter

START = UTCDateTime("2020-01-01T00:00:00.003")


def trace(code, samples, start=START, rate=50.0):
    network, station, location, channel = code.split(".")
    header = {
        **{"network": network, "station": station, "location": location, "channel": channel},
        **{"starttime": start, "sampling_rate": rate},
    }
    return Trace(np.asarray(samples), header)


def walk(seed, n):
    return np.cumsum(np.random.default_rng(seed).integers(-99, 99, n)).astype(np.int32)


@pytest.fixture
def archive(tmp_path):
    """Channels one after another in one file, a gap, floats in SAC, a slow channel."""
    Stream(
        [
            trace("XX.A..HHZ", walk(1, 6_000)),
            trace("XX.A..HHN", walk(2, 3_000)),
            trace("XX.A..HHN", walk(3, 2_000), START + 80),
        ]
    ).write(tmp_path / "a.mseed", format="MSEED", reclen=512)
    trace("XX.B.00.HHZ", walk(4, 1_600).astype(np.float32), START + 30, 20.0).write(
        str(tmp_path / "b.sac"), format="SAC"
    )
    trace("XX.C..LHZ", walk(5, 100), START + 3, 1.0).write(
        str(tmp_path / "c.mseed"), format="MSEED", reclen=4096
    )
    (tmp_path / "note.txt").write_text("no waveform")
    return index_archive(tmp_path)


def joined(cuts):
    """Return the pieces of each channel as (start_ns, samples), put together where they touch."""
    pieces = defaultdict(list)
    for packet in sorted((decode(c.raw) for c in cuts), key=lambda p: p.starttime_ns):
        own = pieces[packet.code]
        step_ns = 1e9 / packet.sampling_rate_hz
        # Both ends are rounded to microseconds.
        if own and abs(packet.starttime_ns - own[-1][2] - step_ns) <= 1001:
            own[-1][1].append(packet.samples)
            own[-1][2] = packet.endtime_ns
        else:
            own.append([packet.starttime_ns, [packet.samples], packet.endtime_ns])
    return {c: [(p[0], np.concatenate(p[1])) for p in own] for c, own in pieces.items()}


@pytest.mark.parametrize("packet_s", [None, 1.0, 0.2])
@pytest.mark.parametrize("chunk", [(60.0, 6 * 3600.0), (17.0, 17.0)])
def test_every_sample_is_sent_once_in_order(archive, packet_s, chunk, monkeypatch):
    monkeypatch.setattr(cutting, "_CHUNK_S", chunk)
    cutter = ArchiveCutter(archive, packet_s=packet_s)
    cuts = list(cutter)
    ends = [c.endtime_ns for c in cuts]
    assert ends == sorted(ends)
    got = joined(cuts)
    expected = {
        "XX.A..HHZ": [(START, walk(1, 6_000))],
        "XX.A..HHN": [(START, walk(2, 3_000)), (START + 80, walk(3, 2_000))],
        "XX.B.00.HHZ": [(START + 30, walk(4, 1_600).astype(np.float32))],
        "XX.C..LHZ": [(START + 3, walk(5, 100))],
    }
    assert set(got) == set(expected)
    for code, pieces in expected.items():
        assert len(got[code]) == len(pieces), code
        for (start_ns, samples), (start, values) in zip(got[code], pieces, strict=True):
            assert start_ns == start.ns
            assert samples.dtype == values.dtype
            assert np.array_equal(samples, values)
    assert not cutter.problems
    if packet_s is not None:
        assert all(c.n_samples <= max(1, packet_s * c.sampling_rate_hz) for c in cuts)


def test_packets_do_not_depend_on_what_is_read_at_once(archive, monkeypatch):
    whole = [c.raw for c in ArchiveCutter(archive, packet_s=None)]
    monkeypatch.setattr(cutting, "_CHUNK_S", (23.0, 23.0))
    assert [c.raw for c in ArchiveCutter(archive, packet_s=None)] == whole


def test_a_part_of_the_time(archive):
    first, last = (START + 50).ns, (START + 90).ns
    cuts = list(ArchiveCutter(archive, start_ns=first, end_ns=last, packet_s=1.0))
    assert min(c.starttime_ns for c in cuts) == first
    got = joined(cuts)
    assert np.array_equal(got["XX.A..HHZ"][0][1], walk(1, 6_000)[2500:4500])
    assert np.array_equal(got["XX.C..LHZ"][0][1], walk(5, 100)[47:87])
    with pytest.raises(ConfigError, match="the archive has 2020-01-01"):
        ArchiveCutter(archive, start_ns=(START + 10_000).ns)


def test_what_cannot_be_sent_is_told(archive, tmp_path):
    trace("XX.MUCHTOOLONG..HHZ", walk(6, 200)).write(str(tmp_path / "long.sac"), format="SAC")
    trace("XX.E..HHZ", walk(7, 200)).write(str(tmp_path / "e.mseed"), format="MSEED")
    archive = index_archive(tmp_path)
    (tmp_path / "e.mseed").unlink()
    cutter = ArchiveCutter(archive)
    cuts = list(cutter)
    assert len({c.code for c in cuts}) == 4
    assert sorted(p.split(":")[0] for p in cutter.problems) == ["XX.MUCHTOOL..HHZ", "e.mseed"]


def test_real_recordings_come_back(real_data):
    path = real_data("continuous/ridgecrest_2019") / "waveforms" / "CI.CLC.mseed"
    archive = index_archive(path)
    end_ns = archive.span_ns()[0] + 600 * 10**9
    got = joined(ArchiveCutter(archive, end_ns=end_ns, packet_s=1.0))
    stream = read(path, format="MSEED")
    assert set(got) == {t.id for t in stream}
    for own in stream:
        start_ns, samples = got[own.id][0]
        assert start_ns == own.stats.starttime.ns
        assert np.array_equal(samples, own.data[: samples.size])
        assert abs(samples.size - 600 * own.stats.sampling_rate) <= 1
