"""Where the files are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nemo_curator.errors import InputError
from nemo_curator.ledger.counts import dropped, failed
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.sentinels import EmptyTask


class URLGenerator(ABC):
    """Lists the files to download."""

    @abstractmethod
    def generate_urls(self) -> list[str]:
        """Return the URLs; whatever it raises ends the run, for a list with gaps looks like a small data set."""


@dataclass
class URLGenerationStage(ProcessingStage[EmptyTask, FileGroupTask]):
    """Make one task for each URL, at most `limit`.

    A URL listed twice is taken once. `get_filename` says where a URL will be saved; one that would be saved where
    another is already is set aside.
    """

    url_generator: URLGenerator
    limit: int | None = None
    get_filename: Callable[[str], str] | None = None

    resources = Resources(cpus=0.5)
    is_source_stage = True

    def __post_init__(self) -> None:
        self.name = f"url_generation_{type(self.url_generator).__name__.lower()}"

    def num_workers(self) -> int:
        return 1

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], []

    def process(self, task: EmptyTask) -> list[FileGroupTask]:
        listed = list(self.url_generator.generate_urls())
        urls = list(dict.fromkeys(listed))
        dropped("repeated_url", len(listed) - len(urls))
        return [self._task(url) for url in self._apart(urls[: self.limit])]

    def _apart(self, urls: list[str]) -> Iterable[str]:
        if self.get_filename is None:
            return urls
        taken: dict[str, str] = {}
        for url in urls:
            filename = self.get_filename(url)
            if (other := taken.setdefault(filename, url)) != url:
                failed(InputError(f"{url} would be saved as {filename!r}, as {other} is"), source=url)
        return taken.values()

    def _task(self, url: str) -> FileGroupTask:
        name = type(self.url_generator).__name__
        return FileGroupTask(dataset_name=name, data=[url], _metadata={"source_url": url})
