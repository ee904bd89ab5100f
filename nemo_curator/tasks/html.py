"""How notebooks show batches: a few rows, cut short, with everything escaped."""

from __future__ import annotations

import base64
from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from nemo_curator.tasks.document import DocumentBatch
    from nemo_curator.tasks.image import ImageBatch, ImageObject

ROWS, COLUMNS, CHARS = 10, 20, 300
IMAGES, THUMBNAIL = 12, 128
_CELL = "text-align:left;vertical-align:top;max-width:40em;overflow-wrap:anywhere;white-space:pre-wrap"
_FIGURE = f"display:inline-block;width:{THUMBNAIL + 8}px;margin:4px;vertical-align:top;overflow-wrap:anywhere"


def documents_html(batch: DocumentBatch) -> str:
    """The first rows of a batch as a table."""
    names = batch.get_columns()
    shown, first = names[:COLUMNS], batch.slice(0, ROWS)
    kinds = {name: str(first.column(name).type) for name in shown}
    head = "".join(f"<th>{escape(name)}<br><small>{escape(kinds[name])}</small></th>" for name in shown)
    columns = [first.values(name) for name in shown]
    rows = ["".join(f'<td style="{_CELL}">{_cell(value)}</td>' for value in row) for row in zip(*columns)]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f"<div><p>{_title(batch, 'documents', ROWS)}, {_count(len(names), 'columns', COLUMNS)}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def images_html(batch: ImageBatch) -> str:
    """The first images of a batch, small, with what is known of them. Pixels that were not decoded stay that way."""
    figures = "".join(_figure(image) for image in islice(batch.data, IMAGES))
    return f"<div><p>{_title(batch, 'images', IMAGES)}</p>{figures}</div>"


def _title(batch: DocumentBatch | ImageBatch, what: str, most: int) -> str:
    name = f"{escape(batch.dataset_name)}: " if batch.dataset_name else ""
    return f"<b>{type(batch).__name__}</b> {name}{_count(batch.num_items, what, most)}"


def _count(number: int, what: str, most: int) -> str:
    return f"{number:,} {what}" + (f" (the first {most} are shown)" if number > most else "")


def _cell(value: Any) -> str:
    if value is None:
        return "<em>null</em>"
    text = value if isinstance(value, str) else f"{len(value):,} bytes" if isinstance(value, bytes) else repr(value)
    return escape(text) if len(text) <= CHARS else f"{escape(text[:CHARS])}<em>… {len(text):,} characters</em>"


def _figure(image: ImageObject) -> str:
    try:
        picture = f'<img src="{_thumbnail(image)}">'
    except (InputError, MissingExtraError) as error:
        picture = f"<em>{_cell(str(error))}</em>"
    known = image.values()
    lines = [f"{escape(key)}: {_cell(value)}" for key, value in known.items() if isinstance(value, str | int | float)]
    return f'<div style="{_FIGURE}">{picture}<br><small>{"<br>".join(lines)}</small></div>'


def _thumbnail(image: ImageObject) -> str:
    from nemo_curator.utils.image_codec import decode_rgb, encode_image

    data = image.image_bytes
    pixels = image.image_data if data is None else decode_rgb(data, THUMBNAIL)
    if pixels is None:
        raise InputError("neither bytes nor pixels")
    step = max(-(-max(pixels.shape[:2]) // THUMBNAIL), 1)
    encoded = encode_image(pixels[::step, ::step])
    kind = "png" if encoded.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(encoded).decode()}"
