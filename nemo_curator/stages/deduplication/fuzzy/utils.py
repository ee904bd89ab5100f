"""The columns that the steps of fuzzy deduplication write."""

from __future__ import annotations

CURATOR_DEFAULT_MINHASH_FIELD = "_minhash_signature"
CURATOR_LSH_BUCKET_FIELD = "_bucket_id"
CURATOR_FUZZY_DUPLICATE_GROUP_FIELD = "_duplicate_group_id"
