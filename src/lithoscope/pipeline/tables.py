"""Tables of many units and stages made into one."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import pandas as pd

from lithoscope.schema import PROBLEMS, Schema


def stack(tables: Iterable[pd.DataFrame], schema: Schema) -> pd.DataFrame:
    """Return the rows of all tables in order, as one checked table."""
    # Empty tables would turn columns of integers and times into objects.
    filled = [schema.check(table) for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else schema.empty()


def stack_problems(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return all PROBLEMS, each once."""
    return stack(tables, PROBLEMS).drop_duplicates(ignore_index=True)


def joined(problems: pd.DataFrame) -> pd.DataFrame:
    """Return PROBLEMS in which rows that say the same of overlapping times are one.

    What was read in overlapping pieces (a dead component, say) is so told once.
    """
    rows: list[dict[Hashable, Any]] = []
    last: dict[tuple[Any, ...], dict[Hashable, Any]] = {}
    for row in problems.to_dict("records"):
        said = tuple(row[name] for name in ("what", "problem", "detail", "action"))
        before = last.get(said)
        untimed = pd.isna(row["starttime"]) and before is not None and pd.isna(before["starttime"])
        if before is not None and (untimed or row["starttime"] <= before["endtime"]):
            before["endtime"] = max(before["endtime"], row["endtime"])
        else:
            rows.append(row)
            last[said] = row
    return PROBLEMS.table(rows)


def ordered(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return the table sorted by some columns, and numbered anew."""
    return table.sort_values(by, kind="stable").reset_index(drop=True)
