"""One miniSEED record as it arrives: header, samples and bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError
from lithoscope.waveforms._files import read_quietly
from lithoscope.waveforms.record import offset_ns
from lithoscope.waveforms.seedlink._codecs import crc32c, decode_steim

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STEIM1, STEIM2 = 10, 11
INT16, INT32, FLOAT32, FLOAT64 = 1, 3, 4, 5
_PLAIN = {INT16: "i2", INT32: "i4", FLOAT32: "f4", FLOAT64: "f8"}
_MAX_SAMPLES = 1 << 24  # more than this in one record is a damaged header


@dataclass(frozen=True, slots=True, eq=False)
class Packet:
    """One record of one channel.

    Attributes
    ----------
    network, station, location, channel
        Codes; an empty location is ``""``.
    sequence
        Sequence number of the server, -1 if it does not come from one.
    starttime_ns
        First sample, integer nanoseconds since 1970 UTC.
    sampling_rate_hz
        Samples per second.
    samples
        int32 or float32 ``(n,)``, counts.
    raw
        The miniSEED record.
    """

    network: str
    station: str
    location: str
    channel: str
    sequence: int
    starttime_ns: int
    sampling_rate_hz: float
    samples: NDArray[Any]
    raw: bytes

    @property
    def code(self) -> str:
        """``NET.STA.LOC.CHA``."""
        return f"{self.network}.{self.station}.{self.location}.{self.channel}"

    @property
    def station_id(self) -> str:
        """``NET_STA``, what SeedLink calls the station."""
        return f"{self.network}_{self.station}"

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return int(self.samples.size)

    @property
    def endtime_ns(self) -> int:
        """Time of the last sample."""
        return self.starttime_ns + offset_ns(self.n_samples - 1, self.sampling_rate_hz)


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a record says; ``payload`` are the first and last byte of its data."""

    codes: tuple[str, str, str, str]
    starttime_ns: int
    sampling_rate_hz: float
    n_samples: int
    encoding: int
    order: str
    version: int
    payload: tuple[int, int]
    length: int


def record_length(start: bytes) -> int | None:
    """Return the length of the miniSEED record that begins so, None if these bytes do not tell.

    64 bytes are enough for miniSEED 3 and for every usual miniSEED 2 record.

    Raises
    ------
    DataError
        If this is no miniSEED record.
    """
    if start[:3] == b"MS\x03":
        if len(start) < 40:
            return None
        extra, payload = struct.unpack_from("<HI", start, 34)
        return 40 + start[33] + int(extra) + int(payload)
    order = _order(start)
    for kind, offset in _blockettes(start, order):
        if kind == 1000 and offset + 7 <= len(start):
            return 1 << start[offset + 6]
    return None


def read_header(raw: bytes) -> Header:
    """Read the header of a miniSEED 2 or 3 record.

    Raises
    ------
    DataError
        If it is damaged, or is no record of a time series.
    """
    try:
        header = _header3(raw) if raw[:2] == b"MS" else _header2(raw)
    except (struct.error, UnicodeDecodeError, ValueError, OverflowError, IndexError) as error:
        raise DataError(f"damaged miniSEED header ({error})") from None
    if not 0 < header.sampling_rate_hz < 1e6 or not 0 < header.n_samples <= _MAX_SAMPLES:
        raise DataError(
            f"{'.'.join(header.codes)}: a record of {header.n_samples} samples at "
            f"{header.sampling_rate_hz:g} Hz is no time series"
        )
    return header


def decode(raw: bytes, sequence: int = -1) -> Packet:
    """Decode one miniSEED 2 or 3 record.

    Steim 1 and 2, 16- and 32-bit integers and floats are decoded here; other encodings by ObsPy.

    Parameters
    ----------
    raw
        Exactly one record.
    sequence
        Sequence number to put on the packet.

    Raises
    ------
    DataError
        If the record is damaged (header, checksum, too few samples, a last sample that is not
        the one its header promises) or holds no time series.
    """
    header = read_header(raw)
    samples = _samples(raw, header)
    if samples.dtype != np.int32:
        samples = samples.astype(np.float32 if samples.dtype.kind == "f" else np.int32)
    return Packet(
        *header.codes, sequence, header.starttime_ns, header.sampling_rate_hz, samples, bytes(raw)
    )


def _samples(raw: bytes, header: Header) -> NDArray[Any]:
    first, last = header.payload
    data = np.frombuffer(raw, np.uint8)[first:last]
    code = ".".join(header.codes)
    if header.encoding in (STEIM1, STEIM2):
        out = np.empty(header.n_samples, np.int32)
        little = header.version == 2 and header.order == "<"  # always big-endian in version 3
        found = decode_steim(data, out, header.encoding - 9, little)
        if found != header.n_samples:
            reason = "last sample disagrees" if found < 0 else f"only {found} samples"
            raise DataError(f"{code}: damaged Steim data ({reason} of {header.n_samples})")
        return out
    if header.encoding in _PLAIN:
        kind = np.dtype(header.order + _PLAIN[header.encoding])
        if data.size < header.n_samples * kind.itemsize:
            raise DataError(f"{code}: the record is too short for {header.n_samples} samples")
        values = data[: header.n_samples * kind.itemsize].view(kind)
        return values.astype(kind.newbyteorder("="))
    stream, _ = read_quietly(BytesIO(raw), format="MSEED")
    if len(stream) != 1 or stream[0].data.dtype.kind not in "if":
        raise DataError(f"{code}: encoding {header.encoding} holds no numbers")
    return np.asarray(stream[0].data)


