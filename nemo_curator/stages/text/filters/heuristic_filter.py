"""Where 25.09 kept its heuristic filters."""

from nemo_curator.stages.text.filters.heuristic import WordCountFilter

__all__ = ["WordCountFilter"]
