"""Lithoscope: earthquake catalogues with honest uncertainties from continuous recordings."""

__version__ = "0.1.0"
