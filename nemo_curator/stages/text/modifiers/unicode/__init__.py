"""Repairing text that was decoded wrongly."""

from nemo_curator.stages.text.modifiers.unicode.unicode_reformatter import UnicodeReformatter

__all__ = ["UnicodeReformatter"]
