"""From lists of URLs to webdataset tars, in one stage."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.image.download.downloads import Crowd
from nemo_curator.stages.image.download.fetch import OPT_OUT_DIRECTIVES, USER_AGENT, FetchRules
from nemo_curator.stages.image.download.pictures import PictureRules, ResizeMode
from nemo_curator.stages.image.download.shard_stage import ImageShardStage
from nemo_curator.stages.image.download.url_lists import ListColumns
from nemo_curator.stages.image.download.url_shards import UrlShardsStage
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.sentinels import EmptyTask


@dataclass
class ImageDownloadStage(CompositeStage[EmptyTask, FileGroupTask]):
    """Download the images of lists of URLs into webdataset tars, with a row of Parquet for what became of each URL.

    Lists are Parquet, CSV, TSV, JSON Lines or text. Without `url_field` and `caption_field` the columns are those
    called `url` or `image_url`, and `caption` or `text`, in any case; `metadata_fields` come along. Shard number 7 is
    `00007.tar` and `00007.parquet`, with up to `images_per_tar` rows of a list. A URL that fails is dropped under the
    name of the reason, and its row says why; a network that reaches nothing is an error.

    A shard that is complete stays, so a run that was ended goes on where it was; `retry_failed` gives the URLs that
    failed another chance. `timeout` and `connect_timeout` are seconds of an attempt, redirects included, of which there
    are `retries` more. `connections` are those of one process.

    Bytes are written as they came, under the extension that is theirs. With `image_size` images are scaled and written
    as JPEG: `border` fills up to a square with white, `center_crop` cuts one, `keep_ratio` gives the short side that
    length, `keep_ratio_largest` the long one. `decode` decodes every image to see that it is whole. `verify_hash` is an
    algorithm of hashlib, and `hash_field` the column to compare with, by default of that name.

    Servers that say `noai` or the like in X-Robots-Tag are heeded. Addresses that are not of the open internet are
    refused, unless `allow_private_addresses` is True or names their networks.
    """

    input_path: str | list[str]
    output_dir: str
    url_field: str | None = None
    caption_field: str | None = None
    metadata_fields: list[str] = field(default_factory=list)
    images_per_tar: int = 10_000
    image_size: int | None = None
    resize_mode: ResizeMode = "border"
    resize_only_if_bigger: bool = False
    encode_quality: int = 95
    min_image_size: int = 0
    max_aspect_ratio: float = float("inf")
    decode: bool = False
    verify_hash: str | None = None
    hash_field: str | None = None
    connections: int = 64
    connections_per_host: int = 16
    requests_per_second_per_host: float | None = None
    retries: int = 2
    timeout: float = 15.0
    connect_timeout: float = 5.0
    max_bytes: int = 2**25
    user_agent: str = USER_AGENT
    opt_out_directives: tuple[str, ...] = OPT_OUT_DIRECTIVES
    allow_private_addresses: bool | list[str] = False
    retry_failed: bool = False
    mode: Literal["ignore", "overwrite", "error"] = "ignore"
    storage_options: dict[str, Any] | None = None
    output_storage_options: dict[str, Any] | None = None
    name: str = "image_download"

    def __post_init__(self) -> None:
        super().__init__()
        self.decompose()  # the parts check what they are given

    def decompose(self) -> list[ProcessingStage]:
        hash_field = self.hash_field or self.verify_hash if self.verify_hash else None
        columns = ListColumns(self.url_field or "", self.caption_field, hash_field, list(self.metadata_fields))
        source = UrlShardsStage(self.input_path, self.images_per_tar, columns, self.storage_options)
        return [source, self._shard_stage()]

    def _shard_stage(self) -> ImageShardStage:
        fetching = FetchRules(
            self.timeout, self.connect_timeout, self.max_bytes, tuple(self.opt_out_directives), self.user_agent
        )
        pictures = PictureRules(
            self.decode,
            self.min_image_size,
            self.max_aspect_ratio,
            self.image_size,
            self.resize_mode,
            self.resize_only_if_bigger,
            self.encode_quality,
            self.verify_hash,
        )
        crowd = Crowd(self.connections, self.connections_per_host, self.requests_per_second_per_host, self.retries)
        allowed = self.allow_private_addresses
        return ImageShardStage(
            self.output_dir,
            self.images_per_tar,
            fetching,
            pictures,
            crowd,
            allowed if isinstance(allowed, bool) else tuple(allowed),
            self.retry_failed,
            self.mode,
            self.storage_options,
            self.output_storage_options,
            self.name,
        )

    def get_description(self) -> str:
        return f"Download the images of {self.input_path} to {self.output_dir}"
