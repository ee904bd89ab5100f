"""Images in Parquet: a column of their bytes, and what the other columns say about them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.image.io.names import container_id
from nemo_curator.stages.text.io.reader.parquet import DAMAGE, promised_rows, rows_at_once
from nemo_curator.tasks.image import ImageObject
from nemo_curator.utils.storage import open_bytes

NO_BYTES = "row without the bytes of an image"
CAPTIONS = ("caption", "text", "TEXT")
"""Columns that are taken for the caption; the first that is there and holds a string."""
_USUAL_NAMES = ("image", "image_bytes", "bytes", "jpg", "content")


def images_in_parquet(
    path: str,
    root: str,
    *,
    image_field: str | None = None,
    row_groups: list[int] | None = None,
    is_beside_tar: bool = False,
    storage_options: dict[str, Any] | None = None,
) -> Iterator[ImageObject]:
    """The images of a Parquet file, named after their row, with the other columns as metadata.

    Bytes are in a binary column, or in one of structs with `bytes`, as Hugging Face writes them. A row without any is
    counted as dropped. Damage ends the file, and the rows that are missing by its footer have failed. A file without
    such a column that is beside a tar of its name tells about the images there, and has none.
    """
    container, read, promised = container_id(path, root), 0, 1
    try:
        with open_bytes(path, storage_options) as source:
            file = pq.ParquetFile(source, page_checksum_verification=True)
            if is_beside_tar and image_field is None and not any(_holds_bytes(one.type) for one in file.schema_arrow):
                return
            promised = promised_rows(file.metadata, row_groups)
            column = _image_column(file.schema_arrow, image_field, path)
            for group in range(file.num_row_groups) if row_groups is None else row_groups:
                row = sum(file.metadata.row_group(before).num_rows for before in range(group))
                for batch in file.iter_batches(rows_at_once(file.metadata), [group], use_threads=False):
                    counts.seen(batch.num_rows, batch.nbytes)
                    read += batch.num_rows
                    for values in batch.to_pylist():
                        image = _image(values, column, f"{path}/{row}", f"{container}~~{row:09d}")
                        row += 1
                        if image is None:
                            counts.dropped(NO_BYTES, 1)
                        else:
                            yield image
    except DAMAGE as error:
        place = f"{path}, after row {read}" if read else path
        counts.cut_short(error, source=place, rows=max(promised - read, 1))


def _image_column(schema: pa.Schema, wanted: str | None, path: str) -> str:
    """The column that holds the bytes of images."""
    found = [one.name for one in schema if _holds_bytes(one.type)]
    if wanted is not None:
        found = [name for name in found if name == wanted]
    elif len(found) > 1:
        found = [name for name in _USUAL_NAMES if name in found][:1] or found
    if len(found) == 1:
        return found[0]
    columns = {one.name: str(one.type) for one in schema}
    remedy = "give image_field" if found else "wanted one of bytes, or of structs with bytes"
    raise InputError(f"{path}: which column holds images is not clear; {remedy}; its columns are {columns}")


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        at = kind.get_field_index("bytes")
        return at >= 0 and _holds_bytes(kind.field(at).type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _image(values: dict[str, Any], column: str, path: str, image_id: str) -> ImageObject | None:
    data = values.pop(column)
    if isinstance(data, dict):
        path, data = data.get("path") or path, data["bytes"]
    if not data:
        return None
    caption = next((values[name] for name in CAPTIONS if isinstance(values.get(name), str)), None)
    return ImageObject(path, image_id, values, image_bytes=data, caption=caption)
