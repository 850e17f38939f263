"""Distance corrections of local magnitude, by name.

All give ``-log10 A0(R)``: the magnitude is ``log10 A + (-log10 A0)`` with A the zero-to-peak
amplitude in mm on a Wood-Anderson seismogram of static magnification 2080 (Uhrhammer & Collins
1990) and R the hypocentral distance in km. Scales published for ground displacement in nm carry
``log10(1e6 / 2080)`` here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lithoscope.errors import ConfigError

WOOD_ANDERSON_GAIN = 2080.0  # static magnification, Uhrhammer & Collins (1990)
_NM = math.log10(1e6 / WOOD_ANDERSON_GAIN)  # log10 of nm on the ground per mm on the seismogram


@dataclass(frozen=True)
class Attenuation:
    """``n log10(R / R0) + k (R - R0) + c + a exp(-b R)`` between two distances.

    Attributes
    ----------
    name, region, source
        What it is called, where it was calibrated, and the publication.
    log_coefficient, linear_coefficient_per_km, reference_distance_km, reference_value
        n, k, R0 and c of the equation.
    near_coefficient, near_decay_per_km
        a and b; zero in most scales.
    max_distance_km
        The scale is not used beyond.
    """

    name: str
    region: str
    source: str
    log_coefficient: float
    linear_coefficient_per_km: float
    reference_distance_km: float
    reference_value: float
    near_coefficient: float = 0.0
    near_decay_per_km: float = 0.0
    max_distance_km: float = 700.0

    def __call__(self, distance_km: ArrayLike) -> NDArray[np.float64]:
        """Return ``-log10 A0`` at hypocentral distances in km (above zero)."""
        r = np.asarray(distance_km, float)
        out = (
            self.log_coefficient * np.log10(r / self.reference_distance_km)
            + self.linear_coefficient_per_km * (r - self.reference_distance_km)
            + self.reference_value
        )
        return out + self.near_coefficient * np.exp(-self.near_decay_per_km * r)


# Coefficients as printed in the publications; see docs/magnitude.md for what each was checked
# against. 17 km as reference distance: Hutton & Boore (1987), who move Richter's anchor there.
_ALL = (
    Attenuation(
        "iaspei_ml",
        "standard; crust that attenuates as southern California does",
        "IASPEI Working Group on Magnitude Measurements (2013), equation for ML",
        *(1.11, 0.00189, 1.0, -2.09 + 0.00189 + _NM),
        max_distance_km=1000.0,
    ),
    Attenuation(
        "hutton_boore_1987",
        "southern California",
        "Hutton & Boore (1987), BSSA 77, 2074-2094, doi:10.1785/BSSA0770062074",
        *(1.110, 0.00189, 100.0, 3.0),
    ),
    Attenuation(
        "bakun_joyner_1984",
        "central California",
        "Bakun & Joyner (1984), BSSA 74, 1827-1843, doi:10.1785/BSSA0740051827",
        *(1.000, 0.00301, 100.0, 3.0),
        max_distance_km=400.0,
    ),
    Attenuation(
        "alsaker_1991",
        "Norway",
        "Alsaker et al. (1991), BSSA 81, 379-398, doi:10.1785/BSSA0810020379",
        *(0.91, 0.00087, 1.0, -1.67 + 0.00087 + _NM),
        max_distance_km=1500.0,
    ),
    Attenuation(
        "luckett_2019",
        "United Kingdom, with a term for short distances",
        "Luckett et al. (2019), GJI 216, 1145-1156",
        *(1.11, 0.00189, 1.0, -2.09 + 0.00189 + _NM),
        near_coefficient=-1.16,
        near_decay_per_km=0.2,
        max_distance_km=1000.0,
    ),
    Attenuation(
        "bobbio_2009",
        "southern Italy (Irpinia)",
        "Bobbio, Vassallo & Festa (2009), BSSA 99, 2461-2470",
        *(1.79, 0.0, 1.0, -0.58),
        max_distance_km=250.0,
    ),
    Attenuation(
        "greenfield_2018_bardarbunga",
        "Iceland, Bardarbunga",
        "Greenfield et al. (2018), BSSA, as listed by QuakeMigrate",
        *(1.2534, 0.0032, 17.0, 2.0),
        max_distance_km=200.0,
    ),
    Attenuation(
        "greenfield_2018_askja",
        "Iceland, Askja",
        "Greenfield et al. (2018), BSSA, as listed by QuakeMigrate",
        *(1.4406, 0.003, 17.0, 2.0),
        max_distance_km=200.0,
    ),
    Attenuation(
        "keir_2006",
        "Ethiopia",
        "Keir et al. (2006), BSSA 96, 2221-2230",
        *(1.196997, 0.001066, 17.0, 2.0),
    ),
)
ATTENUATIONS: dict[str, Attenuation] = {scale.name: scale for scale in _ALL}


def attenuation(name: str) -> Attenuation:
    """Return the distance correction of that name.

    Raises
    ------
    ConfigError
        If there is none of that name; the known ones are listed.
    """
    if name not in ATTENUATIONS:
        raise ConfigError(
            f"magnitude scale '{name}' is unknown; choose 'user' or one of "
            f"{', '.join(ATTENUATIONS)}"
        )
    return ATTENUATIONS[name]
