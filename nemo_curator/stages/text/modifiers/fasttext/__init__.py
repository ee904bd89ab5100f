"""Preparing text for fastText."""

from nemo_curator.stages.text.modifiers.fasttext.fasttext_label import FastTextLabelModifier

__all__ = ["FastTextLabelModifier"]
