"""Tables put away come back as they were."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import pandas as pd
import pytest

from lithoscope.pipeline.live.packing import Packed
from lithoscope.schema import ASSIGNMENTS


@dataclass
class Thing(Packed):
    tables: ClassVar[tuple[str, ...]] = ("events", "others")
    name: str
    events: pd.DataFrame
    others: pd.DataFrame


def table(n: int) -> pd.DataFrame:
    rows = [{"event_id": "e", "pick_id": f"p{k}", "residual_s": 0.5 * k} for k in range(n)]
    return ASSIGNMENTS.table(rows)


def test_packed_tables_come_back():
    thing = Thing("a", table(3), ASSIGNMENTS.empty())
    assert not thing.packed
    thing.pack()
    assert thing.packed
    assert thing.name == "a"
    pd.testing.assert_frame_equal(thing.events, table(3))
    pd.testing.assert_frame_equal(thing.others, ASSIGNMENTS.empty())
    assert thing.packed  # asking does not bring them back for good
    copy = replace(thing, name="b")
    assert len(copy.events) == 3
    assert not copy.packed


def test_what_is_set_holds_until_packed_again():
    thing = Thing("a", table(3), ASSIGNMENTS.empty())
    thing.pack()
    thing.events = table(2)
    assert not thing.packed
    assert len(thing.events) == 2
    assert len(thing.others) == 0
    thing.pack()
    assert thing.packed
    assert len(thing.events) == 2
    with pytest.raises(AttributeError, match="Thing has no attribute 'nothing'"):
        thing.nothing  # noqa: B018


def test_packed_tables_are_small():
    thing = Thing("a", table(1), ASSIGNMENTS.empty())
    thing.pack()
    assert len(thing.__dict__["_packed"]) < 20_000
