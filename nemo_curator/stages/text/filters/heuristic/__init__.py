"""Filters that need no model."""

from nemo_curator.stages.text.filters.heuristic.line import (
    CounterLineFilter,
    EndMarkFilter,
    ForbiddenSubstringsFilter,
    NumericLineFilter,
    UppercaseFilter,
)
from nemo_curator.stages.text.filters.heuristic.string import WordCountFilter

__all__ = [
    "CounterLineFilter",
    "EndMarkFilter",
    "ForbiddenSubstringsFilter",
    "NumericLineFilter",
    "UppercaseFilter",
    "WordCountFilter",
]
