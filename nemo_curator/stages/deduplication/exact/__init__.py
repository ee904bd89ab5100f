"""Documents whose texts are the same."""

from nemo_curator.stages.deduplication.exact.identification import ExactDuplicateIdentification

__all__ = ["ExactDuplicateIdentification"]
