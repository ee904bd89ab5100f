"""From snapshots of Common Crawl to documents, in one stage."""

from __future__ import annotations

from typing import Any

from nemo_curator.stages.text.download.base.extract import DocumentExtractor
from nemo_curator.stages.text.download.base.iterator import DocumentIterator
from nemo_curator.stages.text.download.base.stage import DocumentDownloadExtractStage
from nemo_curator.stages.text.download.base.url_generation import URLGenerator
from nemo_curator.stages.text.download.common_crawl.download import CommonCrawlWARCDownloader
from nemo_curator.stages.text.download.common_crawl.extract import CommonCrawlHTMLExtractor
from nemo_curator.stages.text.download.common_crawl.url_generation import (
    MainCommonCrawlUrlGenerator,
    NewsCommonCrawlUrlGenerator,
)
from nemo_curator.stages.text.download.common_crawl.warc_iterator import CommonCrawlWarcIterator, CommonCrawlWetIterator

FILES_PER_WORKER = 2
"""jusText and lxml keep memory, so that a worker of Ray Data ends after so many archives."""


class CommonCrawlDownloadExtractStage(DocumentDownloadExtractStage):
    """Download the archives between two snapshots, and make documents of the pages in them.

    `crawl_type` is `main`, with snapshots as `YYYY-WW`; `news`, as `YYYY-MM`; or `wet`, the texts that Common Crawl
    made of the pages of `main`, which need no extraction. `html_extraction` is `justext`, `resiliparse`, `trafilatura`
    or an extractor of your own. `url_limit` bounds the archives, `record_limit` the documents of each.
    """

    def __init__(
        self,
        start_snapshot: str,
        end_snapshot: str,
        download_dir: str,
        crawl_type: str = "main",
        html_extraction: Any = None,
        html_extraction_kwargs: dict[str, Any] | None = None,
        stop_lists: dict[str, frozenset[str]] | None = None,
        use_aws_to_download: bool = False,
        verbose: bool = False,
        url_limit: int | None = None,
        record_limit: int | None = None,
        add_filename_column: bool | str = True,
        extractor_max_calls_per_worker: int | None = None,
    ):
        self.crawl_type = crawl_type
        iterator: DocumentIterator = CommonCrawlWarcIterator()
        extractor: DocumentExtractor | None = None
        if crawl_type == "wet":
            if html_extraction is not None or html_extraction_kwargs or stop_lists:
                raise ValueError("crawl_type 'wet' holds texts, so that html_extraction and stop_lists have no use")
            iterator = CommonCrawlWetIterator()
        else:
            extractor = CommonCrawlHTMLExtractor(html_extraction, html_extraction_kwargs, stop_lists)
            if extractor_max_calls_per_worker is None and _is_justext(html_extraction):
                extractor_max_calls_per_worker = FILES_PER_WORKER
        super().__init__(
            url_generator=_urls(crawl_type, start_snapshot, end_snapshot, url_limit),
            downloader=CommonCrawlWARCDownloader(download_dir, use_aws_to_download, verbose),
            iterator=iterator,
            extractor=extractor,
            url_limit=url_limit,
            record_limit=record_limit,
            add_filename_column=add_filename_column,
            extractor_max_calls_per_worker=extractor_max_calls_per_worker,
        )
        self.name = f"common_crawl_{crawl_type}_pipeline"


def _urls(crawl_type: str, start: str, end: str, limit: int | None) -> URLGenerator:
    if crawl_type == "main":
        return MainCommonCrawlUrlGenerator(start, end, limit=limit)
    if crawl_type == "wet":
        return MainCommonCrawlUrlGenerator(start, end, limit=limit, kind="wet")
    if crawl_type == "news":
        return NewsCommonCrawlUrlGenerator(start, end, limit=limit)
    raise ValueError(f"crawl_type is {crawl_type!r}; wanted 'main', 'news' or 'wet'")


def _is_justext(html_extraction: Any) -> bool:
    if isinstance(html_extraction, str):
        return html_extraction.lower() == "justext"
    return html_extraction is None or type(html_extraction).__name__ == "JusTextExtractor"
