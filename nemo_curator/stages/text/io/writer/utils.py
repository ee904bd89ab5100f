"""Where scripts before 26.07 import it from."""

from nemo_curator.utils.hash_utils import get_deterministic_hash

__all__ = ["get_deterministic_hash"]
