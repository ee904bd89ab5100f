"""Filters that need no model."""

from nemo_curator.stages.text.filters.heuristic.string import WordCountFilter

__all__ = ["WordCountFilter"]
