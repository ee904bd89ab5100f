"""Near duplicates: documents of which large parts are the same."""

from nemo_curator.stages.deduplication.fuzzy.workflow import FuzzyDeduplicationWorkflow

__all__ = ["FuzzyDeduplicationWorkflow"]
