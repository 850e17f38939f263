"""The prior of the hypocentres, as the configuration names it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import Field

from lithoscope.errors import ConfigError
from lithoscope.location import (
    DepthPrior,
    Prior,
    ProductPrior,
    RegionPrior,
    read_map_prior,
)
from lithoscope.settings import Settings


class PriorSettings(Settings):
    """What is known about hypocentres before the picks; parts that are given are multiplied."""

    depth_kind: str = Field(
        "none",
        pattern="^(none|uniform|gaussian|exponential)$",
        description="Prior of depth: none, uniform (low to high), gaussian (mean, sigma), or "
        "exponential (below low, scale mean).",
    )
    depth_low_km: float = Field(0.0, description="Shallowest depth below sea level.")
    depth_high_km: float = Field(60.0, description="Deepest depth below sea level.")
    depth_mean_km: float = Field(10.0, description="Mean depth, or scale of the exponential.")
    depth_sigma_km: float = Field(5.0, gt=0, description="1 sigma of the gaussian.")
    region_deg: tuple[float, float, float, float] | None = Field(
        None, description="Box that holds the epicentres: west, east, south, north in degrees."
    )
    region_outside: float = Field(
        0.0, ge=0, lt=1, description="Likelihood of a place outside the box relative to inside."
    )
    map_path: str = Field(
        "",
        description="GeoTIFF of surface displacement (InSAR, m) in longitude and latitude: the "
        "more the ground moved, the likelier the epicentre; empty = none.",
    )
    map_smoothing_km: float = Field(
        1.0, gt=0, description="How far from the displacement the rupture may start (1 sigma)."
    )
    map_background: float = Field(
        0.01, ge=0, lt=1, description="Weight off the map, as a fraction of the largest."
    )


def build_prior(settings: PriorSettings) -> Prior | None:
    """Return the prior that the settings name, or None where they name nothing."""
    parts: list[Prior] = []
    if settings.depth_kind != "none":
        parts.append(
            DepthPrior(
                settings.depth_kind,  # type: ignore[arg-type]
                settings.depth_low_km,
                settings.depth_high_km,
                settings.depth_mean_km,
                settings.depth_sigma_km,
            )
        )
    if settings.region_deg is not None:
        parts.append(RegionPrior.box(*settings.region_deg, settings.region_outside))
    if settings.map_path:
        path = Path(settings.map_path)
        if not path.exists():
            raise ConfigError(f"prior.map_path = '{path}' does not exist")
        parts.append(
            read_map_prior(
                path, smoothing_km=settings.map_smoothing_km, background=settings.map_background
            )
        )
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else ProductPrior(tuple(parts))


def prior_key(settings: PriorSettings) -> str:
    """Return what identifies the prior, the content of its map included."""
    content = Path(settings.map_path).read_bytes() if settings.map_path else b""
    return settings.model_dump_json() + hashlib.sha256(content).hexdigest()
