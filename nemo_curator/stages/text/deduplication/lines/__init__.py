"""Lines and paragraphs that occur in many documents."""

from nemo_curator.stages.text.deduplication.lines.workflow import LineDeduplicationWorkflow

__all__ = ["LineDeduplicationWorkflow"]
