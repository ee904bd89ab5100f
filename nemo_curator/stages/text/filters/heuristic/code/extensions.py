"""Limits for source files, by language and extension: read from a table."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nemo_curator.errors import InputError

META_FILE = "code_meta.csv"
"""The name that scripts give for the table that comes with the package."""
_COLUMNS = ("language", "extension", "Include", "Long_line_threshold", "Alphanum_threshold", "Alpha filter")
_SYMBOLS = {"C#": "c-sharp", "F#": "f-sharp"}


@dataclass(frozen=True)
class Limits:
    """What files of one extension have to keep within; None where nothing is asked."""

    is_included: bool
    longest_line: float | None
    min_alphanumeric: float | None
    min_alphabetic: float | None


def simple_name(language: str) -> str:
    """Write the name of a language as the table does: `C#` is `c-sharp`, `Common Lisp` is `common-lisp`."""
    return _SYMBOLS.get(language) or language.lower().replace(" ", "-")


@cache
def limits_of(language: str, extension: str, path: str) -> Limits:
    """Look up the limits of an extension, written with or without its dot."""
    table = _read(_file(path))
    key = (language, extension.lower().lstrip("."))
    if key not in table:
        known = sorted(other for one, other in table if one == language)
        found = f"its extensions are {known}" if known else f"the languages are {sorted({one for one, _ in table})}"
        raise InputError(f"{_file(path)} has no row for {language} files ending in {extension!r}; {found}")
    return table[key]


def _file(path: str) -> Path:
    return Path(__file__).with_name(META_FILE) if path == META_FILE and not Path(path).exists() else Path(path)


def _read(path: Path) -> dict[tuple[str, str], Limits]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = set(_COLUMNS) - set(reader.fieldnames or ())
        if missing:
            raise InputError(f"{path} lacks the columns {sorted(missing)}; it has {reader.fieldnames}")
        return {
            (simple_name(row["language"]), row["extension"].lower().lstrip(".")): Limits(
                row["Include"].strip().lower() in ("1", "1.0", "true", "yes"),
                *(float(row[name]) if row[name].strip() else None for name in _COLUMNS[3:]),
            )
            for row in reader
        }
