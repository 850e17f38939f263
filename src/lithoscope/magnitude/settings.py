"""Settings of the magnitude room."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from lithoscope.magnitude.attenuation import ATTENUATIONS, Attenuation, attenuation
from lithoscope.settings import Settings


class MagnitudeSettings(Settings):
    """How local magnitudes are measured."""

    scale: str = Field(
        default="iaspei_ml",
        description="Distance correction by name, or 'user' for the user_ coefficients: "
        + ", ".join(ATTENUATIONS),
    )
    user_log_coefficient: float = Field(
        default=1.11, description="n of n log10(R/R0) + k (R-R0) + c."
    )
    user_linear_coefficient_per_km: float = Field(default=0.00189, description="k of the same.")
    user_reference_distance_km: float = Field(default=100.0, gt=0, description="R0 of the same.")
    user_reference_value: float = Field(default=3.0, description="c of the same: -log10 A0 at R0.")
    station_corrections: dict[str, float] = Field(
        default={}, description="Added to a station's magnitude, by NET.STA.LOC.BI or NET.STA."
    )
    correction_events: int = Field(
        default=10,
        ge=0,
        description="Stations with at least this many magnitudes get a correction estimated from "
        "the catalogue itself, so that stations agree; 0 = none.",
    )
    stations: Literal["arrivals", "all"] = Field(
        default="arrivals",
        description="Measure where the event has an arrival, or at every station in range.",
    )
    min_distance_km: float = Field(default=1.0, gt=0, description="Closest hypocentral distance.")
    max_distance_km: float | None = Field(
        default=None, description="Farthest hypocentral distance; by default that of the scale."
    )
    min_snr: float = Field(
        default=2.0, ge=1, description="Least ratio of the peak to the peak of the noise before P."
    )
    clean_snr: float = Field(
        default=5.0,
        ge=1,
        description="Below it the amplitude is measured again after the high-pass.",
    )
    highpass_hz: float = Field(
        default=1.0,
        ge=0,
        description="Corner of that high-pass (small events in microseism); 0 = never.",
    )
    noise_window_s: float = Field(
        default=6.0, ge=1, description="Length of the noise window before P."
    )
    end_velocity_km_s: float = Field(
        default=2.0,
        gt=0,
        description="The signal window ends R / this after the origin, plus the tail.",
    )
    tail_s: float = Field(default=10.0, ge=0, description="Added to the end of the signal window.")
    min_s_window_s: float = Field(
        default=3.0, gt=0, description="Least length after S, where a gap or another event cuts it."
    )
    overlap_fraction: float = Field(
        default=0.5,
        ge=0,
        description="Another event may disturb this one if it has at least this part of its "
        "number of arrivals.",
    )
    max_horizontal_ratio: float = Field(
        default=10.0,
        gt=1,
        description="Where one horizontal has this many times the other's amplitude, one of them "
        "does not work and the station is refused.",
    )
    vertical: Literal["fallback", "never"] = Field(
        default="fallback",
        description="Use the vertical (as type MLv) where no horizontal exists, or never.",
    )
    vertical_correction: float = Field(
        default=0.0, description="Added to magnitudes from verticals; calibrate it for your region."
    )
    station_sigma: float = Field(
        default=0.3,
        gt=0,
        description="Expected scatter of station magnitudes, used while there are too few to "
        "measure it.",
    )

    @field_validator("scale")
    @classmethod
    def _known_scale(cls, value: str) -> str:
        if value != "user" and value not in ATTENUATIONS:
            raise ValueError(f"choose 'user' or one of {', '.join(ATTENUATIONS)}")
        return value

    def attenuation(self) -> Attenuation:
        """Return the distance correction that these settings name."""
        if self.scale != "user":
            return attenuation(self.scale)
        return Attenuation(
            "user",
            "user's own",
            "configuration",
            self.user_log_coefficient,
            self.user_linear_coefficient_per_km,
            self.user_reference_distance_km,
            self.user_reference_value,
        )

    def correction(self, station: str) -> float:
        """Return the station correction of NET.STA.LOC.BI, or of its NET.STA, or zero."""
        site = ".".join(station.split(".")[:2])
        return self.station_corrections.get(station, self.station_corrections.get(site, 0.0))
