"""Compiled inner loops of miniSEED: Steim compression (SEED 2.4, appendix B) and CRC-32C.

A Steim frame is 16 big-endian words. Word 0 holds sixteen 2-bit codes, one a word; the first
frame's words 1 and 2 are the first and the last sample. Differences fill the other words, and
the first of them, which belongs to the record before, is ignored by decoders.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

FRAME_BYTES = 64
# Differences in a Steim-2 word: how many, of how many bits, its code and its sub-code.
_COUNTS = np.array([7, 6, 5, 4, 3, 2, 1])
_BITS = np.array([4, 5, 6, 8, 10, 15, 30])
_CODES = np.array([3, 3, 3, 1, 2, 2, 2])
_SUBCODES = np.array([2, 1, 0, 0, 3, 2, 1])


@njit(cache=True)
def _put(out: NDArray[np.uint8], offset: int, value: Any) -> None:
    out[offset] = (value >> 24) & 0xFF
    out[offset + 1] = (value >> 16) & 0xFF
    out[offset + 2] = (value >> 8) & 0xFF
    out[offset + 3] = value & 0xFF


@njit(cache=True)
def _get(data: NDArray[np.uint8], offset: int) -> Any:
    a, b = np.int64(data[offset]), np.int64(data[offset + 1])
    c, d = np.int64(data[offset + 2]), np.int64(data[offset + 3])
    return (a << 24) | (b << 16) | (c << 8) | d


@njit(cache=True)
def _word(data: NDArray[np.uint8], offset: int, little: bool) -> Any:
    value = _get(data, offset)
    if not little:
        return value
    first, second = (value >> 24) | ((value >> 8) & 0xFF00), (value & 0xFF00) << 8
    return first | second | ((value & 0xFF) << 24)


@njit(cache=True)
def _signed(value: Any, bits: int) -> Any:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


@njit(cache=True)
def encode_steim2(samples: NDArray[np.int32], out: NDArray[np.uint8]) -> tuple[int, int]:
    """Fill ``out`` (zeros, a whole number of frames) with as many samples as it takes.

    The first difference is written as 0, so that records do not depend on each other. Returns
    the number of samples written, which may stop before a difference of more than 30 bits, and
    the number of frames used.
    """
    n = samples.size
    done = 0
    frames = 0
    for frame in range(out.size // 64):
        base = frame * 64
        codes = 0
        frames = frame + 1
        for word in range(3 if frame == 0 else 1, 16):
            picked = -1
            for kind in range(7):
                count, bits = _COUNTS[kind], _BITS[kind]
                if done + count > n:
                    continue
                low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
                fits = True
                for k in range(done, done + count):
                    step = np.int64(samples[k]) - np.int64(samples[k - 1]) if k > 0 else 0
                    if step < low or step > high:
                        fits = False
                        break
                if fits:
                    picked = kind
                    break
            if picked < 0:
                break
            count, bits = _COUNTS[picked], _BITS[picked]
            value = np.int64(_SUBCODES[picked]) << 30
            if _CODES[picked] == 1:
                value = np.int64(0)
            for k in range(count):
                i = done + k
                step = np.int64(samples[i]) - np.int64(samples[i - 1]) if i > 0 else np.int64(0)
                value |= (step & ((1 << bits) - 1)) << (bits * (count - 1 - k))
            _put(out, base + 4 * word, value)
            codes |= _CODES[picked] << (30 - 2 * word)
            done += count
        _put(out, base, codes)
        if done == n or codes == 0:
            break
        if picked < 0:
            break
    if done > 0:
        _put(out, 4, np.int64(samples[0]) & 0xFFFFFFFF)
        _put(out, 8, np.int64(samples[done - 1]) & 0xFFFFFFFF)
    return done, frames


@njit(cache=True)
def decode_steim(
    data: NDArray[np.uint8], out: NDArray[np.int32], version: int, little: bool
) -> int:
    """Fill ``out`` from Steim frames; return the samples found, or -1 if the last one disagrees.

    A result below ``out.size`` means that the frames end too early. ``little`` tells of frames
    whose words (in Steim 1 also half words) have their bytes swapped, but not their 8-bit values.
    """
    n = out.size
    done = 0
    value: Any = np.int64(0)
    for frame in range(data.size // 64):
        base = frame * 64
        codes = _word(data, base, little)
        for word in range(3 if frame == 0 else 1, 16):
            code = (codes >> (30 - 2 * word)) & 3
            if code == 0:
                continue
            packed = _word(data, base + 4 * word, little and code != 1)
            if little and version == 1 and code == 2:
                packed = ((packed & 0xFFFF) << 16) | (packed >> 16)
            count, bits = _layout(code, packed >> 30, version)
            if count == 0:
                return done
            for k in range(count):
                step = _signed(packed >> (bits * (count - 1 - k)), bits)
                value = value + step if done > 0 else _signed(_word(data, base + 4, little), 32)
                out[done] = np.int32(_signed(value, 32))
                done += 1
                if done == n:
                    return done if out[n - 1] == _signed(_word(data, 8, little), 32) else -1
    return done


@njit(cache=True)
def _layout(code: Any, sub: Any, version: int) -> tuple[int, int]:
    """Return how many differences of how many bits a word holds; (0, 0) if undefined."""
    if code == 1:
        return 4, 8
    if version == 1:
        return (2, 16) if code == 2 else (1, 32)
    if code == 2:
        if sub == 1:
            return 1, 30
        if sub == 2:
            return 2, 15
        return (3, 10) if sub == 3 else (0, 0)
    if sub == 0:
        return 5, 6
    if sub == 1:
        return 6, 5
    return (7, 4) if sub == 2 else (0, 0)


def _crc_table() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1)
    return table.astype(np.uint32)


_CRC_TABLE = _crc_table()


@njit(cache=True)
def _crc32c(data: NDArray[np.uint8], table: NDArray[np.uint32]) -> Any:
    crc = np.uint32(0xFFFFFFFF)
    for byte in data:
        crc = table[(crc ^ byte) & np.uint32(0xFF)] ^ (crc >> np.uint32(8))
    return crc ^ np.uint32(0xFFFFFFFF)


def crc32c(data: Any) -> int:
    """Return the CRC-32C (Castagnoli) of bytes, as miniSEED 3 uses it."""
    return int(_crc32c(np.frombuffer(data, np.uint8), _CRC_TABLE))
