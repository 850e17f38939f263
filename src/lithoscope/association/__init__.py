"""Association: from picks with probabilities and uncertainties to events."""

from lithoscope.association._associate import Association, associate
from lithoscope.association.settings import AssociationSettings

__all__ = ["Association", "AssociationSettings", "associate"]
