"""The images of a file: of a webdataset tar, of a file by itself, of Parquet with the bytes of images."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.image.io.names import (
    TAR_EXTENSIONS,
    container_id,
    is_image,
    relative,
    safe_name,
    split_key,
    unused,
)
from nemo_curator.tasks.image import ImageObject
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.find_files import COMPRESSIONS
from nemo_curator.utils.storage import ask, locate, open_bytes
from nemo_curator.utils.tar_members import MEMBER_BYTES, tar_members

NO_IMAGE = "sample without an image"
NO_KEY = "member without a key"
IMAGE = "image"
"""The kind of the members that are images."""


@dataclass(slots=True)
class Sample:
    """Members of an archive that share a key, by their extension, in the order in which they came."""

    key: str
    members: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Name and content."""
    nbytes: int = 0

    def add(self, name: str, extension: str, data: bytes) -> None:
        self.members[extension] = name, data
        self.nbytes += len(data)


def images_in_tar(path: str, root: str, storage_options: dict[str, Any] | None = None) -> Iterator[ImageObject]:
    """The images of a webdataset tar, each with what else its sample holds.

    A sample without an image, and a member that belongs to none, are counted as dropped; a member that cannot be given,
    and damage, as failed.
    """
    container, taken = container_id(path, root), set[str]()
    for sample in _samples(path, storage_options):
        images = [member for extension, member in sample.members.items() if _kind(extension) == IMAGE]
        if not images:
            counts.seen(1, sample.nbytes)
            counts.dropped(NO_IMAGE, 1)
            continue
        counts.seen(len(images), sample.nbytes)
        for name, data in images:
            # an extension is part of the id only where there are several images of a key
            own = safe_name(sample.key if len(images) == 1 else name.removeprefix("./"))
            image_id = unused(f"{container}~~{own}", taken)
            yield ImageObject(f"{path}/{name}", image_id, image_bytes=data, **_known(sample))


def image_in_file(
    path: str, root: str, sidecars: Sidecars, storage_options: dict[str, Any] | None = None
) -> Iterator[ImageObject]:
    """The image of a file, with the caption and the metadata in `.txt` and `.json` beside it."""
    try:
        data = _read(path, storage_options)
        sample = Sample("")
        for beside in sidecars.find(path):
            sample.add(beside, beside.rpartition(".")[2], _read(beside, storage_options))
    except (InputError, OSError) as error:
        counts.cut_short(error, source=path)
        return
    counts.seen(1, len(data))
    image_id = safe_name(relative(path, root))
    yield ImageObject(path, image_id, image_bytes=data, **_known(sample))


@dataclass
class Sidecars:
    """Finds files of the same name in the same folder, which is listed once."""

    storage_options: dict[str, Any] | None = None
    _names: dict[str, set[str]] = field(default_factory=dict)

    def find(self, path: str) -> list[str]:
        """The caption and the metadata of an image."""
        return self._beside(path, (".txt", ".json"))

    def has_tar(self, path: str) -> bool:
        compressed = (f".tar{suffix}" for suffix in COMPRESSIONS)
        return bool(self._beside(path, (*TAR_EXTENSIONS, *compressed)))

    def _beside(self, path: str, suffixes: Iterable[str]) -> list[str]:
        folder, _, name = path.rpartition("/")
        if folder not in self._names:
            self._names[folder] = self._listed(folder)
        stem = name.rpartition(".")[0]
        return [f"{folder}/{stem}{suffix}" for suffix in suffixes if f"{stem}{suffix}" in self._names[folder]]

    def _listed(self, folder: str) -> set[str]:
        if not is_remote_url(folder):
            return {entry.name for entry in Path(folder or ".").iterdir()}
        fs, place = locate(folder, self.storage_options)
        return {found.rpartition("/")[2] for found in ask(fs, "ls", place, detail=False)}


def _samples(path: str, storage_options: dict[str, Any] | None) -> Iterator[Sample]:
    """Put members that follow one another and share a key together. An extension that comes again begins a sample."""
    skipped = partial(_set_aside, path)
    sample, begins = Sample(""), "/"  # with which no name begins
    try:
        for name, data in tar_members(path, skipped=skipped, damaged=skipped, storage_options=storage_options):
            key, extension = sample.key, name[len(begins) :].lower() if name.startswith(begins) else ""
            if not extension or "/" in extension:
                split = split_key(name)
                if split is None:
                    counts.seen(1, len(data))
                    counts.dropped(NO_KEY, 1)
                    continue
                key, extension = split
            if key != sample.key or extension in sample.members:
                if sample.members:
                    yield sample
                sample, begins = Sample(key), f"{key}."
            if sample.nbytes + len(data) > MEMBER_BYTES:
                skipped(InputError(f"{path}: {name} makes a sample of more than {MEMBER_BYTES} bytes"))
                continue
            sample.add(name, extension, data)
    except (InputError, OSError) as error:
        if sample.members:
            yield sample
        counts.cut_short(error, source=path)
        return
    if sample.members:
        yield sample


def _set_aside(path: str, error: InputError) -> None:
    counts.cut_short(error, source=path)


def _known(sample: Sample) -> dict[str, Any]:
    """What the members of a sample say about its images. What is not as it should be stays as it is, in `extras`."""
    caption: str | None = None
    metadata: dict[str, Any] = {}
    extras: dict[str, bytes] = {}
    for extension, (_, data) in sample.members.items():
        kind = _kind(extension)
        if kind == "txt" and (text := _text(data)) is not None:
            caption = text
        elif kind == "json" and (value := _json(data)) is not None:
            metadata = value
        elif kind != IMAGE:
            extras[extension] = data
    if caption is None and isinstance(named := metadata.get("caption"), str):
        caption = named
    return {"caption": caption, "metadata": metadata, "extras": extras}


@lru_cache(1024)
def _kind(extension: str) -> str:
    return IMAGE if is_image(f".{extension}") else extension


def _text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _json(data: bytes) -> dict[str, Any] | None:
    try:
        text = data.decode()
        value, end = _decoder.raw_decode(text)  # half the time of json.loads
        if end == len(text):
            return value if isinstance(value, dict) else None
    except (ValueError, RecursionError):
        pass  # it begins with a space or is in another encoding: json.loads knows them all
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


_decoder = json.JSONDecoder()


def _read(path: str, storage_options: dict[str, Any] | None) -> bytes:
    with open_bytes(path, storage_options) as file:
        size = file.seek(0, 2)
        if size > MEMBER_BYTES:
            raise InputError(f"{path} has {size} bytes; wanted at most {MEMBER_BYTES}")
        file.seek(0)
        return b"".join(iter(lambda: file.read(2**22), b""))
