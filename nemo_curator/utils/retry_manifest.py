"""Notes that a piece of work is complete, one small file for each, beside a checkpoint."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from nemo_curator.utils.atomic_io import write_json_atomically
from nemo_curator.utils.file_utils import get_fs, read_json_file

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CompletionManifestRecord:
    """A note that was found, and what it says."""

    path: str
    payload: dict[str, Any]


class CompletionManifest:
    """Notes in a checkpoint that the work with this identity is complete, when its `with` block ends without an error.

    The note is a JSON file with the identity, the metadata and `"status": "completed"`; its name holds a hash of the
    identity, so the same work always has the same file. `flatten_identity` and `flatten_metadata` put the keys at the
    top, where otherwise they are under `identity` and `metadata`. With `enabled=False` nothing is ever written.
    """

    def __init__(
        self,
        checkpoint_path: str | os.PathLike,
        namespace: str,
        identity: Mapping[str, Any],
        *,
        metadata: Mapping[str, Any] | None = None,
        completion_dirname: str | None = None,
        enabled: bool = True,
        flatten_identity: bool = True,
        flatten_metadata: bool = False,
    ):
        self.identity, self.metadata, self.enabled = dict(identity), dict(metadata or {}), enabled
        self.flatten_identity, self.flatten_metadata = flatten_identity, flatten_metadata
        digest = hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:16]
        folder = completion_folder(checkpoint_path, namespace, completion_dirname)
        self.path = f"{folder}/completed_{namespace}_{digest}.json"

    def mark_completed(self, extra: Mapping[str, Any] | None = None) -> None:
        """Write the note, with more keys if there are any. A note that is there is replaced."""
        if not self.enabled:
            return
        identity = self.identity if self.flatten_identity else {"identity": self.identity}
        metadata = self.metadata if self.flatten_metadata or not self.metadata else {"metadata": self.metadata}
        write_json_atomically(self.path, {**metadata, **(extra or {}), **identity, "status": "completed"})

    def discard(self) -> None:
        """Take an earlier note away: the work has begun again."""
        if self.enabled:
            with contextlib.suppress(FileNotFoundError):
                get_fs(self.path).rm_file(self.path)

    def __enter__(self) -> CompletionManifest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.mark_completed()


def completion_folder(checkpoint_path: str | os.PathLike, namespace: str, completion_dirname: str | None = None) -> str:
    """Where a checkpoint keeps the notes of a namespace."""
    top = os.fspath(checkpoint_path).rstrip("/")
    return f"{top}/.nemo_curator_metadata/{completion_dirname or f'.{namespace}_completion'}"


def read_completion_manifests(
    checkpoint_path: str | os.PathLike, *, namespace: str, completion_dirname: str | None = None
) -> list[CompletionManifestRecord]:
    """Read the notes of completed work, sorted by path. One that cannot be read counts for nothing, and is named."""
    folder = completion_folder(checkpoint_path, namespace, completion_dirname)
    records = []
    for path in (f"{folder}/{name}" for name in _names(folder) if name.startswith(f"completed_{namespace}_")):
        try:
            payload = read_json_file(path)
        except ValueError:
            payload = None
        if isinstance(payload, dict) and payload.get("status") == "completed":
            records.append(CompletionManifestRecord(path, payload))
        else:
            logger.warning("%s is not a note of completed work; it is passed over", path)
    return records


def _names(folder: str) -> list[str]:
    fs = get_fs(folder)
    fs.invalidate_cache()
    try:
        return sorted(path.rpartition("/")[2] for path in fs.ls(folder, detail=False))
    except FileNotFoundError:
        return []
