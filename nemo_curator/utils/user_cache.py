"""Where this user keeps what can be fetched or computed again."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def user_cache(name: str) -> Path:
    """Make a folder that stays from run to run; where the home folder cannot be written, one for this process."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "nemo_curator" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _for_this_process()
    return folder if os.access(folder, os.W_OK) else _for_this_process()


def _for_this_process() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="nemo_curator-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
