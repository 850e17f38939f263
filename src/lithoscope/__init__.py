"""Lithoscope: earthquake catalogues with honest uncertainties from continuous recordings."""

import os

# Read when Arrow is loaded: its own allocator keeps several times what small tables need, for days.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

__version__ = "0.1.0"
