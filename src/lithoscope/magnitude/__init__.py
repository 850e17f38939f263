"""Local magnitudes from Wood-Anderson amplitudes, with the reason for every refusal."""

from lithoscope.magnitude.attenuation import ATTENUATIONS, Attenuation, attenuation
from lithoscope.magnitude.corrections import correct_stations, estimate_station_corrections
from lithoscope.magnitude.local import Reader, local_magnitudes
from lithoscope.magnitude.moved import moved_magnitudes
from lithoscope.magnitude.network import NetworkMagnitude, robust_mean
from lithoscope.magnitude.settings import MagnitudeSettings

__all__ = [
    "ATTENUATIONS",
    "Attenuation",
    "MagnitudeSettings",
    "NetworkMagnitude",
    "Reader",
    "attenuation",
    "correct_stations",
    "estimate_station_corrections",
    "local_magnitudes",
    "moved_magnitudes",
    "robust_mean",
]
