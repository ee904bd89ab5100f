"""From the URL of an archive to a file on this machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from nemo_curator.stages.text.download.arxiv.url_generation import ARXIV_URL, storage_options
from nemo_curator.stages.text.download.base import DocumentDownloader, DownloadError, download_file

_CHUNK_BYTES = 2**22


class ArxivDownloader(DocumentDownloader):
    """Brings archives of arXiv into a folder, from its bucket or from where else a URL or path leads.

    A name alone is looked up in arXiv's bucket. A download that broke off is taken up where it was if the object is
    still the same one. S3 bills requests and transfer to the account of whoever asks.
    """

    def _get_output_filename(self, url: str) -> str:
        return url.rpartition("/")[2]

    def _download_to_path(self, url: str, path: str) -> tuple[bool, str | None]:
        url = url if "/" in url else f"{ARXIV_URL}{url}"
        if url.startswith(("http://", "https://")):
            download_file(url, path)
        else:
            _copy(url, Path(path))
        return True, None


def _copy(url: str, path: Path) -> None:
    """Copy what is missing. Which version of the object a partial file is of stands beside it."""
    from nemo_curator.utils.storage import open_bytes

    note = path.with_name(f"{path.name}.etag")
    size, version = _stat(url)
    is_same = path.exists() and note.exists() and note.read_text() == version and path.stat().st_size <= size
    if not is_same:
        path.unlink(missing_ok=True)
        note.write_text(version)
    with open_bytes(url, storage_options(url)) as source, path.open("ab") as target:
        source.seek(target.tell())
        shutil.copyfileobj(source, target, _CHUNK_BYTES)
    arrived = path.stat().st_size
    if arrived != size or _stat(url) != (size, version):
        path.unlink()
        raise DownloadError(f"{url} was changed while it was downloaded: {arrived} bytes arrived, {size} announced")
    note.unlink()


def _stat(url: str) -> tuple[int, str]:
    from nemo_curator.utils.storage import ask, locate

    fs, place = locate(url, storage_options(url))
    fs.invalidate_cache(fs._parent(place))
    info: dict[str, Any] = ask(fs, "info", place)
    stamps = ("ETag", "etag", "LastModified", "mtime", "created")
    return info["size"], str(next((info[key] for key in stamps if info.get(key)), info["size"]))
