"""Posterior of the hypocentre from picks: `locate`, its settings, and priors."""

from lithoscope.location.geotiff import read_map_prior
from lithoscope.location.locate import Located, locate
from lithoscope.location.priors import DepthPrior, MapPrior, Prior, ProductPrior, RegionPrior
from lithoscope.location.settings import LocationSettings

__all__ = [
    "DepthPrior",
    "Located",
    "LocationSettings",
    "MapPrior",
    "Prior",
    "ProductPrior",
    "RegionPrior",
    "locate",
    "read_map_prior",
]
