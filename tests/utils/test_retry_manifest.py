import hashlib
import json
from pathlib import Path

import pytest

from nemo_curator.utils.retry_manifest import CompletionManifest, CompletionManifestRecord, read_completion_manifests

IDENTITY = {"part": 3, "of": 16}


@pytest.fixture(params=["a folder", "a URL"])
def checkpoint(request, tmp_path):
    return str(tmp_path / "check[point]") if request.param == "a folder" else f"memory://{tmp_path.name}/checkpoint"


def test_work_that_ends_well_leaves_a_note_that_can_be_read(checkpoint):
    with CompletionManifest(checkpoint, "export", IDENTITY) as manifest:
        assert read_completion_manifests(checkpoint, namespace="export") == []
    digest = hashlib.sha256(json.dumps(IDENTITY, sort_keys=True).encode()).hexdigest()[:16]
    path = f"{checkpoint}/.nemo_curator_metadata/.export_completion/completed_export_{digest}.json"
    assert manifest.path == path
    expected = [CompletionManifestRecord(path, {"part": 3, "of": 16, "status": "completed"})]
    assert read_completion_manifests(checkpoint, namespace="export") == expected
    assert read_completion_manifests(checkpoint, namespace="other") == []


def test_work_that_raises_leaves_none(checkpoint):
    with pytest.raises(ZeroDivisionError), CompletionManifest(checkpoint, "export", IDENTITY):
        1 / 0  # noqa: B018
    assert read_completion_manifests(checkpoint, namespace="export") == []


def test_a_note_is_taken_away_when_the_work_begins_again(checkpoint):
    manifest = CompletionManifest(checkpoint, "export", IDENTITY)
    manifest.discard()
    manifest.mark_completed()
    CompletionManifest(checkpoint, "export", dict(reversed(IDENTITY.items()))).discard()
    assert read_completion_manifests(checkpoint, namespace="export") == []


@pytest.mark.parametrize(
    ("flat", "payload"),
    [
        ({}, {"part": 3, "of": 16, "metadata": {"rows": 1}, "seconds": 2}),
        ({"flatten_metadata": True}, {"part": 3, "of": 16, "rows": 1, "seconds": 2}),
        ({"flatten_identity": False}, {"identity": IDENTITY, "metadata": {"rows": 1}, "seconds": 2}),
    ],
)
def test_identity_and_metadata_lie_at_the_top_or_under_their_names(tmp_path, flat, payload):
    manifest = CompletionManifest(tmp_path, "n", IDENTITY, metadata={"rows": 1}, completion_dirname="notes", **flat)
    manifest.mark_completed({"seconds": 2})
    [record] = read_completion_manifests(tmp_path, namespace="n", completion_dirname="notes")
    assert record.payload == {**payload, "status": "completed"}


def test_a_manifest_that_is_not_enabled_writes_nothing(tmp_path):
    with CompletionManifest(tmp_path, "n", IDENTITY, enabled=False):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damaged", ['{"part": 3', "[]", '{"part": 3, "status": "begun"}'])
def test_a_damaged_note_counts_for_nothing_and_is_named(tmp_path, damaged, caplog):
    manifest = CompletionManifest(tmp_path, "n", IDENTITY)
    manifest.mark_completed()
    Path(manifest.path).write_text(damaged)
    assert read_completion_manifests(tmp_path, namespace="n") == []
    assert manifest.path in caplog.text
