"""Sets of times as sorted lists of spans [start, end), ns since 1970."""

from __future__ import annotations

from collections.abc import Iterable

Span = tuple[int, int]


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the spans sorted, those that touch or overlap as one; empty ones are left out."""
    out: list[Span] = []
    for start, end in sorted(spans):
        if end <= start:
            continue
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out


def without(spans: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """Return the parts of the spans that lie in none of the others."""
    out: list[Span] = []
    cuts = merged(others)
    for start, end in merged(spans):
        for low, high in cuts:
            if high <= start or low >= end:
                continue
            if low > start:
                out.append((start, low))
            start = min(high, end)
        if start < end:
            out.append((start, end))
    return out


def total(spans: Iterable[Span]) -> int:
    """Return the length of all spans, ns."""
    return sum(end - start for start, end in merged(spans))
