"""What the server of the dumps says about them: `dumpstatus.json`, and the page that lists the dates."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from nemo_curator.errors import InputError
from nemo_curator.stages.text.download.base import download_file

JOB = "articlesmultistreamdump"
_DATE = re.compile(r"href=\"(?:[^\"]*/)?([0-9]{8})/?\"")
_CHECKSUMS = ("sha1", "md5")


class UnfinishedDumpError(InputError):
    """The files of a dump are not all there."""


def list_dates(folder: str, retries: int) -> list[str]:
    """Return the dates to which a folder of the server links, newest first."""
    page = _fetch(folder, retries).decode("utf-8", "replace")
    return sorted(set(_DATE.findall(page)), reverse=True)


def list_files(folder: str, retries: int) -> dict[str, str | None]:
    """Return the files of the dump in a folder of the server, in their order, or raise UnfinishedDumpError.

    To each name belongs its checksum, as `download_file` takes it, or None where the server has none.
    """
    where = f"{folder}/dumpstatus.json"
    try:
        job = json.loads(_fetch(where, retries))["jobs"][JOB]
        status, files = job["status"], dict(job.get("files") or {})
        found = {name: _checksum(facts) for name, facts in files.items() if "xml" in name}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnfinishedDumpError(f"{where} does not describe the job {JOB}: {error!r}") from error
    if status != "done":
        raise UnfinishedDumpError(f"{where}: the job {JOB} is {status!r}; wanted 'done'")
    if not found:
        raise UnfinishedDumpError(f"{where}: the job {JOB} has no files")
    return found


def _checksum(facts: dict[str, Any]) -> str | None:
    return next((f"{kind}:{facts[kind]}" for kind in _CHECKSUMS if facts.get(kind)), None)


def _fetch(url: str, retries: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "answer")
        download_file(url, str(path), retries=retries)
        return path.read_bytes()
