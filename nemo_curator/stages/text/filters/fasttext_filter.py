"""Where 25.09 kept its fastText filters."""

from nemo_curator.stages.text.filters.fasttext import FastTextLangId, FastTextQualityFilter

__all__ = ["FastTextLangId", "FastTextQualityFilter"]
