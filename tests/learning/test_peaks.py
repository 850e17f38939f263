"""Local maxima against a plain second implementation."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lithoscope.learning.peaks import local_maxima


def plain(x: np.ndarray, radius: int, threshold: float) -> list[int]:
    """Return the first of the largest values within the radius, as the docstring says."""
    found = []
    for i, v in enumerate(x):
        low = max(0, i - max(radius, 1))
        near = x[low : i + max(radius, 1) + 1]
        if v >= threshold and v == near.max() and np.flatnonzero(near == v)[0] == i - low:
            found.append(i)
    return found


@settings(deadline=None)  # the first call loads compiled code
@given(st.lists(st.integers(0, 5), max_size=40), st.integers(0, 6))
def test_maxima_are_the_first_of_the_largest_within_the_radius(values, radius):
    x = np.array(values, dtype=float)
    assert local_maxima(x, radius, 1.0).tolist() == plain(x, radius, 1.0)
