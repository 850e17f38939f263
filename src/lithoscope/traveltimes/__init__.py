"""Travel times of first P and S arrivals in layered Earth models.

`VelocityModel` and `read_velocity_model` describe the Earth, `travel_time` and
`first_arrivals` solve for exact rays, and `build_tables` with `lookup` serve the hot loops of
association and location.
"""

from lithoscope.traveltimes.arrivals import FirstArrivals, first_arrivals, travel_time
from lithoscope.traveltimes.builtin import BUILTIN_MODELS, builtin_model
from lithoscope.traveltimes.lookup import TableArrays, lookup
from lithoscope.traveltimes.models import VelocityModel
from lithoscope.traveltimes.readers import read_velocity_model
from lithoscope.traveltimes.tables import TravelTimeTables, build_tables

__all__ = [
    "BUILTIN_MODELS",
    "FirstArrivals",
    "TableArrays",
    "TravelTimeTables",
    "VelocityModel",
    "build_tables",
    "builtin_model",
    "first_arrivals",
    "lookup",
    "read_velocity_model",
    "travel_time",
]
