"""A few of the rows that a filter kept and dropped, for people to look at.

Which ones is decided by numbers that depend on the batch, the filter and the place of the row alone, so that they are
the same however a run was cut into partitions, on any executor, and after a resume.
"""

from __future__ import annotations

import base64
import functools
import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from nemo_curator.errors import InputError, MissingExtraError
from nemo_curator.tasks.image import ImageBatch, ImageObject
from nemo_curator.utils.image_codec import thumbnail

if TYPE_CHECKING:
    from nemo_curator.tasks.document import DocumentBatch

logger = logging.getLogger(__name__)

MOST = 5
"""How many rows that were kept, and how many that were dropped, are shown of each filter."""
EXCERPT = 500
"""Characters of a text that are shown."""
THUMBNAIL = 160
"""Pixels of the long side of an image that is shown."""
IDS = ("id", "_curator_dedup_id", "doc_id", "document_id", "url")
"""Columns that may name a document; the first one that is there does."""

_LAST = 2**64 - 1
_MOST_BYTES = 4 * EXCERPT

Row: TypeAlias = dict[str, Any]
Drawn: TypeAlias = list[tuple[int, Row]]
"""Rows with the numbers by which they were drawn, lowest first."""
Describer: TypeAlias = Callable[[], Callable[[int], Row]]
"""Makes what tells of a row what is shown of it, if that is wanted."""
Limits: TypeAlias = tuple[int, int]
NO_LIMITS: Limits = (_LAST, _LAST)


@dataclass
class Samples:
    """Those of the rows a filter kept, and of those it dropped, that drew the lowest numbers."""

    kept: Drawn = field(default_factory=list)
    dropped: Drawn = field(default_factory=list)

    def add(
        self,
        key: str,
        rows: int,
        gone: np.ndarray | None,
        describe: Describer,
        limits: Limits,
        *,
        kept: bool = True,
    ) -> None:
        """Let the rows of a batch draw, of which some may be gone.

        Only those that get in, with numbers below the limits, are described.
        """
        seed = int.from_bytes(blake2b(key.encode(), digest_size=8).digest())
        numbers = _numbers(rows) ^ np.uint64(seed)
        own = self.limits()
        if kept:
            chosen = numbers < np.uint64(min(own[0], limits[0]))
            self.kept = _with(self.kept, numbers, chosen if gone is None else chosen & ~gone, describe)
        if gone is not None:
            chosen = numbers < np.uint64(min(own[1], limits[1]))
            self.dropped = _with(self.dropped, numbers, chosen & gone, describe)

    def merge(self, other: Samples) -> None:
        self.kept = _lowest([*self.kept, *other.kept])
        self.dropped = _lowest([*self.dropped, *other.dropped])

    def limits(self) -> Limits:
        """The numbers below which rows that were kept, and those that were dropped, get in."""
        return _limit(self.kept), _limit(self.dropped)

    def below(self, limits: Limits) -> Samples:
        """Those that get in where these are the limits."""
        sides = zip((self.kept, self.dropped), limits)
        return Samples(*([one for one in drawn if one[0] < limit] for drawn, limit in sides))

    def to_dict(self) -> dict[str, list[Row]]:
        return {"kept": [row for _, row in self.kept], "dropped": [row for _, row in self.dropped]}

    @classmethod
    def from_dict(cls, rows: dict[str, list[Row]]) -> Samples:
        """The samples of a report, in their order."""
        return cls(list(enumerate(rows["kept"])), list(enumerate(rows["dropped"])))


