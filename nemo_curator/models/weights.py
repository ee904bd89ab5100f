"""The files of models: found in a folder, or fetched into it."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from nemo_curator.errors import CuratorError, InputError, need
from nemo_curator.utils.hf_download_utils import download_model_from_hf
from nemo_curator.utils.user_cache import user_cache
from nemo_curator.utils.whole_files import appearing_whole

_OTHER_FORMATS = ["*.bin", "*.msgpack", "*.h5", "*.ot", "*.gz"]


@dataclass(frozen=True)
class HubModel:
    """A model of the Hugging Face hub, and patterns of the files it is not complete without.

    It is in the folder of its name within `model_dir`, or in `model_dir` itself. Without `model_dir` it is in the cache
    of the hub, which HF_HOME moves.
    """

    id: str
    wanted: tuple[str, ...]
    revision: str | None = None
    filename: str | None = None
    """The one file to fetch; None fetches all but those of other formats."""

    def find(self, model_dir: str | None) -> Path:
        """The folder with the files of the model."""
        if model_dir is None:
            return self._cached() or _absent(_hub_cache(), self.wanted, self._origin)
        folder = self._folder(model_dir)
        return _absent(folder, self.wanted, self._origin) if missing(folder, self.wanted) else folder

    def fetch(self, model_dir: str | None) -> Path:
        """Bring the model into its folder, unless it is there; returns the folder.

        Several processes may do so at the same time: the hub's library locks each file and renames it when it is whole.
        """
        folder = self._cached() if model_dir is None else self._folder(model_dir)
        if folder is not None and not missing(folder, self.wanted):
            return folder
        try:
            if model_dir is None:
                need("huggingface_hub", extra="image").snapshot_download(
                    self.id, revision=self.revision, ignore_patterns=_OTHER_FORMATS, allow_patterns=self.filename
                )
            else:
                download_model_from_hf(self.id, str(folder), _OTHER_FORMATS, self.filename, self.revision)
        except CuratorError:
            raise
        except Exception as error:  # the libraries below have dozens of errors for a network that is not there
            return _absent(folder or _hub_cache(), self.wanted, self._origin, error)
        return self.find(model_dir)

    @property
    def _origin(self) -> str:
        version = f" at revision {self.revision}" if self.revision else ""
        return f"{self.id}{version} of the Hugging Face hub"

    def _folder(self, model_dir: str) -> Path:
        given = Path(model_dir).expanduser()
        named = given / self.id
        return given if missing(named, self.wanted) and not missing(given, self.wanted) else named

    def _cached(self) -> Path | None:
        """What the cache has: the revision, else the one that is called main there."""
        hub = need("huggingface_hub", extra="image")
        for revision in dict.fromkeys([self.revision, None]):
            try:
                found = Path(hub.snapshot_download(self.id, revision=revision, local_files_only=True))
            except FileNotFoundError:
                continue
            if not missing(found, self.wanted):
                return found
        return None


@dataclass(frozen=True)
class ZippedModel:
    """A model that is one file of an archive at a URL. Without `model_dir` it is in the user's cache."""

    id: str
    url: str
    filename: str

    def find(self, model_dir: str | None) -> Path:
        """The file of the model."""
        path = self._path(model_dir)
        return path if path.is_file() else _absent(path.parent, [self.filename], self.url)

    def fetch(self, model_dir: str | None) -> Path:
        """Bring the model into its folder, unless it is there; returns the file."""
        from nemo_curator.stages.text.download.base.http import download_file

        path = self._path(model_dir)
        if path.is_file():
            return path
        try:
            # each process fetches under a name of its own, and the last one to finish names the file
            with appearing_whole(str(path)) as unfinished, _removed(Path(f"{unfinished}.zip")) as archive:
                download_file(self.url, str(archive))
                _extract(archive, self.filename, Path(unfinished))
        except (OSError, zipfile.BadZipFile, KeyError) as error:
            _absent(path.parent, [self.filename], self.url, error)
        return path

    def _path(self, model_dir: str | None) -> Path:
        folder = user_cache("models") if model_dir is None else Path(model_dir).expanduser()
        return folder / self.id / self.filename


def missing(folder: Path, wanted: Sequence[str]) -> list[str]:
    """Which of these patterns match no file of a folder."""
    return [pattern for pattern in wanted if not any(path.is_file() for path in folder.glob(pattern))]


def read_tensors(path: Path) -> dict[str, Any]:
    """The tensors of a .safetensors file, or of one that torch wrote, from which nothing but tensors is taken."""
    torch = need("torch", extra="image")
    try:
        if path.suffix == ".safetensors":
            return need("safetensors.torch", extra="image").load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"there are no weights at {path}: put them there") from error
    except Exception as error:  # each library has errors of its own for a damaged file
        raise InputError(f"{path} does not hold the weights of a model, and nothing else: {error}") from error


def load_tensors(model: Any, path: Path) -> Any:
    """Put the tensors of a file into a model, all of them and no others."""
    tensors = read_tensors(path)
    try:
        model.load_state_dict(tensors)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise InputError(f"{path} does not hold the weights of {type(model).__name__}: {error}") from error
    return model.eval()


def _extract(archive: Path, filename: str, target: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        named = [info for info in opened.infolist() if Path(info.filename).name == filename]
        if not named:
            raise KeyError(f"no {filename} among {opened.namelist()[:10]}")
        with opened.open(named[0]) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file)


@contextmanager
def _removed(archive: Path) -> Iterator[Path]:
    try:
        yield archive
    finally:
        archive.unlink(missing_ok=True)
        archive.with_name(f"{archive.name}.etag").unlink(missing_ok=True)


def _hub_cache() -> Path:
    return Path(need("huggingface_hub.constants", extra="image").HF_HUB_CACHE)


def _absent(folder: Path, wanted: Sequence[str], origin: str, error: Exception | None = None) -> NoReturn:
    why = f"; fetching them failed: {type(error).__name__}: {error}" if error else ""
    lacks = ", ".join(missing(folder, wanted) or wanted)
    raise InputError(f"{folder} lacks {lacks}: put the files of {origin} there{why}") from error
