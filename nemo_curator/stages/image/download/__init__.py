"""Downloading images from lists of their URLs."""

from nemo_curator.stages.image.download.stage import ImageDownloadStage

__all__ = ["ImageDownloadStage"]
