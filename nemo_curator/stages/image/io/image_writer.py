"""Writing images as webdataset tars, each with a Parquet file that says what is in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.image.io.names import file_stem, unused
from nemo_curator.stages.image.usable import PixelUse
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.image import ImageBatch, ImageObject
from nemo_curator.tasks.packing import PART
from nemo_curator.utils.client_utils import is_remote_url, local_path
from nemo_curator.utils.file_utils import check_output_mode, refuse_to_empty
from nemo_curator.utils.hash_utils import get_deterministic_hash
from nemo_curator.utils.image_codec import encode_image, extension_of
from nemo_curator.utils.storage import ask, kind_of, locate
from nemo_curator.utils.tar_pieces import tar_pieces
from nemo_curator.utils.whole_files import appearing_whole, remove_leftovers

logger = logging.getLogger(__name__)

_SCHEMA = pa.schema(
    {
        "image_id": pa.string(),
        "tar_file": pa.string(),
        "member_name": pa.string(),
        "original_path": pa.string(),
        "metadata": pa.string(),
        "caption": pa.string(),
        "aesthetic_score": pa.float64(),
        "nsfw_score": pa.float64(),
    }
)


@dataclass
class ImageWriterStage(ProcessingStage[ImageBatch, FileGroupTask]):
    """Write images into webdataset tars of `images_per_tar`, with their captions, metadata and scores.

    A tar is filled from all batches that one source was read in. The last of a source has what is left, and one ends
    sooner where its images take more than 64 MiB.

    The bytes that were read are written as they are; pixels are encoded, as JPEG or, with alpha, as PNG. The caption
    is also a member (`.txt`), and so is the metadata (`.json`). Beside each tar a Parquet file has a row for each of
    its images; `write_embeddings` adds theirs. Files are named after the source, and appear when they are complete.
    `mode` is that of the writers of documents, without `append`. `remove_image_data` lets go of bytes and pixels once
    they are written. An image without either is set aside.
    """

    output_dir: str
    images_per_tar: int = 1000
    verbose: bool = False
    deterministic_name: bool = True
    remove_image_data: bool = False
    name: str = "image_writer"
    write_embeddings: bool = field(default=False, kw_only=True)
    mode: Literal["ignore", "overwrite", "error"] = field(default="ignore", kw_only=True)
    storage_options: dict[str, Any] | None = field(default=None, kw_only=True)

    pixel_use: ClassVar[PixelUse] = "last"
    is_light = True
    requires = {"PIL": "image"}

    def __post_init__(self) -> None:
        if self.images_per_tar < 1:
            raise ValueError(f"{self.name}: images_per_tar is {self.images_per_tar}; wanted at least 1")
        if self.mode not in ("ignore", "overwrite", "error"):
            raise ValueError(f"{self.name}: unknown mode {self.mode!r}; known are ignore, overwrite and error")
        self.images_per_call = self.images_per_tar

    @property
    def path(self) -> str:
        """The folder that is written to, absolute."""
        folder = str(self.output_dir)
        return folder.rstrip("/") if is_remote_url(folder) else str(local_path(folder))

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], []

    def check_inputs(self, paths: list[str]) -> None:
        """Raise if the run would delete files that it reads."""
        if self.mode == "overwrite":
            refuse_to_empty(self.path, paths)

    def before_run(self, earlier: bool | None = None) -> bool:
        remove_leftovers(self.path)
        if earlier is None:
            check_output_mode(self.mode, locate(self.path, self.storage_options)[0], self.path)
        return True

    def after_run(self) -> None:
        remove_leftovers(self.path)  # of workers that were killed

    def process(self, task: ImageBatch) -> FileGroupTask:
        if not task.data:
            logger.warning("%s: batch %s has no images; nothing is written", self.name, task.task_id)
        named_after, part = task._metadata.get(PART, (task.task_id, 0))
        base = f"{self.path}/{self._base_name(task, named_after)}"
        stems, rows, size = list[str](), 0, 0
        for start in range(0, task.num_items, self.images_per_tar):
            stem = f"{base}-{part + len(stems):06d}"
            if samples := list(self._samples(task.data[start : start + self.images_per_tar])):
                size += self._write(
                    f"{stem}.tar", tar_pieces(member for sample in samples for member in sample.members())
                )
                size += self._write(f"{stem}.parquet", [self._table(samples, f"{stem.rpartition('/')[2]}.tar")])
                rows += len(samples)
                stems.append(stem)
                if self.verbose:
                    logger.info("%s: %d images in %s.tar", self.name, len(samples), stem)
        counts.written(rows, size)
        self._remove_rest(base, part + len(stems))
        if self.remove_image_data:
            for image in task.data:
                image.image_data = None
        settings = {"output_dir": str(self.output_dir), "images_per_tar": self.images_per_tar}
        metadata = {**task._metadata, **settings, "num_images": rows, "num_rows": rows}
        metadata.pop(PART, None)
        files = [f"{stem}.{kind}" for kind in ("tar", "parquet") for stem in stems]
        return FileGroupTask(dataset_name=task.dataset_name, data=files, _metadata=metadata)

    def _base_name(self, task: ImageBatch, task_id: str) -> str:
        """Name a batch after its source: the same in every run, on every engine, whatever stages it went through."""
        if not self.deterministic_name:
            return f"images-{uuid4().hex[:16]}"
        source = [task._source_id] if task._source_id else task._metadata.get("source_files")
        source = source or [str(image.image_path) for image in task.data]
        return f"images-{get_deterministic_hash(source, task_id)}"

    def _samples(self, images: list[ImageObject]) -> Iterator[Sample]:
        taken: set[str] = set()
        for number, image in enumerate(images):
            try:
                data, extension = _encoded(image)
            except InputError as error:
                counts.failed(error, source=image.image_path or image.image_id, record=image.values())
                continue
            stem = unused(file_stem(image.image_id) if image.image_id else f"{number:06d}", taken)
            metadata = _unicode(json.dumps(image.metadata, ensure_ascii=False, default=_plain))
            yield Sample(image, f"{stem}.{extension}", data, metadata)

    def _table(self, samples: list[Sample], tar_file: str) -> bytes:
        """The Parquet file that goes with a tar."""
        rows = [
            {
                "image_id": _unicode(sample.image.image_id),
                "tar_file": tar_file,
                "member_name": sample.member_name,
                "original_path": _unicode(str(sample.image.image_path)),
                "metadata": sample.metadata,
                "caption": sample.image.caption and _unicode(sample.image.caption),
                "aesthetic_score": sample.image.aesthetic_score,
                "nsfw_score": sample.image.nsfw_score,
            }
            for sample in samples
        ]
        table = pa.Table.from_pylist(rows, _SCHEMA)
        if self.write_embeddings:
            vectors = [sample.image.embedding for sample in samples]
            column = [None if vector is None else np.asarray(vector, np.float32) for vector in vectors]
            table = table.append_column("embedding", pa.array(column, pa.list_(pa.float32())))
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
        return sink.getvalue().to_pybytes()

    def _write(self, path: str, pieces: Iterable[bytes]) -> int:
        """Write a file that appears when it is complete, to an object store in one go; returns its bytes."""
        if is_remote_url(path):
            fs, place = locate(path, self.storage_options)
            data = b"".join(pieces)
            ask(fs, "pipe_file", place, data)
            return len(data)
        with appearing_whole(path) as place, Path(place).open("wb") as file:
            file.writelines(pieces)
            return file.tell()

    def _remove_rest(self, base: str, number: int) -> None:
        """Delete what an earlier run wrote for the same batch beyond these files, when it had more images."""
        fs, place = locate(base, self.storage_options)
        while kind_of(fs, f"{place}-{number:06d}.tar"):
            for kind in ("tar", "parquet"):
                if kind_of(fs, f"{place}-{number:06d}.{kind}"):
                    ask(fs, "rm_file", f"{place}-{number:06d}.{kind}")
            number += 1


@dataclass(frozen=True)
class Sample:
    """An image as it is written; the metadata is JSON."""

    image: ImageObject
    member_name: str
    data: bytes
    metadata: str

    def members(self) -> Iterator[tuple[str, bytes]]:
        """What the tar holds of it: the image, then what is known about it."""
        stem = self.member_name.rpartition(".")[0]
        yield self.member_name, self.data
        beside = dict(self.image.extras)
        if self.image.caption is not None:
            beside.setdefault("txt", _unicode(self.image.caption).encode())
        if self.image.metadata:
            beside.setdefault("json", self.metadata.encode())
        for extension, data in sorted(beside.items()):
            yield f"{stem}.{extension}", data


def _encoded(image: ImageObject) -> tuple[bytes, str]:
    """The bytes of an image, and the extension that belongs to them."""
    if image.image_bytes is not None:
        return image.image_bytes, image.extension or "bin"
    if image.image_data is None:
        raise InputError("ImageObject.image_data is None; cannot write image bytes")
    data = encode_image(image.image_data)
    return data, extension_of(data) or "bin"


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)


def _unicode(text: str) -> str:
    """Text without the halves of characters that names of files, and JSON, may hold."""
    return text.encode(errors="replace").decode()
