"""What a path says about where it leads."""


def is_remote_url(url: str) -> bool:
    """Whether a path is a URL of another storage than this machine's files."""
    protocol, separator, _ = str(url).partition("://")
    return bool(separator) and protocol not in ("file", "local")
