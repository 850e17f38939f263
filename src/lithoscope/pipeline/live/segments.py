"""One file of the spool: its gap-free pieces and its single records, small once it is old."""

from __future__ import annotations

import errno
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError
from lithoscope.waveforms.record import offset_ns
from lithoscope.waveforms.seedlink import Packet, decode, encode_records
from lithoscope.waveforms.seedlink.packet import record_length

# Records that begin within this part of a sample of the end of the one before are one piece, as
# for the readers of miniSEED (half a sample); nearer to that limit the file is indexed by them.
_ON_TIME = 0.4
_MS3 = b"MS\x03"
_KEY = struct.Struct(">qqI")
_PIECE = struct.Struct("qdqq")


@dataclass(slots=True)
class Piece:
    """Gap-free records of one file."""

    start_ns: int
    rate_hz: float
    n_samples: int
    last_ns: int  # of the last record's last sample, as its header says

    @property
    def end_ns(self) -> int:
        return self.start_ns + offset_ns(self.n_samples - 1, self.rate_hz)


class Segment:
    """One file of one channel; a day of a station has hundreds of them.

    Parameters
    ----------
    folder
        Of its channel.
    begin_s
        First possible moment (s since 1970), its name.
    records
        `record_key` of each record, sorted, to find doubles; None if it is old.
    """

    __slots__ = ("_begin_s", "_folder", "_pieces", "records")

    def __init__(self, folder: str, begin_s: int, records: list[bytes] | None) -> None:
        self._folder = folder
        self._begin_s = begin_s
        self._pieces: list[Piece] | bytes = []
        self.records = records

    @property
    def file(self) -> str:
        return f"{self._folder}/{self._begin_s:012d}.mseed"

    @property
    def path(self) -> Path:
        return Path(self.file)

    @property
    def pieces(self) -> list[Piece]:
        if isinstance(self._pieces, bytes):
            return [Piece(*values) for values in _PIECE.iter_unpack(self._pieces)]
        return self._pieces

    @pieces.setter
    def pieces(self, pieces: list[Piece]) -> None:
        self._pieces = pieces

    def pack(self) -> None:
        """Forget its single records, and make it small, until data are added."""
        self._pieces = b"".join(
            _PIECE.pack(p.start_ns, p.rate_hz, p.n_samples, p.last_ns) for p in self.pieces
        )
        self.records = None

    def open(self) -> list[bytes]:
        """Return the keys of its records, read again if it is old: data may be added."""
        if self.records is None:
            content = self.path.read_bytes()
            self.records = sorted(record_key(decode(raw)) for raw in split_records(content))
            self.pieces = self.pieces
        return self.records

    def first_record(self) -> tuple[int, int]:
        """Return start and end (ns) of the first record; zeros if none is known."""
        return _KEY.unpack(self.records[0])[:2] if self.records else (0, 0)

    def write(self, content: bytes) -> None:
        """Append to the file, all or nothing.

        Raises
        ------
        OSError
            If the disk refuses.
        """
        # Some thousand times a second in a replay: a file object would take twice the time.
        file = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            written = os.write(file, content)
            if written < len(content):
                os.ftruncate(file, os.fstat(file).st_size - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(file)

    def extend(self, packet: Packet) -> bool:
        """Make the last piece longer, or begin one; return False if only a reader can tell."""
        if not self.pieces:
            self.pieces.append(
                Piece(
                    packet.starttime_ns,
                    packet.sampling_rate_hz,
                    packet.n_samples,
                    packet.endtime_ns,
                )
            )
            return True
        last = self.pieces[-1]
        if packet.sampling_rate_hz != last.rate_hz:
            return False
        late = (packet.starttime_ns - last.last_ns) * last.rate_hz / NS_PER_S - 1.0
        if abs(late) > _ON_TIME:
            return False
        last.n_samples += packet.n_samples
        last.last_ns = packet.endtime_ns
        return True


def record_key(packet: Packet) -> bytes:
    """Return start, end and a hash of the samples: equal for the same data sent again.

    Bytes, in the order of time: a day has millions of records, and a tuple takes three times more.
    """
    check = zlib.crc32(packet.samples.tobytes())
    return _KEY.pack(packet.starttime_ns, packet.endtime_ns, check)


def miniseed2(packet: Packet) -> bytes:
    """Return the packet as miniSEED 2, which every reader reads."""
    if packet.raw and packet.raw[:3] != _MS3:
        return packet.raw
    codes = (packet.network, packet.station, packet.location, packet.channel)
    cuts = encode_records(codes, packet.starttime_ns, packet.sampling_rate_hz, packet.samples)
    return b"".join(cut.raw for cut in cuts)


def split_records(content: bytes) -> list[bytes]:
    """Return the whole records of a file; what is no record ends the list."""
    records, at = [], 0
    while len(content) - at >= 64:
        try:
            size = record_length(content[at : at + 512])
        except DataError:
            break
        if size is None or at + size > len(content):
            break
        records.append(content[at : at + size])
        at += size
    return records
