"""Long substrings that occur in many documents."""

from nemo_curator.stages.text.deduplication.substrings.workflow import SubstringDeduplicationWorkflow

__all__ = ["SubstringDeduplicationWorkflow"]
