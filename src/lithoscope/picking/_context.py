"""Second look: what the candidates around an onset say about it.

An S without a P before it is seldom an S, and a P at the time of a clear S is seldom a P. The
first-look probabilities of neighbours within `REACH_S` enter a second, small regression.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: How far neighbours count (s): the S minus P time at about 160 km.
REACH_S = 20.0
#: Neighbours this near are the same arrival (s).
SAME_S = 0.3
#: Logits are held within this range.
LIMIT = 7.0

#: Names of the features of the second look, for either phase.
NAMES = (
    "first",  # logit of the candidate's own first-look probability
    "other_before",  # strongest logit of the other phase in the REACH_S before
    "other_same",  # ... at the same time
    "other_after",  # ... in the REACH_S after
    "same_before",  # strongest logit of the same phase in the REACH_S before
    "same_after",  # ... in the REACH_S after
)


def logit(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ln(p / (1 - p)) held within `LIMIT`."""
    p = np.clip(p, 1e-12, 1.0 - 1e-12)
    return np.clip(np.log(p / (1.0 - p)), -LIMIT, LIMIT)


@njit(cache=True)
def _strongest(
    times: NDArray, others: NDArray, values: NDArray, low: float, high: float
) -> NDArray:
    """Return the largest of ``values`` whose time lies in [t + low, t + high], or -LIMIT."""
    out = np.full(times.size, -LIMIT)
    first = 0
    for i in range(times.size):
        while first < others.size and others[first] < times[i] + low:
            first += 1
        j = first
        while j < others.size and others[j] <= times[i] + high:
            out[i] = max(out[i], values[j])
            j += 1
    return out


def relate(
    onset: NDArray[np.int64],
    own: NDArray[np.float64],
    onset_other: NDArray[np.int64],
    other: NDArray[np.float64],
    sampling_rate_hz: float,
) -> NDArray[np.float64]:
    """Return ``(candidates, features)`` in the order of `NAMES`.

    Parameters
    ----------
    onset, own
        Ascending samples of the candidates and their logits for the phase in question.
    onset_other, other
        The same of the candidates for the other phase (the same candidates, if one group of
        components serves both).
    """
    reach, same = REACH_S * sampling_rate_hz, SAME_S * sampling_rate_hz
    t, u = onset.astype(np.float64), onset_other.astype(np.float64)
    return np.stack(
        [
            own,
            _strongest(t, u, other, -reach, -same),
            _strongest(t, u, other, -same, same),
            _strongest(t, u, other, same, reach),
            _strongest(t, t, own, -reach, -same),
            _strongest(t, t, own, same, reach),
        ],
        axis=1,
    )
