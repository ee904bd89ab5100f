"""Ids of documents: running numbers, given to groups of files."""

from __future__ import annotations

CURATOR_DEDUP_ID_STR = "_curator_dedup_id"
"""The column of the ids."""
