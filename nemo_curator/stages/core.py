"""An older page of the documentation has ProcessingStage here."""

from nemo_curator.stages.base import ProcessingStage

__all__ = ["ProcessingStage"]
