"""Where 25.09 kept MarkdownRemover."""

from nemo_curator.stages.text.modifiers.string import MarkdownRemover

__all__ = ["MarkdownRemover"]
