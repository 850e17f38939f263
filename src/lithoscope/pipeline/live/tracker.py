"""Which event of a new association is which event known before: ids stay, whatever changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lithoscope.constants import NS_PER_S
from lithoscope.pipeline.live.rolling import Solution
from lithoscope.schema import event_id

# A pick made again from more data may move; another arrival of the same phase is further away.
_SAME_S = 0.5
# An event is the same one if this many of its picks are, or all but one where it has fewer.
_SHARED = 3

Arrival = tuple[str, str, int]  # station, phase, time in ns


@dataclass(frozen=True)
class Matched:
    """What an association makes of the events known before.

    Attributes
    ----------
    same
        Pairs of a known event's number and the new solution's.
    new
        Numbers of solutions that are no known event.
    merged
        Known events whose picks another one's new solution holds: number, and the solution's.
    gone
        Numbers of known events without support.
    """

    same: list[tuple[int, int]]
    new: list[int]
    merged: list[tuple[int, int]]
    gone: list[int]


def arrivals_of(solution: Solution) -> list[Arrival]:
    """Return station, phase and time of the picks of a solution, from their ids, by time."""
    found = [_arrival(name) for name in solution.pick_ids]
    return sorted(found, key=lambda a: (a[2], a[0], a[1]))


def _arrival(pick_id: str) -> Arrival:
    station, phase, time = pick_id.rsplit("/", 2)
    return station, phase, int(time)


def match(known: Sequence[Sequence[Arrival]], new: Sequence[Sequence[Arrival]]) -> Matched:
    """Pair known events with new solutions by the picks they share, most shared picks first."""
    places: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for number, arrivals in enumerate(new):
        for station, phase, time in arrivals:
            places.setdefault((station, phase), []).append((time, number))
    counts: dict[tuple[int, int], int] = {}
    for number, arrivals in enumerate(known):
        for station, phase, time in arrivals:
            for moment, other in places.get((station, phase), []):
                if abs(moment - time) <= _SAME_S * NS_PER_S:
                    counts[number, other] = counts.get((number, other), 0) + 1
    same: dict[int, int] = {}
    taken: set[int] = set()
    for (a, b), shared in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        enough = min(_SHARED, len(known[a]) - 1, len(new[b]) - 1)
        if a not in same and b not in taken and shared >= enough:
            same[a] = b
            taken.add(b)
    merged, gone = [], []
    for number in range(len(known)):
        if number in same:
            continue
        shares = [(n, b) for (a, b), n in counts.items() if a == number]
        most, into = max(shares, default=(0, -1))
        if 2 * most > len(known[number]):
            merged.append((number, into))
        else:
            gone.append(number)
    fresh = [b for b in range(len(new)) if b not in taken]
    return Matched(sorted(same.items()), fresh, merged, gone)


def free_id(solution: Solution, used: set[str]) -> str:
    """Return the id of a new event: that of its first pick, or of a later one if it is taken."""
    for station, _, time in arrivals_of(solution):
        name = event_id(station, time)
        if name not in used:
            return name
    return f"{solution.name}_{len(used)}"
