"""Filters, and the stages that apply them."""

from nemo_curator.stages.text.filters.doc_filter import DocumentFilter
from nemo_curator.stages.text.filters.fasttext import FastTextLangId, FastTextQualityFilter
from nemo_curator.stages.text.filters.heuristic import WordCountFilter
from nemo_curator.stages.text.filters.heuristic.code import (
    AlphaFilter,
    GeneralCommentToCodeFilter,
    HTMLBoilerplateFilter,
    NumberOfLinesOfCodeFilter,
    PerExtensionFilter,
    PythonCommentToCodeFilter,
    TokenizerFertilityFilter,
    XMLHeaderFilter,
)
from nemo_curator.stages.text.filters.histogram import HistogramFilter
from nemo_curator.stages.text.filters.score_filter import Filter, Score, ScoreFilter
from nemo_curator.stages.text.filters.token import TokenCountFilter

__all__ = [
    "AlphaFilter",
    "DocumentFilter",
    "FastTextLangId",
    "FastTextQualityFilter",
    "Filter",
    "GeneralCommentToCodeFilter",
    "HTMLBoilerplateFilter",
    "HistogramFilter",
    "NumberOfLinesOfCodeFilter",
    "PerExtensionFilter",
    "PythonCommentToCodeFilter",
    "Score",
    "ScoreFilter",
    "TokenCountFilter",
    "TokenizerFertilityFilter",
    "WordCountFilter",
    "XMLHeaderFilter",
]
