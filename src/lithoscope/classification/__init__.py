"""What kind of event: an interface, and the classifier that admits it does not know."""

from lithoscope.classification.classify import Classifier, Unclassified, classify, type_columns

__all__ = ["Classifier", "Unclassified", "classify", "type_columns"]
