"""Images as an Arrow table: their bytes, their arrays, and as JSON what else is known of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from nemo_curator.tasks.image import ImageObject

_PLAIN = (str, int, float, bool, type(None))
_SCHEMA = pa.schema(
    {
        "bytes": pa.large_binary(),
        "known": pa.string(),
        "arrays": pa.map_(pa.string(), pa.large_binary()),
        "extras": pa.map_(pa.string(), pa.large_binary()),
    }
)
_PIXELS = "image_data"


def images_as_table(images: Sequence[ImageObject]) -> pa.Table:
    """A row for each image. Of one that has its bytes the pixels are left out: they can be decoded again."""
    rows = []
    for image in images:
        attributes = _attributes(image)
        arrays = {name: value for name, value in attributes.items() if isinstance(value, np.ndarray)}
        known = {name: value for name, value in attributes.items() if name not in arrays}
        kinds = {name: [array.dtype.str, array.shape] for name, array in arrays.items()}
        rows.append(
            {
                "bytes": image.image_bytes,
                "known": json.dumps({"attributes": known, "arrays": kinds}),
                "arrays": [(name, np.ascontiguousarray(array).tobytes()) for name, array in arrays.items()],
                "extras": list(image.extras.items()),
            }
        )
    return pa.Table.from_pylist(rows, _SCHEMA)


def images_of_table(table: pa.Table) -> list[ImageObject]:
    """The images that became the rows of a table."""
    images = []
    for row in table.to_pylist():
        known = json.loads(row["known"])
        image = ImageObject(image_bytes=row["bytes"], extras=dict(row["extras"]))
        for name, value in known["attributes"].items():
            setattr(image, name, value)
        for name, data in row["arrays"]:
            kind, shape = known["arrays"][name]
            setattr(image, name, np.frombuffer(data, kind).reshape(shape))
        images.append(image)
    return images


def can_be_stored(image: ImageObject) -> bool:
    """Whether an image would come back as it is: its attributes are arrays of numbers, or what JSON can say."""
    if type(image) is not ImageObject:
        return False
    attributes = _attributes(image).values()
    return all(_is_numbers(one) if isinstance(one, np.ndarray) else is_plain(one) for one in attributes)


def is_plain(value: Any) -> bool:
    """Whether JSON can say it. A tuple comes back as a list."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return isinstance(value, _PLAIN)


def _attributes(image: ImageObject) -> dict[str, Any]:
    """What there is to keep of an image beside its bytes and extras."""
    known = {name: value for name, value in vars(image).items() if name[0] != "_" and name != "extras"}
    return known if image.image_bytes is not None or not image.has_pixels else {**known, _PIXELS: image.image_data}


def _is_numbers(array: np.ndarray) -> bool:
    return array.dtype.kind in "biuf"
