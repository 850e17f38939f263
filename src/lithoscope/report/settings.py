"""Settings of the report."""

from __future__ import annotations

from pydantic import Field

from lithoscope.settings import Settings


class ReportSettings(Settings):
    """What the report draws; none of it changes the catalogue."""

    record_sections: int = Field(
        default=40,
        ge=0,
        description=(
            "Record sections in the report. With more events than this: first those that the "
            "reference does not have, then the largest, then those with the most picks."
        ),
    )
    record_section_stations: int = Field(
        default=30,
        ge=1,
        description="Traces in a record section: stations with picks, then the nearest.",
    )
    record_section_size_mb: float = Field(
        default=5.0,
        gt=0,
        description="Size of all record sections in the file; sets how fine they are.",
    )
    record_section_max_s: float = Field(
        default=240.0,
        gt=0,
        description="Longest record section, from just before the first arrival.",
    )
    filter_low_hz: float = Field(default=2.0, gt=0, description="Lower corner of the traces shown.")
    filter_high_hz: float = Field(
        default=20.0,
        gt=0,
        description="Upper corner of the traces shown; at most 0.4 of the sampling rate.",
    )
    magnitude_bin: float = Field(
        default=0.1, gt=0, description="Magnitude bin of the distribution."
    )
