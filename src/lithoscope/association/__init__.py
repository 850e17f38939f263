"""Association: from picks with probabilities and uncertainties to events."""

from lithoscope.association._associate import (
    Association,
    FoundEvent,
    SearchGround,
    associate,
    find_events,
    search_ground,
)
from lithoscope.association._onsets import PickArrays
from lithoscope.association.settings import AssociationSettings

__all__ = [
    "Association",
    "AssociationSettings",
    "FoundEvent",
    "PickArrays",
    "SearchGround",
    "associate",
    "find_events",
    "search_ground",
]
