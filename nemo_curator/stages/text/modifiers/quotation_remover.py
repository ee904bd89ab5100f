"""Where 25.09 kept QuotationRemover."""

from nemo_curator.stages.text.modifiers.string import QuotationRemover

__all__ = ["QuotationRemover"]
