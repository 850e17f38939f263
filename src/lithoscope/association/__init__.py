"""Association: from picks with probabilities and uncertainties to events."""

from lithoscope.association._associate import Association, associate, longest_travel_time_s
from lithoscope.association.settings import AssociationSettings

__all__ = ["Association", "AssociationSettings", "associate", "longest_travel_time_s"]
