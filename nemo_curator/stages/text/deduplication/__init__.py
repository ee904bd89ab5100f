"""Deduplication of texts, and the removal of documents that are duplicates."""

from nemo_curator.stages.text.deduplication.removal_workflow import TextDuplicatesRemovalWorkflow

__all__ = ["TextDuplicatesRemovalWorkflow"]
