"""Stages for whole documents. The filter and modifier stages are here for scripts of 25.09."""

from nemo_curator.stages.text.filters.score_filter import Filter, Score, ScoreFilter
from nemo_curator.stages.text.modifiers.modifier import Modify
from nemo_curator.stages.text.modules.add_id import AddId
from nemo_curator.stages.text.modules.joiner import DocumentJoiner
from nemo_curator.stages.text.modules.splitter import DocumentSplitter

__all__ = ["AddId", "DocumentJoiner", "DocumentSplitter", "Filter", "Modify", "Score", "ScoreFilter"]
