"""Settings of the association; every one has a default that follows from network and model."""

from __future__ import annotations

from pydantic import Field

from lithoscope.settings import Settings


class AssociationSettings(Settings):
    """What decides which picks make an event. ``None`` = derived from the network's geometry."""

    margin_km: float | None = Field(
        None,
        ge=0,
        description="events are sought this far beyond the outermost stations; "
        "none = half the network's aperture, 10 to 200 km",
    )
    max_depth_km: float | None = Field(
        None,
        description="deepest source; none = 0.4 of the aperture, 20 to 250 km, "
        "never below the end of the model",
    )
    min_depth_km: float | None = Field(
        None,
        description="shallowest source (negative = above sea level); none = highest station",
    )
    cell_km: float | None = Field(
        None,
        gt=0,
        description="edge of the smallest cell of the search; none = 1/32 of the region, "
        "not under what P travels in two standard deviations",
    )
    model_error_s: float = Field(
        0.05,
        ge=0,
        description="1 sigma of travel-time errors that do not grow with distance (station terms)",
    )
    model_error_fraction: float = Field(
        0.03,
        ge=0,
        le=0.5,
        description="1 sigma of travel-time errors of the velocity model, as part of the time",
    )
    model_error_doubt: float = Field(
        1.0,
        gt=0,
        description="how far model errors differ between events: 1 sigma of the natural "
        "logarithm of their size; residuals of an event say how large its own are, and so how well "
        "further picks must fit",
    )
    gate_sigma: float = Field(
        3.5,
        ge=1,
        le=10,
        description="a pick further than this many sigma from the predicted time is not taken",
    )
    false_events_per_day: float = Field(
        0.1,
        gt=0,
        description="an event is kept if fewer than this many as good would arise a day by chance "
        "from unrelated picks at the local pick rates",
    )
    min_picks: int = Field(4, ge=3, description="fewest picks of an event, whatever the chances")
    min_stations: int = Field(3, ge=2, description="fewest stations of an event")
    rate_window_s: float = Field(
        1800.0,
        gt=0,
        description="the noise pick rate of a station is counted within this time of each pick",
    )
    alive_window_s: float = Field(
        43200.0,
        gt=0,
        description="a station counts as recording a phase (so that its silence speaks against an "
        "event) if it has a pick of that phase within this time",
    )
