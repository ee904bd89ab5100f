"""From archives to the pages in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from nemo_curator.errors import InputError
from nemo_curator.ledger.counts import failed, seen
from nemo_curator.stages.text.download.base.iterator import DocumentIterator
from nemo_curator.stages.text.download.common_crawl.archive import Damage, DamagedRecordError, Record, read_archive
from nemo_curator.stages.text.download.common_crawl.payload import body_of

Row = dict[str, Any]


class CommonCrawlWarcIterator(DocumentIterator):
    """Turn the responses of a WARC or ARC file into rows of their URL, ids and body.

    Reads plain files, gzip and zstd, of this machine and of every URL that fsspec opens. `content` is the body as bytes
    without chunks and compression, and `content_type` the header that came with it. Requests, revisits and other
    records are passed over. A damaged record is set aside with its place in the file, and reading goes on with the
    next one; a file without any response is an error.

    Example:
        >>> rows = CommonCrawlWarcIterator().iterate("CC-MAIN-2024-10-00000.warc.gz")
    """

    def __init__(self, storage_options: dict[str, Any] | None = None):
        self._storage_options = storage_options

    def iterate(self, file_path: str) -> Iterator[Row]:
        return _rows(file_path, b"response", _page, self._storage_options)

    def output_columns(self) -> list[str]:
        return ["url", "warc_id", "source_id", "content", "content_type"]


class CommonCrawlWetIterator(DocumentIterator):
    """Turn the texts of a WET file into rows of their URL, ids, text and languages as Common Crawl found them.

    `language` holds codes of three letters with commas between them, the most frequent first, or is null.
    """

    def __init__(self, storage_options: dict[str, Any] | None = None):
        self._storage_options = storage_options

    def iterate(self, file_path: str) -> Iterator[Row]:
        return _rows(file_path, b"conversion", _text, self._storage_options)

    def output_columns(self) -> list[str]:
        return ["url", "warc_id", "source_id", "language", "text"]


def _rows(
    path: str, kind: bytes, to_row: Callable[[Record], Row], storage_options: dict[str, Any] | None
) -> Iterator[Row]:
    source_id = PurePosixPath(path).name
    found: Counter[bytes] = Counter()
    is_damaged = False
    for part in read_archive(path, kind, found, storage_options):
        try:
            if isinstance(part, Damage):
                raise DamagedRecordError(part.reason)
            row = to_row(part)
            row["warc_id"] = _warc_id(part, source_id)
            row["source_id"] = source_id
        except DamagedRecordError as error:
            is_damaged = True
            inside = f" ({part.place} decompressed)" if isinstance(part, Damage) and part.place else ""
            seen(1)
            failed(error, source=f"{path}, byte {part.offset}{inside}")
            continue
        yield row
    if not found[kind] and not is_damaged:
        others = ", ".join(f"{number} {other.decode()}" for other, number in sorted(found.items()))
        raise InputError(f"{path} holds no {kind.decode()} records, only {others}")


def _page(record: Record) -> Row:
    content, content_type = body_of(record.block)
    return {"url": _url(record), "warc_id": None, "source_id": None, "content": content, "content_type": content_type}


def _text(record: Record) -> Row:
    language = record.fields.get(b"warc-identified-content-language")
    try:
        text = record.block.decode()
    except UnicodeDecodeError as error:
        raise DamagedRecordError(f"the text is not UTF-8: {error}") from error
    return {
        "url": _url(record),
        "warc_id": None,
        "source_id": None,
        "language": None if language is None else language.decode("latin-1"),
        "text": text,
    }


def _url(record: Record) -> str:
    url = record.fields.get(b"warc-target-uri")
    if not url:
        raise DamagedRecordError("the record has no WARC-Target-URI")
    # wget writes it in angle brackets
    return url.removeprefix(b"<").removesuffix(b">").decode("utf-8", "replace")


def _warc_id(record: Record, source_id: str) -> str:
    """The id of the record; one that has none gets an id of its place, the same each time."""
    given = record.fields.get(b"warc-record-id")
    if not given:
        return str(uuid5(NAMESPACE_URL, f"{source_id}#{record.offset}"))
    return given.decode("latin-1").removeprefix("<").removesuffix(">").removeprefix("urn:uuid:")