def describer(batch: DocumentBatch | ImageBatch, scores: Any, text_field: str | None) -> Callable[[int], Row]:
    """What tells of a row of a batch what is shown of it."""
    if isinstance(batch, ImageBatch):
        return lambda row: _image(batch.data[row], _score(scores, row))
    names = batch.get_columns()
    columns = [name for name in names if names.count(name) == 1]
    id_field = next((name for name in IDS if name in columns), None)
    source = source_of(batch._metadata.get("source_files") or [])
    fields = [name for name in (text_field, "text") if name in columns] or columns

    def describe(row: int) -> Row:
        found = None if id_field is None else batch.scalar(id_field, row).as_py()
        name = found if isinstance(found, int | str | None) else str(found)
        return {"text": _excerpt(batch, fields, row), "score": _score(scores, row), "id": name, "source": source}

    return describe


def source_of(files: list[Any]) -> str | None:
    """The name of a source for people: a file, and how many there are beside it."""
    if not files:
        return None
    return str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"


def _excerpt(batch: DocumentBatch, fields: Iterable[str], row: int) -> str | None:
    """The beginning of the first of these columns that holds a text."""
    for name in fields:
        value = batch.scalar(name, row)
        if isinstance(value, pa.StringScalar | pa.LargeStringScalar) and value.is_valid:
            held = value.as_buffer()  # not as_py: texts may be long
            return held.slice(0, min(held.size, _MOST_BYTES)).to_pybytes().decode(errors="ignore")[:EXCERPT]
        if isinstance(found := value.as_py(), str):
            return found[:EXCERPT]
    return None


def _image(image: ImageObject, score: Any) -> Row:
    row = {"id": image.image_id or None, "source": image.image_path or None, "score": score}
    if image.caption:
        row["text"] = str(image.caption)[:EXCERPT]
    held = image.image_bytes if image.image_bytes is not None else vars(image)["_pixels"]
    try:
        small = None if held is None else thumbnail(held, THUMBNAIL)
    except (InputError, MissingExtraError):
        small = None  # what cannot be shown has been set aside elsewhere
    if small is not None:
        row["image"] = f"data:image/jpeg;base64,{base64.b64encode(small).decode()}"
    return row


def _score(scores: Any, row: int) -> Any:
    """A score as JSON has it."""
    value = None if scores is None else scores[row]
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or (isinstance(value, int) and abs(value) <= _LAST) else str(value)[:100]


def _with(drawn: Drawn, numbers: np.ndarray, chosen: np.ndarray, describe: Describer) -> Drawn:
    """Those that were drawn, with the lowest of these."""
    rows = chosen.nonzero()[0]
    if not len(rows):
        return drawn
    if len(rows) > MOST:
        rows = rows[numbers[rows].argpartition(MOST)[:MOST]]
    described = _described(describe, rows.tolist())
    return _lowest([*drawn, *zip(numbers[rows].tolist(), described)])


def _described(describe: Describer, rows: list[int]) -> list[Row]:
    """What is shown of some rows; nothing of one that cannot be shown, for that must not cost it."""
    of_row = None
    found = []
    for row in rows:
        try:
            of_row = of_row or describe()
            found.append(of_row(row))
        except Exception:  # a day that Python has no date for, a name that is no UTF-8, an object without a text
            logger.debug("row %d cannot be shown", row, exc_info=True)
            found.append({"text": None, "score": None, "id": None, "source": None})
    return found


def _lowest(drawn: Drawn) -> Drawn:
    return sorted(drawn, key=_order)[:MOST]


def _order(one: tuple[int, Row]) -> tuple[int, str, str]:
    """By the numbers. Batches that have no names of their own draw the same ones."""
    number, row = one
    return number, str(row.get("id")), str(row.get("text"))


def _limit(drawn: Drawn) -> int:
    return drawn[MOST - 1][0] if len(drawn) >= MOST else _LAST


def _numbers(rows: int) -> np.ndarray:
    """Numbers of 64 bits, evenly spread, for the places of rows."""
    return _spread(1 << max(rows - 1, 1023).bit_length())[:rows]


@functools.lru_cache(maxsize=4)
def _spread(rows: int) -> np.ndarray:
    """The beginning of a sequence of splitmix64 (Steele et al., 2014)."""
    state = np.arange(1, rows + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
