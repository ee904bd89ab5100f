"""Where 25.09 kept its heuristic filters."""

from nemo_curator.stages.text.filters.heuristic import WordCountFilter
from nemo_curator.stages.text.filters.histogram import HistogramFilter
from nemo_curator.stages.text.filters.token import TokenCountFilter

__all__ = ["HistogramFilter", "TokenCountFilter", "WordCountFilter"]
