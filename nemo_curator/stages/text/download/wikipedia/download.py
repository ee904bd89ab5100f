"""Dump files, from the server of the dumps to this machine."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from nemo_curator.stages.text.download.base import DocumentDownloader, DownloadError, download_file
from nemo_curator.stages.text.download.wikipedia.dump_status import UnfinishedDumpError, list_files

logger = logging.getLogger(__name__)


class WikipediaDownloader(DocumentDownloader):
    """Fetches dump files, two at a time on each machine as the server asks.

    They are checked by the checksum in the `dumpstatus.json` beside them, where there is one.
    """

    def __init__(self, download_dir: str, verbose: bool = False):
        super().__init__(download_dir, verbose)
        self._checksums: dict[str, dict[str, str | None]] = {}

    def num_workers_per_node(self) -> int:
        return 2

    def _get_output_filename(self, url: str) -> str:
        return urlsplit(url).path.strip("/").replace("/", "-")

    def _download_to_path(self, url: str, path: str) -> tuple[bool, str | None]:
        download_file(url, path, checksum=self._checksum(url))
        return True, None

    def _checksum(self, url: str) -> str | None:
        folder, _, name = url.rpartition("/")
        if folder not in self._checksums:
            try:
                self._checksums[folder] = list_files(folder, retries=1)
            except (UnfinishedDumpError, DownloadError, FileNotFoundError) as error:
                logger.warning("%s is not checked by a checksum: %s", url, error)
                self._checksums[folder] = {}
        return self._checksums[folder].get(name)
