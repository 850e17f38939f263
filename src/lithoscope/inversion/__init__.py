"""Generic core of inverse problems: robust likelihood, importance sampling, credible regions."""

from lithoscope.inversion.importance import (
    StudentMixture,
    WeightedSamples,
    sample_adaptively,
    weigh,
)
from lithoscope.inversion.mixture import inlier_probability, mixture
from lithoscope.inversion.regions import (
    covariance,
    half_widths,
    quantile,
    scaled_ellipse,
    shortest_intervals,
)

__all__ = [
    "StudentMixture",
    "WeightedSamples",
    "covariance",
    "half_widths",
    "inlier_probability",
    "mixture",
    "quantile",
    "sample_adaptively",
    "scaled_ellipse",
    "shortest_intervals",
    "weigh",
]
