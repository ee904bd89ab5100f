"""From URLs to files on this machine."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_curator.errors import MissingExtraError
from nemo_curator.ledger.counts import failed
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.text.download.base.http import DownloadError, download_file
from nemo_curator.tasks.file_group import FileGroupTask

logger = logging.getLogger(__name__)


class DocumentDownloader(ABC):
    """Brings files into a folder. A subclass says what the file of a URL is called.

    Example:
        >>> class DumpDownloader(DocumentDownloader):
        ...     def _get_output_filename(self, url):
        ...         return url.rpartition("/")[2]
    """

    last_error: str | None = None
    """Why the last `download` returned None."""

    def __init__(self, download_dir: str, verbose: bool = False):
        # workers need not have the working directory of the script
        self._download_dir = str(Path(download_dir).absolute())
        self._verbose = verbose
        Path(self._download_dir).mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def _get_output_filename(self, url: str) -> str:
        """Name the file of a URL, within the folder."""

    def _download_to_path(self, url: str, path: str) -> tuple[bool, str | None]:
        """Fetch a URL into a file; return whether that went well, and if not, why.

        `path` may hold the first part of an earlier attempt. Override this to give `download_file` a checksum or
        headers, or to fetch in another way.
        """
        download_file(url, path)
        return True, None

    def download(self, url: str) -> str | None:
        """Return the path of the file, fetched unless it is there; None if it cannot be fetched.

        It gets its name when it is complete; until then the name ends in `.tmp`.
        """
        self.last_error = None
        target = self._target(url)
        if target.is_file() and target.stat().st_size > 0:
            self._say("%s is there: %s", url, target)
            return str(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.tmp")
        try:
            is_fetched, error = self._download_to_path(url, str(partial))
            if is_fetched:
                partial.replace(target)
                self._say("%s downloaded to %s", url, target)
                return str(target)
        except OSError as problem:
            error = f"{problem}" if isinstance(problem, DownloadError) else f"{type(problem).__name__}: {problem}"
        self.last_error = error or "the downloader does not say why"
        logger.error("%s could not be downloaded: %s", url, self.last_error)
        return None

    def num_workers_per_node(self) -> int | None:
        """How many downloads may run on one machine at once; None lets the executor decide."""
        return None

    def _target(self, url: str) -> Path:
        folder = Path(self._download_dir)
        target = folder / self._get_output_filename(url)
        if folder.resolve() not in target.resolve().parents:
            raise ValueError(f"the file of {url} would be {target}, outside of {folder}")
        return target

    def _say(self, text: str, *values: Any) -> None:
        if self._verbose:
            logger.info(text, *values)


@dataclass
class DocumentDownloadStage(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Turn URLs into local files. A URL that cannot be downloaded is set aside, and the others go on."""

    downloader: DocumentDownloader

    resources = Resources(cpus=0.5)
    batch_size = None

    def __post_init__(self) -> None:
        self.name = f"download_{type(self.downloader).__name__.lower()}"

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], []

    def xenna_stage_spec(self) -> dict[str, Any]:
        workers = self.downloader.num_workers_per_node()
        return {} if workers is None else {"num_workers_per_node": workers}

    def process(self, task: FileGroupTask) -> FileGroupTask | None:
        paths = [path for url in task.data if (path := self._download(url)) is not None]
        if not paths:
            return None
        metadata = {**task._metadata, "source_files": paths}
        return FileGroupTask(dataset_name=task.dataset_name, data=paths, _metadata=metadata)

    def _download(self, url: str) -> str | None:
        try:
            path = self.downloader.download(url)
            if path is None:
                raise DownloadError(self.downloader.last_error or "the downloader returned None")
        except MissingExtraError:
            raise
        except Exception as error:  # one URL of a task must not cost the others, whatever a user's downloader raises
            failed(error, source=url)
            return None
        return path
