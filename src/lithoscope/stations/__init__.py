"""Station metadata: positions, orientations, gains and responses, valid in time."""

from lithoscope.stations.check import explain, preferred_stations
from lithoscope.stations.inventory import Inventory
from lithoscope.stations.read import read_stations
from lithoscope.stations.response import GroundMotion, WoodAnderson, to_velocity, to_wood_anderson
from lithoscope.stations.settings import StationSettings

__all__ = [
    "GroundMotion",
    "Inventory",
    "StationSettings",
    "WoodAnderson",
    "explain",
    "preferred_stations",
    "read_stations",
    "to_velocity",
    "to_wood_anderson",
]
