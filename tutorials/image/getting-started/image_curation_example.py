"""Keep the images of webdataset tars that look good and are safe for work, and write them as tars.

    python image_curation_example.py --input-wds-dataset-dir tars/ --output-dataset-dir curated/ --model-dir models/

With `--input-parquet` the tars are made first, of the images of a list of URLs.
"""

import argparse

from helper import download_webdataset
from options import add_common_options, make_executor

from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.image.embedders.clip_embedder import ImageEmbeddingStage
from nemo_curator.stages.image.filters.aesthetic_filter import ImageAestheticFilterStage
from nemo_curator.stages.image.filters.nsfw_filter import ImageNSFWFilterStage
from nemo_curator.stages.image.io.image_reader import ImageReaderStage
from nemo_curator.stages.image.io.image_writer import ImageWriterStage


def main(args: argparse.Namespace) -> None:
    if args.input_parquet and not args.skip_download:
        download_webdataset(
            args.input_parquet,
            args.input_wds_dataset_dir,
            entries_per_tar=args.entries_per_tar,
            num_processes=args.download_processes,
            allow_private_addresses=args.allow_private_addresses,
        )
    pipeline = Pipeline(
        name="image_curation",
        description="Images that look good and are safe for work",
        stages=[
            FilePartitioningStage(
                args.input_wds_dataset_dir,
                files_per_partition=args.tar_files_per_partition,
                file_extensions=[".tar"],
            ),
            ImageReaderStage(batch_size=args.batch_size, num_threads=16, verbose=args.verbose),
            ImageEmbeddingStage(
                model_dir=args.model_dir,
                num_gpus_per_worker=args.embedding_gpus_per_worker,
                model_inference_batch_size=args.embedding_batch_size,
                verbose=args.verbose,
            ),
            ImageAestheticFilterStage(
                model_dir=args.model_dir,
                num_gpus_per_worker=args.aesthetic_gpus_per_worker,
                model_inference_batch_size=args.aesthetic_batch_size,
                score_threshold=args.aesthetic_threshold,
                verbose=args.verbose,
            ),
            ImageNSFWFilterStage(
                model_dir=args.model_dir,
                num_gpus_per_worker=args.nsfw_gpus_per_worker,
                model_inference_batch_size=args.nsfw_batch_size,
                score_threshold=args.nsfw_threshold,
                verbose=args.verbose,
            ),
            ImageWriterStage(
                args.output_dataset_dir,
                images_per_tar=args.images_per_tar,
                verbose=args.verbose,
                remove_image_data=True,
            ),
        ],
    )
    print(pipeline.describe())
    pipeline.run(make_executor(args))
    print(pipeline.last_run.table())


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_options(parser)
    parser.add_argument("--input-parquet", help="a list of images, with the columns URL and TEXT, to download first")
    parser.add_argument("--download-processes", type=int, default=8)
    parser.add_argument("--entries-per-tar", type=int, default=1000)
    parser.add_argument("--skip-download", action="store_true", help="the tars are there")
    parser.add_argument("--allow-private-addresses", action="store_true", help="download from an intranet, too")
    parser.add_argument("--aesthetic-batch-size", type=int, default=32)
    parser.add_argument("--aesthetic-gpus-per-worker", type=float, default=0.25)
    parser.add_argument("--aesthetic-threshold", type=float, default=0.5, help="of scores from about 1 to 10")
    parser.add_argument("--nsfw-batch-size", type=int, default=32)
    parser.add_argument("--nsfw-gpus-per-worker", type=float, default=0.25)
    parser.add_argument("--nsfw-threshold", type=float, default=0.5, help="of probabilities; those below stay")
    return parser.parse_args()


if __name__ == "__main__":
    main(parse_args())
