"""Documents whose texts are the same."""

from nemo_curator.stages.deduplication.exact.identification import ExactDuplicateIdentification
from nemo_curator.stages.deduplication.exact.workflow import ExactDeduplicationWorkflow

__all__ = ["ExactDeduplicationWorkflow", "ExactDuplicateIdentification"]
