"""Archives of Common Crawl as whole files, or one record at a time."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa

from nemo_curator.errors import InputError, MissingExtraError, missing_extra
from nemo_curator.ledger import pulse
from nemo_curator.ledger.counts import failed
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.download.base.download import DocumentDownloader
from nemo_curator.stages.text.download.base.http import download_file
from nemo_curator.stages.text.download.common_crawl.archive import MOST_BLOCK, read_response
from nemo_curator.stages.text.download.common_crawl.payload import body_of
from nemo_curator.stages.text.download.common_crawl.ranges import HttpRanges, S3Ranges
from nemo_curator.stages.text.download.common_crawl.url_generation import DATA_PREFIX
from nemo_curator.tasks.document import DocumentBatch

BUCKET = "commoncrawl"
DOWNLOADS_PER_NODE = 4
"""Common Crawl asks for few connections at once and answers 503 to those who open many."""


class CommonCrawlWARCDownloader(DocumentDownloader):
    """Bring archives into a folder, over https or, with `use_aws_to_download`, from the bucket `commoncrawl` of S3.

    A file is called as the path of its URL, with `-` for `/`. From S3 it comes through `s5cmd` if that is installed,
    else through s3fs, with the credentials and the endpoint of the environment.
    """

    def __init__(self, download_dir: str, use_aws_to_download: bool = False, verbose: bool = False):
        super().__init__(download_dir, verbose)
        self.use_aws_to_download = use_aws_to_download
        if use_aws_to_download and shutil.which("s5cmd") is None and find_spec("s3fs") is None:
            raise MissingExtraError(f"{missing_extra('s3fs', 's3')}, or install s5cmd")

    def _get_output_filename(self, url: str) -> str:
        return urlsplit(url).path.lstrip("/").replace("/", "-")

    def _download_to_path(self, url: str, path: str) -> tuple[bool, str | None]:
        if not self.use_aws_to_download:
            download_file(url, path)
            return True, None
        place = f"s3://{BUCKET}/{urlsplit(url).path.lstrip('/')}"
        program = shutil.which("s5cmd")
        if program is None:
            download_file(place, path)
            return True, None
        done = subprocess.run([program, "cp", place, path], capture_output=True, text=True)
        return done.returncode == 0, done.stderr.strip() or f"s5cmd ended with {done.returncode}"

    def num_workers_per_node(self) -> int | None:
        return DOWNLOADS_PER_NODE


@dataclass
class CommonCrawlWARCReader(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Add the body of the page that each row of an index points to, as bytes without chunks and compression.

    A row names an archive, and the first byte and the length of a record in it; just these bytes are fetched, over
    http from `url_prefix` or from S3, `max_workers` at once. What is asked for again, after a growing wait, are
    lost connections, timeouts (in seconds), busy servers and answers that are too short, `max_retries` times. A row
    whose page cannot be fetched, or is not one whole response, is set aside, or kept with a null where `drop_failed`
    is false. Where `use_s3`, `s3_bucket` or `s3_key_prefix` are None, the variables `CC_USE_S3`, `CC_S3_BUCKET` and
    `CC_S3_KEY_PREFIX` decide.
    """

    warc_filename_col: str = "warc_filename"
    warc_record_offset_col: str = "warc_record_offset"
    warc_record_length_col: str = "warc_record_length"
    binary_content_col: str = "binary_content"
    drop_failed: bool = True
    max_workers: int = 16
    timeout: int = 30
    max_retries: int = 3
    use_s3: bool | None = None
    s3_bucket: str | None = None
    s3_key_prefix: str | None = None
    url_prefix: str = DATA_PREFIX
    storage_options: dict[str, Any] | None = None
    name: str = "common_crawl_warc_reader"

    def __post_init__(self) -> None:
        # here, for the environment of the script need not be that of the workers
        if self.use_s3 is None:
            self.use_s3 = os.environ.get("CC_USE_S3", "").lower() in ("1", "true", "yes", "on")
        if self.s3_bucket is None:
            self.s3_bucket = os.environ.get("CC_S3_BUCKET") or BUCKET
        if self.s3_key_prefix is None:
            self.s3_key_prefix = os.environ.get("CC_S3_KEY_PREFIX", "")
        if self.max_workers < 1 or self.max_retries < 0:
            raise ValueError(
                f"max_workers is {self.max_workers} and max_retries {self.max_retries}; wanted at least 1 and 0"
            )

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [self.warc_filename_col, self.warc_record_offset_col, self.warc_record_length_col]

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [self.binary_content_col]

    def setup(self, _: Any = None) -> None:
        if self.use_s3:
            folder = "/".join(part.strip("/") for part in (self.s3_bucket, self.s3_key_prefix) if part)
            self._ranges: HttpRanges | S3Ranges = S3Ranges(f"s3://{folder}", self.storage_options, self.max_retries)
        else:
            self._ranges = HttpRanges(self.url_prefix, self.timeout, self.max_retries, self.max_workers)

    def teardown(self) -> None:
        self._ranges.close()

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        rows = list(zip(*(batch.values(name) for name in self.inputs()[1]), strict=True))
        with ThreadPoolExecutor(self.max_workers) as pool:
            answers = []
            for answer in pool.map(self._answer, rows):
                answers.append(answer)
                pulse.beat()
        errors = [answer if isinstance(answer, Exception) else None for answer in answers]
        contents = [None if isinstance(answer, Exception) else answer for answer in answers]
        made = batch.with_column(self.binary_content_col, pa.array(contents, pa.large_binary()))
        if not self.drop_failed:
            return made
        for (file, offset, _), error in zip(rows, errors, strict=True):
            if error is not None:
                failed(error, source=f"{file}, byte {offset}")
        return made.filter(np.array([error is None for error in errors], dtype=bool))

    def _answer(self, row: tuple[Any, Any, Any]) -> bytes | Exception:
        try:
            return self._content(*row)
        except MissingExtraError:
            raise
        except Exception as error:  # one page must not cost the others, and each storage has errors of its own
            return error

    def _content(self, file: Any, offset: Any, length: Any) -> bytes:
        is_place = _is_number(offset) and _is_number(length) and offset >= 0 and 1 <= length <= MOST_BLOCK
        if not file or not is_place:
            raise InputError(
                f"wanted a file, an offset, and a length from 1 to {MOST_BLOCK} bytes; "
                f"found {file!r}, {offset!r} and {length!r}"
            )
        data = self._ranges.fetch(str(file), int(offset), int(length))
        return body_of(read_response(data).block)[0]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | np.integer) or (isinstance(value, float) and value.is_integer())
