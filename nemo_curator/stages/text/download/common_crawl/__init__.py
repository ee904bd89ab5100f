"""Pages of Common Crawl."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nemo_curator.stages.text.download.common_crawl.download import (
        CommonCrawlWARCDownloader,
        CommonCrawlWARCReader,
    )
    from nemo_curator.stages.text.download.common_crawl.extract import CommonCrawlHTMLExtractor
    from nemo_curator.stages.text.download.common_crawl.stage import CommonCrawlDownloadExtractStage
    from nemo_curator.stages.text.download.common_crawl.url_generation import (
        MainCommonCrawlUrlGenerator,
        NewsCommonCrawlUrlGenerator,
    )
    from nemo_curator.stages.text.download.common_crawl.warc_iterator import (
        CommonCrawlWarcIterator,
        CommonCrawlWetIterator,
    )

_MODULES = {
    "CommonCrawlDownloadExtractStage": "stage",
    "CommonCrawlHTMLExtractor": "extract",
    "CommonCrawlWARCDownloader": "download",
    "CommonCrawlWARCReader": "download",
    "CommonCrawlWarcIterator": "warc_iterator",
    "CommonCrawlWetIterator": "warc_iterator",
    "MainCommonCrawlUrlGenerator": "url_generation",
    "NewsCommonCrawlUrlGenerator": "url_generation",
}

__all__ = [
    "CommonCrawlDownloadExtractStage",
    "CommonCrawlHTMLExtractor",
    "CommonCrawlWARCDownloader",
    "CommonCrawlWARCReader",
    "CommonCrawlWarcIterator",
    "CommonCrawlWetIterator",
    "MainCommonCrawlUrlGenerator",
    "NewsCommonCrawlUrlGenerator",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
