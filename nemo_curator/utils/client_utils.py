"""What a path says about where it leads."""

from pathlib import Path


def is_remote_url(url: str) -> bool:
    """Whether a path is a URL of another storage than this machine's files."""
    protocol, separator, _ = str(url).partition("://")
    return bool(separator) and protocol not in ("file", "local")


def local_path(path: str) -> Path:
    """A path of this machine, absolute, without protocol; links in it stay."""
    return Path(path.removeprefix("file://").removeprefix("local://")).expanduser().absolute()
