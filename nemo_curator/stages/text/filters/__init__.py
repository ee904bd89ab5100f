"""Filters, and the stages that apply them."""

from nemo_curator.stages.text.filters.doc_filter import DocumentFilter
from nemo_curator.stages.text.filters.heuristic import WordCountFilter
from nemo_curator.stages.text.filters.line_filter import LineFilter
from nemo_curator.stages.text.filters.mark_rejected import MarkRejected
from nemo_curator.stages.text.filters.score_filter import Filter, Score, ScoreFilter

__all__ = ["DocumentFilter", "Filter", "LineFilter", "MarkRejected", "Score", "ScoreFilter", "WordCountFilter"]
