"""Where 25.09 kept UnicodeReformatter."""

from nemo_curator.stages.text.modifiers.unicode import UnicodeReformatter

__all__ = ["UnicodeReformatter"]
