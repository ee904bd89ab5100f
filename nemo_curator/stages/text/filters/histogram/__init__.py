"""A filter that knows the characters of languages."""

from nemo_curator.stages.text.filters.histogram.histogram import HistogramFilter

__all__ = ["HistogramFilter"]
