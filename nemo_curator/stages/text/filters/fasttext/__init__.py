"""Filters that ask a fastText model."""

from nemo_curator.stages.text.filters.fasttext.fasttext_filters import FastTextLangId, FastTextQualityFilter

__all__ = ["FastTextLangId", "FastTextQualityFilter"]
