"""Station metadata: positions, orientations, gains and responses, valid in time."""

from lithoscope.stations.inventory import Inventory
from lithoscope.stations.read import read_stations
from lithoscope.stations.settings import StationSettings

__all__ = [
    "Inventory",
    "StationSettings",
    "read_stations",
]
