"""Velocity models by name, each with its source."""

from __future__ import annotations

import difflib

from lithoscope.errors import ModelError
from lithoscope.traveltimes.models import VelocityModel


def _southern_california() -> VelocityModel:
    # Hadley, D. & Kanamori, H. (1977), Bull. Geol. Soc. Am. 88, 1469-1478, as used by the
    # Southern California Seismic Network (Hutton, Woessner & Hauksson 2010, BSSA 100, 423-446).
    return VelocityModel.constant_layers(
        [0.0, 5.5, 16.0, 32.0],
        [5.5, 6.3, 6.7, 7.8],
        vp_vs_ratio=1.73,
        name="southern_california",
    )


def _iasp91() -> VelocityModel:
    # Kennett, B.L.N. & Engdahl, E.R. (1991), Geophys. J. Int. 105, 429-465, table 2: the crust
    # and, as a constant, the top of the mantle.
    return VelocityModel.constant_layers(
        [0.0, 20.0, 35.0], [5.8, 6.5, 8.04], [3.36, 3.75, 4.47], name="iasp91"
    )


def _constant() -> VelocityModel:
    # One homogeneous crust, the upper-crust velocity of iasp91; for tests and tiny networks.
    return VelocityModel.constant_layers([0.0], [5.8], [3.36], name="constant")


_BUILDERS = {
    "southern_california": _southern_california,
    "iasp91": _iasp91,
    "constant": _constant,
}
BUILTIN_MODELS = tuple(_BUILDERS)


def builtin_model(name: str) -> VelocityModel:
    """Return a model of the package by name.

    ``southern_california`` (Hadley & Kanamori 1977, Vp/Vs 1.73), ``iasp91`` (crust and top of
    the mantle, Kennett & Engdahl 1991) or ``constant`` (5.8 and 3.36 km/s).

    Raises
    ------
    ModelError
        If there is no model of that name; the nearest known one is named.
    """
    if name not in _BUILDERS:
        near = difflib.get_close_matches(name, BUILTIN_MODELS, n=1, cutoff=0.0)[0]
        raise ModelError(f"velocity model '{name}' is unknown; did you mean '{near}'?")
    return _BUILDERS[name]()