def _order(raw: bytes) -> str:
    """Return the byte order of a miniSEED 2 header from its year."""
    if len(raw) < 48 or raw[6:7] not in (b"D", b"R", b"Q", b"M"):
        raise DataError("no miniSEED record")
    for order in "><":
        year, day = struct.unpack_from(order + "HH", raw, 20)
        if 1900 <= year <= 2200 and 1 <= day <= 366:
            return order
    raise DataError("damaged miniSEED header (no date)")


def _blockettes(raw: bytes, order: str) -> list[tuple[int, int]]:
    """Return type and offset of the blockettes; a chain that does not move on ends there."""
    found = []
    offset = struct.unpack_from(order + "H", raw, 46)[0]
    previous = 47
    while offset > previous and offset + 4 <= len(raw):
        kind, following = struct.unpack_from(order + "HH", raw, offset)
        found.append((kind, offset))
        previous, offset = offset, following
    return found


def _header2(raw: bytes) -> Header:
    order = _order(raw)
    station, location, channel, network = (
        raw[a:b].decode("ascii").strip(" \x00") for a, b in ((8, 13), (13, 15), (15, 18), (18, 20))
    )
    year, day, hour, minute, second, fraction = struct.unpack_from(order + "HHBBBxH", raw, 20)
    n_samples, factor, multiplier, activity = struct.unpack_from(order + "HhhB", raw, 30)
    correction, data_offset = struct.unpack_from(order + "iH", raw, 40)
    start_ns = _time_ns(year, day, hour, minute, second) + fraction * 100_000
    if correction and not activity & 2:
        start_ns += correction * 100_000
    rate = _rate(factor, multiplier)
    encoding, length, data_order = -1, len(raw), ">"
    for kind, offset in _blockettes(raw, order):
        if kind == 1000:
            encoding, data_order = raw[offset + 4], ">" if raw[offset + 5] else "<"
            length = 1 << raw[offset + 6]
        elif kind == 1001:
            start_ns += struct.unpack_from("b", raw, offset + 5)[0] * 1000
        elif kind == 100:
            rate = float(struct.unpack_from(order + "f", raw, offset + 4)[0])
    if encoding < 0:
        raise DataError("miniSEED record without blockette 1000")
    if length > len(raw):
        raise DataError(f"miniSEED record of {length} bytes cut off after {len(raw)}")
    codes = (network, station, "" if location == "--" else location, channel)
    return Header(
        codes, start_ns, rate, n_samples, encoding, data_order, 2, (data_offset, length), length
    )


def _header3(raw: bytes) -> Header:
    nanosecond, year, day, hour, minute, second, encoding, rate, n_samples, checksum = (
        struct.unpack_from("<IHHBBBBdII", raw, 4)
    )
    id_length, extra, payload = struct.unpack_from("<xBHI", raw, 32)
    first = 40 + id_length + extra
    length = first + payload
    if raw[2] != 3 or length > len(raw):
        raise DataError(f"miniSEED 3 record of {length} bytes cut off after {len(raw)}")
    if crc32c(raw[:28] + b"\0\0\0\0" + raw[32:length]) != checksum:
        raise DataError("miniSEED 3 record with a wrong checksum")
    start_ns = _time_ns(year, day, hour, minute, second) + nanosecond
    rate_hz = rate if rate >= 0 else -1.0 / rate
    codes = _codes(raw[40 : 40 + id_length].decode("ascii"))
    return Header(codes, start_ns, rate_hz, n_samples, encoding, "<", 3, (first, length), length)


def _codes(identifier: str) -> tuple[str, str, str, str]:
    """Split an FDSN source identifier ``FDSN:NET_STA_LOC_B_S_SS``."""
    parts = identifier.removeprefix("FDSN:").split("_")
    if not identifier.startswith("FDSN:") or len(parts) != 6:
        raise DataError(f"'{identifier}' is no FDSN source identifier")
    network, station, location, *channel = parts
    joined = "".join(channel) if all(len(c) == 1 for c in channel) else "_".join(channel)
    return network, station, location, joined


def _time_ns(year: int, day: int, hour: int, minute: int, second: int) -> int:
    if not 1 <= day <= 366 or hour > 23 or minute > 59 or second > 60:
        raise DataError(f"damaged miniSEED time {year},{day},{hour}:{minute}:{second}")
    days = (datetime(year, 1, 1, tzinfo=UTC) - _EPOCH + timedelta(days=day - 1)).days
    return ((days * 24 + hour) * 60 + minute) * 60 * NS_PER_S + second * NS_PER_S


def _rate(factor: int, multiplier: int) -> float:
    """Return samples per second from factor and multiplier (SEED 2.4, chapter 8)."""
    if factor == 0 or multiplier == 0:
        return 0.0
    top = (factor if factor > 0 else 1) * (multiplier if multiplier > 0 else 1)
    below = (-factor if factor < 0 else 1) * (-multiplier if multiplier < 0 else 1)
    return top / below
