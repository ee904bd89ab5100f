"""Filters that count characters, words and lines."""

from dataclasses import dataclass

import numpy as np

from nemo_curator.stages.text.filters.doc_filter import DocumentFilter
from nemo_curator.tasks.text_column import TextColumn


@dataclass
class WordCountFilter(DocumentFilter):
    """Keep documents with a number of words between two bounds, both included.

    The score is the number of words, which are what `str.split` makes of the text.
    """

    min_words: int = 50
    max_words: int = 100000
    lang: str = "en"
    name: str = "word_count"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return texts.word_counts

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        counts = np.asarray(scores)
        return (self.min_words <= counts) & (counts <= self.max_words)
