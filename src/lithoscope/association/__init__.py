"""Association: from picks with probabilities and uncertainties to events."""

from lithoscope.association._associate import (
    Association,
    SearchGround,
    associate,
    search_ground,
)
from lithoscope.association.settings import AssociationSettings

__all__ = ["Association", "AssociationSettings", "SearchGround", "associate", "search_ground"]
