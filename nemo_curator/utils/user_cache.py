"""Where this user keeps what can be fetched or computed again."""

import os
import tempfile
from pathlib import Path


def user_cache(name: str) -> Path:
    """Make a folder that stays from run to run; a temporary one where the home folder cannot be written."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "nemo_curator" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="nemo_curator-"))
    return folder if os.access(folder, os.W_OK) else Path(tempfile.mkdtemp(prefix="nemo_curator-"))
