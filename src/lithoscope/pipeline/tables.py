"""Tables of many units and stages made into one."""

from __future__ import annotations

from collections.abc import Iterable

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


def ordered(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return the table sorted by some columns, and numbered anew."""
    return table.sort_values(by, kind="stable").reset_index(drop=True)
