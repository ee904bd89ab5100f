"""Stages that download files and make documents of them."""

from nemo_curator.stages.text.download.base import (
    DocumentDownloader,
    DocumentDownloadExtractStage,
    DocumentExtractor,
    DocumentIterator,
    URLGenerator,
    download_file,
)
from nemo_curator.stages.text.download.wikipedia import WikipediaDownloadExtractStage

__all__ = [
    "DocumentDownloadExtractStage",
    "DocumentDownloader",
    "DocumentExtractor",
    "DocumentIterator",
    "URLGenerator",
    "WikipediaDownloadExtractStage",
    "download_file",
]
