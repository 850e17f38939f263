"""A picker whose first record takes no more memory and time than later ones."""

from __future__ import annotations

import numpy as np

from lithoscope.picking import LearnedPicker, Picker
from lithoscope.pipeline.pickers import PickingSettings, make_picker
from lithoscope.waveforms import Record

_MORE_S = 60.0


def warmed(settings: PickingSettings) -> Picker:
    """Return the picker of some settings; a network has worked on its longest piece once.

    The runtime of networks keeps as much memory as its longest piece needs. A watch has few pieces
    of that length, some of them after days: it takes the memory at once or as late as then.
    """
    picker = make_picker(settings)
    if isinstance(picker, LearnedPicker):
        rate_hz = picker.sampling_rate_hz
        n = round((picker.settings.chunk_s + _MORE_S) * rate_hz)
        noise = np.random.default_rng(0).standard_normal((3, n), np.float32)
        names = ("XX.XXX..HHZ", "XX.XXX..HHN", "XX.XXX..HHE")
        present = np.ones(3, bool)
        picker.pick(Record("XX.XXX..HH", 0, rate_hz, noise, present, names, ~present))
    return picker
