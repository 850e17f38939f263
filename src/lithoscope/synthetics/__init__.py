"""Networks, catalogues, picks and seismograms with known truth, for tests and benchmarks."""

from lithoscope.synthetics.archive import write_archive
from lithoscope.synthetics.catalogues import simulate_catalogue
from lithoscope.synthetics.networks import random_network
from lithoscope.synthetics.picks import EarthModel, SimulatedPicks, simulate_picks
from lithoscope.synthetics.seismograms import SeismogramSettings, simulate_records
from lithoscope.synthetics.training import SyntheticBatch, SyntheticSettings, synthesize

__all__ = [
    "EarthModel",
    "SeismogramSettings",
    "SimulatedPicks",
    "SyntheticBatch",
    "SyntheticSettings",
    "random_network",
    "simulate_catalogue",
    "simulate_picks",
    "simulate_records",
    "synthesize",
    "write_archive",
]
