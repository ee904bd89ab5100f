"""Which archives arXiv offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nemo_curator.errors import InputError, need
from nemo_curator.stages.text.download.base import URLGenerator
from nemo_curator.utils.client_utils import is_remote_url

ARXIV_URL = "s3://arxiv/src/"
"""Sources of all papers, about 500 MB an archive; who downloads pays for the transfer."""


@dataclass
class ArxivUrlGenerator(URLGenerator):
    """Lists the archives (`.tar`) of arXiv's bucket, or of another folder, by name.

    `url_prefix` is a folder of this machine or a URL that fsspec lists. Names of arXiv's archives hold the month, with
    two digits for the year, and a number.
    """

    url_prefix: str = ARXIV_URL

    def generate_urls(self) -> list[str]:
        from nemo_curator.utils.storage import ask, locate

        fs, place = locate(self.url_prefix, storage_options(self.url_prefix))
        fs.invalidate_cache(place)
        try:
            found = ask(fs, "ls", place, detail=False)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InputError(
                f"{self.url_prefix} is no folder that can be listed; wanted one with .tar files"
            ) from error
        archives = sorted(path for path in found if path.endswith(".tar"))
        if not archives:
            raise InputError(f"{self.url_prefix} has no .tar files among its {len(found)} entries")
        return [fs.unstrip_protocol(path) if is_remote_url(self.url_prefix) else path for path in archives]


def storage_options(url: str) -> dict[str, Any]:
    """Options for a URL: requests to S3 say that whoever asks pays. Credentials come from the environment."""
    if url.partition("://")[0] not in ("s3", "s3a"):
        return {}
    need("s3fs", extra="s3")
    return {"requester_pays": True}
