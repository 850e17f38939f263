"""Where training examples come from: labelled traces, continuous records, synthetics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lithoscope.errors import DataError
from lithoscope.learning.training.examples import Example, crop


class Source(Protocol):
    """Draws windows."""

    @property
    def name(self) -> str:
        """What logs call it."""
        ...

    def draw(self, rng: np.random.Generator, n: int) -> Example:
        """Return a window of n samples at 100 Hz."""
        ...


@dataclass(frozen=True)
class TraceSource:
    """Windows around the onsets of short labelled traces.

    Attributes
    ----------
    name
        For logs.
    examples
        Whole traces with their labels.
    """

    name: str
    examples: Sequence[Example]

    def draw(self, rng: np.random.Generator, n: int) -> Example:
        """Return a window that holds one of the trace's onsets, or any where it has none."""
        one = self.examples[int(rng.integers(len(self.examples)))]
        begin, end = one.span
        if len(one.picks) and rng.random() < 0.95:
            at = int(one.picks[rng.integers(len(one.picks)), 1])
            start = at - int(rng.uniform(0.05, 0.95) * n)
        else:
            start = int(rng.integers(min(begin, end - n), max(begin, end - n) + 1))
        return crop(one, start, n)


@dataclass(frozen=True)
class RecordSource:
    """Windows of long records with soft labels; noise as often as it is asked for.

    Attributes
    ----------
    name
        For logs.
    records
        Records with the picks of a teacher.
    share_of_picks
        Share of the windows that hold one of the picks.
    """

    name: str
    records: Sequence[Example]
    share_of_picks: float = 0.75

    def draw(self, rng: np.random.Generator, n: int) -> Example:
        """Return a window around a pick, or anywhere."""
        sizes = np.array([r.n_samples for r in self.records], float)
        if rng.random() < self.share_of_picks:
            counts = np.array([r.picks[:, 2].sum() for r in self.records])
            if counts.sum() > 0:
                one = self.records[int(rng.choice(len(counts), p=counts / counts.sum()))]
                weight = one.picks[:, 2] / one.picks[:, 2].sum()
                at = int(one.picks[rng.choice(len(weight), p=weight), 1])
                return crop(one, at - int(rng.uniform(0.05, 0.95) * n), n)
        one = self.records[int(rng.choice(len(sizes), p=sizes / sizes.sum()))]
        return crop(one, int(rng.integers(max(one.n_samples - n, 0) + 1)), n)

    def noise(self, rng: np.random.Generator, n: int) -> NDArray[np.float32] | None:
        """Return ``(3, n)`` of a three-component record without picks, None if none was found."""
        for _ in range(8):
            one = self.records[int(rng.integers(len(self.records)))]
            if not one.mask.all() or one.n_samples < n:
                continue
            start = int(rng.integers(one.n_samples - n + 1))
            picks = one.picks[:, 1]
            if not ((picks > start - 3000) & (picks < start + n)).any():
                return one.data[:, start : start + n]
        return None


@dataclass(frozen=True)
class MadeSource:
    """Windows of examples that a function makes; a pool is made once and drawn from.

    Attributes
    ----------
    name
        For logs.
    pool
        The examples.
    """

    name: str
    pool: Sequence[Example]

    @classmethod
    def make(
        cls,
        name: str,
        make: Callable[[np.random.Generator, int], list[Example]],
        n: int,
        seed: int,
    ) -> MadeSource:
        """Fill a pool of n examples from the function, in batches of 200."""
        rng = np.random.default_rng(seed)
        pool: list[Example] = []
        while len(pool) < n:
            pool += make(rng, min(200, n - len(pool)))
        return cls(name, pool)

    def draw(self, rng: np.random.Generator, n: int) -> Example:
        """Return a window from anywhere in an example of the pool."""
        one = self.pool[int(rng.integers(len(self.pool)))]
        room = one.n_samples - n
        return crop(one, int(rng.integers(min(room, 0), max(room, 0) + 1)), n)


@dataclass(frozen=True)
class Mixture:
    """Sources and how often each is drawn.

    Attributes
    ----------
    sources, shares
        Shares are relative.
    """

    sources: Sequence[Source]
    shares: Sequence[float]

    def without(self, held_out: Callable[[Example], bool]) -> Mixture:
        """Return the mixture without the labelled traces of which ``held_out`` is true.

        Raises
        ------
        DataError
            If that leaves a source of labelled traces empty.
        """
        kept: list[Source] = []
        for source in self.sources:
            if isinstance(source, TraceSource):
                rest = [one for one in source.examples if not held_out(one)]
                if not rest:
                    raise DataError(f"source '{source.name}' has no trace outside this fold")
                source = TraceSource(source.name, rest)
            kept.append(source)
        return Mixture(kept, self.shares)

    def draw(self, rng: np.random.Generator, n: int) -> Example:
        """Return a window from a source chosen by the shares."""
        shares = np.asarray(self.shares, float)
        if len(self.sources) == 0 or not shares.sum() > 0:
            raise DataError("no source of training examples has a share above 0")
        return self.sources[int(rng.choice(len(shares), p=shares / shares.sum()))].draw(rng, n)

    def noise(self, rng: np.random.Generator, n: int) -> NDArray[np.float32] | None:
        """Return real noise from one of the sources that has some."""
        able = [s for s in self.sources if isinstance(s, RecordSource)]
        return able[int(rng.integers(len(able)))].noise(rng, n) if able else None
