"""Settings of `lithoscope watch`."""

from __future__ import annotations

from pydantic import Field

from lithoscope.settings import Settings


class HookSettings(Settings):
    """One command or webhook that is told of events."""

    command: tuple[str, ...] = Field(
        (),
        description="Program and its arguments; it gets the event as JSON on standard input.",
    )
    url: str = Field("", description="http or https address that the JSON is posted to.")
    actions: tuple[str, ...] = Field(
        ("new", "update", "cancel"), description="What it is told of: new, update, cancel."
    )
    min_magnitude: float | None = Field(
        None, description="Least magnitude; events without one are left out."
    )
    region_deg: tuple[float, float, float, float] | None = Field(
        None, description="West, east, south, north; events outside are left out."
    )
    timeout_s: float = Field(10.0, gt=0, le=600, description="Time limit of one try.")
    tries: int = Field(3, ge=1, le=20, description="Tries before a message is given up.")


class LiveSettings(Settings):
    """How a stream is worked on; what an event is decided from is in the other groups."""

    lateness_s: float = Field(
        600.0,
        ge=10,
        le=86_400,
        description="Lateness window: data that come up to this long after the network's clock "
        "count as if they had come in time; later ones are reported and dropped.",
    )
    keep_hours: float = Field(
        26.0,
        ge=1,
        le=24 * 366,
        description="Waveforms and picks kept; bounds disk and memory. Events are settled long "
        "before; association looks back 12 h (alive_window_s).",
    )
    segment_s: float = Field(
        600.0, ge=60, le=86_400, description="Length of the files that the waveforms are kept in."
    )
    turn_s: float = Field(
        0.25, ge=0.01, le=60, description="Longest wait for data before the next turn of work."
    )
    lazy_s: float = Field(
        3.0,
        ge=0,
        le=600,
        description="While data wait, a station that shows no onset is picked once this much of "
        "its data is new; otherwise once a second is.",
    )
    queue_packets: int = Field(
        20_000, ge=100, description="Packets that wait at most; sources are slowed beyond it."
    )
    sync_s: float = Field(
        1.0, ge=0, le=60, description="Time between writes to the disk that outlast a power cut."
    )
    watchdog_s: float = Field(
        60.0, gt=0, description="A source without a packet for this long is reported."
    )
    settle_s: float = Field(
        300.0, ge=10, description="Data time between passes that settle older events."
    )
    magnitude_delay_s: float = Field(
        30.0, ge=0, description="Data time between an origin and its first magnitude."
    )
    magnitude_step: float = Field(
        0.05, ge=0, description="A change of magnitude smaller than this is no news until the end."
    )
    status_s: float = Field(5.0, gt=0, description="Time between status lines and health records.")
    hooks: tuple[HookSettings, ...] = Field(
        (), description="Commands and webhooks: [[live.hooks]] tables in the file."
    )
