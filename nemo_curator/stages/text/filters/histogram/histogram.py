"""Which characters a language is written with."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from nemo_curator.errors import InputError
from nemo_curator.stages.text.download.base.http import download_file
from nemo_curator.stages.text.filters.doc_filter import DocumentFilter
from nemo_curator.utils.user_cache import user_cache
from nemo_curator.utils.whole_files import appearing_whole

URL = "https://dl.fbaipublicfiles.com/m2m_100/histograms.tar.gz"
FOLDER = PurePosixPath("checkpoint/edunov/cc60_multilingual/clean_hists")
"""Where in the archive, and in the cache, a language has a file with its characters, the most frequent first."""


@dataclass
class HistogramFilter(DocumentFilter):
    """Keep documents that are written with the usual characters of a language.

    The score is 1 if more than `threshold` of the characters between the first and the last that is no white space are
    among them, else 0; an empty document scores 0. Usual are the characters that come before `threshold_char` in the
    histogram of the language. Histograms are those of M2M-100, by default fetched from `url` once on every machine and
    kept in `cache_dir`; no more is fetched where `<cache_dir>/histograms/checkpoint/edunov/cc60_multilingual/
    clean_hists/<lang>` is there.
    """

    lang: str = "en"
    threshold: float = 0.8
    cache_dir: str = ""
    threshold_char: str = "]"
    url: str = URL
    name: str = "histogram"

    _loaded_usual: np.ndarray | None = field(default=None, init=False, repr=False, compare=False)

    def model_check_or_download(self) -> None:
        if not self._file.is_file():
            fetch_histograms(self.url, self._folder)
        if not self._file.is_file():
            known = sorted(path.name for path in self._folder.iterdir() if not path.name.startswith("."))
            raise InputError(f"there is no histogram for {self.lang!r}; there are {known}")

    def load_model(self) -> None:
        self._usual()

    def score_document(self, text: str) -> int:
        usual = self._usual()
        characters = np.frombuffer(text.strip().encode("utf-32-le", errors="surrogatepass"), np.uint32)
        return int(np.count_nonzero(usual[characters]) > self.threshold * len(characters))

    def keep_document(self, score: int) -> bool:
        return score == 1

    @property
    def _folder(self) -> Path:
        root = Path(self.cache_dir) if self.cache_dir else user_cache("models")
        return root / "histograms" / FOLDER

    @property
    def _file(self) -> Path:
        return self._folder / self.lang

    def _usual(self) -> np.ndarray:
        """Whether each code point is usual."""
        if self._loaded_usual is None:
            if not self._file.is_file():
                self.model_check_or_download()
            self._loaded_usual = np.zeros(0x110000, bool)
            self._loaded_usual[[ord(character) for character in _read(self._file, self.threshold_char)]] = True
        return self._loaded_usual


def fetch_histograms(url: str, folder: Path) -> None:
    """Fetch the archive and put its histograms into a folder; each appears when it is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder) as place:
        archive = f"{place}/histograms.tar.gz"
        download_file(url, archive)
        try:
            with tarfile.open(archive) as tar:
                for member in tar:
                    path = PurePosixPath(member.name)
                    # files are taken out by name and put where they belong: no path in an archive is followed
                    if member.isfile() and path.parent == FOLDER and not path.name.startswith("."):
                        _take_out(tar, member, folder / path.name)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise InputError(f"{url} is not the archive of histograms: {type(error).__name__}: {error}") from error


def _take_out(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    source = tar.extractfile(member)
    if source is not None:
        with appearing_whole(str(target)) as place, Path(place).open("wb") as file:
            shutil.copyfileobj(source, file)


def _read(path: Path, threshold_char: str) -> set[str]:
    usual: set[str] = set()
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            if line.startswith(threshold_char):
                break
            usual.add(line[0])
    return usual
