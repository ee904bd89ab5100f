"""Webdataset tars from a list of URLs, and from batches of images."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain, count, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.image.download import ImageDownloadStage
from nemo_curator.tasks import ImageBatch, ImageObject
from nemo_curator.utils.image_codec import encode_image, extension_of
from nemo_curator.utils.tar_pieces import tar_pieces
from nemo_curator.utils.whole_files import appearing_whole


def download_webdataset(
    parquet_path: str,
    output_dir: str,
    entries_per_tar: int = 10000,
    num_processes: int = 2,
    allow_private_addresses: bool = False,
) -> None:
    """Download the images of a list with the columns `URL` and `TEXT` into tars of as many entries.

    What is there already is not downloaded again. URLs that fail are counted by their reason, and their rows in the
    Parquet file beside each tar say why.
    """
    download = ImageDownloadStage(
        parquet_path,
        output_dir,
        images_per_tar=entries_per_tar,
        connections=256,
        allow_private_addresses=allow_private_addresses,
    )
    pipeline = Pipeline("image_download", "Images of a list of URLs", stages=[download])
    pipeline.run(LocalExecutor(num_workers=num_processes))
    print(pipeline.last_run.table())


def save_imagebatch_to_webdataset(
    image_batches: Iterable[ImageBatch],
    output_path: str,
    samples_per_shard: int = 10000,
    max_shards: int = 5,
    old_id_col: str | None = None,
) -> None:
    """Write the images of batches into tars of as many samples, whatever the batches held, under new ids.

    Shards are numbered with `max_shards` digits. `old_id_col` is what the ids that the images had are called in the
    JSON of a sample and in the Parquet file of its shard, which has scores and embeddings, too.
    """
    images = chain.from_iterable(batch.data for batch in image_batches)
    digits = len(str(samples_per_shard - 1))
    for shard in count():
        some = list(islice(images, samples_per_shard))
        if not some:
            return
        stem = f"{shard:0{max_shards}d}"
        if len(stem) > max_shards:
            raise ValueError(f"more than {shard} shards; give more samples_per_shard, or max_shards, their digits")
        known = {f"{stem}{number:0{digits}d}": image for number, image in enumerate(some)}
        rows = {key: _row(key, image, old_id_col) for key, image in known.items()}
        with appearing_whole(f"{output_path}/{stem}.tar") as path, Path(path).open("wb") as file:
            file.writelines(tar_pieces(chain.from_iterable(_members(key, known[key], rows[key]) for key in known)))
        embeddings = [None if image.embedding is None else image.embedding.tolist() for image in some]
        table = pa.Table.from_pylist(list(rows.values()))
        table = table.append_column("embedding", pa.array(embeddings, pa.list_(pa.float32())))
        with appearing_whole(f"{output_path}/{stem}.parquet") as path:
            pq.write_table(table, path)


def _row(key: str, image: ImageObject, old_id_col: str | None) -> dict[str, object]:
    old_id = {old_id_col: image.image_id} if old_id_col else {}
    scores = {"aesthetic_score": image.aesthetic_score, "nsfw_score": image.nsfw_score}
    return {"key": key, "caption": image.caption, **old_id, **scores}


def _members(key: str, image: ImageObject, row: dict[str, object]) -> Iterator[tuple[str, bytes]]:
    data = encode_image(image.image_data) if image.image_bytes is None else image.image_bytes
    yield f"{key}.{extension_of(data) or image.extension}", data
    if image.caption is not None:
        yield f"{key}.txt", image.caption.encode()
    yield f"{key}.json", json.dumps({**image.metadata, **row}, ensure_ascii=False, default=str).encode()
