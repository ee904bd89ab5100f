"""Hashes that name things the same way on every machine and in every run."""

import hashlib
from collections.abc import Iterable


def get_deterministic_hash(inputs: Iterable[str], seed: str = "") -> str:
    """Hash a set of strings, whatever their order, into 12 hexadecimal characters."""
    text = f"{'|'.join(sorted(inputs))}|{seed}"
    # a file name that is no UTF-8 holds surrogates
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]
