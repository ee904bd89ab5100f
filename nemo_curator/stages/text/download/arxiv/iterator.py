"""From an archive to the LaTeX files of its papers."""

from __future__ import annotations

import codecs
import io
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from nemo_curator.errors import InputError
from nemo_curator.ledger.counts import dropped, failed, seen
from nemo_curator.stages.text.download.base import DocumentIterator
from nemo_curator.utils.decompression import decompressed

logger = logging.getLogger(__name__)

TEX_BYTES = 2**26
"""The most LaTeX that a paper may have; a paper with more is a failure."""
FILE_BYTES = 2**12
"""What a file counts besides its bytes, so that empty files have an end, too."""
PAPER_BYTES = 2**31
"""The most that a paper may take when it is unpacked, with its figures."""

_GZIP = b"\x1f\x8b"
_SUFFIXES = (".tex", ".ltx", ".latex")
_OLD_ID = re.compile(r"([a-z-]+)(?:\.[A-Z]{2})?(\d{7}(?:v\d+)?)", re.IGNORECASE)
_DECLARED = re.compile(rb"\\usepackage\s*+\[\s*+([\w-]++)\s*+\]\s*+\{inputenc\}")
_ENCODINGS = {
    b"ansinew": "cp1252",
    b"applemac": "mac_roman",
    b"cp1250": "cp1250",
    b"cp1251": "cp1251",
    b"cp437": "cp437",
    b"cp850": "cp850",
    b"cp852": "cp852",
    b"cp866": "cp866",
    b"koi8-r": "koi8_r",
    b"koi8-u": "koi8_u",
    b"latin2": "iso8859_2",
    b"latin3": "iso8859_3",
    b"latin4": "iso8859_4",
    b"latin5": "iso8859_9",
    b"latin9": "iso8859_15",
    b"latin10": "iso8859_16",
}
"""What `inputenc` calls encodings other than UTF-8 and Latin-1."""


@dataclass
class ArxivIterator(DocumentIterator):
    """Finds the papers of an archive and the LaTeX files of each.

    A record has `id` (`2101.00001`, or `hep-th/9901001` for papers before April 2007), `source_id` (the name of the
    archive), `content` (the files, decoded) and `filenames` (what they are called, within the paper). Nothing is
    unpacked to disk: `extract_tmp_dir` is accepted and not used. A paper that is damaged, or larger than the limits of
    this module, is set aside; one without LaTeX is counted as dropped, by what it is instead.
    """

    log_frequency: int = 1000
    extract_tmp_dir: str | None = None

    def iterate(self, file_path: str) -> Iterator[dict[str, Any]]:
        from nemo_curator.utils.tar_members import tar_members

        def set_aside(error: InputError) -> None:
            seen(1)
            failed(error, source=file_path)

        papers = 0
        for name, data in tar_members(file_path, skipped=set_aside):
            try:
                files = list(_tex_files(f"{file_path}: {name}", name, data))
            except _NoTexError as other:
                seen(1)
                dropped(str(other), 1)
                continue
            except InputError as error:
                set_aside(error)
                continue
            papers += 1
            if papers % self.log_frequency == 0:
                logger.info("%s: %d papers so far", file_path, papers)
            yield {
                "id": format_id(name),
                "source_id": Path(file_path).name,
                "content": [text for _, text in files],
                "filenames": [filename for filename, _ in files],
            }

    def output_columns(self) -> list[str]:
        return ["id", "source_id", "content", "filenames"]


def format_id(name: str) -> str:
    """The identifier of a paper, from what its file is called.

    Example:
        >>> format_id("0704/0704.0001.gz"), format_id("9901/hep-th9901001.gz")
        ('0704.0001', 'hep-th/9901001')
    """
    stem = re.sub(r"\.(?:tar\.gz|tgz|gz|tar|tex|pdf)$", "", PurePosixPath(name).name, flags=re.IGNORECASE)
    old = _OLD_ID.fullmatch(stem)
    return f"{old[1]}/{old[2]}" if old else stem


class _NoTexError(Exception):
    """A paper is here in another form. The message is the name under which that is counted."""


def _tex_files(place: str, name: str, data: bytes) -> Iterator[tuple[str, str]]:
    """Yield name and text of each LaTeX file of a paper."""
    chunks = decompressed(io.BytesIO(data), "gzip", place) if data.startswith(_GZIP) else iter((data,))
    chunks = _bounded(chunks, PAPER_BYTES, place)
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 512:
            break
    if _is_tar(head):
        found = _of_tar(place, _chain(head, chunks))
    else:
        _refuse_other_forms(head)
        whole = b"".join(_chain(head, _bounded(chunks, TEX_BYTES, place)))
        found = {f"{PurePosixPath(format_id(name)).name}.tex": whole} if b"\0" not in whole else {}
    if not any(found.values()):
        raise _NoTexError("no_tex")
    declared = next((match[1].lower() for text in found.values() if (match := _DECLARED.search(text))), b"")
    for filename, text in found.items():
        yield filename, decode(text, _ENCODINGS.get(declared, "cp1252"))


def _of_tar(place: str, chunks: Iterator[bytes]) -> dict[str, bytes]:
    from nemo_curator.utils.tar_members import members_of

    found: dict[str, bytes] = {}
    passed_by: InputError | None = None
    size = 0

    def pass_by(error: InputError) -> None:
        nonlocal passed_by
        passed_by = passed_by or error  # one says enough

    for filename, data in members_of(chunks, place, skipped=pass_by, max_bytes=TEX_BYTES):
        path = PurePosixPath(filename)
        if path.name.startswith("._"):  # what macOS keeps beside a file
            continue
        if path.suffix.lower() in _SUFFIXES or (not path.suffix and b"\\document" in data):
            size += len(data) + FILE_BYTES
            if size > TEX_BYTES:
                raise InputError(f"{place}: more than {TEX_BYTES} bytes of LaTeX")
            found[str(path)] = data
    if passed_by and not found:
        raise passed_by
    if passed_by:
        logger.warning("%s; the paper is read without it", passed_by)
    return found


def _refuse_other_forms(head: bytes) -> None:
    start = head.lstrip()[:9].lower()
    if start.startswith(b"%pdf"):
        raise _NoTexError("pdf_only")
    if start.startswith(b"%!ps"):
        raise _NoTexError("postscript_only")
    if start.startswith((b"<!doctype", b"<html")):
        raise _NoTexError("html_only")
    if start.startswith(b"pk\3\4"):
        raise _NoTexError("docx_only")


def _is_tar(head: bytes) -> bool:
    if len(head) < 512:
        return False
    total = sum(head[:148]) + 8 * ord(" ") + sum(head[156:512])
    digits = head[148:156].strip(b" \0")
    return bool(re.fullmatch(rb"[0-7]+", digits)) and int(digits, 8) == total


def _bounded(chunks: Iterator[bytes], most_bytes: int, place: str) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > most_bytes:
            raise InputError(f"{place}: more than {most_bytes} bytes when it is unpacked")
        yield chunk


def _chain(head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from chunks


def decode(data: bytes, otherwise: str = "cp1252") -> str:
    """Text of a file that is UTF-8, or else has another encoding; line ends become `\\n`.

    What that encoding lacks is read as Latin-1, which has a character for every byte. A mark of UTF-16 is believed.
    """
    is_utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and b"\0" in data
    try:
        text = data.decode("utf-16" if is_utf_16 else "utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = data.decode(otherwise)
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")
