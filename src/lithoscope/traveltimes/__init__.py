"""Travel times of first P and S arrivals in layered Earth models.

`VelocityModel` and `read_velocity_model` describe the Earth; `travel_time` and
`first_arrivals` solve for exact rays.
"""

from lithoscope.traveltimes.arrivals import FirstArrivals, first_arrivals, travel_time
from lithoscope.traveltimes.builtin import BUILTIN_MODELS, builtin_model
from lithoscope.traveltimes.models import VelocityModel
from lithoscope.traveltimes.readers import read_velocity_model

__all__ = [
    "BUILTIN_MODELS",
    "FirstArrivals",
    "VelocityModel",
    "builtin_model",
    "first_arrivals",
    "read_velocity_model",
    "travel_time",
]
