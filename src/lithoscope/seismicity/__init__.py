"""Statistics of catalogues: completeness, b-value, and the Vp/Vs ratio of a Wadati diagram."""

from lithoscope.seismicity.b_value import BValue, b_positive, b_value
from lithoscope.seismicity.completeness import (
    Completeness,
    b_stability,
    magnitude_bins,
    maximum_curvature,
)
from lithoscope.seismicity.distribution import MagnitudeDistribution, magnitude_distribution
from lithoscope.seismicity.wadati import Wadati, wadati

__all__ = [
    "BValue",
    "Completeness",
    "MagnitudeDistribution",
    "Wadati",
    "b_positive",
    "b_stability",
    "b_value",
    "magnitude_bins",
    "magnitude_distribution",
    "maximum_curvature",
    "wadati",
]
