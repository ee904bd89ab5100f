"""Where 25.09 kept NewlineNormalizer."""

from nemo_curator.stages.text.modifiers.string import NewlineNormalizer

__all__ = ["NewlineNormalizer"]
