"""Packets from the queue to the spool, and what they change."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import groupby

from lithoscope.constants import NS_PER_S
from lithoscope.pipeline.live.health import ChannelSignal, Problems
from lithoscope.pipeline.live.intake import Item, NetworkClock
from lithoscope.pipeline.live.picks import PickBoard
from lithoscope.pipeline.live.spool import Spool
from lithoscope.pipeline.settings import RunSettings
from lithoscope.waveforms.archive import COMPONENTS
from lithoscope.waveforms.seedlink import Packet


class Receiver:
    """Takes packets in: refuses, drops, spools, and says which stations have news.

    Parameters
    ----------
    spool, board, problems
        What takes note of packets.
    settings
        Which channels count, and the lateness window.
    names
        Of the sources, by number.
    marks
        How far each source has been read; kept up to date.

    Attributes
    ----------
    pending
        Packets that wait to be written; they stay until they are.
    onsets
        Stations whose newest packets may hold an onset.
    clock
        Of what has been spooled.
    """

    def __init__(
        self,
        spool: Spool,
        board: PickBoard,
        settings: RunSettings,
        problems: Problems,
        names: Sequence[str],
        marks: dict[str, dict[str, int]],
    ) -> None:
        self.spool = spool
        self.board = board
        self.waveforms, self.live = settings.waveforms, settings.live
        self.problems = problems
        self.names = list(names)
        self.marks = marks
        self.moved = False
        self.pending: list[Item] = []
        self.onsets: set[str] = set()
        self.signals: dict[str, ChannelSignal] = {}
        self.clock = NetworkClock()
        self._reasons: dict[tuple[str, float], str] = {}
        self.n_packets = self.n_late = self.n_doubled = self.n_refused = 0

    def counts(self) -> dict[str, int]:
        """Return how many packets were taken, and how many not."""
        return {
            "n_packets": self.n_packets,
            "n_doubled": self.n_doubled,
            "n_late": self.n_late,
            "n_refused": self.n_refused,
        }

    def receive(self) -> None:
        """Write the packets that wait to the spool, and take note of what they change.

        Raises
        ------
        StorageError
            If the disk refuses; the packets then stay in ``pending``.
        """
        if not self.pending:
            return
        good = [item.packet for item in self.pending if self._is_good(item.packet)]
        before = self.n_packets
        for code, fresh in groupby(self.spool.append(good), key=lambda p: p.code):
            self._note(code, list(fresh))
        self.n_doubled += len(good) - (self.n_packets - before)
        for item in self.pending:
            key, value = item.mark
            self.marks.setdefault(self.names[item.source], {})[key] = value
        self.moved = True
        self.pending = []

    def _is_good(self, packet: Packet) -> bool:
        """Return whether a packet is wanted and in time; report why not."""
        key = packet.code, packet.sampling_rate_hz
        if key not in self._reasons:
            self._reasons[key] = self._refusal(packet)
        reason = self._reasons[key]
        if reason:
            self.n_refused += 1
            moment = packet.starttime_ns
            self.problems.say(packet.code, reason, "not for picking", "skipped", moment)
            return False
        lag_s = (self.clock.now_ns - packet.endtime_ns) / NS_PER_S
        if lag_s > self.live.lateness_s:
            self.n_late += 1
            limit = self.live.lateness_s
            detail = f"{lag_s:.0f} s behind the network; live.lateness_s = {limit:g}"
            self.problems.say(packet.code, "too late", detail, "dropped", self.clock.now_ns)
            return False
        return True

    def _refusal(self, packet: Packet) -> str:
        """Return why a packet can be of no use to a picker, empty if it can."""
        code = packet.code
        if packet.channel[-1:] not in COMPONENTS:
            return "component unknown"
        if packet.sampling_rate_hz < self.waveforms.minimum_sampling_rate_hz:
            return "sampling rate too low"
        included = any(fnmatchcase(code, p) for p in self.waveforms.include)
        excluded = any(fnmatchcase(code, p) for p in self.waveforms.exclude)
        return "" if included and not excluded else "not selected"

    def _note(self, code: str, packets: list[Packet]) -> None:
        """Take note of packets of one channel that are in the spool."""
        self.n_packets += len(packets)
        station = code[:-1]
        self.clock.see(station, max(p.endtime_ns for p in packets))
        self.board.touched(station, packets)
        if self.signals.setdefault(code, ChannelSignal()).add(packets):
            self.onsets.add(station)
