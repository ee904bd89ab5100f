"""Stages that download files and make documents of them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nemo_curator.stages.text.download.base import (
    DocumentDownloader,
    DocumentDownloadExtractStage,
    DocumentExtractor,
    DocumentIterator,
    URLGenerator,
    download_file,
)
from nemo_curator.stages.text.download.wikipedia import WikipediaDownloadExtractStage

if TYPE_CHECKING:
    from nemo_curator.stages.text.download.arxiv.stage import ArxivDownloadExtractStage
    from nemo_curator.stages.text.download.common_crawl.stage import CommonCrawlDownloadExtractStage
    from nemo_curator.stages.text.download.wikipedia.stage import WikipediaDownloadExtractStage

# a download of one's own needs nothing of what these import
_MODULES = {
    "ArxivDownloadExtractStage": "arxiv.stage",
    "CommonCrawlDownloadExtractStage": "common_crawl.stage",
    "WikipediaDownloadExtractStage": "wikipedia.stage",
}

__all__ = [
    "ArxivDownloadExtractStage",
    "CommonCrawlDownloadExtractStage",
    "DocumentDownloadExtractStage",
    "DocumentDownloader",
    "DocumentExtractor",
    "DocumentIterator",
    "URLGenerator",
    "WikipediaDownloadExtractStage",
    "download_file",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
