"""Where 25.09 kept the filter stages."""

from nemo_curator.stages.text.filters.score_filter import Filter, Score, ScoreFilter

__all__ = ["Filter", "Score", "ScoreFilter"]
