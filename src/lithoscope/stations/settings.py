"""Settings of reading station metadata."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lithoscope.settings import Settings


class StationSettings(Settings):
    """How to read station tables whose headers leave questions open."""

    elevation_unit: Literal["auto", "m", "km"] = Field(
        default="auto",
        description="unit of a table's elevation column that does not name one (auto = refuse it)",
    )
    assumed_elevation_m: float = Field(
        default=0.0,
        description="elevation of stations in a table without any elevation, m above sea level",
    )
    columns: tuple[str, ...] = Field(
        default=(),
        description="names of the columns of a table without a header, in order, for example "
        "longitude, latitude, network, station, channel, elevation_km ('-' skips one)",
    )
    gain_unit: Literal["auto", "m", "m/s", "m/s**2"] = Field(
        default="auto", description="input unit of gains in a table without a unit column"
    )
    highpass_hz: float = Field(
        default=0.2,
        gt=0,
        description="lower corner of ground motion and Wood-Anderson amplitudes; one octave below "
        "it they are zero",
    )
    water_level_db: float = Field(
        default=60.0,
        gt=0,
        description="floor of the response in the deconvolution, below its maximum",
    )
