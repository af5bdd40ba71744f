"""What a picture shows, by classifiers."""

from .classifier import Classification, Classifier, Timing, TreeOfClasses

__all__ = ["Classification", "Classifier", "Timing", "TreeOfClasses"]
