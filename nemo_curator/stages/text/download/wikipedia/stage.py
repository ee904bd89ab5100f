"""From Wikipedia to documents, in one stage."""

from __future__ import annotations

from nemo_curator.stages.text.download.base import DocumentDownloadExtractStage
from nemo_curator.stages.text.download.wikipedia.download import WikipediaDownloader
from nemo_curator.stages.text.download.wikipedia.extract import WikipediaExtractor
from nemo_curator.stages.text.download.wikipedia.iterator import WikipediaIterator
from nemo_curator.stages.text.download.wikipedia.url_generation import WikipediaUrlGenerator


class WikipediaDownloadExtractStage(DocumentDownloadExtractStage):
    """Download a dump of Wikipedia and make a document of each article.

    `dump_date` is `YYYYMMDD`; None takes the newest complete dump. `url_limit` bounds the files, `record_limit` the
    articles of each; `log_frequency` is the number of articles between two messages. The columns are text, title, id,
    url, language, source_id, and the name of the file.
    """

    def __init__(
        self,
        language: str = "en",
        download_dir: str = "./wikipedia_downloads",
        dump_date: str | None = None,
        wikidumps_index_prefix: str = "https://dumps.wikimedia.org",
        verbose: bool = False,
        url_limit: int | None = None,
        record_limit: int | None = None,
        add_filename_column: bool | str = True,
        log_frequency: int = 1000,
    ):
        super().__init__(
            url_generator=WikipediaUrlGenerator(language, dump_date, wikidumps_index_prefix),
            downloader=WikipediaDownloader(download_dir, verbose),
            iterator=WikipediaIterator(language, log_frequency),
            extractor=WikipediaExtractor(language),
            url_limit=url_limit,
            record_limit=record_limit,
            add_filename_column=add_filename_column,
        )
        self.name = f"wikipedia_{language}_pipeline"
