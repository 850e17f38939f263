"""Settings of the locator."""

from __future__ import annotations

from pydantic import Field, model_validator

from lithoscope.settings import Settings


class LocationSettings(Settings):
    """How picks are weighed and where hypocentres are sought."""

    model_error_floor_s: float = Field(
        default=0.05,
        ge=0,
        description="Error of a predicted travel time that no distance takes away (1 sigma).",
    )
    model_error_fraction: float = Field(
        default=0.02,
        ge=0,
        lt=1,
        description="Error of a predicted travel time as a fraction of it (1 sigma); added in "
        "square to the floor and to the sigma of the pick. NonLinLoc's sample uses 0.02.",
    )
    model_error_correlation_km: float = Field(
        default=20.0,
        ge=0,
        description="Distance between stations over which errors of predicted times are alike "
        "(Gaussian); 0 takes all picks' errors as independent.",
    )
    station_terms: str = Field(
        default="none",
        description="Times added to predictions, by station and phase: none, estimate (from all "
        "events of the run), or a CSV file with columns station, phase, term_s, sigma_s.",
    )
    outlier_probability: float = Field(
        default=0.05,
        gt=0,
        lt=0.5,
        description="Prior probability that a pick of probability 1 (or unknown) is wrong.",
    )
    outlier_probability_unsure: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="The same for a pick of probability 0; linear between the two.",
    )
    outlier_width_s: float = Field(
        default=20.0,
        gt=0,
        description="Width of the uniform density that wrong picks are drawn from.",
    )
    min_sigma_s: float = Field(
        default=0.005, gt=0, description="Smallest sigma of a pick that is believed."
    )
    search_margin_factor: float = Field(
        default=1.0,
        ge=0,
        description="The search reaches beyond the picked stations by this many times their "
        "aperture on every side.",
    )
    search_margin_km: float = Field(
        default=30.0,
        ge=0,
        description="The search reaches beyond the picked stations by at least this.",
    )
    min_depth_km: float | None = Field(
        default=None,
        description="Shallowest depth below sea level that is searched; none = the highest of the "
        "picked stations, but not above the top of the velocity model.",
    )
    max_depth_km: float = Field(default=60.0, description="Deepest depth below sea level searched.")
    n_samples: int = Field(
        default=800,
        ge=200,
        le=100_000,
        description="Effective number of posterior samples wanted, and number kept on request.",
    )

    @property
    def correlated(self) -> bool:
        """Whether errors of predicted times are alike between picks."""
        error = self.model_error_floor_s > 0 or self.model_error_fraction > 0
        return error and self.model_error_correlation_km > 0

    @model_validator(mode="after")
    def _ordered(self) -> LocationSettings:
        if self.min_depth_km is not None and self.min_depth_km >= self.max_depth_km:
            raise ValueError(
                f"min_depth_km = {self.min_depth_km} must be less than "
                f"max_depth_km = {self.max_depth_km}"
            )
        return self
