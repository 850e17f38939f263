"""Posterior of the hypocentre from picks: `locate`, its settings, and priors."""

from lithoscope.location._observations import Picked
from lithoscope.location.geotiff import read_map_prior
from lithoscope.location.locate import Located, locate, station_terms
from lithoscope.location.network import LocatedEvent, NetworkLocator
from lithoscope.location.priors import DepthPrior, MapPrior, Prior, ProductPrior, RegionPrior
from lithoscope.location.settings import LocationSettings
from lithoscope.location.terms import StationTerms, estimate_station_terms, read_station_terms

__all__ = [
    "DepthPrior",
    "Located",
    "LocatedEvent",
    "LocationSettings",
    "MapPrior",
    "NetworkLocator",
    "Picked",
    "Prior",
    "ProductPrior",
    "RegionPrior",
    "StationTerms",
    "estimate_station_terms",
    "locate",
    "read_map_prior",
    "read_station_terms",
    "station_terms",
]
