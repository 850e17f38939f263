"""Times as the services write and read them: UTC, ISO 8601, nanoseconds inside."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from lithoscope.constants import NS_PER_S

# FDSN web services 1.2, section "Time parameter values".
_TIME = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9})\d*)?)?)?Z?", re.ASCII
)
_LOWEST, _HIGHEST = -(2**63) + 1, 2**63 - 1


def parse_time(text: str) -> int:
    """Return ns since 1970 of ``YYYY-MM-DD[Thh:mm[:ss[.sss]]][Z]``; far dates are brought near.

    Raises
    ------
    ValueError
        If the text is no such time.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is no time; write 2019-07-06T03:00:00")
    year, month, day, hour, minute, second = (int(v or 0) for v in match.groups()[:6])
    try:
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"'{text}' is no time; {error}") from None
    if second > 60:
        raise ValueError(f"'{text}' is no time; second must be in 0..60")
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    seconds = delta.days * 86_400 + delta.seconds + (1 if second == 60 else 0)
    fraction = int((match.group(7) or "").ljust(9, "0"))
    return min(max(seconds * NS_PER_S + fraction, _LOWEST), _HIGHEST)


def iso(ns: int) -> str:
    """Return ISO 8601 with microseconds and Z."""
    moment = np.datetime64(int(ns), "ns").astype("datetime64[us]")
    return f"{moment}Z"


def iso_or_none(value: Any) -> str | None:
    """Return a timestamp, or ns since 1970, as ISO 8601; None for NaT and None."""
    if value is None or value is pd.NaT:
        return None
    return iso(int(value.value) if isinstance(value, pd.Timestamp) else int(value))


def now_ns() -> int:
    """Return the present, ns since 1970."""
    return int(datetime.now(UTC).timestamp() * NS_PER_S)
