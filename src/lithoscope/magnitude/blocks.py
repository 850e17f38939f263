"""Reading long blocks once instead of a short window for every event."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from lithoscope.constants import NS_PER_S
from lithoscope.errors import LithoscopeError
from lithoscope.waveforms import Record

Reader = Callable[[str, int, int], list[Record]]

_BLOCK_NS = 600 * NS_PER_S
_PAD_NS = 150 * NS_PER_S
_MAX_BLOCKS = 128  # about 130 MB at 100 Hz


@dataclass
class BlockReader:
    """Cut windows from blocks of 10 minutes, which are kept until others push them out.

    Blocks lie on fixed times, and a window that does not fit into one is read by itself, so the
    samples are those that ``read`` gives for the window, whatever else is read. So are the flags:
    where a block is clipped, the window is read again to see whether the clipping lies within it.
    """

    read: Reader
    _blocks: OrderedDict[tuple[str, int], list[Record] | LithoscopeError] = field(
        default_factory=OrderedDict
    )

    def __call__(self, station: str, start_ns: int, end_ns: int) -> list[Record]:
        """Return the records of a station in ``[start_ns, end_ns)``.

        Raises
        ------
        LithoscopeError
            As ``read`` raises it.
        """
        number = start_ns // _BLOCK_NS
        if end_ns > (number + 1) * _BLOCK_NS + _PAD_NS:
            return self.read(station, start_ns, end_ns)
        records = self._block(station, number)
        cut = [record.cut(start_ns, end_ns) for record in records]
        cut = [record for record in cut if record.n_samples > 0]
        if any(record.clipped.any() for record in cut):
            return self.read(station, start_ns, end_ns)
        return cut

    def _block(self, station: str, number: int) -> list[Record]:
        key = (station, number)
        if key not in self._blocks:
            start = number * _BLOCK_NS
            try:
                self._blocks[key] = self.read(station, start, start + _BLOCK_NS + _PAD_NS)
            except LithoscopeError as error:
                self._blocks[key] = error
            if len(self._blocks) > _MAX_BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(key)
        block = self._blocks[key]
        if isinstance(block, LithoscopeError):
            raise block
        return block
