"""Fetching models from the Hugging Face hub."""

from __future__ import annotations

from nemo_curator.errors import need


def download_model_from_hf(
    model_id: str,
    local_dir: str,
    ignore_patterns: str | list[str] | None = None,
    filename: str | None = None,
    revision: str | None = None,
) -> str:
    """Bring a model into a folder, or one file of it; what is there already is not fetched again.

    `ignore_patterns` leaves out files, as a shell would match them. Returns the path of the folder or file.
    """
    hub = need("huggingface_hub", extra="text")
    if filename is not None:
        return hub.hf_hub_download(model_id, filename, revision=revision, local_dir=local_dir)
    return hub.snapshot_download(model_id, revision=revision, local_dir=local_dir, ignore_patterns=ignore_patterns)
