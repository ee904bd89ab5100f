"""Where 25.09 kept UrlRemover."""

from nemo_curator.stages.text.modifiers.string import UrlRemover

__all__ = ["UrlRemover"]
