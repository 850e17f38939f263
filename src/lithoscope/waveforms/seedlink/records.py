"""Write samples as miniSEED records: version 2 of 512 bytes, and the same record in version 3."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError
from lithoscope.waveforms.record import offset_ns
from lithoscope.waveforms.seedlink._codecs import FRAME_BYTES, crc32c, encode_steim2
from lithoscope.waveforms.seedlink.packet import FLOAT32, INT32, STEIM2, Header, read_header

RECORD_BYTES = 512
_LENGTH_EXPONENT = 9
_MAX_FACTOR = 32767  # the header's factor and multiplier are 16-bit integers
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cut:
    """One record to be sent, with what its header says.

    Attributes
    ----------
    codes
        Network, station, location, channel.
    starttime_ns, endtime_ns
        First and last sample, ns since 1970.
    sampling_rate_hz, n_samples
        Samples per second, and how many.
    raw
        The record.
    """

    codes: tuple[str, str, str, str]
    starttime_ns: int
    endtime_ns: int
    sampling_rate_hz: float
    n_samples: int
    raw: bytes

    @property
    def code(self) -> str:
        """``NET.STA.LOC.CHA``."""
        return ".".join(self.codes)

    @property
    def station_id(self) -> str:
        """``NET_STA``."""
        return f"{self.codes[0]}_{self.codes[1]}"


def whole_numbers(samples: NDArray[Any]) -> NDArray[Any]:
    """Return samples as int32 if they are integers that fit, otherwise as float32."""
    if samples.dtype.kind in "iu":
        small = samples.size == 0 or (samples.min() >= -(2**31) and samples.max() < 2**31)
        return samples.astype(np.int32 if small else np.float32)
    return samples.astype(np.float32)


def encode_record(
    codes: tuple[str, str, str, str],
    starttime_ns: int,
    sampling_rate_hz: float,
    samples: NDArray[Any],
    sequence: int = 1,
) -> Cut:
    """Write as many of the first samples into one 512-byte miniSEED 2 record as it takes.

    Integers are compressed (Steim 2), or plain where that holds fewer; floats are float32.
    The time is rounded to microseconds (blockette 1001). A rate that is no ratio of small
    integers goes into blockette 100, which rounds it to 24 bits.

    Parameters
    ----------
    codes
        Network (2 letters at most), station (5), location (2), channel (3).
    starttime_ns
        Time of the first sample, ns since 1970.
    sampling_rate_hz
        Samples per second.
    samples
        int32 or float32 ``(n,)``, n at least 1.
    sequence
        Number in the header, 1 to 999999.

    Raises
    ------
    DataError
        For codes that miniSEED 2 cannot hold, or no samples.
    """
    if samples.size == 0:
        raise DataError(f"{'.'.join(codes)}: no samples to write")
    header, offset = _header(codes, starttime_ns, sampling_rate_hz, sequence)
    payload, n, encoding = _payload(samples, RECORD_BYTES - offset)
    struct.pack_into(">H", header, 30, n)
    header[52] = encoding
    start_ns = _micros(starttime_ns) * 1000
    end_ns = start_ns + offset_ns(n - 1, sampling_rate_hz)
    return Cut(codes, start_ns, end_ns, sampling_rate_hz, n, bytes(header) + payload)


def encode_records(
    codes: tuple[str, str, str, str],
    starttime_ns: int,
    sampling_rate_hz: float,
    samples: NDArray[Any],
    max_samples: int | None = None,
) -> Iterator[Cut]:
    """Write all samples, ``max_samples`` a record at most; parameters as in `encode_record`."""
    samples = whole_numbers(samples)
    done = 0
    while done < samples.size:
        part = samples[done:] if max_samples is None else samples[done : done + max_samples]
        start_ns = starttime_ns + offset_ns(done, sampling_rate_hz)
        yield (cut := encode_record(codes, start_ns, sampling_rate_hz, part))
        done += cut.n_samples


def shifted(cut: Cut, shift_ns: int) -> Cut:
    """Return a record with another time; the shift is rounded to microseconds."""
    shift_ns = _micros(shift_ns) * 1000
    raw = bytearray(cut.raw)
    _put_time(raw, cut.starttime_ns + shift_ns)
    return replace(
        cut,
        starttime_ns=cut.starttime_ns + shift_ns,
        endtime_ns=cut.endtime_ns + shift_ns,
        raw=bytes(raw),
    )


def to_miniseed3(raw: bytes) -> bytes:
    """Return a miniSEED 2 record as miniSEED 3: same samples, time, rate and encoding.

    Raises
    ------
    DataError
        If it is no miniSEED 2 record of a time series in an encoding that version 3 has.
    """
    header = read_header(raw)
    if header.version == 3:
        return bytes(raw)
    payload = _payload3(raw, header)
    network, station, location, channel = header.codes
    sid = f"FDSN:{network}_{station}_{location}_{'_'.join(channel)}".encode("ascii")
    seconds, nanosecond = divmod(header.starttime_ns, NS_PER_S)
    time = _EPOCH + timedelta(seconds=seconds)
    fields = (nanosecond, time.year, time.timetuple().tm_yday, time.hour, time.minute, time.second)
    fixed = struct.pack(
        "<3sBIHHBBBBdIIBBHI",
        *(b"MS\x03", 0, *fields, header.encoding, header.sampling_rate_hz, header.n_samples),
        *(0, 4 if raw[6:7] == b"Q" else 1, len(sid), 0, len(payload)),
    )
    record = fixed + sid + payload
    return record[:28] + struct.pack("<I", crc32c(record)) + record[32:]


def _payload3(raw: bytes, header: Header) -> bytes:
    """Return the data of a miniSEED 2 record as version 3 holds it: frames used, little-endian."""
    first, last = header.payload
    data = raw[first:last]
    if header.encoding == STEIM2 or header.encoding == 10:
        frames = len(data) // FRAME_BYTES
        while frames > 1 and not any(data[(frames - 1) * FRAME_BYTES : frames * FRAME_BYTES]):
            frames -= 1
        return data[: frames * FRAME_BYTES]
    kinds = {INT32: "i4", FLOAT32: "f4", 5: "f8", 1: "i2"}
    if header.encoding not in kinds:
        raise DataError(f"encoding {header.encoding} cannot be written as miniSEED 3")
    kind = np.dtype(header.order + kinds[header.encoding])
    values = np.frombuffer(data, kind, header.n_samples)
    return values.astype(kind.newbyteorder("<")).tobytes()


def _payload(samples: NDArray[Any], room: int) -> tuple[bytes, int, int]:
    """Return data that fill the record, how many samples they hold, and their encoding."""
    plain = min(room // 4, samples.size)
    if samples.dtype == np.float32:
        data, n, encoding = samples[:plain].astype(">f4").tobytes(), plain, FLOAT32
    else:
        frames = np.zeros(room // FRAME_BYTES * FRAME_BYTES, np.uint8)
        n, _ = encode_steim2(np.ascontiguousarray(samples, np.int32), frames)
        data, encoding = frames.tobytes(), STEIM2
        if n < plain:
            data, n, encoding = samples[:plain].astype(">i4").tobytes(), plain, INT32
    return data.ljust(room, b"\0"), n, encoding


def _header(
    codes: tuple[str, str, str, str], starttime_ns: int, rate_hz: float, sequence: int
) -> tuple[bytearray, int]:
    """Return everything before the data, without number of samples and encoding."""
    network, station, location, channel = codes
    for text, size in zip(codes, (2, 5, 2, 3), strict=True):
        if len(text) > size or not text.isascii():
            raise DataError(f"{'.'.join(codes)}: '{text}' does not fit miniSEED 2 ({size} letters)")
    factor, multiplier, extra_rate = _factors(rate_hz)
    blockettes = 3 if extra_rate else 2
    offset = 128 if extra_rate else 64
    header = bytearray(offset)
    identity = f"{sequence:06d}D {station:<5}{location:<2}{channel:<3}{network:<2}"
    header[:20] = identity.encode("ascii")
    fields = (0, factor, multiplier, 0, 0, 0, blockettes, 0, offset, 48)
    struct.pack_into(">HhhBBBBiHH", header, 30, *fields)
    struct.pack_into(">HHBBBx", header, 48, 1000, 56, 0, 1, _LENGTH_EXPONENT)
    frames = (RECORD_BYTES - offset) // FRAME_BYTES
    struct.pack_into(">HHBbxB", header, 56, 1001, 64 if extra_rate else 0, 100, 0, frames)
    _put_time(header, starttime_ns)
    if extra_rate:
        struct.pack_into(">HHfBxxx", header, 64, 100, 0, rate_hz, 0)
    return header, offset


def _micros(time_ns: int) -> int:
    """Return the nearest microsecond, in integers: a float does not hold ns since 1970."""
    return (time_ns + 500) // 1000


def _put_time(header: bytearray, starttime_ns: int) -> None:
    """Write a time: tenths of milliseconds, and the -50 to 49 us left in blockette 1001."""
    tenths, micros = divmod(_micros(starttime_ns) + 50, 100)
    seconds, fraction = divmod(tenths, 10_000)
    time = _EPOCH + timedelta(seconds=seconds)
    fields = (time.year, time.timetuple().tm_yday, time.hour, time.minute, time.second, fraction)
    struct.pack_into(">HHBBBxH", header, 20, *fields)
    struct.pack_into("b", header, 61, micros - 50)


def _factors(rate_hz: float) -> tuple[int, int, bool]:
    """Return the header's factor and multiplier, and whether blockette 100 must give the rate."""
    ratio = Fraction(rate_hz).limit_denominator(_MAX_FACTOR)
    top, below = ratio.numerator, ratio.denominator
    if 0 < top <= _MAX_FACTOR and top / below == rate_hz:
        return (top, 1, False) if below == 1 else (top, -below, False)
    if rate_hz >= 1:
        return min(round(rate_hz), _MAX_FACTOR), 1, True
    return -min(round(1 / rate_hz), _MAX_FACTOR), 1, True
