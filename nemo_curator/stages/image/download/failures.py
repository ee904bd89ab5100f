"""Why a URL did not become an image."""

from __future__ import annotations

SUCCESS = "success"
UNREACHED = ("dns", "connect")
"""What all URLs fail with where there is no network."""


class FetchError(Exception):
    """A URL failed. `status` says why in one word; `may_pass`, that it may succeed later, `wait` seconds from now."""

    def __init__(self, status: str, message: str, *, may_pass: bool = False, wait: float | None = None):
        super().__init__(message)
        self.status = status
        self.may_pass = may_pass
        self.wait = wait
