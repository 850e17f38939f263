"""Shapes of the JSON API; its OpenAPI document is made from them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Time = Annotated[
    str, Field(description="ISO 8601 UTC, ends in Z", examples=["2019-07-06T03:00:00Z"])
]
Number = float | None
State = Literal["ok", "late", "silent", "archive", "unknown"]
# What a client may write; the check itself is in `lithoscope.service.times`.
TimeText = Annotated[
    str,
    StringConstraints(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?)?Z?$"
    ),
]


class Answer(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(extra="forbid")


class Problem(Answer):
    """Why a request failed."""

    detail: str


class Bounds(Answer):
    west: float
    south: float
    east: float
    north: float


class Summary(Answer):
    """What is served."""

    title: str
    catalog: str
    version: str = Field(description="of Lithoscope")
    live: bool = Field(description="a watch is filling the store")
    review: bool = Field(description="events can be reviewed with a token")
    n_events: int
    n_stations: int
    starttime: Time | None = Field(description="first event")
    endtime: Time | None = Field(description="last event")
    bounds: Bounds | None = Field(description="of events and stations, degrees")
    min_magnitude: Number
    max_magnitude: Number
    sequence: int = Field(description="number of the latest change")
    updated: Time
    now: Time


class EventColumns(Answer):
    """Events as columns and rows."""

    sequence: int
    n_matched: int = Field(description="events that fit, before limit and offset")
    columns: list[str]
    rows: list[list[str | float | int | bool | None]]


class Version(Answer):
    version: int
    made_at: Time | None
    action: str
    evaluation_mode: str
    evaluation_status: str
    author: str
    time: Time | None
    longitude: Number
    latitude: Number
    depth_km: Number
    magnitude: Number
    magnitude_type: str


class Versions(Answer):
    event_id: str
    versions: list[Version]


class AuditEntry(Answer):
    event_id: str
    made_at: Time | None
    user: str
    action: str
    detail: str


class Audit(Answer):
    audit: list[AuditEntry]


class EventDetail(Answer):
    """One event. ``event`` has the columns of the events table and its evaluation."""

    event: dict[str, Any]
    arrivals: list[dict[str, Any]]
    station_magnitudes: list[dict[str, Any]]
    stations: list[dict[str, Any]]
    versions: list[Version]
    audit: list[AuditEntry]


class Samples(Answer):
    """Draws of the hypocentre."""

    event_id: str
    method: Literal["posterior", "gaussian"]
    longitude: list[float]
    latitude: list[float]
    depth_km: list[float]
    time_offset_s: list[float]


class SectionPick(Answer):
    pick_id: str
    phase: str
    time: Time
    time_sigma_s: Number
    residual_s: Number
    weight: Number


class Trace(Answer):
    """Least and greatest value in steps; null where there are no data."""

    station: str
    channel: str
    distance_km: Number
    azimuth_deg: Number
    starttime: Time
    step_s: float
    minimum: list[Number]
    maximum: list[Number]
    picks: list[SectionPick]
    predicted_p: Time | None
    predicted_s: Time | None


class Section(Answer):
    """A record section, in order of distance."""

    event_id: str
    origin_time: Time
    starttime: Time
    endtime: Time
    unit: str
    band_hz: Annotated[list[float], Field(min_length=2, max_length=2)] | None
    traces: list[Trace]
    reason: str = Field(description="why there are no traces, else empty")


class Station(Answer):
    station: str
    longitude: Number
    latitude: Number
    elevation_m: Number
    state: State
    latency_s: Number
    n_gaps: int | None
    noise_level: Number
    noise_unit: str
    last_data: Time | None


class Stations(Answer):
    stations: list[Station]


class Channel(Answer):
    channel: str
    azimuth_deg: Number
    dip_deg: Number
    gain: Number
    unit: str
    sampling_rate_hz: Number


class StationDetail(Answer):
    station: Station
    channels: list[Channel]
    n_picks: int
    n_arrivals: int


class WaveformChannel(Answer):
    channel: str
    starttime: Time
    step_s: float
    minimum: list[Number]
    maximum: list[Number]


class Waveform(Answer):
    station: str
    starttime: Time | None
    endtime: Time | None
    unit: str
    channels: list[WaveformChannel]
    reason: str


class Spectrogram(Answer):
    station: str
    channel: str
    starttime: Time | None
    step_s: float
    frequencies_hz: list[float]
    level_db: list[list[Number]]
    unit: str
    reason: str


class Residual(Answer):
    event_id: str
    time: Time | None
    phase: str
    residual_s: Number
    weight: Number
    distance_km: Number


class Residuals(Answer):
    station: str
    residuals: list[Residual]


class Availability(Answer):
    station: str
    starttime: Time | None
    endtime: Time | None
    available_percent: Number
    n_gaps: int
    spans: list[Annotated[list[Time], Field(min_length=2, max_length=2)]]


class ProblemCount(Answer):
    what: str
    problem: str
    detail: str
    action: str
    starttime: Time | None
    endtime: Time | None


class Stage(Answer):
    stage: str
    median_latency_s: Number
    p95_latency_s: Number
    n: int | None


class Health(Answer):
    """Is it working."""

    status: Literal["ok", "degraded"]
    live: bool
    run_status: str = Field(description="done, running, watching; empty for a bare database")
    now: Time
    uptime_s: float
    sequence: int
    last_change: Time
    checked: Time
    stages: list[Stage]
    sources: list[dict[str, Any]]
    stations: list[Station]
    n_problems: int
    problems: list[ProblemCount]


class Polygon(Answer):
    level: int = Field(description="1 land, 2 lake, 3 island in a lake, 4 pond")
    points: list[float] = Field(description="longitude, latitude, longitude, ...")


class Line(Answer):
    kind: Literal["country", "state"]
    points: list[float]


class Coastlines(Answer):
    """Land, lakes and borders of a region."""

    polygons: list[Polygon]
    lines: list[Line]
    resolution: str
    source: str
    licence: str
    reason: str = Field(description="why there are none, else empty")


class ReviewRequest(BaseModel):
    """What an operator decides; which fields are needed depends on the action."""

    model_config = ConfigDict(extra="forbid")
    action: Literal["accept", "reject", "retype", "comment", "add_pick", "move_pick", "remove_pick"]
    comment: str = Field("", max_length=2000)
    event_type: str = Field("", max_length=100)
    pick_id: str = Field("", max_length=500)
    time: TimeText | None = Field(None, description="time of the added or moved pick")
    station: str = Field("", max_length=100, description="of the added pick")
    phase: Literal["", "P", "S"] = Field("", description="of the added pick")
    time_sigma_s: float | None = Field(None, gt=0, le=10, description="of the added pick")
    version: int | None = Field(
        None, ge=1, le=10**9, description="version that was looked at; refused if it has changed"
    )


class Reviewed(Answer):
    sequence: int
    event_id: str
    version: int
    action: str


Latitude = Annotated[float | None, Field(ge=-90, le=90)]
Longitude = Annotated[float | None, Field(ge=-180, le=180)]
Degrees = Annotated[float | None, Field(ge=0, le=180)]
Finite = Annotated[float | None, Field(ge=-1e6, le=1e6)]


class EventFilter(BaseModel):
    """Limits on events, inclusive; left out: no limit."""

    model_config = ConfigDict(extra="forbid")
    starttime: TimeText | None = None
    endtime: TimeText | None = None
    minlatitude: Latitude = None
    maxlatitude: Latitude = None
    minlongitude: Longitude = None
    maxlongitude: Longitude = None
    mindepth_km: Finite = None
    maxdepth_km: Finite = None
    minmagnitude: Finite = None
    maxmagnitude: Finite = None
    magnitude_type: str | None = Field(None, max_length=100)
    latitude: Latitude = None
    longitude: Longitude = None
    minradius_deg: Degrees = None
    maxradius_deg: Degrees = None
    event_type: str | None = Field(None, max_length=1000)
    status: str | None = Field(None, max_length=1000)
    updatedafter: TimeText | None = None
    eventid: str | None = Field(None, max_length=10_000, description="ids, with commas between")
    orderby: Literal["time", "time-asc", "magnitude", "magnitude-asc"] = "time"
    limit: int | None = Field(None, ge=0, le=10**9)
    offset: int = Field(0, ge=0, le=10**9, description="counted from 0")
    fields: Literal["compact", "full"] = "compact"
