"""What feeds models of text."""

from nemo_curator.stages.text.models.tokenizer import TokenizerStage

__all__ = ["TokenizerStage"]
