"""Records in; probabilities, picks of P and S with calibrated sigmas, and detections out."""

from lithoscope.picking._peaks import Onsets
from lithoscope.picking.classical import ClassicalPicker
from lithoscope.picking.combined import CombinedPicker
from lithoscope.picking.interface import Picker
from lithoscope.picking.learned import LearnedPicker
from lithoscope.picking.settings import ClassicalPickerSettings, LearnedPickerSettings

__all__ = [
    "ClassicalPicker",
    "ClassicalPickerSettings",
    "CombinedPicker",
    "LearnedPicker",
    "LearnedPickerSettings",
    "Onsets",
    "Picker",
]
