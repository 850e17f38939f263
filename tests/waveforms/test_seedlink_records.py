"""Records: what is written is read back, here and by others, and damage is told, not fatal."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import obspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from obspy import Stream, Trace, UTCDateTime

from lithoscope.errors import DataError
from lithoscope.waveforms.seedlink import decode, encode_records, to_miniseed3
from lithoscope.waveforms.seedlink._codecs import crc32c
from lithoscope.waveforms.seedlink.packet import read_header, record_length
from lithoscope.waveforms.seedlink.records import encode_record, shifted

CODES = ("CI", "CCC", "00", "HHZ")
LIMIT = 2**31
INTEGERS = hnp.arrays(
    np.int32,
    st.integers(1, 500),
    elements=st.one_of(st.integers(-8, 7), st.integers(-600, 600), st.integers(-LIMIT, LIMIT - 1)),
)
# From 1900 to 2200, to the nanosecond.
TIMES = st.integers(-2_208_988_800 * 10**9, 7_258_118_400 * 10**9 - 1)
RATES = st.one_of(
    st.integers(1, 1000).map(float),
    st.sampled_from([0.1, 0.01, 18.2, 33.3, 62.5, 99.5, 1 / 3]),
)
# Compiled code is made on the first call.
QUICK = settings(max_examples=40, deadline=None)


@QUICK
@given(samples=INTEGERS, start_ns=TIMES, rate=RATES, limit=st.sampled_from([None, 1, 100, 333]))
def test_integers_come_back_with_their_times(samples, start_ns, rate, limit):
    cuts = list(encode_records(CODES, start_ns, rate, samples, limit))
    packets = [decode(cut.raw, number) for number, cut in enumerate(cuts)]
    assert all(len(cut.raw) == 512 for cut in cuts)
    assert np.array_equal(np.concatenate([p.samples for p in packets]), samples)
    assert limit is None or max(p.n_samples for p in packets) <= limit
    done = 0
    for packet, cut in zip(packets, cuts, strict=True):
        # Half a microsecond, the resolution of the record; the exact time is rounded to ns.
        assert abs(packet.starttime_ns - start_ns - round(done * 10**9 / rate)) <= 500
        assert packet.starttime_ns == cut.starttime_ns
        assert packet.endtime_ns == cut.endtime_ns
        assert packet.sampling_rate_hz == rate
        done += packet.n_samples
    assert packets[0].code == "CI.CCC.00.HHZ"
    assert packets[-1].sequence == len(cuts) - 1


@QUICK
@given(
    samples=hnp.arrays(
        np.float32, st.integers(1, 400), elements=st.floats(allow_nan=False, width=32)
    )
)
def test_floats_come_back_bit_by_bit(samples):
    cuts = encode_records(CODES, 0, 50.0, samples)
    back = np.concatenate([decode(cut.raw).samples for cut in cuts])
    assert back.dtype == np.float32
    assert back.tobytes() == samples.tobytes()


@QUICK
@given(samples=INTEGERS, micros=st.integers(0, 999_999))
def test_obspy_and_libmseed_read_the_same(samples, micros):
    pymseed = pytest.importorskip("pymseed")
    start_ns = 1_562_259_600 * 10**9 + micros * 1000
    cuts = list(encode_records(CODES, start_ns, 100.0, samples))
    stream = obspy.read(BytesIO(b"".join(cut.raw for cut in cuts)), format="MSEED")
    assert len(stream) == 1
    assert stream[0].id == "CI.CCC.00.HHZ"
    assert stream[0].stats.starttime == UTCDateTime(ns=start_ns)
    assert np.array_equal(stream[0].data, samples)
    for raw in (cuts[-1].raw, to_miniseed3(cuts[-1].raw)):
        other = pymseed.MS3Record.parse(raw, unpack_data=True)
        assert other.sourceid == "FDSN:CI_CCC_00_H_H_Z"
        assert other.starttime == cuts[-1].starttime_ns
        assert np.array_equal(other.datasamples, decode(raw).samples)


@pytest.mark.parametrize("encoding", ["STEIM1", "STEIM2", "INT16", "INT32", "FLOAT32", "FLOAT64"])
@pytest.mark.parametrize("byteorder", [">", "<"])
@pytest.mark.parametrize("length", [256, 512, 4096])
def test_records_written_by_obspy_are_read(encoding, byteorder, length):
    kind = {"INT16": np.int16, "FLOAT32": np.float32, "FLOAT64": np.float64}.get(encoding, np.int32)
    samples = (100 * np.sin(np.arange(3000) / 20)).astype(kind)
    header = {
        **{"network": "GE", "station": "WLF", "location": "", "channel": "BHN"},
        **{"sampling_rate": 20.0, "starttime": UTCDateTime("2020-02-29T23:59:59.987654")},
    }
    file = BytesIO()
    Stream([Trace(samples, header)]).write(
        file, format="MSEED", encoding=encoding, byteorder=byteorder, reclen=length
    )
    raw = file.getvalue()
    assert record_length(raw[:64]) == length
    packets = [decode(raw[i : i + length]) for i in range(0, len(raw), length)]
    assert np.array_equal(np.concatenate([p.samples for p in packets]), samples.astype(np.float32))
    assert packets[0].starttime_ns == header["starttime"].ns
    assert packets[0].code == "GE.WLF..BHN"
    assert {p.sampling_rate_hz for p in packets} == {20.0}


def test_a_rate_that_is_no_ratio_goes_into_blockette_100():
    cut = encode_record(CODES, 0, 99.99987, np.arange(50, dtype=np.int32))
    packet = decode(cut.raw)
    assert packet.sampling_rate_hz == np.float32(99.99987)
    assert np.array_equal(packet.samples, np.arange(50))
    assert obspy.read(BytesIO(cut.raw))[0].stats.sampling_rate == packet.sampling_rate_hz


def test_shifted_records_differ_in_time_only():
    cut = encode_record(CODES, 1_562_259_600_123_456_789, 100.0, np.arange(50, dtype=np.int32))
    later = decode(shifted(cut, -86_400_000_003_000).raw)
    assert later.starttime_ns == decode(cut.raw).starttime_ns - 86_400_000_003_000
    assert np.array_equal(later.samples, np.arange(50))


def test_crc32c_of_the_published_check_value():
    # The check value of CRC-32C in the catalogue of parametrised CRC algorithms (CRC RevEng).
    assert crc32c(b"123456789") == 0xE3069283


@settings(max_examples=150, deadline=None)
@given(
    damage=st.lists(st.tuples(st.integers(0, 511), st.integers(0, 255)), min_size=1, max_size=8),
    version=st.sampled_from([2, 3]),
    cut=st.integers(0, 512),
)
def test_damaged_records_raise_data_errors_only(damage, version, cut):
    samples = np.cumsum(np.tile([3, -200, 90], 60)).astype(np.int32)
    record = encode_record(CODES, 0, 100.0, samples).raw
    raw = bytearray(to_miniseed3(record) if version == 3 else record)
    for place, value in damage:
        raw[place % len(raw)] = value
    for damaged in (bytes(raw), bytes(raw[:cut])):
        try:
            packet = decode(damaged)
        except DataError:
            continue
        assert packet.n_samples > 0


@settings(max_examples=60, deadline=None)
@given(raw=st.binary(max_size=600))
def test_noise_is_no_record(raw):
    with pytest.raises(DataError):
        decode(raw)


def test_a_flipped_bit_in_the_data_is_found():
    raw = bytearray(encode_record(CODES, 0, 100.0, np.arange(500, dtype=np.int32) ** 2).raw)
    raw[200] ^= 4
    with pytest.raises(DataError, match="damaged Steim data"):
        decode(bytes(raw))
    third = bytearray(to_miniseed3(encode_record(CODES, 0, 100.0, np.arange(9, dtype="i4")).raw))
    third[-1] ^= 1
    with pytest.raises(DataError, match="checksum"):
        decode(bytes(third))


def test_text_records_are_no_time_series():
    raw = bytearray(encode_record(CODES, 0, 100.0, np.arange(9, dtype=np.int32)).raw)
    raw[32:36] = bytes(4)  # rate
    with pytest.raises(DataError, match="no time series"):
        read_header(bytes(raw))


@pytest.mark.parametrize("codes", [("CIX", "A", "", "HHZ"), ("CI", "LONGER", "", "HHZ")])
def test_codes_that_do_not_fit_are_refused(codes):
    with pytest.raises(DataError, match="does not fit miniSEED 2"):
        encode_record(codes, 0, 100.0, np.arange(9, dtype=np.int32))
    with pytest.raises(DataError, match="no samples"):
        encode_record(CODES, 0, 100.0, np.empty(0, np.int32))
