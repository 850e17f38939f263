"""Settings of finding and reading waveforms."""

from __future__ import annotations

from pydantic import Field

from lithoscope.settings import Settings


class WaveformSettings(Settings):
    """What to read, and when a component counts as unusable."""

    include: tuple[str, ...] = Field(
        default=("*",), description="NET.STA.LOC.CHA patterns (* and ?) of the channels to use"
    )
    exclude: tuple[str, ...] = Field(
        default=(), description="NET.STA.LOC.CHA patterns (* and ?) of the channels to leave out"
    )
    minimum_sampling_rate_hz: float = Field(
        default=1.0, gt=0, description="channels sampled more slowly are skipped and reported"
    )
    flat_s: float = Field(
        default=30.0,
        gt=0,
        description="a component that repeats one value for this long counts as missing there",
    )
    fill_s: float = Field(
        default=1.0,
        gt=0,
        description="zeros repeated for this long between data that move count as a gap",
    )
    clip_run_samples: int = Field(
        default=3, ge=2, description="equal samples in a row at an extreme value that make a rail"
    )
    spike_ratio: float = Field(
        default=50.0,
        gt=1,
        description="a single sample this many times its neighbourhood's range is a spike",
    )
