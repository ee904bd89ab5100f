"""Filters that count the tokens of a model."""

from nemo_curator.stages.text.filters.token.token_count import TokenCountFilter

__all__ = ["TokenCountFilter"]
