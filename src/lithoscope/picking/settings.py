"""Settings of the pickers."""

from __future__ import annotations

from pydantic import Field

from lithoscope.settings import Settings


class OnsetSettings(Settings):
    """What every picker is told."""

    apart_s: float = Field(
        default=0.4,
        ge=0.05,
        le=5.0,
        description="Of two onsets of one phase closer than this, the more probable one is kept.",
    )


class ClassicalPickerSettings(OnsetSettings):
    """What a user may change; everything else follows from the data or was fitted to labels."""

    p_threshold: float = Field(
        default=0.12,
        ge=0.01,
        le=1.0,
        description="Smallest probability of a P pick that is kept; low, since the association "
        "weighs picks by their probability.",
    )
    s_threshold: float = Field(
        default=0.2, ge=0.01, le=1.0, description="Smallest probability of an S pick that is kept."
    )
    single_threshold: float = Field(
        default=0.5,
        ge=0.01,
        le=1.0,
        description="The same for S picks where only the vertical (or no vertical) was recorded.",
    )
    chunk_s: float = Field(
        default=1200.0,
        ge=60.0,
        le=86400.0,
        description="Length of the pieces a record is worked on in; bounds memory, "
        "changes no result.",
    )


class LearnedPickerSettings(OnsetSettings):
    """What a user may change; the rest is fixed by the model and its card."""

    false_picks_per_hour: float | None = Field(
        default=None,
        gt=0,
        description="Thresholds such that noise alone gives this many P picks, and as many S "
        "picks, per station-hour; left out, the thresholds of the model's card.",
    )
    p_threshold: float | None = Field(
        default=None,
        ge=0.001,
        le=1.0,
        description="Smallest probability of a P pick that is kept; takes the place of the above.",
    )
    s_threshold: float | None = Field(
        default=None, ge=0.001, le=1.0, description="Smallest probability of an S pick."
    )
    event_threshold: float | None = Field(
        default=None,
        ge=0.001,
        le=1.0,
        description="Probability that a detection must reach; left out, that of the model's card.",
    )
    event_end: float = Field(
        default=0.5,
        ge=0.05,
        le=1.0,
        description="A detection lasts while its probability is above this part of the threshold.",
    )
    chunk_s: float = Field(
        default=320.0,
        ge=5.0,
        le=86400.0,
        description="Length of the pieces that the network works on; changes no result.",
    )
    batch: int = Field(
        default=1, ge=1, le=64, description="Pieces worked on at once; changes no result."
    )
    threads: int = Field(
        default=1, ge=1, le=256, description="Threads of the network; changes no result."
    )
